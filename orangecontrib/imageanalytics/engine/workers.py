"""Who does the work: the one face of our own processes and of an executor that was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from orangecontrib.imageanalytics.embedder import Job, Result, Task
from orangecontrib.imageanalytics.engine.worker import Postponed

#: What was handed over at once, until there is a result for each of its tasks.
Handed: TypeAlias = "Future[list[Result | Postponed]]"


class Mishap(Exception):
    """What was handed over at once has failed, and nothing beside it; trying again may help."""


@dataclass(frozen=True, slots=True)
class BundleSize:
    """How many images are worth handing over at once.

    Attributes
    ----------
    least, most : int
        Never fewer or more, while there are enough.
    seconds : float
        How long they should take: short, so that all workers end at about the same time; long
        enough, for each hand-over costs something.
    """

    least: int
    most: int
    seconds: float


class Workers(Protocol):
    """Some workers, started and ended together; all methods are for the supervising thread.

    Attributes
    ----------
    bundle_size : BundleSize
        How many tasks are worth handing over at once.
    """

    bundle_size: BundleSize

    @property
    def count(self) -> int:
        """How many they are; those of a cluster come and go."""

    def start(self, job: Job) -> Future[Any]:
        """Start them; the future is done when one of them is ready for the job."""

    def submit(self, job: Job, tasks: Sequence[Task], allowance: int, most: int) -> Handed:
        """Hand tasks over, to be worked on one after the other.

        Parameters
        ----------
        job : Job
            What to do with each.
        tasks : sequence of Task
            Not more than `bundle_size.most`.
        allowance : int
            Bytes that decoding each may take; what takes more is `Postponed`.
        most : int
            Bytes that it might be given later; what takes more is skipped.

        Returns
        -------
        Future of list of (Result or Postponed)
            One for each task. It fails with a BrokenExecutor if the workers are gone, and all
            that was handed over with them; with a `Mishap` if only these tasks have failed;
            with anything else if nothing can succeed.

        Raises
        ------
        BrokenExecutor, RuntimeError
            If the workers are gone.
        """

    def timed(self, handed: Iterable[Handed]) -> Iterable[Handed]:
        """Choose, from what was handed over (oldest first), that of which the time is running."""

    def seconds(self, handed: Handed) -> float | None:
        """Tell how long a worker was at it, if it has told; else our own clock must do."""

    def has_died(self) -> bool:
        """Whether one of them has died, and nothing has told so."""

    def give_up(self, overdue: Iterable[Handed]) -> bool:
        """Stop working on what takes too long; True if all else is stopped by that, too."""

    def end(self) -> None:
        """End them at once, whatever they are at; they may be started again."""
