"""Inception v3: timm's, and Google's first release of 2015-12-05 as pytorch-fid publishes it.

Both call their weights alike. The blocks are those of arXiv:1512.00567 as torchvision and
timm/models/inception_v3.py write them down; each convolution has a batch normalisation (eps 0.001)
and a ReLU. The release of 2015 leaves the zeros around a map out of its means, and its last block
takes the largest number where the paper takes the mean (pytorch_fid/inception.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from orangecontrib.imageanalytics.models.building.files import main_file
from orangecontrib.imageanalytics.models.building.folding import folded
from orangecontrib.imageanalytics.models.building.graph import Graph
from orangecontrib.imageanalytics.models.building.state_dict import of_state_dict
from orangecontrib.imageanalytics.models.building.weights import Weights, of_safetensors
from orangecontrib.imageanalytics.models.recipes import Facts, InceptionV3

_EPS = 0.001


class _Conv(NamedTuple):
    """A convolution; padded ones of stride 1 keep the size of the map."""

    name: str
    out: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


class _Pool(StrEnum):
    MEAN = "mean"
    MAX = "max"
    SHRINK = "shrink"


#: What follows one after another; a pair is computed side by side, and both go on.
_Branch = tuple[_Conv | _Pool | tuple[_Conv, _Conv], ...]

_STEM: _Branch = (
    _Conv("Conv2d_1a_3x3", 32, (3, 3), stride=2, padded=False),
    _Conv("Conv2d_2a_3x3", 32, (3, 3), padded=False),
    _Conv("Conv2d_2b_3x3", 64, (3, 3)),
    _Pool.SHRINK,
    _Conv("Conv2d_3b_1x1", 80),
    _Conv("Conv2d_4a_3x3", 192, (3, 3), padded=False),
    _Pool.SHRINK,
)


def _a(pooled: int) -> tuple[_Branch, ...]:
    return (
        (_Conv("branch1x1", 64),),
        (_Conv("branch5x5_1", 48), _Conv("branch5x5_2", 64, (5, 5))),
        (
            _Conv("branch3x3dbl_1", 64),
            _Conv("branch3x3dbl_2", 96, (3, 3)),
            _Conv("branch3x3dbl_3", 96, (3, 3)),
        ),
        (_Pool.MEAN, _Conv("branch_pool", pooled)),
    )


def _c(width: int) -> tuple[_Branch, ...]:
    row, column = (1, 7), (7, 1)
    return (
        (_Conv("branch1x1", 192),),
        (
            _Conv("branch7x7_1", width),
            _Conv("branch7x7_2", width, row),
            _Conv("branch7x7_3", 192, column),
        ),
        (
            _Conv("branch7x7dbl_1", width),
            _Conv("branch7x7dbl_2", width, column),
            _Conv("branch7x7dbl_3", width, row),
            _Conv("branch7x7dbl_4", width, column),
            _Conv("branch7x7dbl_5", 192, row),
        ),
        (_Pool.MEAN, _Conv("branch_pool", 192)),
    )


def _e(pool: _Pool) -> tuple[_Branch, ...]:
    row, column = (1, 3), (3, 1)
    return (
        (_Conv("branch1x1", 320),),
        (
            _Conv("branch3x3_1", 384),
            (_Conv("branch3x3_2a", 384, row), _Conv("branch3x3_2b", 384, column)),
        ),
        (
            _Conv("branch3x3dbl_1", 448),
            _Conv("branch3x3dbl_2", 384, (3, 3)),
            (_Conv("branch3x3dbl_3a", 384, row), _Conv("branch3x3dbl_3b", 384, column)),
        ),
        (pool, _Conv("branch_pool", 192)),
    )


_B: tuple[_Branch, ...] = (
    (_Conv("branch3x3", 384, (3, 3), stride=2, padded=False),),
    (
        _Conv("branch3x3dbl_1", 64),
        _Conv("branch3x3dbl_2", 96, (3, 3)),
        _Conv("branch3x3dbl_3", 96, (3, 3), stride=2, padded=False),
    ),
    (_Pool.SHRINK,),
)

_D: tuple[_Branch, ...] = (
    (_Conv("branch3x3_1", 192), _Conv("branch3x3_2", 320, (3, 3), stride=2, padded=False)),
    (
        _Conv("branch7x7x3_1", 192),
        _Conv("branch7x7x3_2", 192, (1, 7)),
        _Conv("branch7x7x3_3", 192, (7, 1)),
        _Conv("branch7x7x3_4", 192, (3, 3), stride=2, padded=False),
    ),
    (_Pool.SHRINK,),
)


def _blocks(version: str) -> Iterator[tuple[str, tuple[_Branch, ...]]]:
    yield from zip(("Mixed_5b", "Mixed_5c", "Mixed_5d"), map(_a, (32, 64, 64)), strict=True)
    yield "Mixed_6a", _B
    names = "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"
    yield from zip(names, map(_c, (128, 160, 160, 192)), strict=True)
    yield "Mixed_7a", _D
    yield "Mixed_7b", _e(_Pool.MEAN)
    yield "Mixed_7c", _e(_Pool.MEAN if version == "timm" else _Pool.MAX)


def build(recipe: InceptionV3, files: Mapping[str, Path], destination: Path, facts: Facts) -> None:
    """Write Inception v3 up to its pooled activations; see `building.build`."""
    read = of_safetensors if recipe.version == "timm" else of_state_dict
    network = _Network(recipe, read(main_file(files)))
    network.run(_STEM, "")
    for name, branches in _blocks(recipe.version):
        network.run_side_by_side(name, branches)
    network.save(destination, facts)


class _Network:
    """The graph under construction: the map at its end, and how many channels that has."""

    def __init__(self, recipe: InceptionV3, weights: Weights) -> None:
        self._graph = Graph("inception_v3", recipe.pixels.size)
        self._recipe = recipe
        self._weights = weights
        self._at = self._graph.pixels(recipe.pixels), 3

    def run(self, branch: _Branch, block: str) -> tuple[str, int]:
        """Put the steps of a branch one after another, and return where that ends."""
        for number, step in enumerate(branch):
            if isinstance(step, _Conv):
                self._at = self._conv(step, block)
            elif isinstance(step, _Pool):
                self._at = self._pool(step, f"{block}pool{number}")
            else:
                ends = [self._conv(conv, block) for conv in step]
                self._at = self._joined(f"{block}{step[0].name}b", ends)
        return self._at

    def run_side_by_side(self, name: str, branches: tuple[_Branch, ...]) -> None:
        """Put the branches of a block side by side, and join their channels."""
        begin, ends = self._at, []
        for branch in branches:
            self._at = begin
            ends.append(self.run(branch, f"{name}."))
        self._at = self._joined(name, ends)

    def save(self, destination: Path, facts: Facts) -> None:
        """Put the mean over all places at the end, and write the file."""
        self._graph.pooled(self._at[0], "embedding")
        self._graph.save(destination, "embedding", self._recipe.dimension, facts)

    def _joined(self, name: str, ends: list[tuple[str, int]]) -> tuple[str, int]:
        maps, channels = zip(*ends, strict=True)
        return self._graph.node("Concat", *maps, name=name, axis=1), sum(channels)

    def _conv(self, conv: _Conv, block: str) -> tuple[str, int]:
        (x, channels), name = self._at, f"{block}{conv.name}"
        take = self._weights.take
        kernels, bias = folded(
            take(f"{name}.conv.weight", conv.out, channels, *conv.kernel),
            0.0,
            gain=take(f"{name}.bn.weight", conv.out),
            shift=take(f"{name}.bn.bias", conv.out),
            mean=take(f"{name}.bn.running_mean", conv.out),
            variance=take(f"{name}.bn.running_var", conv.out),
            eps=_EPS,
        )
        rows, columns = (side // 2 if conv.padded else 0 for side in conv.kernel)
        pads = rows, columns, rows, columns
        x = self._graph.conv(x, kernels, bias, name=name, stride=conv.stride, pads=pads)
        return self._graph.relu(x), conv.out

    def _pool(self, pool: _Pool, name: str) -> tuple[str, int]:
        x, channels = self._at
        if pool == _Pool.SHRINK:
            x = self._graph.max_pool(x, name, 3, 2)
        elif pool == _Pool.MAX:
            x = self._graph.max_pool(x, name, 3, 1, (1, 1, 1, 1))
        else:
            counted = int(self._recipe.version == "timm")
            sides: dict[str, Any] = {
                "kernel_shape": [3, 3],
                "strides": [1, 1],
                "pads": [1, 1, 1, 1],
            }
            x = self._graph.node("AveragePool", x, name=name, count_include_pad=counted, **sides)
        return x, channels
