"""Points of a plane to cells of a grid: each point its own cell, as near to it as can be.

For some hundred points the assignment of least cost is computed exactly. That takes 20 s for 2500
points that lie in clusters, and grows with the cube of their number, so these are first spread by
halving the grid again and again, and then improved window by window, each window exactly.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.outcome import EmbeddingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.arrangement.plane import Tick

#: Points times cells up to which all are assigned at once and exactly: some 560 points on as many.
EXACT = 320_000
#: Width and height of a window in cells: 256 points are assigned exactly in some 10 ms.
WINDOW = 16
#: Share of the cost that a sweep must save for another one to follow, and how many there may be.
_WORTH, _SWEEPS = 3e-4, 16
#: Windows that are improved at the same time.
_THREADS = 4
#: Windows of the whole breadth or height of the grid let points move far in one step.
_THINNEST = 2


class TooFewCellsError(EmbeddingError, ValueError):
    """There are more points than cells."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The size of a grid.

    Attributes
    ----------
    rows, columns : int
        At least one of each.
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise ValueError(
                f"A grid has at least one row and one column, not {self.rows} and {self.columns}."
            )

    @classmethod
    def for_count(cls, count: int, ratio: float = 1.0) -> Grid:
        """Give the smallest grid that holds so many, `ratio` times as broad as high."""
        columns = max(1, math.ceil(math.sqrt(count * ratio)))
        return cls(max(1, math.ceil(count / columns)), columns)

    @property
    def size(self) -> int:
        """The number of cells."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True)
class _Window:
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def size(self) -> int:
        return self.height * self.width

    def halves(self) -> tuple[_Window, _Window, int]:
        """Halve across the longer side; the third is the axis of the points to look at."""
        if self.width >= self.height:
            middle = self.left + self.width // 2
            return (
                _Window(self.top, self.bottom, self.left, middle),
                _Window(self.top, self.bottom, middle, self.right),
                0,
            )
        middle = self.top + self.height // 2
        return (
            _Window(self.top, middle, self.left, self.right),
            _Window(middle, self.bottom, self.left, self.right),
            1,
        )

    def centres(self) -> NDArray[np.float64]:
        """Give the cells' centres, row by row: x and y."""
        y, x = np.mgrid[self.top : self.bottom, self.left : self.right]
        return np.stack([x.ravel(), y.ravel()], axis=1) + 0.5


def assign(
    points: NDArray[np.floating], grid: Grid, tick: Tick = lambda done: None
) -> NDArray[np.intp]:
    """Give each point a cell of its own, so that the sum of squared distances is small.

    Parameters
    ----------
    points : ndarray of shape (N, 2)
        x and y, from 0 to 1 across the grid.
    grid : Grid
        With at least N cells.
    tick : callable
        Called with the share that is done between windows; what it raises ends the work.

    Returns
    -------
    ndarray of shape (N,), intp
        Each point's cell, counted row by row. The cost is the least that there can be, if points
        times cells are at most `EXACT`.

    Raises
    ------
    TooFewCellsError
        A ValueError: there are more points than cells.
    """
    cells = spread(points, grid)
    if len(points) == 0:
        return cells
    scaled = _scaled(points, grid)
    if len(points) * grid.size <= EXACT:
        return _improved(scaled, cells, grid, [[_Window(0, grid.rows, 0, grid.columns)]], tick)
    now = cost(points, cells, grid)
    for sweep in range(_SWEEPS):

        def within_sweep(done: float, sweep: int = sweep) -> object:
            return tick((sweep + done) / _SWEEPS)

        cells = _improved(scaled, cells, grid, list(_windows(grid, sweep)), within_sweep)
        before, now = now, cost(points, cells, grid)
        if before - now <= _WORTH * before:
            break
    tick(1.0)
    return cells


