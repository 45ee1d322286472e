"""What Duplicate Images does in threads: find what is alike, and make groups and tables of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.sources import set_lost_apart, shown
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import unasked

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.duplicates import Identity
    from orangecontrib.imageanalytics.similarity import MergeTree
    from orangecontrib.imageanalytics.widgets.background import Run

Rows = NDArray[np.intp]

#: The largest cosine distance of embeddings that can be chosen.
ALIKE_REACH = 0.5
#: Positions of the slider for distances.
STEPS = 200
#: The names of columns that hold a picture's size, as Import Images makes them.
_WIDTH, _HEIGHT = "width", "height"


def positions(reach: float) -> NDArray[np.float64]:
    """The distances that the slider can choose."""
    return np.arange(STEPS + 1) / STEPS * reach


class Mode(StrEnum):
    """What counts as a duplicate."""

    EXACT = "exact"
    NEAR = "near"
    ALIKE = "alike"


class Keep(StrEnum):
    """Which one of a group is kept."""

    LARGEST = "largest"
    OLDEST = "oldest"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Request:
    """What to look through.

    Attributes
    ----------
    table : Table of N rows
        The pictures.
    image : str
        The name of their column.
    folder : str, optional
        Where those are whose names do not say it.
    alike : bool
        Whether by the table's embedding, instead of by the pictures themselves.
    """

    table: Table
    image: str
    folder: str | None
    alike: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a picture besides how it looks.

    Attributes
    ----------
    pixels : (int, int), optional
        Width and height.
    size : int, optional
        Of its file, in bytes.
    changed : float, optional
        When its file was changed the last time, Unix time in seconds.
    """

    pixels: tuple[int, int] | None = None
    size: int | None = None
    changed: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What is alike in a table.

    Attributes
    ----------
    request : Request
        What was looked through.
    references : list of str or None
        The pictures, by row.
    titles : list of str
        Their names for people.
    tree : MergeTree
        The groups at each distance.
    counts : ndarray of int
        How many there are at each position of the slider.
    distances : callable
        Gives the distances of pairs of rows.
    facts : dict of int to Facts
        Of the pictures that are in a group at some distance, by row.
    skipped : dict of int to Skipped
        Pictures that could not be read.
    unasked : tuple of str
        Hosts that were not asked for pictures, as the user has not agreed.
    """

    request: Request
    references: list[str | None]
    titles: list[str]
    tree: MergeTree
    counts: NDArray[np.intp]
    distances: Callable[[Rows, Rows], NDArray[np.float32]]
    facts: dict[int, Facts]
    skipped: dict[int, Skipped]
    unasked: tuple[str, ...]


def find(request: Request, run: Run) -> Found:
    """Look through a table; runs in a thread.

    Raises
    ------
    Interrupted
        If that was asked for.
    EmbeddingError
        What stops the run.
    """
    from orangecontrib.imageanalytics import tables

    references = tables.references(request.table, request.image, request.folder)
    if request.alike:
        return _by_embedding(request, references, run)
    return _by_pictures(request, references, run)


def _by_pictures(request: Request, references: list[str | None], run: Run) -> Found:
    from orangecontrib.imageanalytics import duplicates
    from orangecontrib.imageanalytics.web.reach import Reach

    reach, hosts = Reach(user_settings().web_hosts()), unasked(references)
    images, lost = set_lost_apart(references, request.folder)
    found = duplicates.find(images, web=reach, tell=run.tell)
    facts = _facts(request.table, references, found.tree, found.identities, run)
    skipped = {**found.skipped, **lost}
    return _found(request, references, found.tree, found.distances, facts, skipped, hosts)


def _by_embedding(request: Request, references: list[str | None], run: Run) -> Found:
    from orangecontrib.imageanalytics import similarity, tables
    from orangecontrib.imageanalytics.similarity.space import as_matrix

    columns = tables.embedding_columns(request.table)
    vectors = columns_of(request.table, columns)
    matrix = as_matrix(vectors)

    def tell(share: float) -> None:
        run.tell("Comparing embeddings", share)

    tree = similarity.group(matrix, ALIKE_REACH, callback=tell)

    def distances(first: Rows, second: Rows) -> NDArray[np.float32]:
        return similarity.distances(matrix, first, second)

    facts = _facts(request.table, references, tree, {}, run)
    return _found(request, references, tree, distances, facts, {}, ())


def _found(request: Request, references: list[str | None], tree: MergeTree, *others: Any) -> Found:
    """Add what would take the window's thread too long, of a hundred thousand pictures."""
    titles = [title(reference) for reference in references]
    counts = tree.numbers_of_groups(positions(tree.reach))
    return Found(request, references, titles, tree, counts, *others)


def columns_of(table: Table, columns: list[Any]) -> NDArray[np.floating]:
    """Read numeric columns as one matrix; without a copy if they are all attributes, in order."""
    if list(table.domain.attributes) == columns and isinstance(table.X, np.ndarray):
        matrix: NDArray[np.floating] = table.X
        return matrix
    found = np.empty((len(table), len(columns)), np.float32)
    for index, column in enumerate(columns):
        found[:, index] = table.get_column(column)
    return found


def _facts(
    table: Table,
    references: list[str | None],
    tree: MergeTree,
    identities: dict[int, Identity],
    run: Run,
) -> dict[int, Facts]:
    """Look at the files of all pictures that may be in a group."""
    sizes = _sizes(table)
    facts = {}
    for row in np.flatnonzero(tree.labels(tree.reach) >= 0).tolist():
        run.check()
        pixels = sizes(row)
        if row in identities:
            pixels = identities[row].width, identities[row].height
        facts[row] = _of_file(references[row], pixels)
    return facts


