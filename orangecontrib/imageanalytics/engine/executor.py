"""An executor that was given, such as a cluster's: it isolates and restarts as it can.

Where its workers see the files of this computer, paths are sent; it is tried with the first file.
What a worker sees otherwise than we do (not at all, or in another state) is read here and sent: in
threads of their own, as a network drive that hangs must hold nothing else up. What we cannot do is
to end a worker. An image that takes too long is left behind by the worker itself (`work_in_time`).
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask, Result, Task
from orangecontrib.imageanalytics.engine import worker
from orangecontrib.imageanalytics.engine.faults import told
from orangecontrib.imageanalytics.engine.workers import BundleSize, Handed, Mishap
from orangecontrib.imageanalytics.outcome import EmbeddingError, Reason, Skipped, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from orangecontrib.imageanalytics.embedder import Job
    from orangecontrib.imageanalytics.engine.worker import Postponed

    #: What an executor is given: itself, why there is nothing to send, or how its file is here.
    Portable: TypeAlias = tuple[Task | Skipped, os.stat_result | None]
    Answer: TypeAlias = tuple[list[Result | Postponed], float]

#: Seconds between two times of change that are one: FAT keeps even seconds only.
_SAME_TIME = 2.0
#: Seconds that others wait to hear whether workers see our files, until they are sent whole.
_PATIENCE = 5.0


class Sending(Future["list[Result | Postponed]"]):
    """What was handed over, in three steps: made ready here, worked on there, received."""

    def __init__(self, job: Job, tasks: Sequence[Task], allowance: int, most: int) -> None:
        super().__init__()
        self.job = job
        self.tasks = tasks
        self.memory = (allowance, most)
        self.results: dict[int, Result | Postponed] = {}  # by the place of their task
        self.is_being_read = True
        self.working: Future[Answer] | None = None
        self.seconds: float | None = None
        self.is_given_up = False


class GivenExecutor:
    """An executor that was given, as `Workers`.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        It is left open.
    count : int
        How many workers it has.
    deadline : float
        Seconds that an image may be worked on.
    shared_files : bool, optional
        Whether its workers see the files of this computer by their paths; tried by default.
    """

    #: A task of a cluster costs 1 to 4 ms, of the scheduler and of whoever waits for it.
    bundle_size = BundleSize(4, 16, 0.2)

    def __init__(
        self,
        executor: Executor,
        count: int,
        deadline: float,
        shared_files: bool | None = None,
    ) -> None:
        self._executor = executor
        self._count = count
        self._deadline = deadline
        self._trusts_paths = shared_files is True
        self._shared = shared_files  # None until it has been tried
        self._trying = threading.Lock()  # held by the one that has been chosen for it
        self._tried = threading.Event()
        self._readers = DaemonThreads("image reader")
        self._under_way: set[Sending] = set()

    @property
    def count(self) -> int:
        """How many workers it has."""
        return self._count

    def start(self, job: Job) -> Future[None]:
        """Give a future that is done: a worker gets ready with its first image."""
        ready: Future[None] = Future()
        ready.set_result(None)
        return ready

    def submit(self, job: Job, tasks: Sequence[Task], allowance: int, most: int) -> Handed:
        """Make what is in files ready to be sent, and hand all over to the executor."""
        sending = Sending(job, tasks, allowance, most)
        self._under_way.add(sending)
        sending.add_done_callback(self._under_way.discard)
        places = range(len(tasks))
        if any(isinstance(task, FileTask) for task in tasks):
            self._readers.submit(self._send, sending, places, self._portable)
        else:
            self._send(sending, places, self._portable)
        return sending

    def _run(self, sending: Sending, tasks: list[Task]) -> Future[Answer]:
        """Have tasks worked on by the executor."""
        return self._executor.submit(
            worker.work_in_time, self._deadline, sending.job, tasks, *sending.memory
        )

    def _send(
        self, sending: Sending, places: Iterable[int], portable: Callable[[Task], Portable]
    ) -> None:
        """Send the tasks at some places; what goes wrong is the future's."""
        try:
            sent: dict[int, Portable] = {}
            for place in places:
                task, stat = portable(sending.tasks[place])
                if isinstance(task, Skipped):
                    sending.results[place] = Result(task)
                else:
                    sent[place] = task, stat
            if not sent or sending.is_given_up:
                _conclude(sending)
                return
            try:
                working = self._run(sending, [task for task, _ in sent.values()])  # type: ignore[misc]
            except Exception as error:
                raise _broken(error) from error
            sending.working = working
            sending.is_being_read = False
            working.add_done_callback(lambda done: self._receive(sending, sent, done))
            if sending.is_given_up:
                working.cancel()
        except BaseException as error:
            sending.set_exception(error)

    def _receive(
        self, sending: Sending, sent: dict[int, Portable], working: Future[Answer]
    ) -> None:
        """Put each result in its place; what the worker saw otherwise is sent from here."""
        try:
            results, seconds = _answer(working)
            sending.seconds = seconds + (sending.seconds or 0)
            again = []
            for (place, (task, stat)), result in zip(sent.items(), results, strict=True):
                if isinstance(result, Result):
                    if isinstance(task, FileTask) and not self._is_of(stat, result):
                        again.append(place)
                        continue
                    result = replace(result, stat=stat)
                sending.results[place] = result
            if again:
                self._readers.submit(self._send, sending, again, self._read_in_time)
            else:
                _conclude(sending)
        except BaseException as error:
            sending.set_exception(error)

    # ---- whether workers see our files

    def _portable(self, task: Task) -> Portable:
        """Make a task one that a worker can do."""
        if not isinstance(task, FileTask) or not self._is_shared(task.path):
            return _read(task)
        try:
            return task, os.stat(task.path)  # noqa: PTH116 (a str, for each image)
        except (OSError, ValueError):
            return _read(task)  # which says what is wrong with it

    def _is_shared(self, path: str) -> bool:
        if self._shared is None:
            if self._trying.acquire(blocking=False):
                self._try(path)
            self._tried.wait(min(_PATIENCE, self._deadline / 2))
        return self._shared is True

    def _try(self, path: str) -> None:
        """Let a worker read a file that is here; what is on its way meanwhile is sent whole."""
        ours = worker.hash_file(path)
        if isinstance(ours.payload, Skipped):  # it is not the one to try it with
            self._trying.release()
            return

        def conclude(trial: Future[Result]) -> None:
            failed = trial.cancelled() or trial.exception() is not None
            self._shared = not failed and trial.result().content == ours.content
            self._tried.set()

        try:
            trial = self._executor.submit(worker.hash_file, path)
        except Exception as error:
            raise _broken(error) from error
        trial.add_done_callback(conclude)

    def _read_in_time(self, task: Task) -> Portable:
        reading = self._readers.submit(_read, task)
        if wait([reading], timeout=self._deadline).done:
            return reading.result()
        return worker.skipped_after(self._deadline), None

    def _is_of(self, ours: os.stat_result | None, result: Result) -> bool:
        """Whether a worker has read the file that is here: with these words, or in this state."""
        theirs = result.stat
        if self._trusts_paths or ours is None:
            return True
        if theirs is None:
            return isinstance(result.payload, Skipped) and result.payload.reason is Reason.CRASHED
        return ours.st_size == theirs.st_size and abs(ours.st_mtime - theirs.st_mtime) <= _SAME_TIME

    # ---- what takes too long

    def timed(self, handed: Iterable[Handed]) -> Iterable[Handed]:
        """Give those that are being read: a worker sees to its own time."""
        return [one for one in handed if isinstance(one, Sending) and one.is_being_read]

    def seconds(self, handed: Handed) -> float | None:
        """Tell how long a worker was at it."""
        return handed.seconds if isinstance(handed, Sending) else None

    def has_died(self) -> bool:
        """Say no: an executor tells by its futures."""
        return False

    def give_up(self, overdue: Iterable[Handed]) -> bool:
        """Let go of what takes too long; all else goes on."""
        for one in overdue:
            if isinstance(one, Sending):
                one.is_given_up = True
                if one.working is not None:
                    one.working.cancel()
        return False

    def end(self) -> None:
        """Let go of all that was handed over."""
        self.give_up(list(self._under_way))


def _read(task: Task) -> Portable:
    """Make a task independent of this computer's files."""
    if not isinstance(task, FileTask):
        return task, None
    read = sources.read_file(task.path)
    return (read, None) if isinstance(read, Skipped) else (BytesTask(read[0], task.job), read[1])


def _conclude(sending: Sending) -> None:
    """Give the results in the order of their tasks; none if it was given up before."""
    sending.set_result([sending.results[place] for place in sorted(sending.results)])


def _answer(working: Future[Answer]) -> Answer:
    """Give what the executor has returned, or raise what `Workers.submit` says."""
    if working.cancelled():
        raise Mishap("the executor has cancelled it")
    error = working.exception()
    if error is None:
        return working.result()
    if isinstance(error, BrokenExecutor):
        raise _broken(error) from error
    if isinstance(error, (EmbeddingError, ImportError)):
        raise error
    raise Mishap(told(error)) from error


def _broken(error: BaseException) -> WorkerError:
    return WorkerError(f"The executor that was given is broken: {told(error)}")
