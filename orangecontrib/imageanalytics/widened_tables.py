"""Orange tables that get more columns: an embedding of their images, or texts about these.

The embedded table is a selection of the rows whose X is swapped, not a transformed table: 5000
rows get 4096 columns in 44 ms against 308 ms, and ids, weights, attributes and whatever a
subclass keeps when its rows are selected (a Corpus its tokens) survive.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from Orange.data import ContinuousVariable, Domain, StringVariable, Table
from Orange.data.util import get_unique_names
from Orange.data.variable import Variable

from orangecontrib.imageanalytics.outcome import Embedded, Outcome, Skipped

Vector = NDArray[np.float32]
Rows = NDArray[np.intp]
Matrix = Any  # NDArray[np.float64] or scipy.sparse.csr_matrix, whose type has no stubs

#: Name of the text column that says, in the table of skipped images, why.
SKIP_REASON = "skip reason"


class Origin(Protocol):
    """How the columns of an embedding came about."""

    @property
    def made_by(self) -> str:
        """What they say of their `maker`."""

    def column(self, index: int) -> Any:
        """Give the ``compute_value`` of one of them, counted from 0."""


def with_columns(
    domain: Domain, dimension: int, *, how: Origin | None = None, sparse: bool = False
) -> Domain:
    """Put the columns of an embedding behind the attributes of a domain.

    Parameters
    ----------
    domain : Domain
        Of the table of images.
    dimension : int
        Number of columns.
    how : Origin, optional
        What the columns know of themselves; nothing if None.
    sparse : bool
        Whether the table's X is.

    Returns
    -------
    Domain
        With attributes ``n0``, ``n1``, ...; if one of these names is taken, all get the same free
        suffix.
    """
    new = _new_attributes(domain, dimension, sparse, how)
    return Domain(domain.attributes + new, domain.class_vars, domain.metas)


def with_embeddings(
    table: Table, outcomes: Sequence[Outcome], how: Origin | None = None
) -> tuple[Table | None, Table | None, int]:
    """Part a table into its embedded and its skipped rows.

    Parameters
    ----------
    table : Table of N rows
        The table of images; it is not changed.
    outcomes : sequence of N Embedded or Skipped
        What became of each row's image.
    how : Origin, optional
        What the new columns know of themselves: who made them, how to compute them.

    Returns
    -------
    embedded : Table or None
        The rows with an embedding of D numbers, with D more attributes ``n0``, ``n1``, ... that
        are hidden (``attributes["hidden"]``); if one of these names is taken, all get the same
        free suffix: ``n0 (1)``, ``n1 (1)``, ... The X of a sparse table stays sparse (CSR), else
        it is float64. None if there is no such row.
    skipped : Table or None
        The other rows with one more text meta, `SKIP_REASON`. None if there is no such row.
    n_skipped : int
        The number of skipped rows.

        Both tables are of the type of `table`, hold their rows in its order with their ids,
        weights and attributes, share no memory with it, and are named as those of
        Orange3-ImageAnalytics: "Embedded images", "Skipped images".

    Raises
    ------
    ValueError
        If there is not one outcome for each row.
    """
    if len(outcomes) != len(table):
        raise ValueError(f"{len(outcomes)} outcomes for a table of {len(table)} rows")
    vectors = [outcome.vector for outcome in outcomes if isinstance(outcome, Embedded)]
    reasons = [str(outcome) for outcome in outcomes if isinstance(outcome, Skipped)]
    is_embedded = np.array([isinstance(outcome, Embedded) for outcome in outcomes], dtype=bool)
    return (
        _embedded(table, np.flatnonzero(is_embedded), vectors, how) if vectors else None,
        _skipped(table, np.flatnonzero(~is_embedded), reasons) if reasons else None,
        len(reasons),
    )


def with_texts(table: Table, columns: dict[str, list[str]], images: str | None = None) -> Table:
    """Append columns of text to a table's metas.

    Parameters
    ----------
    table : Table of N rows
        It is not changed.
    columns : dict of str to list of N str
        Names, which get a number where they are taken, and values; an empty text is missing.
    images : str, optional
        Which of the columns holds images.

    Returns
    -------
    Table of N rows
        With the same ids, weights and attributes, of the same class.
    """
    old = table.domain
    variables = [StringVariable(name) for name in get_unique_names(old, list(columns))]
    for name, variable in zip(columns, variables, strict=True):
        if name == images:
            variable.attributes["type"] = "image"
    extended = table.copy()
    metas = extended.metas.toarray() if sp.issparse(extended.metas) else extended.metas
    values = np.array(list(columns.values()), dtype=object).reshape(len(columns), -1).T
    with extended.unlocked_reference():
        extended.domain = Domain(old.attributes, old.class_vars, (*old.metas, *variables))
        extended.metas = np.hstack([metas.astype(object), values])
    return extended


def _embedded(table: Table, rows: Rows, vectors: list[Vector], how: Origin | None) -> Table:
    domain = with_columns(table.domain, len(vectors[0]), how=how, sparse=sp.issparse(table.X))
    selected = _select(table, rows)
    # First let go of the selected X: with the new one beside it, appending to a table that has
    # embeddings already would take half as much memory again. (`unlocked...` holds what it locks.)
    with selected.unlocked_reference():
        selected.X = np.empty((len(vectors), 0))
    with selected.unlocked_reference():
        selected.domain = domain
        selected.X = _appended(table.X, rows, vectors)
    selected.name = "Embedded images"
    return selected


def _skipped(table: Table, rows: Rows, reasons: list[str]) -> Table:
    selected = with_texts(_select(table, rows), {SKIP_REASON: reasons})
    selected.name = "Skipped images"
    return selected


def _select(table: Table, rows: Rows) -> Table:
    # A subclass may keep more in its copy() than in a selection of rows (a Corpus does).
    return table.copy() if len(rows) == len(table) else table[rows]


def _appended(old: Matrix, rows: Rows, vectors: list[Vector]) -> Matrix:
    """Give these rows of X with the vectors behind them, float64."""
    if sp.issparse(old):
        dense = np.stack(vectors, dtype=float)
        return sp.hstack([old.tocsr()[rows], sp.csr_matrix(dense)], format="csr")
    width = old.shape[1]
    new = np.empty((len(vectors), width + len(vectors[0])))
    # Row by row: np.stack would hold all vectors a third time, and is no faster.
    for target, row, vector in zip(new, rows, vectors, strict=True):
        target[:width] = old[row]
        target[width:] = vector
    return new


def _new_attributes(
    domain: Domain, dimension: int, sparse: bool, how: Origin | None
) -> tuple[Variable, ...]:
    """Make numeric variables; "hidden" keeps them out of long menus, as of Scatter Plot."""
    # Their `sparse` follows X: Orange makes X dense when a third of its columns are not sparse.
    taken = {variable.name for variable in itertools.chain(domain.variables, domain.metas)}
    said: dict[str, Any] = {"hidden": True}
    if how is not None:
        said["embedder"] = how.made_by
    attributes = []
    for index, name in enumerate(_free_names(dimension, taken)):
        computed = None if how is None else how.column(index)
        attribute = ContinuousVariable(name, compute_value=computed, sparse=sparse)
        attribute.attributes = dict(said)
        attributes.append(attribute)
    return tuple(attributes)


def _free_names(dimension: int, taken: set[str]) -> list[str]:
    # Orange's get_unique_names takes 0.4 s for 4096 names, and this 1 ms.
    names = plain = [f"n{index}" for index in range(dimension)]
    for suffix in itertools.count(1):
        if taken.isdisjoint(names):
            break
        names = [f"{name} ({suffix})" for name in plain]
    return names
