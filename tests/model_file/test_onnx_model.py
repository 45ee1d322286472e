"""onnx_model and its neighbours: what an ONNX file computes, and which files are refused."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from orangecontrib.imageanalytics.model_file import onnx_model, session
from orangecontrib.imageanalytics.model_file.files import ModelFiles
from orangecontrib.imageanalytics.model_file.onnx_file import NotOnnx, read_onnx
from orangecontrib.imageanalytics.model_file.onnx_model import ModelSpec, OnnxModel
from orangecontrib.imageanalytics.models import Kind
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.outcome import ModelFileError, WorkerError
from tests.small_models import (
    MEAN,
    STD,
    images,
    mean_colours,
    save,
    write_model,
    write_weights,
)


def write_config(model: Path, **words: object) -> Path:
    path = model.with_suffix(".json")
    path.write_text(json.dumps(words))
    return path


def value_info(name: str, kind: int, shape: list | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


class TestEmbeddings:
    def test_pixels_go_in_as_they_are(self, tmp_path):
        model = OnnxModel(write_model(tmp_path / "m.onnx"))
        assert (model.input_size, model.dimension) == ((8, 8), 4)
        vectors = model(images())
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, mean_colours(images()), rtol=1e-5)

    @pytest.mark.parametrize("space", ["RGB", "BGR"])
    @pytest.mark.parametrize("white", [1, 255])
    def test_numbers_are_made_of_pixels_as_the_config_says(self, tmp_path, space, white):
        path = write_model(tmp_path / "m.onnx", "float32")
        write_config(path, mean=MEAN, std=STD, input_space=space, input_range=[0, white])
        pixels = images() * (white / 255)
        if space == "BGR":
            pixels = pixels[..., ::-1]
        expected = mean_colours((pixels - MEAN) / STD)
        np.testing.assert_allclose(OnnxModel(path)(images()), expected, rtol=1e-4, atol=1e-5)

    def test_blue_comes_first_for_pixels_too_if_the_config_says_so(self, tmp_path):
        path = write_model(tmp_path / "m.onnx")
        write_config(path, input_space="BGR")
        expected = mean_colours(images()[..., ::-1])
        np.testing.assert_allclose(OnnxModel(path)(images()), expected, rtol=1e-5)

    @pytest.mark.parametrize("output", [["N", 4], [1, 4]])
    def test_a_model_of_one_image_at_a_time_embeds_a_batch(self, tmp_path, output):
        path = write_model(tmp_path / "m.onnx", shape=[1, 8, 8, 3], output=output)
        np.testing.assert_allclose(OnnxModel(path)(images()), mean_colours(images()), rtol=1e-5)

    def test_no_image_gives_no_vector(self, tmp_path):
        model = OnnxModel(write_model(tmp_path / "m.onnx"))
        assert model(images(0)).shape == (0, 4)

    @pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
    def test_other_floating_point_numbers_become_float32(self, tmp_path, kind):
        vectors = OnnxModel(write_model(tmp_path / "m.onnx", output_type=kind))(images())
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, mean_colours(images()), rtol=2e-3)

    def test_a_vector_pooled_to_one_pixel_is_a_vector(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(
            path,
            [
                helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
                helper.make_node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2]),
                helper.make_node("GlobalAveragePool", ["y"], ["pooled"]),
            ],
            [value_info("image", TensorProto.UINT8, ["N", 8, 8, 3])],
            [value_info("pooled", TensorProto.FLOAT, ["N", 3, 1, 1])],
            [],
        )
        np.testing.assert_allclose(
            OnnxModel(path)(images()), mean_colours(images())[:, :3], rtol=1e-5
        )

    def test_the_config_says_what_the_file_leaves_open(self, tmp_path):
        path = write_model(
            tmp_path / "m.onnx", shape=["N", "height", "width", 3], output=["N", "length"]
        )
        write_config(path, input_size=[3, 8, 6], num_features=4)
        model = OnnxModel(path)
        assert (model.input_size, model.dimension) == ((8, 6), 4)
        assert model(images()[:, :, :6]).shape == (3, 4)

    def test_the_config_names_one_of_several_outputs(self, tmp_path):
        path = write_two_outputs(tmp_path / "m.onnx")
        write_config(path, output="second")
        assert OnnxModel(path)(images()).max() <= 0

    def test_an_image_of_another_size_is_a_fault_of_the_caller(self, tmp_path):
        model = OnnxModel(write_model(tmp_path / "m.onnx"))
        with pytest.raises(ValueError, match="expected uint8"):
            model(images()[:, :7])


def write_two_outputs(path: Path) -> Path:
    save(
        path,
        [
            helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["x"], ["first"], axes=[1, 2], keepdims=0),
            helper.make_node("Neg", ["first"], ["second"]),
        ],
        [value_info("image", TensorProto.UINT8, ["N", 8, 8, 3])],
        [value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("first", "second")],
        [],
    )
    return path


class TestRefusals:
    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ({"shape": ["N", 3, 8, 8]}, "not understood"),
            ({"shape": ["N", 8, 8, 1]}, "not understood"),
            ({"shape": ["N", 8, 3]}, "not understood"),
            ({"kind": "float32", "shape": ["N", 8, 8, 3]}, "not understood"),
            ({"shape": [8, 8, 8, 3]}, "takes 8 images at a time"),
            ({"kind": "float32"}, 'Put its "mean" and "std" into .*m.json'),
            ({"shape": ["N", "h", "w", 3]}, "images of any size"),
            ({"shape": ["N", 8, 5000, 3]}, "width of 5000 pixels"),
            ({"output": ["N", "D"]}, "does not say how long its embeddings are"),
            ({"output": ["N", 2, 2]}, "does not give one vector per image"),
            ({"output": [4]}, "does not give one vector per image"),
            ({"output": ["N", 4], "output_type": TensorProto.INT64}, "not give one vector"),
        ],
    )
    def test_a_model_with_other_inputs_or_outputs(self, tmp_path, model, message):
        path = write_model(tmp_path / "m.onnx", **model)
        with pytest.raises(ModelFileError, match=message) as caught:
            OnnxModel(path)
        assert str(path) in str(caught.value)

    def test_two_inputs(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(
            path,
            [helper.make_node("Add", ["a", "b"], ["c"])],
            [value_info(name, TensorProto.FLOAT, ["N", 3, 8, 8]) for name in "ab"],
            [value_info("c", TensorProto.FLOAT, ["N", 3, 8, 8])],
            [],
        )
        with pytest.raises(ModelFileError, match="should have one input, for images, and has 2"):
            OnnxModel(path)

    def test_two_outputs_of_which_none_is_named(self, tmp_path):
        path = write_two_outputs(tmp_path / "m.onnx")
        with pytest.raises(ModelFileError, match=r'more than one output.*"output": "first"'):
            OnnxModel(path)

    def test_an_output_that_is_named_and_not_there(self, tmp_path):
        path = write_two_outputs(tmp_path / "m.onnx")
        write_config(path, output="third")
        with pytest.raises(ModelFileError, match='has no output "third"'):
            OnnxModel(path)

    def test_a_config_that_contradicts_the_file(self, tmp_path):
        path = write_model(tmp_path / "m.onnx")
        write_config(path, input_size=[3, 224, 8])
        with pytest.raises(ModelFileError, match=r"height of 8 pixels, but .*m.json says 224"):
            OnnxModel(path)

    def test_an_operator_of_somebodys_own(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(
            path,
            [helper.make_node("Steal", ["image"], ["y"], domain="evil")],
            [value_info("image", TensorProto.UINT8, ["N", 8, 8, 3])],
            [value_info("y", TensorProto.FLOAT, ["N", 4])],
            [],
        )
        with pytest.raises(ModelFileError, match="cannot be loaded: "):
            OnnxModel(path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [(b"", "is empty"), (b"GIF89a", "not an ONNX file"), (b"\0" * 99, "not an ONNX file")],
    )
    def test_a_file_that_is_no_onnx_file(self, tmp_path, content, message):
        path = tmp_path / "m.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            OnnxModel(path)

    def test_a_file_of_which_a_part_is_missing(self, tmp_path):
        whole = MODELS["squeezenet"].weights.read_bytes()
        path = tmp_path / "m.onnx"
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelFileError, match="only a part of one"):
            OnnxModel(path)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(ModelFileError, match="is not there"):
            OnnxModel(tmp_path / "m.onnx")
        with pytest.raises(ModelFileError, match="is not a file"):
            OnnxModel(tmp_path)


class TestWrongNumbers:
    @pytest.mark.parametrize("last", ["Log", "Sqrt"])
    def test_no_number_is_an_error_not_an_embedding(self, tmp_path, last):
        model = OnnxModel(write_model(tmp_path / "m.onnx", last=last, factor=-1))
        with pytest.raises(ModelFileError, match=r"infinity or no number at all \(NaN\)"):
            model(images())

    def test_what_float32_cannot_hold_is_an_error(self, tmp_path):
        path = write_model(tmp_path / "m.onnx", last="Exp", output_type=TensorProto.DOUBLE)
        with pytest.raises(ModelFileError, match="infinity"):
            OnnxModel(path)(images())

    def test_embeddings_of_another_length_than_said(self, tmp_path):
        path = write_model(tmp_path / "m.onnx", output=["N", "length"])
        write_config(path, num_features=5)
        with pytest.raises(ModelFileError, match="gives 4 numbers for an image where"):
            OnnxModel(path)(images())

    def test_a_map_where_a_vector_was_announced(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(
            path,
            [
                helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
                helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0),
            ],
            [value_info("image", TensorProto.UINT8, ["N", "h", "w", 3])],
            [value_info("y", TensorProto.FLOAT, ["N", "w", 3])],
            [],
        )
        write_config(path, input_size=8, num_features=3)
        with pytest.raises(ModelFileError, match=r"for 3 of them it gives \[3, 8, 3\]"):
            OnnxModel(path)(images())


class TestWeightsBesideTheFile:
    def test_they_are_found_beside_the_model(self, tmp_path, monkeypatch):
        (tmp_path / "models").mkdir()
        path = write_model(tmp_path / "models" / "m.onnx", external="m.onnx.data")
        write_weights(tmp_path / "models" / "m.onnx.data")
        np.testing.assert_allclose(OnnxModel(path)(images()), mean_colours(images()), rtol=1e-5)
        monkeypatch.chdir(tmp_path / "models")
        assert OnnxModel("m.onnx").dimension == 4

    def test_weights_that_are_missing(self, tmp_path):
        path = write_model(tmp_path / "m.onnx", external="m.bin")
        with pytest.raises(ModelFileError, match=r"keeps weights in 'm.bin', which is missing"):
            OnnxModel(path)

    @pytest.mark.parametrize("location", ["../m.bin", "{absolute}", "*/_ORT_MEM_ADDR_/*", "", "."])
    def test_weights_in_another_folder_are_refused(self, tmp_path, location):
        outside = write_weights(tmp_path / "m.bin")
        (tmp_path / "models").mkdir()
        named = location.format(absolute=outside) or "."
        path = write_model(tmp_path / "models" / "m.onnx", external=named)
        with pytest.raises(ModelFileError, match=r"not in the model's own folder|missing"):
            OnnxModel(path)

    def test_a_link_to_another_folder_is_refused(self, tmp_path):
        outside = write_weights(tmp_path / "m.bin")
        (tmp_path / "models").mkdir()
        try:
            (tmp_path / "models" / "link.bin").symlink_to(outside)
        except OSError:
            pytest.skip("this account may not make links")
        path = write_model(tmp_path / "models" / "m.onnx", external="link.bin")
        with pytest.raises(ModelFileError, match="not in the model's own folder"):
            OnnxModel(path)

    def test_weights_of_graphs_inside_nodes_are_found_too(self, tmp_path):
        path = tmp_path / "m.onnx"
        write_model(tmp_path / "inner.onnx", external="../deep.bin")
        inner = onnx.load(tmp_path / "inner.onnx", load_external_data=False).graph
        constant = helper.make_node("Constant", [], ["c"], value=inner.initializer[0])
        branch = helper.make_graph([constant], "branch", [], [value_info("c", 1, [3, 4])])
        save(
            path,
            [helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch)],
            [value_info("image", TensorProto.UINT8, ["N", 8, 8, 3])],
            [value_info("y", TensorProto.FLOAT, ["N", 4])],
            [],
        )
        assert read_onnx(path).external == ("../deep.bin",)


class TestReadingTheFile:
    @pytest.mark.parametrize(
        "model", [m for m in MODELS.values() if m.kind is Kind.BUNDLED], ids=lambda m: m.id
    )
    def test_it_says_the_same_as_onnx_does(self, model):
        read = read_onnx(model.weights)
        proto = onnx.load(model.weights)
        assert [tensor.name for tensor in read.inputs] == [port.name for port in proto.graph.input]
        assert read.inputs[0].shape == ("N", *model.input_size, 3)
        assert read.outputs[0].shape == ("N", model.dimension)
        assert read.metadata == {entry.key: entry.value for entry in proto.metadata_props}
        assert read.external == ()

    def test_a_damaged_file_is_refused_or_read_never_more(self, tmp_path):
        path = write_model(tmp_path / "m.onnx", external="m.bin")
        whole = path.read_bytes()
        chance = np.random.default_rng(0)
        for _ in range(500):
            damaged = bytearray(whole[: chance.integers(1, len(whole) + 1)])
            damaged[chance.integers(len(damaged))] = chance.integers(256)
            path.write_bytes(damaged)
            try:
                read_onnx(path)
            except NotOnnx as error:
                assert "ONNX" in str(error)


class TestFingerprint:
    def test_it_tells_two_versions_of_a_file_apart(self, tmp_path):
        first = ModelFiles.of(write_model(tmp_path / "m.onnx")).fingerprint()
        second = ModelFiles.of(write_model(tmp_path / "m.onnx", factor=2)).fingerprint()
        assert first != second
        assert len(first) == 64
        assert first == ModelFiles.of(write_model(tmp_path / "copy.onnx")).fingerprint()

    def test_it_knows_the_weights_beside_the_file(self, tmp_path):
        path = write_model(tmp_path / "m.onnx", external="m.bin")
        write_weights(tmp_path / "m.bin")
        first = ModelFiles.of(path).fingerprint()
        write_weights(tmp_path / "m.bin", factor=2)
        assert ModelFiles.of(path).fingerprint() != first

    def test_it_changes_with_the_numbers_of_the_config_and_not_with_the_title(self, tmp_path):
        path = write_model(tmp_path / "m.onnx", "float32")
        write_config(path, mean=MEAN, std=STD)
        first = ModelFiles.of(path).fingerprint()
        write_config(path, mean=MEAN, std=STD, title="Another title")
        assert ModelFiles.of(path).fingerprint() == first
        write_config(path, mean=STD, std=STD)
        assert ModelFiles.of(path).fingerprint() != first

    def test_taking_it_does_not_import_onnxruntime(self, tmp_path):
        path = write_model(tmp_path / "m.onnx")
        program = (
            "import sys; from orangecontrib.imageanalytics.models import user_models\n"
            "from orangecontrib.imageanalytics.model_file.onnx_model import ModelSpec\n"
            "ModelSpec.of(sys.argv[1]); user_models.find(sys.argv[2])\n"
            "assert not {'onnxruntime', 'Orange', 'AnyQt', 'httpx'} & set(sys.modules)\n"
        )
        subprocess.run([sys.executable, "-c", program, path, tmp_path], check=True)


class TestModelSpec:
    def test_it_travels_to_another_process_and_loads_the_model(self, tmp_path):
        spec = ModelSpec.of(write_model(tmp_path / "m.onnx"))
        assert hash(spec) is not None
        assert pickle.loads(pickle.dumps(spec)).load().dimension == 4

    def test_a_model_replaced_in_the_meantime_is_not_used_under_the_old_name(self, tmp_path):
        path = write_model(tmp_path / "m.onnx")
        spec = ModelSpec.of(path)
        write_model(path, factor=2)
        with pytest.raises(ModelFileError, match="has been changed in the meantime"):
            spec.load()

    def test_a_config_replaced_in_the_meantime_is_noticed_too(self, tmp_path):
        path = write_model(tmp_path / "m.onnx")
        spec = ModelSpec.of(path)
        write_config(path, input_space="BGR")
        with pytest.raises(ModelFileError, match="has been changed in the meantime"):
            spec.load()

    def test_a_copy_with_another_time_is_the_same_model(self, tmp_path):
        path = write_model(tmp_path / "m.onnx")
        spec = ModelSpec.of(path)
        os.utime(path, (1, 1))
        assert spec.load().dimension == 4

    def test_a_bundled_model_is_found_where_the_package_is_installed_elsewhere(self):
        spec = ModelSpec.of(MODELS["squeezenet"].weights)
        elsewhere = Path("/elsewhere/weights") / spec.path.name
        moved = ModelSpec(elsewhere, spec.provider, spec.fingerprint, spec.state)
        assert moved.load().dimension == 1000


class TestProviders:
    def test_the_cpu_is_always_there(self):
        assert "cpu" in session.available_providers()

    def test_a_name_that_is_none(self, tmp_path):
        path = write_model(tmp_path / "m.onnx")
        with pytest.raises(WorkerError, match=r"no provider 'gpu' .*cpu, cuda, coreml, directml"):
            OnnxModel(path, provider="gpu")
        with pytest.raises(WorkerError, match="no provider 'gpu'"):
            ModelSpec.of(path, "gpu")

    def test_one_that_the_installed_onnxruntime_does_not_offer(self, tmp_path):
        missing = set(session.PROVIDERS) - set(session.available_providers())
        if not missing:
            pytest.skip("this onnxruntime offers all")
        with pytest.raises(WorkerError, match=r"cannot compute with .*; it offers .*cpu"):
            OnnxModel(write_model(tmp_path / "m.onnx"), provider=min(missing))

    @pytest.mark.filterwarnings("ignore:Specified provider")
    def test_one_that_does_not_start_is_an_error_and_the_cpu_does_not_step_in(
        self, tmp_path, monkeypatch
    ):
        if "cuda" in session.available_providers():
            pytest.skip("here it may start")
        # As on a computer whose onnxruntime has CUDA and whose driver does not.
        monkeypatch.setattr(
            onnxruntime,
            "get_available_providers",
            lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        )
        path = write_model(tmp_path / "m.onnx")
        with pytest.raises((WorkerError, ModelFileError), match="'cuda'"):
            OnnxModel(path, provider="cuda")


def test_what_onnxruntime_says_is_passed_on_in_one_line_without_codes():
    error = Exception("[ONNXRuntimeError] : 1 : FAIL : Load failed: no operator.\nand a page")
    assert session.reason(error) == "Load failed: no operator"
    assert onnx_model.reason(MemoryError()) == "MemoryError"
