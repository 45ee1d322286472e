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

    from orangecontrib.imageanalytics.similarity import MergeTree
    from orangecontrib.imageanalytics.widgets.background import Run

Rows = NDArray[np.intp]

#: The largest cosine distance of embeddings that can be chosen.
ALIKE_REACH = 0.5
#: Positions of the slider for distances.
STEPS = 200
#: The smallest distance that four decimals show, and what rounding makes of none between vectors.
_LEAST, _ROUNDING = 1e-4, 1e-6
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


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is known of N pictures besides how they look.

    Attributes
    ----------
    pixels : ndarray of shape (N, 2), int64
        Width and height; 0 if not known.
    sizes : ndarray of shape (N,), int64
        Of their files, in bytes; -1 if not known.
    changed : ndarray of shape (N,), float64
        When their files were changed the last time, Unix time in seconds; NaN if not known.
    files : ndarray of shape (N,), intp
        The same number for files with the same content; -1 if not known.
    """

    pixels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    changed: NDArray[np.float64]
    files: Rows


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
    facts : Facts
        Of the pictures that are in a group at some distance.
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
    facts: Facts
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
    from orangecontrib.imageanalytics.cache import Cache
    from orangecontrib.imageanalytics.duplicate_files import same_files
    from orangecontrib.imageanalytics.web.reach import Reach

    reach, hosts = Reach(user_settings().web_hosts()), unasked(references)
    images, lost = set_lost_apart(references, request.folder)
    with Cache() as cache:
        found = duplicates.find(images, cache=cache, web=reach, tell=run.tell)
        facts = _facts(request.table, references, found.tree, run)
        facts.files[:] = same_files(references, found.pixels, facts.sizes, run.check, cache)
    looked = found.sizes[:, 0] > 0
    facts.pixels[looked] = found.sizes[looked]
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

    facts = _facts(request.table, references, tree, run)
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


def _facts(table: Table, references: list[str | None], tree: MergeTree, run: Run) -> Facts:
    """Look at the files of all pictures that may be in a group."""
    from orangecontrib.imageanalytics.sources import LocalFile, resolve

    count = len(references)
    sizes, changed = np.full(count, -1, np.int64), np.full(count, np.nan)
    for row in np.flatnonzero(tree.labels(tree.reach) >= 0).tolist():
        run.check()
        source = resolve(references[row])
        if isinstance(source, LocalFile):
            stat: os.stat_result = source.stat
            sizes[row], changed[row] = stat.st_size, stat.st_mtime
    return Facts(_pixels(table), sizes, changed, np.full(count, -1, np.intp))


def _pixels(table: Table) -> NDArray[np.int64]:
    """Read the sizes of pictures that a table has, as Import Images makes it."""
    names = {variable.name: variable for variable in (*table.domain.variables, *table.domain.metas)}
    found = np.zeros((len(table), 2))
    if all(name in names and names[name].is_continuous for name in (_WIDTH, _HEIGHT)):
        found[:, 0] = table.get_column(names[_WIDTH])
        found[:, 1] = table.get_column(names[_HEIGHT])
        found[~np.isfinite(found).all(axis=1)] = 0
    return found.astype(np.int64)


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
    rows = np.flatnonzero(labels >= 0)
    order = rows[
        np.lexsort(
            (rows, *_rule(found.facts, keep, rows), ~_chosen(found, by_hand)[rows], labels[rows])
        )
    ]
    run.check()
    sizes = np.bincount(labels[order], minlength=0).astype(np.intp)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)[: len(sizes)]
    kept = labels < 0
    kept[order[starts]] = True
    distances = np.full(len(labels), np.nan, np.float32)
    of_order = np.repeat(order[starts], sizes)
    distances[order] = np.where(order == of_order, 0, found.distances(of_order, order))
    run.check()
    tables = _tables(found.request.table, labels, kept, distances)
    headings = _headings(sizes, starts, distances[order], found, order)
    return Groups(labels, order, sizes, headings, kept, distances, *tables)


def _headings(
    sizes: Rows, starts: Rows, distances: NDArray[np.float32], found: Found, order: Rows
) -> list[str]:
    if not len(starts):
        return []
    farthest = np.maximum.reduceat(distances, starts)
    files = found.facts.files[order]
    is_one_file = (files == np.repeat(files[starts], sizes)) & (files >= 0)
    all_one_file = np.logical_and.reduceat(is_one_file, starts)
    headings = []
    told = zip(sizes.tolist(), farthest.tolist(), all_one_file.tolist(), strict=True)
    for number, (size, apart, one_file) in enumerate(told, 1):
        how = f"up to {max(apart, _LEAST):.4f} from the kept one"
        if found.request.alike and apart < _ROUNDING:
            how = "no distance between their embeddings"
        elif apart == 0:
            how = "the same file" if one_file else "the same pixels"
        headings.append(f"Group {number}: {size} images, {how}")
    return headings


def _rule(facts: Facts, keep: Keep, rows: Rows) -> tuple[NDArray[Any], ...]:
    """Give what sorts rows so that what is kept comes first, the most important last."""
    if keep is Keep.LARGEST:
        return -facts.sizes[rows], -facts.pixels[rows].prod(axis=1)
    return (facts.changed[rows],) if keep is Keep.OLDEST else ()  # NaN is last


def _chosen(found: Found, by_hand: frozenset[str]) -> NDArray[np.bool_]:
    if not by_hand:
        return np.zeros(len(found.references), bool)
    return np.fromiter((name in by_hand for name in found.references), bool, len(found.references))


def _tables(
    table: Table, labels: Rows, kept: NDArray[np.bool_], distances: NDArray[np.float32]
) -> tuple[Table | None, Table | None, Table]:
    from Orange.data import ContinuousVariable, DiscreteVariable

    from orangecontrib.imageanalytics.widgets.shared_tables import free_names, with_metas

    group, distance, is_kept = free_names(table.domain, ["group", "distance", "kept"])
    columns = (
        ContinuousVariable(group, number_of_decimals=0),
        ContinuousVariable(distance, number_of_decimals=4),
        DiscreteVariable(is_kept, ("no", "yes")),
    )
    numbers = np.where(labels >= 0, labels + 1.0, np.nan)
    data = with_metas(table, columns, np.column_stack([numbers, distances, kept]))
    unique, grouped = np.flatnonzero(kept), np.flatnonzero(labels >= 0)
    return (
        table[unique] if len(unique) else None,
        data[grouped] if len(grouped) else None,
        data,
    )


def title(reference: str | None) -> str:
    """The name of a picture for people."""
    return shown(PurePath(reference).name) if reference else ""
