"""Groups of near duplicates, at any distance at once: complete linkage.

In a group, every two are within the distance. So a chain of slow changes, such as a film's frames,
does not become one group, as it would if being near to any of a group were enough. Of groups that
could be joined, the nearest are joined first; groups at a larger distance are unions of those at a
smaller one.

Reference: D. Defays (1977), An efficient algorithm for a complete link method, The Computer
Journal 20(4).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.similarity.pairs import Pairs, pairs_within
from orangecontrib.imageanalytics.similarity.space import Metric, as_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from orangecontrib.imageanalytics.similarity.space import Callback

    Merge = tuple[int, int, float]  # two members, one of either group, and the distance

#: Pairs up to which they are joined one by one: SciPy takes 1 ms to begin.
_FEW = 500
#: Vectors that hang together up to which all distances between them are held: 16 MB, twice. SciPy
#: lets no other thread run while it joins them, which takes 30 ms then.
_DENSE = 2000
#: Pairs among more vectors than that: 250 bytes and 10 µs each.
_SPARSE = 300_000
#: Pairs in all; parting more takes SciPy 0.1 s, in which no other thread runs.
_MOST = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class MergeTree:
    """What is joined to groups at which distance.

    Attributes
    ----------
    count : int
        Number of vectors.
    first, second : ndarray of shape (m,), intp
        Two vectors whose groups are joined.
    heights : ndarray of shape (m,), float32
        The largest distance in the joined group; ascending.
    reach : float
        The largest distance that can be asked about: the one asked for, or less if so many are
        so near to each other that they could not be held in memory.
    """

    count: int
    first: NDArray[np.intp]
    second: NDArray[np.intp]
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
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if distance > self.reach:
            raise ValueError(f"Groups are known up to a distance of {self.reach:g}.")
        joined = np.searchsorted(self.heights, distance, "right")
        edges = np.ones(joined, bool), (self.first[:joined], self.second[:joined])
        graph = coo_array(edges, shape=(self.count, self.count))
        _, component = connected_components(graph, directed=False)
        sizes = np.bincount(component, minlength=1)
        first = np.unique(component, return_index=True)[1]
        numbers = np.full(len(sizes), -1, np.intp)
        order = np.argsort(first, kind="stable")
        groups = order[sizes[order] > 1]
        numbers[groups] = np.arange(len(groups))
        return numbers[component]

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
        grouped = np.zeros(self.count, bool)
        change = np.empty(len(self.heights) + 1, np.intp)
        change[0] = 0
        # The members named are the first of their groups, so one look says whether it is one.
        for index, (one, other) in enumerate(zip(self.first, self.second, strict=True), 1):
            change[index] = 1 - int(grouped[one]) - int(grouped[other])
            grouped[one] = grouped[other] = True
        totals = np.cumsum(change)
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
    originals, copies, of = _identical(matrix)
    pairs = pairs_within(matrix, distance, metric, callback, _MOST, originals)
    return tree_of(len(matrix), pairs, exact=(of, copies))


def tree_of(
    count: int,
    pairs: Pairs,
    exact: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
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
    """
    merges: list[Merge] = []
    if exact is not None:
        merges += [(int(one), int(other), 0.0) for one, other in zip(*exact, strict=True)]
    pairs, parts = _affordable(count, pairs)
    for part in parts:
        merges += _linked(part)
    merges = [merge for merge in merges if merge[2] <= pairs.reach]
    merges.sort(key=lambda merge: merge[2])  # stable: a tree's own merges keep their order
    first, second, heights = zip(*merges, strict=True) if merges else ((), (), ())
    return MergeTree(
        count,
        np.array(first, np.intp),
        np.array(second, np.intp),
        np.array(heights, np.float32),
        pairs.reach,
    )


