"""A sheet of pictures as a file, in the clipboard, or in a report: drawn while a dialog waits.

What a widget gives to Orange's *Save image*::

    graph_name = "graph"
    graph_writers = images_saving.WRITERS     # Orange asks for the file's name, and calls one

    @property
    def graph(self):
        return Drawing(self, self.stage.sheet)
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from AnyQt.QtCore import (
    QBuffer,
    QByteArray,
    QEventLoop,
    QIODevice,
    QMarginsF,
    QRect,
    QSaveFile,
    QSize,
    QSizeF,
    Qt,
    QTimer,
)
from AnyQt.QtGui import QImage, QPageSize, QPainter, QPdfWriter
from AnyQt.QtSvg import QSvgGenerator
from AnyQt.QtWidgets import QApplication, QProgressDialog, QWidget

from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.thumbnails import Thumbnails
from orangecontrib.imageanalytics.web.reach import Reach
from orangecontrib.imageanalytics.widgets.images_sheet import SCREEN, Paper, Sheet, Tick, draw
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

T = TypeVar("T")

#: Sixty million pixels are 60 x 71 cm at this resolution, and 240 MB while they are drawn; what has
#: more than 256 MB is not opened by programs made with Qt 6.
_FILE = Paper(60e6, 300)
#: What programs can still open as text.
_TEXT = Paper(16e6, 300)
_CLIPBOARD = Paper(16e6, 2 * SCREEN)
_REPORT = Paper(4e6, 1.5 * SCREEN)
#: Points that a page can be long: more is against PDF's limit (ISO 32000-1, annex C).
_LONGEST = 14_400
_INCH = 0.0254
_POINTS = 72
_THREAD = "drawing"
#: Milliseconds between two looks at how far it is.
_INTERVAL = 40


class _Cancelled(Exception):
    """The user does not want it any more."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn where: the sheet is asked for when it is known on what paper.

    Attributes
    ----------
    window : QWidget
        Over which the dialog is.
    sheet : callable
        Gives the sheet for a paper, in the window's thread.
    """

    window: QWidget
    sheet: Callable[[Paper], Sheet]

    def save(self, name: str, paper: Paper, write: Callable[..., None]) -> bool:
        """Draw a file, whole or not at all.

        Returns
        -------
        bool
            False if the user has cancelled it: what was there before is there still.

        Raises
        ------
        OSError
            The file cannot be written, or the pictures cannot be drawn, and why.
        """

        def work(sheet: Sheet, scale: float, thumbnails: Thumbnails, tick: Tick) -> bool:
            file = QSaveFile(name)
            if not file.open(QIODevice.OpenModeFlag.WriteOnly):
                raise OSError(file.errorString())
            write(file, sheet, scale, thumbnails, tick)
            tick(1.0)  # the last moment to cancel
            if not file.commit():
                raise OSError(file.errorString())
            return True

        return bool(self._drawn(paper, work))

    def image(self, paper: Paper) -> QImage | None:
        """Draw an image; None if the user has cancelled it."""
        return self._drawn(paper, _image)

    def _drawn(self, paper: Paper, work: Callable[..., T]) -> T | None:
        sheet = self.sheet(paper)

        thumbnails = Thumbnails(reach=Reach(user_settings().web_hosts()))

        def drawn(tick: Tick) -> T:
            with thumbnails:
                return work(sheet, paper.scale(sheet.region.size()), thumbnails, tick)

        try:
            return _awaited(self.window, drawn, thumbnails.close)
        except (EmbeddingError, MemoryError) as error:
            raise OSError(str(error) or "There is not enough memory.") from error


def _awaited(window: QWidget, work: Callable[[Tick], T], give_up: Callable[[], object]) -> T | None:
    """Do something in a thread while a dialog shows how far it is; None if that is cancelled.

    What it waits for is ended by `give_up`, which may take a moment.
    """
    dialog = QProgressDialog("Drawing the pictures...", "Cancel", 0, 1000, window)
    dialog.setWindowModality(Qt.WindowModality.WindowModal)
    dialog.setWindowTitle("Image")
    dialog.setMinimumDuration(0)
    dialog.setAutoClose(False)
    dialog.setAutoReset(False)
    unwanted = threading.Event()
    done = [0.0]

    def tick(share: float) -> None:
        done[0] = share
        if unwanted.is_set():
            raise _Cancelled

    loop = QEventLoop()
    future: Future[T] = DaemonThreads(_THREAD).submit(work, tick)

    def look() -> None:
        try:
            dialog.setValue(round(1000 * done[0]))
        except RuntimeError:  # its C++ half went with the widget's
            end()
        if future.done():
            loop.quit()

    def end() -> None:
        unwanted.set()
        loop.quit()

    timer = QTimer(interval=_INTERVAL)
    timer.timeout.connect(look)
    dialog.canceled.connect(end)
    timer.start()
    dialog.setValue(0)
    loop.exec()
    timer.stop()
    with contextlib.suppress(RuntimeError):
        dialog.canceled.disconnect(end)  # which it emits when it is closed, too
        dialog.deleteLater()
    if unwanted.is_set():
        DaemonThreads(_THREAD).submit(give_up)
        return None
    return future.result()


# ---- onto what it is drawn


def _image(sheet: Sheet, scale: float, thumbnails: Thumbnails, tick: Tick) -> QImage:
    image = QImage(_scaled(sheet, scale), QImage.Format.Format_RGB32)
    if image.isNull():
        raise MemoryError
    dots = round(SCREEN * scale / _INCH)
    image.setDotsPerMeterX(dots)
    image.setDotsPerMeterY(dots)
    image.fill(Qt.GlobalColor.white)
    _draw_on(image, sheet, scale, thumbnails, tick)
    return image


def _write_png(file: QSaveFile, *what: Any) -> None:
    if not _image(*what).save(file, "png"):
        raise OSError(file.errorString())


def _write_svg(
    file: QSaveFile, sheet: Sheet, scale: float, thumbnails: Thumbnails, tick: Tick
) -> None:
    generator = QSvgGenerator()
    generator.setOutputDevice(file)
    size = _scaled(sheet, scale)
    generator.setSize(size)
    generator.setViewBox(QRect(0, 0, size.width(), size.height()))
    generator.setResolution(round(SCREEN * scale))
    _draw_on(generator, sheet, scale, thumbnails, tick)


def _write_pdf(
    file: QSaveFile, sheet: Sheet, scale: float, thumbnails: Thumbnails, tick: Tick
) -> None:
    writer = QPdfWriter(file)
    size = QSizeF(_scaled(sheet, 1.0)) * (_POINTS / SCREEN)
    longest = max(size.width(), size.height())
    smaller = min(1.0, _LONGEST / longest)
    writer.setPageSize(QPageSize(size * smaller, QPageSize.Unit.Point))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0))
    writer.setResolution(round(SCREEN * scale / smaller))
    _draw_on(writer, sheet, scale, thumbnails, tick)


def _draw_on(device: Any, sheet: Sheet, scale: float, thumbnails: Thumbnails, tick: Tick) -> None:
    painter = QPainter()
    if not painter.begin(device):
        raise OSError("It cannot be drawn.")
    try:
        painter.scale(scale, scale)
        draw(sheet, painter, scale, thumbnails, tick)
    finally:
        painter.end()


def _scaled(sheet: Sheet, scale: float) -> QSize:
    size = sheet.region.size()
    return QSize(max(1, round(size.width() * scale)), max(1, round(size.height() * scale)))


# ---- what Orange calls


class _Writer:
    """A kind of file, as Orange's dialog for saving wants it."""

    EXTENSIONS: tuple[str, ...]
    DESCRIPTION: str
    PRIORITY: int
    paper = _FILE
    write_sheet: Callable[..., None]

    @classmethod
    def write(cls, filename: str, drawing: Drawing) -> None:
        """Draw a file; OSError says why it cannot be."""
        drawing.save(filename, cls.paper, cls.write_sheet)


