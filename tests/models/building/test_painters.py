"""Painters of a file as Keras 1 saves it, and a forward pass as Theano computes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models import adding
from orangecontrib.imageanalytics.models.building import build
from orangecontrib.imageanalytics.models.paintings import save_batch
from orangecontrib.imageanalytics.models.recipes import (
    BATCH,
    IMAGENET_MEAN,
    IMAGENET_STD,
    MAIN,
    Painters,
    Pixels,
)
from orangecontrib.imageanalytics.outcome import ModelFileError
from tests.models.building import reference
from tests.models.building.networks import Random, images

SIZE = (32, 64)
BLOCKS = ((2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5), (6, 6, 6))
RECIPE = Painters(Pixels(SIZE, IMAGENET_MEAN, IMAGENET_STD), BLOCKS, 12)
EPS = 0.002

#: Class in Keras 1, number in names, weights by their names.
Row = tuple[str, str, dict[str, NDArray[np.float32]]]


def network() -> list[Row]:
    """The layers of `_cnn` in train_cnn.py, Sequential's pools and dropouts included."""
    random, rows, before = Random(5), [], 3
    height, width = SIZE

    def add(kind: str, prefix: str, **weights: NDArray) -> None:
        number = 1 + sum(row[1].startswith(f"{prefix}_") for row in rows)
        rows.append((kind, f"{prefix}_{number}", weights))

    def activated(*shape: int) -> None:
        size = shape[0]
        add(
            "BatchNormalization",
            "batchnormalization",
            gamma=random.positive(size),
            beta=random.small(size),
            running_mean=random.small(size),
            running_std=random.positive(size),
        )
        add("PReLU", "prelu", alphas=random.small(*shape))

    for block in BLOCKS:
        for channels in block:
            kernels = random.kernels(channels, before, 3, 3)
            add("Convolution2D", "convolution2d", W=kernels, b=random.small(channels))
            activated(channels, height, width)
            before = channels
        add("MaxPooling2D", "maxpooling2d")
        height, width = height // 2, width // 2
    add("Dropout", "dropout")
    add("Flatten", "flatten")
    inputs = before * height * width
    add("Dense", "dense", W=random.kernels(inputs, 12, inputs=inputs), b=random.small(12))
    activated(12)
    add("Dropout", "dropout")
    add("Dense", "dense", W=random.kernels(12, 4, inputs=12), b=random.small(4))
    return rows


def save(path: Path, rows: list[Row], mode: int) -> Path:
    """Write what `Sequential.save` of Keras 1 writes."""
    config = [
        {"class_name": kind, "config": {"name": name, "epsilon": EPS, "mode": mode}}
        for kind, name, _ in rows
    ]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"1.1.0"
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": config}
        ).encode()
        groups = file.create_group("model_weights")
        groups.attrs["layer_names"] = [name.encode() for _, name, _ in rows]
        for _, name, weights in rows:
            group = groups.create_group(name)
            names = [f"{name}_{part}" for part in weights]
            group.attrs["weight_names"] = [one.encode() for one in names]
            for one, value in zip(names, weights.values(), strict=True):
                group.create_dataset(one, data=value)
    return path


def turned(x: NDArray, kernels: NDArray, bias: NDArray) -> NDArray:
    """What Theano calls a convolution: sum over x[i - k] w[k], the borders being zero."""
    padded = reference.padded(x, 1, 1)
    height, width = x.shape[2:]
    total = 0
    for row in range(3):
        for column in range(3):
            part = padded[:, :, 2 - row : 2 - row + height, 2 - column : 2 - column + width]
            total = total + np.einsum("nchw,oc->nohw", part, kernels[:, :, row, column])
    return total + bias[:, None, None]


def computed(rows: list[Row], pixels: NDArray[np.uint8], *, by_batch: bool) -> NDArray:
    """The network once more, with the statistics of the file or of these pictures."""
    x = reference.prepared(pixels, IMAGENET_MEAN, IMAGENET_STD)
    layers: Iterator[Row] = iter(rows)
    for kind, name, w in layers:
        if kind == "Convolution2D":
            x = turned(x, w["W"], w["b"])
        elif kind == "BatchNormalization":
            mean, variance = w["running_mean"], w["running_std"]
            if by_batch:
                axes = (0, 2, 3) if x.ndim == 4 else 0
                mean, variance = x.mean(axes), x.var(axes)
            x = reference.norm(x, w["gamma"], w["beta"], mean, variance, EPS)
        elif kind == "PReLU":
            x = np.where(x > 0, x, w["alphas"] * x)
        elif kind == "MaxPooling2D":
            x = reference.max_pool(x, 2, 2)
        elif kind == "Flatten":
            x = x.reshape(len(x), -1)
        elif kind == "Dense":
            x = x @ w["W"].astype(np.float64) + w["b"]
        if name == "prelu_15":
            return x
    raise AssertionError("there are fourteen convolutions and a dense layer before the end")