def _identical(
    matrix: NDArray[np.floating],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Tell rows that are the first of their kind, those that equal them, and which they equal.

    Thousands of equal pictures have millions of pairs.
    """
    import blake3

    known: dict[bytes, int] = {}
    originals, copies, of = [], [], []
    for index, row in enumerate(matrix):
        before = known.setdefault(blake3.blake3(row.tobytes()).digest(), index)
        if before == index or not np.isfinite(row).all():
            originals.append(index)
        else:
            copies.append(index)
            of.append(before)
    return np.array(originals, np.intp), np.array(copies, np.intp), np.array(of, np.intp)


def _affordable(count: int, pairs: Pairs) -> tuple[Pairs, list[Pairs]]:
    """Part pairs by what hangs together; within a smaller distance if a part is too large."""
    while True:
        parts = list(_hanging_together(count, pairs))
        large = [p for p in parts if len(p.first) > _SPARSE and not _is_dense(p)]
        if not large:
            return pairs, parts
        reach = min(float(np.partition(p.distances, _SPARSE // 2)[_SPARSE // 2]) for p in large)
        pairs = pairs.within(float(np.nextafter(np.float32(reach), np.float32(0))))


def _hanging_together(count: int, pairs: Pairs) -> Iterator[Pairs]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.ones(len(pairs.first), bool), (pairs.first, pairs.second)
    _, component = connected_components(coo_array(edges, shape=(count, count)), directed=False)
    of_pair = component[pairs.first]
    order = np.argsort(of_pair, kind="stable")
    ends = np.flatnonzero(np.diff(of_pair[order])) + 1
    for part in np.split(order, ends) if len(order) else []:
        yield Pairs(pairs.first[part], pairs.second[part], pairs.distances[part], pairs.reach)


def _is_dense(part: Pairs) -> bool:
    return len(np.union1d(part.first, part.second)) <= _DENSE


def _linked(part: Pairs) -> list[Merge]:
    """Join what hangs together."""
    if len(part.first) == 1:
        return [(int(part.first[0]), int(part.second[0]), float(part.distances[0]))]
    members = np.union1d(part.first, part.second)
    first, second = np.searchsorted(members, part.first), np.searchsorted(members, part.second)
    is_dense = len(part.first) > _FEW and len(members) <= _DENSE
    link: Callable[..., Sequence[Merge]] = _dense if is_dense else _sparse
    merges = link(len(members), first, second, part.distances)
    return [(int(members[one]), int(members[other]), height) for one, other, height in merges]


def _dense(
    count: int,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    distances: NDArray[np.float32],
) -> list[Merge]:
    from scipy.cluster.hierarchy import linkage

    far = 2 * float(distances.max()) + 1
    condensed = np.full(count * (count - 1) // 2, far)
    condensed[first * count - first * (first + 1) // 2 + second - first - 1] = distances
    found: list[Merge] = []
    names = list(range(count))  # of each of scipy's clusters, by its first member
    for one, other, height, _ in linkage(condensed, "complete"):
        pair = sorted((names[int(one)], names[int(other)]))
        names.append(pair[0])
        if height < far:
            found.append((pair[0], pair[1], float(height)))
    return found


def _sparse(
    count: int,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    distances: NDArray[np.float32],
) -> list[Merge]:
    """Join the nearest groups all of whose pairs are known, until there are none.

    A group is named by its first member. Two groups have a distance as long as each pair between
    them is known; what joins them has one to what both had one to.
    """
    near: list[dict[int, float]] = [{} for _ in range(count)]
    order = np.lexsort((second, first, distances))  # what is sorted is a heap
    columns = (column[order].tolist() for column in (distances, first, second))
    heap = list(zip(*columns, strict=True))
    for distance, one, other in heap:
        near[one][other] = near[other][one] = distance
    found: list[Merge] = []
    while heap:
        height, one, other = heapq.heappop(heap)
        if near[one].get(other) != height:  # a distance of before they were joined to others
            continue
        found.append((one, other, height))
        mine, its = near[one], near[other]
        near[one], near[other] = {}, {}
        for third in mine.keys() | its.keys():
            near[third].pop(one, None)
            near[third].pop(other, None)
        for third in sorted(mine.keys() & its.keys()):
            distance = max(mine[third], its[third])
            near[one][third] = near[third][one] = distance
            heapq.heappush(heap, (distance, min(one, third), max(one, third)))
    return found
