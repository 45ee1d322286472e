"""Pictures against words: cosines of their vectors, and which word fits best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.similarity.space import as_matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: What CLIP multiplies cosines with before the softmax: its learned temperature, at its limit.
#: A. Radford et al. (2021), Learning transferable visual models from natural language supervision.
TEMPERATURE = 100.0
#: Bytes that are converted at once.
_AT_ONCE = 32 * 2**20


class Pictures:
    """Vectors of pictures, prepared so that words are compared with them quickly.

    A hundred thousand vectors of 512 are compared with a text in 20 ms.

    Parameters
    ----------
    vectors : array-like of shape (N, D)
        Numbers; a picture with a missing number has no similarity to anything.
    """

    def __init__(self, vectors: ArrayLike) -> None:
        matrix = as_matrix(vectors)
        self._unit: NDArray[np.float32] = np.empty(matrix.shape, np.float32)
        step = max(1, _AT_ONCE // (4 * max(1, matrix.shape[1])))
        for start in range(0, len(matrix), step):
            self._unit[start : start + step] = unit(matrix[start : start + step])

    def __len__(self) -> int:
        return len(self._unit)

    def similarities(self, texts: ArrayLike) -> NDArray[np.float32]:
        """Compare with texts.

        Parameters
        ----------
        texts : array-like of shape (Q, D)
            Their vectors, by the same model.

        Returns
        -------
        ndarray of shape (N, Q), float32
            Cosines, from -1 to 1; NaN for pictures with a missing number. CLIP's are mostly from
            0.15 (has nothing to do with it) to 0.35 (fits very well).

        Raises
        ------
        ValueError
            If the numbers of columns differ.
        """
        wanted: NDArray[np.float32] = unit(as_matrix(texts))
        if wanted.shape[1] != self._unit.shape[1]:
            raise ValueError(
                f"The pictures' vectors have {self._unit.shape[1]} numbers, those of the texts "
                f"{wanted.shape[1]}: they are not of the same model."
            )
        found: NDArray[np.float32] = self._unit @ wanted.T
        return found


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale vectors to length 1; those of zeros stay so, those with a missing number become NaN."""
    rows = vectors.astype(np.float32)
    squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    lengths = np.sqrt(squares)
    lengths[lengths == 0] = 1
    lengths[~np.isfinite(lengths)] = np.nan
    rows /= lengths[:, None].astype(np.float32)
    return rows


def probabilities(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn similarities into the probability of each text, if one of them fits.

    Parameters
    ----------
    similarities : ndarray of shape (N, Q)
        Cosines.

    Returns
    -------
    ndarray of shape (N, Q), float32
        The softmax over the texts, with CLIP's temperature; NaN where the cosines are.
    """
    scaled = TEMPERATURE * similarities.astype(np.float64)
    if scaled.shape[1] == 0:
        return scaled.astype(np.float32)
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled.astype(np.float32)
