"""What Image Viewer does in a thread: references, titles and their order out of a table."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.widgets.marked_tables import MarkedTables

if TYPE_CHECKING:
    from Orange.data import Table, Variable

    from orangecontrib.imageanalytics.widgets.background import Run

Rows = NDArray[np.intp]

#: Rows between two looks at whether the run is still wanted.
_STEP = 1000
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Request:
    """What to show of a table.

    Attributes
    ----------
    table : Table of N rows
        The images.
    image : str
        The name of their column.
    title : str, optional
        That of their titles; the names of their files by default.
    folder : str, optional
        Where images are whose names do not say it; None if nobody knows.
    sorting : str
        A key of `viewer_settings.SORTINGS`.
    selected : ndarray of int, optional
        The rows that are selected.
    saved : tuple of list of int and list of str, optional
        Those that were selected when the workflow was saved, by row and by value; rows may be
        fewer than values.
    references : Table, optional
        Images with the same embedding that the others are compared with, instead of the selected.
    """

    table: Table
    image: str
    title: str | None
    folder: str | None
    sorting: str
    selected: Rows | None = None
    saved: tuple[list[int], list[str]] | None = None
    references: Table | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown.

    Attributes
    ----------
    references : list of N str or None
        Of each row's image.
    titles : list of N str
        Of each row.
    marked : MarkedTables
        What is sent, whatever is selected.
    values : list of N str
        The image attribute's values, by which the selection is saved.
    order : ndarray of int
        The rows that have an image, as they are sorted.
    selected : ndarray of int
        The rows that are to be selected.
    failures : dict of int to Skipped
        Rows of which it is known at once that there is nothing to be seen.
    unasked : tuple of str
        Hosts whose images are not fetched, as the user has not agreed to it yet.
    is_unlike_references : bool
        Whether they could not be compared with the references, which have no such embedding.
    """

    references: list[str | None]
    titles: list[str]
    marked: MarkedTables
    values: list[str]
    order: Rows
    selected: Rows
    failures: dict[int, Skipped] = field(default_factory=dict)
    unasked: tuple[str, ...] = ()
    is_unlike_references: bool = False


def prepare(request: Request, run: Run) -> Shown:
    """Read a table and sort it.

    Raises
    ------
    Interrupted
        If that was asked for.
    """
    from orangecontrib.imageanalytics import tables
    from orangecontrib.imageanalytics.sources import set_lost_apart
    from orangecontrib.imageanalytics.widgets.web_consent import unasked

    run.tell("Reading the table...")
    table = request.table
    references = tables.references(table, request.image, request.folder)
    titles = _titles(table, request, references)
    values = texts(table, table.domain[request.image])
    run.check()
    present = np.array([reference is not None for reference in references], bool)
    selected = request.selected
    if selected is None:
        selected = restored(*(request.saved or ([], [])), values)
    selected = selected[present[selected]]
    rows = np.flatnonzero(present)
    wanted = None
    if request.sorting == "similarity" and request.references is not None:
        wanted = reference_vectors(table, request.references, run)
    is_unlike = wanted is not None and not len(wanted)
    order = rows if is_unlike else sort(request, references, titles, rows, selected, run, wanted)
    _, failures = set_lost_apart(references, request.folder)
    hosts = unasked(references)
    marked = MarkedTables(table)
    return Shown(references, titles, marked, values, order, selected, failures, hosts, is_unlike)


def restored(rows: list[int], values: list[str], have: list[str]) -> Rows:
    """Find rows that were saved by number and by value, in a table that may have changed.

    Where the value stands in its row still, it is that row; else the first row with this value
    that is not taken. Values that were saved alone mean all their rows.
    """
    places: dict[str, list[int]] = defaultdict(list)
    wanted = set(values)
    for row, value in enumerate(have):
        if value in wanted:
            places[value].append(row)
    if not rows:
        return np.array(sorted(row for found in places.values() for row in found), np.intp)
    found = {
        row
        for row, value in zip(rows, values, strict=False)
        if 0 <= row < len(have) and have[row] == value
    }
    for row, value in zip(rows, values, strict=False):
        if not (0 <= row < len(have) and have[row] == value):
            found.update([row for row in places[value] if row not in found][:1])
    return np.array(sorted(found), np.intp)


