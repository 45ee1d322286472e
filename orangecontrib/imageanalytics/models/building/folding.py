"""A batch normalisation put into the layer before it: the same numbers, in less time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def folded(
    kernels: NDArray[np.float32],
    bias: NDArray[np.float32] | float,
    *,
    gain: NDArray[np.float32],
    shift: NDArray[np.float32],
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
    eps: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernels and bias of a layer that does what both do, computed in double precision.

    Parameters
    ----------
    kernels : ndarray of shape (out, ...)
        Of the layer.
    bias : ndarray of shape (out,) or float
        Of the layer.
    gain, shift, mean, variance : ndarray of shape (out,)
        Of the normalisation, as training left them: `(x - mean) / sqrt(variance + eps)`, times
        `gain`, plus `shift`.
    eps : float
        What keeps the root from zero.
    """
    scale = gain.astype(np.float64) / np.sqrt(variance.astype(np.float64) + eps)
    scaled = kernels * scale.reshape(-1, *(1,) * (kernels.ndim - 1))
    moved = shift + (np.asarray(bias, np.float64) - mean) * scale
    return scaled.astype(np.float32), moved.astype(np.float32)
