"""An executor that was given, such as a Dask cluster's: it isolates and restarts as it can.

Its workers need not see the files of this computer, so these are read here and sent: in threads of
their own, as a network drive that hangs must hold nothing else up. What we cannot do is to end one
of its workers. An image that takes too long is left behind by the worker itself (`work_in_time`).
"""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import replace
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask, Result, Task
from orangecontrib.imageanalytics.engine import worker
from orangecontrib.imageanalytics.engine.faults import told
from orangecontrib.imageanalytics.engine.workers import Handed, Mishap
from orangecontrib.imageanalytics.outcome import EmbeddingError, Skipped, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orangecontrib.imageanalytics.engine.worker import Job, Postponed

    #: What an executor is given: itself, why there is nothing to send, or bytes and their file.
    Portable = tuple[Task | Skipped, os.stat_result | None]


class _Sending(Future["list[Result | Postponed]"]):
    """What was handed over, in three steps: read here, worked on there, received."""

    working: Future[list[Result | Postponed]] | None = None  # once it has been read
    is_given_up = False


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
    """

    largest_bundle = 1

    def __init__(self, executor: Executor, count: int, deadline: float) -> None:
        self.count = count
        self._executor = executor
        self._deadline = deadline
        self._readers = DaemonThreads("image reader")
        self._under_way: set[_Sending] = set()

    def start(self, job: Job) -> Future[None]:
        """Give a future that is done: a worker gets ready with its first image."""
        ready: Future[None] = Future()
        ready.set_result(None)
        return ready

    def submit(self, job: Job, tasks: Sequence[Task], allowance: int, most: int) -> Handed:
        """Read what is in files, and hand all over to the executor."""
        sending = _Sending()
        self._under_way.add(sending)
        sending.add_done_callback(self._under_way.discard)

        def send() -> None:
            try:
                self._send(sending, list(map(_portable, tasks)), job, allowance, most)
            except BaseException as error:
                sending.set_exception(error)

        if any(isinstance(task, FileTask) for task in tasks):
            self._readers.submit(send)
        else:
            send()
        return sending

    def _send(
        self, sending: _Sending, read: list[Portable], job: Job, allowance: int, most: int
    ) -> None:
        tasks = [task for task, _ in read if not isinstance(task, Skipped)]
        if not tasks or sending.is_given_up:
            sending.set_result(_merged(read, []))
            return
        try:
            sending.working = self._executor.submit(
                worker.work_in_time, self._deadline, job, tasks, allowance, most
            )
        except Exception as error:
            raise _broken(error) from error

        def received(working: Future[list[Result | Postponed]]) -> None:
            try:
                sending.set_result(_merged(read, _results(working)))
            except BaseException as error:
                sending.set_exception(error)

        sending.working.add_done_callback(received)
        if sending.is_given_up:
            sending.working.cancel()

    def timed(self, handed: Iterable[Handed]) -> Iterable[Handed]:
        """Give those that are being read: a worker sees to its own time."""
        return [one for one in handed if isinstance(one, _Sending) and one.working is None]

    def has_died(self) -> bool:
        """Say no: an executor tells by its futures."""
        return False

    def give_up(self, overdue: Iterable[Handed]) -> bool:
        """Let go of what takes too long; all else goes on."""
        for one in overdue:
            if isinstance(one, _Sending):
                one.is_given_up = True
                if one.working is not None:
                    one.working.cancel()
        return False

    def end(self) -> None:
        """Let go of all that was handed over."""
        self.give_up(list(self._under_way))


def _portable(task: Task) -> Portable:
    """Make a task independent of this computer's files."""
    if not isinstance(task, FileTask):
        return task, None
    read = sources.read_file(task.path)
    return (read, None) if isinstance(read, Skipped) else (BytesTask(read[0], task.fit), read[1])


def _results(working: Future[list[Result | Postponed]]) -> list[Result | Postponed]:
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


def _merged(read: list[Portable], results: list[Result | Postponed]) -> list[Result | Postponed]:
    """Put each result in its place, with the state of the file that was read here."""
    remaining = iter(results)
    merged: list[Result | Postponed] = []
    for task, stat in read:
        if isinstance(task, Skipped):
            merged.append(Result(task))
            continue
        result = next(remaining)
        merged.append(replace(result, stat=stat) if isinstance(result, Result) else result)
    return merged
