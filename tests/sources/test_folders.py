"""Walking folders."""

from __future__ import annotations

import os
from pathlib import Path

from orangecontrib.imageanalytics.sources.folders import natural_key, walk


def names(folder: Path) -> list[str]:
    return [os.path.relpath(path, folder) for path in walk(folder)]


def test_order_is_natural_and_files_come_before_folders(tmp_path):
    for name in ("img10.png", "img2.png", "IMG3.png", "b10/x.png", "b9/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    expected = ["img2.png", "IMG3.png", "img10.png", "b9/x.png", "b10/x.png"]
    assert names(tmp_path) == [str(Path(name)) for name in expected]


def test_names_of_digits_of_other_scripts_can_be_sorted():
    assert sorted(["²", "1", "٣", "a1", "1a"], key=natural_key)[0] == "1"


def test_hidden_files_and_folders_are_left_out(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.png").touch()
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "seen.png").touch()
    assert names(tmp_path) == ["seen.png"]


def test_links_that_loop_are_followed_once(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.png").touch()
    (tmp_path / "folder" / "up").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to("itself")
    assert names(tmp_path) == ["itself", str(Path("folder/a.png"))]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path):
    errors = []
    assert list(walk(tmp_path / "gone", errors.append)) == []
    assert errors[0].filename == str(tmp_path / "gone")
