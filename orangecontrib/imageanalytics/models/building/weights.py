"""The weights of a network by name, whatever their file: float32, of the right shape, finite.

A file that was cut off, damaged or belongs to another network is refused here, so that it cannot
become a model that gives wrong numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.models.building.files import broken
from orangecontrib.imageanalytics.outcome import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights in a file.

    Attributes
    ----------
    path : Path
        The file, for messages.
    shapes : mapping of str to tuple of int
        What there is, by name.
    read : callable
        Reads one of them.
    """

    path: Path
    shapes: Mapping[str, Shape]
    read: Callable[[str], NDArray]

    def take(self, name: str, *shape: int) -> NDArray[np.float32]:
        """One of the weights.

        Parameters
        ----------
        name : str
            What the file calls it.
        *shape : int
            The shape that it must have.

        Raises
        ------
        ModelFileError
            If it is not there, or has another shape, no floating-point numbers, or a value that
            is not finite.
        """
        found = self.shapes.get(name)
        if found is None:
            raise self._wrong(f"has no weights named {name!r}")
        if tuple(found) != shape:
            raise self._wrong(f"has weights {name!r} of shape {list(found)}, not {list(shape)}")
        try:
            value = self.read(name)
        except (OSError, ValueError, TypeError) as error:
            raise broken(self.path, f"{name}: {error}") from error
        if value.shape != shape or value.dtype.kind != "f" or value.dtype.itemsize not in (2, 4, 8):
            raise self._wrong(f"has weights {name!r} of an unusable kind ({value.dtype})")
        with np.errstate(over="ignore"):  # it becomes infinity, and is refused as such
            value = value.astype(np.float32, copy=False)
        if not np.isfinite(value).all():
            raise self._wrong(f"has weights {name!r} that are not all finite numbers")
        return value

    def _wrong(self, fault: str) -> ModelFileError:
        return ModelFileError(
            f"{self.path} {fault}. It is damaged, or belongs to another network: "
            "fetch the file that the model's description names."
        )


def of_safetensors(path: Path) -> Weights:
    """The weights in a file of safetensors, which holds numbers and nothing else.

    Raises
    ------
    ModelFileError
        If it is not a whole file of safetensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(str(path), framework="numpy")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise broken(path, error) from error

    def read(name: str) -> NDArray:
        try:
            return file.get_tensor(name)
        except SafetensorError as error:
            raise ValueError(str(error)) from error

    return Weights(path, shapes, read)
