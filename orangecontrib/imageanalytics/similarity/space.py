"""Vectors as the matrix products need them, block by block, and the distances between them.

The products of all blocks are most of the work, so each pair of blocks is multiplied once and used
for the rows of both. Nothing as large as the vectors is ever made: blocks are converted when they
are needed, which costs 1/`_ROWS` of the product that they are for.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from numpy.typing import ArrayLike, NDArray

    Callback = Callable[[float], Any]

#: Rows of a block: a product of two takes 0.1 s at 1280 columns on two cores, so that a callback
#: can cancel soon, and its scores are 16 MB.
_ROWS = 2048
#: Bytes of a block, at most, however many columns there are.
_BLOCK = 64 * 2**20
#: By how much a score may be wrong, as part of the length of the vectors: sums of some thousand
#: float32 products are wrong by 1e-6.
_ROUNDING = 1e-5
#: Distances from scores are precise enough (to 1e-5 of them) beyond this, as part of the same.
_ROUGH = 0.01
#: Numbers in what is gathered at once for distances: 8 MB for each thread.
_GATHERED = 2 * 2**20


class Metric(StrEnum):
    """How far two vectors are from each other."""

    COSINE = "cosine"
    """One minus the cosine of the angle: 0 to 2; a vector of zeros is at 1 from all others."""
    EUCLIDEAN = "euclidean"
    """The length of the difference."""


class Space:
    """Vectors between which there are distances.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers. Rows with a missing or an infinite number are left out.
    metric : Metric or str
        "cosine" or "euclidean".
    among : ndarray of shape (n,), intp, optional
        The only rows to be taken, in ascending order; all by default.

    Attributes
    ----------
    rows : ndarray of shape (M,), intp
        Where in `vectors` the rows are that are not left out. All else here counts in these.

    Raises
    ------
    ValueError
        If `vectors` is not a matrix, or there is no such metric.
    """

    def __init__(
        self,
        vectors: ArrayLike,
        metric: Metric | str,
        among: NDArray[np.intp] | None = None,
    ) -> None:
        self.metric = Metric(metric)
        self._vectors = as_matrix(vectors)
        self._block = max(1, min(_ROWS, _BLOCK // (4 * max(1, self._vectors.shape[1]))))
        self.rows, self._centre = self._survey()
        if among is not None:
            self.rows = np.intersect1d(self.rows, among, assume_unique=True)
        self._complete = len(self.rows) == len(self._vectors)
        self._scale = np.empty(len(self.rows), np.float32)
        for part in self._parts():
            self._scale[part] = self._scale_of(self._taken(part))

    def __len__(self) -> int:
        return len(self.rows)

    def look_through(
        self,
        look: Callable[[slice, slice, NDArray[np.float32]], None],
        callback: Callback | None = None,
    ) -> None:
        """Have all blocks of scores looked at in a thread, one after the other.

        Each is looked at while the next one is computed; for the rest see `score_blocks`.
        """
        with ThreadPoolExecutor(1) as thread:
            looking: Future[None] | None = None
            for block in self.score_blocks(callback):
                if looking is not None:
                    looking.result()
                looking = thread.submit(look, *block)
            if looking is not None:
                looking.result()

    def score_blocks(
        self, callback: Callback | None = None
    ) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
        """Give the scores of all pairs, each block against itself and those after it.

        Parameters
        ----------
        callback : callable, optional
            Called with the share that is done before each block; what it raises ends the work.

        Yields
        ------
        (slice, slice, ndarray of shape (b, c), float32)
            Rows, columns, and scores, the larger the nearer, that are overwritten by the next but
            one. Each row meets its columns in ascending order. A vector's with itself is -inf.
        """
        parts = list(self._parts())
        total, done = len(parts) * (len(parts) + 1) // 2, 0
        rooms = [np.empty(self._block**2, np.float32) for _ in range(2)]
        for index, rows in enumerate(parts):
            left = self._prepared(rows)
            for columns in parts[index:]:
                if callback is not None:
                    callback(done / total)
                right = left if columns is rows else self._prepared(columns)
                scores = rooms[done % 2][: len(left) * len(right)].reshape(len(left), len(right))
                np.matmul(left, right.T, out=scores)
                if self.metric is Metric.EUCLIDEAN:  # -|a - b|² / 2 = a·b - |a|² / 2 - |b|² / 2
                    scores -= self._scale[rows, None]
                    scores -= self._scale[columns]
                if columns is rows:
                    np.fill_diagonal(scores, -np.inf)
                yield rows, columns, scores
                done += 1

    def score(self, distance: float) -> float:
        """The lowest score of vectors that are no farther apart, less what rounding may do."""
        if self.metric is Metric.COSINE:
            return 1 - distance - _ROUNDING
        return -(distance**2) / 2 - self._rounding

    def distance(self, score: float) -> float:
        """The distance within which all pairs surely have this score or a better one."""
        if self.metric is Metric.COSINE:
            return max(0.0, 1 - score - _ROUNDING)
        return float(np.sqrt(max(0.0, -2 * (score + self._rounding))))

    @property
    def _rounding(self) -> float:
        return _ROUNDING * float(self._scale.max(initial=0))

    def distances(
        self,
        first: NDArray[np.intp],
        second: NDArray[np.intp],
        scores: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Turn scores into distances; small ones are computed anew, from differences.

        Parameters
        ----------
        first, second : ndarray of shape (n,), intp
            Pairs of rows.
        scores : ndarray of shape (n,), float32
            Their scores.

        Returns
        -------
        ndarray of shape (n,), float32
        """
        if self.metric is Metric.COSINE:
            found = 1 - scores
            near = np.flatnonzero(found < _ROUGH)
        else:
            halves = np.maximum(-scores, 0)
            near = np.flatnonzero(halves < _ROUGH * self._scale.max(initial=0))
            found = np.sqrt(2 * halves)
        step = max(1, _GATHERED // max(1, self._vectors.shape[1]))

        def compute(start: int) -> None:
            part = near[start : start + step]
            found[part] = self._of_pairs(first[part], second[part])

        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            list(threads.map(compute, range(0, len(near), step)))
        return found

    def _of_pairs(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float32]:
        difference = self._prepared(first)
        difference -= self._prepared(second)
        squares: NDArray[np.float32] = np.einsum("ij,ij->i", difference, difference)
        # 1 - a·b = |a - b|² / 2 for vectors of length 1; those of zeros are not among near ones.
        if self.metric is Metric.EUCLIDEAN:
            squares = np.sqrt(squares)
        else:
            squares /= 2
        return squares

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self.rows), self._block):
            yield slice(start, min(start + self._block, len(self.rows)))

    def _survey(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find complete rows, and their mean: Euclidean distances are computed from there."""
        count, width = self._vectors.shape
        whole = np.empty(count, bool)
        total = np.zeros(width)
        for start in range(0, count, self._block):
            block = self._vectors[start : start + self._block]
            fine = whole[start : start + self._block] = np.isfinite(block).all(axis=1)
            if self.metric is Metric.EUCLIDEAN:
                total += block[fine].sum(axis=0, dtype=np.float64)
        rows = np.flatnonzero(whole)
        return rows, total / max(1, len(rows))

    def _taken(self, part: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        """Copy some of the rows."""
        if isinstance(part, slice) and self._complete:
            chosen = self._vectors[part]
        else:
            chosen = self._vectors[self.rows[part]]
        if self.metric is Metric.EUCLIDEAN:
            return np.subtract(chosen, self._centre, dtype=np.float64).astype(np.float32)
        return chosen.astype(np.float32, order="C")

    def _scale_of(self, taken: NDArray[np.float32]) -> NDArray[np.float64]:
        """1 / |a| for the cosine, |a|² / 2 for Euclidean distances."""
        squares = np.einsum("ij,ij->i", taken, taken, dtype=np.float64)
        if self.metric is Metric.EUCLIDEAN:
            return squares / 2
        lengths = np.sqrt(squares)
        return np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)

    def _prepared(self, part: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        taken = self._taken(part)
        if self.metric is Metric.COSINE:
            taken *= self._scale[part, None]
        return taken


def distances(
    vectors: ArrayLike,
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    metric: Metric | str = Metric.COSINE,
) -> NDArray[np.float32]:
    """Compute the distances of pairs of rows.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers.
    first, second : ndarray of shape (n,), intp
        Indices of rows.
    metric : {"cosine", "euclidean"}
        What near is.

    Returns
    -------
    ndarray of shape (n,), float32
        NaN where a number is missing.
    """
    matrix, found = as_matrix(vectors), np.empty(len(first), np.float32)
    step = max(1, _GATHERED // max(1, matrix.shape[1]))
    for start in range(0, len(first), step):
        ends = (matrix[rows[start : start + step]] for rows in (first, second))
        one, other = (rows.astype(np.float64) for rows in ends)
        if Metric(metric) is Metric.COSINE:
            lengths = [np.sqrt(np.einsum("ij,ij->i", rows, rows)) for rows in (one, other)]
            for rows, length in zip((one, other), lengths, strict=True):
                rows /= np.where(length == 0, 1, length)[:, None]
            halves = np.square(one - other).sum(axis=1) / 2
            has_zeros = (lengths[0] == 0) | (lengths[1] == 0)
            found[start : start + step] = np.where(has_zeros, 1, halves)
        else:
            found[start : start + step] = np.sqrt(np.square(one - other).sum(axis=1))
    return found


def places(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of what is true: five times as fast as `nonzero` where little is."""
    row, column = np.divmod(np.flatnonzero(mask), max(1, mask.shape[1]))
    return row, column


def as_matrix(vectors: ArrayLike) -> NDArray[Any]:
    """Return vectors as a matrix of floats, without a copy if they are one."""
    matrix = np.asarray(vectors)
    if matrix.ndim != 2:
        raise ValueError(f"Vectors are given as a matrix [N, D], not in {matrix.ndim} dimensions.")
    return matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float32)
