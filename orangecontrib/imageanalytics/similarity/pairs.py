"""All pairs of vectors within a distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.similarity.space import Metric, Space, places

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from orangecontrib.imageanalytics.similarity.space import Callback

#: Pairs that are kept, at most: 12 bytes each, three times that while they are sorted.
MOST = 8_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """All pairs of N vectors that are within a distance.

    Attributes
    ----------
    first, second : ndarray of shape (p,), intp
        Indices of the vectors, `first` below `second`; in ascending order.
    distances : ndarray of shape (p,), float32
        How far they are from each other.
    reach : float
        The distance within which these are all pairs: the one asked for, or less if there were
        more pairs than may be kept.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    distances: NDArray[np.float32]
    reach: float

    def within(self, reach: float) -> Pairs:
        """Those within a smaller distance."""
        near = self.distances <= reach
        return Pairs(self.first[near], self.second[near], self.distances[near], reach)


def pairs_within(
    vectors: ArrayLike,
    distance: float,
    metric: Metric | str = Metric.COSINE,
    callback: Callback | None = None,
    at_most: int = MOST,
    among: NDArray[np.intp] | None = None,
) -> Pairs:
    """Find all pairs of vectors that are no farther apart than a distance.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers; rows with a missing number are in no pair.
    distance : float
        How far apart they may be, at most.
    metric : {"cosine", "euclidean"}
        What near is.
    callback : callable, optional
        As for `nearest`.
    at_most : int
        How many pairs are kept; if there are more, these are the nearest, and all of them within
        the `reach` of the answer.
    among : ndarray of shape (n,), intp, optional
        The only rows to be compared, in ascending order; all by default.

    Returns
    -------
    Pairs

    Raises
    ------
    ValueError
        If `vectors` is no matrix, the distance is negative, or there is no such metric.
    """
    if not distance >= 0:
        raise ValueError(f"A distance is 0 or more, not {distance}.")
    space = Space(vectors, metric, among)
    found = _Found(space.score(distance), at_most)
    space.look_through(found.look, callback)
    answer = found.pairs(space, distance)
    if callback is not None:
        callback(1.0)
    return answer


class _Found:
    """Pairs of a score that is high enough; what that is rises if there are too many."""

    def __init__(self, lowest: float, at_most: int) -> None:
        self._lowest, self._at_most = np.float32(lowest), at_most
        self._is_lowered = False
        self._parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []
        self._count = 0

    def look(self, rows: slice, columns: slice, scores: NDArray[np.float32]) -> None:
        row, column = places(scores >= self._lowest)
        if rows is columns:  # each pair is there twice
            upper = row < column
            row, column = row[upper], column[upper]
        if not len(row):
            return
        values = scores[row, column]
        row, column = row + rows.start, column + columns.start
        self._parts.append((row.astype(np.int32), column.astype(np.int32), values))
        self._count += len(row)
        if self._count > self._at_most:
            self._drop()

    def _drop(self) -> None:
        """Keep the better half of what may be kept."""
        row, column, values = self._joined()
        rank = len(values) - max(1, self._at_most // 2)
        self._lowest = np.nextafter(np.partition(values, rank)[rank], np.float32(np.inf))
        self._is_lowered = True
        keep = values >= self._lowest
        self._parts = [(row[keep], column[keep], values[keep])]
        self._count = int(keep.sum())

    def _joined(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        if not self._parts:
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
        row, column, values = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        return row, column, values

    def pairs(self, space: Space, distance: float) -> Pairs:
        """Give them with distances, in order."""
        row, column, scores = self._joined()
        self._parts = []
        order = np.lexsort((column, row))
        first, second = row[order].astype(np.intp), column[order].astype(np.intp)
        distances = space.distances(first, second, scores[order])
        reach = min(distance, space.distance(float(self._lowest))) if self._is_lowered else distance
        near = distances <= reach
        return Pairs(space.rows[first[near]], space.rows[second[near]], distances[near], reach)
