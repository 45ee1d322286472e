"""Orange tables: which columns hold images or an embedding, and what is in them."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from Orange.data import DiscreteVariable, Domain, StringVariable, Table
from Orange.data.variable import Variable

from orangecontrib.imageanalytics.outcome import ColumnError
from orangecontrib.imageanalytics.sources import finder, is_relative

Vector = NDArray[np.float32]
Rows = NDArray[np.intp]
Matrix = Any  # NDArray[np.float64] or scipy.sparse.csr_matrix, whose type has no stubs

# What a column of an embedding is called, from which the suffix tells two embeddings apart.
_NUMBERED = re.compile(r"n\d+( \(\d+\))?")


def image_columns(data: Table | Domain) -> list[Variable]:
    """List the columns that can hold images: text and categorical metas.

    Parameters
    ----------
    data : Table or Domain
        Where to look.

    Returns
    -------
    list of Variable
        Those marked as images (``attributes["type"] == "image"``) first, else in their order.
    """
    domain = data if isinstance(data, Domain) else data.domain
    candidates = [variable for variable in domain.metas if _can_hold_images(variable)]
    return sorted(candidates, key=lambda variable: variable.attributes.get("type") != "image")


def image_column(data: Table | None, name: str | None, index: int | None = None) -> str | None:
    """Name the column that a widget takes images from.

    Parameters
    ----------
    data : Table, optional
        Where to look.
    name : str, optional
        The column that was chosen.
    index : int, optional
        The column that was chosen, as workflows of the public add-on say it: its place among
        `image_columns`.

    Returns
    -------
    str, optional
        The chosen one if it is there, else the likeliest one, if there is one at all.
    """
    names = [] if data is None else [column.name for column in image_columns(data)]
    if name in names:
        return name
    if index is not None and 0 <= index < len(names):
        return str(names[index])
    return str(names[0]) if names else None


def references(
    table: Table, col: str | Variable, folder: str | os.PathLike[str] | None = None
) -> list[str | None]:
    """Read a column of images.

    Parameters
    ----------
    table : Table of N rows
        The table.
    col : str or Variable
        A text or categorical column of it, in any of its parts.
    folder : path, optional
        Where images are whose names do not say it. If None: the folder of the file that the table
        was read from by `Table.from_file`, then the working directory.

    Returns
    -------
    list of N str or None
        Paths, addresses and data URIs; None where the value is missing. Absolute paths, addresses
        and data URIs are left as they are. Relative values are looked for in the column's
        ``attributes["origin"]``, a folder or an address, then in `folder`; a relative origin is in
        `folder` itself.

    Raises
    ------
    ColumnError
        If the table has no such column, or it is numeric.
    """
    variable = _column(table.domain, col)
    full = finder(_origin(variable), _folders(table, folder))
    values = table.get_column(variable)
    if variable.is_discrete:
        by_value = [_reference(value, full) for value in variable.values]
        return [None if index != index else by_value[int(index)] for index in values.tolist()]
    return [_reference(value, full) for value in values.tolist()]


#: How most references begin that say where they are.
_CLEAR = ("/", "https://", "http://", "C:\\", "D:\\", "E:\\")


def needs_folder(table: Table, col: str | Variable, *, despite_origin: bool = False) -> bool:
    """Tell whether values of a column of images leave open which folder they are in.

    Parameters
    ----------
    table, col
        See `references`.
    despite_origin : bool
        Whether it counts that the column itself names the folder: it may not be there any more.

    Raises
    ------
    ColumnError
        As `references`.
    """
    variable = _column(table.domain, col)
    origin = _origin(variable)
    if origin and not is_relative(origin) and not despite_origin:
        return False
    values = variable.values if variable.is_discrete else table.get_column(variable).tolist()
    # Of 100 000 pictures nearly all are told apart by this, in a fifth of the time: it is asked in
    # the window's thread.
    open_ones = (v for v in values if type(v) is not str or not v.startswith(_CLEAR))
    texts = (_reference(value, str) for value in open_ones)
    return any(text is not None and is_relative(text) for text in texts)


@dataclass(frozen=True, slots=True)
class EmbeddingColumns:
    """The columns of one embedding among those of a table.

    Attributes
    ----------
    model : str
        Id of the model that has made them.
    title : str
        Its name for people.
    columns : tuple of Variable
        Those that are left, in the table's order: some may have been taken out.
    """

    model: str
    title: str
    columns: tuple[Variable, ...]


def embeddings(data: Table | Domain) -> list[EmbeddingColumns]:
    """Find the embeddings of a table, by what their columns' ``attributes["embedder"]`` says.

    Parameters
    ----------
    data : Table or Domain
        Where to look: among the attributes, and among numeric metas.

    Returns
    -------
    list of EmbeddingColumns
        In the order of their first columns. Several embeddings by one model are told apart by the
        suffix of their columns' names. Columns of other programs say nothing of themselves.
    """
    domain = data if isinstance(data, Domain) else data.domain
    found: dict[tuple[str, str], list[Variable]] = {}
    for variable in itertools.chain(domain.attributes, domain.metas):
        made_by = variable.attributes.get("embedder")
        if made_by and variable.is_continuous:
            numbered = _NUMBERED.fullmatch(variable.name)
            suffix = (numbered and numbered[1]) or ""
            found.setdefault((str(made_by), suffix), []).append(variable)
    return [
        EmbeddingColumns(*_read_maker(made_by), tuple(columns))
        for (made_by, _), columns in found.items()
    ]


def embedding_columns(data: Table | Domain) -> list[Variable]:
    """List the columns of a table's embedding; of the last one, if it has several.

    Parameters
    ----------
    data : Table or Domain
        Where to look.

    Returns
    -------
    list of Variable
        Empty if no column says that it is of an embedding.
    """
    found = embeddings(data)
    return list(found[-1].columns) if found else []


def values(data: Table, columns: Sequence[Variable]) -> NDArray[Any]:
    """Give the numbers of some columns.

    Parameters
    ----------
    data : Table of N rows
    columns : sequence of D Variable
        Of the table; at least one.

    Returns
    -------
    ndarray of shape (N, D)
        Not a copy, where the columns stand side by side as an embedding's do.
    """
    indices = [data.domain.index(column) for column in columns]
    if min(indices) < 0:  # among the metas
        return np.column_stack([data.get_column(column) for column in columns]).astype(float)
    beside = indices == list(range(indices[0], indices[0] + len(indices)))
    part = data.X[:, indices[0] : indices[-1] + 1] if beside else data.X[:, indices]
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part)


def maker(model: str, title: str) -> str:
    """Compose what a column's ``attributes["embedder"]`` says: the model's id, and its title."""
    return f"{model}: {title}"  # one text, as a .tab file holds it


def _can_hold_images(variable: Variable) -> bool:
    return isinstance(variable, (StringVariable, DiscreteVariable))


def _column(domain: Domain, col: str | Variable) -> Variable:
    if isinstance(col, (str, Variable)) and col in domain:
        variable = domain[col]
        if _can_hold_images(variable):
            return variable
        problem = f"The column '{variable.name}' is neither text nor categorical"
    else:
        problem = f"The table has no column '{col}'"
    names = [f"'{variable.name}'" for variable in image_columns(domain)]
    if not names:
        raise ColumnError(f"{problem}, nor has it any other column that could hold images.")
    listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    raise ColumnError(f"{problem}. Columns that can hold images: {listed}.")


def _reference(value: object, full: Callable[[str], str]) -> str | None:
    if type(value) is str and value[:1] == "/":  # whole already; soon said of 100 000 paths
        return value
    if value is None or value != value:
        return None
    text = str(value)
    return None if text.strip() in ("", "?") else full(text)


def _origin(variable: Variable) -> str:
    return str(variable.attributes.get("origin") or "")


def _folders(table: Table, folder: str | os.PathLike[str] | None) -> list[str]:
    if folder is not None:
        return [os.fspath(folder)]
    file = getattr(table, "__file__", None)  # kept by Table.from_file
    return [os.path.dirname(file), ""] if isinstance(file, str) else []  # noqa: PTH120


def _read_maker(made_by: str) -> tuple[str, str]:
    model, _, title = made_by.partition(": ")
    return model, title or model
