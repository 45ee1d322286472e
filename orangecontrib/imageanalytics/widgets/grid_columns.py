"""Which columns of a table Image Grid uses: what was chosen, if it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from Orange.data import Table, Variable


@dataclass(frozen=True, slots=True)
class Choice:
    """Columns to choose from, and the name of the one that is used, if any."""

    columns: Sequence[Variable] = ()
    used: str | None = None


def images(data: Table | None, name: str | None, index: int | None) -> Choice:
    """Give the columns of images; which one is used, see `tables.image_column`."""
    columns = [] if data is None else tables.image_columns(data)
    return Choice(columns, tables.image_column(data, name, index))


def labels(data: Table | None, name: str | None) -> Choice:
    """Give the columns that can be written beneath images; what was chosen is used if there."""
    return _chosen(_visible(data), name)


def frames(data: Table | None, name: str | None) -> Choice:
    """Give the columns whose colours can frame images; what was chosen is used if there."""
    return _chosen([column for column in _visible(data) if column.is_discrete], name)


def _visible(data: Table | None) -> list[Variable]:
    if data is None:
        return []
    domain = data.domain
    columns = (*domain.class_vars, *domain.metas, *domain.attributes)
    return [column for column in columns if not column.attributes.get("hidden")]


def _chosen(columns: list[Variable], name: str | None) -> Choice:
    return Choice(columns, name if name in [column.name for column in columns] else None)
