"""All that a view arranges, drawn on a sheet: with thumbnails made for it, and none missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from AnyQt.QtCore import QRect, QSize, Qt
from AnyQt.QtGui import QColor, QFont, QFontInfo, QImage, QPainter, QPalette
from numpy.typing import NDArray

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.thumbnails import Thumbnail, Thumbnails, step_for
from orangecontrib.imageanalytics.widgets.images_layout import Layout
from orangecontrib.imageanalytics.widgets.images_loader import to_image, tone_of
from orangecontrib.imageanalytics.widgets.images_model import Mark
from orangecontrib.imageanalytics.widgets.images_painter import CellPainter, Look, Shown
from orangecontrib.imageanalytics.widgets.images_view import ImagesView

#: Is told how much is drawn, 0 to 1; what it raises ends the drawing.
Tick = Callable[[float], object]

#: Dots per inch of a screen, as all programs count them.
SCREEN = 96
#: Pixels of the contents whose ground is drawn at a time.
_BAND = 256


@dataclass(frozen=True, slots=True)
class Paper:
    """What a sheet is drawn for.

    Attributes
    ----------
    most : float
        Pixels that its pictures may have altogether, which bounds the memory.
    resolution : float
        Dots per inch that are wanted.
    """

    most: float
    resolution: float

    @property
    def room(self) -> float:
        """Pixels of the screen that the sheet can have without losing resolution."""
        return self.most / (self.resolution / SCREEN) ** 2

    def scale(self, size: QSize) -> float:
        """Pixels of the paper to one of a sheet of this size."""
        area = max(1, size.width() * size.height())
        return min(self.resolution / SCREEN, math.sqrt(self.most / area))


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is drawn: all that is needed of a view, so that it can be done in another thread.

    Attributes
    ----------
    references : sequence of N references
    titles : sequence of N str
    order : ndarray of shape (n,), int
        The row of each position.
    failures : mapping of int to Skipped
        Rows that cannot be seen, and why.
    marks : callable
        Gives the `Mark` of a row, in any thread.
    selected : ndarray of shape (n,), bool
        By position.
    layout : Layout
        Where the pictures are; nobody else's, and arranged.
    look : Look
    ground : callable, optional
        Draws what is beneath the pictures of a region, in any thread.
    font : QFont
        With a size in pixels.
    palette : QPalette
    """

    references: Sequence[Any]
    titles: Sequence[str]
    order: NDArray[np.intp]
    failures: Mapping[int, Skipped]
    marks: Callable[[int], Mark]
    selected: NDArray[np.bool_]
    layout: Layout
    look: Look
    ground: Callable[[QPainter, QRect], None] | None
    font: QFont
    palette: QPalette

    @property
    def region(self) -> QRect:
        """The part of the contents that has something on it."""
        region = QRect()
        for position in range(len(self.order)):
            region = region.united(self.layout.rect(position))
        return region


def sheet_of(
    view: ImagesView,
    layout: Layout,
    marks: Callable[[int], Mark],
    ground: Callable[[QPainter, QRect], None] | None = None,
) -> Sheet:
    """Take what is shown in a view for a sheet, on white as paper is; see `Sheet`."""
    images = view.images
    font = QFont(view.font())
    font.setPixelSize(QFontInfo(view.font()).pixelSize())  # the same on screen and paper
    return Sheet(
        images.references,
        images.titles,
        images.order,
        dict(images.failures),
        marks,
        view.selected_mask().copy(),
        layout,
        view.look,
        ground,
        font,
        paper_palette(view.palette()),
    )


def paper_palette(screen: QPalette) -> QPalette:
    """Give the colours of paper: black on white, and what is selected as on the screen."""
    palette = QPalette(screen)
    for role, colour in (
        (QPalette.ColorRole.Base, Qt.GlobalColor.white),
        (QPalette.ColorRole.Text, Qt.GlobalColor.black),
    ):
        palette.setColor(role, QColor(colour))
    return palette


def draw(sheet: Sheet, painter: QPainter, scale: float, thumbnails: Thumbnails, tick: Tick) -> None:
    """Draw a sheet, in any thread.

    Parameters
    ----------
    sheet : Sheet
    painter : QPainter
        It is scaled, and what is drawn begins at its origin.
    scale : float
        Pixels that pictures get to one of the contents.
    thumbnails : Thumbnails
        Who makes them.
    tick : callable
        Called between the pictures.

    Raises
    ------
    WorkerError
        The processes that decode cannot start.
    """
    region = sheet.region
    painter.setRenderHints(
        QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
    )
    painter.setFont(sheet.font)
    painter.translate(-region.topLeft())
    for top in range(region.top(), region.bottom() + 1, _BAND):
        if sheet.ground is not None:
            height = min(_BAND, region.bottom() + 1 - top)
            sheet.ground(painter, QRect(region.left(), top, region.width(), height))
    positions = sheet.layout.within(region).tolist()
    pixels = max(1, math.ceil(sheet.look.size * sheet.layout.growth * scale))
    cells = CellPainter(painter, sheet.look, sheet.palette, active=True)
    seen = _seen(sheet, positions, pixels, thumbnails)
    for number, (position, picture) in enumerate(seen):
        tick(number / len(positions))
        shown = _shown(sheet, position, picture, pixels)
        cells.paint(sheet.layout.rect(position), shown)
    tick(1.0)


def _seen(
    sheet: Sheet, positions: list[int], pixels: int, thumbnails: Thumbnails
) -> Iterator[tuple[int, Thumbnail | Skipped]]:
    """Give each picture, or why it is not to be seen; what is known of that is not asked again."""
    rows = [int(sheet.order[position]) for position in positions]
    wanted = (sheet.references[row] for row in rows if row not in sheet.failures)
    outcomes = thumbnails.outcomes(wanted, pixels)
    for position, row in zip(positions, rows, strict=True):
        yield position, sheet.failures.get(row) or next(outcomes)


def _shown(sheet: Sheet, position: int, picture: Thumbnail | Skipped, pixels: int) -> Shown:
    row = int(sheet.order[position])
    image, is_whole, tone, failure = None, False, None, None
    if isinstance(picture, Skipped):
        failure = picture
    else:
        decoded = picture.pixels()
        image, tone = to_image(decoded), tone_of(decoded)
        is_whole = max(image.width(), image.height()) < step_for(pixels)
        image = _no_larger(image, pixels, fills=sheet.look.fills)
    selected = bool(sheet.selected[position])
    title, mark = sheet.titles[row], sheet.marks(row)
    return Shown(title, mark, image, is_whole, tone, failure, selected, current=False)


def _no_larger(image: QImage, pixels: int, *, fills: bool) -> QImage:
    """Crop and shrink a picture to what is drawn of it: files keep all that they are given."""
    if fills:
        side = min(image.width(), image.height())
        left, top = (image.width() - side) // 2, (image.height() - side) // 2
        image = image.copy(left, top, side, side)
    if max(image.width(), image.height()) <= pixels:
        return image
    return image.scaled(
        pixels,
        pixels,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
