"""Names without a folder, in Image Embedding: alone, and behind Orange's readers of files."""

from __future__ import annotations

import csv
import os
import shutil
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest
from AnyQt.QtCore import QSettings
from Orange.widgets.data.owcsvimport import ColumnType, Options, OWCSVFileImport, RowSpec
from Orange.widgets.data.owfile import OWFile
from Orange.widgets.data.owselectcolumns import OWSelectAttributes
from orangewidget.workflow.widgetsscheme import WidgetsScheme

from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding

from ..conftest import PHOTOS
from ..widget_case import EmbeddingWidgetTest, image_table, until
from ..workflows import finish, own_user, registry_of

__all__ = ["own_user"]

NAMES = [path.name for path in sorted((PHOTOS / "animal").glob("*.png"))]


def folder_of_photos(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        shutil.copy(PHOTOS / "animal" / name, folder)
    return folder


class TestAlone(EmbeddingWidgetTest):
    """Without a workflow there is no widget before it that could tell."""

    def make_in(self, basedir: Path | None, **settings) -> OWImageEmbedding:
        """Make the widget as the canvas does for a workflow saved in `basedir`."""
        widget = OWImageEmbedding.__new__(
            OWImageEmbedding,
            signal_manager=self.signal_manager,
            stored_settings=settings or None,
            env={} if basedir is None else {"basedir": str(basedir)},
        )
        widget.__init__()
        self.widgets.append(widget)
        return widget

    def embedded(self, widget) -> int:
        self.finish(widget)
        table = self.outputs(widget)[0]
        return 0 if table is None else len(table)

    def test_nothing_is_looked_for_in_the_working_directory(self):
        before = Path.cwd()
        os.chdir(folder_of_photos(self.folder / "here"))
        try:
            widget = self.make_in(None)
            self.give(widget, image_table([*NAMES, str(PHOTOS / "animal" / NAMES[0])]))
            assert self.embedded(widget) == 1  # nothing else is lost
            assert self.shown(widget) == ["no_folder", "skipped"]
            assert not widget.panel.pictures.isHidden()
            reasons = self.outputs(widget)[1].metas[:, -1]
            assert all("not found: its folder is not known" in reason for reason in reasons)
        finally:
            os.chdir(before)

    def test_the_folder_that_is_chosen_counts_and_is_kept_relative_to_the_workflow(self):
        folder = folder_of_photos(self.folder / "project" / "photos")
        widget = self.make_in(self.folder / "project")
        self.give(widget, image_table(NAMES))
        assert self.embedded(widget) == 0 and self.shown(widget) == ["skipped"]
        widget.panel.pictures.choose_folder(str(folder))
        assert self.embedded(widget) == len(NAMES) and self.shown(widget) == []
        assert widget.pictures_folder == "photos"
        moved = (self.folder / "project").rename(self.folder / "elsewhere")
        again = self.make_in(moved, pictures_folder="photos")
        self.give(again, image_table(NAMES))
        assert self.embedded(again) == len(NAMES)
        assert "photos" in again.panel.pictures.menu.currentText()

    def test_the_folder_of_the_workflow_is_the_default_and_can_be_gone_back_to(self):
        widget = self.make_in(folder_of_photos(self.folder / "project"))
        self.give(widget, image_table(NAMES))
        assert self.embedded(widget) == len(NAMES)
        pictures = widget.panel.pictures
        assert pictures.menu.currentText().startswith("that of the workflow")
        pictures.choose_folder(str(self.folder))
        assert self.embedded(widget) == 0
        pictures.menu.setCurrentIndex(0)
        pictures.menu.activated.emit(0)
        assert self.embedded(widget) == len(NAMES) and widget.pictures_folder is None

    def test_saving_the_workflow_for_the_first_time_finds_the_pictures_beside_it(self):
        folder = folder_of_photos(self.folder / "project")
        widget = self.make_in(None)
        self.give(widget, image_table(NAMES))
        env = {"basedir": str(folder)}
        widget.workflowEnv = lambda: env
        widget.workflowEnvChanged("basedir", str(folder), None)
        assert self.embedded(widget) == len(NAMES) and self.shown(widget) == []

    def test_whole_paths_need_no_row(self):
        widget = self.make_in(None)
        self.give(widget, image_table([str(PHOTOS / "animal" / name) for name in NAMES]))
        assert self.embedded(widget) == len(NAMES) and widget.panel.pictures.isHidden()

    def test_where_the_columns_folder_is_gone_another_can_be_chosen(self):
        folder = folder_of_photos(self.folder / "photos")
        table = image_table(NAMES)
        table.domain["image"].attributes["origin"] = "/gone"
        widget = self.make_in(None)
        self.give(widget, table)
        assert widget.panel.pictures.isHidden()
        assert self.embedded(widget) == 0 and not widget.panel.pictures.isHidden()
        widget.panel.pictures.choose_folder(str(folder))
        assert self.embedded(widget) == len(NAMES)


def write_spreadsheet(folder: Path) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["weight", "photo"])
    for row in enumerate(NAMES):
        book.active.append(row)
    book.save(folder / "plain.xlsx")
    return folder / "plain.xlsx"


