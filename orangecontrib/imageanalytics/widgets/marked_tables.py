"""The tables with a mark of what is selected: those of Orange's `annotated_data`, much cheaper.

Orange transforms the table, which takes 0.2 s for the 1280 columns of an embedding, in the window's
thread at each click. Here the numbers are shared with the table that came in, and the domains are
made once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from Orange.data import DiscreteVariable, Domain, Table
from Orange.widgets.utils.annotated_data import domain_with_annotation_column

from orangecontrib.imageanalytics.widgets.shared_tables import free_names, sharing, side_by_side


class MarkedTables:
    """What is sent of one table, for whatever groups of its rows are selected.

    Parameters
    ----------
    data : Table of N rows
        What came in.
    """

    def __init__(self, data: Table) -> None:
        self.data = data
        _, marked = domain_with_annotation_column(Domain([]))  # in the user's language
        self._yes_no: tuple[str, ...] = marked.values
        (self._name,) = free_names(data.domain, [marked.name])
        (self._group,) = free_names(data.domain, ["Group"])
        self._domains: dict[tuple[str, tuple[str, ...]], Domain] = {}

    def of_rows(self, rows: NDArray[np.intp]) -> Table | None:
        """Give some rows, in ascending order, as they came in; None if there are none."""
        if not len(rows):
            return None
        if rows[-1] - rows[0] + 1 == len(rows):  # all, for instance: a view, not a copy of 1 GB
            return self.data[int(rows[0]) : int(rows[-1]) + 1]
        return self.data[rows]

    def selected(self, groups: NDArray[np.intp]) -> Table | None:
        """Give the selected rows, with the column *Group*; None if there are none."""
        rows = np.flatnonzero(groups)
        table = self.of_rows(rows)
        if table is None:
            return None
        names = tuple(f"G{number + 1}" for number in range(groups.max()))
        return self._with(table, self._group, names, groups[rows] - 1)

    def all(self, groups: NDArray[np.intp]) -> Table:
        """Give all rows: marked as selected or not, or with their groups if there are several."""
        last = int(groups.max(initial=0))
        if last <= 1:
            return self._with(self.data, self._name, self._yes_no, groups)
        names = (*(f"G{number + 1}" for number in range(last)), "Unselected")
        values = np.where(groups > 0, groups - 1, last)
        return self._with(self.data, self._name, names, values)

    def none_selected(self) -> Table:
        """Give all rows, marked as not selected."""
        return self.all(np.zeros(len(self.data), np.intp))

    def _with(
        self, table: Table, name: str, names: tuple[str, ...], values: NDArray[np.intp]
    ) -> Table:
        """Put a column where Orange does: to the metas, or as the class if there is none."""
        domain = self._domains.get((name, names))
        if domain is None:
            domain = self._domains[name, names] = _with_column(
                self.data.domain, DiscreteVariable(name, names)
            )
        if self.data.domain.class_vars:
            return sharing(table, domain, metas=side_by_side(table.metas, values[:, None]))
        return sharing(table, domain, classes=values.astype(float))


def _with_column(old: Domain, column: DiscreteVariable) -> Domain:
    if old.class_vars:
        return Domain(old.attributes, old.class_vars, (*old.metas, column))
    return Domain(old.attributes, column, old.metas)
