"""What Image Grid does in a thread: pictures out of a table to points of a plane, and to cells."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orangecontrib.imageanalytics import arrangement
from orangecontrib.imageanalytics.arrangement import Apart, Grid, Places
from orangecontrib.imageanalytics.widgets import viewer_run

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.widgets.background import Run
    from orangecontrib.imageanalytics.widgets.viewer_run import Rows, Shown

_TO_CELLS = "Putting pictures into cells..."
#: Pictures that "More like this" adds.
ALIKE = 10


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows are in which group of the selection, by row and by value.

    Attributes
    ----------
    rows, groups : list of int
        Groups count from 1.
    values : list of str
        Of the image attribute.
    """

    rows: list[int]
    values: list[str]
    groups: list[int]


@dataclass(frozen=True, slots=True)
class Request:
    """What to arrange, and how.

    Attributes
    ----------
    table : Table of N rows
        The images with their features.
    image, label : str
        The names of their columns; without a label, files' names are the titles.
    folder : str, optional
        Where images are whose names do not say it.
    method : str
        A key of `arrangement.METHODS`.
    size : tuple of int and int, optional
        Columns and rows that are wanted; there may be more rows.
    saved : Selection
        What was selected when the workflow was saved.
    """

    table: Table
    image: str
    label: str | None
    folder: str | None
    method: str
    size: tuple[int, int] | None
    saved: Selection


@dataclass(frozen=True, slots=True)
class Arranged:
    """Where the pictures are.

    Attributes
    ----------
    shown : Shown
        References and titles; its order lists the n rows that have an image.
    groups : ndarray of shape (N,), int
        In which group of the selection each row is; 0 is none.
    points : ndarray of shape (n, 2), float64
        Where they are on the plane, from 0 to 1 in both directions.
    places : Places
        Where they are on a map.
    grid : Grid
        Its size.
    cells : ndarray of shape (n,), intp
        In which cell each is, counted row by row.
    is_last : bool
        Whether no better arrangement follows.
    """

    shown: Shown
    groups: NDArray[np.intp]
    points: NDArray[np.float64]
    places: Places
    grid: Grid
    cells: Rows
    is_last: bool


@dataclass(frozen=True, slots=True)
class Alike:
    """Some rows, and those that are most like them."""

    rows: Rows


@dataclass(frozen=True, slots=True)
class Compared:
    """The rows that are most like the reference images, the most alike one first.

    Attributes
    ----------
    references : Table
        The reference images.
    rows : ndarray of int
        All that have an image.
    is_unlike : bool
        Whether they could not be compared with the references, which have no such embedding.
    """

    references: Table
    rows: Rows
    is_unlike: bool


def arrange(request: Request, run: Run) -> Arranged:
    """Lay pictures out: by PCA at once, which is sent, then as is wanted.

    Raises
    ------
    AllColumnsRemovedError
        The table has no features.
    EmbeddingError
        What `arrangement.lay_out` raises.
    Interrupted
        If that was asked for.
    """
    with _process(request.method, len(request.table), request.size) as apart:
        return _arrange(request, apart, run)


def _process(method: str, count: int, size: tuple[int, int] | None) -> Any:
    """Start a process where there is more to be done than is done at once."""
    grid = grid_for(count, size)
    if method in arrangement.AT_ONCE and count * grid.size <= arrangement.EXACT:
        return nullcontext()
    return arrangement.Apart(method)


def _arrange(request: Request, apart: Apart | None, run: Run) -> Arranged:
    from orangecontrib.imageanalytics.image_grid import features

    shown = _read(request, run)
    groups = _restored(request.saved, shown.values)
    count = len(shown.order)
    grid = grid_for(count, request.size)
    if count == 0:
        none = np.empty((0, 2))
        cells = np.empty(0, np.intp)
        return Arranged(shown, groups, none, arrangement.thin(none), grid, cells, True)
    run.tell("Looking for what differs...")
    vectors = features(request.table)[shown.order]
    plane = arrangement.lay_out(vectors, "PCA", lambda _: run.check())
    points = arrangement.to_unit_square(plane)
    places = arrangement.thin(plane, lambda _: run.check())
    cells = arrangement.spread(points, grid)
    first = Arranged(shown, groups, points, places, grid, cells, False)
    run.send(first)
    if request.method in arrangement.AT_ONCE:
        return replace(first, cells=_assigned(points, grid, apart, run), is_last=True)
    assert apart is not None

    def told(done: float) -> None:
        if done < arrangement.TO_PLANE:
            run.tell(f"Laying {count} pictures out by {request.method}...", done)
        else:
            run.tell(_TO_CELLS, done)

    last = apart.arrange(vectors, grid, told)
    return Arranged(shown, groups, last.points, last.places, grid, last.cells, is_last=True)


def read_labels(request: Request, arranged: Arranged, run: Run) -> Arranged:
    """Give pictures that are arranged already other titles."""
    return replace(arranged, shown=_read(request, run))


def assign_anew(arranged: Arranged, grid: Grid, run: Run) -> Arranged:
    """Put pictures that lie on the plane already into the cells of another grid."""
    with _process("PCA", len(arranged.points), (grid.columns, grid.rows)) as apart:
        cells = _assigned(arranged.points, grid, apart, run)
    return replace(arranged, grid=grid, cells=cells, is_last=True)


def find_alike(table: Table, rows: Rows, chosen: Rows, run: Run) -> Alike:
    """Find the rows that are most like the chosen ones, if these have an embedding."""
    run.tell("Looking for pictures like these...")
    vectors = viewer_run.embedding(table)
    if vectors is None or not np.isfinite(vectors[chosen]).all(axis=1).any():
        return Alike(chosen)
    return Alike(viewer_run.by_similarity(table, rows, chosen)[: len(chosen) + ALIKE])


def compare(table: Table, rows: Rows, references: Table, run: Run) -> Compared:
    """Sort some rows by how alike they are to reference images."""
    wanted = viewer_run.reference_vectors(table, references, run)
    if wanted is None or not len(wanted):
        return Compared(references, np.empty(0, np.intp), True)
    ranked = viewer_run.by_similarity(table, rows, np.empty(0, np.intp), wanted)
    return Compared(references, ranked, False)


def grid_for(count: int, size: tuple[int, int] | None) -> Grid:
    """Give the grid that is wanted, with as many rows more as it takes to hold all pictures."""
    if size is None:
        return Grid.for_count(count)
    columns, rows = size
    return Grid(max(rows, -(-count // columns)), columns)


def _read(request: Request, run: Run) -> Shown:
    return viewer_run.prepare(
        viewer_run.Request(request.table, request.image, request.label, request.folder, "data"),
        run,
    )


def _assigned(points: NDArray[np.float64], grid: Grid, apart: Apart | None, run: Run) -> Rows:
    def told(done: float) -> None:
        run.tell(_TO_CELLS, done)

    if apart is not None:
        return apart.assign(points, grid, told)
    return arrangement.assign(points, grid, told)


def _restored(saved: Selection, values: list[str]) -> NDArray[np.intp]:
    """Find the groups of a saved selection in a table that may have changed."""
    groups = np.zeros(len(values), np.intp)
    for group in sorted(set(saved.groups)):
        members = [i for i, each in enumerate(saved.groups) if each == group]
        rows, texts = [saved.rows[i] for i in members], [saved.values[i] for i in members]
        groups[viewer_run.restored(rows, texts, values)] = group
    return groups
