"""The weights in a file that Keras 1 saved (HDF5), layer by layer.

`model_weights` holds a group for each layer, whose attribute `weight_names` gives the order of its
arrays; the attribute `model_config` of the file describes the layers as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from orangecontrib.imageanalytics.models.building.files import broken
from orangecontrib.imageanalytics.models.building.weights import Weights
from orangecontrib.imageanalytics.outcome import ModelFileError


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that has weights.

    Attributes
    ----------
    kind : str
        Its class in Keras.
    config : dict
        What Keras says of it.
    weights : tuple of str
        The names of its weights, in Keras's order.
    """

    kind: str
    config: dict[str, Any]
    weights: tuple[str, ...]


def read_keras1(path: Path) -> tuple[list[Layer], Weights]:
    """Read a Sequential model of Keras 1.

    Returns
    -------
    list of Layer
        Those with weights, in order.
    Weights
        By the names that the layers give.

    Raises
    ------
    ModelFileError
        If h5py is missing, or the file is not such a model.
    """
    try:
        import h5py
    except ImportError as error:
        raise ModelFileError(
            f"{path} is a file of HDF5, which needs h5py to be read: pip install h5py."
        ) from error
    try:
        with h5py.File(path, "r") as file:
            config = json.loads(_text(file.attrs["model_config"]))["config"]
            groups = file["model_weights"]
            named = {one["config"]["name"]: one for one in config}
            layers, shapes = [], {}
            for name in map(_text, groups.attrs["layer_names"]):
                weights = tuple(f"{name}/{_text(w)}" for w in groups[name].attrs["weight_names"])
                if weights:
                    said = named[name]
                    layers.append(Layer(said["class_name"], said["config"], weights))
                shapes.update({weight: tuple(groups[weight].shape) for weight in weights})
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise broken(path, f"as a model of Keras 1, {error}") from error

    def read(name: str) -> NDArray:
        with h5py.File(path, "r") as file:
            weight = file["model_weights"][name]
            elsewhere = weight.file.filename != file.filename  # by a link
            if weight.external or weight.is_virtual or elsewhere:
                raise ValueError("its numbers are in another file")
            return weight[()]

    return layers, Weights(path, shapes, read)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
