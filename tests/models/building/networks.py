"""Networks with random weights, as files in their authors' formats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Arrays = dict[str, NDArray[np.float32]]


class Random:
    """Weights of a size that keeps what is computed neither vanishing nor growing."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def kernels(self, *shape: int, inputs: int | None = None) -> NDArray[np.float32]:
        """Normal, with He's variance: two by the number of inputs."""
        inputs = inputs or int(np.prod(shape[1:]))
        return (self._rng.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32)

    def small(self, *shape: int) -> NDArray[np.float32]:
        """Biases and means."""
        return (0.1 * self._rng.standard_normal(shape)).astype(np.float32)

    def positive(self, *shape: int) -> NDArray[np.float32]:
        """Gains and variances: from 0.5 to 1.5."""
        return self._rng.uniform(0.5, 1.5, shape).astype(np.float32)


def images(height: int, width: int, count: int = 2) -> NDArray[np.uint8]:
    """Noise and a gradient, uint8 [N, H, W, 3]."""
    found = np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    gradient = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    found[-1] = gradient.astype(np.uint8)
    return found


def as_safetensors(path: Path, weights: Mapping[str, NDArray]) -> Path:
    """Write weights as safetensors."""
    save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, path)
    return path
