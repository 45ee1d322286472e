"""What becomes of each image and of the workers, as events tell of them: a machine of states.

Of each image it is known that it waits (`Backlog.waiting`), that it waits for
memory (`Backlog.large`), that a worker may have died on it (`Backlog.suspects`), or that it has
been handed over. When all workers are gone, the images that were being worked on are suspects:
they are tried again one by one, and the one on which a worker dies again is the culprit.

Images that take but a few milliseconds are handed over in bundles: each hand-over costs as much as
a tenth of such an image.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import BrokenExecutor, CancelledError, Future
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.embedder import Job, Result
from orangecontrib.imageanalytics.engine import faults
from orangecontrib.imageanalytics.engine.backlog import Backlog, Bundle, Image, Pace, images_of
from orangecontrib.imageanalytics.engine.memory import Memory
from orangecontrib.imageanalytics.engine.worker import Postponed, skipped_after
from orangecontrib.imageanalytics.engine.workers import Handed, Mishap, Workers
from orangecontrib.imageanalytics.outcome import Reason, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    Event = Callable[[], object]

log = logging.getLogger(__name__)

#: Seconds until workers must have answered: a cold start takes 0.65, with a virus scanner 20.
STARTING = 120.0
#: How often a worker must die on an image that it was given alone, until the image is blamed:
#: a worker may also be ended by somebody else in these milliseconds.
DEATHS_PER_IMAGE = 3
#: How often in a row the workers may die before they answer, until we give up.
DEATHS_AT_START = 10
#: Seconds without news after which the workers are looked at.
_LOOK = 1.0
#: Bundles handed over per worker, at most: one at work, one waiting in the pipe, two on their way.
AT_HAND = 4
#: The same of images that take long: one at work, one waiting. What is handed over comes before
#: whatever a server's other clients, or another part of a view, want meanwhile.
AT_HAND_SLOW = 2
#: More is handed over when no more are left per worker: a hand-over wakes several threads, and
#: several bundles at once wake them once.
_REFILL = 2


class State(Enum):
    """How the workers of an engine are."""

    DOWN = auto()  # there are none, and the next image starts them
    STARTING = auto()  # they have not answered yet
    READY = auto()
    ALONE = auto()  # one of them works on a suspect, and nothing else may be handed over
    STOPPED = auto()  # for good, by an error with which all that comes fails, too
    CLOSED = auto()


class Supervisor:
    """Says what is done next; all methods are for one thread.

    Parameters
    ----------
    job : Job
        What to do with each image.
    workers : Workers
        Who does it.
    memory : Memory
        What decoding may take.
    deadline : float
        Seconds that one image may be worked on; those of a bundle have them together, and when
        they do not suffice, each its own.
    post : callable
        Has an event called soon, in the same thread.

    Attributes
    ----------
    is_closing : bool
        Set, by any thread, when nothing is to be begun any more.
    """

    def __init__(
        self,
        job: Job,
        workers: Workers,
        memory: Memory,
        deadline: float,
        post: Callable[[Event], object],
    ) -> None:
        self.is_closing = False
        self._job = job
        self._workers = workers
        self._memory = memory
        self._deadline = deadline
        self._post = post

        self._state = State.DOWN
        self._error: BaseException | None = None  # what stopped it
        self._starting: Future[Any] | None = None
        self._started_at = 0.0
        self._deaths_at_start = 0

        self._backlog = Backlog(memory, workers.count)
        self._handed: dict[Handed, Bundle] = {}  # oldest first
        self._pace = Pace(workers.bundle_size)

    @property
    def capacity(self) -> int:
        """How many unfinished images keep all workers busy; may be asked by any thread."""
        bundles = AT_HAND_SLOW if self._pace.is_slow else AT_HAND + 1
        return bundles * self._workers.count * self._pace.bundle

    @property
    def is_closed(self) -> bool:
        """Whether all has ended."""
        return self._state is State.CLOSED

    def accept(self, image: Image) -> None:
        """Take an image in."""
        if self._error is not None:
            _fail(image, self._error)
        elif self.is_closing:
            image.future.cancel()
        else:
            self._backlog.waiting.append(image)

    # ---- handing over

    def dispatch(self) -> None:
        """Hand over as much as the workers should have."""
        if self.is_closing or self._state in (State.STOPPED, State.ALONE):
            return
        if self._backlog.suspects:
            self._dispatch_suspect()
            return
        if len(self._handed) > _REFILL * self._workers.count:
            return
        self._backlog.workers = self._workers.count
        at_hand = AT_HAND_SLOW if self._pace.is_slow else AT_HAND
        while len(self._handed) < at_hand * self._workers.count:
            first_ones = [bundle.images[0] for bundle in self._handed.values()]
            images = self._backlog.next_bundle(first_ones, self._pace.bundle)
            if not images or not self._hand_over(images):
                return

    def _dispatch_suspect(self) -> None:
        """Let one suspect be worked on, alone, by workers that are known to work."""
        if self._handed:
            return
        self.open()
        if self._state is State.READY:
            self._state = State.ALONE
            self._hand_over([self._backlog.suspects.popleft()])

    def _hand_over(self, images: list[Image]) -> bool:
        """Hand images over; False if the workers turn out to be gone."""
        images = list(filter(_is_wanted, images))
        if not images:
            return True
        try:
            self.open()
            handed = self._submit(images)
        except BaseException as error:
            (self._backlog.suspect if self._state is State.ALONE else self._backlog.put_back)(
                images
            )
            if self._state is State.DOWN or not isinstance(error, (BrokenExecutor, RuntimeError)):
                raise
            self._recover(error)
            self._post(lambda: None)  # to dispatch them, as nothing else may happen
            return False
        self._handed[handed] = Bundle(images, is_timed=self._state is not State.STARTING)
        self._mark_at_work()
        handed.add_done_callback(lambda done: self._post(lambda: self._finish(done)))
        return True

    def _submit(self, images: list[Image]) -> Handed:
        memory = self._memory
        allowance = memory.allowance if images[0].cost is None else memory.most
        tasks = [image.task for image in images]
        return self._workers.submit(self._job, tasks, allowance, memory.most)

    def _mark_at_work(self) -> None:
        now = time.monotonic()
        for handed in self._workers.timed(self._handed):
            bundle = self._handed[handed]
            if bundle.since is None:
                bundle.since = now

    # ---- what comes back

    def _finish(self, handed: Handed) -> None:
        if handed not in self._handed:  # of workers that were given up
            return
        error = CancelledError() if handed.cancelled() else handed.exception()
        if isinstance(error, BrokenExecutor):
            self._recover(error)
            return
        bundle = self._handed.pop(handed)
        if self._state is State.ALONE:
            self._state = State.READY
        self._mark_at_work()
        if error is None:
            self._settle(bundle, handed.result(), self._workers.seconds(handed))
        elif isinstance(error, Mishap):
            if self._is_of_one(bundle):
                self._blame(bundle.images[0], str(error), self._backlog.put_back)
        else:
            for image in bundle.images:
                _fail(image, faults.as_embedding_error(error))
            self.stop(error)

    def _settle(
        self, bundle: Bundle, results: list[Result | Postponed], taken: float | None
    ) -> None:
        postponed = 0
        for image, result in zip(bundle.images, results, strict=True):
            if isinstance(result, Postponed):
                postponed += 1
                self._backlog.postpone(image, result.cost)
            else:
                image.future.set_result(result)
        if taken is None and bundle.since is not None and bundle.is_timed:
            taken = time.monotonic() - bundle.since
        if taken is not None and not postponed:
            self._pace.note(taken / len(bundle.images))

    def _is_of_one(self, bundle: Bundle) -> bool:
        """Whether a bundle's trouble is one image's; else each of them is tried by itself."""
        if len(bundle.images) == 1:
            return True
        for image in bundle.images:
            image.is_single = True
        self._backlog.put_back(bundle.images)
        return False

    def _blame(self, image: Image, words: str, try_again: Callable[[list[Image]], None]) -> None:
        """Skip an image that does not go well, once it has been given enough chances."""
        image.deaths += 1
        if image.deaths < DEATHS_PER_IMAGE:
            try_again([image])
        else:
            image.future.set_result(Result(Skipped(Reason.CRASHED, words)))

    def _recover(self, error: BaseException) -> None:
        """Go on after the workers are gone, with new ones."""
        log.debug("a worker died: %s", error)
        bundles = list(self._handed.values())
        at_work = sum(1 for _ in self._workers.timed(self._handed))
        if self._state is State.STARTING:
            self._deaths_at_start += 1
            if self._deaths_at_start >= DEATHS_AT_START:
                self.stop(faults.dies_at_start(error))
                return
        elif self._state is State.ALONE and bundles:
            words = "the process that decoded it died each time"
            self._blame(bundles.pop().images[0], words, self._backlog.suspect)
        self._backlog.suspect(images_of(bundles[:at_work]))
        self._backlog.put_back(images_of(bundles[at_work:]))
        self._end_workers()

    # ---- what takes too long

    def until_next_look(self) -> float | None:
        """Seconds until something may be overdue, or a worker has died unnoticed."""
        if self._state is State.STARTING:
            due = self._started_at + STARTING
        elif self._handed:
            timed = (self._handed[handed] for handed in self._workers.timed(self._handed))
            began = (bundle.since for bundle in timed if bundle.since is not None)
            due = self._deadline + min(began, default=time.monotonic())
        else:
            return None
        return min(_LOOK, max(0.0, due - time.monotonic()))

    def look(self) -> None:
        """Look whether a worker has died or is stuck."""
        if self._workers.has_died():
            self._recover(BrokenExecutor("a worker died while it sent its result"))
        elif self._state is not State.STARTING:
            self._end_overdue()
        elif time.monotonic() - self._started_at >= STARTING:
            self.stop(faults.starts_too_slowly(STARTING))

    def _end_overdue(self) -> None:
        """Give up what takes too long; only the images on which a worker is stuck are blamed."""
        latest = time.monotonic() - self._deadline
        overdue = {
            handed: self._handed[handed]
            for handed in self._workers.timed(self._handed)
            if (since := self._handed[handed].since) is not None and since <= latest
        }
        if not overdue:
            return
        for handed in overdue:
            del self._handed[handed]
        if self._workers.give_up(overdue):
            self._backlog.put_back(images_of(self._handed.values()))
            self._end_workers()
        for bundle in overdue.values():
            if self._is_of_one(bundle):
                bundle.images[0].future.set_result(Result(skipped_after(self._deadline)))

    # ---- the workers

    def open(self) -> None:
        """Start the workers, unless they have been."""
        if self.is_closing or self._state is not State.DOWN:
            return
        starting = self._starting = self._workers.start(self._job)
        self._started_at = time.monotonic()
        self._state = State.STARTING
        starting.add_done_callback(lambda done: self._post(lambda: self._finish_start(done)))

    def _finish_start(self, starting: Future[Any]) -> None:
        if starting is not self._starting:  # of workers that were given up
            return
        error = CancelledError() if starting.cancelled() else starting.exception()
        if isinstance(error, BrokenExecutor):
            self._recover(error)
            return
        if error is not None:
            self.stop(error)
            return
        self._starting = None
        self._state = State.READY
        self._deaths_at_start = 0
        for bundle in self._handed.values():  # the start is not the image's time
            if bundle.since is not None:
                bundle.since = time.monotonic()

    def _end_workers(self) -> None:
        self._handed.clear()
        self._starting = None
        self._state = State.DOWN
        self._workers.end()

    def stop(self, error: BaseException) -> None:
        """Stop for good: whatever was or will be submitted fails with this error."""
        self._error = faults.as_embedding_error(error)
        for image in self._take_all():
            _fail(image, self._error)
        self._end_workers()
        self._state = State.STOPPED

    def shut_down(self) -> None:
        """End the workers and cancel what is unfinished."""
        for image in self._take_all():
            if not image.future.cancel() and not image.future.done():
                image.future.set_exception(CancelledError())
        try:
            self._end_workers()
        finally:
            self._state = State.CLOSED

    def _take_all(self) -> list[Image]:
        return [*images_of(self._handed.values()), *self._backlog.take_all()]


def _is_wanted(image: Image) -> bool:
    """Whether nobody has cancelled it; from now on nobody can."""
    return image.future.running() or image.future.set_running_or_notify_cancel()


def _fail(image: Image, error: BaseException) -> None:
    if not image.future.done():
        image.future.set_exception(error)
