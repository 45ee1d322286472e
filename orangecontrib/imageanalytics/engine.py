"""Runs jobs image by image in isolated processes, or on a cluster, and survives what images do.

A decoder may crash, hang or exhaust memory on a hostile file. It does so in a worker process of
loky's, never in Orange. One supervising thread owns the pool and all that is known of the work;
others only put events into its queue. When the pool breaks, the images that were being worked
on are tried again one by one, and the one on which a worker dies again is the culprit.

The pool hands out its tasks first in, first out. So the oldest N unfinished tasks are those
that N workers are busy with, and the time since a task became one of these is its time at work:
no messages from the workers are needed to see one hang.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics import pixels, sources, worker
from orangecontrib.imageanalytics.outcome import EmbeddingError, Reason, Skipped, WorkerError
from orangecontrib.imageanalytics.worker import Job, Postponed, Result, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Engine", "Job", "Result", "Task"]

log = logging.getLogger(__name__)

#: Seconds that one image may be worked on.
DEADLINE = 60.0
#: Seconds until a pool must have answered: a cold start takes 0.65, with a virus scanner 20.
STARTING = 120.0
#: Seconds after which an idle worker ends; the next image starts another.
IDLE = 30.0
#: How often a worker must die on an image that it was given alone, until the image is blamed:
#: a worker may also be ended by somebody else in these milliseconds.
DEATHS_PER_IMAGE = 3
#: How many pools in a row may die before they answer, until we give up.
DEATHS_AT_START = 10
#: Seconds without news after which the workers are looked at.
_LOOK = 1.0
#: Seconds within which a pool that is killed has ended; 0.01 is usual.
_USUAL_END = 1.0
#: Tasks in the pool per worker, at most: one at work, one waiting in the pipe, two on their way.
IN_POOL = 4
#: It is filled up when no more are left per worker: a hand-over wakes three threads, and several
#: tasks at once wake them once.
_REFILL = 2

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


@dataclass(eq=False, slots=True)
class _Item:
    task: Task
    future: Future[Result] = field(default_factory=Future)
    cost: int | None = None  # bytes, once known to exceed the ordinary allowance
    deaths: int = 0
    since: float | None = None  # when a worker took it up


class Engine:
    """A pool of workers for one job.

    Parameters
    ----------
    job : Job
        What to do with each image.
    workers : int, optional
        Number of worker processes; all cores that this process may use by default.
    executor : concurrent.futures.Executor, optional
        Where to run instead of processes of our own, such as a Dask client's `get_executor()`.
        It isolates and restarts as it can; files are read here and sent as bytes.
    deadline : float
        Seconds that one image may be worked on in a process of our own.
    budget : int
        Bytes that all simultaneous decodes together may take.
    """

    def __init__(
        self,
        job: Job,
        *,
        workers: int | None = None,
        executor: Executor | None = None,
        deadline: float = DEADLINE,
        budget: int = pixels.BUDGET,
    ) -> None:
        if workers is None:
            import loky

            workers = loky.cpu_count()
        self.workers = workers
        self._job = job
        self._given = executor
        self._deadline = deadline
        self._budget = budget
        self._allowance = budget // (2 * workers)  # half for everyday images, half for large ones

        self._events: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._waiting: deque[_Item] = deque()
        self._large: deque[_Item] = deque()
        self._suspects: deque[_Item] = deque()
        self._running: dict[Future[Any], _Item] = {}
        self._alone = False  # whether what is running is one suspect
        self._pool: Executor | None = None
        self._starting: Future[None] | None = None
        self._started_at = 0.0
        self._deaths_at_start = 0
        self._error: BaseException | None = None  # what stopped the engine
        self._closed = False
        self._ended = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def capacity(self) -> int:
        """How many unfinished tasks keep all workers busy."""
        return (IN_POOL + 1) * self.workers

    def start(self) -> None:
        """Start the workers now, while something else is being prepared."""
        self._post(self._open_pool)

    def submit(self, task: Task) -> Future[Result]:
        """Work on an image.

        Returns
        -------
        Future of Result
            It fails only with what stops the whole run: a WorkerError or what the job's
            `prepare` raised; CancelledError when the engine is closed.
        """
        item = _Item(task)
        self._post(lambda: self._accept(item))
        return item.future

    def close(self) -> None:
        """End the workers at once; what is unfinished is cancelled. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._events.put(self._shut_down)
            if thread is not threading.current_thread():
                thread.join()

    def _post(self, event: Callable[[], object]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)
                self._thread.start()
        self._events.put(event)

    # ---- all that follows runs in the supervising thread

    def _supervise(self) -> None:
        while not self._ended:
            try:
                self._dispatch()
                try:
                    event = self._events.get(timeout=self._until_next_deadline())
                except Empty:
                    self._end_overdue()
                else:
                    event()
            except BaseException as error:  # go on: what is submitted later must fail, too
                log.debug("the engine stopped", exc_info=True)
                self._stop(error)

    def _accept(self, item: _Item) -> None:
        if self._error is not None:
            _fail(item, self._error)
        elif self._closed:
            item.future.cancel()
        else:
            self._waiting.append(item)

    def _dispatch(self) -> None:
        """Give the pool as much as it should have."""
        if self._closed or self._error is not None:
            return
        if self._alone:
            return
        if self._suspects:
            self._dispatch_suspect()
            return
        if len(self._running) > _REFILL * self.workers:
            return
        while len(self._running) < IN_POOL * self.workers:
            item = self._next_large()
            if item is None:
                if not self._waiting or self._must_drain():
                    return
                item = self._waiting.popleft()
            if not self._run(item):
                return

    def _dispatch_suspect(self) -> None:
        """Run one suspect, alone, on a pool that is known to work."""
        if self._running:
            return
        self._open_pool()
        if self._starting is None:
            self._alone = True
            self._run(self._suspects.popleft())

    def _next_large(self) -> _Item | None:
        if not self._large:
            return None
        cost = self._large[0].cost or 0
        reserved = sum(item.cost or 0 for item in self._running.values())
        if reserved + cost <= self._budget - self._allowance * self.workers or not self._running:
            return self._large.popleft()
        return None

    def _must_drain(self) -> bool:
        """Whether a large image waits for, or runs with, all of the budget."""
        alone = self._budget - self._allowance * self.workers
        return any(
            (item.cost or 0) > alone
            for item in itertools.chain(list(self._large)[:1], self._running.values())
        )

    def _run(self, item: _Item) -> bool:
        """Hand a task to the pool; False if the pool turned out to be broken."""
        if not item.future.running() and not item.future.set_running_or_notify_cancel():
            return True
        try:
            pool = self._open_pool()
        except BaseException:
            self._waiting.appendleft(item)
            raise
        if pool is None:
            self._waiting.appendleft(item)
            return False
        task = item.task if self._given is None else _portable(item.task)
        if isinstance(task, Skipped):
            item.future.set_result(Result(task))
            return True
        allowance = self._budget if item.cost is not None else self._allowance
        try:
            running = pool.submit(worker.work, self._job, task, allowance, self._budget)
        except (BrokenExecutor, RuntimeError) as error:  # it broke since the last look
            (self._suspects if self._alone else self._waiting).appendleft(item)
            self._recover(error)
            return False
        except BaseException:
            self._waiting.appendleft(item)
            raise
        self._running[running] = item
        self._mark_at_work()
        running.add_done_callback(lambda future: self._events.put(lambda: self._finish(future)))
        return True

    def _mark_at_work(self) -> None:
        now = time.monotonic()
        for item in itertools.islice(self._running.values(), self.workers):
            if item.since is None:
                item.since = now

    def _finish(self, future: Future[Any]) -> None:
        if future not in self._running:  # of a pool that was given up
            return
        error = CancelledError() if future.cancelled() else future.exception()
        if isinstance(error, BrokenExecutor):
            self._recover(error)
            return
        item = self._running.pop(future)
        item.since = None
        self._alone = False
        self._mark_at_work()
        if error is None:
            result = future.result()
            if isinstance(result, Postponed):
                item.cost = result.cost
                self._large.append(item)
            else:
                item.future.set_result(result)
        elif self._given is not None and not isinstance(error, (EmbeddingError, ImportError)):
            item.future.set_result(Result(Skipped(Reason.CRASHED, _text(error))))
        else:
            _fail(item, _as_embedding_error(error))
            self._stop(error)

    def _recover(self, error: BaseException) -> None:
        """Go on after a worker died, on a new pool."""
        if self._given is not None:
            self._stop(WorkerError(f"The executor that was given is broken: {_text(error)}"))
            return
        log.debug("a worker died: %s", error)
        items = list(self._running.values())
        if self._starting is not None:
            self._deaths_at_start += 1
            if self._deaths_at_start >= DEATHS_AT_START:
                self._stop(
                    WorkerError(
                        "The process that decodes images ends as soon as it starts "
                        f"({_text(error)}). Reinstalling onnxruntime and Pillow may help."
                    )
                )
                return
        elif self._alone and items:
            self._blame(items.pop())
        busy, queued = items[: self.workers], items[self.workers :]
        self._requeue(self._suspects, busy)
        self._requeue(self._waiting, queued)
        self._end_pool()

    def _blame(self, item: _Item) -> None:
        item.deaths += 1
        if item.deaths < DEATHS_PER_IMAGE:
            self._requeue(self._suspects, [item])
        else:
            item.future.set_result(
                Result(Skipped(Reason.CRASHED, "the process that decoded it died each time"))
            )

    def _requeue(self, queue: deque[_Item], items: Iterable[_Item]) -> None:
        for item in reversed(list(items)):
            item.since = None
            is_large = item.cost is not None and queue is self._waiting
            (self._large if is_large else queue).appendleft(item)

    def _until_next_deadline(self) -> float | None:
        """Seconds until something may be overdue, or a worker has died unnoticed."""
        if self._given is not None:
            return None
        if self._starting is not None:
            due = self._started_at + STARTING
        elif self._running:
            due = self._deadline + min(
                (i.since for i in self._running.values() if i.since), default=time.monotonic()
            )
        else:
            return None
        return min(_LOOK, max(0.0, due - time.monotonic()))

    def _end_overdue(self) -> None:
        """Kill the workers when one is stuck; only the images on which it is stuck are blamed."""
        if self._pool is not None and _has_dead_worker(self._pool):
            self._recover(BrokenExecutor("a worker died while it sent its result"))
            return
        now = time.monotonic()
        if self._starting is not None:
            if now - self._started_at >= STARTING:
                self._stop(
                    WorkerError(
                        f"The process that decodes images did not start within {STARTING:.0f} s. "
                        "A virus scanner or an overloaded computer may hold it back; try again."
                    )
                )
            return
        items = list(self._running.values())
        overdue = {i for i in items if i.since is not None and now - i.since >= self._deadline}
        if not overdue:
            return
        for item in overdue:
            item.future.set_result(
                Result(
                    Skipped(
                        Reason.CRASHED,
                        f"decoding it took longer than {self._deadline:g} s and was stopped",
                    )
                )
            )
        self._requeue(self._waiting, (item for item in items if item not in overdue))
        self._end_pool()

    # ---- the pool

    def _open_pool(self) -> Executor | None:
        if self._closed or self._error is not None:
            return None
        if self._given is not None:
            return self._given
        if self._pool is None:
            import loky

            self._pool = loky.ProcessPoolExecutor(
                max_workers=self.workers,
                timeout=IDLE,
                initializer=worker.start,
                initargs=(os.getpid(),),
                env=_ENVIRONMENT,
            )
            self._started_at = time.monotonic()
            starting = self._starting = self._pool.submit(worker.prepare, self._job)
            starting.add_done_callback(
                lambda future: self._events.put(lambda: self._finish_start(future))
            )
            _close_at_exit(self)
        return self._pool

    def _finish_start(self, future: Future[None]) -> None:
        if future is not self._starting:
            return
        error = CancelledError() if future.cancelled() else future.exception()
        if isinstance(error, BrokenExecutor):
            self._recover(error)
            return
        self._starting = None
        if error is not None:
            self._stop(error)
            return
        self._deaths_at_start = 0
        for item in self._running.values():  # the start is not the image's time
            if item.since is not None:
                item.since = time.monotonic()

    def _end_pool(self) -> None:
        pool, self._pool = self._pool, None
        self._starting = None
        self._alone = False
        self._running.clear()
        if pool is not None:
            _kill(pool)

    def _stop(self, error: BaseException) -> None:
        """Stop for good: whatever was or will be submitted fails with this error."""
        self._error = _as_embedding_error(error)
        for item in self._unfinished():
            _fail(item, self._error)
        self._end_pool()

    def _shut_down(self) -> None:
        for item in self._unfinished():
            if not item.future.cancel() and not item.future.done():
                item.future.set_exception(CancelledError())
        self._end_pool()
        self._ended = True

    def _unfinished(self) -> list[_Item]:
        items = [*self._running.values(), *self._waiting, *self._large, *self._suspects]
        self._waiting.clear()
        self._large.clear()
        self._suspects.clear()
        self._running.clear()
        return items


