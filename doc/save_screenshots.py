"""Make the screenshots of the widget Save Images, from the real widget, without a screen.

    QT_QPA_PLATFORM=offscreen python doc/save_screenshots.py

writes doc/images/save-saved-{light,dark}.png. The folders are made for the occasion.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from orangewidget.tests.base import DummySignalManager
from screenshots import HERE, dark_palette, numbered, wait

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages

PHOTOS = HERE.parent / "examples" / "photos"


def take(theme: str, photos: Path, folder: Path) -> None:
    """Make a widget, let it save labelled photos, and save how it looks."""
    widget = OWSaveImages.__new__(OWSaveImages, signal_manager=DummySignalManager())
    widget.__init__()  # type: ignore[misc]
    widget.show()
    widget.set_data(ImportImages()(str(photos))[0])
    widget._choose(str(folder))
    widget.save()
    wait(lambda: widget.task is None)
    QTest.qWait(400)  # for the layout, and icons that fade in
    widget.resize(widget.minimumSizeHint())
    QTest.qWait(100)
    panel = widget.panel
    controls = (
        panel.attribute, panel.subfolders, panel.format, panel.size, panel.choose,
        panel.automatically, panel.save,
    )  # fmt: skip
    numbered(widget, controls).save(str(HERE / "images" / f"save-saved-{theme}.png"))
    widget.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def main() -> None:
    """Make all screenshots."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = os.environ["USERPROFILE"] = home
        photos = Path(home, "Pictures", "photos")
        shutil.copytree(PHOTOS, photos)
        application = QApplication([])
        application.setStyle("Fusion")
        for theme, palette in (
            ("light", QPalette(QColor(240, 240, 240))),
            ("dark", dark_palette()),
        ):
            application.setPalette(palette)
            take(theme, photos, Path(home, "Pictures", f"sorted {theme}"))


if __name__ == "__main__":
    main()
