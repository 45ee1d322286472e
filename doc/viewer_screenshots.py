"""Make the screenshots of the widget Image Viewer, from the real widget, without a screen.

    QT_QPA_PLATFORM=offscreen python doc/viewer_screenshots.py

writes doc/images/viewer-photos-{light,dark}.png and viewer-preview.png. The widget's user and cache
are made for the occasion.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from AnyQt.QtCore import QSettings
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from orangewidget.tests.base import DummySignalManager
from screenshots import HERE, PHOTOS, dark_palette, image_table, numbered, wait

from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer

_SELECTED = (1, 4, 7, 8)


def take(theme: str, *, preview: bool) -> None:
    """Make a widget, let it show the photos, and save how it looks."""
    widget = OWImageViewer.__new__(OWImageViewer, signal_manager=DummySignalManager())
    widget.__init__()  # type: ignore[misc]
    widget.resize(860, 560)
    widget.show()
    widget.set_data(image_table([str(photo) for photo in PHOTOS]))
    wait(lambda: widget.task is None)
    QTest.qWait(200)
    wait(lambda: widget.view.loader.is_idle and widget.view.loader.count == len(PHOTOS))
    widget.view.setFocus()
    widget.view.select_rows(_SELECTED)
    QTest.qWait(400)  # for the layout, and icons that fade in
    panel = widget.panel
    controls = panel.image, panel.title, panel.sorting, panel.size, widget.buttonsArea
    numbered(widget, controls).save(str(HERE / "images" / f"viewer-photos-{theme}.png"))
    if preview:
        widget.view.show_preview(9)
        window = widget.view.preview
        assert window is not None
        wait(lambda: window.is_sharp)
        window.grab().save(str(HERE / "images" / "viewer-preview.png"))
    widget.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def main() -> None:
    """Make all screenshots."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ORANGE_IMAGE_CACHE"] = str(Path(folder, "cache"))
        for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
            QSettings.setPath(QSettings.Format.IniFormat, scope, folder)
        application = QApplication([])
        application.setStyle("Fusion")
        light = QPalette(QColor(240, 240, 240))
        for theme, palette in (("light", light), ("dark", dark_palette())):
            application.setPalette(palette)
            take(theme, preview=theme == "light")
        QTest.qWait(300)


if __name__ == "__main__":
    main()
