"""The commands find and duplicates, as a user runs them."""

import json
import shutil
import subprocess
import sys

import pytest

from orangecontrib.imageanalytics.__main__ import main
from orangecontrib.imageanalytics.models.downloading import download
from tests.clip import put_clip
from tests.conftest import PHOTOS
from tests.copies import write_copies
from tests.hub import Hub


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip models")
    with pytest.MonkeyPatch.context() as patch, Hub() as hub:
        patch.setenv("HF_ENDPOINT", hub.url())
        download(put_clip(hub, patch), folder)
    return folder


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_find_lists_the_images_that_fit_best(models_folder, capsys):
    arguments = ["find", "a lemon", str(PHOTOS), "-k", "5", "--models-folder", str(models_folder)]
    assert main(arguments) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "rank\tsimilarity\tpath" and len(rows) == 5
    assert main([*arguments, "--json"]) == 0
    found = lines(capsys.readouterr().out)
    assert [row["rank"] for row in found] == [1, 2, 3, 4, 5]
    similarities = [row["similarity"] for row in found]
    assert similarities == sorted(similarities, reverse=True)
    assert [row.split("\t")[2] for row in rows] == [row["path"] for row in found]


def test_find_without_the_model_says_how_to_get_it(tmp_path, capsys):
    assert main(["find", "a lemon", str(PHOTOS), "--models-folder", str(tmp_path)]) == 1
    assert "models get clip-vit-b-32" in capsys.readouterr().err


def test_duplicates_lists_groups_the_largest_first(tmp_path, capsys):
    lemon = PHOTOS / "fruit" / "lemon.png"
    copies = write_copies(lemon, tmp_path / "copies")
    shutil.copy(PHOTOS / "animal" / "cow.png", tmp_path / "copies" / "🐄.png")
    (tmp_path / "copies" / "broken.png").write_bytes(lemon.read_bytes()[:300])
    assert main(["duplicates", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    found = lines(out)
    assert {row["path"] for row in found} == set(copies.values())
    assert {row["group"] for row in found} == {1}
    assert "skipped: 1 damaged" in err and "broken.png: damaged: " in err
    assert found[0] == {
        "group": 1,
        "distance": 0,
        "width": found[0]["width"],
        "height": found[0]["height"],
        "path": copies["photo"],
    }
    assert all(row["width"] <= found[0]["width"] for row in found)
    assert main(["duplicates", str(tmp_path), "--threshold", "0", "--json"]) == 0
    exact = {row["path"] for row in lines(capsys.readouterr().out)}
    assert exact == {copies[kind] for kind in ("photo", "png", "tiff")}


def test_no_duplicates_are_no_lines_and_a_word_to_the_user(capsys):
    assert main(["duplicates", str(PHOTOS)]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "no duplicates among 13 images" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["find", "words alone"],
        ["find", "a lemon", "x", "-k", "0"],
        ["find", "a lemon", str(PHOTOS), "-m", "squeezenet"],
        ["find", "a lemon", str(PHOTOS), "-m", "no such model"],
        ["duplicates", "x", "--threshold", "0.5"],
        ["duplicates", "x", "--threshold", "much"],
    ],
)
def test_wrong_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and "usage" in capsys.readouterr().err


def test_an_empty_folder_is_an_error(tmp_path, capsys):
    assert main(["duplicates", str(tmp_path)]) == 1
    assert "no files" in capsys.readouterr().err


def test_they_start_without_orange_and_qt():
    program = (
        "import sys\n"
        "from orangecontrib.imageanalytics.__main__ import main\n"
        f"main(['duplicates', {str(PHOTOS)!r}, '--no-cache'])\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'Orange', 'AnyQt', 'PyQt6', 'PyQt5'}, loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
