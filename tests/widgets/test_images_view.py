"""The view of thumbnails: choosing, moving, zooming, loading; a hundred thousand at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from AnyQt.QtCore import QEvent, QPoint, QPointF, QRect, QSize, Qt
from AnyQt.QtGui import QColor, QImage, QMouseEvent, QPalette, QWheelEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from orangewidget.tests.base import GuiTest
from PIL import Image

from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import Reason
from orangecontrib.imageanalytics.widgets import images_loader
from orangecontrib.imageanalytics.widgets.images_layout import Sections, Step, UniformGrid
from orangecontrib.imageanalytics.widgets.images_view import ImagesView, Mark
from tests.conftest import PHOTOS
from tests.jobs import DiesAtStart
from tests.widget_case import photo_paths, until

NONE, SHIFT, CONTROL = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def _workers(no_new_workers):
    pass


def processes_have_ended() -> bool:
    return all(thread.name != images_loader._ENDING for thread in threading.enumerate())


class ViewTest(GuiTest):
    """Tests of a view of 30 pictures in rows of five, which need no files unless they say so."""

    @pytest.fixture(autouse=True)
    def own_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def setUp(self) -> None:
        self.view = ImagesView()
        self.view.resize(640, 400)
        self.view.show()
        self.said: list[list[int]] = []
        self.view.selected.connect(lambda: self.said.append(self.rows()))

    def tearDown(self) -> None:
        self.view.close_images()
        self.view.deleteLater()
        QApplication.processEvents()
        until(processes_have_ended)

    def rows(self) -> list[int]:
        return self.view.selected_rows().tolist()

    def blank(self, count: int = 30) -> None:
        """Pictures that are not there."""
        self.view.set_images([None] * count, [f"picture {number}" for number in range(count)])
        self.said.clear()

    def place(self, position: int) -> QPoint:
        return self.view.visualRect(self.view.images.index(position)).center()

    def click(self, position: int, modifiers: Qt.KeyboardModifier = NONE) -> None:
        QTest.mouseClick(self.view.viewport(), LEFT, modifiers, self.place(position))

    def drag(self, begin: QPoint, end: QPoint, modifiers: Qt.KeyboardModifier = NONE) -> None:
        viewport = self.view.viewport()
        QTest.mousePress(viewport, LEFT, modifiers, begin)
        for share in (0.5, 1.0):
            at = QPointF(begin + (end - begin) * share)
            move = QMouseEvent(
                QEvent.Type.MouseMove, at, at, Qt.MouseButton.NoButton, LEFT, modifiers
            )
            QApplication.sendEvent(viewport, move)
        QTest.mouseRelease(viewport, LEFT, modifiers, end)

    def key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE) -> None:
        QTest.keyClick(self.view, key, modifiers)

    def loaded(self) -> None:
        until(lambda: not self.view._wanting.isActive() and self.view.loader.is_idle)


class TestChoosing(ViewTest):
    def test_a_click_selects_one_and_beside_all_none(self):
        self.blank()
        self.click(3)
        self.click(7)
        assert self.rows() == [7]
        QTest.mouseClick(self.view.viewport(), LEFT, NONE, QPoint(1, 1))
        assert self.rows() in ([], [0])

    def test_control_turns_one_and_shift_takes_all_up_to_it(self):
        self.blank()
        self.click(3)
        self.click(9, CONTROL)
        assert self.rows() == [3, 9]
        self.click(3, CONTROL)
        assert self.rows() == [9]
        self.click(6)
        self.click(9, SHIFT)
        assert self.rows() == [6, 7, 8, 9]
        self.click(5, SHIFT)
        assert self.rows() == [5, 6]
        self.click(0, CONTROL)
        self.click(2, SHIFT | CONTROL)
        assert self.rows() == [0, 1, 2, 5, 6]

    def test_a_rubber_band_selects_what_it_touches_and_says_so_once(self):
        self.blank()
        self.drag(self.place(0), self.place(6))
        assert self.rows() == [0, 1, 5, 6]
        assert self.said[-1] == [0, 1, 5, 6]
        self.said.clear()
        self.drag(self.place(2), self.place(8), SHIFT)
        assert self.rows() == [0, 1, 2, 3, 5, 6, 7, 8]
        assert len(self.said) <= 2  # the click it began with, and its end

    def test_a_rubber_band_with_control_turns(self):
        self.blank()
        self.click(1)
        self.drag(self.place(0), self.place(2), CONTROL)
        assert self.rows() == [0, 2]

    def test_control_a_selects_all(self):
        self.blank(100_000)
        self.key(Qt.Key.Key_A, CONTROL)
        assert len(self.rows()) == 100_000

    def test_the_arrows_go_and_select(self):
        self.blank()
        columns = self.view.arrangement.columns
        self.click(0)
        self.key(Qt.Key.Key_Right)
        self.key(Qt.Key.Key_Down)
        assert self.rows() == [1 + columns]
        self.key(Qt.Key.Key_Right, SHIFT)
        assert self.rows() == [1 + columns, 2 + columns]
        self.key(Qt.Key.Key_End)
        assert self.rows() == [29]
        self.key(Qt.Key.Key_Home)
        assert self.rows() == [0]
        self.key(Qt.Key.Key_PageDown)
        assert self.rows()[0] >= columns
        self.key(Qt.Key.Key_Left, CONTROL)  # goes without selecting
        assert self.view.current_row() == self.rows()[0] - 1

    def test_typing_goes_to_a_title(self):
        self.view.set_images([None] * 4, ["Apple", "banana", "Bear", "cow"])
        QTest.keyClicks(self.view, "be")
        assert self.rows() == [2]
        QTest.qWait(QApplication.keyboardInputInterval() + 50)
        QTest.keyClicks(self.view, "b")
        assert self.rows() == [1]

    def test_the_selection_survives_another_order(self):
        self.blank()
        self.click(3)
        self.click(4, CONTROL)
        self.said.clear()
        self.view.set_order(np.arange(30)[::-1])
        assert self.rows() == [3, 4]
        assert self.view.selected_mask().nonzero()[0].tolist() == [25, 26]
        self.view.set_order([4, 7])
        assert self.rows() == [4]

    def test_a_widget_can_decide_what_clicks_do(self):
        self.blank()
        self.view.set_picking(True)
        picks: list[tuple[list[int], Qt.KeyboardModifier]] = []
        self.view.picked.connect(lambda rows, modifiers: picks.append((rows.tolist(), modifiers)))
        self.click(3, SHIFT)
        self.drag(self.place(0), self.place(6), CONTROL | SHIFT)
        assert picks == [([3], SHIFT), ([0, 1, 5, 6], CONTROL | SHIFT)]
        assert self.rows() == []


class TestMoving(ViewTest):
    def test_wheel_and_keys_zoom_within_bounds(self):
        self.blank()
        sizes: list[int] = []
        self.view.zoomed.connect(sizes.append)
        self.key(Qt.Key.Key_Plus)
        self.wheel(120)
        assert sizes == sorted(sizes)
        assert sizes[0] > 100
        self.wheel(-240)
        assert self.view.look.size == 100
        for _ in range(40):
            self.wheel(-120)
        assert self.view.look.size == 32
        for _ in range(40):
            self.wheel(120)
        assert self.view.look.size == 1024

    def wheel(self, angle: int) -> None:
        at = QPointF(50, 50)
        QApplication.sendEvent(
            self.view.viewport(),
            QWheelEvent(
                at,
                at,
                QPoint(),
                QPoint(0, angle),
                Qt.MouseButton.NoButton,
                CONTROL,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            ),
        )

    def test_what_is_in_the_middle_stays_there_while_zooming(self):
        self.blank(10_000)
        self.view.scrollTo(self.view.images.index(5000))
        before = self.view.arrangement.at(self.view.window_rect.center())
        self.view.zoom(3)
        window = self.view.window_rect
        assert window.intersects(self.view.arrangement.rect(before))

    def test_the_last_of_many_is_reached(self):
        self.blank(100_000)
        self.key(Qt.Key.Key_End)
        assert 99_999 in self.view.visible()
        self.key(Qt.Key.Key_Home)
        assert 0 in self.view.visible()

    def test_a_hundred_thousand_open_at_once(self):
        titles = [f"picture {number}" for number in range(100_000)]
        begin = time.perf_counter()
        self.view.set_images(titles, titles)
        self.view.grab()
        assert len(self.view.visible()) < 100
        assert time.perf_counter() - begin < 30  # hangs are told from speed, which is not tested


class TestLoading(ViewTest):
    def photos(self) -> list[str]:
        paths = photo_paths()
        self.view.set_images(paths, [Path(path).stem for path in paths])
        return paths

    def test_what_is_in_sight_is_drawn(self):
        self.photos()
        before = self.view.viewport().grab().toImage()
        self.loaded()
        after = self.view.viewport().grab().toImage()
        for position in self.view.visible()[:5].tolist():
            place = self.view.visualRect(self.view.images.index(position))
            assert before.copy(place) != after.copy(place)
            assert self.view.loader.pixmap(position) is not None

    def test_nothing_beyond_the_neighbours_is_made(self):
        count = 0
        paths = []
        for number in range(600):
            Image.new("RGB", (40, 40)).save(path := self.folder / f"{number}.png")
            paths.append(str(path))
        self.view.set_images(paths, paths)
        self.loaded()
        count = sum(self.view.loader.pixmap(row) is not None for row in range(600))
        assert len(self.view.visible()) <= count <= 3 * len(self.view.visible()) + 20

    def test_a_picture_that_cannot_be_seen_says_why(self):
        (self.folder / "text.jpg").write_text("no picture")
        self.view.set_images(["gone.jpg", str(self.folder / "text.jpg")], ["a", "b"])
        told: list[int] = []
        self.view.skipped.connect(told.append)
        self.loaded()
        until(lambda: len(told) == 2)
        failures = self.view.images.failures
        assert [failures[row].reason for row in (0, 1)] == [Reason.NOT_FOUND, Reason.NOT_AN_IMAGE]
        tooltip = self.view.images.data(self.view.images.index(0), Qt.ItemDataRole.ToolTipRole)
        assert "not found" in tooltip
        assert "gone.jpg" in tooltip
        self.view.images.set_titles(["<b>a</b>", "b"])
        tooltip = self.view.images.data(self.view.images.index(0), Qt.ItemDataRole.ToolTipRole)
        assert "&lt;b&gt;a" in tooltip
        name = self.view.images.data(self.view.images.index(1), Qt.ItemDataRole.AccessibleTextRole)
        assert name.startswith("b, not an image")
        self.view.select_rows([0])
        name = self.view.images.data(self.view.images.index(0), Qt.ItemDataRole.AccessibleTextRole)
        assert ", selected, not found" in name
        self.view.grab()

    def test_new_pictures_in_mid_load_are_not_mixed_with_the_old(self):
        red, blue = self.folder / "red.png", self.folder / "blue.png"
        Image.new("RGB", (64, 64), "red").save(red)
        Image.new("RGB", (64, 64), "blue").save(blue)
        self.view.set_images([str(red)] * 50, [""] * 50)
        QTest.qWait(60)
        self.view.set_images([str(blue)] * 50, [""] * 50)
        self.loaded()
        for row in self.view.visible().tolist():
            pixmap, _ = self.view.loader.pixmap(row)
            assert pixmap.toImage().pixelColor(30, 30).blue() > 200

    def test_memory_is_bounded(self):
        loader = images_loader.Loader(memory=100_000)
        for number, path in enumerate(photo_paths() * 3):
            loader.want([(number, path)], 64)
            until(lambda: loader.is_idle)
        assert loader._bytes <= 100_000
        assert len(loader._kept) < 39
        loader.close()

    def test_the_view_says_when_nothing_can_be_decoded(self):
        paths = photo_paths()
        told: list[str] = []
        self.view.failed.connect(told.append)
        images_loader._thumbnails = images_loader.Thumbnails(workers=1)
        images_loader._thumbnails._engine = Engine(DiesAtStart(), workers=1)
        self.view.set_images(paths, paths)
        until(lambda: bool(told))
        assert "ends as soon as it starts" in told[0]

    def test_a_deleted_view_leaves_nothing_behind(self):
        self.photos()
        QTest.qWait(30)
        self.view.close_images()
        self.view.deleteLater()
        self.view = ImagesView()
        until(processes_have_ended)
        assert images_loader._thumbnails is None


class TestDrawing(ViewTest):
    def test_marks_are_drawn(self):
        self.blank(4)
        self.view.set_look(captions=True)
        plain = self.view.grab().toImage()
        marks = {
            0: Mark(frame=QColor("red")),
            1: Mark(badge="G1"),
            2: Mark(caption="0.93"),
            3: Mark(dimmed=True),
        }
        self.view.set_marks(lambda row: marks[row])
        QApplication.processEvents()
        marked = self.view.grab().toImage()
        for position in range(3):
            place = self.view.visualRect(self.view.images.index(position))
            assert plain.copy(place) != marked.copy(place)
        assert _has_colour(marked, QColor("red"))

    def test_a_picture_may_fill_its_square(self):
        Image.new("RGB", (400, 100), "red").save(path := self.folder / "wide.png")
        self.view.set_images([str(path)])
        self.loaded()
        corner = self.view.visualRect(self.view.images.index(0)).topLeft() + QPoint(20, 20)
        assert self.view.viewport().grab().toImage().pixelColor(corner) != QColor("red")
        self.view.set_look(fills=True)
        colour = self.view.viewport().grab().toImage().pixelColor(corner)
        assert (colour.red() > 240, colour.blue() < 20) == (True, True)

    def test_what_is_as_dark_or_light_as_the_ground_that_shines_through_is_seen(self):
        paths = []
        for name in ("black", "white", "red"):
            drawing = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
            drawing.paste(name, (40, 40, 60, 60))
            drawing.save(path := self.folder / f"{name}.png")
            paths.append(str(path))
        self.view.set_images([*paths, str(PHOTOS / "fruit" / "lemon.png")])
        self.loaded()
        for ground, plated in (("#232629", [0]), ("#ffffff", [1])):
            palette = self.view.palette()
            palette.setColor(QPalette.ColorRole.Base, QColor(ground))
            self.view.setPalette(palette)
            shot = self.view.viewport().grab().toImage()
            corners = [self.place(position) - QPoint(40, 50) for position in range(4)]
            assert [
                position
                for position, corner in enumerate(corners)
                if shot.pixelColor(corner) != QColor(ground)
            ] == plated

    def test_headings_stand_above_their_groups(self):
        self.blank(7)
        sections = Sections([3, 4], ["Group one", "Group two"])
        self.view.set_arrangement(sections)
        assert self.view.visible().tolist() == list(range(7))
        assert sections.rect(3).top() > sections.rect(2).bottom()
        assert [text for _, text in sections.headings(self.view.window_rect)] == [
            "Group one",
            "Group two",
        ]
        self.view.grab()


def _has_colour(image: QImage, colour: QColor) -> bool:
    return any(
        image.pixelColor(x, y) == colour
        for x in range(image.width())
        for y in range(0, image.height(), 3)
    )


class TestPreview(ViewTest):
    def test_it_shows_the_picture_and_the_arrows_go_on(self):
        paths = photo_paths()
        self.view.set_images(paths, paths)
        self.loaded()
        self.click(0)
        self.key(Qt.Key.Key_Space)
        preview = self.view.preview
        assert preview is not None
        until(lambda: preview.is_sharp)
        preview.grab()
        QTest.keyClick(preview, Qt.Key.Key_Right)
        assert preview.position == 1
        assert self.view.current_row() == 1
        QTest.keyClick(preview, Qt.Key.Key_End)
        assert preview.position == len(paths) - 1
        QTest.keyClick(preview, Qt.Key.Key_Escape)
        assert self.view.preview is None

    def test_a_double_click_opens_it_and_new_pictures_close_it(self):
        self.blank()
        QTest.mouseDClick(self.view.viewport(), LEFT, NONE, self.place(2))
        assert self.view.preview.position == 2
        self.blank()
        assert self.view.preview is None


class TestMenu(ViewTest):
    def test_paths_and_pictures_are_copied(self):
        paths = photo_paths()
        self.view.set_images(paths, paths)
        self.loaded()
        self.click(0)
        self.click(1, CONTROL)
        self.view.menu.copy_paths()
        assert QApplication.clipboard().text() == "\n".join(paths[:2])
        self.view.menu.copy_picture()
        until(lambda: QApplication.clipboard().mimeData().hasImage())
        with Image.open(paths[1]) as original:
            assert QApplication.clipboard().image().size() == QSize(*original.size)

    def test_only_what_was_seen_as_a_picture_is_opened(self):
        program = self.folder / "picture.exe"
        Image.new("RGB", (9, 9)).save(program, "PNG")
        paths = [*photo_paths()[:1], str(program), "gone.png", "http://localhost:1/x.png"]
        self.view.set_images(paths, paths)
        self.loaded()
        allowed = [self.view.menu._may_open(row) for row in range(4)]
        assert allowed == [True, False, False, False]

    def test_more_like_this_is_there_if_the_widget_can_do_it(self):
        self.blank()
        texts = lambda: [action.text() for action in self.view.menu.make().actions()]  # noqa: E731
        assert "&More Like This" not in texts()
        self.view.set_similarity(True)
        assert "&More Like This" in texts()
        told: list[list[int]] = []
        self.view.more_like_this.connect(told.append)
        self.click(2)
        self.click(5, CONTROL)
        self.view.menu.ask_for_alike()
        assert told == [[2, 5]]


class TestLayouts:
    @pytest.mark.parametrize("cells", [None, [0, 2, 3, 7]])
    def test_what_is_at_a_point_is_where_its_rectangle_is(self, cells):
        grid = UniformGrid(columns=3, cells=cells)
        grid.arrange(4, QSize(10, 20), QSize(30, 40))
        for position in range(4):
            assert grid.at(grid.rect(position).center()) == position
        everything = QRect(QPoint(0, 0), QSize(1000, 1000))
        assert grid.within(everything).tolist() == [0, 1, 2, 3]
        assert grid.at(QPoint(25, 45 if cells else 35)) == -1

    def test_keys_pass_over_empty_cells(self):
        grid = UniformGrid(columns=3, cells=[0, 2, 7])
        grid.arrange(3, QSize(10, 10), QSize(30, 20))
        assert grid.step(0, Step.RIGHT) == 1
        assert grid.step(1, Step.RIGHT) == 2
        assert grid.step(0, Step.DOWN) == 0
        assert grid.step(2, Step.HOME) == 0
        assert grid.step(0, Step.END) == 2

    @pytest.mark.parametrize("columns", [1, 3, 7])
    @pytest.mark.parametrize("count", [0, 1, 6, 20])
    def test_every_step_leads_to_a_picture(self, columns, count):
        for layout in (UniformGrid(columns), Sections([count // 2, count - count // 2], "ab")):
            layout.arrange(count, QSize(10, 10), QSize(10 * columns, 25))
            for position in range(count):
                for step in Step:
                    assert 0 <= layout.step(position, step) < count

    def test_sections_find_their_pictures(self):
        sections = Sections([2, 0, 5], ["a", "b", "c"], heading=10)
        sections.arrange(7, QSize(10, 10), QSize(30, 100))
        for position in range(7):
            assert sections.at(sections.rect(position).center()) == position
        assert sections.at(QPoint(5, 5)) == -1
        assert sections.size() == QSize(30, 60)
        assert sections.step(1, Step.DOWN) == 3
        assert sections.step(3, Step.UP) == 1
