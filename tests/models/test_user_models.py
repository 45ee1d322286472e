"""user_models: what lies in the user's folder, what is usable, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.model_file.config import ModelConfig, read_config
from orangecontrib.imageanalytics.models import Kind, user_models
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.outcome import ModelFileError, UnknownModelError
from tests.small_models import MEAN, STD, images, write_model, write_weights


def problem(folder: Path) -> str:
    """The one problem of a folder without a usable model."""
    found = user_models.find(folder)
    assert not found.models
    (only,) = found.problems
    return only.message


def write_config(path: Path, **words: object) -> None:
    path.write_text(json.dumps(words))


class TestFolder:
    def test_a_file_is_found_by_its_name_and_described(self, tmp_path):
        path = write_model(tmp_path / "my-model.onnx")
        write_config(
            tmp_path / "my-model.json",
            title="My model",
            description="Mean colours.",
            license="MIT",
            citation="A paper",
            trained_on="nothing",
        )
        found = user_models.find(tmp_path)
        assert found.problems == ()
        model = found.models["my-model"]
        assert (model.title, model.description) == ("My model", "Mean colours.")
        assert (model.licence, model.citation, model.trained_on) == ("MIT", "A paper", "nothing")
        assert (model.input_size, model.dimension, model.layer) == ((8, 8), 4, "embedding")
        assert (model.weights, model.is_local) == (path, True)

    def test_without_a_config_its_name_is_its_title(self, tmp_path):
        write_model(tmp_path / "my.model.v2.onnx")
        (model,) = user_models.find(tmp_path).models.values()
        assert (model.id, model.title) == ("my.model.v2", "my.model.v2")
        assert "my.model.v2.onnx" in model.description
        assert model.licence == "not stated"

    def test_the_environment_names_the_folder(self, tmp_path, monkeypatch):
        write_model(tmp_path / "m.onnx")
        monkeypatch.setenv(user_models.FOLDER_VARIABLE, str(tmp_path))
        assert user_models.default_folder() == tmp_path
        assert list(user_models.find().models) == ["m"]

    def test_else_it_is_among_the_users_data(self, monkeypatch):
        monkeypatch.delenv(user_models.FOLDER_VARIABLE)
        folder = user_models.default_folder()
        assert folder.is_absolute()
        assert folder.parts[-2:] == ("imageanalytics", "models")

    def test_a_folder_that_is_not_there_holds_nothing(self, tmp_path):
        assert user_models.find(tmp_path / "none") == user_models.Found({})

    def test_a_file_in_place_of_the_folder_is_a_problem(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        assert "cannot be read" in problem(tmp_path / "file")

    def test_other_files_hidden_ones_and_folders_inside_are_left_alone(self, tmp_path):
        write_model(tmp_path / "m.ONNX")
        (tmp_path / "._m.onnx").write_bytes(b"what macOS leaves on other people's disks")
        (tmp_path / "README.txt").write_text("no model")
        (tmp_path / "inside").mkdir()
        write_model(tmp_path / "inside" / "n.onnx")
        found = user_models.find(tmp_path)
        assert (list(found.models), found.problems) == (["m"], ())

    def test_models_come_in_the_order_of_their_titles(self, tmp_path):
        for name, title in (("a", "zebra"), ("b", "Apple"), ("c", "mango")):
            write_model(tmp_path / f"{name}.onnx")
            write_config(tmp_path / f"{name}.json", title=title)
        assert list(user_models.find(tmp_path).models) == ["b", "c", "a"]

    def test_no_two_models_have_the_same_title(self, tmp_path):
        for name in ("a", "b"):
            write_model(tmp_path / f"{name}.onnx")
            write_config(tmp_path / f"{name}.json", title="squeezenet")
        titles = [model.title for model in user_models.find(tmp_path).models.values()]
        assert titles == ["squeezenet (a.onnx)", "squeezenet (b.onnx)"]

    def test_a_new_version_of_a_file_is_seen(self, tmp_path):
        write_model(tmp_path / "m.onnx")
        assert user_models.find(tmp_path).models["m"].input_size == (8, 8)
        write_model(tmp_path / "m.onnx", shape=["N", 16, 16, 3])
        assert user_models.find(tmp_path).models["m"].input_size == (16, 16)

    def test_weights_beside_the_file_belong_to_it(self, tmp_path):
        write_model(tmp_path / "m.onnx", external="m.onnx.data")
        assert "is missing" in problem(tmp_path)
        write_weights(tmp_path / "m.onnx.data")
        assert list(user_models.find(tmp_path).models) == ["m"]


class TestNames:
    @pytest.mark.parametrize("model", MODELS)
    def test_no_file_takes_the_place_of_a_model_of_the_catalogue(self, tmp_path, model):
        write_model(tmp_path / f"{model}.onnx")
        assert f"has the same name as the model '{model}'" in problem(tmp_path)

    def test_not_in_capitals_either(self, tmp_path):
        write_model(tmp_path / "VGG16.onnx")
        assert "has the same name as the model 'vgg16'" in problem(tmp_path)

    def test_a_server_may_hold_the_models_that_it_serves(self, tmp_path):
        write_model(tmp_path / "vgg16.onnx")
        write_model(tmp_path / "squeezenet.onnx")
        local = [model.id for model in MODELS.values() if model.kind is Kind.BUNDLED]
        found = user_models.find(tmp_path, reserved=local)
        assert list(found.models) == ["vgg16"]
        assert [fault.id for fault in found.problems] == ["squeezenet"]

    def test_of_two_files_with_the_same_name_one_is_a_problem(self, tmp_path):
        write_model(tmp_path / "m.onnx")
        write_model(tmp_path / "M.onnx")
        if len(list(tmp_path.iterdir())) == 1:
            pytest.skip("this file system does not tell them apart")
        found = user_models.find(tmp_path)
        assert list(found.models) == ["M"]
        assert "has the same name as M.onnx" in found.problems[0].message


class TestProblems:
    def test_a_file_that_is_no_model_harms_no_other(self, tmp_path):
        write_model(tmp_path / "good.onnx")
        (tmp_path / "bad.onnx").write_bytes(b"not a model")
        (tmp_path / "empty.onnx").write_bytes(b"")
        (tmp_path / "folder.onnx").mkdir()
        write_model(tmp_path / "numbers.onnx", "float32")
        found = user_models.find(tmp_path)
        assert list(found.models) == ["good"]
        said = {fault.id: fault.message for fault in found.problems}
        assert list(said) == ["bad", "empty", "folder", "numbers"]
        assert all(str(tmp_path / f"{name}.onnx") in message for name, message in said.items())
        assert "is not an ONNX file" in said["bad"]
        assert "is empty" in said["empty"]
        assert "is not a file" in said["folder"]
        assert '"mean" and "std"' in said["numbers"]

    def test_a_link_that_leads_nowhere(self, tmp_path):
        try:
            (tmp_path / "m.onnx").symlink_to(tmp_path / "gone.onnx")
        except OSError:
            pytest.skip("this account may not make links")
        assert "is not there" in problem(tmp_path)

    def test_a_broken_config(self, tmp_path):
        write_model(tmp_path / "m.onnx")
        (tmp_path / "m.json").write_text('{"title": ')
        assert "m.json is not valid JSON" in problem(tmp_path)


class TestConfig:
    def test_none_says_nothing(self, tmp_path):
        assert read_config(tmp_path / "m.json") == ModelConfig()

    def test_timms_own_config_is_understood(self, tmp_path):
        path = tmp_path / "m.json"
        write_config(
            path,
            url="",
            architecture="resnet18",
            num_classes=1000,
            input_size=[3, 224, 288],
            pool_size=[7, 7],
            crop_pct=0.95,
            interpolation="bicubic",
            fixed_input_size=False,
            mean=[0.485, 0.456, 0.406],
            std=[0.229, 0.224, 0.225],
            first_conv="conv1",
            classifier="fc",
            license="apache-2.0",
            paper_ids=None,
        )
        assert read_config(path) == ModelConfig(
            title="resnet18",
            licence="apache-2.0",
            input_size=(224, 288),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        )

    def test_so_is_the_file_that_holds_it_on_the_hub(self, tmp_path):
        path = tmp_path / "m.json"
        write_config(
            path,
            architecture="resnet18",
            num_features=512,
            pretrained_cfg={"mean": MEAN, "std": STD, "input_size": [3, 224, 224]},
        )
        config = read_config(path)
        assert (config.dimension, config.input_size) == (512, (224, 224))
        assert config.mean == tuple(MEAN)

    def test_an_editor_may_put_a_byte_order_mark_first(self, tmp_path):
        path = tmp_path / "m.json"
        path.write_text('{"title": "Größe"}', encoding="utf-8-sig")
        assert read_config(path).title == "Größe"

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"means": MEAN}, 'says "means". Did you mean "mean"'),
            ({"input-size": [3, 8, 8]}, 'Did you mean "input_size"'),
            ({"mean": MEAN}, "belong together"),
            ({"mean": MEAN, "std": [0.5, 0.5, 0]}, '"std" must be above zero'),
            ({"mean": [127, 127, 127], "std": STD}, r'add "input_range": \[0, 255\]'),
            ({"mean": [0.5, 0.5], "std": STD}, '"mean" must be three numbers'),
            ({"mean": [0.5, 0.5, True], "std": STD}, '"mean" must be three numbers'),
            ({"mean": [0.5, 0.5, float("nan")], "std": STD}, '"mean" must be three numbers'),
            ({"mean": [0.5, 0.5, 10**400], "std": STD}, '"mean" must be three numbers'),
            ({"input_size": [1, 8, 8]}, "images have three colours"),
            ({"input_size": [3, 8, "8"]}, r"must be \[3, height, width\]"),
            ({"input_size": [8]}, r"must be \[3, height, width\]"),
            ({"input_space": "HSV"}, 'must be "RGB" or "BGR"'),
            ({"input_range": [-1, 1]}, r"must be \[0, 1\] or \[0, 255\]"),
            ({"num_features": 0}, "the length of an embedding"),
            ({"title": 5}, '"title" must be a text'),
        ],
    )
    def test_what_would_make_wrong_numbers_is_refused(self, tmp_path, words, message):
        path = tmp_path / "m.json"
        write_config(path, **words)
        with pytest.raises(ModelFileError, match=message) as caught:
            read_config(path)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"[1, 2]", "one JSON object"),
            (b"\xff\xfe", "not valid JSON"),
            (b"[" * 100_000, "not valid JSON"),
            (b" " * (2**20 + 1), "larger than a model's config"),
        ],
    )
    def test_other_content_is_refused(self, tmp_path, content, message):
        path = tmp_path / "m.json"
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            read_config(path)

    def test_a_folder_in_its_place_is_refused(self, tmp_path):
        (tmp_path / "m.json").mkdir()
        with pytest.raises(ModelFileError, match="is something else"):
            read_config(tmp_path / "m.json")


def test_a_model_dropped_into_the_folder_embeds(tmp_path):
    from orangecontrib.imageanalytics.model_file.onnx_model import ModelSpec

    write_model(tmp_path / "m.onnx", "float32")
    write_config(tmp_path / "m.json", mean=MEAN, std=STD)
    model = user_models.find(tmp_path).models["m"]
    assert ModelSpec.of(model.weights).load()(images()).shape == (3, model.dimension)


def test_a_name_that_is_nearly_right_is_guessed(tmp_path):
    with pytest.raises(UnknownModelError, match="Did you mean 'squeezenet'"):
        models.get("sqeezenet", tmp_path)
    with pytest.raises(UnknownModelError) as raised:
        models.get("zzzzzz", tmp_path)
    assert "Did you mean" not in str(raised.value)
