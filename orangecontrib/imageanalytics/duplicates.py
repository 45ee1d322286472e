"""Images -> which of them are the same picture, without an embedding.

Each image is decoded in the engine's workers, and what is made of it (a fingerprint, by which near
copies are found, and of those the identity of their pixels) is kept in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.cache import Cache
from orangecontrib.imageanalytics.local_embedder import JobEmbedder
from orangecontrib.imageanalytics.outcome import Embedded, Outcome, Skipped
from orangecontrib.imageanalytics.pipeline import Pipeline
from orangecontrib.imageanalytics.similarity import detail
from orangecontrib.imageanalytics.similarity import fingerprint as fingerprints
from orangecontrib.imageanalytics.similarity.equal_rows import first_equals
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

__all__ = ["NEAR_COPY", "REACH", "Duplicates", "find"]

#: Distance of pictures whose fingerprints are equal and whose pixels are not.
_JUST_NOT_EQUAL = 1e-6
#: Shares of the work, roughly, at whose ends the three steps are done.
_FINGERPRINTED, _COMPARED = 0.6, 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Duplicates:
    """Which of N images are the same picture.

    Attributes
    ----------
    tree : MergeTree
        `tree.labels(0)` numbers the groups of exact copies (equal pixels, whatever the format),
        `tree.labels(NEAR_COPY)` those of near copies: scaled, recompressed, slightly cropped, made
        grey. The distance is the share of a picture that the other one does not explain.
    pixels : ndarray of shape (N,), intp
        By what pixels are known: the same number for the same pixels, whatever the file's format;
        -1 for images that have no copy anyway, and were not looked at so closely.
    sizes : ndarray of shape (N, 2), int32
        Width and height in pixels of images whose `pixels` are known; 0 for others.
    skipped : dict of int to Skipped
        The images that could not be read, which are in no group, and why.
    """

    tree: MergeTree
    pixels: NDArray[np.intp]
    sizes: NDArray[np.int32]
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
        equal = (self.pixels[first] >= 0) & (self.pixels[first] == self.pixels[second])
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

    def compared(share: float) -> None:
        tell("Comparing", _FINGERPRINTED + (_COMPARED - _FINGERPRINTED) * share)

    telling = _part(tell, "Looking at", 0, _FINGERPRINTED)
    known, skipped = _matrix(images, _FINGERPRINT, cache, workers, web, telling)
    seen = np.setdiff1d(np.arange(len(images)), list(skipped)).astype(np.intp)
    firsts = first_equals(known)
    pairs = _pairs(known, seen, firsts, reach, compared)
    suspects = _suspects(pairs, seen, firsts)
    some = [images[index] for index in suspects.tolist()]
    telling = _part(tell, "Comparing the pixels of", _COMPARED, 1.0)
    identities, lost = _matrix(some, _IDENTITY, cache, workers, web, telling)
    looks = _Looks(len(images), suspects, identities, np.array(list(lost), np.intp))
    tree = _tree(known, seen, firsts, looks, reach, compared, pairs)
    tell("Done", 1.0)
    return Duplicates(tree, looks.pixels, looks.sizes, skipped, known)


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
_IDENTITY = _Made("pixels", IdentityJob(), "identity:3", fingerprints.IDENTITY_DIMENSION)


def _matrix(
    images: Sequence[Any],
    made: _Made,
    cache: Cache,
    workers: int | None,
    web: Reach | None,
    tell: Callable[[int, int], None],
) -> tuple[NDArray[np.float32], dict[int, Skipped]]:
    """Give what is made of each image as a row; NaN for those that could not be read, and why."""
    found, skipped = np.full((len(images), made.dimension), np.nan, np.float32), {}
    for index, outcome in enumerate(_outcomes(images, made, cache, workers, web, tell)):
        if isinstance(outcome, Embedded):
            found[index] = outcome.vector
        else:
            skipped[index] = outcome
    return found, skipped


def _outcomes(
    images: Sequence[Any],
    made: _Made,
    cache: Cache,
    workers: int | None,
    web: Reach | None,
    tell: Callable[[int, int], None],
) -> Iterator[Outcome]:
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


# ---- from there to groups


def _pairs(
    known: NDArray[np.float32],
    seen: NDArray[np.intp],
    firsts: NDArray[np.intp],
    reach: float,
    compared: Callable[[float], None],
) -> Pairs:
    """Find near copies among the firsts of their kind: thousands of equals have millions."""
    of_kinds = seen[firsts[seen] == seen]
    found = fingerprints.near_copies(known[of_kinds], reach, compared)
    return Pairs(of_kinds[found.first], of_kinds[found.second], found.distances, found.reach)


def _suspects(pairs: Pairs, seen: NDArray[np.intp], firsts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Tell which have to be looked at closely: those with equal or nearly equal fingerprints."""
    is_suspect = np.zeros(len(firsts), bool)
    for ends in (pairs.first, pairs.second, firsts[seen[firsts[seen] != seen]]):
        is_suspect[ends] = True
    return seen[is_suspect[firsts[seen]]]


class _Looks:
    """What a close look at some of N images has shown.

    Attributes
    ----------
    pixels, sizes : ndarray
        As of `Duplicates`.
    """

    def __init__(
        self,
        count: int,
        suspects: NDArray[np.intp],
        identities: NDArray[np.float32],
        lost: NDArray[np.intp],
    ) -> None:
        there = np.setdiff1d(np.arange(len(suspects)), lost)
        self.pixels, self.sizes = np.full(count, -1, np.intp), np.zeros((count, 2), np.int32)
        known, sizes, self._greys = fingerprints.of_identities(identities)
        self.pixels[suspects[there]] = suspects[first_equals(known)[there]]
        self.sizes[suspects[there]] = sizes[there]
        self._places = np.zeros(count, np.intp)
        self._places[suspects] = np.arange(len(suspects))
        self._sides = np.zeros(len(suspects), np.int32)
        self._sides[there] = self.sizes[suspects[there]].min(axis=1)

    def agreeing(self, pairs: Pairs, check: Callable[[], object]) -> Pairs:
        """Leave out pairs that differ in detail."""
        first, second = self._places[pairs.first], self._places[pairs.second]
        fine = detail.agree(self._greys, self._sides, first, second, check)
        return Pairs(pairs.first[fine], pairs.second[fine], pairs.distances[fine], pairs.reach)


def _tree(
    known: NDArray[np.float32],
    seen: NDArray[np.intp],
    firsts: NDArray[np.intp],
    looks: _Looks,
    reach: float,
    compared: Callable[[float], None],
    pairs: Pairs,
) -> MergeTree:
    """Group images; what has equal pixels is at distance 0, what has not is not."""
    everything = np.arange(len(known))
    equal = np.where(looks.pixels >= 0, looks.pixels, everything)
    finer = first_equals(np.column_stack([firsts, equal]))
    if (finer != firsts).any():  # equal fingerprints, and not equal pixels
        pairs = _pairs(known, seen, finer, reach, compared)
    pairs = looks.agreeing(pairs, lambda: compared(1.0))
    is_equal = equal[pairs.first] == equal[pairs.second]
    distances = np.where(is_equal, 0, np.maximum(pairs.distances, _JUST_NOT_EQUAL))
    copies = np.flatnonzero(finer != everything)
    return tree_of(
        len(known),
        Pairs(pairs.first, pairs.second, distances.astype(np.float32), pairs.reach),
        exact=(finer[copies], copies),
        callback=compared,
    )
