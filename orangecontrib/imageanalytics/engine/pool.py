"""The worker processes: loky's pool, with what it lacks to be ended at once.

The engine decides what runs when; here is how processes are started, looked at and killed.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from orangecontrib.imageanalytics.engine import worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import psutil

T = TypeVar("T")

#: Seconds after which an idle worker ends; the next image starts another.
IDLE = 30.0
#: Seconds within which a pool that is killed has ended; 0.01 is usual.
_USUAL_END = 1.0

_ENVIRONMENT = {
    # One thread per worker: the workers themselves keep all cores busy.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # onnxruntime reports its use to Microsoft unless it is told not to, before it is imported.
    "ORT_DISABLE_TELEMETRY": "1",
    # loky restarts a worker that grows by 300 MB, with a warning; large images are no leak.
    "LOKY_MAX_MEMORY_LEAK_SIZE": str(2**60),
    # The skip reason says that the decoder crashed; its stack would only alarm in a terminal.
    "PYTHONFAULTHANDLER": os.environ.get("PYTHONFAULTHANDLER", ""),
}


class WorkerPool:
    """Processes that run functions, first in, first out; they start with the first call.

    Parameters
    ----------
    workers : int
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        import loky

        self._executor: Any = loky.ProcessPoolExecutor(
            max_workers=workers,
            timeout=IDLE,
            initializer=worker.start,
            initargs=(os.getpid(),),
            env=_ENVIRONMENT,
        )

    def submit(self, function: Callable[..., T], /, *arguments: Any) -> Future[T]:
        """Run a function in one of the processes.

        Raises
        ------
        BrokenExecutor
            If a process has died; what was submitted before fails with it, too.
        """
        future: Future[T] = self._executor.submit(function, *arguments)
        return future

    def has_dead_worker(self) -> bool:
        """Whether one has died, which loky does not notice while it reads half a message."""
        import psutil

        for pid in self._pids():
            try:
                if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                    return True
            except psutil.NoSuchProcess:
                return True
        return False

    def kill(self) -> None:
        """End all processes at once, whatever they are at, and all that they may have started."""
        import psutil

        manager, results = self._executor._executor_manager_thread, self._executor._result_queue
        for process in _with_children(self._pids()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._executor.shutdown(wait=False, kill_workers=True)
        if manager is None:
            return
        manager.join(_USUAL_END)
        if manager.is_alive():
            # A worker killed while it writes leaves half a message, on which loky's thread waits
            # for ever: only the end of all writers, of the one in this process too, lets it go on.
            results._writer.close()
            manager.join()

    def _pids(self) -> list[int]:
        return list(self._executor._processes or ())


def _with_children(pids: list[int]) -> list[psutil.Process]:
    """Find processes that this one has started, and what they have: it would live on without them.

    It is one look at all processes of the computer, which takes some 20 ms.
    """
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
