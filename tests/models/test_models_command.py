"""The command line of the models, against a hub of our own on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.__main__ import _Eyes as Eyes
from orangecontrib.imageanalytics.__main__ import main
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder, MissingModelError
from orangecontrib.imageanalytics.models import checking
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.models.downloaded import downloaded_files
from tests.hub import Hub, address, downloadable, refuse, small_network
from tests.small_models import write_model


@pytest.fixture
def hub(monkeypatch):
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url())
        yield hub


@pytest.fixture
def model(hub, tmp_path, monkeypatch):
    """A model of the catalogue that the hub has."""
    content = small_network(tmp_path)
    hub.put(content)
    model = downloadable(content)
    monkeypatch.setitem(MODELS, model.id, model)
    return model


def own_config(name: str, said: dict) -> Path:
    """Put a JSON file among the user's models."""
    config = models.default_folder() / f"{name}.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(said))
    return config


def usage_error(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["models", *map(str, arguments)])
    return exit_.value.code


class TestCommands:
    def test_all_models_are_listed_section_by_section(self, model, capsys):
        (models.default_folder() / "bad.onnx").write_bytes(b"junk")
        assert main(["models", "list"]) == 0
        said = capsys.readouterr()
        here, to_download, server = (said.out.index(f"{section}:") for section in models.Section)
        assert here < said.out.index("squeezenet") < to_download
        assert to_download < said.out.index("small-model") < server < said.out.index("painters")
        assert "bad.onnx" in said.err

    def test_a_long_name_is_apart_from_the_title(self, capsys):
        name = "a-name-of-more-than-twenty-letters"
        write_model(models.default_folder() / f"{name}.onnx")
        assert main(["models", "list"]) == 0
        (line,) = (one for one in capsys.readouterr().out.splitlines() if name in one)
        assert line.split()[:2] == [name, name]

    def test_one_is_downloaded_and_removed(self, model, capsys):
        assert main(["models", "get", "small-model"]) == 0
        file = models.get("small-model").weights
        assert file is not None and str(file) in capsys.readouterr().out
        assert main(["models", "get", "small-model"]) == 0  # and that again is no error
        assert main(["models", "remove", "small-model"]) == 0
        assert "2 MB freed" in capsys.readouterr().out
        assert not file.exists()

    def test_into_another_folder(self, model, tmp_path, photos):
        folder = tmp_path / "elsewhere"
        assert main(["models", "get", "small-model", "--models-folder", str(folder)]) == 0
        assert downloaded_files(model, folder)[0].is_file()
        assert not downloaded_files(model)[0].exists()
        with ImageEmbedder("small-model", models_folder=folder, cache=False) as embedder:
            assert embedder(photos[:1])[0].shape == (4,)

    def test_what_cannot_be_had_is_said_with_status_1(self, hub, model, capsys):
        hub.on(address(), refuse(404, X_Error_Code="EntryNotFound"))
        assert main(["models", "get", "small-model"]) == 1
        assert "404" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["get", "remove", "check"])
    def test_only_what_is_to_be_downloaded_is(self, command, capsys):
        assert usage_error(command, "squeezenet") == 2
        assert usage_error(command, "vgg16") == 2
        assert "runs on a server" in capsys.readouterr().err
        assert usage_error(command, "unheard-of") == 2

    def test_without_a_command_the_commands_are_named(self, capsys):
        assert usage_error() == 2
        assert usage_error("--help") == 0
        said = capsys.readouterr().out
        assert all(command in said for command in ("list", "get", "remove", "add", "check"))

    def test_a_folder_of_images_may_be_called_models(self, tmp_path, photos, monkeypatch, capsys):
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "a.png").write_bytes(photos[0].read_bytes())
        monkeypatch.chdir(tmp_path)
        assert main(["models"]) == 0
        assert "1 of 1 images embedded" in capsys.readouterr().out


class TestEmbedding:
    def test_a_missing_model_is_an_error_that_names_the_command_and_the_size(self, model):
        with pytest.raises(MissingModelError, match=r"2 MB.*models get small-model.*download=True"):
            ImageEmbedder("small-model")

    def test_a_script_may_download_it(self, model, photos):
        with ImageEmbedder("small-model", download=True, cache=False) as embedder:
            assert embedder(photos[:1])[0].shape == (4,)

    def test_so_may_all_scripts(self, model, photos, monkeypatch):
        monkeypatch.setenv("ORANGE_IMAGE_DOWNLOAD", "1")
        with ImageEmbedder("small-model", cache=False) as embedder:
            assert embedder(photos[:1])[0].shape == (4,)

    def test_the_command_line_says_how_and_does_it(self, model, photos, capsys):
        assert main([str(photos[0]), "-m", "small-model"]) == 1
        assert "models get small-model" in capsys.readouterr().err
        assert main([str(photos[0]), "-m", "small-model", "--download"]) == 0
        assert "1 of 1 images embedded with small-model" in capsys.readouterr().out


