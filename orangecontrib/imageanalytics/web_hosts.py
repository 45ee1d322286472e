"""Hosts that cannot be reached: a table may name a dead one in thousands of rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.web_failure import DownloadFailed

if TYPE_CHECKING:
    from collections.abc import Callable

#: Images that are tried in full, one after the other or at once, before a host is given up.
ENOUGH = 3
#: Seconds after which the next image tries again: somebody may have plugged the cable in.
REST = 60.0


@dataclass(slots=True)
class _Silence:
    failed: DownloadFailed
    images: int = 1
    until: float = 0.0  # when the next image may try


class UnreachableHosts:
    """Remembers which hosts took no connection, so that not every image waits for them.

    Parameters
    ----------
    now : callable
        Seconds on a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._silent: dict[str, _Silence] = {}

    def check(self, origin: str) -> None:
        """Raise DownloadFailed if an origin (scheme, host and port) has been given up."""
        silence = self._silent.get(origin)
        if silence is None or silence.images < ENOUGH:
            return
        if self._now() >= silence.until:
            silence.until = self._now() + REST  # this one tries; the others wait for its news
            return
        raise DownloadFailed(f"{silence.failed.words}, as for {silence.images} images before")

    def note_answer(self, origin: str) -> None:
        """Note that an origin answers."""
        self._silent.pop(origin, None)

    def note_failure(self, failed: DownloadFailed) -> None:
        """Note why an image was given up, if it is that its host could not be reached."""
        if failed.unreachable is None:
            return
        silence = self._silent.get(failed.unreachable)
        if silence is None:
            self._silent[failed.unreachable] = _Silence(failed)
        else:
            silence.images += 1
            silence.until = self._now() + REST
