"""Image Grid's *Save image*, copy and report: all that is arranged, at the paper's resolution."""

from __future__ import annotations

import base64
import contextlib
import re
import threading
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from AnyQt.QtCore import QByteArray, QPoint, QTimer
from AnyQt.QtGui import QColor, QImage
from AnyQt.QtWidgets import QApplication, QFileDialog, QMessageBox, QProgressDialog, QPushButton
from PIL import Image

from orangecontrib.imageanalytics.widgets import images_saving
from orangecontrib.imageanalytics.widgets.images_saving import PdfWriter, PngWriter, SvgWriter
from orangecontrib.imageanalytics.widgets.images_sheet import Paper
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid
from tests.widget_case import until
from tests.widgets.test_owimagegrid import GridTest
from tests.widgets.test_owimageviewer import embedded

SCALE = 300 / 96


class SavingTest(GridTest):
    @pytest.fixture(autouse=True)
    def own_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def tearDown(self) -> None:
        names = lambda: [thread.name for thread in threading.enumerate()]  # noqa: E731
        until(lambda: images_saving._THREAD not in names())
        super().tearDown()

    def arranged(self, count: int = 12, **settings: Any) -> OWImageGrid:
        """Pictures of one colour each, too large for all to be in sight."""
        self.colours = [QColor.fromHsv(300 * row // count, 200, 220) for row in range(count)]
        paths = []
        for row, colour in enumerate(self.colours):
            path = self.folder / f"{row}.png"
            Image.new("RGB", (900, 900), colour.getRgb()[:3]).save(path)
            paths.append(str(path))
        chance = np.random.default_rng(0)
        sizes = {"fits_window": False, "image_size": 200, "map_size": 60}
        widget = self.make(**{**sizes, **settings})
        self.give(widget, embedded(paths, chance.normal(size=(count, 4)).tolist()))
        return widget

    def seen(self, widget: OWImageGrid, image: QImage, paper: Paper | None = None) -> list[bool]:
        """Whether each picture has its colour in the middle of its place in an image."""
        sheet = widget.stage.sheet(paper or PngWriter.paper)
        region = sheet.region
        scale = image.width() / region.width()
        found = []
        for position, row in enumerate(sheet.order.tolist()):
            rect = sheet.layout.rect(position)
            place = sheet.look.within(rect).picture(rect).center() - region.topLeft()
            colour = image.pixelColor(QPoint(round(place.x() * scale), round(place.y() * scale)))
            wanted = self.colours[row].getRgb()[:3]
            found.append(
                max(abs(a - b) for a, b in zip(colour.getRgb(), wanted, strict=False)) < 12
            )
        return found

    def save(self, widget: OWImageGrid, name: str) -> Path:
        """Save as a user does, by Orange's dialog."""
        path = self.folder / name
        kinds = {writer.EXTENSIONS[0]: writer for writer in widget.graph_writers}
        writer = kinds[path.suffix]
        answer = (str(path), f"{writer.DESCRIPTION} (*{writer.EXTENSIONS[0]})")
        with patch.object(QFileDialog, "getSaveFileName", return_value=answer):
            widget.save_graph()
        return path


class TestFiles(SavingTest):
    def test_a_png_shows_all_that_is_arranged_at_300_dots_per_inch(self):
        widget = self.arranged()
        assert len(widget.view.visible()) < 12  # not all is in sight
        image = QImage(str(self.save(widget, "grid.png")))
        contents = widget.view.arrangement.size()
        assert abs(image.width() - contents.width() * SCALE) <= 2
        assert abs(image.height() - contents.height() * SCALE) <= 2
        assert abs(image.dotsPerMeterX() - 300 / 0.0254) < 50
        assert all(self.seen(widget, image))
        assert image.pixelColor(0, 0) == QColor("white")

    def test_what_is_dark_on_the_screen_is_white_on_paper(self):
        widget = self.arranged(label_attribute="name")
        palette = widget.view.palette()
        palette.setColor(palette.ColorRole.Base, QColor("black"))
        palette.setColor(palette.ColorRole.Text, QColor("white"))
        widget.view.setPalette(palette)
        image = QImage(str(self.save(widget, "grid.png")))
        assert image.pixelColor(0, 0) == QColor("white")
        line = [image.pixelColor(x, y).lightness() for y in range(690) for x in range(0, 400, 3)]
        assert min(line) < 60  # the title

    def test_svg_and_pdf_hold_the_pictures_at_their_resolution(self):
        widget = self.arranged()
        text = self.save(widget, "grid.svg").read_text("utf-8")
        found = re.findall(r'href="data:image/png;base64,([^"]+)"', text)
        assert len(found) == 12
        assert QImage.fromData(QByteArray.fromBase64(found[0].encode())).width() == 625
        content = self.save(widget, "grid.pdf").read_bytes()
        assert content.startswith(b"%PDF") and len(re.findall(rb"/Subtype\s*/Image", content)) >= 12
        assert len(re.findall(rb"/Type\s*/Page\b", content)) == 1

    def test_cropped_pictures_are_cropped_in_all_files(self):
        widget = self.arranged(crop=True)
        wide = Image.new("RGB", (800, 200), (0, 0, 255))
        wide.paste((255, 0, 0), (300, 0, 500, 200))
        wide.save(self.folder / "0.png")
        self.colours[0] = QColor("red")
        assert all(self.seen(widget, QImage(str(self.save(widget, "grid.png")))))
        text = self.save(widget, "grid.svg").read_text("utf-8")
        for encoded in re.findall(r'href="data:image/png;base64,([^"]+)"', text):
            picture = QImage.fromData(QByteArray.fromBase64(encoded.encode()))
            assert picture.width() == picture.height()

    def test_the_whole_map_is_saved_with_its_dots(self):
        widget = self.arranged(200, shown_as="map", map_size=40)
        widget.view.zoom(14)
        in_sight = len(widget.view.visible())
        image = QImage(str(self.save(widget, "map.png")))
        sheet = widget.stage.sheet(PngWriter.paper)
        shown = sheet.layout.within(sheet.region)
        assert len(shown) > in_sight
        seen = self.seen(widget, image)
        assert all(seen[position] for position in shown.tolist())
        assert image.width() * image.height() <= PngWriter.paper.most * 1.01

    def test_pictures_that_cannot_be_seen_say_why_and_hold_nothing_up(self):
        widget = self.arranged(4)
        (self.folder / "2.png").write_bytes(b"no picture")
        (self.folder / "3.png").unlink()
        image = QImage(str(self.save(widget, "grid.png")))
        assert self.seen(widget, image) == [True, True, False, False]

    def test_the_limit_of_pixels_is_kept(self):
        widget = self.arranged(12)
        image = widget.graph.image(Paper(2e5, 300))
        assert 1.5e5 < image.width() * image.height() < 2.1e5
        assert all(self.seen(widget, image, Paper(2e5, 300)))

    def test_with_nothing_arranged_nothing_is_saved(self):
        widget = self.make()
        assert widget.graph is None
        widget.save_graph()
        widget.copy_to_clipboard()
        widget.send_report()


class TestWhatGoesWrong(SavingTest):
    def cancel_soon(self) -> None:
        """Cancel as soon as a dialog is there."""

        def look() -> None:
            for dialog in QApplication.topLevelWidgets():
                if isinstance(dialog, QProgressDialog) and dialog.isVisible():
                    dialog.findChild(QPushButton).click()
                    timer.stop()

        timer = QTimer(interval=0)
        timer.timeout.connect(look)
        timer.start()
        self.timer = timer

    def test_a_file_that_was_there_survives_a_cancel(self):
        widget = self.arranged()
        path = self.folder / "grid.png"
        path.write_bytes(b"precious")
        before = sorted(self.folder.glob("grid*"))
        self.cancel_soon()
        self.save(widget, "grid.png")
        assert path.read_bytes() == b"precious"
        assert sorted(self.folder.glob("grid*")) == before

    def test_a_folder_that_is_not_there_is_said(self):
        widget = self.arranged(4)
        said: list[str] = []
        with patch.object(QMessageBox, "exec", lambda box: said.append(box.text())):
            self.save(widget, "nowhere/grid.png")
        assert len(said) == 1 and "grid.png" in said[0]

    def test_a_widget_that_is_deleted_meanwhile_ends_it(self):
        widget = self.arranged()

        def delete() -> None:
            for dialog in widget.findChildren(QProgressDialog):
                dialog.deleteLater()

        QTimer.singleShot(0, delete)
        assert widget.graph.image(PngWriter.paper) is None

    def test_names_without_a_folder_are_not_looked_for_in_the_working_directory(self):
        data = embedded(["0.png", "1.png"], [[1.0, 2.0], [3.0, 1.0]])
        Image.new("RGB", (50, 50), (9, 200, 9)).save(self.folder / "0.png")
        with contextlib.chdir(self.folder):
            widget = self.make(fits_window=False)
            self.give(widget, data)
            self.colours = [QColor(9, 200, 9)] * 2
            assert self.seen(widget, widget.graph.image(PngWriter.paper)) == [False, False]


class TestCopyAndReport(SavingTest):
    def test_all_is_copied(self):
        widget = self.arranged()
        widget.copy_to_clipboard()
        image = QApplication.clipboard().image()
        assert abs(image.width() - 2 * widget.view.arrangement.size().width()) <= 2
        assert all(self.seen(widget, image, Paper(16e6, 192)))

    def test_the_report_shows_all(self):
        for shown_as in ("grid", "map"):
            widget = self.arranged(shown_as=shown_as)
            widget.send_report()
            [encoded] = re.findall(r'src="data:image/png;base64,([^"]+)"', widget.report_html)
            image = QImage.fromData(base64.b64decode(encoded))
            sheet = widget.stage.sheet(Paper(4e6, 144))
            shown = sheet.layout.within(sheet.region).tolist()
            seen = self.seen(widget, image, Paper(4e6, 144))
            assert all(seen[position] for position in shown)


def test_writers_are_what_orange_expects():
    for writer in (PngWriter, SvgWriter, PdfWriter):
        assert writer.EXTENSIONS[0].startswith(".") and writer.DESCRIPTION and writer.PRIORITY
