"""How one picture of a view is drawn: thumbnail, frame, badge, title and caption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from AnyQt.QtCore import QPointF, QRect, QRectF, QSize, Qt
from AnyQt.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetrics,
    QImage,
    QPainter,
    QPalette,
    QPen,
    QPixmap,
    QPolygonF,
)

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.widgets.images_model import Mark

#: Pixels around a picture, and between it and its title.
MARGIN = 6
_THIN = 2
_FRAME = 3
_ROUND = 4
_DIMMED = 0.25
#: How much of its cell the symbol for a picture that cannot be seen takes.
_SYMBOL = 0.28

#: What is drawn beneath a picture with transparent parts that would not be seen on the theme's
#: ground: black lettering in a dark theme, white in a light one.
_LIGHT_PLATE, _DARK_PLATE = QColor(200, 200, 200), QColor(110, 110, 110)
#: How near to black or white such pictures are.
_VANISHES = 0.12

# As numbers: PyQt takes 5 µs to make one of a flag, and there are several for each cell.
_CENTRE = int(Qt.AlignmentFlag.AlignCenter)
_TOP = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
_WRAPPED = int(Qt.TextFlag.TextWordWrap)


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
    margin : int
        Pixels around a picture.
    """

    size: int = 100
    fills: bool = False
    titles: bool = True
    captions: bool = False
    margin: int = MARGIN

    def cell(self, metrics: QFontMetrics) -> QSize:
        """How much room a picture takes with all that belongs to it."""
        lines = self.titles + self.captions
        text = lines * metrics.height() + (self.margin if lines else 0)
        side = self.size + 2 * self.margin
        return QSize(side, side + text)

    def picture(self, cell: QRect) -> QRect:
        """Where the picture's square is in its cell."""
        return QRect(cell.left() + self.margin, cell.top() + self.margin, self.size, self.size)

    def within(self, cell: QRect) -> Look:
        """How a picture is shown in a cell of its own size: a smaller one has no room for texts."""
        more = cell.width() - self.size - 2 * self.margin
        if more >= 0:
            return replace(self, size=self.size + more) if more else self
        size = max(1, cell.width() - 2 * _THIN)
        return Look(size, self.fills, titles=False, captions=False, margin=_THIN)


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn in one cell.

    Attributes
    ----------
    title : str
        Beneath the picture.
    mark : Mark
        What is drawn on it.
    pixmap : QPixmap or QImage, optional
        The thumbnail, if it is there; an image where it is not drawn in the window's thread.
    is_whole : bool
        Whether the thumbnail is as large as the image itself, and is not to be enlarged.
    tone : float, optional
        How light it is, from 0 to 1, if parts of it are transparent.
    failure : Skipped, optional
        Why there is no picture.
    selected, current : bool
        Whether it is selected, and whether the keys go on from it.
    """

    title: str
    mark: Mark
    pixmap: QPixmap | QImage | None
    is_whole: bool
    tone: float | None
    failure: Skipped | None
    selected: bool
    current: bool


class CellPainter:
    """Draws cells, one after the other; what is the same for all is looked up once.

    Parameters
    ----------
    painter : QPainter
        Whose font is set already.
    look : Look
        How all pictures are shown.
    palette : QPalette
        The theme's colours.
    active : bool
        Whether the view has the keyboard.
    """

    def __init__(self, painter: QPainter, look: Look, palette: QPalette, *, active: bool) -> None:
        group = QPalette.ColorGroup.Active if active else QPalette.ColorGroup.Inactive
        self._painter = painter
        self._look = look
        self._metrics = painter.fontMetrics()
        self._line = self._metrics.height()
        self._font = painter.font().key()
        self._highlight = palette.color(group, QPalette.ColorRole.Highlight)
        self._badge = palette.color(QPalette.ColorRole.Highlight)
        self._text = palette.color(QPalette.ColorRole.Text)
        ground = palette.color(QPalette.ColorRole.Base)
        self._is_dark = ground.lightnessF() < 0.5
        self._plate = _LIGHT_PLATE if self._is_dark else _DARK_PLATE
        self._symbol = _fainter(self._text, 140)
        self._placeholder = QBrush(_fainter(self._text, 18))
        self._title_pens, self._caption_pens = (
            tuple(
                QPen(_fainter(palette.color(group, role), alpha))
                for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText)
            )
            for alpha in (255, 170)
        )
        self._no_pen = QPen(Qt.PenStyle.NoPen)
        self._no_brush = QBrush(Qt.BrushStyle.NoBrush)

    def paint(self, cell: QRect, shown: Shown) -> None:
        """Draw one cell."""
        painter = self._painter
        if shown.selected:
            painter.setPen(self._no_pen)
            painter.setBrush(self._highlight)
            painter.drawRoundedRect(cell.adjusted(1, 1, -1, -1), _ROUND, _ROUND)
        look = self._look.within(cell)
        seen = square = look.picture(cell)
        if shown.mark.dimmed:
            painter.setOpacity(_DIMMED)
        if shown.pixmap is not None:
            seen = self._paint_picture(square, shown.pixmap, shown)
        elif shown.failure is not None:
            self._paint_failure(square, shown.failure)
        else:
            self._paint_placeholder(square)
        self._paint_marks(seen, shown.mark)
        if shown.mark.dimmed:
            painter.setOpacity(1.0)
        self._paint_texts(cell, shown, look)
        if shown.current:
            painter.setBrush(self._no_brush)
            painter.setPen(QPen(self._text, 1, Qt.PenStyle.DotLine))
            painter.drawRoundedRect(cell.adjusted(1, 1, -2, -2), _ROUND, _ROUND)

    def _paint_picture(self, square: QRect, pixmap: QPixmap | QImage, shown: Shown) -> QRect:
        seen, part = square, pixmap.rect()
        if self._look.fills:
            side = min(pixmap.width(), pixmap.height())
            part = QRect((pixmap.width() - side) // 2, (pixmap.height() - side) // 2, side, side)
        else:
            seen = fitted(pixmap.size(), square, enlarge=not shown.is_whole)
        if shown.tone is not None and self._would_vanish(shown.tone):
            self._painter.fillRect(seen, self._plate)
        self._draw(seen, pixmap, part)
        return seen

    def _would_vanish(self, tone: float) -> bool:
        """Whether a picture is as dark, or as light, as the ground that shines through it."""
        return tone < _VANISHES if self._is_dark else tone > 1 - _VANISHES

    def _draw(self, target: QRect, picture: QPixmap | QImage, part: QRect) -> None:
        if isinstance(picture, QImage):
            self._painter.drawImage(target, picture, part)
        else:
            self._painter.drawPixmap(target, picture, part)

    def _paint_placeholder(self, square: QRect) -> None:
        self._painter.setPen(self._no_pen)
        self._painter.setBrush(self._placeholder)
        inset = square.width() // 8
        self._painter.drawRoundedRect(square.adjusted(inset, inset, -inset, -inset), _ROUND, _ROUND)

    def _paint_failure(self, square: QRect, failure: Skipped) -> None:
        """Draw a torn picture with the reason beneath."""
        painter, line = self._painter, self._line
        side = max(16.0, square.width() * _SYMBOL)
        fits = square.height() > side + 3 * line
        top = square.top() + (square.height() - side) / 2 - (line if fits else 0)
        sheet = QRectF(square.center().x() - side / 2, top, side, side * 0.8)
        painter.setPen(QPen(self._symbol, 1.5))
        painter.setBrush(self._no_brush)
        painter.drawRoundedRect(sheet, 2, 2)
        painter.drawPolyline(
            QPolygonF(
                [
                    QPointF(
                        sheet.left() + share * sheet.width(), sheet.top() + down * sheet.height()
                    )
                    for share, down in ((0, 0.75), (0.3, 0.45), (0.5, 0.65), (0.75, 0.3), (1, 0.6))
                ]
            )
        )
        painter.drawLine(sheet.topLeft(), sheet.bottomRight())
        if fits:
            below = QRectF(square).adjusted(0, sheet.bottom() + 4 - square.top(), 0, 0)
            painter.drawText(below, _TOP | _WRAPPED, str(failure.reason))

    def _paint_marks(self, seen: QRect, mark: Mark) -> None:
        painter = self._painter
        if mark.frame is not None:
            pen = QPen(mark.frame, _FRAME)
            pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
            painter.setPen(pen)
            painter.setBrush(self._no_brush)
            painter.drawRect(seen.adjusted(-1, -1, 1, 1))
        if mark.badge:
            ground = mark.frame or self._badge
            width = min(self._metrics.horizontalAdvance(mark.badge) + 8, max(seen.width(), 12))
            plate = QRect(seen.left(), seen.top(), width, self._line + 2)
            painter.fillRect(plate, ground)
            painter.setPen(_legible_on(ground))
            text = _elided(mark.badge, width - 4, self._font, Qt.TextElideMode.ElideRight)
            painter.drawText(plate, _CENTRE, text)

    def _paint_texts(self, cell: QRect, shown: Shown, look: Look) -> None:
        painter = self._painter
        top = cell.top() + look.size + 2 * look.margin
        for is_there, text, pens in (
            (look.titles, shown.title, self._title_pens),
            (look.captions, shown.mark.caption, self._caption_pens),
        ):
            if not is_there:
                continue
            if text:
                painter.setPen(pens[shown.selected])
                place = QRect(cell.left() + look.margin, top, look.size, self._line)
                text = _elided(text, look.size, self._font, Qt.TextElideMode.ElideMiddle)
                painter.drawText(place, _CENTRE, text)
            top += self._line


def fitted(size: QSize, square: QRect, *, enlarge: bool) -> QRect:
    """Where a picture of this size is, seen whole, in the middle of a square."""
    scale = min(square.width() / size.width(), square.height() / size.height())
    if not enlarge:
        scale = min(scale, 1.0)
    width, height = max(1, round(size.width() * scale)), max(1, round(size.height() * scale))
    left = square.left() + (square.width() - width) // 2
    top = square.top() + (square.height() - height) // 2
    return QRect(left, top, width, height)


@lru_cache(maxsize=4096)
def _elided(text: str, width: int, font: str, mode: Qt.TextElideMode) -> str:
    """Shorten a text to a width; measuring takes longer than drawing a thumbnail does."""
    return str(_metrics(font).elidedText(" ".join(text.split()), mode, width))


@lru_cache(maxsize=8)
def _metrics(font: str) -> QFontMetrics:
    described = QFont()
    described.fromString(font)
    return QFontMetrics(described)


def _fainter(colour: QColor, alpha: int) -> QColor:
    """Give a colour of the theme that shines through, with so much of 255."""
    fainter = QColor(colour)
    fainter.setAlpha(alpha)
    return fainter


def _legible_on(ground: QColor) -> QColor:
    is_light = 0.299 * ground.red() + 0.587 * ground.green() + 0.114 * ground.blue() > 140
    return QColor(Qt.GlobalColor.black if is_light else Qt.GlobalColor.white)
