"""Which rows of a matrix are the same: by sums that equal rows share, without an object per row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bytes that are summed at once.
_AT_ONCE = 4 * 2**20


def first_equals(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """Find for each row the first one that is equal to it, bit by bit.

    Parameters
    ----------
    matrix : ndarray of shape (N, D)
        Numbers of 4 or 8 bytes.

    Returns
    -------
    ndarray of shape (N,), intp
        The row itself if there is none before it, or if a number is missing.
    """
    sums = _sums(matrix)
    _, first, kind = np.unique(sums, return_index=True, return_inverse=True)
    found: NDArray[np.intp] = first[kind.ravel()]
    copies = np.flatnonzero(found != np.arange(len(matrix)))
    step = max(1, _AT_ONCE // (matrix.itemsize * max(1, matrix.shape[1])))
    for start in range(0, len(copies), step):
        some = copies[start : start + step]
        # By chance some sums are equal; and what is missing equals nothing.
        same = (matrix[some] == matrix[found[some]]).all(axis=1)
        found[some[~same]] = some[~same]
    return found


def _sums(matrix: NDArray[Any]) -> NDArray[np.uint64]:
    """Sum the bits of each row's numbers, weighted at random, modulo 2**64."""
    count, width = matrix.shape
    chance = np.random.default_rng(0)
    weights = chance.integers(2**64, size=width, dtype=np.uint64, endpoint=False) | np.uint64(1)
    bits = np.uint32 if matrix.itemsize == 4 else np.uint64
    sums = np.empty(count, np.uint64)
    step = max(1, _AT_ONCE // (8 * max(1, width)))
    for start in range(0, count, step):
        block = np.ascontiguousarray(matrix[start : start + step])
        sums[start : start + step] = block.view(bits).astype(np.uint64) @ weights
    return sums
