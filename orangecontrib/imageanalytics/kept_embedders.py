"""Embedders that are kept for a minute: the next call finds their workers and connections."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

#: Seconds that an embedder is kept after a call.
KEPT = 60.0


class Opened(Protocol):
    """An `ImageEmbedder`, by what is needed of it here."""

    @property
    def fingerprint(self) -> str:
        """What its vectors depend on besides the image."""

    def outcomes(self, data: Any, *, callback: Callable[[float], object]) -> Iterator[Any]:
        """Embed images."""

    def close(self) -> None:
        """End its workers."""


_lock = threading.Lock()
_idle: dict[Hashable, list[tuple[float, Opened]]] = defaultdict(list)
_sweeping = threading.Event()  # whether a thread waits to close what has been idle for long


@contextmanager
def lent(key: Hashable, make: Callable[[], Opened]) -> Iterator[Opened]:
    """Lend an embedder to one borrower at a time, as a new run ends what is left of the last.

    Parameters
    ----------
    key : hashable
        What it is: one that was made for the same key may be lent again.
    make : callable
        Makes one if none is idle.
    """
    with _lock:
        embedder = _idle[key].pop()[1] if _idle[key] else None
    if embedder is None:
        embedder = make()
    try:
        yield embedder
    except BaseException:
        embedder.close()
        raise
    with _lock:
        _idle[key].append((time.monotonic() + KEPT, embedder))
        _sweep_later()


def close_all() -> None:
    """Close those that are idle now."""
    _close(float("inf"))


def _sweep_later() -> None:
    ends = [end for pairs in _idle.values() for end, _ in pairs]
    if ends and not _sweeping.is_set():
        _sweeping.set()
        timer = threading.Timer(max(0.0, min(ends) - time.monotonic()), _sweep)
        timer.daemon = True
        timer.start()


def _sweep() -> None:
    _close(time.monotonic())
    with _lock:
        _sweeping.clear()
        _sweep_later()


def _close(now: float) -> None:
    with _lock:
        ended = [pair for pairs in _idle.values() for pair in pairs if pair[0] <= now]
        for pairs in _idle.values():
            pairs[:] = [pair for pair in pairs if pair[0] > now]
    for _, embedder in ended:
        embedder.close()
