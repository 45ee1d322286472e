"""models add: classifiers become embedders, from a file or from the hub."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models import Download, HubFile, Product, default_folder, get
from orangecontrib.imageanalytics.models.adding import add
from orangecontrib.imageanalytics.models.downloading import download
from orangecontrib.imageanalytics.models.preprocessor import read_preprocessor
from orangecontrib.imageanalytics.models.recipes import IMAGENET_MEAN, IMAGENET_STD, Pixels, Vgg
from orangecontrib.imageanalytics.outcome import ModelDownloadError, ModelFileError
from tests.hub import Hub, address, downloadable, refuse
from tests.small_models import MEAN, SIZE, STD, images
from tests.small_models import save as save_onnx

CHANNELS = 6

PREPROCESSOR = {
    "image_mean": MEAN,
    "image_std": STD,
    "size": {"shortest_edge": 256},
    "crop_size": {"height": SIZE, "width": SIZE},
    "do_center_crop": True,
}


def write_classifier(path: Path, side: int | str = "side") -> Path:
    """Write a classifier: a convolution, the mean over all places, five classes."""
    random = np.random.default_rng(1)
    kernels = random.normal(size=(CHANNELS, 3, 1, 1)).astype(np.float32)
    classes = random.normal(size=(CHANNELS, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["pixel_values", "kernels"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "classes"], ["logits"]),
    ]
    shape = ["N", 3, side, side]
    save_onnx(
        path,
        nodes,
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(kernels, "kernels"), numpy_helper.from_array(classes, "classes")],
    )
    return path


def features() -> np.ndarray:
    """What the classifier's embedding of `images()` is, computed by hand."""
    kernels = np.random.default_rng(1).normal(size=(CHANNELS, 3, 1, 1)).astype(np.float32)
    pixels = (images() / 255 - np.array(MEAN)) / np.array(STD)
    return pixels.mean((1, 2)) @ kernels[:, :, 0, 0].T


@pytest.fixture
def hub(monkeypatch):
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url())
        yield hub


def test_a_classifier_in_a_file_becomes_an_embedder(tmp_path):
    path = write_classifier(tmp_path / "mine.onnx")
    config = {"mean": MEAN, "std": STD, "input_size": [3, SIZE, SIZE], "title": "Mine"}
    path.with_suffix(".json").write_text(json.dumps(config))
    model = add([str(path)])
    assert (model.id, model.dimension, model.input_size) == ("mine", CHANNELS, (SIZE, SIZE))
    assert get("mine") == model
    np.testing.assert_allclose(OnnxModel(model.weights)(images()), features(), atol=1e-4)


def test_without_what_its_pixels_are_it_is_refused(tmp_path):
    path = write_classifier(tmp_path / "mine.onnx")
    with pytest.raises(ModelFileError, match="Put mean, std and input_size into"):
        add([str(path)])
    assert list(default_folder().iterdir()) == []


def test_another_tensor_may_be_named(tmp_path):
    path = write_classifier(tmp_path / "mine.onnx", SIZE)
    path.with_suffix(".json").write_text(json.dumps({"mean": MEAN, "std": STD}))
    assert add([str(path)], output="logits").dimension == 5
    assert add([str(path)], output="maps", pooling="spatial", name="maps").dimension == CHANNELS


def test_a_classifier_of_the_hub_becomes_an_embedder(hub, tmp_path):
    content = write_classifier(tmp_path / "model.onnx").read_bytes()
    hub.put(content, "somebody/some.net", "onnx/model.onnx")
    said = json.dumps(PREPROCESSOR).encode()
    hub.put(said, "somebody/some.net", "preprocessor_config.json")
    model = add(["hf:somebody/some.net/onnx/model.onnx"])
    assert (model.id, model.dimension) == ("some.net", CHANNELS)
    np.testing.assert_allclose(OnnxModel(model.weights)(images()), features(), atol=1e-4)


