"""How one picture of a view is drawn: thumbnail, frame, badge, title and caption."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from AnyQt.QtCore import QPointF, QRect, QRectF, QSize, Qt
from AnyQt.QtGui import QColor, QFont, QFontMetrics, QPainter, QPalette, QPen, QPixmap, QPolygonF

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.widgets.images_model import Mark

#: Pixels around a picture, and between it and its title.
MARGIN = 6
_FRAME = 3
_ROUND = 4
_DIMMED = 0.25
#: How much of its cell the symbol for a picture that cannot be seen takes.
_SYMBOL = 0.28


@dataclass(frozen=True, slots=True)
class Look:
    """How all pictures of a view are shown.

    Attributes
    ----------
    size : int
        Of the square that pictures are fitted into, in pixels.
    fills : bool
        Whether a picture fills its square and what juts out is cropped, or is seen whole.
    titles, captions : bool
        Whether there is a line for the title, and one for the mark's caption.
    """

    size: int = 100
    fills: bool = False
    titles: bool = True
    captions: bool = False

    def cell(self, metrics: QFontMetrics) -> QSize:
        """How much room a picture takes with all that belongs to it."""
        lines = self.titles + self.captions
        text = lines * metrics.height() + (MARGIN if lines else 0)
        return QSize(self.size + 2 * MARGIN, self.size + 2 * MARGIN + text)

    def picture(self, cell: QRect) -> QRect:
        """Where the picture's square is in its cell."""
        return QRect(cell.left() + MARGIN, cell.top() + MARGIN, self.size, self.size)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn in one cell.

    Attributes
    ----------
    title : str
        Beneath the picture.
    mark : Mark
        What is drawn on it.
    pixmap : QPixmap, optional
        The thumbnail, if it is there.
    is_whole : bool
        Whether the thumbnail is as large as the image itself, and is not to be enlarged.
    failure : Skipped, optional
        Why there is no picture.
    selected, current : bool
        Whether it is selected, and whether the keys go on from it.
    """

    title: str
    mark: Mark
    pixmap: QPixmap | None
    is_whole: bool
    failure: Skipped | None
    selected: bool
    current: bool


def paint(
    painter: QPainter, cell: QRect, shown: Shown, look: Look, palette: QPalette, *, active: bool
) -> None:
    """Draw one cell."""
    group = QPalette.ColorGroup.Active if active else QPalette.ColorGroup.Inactive
    if shown.selected:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(group, QPalette.ColorRole.Highlight))
        painter.drawRoundedRect(cell.adjusted(1, 1, -1, -1), _ROUND, _ROUND)
    square = look.picture(cell)
    if shown.mark.dimmed:
        painter.setOpacity(_DIMMED)
    if shown.pixmap is not None:
        seen = _picture(painter, square, shown, look)
    else:
        seen = square
        if shown.failure is not None:
            _failure(painter, square, shown.failure, palette)
        else:
            _placeholder(painter, square, palette)
    _marks(painter, seen, shown.mark, palette)
    painter.setOpacity(1.0)
    _texts(painter, cell, shown, look, palette, group)
    if shown.current:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(palette.color(QPalette.ColorRole.Text), 1, Qt.PenStyle.DotLine))
        painter.drawRoundedRect(cell.adjusted(1, 1, -2, -2), _ROUND, _ROUND)


def fitted(size: QSize, square: QRect, *, enlarge: bool) -> QRect:
    """Where a picture of this size is, seen whole, in the middle of a square."""
    scale = min(square.width() / size.width(), square.height() / size.height())
    if not enlarge:
        scale = min(scale, 1.0)
    width, height = max(1, round(size.width() * scale)), max(1, round(size.height() * scale))
    left = square.left() + (square.width() - width) // 2
    top = square.top() + (square.height() - height) // 2
    return QRect(left, top, width, height)


def _picture(painter: QPainter, square: QRect, shown: Shown, look: Look) -> QRect:
    pixmap = shown.pixmap
    assert pixmap is not None
    if look.fills:
        side = min(pixmap.width(), pixmap.height())
        part = QRect((pixmap.width() - side) // 2, (pixmap.height() - side) // 2, side, side)
        painter.drawPixmap(square, pixmap, part)
        return square
    target = fitted(pixmap.size(), square, enlarge=not shown.is_whole)
    painter.drawPixmap(target, pixmap)
    return target


def _placeholder(painter: QPainter, square: QRect, palette: QPalette) -> None:
    colour = palette.color(QPalette.ColorRole.Text)
    colour.setAlpha(18)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    inset = square.width() // 8
    painter.drawRoundedRect(square.adjusted(inset, inset, -inset, -inset), _ROUND, _ROUND)


def _failure(painter: QPainter, square: QRect, failure: Skipped, palette: QPalette) -> None:
    """Draw a torn picture with the reason beneath."""
    colour = palette.color(QPalette.ColorRole.Text)
    colour.setAlpha(140)
    side = max(16.0, square.width() * _SYMBOL)
    metrics = painter.fontMetrics()
    fits = square.height() > side + 3 * metrics.height()
    top = square.top() + (square.height() - side) / 2 - (metrics.height() if fits else 0)
    sheet = QRectF(square.center().x() - side / 2, top, side, side * 0.8)
    painter.setPen(QPen(colour, 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(sheet, 2, 2)
    painter.drawPolyline(
        QPolygonF(
            [
                QPointF(sheet.left() + share * sheet.width(), sheet.top() + down * sheet.height())
                for share, down in ((0.0, 0.75), (0.3, 0.45), (0.5, 0.65), (0.75, 0.3), (1.0, 0.6))
            ]
        )
    )
    painter.drawLine(sheet.topLeft(), sheet.bottomRight())
    if fits:
        below = QRectF(square).adjusted(0, sheet.bottom() + 4 - square.top(), 0, 0)
        painter.drawText(
            below,
            int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
            | int(Qt.TextFlag.TextWordWrap),
            str(failure.reason),
        )


def _marks(painter: QPainter, seen: QRect, mark: Mark, palette: QPalette) -> None:
    if mark.frame is not None:
        pen = QPen(mark.frame, _FRAME)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(seen.adjusted(-1, -1, 1, 1))
    if mark.badge:
        ground = mark.frame or palette.color(QPalette.ColorRole.Highlight)
        metrics = painter.fontMetrics()
        width = min(metrics.horizontalAdvance(mark.badge) + 8, max(seen.width(), 12))
        plate = QRect(seen.left(), seen.top(), width, metrics.height() + 2)
        painter.fillRect(plate, ground)
        painter.setPen(_legible_on(ground))
        painter.drawText(
            plate,
            Qt.AlignmentFlag.AlignCenter,
            _elided(mark.badge, width - 4, painter.font().key(), Qt.TextElideMode.ElideRight),
        )


def _texts(
    painter: QPainter,
    cell: QRect,
    shown: Shown,
    look: Look,
    palette: QPalette,
    group: QPalette.ColorGroup,
) -> None:
    role = QPalette.ColorRole.HighlightedText if shown.selected else QPalette.ColorRole.Text
    colour = palette.color(group, role)
    line = painter.fontMetrics().height()
    top = cell.top() + MARGIN + look.size + MARGIN
    for is_there, text, alpha in (
        (look.titles, shown.title, 255),
        (look.captions, shown.mark.caption, 170),
    ):
        if not is_there:
            continue
        if text:
            colour.setAlpha(alpha)
            painter.setPen(colour)
            painter.drawText(
                QRect(cell.left() + MARGIN, top, look.size, line),
                Qt.AlignmentFlag.AlignCenter,
                _elided(text, look.size, painter.font().key(), Qt.TextElideMode.ElideMiddle),
            )
        top += line


@lru_cache(maxsize=4096)
def _elided(text: str, width: int, font: str, mode: Qt.TextElideMode) -> str:
    """Shorten a text to a width; measuring takes longer than drawing a thumbnail does."""
    described = QFont()
    described.fromString(font)
    return str(QFontMetrics(described).elidedText(" ".join(text.split()), mode, width))


def _legible_on(ground: QColor) -> QColor:
    is_light = 0.299 * ground.red() + 0.587 * ground.green() + 0.114 * ground.blue() > 140
    return QColor(Qt.GlobalColor.black if is_light else Qt.GlobalColor.white)
