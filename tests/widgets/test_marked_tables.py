"""The marked tables are what Orange's own functions make, without their cost."""

import numpy as np
import pytest
from Orange.data import ContinuousVariable, Domain, Table
from Orange.widgets.utils.annotated_data import create_annotated_table, create_groups_table

from orangecontrib.imageanalytics.widgets.marked_tables import MarkedTables


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
    marked = MarkedTables(data)
    for _ in range(2):  # the second time from what was kept
        if number > 1:
            same(marked.all(groups), create_groups_table(data, groups))
        else:
            same(marked.all(groups), create_annotated_table(data, np.flatnonzero(groups)))
        found = marked.selected(groups)
        if number:
            same(found, create_groups_table(data, groups, False, "Group"))
        else:
            assert found is None


def test_the_table_that_came_in_is_left_alone(data: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Table, "LOCKING", True)
    before = data.copy()
    groups = np.ones(len(data), np.intp)
    sent = MarkedTables(data).all(groups)
    assert np.shares_memory(sent.X, data.X)
    with pytest.raises(ValueError, match="view into another table"), sent.unlocked(sent.X):
        sent.X[...] = 0
    same(data, before)


def test_rows_that_follow_each_other_are_not_copied(data: Table) -> None:
    marked = MarkedTables(data)
    some = marked.of_rows(np.array([2, 5, 6]))
    assert some is not None and some.ids.tolist() == data.ids[[2, 5, 6]].tolist()
    following = marked.of_rows(np.arange(2, len(data)))
    assert following is not None and following.ids.tolist() == data.ids[2:].tolist()
    assert np.shares_memory(following.X, data.X)
    assert marked.of_rows(np.empty(0, np.intp)) is None
    same(marked.none_selected(), create_annotated_table(data, []))


def test_many_columns_with_taken_names_get_the_names_that_orange_would_give() -> None:
    names = ["Selected", "Selected (3)", "Selected (x)", "Group (1)", *(f"n{i}" for i in range(50))]
    data = Table.from_numpy(
        Domain([ContinuousVariable(name) for name in names]), np.ones((2, len(names)))
    )
    marked = MarkedTables(data)
    same(marked.none_selected(), create_annotated_table(data, []))
    groups = np.array([1, 0])
    found = marked.selected(groups)
    assert found is not None
    same(found, create_groups_table(data, groups, False, "Group"))
