"""Make the screenshots of the widget Image Embedding, from the real widget, without a screen.

    QT_QPA_PLATFORM=offscreen python doc/screenshots.py

writes doc/images/embedding-{idle,running,skips,consent,failing}-{light,dark}.png. The widget's
user, cache and server are made for the occasion.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from AnyQt.QtCore import QPoint, QRect, QSettings, Qt
from AnyQt.QtGui import QColor, QPainter, QPalette, QPixmap
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QWidget
from Orange.data import Domain, StringVariable, Table
from orangewidget.tests.base import DummySignalManager

from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

HERE = Path(__file__).parent
PHOTOS = sorted((HERE.parent / "examples" / "photos").rglob("*.png"))

Picture = Callable[[OWImageEmbedding], None]


def image_table(paths: list[str]) -> Table:
    """Make a table with one column, of images."""
    image = StringVariable("image")
    image.attributes["type"] = "image"
    domain = Domain([], metas=[image])
    metas = np.array(paths, dtype=object).reshape(-1, 1)
    return Table.from_numpy(domain, np.empty((len(paths), 0)), metas=metas)


def idle(widget: OWImageEmbedding) -> None:
    """All photos embedded."""
    widget.set_images(image_table([str(photo) for photo in PHOTOS]))
    wait(lambda: widget.task is None)


def running(widget: OWImageEmbedding) -> None:
    """In the middle of a run, with a model that has nothing in the cache."""
    widget.model = "efficientnet-lite0"
    widget._show_model()
    folder = Path(tempfile.mkdtemp(dir=os.environ["ORANGE_IMAGE_CACHE"]))
    copies = [folder / f"{i}.png" for i in range(600)]
    for i, copy in enumerate(copies):
        # another content each, so that each is computed
        copy.write_bytes(PHOTOS[i % len(PHOTOS)].read_bytes() + str(i).encode())
    widget.set_images(image_table([str(copy) for copy in copies]))
    wait(lambda: _progress(widget) >= 100)


def _progress(widget: OWImageEmbedding) -> int:
    word = widget.told.split()[1]
    return int(word) if word.isdigit() else 0


def skips(widget: OWImageEmbedding) -> None:
    """Some images are not there, and one is no image."""
    paths = [str(photo) for photo in PHOTOS] + ["moved.png", "renamed.png", __file__]
    widget.set_images(image_table(paths))
    wait(lambda: widget.task is None)


def consent(widget: OWImageEmbedding) -> None:
    """A server embedder, before the user has agreed."""
    widget.model = "inception-v3"
    widget._show_model()
    widget.set_images(image_table([str(photo) for photo in PHOTOS]))


def failing(widget: OWImageEmbedding) -> None:
    """A server that cannot be reached."""
    user_settings().server_address = "http://localhost:9/"  # where nobody listens
    user_settings().allow("localhost:9")
    widget.model = "vgg16"
    widget._show_model()
    widget.set_images(image_table([str(photo) for photo in PHOTOS]))
    wait(lambda: widget.task is None)


PICTURES: tuple[Picture, ...] = (idle, running, skips, consent, failing)


def dark_palette() -> QPalette:
    """Make a palette as a dark desktop has."""
    palette = QPalette(QColor(48, 48, 48))
    for role in (QPalette.ColorRole.Base, QPalette.ColorRole.AlternateBase):
        palette.setColor(role, QColor(32, 32, 32))
    return palette


def wait(true: Callable[[], bool]) -> None:
    """Let the window live until something is true."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        QTest.qWait(5)
    QTest.qWait(50)


def numbered(window: QWidget, controls: Sequence[QWidget]) -> QPixmap:
    """Take a picture of a window, with a number beside each control, for the text to refer to."""
    picture = window.grab()
    ratio = picture.devicePixelRatio()
    margin = 32
    whole = QPixmap(round((window.width() + margin) * ratio), picture.height())
    whole.setDevicePixelRatio(ratio)
    whole.fill(window.palette().window().color())
    painter = QPainter(whole)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.drawPixmap(margin, 0, picture)
    painter.setPen(Qt.PenStyle.NoPen)
    for number, control in enumerate(controls, start=1):
        middle = control.mapTo(window, control.rect().center()).y()
        circle = QRect(QPoint(6, middle - 11), QPoint(27, middle + 10))
        painter.setBrush(QColor(200, 80, 20))
        painter.drawEllipse(circle)
        painter.setPen(Qt.GlobalColor.white)
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, str(number))
        painter.setPen(Qt.PenStyle.NoPen)
    painter.end()
    return whole


def controls(widget: OWImageEmbedding) -> Sequence[QWidget]:
    """Give what the page of the widget explains, in its order."""
    panel = widget.panel
    return panel.attribute, panel.model, panel.destination, widget.words, panel.automatically


def take(picture: Picture, theme: str) -> None:
    """Make a widget, bring it into a state, and save how it looks."""
    widget = OWImageEmbedding.__new__(OWImageEmbedding, signal_manager=DummySignalManager())
    widget.__init__()  # type: ignore[misc]
    widget.show()
    user_settings().server_address = None
    picture(widget)
    QTest.qWait(400)  # for the layout, and icons that fade in
    taken = numbered(widget, controls(widget)) if picture is skips else widget.grab()
    taken.save(str(HERE / "images" / f"embedding-{picture.__name__}-{theme}.png"))
    widget.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def main() -> None:
    """Make all screenshots."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ORANGE_IMAGE_CACHE"] = str(Path(folder, "cache"))
        os.environ["ORANGE_IMAGE_MODELS"] = str(Path(folder, "models"))
        for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
            QSettings.setPath(QSettings.Format.IniFormat, scope, folder)
        application = QApplication([])
        application.setStyle("Fusion")
        light = QPalette(QColor(240, 240, 240))
        for theme, palette in (("light", light), ("dark", dark_palette())):
            application.setPalette(palette)
            os.environ["ORANGE_IMAGE_CACHE"] = str(Path(folder, theme))
            for picture in PICTURES:
                take(picture, theme)
        QTest.qWait(300)


if __name__ == "__main__":
    main()
