"""A table with more meta columns: what stays, and what is shared."""

import numpy as np
import scipy.sparse as sp
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table

from orangecontrib.imageanalytics.widgets.shared_tables import free_names, with_metas


class Special(Table):
    pass


def table(metas, values):
    numbers = np.arange(12.0).reshape(4, 3)
    domain = Domain([ContinuousVariable(name) for name in "xy"], ContinuousVariable("z"), metas)
    values = np.array(values, object if isinstance(values[0][0], str) else float)
    found = Special.from_numpy(domain, numbers[:, :2], numbers[:, 2], values)
    found.attributes = {"by": "me"}
    found.name = "named"
    return found


NEW = ContinuousVariable("group"), DiscreteVariable("kept", ("no", "yes"))
VALUES = np.array([[1, 0], [1, 1], [np.nan, 1], [2, 1]])


def test_all_that_a_table_has_stays_and_its_numbers_are_shared():
    old = table([StringVariable("image")], [["a"], ["b"], ["c"], ["d"]])
    new = with_metas(old, NEW, VALUES)
    assert type(new) is Special and new.name == "named" and new.attributes == {"by": "me"}
    assert (new.ids == old.ids).all() and (new.W == old.W).all() and (new.Y == old.Y).all()
    assert [v.name for v in new.domain.metas] == ["image", "group", "kept"]
    assert np.shares_memory(new.X, old.X)
    assert new.get_column("image").tolist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(new.get_column("group"), VALUES[:, 0])
    assert [str(row["kept"]) for row in new] == ["no", "yes", "yes", "yes"]
    assert [v.name for v in old.domain.metas] == ["image"] and old.metas.shape == (4, 1)
    old.transform(new.domain)  # Orange can still make one of the other


def test_numbers_stay_numbers_and_sparse_metas_become_dense():
    old = table([ContinuousVariable("m")], [[1.0], [2.0], [3.0], [4.0]])
    with old.unlocked(old.metas):
        old.metas = old.metas.astype(float)
    assert with_metas(old, NEW, VALUES).metas.dtype == float
    with old.unlocked(old.metas):
        old.metas = sp.csr_matrix(old.metas)
    assert with_metas(old, NEW, VALUES).metas[:, 0].tolist() == [1, 2, 3, 4]


def test_names_that_are_taken_are_numbered():
    domain = Domain([ContinuousVariable("kept"), ContinuousVariable("group (1)")])
    assert free_names(domain, ["distance"]) == ["distance"]
    names = free_names(domain, ["group", "kept"])
    assert len({*names, "kept", "group (1)"}) == 4
