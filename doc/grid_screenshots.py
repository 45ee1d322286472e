"""Make the screenshots of the widget Image Grid, from the real widget, without a screen.

    QT_QPA_PLATFORM=offscreen python doc/grid_screenshots.py [FOLDER]

writes doc/images/grid-photos-{light,dark}.png, and of a folder of labelled photos, a folder for
each class, doc/images/grid-{many,map,zoomed,references}-{light,dark}.png. The widget's user and
cache are made for the occasion.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from AnyQt.QtCore import QSettings
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QWidget
from Orange.data import Table
from orangewidget.tests.base import DummySignalManager
from screenshots import HERE, PHOTOS, dark_palette, numbered, wait

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid

_SELECTED = ("lemon", "orange")


def embedded(folder: str) -> Table:
    """Embed the photos of a folder."""
    data, _ = ImportImages()(folder)
    with ImageEmbedder("squeezenet") as embedder:
        vectors, _, _ = embedder(data, col="image")
    return vectors


def widget_with(data: Table, **stored: Any) -> OWImageGrid:
    """Make a widget, and let it arrange photos and show them."""
    widget = OWImageGrid.__new__(
        OWImageGrid, signal_manager=DummySignalManager(), stored_settings=stored
    )
    widget.__init__()  # type: ignore[misc]
    widget.show()
    widget.set_data(data)
    widget.handleNewSignals()
    wait(lambda: widget.task is None)
    return widget


def save(widget: OWImageGrid, name: str, controls: Sequence[QWidget]) -> None:
    """Save how a widget looks when all that is in sight is there, and let go of it."""
    QTest.qWait(400)  # for the layout, the wishes of the view, and icons that fade in
    wait(lambda: widget.view.loader.is_idle)
    QTest.qWait(100)
    numbered(widget, controls).save(str(HERE / "images" / f"{name}.png"))
    widget.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def take(theme: str, data: Table) -> None:
    """Show the photos of the examples on a grid, with some of them selected."""
    widget = widget_with(data, label_attribute="image name", frame_attribute="category")
    widget.resize(900, 660)
    names = [str(row["image name"]) for row in data]
    chosen = np.array([names.index(name) for name in _SELECTED], np.intp)
    widget.view.picked.emit(chosen, QApplication.keyboardModifiers())
    panel = widget.panel
    controls = panel.image, panel.label, panel.layout, panel.columns, panel.size, widget.buttonsArea
    save(widget, f"grid-photos-{theme}", controls)


def take_many(theme: str, data: Table) -> None:
    """Show many photos on a grid, on a map and a part of it, and compared with one."""
    frames = {"frame_attribute": data.domain.class_var.name}
    widget = widget_with(data, **frames)
    widget.resize(1000, 720)
    save(widget, f"grid-many-{theme}", ())
    widget = widget_with(data, shown_as="map", **frames)
    widget.resize(1000, 720)
    save(widget, f"grid-map-{theme}", ())
    widget = widget_with(data, shown_as="map")
    widget.resize(1000, 720)
    QTest.qWait(100)  # for the layout
    widget.view.zoom_by(3.0, widget.view.viewport().rect().center())
    save(widget, f"grid-zoomed-{theme}", ())
    widget = widget_with(data, most_alike=12)
    widget.resize(1000, 720)
    widget.set_references(data[[len(data) // 3]])
    wait(lambda: widget.task is None and not widget.references.is_pending)
    save(widget, f"grid-references-{theme}", ())


def main() -> None:
    """Make all screenshots; those of many photos if the command line names their folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ORANGE_IMAGE_CACHE"] = str(Path(folder, "cache"))
        for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
            QSettings.setPath(QSettings.Format.IniFormat, scope, folder)
        application = QApplication([])
        application.setStyle("Fusion")
        data = embedded(str(PHOTOS[0].parents[1]))
        many = embedded(sys.argv[1]) if len(sys.argv) > 1 else None
        light = QPalette(QColor(240, 240, 240))
        for theme, palette in (("light", light), ("dark", dark_palette())):
            application.setPalette(palette)
            take(theme, data)
            if many is not None:
                take_many(theme, many)
        QTest.qWait(300)


if __name__ == "__main__":
    main()
