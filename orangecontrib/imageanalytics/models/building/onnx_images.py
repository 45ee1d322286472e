"""Any ONNX file of a network for images, made into one of our kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from orangecontrib.imageanalytics.models.building.cutting import Cut, before_classifier
from orangecontrib.imageanalytics.models.building.onnx_network import (
    Network,
    Shape,
    load,
    pruned,
    shape_of,
    shapes_of,
)
from orangecontrib.imageanalytics.models.building.splicing import Added, pool, prepare
from orangecontrib.imageanalytics.models.building.writing import write
from orangecontrib.imageanalytics.models.recipes import Facts, OnnxImages, Pixels, Pooling

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}


def build(recipe: OnnxImages, files: Mapping[str, Path], destination: Path, facts: Facts) -> None:
    """Cut a network where the recipe says, and give it pixels to take; see `building.build`."""
    network = load(files)
    tensor = recipe.tensor or _only_output(network)
    network = pruned(network, tensor)
    image, axes = _image(network, recipe.pixels)
    shapes = shapes_of(network, {image.name: axes})
    cut = Cut(tensor, recipe.pooling)
    if recipe.tensor is None:
        cut = before_classifier(network, tensor, shapes)
        network = pruned(network, cut.tensor)
    dimension = length(network, cut, shapes, recipe.dimension)
    is_open = (shape_of(image) or (None,))[0] is None
    batch: str | int = "N" if is_open else 1

    graph = network.proto.graph
    added = Added(network.names)
    pixels = prepare(added, recipe.pixels, image, channels_first=axes[1] == 3)
    added.nodes.extend(graph.node)
    embedding = pool(added, cut)
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(added.nodes)
    graph.initializer.extend(added.constants)
    size = recipe.pixels.size
    graph.input.append(helper.make_tensor_value_info(pixels, TensorProto.UINT8, [batch, *size, 3]))
    graph.output.append(
        helper.make_tensor_value_info(embedding, TensorProto.FLOAT, [batch, dimension])
    )
    write(network.proto, destination, facts, network.arrays)


def _only_output(network: Network) -> str:
    """The output that is a classifier's: the only one, or the one that is called logits."""
    names = [info.name for info in network.proto.graph.output]
    if len(names) > 1 and "logits" in names:
        return "logits"
    if len(names) != 1:
        raise network.wrong(f"has several outputs ({', '.join(names)}). Name the one to use.")
    return names[0]


def _image(network: Network, pixels: Pixels) -> tuple[onnx.ValueInfoProto, list[int]]:
    """The one input, and its shape for one image of the recipe's size."""
    inputs = network.inputs()
    if len(inputs) != 1:
        listed = ", ".join(info.name for info in inputs) or "none"
        raise network.wrong(f"should need one input, for images, and needs {listed}.")
    (image,) = inputs
    stated = shape_of(image) or ()
    kind = image.type.tensor_type.elem_type
    if len(stated) != 4 or kind not in _FLOATS:
        raise network.wrong(
            f"does not take images as float32 [N, 3, H, W] or [N, H, W, 3]: its input "
            f"{image.name} is {TensorProto.DataType.Name(kind).lower()} {_listed(stated)}."
        )
    height, width = pixels.size
    last = stated[3] == 3 and stated[1] != 3
    axes = [1, height, width, 3] if last else [1, 3, height, width]
    if any(own not in (None, given) for own, given in zip(stated, axes, strict=True)):
        raise network.wrong(
            f"takes images of the shape {_listed(stated)}, not of {height} x {width} pixels "
            "in three colours, one at a time or any number."
        )
    return image, axes


def length(network: Network, cut: Cut, shapes: Mapping[str, Shape], stated: int | None) -> int:
    """How long the vectors are.

    Raises
    ------
    ModelFileError
        If the tensor is none that gives one vector for each image, or of another length than is
        stated.
    """
    shape = shapes.get(cut.tensor)
    wanted = {Pooling.SPATIAL: 4, Pooling.CLASS_TOKEN: 3, Pooling.MEAN_TOKEN: 3}.get(cut.pooling)
    if shape is None or (wanted is not None and len(shape) != wanted):
        raise network.wrong(f"has {cut.tensor!r} of the shape {_listed(shape)}: not {cut.pooling}.")
    if cut.pooling == Pooling.NONE:
        long = [side for side in shape[1:] if side != 1]
        found = long[0] if len(long) == 1 else None
    else:
        found = shape[1] if cut.pooling == Pooling.SPATIAL else shape[-1]
    if found is None:
        raise network.wrong(
            f"does not give one vector per image: {cut.tensor!r} has the shape {_listed(shape)}."
        )
    if stated is not None and found != stated:
        raise network.wrong(f"gives vectors of {found} numbers, not of {stated}.")
    return found


def _listed(shape: Shape | None) -> str:
    if shape is None:
        return "that is not stated"
    return f"[{', '.join('?' if side is None else str(side) for side in shape)}]"
