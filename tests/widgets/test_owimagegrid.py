"""Image Grid as a user has it: what is arranged, selected, dimmed, sent and saved."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AnyQt.QtCore import QEvent, QPoint, QPointF, QSettings, Qt
from AnyQt.QtGui import QMouseEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from Orange.data import Table
from Orange.widgets.settings import ContextSetting, DomainContextHandler, Setting
from Orange.widgets.tests import base
from Orange.widgets.widget import OWWidget

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.widgets import grid_groups, grid_run
from orangecontrib.imageanalytics.widgets.images_layout import UniformGrid
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid
from tests.conftest import PHOTOS
from tests.widget_case import photo_paths, until
from tests.widgets.test_images_view import processes_have_ended
from tests.widgets.test_owimageviewer import embedded, table, workflow
from tests.workflows import finish, opened, widget_named

NO, SHIFT, CONTROL, ALT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.AltModifier,
)


def pictures(count: int = 13, copies: int = 1) -> Table:
    """Photos with vectors; each of the photos lies apart, its copies beside it."""
    paths = photo_paths()[:count] * copies
    chance = np.random.default_rng(0)
    middles = np.tile(chance.normal(size=(count, 8)), (copies, 1))
    vectors = middles + 0.01 * chance.normal(size=middles.shape)
    return embedded(paths, vectors.tolist())


class GridTest(base.WidgetTest):
    test_minimum_size = test_image_export = test_msg_base_class = test_zero_size_data = None

    @pytest.fixture(autouse=True)
    def own_user(self, tmp_path: Path, no_new_workers: None) -> None:
        self.folder = tmp_path
        QSettings.setPath(
            QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings")
        )

    def tearDown(self) -> None:
        super().tearDown()
        until(processes_have_ended)

    def make(self, **settings: Any) -> OWImageGrid:
        """A widget that arranges by PCA, which is quick, if nothing else is said."""
        widget = self.create_widget(OWImageGrid, stored_settings={"method": "PCA", **settings})
        widget.resize(900, 700)
        widget.show()
        return widget

    def give(self, widget: OWImageGrid, data: Table | None) -> None:
        self.send_signal(widget.Inputs.data, data, widget=widget)
        self.finish(widget)

    def finish(self, widget: OWImageGrid) -> None:
        until(lambda: widget.task is None, 100)

    def outputs(self, widget: OWImageGrid) -> tuple[Table | None, Table]:
        sent = self.signal_manager.outputs
        return sent[(widget, "Selected Images")], sent[(widget, "Images")]

    def click(self, widget: OWImageGrid, row: int, modifiers: Any = NO) -> None:
        view = widget.view
        index = view.images.index(int(view.images.positions([row])[0]))
        place = view.visualRect(index).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, modifiers, place)

    def cells(self, widget: OWImageGrid) -> list[int]:
        return widget.arranged.cells.tolist()


class TestArranging(GridTest):
    def test_each_image_has_a_cell_and_the_whole_fits_into_the_window(self):
        widget = self.make()
        self.give(widget, pictures())
        assert len(set(self.cells(widget))) == 13
        assert (widget.panel.columns.value(), widget.panel.rows.value()) == (4, 4)
        assert widget.told == "13 images"
        assert widget.view.verticalScrollBar().maximum() == 0
        assert len(widget.view.visible()) == 13
        assert widget.view.look.size > 60  # how much room there is, is the style's

    def test_a_first_arrangement_is_replaced_by_a_better_one(self):
        widget = self.make(method="t-SNE")
        self.send_signal(widget.Inputs.data, pictures(13, 3), widget=widget)
        until(lambda: widget.arranged is not None)
        first = self.cells(widget)
        assert not widget.arranged.is_last and len(widget.view.images.order) == 39
        self.click(widget, 5)
        self.finish(widget)
        assert widget.arranged.is_last and self.cells(widget) != first
        assert np.flatnonzero(widget.groups).tolist() == [5]

    def test_alike_ones_are_neighbours_and_it_is_the_same_in_every_run(self):
        data = pictures(13, 4)
        found = []
        for _ in range(2):
            widget = self.make(method="t-SNE")
            self.give(widget, data)
            found.append(self.cells(widget))
        assert found[0] == found[1]
        places = np.stack(np.divmod(found[0], widget.arranged.grid.columns), axis=1)
        for photo in range(13):
            own = places[photo::13]
            assert np.abs(own - np.median(own, axis=0)).max() <= 2

    def test_the_size_can_be_chosen_and_set_automatically_again(self):
        widget = self.make()
        self.give(widget, pictures())
        widget.panel.columns.setValue(2)
        self.finish(widget)
        assert (widget.arranged.grid.columns, widget.arranged.grid.rows) == (2, 7)
        widget.panel.rows.setValue(9)
        self.finish(widget)
        assert (widget.arranged.grid.columns, widget.arranged.grid.rows) == (2, 9)
        widget.panel.rows.setValue(3)  # more columns, as all images must have a cell
        self.finish(widget)
        assert (widget.arranged.grid.columns, widget.arranged.grid.rows) == (5, 3)
        widget.panel.automatic.click()
        self.finish(widget)
        assert (widget.arranged.grid.columns, widget.arranged.grid.rows) == (4, 4)

    def test_a_saved_size_that_is_too_small_gets_more_rows(self):
        widget = self.make(automatic_size=False, columns=3, rows=2)
        self.give(widget, pictures())
        assert (widget.arranged.grid.columns, widget.arranged.grid.rows) == (3, 5)
        assert (widget.columns, widget.rows) == (3, 2)

    def test_another_method_arranges_anew_and_keeps_the_selection(self):
        widget = self.make()
        self.give(widget, pictures())
        self.click(widget, 3)
        widget.panel.method.setCurrentIndex(widget.panel.method.findData("MDS"))
        widget.panel.method.activated.emit(1)
        self.finish(widget)
        assert widget.method == "MDS" and widget.arranged.is_last
        assert np.flatnonzero(widget.groups).tolist() == [3]

    def test_one_image_two_equal_ones_and_constant_columns(self):
        for method in ("PCA", "t-SNE"):
            for vectors in (
                [[1.0, 2.0]],
                [[1.0, 2.0]] * 2,
                [[0.0, float(i % 2)] for i in range(9)],
            ):
                widget = self.make(method=method)
                self.give(widget, embedded(photo_paths()[: len(vectors)], vectors))
                assert sorted(self.cells(widget)) == sorted(set(self.cells(widget)))
                assert len(widget.view.images.order) == len(vectors)

    def test_data_of_nothing_but_missing_numbers_is_an_error(self):
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:4], [[np.nan, np.nan]] * 4))
        assert "no numbers to compare" in str(widget.Error.failed)
        assert self.outputs(widget)[0] is None and len(self.outputs(widget)[1]) == 4
        self.give(widget, pictures())
        assert not widget.Error.failed.is_shown() and len(self.cells(widget)) == 13

    def test_data_without_columns_and_without_images_are_errors(self):
        widget = self.make()
        self.give(widget, table(photo_paths()[:3]))
        assert "no numbers to compare" in str(widget.Error.failed)
        self.give(widget, Table("iris"))
        assert widget.Error.no_image_attribute.is_shown()
        self.give(widget, None)
        assert widget.told == "No data." and self.outputs(widget) == (None, None)

    def test_missing_images_have_no_cell(self):
        paths = [photo_paths()[0], "", *photo_paths()[2:4]]
        data = embedded(paths, [[1.0, 2.0], [2.0, 3.0], [0.0, 5.0], [4.0, 1.0]])
        widget = self.make()
        self.give(widget, data)
        assert widget.view.images.order.tolist() == [0, 2, 3] and len(self.cells(widget)) == 3
        assert widget.told == "3 images, 1 missing"
        self.click(widget, 2)
        assert len(self.outputs(widget)[0]) == 1

    def test_new_data_and_deletion_in_mid_run_are_no_trouble(self):
        widget = self.make(method="t-SNE")
        self.send_signal(widget.Inputs.data, pictures(13, 3), widget=widget)
        until(lambda: widget.arranged is not None)
        self.give(widget, pictures(5))
        assert len(widget.view.images.order) == 5 and widget.arranged.is_last
        self.send_signal(widget.Inputs.data, pictures(13, 3), widget=widget)
        until(lambda: widget.arranged is not None)
        widget.onDeleteWidget()

    def test_cancelled_pictures_stay_where_they_are_and_can_be_arranged_again(self):
        widget = self.make(method="t-SNE")
        self.send_signal(widget.Inputs.data, pictures(13, 3), widget=widget)
        until(lambda: widget.arranged is not None)
        widget.cancel_button.click()
        assert widget.Information.cancelled.is_shown() and not widget.arranged.is_last
        assert len(widget.view.images.order) == 39
        widget.panel.automatic.click()
        self.finish(widget)
        assert widget.arranged.is_last


class TestLooks(GridTest):
    def test_labels_and_frames_come_from_attributes(self):
        widget = self.make(label_attribute="name", frame_attribute="kind")
        data = pictures(4)
        self.give(widget, data)
        assert widget.view.look.titles and widget.view.images.title(0) == "picture 4"
        colours = data.domain["kind"].colors
        assert [widget.stage.marks.of(row).frame.getRgb()[:3] for row in (0, 1)] == [
            tuple(colours[0]),
            tuple(colours[1]),
        ]
        widget.panel.label.setCurrentIndex(widget.panel.label.findData("kind"))
        widget.panel.label.activated.emit(1)
        self.finish(widget)
        assert widget.view.images.title(1) == "b"
        widget.panel.label.setCurrentIndex(0)
        widget.panel.label.activated.emit(0)
        self.finish(widget)
        assert not widget.view.look.titles

    def test_other_data_has_frames_of_its_own(self):
        widget = self.make(frame_attribute="kind")
        self.give(widget, pictures(13))
        self.give(widget, pictures(3))
        assert len(widget.stage.marks.categories) == 3

    def test_a_size_that_is_chosen_is_not_fitted_any_more(self):
        widget = self.make()
        self.give(widget, pictures())
        widget.view.zoom(2)
        assert not widget.fits_window and widget.image_size == widget.view.look.size
        size = widget.image_size
        widget.resize(500, 400)
        assert widget.view.look.size == size == widget.panel.size.value()
        widget.panel.fits.setChecked(True)
        assert widget.view.look.size < size

    def test_crop_fills_the_squares(self):
        widget = self.make()
        assert not widget.view.look.fills
        widget.panel.crop.setChecked(True)
        assert widget.view.look.fills and widget.crop

    def test_what_is_not_in_the_subset_is_dimmed(self):
        data = pictures(6)
        widget = self.make()
        self.give(widget, data)
        self.send_signal(widget.Inputs.data_subset, data[[1, 4]], widget=widget)
        assert [widget.stage.marks.of(row).dimmed for row in range(6)] == [
            True,
            False,
            True,
            True,
            False,
            True,
        ]
        self.send_signal(widget.Inputs.data_subset, None, widget=widget)
        assert not any(widget.stage.marks.of(row).dimmed for row in range(6))

    def test_a_subset_is_found_by_its_images_and_what_is_not_there_is_told(self):
        widget = self.make()
        self.give(widget, pictures(6))
        others = table([photo_paths()[2], photo_paths()[9]])
        self.send_signal(widget.Inputs.data_subset, others, widget=widget)
        assert np.flatnonzero(widget.stage.marks.in_subset).tolist() == [2]
        assert "1 of the rows" in str(widget.Warning.extras_in_subset)
        self.send_signal(widget.Inputs.data_subset, table(photo_paths()[8:]), widget=widget)
        assert widget.Warning.incompatible_subset.is_shown()
        assert not widget.Warning.extras_in_subset.is_shown()
        self.send_signal(widget.Inputs.data_subset, Table("iris"), widget=widget)
        assert widget.Warning.incompatible_subset.is_shown()


class TestSelecting(GridTest):
    def test_clicks_select_and_groups_are_sent(self):
        widget = self.make()
        data = pictures()
        self.give(widget, data)
        assert self.outputs(widget)[0] is None
        self.click(widget, 4)
        self.click(widget, 7)
        selected, everything = self.outputs(widget)
        assert selected.ids.tolist() == [data.ids[7]]
        assert [str(value) for value in everything.get_column("Selected")].count("1.0") == 1
        self.click(widget, 2, SHIFT)
        self.click(widget, 3, SHIFT | CONTROL)
        assert widget.groups.tolist() == [0, 0, 2, 2, 0, 0, 0, 1, *[0] * 5]
        selected, everything = self.outputs(widget)
        assert [str(row["Group"]) for row in selected] == ["G2", "G2", "G1"]
        assert [str(row["Selected"]) for row in everything[:3]] == [
            "Unselected",
            "Unselected",
            "G2",
        ]
        assert [widget.stage.marks.of(row).badge for row in (2, 7, 0)] == ["2", "1", ""]
        self.click(widget, 7, ALT)
        assert widget.groups.tolist() == [0, 0, 1, 1, *[0] * 9]
        self.click(widget, 2, CONTROL)
        assert np.flatnonzero(widget.groups).tolist() == [3]
        assert widget.view.selected_rows().tolist() == [3]

    def test_a_rubber_band_selects_and_a_click_beside_clears(self):
        widget = self.make()
        self.give(widget, pictures())
        view = widget.view
        port = view.viewport()
        port.setMouseTracking(True)
        end = port.rect().bottomRight() - QPoint(2, 2)
        QTest.mousePress(port, Qt.MouseButton.LeftButton, NO, QPoint(1, 1))
        for at in (QPointF(end) / 2, QPointF(end)):  # QTest's own moves press no button in Qt 5
            left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
            move = QMouseEvent(QEvent.Type.MouseMove, at, at, none, left, NO)
            QApplication.sendEvent(port, move)
        QTest.mouseRelease(port, Qt.MouseButton.LeftButton, NO, end)
        assert (widget.groups == 1).all()
        assert not view.indexAt(QPoint(1, port.height() - 2)).isValid()
        QTest.mouseClick(port, Qt.MouseButton.LeftButton, NO, QPoint(1, port.height() - 2))
        assert not widget.groups.any() and self.outputs(widget)[0] is None

    def test_ctrl_a_selects_all(self):
        widget = self.make()
        self.give(widget, pictures())
        QTest.keyClick(widget.view, Qt.Key.Key_A, CONTROL)
        assert (widget.groups == 1).all() and len(self.outputs(widget)[0]) == 13

    def test_without_send_automatically_the_button_is_awaited(self):
        widget = self.make(auto_commit=False)
        self.give(widget, pictures())
        self.click(widget, 1)
        assert self.outputs(widget)[0] is None
        widget.commit.now()
        assert len(self.outputs(widget)[0]) == 1

    def test_more_like_this_selects_the_most_alike(self):
        widget = self.make()
        self.give(widget, pictures(13, 3))
        assert widget.view.has_similarity
        widget.view.more_like_this.emit([4])
        self.finish(widget)
        chosen = np.flatnonzero(widget.groups)
        assert {4, 17, 30} <= set(chosen.tolist()) and len(chosen) == 1 + grid_run.ALIKE

    def test_nothing_is_like_an_image_without_an_embedding(self):
        vectors = np.random.default_rng(0).normal(size=(13, 4))
        vectors[4] = np.nan
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:13], vectors.tolist()))
        widget.view.more_like_this.emit([4])
        self.finish(widget)
        assert np.flatnonzero(widget.groups).tolist() == [4]

    def test_the_selection_stays_with_the_same_images_and_goes_with_others(self):
        widget = self.make()
        self.give(widget, pictures())
        self.click(widget, 6)
        self.click(widget, 8, SHIFT)
        self.give(widget, pictures()[::-1])
        assert {row: int(widget.groups[row]) for row in np.flatnonzero(widget.groups)} == {
            4: 2,
            6: 1,
        }
        self.give(widget, pictures(3))
        assert not widget.groups.any()

    def test_the_selection_is_saved(self):
        widget = self.make()
        self.give(widget, pictures())
        self.click(widget, 6)
        self.click(widget, 8, SHIFT)
        saved = pickle.loads(pickle.dumps(widget.settingsHandler.pack_data(widget)))
        again = self.make(**saved)
        self.give(again, pictures())
        assert np.array_equal(again.groups, widget.groups) and len(self.outputs(again)[0]) == 2


def test_groups_are_numbered_without_gaps():
    groups = np.array([3, 0, 1, 3], np.intp)
    assert grid_groups.numbered(groups).tolist() == [2, 0, 1, 2]
    assert grid_groups.picked(groups, np.array([2]), ALT).tolist() == [1, 0, 0, 1]
    nothing = np.array([], np.intp)
    assert grid_groups.picked(groups, nothing, NO).tolist() == [0, 0, 0, 0]
    assert grid_groups.picked(np.zeros(2, np.intp), np.array([1]), SHIFT | CONTROL).tolist() == [
        0,
        1,
    ]


class PublicGrid(OWWidget):
    """The settings of the public add-on's widget, kept by Orange as it keeps them."""

    name = "Image Grid"
    want_main_area = False
    settingsHandler = DomainContextHandler()
    cell_fit = Setting("Resize")
    columns = Setting(10)
    rows = Setting(10)
    imageAttr = ContextSetting(0)
    imageSize = Setting(100)
    label_attr = ContextSetting(None, required=ContextSetting.OPTIONAL)
    label_selected = Setting(True)
    auto_update = Setting(True)
    auto_commit = Setting(True)


