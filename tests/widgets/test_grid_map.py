"""Image Grid's map, as a user walks through it: zoom, pan, keys, fingers, the rubber band."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from AnyQt.QtCore import QEvent, QPoint, QPointF, Qt
from AnyQt.QtGui import QColor, QMouseEvent, QWheelEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication

from orangecontrib.imageanalytics.widgets.images_layout import UniformGrid
from orangecontrib.imageanalytics.widgets.images_map import MapLayout
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid
from tests.pointing import pinch
from tests.widget_case import photo_paths
from tests.widgets.test_owimagegrid import ALT, CONTROL, NO, SHIFT, GridTest, pictures
from tests.widgets.test_owimageviewer import embedded

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton


class MapTest(GridTest):
    def a_map(self, copies: int = 12, **settings: Any) -> OWImageGrid:
        widget = self.make(shown_as="map", **settings)
        self.give(widget, pictures(13, copies))
        return widget

    def choose_layout(self, widget: OWImageGrid, layout: str) -> None:
        menu = widget.panel.layout
        menu.setCurrentIndex(menu.findData(layout))
        menu.activated.emit(menu.currentIndex())

    def wheel(self, widget: OWImageGrid, at: QPoint, notches: int, modifiers: Any = NO) -> None:
        port = widget.view.viewport()
        place = QPointF(at)
        event = QWheelEvent(
            place, QPointF(port.mapToGlobal(at)), QPoint(), QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton, modifiers, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(port, event)

    def drag(self, widget: OWImageGrid, begin: QPoint, end: QPoint, button: Any = LEFT) -> None:
        port = widget.view.viewport()
        QTest.mousePress(port, button, NO, begin)
        for share in (0.5, 1.0):
            at = QPointF(begin + (end - begin) * share)
            none = Qt.MouseButton.NoButton
            QApplication.sendEvent(
                port, QMouseEvent(QEvent.Type.MouseMove, at, at, none, button, NO)
            )
        QTest.mouseRelease(port, button, NO, end)

    def corner(self, widget: OWImageGrid) -> QPoint:
        return widget.view.window_rect.topLeft()


class TestShowing(MapTest):
    def test_the_layout_is_chosen_in_the_panel_and_saved(self):
        widget = self.make()
        self.give(widget, pictures(13, 12))
        assert isinstance(widget.view.arrangement, UniformGrid)
        self.choose_layout(widget, "map")
        assert isinstance(widget.view.arrangement, MapLayout)
        assert not widget.panel.columns.isVisible() and widget.panel.whole.isVisible()
        saved = pickle.loads(pickle.dumps(widget.settingsHandler.pack_data(widget)))
        again = self.make(**saved)
        self.give(again, pictures(13, 12))
        assert isinstance(again.view.arrangement, MapLayout)
        self.choose_layout(again, "grid")
        assert isinstance(again.view.arrangement, UniformGrid)
        assert again.panel.columns.isVisible() and not again.panel.whole.isVisible()

    def test_the_whole_map_is_in_sight_and_what_has_no_room_is_a_dot(self):
        widget = self.make(shown_as="map")
        vectors = np.random.default_rng(0).normal(size=(156, 3))
        self.give(widget, embedded(photo_paths()[:13] * 12, vectors.tolist()))
        view = widget.view
        bars = view.verticalScrollBar(), view.horizontalScrollBar()
        assert all(bar.maximum() == 0 for bar in bars)
        seen, hidden = view.visible(), view.arrangement.hidden(view.window_rect)
        assert len(seen) + len(hidden) == 156 and len(hidden) > 50
        image = view.viewport().grab().toImage()
        ground = view.palette().color(view.palette().ColorRole.Base)
        covered = [view.arrangement.rect(position) for position in seen.tolist()]
        free = [
            QPoint(x, y)
            for x, y in view.arrangement.middles(hidden).tolist()
            if not any(rect.contains(x, y) for rect in covered)
        ]
        assert free and all(image.pixelColor(place) != ground for place in free)

    def test_the_size_of_pictures_is_one_of_its_own(self):
        widget = self.a_map(image_size=120, fits_window=False)
        assert widget.view.look.size == widget.panel.size.value() == 32
        before = len(widget.view.visible())
        widget.panel.size.setValue(150)
        assert widget.map_size == 150 and widget.image_size == 120
        assert len(widget.view.visible()) < before
        self.choose_layout(widget, "grid")
        assert widget.view.look.size == widget.panel.size.value() == 120

    def test_a_better_map_replaces_the_first_one_and_the_zoom_stays(self):
        widget = self.a_map(3)
        widget.view.zoom_by(2.0)
        zoom = widget.view.arrangement.zoom
        menu = widget.panel.method
        menu.setCurrentIndex(menu.findData("MDS"))
        menu.activated.emit(menu.currentIndex())
        before = widget.arranged.places
        self.finish(widget)
        assert widget.arranged.places is not before
        assert widget.view.arrangement.zoom == zoom > 1.5

    def test_one_image_two_equal_ones_and_none(self):
        for vectors in ([[1.0, 2.0]], [[1.0, 2.0]] * 2):
            widget = self.make(shown_as="map")
            self.give(widget, embedded(photo_paths()[: len(vectors)], vectors))
            assert len(widget.view.visible()) == len(vectors)
            self.wheel(widget, QPoint(50, 50), 3)
            assert len(widget.view.visible()) == len(vectors)
            self.give(widget, None)
            assert not len(widget.view.visible())

    def test_data_of_nothing_but_missing_numbers_is_an_error(self):
        widget = self.make(shown_as="map")
        self.give(widget, embedded(photo_paths()[:4], [[np.nan, np.nan]] * 4))
        assert "no numbers to compare" in str(widget.Error.failed)
        self.give(widget, pictures())
        assert isinstance(widget.view.arrangement, MapLayout) and len(widget.view.visible())


class TestWalking(MapTest):
    def test_the_wheel_zooms_about_the_pointer_and_more_is_seen(self):
        widget = self.a_map()
        view = widget.view
        self.wheel(widget, view.viewport().rect().center(), 8)
        position = int(view.visible()[0])
        place = view.visualRect(view.images.index(position)).center()
        zoom = view.arrangement.zoom
        self.wheel(widget, place, 2)
        assert view.arrangement.zoom > 1.2 * zoom
        moved = view.visualRect(view.images.index(position)).center() - place
        assert abs(moved.x()) <= 3 and abs(moved.y()) <= 3
        self.wheel(widget, place, 2, CONTROL)
        assert view.arrangement.zoom > 1.5 * zoom
        everything = view.arrangement.size()
        assert everything.width() > view.viewport().width()

    def test_keys_zoom_and_0_shows_the_whole_map(self):
        widget = self.a_map()
        view = widget.view
        QTest.keyClick(view, Qt.Key.Key_Plus)
        QTest.keyClick(view, Qt.Key.Key_Plus)
        zoom = view.arrangement.zoom
        assert zoom > 1.2
        QTest.keyClick(view, Qt.Key.Key_Minus)
        assert 1 < view.arrangement.zoom < zoom
        QTest.keyClick(view, Qt.Key.Key_0)
        assert view.arrangement.zoom == 1
        view.zoom(5)
        widget.panel.whole.click()
        assert view.arrangement.zoom == 1

    def test_fingers_zoom_the_map_and_the_pictures_of_a_grid(self):
        widget = self.a_map()
        pinch(widget.view.viewport(), QPoint(200, 200), 0.5)
        assert abs(widget.view.arrangement.zoom - 1.5) < 0.01
        self.choose_layout(widget, "grid")
        size = widget.view.look.size
        for _ in range(5):
            pinch(widget.view.viewport(), QPoint(200, 200), 0.1)
        assert widget.view.look.size > 1.3 * size and not widget.fits_window

    def test_the_middle_button_and_space_pan(self):
        widget = self.a_map()
        widget.view.zoom(12)
        begin, end = QPoint(300, 300), QPoint(250, 270)
        corner = self.corner(widget)
        self.drag(widget, begin, end, MIDDLE)
        assert self.corner(widget) - corner == begin - end
        QTest.keyPress(widget.view, Qt.Key.Key_Space)
        self.drag(widget, end, begin)
        QTest.keyRelease(widget.view, Qt.Key.Key_Space)
        assert self.corner(widget) == corner
        assert not widget.groups.any() and widget.view.preview is None
        QTest.keyClick(widget.view, Qt.Key.Key_Home)
        QTest.keyClick(widget.view, Qt.Key.Key_Space)
        assert widget.view.preview is not None
        QTest.keyClick(widget.view.preview, Qt.Key.Key_Space)
        assert widget.view.preview is None

    def test_the_arrows_go_from_picture_to_picture_and_take_the_window_along(self):
        widget = self.a_map()
        view = widget.view
        view.zoom(10)
        QTest.keyClick(view, Qt.Key.Key_Home)
        seen = {view.current_row()}
        for key in [Qt.Key.Key_Down, Qt.Key.Key_Right] * 12:
            QTest.keyClick(view, key)
            seen.add(view.current_row())
            assert view.viewport().rect().contains(view.visualRect(view.currentIndex()).center())
        assert len(seen) > 2
        QTest.keyClick(view, Qt.Key.Key_Return)
        assert np.flatnonzero(widget.groups).tolist() == [view.current_row()]

    def test_another_size_of_the_window_keeps_the_place(self):
        widget = self.a_map()
        view = widget.view
        view.zoom(12)
        self.drag(widget, QPoint(400, 300), QPoint(300, 250), MIDDLE)
        position = int(view.visible()[0])
        before = view.visualRect(view.images.index(position)).topLeft()
        widget.resize(1000, 800)
        QApplication.processEvents()
        moved = view.visualRect(view.images.index(position)).topLeft() - before
        assert abs(moved.x()) <= 3 and abs(moved.y()) <= 3


class TestSelectingOnTheMap(MapTest):
    def test_the_rubber_band_takes_the_hidden_ones_as_well(self):
        widget = self.a_map()
        assert len(widget.view.visible()) < 156
        port = widget.view.viewport().rect()
        self.drag(widget, QPoint(1, 1), port.bottomRight())
        assert (widget.groups == 1).all()
        assert len(self.outputs(widget)[0]) == 156

    def test_clicks_and_groups_are_as_on_the_grid(self):
        widget = self.a_map()
        first, second, third = widget.view.images.order[widget.view.visible()[:3]].tolist()
        self.click(widget, first)
        self.click(widget, second, SHIFT)
        self.click(widget, third, SHIFT | CONTROL)
        assert [int(widget.groups[row]) for row in (first, second, third)] == [1, 2, 2]
        assert [widget.stage.marks.of(row).badge for row in (first, third)] == ["1", "2"]
        self.click(widget, second, ALT)
        assert int(widget.groups[second]) == 0
        self.choose_layout(widget, "grid")
        assert int((widget.groups > 0).sum()) == 2  # stays

    def test_dots_have_the_colours_of_their_categories_and_of_the_selection(self):
        widget = self.a_map(frame_attribute="kind")
        text, chosen = QColor(1, 2, 3), QColor(250, 10, 10)
        rows = np.arange(4)
        colours = widget.stage.marks.dots(rows, text, chosen) & 0xFFFFFF
        kinds = [QColor(*rgb).rgb() & 0xFFFFFF for rgb in widget.data.domain["kind"].colors]
        values = widget.data.get_column("kind").astype(int)
        assert colours.tolist() == [kinds[values[row]] for row in range(4)]
        widget.view.picked.emit(np.array([2]), NO)
        assert (widget.stage.marks.dots(rows, text, chosen)[2] & 0xFFFFFF) == 0xFA0A0A
        widget.view.picked.emit(np.array([], int), NO)
        self.send_signal(widget.Inputs.data_subset, widget.data[[1]], widget=widget)
        faint = widget.stage.marks.dots(rows, text, chosen) >> 24
        assert faint[1] > faint[0] == faint[2]
