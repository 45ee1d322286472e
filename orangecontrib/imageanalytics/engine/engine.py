"""Runs jobs image by image in isolated processes, or on a cluster, and survives what images do.

A decoder may crash, hang or exhaust memory on a hostile file. It does so in a worker, never in
Orange. One supervising thread owns the workers and all that is known of the work; others only put
events into its queue.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.embedder import Job, Result, Task
from orangecontrib.imageanalytics.engine import cluster, machine
from orangecontrib.imageanalytics.engine.backlog import Image
from orangecontrib.imageanalytics.engine.executor import GivenExecutor
from orangecontrib.imageanalytics.engine.memory import SHARE, Memory
from orangecontrib.imageanalytics.engine.pool import WorkerPool
from orangecontrib.imageanalytics.engine.supervisor import Supervisor
from orangecontrib.imageanalytics.engine.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

#: Seconds that one image may be worked on.
DEADLINE = 60.0


def _cores() -> int:
    import loky

    found: int = loky.cpu_count()
    return found


class Engine:
    """Does a job with each image that is submitted.

    Parameters
    ----------
    job : Job
        What to do with each image.
    workers : int, optional
        Number of worker processes; all cores that this process may use by default, or the
        threads of a Dask cluster's workers.
    executor : concurrent.futures.Executor, optional
        Where to run instead of processes of our own, such as a Dask client's `get_executor()`.
        A worker of Dask runs images in processes of its own; others isolate as they can.
    shared_files : bool, optional
        Whether the executor's workers see the files of this computer by the same paths; by
        default, it is tried with the first one. If not, files are read here and sent.
    deadline : float
        Seconds that one image may be worked on.
    budget : int, optional
        Bytes that all simultaneous decodes together may take; half of the memory of this
        computer, or of its container, by default.
    """

    def __init__(
        self,
        job: Job,
        *,
        workers: int | None = None,
        executor: Executor | None = None,
        shared_files: bool | None = None,
        deadline: float = DEADLINE,
        budget: int | None = None,
    ) -> None:
        if budget is None:
            budget = int(SHARE * machine.memory())
        self._events: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._workers: Workers
        if executor is None:
            self._workers = WorkerPool(workers or _cores(), self)
        elif cluster.is_cluster(executor):
            self._workers = cluster.Cluster(executor, workers, deadline, shared_files)
        else:
            self._workers = GivenExecutor(executor, workers or _cores(), deadline, shared_files)
        memory = Memory.divided(budget, self._workers.count)
        self._supervisor = Supervisor(job, self._workers, memory, deadline, self._events.put)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def capacity(self) -> int:
        """How many unfinished tasks keep all workers busy."""
        return self._supervisor.capacity

    def start(self) -> None:
        """Start the workers now, while something else is being prepared."""
        self._post(self._supervisor.open)

    def submit(self, task: Task) -> Future[Result]:
        """Work on an image.

        Returns
        -------
        Future of Result
            It fails only with what stops the whole run: a WorkerError or what the job's
            `prepare` raised; CancelledError when the engine is closed. It can be cancelled until
            the image is handed to a worker.
        """
        image = Image(task)
        self._post(lambda: self._supervisor.accept(image))
        return image.future

    def close(self) -> None:
        """End the workers at once; what is unfinished is cancelled. May be called twice."""
        with self._lock:
            if self._supervisor.is_closing:
                return
            self._supervisor.is_closing = True
            thread = self._thread
            self._events.put(self._supervisor.shut_down)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _post(self, event: Callable[[], object]) -> None:
        with self._lock:
            if self._supervisor.is_closing:
                raise RuntimeError("the engine is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)
                self._thread.start()
            self._events.put(event)  # with the lock, so that nothing comes after the shut-down

    def _supervise(self) -> None:
        supervisor = self._supervisor
        while not supervisor.is_closed:
            try:
                supervisor.dispatch()
                try:
                    event = self._events.get(timeout=supervisor.until_next_look())
                except Empty:
                    supervisor.look()
                else:
                    event()
            except BaseException as error:  # go on: what is submitted later must fail, too
                _log.debug("the engine stopped", exc_info=True)
                if not supervisor.is_closed:
                    supervisor.stop(error)
