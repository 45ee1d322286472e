"""All vectors by how alike they are to some: "more like this"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.similarity.space import Metric, as_matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

#: Bytes of the distances that are ranked at once, and of the rows that are converted at once.
_AT_ONCE = 32 * 2**20


def rank(
    vectors: ArrayLike, selected: ArrayLike, metric: Metric | str = Metric.COSINE
) -> NDArray[np.intp]:
    """Sort vectors by how alike they are to the selected ones.

    Each selected vector ranks all others by distance; what counts is the mean of these ranks. So
    a vector comes early that is rather near to all selected ones, and no selected one counts for
    more because everything is near to it.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers.
    selected : array-like of shape (s,), int
        Indices of rows of `vectors`.
    metric : {"cosine", "euclidean"}
        What alike is.

    Returns
    -------
    ndarray of shape (N,), intp
        Indices of all rows: first the selected ones as they are given, then the others, the most
        alike first (equally alike ones in the order of the rows), last those with a missing number.

    Raises
    ------
    ValueError
        If `vectors` is no matrix, nothing is selected, or there is no such metric.
    IndexError
        If a selected row is not there.

    Examples
    --------
    >>> rank([[0, 1], [1, 0], [1, 0.1], [1, 1]], [1]).tolist()
    [1, 2, 3, 0]
    """
    matrix = as_matrix(vectors)
    chosen = np.asarray(selected, np.intp).ravel()
    if len(chosen) == 0:
        raise ValueError("Nothing is selected that the others could be compared with.")
    first = np.arange(len(matrix))[chosen]  # negative ones count from the end, as ever
    first = first[np.sort(np.unique(first, return_index=True)[1])]
    order = rank_by(matrix, matrix[first], metric)
    others = np.ones(len(matrix), bool)
    others[first] = False
    return np.concatenate([first, order[others[order]]])


def rank_by(
    vectors: ArrayLike, references: ArrayLike, metric: Metric | str = Metric.COSINE
) -> NDArray[np.intp]:
    """Sort vectors by how alike they are to others, such as those of query pictures.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers.
    references : array-like of shape (s, D)
        What they are compared with, as in `rank`. Rows with a missing number do not count.
    metric : {"cosine", "euclidean"}
        What alike is.

    Returns
    -------
    ndarray of shape (N,), intp
        Indices of all rows of `vectors`, the most alike first; last those with a missing number.

    Raises
    ------
    ValueError
        If one is no matrix, the numbers of columns differ, or no reference is complete.
    """
    from scipy.stats import rankdata

    matrix, others = as_matrix(vectors), as_matrix(references)
    if matrix.shape[1] != others.shape[1]:
        raise ValueError(
            f"The vectors have {matrix.shape[1]} numbers each, what they are compared with "
            f"{others.shape[1]}: they are not of the same model."
        )
    others = others[np.isfinite(others).all(axis=1)]
    if len(others) == 0:
        raise ValueError("Nothing without a missing number is there to compare with.")
    total = np.zeros(len(matrix))
    for distances in _distances(matrix, others, Metric(metric)):
        missing = ~np.isfinite(distances)
        distances[missing] = np.inf
        total += rankdata(distances, axis=0).sum(axis=1)
        total[missing.any(axis=1)] = np.inf
    return np.argsort(total, kind="stable")


def _distances(
    matrix: NDArray[np.floating], references: NDArray[np.floating], metric: Metric
) -> Iterator[NDArray[np.float32]]:
    """Give distances [N, r], or what grows with them, to some of the references at a time."""
    step = max(1, _AT_ONCE // (4 * max(1, len(matrix))))
    rows = max(1, _AT_ONCE // (4 * max(1, matrix.shape[1])))
    # From their middle Euclidean distances to the references are precise where they are small.
    centre = references.mean(axis=0) if metric is Metric.EUCLIDEAN else 0.0
    for start in range(0, len(references), step):
        some = np.subtract(references[start : start + step], centre).astype(np.float32)
        found = np.empty((len(matrix), len(some)), np.float32)
        for first in range(0, len(matrix), rows):
            block = np.subtract(matrix[first : first + rows], centre).astype(np.float32, copy=False)
            found[first : first + rows] = _between(block, some, metric)
        yield found


def _between(
    block: NDArray[np.float32], references: NDArray[np.float32], metric: Metric
) -> NDArray[np.float32]:
    products = block @ references.T
    if metric is Metric.COSINE:
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        lengths = lengths * np.sqrt(np.einsum("ij,ij->i", references, references))
        with np.errstate(invalid="ignore"):
            cosines = products / np.where(lengths == 0, 1, lengths)
        return np.float32(1) - cosines
    squares = np.einsum("ij,ij->i", block, block)[:, None]
    return squares + np.einsum("ij,ij->i", references, references) - 2 * products