class WithWords(Eyes):
    """Reads the name of a photo in a text, and gives that photo's embedding; or another's."""

    def __init__(self, **mistaken: str) -> None:
        super().__init__(None)
        self._mistaken = mistaken

    def words(self, model, texts):
        names = [text.removeprefix("a photo of a ") for text in texts]
        by_name = {photo.stem.replace("_", " "): photo for photo in checking.example_photos()}
        photos = [by_name[self._mistaken.get(name, name)] for name in names]
        return np.array(self.pictures(model.id, photos))


class TestCheck:
    def test_a_model_that_sees_fits(self):
        assert checking.check(MODELS["efficientnet-lite0"], Eyes(None)) == []

    def test_words_that_find_what_they_name_fit(self):
        assert checking.check(MODELS["efficientnet-lite0"], WithWords(lemon="lemon")) == []

    def test_words_that_find_something_else_are_told(self):
        (problem,) = checking.check(MODELS["efficientnet-lite0"], WithWords(lemon="tiger"))
        assert problem == 'the words "lemon" find tiger'

    def test_one_that_does_not_see_is_told(self, model, capsys):
        assert main(["models", "check", "small-model"]) == 1
        assert "is most like" in capsys.readouterr().out

    def test_one_that_cannot_be_had_is_told_and_the_others_are_checked(
        self, hub, model, monkeypatch, capsys
    ):
        hub.on(address(), refuse(404, X_Error_Code="EntryNotFound"))
        assert main(["models", "check", "small-model", "small-model"]) == 1
        assert capsys.readouterr().out.count("small-model:") == 2


class TestAdd:
    def test_a_file_of_our_kind_is_copied_with_what_is_said_beside_it(self, tmp_path, capsys):
        path = write_model(tmp_path / "mine.onnx")
        path.with_suffix(".json").write_text(json.dumps({"title": "Mine"}))
        assert main(["models", "add", str(path)]) == 0
        assert models.get("mine").title == "Mine"
        assert "4 numbers" in capsys.readouterr().out

    def test_it_can_get_another_name(self, tmp_path):
        path = write_model(tmp_path / "model.onnx")
        assert main(["models", "add", str(path), "--name", "colours"]) == 0
        assert models.get("colours").dimension == 4

    def test_none_takes_anothers_place(self, tmp_path, capsys):
        path = write_model(tmp_path / "VGG16.onnx")
        assert main(["models", "add", str(path)]) == 1
        assert "--name" in capsys.readouterr().err
        path = write_model(tmp_path / "mine.onnx")
        assert main(["models", "add", str(path)]) == 0
        assert main(["models", "add", str(path)]) == 1
        assert "is there already" in capsys.readouterr().err

    def test_a_config_that_lies_where_it_belongs_is_used_and_stays(self, tmp_path, capsys):
        path = write_model(tmp_path / "mine.onnx")
        config = own_config("colours", {"title": "Notes"})
        arguments = ["models", "add", str(path), "--name", "colours", "--config", str(config)]
        assert main(arguments) == 0, capsys.readouterr().err
        assert models.get("colours").title == "Notes"
        assert json.loads(config.read_text()) == {"title": "Notes"}

    def test_a_config_of_the_user_is_not_overwritten_by_another(self, tmp_path, capsys):
        path = write_model(tmp_path / "mine.onnx")
        path.with_suffix(".json").write_text(json.dumps({"title": "Another"}))
        config = own_config("mine", {"title": "Notes"})
        assert main(["models", "add", str(path)]) == 1
        assert f"{config} is there already" in capsys.readouterr().err
        assert json.loads(config.read_text()) == {"title": "Notes"}
        assert list(models.default_folder().iterdir()) == [config]

    def test_what_fails_takes_away_only_what_it_has_written(self, tmp_path, capsys):
        path = write_model(tmp_path / "mine.onnx")
        config = own_config("mine", {"output": "nothing"})
        assert main(["models", "add", str(path), "--config", str(config)]) == 1
        assert "has no output" in capsys.readouterr().err
        assert list(models.default_folder().iterdir()) == [config]

    @pytest.mark.parametrize("name", ["mine.onnx", "mine.json"])
    def test_nothing_is_written_through_a_link_that_leads_nowhere(self, tmp_path, name, capsys):
        path = write_model(tmp_path / "mine.onnx")
        path.with_suffix(".json").write_text("{}")
        link = own_config("other", {}).with_name(name)
        try:
            link.symlink_to(tmp_path / "elsewhere")
        except OSError:
            pytest.skip("this account may not make links")
        assert main(["models", "add", str(path)]) == 1
        assert f"{link} is there already" in capsys.readouterr().err
        assert not (tmp_path / "elsewhere").exists()
        assert link.is_symlink()

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (["nothing.onnx"], "is not there"),
            (["painters", "nothing.h5"], "is not there"),
            (["deeploc", "nothing"], "no file"),
            (["hf:somebody"], "hf:OWNER/NAME/PATH.onnx"),
            (["a", "b"], "is not understood"),
        ],
    )
    def test_what_is_no_model_is_refused(self, source, message, capsys):
        assert main(["models", "add", *source]) == 1
        assert message in capsys.readouterr().err
        assert list(models.default_folder().iterdir()) == []
