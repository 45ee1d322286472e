"""Hosts that cannot be reached: a table may name a dead one in thousands of rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.web.failure import DownloadFailed

if TYPE_CHECKING:
    from collections.abc import Callable

#: Images, tried in full one after the other, for which a host must fail until it is given up.
ENOUGH = 3


@dataclass(slots=True)
class _Silence:
    words: str  # why the last image failed
    times: int
    at: float  # when the last failure was counted


class UnreachableHosts:
    """Knows in one run which hosts never took a connection, so that not every image waits for it.

    A host that has answered once is never given up: what troubles it may pass.

    Parameters
    ----------
    now : callable
        Seconds on a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._answered: set[str] = set()
        self._silent: dict[str, _Silence] = {}

    def check(self, origin: str) -> None:
        """Raise DownloadFailed if an origin (scheme, host and port) has been given up."""
        silence = self._silent.get(origin)
        if silence is not None and silence.times >= ENOUGH:
            raise DownloadFailed(f"{silence.words}, as for other images before")

    def note_answer(self, origin: str) -> None:
        """Note that an origin takes connections."""
        self._answered.add(origin)
        self._silent.pop(origin, None)

    def note_failure(self, failed: DownloadFailed, begun: float) -> None:
        """Note why an image failed at last, if it is that its host could not be reached.

        Of images that were tried at the same time one counts.

        Parameters
        ----------
        failed : DownloadFailed
            What became of the image's last try.
        begun : float
            When its first try began, by `now`.
        """
        origin = failed.unreachable
        if origin is None or origin in self._answered:
            return
        silence = self._silent.get(origin)
        if silence is None:
            self._silent[origin] = _Silence(failed.words, 1, self.now())
        elif begun >= silence.at:
            self._silent[origin] = _Silence(failed.words, silence.times + 1, self.now())
