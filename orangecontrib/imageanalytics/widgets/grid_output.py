"""The tables that Image Grid sends: those of Orange's `annotated_data`, at a hundredth of the cost.

Orange transforms the table, which takes 0.2 s for the 1280 columns of an embedding, in the window's
thread at each click. Here the numbers are shared with the table that came in, and the domains are
made once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from Orange.data import DiscreteVariable, Domain, Table
from Orange.data.util import get_unique_names
from Orange.widgets.utils.annotated_data import (
    domain_with_annotation_column,
)


class Outputs:
    """What is sent of one table, for whatever groups of its rows are selected.

    Parameters
    ----------
    data : Table of N rows
        What came in.
    """

    def __init__(self, data: Table) -> None:
        self.data = data
        marked = domain_with_annotation_column(data)
        self._yes_no: tuple[str, ...] = marked[1].values
        self._name: str = marked[1].name
        self._group: str = get_unique_names(data.domain, "Group")
        self._domains = {(self._name, self._yes_no): marked[0]}

    def selected(self, groups: NDArray[np.intp]) -> Table | None:
        """Give the selected rows, with the column *Group*; None if there are none."""
        rows = np.flatnonzero(groups)
        if not len(rows):
            return None
        names = tuple(f"G{number + 1}" for number in range(groups.max()))
        return self._with(self.data[rows], self._group, names, groups[rows] - 1)

    def all(self, groups: NDArray[np.intp]) -> Table:
        """Give all rows: marked as selected or not, or with their groups if there are several."""
        last = int(groups.max(initial=0))
        if last <= 1:
            return self._with(self.data[:], self._name, self._yes_no, groups)
        names = (*(f"G{number + 1}" for number in range(last)), "Unselected")
        values = np.where(groups > 0, groups - 1, last)
        return self._with(self.data[:], self._name, names, values)

    def _with(
        self, table: Table, name: str, names: tuple[str, ...], values: NDArray[np.intp]
    ) -> Table:
        """Put a column where Orange does: to the metas, or as the class if there is none."""
        domain = self._domains.get((name, names))
        if domain is None:
            domain = self._domains[name, names] = _with_column(
                self.data.domain, DiscreteVariable(name, names)
            )
        metas = table.metas
        with table.unlocked_reference():
            # Views, which Orange does not let anybody write to: the numbers are not ours.
            table.X, table.Y = table.X[:], table.Y[:]
            if self.data.domain.class_vars:
                metas = metas.toarray() if hasattr(metas, "toarray") else metas
                table.metas = np.column_stack([metas, values.astype(metas.dtype)])
            else:
                table.Y = values.astype(float)
            table.domain = domain
        return table


def _with_column(old: Domain, column: DiscreteVariable) -> Domain:
    if old.class_vars:
        return Domain(old.attributes, old.class_vars, (*old.metas, column))
    return Domain(old.attributes, column, old.metas)
