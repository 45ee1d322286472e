"""What Image Grid sends is what Orange's own functions make, without their cost."""

import numpy as np
import pytest
from Orange.data import Table
from Orange.widgets.utils.annotated_data import create_annotated_table, create_groups_table

from orangecontrib.imageanalytics.widgets.grid_output import Outputs


def same(found: Table, expected: Table) -> None:
    assert found.ids.tolist() == expected.ids.tolist() and found.name == expected.name
    for kind in ("attributes", "class_vars", "metas"):
        names = [
            [(each.name, getattr(each, "values", None)) for each in getattr(table.domain, kind)]
            for table in (found, expected)
        ]
        assert names[0] == names[1]
    assert np.array_equal(found.X, expected.X)
    assert np.array_equal(found.Y, expected.Y)
    assert found.metas.tolist() == expected.metas.tolist()


@pytest.fixture(params=["zoo", "without a class", "with the names taken"])
def data(request: pytest.FixtureRequest) -> Table:
    table = Table("zoo")
    if request.param == "without a class":
        return table.transform(type(table.domain)(table.domain.attributes, (), table.domain.metas))
    if request.param == "with the names taken":
        marked = create_annotated_table(table, [3])
        return create_groups_table(marked, np.ones(len(table), int), False, "Group")
    return table


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_tables_are_those_of_orange(data: Table, number: int) -> None:
    groups = np.zeros(len(data), np.intp)
    groups[5:20] = np.arange(15) % number + 1 if number else 0
    outputs = Outputs(data)
    for _ in range(2):  # the second time from what was kept
        if number > 1:
            same(outputs.all(groups), create_groups_table(data, groups))
        else:
            same(outputs.all(groups), create_annotated_table(data, np.flatnonzero(groups)))
        found = outputs.selected(groups)
        if number:
            same(found, create_groups_table(data, groups, False, "Group"))
        else:
            assert found is None


def test_the_table_that_came_in_is_left_alone(data: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Table, "LOCKING", True)
    before = data.copy()
    groups = np.ones(len(data), np.intp)
    sent = Outputs(data).all(groups)
    assert np.shares_memory(sent.X, data.X)
    with pytest.raises(ValueError, match="view into another table"), sent.unlocked(sent.X):
        sent.X[...] = 0
    same(data, before)
