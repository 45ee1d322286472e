"""Where Image Grid shows its pictures: on a grid or on a map, each with a size of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from AnyQt.QtCore import QEvent, QObject, QRect
from AnyQt.QtGui import QPainter, QPalette

from orangecontrib.imageanalytics.widgets.grid_marks import Marks
from orangecontrib.imageanalytics.widgets.grid_settings import MAP
from orangecontrib.imageanalytics.widgets.images_dots import DIAMETER, dots
from orangecontrib.imageanalytics.widgets.images_layout import Layout, Positions, UniformGrid
from orangecontrib.imageanalytics.widgets.images_map import MapLayout
from orangecontrib.imageanalytics.widgets.images_model import Mark
from orangecontrib.imageanalytics.widgets.images_painter import MARGIN
from orangecontrib.imageanalytics.widgets.images_sheet import Paper, Sheet, sheet_of
from orangecontrib.imageanalytics.widgets.images_view import SMALLEST, ImagesView

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.arrangement import Grid
    from orangecontrib.imageanalytics.widgets.grid_panel import Panel
    from orangecontrib.imageanalytics.widgets.grid_run import Arranged

#: Pixels around a picture of a map, where there is little room.
_MAP_MARGIN = 4
#: Pixels of a dot at most, to one of the screen: paper needs no more.
_FINEST = 4.0


class Settings(Protocol):
    """What the widget keeps for the stage.

    Attributes
    ----------
    shown_as : str
        A key of `grid_settings.LAYOUTS`.
    image_size, map_size : int
        Of pictures on a grid and on a map, in pixels.
    fits_window : bool
        Whether pictures on a grid are as large as fits into the window.
    crop : bool
        Whether they fill their squares.
    """

    shown_as: str
    image_size: int
    map_size: int
    fits_window: bool
    crop: bool


class Stage(QObject):
    """A view of arranged pictures, and the controls of how it shows them.

    Parameters
    ----------
    view : ImagesView
        Where they are shown.
    panel : Panel
        Where the user chooses how.
    settings : Settings
        What was chosen.
    """

    def __init__(self, view: ImagesView, panel: Panel, settings: Settings) -> None:
        super().__init__(view)
        self._view, self._panel, self._settings = view, panel, settings
        self._arranged: Arranged | None = None
        self._titles = False
        self.marks = Marks()
        view.set_marks(self._mark)
        view.set_ground(self._paint_ground)
        view.viewport().installEventFilter(self)
        panel.show_look(settings.shown_as, fits=settings.fits_window, crop=settings.crop)
        self._show_look()
        panel.layout.activated.connect(self._layout_chosen)
        panel.whole.clicked.connect(self.show_whole_map)
        panel.size.valueChanged.connect(self._size_chosen)
        panel.fits.toggled.connect(self._fit_toggled)
        panel.crop.toggled.connect(self._crop_toggled)
        view.zoomed.connect(self._size_chosen)

    def set_marks(self, marks: Marks) -> None:
        """Draw other marks on the pictures."""
        self.marks = marks
        self._view.refresh()

    def clear(self) -> None:
        """Show nothing."""
        self._arranged = None
        self.marks = Marks()
        self._view.set_images([])
        self._view.set_arrangement(UniformGrid())  # the other one has places for what was there
        self._view.set_similarity(False)

    def show(self, arranged: Arranged, marks: Marks) -> None:
        """Show other pictures."""
        shown = arranged.shown
        self._arranged, self.marks = arranged, marks
        self._view.set_arrangement(self._layout())
        self._view.set_images(shown.references, shown.titles, shown.order)
        self._view.images.failures.update(shown.failures)

    def move(self, arranged: Arranged, *, titles: bool) -> None:
        """Move the pictures that are shown to other places, and not what is in sight.

        Parameters
        ----------
        arranged : Arranged
            Where they are.
        titles : bool
            Whether their titles are beneath them.
        """
        self._arranged, self._titles = arranged, titles
        bars = self._view.horizontalScrollBar(), self._view.verticalScrollBar()
        before = [bar.value() for bar in bars]
        self._view.images.set_titles(arranged.shown.titles)
        self._view.set_arrangement(self._layout())
        self._show_look()
        for bar, value in zip(bars, before, strict=True):
            bar.setValue(value)
        self._view.viewport().update()

    def show_whole_map(self) -> None:
        """Let the whole map fit into the window."""
        self._view.zoom_by(0)

    def sheet(self, paper: Paper) -> Sheet:
        """Give all that is arranged, as large as it is shown, or as a map has room on the paper."""
        layout = self._layout()
        count = len(self._view.images.order)
        layout.arrange(count, self._view.cell_size(), self._view.viewport().size())
        if isinstance(layout, MapLayout):
            layout.shrink(paper.room)
        sheet = sheet_of(self._view, layout, self.marks.of)
        ground = partial(
            paint_dots, layout=layout, marks=self.marks, order=sheet.order, palette=sheet.palette
        )
        return replace(sheet, ground=ground)

    # ---- what the user chooses

    @property
    def _is_map(self) -> bool:
        return self._settings.shown_as == MAP

    def _layout_chosen(self) -> None:
        settings = self._settings
        settings.shown_as = self._panel.layout.currentData()
        self._panel.show_look(settings.shown_as, fits=settings.fits_window, crop=settings.crop)
        self._view.set_arrangement(self._layout())
        self._show_look()
        self._view.scrollTo(self._view.currentIndex())

    def _size_chosen(self, size: int) -> None:
        settings = self._settings
        if self._is_map:
            settings.map_size = size
        else:
            settings.image_size, settings.fits_window = size, False
            self._panel.show_look(settings.shown_as, fits=False, crop=settings.crop)
        self._show_look()

    def _fit_toggled(self, fits: bool) -> None:
        self._settings.fits_window = fits
        self._show_look()

    def _crop_toggled(self, crop: bool) -> None:
        self._settings.crop = crop
        self._show_look()

    # ---- how it is shown

    def _layout(self) -> Layout:
        arranged, before = self._arranged, self._view.arrangement
        if arranged is None:
            return UniformGrid()
        if self._is_map:
            zoom = before.zoom if isinstance(before, MapLayout) else 1.0
            return MapLayout(arranged.places, zoom)
        return UniformGrid(arranged.grid.columns, arranged.cells)

    def _show_look(self) -> None:
        margin = _MAP_MARGIN if self._is_map else MARGIN
        self._view.set_look(fills=self._settings.crop, titles=self._titles, margin=margin)
        self._view.set_look(size=self._size)
        self._panel.show_image_size(self._view.look.size)

    @property
    def _size(self) -> int:
        settings = self._settings
        if self._is_map:
            return settings.map_size
        if not settings.fits_window or self._arranged is None:
            return settings.image_size
        return self._fitting(self._arranged.grid)

    def _fitting(self, grid: Grid) -> int:
        """How large pictures can be for all cells to be in the window."""
        viewport, look = self._view.viewport().size(), self._view.look
        text = look.cell(self._view.fontMetrics()).height() - look.size - 2 * MARGIN
        room = min(viewport.width() // grid.columns, viewport.height() // grid.rows - text)
        return max(SMALLEST, room - 2 * MARGIN)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fit pictures into a window that has another size now."""
        if event.type() == QEvent.Type.Resize and self._settings.fits_window:
            self._show_look()
        return False

    def _mark(self, row: int) -> Mark:
        return self.marks.of(row)

    def _paint_ground(self, painter: QPainter, region: QRect) -> None:
        paint_dots(
            painter, region, self._view.arrangement, self.marks, self._view.images.order,
            self._view.palette(),
        )  # fmt: skip


def paint_dots(
    painter: QPainter,
    region: QRect,
    layout: Layout,
    marks: Marks,
    order: Positions,
    palette: QPalette,
) -> None:
    """Draw the pictures that a map has no room for within a region, as dots; in any thread."""
    if not isinstance(layout, MapLayout):
        return
    hidden = layout.hidden(region.adjusted(-DIAMETER, -DIAMETER, DIAMETER, DIAMETER))
    if not len(hidden):
        return
    text, chosen = (
        palette.color(role) for role in (QPalette.ColorRole.Text, QPalette.ColorRole.Highlight)
    )
    colours = marks.dots(order[hidden], text, chosen)
    ratio = min(painter.deviceTransform().m11(), _FINEST)
    painter.drawImage(region.topLeft(), dots(layout.middles(hidden), colours, region, ratio))