def _sizes(table: Table) -> Callable[[int], tuple[int, int] | None]:
    names = {variable.name: variable for variable in (*table.domain.variables, *table.domain.metas)}
    if not all(n in names and names[n].is_continuous for n in (_WIDTH, _HEIGHT)):
        return lambda row: None
    width, height = (table.get_column(names[name]) for name in (_WIDTH, _HEIGHT))

    def size(row: int) -> tuple[int, int] | None:
        pair = width[row], height[row]
        return None if np.isnan(pair).any() else (int(pair[0]), int(pair[1]))

    return size


def _of_file(reference: str | None, pixels: tuple[int, int] | None) -> Facts:
    from orangecontrib.imageanalytics.sources import LocalFile, resolve

    source = resolve(reference)
    if isinstance(source, LocalFile):
        stat: os.stat_result = source.stat
        return Facts(pixels, stat.st_size, stat.st_mtime)
    return Facts(pixels)


# ---- groups at a distance


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The groups of duplicates at a distance, and the tables to send.

    Attributes
    ----------
    labels : ndarray of shape (N,), intp
        The number of each row's group, from 0; -1 for none.
    order : ndarray of intp
        The rows that are in a group, group by group, the kept one first.
    sizes : ndarray of intp
        How many each group has.
    headings : list of str
        What is said of each group.
    kept : ndarray of shape (N,), bool
        What stays: one of each group, and all that are in none.
    distances : ndarray of shape (N,), float32
        From the kept one of the group; NaN for those in none.
    unique, duplicates, data : Table, optional
        The rows that stay; those in groups; all. The latter two with columns group, distance, kept.
    """

    labels: Rows
    order: Rows
    sizes: Rows
    headings: list[str]
    kept: NDArray[np.bool_]
    distances: NDArray[np.float32]
    unique: Table | None
    duplicates: Table | None
    data: Table


def arrange(found: Found, distance: float, keep: Keep, by_hand: frozenset[str], run: Run) -> Groups:
    """Make groups, choose what is kept, and build the tables; runs in a thread.

    Parameters
    ----------
    found : Found
        What is alike.
    distance : float
        How far apart two of a group may be.
    keep : Keep
        Which one of a group is kept,
    by_hand : frozenset of str
        but for these pictures (by reference), which are kept instead.
    """
    labels = found.tree.labels(min(distance, found.tree.reach))
    keys = _keys(found, keep, by_hand)
    rows = sorted(np.flatnonzero(labels >= 0).tolist(), key=lambda row: (labels[row], keys(row)))
    run.check()
    order = np.array(rows, np.intp)
    sizes = np.bincount(labels[order], minlength=0).astype(np.intp)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)[: len(sizes)]
    kept = labels < 0
    kept[order[starts]] = True
    distances = np.full(len(labels), np.nan, np.float32)
    of_order = np.repeat(order[starts], sizes)
    distances[order] = np.where(order == of_order, 0, found.distances(of_order, order))
    run.check()
    tables = _tables(found.request.table, labels, kept, distances)
    headings = _headings(sizes, starts, distances[order])
    return Groups(labels, order, sizes, headings, kept, distances, *tables)


def _headings(sizes: Rows, starts: Rows, distances: NDArray[np.float32]) -> list[str]:
    farthest = np.maximum.reduceat(distances, starts) if len(starts) else distances
    headings = []
    for number, (size, apart) in enumerate(zip(sizes.tolist(), farthest.tolist(), strict=True), 1):
        how = "the same pixels" if apart == 0 else f"up to {apart:.4f} from the kept one"
        headings.append(f"Group {number}: {size} images, {how}")
    return headings


def _keys(found: Found, keep: Keep, by_hand: frozenset[str]) -> Callable[[int], tuple[Any, ...]]:
    """Give what sorts the rows of a group, the one that is kept first."""
    facts, none = found.facts, Facts()

    def key(row: int) -> tuple[Any, ...]:
        fact = facts.get(row, none)
        is_chosen = (found.references[row] or "") in by_hand
        if keep is Keep.LARGEST:
            width, height = fact.pixels or (0, 0)
            rule: tuple[Any, ...] = (-width * height, -(fact.size or 0))
        elif keep is Keep.OLDEST:
            rule = (fact.changed if fact.changed is not None else float("inf"),)
        else:
            rule = ()
        return (not is_chosen, *rule, row)

    return key


def _tables(
    table: Table, labels: Rows, kept: NDArray[np.bool_], distances: NDArray[np.float32]
) -> tuple[Table | None, Table | None, Table]:
    from Orange.data import ContinuousVariable, DiscreteVariable, Domain
    from Orange.data.util import get_unique_names

    domain = table.domain
    group, distance, is_kept = get_unique_names(domain, ["group", "distance", "kept"])
    new = (
        ContinuousVariable(group, number_of_decimals=0),
        ContinuousVariable(distance, number_of_decimals=4),
        DiscreteVariable(is_kept, ("no", "yes")),
    )
    data = table.transform(Domain(domain.attributes, domain.class_vars, (*domain.metas, *new)))
    with data.unlocked(data.metas):
        data.metas[:, -3] = np.where(labels >= 0, labels + 1.0, np.nan)
        data.metas[:, -2] = distances
        data.metas[:, -1] = kept.astype(float)
    unique, grouped = np.flatnonzero(kept), np.flatnonzero(labels >= 0)
    return (
        table[unique] if len(unique) else None,
        data[grouped] if len(grouped) else None,
        data,
    )


def title(reference: str | None) -> str:
    """The name of a picture for people."""
    return shown(PurePath(reference).name) if reference else ""
