"""Make the screenshots of the widget Import Images, from the real widget, without a screen.

    QT_QPA_PLATFORM=offscreen python doc/import_screenshots.py

writes doc/images/import-{images,others}-{light,dark}.png. The folder is made for the occasion.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from orangewidget.tests.base import DummySignalManager
from screenshots import HERE, dark_palette, numbered, wait

from orangecontrib.imageanalytics.widgets.owimageimport import OWImportImages

PHOTOS = HERE.parent / "examples" / "photos"


def images(widget: OWImportImages) -> None:
    """A folder of photos, and a note."""


def others(widget: OWImportImages) -> None:
    """The files that are not images are listed."""
    widget.panel.show_others.setChecked(True)


PICTURES: tuple[Callable[[OWImportImages], None], ...] = (images, others)


def take(picture: Callable[[OWImportImages], None], theme: str, folder: str) -> None:
    """Make a widget, let it look through the folder, and save how it looks."""
    widget = OWImportImages.__new__(OWImportImages, signal_manager=DummySignalManager())
    widget.__init__()  # type: ignore[misc]
    widget.show()
    widget.open_folder(folder)
    wait(lambda: widget.task is None)
    picture(widget)
    QTest.qWait(400)  # for the layout, and icons that fade in
    widget.adjustSize()
    QTest.qWait(100)
    panel = widget.panel
    controls = panel.folder, widget.words, panel.show_others, panel.reload
    taken = numbered(widget, controls) if picture is others else widget.grab()
    taken.save(str(HERE / "images" / f"import-{picture.__name__}-{theme}.png"))
    widget.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def main() -> None:
    """Make all screenshots."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = os.environ["USERPROFILE"] = home
        folder = Path(home, "Pictures", "photos")
        shutil.copytree(PHOTOS, folder)
        (folder / "notes.txt").write_text("Stamps.\n")
        cow = (folder / "animal" / "cow.png").read_bytes()
        (folder / "animal" / "goat.png").write_bytes(cow[:20])
        application = QApplication([])
        application.setStyle("Fusion")
        for theme, palette in (
            ("light", QPalette(QColor(240, 240, 240))),
            ("dark", dark_palette()),
        ):
            application.setPalette(palette)
            for picture in PICTURES:
                take(picture, theme, str(folder))


if __name__ == "__main__":
    main()
