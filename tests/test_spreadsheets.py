"""Spreadsheets with three header rows, `type=image` and an origin need no widget of ours."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import openpyxl
import pytest
from Orange.data import Table

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.tables import image_columns, references

from .conftest import PHOTOS
from .web_server import WebServer, answer

KINDS = [".tab", ".csv", ".xlsx"]


def write(path: Path, rows: list[list[object]]) -> Path:
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="\t" if path.suffix == ".tab" else ",").writerows(rows)
    return path


def spreadsheet(path: Path, origin: str, entries: list[str]) -> Table:
    flags = "meta type=image"
    if origin:
        flags += " origin=" + origin.replace("\\", "\\\\").replace(" ", "\\ ")
    rows = [["weight", "photo", "kind"], ["continuous", "string", "discrete"], ["", flags, "class"]]
    rows += [[i, entry, "fruit" if i % 2 else "animal"] for i, entry in enumerate(entries)]
    return Table(str(write(path, rows)))


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("kind", KINDS)
def test_absolute_relative_and_web_entries_are_embedded_and_missing_ones_skipped(
    tmp_path, kind, no_proxy, no_new_workers
):
    lemon, zebra = PHOTOS / "fruit" / "lemon.png", PHOTOS / "animal" / "zebra.png"
    with WebServer() as server, ImageEmbedder() as embedder:
        server.on("/photos/zebra.png", answer(zebra.read_bytes(), {"Content-Type": "image/png"}))
        web = server.url("/photos/zebra.png")
        entries = [str(lemon), "fruit/lemon.png", web, "", "fruit/gone.png", "?"]
        table = spreadsheet(tmp_path / f"photos{kind}", str(PHOTOS), entries)
        embedded, skipped, n_skipped = embedder(table, col="photo")
    assert n_skipped == 3 and list(skipped.get_column("weight")) == [3, 4, 5]
    reasons = list(skipped.get_column("skip reason"))
    assert reasons[0] == reasons[2] == "no image given" and reasons[1].startswith("not found")
    assert list(embedded.get_column("weight")) == [0, 1, 2]
    vectors = embedded.X[:, 1:]
    assert vectors.shape == (3, 1000)
    assert (vectors[0] == vectors[1]).all() and not (vectors[0] == vectors[2]).all()
    assert embedded.domain.class_var.name == "kind"


@pytest.mark.parametrize("kind", KINDS)
def test_the_column_is_marked_and_its_origin_may_hold_spaces(tmp_path, kind):
    folder = shutil.copytree(PHOTOS, tmp_path / "my photos")
    table = spreadsheet(tmp_path / f"photos{kind}", str(folder), ["fruit/lemon.png"])
    [column] = image_columns(table)
    assert column.name == "photo" and column.attributes["type"] == "image"
    [path] = references(table, column)
    assert Path(path).is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_the_origin_may_be_a_web_address(tmp_path, kind, no_proxy, no_new_workers):
    lemon = (PHOTOS / "fruit" / "lemon.png").read_bytes()
    with WebServer() as server, ImageEmbedder() as embedder:
        server.on("/photos/fruit/lemon.png", answer(lemon, {"Content-Type": "image/png"}))
        table = spreadsheet(tmp_path / f"web{kind}", server.url("/photos"), ["fruit/lemon.png"])
        embedded, _, n_skipped = embedder(table, col="photo")
    assert n_skipped == 0 and embedded.X.shape == (1, 1001)


def test_a_relative_path_without_an_origin_belongs_to_the_current_folder(tmp_path, monkeypatch):
    shutil.copytree(PHOTOS, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    table = spreadsheet(tmp_path / "photos.csv", "", ["photos/fruit/lemon.png"])
    with ImageEmbedder(cache=False) as embedder:
        assert embedder(table, col="photo")[2] == 0


def test_what_the_embedder_gives_can_be_saved_and_read_again(tmp_path):
    table = spreadsheet(tmp_path / "photos.csv", str(PHOTOS), ["fruit/lemon.png", "gone.png"])
    with ImageEmbedder(cache=False) as embedder:
        embedded, skipped, _ = embedder(table, col="photo")
    embedded.save(str(tmp_path / "embedded.tab"))
    again = Table(str(tmp_path / "embedded.tab"))
    assert again.X.shape == embedded.X.shape
    assert abs(again.X - embedded.X).max() < 1e-3
    assert again.domain["n0"].attributes["hidden"]
    skipped.save(str(tmp_path / "skipped.csv"))
    assert "not found" in (tmp_path / "skipped.csv").read_text("utf-8")
