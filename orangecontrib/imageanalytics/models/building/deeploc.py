"""DeepLoc of its authors' checkpoint (DeepLoc_train.py and nn_layers.py of okraus/DeepLoc).

Its pictures have two colours: what is looked for (green), and the cell (red). Each is stretched
between its percentiles 0.1 and 99.9 (`stretchVector` in preprocess_images.py), and the middle of
60 x 60 goes into the network. Batch normalisations (eps 0.001) keep a moving average of means and
variances, which TensorFlow names after the operations that computed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from orangecontrib.imageanalytics.models.building.checkpoint import of_checkpoint
from orangecontrib.imageanalytics.models.building.folding import folded
from orangecontrib.imageanalytics.models.building.graph import IMAGE, Graph
from orangecontrib.imageanalytics.models.building.weights import Weights
from orangecontrib.imageanalytics.models.recipes import DeepLoc, Facts
from orangecontrib.imageanalytics.outcome import ModelFileError

_EPS = 0.001
_SIDE = 60
_LEFT = 8  # what three pools leave of it
_PERCENTILES = 0.1, 99.9

#: The numbers of the convolutions after which there is a pool.
_POOLED = {2, 4, 8}

#: What the operations are called that give mean and variance, in TensorFlow 1.0 and later.
_MEAN, _VARIANCE = ("mean", "Squeeze"), ("variance", "Squeeze_1")


def build(recipe: DeepLoc, files: Mapping[str, Path], destination: Path, facts: Facts) -> None:
    """Write DeepLoc up to fc_2 after its ReLU; see `building.build`."""
    variables = _Variables(of_checkpoint(files))
    graph = Graph("deeploc", recipe.size)
    x, before = _middle(graph, _stretched(graph, recipe.size), recipe.size), 2
    for number, channels in enumerate(recipe.channels, 1):
        name = f"conv_{number}"
        kernels, bias = variables.layer(name, 3, 3, before, channels)
        kernels = kernels.transpose(3, 2, 0, 1)
        x = graph.relu(graph.conv(x, kernels, bias, name=name, pads=(1, 1, 1, 1)))
        if number in _POOLED:
            sides: dict[str, Any] = {
                "kernel_shape": [2, 2],
                "strides": [2, 2],
                "auto_pad": "SAME_UPPER",
            }
            x = graph.node("MaxPool", x, name=f"{name}/pool", **sides)
        before = channels
    x = graph.node("Flatten", x, name="flat")
    for name, width in (("fc_1", _LEFT * _LEFT * before), ("fc_2", recipe.dimension)):
        weights, bias = variables.layer(name, width, recipe.dimension)
        if name == "fc_1":  # TensorFlow's maps have the channels last
            by_place = weights.reshape(_LEFT, _LEFT, before, -1)
            weights = by_place.transpose(2, 0, 1, 3).reshape(width, -1)
        x = graph.relu(graph.dense(x, weights.T, bias, name=name))
    graph.save(destination, x, recipe.dimension, facts)


def _stretched(graph: Graph, size: tuple[int, int]) -> str:
    """The input's green and red, [N, 2, H, W], from 0 to 1 as far as they differ at all."""
    x = graph.node("Transpose", IMAGE, name="channels_first", perm=[0, 3, 1, 2])
    x = graph.node("Gather", x, graph.constant("green_red", np.array([1, 0])), name="two", axis=1)
    x = graph.node("Cast", x, name="pixels", to=TensorProto.FLOAT)
    every = graph.constant("every", np.array([0, 2, -1]))
    flat = graph.node("Reshape", x, every, name="vectors")
    count = size[0] * size[1]
    low, high = (_percentile(graph, flat, percent, count) for percent in _PERCENTILES)
    y = graph.node("Sub", graph.node("Min", flat, high, name="capped"), low, name="raised")
    one = graph.constant("one", np.array(1, np.float32))
    span = graph.node("Max", graph.node("Sub", high, low, name="span"), one, name="wide")
    y = graph.node("Div", y, span, name="stretched")
    shape = graph.constant("maps", np.array([0, 2, *size]))
    return graph.node("Reshape", y, shape, name="colours")


def _percentile(graph: Graph, x: str, percent: float, count: int) -> str:
    """A percentile of each vector, between its two neighbours as NumPy's is: [N, 2, 1]."""
    place = percent / 100 * (count - 1)
    below = int(place)
    share = np.float32(place - below)
    largest = percent > 50
    kept = count - below if largest else below + 2
    weights = np.zeros(kept, np.float32)
    # Sorted from the far end: the last two are the neighbours, the outer one before the inner.
    weights[-2:] = (share, 1 - share) if largest else (1 - share, share)
    name = f"percentile_{percent}"
    number = graph.constant(f"{name}/kept", np.array([kept]))
    settings: dict[str, Any] = {"others": [f"{name}/places"], "largest": int(largest), "axis": -1}
    found = graph.node("TopK", x, number, name=name, **settings)
    shares = graph.constant(f"{name}/share", weights[:, None])
    return graph.node("MatMul", found, shares, name=f"{name}/value")


def _middle(graph: Graph, x: str, size: tuple[int, int]) -> str:
    begin = np.array([(side - _SIDE) // 2 for side in size])
    places = (("from", begin), ("to", begin + _SIDE), ("axes", np.array([2, 3])))
    return graph.node("Slice", x, *(graph.constant(*place) for place in places), name="middle")


class _Variables:
    """The variables by the layers that they belong to."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def layer(self, name: str, *shape: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernels (as TensorFlow has them, what comes out last) and bias, normalised."""
        out = shape[-1]
        norm = f"{name}_batch_norm"
        kernels, bias = folded(
            np.moveaxis(self._take(f"{name}/weights/", ("Variable",), *shape), -1, 0),
            self._take(f"{name}/biases/", ("Variable",), out),
            gain=self._take(f"/{norm}/", ("gamma",), out),
            shift=self._take(f"/{norm}/", ("beta",), out),
            mean=self._average(norm, _MEAN, out),
            variance=self._average(norm, _VARIANCE, out),
            eps=_EPS,
        )
        return np.moveaxis(kernels, 0, -1), bias

    def _average(self, norm: str, ends: tuple[str, ...], size: int) -> NDArray[np.float32]:
        names = tuple(f"{end}/ExponentialMovingAverage" for end in ends)
        return self._take(f"{norm}/", names, size)

    def _take(self, part: str, ends: tuple[str, ...], *shape: int) -> NDArray[np.float32]:
        """The one variable with this part in its name and one of these ends."""
        found = [
            name
            for name in self._weights.shapes
            if (name.startswith(part) or f"/{part.lstrip('/')}" in f"/{name}")
            and any(name.endswith(f"/{end}") for end in ends)
        ]
        if len(found) != 1:
            raise ModelFileError(
                f"{self._weights.path} should have one variable {part}.../{ends[0]}, and has "
                f"{len(found)}. It is not a checkpoint of DeepLoc."
            )
        return self._weights.take(found[0], *shape)
