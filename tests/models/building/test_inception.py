"""Inception v3 of timm's and of pytorch-fid's files gives the numbers of the network."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.building import build
from orangecontrib.imageanalytics.models.recipes import (
    HALF,
    INCEPTION_2015,
    MAIN,
    InceptionV3,
    Pixels,
)
from orangecontrib.imageanalytics.outcome import ModelFileError
from tests.models.building import reference
from tests.models.building.networks import Arrays, Random, as_safetensors, images
from tests.models.building.torch_files import save

#: The smallest images that leave something to pool.
SIZE = (75, 80)


class Network:
    """The network as torchvision and pytorch-fid have it; weights are made as they are met."""

    def __init__(self, released_2015: bool) -> None:
        self.weights: Arrays = {}
        self._random = Random(3)
        self._2015 = released_2015

    def conv(self, x: NDArray, name: str, out: int, kernel=(1, 1), stride=1, pad=(0, 0)) -> NDArray:
        weights = self.weights
        if f"{name}.conv.weight" not in weights:
            weights[f"{name}.conv.weight"] = self._random.kernels(out, x.shape[1], *kernel)
            weights[f"{name}.bn.weight"] = self._random.positive(out)
            weights[f"{name}.bn.bias"] = self._random.small(out)
            weights[f"{name}.bn.running_mean"] = self._random.small(out)
            weights[f"{name}.bn.running_var"] = self._random.positive(out)
        y = reference.conv(x, weights[f"{name}.conv.weight"], stride=stride, pad=pad)
        parts = ("weight", "bias", "running_mean", "running_var")
        y = reference.norm(y, *(weights[f"{name}.bn.{part}"] for part in parts), eps=0.001)
        return reference.relu(y)

    def mean(self, x: NDArray) -> NDArray:
        return reference.mean_pool(x, 3, pad=1, count_pad=not self._2015)

    def a(self, x: NDArray, b: str, pooled: int) -> NDArray:
        conv = self.conv
        five = conv(conv(x, f"{b}.branch5x5_1", 48), f"{b}.branch5x5_2", 64, (5, 5), 1, (2, 2))
        three = conv(x, f"{b}.branch3x3dbl_1", 64)
        three = conv(three, f"{b}.branch3x3dbl_2", 96, (3, 3), 1, (1, 1))
        three = conv(three, f"{b}.branch3x3dbl_3", 96, (3, 3), 1, (1, 1))
        pool = conv(self.mean(x), f"{b}.branch_pool", pooled)
        return np.concatenate([conv(x, f"{b}.branch1x1", 64), five, three, pool], 1)

    def b(self, x: NDArray, b: str) -> NDArray:
        three = self.conv(x, f"{b}.branch3x3", 384, (3, 3), 2)
        double = self.conv(x, f"{b}.branch3x3dbl_1", 64)
        double = self.conv(double, f"{b}.branch3x3dbl_2", 96, (3, 3), 1, (1, 1))
        double = self.conv(double, f"{b}.branch3x3dbl_3", 96, (3, 3), 2)
        return np.concatenate([three, double, reference.max_pool(x, 3, 2)], 1)

    def c(self, x: NDArray, b: str, width: int) -> NDArray:
        conv = self.conv
        seven = conv(x, f"{b}.branch7x7_1", width)
        seven = conv(seven, f"{b}.branch7x7_2", width, (1, 7), 1, (0, 3))
        seven = conv(seven, f"{b}.branch7x7_3", 192, (7, 1), 1, (3, 0))
        double = conv(x, f"{b}.branch7x7dbl_1", width)
        double = conv(double, f"{b}.branch7x7dbl_2", width, (7, 1), 1, (3, 0))
        double = conv(double, f"{b}.branch7x7dbl_3", width, (1, 7), 1, (0, 3))
        double = conv(double, f"{b}.branch7x7dbl_4", width, (7, 1), 1, (3, 0))
        double = conv(double, f"{b}.branch7x7dbl_5", 192, (1, 7), 1, (0, 3))
        pool = conv(self.mean(x), f"{b}.branch_pool", 192)
        return np.concatenate([conv(x, f"{b}.branch1x1", 192), seven, double, pool], 1)

    def d(self, x: NDArray, b: str) -> NDArray:
        three = self.conv(x, f"{b}.branch3x3_1", 192)
        three = self.conv(three, f"{b}.branch3x3_2", 320, (3, 3), 2)
        seven = self.conv(x, f"{b}.branch7x7x3_1", 192)
        seven = self.conv(seven, f"{b}.branch7x7x3_2", 192, (1, 7), 1, (0, 3))
        seven = self.conv(seven, f"{b}.branch7x7x3_3", 192, (7, 1), 1, (3, 0))
        seven = self.conv(seven, f"{b}.branch7x7x3_4", 192, (3, 3), 2)
        return np.concatenate([three, seven, reference.max_pool(x, 3, 2)], 1)

    def e(self, x: NDArray, b: str, *, largest: bool) -> NDArray:
        conv = self.conv
        three = conv(x, f"{b}.branch3x3_1", 384)
        row = conv(three, f"{b}.branch3x3_2a", 384, (1, 3), 1, (0, 1))
        column = conv(three, f"{b}.branch3x3_2b", 384, (3, 1), 1, (1, 0))
        double = conv(x, f"{b}.branch3x3dbl_1", 448)
        double = conv(double, f"{b}.branch3x3dbl_2", 384, (3, 3), 1, (1, 1))
        row2 = conv(double, f"{b}.branch3x3dbl_3a", 384, (1, 3), 1, (0, 1))
        column2 = conv(double, f"{b}.branch3x3dbl_3b", 384, (3, 1), 1, (1, 0))
        pool = reference.max_pool(x, 3, 1, 1) if largest else self.mean(x)
        pool = conv(pool, f"{b}.branch_pool", 192)
        one = conv(x, f"{b}.branch1x1", 320)
        return np.concatenate([one, row, column, row2, column2, pool], 1)

    def __call__(self, x: NDArray) -> NDArray:
        x = self.conv(x, "Conv2d_1a_3x3", 32, (3, 3), 2)
        x = self.conv(x, "Conv2d_2a_3x3", 32, (3, 3))
        x = self.conv(x, "Conv2d_2b_3x3", 64, (3, 3), 1, (1, 1))
        x = reference.max_pool(x, 3, 2)
        x = self.conv(x, "Conv2d_3b_1x1", 80)
        x = self.conv(x, "Conv2d_4a_3x3", 192, (3, 3))
        x = reference.max_pool(x, 3, 2)
        for letter, pooled in zip("bcd", (32, 64, 64), strict=True):
            x = self.a(x, f"Mixed_5{letter}", pooled)
        x = self.b(x, "Mixed_6a")
        for letter, width in zip("bcde", (128, 160, 160, 192), strict=True):
            x = self.c(x, f"Mixed_6{letter}", width)
        x = self.d(x, "Mixed_7a")
        x = self.e(x, "Mixed_7b", largest=False)
        x = self.e(x, "Mixed_7c", largest=self._2015)
        return x.mean((2, 3))


def compare(recipe: InceptionV3, network: Network, write, folder: Path, mean, std) -> None:
    pixels = images(*SIZE)
    expected = network(reference.prepared(pixels, mean, std))
    file = write(folder / "weights", network.weights | {"fc.weight": np.zeros((5, 2048), "f4")})
    build(recipe, {MAIN: file}, folder / "inception.onnx")
    model = OnnxModel(folder / "inception.onnx")
    assert (model.input_size, model.dimension) == (SIZE, 2048)
    assert expected.max() > 0.1
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-4, atol=1e-4)


def test_timms_inception_gives_its_pooled_activations(tmp_path: Path) -> None:
    recipe = InceptionV3(pixels=Pixels(SIZE, HALF, HALF))
    compare(recipe, Network(False), as_safetensors, tmp_path, HALF, HALF)


def test_the_release_of_2015_gives_its_pooled_activations(tmp_path: Path) -> None:
    by_128 = (128 / 255,) * 3
    assert INCEPTION_2015.pixels == Pixels((299, 299), by_128, by_128)
    recipe = InceptionV3("2015-12-05", Pixels(SIZE, by_128, by_128))
    compare(recipe, Network(True), partial(save, legacy=True), tmp_path, by_128, by_128)


def test_the_file_of_the_other_version_is_refused(tmp_path: Path) -> None:
    file = as_safetensors(tmp_path / "weights", {"x": np.zeros(3, "f4")})
    for recipe in (InceptionV3(), INCEPTION_2015):
        with pytest.raises(ModelFileError, match="weights"):
            build(recipe, {MAIN: file}, tmp_path / "inception.onnx")
    assert not (tmp_path / "inception.onnx").exists()
