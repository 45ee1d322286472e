"""The worker processes: loky's pool, with what it lacks to be ended at once.

The supervisor decides what runs when; here is how processes are started, looked at and killed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from orangecontrib.imageanalytics.engine import worker
from orangecontrib.imageanalytics.engine.workers import BundleSize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    import psutil

    from orangecontrib.imageanalytics.embedder import Job, Preparation, Task
    from orangecontrib.imageanalytics.engine.workers import Handed

T = TypeVar("T")

#: Seconds after which an idle worker ends; the next image starts another.
IDLE = 60.0
#: Seconds within which a pool that is killed has ended; 0.01 is usual.
_USUAL_END = 1.0

ENVIRONMENT = {
    # One thread per worker: the workers themselves keep all cores busy.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc gives each picture's memory back and gets it anew, page by page: 0.3 megapixels take
    # 4.4 ms to decode and resize instead of 3.0. 32 MB is the most that the first may be.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    # onnxruntime reports its use to Microsoft unless it is told not to, before it is imported.
    "ORT_DISABLE_TELEMETRY": "1",
    # loky restarts a worker that grows by 300 MB, with a warning; large images are no leak.
    "LOKY_MAX_MEMORY_LEAK_SIZE": str(2**60),
    # The skip reason says that the decoder crashed; its stack would only alarm in a terminal.
    "PYTHONFAULTHANDLER": os.environ.get("PYTHONFAULTHANDLER", ""),
}


class WorkerPool:
    """Processes of our own, as `Workers`: first in, first out.

    So the oldest N unfinished bundles are those that N workers are busy with, and the time since a
    bundle became one of these is its time at work: no messages from the workers are needed to see
    one hang. One that hangs can only be killed with all others, and one that dies breaks the pool.

    Parameters
    ----------
    count : int
        Number of processes.
    owner : Closable
        What is to be closed when the interpreter exits.
    """

    bundle_size = BundleSize(1, 4, 0.05)  # one by one, each image costs 0.5 ms more

    def __init__(self, count: int, owner: Closable) -> None:
        self._count = count
        self._owner = owner
        self._executor: Any = None  # loky's, while it runs

    @property
    def count(self) -> int:
        """Number of processes."""
        return self._count

    def start(self, job: Preparation) -> Future[None]:
        """Start the processes, and make one ready for the job."""
        import loky

        self._executor = loky.ProcessPoolExecutor(
            max_workers=self._count,
            timeout=IDLE,
            initializer=worker.start,
            initargs=(os.getpid(),),
            env=ENVIRONMENT,
        )
        ready: Future[None] = self._executor.submit(worker.prepare, job)
        close_at_exit(self._owner)
        return ready

    def submit(self, job: Job, tasks: Sequence[Task], allowance: int, most: int) -> Handed:
        """Hand tasks over to a process."""
        handed: Handed = self._executor.submit(worker.work_all, job, tasks, allowance, most)
        return handed

    def call(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Run a function in one of the processes, which have been started, instead of a job."""
        future: Future[T] = self._executor.submit(function, *arguments)
        return future

    def timed(self, handed: Iterable[Handed]) -> Iterable[Handed]:
        """Give those that the processes are busy with."""
        return itertools.islice(handed, self._count)

    def seconds(self, handed: Handed) -> None:
        """Nothing: the time since it was timed is its own."""

    def has_died(self) -> bool:
        """Whether one has died, which loky does not notice while it reads half a message."""
        import psutil

        for pid in self._pids():
            try:
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
        return False

    def give_up(self, overdue: Iterable[Handed]) -> bool:
        """Kill all processes: which of them is stuck is not known."""
        self.end()
        return True

    def end(self) -> None:
        """End all processes at once, whatever they are at, and all that they may have started."""
        executor = self._executor
        if executor is None:
            return
        manager, results = executor._executor_manager_thread, executor._result_queue
        _kill(dict(executor._processes or {}))
        self._executor = None
        executor.shutdown(wait=False, kill_workers=True)
        if manager is None:
            return
        manager.join(_USUAL_END)
        if manager.is_alive():
            # A worker killed while it writes leaves half a message, on which loky's thread waits
            # for ever: only the end of all writers, of the one in this process too, lets it go on.
            results._writer.close()
            manager.join()

    def _pids(self) -> list[int]:
        return [] if self._executor is None else list(self._executor._processes or ())


def _kill(workers: dict[int, Any]) -> None:
    """Kill workers, by their ids, and what they have started: it would live on without them."""
    if sys.platform == "win32":
        import psutil

        for found in _with_children(workers):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.kill()
        return
    for pid, process in workers.items():
        try:
            os.killpg(pid, signal.SIGKILL)  # the group that `worker.start` has made
        except OSError:  # it has not, so it has started nothing; or all have ended
            process.terminate()


def _with_children(pids: Iterable[int]) -> list[psutil.Process]:
    """Find processes and what they have started, in one look at all processes of the computer."""
    import psutil

    found, ids = [], set(pids)
    for process in psutil.Process().children(recursive=True):  # parents come before their children
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.pid in ids or process.ppid() in ids:
                ids.add(process.pid)
                found.append(process)
    return found


class Closable(Protocol):
    """What owns a pool."""

    def close(self) -> None:
        """End the pool."""


_owners: weakref.WeakSet[Closable] = weakref.WeakSet()
_exit_hook = threading.Lock()


def close_at_exit(owner: Closable) -> None:
    """Close a pool's owner when the interpreter exits, whatever the workers are at.

    loky's own hook waits for running work (30 s of it, 30 s) and is called before `atexit`'s.
    Hooks of `threading._register_atexit`, which concurrent.futures and loky use, run last
    registered first: ours is registered after loky's, so it comes before.
    """
    first = _exit_hook.acquire(blocking=False)
    _owners.add(owner)
    if first:
        threading._register_atexit(_close_all)  # type: ignore[attr-defined]


def _close_all() -> None:
    for owner in list(_owners):
        owner.close()
