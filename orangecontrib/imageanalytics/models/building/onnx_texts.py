"""An ONNX file that turns texts into vectors: only what the vectors need is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from onnx import TensorProto, helper

from orangecontrib.imageanalytics.models.building.cutting import Cut
from orangecontrib.imageanalytics.models.building.onnx_images import length
from orangecontrib.imageanalytics.models.building.onnx_network import (
    Network,
    load,
    pruned,
    shape_of,
    shapes_of,
)
from orangecontrib.imageanalytics.models.building.splicing import Added, pool
from orangecontrib.imageanalytics.models.building.writing import write
from orangecontrib.imageanalytics.models.recipes import Facts, OnnxTexts, Pooling

#: Tokens of a text of CLIP; any number would do to find shapes.
_TOKENS = 77

_INTEGERS = {TensorProto.INT64, TensorProto.INT32}


def build(recipe: OnnxTexts, files: Mapping[str, Path], destination: Path, facts: Facts) -> None:
    """Keep what one output needs, with the inputs as they are; see `building.build`."""
    network = pruned(load(files), recipe.tensor)
    shapes = shapes_of(network, {name: [1, tokens] for name, tokens in _inputs(network).items()})
    cut = Cut(recipe.tensor, Pooling.NONE)
    dimension = length(network, cut, shapes, recipe.dimension)
    added = Added(network.names)
    graph = network.proto.graph
    added.nodes.extend(graph.node)
    embedding = pool(added, cut)
    del graph.node[:], graph.output[:]
    graph.node.extend(added.nodes)
    stated = shape_of(network.inputs()[0]) or (None,)
    batch = stated[0] or "N"
    graph.output.append(
        helper.make_tensor_value_info(embedding, TensorProto.FLOAT, [batch, dimension])
    )
    write(network.proto, destination, facts, network.arrays)


def _inputs(network: Network) -> dict[str, int]:
    """The inputs, each with how many tokens it takes."""
    found = {}
    for info in network.inputs():
        shape = shape_of(info)
        if shape is None or len(shape) != 2 or info.type.tensor_type.elem_type not in _INTEGERS:
            raise network.wrong(
                f"does not take texts as numbers of tokens, int64 [N, tokens]: its input "
                f"{info.name} is of another kind."
            )
        found[info.name] = shape[1] or _TOKENS
    if not found:
        raise network.wrong("takes no texts at all.")
    return found
