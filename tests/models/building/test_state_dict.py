"""Files of PyTorch are read as numbers: what they say to run is never run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from orangecontrib.imageanalytics.models.building.pickled import NotTensors, read_pickle
from orangecontrib.imageanalytics.models.building.state_dict import of_state_dict
from orangecontrib.imageanalytics.outcome import ModelFileError
from tests.models.building.torch_files import save

RECORDED = Path(__file__).parent / "recorded"
FORMATS = pytest.mark.parametrize("legacy", [True, False], ids=["before 1.6", "since 1.6"])


@pytest.mark.parametrize("name", ["archive.pth", "legacy.pth"])
def test_what_pytorch_saved_is_read(name: str) -> None:
    weights = of_state_dict(RECORDED / name)
    with np.load(RECORDED / "state_dict.npz") as expected:
        assert set(weights.shapes) == set(expected.files)
        for key in set(expected.files) - {"1.num_batches_tracked"}:
            found = weights.take(key, *expected[key].shape)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected[key].astype(np.float32))


def test_a_whole_network_is_refused_as_it_would_import_its_classes() -> None:
    with pytest.raises(ModelFileError, match=r"torch\.nn"):
        of_state_dict(RECORDED / "network.pth")


@FORMATS
def test_a_large_file_of_many_tensors_is_read(tmp_path: Path, legacy: bool) -> None:
    rng = np.random.default_rng(0)
    saved = {f"layer{i}": rng.standard_normal((i + 1, 7)).astype("f4") for i in range(300)}
    weights = of_state_dict(save(tmp_path / "x.pth", saved, legacy=legacy))
    for name, value in saved.items():
        np.testing.assert_array_equal(weights.take(name, *value.shape), value)


class Evil:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_pickle_that_would_run_something_is_refused_and_does_not(tmp_path: Path) -> None:
    folder, file = tmp_path / "made", tmp_path / "x.pth"
    content = pickle.dumps({"weights": Evil(folder)}, 2)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    with pytest.raises(ModelFileError, match="mkdir"):
        of_state_dict(file)
    assert not folder.exists()
    pickle.loads(content)
    assert folder.exists(), "the pickle would have done it"


PICKLES = {
    "an instruction of newer pickles": b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93.",
    "an instance": b"\x80\x02(ios\nmkdir\n.",
    "a call of something that is no name": b"\x80\x02K\x01)R.",
    "attributes of a number": b"\x80\x02K\x01}b.",
    "items of a number": b"\x80\x02K\x01(K\x02K\x03u.",
    "an odd number of items": b"\x80\x02}(K\x02u.",
    "a mark that is missing": b"\x80\x02K\x01t.",
    "a tuple of more than there is": b"\x80\x02K\x01\x87.",
    "a memory that is empty": b"\x80\x02h\x05.",
    "two results": b"\x80\x02K\x01K\x02.",
    "no result": b"\x80\x02.",
    "no end": b"\x80\x02K\x01",
    "nothing": b"",
    "a storage that is a number": b"\x80\x02(K\x01K\x02K\x03K\x04K\x05tQ.",
    "a storage of something else": b"\x80\x02(X\x07\x00\x00\x00storagecos\nmkdir\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.",
    "a negative size": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ\xff\xff\xff\xfftQ.",
}


@pytest.mark.parametrize("content", PICKLES.values(), ids=PICKLES)
def test_a_pickle_of_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(NotTensors):
        read_pickle(io.BytesIO(content))


@FORMATS
def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path, legacy: bool) -> None:
    saved = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(4, "f4")}
    whole = save(tmp_path / "x.pth", saved, legacy=legacy).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "x.pth").write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match=r"x\.pth"):
            of_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize(("shape", "strides"), [((3, 3), (3, 1)), ((2, 3), (400, 1)), ((7,), (1,))])
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    class Lying(np.ndarray):
        """Six numbers, of another shape than is said."""

        @property
        def shape(self):
            return shape

        @property
        def strides(self):
            return tuple(4 * step for step in strides)

    file = save(tmp_path / "x.pth", {"a": np.zeros(6, "f4").view(Lying)}, legacy=False)
    with pytest.raises(ModelFileError, match="beyond"):
        of_state_dict(file).take("a", *shape)


def test_random_changes_of_a_file_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = (RECORDED / "legacy.pth").read_bytes()
    file, refused = tmp_path / "x.pth", 0
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(256)
        file.write_bytes(content)
        try:
            weights = of_state_dict(file)
            for name, shape in weights.shapes.items():
                if shape and np.prod(shape, dtype=float) < 1e6:
                    weights.take(name, *shape)
        except ModelFileError:
            refused += 1
    assert 0 < refused < 300
