"""How a column of an embedding computes itself for pictures that it has not seen.

A model that was trained on an embedding is given a table of pictures sooner or later. Orange then
asks each column that the table lacks for its `compute_value`; these embed the pictures, all at
once for all columns. Without it the columns would be unknown, the model would put averages in
their place and predict one class for every picture.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from Orange.data import Instance, Table, Variable
from Orange.data.util import SharedComputeValue

from orangecontrib.imageanalytics import kept_embedders, tables
from orangecontrib.imageanalytics.kept_embedders import Opened
from orangecontrib.imageanalytics.outcome import (
    ColumnError,
    ComputedColumnError,
    Embedded,
    EmbeddingError,
    Outcome,
    Skipped,
    UnknownModelError,
)
from orangecontrib.imageanalytics.server_client.address import server_name
from orangecontrib.imageanalytics.sources.relative import set_lost_apart
from orangecontrib.imageanalytics.surroundings import Progress, surroundings

__all__ = ["Embedding", "EmbeddingColumn", "are_as_made"]

Matrix = NDArray[np.float32]

#: Pictures that an error names.
_NAMED = 5
_LONGEST_NAME = 60

# Widgets that put tables together. What one table lacks is unknown there, as for any column of
# Orange, and nothing is predicted; an error would come out of them as a crash.
_JOINING = {"Orange.widgets.data.owconcatenate", "Orange.widgets.data.owmergedata"}


@dataclass(frozen=True)  # without slots: Orange's cache has weak references to it
class Embedding:
    """What all columns of an embedding share: which model made them of which pictures.

    It is pickled with every model and table that has such columns: it holds names, no path of
    this computer and no token.

    Attributes
    ----------
    model : str
        Id of the model.
    fingerprint : str
        What its numbers depend on besides the picture: weights and preprocessing, or the server.
    image : str
        Name of the column of pictures.
    title : str
        The model's name for people.
    dimension : int
        Number of columns.
    opens : callable
        Makes what embeds: `ImageEmbedder`. It is handed in, as that makes tables with columns of
        this kind, and is pickled as a name, so that whoever unpickles imports it.
    server : str, optional
        Address of the server that computes it; None if this computer does.
    depth : int, optional
        The depth of 16-bit pictures, if it was said; see `ImageEmbedder`.
    """

    model: str
    fingerprint: str
    image: str
    title: str = field(compare=False)
    dimension: int = field(compare=False)
    opens: Callable[..., Opened] = field(compare=False, repr=False)
    server: str | None = None
    depth: int | None = None

    @property
    def made_by(self) -> str:
        """What its columns say of their maker."""
        return tables.maker(self.model, self.title)

    def column(self, index: int) -> EmbeddingColumn:
        """Give the `compute_value` of one of its columns, counted from 0."""
        return EmbeddingColumn(self, index)

    def __call__(self, data: Table | Instance) -> Matrix:
        """Embed a table's pictures; those known to the cache are not computed again.

        Parameters
        ----------
        data : Table of N rows, or Instance
            Has a column of pictures of the name `image`.

        Returns
        -------
        ndarray of shape (N, dimension), float32
            Row by row. Where *Concatenate* and *Merge Data* put tables together, pictures that
            cannot be embedded are NaN.

        Raises
        ------
        ComputedColumnError
            A ValueError: a picture cannot be embedded, there is no such column, the model is not
            here or another one, the server is not agreed to or fails.
        """
        table = data if isinstance(data, Table) else Table.from_list(data.domain, [data])
        if len(table) == 0:
            return np.empty((0, self.dimension), np.float32)
        try:
            images = tables.references(table, self.image)
            here = os.curdir if surroundings().has_folder else None
            known, lost = set_lost_apart(images, here)
            outcomes = self._outcomes(known)
            for row, why in lost.items():
                outcomes[row] = why
            if any(isinstance(outcome, Skipped) for outcome in outcomes) and not _is_joining():
                raise ComputedColumnError(f"{_named(images, outcomes)} {self._advice}")
        except EmbeddingError as error:
            if _is_joining():
                return np.full((len(table), self.dimension), np.nan, np.float32)
            if isinstance(error, ComputedColumnError):
                raise
            raise ComputedColumnError(self._explained(error)) from error
        return self._matrix(outcomes)

    def _outcomes(self, images: Sequence[str | None]) -> list[Outcome]:
        from orangecontrib.imageanalytics import models

        if self.server is None and not models.get(self.model).is_local:
            raise ComputedColumnError(
                f"{self.title} runs on a server, and it is not said on which. No picture has been "
                "sent. Train the model again."
            )
        token = surroundings().token_for(self.server) if self.server else None
        provider = surroundings().provider

        reach = surroundings().reach()

        def make() -> Opened:
            how = {"token": token, "provider": provider, "depth": self.depth, "reach": reach}
            return self.opens(self.model, self.server, **how)

        def work(progress: Progress) -> list[Outcome]:
            key = self.model, self.server, token, provider, self.depth, reach
            with kept_embedders.lent(key, make) as embedder:
                self._check(embedder)
                return list(embedder.outcomes(images, callback=progress))

        return surroundings().wait_for(work, len(images), self.title)

    def _check(self, embedder: Opened) -> None:
        if embedder.fingerprint != self.fingerprint:
            raise ComputedColumnError(
                f"{self.title} gives other numbers on this computer than where the model was "
                "trained: its file, its settings or the server has changed. Train the model again."
            )

    def _matrix(self, outcomes: Sequence[Outcome]) -> Matrix:
        matrix = np.full((len(outcomes), self.dimension), np.nan, np.float32)
        for row, outcome in zip(matrix, outcomes, strict=True):
            if isinstance(outcome, Embedded):
                row[:] = outcome.vector
        return matrix

    def _explained(self, error: EmbeddingError) -> str:
        if isinstance(error, UnknownModelError):
            from orangecontrib.imageanalytics.models import default_folder

            return (
                f"The pictures have to be embedded with {self.title} ({self.model}), which is not "
                f"on this computer. If it is a model of your own, copy its file {self.model}.onnx, "
                f"and {self.model}.json if there is one, into the folder {default_folder()}."
            )
        if isinstance(error, ColumnError):
            return (
                f"{error} What was trained on pictures of a column '{self.image}' looks for them "
                "there: rename the column with Edit Domain, or put Image Embedding "
                f"({self.title}) before this."
            )
        return f"{error} {self._advice}"

    @property
    def _advice(self) -> str:
        where = f" on {server_name(self.server)}" if self.server else ""
        return (
            f"Put Image Embedding ({self.title}{where}) before this: it tells more, and its "
            "output Skipped Images leaves out what cannot be embedded."
        )


class EmbeddingColumn(SharedComputeValue):
    """Computes one column of an embedding.

    It equals None, so that a column with it equals a plain one of the same name, such as one
    read from a file; it differs from a column of another model, index or column of pictures.

    Parameters
    ----------
    embedding : Embedding
        What it shares with the others.
    index : int
        Which one it is, counted from 0.
    """

    def __init__(self, embedding: Embedding, index: int) -> None:
        # Not super().__init__: for 4096 columns its check of `embedding` takes 10 ms.
        self.compute_shared = embedding
        self.variable = None
        self.index = index

    def __call__(self, data: Table | Instance, shared_data: Matrix | None = None) -> Any:
        """Give the column, float32 of shape (N,), for a table, and its value for an instance."""
        column = self.compute(
            data, self.compute_shared(data) if shared_data is None else shared_data
        )
        return column[0] if isinstance(data, Instance) else column

    def compute(self, data: Table | Instance, shared_data: Matrix) -> NDArray[np.float32]:
        """Take the column from those of the whole embedding."""
        return shared_data[:, self.index]

    def __eq__(self, other: object) -> bool:
        if other is None:
            return True
        return (
            isinstance(other, EmbeddingColumn)
            and self.index == other.index
            and (
                self.compute_shared is other.compute_shared
                or self.compute_shared == other.compute_shared
            )
        )

    def __hash__(self) -> int:
        return hash(None)

    def __reduce__(self) -> tuple[Any, ...]:
        return EmbeddingColumn, (self.compute_shared, self.index)


def are_as_made(columns: Sequence[Variable], dimension: int) -> bool:
    """Tell whether columns are an embedding as its model made it: whole, in order, unchanged.

    What Orange computes of a column, such as a normalised one, keeps its name and what it says of
    its maker; it has another `compute_value`. That is lost in files: there, it cannot be told.

    Parameters
    ----------
    columns : sequence of Variable
        Of a table; see `tables.EmbeddingColumns`.
    dimension : int
        How many the model makes.
    """
    suffix = columns[0].name.removeprefix("n0") if columns else ""
    names = [f"n{index}{suffix}" for index in range(dimension)]
    return [column.name for column in columns] == names and all(
        column.compute_value is None or isinstance(column.compute_value, EmbeddingColumn)
        for column in columns
    )


def _is_joining() -> bool:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") in _JOINING:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _named(images: Sequence[str | None], outcomes: Sequence[Outcome]) -> str:
    skips = [
        f"{_name(image)} ({outcome.reason})"
        for image, outcome in zip(images, outcomes, strict=True)
        if isinstance(outcome, Skipped)
    ]
    more = ", ..." if len(skips) > _NAMED else ""
    pictures = "picture" if len(images) == 1 else "pictures"
    return (
        f"{len(skips)} of {len(images)} {pictures} cannot be embedded: "
        f"{', '.join(skips[:_NAMED])}{more}."
    )


def _name(image: str | None) -> str:
    if image is None:
        return "a missing value"
    name = image if image.startswith("data:") else PurePath(image).name or image
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
