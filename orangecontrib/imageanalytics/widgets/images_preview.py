"""A picture as large as the screen allows, decoded for it; the arrows go on to the next."""

from __future__ import annotations

from typing import Any

from AnyQt.QtCore import QRect, QSize, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QBrush, QColor, QKeyEvent, QPainter, QPaintEvent, QPixmap
from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.widgets.images_layout import Step
from orangecontrib.imageanalytics.widgets.images_loader import Loader
from orangecontrib.imageanalytics.widgets.images_painter import fitted
from orangecontrib.imageanalytics.widgets.images_sight import Sight

#: How much of the screen the preview takes.
_SHARE = 0.9
_MARGIN = 16
#: How much larger than it is a small picture is shown at most.
_ENLARGED = 4.0
#: Bytes of pictures that it keeps: the one that is seen, the next and the last.
_MEMORY = 200 * 2**20
_GROUND, _TEXT, _FAINT = QColor(24, 24, 24), QColor(235, 235, 235), QColor(150, 150, 150)
#: The checkerboard beneath what is transparent.
_LIGHT, _DARK, _SQUARE = QColor(205, 205, 205), QColor(170, 170, 170), 8

_KEYS = {
    Qt.Key.Key_Left: Step.LEFT,
    Qt.Key.Key_Right: Step.RIGHT,
    Qt.Key.Key_Up: Step.UP,
    Qt.Key.Key_Down: Step.DOWN,
    Qt.Key.Key_PageUp: Step.UP,
    Qt.Key.Key_PageDown: Step.DOWN,
    Qt.Key.Key_Home: Step.HOME,
    Qt.Key.Key_End: Step.END,
}


class Preview(QWidget):
    """One picture of a view; Esc, Space or a double click closes it.

    Parameters
    ----------
    view : Sight
        The view.
    thumbnails : Loader
        What it shows, seen until the picture itself is decoded.
    """

    #: Another picture is shown now, that at this position.
    moved = Signal(int)

    def __init__(self, view: Sight, thumbnails: Loader) -> None:
        super().__init__(view, Qt.WindowType.Window)
        self._view = view
        self._thumbnails = thumbnails
        self._position = -1
        self._loader = self._new_loader()
        self._failures: dict[int, Skipped] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def _new_loader(self) -> Loader:
        loader = Loader(self, memory=_MEMORY)
        loader.received.connect(self._received)
        loader.skipped.connect(self._skipped)
        return loader

    @property
    def position(self) -> int:
        """The position of the picture that is shown."""
        return self._position

    @property
    def is_sharp(self) -> bool:
        """Whether the picture has been decoded for the screen, and is not only the thumbnail."""
        return self._loader.pixmap(self._row) is not None

    @property
    def _row(self) -> int:
        return self._view.images.row(self._position)

    def show_picture(self, position: int) -> None:
        """Show the picture at a position: its thumbnail at once, itself as soon as it is there."""
        self._position = position
        if not self.isVisible():
            self._fill_screen()
            self.show()
            self.activateWindow()
            self.setFocus()
        images = self._view.images
        count = len(images.order)
        self.setWindowTitle(images.title(self._row) or "Preview")
        self.setAccessibleName(images.title(self._row))
        near = [position, position + 1, position - 1]
        rows = [images.row(each) for each in near if 0 <= each < count]
        pixels = round(max(self.width(), self.height()) * self.devicePixelRatioF())
        self._loader.want([(row, images.reference(row)) for row in rows], pixels)
        self.update()

    def _fill_screen(self) -> None:
        available = self._view.screen().availableGeometry()
        size = QSize(round(available.width() * _SHARE), round(available.height() * _SHARE))
        place = QRect(available.topLeft(), size)
        place.moveCenter(available.center())
        self.setGeometry(place)

    def _received(self, rows: list[int]) -> None:
        if self._position >= 0 and self._row in rows:
            self.update()

    def _skipped(self, row: int, why: Skipped) -> None:
        self._failures[row] = why

    def closeEvent(self, event: Any) -> None:
        """Let go of what it keeps."""
        self._loader.close()
        self._loader.deleteLater()
        self._loader = self._new_loader()
        super().closeEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go on, or close."""
        if event.key() in _KEYS:
            position = self._view.arrangement.step(self._position, _KEYS[event.key()])
            if position != self._position:
                self.show_picture(position)
                self.moved.emit(position)
        elif event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Space):
            self.close()
        else:
            super().keyPressEvent(event)

    def mouseDoubleClickEvent(self, event: Any) -> None:
        """Close."""
        self.close()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture, and beneath it its name and number."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), _GROUND)
        images = self._view.images
        if not 0 <= self._position < len(images.order):
            return
        row = self._row
        line = painter.fontMetrics().height()
        place = self.rect().adjusted(_MARGIN, _MARGIN, -_MARGIN, -2 * _MARGIN - 2 * line)
        sharp, thumbnail = self._loader.pixmap(row), self._thumbnails.pixmap(row)
        if sharp is not None:
            self._draw(painter, place, *sharp)
        elif thumbnail is not None:
            self._draw(painter, place, *thumbnail)
        elif why := self._failures.get(row) or images.failures.get(row):
            self._write(painter, place, f"{why}\n{why.reason.explanation}", _FAINT)
        below = QRect(place.left(), place.bottom() + _MARGIN, place.width(), line)
        name = painter.fontMetrics().elidedText(
            images.title(row) or images.path(row), Qt.TextElideMode.ElideMiddle, place.width()
        )
        self._write(painter, below, name, _TEXT)
        facts = f"{self._position + 1} of {len(images.order)}"
        self._write(painter, below.translated(0, line), facts, _FAINT)

    def _draw(self, painter: QPainter, place: QRect, pixmap: QPixmap, is_whole: bool) -> None:
        ratio = self.devicePixelRatioF()
        size = pixmap.size()
        if is_whole:
            most = _ENLARGED / ratio
            size = QSize(round(size.width() * most), round(size.height() * most))
        target = fitted(size, place, enlarge=not is_whole)
        if pixmap.hasAlphaChannel():
            painter.fillRect(target, checkerboard())
        painter.drawPixmap(target, pixmap)

    @staticmethod
    def _write(painter: QPainter, place: QRect, text: str, colour: QColor) -> None:
        painter.setPen(colour)
        flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
        painter.drawText(place, flags, text)


def checkerboard() -> QBrush:
    """What is seen through what is transparent."""
    tile = QPixmap(2 * _SQUARE, 2 * _SQUARE)
    tile.fill(_LIGHT)
    painter = QPainter(tile)
    painter.fillRect(0, 0, _SQUARE, _SQUARE, _DARK)
    painter.fillRect(_SQUARE, _SQUARE, _SQUARE, _SQUARE, _DARK)
    painter.end()
    return QBrush(tile)