class TestSettings(GridTest):
    def public(self, data: Table, **changes: Any) -> dict[str, Any]:
        """What the public widget saves."""
        widget = self.create_widget(PublicGrid)
        widget.settingsHandler.open_context(widget, data.domain)
        widget.imageAttr, widget.label_attr = 1, data.domain.class_var or data.domain["kind"]
        widget.cell_fit, widget.columns, widget.rows, widget.auto_commit = 1, 5, 6, False
        for name, value in changes.items():
            setattr(widget, name, value)
        return pickle.loads(pickle.dumps(widget.settingsHandler.pack_data(widget)))

    def test_those_of_the_public_addon_are_read(self):
        data = pictures(4)
        widget = self.make(**self.public(data))
        self.give(widget, data)
        assert widget.images.used == "name"  # the second after the one that is marked
        assert widget.labels.used == "kind" and widget.crop and not widget.auto_commit
        assert (widget.arranged.grid.columns, widget.arranged.grid.rows) == (5, 6)

    def test_labels_that_were_off_stay_off(self):
        data = pictures(4)
        widget = self.make(**self.public(data, label_selected=False, imageAttr=0))
        self.give(widget, data)
        assert widget.images.used == "image" and widget.labels.used is None

    def test_workflow_files_of_the_public_addon_open_with_their_settings(self):
        shutil.copytree(PHOTOS, self.folder / "photos")
        imported, _ = ImportImages()(str(self.folder / "photos"))
        grid = self.public(imported, label_attr=imported.domain["image name"], imageAttr=0)
        nodes = {
            "Import Images": ("owimageimport.OWImportImages", {"folder": "photos"}),
            "Image Embedding": (
                "owimageembedding.OWImageEmbedding",
                {"cb_embedder_current_id": 1, "cb_image_attr_current_id": 0, "_auto_apply": True},
            ),
            "Image Grid": ("owimagegrid.OWImageGrid", grid),
        }
        path = self.folder / "old.ows"
        links = ("Data", "Images"), ("Embeddings", "Embeddings")
        path.write_text(workflow(nodes, *links), "utf-8")
        with opened(path) as scheme:
            finish(scheme)
            widget = widget_named(scheme, "Image Grid")
            until(lambda: widget.task is None and widget.arranged is not None, 100)
            assert (widget.images.used, widget.labels.used) == ("image", "image name")
            assert widget.view.images.title(0) == str(widget.data[0]["image name"])
            grid_size = widget.arranged.grid
            assert (grid_size.columns, grid_size.rows) == (5, 6)
            assert widget.crop and not widget.auto_commit and widget.shown_as == "grid"
            assert isinstance(widget.view.arrangement, UniformGrid)
            assert len(set(widget.arranged.cells.tolist())) == 13

    @pytest.mark.filterwarnings("ignore")
    def test_garbage_keeps_no_widget_from_opening(self):
        for garbage in (
            {"cell_fit": [], "columns": "many", "rows": -3, "imageSize": 10**9},
            {"context_settings": [3], "method": "UMAP", "selected_rows": ["x"]},
            {"context_settings": "none", "selected_rows": [1], "selected_groups": [1, 2]},
            {"image_attribute": 4, "columns": 10**9, "automatic_size": "no", "crop": 3},
            {"shown_as": ["map"], "map_size": 10**9, "most_alike": 0},
        ):
            widget = self.make(**garbage)
            self.give(widget, pictures(2))
            assert len(widget.view.images.order) == 2 and not widget.groups.any()

    def test_the_report_shows_what_there_is(self):
        widget = self.make()
        widget.send_report()
        self.give(widget, pictures(4))
        self.click(widget, 1)
        widget.send_report()
        assert "PCA" in widget.report_html and "2 × 2" in widget.report_html
        assert "data:image/png;base64," in widget.report_html