def sort(
    request: Request,
    references: list[str | None],
    titles: list[str],
    rows: Rows,
    selected: Rows,
    run: Run,
    wanted: NDArray[Any] | None = None,
) -> Rows:
    """Sort rows as the user wants; `wanted` are the vectors that others are compared with."""
    run.tell("Sorting...")
    if request.sorting == "title":
        return rows[_sorted_by([_natural(titles[row]) for row in rows.tolist()])]
    if request.sorting == "size":
        return rows[_sorted_by(_sizes([references[row] for row in rows.tolist()], run))]
    if request.sorting == "similarity" and (len(selected) or wanted is not None):
        return by_similarity(request.table, rows, selected, wanted)
    return rows


def by_similarity(
    table: Table, rows: Rows, selected: Rows, wanted: NDArray[Any] | None = None
) -> Rows:
    """Sort rows by how alike they are to the selected ones, which come first, or to vectors."""
    from orangecontrib.imageanalytics.similarity import rank, rank_by

    vectors = embedding(table)
    if vectors is None:
        return rows
    if wanted is None:
        selected = selected[np.isfinite(vectors[selected]).all(axis=1)]
    if not len(selected if wanted is None else wanted):  # nothing to compare with
        return rows
    ranked = rank(vectors, selected) if wanted is None else rank_by(vectors, wanted)
    shown = np.zeros(len(table), bool)
    shown[rows] = True
    return ranked[shown[ranked]]


def reference_vectors(table: Table, references: Table, run: Run) -> NDArray[Any] | None:
    """Give the references' vectors by the network of the table; those without one are left out.

    Columns that know how to compute themselves embed references that have not been embedded; what
    another network made has the same names, and is not taken. None if the table has no embedding.
    """
    from Orange.data import Domain

    from orangecontrib.imageanalytics import tables

    columns = tables.embedding_columns(table)
    if not columns:
        return None
    run.tell("Looking at the reference images...")
    made_by = {column.name: column.attributes.get("embedder") for column in columns}
    if any(
        column.name in made_by and column.attributes.get("embedder") != made_by[column.name]
        for column in references.domain.attributes
    ):
        return np.empty((0, len(columns)))
    known = references.transform(Domain(columns))
    vectors = np.asarray(known.X.toarray() if hasattr(known.X, "toarray") else known.X, float)
    return vectors[np.isfinite(vectors).all(axis=1)]


def embedding(table: Table) -> Any:
    """Give the vectors of a table's embedding, [N, D]; None if it has none."""
    from orangecontrib.imageanalytics import tables

    columns = tables.embedding_columns(table)
    return tables.values(table, columns) if columns else None


def _titles(table: Table, request: Request, references: list[str | None]) -> list[str]:
    if request.title is not None:
        return texts(table, table.domain[request.title])
    return [file_name(reference) for reference in references]


def file_name(reference: str | None) -> str:
    """Name a reference for people: its file."""
    if reference is None:
        return ""
    if reference[:1] != "/":
        if reference[:5].lower() == "data:":
            return "embedded image"
        if "://" in reference[:10] or reference[:5].lower() == "file:":
            return _last_part(reference) or reference
    # of 100 000 names, pathlib makes 0.3 s, which the first images would wait for
    return reference.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _last_part(address: str) -> str:
    try:
        return unquote(urlsplit(address).path.rsplit("/", 1)[-1])
    except ValueError:  # an address that is none, such as "http://["
        return ""


def texts(table: Table, variable: Variable) -> list[str]:
    """Write a column's values as people read them, empty where they are missing."""
    values = table.get_column(variable)
    if variable.is_string:
        return [_text(value) for value in values.tolist()]
    if variable.is_discrete:
        names = variable.values
        return ["" if value != value else names[int(value)] for value in values.tolist()]
    return ["" if value != value else variable.str_val(value) for value in values.tolist()]


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _natural(title: str) -> list[tuple[int, int, str]]:
    """Sort numbers in names by size, and letters whatever their case."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in _DIGITS.split(title.casefold())
        if part
    ]


def _sizes(references: list[str | None], run: Run) -> list[float]:
    """Bytes of each image; those of the web, or that are not there, come last."""
    from orangecontrib.imageanalytics import sources

    sizes = []
    for number, reference in enumerate(references):
        if number % _STEP == 0:
            run.tell(f"Looking at file {number} of {len(references)}", number / len(references))
        match sources.resolve(reference):
            case sources.LocalFile(stat=stat):
                sizes.append(float(stat.st_size))
            case sources.Content(data=data):
                sizes.append(float(len(data)))
            case _:
                sizes.append(float("inf"))
    return sizes


def _sorted_by(keys: list[Any]) -> Rows:
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.intp)