def spread(points: NDArray[np.floating], grid: Grid) -> NDArray[np.intp]:
    """Give each point a cell of its own by halving the grid again and again; takes no time.

    Parameters, what is returned and raised are those of `assign`.
    """
    if len(points) > grid.size:
        raise TooFewCellsError(
            f"{len(points)} pictures do not fit into a grid of {grid.columns} x {grid.rows} cells."
        )
    scaled = _scaled(points, grid)
    cells = np.empty(len(points), np.intp)
    open_ = [(np.arange(len(points)), _Window(0, grid.rows, 0, grid.columns))]
    while open_:
        members, window = open_.pop()
        if len(members) == 0:
            continue
        if window.size == 1:
            cells[members] = window.top * grid.columns + window.left
            continue
        first, second, axis = window.halves()
        ordered = members[np.argsort(scaled[members, axis], kind="stable")]
        border = second.left if axis == 0 else second.top
        before = int(np.searchsorted(scaled[ordered, axis], border))
        split = min(max(before, len(ordered) - second.size), first.size)
        open_ += [(ordered[:split], first), (ordered[split:], second)]
    return cells


def cost(points: NDArray[np.floating], cells: NDArray[np.intp], grid: Grid) -> float:
    """Sum the squared distances between the points and their cells' centres, in cells."""
    x, y = _scaled(points, grid).T
    row, column = np.divmod(cells, grid.columns)
    return float(((x - column - 0.5) ** 2 + (y - row - 0.5) ** 2).sum())


def _scaled(points: NDArray[np.floating], grid: Grid) -> NDArray[np.float64]:
    return np.asarray(points, np.float64) * (grid.columns, grid.rows)


def _windows(grid: Grid, sweep: int) -> Iterator[list[_Window]]:
    """Cover the grid with squares, then with strips, twice each; each sweep lays them elsewhere."""
    offset = (sweep * WINDOW * 3) // 8 % WINDOW  # 0, 3/8, 6/8, 1/8, ... of a window
    strip_height = max(_THINNEST, WINDOW * WINDOW // grid.columns)
    strip_width = max(_THINNEST, WINDOW * WINDOW // grid.rows)
    for height, width in (
        (WINDOW, WINDOW),
        (strip_height, grid.columns),
        (grid.rows, strip_width),
    ):
        for move in (0, 1):  # the second time across the borders of the first
            tiles = _tiles(grid, height, width, offset + move * (max(height, 2) // 2), move)
            yield list(tiles)


def _tiles(grid: Grid, height: int, width: int, offset: int, move: int) -> Iterator[_Window]:
    down = offset % height if height < grid.rows else 0
    across = (offset + move * (width // 2)) % width if width < grid.columns else 0
    for top in range(-down, grid.rows, height):
        for left in range(-across, grid.columns, width):
            yield _Window(
                max(top, 0), min(top + height, grid.rows), max(left, 0),
                min(left + width, grid.columns),
            )  # fmt: skip


def _improved(
    scaled: NDArray[np.float64],
    cells: NDArray[np.intp],
    grid: Grid,
    coverings: list[list[_Window]],
    tick: Tick,
) -> NDArray[np.intp]:
    """Assign the points of each window anew to the window's cells, exactly.

    Windows of one covering do not overlap, and are done at the same time; coverings one after the
    other.
    """
    owners = np.full(grid.size, -1)
    owners[cells] = np.arange(len(cells))
    board = owners.reshape(grid.rows, grid.columns)
    done, number = 0, sum(map(len, coverings))
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
        try:
            for covering in coverings:
                for _ in threads.map(partial(_improve, board, scaled), covering):
                    tick(done / number)
                    done += 1
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise
    improved = np.empty_like(cells)
    taken = np.flatnonzero(owners >= 0)
    improved[owners[taken]] = taken
    return improved


def _improve(board: NDArray[np.intp], scaled: NDArray[np.float64], window: _Window) -> None:
    from scipy.optimize import linear_sum_assignment  # lets other threads run meanwhile
    from scipy.spatial.distance import cdist

    part = board[window.top : window.bottom, window.left : window.right]
    members = np.sort(part[part >= 0])
    if len(members) == 0:
        return
    distances = cdist(scaled[members], window.centres(), "sqeuclidean")
    which, where = linear_sum_assignment(distances)
    new = np.full(window.size, -1)
    new[where] = members[which]
    part[...] = new.reshape(part.shape)
