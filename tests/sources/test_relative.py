"""Names without a folder: where each is looked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orangecontrib.imageanalytics.sources import finder, is_relative, set_lost_apart


@pytest.mark.parametrize(
    "value",
    ["a.png", "./a.png", "../a.png", "sub/a.png", "sub\\a.png", "scan12:30.png", "~a.png", "data"],
)
def test_names_and_parts_of_paths_are_relative(value: str) -> None:
    assert is_relative(value)


@pytest.mark.parametrize(
    "value",
    ["/a.png", "C:\\a.png", "c:/a.png", "\\\\nas\\a.png", "~/a.png", "http://x/a.png",
     "data:,x", "file:///a.png", " https://x/a.png"],
)  # fmt: skip
def test_paths_and_addresses_are_not_and_come_back_as_they_are(value: str, tmp_path: Path) -> None:
    assert not is_relative(value)
    for origin in ("", str(tmp_path), "sub", "https://example.org/"):
        assert finder(origin, [str(tmp_path)])(value) == value


def put(folder: Path, name: str = "a.png") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).touch()
    return str(folder / name)


def test_the_columns_origin_comes_first_then_the_folder(tmp_path: Path) -> None:
    origin, folder = tmp_path / "origin", tmp_path / "folder"
    find = finder(str(origin), [str(folder)])
    assert find("a.png") == str(origin / "a.png")  # if there is none, this is what is reported
    inside = put(folder)
    assert find("a.png") == inside
    inside = put(origin)
    assert find("a.png") == inside


def test_a_relative_origin_is_in_the_folder(tmp_path: Path) -> None:
    find = finder("photos", [str(tmp_path)])
    assert find("a.png") == str(tmp_path / "photos" / "a.png")
    beside = put(tmp_path)
    assert find("a.png") == beside
    inside = put(tmp_path / "photos")
    assert find("a.png") == inside


def test_an_address_as_origin_needs_no_folder(tmp_path: Path) -> None:
    put(tmp_path)
    assert finder("https://x.org/p", [str(tmp_path)])("a.png") == "https://x.org/p/a.png"


def test_a_home_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    put(tmp_path / "photos")
    assert finder("/nowhere", ["~/photos"])("a.png") == os.path.join("~/photos", "a.png")  # noqa: PTH118


def test_without_any_place_a_name_stays_as_it_is() -> None:
    assert finder("")("a.png") == "a.png"
    assert finder("sub")("a.png") == os.path.join("sub", "a.png")  # noqa: PTH118


def test_no_name_is_too_strange(tmp_path: Path) -> None:
    find = finder(str(tmp_path / "a"), [str(tmp_path)])
    for name in ("a\0b", "x" * 5000, "\udcff", "a\nb", "🍋.png", " "):
        assert find(name).endswith(name)


def test_names_whose_folder_nobody_knows_are_set_apart_and_not_looked_for_elsewhere() -> None:
    references = ["a.png", "/b.png", None, "http://x/c.png"]
    found, lost = set_lost_apart(references, None)
    assert found == [None, "/b.png", None, "http://x/c.png"]
    assert {row: str(why) for row, why in lost.items()} == {
        0: "not found: its folder is not known: a.png"
    }
    assert set_lost_apart(references, "/folder") == (references, {})
