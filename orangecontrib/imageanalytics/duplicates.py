"""Images -> which of them are the same picture, without an embedding.

Each image is decoded in the engine's workers, and what is made of it (a fingerprint, by which near
copies are found, and of those the identity of their pixels) is kept in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.cache import Cache
from orangecontrib.imageanalytics.local_embedder import JobEmbedder
from orangecontrib.imageanalytics.outcome import Embedded, Outcome, Skipped
from orangecontrib.imageanalytics.pipeline import Pipeline
from orangecontrib.imageanalytics.similarity import fingerprint as fingerprints
from orangecontrib.imageanalytics.similarity.fingerprint import (
    NEAR_COPY,
    REACH,
    FingerprintJob,
    IdentityJob,
)
from orangecontrib.imageanalytics.similarity.grouping import MergeTree, tree_of
from orangecontrib.imageanalytics.similarity.pairs import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.decoding.fit import Fit
    from orangecontrib.imageanalytics.embedder import Job
    from orangecontrib.imageanalytics.web.downloads import Downloads
    from orangecontrib.imageanalytics.web.reach import Reach

    Tell = Callable[[str, float], object]

__all__ = ["NEAR_COPY", "REACH", "Duplicates", "Identity", "find"]

#: Distance of pictures whose fingerprints are equal and whose pixels are not.
_JUST_NOT_EQUAL = 1e-6
#: Shares of the work, roughly, at whose ends the three steps are done.
_FINGERPRINTED, _COMPARED = 0.6, 0.7


@dataclass(frozen=True, slots=True)
class Identity:
    """By what pixels are known.

    Attributes
    ----------
    pixels : bytes
        A hash of the upright picture's pixels; equal for equal ones, whatever the file's format.
    height, width : int
        The picture's size in pixels.
    """

    pixels: bytes
    height: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """Which of N images are the same picture.

    Attributes
    ----------
    tree : MergeTree
        `tree.labels(0)` numbers the groups of exact copies (equal pixels, whatever the format),
        `tree.labels(NEAR_COPY)` those of near copies: scaled, recompressed, slightly cropped, made
        grey. The distance is the share of a picture that the other one does not explain.
    identities : dict of int to Identity
        Of the images that may have an exact copy, by their index.
    skipped : dict of int to Skipped
        The images that could not be read, which are in no group, and why.
    """

    tree: MergeTree
    identities: dict[int, Identity]
    skipped: dict[int, Skipped]
    _fingerprints: NDArray[np.float32]

    def distances(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float32]:
        """Compute the distances of pairs of images.

        Parameters
        ----------
        first, second : ndarray of shape (n,), intp
            Indices of images that could be read.

        Returns
        -------
        ndarray of shape (n,), float32
            0 only for equal pixels.
        """
        known = self.identities
        equal = [
            one in known and other in known and known[one].pixels == known[other].pixels
            for one, other in zip(first.tolist(), second.tolist(), strict=True)
        ]
        found = fingerprints.distances(self._fingerprints, first, second)
        return np.where(equal, 0, np.maximum(found, _JUST_NOT_EQUAL)).astype(np.float32)


def find(
    images: Sequence[Any],
    reach: float = REACH,
    *,
    cache: Cache | None = None,
    workers: int | None = None,
    web: Reach | None = None,
    tell: Tell = lambda words, share: None,
) -> Duplicates:
    """Find exact and near copies among images.

    Parameters
    ----------
    images : sequence of N images
        As for `ImageEmbedder`: paths, addresses, bytes, PIL images or arrays.
    reach : float
        The largest distance that will be asked about, at most `REACH`.
    cache : Cache, optional
        Where what is made of images is kept; the user's own by default.
    workers : int, optional
        Number of worker processes; all cores that this process may use by default.
    web : Reach, optional
        Which web addresses are fetched; see `ImageEmbedder`.
    tell : callable, optional
        Called with words and the share that is done, ten times a second; what it raises comes out.

    Returns
    -------
    Duplicates

    Raises
    ------
    EmbeddingError
        If the workers cannot be started.

    Examples
    --------
    >>> from orangecontrib.imageanalytics import duplicates
    >>> lemon, cow = "examples/photos/fruit/lemon.png", "examples/photos/animal/cow.png"
    >>> duplicates.find([lemon, cow, lemon]).tree.labels(0).tolist()
    [0, -1, 0]
    """
    cache = Cache() if cache is None else cache
    outcomes = list(
        _vectors(
            images, _FINGERPRINT, cache, workers, web, _part(tell, "Looking at", 0, _FINGERPRINTED)
        )
    )
    seen = np.array([i for i, o in enumerate(outcomes) if isinstance(o, Embedded)], np.intp)
    skipped = {i: o for i, o in enumerate(outcomes) if isinstance(o, Skipped)}
    known = np.empty((len(seen), fingerprints.DIMENSION), np.float32)
    for row, index in enumerate(seen):
        known[row] = outcomes[index].vector
    of_all = np.full((len(images), fingerprints.DIMENSION), np.nan, np.float32)
    of_all[seen] = known

    def compared(share: float) -> None:
        tell("Comparing", _FINGERPRINTED + (_COMPARED - _FINGERPRINTED) * share)

    classes = _Classes([row.tobytes() for row in known])
    pairs = _pairs(known, classes, reach, compared)
    suspects = seen[_suspects(pairs, classes)]
    some = [images[index] for index in suspects]
    telling = _part(tell, "Comparing the pixels of", _COMPARED, 1.0)
    identities = {
        int(index): _identity(outcome.vector)
        for index, outcome in zip(
            suspects, _vectors(some, _IDENTITY, cache, workers, web, telling), strict=True
        )
        if isinstance(outcome, Embedded)
    }
    tree = _tree(len(images), seen, known, identities, reach, compared, pairs, classes)
    tell("Done", 1.0)
    return Duplicates(tree, identities, skipped, of_all)


# ---- what is made of images


@dataclass(frozen=True, slots=True)
class _Made:
    """What is made of images: for the pipeline, which keeps it in the cache."""

    id: str
    job: Job
    version: str
    dimension: int

    @property
    def fit(self) -> Fit:
        """How pictures are fitted for it."""
        return self.job.fit


_FINGERPRINT = _Made(
    "near-copies",
    FingerprintJob(),
    f"fingerprint:{fingerprints.VERSION}",
    fingerprints.DIMENSION,
)
_IDENTITY = _Made("pixels", IdentityJob(), "identity:1", 18)


def _vectors(
    images: Sequence[Any],
    made: _Made,
    cache: Cache,
    workers: int | None,
    web: Reach | None,
    tell: Callable[[int, int], None],
) -> Iterator[Outcome]:
    """Give what is made of each image, in their order."""
    if not images:
        return
    embedder = JobEmbedder(made.job, made.version, made.dimension, workers=workers)
    opened: list[Downloads] = []

    def downloads() -> Downloads:
        if not opened:
            from orangecontrib.imageanalytics.web.downloads import Downloads

            opened.append(Downloads(cache) if web is None else Downloads(cache, reach=web))
        return opened[0]

    def tick(finished: int) -> None:
        tell(finished, len(images))

    try:
        yield from Pipeline(made, embedder, cache, downloads, tick).run(images)
    finally:
        embedder.close()
        for one in opened:
            one.close()
        cache.flush()


def _part(tell: Tell, verb: str, begin: float, end: float) -> Callable[[int, int], None]:
    def told(finished: int, count: int) -> None:
        share = begin + (end - begin) * finished / count
        tell(f"{verb} {finished} of {count} pictures", share)

    return told


def _identity(vector: NDArray[np.float32]) -> Identity:
    *digest, height, width = vector.astype(int).tolist()
    return Identity(bytes(digest), height, width)


# ---- from there to groups


class _Classes:
    """Things that are equal: thousands of them would make millions of pairs."""

    def __init__(self, keys: Iterable[Any]) -> None:
        first: dict[Any, int] = {}
        found = [first.setdefault(key, index) for index, key in enumerate(keys)]
        self.first = np.array(found, np.intp)  # of each, the first that equals it
        self.all = np.arange(len(found))
        self.firsts = self.all[self.first == self.all]
        self.others = self.all[self.first != self.all]


def _pairs(
    known: NDArray[np.float32],
    classes: _Classes,
    reach: float,
    compared: Callable[[float], None],
) -> Pairs:
    """Find pairs of near copies among the firsts of their classes, as indices of all."""
    firsts = classes.firsts
    found = fingerprints.near_copies(known[firsts], reach, compared)
    return Pairs(firsts[found.first], firsts[found.second], found.distances, found.reach)


def _suspects(pairs: Pairs, classes: _Classes) -> NDArray[np.intp]:
    """Tell which may have equal pixels: those with equal or nearly equal fingerprints."""
    near = pairs.within(NEAR_COPY)
    ends = [near.first, near.second, classes.first[classes.others]]
    chosen = np.isin(classes.first, np.concatenate(ends))
    return np.flatnonzero(chosen)


def _tree(
    count: int,
    seen: NDArray[np.intp],
    known: NDArray[np.float32],
    identities: dict[int, Identity],
    reach: float,
    compared: Callable[[float], None],
    pairs: Pairs,
    classes: _Classes,
) -> MergeTree:
    """Group images; what has equal pixels is at distance 0, what has not is not."""
    pixels = [identities[i].pixels if i in identities else int(i) for i in seen]
    equal = _Classes(pixels)
    finer = _Classes(zip(classes.first.tolist(), equal.first.tolist(), strict=True))
    if len(finer.firsts) > len(classes.firsts):  # equal fingerprints, and not equal pixels
        pairs = _pairs(known, finer, reach, compared)
    is_equal = equal.first[pairs.first] == equal.first[pairs.second]
    distances = np.where(is_equal, 0, np.maximum(pairs.distances, _JUST_NOT_EQUAL))
    return tree_of(
        count,
        Pairs(seen[pairs.first], seen[pairs.second], distances.astype(np.float32), pairs.reach),
        exact=(seen[finer.first[finer.others]], seen[finer.others]),
    )
