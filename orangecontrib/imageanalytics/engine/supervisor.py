"""Runs jobs image by image in isolated processes, or on a cluster, and survives what images do.

A decoder may crash, hang or exhaust memory on a hostile file. It does so in a worker process of
loky's, never in Orange. One supervising thread owns the pool and all that is known of the work;
others only put events into its queue. When the pool breaks, the images that were being worked
on are tried again one by one, and the one on which a worker dies again is the culprit.

Images that take but a few milliseconds go to the workers in bundles: each hand-over costs as much
as a tenth of such an image. The pool hands out its bundles first in, first out. So the oldest N
unfinished ones are those that N workers are busy with, and the time since a bundle became one of
these is its time at work: no messages from the workers are needed to see one hang.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections import deque
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask, Result, Task
from orangecontrib.imageanalytics.engine import worker
from orangecontrib.imageanalytics.engine.pool import WorkerPool, close_at_exit
from orangecontrib.imageanalytics.engine.worker import Job, Postponed
from orangecontrib.imageanalytics.outcome import EmbeddingError, Reason, Skipped, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

log = logging.getLogger(__name__)

#: Seconds that one image may be worked on; those of a bundle have them together, and when they do
#: not suffice, each its own.
DEADLINE = 60.0
#: Seconds until a pool must have answered: a cold start takes 0.65, with a virus scanner 20.
STARTING = 120.0
#: How often a worker must die on an image that it was given alone, until the image is blamed:
#: a worker may also be ended by somebody else in these milliseconds.
DEATHS_PER_IMAGE = 3
#: How many pools in a row may die before they answer, until we give up.
DEATHS_AT_START = 10
#: Seconds without news after which the workers are looked at.
_LOOK = 1.0
#: Bundles in the pool per worker, at most: one at work, one waiting in the pipe, two on their way.
IN_POOL = 4
#: The pool is filled up when no more are left per worker: a hand-over wakes several threads, and
#: several bundles at once wake them once.
_REFILL = 2
#: Images in a bundle, at most; one by one, each costs 0.5 ms more.
_LARGEST_BUNDLE = 4
#: Seconds that a bundle should take, so that all workers end at about the same time.
_BUNDLE_TIME = 0.05
#: Seconds below which it does not matter how little an image takes.
_SHORTEST = 0.001


@dataclass(eq=False, slots=True)
class _Item:
    task: Task
    future: Future[Result] = field(default_factory=Future)
    cost: int | None = None  # bytes, once known to exceed the ordinary allowance
    deaths: int = 0
    is_single: bool = False  # to be handed over by itself, as a bundle with it took too long


@dataclass(eq=False, slots=True)
class _Bundle:
    """What is handed to the pool at once."""

    items: list[_Item]
    is_timed: bool  # whether its time is that of its images alone, not of a worker's start
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
        self._running: dict[Future[Any], _Bundle] = {}
        self._alone = False  # whether what is running is one suspect
        self._pace: float | None = None  # seconds that an image takes, once known
        self._pool: WorkerPool | None = None
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
        return (IN_POOL + 1) * self.workers * self._bundle_size()

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
            self._events.put(self._shut_down)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _post(self, event: Callable[[], object]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the engine is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)
                self._thread.start()
            self._events.put(event)  # with the lock, so that nothing comes after the shut-down

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
        if self._given is None and len(self._running) > _REFILL * self.workers:
            return
        while len(self._running) < IN_POOL * self.workers:
            items = self._next_items()
            if not items or not self._run(items):
                return

    def _next_items(self) -> list[_Item]:
        large = self._next_large()
        if large is not None:
            return [large]
        if self._must_drain() or not self._waiting:
            return []
        fair_share = math.ceil(len(self._waiting) / self.workers)
        items = [self._waiting.popleft()]
        while (
            len(items) < min(self._bundle_size(), fair_share)
            and not items[-1].is_single
            and not self._waiting[0].is_single
        ):
            items.append(self._waiting.popleft())
        return items

    def _bundle_size(self) -> int:
        if self._given is not None or self._pace is None:
            return 1
        return max(1, min(_LARGEST_BUNDLE, int(_BUNDLE_TIME / max(self._pace, _SHORTEST))))

    def _dispatch_suspect(self) -> None:
        """Run one suspect, alone, on a pool that is known to work."""
        if self._running:
            return
        self._open_pool()
        if self._starting is None:
            self._alone = True
            self._run([self._suspects.popleft()])

    def _next_large(self) -> _Item | None:
        if not self._large:
            return None
        cost = self._large[0].cost or 0
        reserved = sum(item.cost or 0 for item in self._running_items())
        if reserved + cost <= self._budget - self._allowance * self.workers or not self._running:
            return self._large.popleft()
        return None

    def _must_drain(self) -> bool:
        """Whether a large image waits for, or runs with, all of the budget."""
        alone = self._budget - self._allowance * self.workers
        return any(
            (item.cost or 0) > alone
            for item in itertools.chain(list(self._large)[:1], self._running_items())
        )

    def _running_items(self) -> Iterator[_Item]:
        return _items_of(self._running.values())

    def _run(self, items: list[_Item]) -> bool:
        """Hand tasks to the pool; False if the pool turned out to be broken."""
        items = [i for i in items if i.future.running() or i.future.set_running_or_notify_cancel()]
        if not items:
            return True
        try:
            pool = self._given if self._given is not None else self._open_pool()
        except BaseException:
            self._requeue(self._waiting, items)
            raise
        if pool is None:
            self._requeue(self._waiting, items)
            return False
        tasks = [item.task for item in items]
        if self._given is not None:
            portable = _portable(tasks[0])
            if isinstance(portable, Skipped):
                items[0].future.set_result(Result(portable))
                return True
            tasks = [portable]
        allowance = self._allowance if items[0].cost is None else self._budget
        try:
            running = pool.submit(worker.work_all, self._job, tasks, allowance, self._budget)
        except (BrokenExecutor, RuntimeError) as error:  # it broke since the last look
            self._requeue(self._suspects if self._alone else self._waiting, items)
            self._recover(error)
            self._events.put(lambda: None)  # to dispatch them, as nothing else may happen
            return False
        except BaseException:
            self._requeue(self._waiting, items)
            raise
        self._running[running] = _Bundle(items, is_timed=self._starting is None)
        self._mark_at_work()
        running.add_done_callback(lambda future: self._events.put(lambda: self._finish(future)))
        return True

    def _mark_at_work(self) -> None:
        now = time.monotonic()
        for bundle in itertools.islice(self._running.values(), self.workers):
            if bundle.since is None:
                bundle.since = now

    def _finish(self, future: Future[Any]) -> None:
        if future not in self._running:  # of a pool that was given up
            return
        error = CancelledError() if future.cancelled() else future.exception()
        if isinstance(error, BrokenExecutor):
            self._recover(error)
            return
        bundle = self._running.pop(future)
        self._alone = False
        self._mark_at_work()
        if error is None:
            results = future.result()
            self._note_pace(bundle, results)
            for item, result in zip(bundle.items, results, strict=True):
                if isinstance(result, Postponed):
                    item.cost = result.cost
                    self._large.append(item)
                else:
                    item.future.set_result(result)
        elif self._given is not None and not isinstance(error, (EmbeddingError, ImportError)):
            for item in bundle.items:
                item.future.set_result(Result(Skipped(Reason.CRASHED, _text(error))))
        else:
            for item in bundle.items:
                _fail(item, _as_embedding_error(error))
            self._stop(error)

    def _note_pace(self, bundle: _Bundle, results: list[Result | Postponed]) -> None:
        if bundle.since is None or not bundle.is_timed:
            return
        if any(isinstance(result, Postponed) for result in results):
            return
        taken = (time.monotonic() - bundle.since) / len(bundle.items)
        self._pace = taken if self._pace is None else (3 * self._pace + taken) / 4

    def _recover(self, error: BaseException) -> None:
        """Go on after a worker died, on a new pool."""
        if self._given is not None:
            self._stop(WorkerError(f"The executor that was given is broken: {_text(error)}"))
            return
        log.debug("a worker died: %s", error)
        bundles = list(self._running.values())
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
        elif self._alone and bundles:
            self._blame_for_death(bundles.pop().items[0])
        self._requeue(self._suspects, _items_of(bundles[: self.workers]))
        self._requeue(self._waiting, _items_of(bundles[self.workers :]))
        self._end_pool()

    def _blame_for_death(self, item: _Item) -> None:
        item.deaths += 1
        if item.deaths < DEATHS_PER_IMAGE:
            self._requeue(self._suspects, [item])
        else:
            item.future.set_result(
                Result(Skipped(Reason.CRASHED, "the process that decoded it died each time"))
            )

    def _requeue(self, queue: deque[_Item], items: Iterable[_Item]) -> None:
        for item in reversed(list(items)):
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
                (b.since for b in self._running.values() if b.since), default=time.monotonic()
            )
        else:
            return None
        return min(_LOOK, max(0.0, due - time.monotonic()))

    def _end_overdue(self) -> None:
        """Kill the workers when one is stuck; only the images on which it is stuck are blamed."""
        if self._pool is not None and self._pool.has_dead_worker():
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
        overdue: list[_Bundle] = []
        others: list[_Bundle] = []
        for bundle in self._running.values():
            is_overdue = bundle.since is not None and now - bundle.since >= self._deadline
            (overdue if is_overdue else others).append(bundle)
        if not overdue:
            return
        self._requeue(self._waiting, _items_of(others))
        for bundle in overdue:
            self._blame_for_hanging(bundle)
        self._end_pool()

    def _blame_for_hanging(self, bundle: _Bundle) -> None:
        """Skip the image that a worker is stuck on, once it is known which that is."""
        if len(bundle.items) > 1:
            for item in bundle.items:
                item.is_single = True
            self._requeue(self._waiting, bundle.items)
            return
        words = f"decoding it took longer than {self._deadline:g} s and was stopped"
        bundle.items[0].future.set_result(Result(Skipped(Reason.CRASHED, words)))

    # ---- the pool

    def _open_pool(self) -> WorkerPool | None:
        if self._closed or self._error is not None or self._given is not None:
            return None
        if self._pool is None:
            self._pool = WorkerPool(self.workers)
            self._started_at = time.monotonic()
            starting = self._starting = self._pool.submit(worker.prepare, self._job)
            starting.add_done_callback(
                lambda future: self._events.put(lambda: self._finish_start(future))
            )
            close_at_exit(self)
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
        for bundle in self._running.values():  # the start is not the image's time
            if bundle.since is not None:
                bundle.since = time.monotonic()

    def _end_pool(self) -> None:
        pool, self._pool = self._pool, None
        self._starting = None
        self._alone = False
        if self._given is not None:
            for future in self._running:
                future.cancel()
        self._running.clear()
        if pool is not None:
            pool.kill()

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
        items = [*self._running_items(), *self._waiting, *self._large, *self._suspects]
        self._waiting.clear()
        self._large.clear()
        self._suspects.clear()
        return items


def _items_of(bundles: Iterable[_Bundle]) -> Iterator[_Item]:
    return itertools.chain.from_iterable(bundle.items for bundle in bundles)


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
    if not isinstance(task, FileTask):
        return task
    read = sources.read_file(task.path)
    return read if isinstance(read, Skipped) else BytesTask(read[0])
