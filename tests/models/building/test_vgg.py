"""VGG of safetensors: what comes out is what the paper's network computes, or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from orangecontrib.imageanalytics.model_file.onnx_file import read_onnx
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.building import build
from orangecontrib.imageanalytics.models.recipes import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    MAIN,
    Pixels,
    Vgg,
)
from orangecontrib.imageanalytics.outcome import ModelFileError
from tests.models.building import reference
from tests.models.building.networks import Arrays, Random, as_safetensors, images

#: The depth by the convolutions before each pool, as table 1 of arXiv:1409.1556 has them.
BLOCKS = {16: "2 2 3 3 3", 19: "2 2 4 4 4"}
CHANNELS = (4, 6, 8, 8, 10)
SIZE = (64, 96)
DIMENSION = 24


def recipe(depth: int) -> Vgg:
    return Vgg(depth, Pixels(SIZE, IMAGENET_MEAN, IMAGENET_STD), CHANNELS, DIMENSION)


def network(depth: int) -> Arrays:
    random, weights = Random(depth), {}
    index, before = 0, 3
    for channels, count in zip(CHANNELS, map(int, BLOCKS[depth].split()), strict=True):
        for _ in range(count):
            weights[f"features.{index}.weight"] = random.kernels(channels, before, 3, 3)
            weights[f"features.{index}.bias"] = random.small(channels)
            index, before = index + 2, channels
        index += 1
    weights["pre_logits.fc1.weight"] = random.kernels(DIMENSION, before, 2, 3)
    weights["pre_logits.fc1.bias"] = random.small(DIMENSION)
    weights["pre_logits.fc2.weight"] = random.kernels(DIMENSION, DIMENSION, 1, 1)
    weights["pre_logits.fc2.bias"] = random.small(DIMENSION)
    weights["head.fc.weight"] = random.kernels(5, DIMENSION)
    weights["head.fc.bias"] = random.small(5)
    return weights


def fc7(depth: int, weights: Arrays, pixels: NDArray[np.uint8]) -> NDArray:
    """The network once more; `features.N` are numbered as PyTorch's Sequential does."""
    x = reference.prepared(pixels, IMAGENET_MEAN, IMAGENET_STD)
    index = 0
    for count in map(int, BLOCKS[depth].split()):
        for _ in range(count):
            kernels, bias = (weights[f"features.{index}.{part}"] for part in ("weight", "bias"))
            x = reference.relu(reference.conv(x, kernels, bias, pad=(1, 1)))
            index += 2
        x = reference.max_pool(x, 2, 2)
        index += 1
    for layer in ("pre_logits.fc1", "pre_logits.fc2"):
        x = reference.relu(reference.conv(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"]))
    return x[:, :, 0, 0]


@pytest.mark.parametrize("depth", BLOCKS)
def test_fc7_after_its_relu_is_the_embedding(tmp_path: Path, depth: int) -> None:
    weights = network(depth)
    file = as_safetensors(tmp_path / "model.safetensors", weights)
    build(recipe(depth), {MAIN: file}, tmp_path / "vgg.onnx", {"title": "VGG"})

    model = OnnxModel(tmp_path / "vgg.onnx")
    pixels = images(*SIZE)
    expected = fc7(depth, weights, pixels)
    assert model.input_size == SIZE
    assert model.dimension == DIMENSION
    assert expected.min() == 0 and expected.max() > 0.1
    np.testing.assert_allclose(model(pixels), expected, atol=1e-4)
    assert read_onnx(tmp_path / "vgg.onnx").metadata == {"title": "VGG"}


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    file = as_safetensors(tmp_path / "model.safetensors", network(16))
    for name in ("one", "two"):
        build(recipe(16), {MAIN: file}, tmp_path / f"{name}.onnx")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def damaged(weights: Arrays, name: str) -> Arrays:
    """One of the weights with a number that is none."""
    value = weights[name].copy()
    value.flat[-1] = np.nan
    return weights | {name: value}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: {k: v for k, v in w.items() if k != "features.2.bias"}, "features.2.bias"),
        (lambda w: w | {"features.2.bias": w["features.2.bias"][:-1]}, "shape"),
        (lambda w: w | {"features.2.bias": w["features.2.bias"].astype(np.int32)}, "int32"),
        (lambda w: damaged(w, "pre_logits.fc2.weight"), "finite"),
    ],
)
def test_other_weights_than_these_are_refused(tmp_path: Path, change, said: str) -> None:
    file = as_safetensors(tmp_path / "model.safetensors", change(network(16)))
    destination = tmp_path / "out" / "vgg.onnx"
    destination.parent.mkdir()
    with pytest.raises(ModelFileError, match=said) as error:
        build(recipe(16), {MAIN: file}, destination)
    assert str(file) in str(error.value)
    assert not list(destination.parent.iterdir())


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced_by_a_page(path: Path) -> None:
    path.write_bytes(b"<html>Sign in to the hotel's network</html>")


def removed(path: Path) -> None:
    path.unlink()


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "harm", [cut_off, emptied, replaced_by_a_page, removed, replaced_by_a_folder]
)
def test_a_broken_file_is_refused_and_the_old_model_stays(tmp_path: Path, harm) -> None:
    file = as_safetensors(tmp_path / "model.safetensors", network(16))
    build(recipe(16), {MAIN: file}, tmp_path / "vgg.onnx")
    before = (tmp_path / "vgg.onnx").read_bytes()
    harm(file)
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        build(recipe(16), {MAIN: file}, tmp_path / "vgg.onnx")
    assert (tmp_path / "vgg.onnx").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path != file) == ["vgg.onnx"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    file = as_safetensors(tmp_path / "model.safetensors", network(16))
    with pytest.raises(ModelFileError, match="cannot be written"):
        build(recipe(16), {MAIN: file}, tmp_path / "missing" / "vgg.onnx")
