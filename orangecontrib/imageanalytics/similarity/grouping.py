"""Groups of near duplicates, at any distance at once: complete linkage.

In a group, every two are within the distance. So a chain of slow changes, such as a film's frames,
does not become one group, as it would if being near to any of a group were enough. Of groups that
could be joined, the nearest are joined first; groups at a larger distance are unions of those at a
smaller one.

All groups that are each other's nearest are joined at once, as no group comes nearer to a third one
by being joined: so there are some tens of rounds over arrays, and no object per vector or pair.

References: D. Defays (1977), An efficient algorithm for a complete link method, The Computer
Journal 20(4); F. Murtagh (1983), A survey of recent advances in hierarchical clustering algorithms,
The Computer Journal 26(4), on joining nearest neighbours of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.similarity.equal_rows import first_equals
from orangecontrib.imageanalytics.similarity.pairs import Pairs, pairs_within
from orangecontrib.imageanalytics.similarity.space import Metric, as_matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from orangecontrib.imageanalytics.similarity.space import Callback

    # Two members, one of either group, the first of them in both; and the distances.
    Merges = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]

#: Pairs in all: some 50 bytes each while they are joined.
_MOST = 2_000_000
#: Scatters the order of pairs that are equally far apart: else of a row of equal steps only two
#: would be joined in each round.
_SCATTER = np.uint32(2654435761)


@dataclass(frozen=True, slots=True, eq=False)
class MergeTree:
    """What is joined to groups at which distance.

    Attributes
    ----------
    count : int
        Number of vectors.
    first, second : ndarray of shape (m,), int32
        Two vectors whose groups are joined: the first one of all, and the first of the other group.
    heights : ndarray of shape (m,), float32
        The largest distance in the joined group; ascending.
    reach : float
        The largest distance that can be asked about: the one asked for, or less if so many are
        so near to each other that they could not be held in memory.
    """

    count: int
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    heights: NDArray[np.float32]
    reach: float

    def labels(self, distance: float) -> NDArray[np.intp]:
        """Number the groups within a distance.

        Parameters
        ----------
        distance : float
            How far apart two of a group may be, at most.

        Returns
        -------
        ndarray of shape (count,), intp
            From 0, in the order of each group's first member; -1 for what is in no group.

        Raises
        ------
        ValueError
            If the distance is beyond `reach`.
        """
        if distance > self.reach:
            raise ValueError(f"Groups are known up to a distance of {self.reach:g}.")
        joined = np.searchsorted(self.heights, distance, "right")
        first: NDArray[np.intp] = np.arange(self.count)  # of the group that each is in
        first[self.second[:joined]] = self.first[:joined]
        while not np.array_equal(first, further := first[first]):
            first = further
        numbers = np.full(self.count, -1, np.intp)
        groups = np.flatnonzero(np.bincount(first, minlength=1) > 1)
        numbers[groups] = np.arange(len(groups))
        return numbers[first]

    def numbers_of_groups(self, distances: ArrayLike) -> NDArray[np.intp]:
        """Count the groups at each of some distances, without making them.

        Parameters
        ----------
        distances : array-like of shape (n,)
            Up to `reach`.

        Returns
        -------
        ndarray of shape (n,), intp
        """
        # Who is named is the first of its group, so it is in one if it was named before.
        named = np.column_stack([self.first, self.second]).ravel()
        is_new = np.zeros(len(named), np.intp)
        is_new[np.unique(named, return_index=True)[1]] = 1
        change = is_new.reshape(-1, 2).sum(axis=1) - 1
        totals = np.concatenate([[0], np.cumsum(change)])
        return totals[np.searchsorted(self.heights, np.asarray(distances), "right")]


def group(
    vectors: ArrayLike,
    distance: float,
    metric: Metric | str = Metric.COSINE,
    callback: Callback | None = None,
) -> MergeTree:
    """Find groups of vectors in which every two are within a distance, or any smaller one.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers; rows with a missing number are in no group.
    distance : float
        The largest distance that will be asked about.
    metric : {"cosine", "euclidean"}
        What near is.
    callback : callable, optional
        As for `nearest`.

    Returns
    -------
    MergeTree
        The same for the same vectors.

    Raises
    ------
    ValueError
        If `vectors` is no matrix, the distance is negative, or there is no such metric.

    Examples
    --------
    >>> tree = group([[0.0], [0.1], [0.2], [5.0], [5.3]], 1.0, metric="euclidean")
    >>> tree.labels(0.15).tolist(), tree.labels(1.0).tolist()
    ([0, 0, -1, -1, -1], [0, 0, 0, 1, 1])
    """
    matrix = as_matrix(vectors)
    first = first_equals(matrix)
    is_copy = first != np.arange(len(matrix))
    pairs = pairs_within(matrix, distance, metric, callback, _MOST, np.flatnonzero(~is_copy))
    copies = np.flatnonzero(is_copy)
    return tree_of(len(matrix), pairs, exact=(first[copies], copies), callback=callback)


def tree_of(
    count: int,
    pairs: Pairs,
    exact: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
    callback: Callback | None = None,
) -> MergeTree:
    """Make groups of pairs.

    Parameters
    ----------
    count : int
        Number of vectors, or of whatever the pairs are.
    pairs : Pairs
        All within a distance, without those that are in `exact`'s second array.
    exact : (ndarray, ndarray) of shape (e,), intp, optional
        Firsts of their kind, and what equals them.
    callback : callable, optional
        Called with 1.0 now and then; what it raises comes out.
    """
    merges = list(_rounds(count, pairs, callback))
    if exact is not None:
        of, copies = (part.astype(np.int32) for part in exact)
        merges.insert(0, (of, copies, np.zeros(len(of), np.float32)))
    if not merges:
        merges.append((np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)))
    first, second, heights = (np.concatenate(part) for part in zip(*merges, strict=True))
    order = np.argsort(heights, kind="stable")  # a group's own merges keep their order
    return MergeTree(count, first[order], second[order], heights[order], pairs.reach)


def _rounds(count: int, pairs: Pairs, callback: Callback | None) -> Iterator[Merges]:
    """Join groups that are each other's nearest, until no two have all their pairs known.

    A group is named by its first member. What remains of the pairs is between groups, in the order
    of the distances; each knows the largest one of all pairs between the two.
    """
    one, other = (ends.astype(np.int32) for ends in (pairs.first, pairs.second))
    scattered = (one.astype(np.uint32) * _SCATTER) ^ other.astype(np.uint32)
    order = np.lexsort((scattered * _SCATTER, pairs.distances))
    one, other, apart = one[order], other[order], pairs.distances[order]
    while len(one):
        if callback is not None:
            callback(1.0)
        mutual = _mutual(count, one, other)
        yield one[mutual], other[mutual], apart[mutual]
        one, other, apart = _between_groups(count, (one, other, apart), mutual)


def _mutual(count: int, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which pairs are the first for both of their ends."""
    places = np.arange(len(one), dtype=np.int32)
    nearest = np.full(count, len(one), np.int32)
    nearest[one[::-1]] = places[::-1]  # of an index that is named twice, the last value counts
    of_others = np.full(count, len(one), np.int32)
    of_others[other[::-1]] = places[::-1]
    np.minimum(nearest, of_others, out=nearest)
    found: NDArray[np.bool_] = (nearest[one] == places) & (nearest[other] == places)
    return found


