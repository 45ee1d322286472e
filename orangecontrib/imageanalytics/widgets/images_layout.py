"""Where the pictures of a view are: arithmetic, without an object per picture.

A view asks its layout for rectangles, for what is within one, and where the arrow keys lead. All
are in the pixels of the whole contents, of which a window shows a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

import numpy as np
from AnyQt.QtCore import QPoint, QRect, QSize
from numpy.typing import ArrayLike, NDArray

Positions = NDArray[np.intp]


class Step(Enum):
    """Where a key leads from a picture."""

    LEFT = auto()
    RIGHT = auto()
    UP = auto()
    DOWN = auto()
    PAGE_UP = auto()
    PAGE_DOWN = auto()
    HOME = auto()
    END = auto()


class Layout(Protocol):
    """What a view must know of places; positions are those of the model.

    Attributes
    ----------
    grows : bool
        Whether zooming makes the contents larger.
    """

    grows: bool = False

    @property
    def growth(self) -> float:
        """How much larger than the view's cells some are, as the contents have grown."""
        return 1.0

    def arrange(self, count: int, cell: QSize, viewport: QSize) -> None:
        """Arrange so many cells of this size for a window of this size."""

    def size(self) -> QSize:
        """How large the whole contents are."""

    def rect(self, position: int) -> QRect:
        """Where a cell is."""

    def at(self, point: QPoint) -> int:
        """Which cell is at a point; -1 if none."""

    def within(self, rect: QRect) -> Positions:
        """Which cells are touched by a rectangle, in the order in which they are drawn."""

    def step(self, position: int, step: Step) -> int:
        """Which cell a key leads to."""

    def headings(self, rect: QRect) -> list[tuple[QRect, str]]:
        """What else is written within a rectangle, and where."""

    def touched(self, rect: QRect) -> Positions:
        """Which pictures a rubber band takes."""
        return self.within(rect)

    def zoomed(self, factor: float, about: QPoint) -> QPoint:
        """Let the contents grow, if they do, and say where one of their points is then."""
        return about


