"""The winner of Painter by Numbers, of its author's Keras 1 file (train_cnn.py of inejc/painters).

Blocks of convolutions of 3 x 3, each followed by a batch normalisation and a PReLU with a slope for
each place, and a pool after each block; then a dense layer of 2048, normalised, whose PReLU is the
embedding. Theano, on which it was trained, turns kernels around, which ONNX does not.

The author chose `mode=2` for the normalisations, which uses the statistics of the batch that a
painting happens to be in, also after training, and learns no others. So that a painting's embedding
does not depend on its neighbours, the statistics of one batch of paintings are taken once and kept;
that batch has to be given. A file with `mode=0` has its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from orangecontrib.imageanalytics.model_file.session import open_session
from orangecontrib.imageanalytics.models.building.files import broken, checked, main_file
from orangecontrib.imageanalytics.models.building.graph import IMAGE, Graph
from orangecontrib.imageanalytics.models.building.keras1 import Layer, read_keras1
from orangecontrib.imageanalytics.models.building.weights import Weights
from orangecontrib.imageanalytics.models.building.writing import write
from orangecontrib.imageanalytics.models.recipes import BATCH, Facts, Painters
from orangecontrib.imageanalytics.outcome import ModelFileError


@dataclass(frozen=True, slots=True)
class Norm:
    """A batch normalisation: its parameters, and over which axes it takes statistics."""

    name: str
    gain: NDArray[np.float32]
    shift: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    eps: float
    axes: tuple[int, ...]


Normalise = Callable[[Graph, str, Norm], str]

#: Means and variances by their names.
Statistics = dict[str, NDArray[np.float32]]

_LEAST = 16  # paintings in a batch, for statistics that mean something


def build(recipe: Painters, files: Mapping[str, Path], destination: Path, facts: Facts) -> None:
    """Write the network up to the PReLU after its dense layer; see `building.build`."""
    layers, weights = read_keras1(main_file(files))
    network = _Network(recipe, layers, weights)
    statistics: Statistics = {}
    if network.by_batch:
        if BATCH not in files:
            raise ModelFileError(
                f"{weights.path} normalises each painting by the others in its batch, and keeps no "
                f"statistics of its own. Name a folder of at least {_LEAST} paintings after it, "
                "from which they are taken."
            )
        statistics = network.statistics(_paintings(files[BATCH], recipe))
    graph, end = network.graph(_with(statistics))
    graph.save(destination, end, recipe.dimension, facts)


def _paintings(path: Path, recipe: Painters) -> NDArray[np.uint8]:
    """The batch: an array of NumPy's, uint8 [N, H, W, 3] RGB."""
    try:
        found = np.load(checked(path), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise broken(path, f"as an array, {error}") from error
    wanted = (*recipe.pixels.size, 3)
    if found.dtype != np.uint8 or found.shape[1:] != wanted or len(found) < _LEAST:
        raise ModelFileError(
            f"{path} should hold at least {_LEAST} paintings, uint8 of {wanted} each."
        )
    return found


class _Network:
    """The layers of the file, as they are met."""

    def __init__(self, recipe: Painters, layers: list[Layer], weights: Weights) -> None:
        self._recipe = recipe
        self._layers = layers
        self._weights = weights
        modes = {one.config.get("mode") for one in layers if one.kind == "BatchNormalization"}
        if modes not in ({0}, {2}):
            raise self._wrong(f"normalises in the modes {modes}, which are not understood")
        self.by_batch = modes == {2}

    def graph(self, normalise: Normalise) -> tuple[Graph, str]:
        """The graph, and the name of its end."""
        recipe, take = self._recipe, self._weights.take
        graph = Graph("painters", recipe.pixels.size)
        layers = iter(self._layers)
        x, before = graph.pixels(recipe.pixels), 3
        height, width = recipe.pixels.size
        for number, block in enumerate(recipe.blocks, 1):
            for channels in block:
                layer = self._layer(layers, "Convolution2D", 2)
                name, (kernels, bias) = layer.config["name"], layer.weights
                turned = take(kernels, channels, before, 3, 3)[:, :, ::-1, ::-1]
                x = graph.conv(x, turned, take(bias, channels), name=name, pads=(1, 1, 1, 1))
                x = self._activated(graph, x, layers, normalise, (channels, height, width))
                before = channels
            x = graph.max_pool(x, f"pool{number}", 2, 2)
            height, width = height // 2, width // 2
        x = graph.node("Flatten", x, name="flat")
        layer = self._layer(layers, "Dense", 2)
        name, (kernels, bias) = layer.config["name"], layer.weights
        size = recipe.dimension
        matrix = take(kernels, before * height * width, size).T
        x = graph.dense(x, matrix, take(bias, size), name=name)
        return graph, self._activated(graph, x, layers, normalise, (size,))

    def _activated(
        self,
        graph: Graph,
        x: str,
        layers: Iterator[Layer],
        normalise: Normalise,
        shape: tuple[int, ...],
    ) -> str:
        """A batch normalisation and a PReLU."""
        layer = self._layer(layers, "BatchNormalization", 4)
        gain, shift, mean, variance = (self._weights.take(w, shape[0]) for w in layer.weights)
        axes, eps = ((0, 2, 3) if len(shape) == 3 else (0,)), float(layer.config["epsilon"])
        norm = Norm(layer.config["name"], gain, shift, mean, variance, eps, axes)
        x = normalise(graph, x, norm)
        layer = self._layer(layers, "PReLU", 1)
        name = layer.config["name"]
        slopes = self._weights.take(layer.weights[0], *shape)
        return graph.node("PRelu", x, graph.constant(f"{name}/slopes", slopes), name=name)

    def _layer(self, layers: Iterator[Layer], kind: str, count: int) -> Layer:
        """The next layer, if it is of the kind that has to come now."""
        layer = next(layers, None)
        if layer is None or layer.kind != kind or len(layer.weights) != count:
            met = "nothing" if layer is None else f"a {layer.kind}"
            raise self._wrong(f"has {met} in place of a {kind} with {count} weights")
        return layer

    def statistics(self, paintings: NDArray[np.uint8]) -> Statistics:
        """Means and variances of a batch, as the author's code takes them."""
        shapes: dict[str, list[int]] = {}
        graph, end = self.graph(_with_the_batch(shapes))
        proto = graph.proto(end, self._recipe.dimension)
        del proto.graph.output[:]
        proto.graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "statistics.onnx"
            write(proto, path, {}, graph.arrays)
            found = open_session(path, "cpu").run(list(shapes), {IMAGE: paintings})
        return {name: value.reshape(-1) for name, value in zip(shapes, found, strict=True)}

    def _wrong(self, fault: str) -> ModelFileError:
        return ModelFileError(f"{self._weights.path} {fault}. It is not the file of Painters.")


def _with(statistics: Statistics) -> Normalise:
    """Normalise with these statistics, or the file's own."""

    def normalise(graph: Graph, x: str, norm: Norm) -> str:
        values = {
            "gain": norm.gain,
            "shift": norm.shift,
            "mean": statistics.get(f"{norm.name}/mean", norm.mean),
            "variance": statistics.get(f"{norm.name}/variance", norm.variance),
        }
        names = [graph.constant(f"{norm.name}/{part}", value) for part, value in values.items()]
        return graph.node("BatchNormalization", x, *names, name=norm.name, epsilon=norm.eps)

    return normalise


def _with_the_batch(shapes: dict[str, list[int]]) -> Normalise:
    """Normalise with the statistics of what is computed, and note their names and shapes."""

    def normalise(graph: Graph, x: str, norm: Norm) -> str:
        name, axes = norm.name, list(norm.axes)
        channels = [-1, *(1,) * (len(axes) - 1)]
        mean = graph.node("ReduceMean", x, name=f"{name}/mean", axes=axes)
        x = graph.node("Sub", x, mean, name=f"{name}/centred")
        square = graph.node("Mul", x, x, name=f"{name}/square")
        variance = graph.node("ReduceMean", square, name=f"{name}/variance", axes=axes)
        shapes.update({key: [1, len(norm.gain), *channels[1:]] for key in (mean, variance)})
        eps = graph.constant(f"{name}/eps", np.array(norm.eps, np.float32))
        positive = graph.node("Add", variance, eps, name=f"{name}/positive")
        spread = graph.node("Sqrt", positive, name=f"{name}/spread")
        x = graph.node("Div", x, spread, name=f"{name}/scaled")
        gain = graph.constant(f"{name}/gain", norm.gain.reshape(channels))
        shift = graph.constant(f"{name}/shift", norm.shift.reshape(channels))
        x = graph.node("Mul", x, gain, name=f"{name}/gained")
        return graph.node("Add", x, shift, name=name)

    return normalise