def _between_groups(count: int, pairs: Merges, mutual: NDArray[np.bool_]) -> Merges:
    """Give the pairs between groups after some were joined, in order.

    Two groups have a distance as long as each pair between them is known.
    """
    name, parts = np.arange(count, dtype=np.int32), np.ones(count, np.int8)
    name[pairs[1][mutual]] = pairs[0][mutual]
    parts[pairs[0][mutual]] = 2
    one, other, apart = (part[~mutual] for part in pairs)
    one, other = name[one], name[other]
    is_changed = (parts[one] == 2) | (parts[other] == 2)
    changed = _merged(one[is_changed], other[is_changed], apart[is_changed], parts)
    kept = one[~is_changed], other[~is_changed], apart[~is_changed]
    places = np.searchsorted(kept[2], changed[2])
    return (
        np.insert(kept[0], places, changed[0]),
        np.insert(kept[1], places, changed[1]),
        np.insert(kept[2], places, changed[2]),
    )


def _merged(
    one: NDArray[np.int32],
    other: NDArray[np.int32],
    apart: NDArray[np.float32],
    parts: NDArray[np.int8],
) -> Merges:
    """Make one pair of up to four that are between the same two groups; sort by distance."""
    first, second = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((second, first))
    first, second, apart = first[order], second[order], apart[order]
    is_start = np.ones(len(first), bool)
    is_start[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    starts = np.flatnonzero(is_start)
    if not len(starts):
        return first, second, apart
    apart = np.maximum.reduceat(apart, starts)
    first, second = first[starts], second[starts]
    known = np.diff(starts, append=len(is_start))
    whole = np.flatnonzero(known == parts[first] * parts[second])
    whole = whole[np.argsort(apart[whole], kind="stable")]
    return first[whole], second[whole], apart[whole]
