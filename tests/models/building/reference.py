"""What networks compute, written down once more in NumPy, in double precision and plain loops.

It shares no code and no operators with what it checks: sums over windows, as the papers have them.
Everything is [N, C, H, W].
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


def prepared(images: NDArray[np.uint8], mean: object, std: object) -> NDArray:
    """Pixels `uint8 [N, H, W, 3]` as `(x / 255 - mean) / std`, channels first."""
    return ((images / 255 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)


def padded(x: NDArray, rows: int, columns: int, value: float = 0) -> NDArray:
    """Rows and columns of one value around each map."""
    around = (0, 0), (0, 0), (rows, rows), (columns, columns)
    return np.pad(x, around, mode="constant", constant_values=value)


def windows(x: NDArray, height: int, width: int, stride: int) -> NDArray:
    """All places of a window: [N, C, rows, columns, height, width]."""
    return sliding_window_view(x, (height, width), (2, 3))[:, :, ::stride, ::stride]


def conv(
    x: NDArray,
    kernels: NDArray,
    bias: NDArray | float = 0.0,
    stride: int = 1,
    pad: tuple[int, int] = (0, 0),
) -> NDArray:
    """Cross-correlation, which deep learning calls convolution: kernels [out, in, h, w]."""
    found = windows(padded(x, *pad), *kernels.shape[2:], stride)
    y = np.tensordot(found, kernels.astype(np.float64), ((1, 4, 5), (1, 2, 3)))
    return y.transpose(0, 3, 1, 2) + np.reshape(bias, (1, -1, 1, 1))


def max_pool(x: NDArray, side: int, stride: int, pad: int = 0) -> NDArray:
    """The largest number in each window; outside there is nothing."""
    return windows(padded(x, pad, pad, -np.inf), side, side, stride).max((4, 5))


def mean_pool(x: NDArray, side: int, *, pad: int = 0, count_pad: bool = True) -> NDArray:
    """The mean of each window, one step apart; the zeros around count, or they do not."""
    total = windows(padded(x, pad, pad), side, side, 1).sum((4, 5))
    if count_pad:
        return total / side**2
    counted = windows(padded(np.ones_like(x), pad, pad), side, side, 1).sum((4, 5))
    return total / counted


def norm(
    x: NDArray, gain: NDArray, shift: NDArray, mean: NDArray, variance: NDArray, eps: float
) -> NDArray:
    """Batch normalisation of axis 1 with the statistics of training."""
    gain, shift, mean, variance = (
        np.reshape(v.astype(np.float64), (1, -1) + (1,) * (x.ndim - 2))
        for v in (gain, shift, mean, variance)
    )
    return (x - mean) / np.sqrt(variance + eps) * gain + shift


def relu(x: NDArray) -> NDArray:
    """Negative numbers become zero."""
    return np.maximum(x, 0)
