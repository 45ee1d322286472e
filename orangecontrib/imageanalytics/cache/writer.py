"""Writing behind: additions wait in memory for a second and reach the disk in one commit."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.cache.tables import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orangecontrib.imageanalytics.cache.disk import Disk

#: Seconds from the first addition to the commit of all that came since.
PERIOD = 1.0

#: Bytes waiting at which whoever adds more has to wait.
BACKLOG = 64 * 2**20

#: Seconds that they wait at most; if the disk has not caught up by then, what waits is dropped.
STALL = 10.0

#: Seconds for which a file that another process has locked is tried again.
PATIENCE = 60.0


class WriteBehind:
    """Collects additions and commits them once a second.

    The thread lives only while something waits: an idle cache costs no thread, and one that is
    thrown away without being closed still writes its last second.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.reset()

    def reset(self) -> None:
        """Begin anew: with nothing waiting, and no thread."""
        self._changed = threading.Condition(threading.Lock())  # guards all that follows
        self._waiting = Batch()
        self._being_written = Batch()
        self._round = 0  # the number of the batch that waits
        self._written = -1  # the number of the last batch that was written, or dropped
        self._thread: threading.Thread | None = None
        self._hurried = False

    def unwritten(self) -> tuple[Batch, Batch]:
        """Return what is not on the disk yet, the newer batch first."""
        with self._changed:
            return self._waiting, self._being_written

    @contextlib.contextmanager
    def adding(self) -> Iterator[Batch]:
        """Give the batch that waits, for something to be put into it."""
        with self._changed:
            yield self._waiting
            if self._waiting and self._thread is None:
                thread = threading.Thread(target=self._run, name="embedding cache", daemon=True)
                with contextlib.suppress(RuntimeError):  # at exit: `flush` writes it
                    thread.start()
                    self._thread = thread
            full = self._waiting.memory > BACKLOG
        if full and not self.flush(STALL):
            self.drop()

    def _run(self) -> None:
        try:
            self._write_until_nothing_waits()
        except BaseException:
            with self._changed:
                self._thread = None
                self._changed.notify_all()
            raise

    def _write_until_nothing_waits(self) -> None:
        began = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._hurried, PERIOD)
                self._hurried = False
            if self._write():
                began = time.monotonic()
            elif time.monotonic() - began > PATIENCE:
                self.drop()
            with self._changed:
                if not self._waiting:
                    self._thread = None
                    return

    def _write(self) -> bool:
        with self._changed:
            batch, self._waiting = self._waiting, Batch()
            self._being_written = batch
            number = self._round
            self._round += 1
        written = True  # a batch that makes it raise would do so again
        try:
            written = self._disk.write(batch)
        finally:
            with self._changed:
                self._being_written = Batch()
                if written:
                    self._written = number
                else:
                    batch.update(self._waiting)
                    self._waiting = batch
                self._changed.notify_all()
        return written

    def flush(self, timeout: float) -> bool:
        """Wait until all that was added before is on the disk; False if that takes too long."""
        with self._changed:
            last = self._round if self._waiting else self._round - 1
            if self._thread is not None:
                self._hurried = True
                self._changed.notify_all()
                return self._changed.wait_for(lambda: self._written >= last, timeout)
            nothing = not self._waiting
        return nothing or self._write()

    def drop(self) -> None:
        """Give up what waits, with a warning."""
        with self._changed:
            lost, self._waiting = len(self._waiting.vectors), Batch()
            self._written = self._round
            self._round += 1
            self._changed.notify_all()
        contents = self._disk.contents
        self._disk.warn(
            "locked",
            f"Another program has the file locked, or the disk does not answer; {lost} "
            f"{contents.items} could not be stored. Their images are {contents.done} once more "
            "when they are needed.",
        )
