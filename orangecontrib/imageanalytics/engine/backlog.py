"""What waits to be worked on, and what of it goes next: pure decisions."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from orangecontrib.imageanalytics.embedder import Result, Task
from orangecontrib.imageanalytics.engine.memory import Memory
from orangecontrib.imageanalytics.engine.workers import BundleSize

#: Seconds; a hand-over takes some 0.0005.
_SLOW = 0.2
#: Seconds below which it does not matter how little an image takes.
_SHORTEST = 0.001


@dataclass(eq=False, slots=True)
class Image:
    """An image that is not finished.

    Attributes
    ----------
    task : Task
        Where it is.
    future : Future of Result
        What is promised to whoever submitted it.
    cost : int, optional
        The bytes that decoding takes, once known to exceed a worker's allowance.
    deaths : int
        How often a worker has died on it, alone.
    is_single : bool
        Whether it is to be handed over by itself, since a bundle with it took too long or failed.
    """

    task: Task
    future: Future[Result] = field(default_factory=Future)
    cost: int | None = None
    deaths: int = 0
    is_single: bool = False


@dataclass(eq=False, slots=True)
class Bundle:
    """Images that are handed over at once.

    Attributes
    ----------
    images : list of Image
        One at least.
    is_timed : bool
        Whether its time is that of its images alone, not of a worker's start.
    since : float, optional
        When a worker took it up; seconds on a clock that only goes forward.
    """

    images: list[Image]
    is_timed: bool
    since: float | None = None


def images_of(bundles: Iterable[Bundle]) -> Iterator[Image]:
    """Give all images of some bundles."""
    return itertools.chain.from_iterable(bundle.images for bundle in bundles)


class Pace:
    """How long an image takes, and so how many are worth handing over at once.

    Parameters
    ----------
    size : BundleSize
        How long a bundle should take.
    """

    def __init__(self, size: BundleSize) -> None:
        self._size = size
        self._seconds: float | None = None  # that an image takes, once known

    def note(self, seconds: float) -> None:
        """Note how many seconds an image has taken."""
        known = self._seconds
        self._seconds = seconds if known is None else (3 * known + seconds) / 4

    @property
    def is_slow(self) -> bool:
        """Whether an image takes so long that handing it over takes next to no time."""
        return self._seconds is not None and self._seconds > _SLOW

    @property
    def bundle(self) -> int:
        """How many images a bundle should have."""
        size = self._size
        if self._seconds is None:
            return size.least
        return max(size.least, min(size.most, int(size.seconds / max(self._seconds, _SHORTEST))))


class Backlog:
    """The images that nobody works on yet.

    Parameters
    ----------
    memory : Memory
        What decoding may take.
    workers : int
        Between how many the images are divided.

    Attributes
    ----------
    workers : int
        As above; it may be changed.
    waiting : deque of Image
        Those that came, in their order.
    large : deque of Image
        Those that were postponed: decoding takes more than a worker's allowance.
    suspects : deque of Image
        Those on which a worker may have died: each is to be worked on alone.
    """

    def __init__(self, memory: Memory, workers: int) -> None:
        self._memory = memory
        self.workers = workers
        self.waiting: deque[Image] = deque()
        self.large: deque[Image] = deque()
        self.suspects: deque[Image] = deque()

    def put_back(self, images: Iterable[Image]) -> None:
        """Let images that were being worked on be the next ones."""
        for image in reversed(list(images)):
            (self.waiting if image.cost is None else self.large).appendleft(image)

    def suspect(self, images: Iterable[Image]) -> None:
        """Let images be worked on alone, before all others."""
        self.suspects.extendleft(reversed(list(images)))

    def postpone(self, image: Image, cost: int) -> None:
        """Let an image wait for the memory that it needs."""
        image.cost = cost
        self.large.append(image)

    def take_all(self) -> list[Image]:
        """Empty it."""
        images = [*self.waiting, *self.large, *self.suspects]
        self.waiting.clear()
        self.large.clear()
        self.suspects.clear()
        return images

    def next_bundle(self, at_hand: Collection[Image], most: int) -> list[Image]:
        """Take the images that may be handed over next; none if they have to wait.

        Parameters
        ----------
        at_hand : collection of Image
            The first of each bundle that has been handed over; large images are always single.
        most : int
            How many images are worth handing over at once.
        """
        memory = self._memory
        costs = [image.cost for image in at_hand if image.cost is not None]
        if self.large:
            cost = self.large[0].cost or 0
            if memory.is_free(cost, sum(map(memory.extra, costs))):
                return [self.large.popleft()]
            if memory.is_all(cost):
                return [] if at_hand else [self.large.popleft()]
        if any(map(memory.is_all, costs)):
            return []
        return self._ordinary(most)

    def _ordinary(self, most: int) -> list[Image]:
        waiting = self.waiting
        if not waiting:
            return []
        fair_share = math.ceil(len(waiting) / self.workers)
        images = [waiting.popleft()]
        while (
            len(images) < min(most, fair_share)
            and not images[-1].is_single
            and not waiting[0].is_single
        ):
            images.append(waiting.popleft())
        return images