def _has_dead_worker(pool: Any) -> bool:
    """Whether a worker has died, which loky does not notice while it reads half a message."""
    import psutil

    for pid in list(pool._processes or ()):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
    return False


def _kill(pool: Any) -> None:
    """End a pool of loky's at once, whatever its workers are at."""
    import psutil

    manager, results = pool._executor_manager_thread, pool._result_queue
    for pid in list(pool._processes or ()):
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    pool.shutdown(wait=False, kill_workers=True)
    if manager is None:
        return
    manager.join(_USUAL_END)
    if manager.is_alive():
        # A worker killed while it writes leaves half a message, on which loky's thread waits for
        # ever: only the end of all writers, of the one in this process too, lets it go on.
        results._writer.close()
        manager.join()


def _fail(item: _Item, error: BaseException) -> None:
    if not item.future.done():
        item.future.set_exception(error)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _as_embedding_error(error: BaseException) -> BaseException:
    """Say what is missing when a worker cannot import what it needs."""
    if isinstance(error, ImportError):
        name = error.name or "a library"
        worker_error = WorkerError(
            f"The process that decodes images cannot start: {name} cannot be imported ({error}). "
            f"Install or repair it: python -m pip install --force-reinstall {name}"
        )
        worker_error.__cause__ = error
        return worker_error
    if isinstance(error, OSError):
        return WorkerError(
            f"The processes that decode images cannot be started: {error}. Close other programs, "
            "or use fewer workers."
        )
    return error


def _portable(task: Task) -> Task | Skipped:
    """Make a task independent of this computer's files."""
    if task.path is None:
        return task
    read = sources.read_file(task.path)
    return read if isinstance(read, Skipped) else Task(data=read[0])


_open_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_exit_hook = threading.Lock()


def _close_at_exit(engine: Engine) -> None:
    """End the workers when the interpreter exits, whatever they are at.

    loky's own hook waits for running work (30 s of it, 30 s) and is called before `atexit`'s.
    Hooks of `threading._register_atexit`, which concurrent.futures and loky use, run last
    registered first: ours is registered after loky's, so it comes before.
    """
    first = _exit_hook.acquire(blocking=False)
    _open_engines.add(engine)
    if first:
        threading._register_atexit(_close_all)  # type: ignore[attr-defined]


def _close_all() -> None:
    for engine in list(_open_engines):
        engine.close()
