"""Make the screenshots of the widget Image Grid, from the real widget, without a screen.

    QT_QPA_PLATFORM=offscreen python doc/grid_screenshots.py

writes doc/images/grid-photos-{light,dark}.png. The widget's user and cache are made for the
occasion.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from AnyQt.QtCore import QSettings
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from Orange.data import Table
from orangewidget.tests.base import DummySignalManager
from screenshots import HERE, PHOTOS, dark_palette, numbered, wait

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid

_SELECTED = ("lemon", "orange")


def embedded() -> Table:
    """Embed the photos of the examples."""
    data, _ = ImportImages()(str(PHOTOS[0].parents[1]))
    with ImageEmbedder("squeezenet") as embedder:
        vectors, _, _ = embedder(data, col="image")
    return vectors


def take(theme: str, data: Table) -> None:
    """Make a widget, let it arrange the photos, and save how it looks."""
    stored = {"label_attribute": "image name", "frame_attribute": "category"}
    widget = OWImageGrid.__new__(
        OWImageGrid, signal_manager=DummySignalManager(), stored_settings=stored
    )
    widget.__init__()  # type: ignore[misc]
    widget.resize(900, 620)
    widget.show()
    widget.set_data(data)
    widget.handleNewSignals()
    wait(lambda: widget.task is None)
    QTest.qWait(200)
    wait(lambda: widget.view.loader.is_idle and widget.view.loader.count == len(data))
    names = [str(row["image name"]) for row in data]
    chosen = np.array([names.index(name) for name in _SELECTED], np.intp)
    widget.view.picked.emit(chosen, QApplication.keyboardModifiers())
    QTest.qWait(400)  # for the layout, and icons that fade in
    panel = widget.panel
    controls = panel.image, panel.label, panel.layout, panel.columns, panel.size, widget.buttonsArea
    numbered(widget, controls).save(str(HERE / "images" / f"grid-photos-{theme}.png"))
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
        data = embedded()
        light = QPalette(QColor(240, 240, 240))
        for theme, palette in (("light", light), ("dark", dark_palette())):
            application.setPalette(palette)
            take(theme, data)
        QTest.qWait(300)


if __name__ == "__main__":
    main()
