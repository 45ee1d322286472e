"""VGG-16 and VGG-19 in timm's layout: `features.N`, and the first two dense layers as convolutions.

timm/models/vgg.py: `features` counts convolutions, ReLUs and pools; `pre_logits.fc1` is the dense
layer fc6 as a convolution of 7 x 7, `pre_logits.fc2` is fc7 as one of 1 x 1, and ReLU follows each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orangecontrib.imageanalytics.models.building.files import main_file
from orangecontrib.imageanalytics.models.building.graph import Graph
from orangecontrib.imageanalytics.models.building.weights import Weights, of_safetensors
from orangecontrib.imageanalytics.models.recipes import Facts, Vgg

#: How many convolutions each block has: configurations D and E of the paper, arXiv:1409.1556.
_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

_SHRINKING = 32  # five pools, each by two


def build(recipe: Vgg, files: Mapping[str, Path], destination: Path, facts: Facts) -> None:
    """Write VGG up to fc7 after its ReLU; see `building.build`."""
    weights = of_safetensors(main_file(files))
    graph = Graph(f"vgg{recipe.depth}", recipe.pixels.size)
    x = _convolutions(graph, graph.pixels(recipe.pixels), weights, recipe)
    x = graph.node("Flatten", x, name="flat")
    width = recipe.dimension
    before = recipe.channels[-1], *(side // _SHRINKING for side in recipe.pixels.size)
    for name, layer in (("fc6", "pre_logits.fc1"), ("fc7", "pre_logits.fc2")):
        kernels = weights.take(f"{layer}.weight", width, *before).reshape(width, -1)
        bias = weights.take(f"{layer}.bias", width)
        x = graph.relu(graph.dense(x, kernels, bias, name=name))
        before = width, 1, 1
    graph.save(destination, x, recipe.dimension, facts)


def _convolutions(graph: Graph, x: str, weights: Weights, recipe: Vgg) -> str:
    index, before = 0, 3
    for channels, count in zip(recipe.channels, _CONVOLUTIONS[recipe.depth], strict=True):
        for _ in range(count):
            layer = f"features.{index}"
            kernels = weights.take(f"{layer}.weight", channels, before, 3, 3)
            bias = weights.take(f"{layer}.bias", channels)
            x = graph.relu(graph.conv(x, kernels, bias, name=layer, pads=(1, 1, 1, 1)))
            index, before = index + 2, channels
        x = graph.max_pool(x, f"features.{index}", 2, 2)
        index += 1
    return x