def write_csv(folder: Path) -> Path:
    rows = "".join(f"{i},{name}\n" for i, name in enumerate(NAMES))
    (folder / "plain.csv").write_text(f"weight,photo\n{rows}")
    return folder / "plain.csv"


@pytest.fixture
def workflow(own_user: None):
    modules = [kind.__module__ for kind in (OWFile, OWCSVFileImport, OWSelectAttributes)]
    registry = registry_of(*modules, OWImageEmbedding.__module__)
    scheme = WidgetsScheme()
    scheme.registry = registry
    yield scheme
    scheme.clear()


def add(scheme: WidgetsScheme, *kinds: type) -> list:
    """Put widgets into a workflow, one after the other."""
    nodes = [scheme.new_node(scheme.registry.widget(f"{k.__module__}.{k.__name__}")) for k in kinds]
    for before, after in pairwise(nodes):
        scheme.new_link(before, "Data", after, "Images" if after is nodes[-1] else "Data")
    return [scheme.widget_for_node(node) for node in nodes]


def embedded_in(scheme: WidgetsScheme, widget: OWImageEmbedding) -> int:
    until(lambda: widget.data is not None)
    finish(scheme)
    return widget.finished.n_embedded if widget.finished else 0


@pytest.mark.parametrize("between", [(), (OWSelectAttributes,)])
def test_names_in_a_spreadsheet_are_looked_for_beside_it(workflow, tmp_path, between):
    sheet = write_spreadsheet(folder_of_photos(tmp_path / "photos"))
    file, *_, embedding = add(workflow, OWFile, *between, OWImageEmbedding)
    file.add_path(str(sheet))
    file.load_data()
    assert embedded_in(workflow, embedding) == len(NAMES)
    assert embedding.panel.pictures.folder == str(sheet.parent)
    assert embedding.panel.pictures.menu.currentText().startswith("that of the data's file")


def test_names_in_a_csv_file_are_looked_for_beside_it(workflow, tmp_path, monkeypatch):
    own = QSettings(str(tmp_path / "csv.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(OWCSVFileImport, "_local_settings", lambda *_: own)
    file = write_csv(folder_of_photos(tmp_path / "photos"))
    reader, embedding = add(workflow, OWCSVFileImport, OWImageEmbedding)
    types = [(range(1), ColumnType.Auto), (range(1, 2), ColumnType.Text)]
    header = [(range(1), RowSpec.Header)]
    options = Options(encoding="utf-8", dialect=csv.excel(), columntypes=types, rowspec=header)
    reader.set_selected_file(str(file), options)
    assert embedded_in(workflow, embedding) == len(NAMES)
    assert embedding.panel.pictures.folder == str(file.parent)