def test_timms_repositories_say_it_in_another_file(hub, tmp_path):
    content = write_classifier(tmp_path / "model.onnx").read_bytes()
    hub.put(content, "timm/net", "model.onnx")
    pretrained = {"mean": MEAN, "std": STD, "input_size": [3, SIZE, SIZE]}
    said = json.dumps({"architecture": "net", "pretrained_cfg": pretrained}).encode()
    hub.put(said, "timm/net", "config.json")
    for target in ("preprocessor_config.json",):
        hub.on(address("timm/net", target), refuse(404, X_Error_Code="EntryNotFound"))
    assert add(["hf:timm/net/model.onnx"], name="other-name").id == "other-name"


def test_a_repository_that_says_nothing_of_pixels_is_refused(hub):
    for file in ("preprocessor_config.json", "config.json"):
        hub.on(address("a/b", file), refuse(404, X_Error_Code="EntryNotFound"))
    with pytest.raises(ModelFileError, match="--config"):
        add(["hf:a/b/model.onnx"])
    assert list(default_folder().glob("*.onnx")) == []


def test_a_file_that_the_hub_has_not_is_an_error(hub, tmp_path):
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"mean": MEAN, "std": STD, "input_size": [3, SIZE, SIZE]}))
    hub.on(address("a/b", "model.onnx"), refuse(404, X_Error_Code="EntryNotFound"))
    with pytest.raises(ModelDownloadError, match="404"):
        add(["hf:a/b/model.onnx"], config=config)


@pytest.mark.parametrize(
    ("said", "size", "mean"),
    [
        (PREPROCESSOR, (SIZE, SIZE), MEAN),
        ({**PREPROCESSOR, "do_center_crop": False}, (256, 256), MEAN),
        ({**PREPROCESSOR, "crop_size": 30}, (30, 30), MEAN),
        ({**PREPROCESSOR, "do_normalize": False}, (SIZE, SIZE), [0, 0, 0]),
        (
            {**PREPROCESSOR, "do_rescale": False, "image_mean": [255, 0, 0]},
            (SIZE, SIZE),
            [1, 0, 0],
        ),
    ],
)
def test_transformers_preprocessors_are_understood(tmp_path, said, size, mean):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(said))
    pixels = read_preprocessor(path)
    assert pixels is not None and pixels.size == size
    assert list(pixels.mean) == mean


@pytest.mark.parametrize("said", [[], {"image_mean": 0.5, "image_std": STD, "size": 8}])
def test_others_are_refused(tmp_path, said):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(said))
    with pytest.raises(ModelFileError):
        read_preprocessor(path)


def test_weights_of_the_hub_become_a_network_on_their_way(hub, tmp_path):
    """The whole way of VGG-16, with a small one: fetched, built, tried, put in its place."""
    recipe = Vgg(16, Pixels((32, 32), IMAGENET_MEAN, IMAGENET_STD), (4, 4, 4, 4, 4), 8)
    random = np.random.default_rng(3)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(scale=0.1, size=shape).astype(np.float32)

    tensors, before, index = {}, 3, 0
    for count in (2, 2, 3, 3, 3):
        for _ in range(count):
            tensors[f"features.{index}.weight"] = weights(4, before, 3, 3)
            tensors[f"features.{index}.bias"] = weights(4)
            before, index = 4, index + 2
        index += 1
    tensors |= {"pre_logits.fc1.weight": weights(8, 4, 1, 1), "pre_logits.fc1.bias": weights(8)}
    tensors |= {"pre_logits.fc2.weight": weights(8, 8, 1, 1), "pre_logits.fc2.bias": weights(8)}
    tensors |= {"head.fc.weight": weights(5, 8), "head.fc.bias": weights(5)}
    content = save(tensors)
    hub.put(content, path="model.safetensors")
    (product,) = downloadable(content).download.products
    source = HubFile("somebody/small-model", "model.safetensors", size=len(content))
    made = Download((Product(".onnx", {"main": source}, recipe),))
    assert product.ending == ".onnx"
    from dataclasses import replace

    model = replace(downloadable(content), input_size=(32, 32), dimension=8, download=made)
    network = OnnxModel(download(model, tmp_path / "models").weights)
    vector = network(np.full((1, 32, 32, 3), 128, np.uint8))
    assert vector.shape == (1, 8) and (vector >= 0).all()
