"""The cache's file as one that never fails: what cannot be mended costs a warning, not the run."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.cache import space
from orangecontrib.imageanalytics.cache.fault import Fault, Trouble
from orangecontrib.imageanalytics.cache.file import CacheFile
from orangecontrib.imageanalytics.cache.tables import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from orangecontrib.imageanalytics.cache.contents import Contents
    from orangecontrib.imageanalytics.cache.tables import Batch

#: Damaged files set aside before a cache gives up: then it is the disk that is broken.
SET_ASIDE = 3

_log = logging.getLogger("orangecontrib.imageanalytics.cache")

# Each warning once per folder, as a script may make any number of embedders.
_warned: set[tuple[str, Path]] = set()


class Disk:
    """Reads from and writes to a `CacheFile`; a fault is mended or worked around.

    - Damaged: the file is set aside and a new one begun.
    - Locked by another process: reading finds nothing; writing is to be tried again.
    - Unusable: if writing fails, as on a full disk, what is there can still be read; if reading
      fails, nothing is tried any more.

    Warnings are logged, not raised by `warnings.warn`: most come from the thread that writes,
    where a filter that turns warnings into errors would lose what is to be written.
    """

    def __init__(
        self, folder: Path, contents: Contents, limit: int, *, enabled: bool = True
    ) -> None:
        self.file = CacheFile(folder, contents.name)
        self.contents = contents
        self.limit = limit
        self.reads = self.writes = enabled
        self._set_aside = 0

    def rows(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Return the rows that a query finds; none if the file cannot be read."""
        if not self.reads:
            return []
        try:
            return self.file.rows(statement, parameters)
        except Fault as fault:
            if not self._mend(fault) and fault.trouble is not Trouble.LOCKED:
                self.reads = False
                self._give_up(fault)
        return []

    def write(self, batch: Batch) -> bool:
        """Commit a batch; False if another process is at it, so that it is to be tried again."""
        while self.writes:
            try:
                with self.file.transaction() as db:
                    batch.write(db, int(time.time()))
                    full = space.in_use(db) > self.limit
                if full:
                    space.trim(self.file, self.limit)
                break
            except Fault as fault:
                if self._mend(fault):
                    continue
                if fault.trouble is Trouble.LOCKED:
                    return False
                self._give_up(fault)
        return True

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return the number of vectors and their bytes, by model."""
        return {model: (entries, size) for model, entries, size in self.rows(SIZES, ())}

    def clear(self, model: str | None) -> int:
        """Drop a model's vectors, or all; return how many."""
        if not self.reads or not self.file.exists():
            return 0
        try:
            dropped = space.clear(self.file, model)
            self.writes = True  # if the disk was full, now there is space
        except Fault as fault:
            dropped = 0
            if not self._mend(fault):
                self.warn("not cleared", f"The cache could not be cleared: {fault}. Try again.")
        if model is None:
            self.file.remove_set_aside()
        return dropped

    def _mend(self, fault: Fault) -> bool:
        """Set a damaged file aside; tell whether that was it."""
        if fault.trouble is not Trouble.DAMAGED or self._set_aside == SET_ASIDE:
            return False
        self._set_aside += 1
        try:
            aside = self.file.set_aside(fault.generation)
        except Fault as refusal:
            self.reads = self.writes = False
            self.warn(
                "damaged",
                f"The file is damaged ({fault}) and cannot be renamed ({refusal}). Images are "
                f"{self.contents.done} without it; close all programs that use it, and delete "
                "its folder.",
            )
            return True
        if aside is not None:
            self.warn(
                f"damaged {aside.name}",
                f"The file was damaged ({fault}). It was set aside as {aside}, and a new one is "
                f"begun: images that were in it are {self.contents.done} once more.",
            )
        return True

    def _give_up(self, fault: Fault) -> None:
        self.writes = False
        self.warn(
            "unusable",
            f"The cache cannot be used: {fault}. Images are {self.contents.done} without it, every "
            "time anew. Check that the disk has space and that the folder can be written to, or "
            "choose another folder by the environment variable ORANGE_IMAGE_CACHE.",
        )

    def warn(self, kind: str, text: str) -> None:
        """Log a warning, the first time that there is one of this kind about this folder."""
        if (kind, self.file.folder) not in _warned:
            _warned.add((kind, self.file.folder))
            _log.warning("%s in %s: %s", self.contents.title, self.file.folder, text)
