"""A Dask cluster's executor: each of its workers runs images in processes of its own.

A decoder that crashes or hangs costs one image there, as it does here, for it is the same engine
that runs it. The engine stays with the worker, from one task to the next.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import sys
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.engine import machine
from orangecontrib.imageanalytics.engine.executor import GivenExecutor, Sending
from orangecontrib.imageanalytics.engine.memory import SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor, Future

    from orangecontrib.imageanalytics.embedder import Job, Task
    from orangecontrib.imageanalytics.engine.engine import Engine
    from orangecontrib.imageanalytics.engine.executor import Answer

#: Seconds after which the workers are counted again: those of a cluster come and go.
_COUNTED = 10.0
#: Engines that a worker keeps, for as many models; one that is idle has no processes.
_KEPT = 2
#: Where its end comes among those of multiprocessing: before all others.
_FIRST = 100


def is_cluster(executor: Executor) -> bool:
    """Whether an executor is that of a Dask client."""
    return type(executor).__module__.partition(".")[0] == "distributed"


class Cluster(GivenExecutor):
    """A Dask client's executor, as `Workers`.

    Parameters
    ----------
    executor : distributed.cfexecutor.ClientExecutor
        It is left open.
    count : int, optional
        How many images are worked on at a time; the threads of all its workers by default.
    deadline, shared_files
        See `GivenExecutor`.
    """

    def __init__(
        self,
        executor: Executor,
        count: int | None,
        deadline: float,
        shared_files: bool | None = None,
    ) -> None:
        super().__init__(executor, count or _threads(executor), deadline, shared_files)
        self._is_counted = count is None
        self._counted_at = time.monotonic()

    def _run(self, sending: Sending, tasks: list[Task]) -> Future[Answer]:
        if self._is_counted and time.monotonic() - self._counted_at > _COUNTED:
            self._counted_at = time.monotonic()
            self._readers.submit(self._count_again)
        client: Any = self._executor
        submitted: Future[Answer] = client.submit(
            work_in_own_pool,
            self._deadline,
            sending.job,
            tuple(tasks),
            pure=False,  # else Dask hashes all that is sent, and takes equal images for one
        )
        return submitted

    def _count_again(self) -> None:
        self._count = _threads(self._executor)


def _threads(executor: Any) -> int:
    """Count the threads of a cluster's workers; one at least is to come."""
    return max(1, sum(executor._client.nthreads().values()))


# ---- in a cluster's worker


def work_in_own_pool(deadline: float, job: Job, tasks: Sequence[Task]) -> Answer:
    """Run images through this process's own engine, in a worker of Dask.

    Parameters
    ----------
    deadline : float
        Seconds that each image may take.
    job : Job
        What to do with each.
    tasks : sequence of Task
        Files are read here.

    Returns
    -------
    list of Result, float
        One for each task, and the seconds that all took.
    """
    began = time.monotonic()
    with own_engine(job, deadline) as engine:
        futures = [engine.submit(task) for task in tasks]
        return [future.result() for future in futures], time.monotonic() - began


@contextmanager
def own_engine(job: Job, deadline: float, workers: int | None = None) -> Iterator[Engine]:
    """Give the engine of this process for a job; it stays for the next.

    Parameters
    ----------
    job, deadline
        See `Engine`.
    workers : int, optional
        Its processes, if it is not there yet; the threads of this worker of Dask by default.
    """
    use = _take(job, deadline, workers)
    try:
        yield use.engine
    except BaseException:
        use.is_fit = False  # one that is stopped stays so; the next task begins anew
        raise
    finally:
        _give_back(use)


class _Use:
    """An engine that some threads of a worker use."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.users = 0
        self.is_fit = True


_lock = threading.Lock()
_engines: OrderedDict[tuple[Job, float], _Use] = OrderedDict()  # last used last


def _take(job: Job, deadline: float, workers: int | None) -> _Use:
    key = job, deadline
    with _lock:
        use = _engines.get(key)
        if use is None or not use.is_fit:
            use = _engines[key] = _Use(_new_engine(job, deadline, workers))
        _engines.move_to_end(key)
        use.users += 1
        return use


def _give_back(use: _Use) -> None:
    with _lock:
        use.users -= 1
        idle = [key for key, one in _engines.items() if not one.users]
        ended = [_engines.pop(key).engine for key in idle[:-_KEPT]]
        if use.users == 0 and not use.is_fit:
            ended.append(use.engine)
    for engine in ended:
        engine.close()


def _new_engine(job: Job, deadline: float, workers: int | None) -> Engine:
    from orangecontrib.imageanalytics.engine.engine import Engine

    # Dask's nanny starts its worker as a daemon, which may have no children; ours end with it.
    multiprocessing.current_process().daemon = False
    threads, memory = _share()
    _close_at_exit()
    return Engine(job, workers=workers or threads, budget=int(SHARE * memory), deadline=deadline)


@cache
def _close_at_exit() -> None:
    """End before multiprocessing waits for its children, which would be until they were idle."""
    multiprocessing.util.Finalize(None, _close_all, exitpriority=_FIRST)


def _close_all() -> None:
    for use in list(_engines.values()):
        use.engine.close()


def _share() -> tuple[int | None, int]:
    """Tell how many processes a worker of Dask may have, and how much memory."""
    distributed = sys.modules.get("distributed")
    memory = machine.memory()
    try:
        worker = distributed.get_worker() if distributed is not None else None
    except ValueError:  # not in a worker
        worker = None
    if worker is None:
        return None, memory
    return worker.state.nthreads, min(memory, worker.memory_manager.memory_limit or memory)
