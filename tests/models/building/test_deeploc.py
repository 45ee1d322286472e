"""DeepLoc of a checkpoint that TensorFlow wrote: the numbers that TensorFlow computes.

`recorded/deeploc.*` were made by `tools/record_deeploc.py`: DeepLoc's layers and names, with one
channel in place of 64.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.building import build, checkpoint_files
from orangecontrib.imageanalytics.models.recipes import MAIN, DeepLoc
from orangecontrib.imageanalytics.outcome import ModelFileError

RECORDED = Path(__file__).parent / "recorded"
RECIPE = DeepLoc(channels=(1, 1, 2, 2, 4, 4, 4, 4), dimension=8)


def pictures():
    """As `tools/record_deeploc.py` makes them."""
    found = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    found[0] //= 8
    found[1] = 100 + found[1] // 128
    return found


def copied(folder: Path, name: str = "model.ckpt-5000") -> Path:
    for file in RECORDED.glob("deeploc.*"):
        shutil.copy(file, folder / file.name.replace("deeploc", name))
    return folder / name


def test_fc_2_is_the_embedding(tmp_path: Path) -> None:
    build(RECIPE, checkpoint_files(RECORDED / "deeploc"), tmp_path / "deeploc.onnx")
    model = OnnxModel(tmp_path / "deeploc.onnx")
    with np.load(RECORDED / "deeploc-expected.npz") as file:
        expected = file["fc_2"]
    assert (model.input_size, model.dimension) == ((64, 64), 8)
    assert expected.max() > 0.1 and len(np.unique(expected, axis=0)) == 4
    np.testing.assert_allclose(model(pictures()), expected, atol=1e-4)


@pytest.mark.parametrize("end", ["", ".index", ".meta", ".data-00000-of-00001"])
@pytest.mark.parametrize("name", ["model.ckpt-5000", "a[1]*"])
def test_a_checkpoint_is_found_by_any_of_its_names(tmp_path: Path, end: str, name: str) -> None:
    path = copied(tmp_path, name)
    copied(tmp_path, f"{name}0")
    assert checkpoint_files(path.with_name(path.name + end)) == {
        MAIN: path.with_name(f"{name}.index"),
        f"{name}.data-00000-of-00001": path.with_name(f"{name}.data-00000-of-00001"),
    }


def test_what_is_no_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="V2"):
        checkpoint_files(tmp_path / "model.ckpt")


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="shape"):
        build(DeepLoc(), checkpoint_files(RECORDED / "deeploc"), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_missing_data_are_said(tmp_path: Path) -> None:
    path = copied(tmp_path)
    path.with_name("model.ckpt-5000.data-00000-of-00001").unlink()
    with pytest.raises(ModelFileError, match="data-00000-of-00001"):
        build(RECIPE, checkpoint_files(path), tmp_path / "x.onnx")


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001"])
def test_a_part_that_is_cut_off_is_refused(tmp_path: Path, part: str) -> None:
    path = copied(tmp_path)
    file = path.with_name(path.name + part)
    whole = file.read_bytes()
    for length in range(0, len(whole) // 2, len(whole) // 14):
        file.write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match=r"model\.ckpt-5000"):
            build(RECIPE, checkpoint_files(path), tmp_path / "x.onnx")


def test_random_changes_of_an_index_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    path, rng, refused = copied(tmp_path), np.random.default_rng(0), 0
    index = path.with_name("model.ckpt-5000.index")
    whole = index.read_bytes()
    for _ in range(200):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), 2):
            content[at] = rng.integers(256)
        index.write_bytes(content)
        try:
            build(RECIPE, checkpoint_files(path), tmp_path / "x.onnx")
        except ModelFileError:
            refused += 1
    assert 0 < refused < 200
