"""models: the one place that is asked which models there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orangecontrib.imageanalytics import image_embedder, models
from orangecontrib.imageanalytics.models import Kind, Section
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.outcome import ModelFileError, UnknownModelError
from tests.small_models import write_model


def test_models_come_section_by_section_and_the_catalogues_in_its_order(tmp_path):
    write_model(tmp_path / "mine.onnx")
    found = models.find(tmp_path).models
    sections = [model.section for model in found.values()]
    assert sections == sorted(sections, key=list(Section).index)
    assert [id_ for id_ in found if id_ != "mine"] == sorted(
        MODELS, key=lambda id_: list(Section).index(MODELS[id_].section)
    )
    here = [id_ for id_, model in found.items() if model.section is Section.HERE]
    assert here == ["squeezenet", "efficientnet-lite0", "efficientnet-lite2", "mine"]


def test_each_says_where_it_comes_from(tmp_path):
    write_model(tmp_path / "mine.onnx")
    found = models.find(tmp_path).models
    assert found["squeezenet"].kind is Kind.BUNDLED
    assert found["mine"].kind is Kind.OWN
    assert found["vgg16"].kind is Kind.SERVER
    assert {id_ for id_, model in found.items() if not model.is_local} == {
        id_ for id_, model in MODELS.items() if model.kind is Kind.SERVER
    }


def test_what_is_wrong_with_files_is_told_beside_them(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    found = models.find(tmp_path)
    assert list(found.models) == list(models.find(tmp_path / "none").models)
    assert [problem.id for problem in found.problems] == ["bad"]


def test_one_is_got_by_its_id(tmp_path):
    write_model(tmp_path / "mine.onnx")
    assert models.get("mine", tmp_path).weights == tmp_path / "mine.onnx"
    assert models.get("squeezenet", tmp_path) is MODELS["squeezenet"]


def test_an_unknown_one_is_refused_and_all_are_listed(tmp_path):
    write_model(tmp_path / "mine.onnx")
    with pytest.raises(UnknownModelError, match=r"squeezenet.*mine.*vgg16"):
        models.get("resnet", tmp_path)


def test_a_file_that_is_no_model_is_refused_with_what_is_wrong(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    with pytest.raises(ModelFileError, match="is not an ONNX file"):
        models.get("bad", tmp_path)


def test_scripts_for_the_public_addon_read_the_same_models():
    assert list(image_embedder.MODELS) == list(MODELS)
    assert image_embedder.MODELS["vgg16"]["is_local"] is False


def test_asking_loads_neither_orange_nor_the_network_nor_the_engine():
    program = (
        "import sys; from orangecontrib.imageanalytics import models; models.find()\n"
        "names = 'Orange', 'AnyQt', 'httpx', 'onnxruntime', 'loky', 'huggingface_hub', 'onnx'\n"
        "assert not set(names) & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