class PngWriter(_Writer):
    """Pixels."""

    EXTENSIONS, DESCRIPTION, PRIORITY = (".png",), "Portable Network Graphics", 50
    write_sheet = staticmethod(_write_png)


class SvgWriter(_Writer):
    """Text and frames as shapes, pictures as pixels."""

    EXTENSIONS, DESCRIPTION, PRIORITY = (".svg",), "Scalable Vector Graphics", 100
    paper = _TEXT
    write_sheet = staticmethod(_write_svg)


class PdfWriter(_Writer):
    """Text and frames as shapes, pictures as pixels, on one page."""

    EXTENSIONS, DESCRIPTION, PRIORITY = (".pdf",), "Portable Document Format", 110
    write_sheet = staticmethod(_write_pdf)


WRITERS = [PngWriter, SvgWriter, PdfWriter]


def to_clipboard(drawing: Drawing) -> None:
    """Draw an image for the clipboard, unless the user cancels it."""
    image = drawing.image(_CLIPBOARD)
    if image is not None:
        QApplication.clipboard().setImage(image)


def to_html(drawing: Drawing) -> str:
    """Draw an image for a report."""
    image = drawing.image(_REPORT)
    if image is None:
        return "<p>The picture was not drawn: that was cancelled.</p>"
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    encoded = base64.b64encode(bytes(data)).decode("ascii")
    return f'<img style="max-width:100%" src="data:image/png;base64,{encoded}">'
