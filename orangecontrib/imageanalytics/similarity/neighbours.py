"""The k nearest neighbours of each vector, exactly: every two are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.similarity.space import Metric, Space, places

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from orangecontrib.imageanalytics.similarity.space import Callback

#: Neighbours found beyond those asked for: float32 products may put those that are as good as
#: equally near in the wrong order, which distances computed anew put right.
_SPARE = 4
#: Columns are looked at in so many bunches for each neighbour, to know what is not worth sorting.
_BUNCHES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The nearest neighbours of each of N vectors, the nearest first.

    Attributes
    ----------
    indices : ndarray of shape (N, k), intp
        Where they are; -1 where there is none. None is its own neighbour.
    distances : ndarray of shape (N, k), float32
        NaN where there is none.
    """

    indices: NDArray[np.intp]
    distances: NDArray[np.float32]


def nearest(
    vectors: ArrayLike,
    k: int = 10,
    metric: Metric | str = Metric.COSINE,
    callback: Callback | None = None,
) -> Neighbours:
    """Find the k nearest neighbours of each vector.

    Every two vectors are compared, in blocks: beyond the vectors and the answer it takes some
    100 MB, however many there are. The matrix products run on all cores.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers; float32 and float64 are taken as they are. A row with a missing number has no
        neighbours, and is nobody's.
    k : int
        How many.
    metric : {"cosine", "euclidean"}
        What near is.
    callback : callable, optional
        Called with the share that is done, some ten times a second; 1.0 at the end. What it
        raises comes out, which is how to cancel.

    Returns
    -------
    Neighbours
        Of equally near ones, those of lower index come first; if a vector has more copies than
        neighbours are asked for, it is some of them.

    Raises
    ------
    ValueError
        If `vectors` is no matrix, `k` is below 1, or there is no such metric.

    Examples
    --------
    >>> nearest([[0, 1], [1, 0], [1, 0.1]], k=1).indices.ravel().tolist()
    [2, 2, 1]
    """
    if k < 1:
        raise ValueError(f"The number of neighbours is 1 or more, not {k}.")
    space = Space(vectors, metric)
    best = _Best(len(space), k + _SPARE)
    space.look_through(best.look_both_ways, callback)
    answer = _with_distances(space, best, k, np.shape(vectors)[0])
    if callback is not None:
        callback(1.0)
    return answer


class _Best:
    """The best scores so far of each row, and whose they are."""

    def __init__(self, count: int, k: int) -> None:
        self.scores = np.full((count, k), -np.inf, np.float32)
        self.columns = np.full((count, k), -1, np.int32)

    def look_both_ways(self, rows: slice, columns: slice, scores: NDArray[np.float32]) -> None:
        """Take over what is better, row by row and column by column."""
        self.look(rows, columns, scores)
        if rows is not columns:
            self.look(columns, rows, scores.T)

    def look(self, rows: slice, columns: slice, scores: NDArray[np.float32]) -> None:
        """Take over what is better, row by row."""
        worst = self.scores[rows, -1]
        if np.isneginf(worst).any():
            worst = np.maximum(worst, _floor(scores, self.scores.shape[1]))
        row, column = _where_above(scores, worst)
        if len(row):
            values = scores[row, column]
            self._merge(row + rows.start, (column + columns.start).astype(np.int32), values)

    def _merge(
        self, row: NDArray[np.intp], column: NDArray[np.int32], score: NDArray[np.float32]
    ) -> None:
        k = self.scores.shape[1]
        changed = np.unique(row)
        row = np.concatenate([np.repeat(changed, k), row])
        column = np.concatenate([self.columns[changed].ravel(), column])
        score = np.concatenate([self.scores[changed].ravel(), score])
        order = np.lexsort((-score, row))  # stable: of equal scores, lower columns stay first
        starts = np.searchsorted(row[order], changed)
        chosen = order[starts[:, None] + np.arange(k)]
        self.columns[changed], self.scores[changed] = column[chosen], score[chosen]


def _floor(scores: NDArray[np.float32], k: int) -> NDArray[np.float32] | float:
    """Give a number for each row below which at least k of its scores are not.

    The k-th of the best of each of some bunches; sorting all scores would take as long as the
    product.
    """
    width = scores.shape[1] // (_BUNCHES * k)
    if width == 0:
        return -np.inf
    bunches = scores.shape[1] // width
    cut = scores[:, : bunches * width].reshape(len(scores), bunches, width).max(axis=2)
    found: NDArray[np.float32] = np.partition(cut, bunches - k, axis=1)[:, bunches - k]
    return np.nextafter(found, np.float32(-np.inf))


def _where_above(
    scores: NDArray[np.float32], limits: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the scores that are above their row's limit."""
    if scores.flags.c_contiguous:
        row, column = places(scores > limits[:, None])
    else:  # a transposed block is looked at as it lies in memory
        column, row = places(limits < scores.T)
    return row, column


def _with_distances(space: Space, best: _Best, k: int, count: int) -> Neighbours:
    found = best.columns.shape[1]
    row = np.repeat(np.arange(len(space)), found)
    column = best.columns.ravel().astype(np.intp)
    there = column >= 0
    distances = np.full(len(row), np.nan, np.float32)
    distances[there] = space.distances(row[there], column[there], best.scores.ravel()[there])
    order = np.lexsort((column, distances, row)).reshape(len(space), found)[:, :k]  # NaN is last
    answer = Neighbours(np.full((count, k), -1, np.intp), np.full((count, k), np.nan, np.float32))
    answer.distances[space.rows] = distances[order]
    answer.indices[space.rows] = np.where(there, _original(space, column), -1)[order]
    return answer


def _original(space: Space, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    return space.rows[rows] if len(space) else rows