class UniformGrid(Layout):
    """Cells of one size, row by row, in as many columns as there is room for.

    Parameters
    ----------
    columns : int, optional
        A fixed number of columns.
    cells : array-like of int, optional
        Which cell of the grid each picture is in, counted row by row; one after the other by
        default. Cells may stay empty.
    """

    def __init__(self, columns: int | None = None, cells: ArrayLike | None = None) -> None:
        self._fixed = columns
        self._cells = None if cells is None else np.asarray(cells, np.intp)
        self._occupants: Positions | None = None
        if self._cells is not None:
            last = int(self._cells.max(initial=-1))
            self._occupants = np.full(last + 1, -1, np.intp)
            self._occupants[self._cells] = np.arange(len(self._cells))
        self.columns = columns or 1
        self._count = 0
        self._cell = QSize(1, 1)
        self._viewport = QSize(1, 1)
        self._left = 0

    def arrange(self, count: int, cell: QSize, viewport: QSize) -> None:
        """Arrange so many cells of this size for a window of this size."""
        self._count = count
        self._cell = cell
        self._viewport = viewport
        self.columns = self._fixed or max(1, viewport.width() // cell.width())
        self._left = max(0, (viewport.width() - self.columns * cell.width()) // 2)

    @property
    def rows(self) -> int:
        """How many rows of cells there are."""
        return -(-self._places // self.columns)

    @property
    def _places(self) -> int:
        return self._count if self._occupants is None else len(self._occupants)

    def size(self) -> QSize:
        """How large the whole contents are."""
        return QSize(self.columns * self._cell.width(), self.rows * self._cell.height())

    def rect(self, position: int) -> QRect:
        """Where a cell is."""
        place = position if self._cells is None else int(self._cells[position])
        row, column = divmod(place, self.columns)
        corner = QPoint(self._left + column * self._cell.width(), row * self._cell.height())
        return QRect(corner, self._cell)

    def at(self, point: QPoint) -> int:
        """Which cell is at a point; -1 if none."""
        column = (point.x() - self._left) // self._cell.width()
        row = point.y() // self._cell.height()
        if not 0 <= column < self.columns or row < 0:
            return -1
        return self._occupant(row * self.columns + column)

    def within(self, rect: QRect) -> Positions:
        """Which cells are touched by a rectangle, in the order in which they are drawn."""
        first_column = max(0, (rect.left() - self._left) // self._cell.width())
        last_column = min(self.columns - 1, (rect.right() - self._left) // self._cell.width())
        first_row = max(0, rect.top() // self._cell.height())
        last_row = min(self.rows - 1, rect.bottom() // self._cell.height())
        if last_column < first_column or last_row < first_row:
            return np.empty(0, np.intp)
        rows = np.arange(first_row, last_row + 1, dtype=np.intp)
        columns = np.arange(first_column, last_column + 1, dtype=np.intp)
        places = (rows[:, None] * self.columns + columns).ravel()
        places = places[places < self._places]
        if self._occupants is None:
            return places
        found = self._occupants[places]
        return found[found >= 0]

    def step(self, position: int, step: Step) -> int:
        """Which cell a key leads to; over empty ones it goes on."""
        last = self._places - 1
        match step:
            case Step.HOME:
                return self._next_occupied(0, 1, position)
            case Step.END:
                return self._next_occupied(last, -1, position)
        place = position if self._cells is None else int(self._cells[position])
        page = max(1, self._viewport.height() // self._cell.height()) * self.columns
        by = {
            Step.LEFT: -1,
            Step.RIGHT: 1,
            Step.UP: -self.columns,
            Step.DOWN: self.columns,
            Step.PAGE_UP: -page,
            Step.PAGE_DOWN: page,
        }[step]
        target = place + by
        if not 0 <= target <= last:
            if abs(by) <= 1 or self._occupants is not None:
                return position
            target = self._edge(place, by)
        return self._next_occupied(target, by, position)

    def _edge(self, place: int, by: int) -> int:
        """The place in the same column of the first or last row; the very last one if none is."""
        column = place % self.columns
        if by < 0:
            return column
        last_row = (self._places - 1) // self.columns
        if place // self.columns == last_row:
            return place
        return min(last_row * self.columns + column, self._places - 1)

    def _next_occupied(self, place: int, by: int, otherwise: int) -> int:
        while 0 <= place < self._places:
            if (found := self._occupant(place)) >= 0:
                return found
            place += by
        return otherwise

    def _occupant(self, place: int) -> int:
        if not 0 <= place < self._places:
            return -1
        return place if self._occupants is None else int(self._occupants[place])

    def headings(self, rect: QRect) -> list[tuple[QRect, str]]:
        """Nothing else is written."""
        return []


class Sections(Layout):
    """Groups of pictures one below the other, each with a heading, in rows of uniform cells.

    Parameters
    ----------
    sizes : array-like of int
        How many pictures each group has; they follow each other in the model.
    titles : sequence of str
        The groups' headings.
    heading : int
        Their height in pixels.
    """

    def __init__(self, sizes: ArrayLike, titles: Sequence[str], heading: int = 28) -> None:
        self._sizes = np.asarray(sizes, np.intp)
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.intp)
        self._titles = titles
        self._heading = heading
        self._count = 0
        self._tops = np.zeros(len(self._sizes) + 1, np.intp)
        self._cell = QSize(1, 1)
        self._viewport = QSize(1, 1)
        self.columns = 1

    def arrange(self, count: int, cell: QSize, viewport: QSize) -> None:
        """Arrange so many cells of this size for a window of this size."""
        self._count = count
        self._cell = cell
        self._viewport = viewport
        self.columns = max(1, viewport.width() // cell.width())
        heights = self._heading + -(-self._sizes // self.columns) * cell.height()
        self._tops = np.concatenate([[0], np.cumsum(heights)]).astype(np.intp)

    def size(self) -> QSize:
        """How large the whole contents are."""
        return QSize(self.columns * self._cell.width(), int(self._tops[-1]))

    def rect(self, position: int) -> QRect:
        """Where a cell is."""
        group = int(np.searchsorted(self._starts, position, side="right")) - 1
        row, column = divmod(position - int(self._starts[group]), self.columns)
        top = int(self._tops[group]) + self._heading + row * self._cell.height()
        return QRect(QPoint(column * self._cell.width(), top), self._cell)

    def at(self, point: QPoint) -> int:
        """Which cell is at a point; -1 if none."""
        found = self.within(QRect(point, QSize(1, 1)))
        return int(found[0]) if len(found) else -1

    def within(self, rect: QRect) -> Positions:
        """Which cells are touched by a rectangle, in the order in which they are drawn."""
        width, height = self._cell.width(), self._cell.height()
        columns = np.arange(
            max(0, rect.left() // width),
            min(self.columns - 1, rect.right() // width) + 1,
            dtype=np.intp,
        )
        found = []
        for group in self._groups(rect):
            top = int(self._tops[group]) + self._heading
            first = max(0, (rect.top() - top) // height)
            rows = np.arange(first, (rect.bottom() - top) // height + 1, dtype=np.intp)
            places = (rows[:, None] * self.columns + columns).ravel()
            found.append(places[places < self._sizes[group]] + self._starts[group])
        positions = np.concatenate(found) if found else np.empty(0, np.intp)
        return positions[positions < self._count]  # the model may have changed already

    def step(self, position: int, step: Step) -> int:
        """Which cell a key leads to."""
        last = int(self._starts[-1]) - 1
        if last < 0:
            return position
        if step in (Step.LEFT, Step.RIGHT):
            return min(max(position + (1 if step is Step.RIGHT else -1), 0), last)
        if step in (Step.HOME, Step.END):
            return 0 if step is Step.HOME else last
        rect = self.rect(position)
        page = max(self._cell.height(), self._viewport.height())
        by = {Step.UP: -1, Step.DOWN: 1, Step.PAGE_UP: -page, Step.PAGE_DOWN: page}[step]
        edge = rect.top() if by < 0 else rect.bottom()
        y = min(max(edge + by, 0), int(self._tops[-1]) - 1)
        direction = 1 if by > 0 else -1
        while 0 <= y < self._tops[-1]:
            line = self.within(QRect(0, y, self.columns * self._cell.width(), 1))
            if len(line):
                column = rect.left() // self._cell.width()
                return int(line[min(column, len(line) - 1)])
            y += direction * max(1, self._heading // 2)
        return position

    def headings(self, rect: QRect) -> list[tuple[QRect, str]]:
        """The groups' titles within a rectangle, and where they are."""
        width = max(self._viewport.width(), self._cell.width())
        return [
            (QRect(0, int(self._tops[group]), width, self._heading), self._titles[group])
            for group in self._groups(rect)
            if int(self._tops[group]) + self._heading > rect.top()
        ]

    def _groups(self, rect: QRect) -> range:
        first = int(np.searchsorted(self._tops, rect.top(), side="right")) - 1
        last = int(np.searchsorted(self._tops, rect.bottom(), side="right")) - 1
        return range(max(0, first), min(last, len(self._sizes) - 1) + 1)
