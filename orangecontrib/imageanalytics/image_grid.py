"""ImageGrid: a table of pictures with features -> cells of a grid, alike pictures side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics import arrangement, tables
from orangecontrib.imageanalytics.arrangement import Grid, Tick, TooFewCellsError
from orangecontrib.imageanalytics.outcome import ColumnError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from Orange.data import Table

__all__ = ["AllColumnsRemovedError", "ImageGrid", "TooFewCellsError", "features"]


_NO_NUMBERS = "The data has no numbers to compare the pictures by. Send it through Image Embedding."


class AllColumnsRemovedError(ColumnError):
    """The table has no column of numbers by which pictures could be compared."""


def features(data: Table) -> NDArray[np.float32]:
    """Give what pictures are compared by.

    The columns of an embedding are taken as they are, if there are any. Of other tables all
    columns are taken, each with mean 0 and deviation 1, as they have different units.

    Parameters
    ----------
    data : Table
        Of N rows.

    Returns
    -------
    ndarray of shape (N, D), float32
        Missing values are their column's mean; columns without values are left out.

    Raises
    ------
    AllColumnsRemovedError
        A ValueError: no column is left.
    """
    embedding = tables.embedding_columns(data)
    columns = embedding or data.domain.attributes
    if not columns:
        raise AllColumnsRemovedError(_NO_NUMBERS)
    values = tables.values(data, columns).astype(np.float32)
    missing = ~np.isfinite(values)
    known = ~missing.all(axis=0) if len(values) else np.zeros(values.shape[1], bool)
    if not known.any():
        raise AllColumnsRemovedError(_NO_NUMBERS)
    if missing.any():
        values = np.where(missing, np.nan, values)[:, known]
        values = np.where(missing[:, known], np.nanmean(values, axis=0, dtype=np.float64), values)
    if not embedding:
        spread = values.std(axis=0)
        values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return np.ascontiguousarray(values, np.float32)


def _missing_row(data: Table) -> Table:
    """Make a row of missing values for a table."""
    domain = data.domain
    metas = np.array([[column.Unknown for column in domain.metas]], object)
    return type(data).from_numpy(
        domain,
        np.full((1, len(domain.attributes)), np.nan),
        np.full((1, len(domain.class_vars)), np.nan),
        metas,
    )


class ImageGrid:
    """Arranges pictures on a grid, so that alike ones lie side by side.

    Parameters
    ----------
    data : Table
        Of N pictures with an embedding, or with other features.
    method : str
        How they are laid out on a plane first: "t-SNE", "MDS" or "PCA".
    tick : callable, optional
        Called with the share that is done, 0 to 1; what it raises ends the work.

    Attributes
    ----------
    data : Table
        What was given.
    norm_data : ndarray of shape (N, 2), float64
        Where the pictures lie on the plane, from 0 to 1.
    size_x, size_y : int
        Columns and rows of the grid; 0 before `process`.
    cost : float
        Sum of the squared distances between the pictures on the plane and in their cells, in cells.
    grid_indices : ndarray of shape (size_y * size_x,), intp
        The row of the table in each cell, row by row; -1 where a cell is empty.
    assignments : ndarray of shape (N, 2), float64
        Column and row of each picture.
    image_list : Table of size_y * size_x rows
        The table's rows in the order of the cells; one of missing values where a cell is empty.

    Raises
    ------
    AllColumnsRemovedError
        A ValueError: there is nothing to compare the pictures by.

    Examples
    --------
    >>> import numpy as np
    >>> from Orange.data import Domain, ContinuousVariable, Table
    >>> domain = Domain([ContinuousVariable("width"), ContinuousVariable("height")])
    >>> corners = Table.from_numpy(domain, np.array([[0, 0], [9, 0], [0, 9], [9, 9.0]]))
    >>> grid = ImageGrid(corners, method="PCA")
    >>> grid.process()
    >>> grid.size_x, grid.size_y, sorted(grid.grid_indices.tolist())
    (2, 2, [0, 1, 2, 3])
    """

    def __init__(self, data: Table, method: str = "t-SNE", tick: Tick = lambda done: None) -> None:
        if method not in arrangement.METHODS:
            known = ", ".join(arrangement.METHODS)
            raise ValueError(
                f"There is no method {method!r} to lay pictures out; there are {known}."
            )
        self.data = data
        points = arrangement.lay_out(features(data), method, tick)
        self.norm_data = arrangement.to_unit_square(points)
        self.size_x = self.size_y = 0
        self.cost = 0.0
        self.grid_indices: NDArray[np.intp] = np.empty(0, np.intp)
        self.assignments: NDArray[np.float64] = np.empty((0, 2))
        self.image_list = data[:0]

    def process(self, size_x: int = 0, size_y: int = 0) -> None:
        """Give each picture a cell.

        Parameters
        ----------
        size_x, size_y : int
            Columns and rows; if one of them is 0, the smallest grid that is about square.

        Raises
        ------
        TooFewCellsError
            A ValueError: there are more pictures than cells.
        ValueError
            There are less than no columns or rows.
        """
        count = len(self.data)
        grid = Grid(size_y, size_x) if size_x and size_y else Grid.for_count(count)
        cells = arrangement.assign(self.norm_data, grid)
        self.size_x, self.size_y = grid.columns, grid.rows
        self.cost = arrangement.cost(self.norm_data, cells, grid)
        self.grid_indices = np.full(grid.size, -1, np.intp)
        self.grid_indices[cells] = np.arange(count)
        self.assignments = np.stack([cells % grid.columns, cells // grid.columns], 1).astype(float)
        self.image_list = self._in_cells()

    def _in_cells(self) -> Table:
        if (self.grid_indices >= 0).all():
            return self.data[self.grid_indices]
        with_missing = type(self.data).concatenate([self.data, _missing_row(self.data)])
        return with_missing[np.where(self.grid_indices < 0, len(self.data), self.grid_indices)]

    def order_to_grid(self, data: Sequence[Any]) -> list[Any]:
        """Put what belongs to the pictures in the order of the cells.

        Parameters
        ----------
        data : sequence of length N
            Something for each picture.

        Returns
        -------
        list of length size_y * size_x
            None where a cell is empty.
        """
        return [None if index < 0 else data[int(index)] for index in self.grid_indices]