def test_the_prelu_after_the_dense_layer_is_the_embedding(tmp_path: Path) -> None:
    rows = network()
    build(RECIPE, {MAIN: save(tmp_path / "cnn.h5", rows, 0)}, tmp_path / "x.onnx")
    model = OnnxModel(tmp_path / "x.onnx")
    expected = computed(rows, images(*SIZE), by_batch=False)
    assert (model.input_size, model.dimension) == (SIZE, 12)
    assert expected.min() < 0 and expected.max() > 0.1
    np.testing.assert_allclose(model(images(*SIZE)), expected, atol=1e-4)


def test_the_statistics_of_a_batch_are_those_of_the_authors_code(tmp_path: Path) -> None:
    rows, batch = network(), images(*SIZE, 16)
    np.save(tmp_path / "batch.npy", batch)
    files = {MAIN: save(tmp_path / "cnn.h5", rows, 2), BATCH: tmp_path / "batch.npy"}
    build(RECIPE, files, tmp_path / "x.onnx")
    model = OnnxModel(tmp_path / "x.onnx")
    expected = computed(rows, batch, by_batch=True)
    np.testing.assert_allclose(model(batch), expected, atol=1e-4)
    np.testing.assert_allclose(model(batch[3:4]), expected[3:4], atol=1e-4)


def test_without_a_batch_there_is_no_embedding_of_such_a_file(tmp_path: Path) -> None:
    file = save(tmp_path / "cnn.h5", network(), 2)
    with pytest.raises(ModelFileError, match="at least 16 paintings"):
        build(RECIPE, {MAIN: file}, tmp_path / "x.onnx")
    np.save(tmp_path / "batch.npy", images(*SIZE, 3))
    with pytest.raises(ModelFileError, match="at least 16 paintings"):
        build(RECIPE, {MAIN: file, BATCH: tmp_path / "batch.npy"}, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def without(kind: str) -> list[Row]:
    rows = network()
    rows.remove(next(row for row in rows if row[0] == kind))
    return rows


@pytest.mark.parametrize("kind", ["Convolution2D", "BatchNormalization", "PReLU", "Dense"])
def test_another_network_is_refused(tmp_path: Path, kind: str) -> None:
    file = save(tmp_path / "cnn.h5", without(kind), 0)
    with pytest.raises(ModelFileError, match=r"cnn\.h5"):
        build(RECIPE, {MAIN: file}, tmp_path / "x.onnx")
    with pytest.raises(ModelFileError, match=r"cnn\.h5.*shape"):
        build(Painters(), {MAIN: save(tmp_path / "cnn.h5", network(), 0)}, tmp_path / "x.onnx")


def test_a_file_that_is_cut_off_or_something_else_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "cnn.h5", network(), 0)
    whole = file.read_bytes()
    for content in (b"", b"<html>", whole[:100], whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"cnn\.h5"):
            build(RECIPE, {MAIN: file}, tmp_path / "x.onnx")
    with h5py.File(file, "w") as made:
        made["x"] = np.zeros(3)
    with pytest.raises(ModelFileError, match="Keras 1"):
        build(RECIPE, {MAIN: file}, tmp_path / "x.onnx")


@pytest.mark.parametrize("linked", [True, False], ids=["by a link", "as raw numbers"])
def test_weights_that_lie_in_another_file_are_refused(tmp_path: Path, linked: bool) -> None:
    file = save(tmp_path / "cnn.h5", network(), 0)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["slopes"] = np.zeros(12, "f4")
    (tmp_path / "raw").write_bytes(np.zeros(12, "f4").tobytes())
    with h5py.File(file, "a") as changed:
        group = changed["model_weights/prelu_15"]
        del group["prelu_15_alphas"]
        if linked:
            group["prelu_15_alphas"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "slopes")
        else:
            outside = [(str(tmp_path / "raw"), 0, 48)]
            group.create_dataset("prelu_15_alphas", (12,), "f4", external=outside)
    with pytest.raises(ModelFileError, match="another file"):
        build(RECIPE, {MAIN: file}, tmp_path / "x.onnx")


def test_a_folder_of_paintings_gives_the_statistics(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(adding._PUBLISHED, "painters", (RECIPE, "painters"))
    file = save(tmp_path / "cnn.h5", network(), 2)
    paintings, batch = tmp_path / "paintings", images(*SIZE, 17)
    paintings.mkdir()
    for number, pixels in enumerate(batch):
        Image.fromarray(pixels).save(paintings / f"{number}.png")
    (paintings / "notes.txt").write_text("no painting")
    model = adding.add(["painters", str(file), str(paintings)], folder=tmp_path / "models")
    expected = computed(network(), batch, by_batch=True)
    np.testing.assert_allclose(OnnxModel(model.weights)(batch), expected, atol=1e-4)


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no images"):
        save_batch(tmp_path, SIZE, tmp_path / "batch.npy")
