"""What an embedder is: an image goes in as a `Task`, and comes out as a `Result`.

`LocalEmbedder` computes here or on a cluster, `ServerEmbedder` lets a server compute. The pipeline,
the facade and the self-hosted server know nothing of either but what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import os
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.decoding.fit import Fit

__all__ = [
    "BytesTask",
    "ContentJob",
    "Embedder",
    "FileTask",
    "Job",
    "Lost",
    "LostBecause",
    "PixelsTask",
    "Preparation",
    "Result",
    "Task",
]


class Preparation(Protocol):
    """What a process has to be made ready for: a small, picklable, hashable object."""

    def __hash__(self) -> int:
        """Those that do the same are equal: a process is prepared once for them."""

    def prepare(self) -> None:
        """Do what is done once per process; an EmbeddingError here stops the run."""


class Job(Preparation, Protocol):
    """What is to be done with each image, by an engine that works for more than embedding."""

    @property
    def fit(self) -> Fit:
        """How images are fitted before they are given to the job."""

    def __call__(self, pixels: NDArray[np.uint8], /) -> Any:
        """Turn pixels, uint8 [H, W, 3] RGB (or as the fit says), into the payload."""


@runtime_checkable
class ContentJob(Job, Protocol):
    """A job that pixels alone are not enough for, where there is the content of a file."""

    def of_content(self, pixels: NDArray[np.uint8], data: bytes) -> Any:
        """Turn pixels, and the bytes that they were decoded from, into the payload."""


@dataclass(frozen=True, slots=True)
class FileTask:
    """An image in a file.

    Attributes
    ----------
    path : str
        Of a local file, which whoever computes reads.
    job : Job, optional
        What is to be done with it, if not what is done with all.
    """

    path: str
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class BytesTask:
    """An image in memory, as it was encoded.

    Attributes
    ----------
    data : bytes
        The content of an image file.
    job : Job, optional
        What is to be done with it, if not what is done with all.
    """

    data: bytes
    job: Job | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PixelsTask:
    """An image that is decoded and fitted already.

    Attributes
    ----------
    pixels : ndarray of shape (H, W, 3), uint8
        RGB, of the size that the model takes.
    job : Job, optional
        What is to be done with it, if not what is done with all.
    """

    pixels: NDArray[np.uint8]
    job: Job | None = None


Task = FileTask | BytesTask | PixelsTask


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a task.

    Attributes
    ----------
    payload : object or Skipped
        What was made of the image, or why nothing was.
    content : bytes, optional
        The hash of the very bytes that were decoded.
    size : int
        The number of these bytes.
    stat : os.stat_result, optional
        Of the file that was read, at the time of reading.
    shape : tuple of int, optional
        The picture's own height and width, upright, if it was decoded.
    """

    payload: Any
    content: bytes | None = None
    size: int = 0
    stat: os.stat_result | None = None
    shape: tuple[int, int] | None = None


class LostBecause(Enum):
    """Why whoever computes was given up in mid-run."""

    SILENT = auto()  # nothing has come through for too long
    FAILING = auto()  # too many requests have failed


@dataclass(frozen=True, slots=True)
class Lost:
    """How whoever computes was lost in mid-run; what came through is kept.

    Attributes
    ----------
    server : str
        The server's name for people.
    embedded : int
        How many images it had embedded in this run.
    because : LostBecause
        Why it was given up.
    silence : float
        For how many seconds nothing may come through.
    last_failure : str
        What it did the last time: a sentence without its subject.
    """

    server: str
    embedded: int
    because: LostBecause
    silence: float
    last_failure: str

    def __str__(self) -> str:
        """Say it to people, and what to do."""
        images = "1 image" if self.embedded == 1 else f"{self.embedded} images"
        if self.because is LostBecause.SILENT:
            why = f"no image has come through for {self.silence:.0f} s"
        else:
            why = "too many requests have failed"
        return (
            f"The embedding server {self.server} was lost after {images}: {why}; the last time, "
            f"it {self.last_failure}. What came through is kept: run again to go on with the rest."
        )


class Embedder(Protocol):
    """What embeds images with one model, for one run after another, until it is closed.

    All methods may be called from any thread.
    """

    @property
    def fingerprint(self) -> str:
        """What the vectors depend on besides the image: part of the cache's key."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""

    @property
    def capacity(self) -> int:
        """How many unfinished images keep it busy; it may change from image to image."""

    @property
    def lost(self) -> Lost | None:
        """How whoever computes was lost in this run; then all that is left is skipped."""

    def start(self) -> None:
        """Start what takes time to start now, while something else is being prepared."""

    def begin(self) -> None:
        """Begin a run: what was lost or given up in the last one may be there again."""

    def submit(self, task: Task) -> Future[Result]:
        """Embed an image.

        Returns
        -------
        Future of Result
            Its payload is the embedding, float32 of shape (D,), or why the image was skipped. It
            fails only with what stops the whole run, an EmbeddingError, and is cancelled by
            `close`.
        """

    def close(self) -> None:
        """End all at once, whatever is under way; may be called twice."""
