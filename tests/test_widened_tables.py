"""Embeddings into tables: nothing is lost, moved or shared on the way."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)

from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.widened_tables import with_embeddings

from .photo_tables import DAMAGED, embedded, names, photos


def test_embedded_and_skipped_rows_part_the_table():
    table = photos(4)
    outcomes = embedded(4)
    outcomes[1] = DAMAGED
    images, skipped, n_skipped = with_embeddings(table, outcomes)
    assert n_skipped == 1
    assert list(images.ids) == list(table.ids[[0, 2, 3]])
    assert list(skipped.ids) == [table.ids[1]]
    np.testing.assert_array_equal(images.X[0], [0, 1, 0, 1, 2])
    np.testing.assert_array_equal(images.X[2], [6, 7, 30, 31, 32])
    assert images.X.dtype == float
    np.testing.assert_array_equal(images.Y, table.Y[[0, 2, 3]])
    np.testing.assert_array_equal(images.metas, table.metas[[0, 2, 3]])
    np.testing.assert_array_equal(images.W, table.W[[0, 2, 3]])
    np.testing.assert_array_equal(skipped.X, table.X[[1]])
    np.testing.assert_array_equal(skipped.W, table.W[[1]])
    assert images.name == "Embedded images"
    assert skipped.name == "Skipped images"
    assert images.attributes == skipped.attributes == {"source": "a camera"}
    assert images.attributes is not table.attributes


@given(st.lists(st.booleans(), max_size=12))
def test_no_row_is_lost_and_every_vector_is_on_its_row(is_embedded):
    n = len(is_embedded)
    table = photos(n)
    outcomes = [e if yes else DAMAGED for e, yes in zip(embedded(n), is_embedded, strict=True)]
    images, skipped, n_skipped = with_embeddings(table, outcomes)
    embedded_ids = [] if images is None else list(images.ids)
    skipped_ids = [] if skipped is None else list(skipped.ids)
    assert n_skipped == len(skipped_ids) == is_embedded.count(False)
    assert embedded_ids == [i for i, yes in zip(table.ids, is_embedded, strict=True) if yes]
    assert skipped_ids == [i for i, yes in zip(table.ids, is_embedded, strict=True) if not yes]
    if images is not None:
        rows = [row for row, yes in enumerate(is_embedded) if yes]
        assert list(images.get_column("n0")) == [10 * row for row in rows]
        assert list(images.get_column("image")) == [f"{row}.png" for row in rows]


def test_new_columns_are_plain_numeric_and_hidden():
    images, _, _ = with_embeddings(photos(), embedded(6))
    assert names(images) == ["age", "price", "n0", "n1", "n2"]
    for variable in images.domain.attributes[2:]:
        assert type(variable) is ContinuousVariable
        assert variable.attributes == {"hidden": True}
        assert variable.compute_value is None
    assert images.domain.attributes[2] == ContinuousVariable("n0")
    assert images.domain.class_var == photos().domain.class_var
    assert images.domain.metas == photos().domain.metas


def test_all_embedded_leaves_no_skipped_table():
    images, skipped, n_skipped = with_embeddings(photos(), embedded(6))
    assert (len(images), skipped, n_skipped) == (6, None, 0)


def test_all_skipped_leaves_no_embedded_table():
    images, skipped, n_skipped = with_embeddings(photos(), [DAMAGED] * 6)
    assert (images, len(skipped), n_skipped) == (None, 6, 6)


def test_an_empty_table_gives_neither():
    assert with_embeddings(photos(0), []) == (None, None, 0)


def test_an_outcome_missing_is_an_error():
    with pytest.raises(ValueError, match="5 outcomes for a table of 6 rows"):
        with_embeddings(photos(), embedded(5))


def test_the_skipped_table_says_why_in_a_text_meta_behind_the_others():
    _, skipped, _ = with_embeddings(photos(2), [DAMAGED, Skipped(Reason.NO_IMAGE)])
    *others, reason = skipped.domain.metas
    assert others == list(photos().domain.metas)
    assert reason.name == "skip reason"
    assert reason.is_string
    assert list(skipped.metas[:, -1]) == ["damaged: cut off: a.png", "no image given"]
    assert list(skipped.get_column("size")) == [0, 100]
    assert skipped.get_column("size").dtype == float


def test_skipped_images_skipped_again_keep_their_old_reason():
    _, skipped, _ = with_embeddings(photos(2), [DAMAGED] * 2)
    _, again, _ = with_embeddings(skipped, [Skipped(Reason.NOT_FOUND)] * 2)
    assert [v.name for v in again.domain.metas[-2:]] == ["skip reason", "skip reason (1)"]
    assert list(again.metas[0, -2:]) == ["damaged: cut off: a.png", "not found"]


def test_metas_without_text_can_get_a_skip_reason():
    picture = DiscreteVariable("picture", values=("a.png",))
    domain = Domain([], None, [picture])
    table = Table.from_numpy(domain, np.empty((2, 0)), metas=np.array([[0.0], [np.nan]]))
    _, skipped, _ = with_embeddings(table, [DAMAGED] * 2)
    assert [str(row["picture"]) for row in skipped] == ["a.png", "?"]


def test_a_second_embedding_gets_free_names():
    once, _, _ = with_embeddings(photos(2), embedded(2))
    twice, _, _ = with_embeddings(once, embedded(2, dimension=4))
    thrice, _, _ = with_embeddings(twice, embedded(2, dimension=1))
    assert names(thrice)[2:] == [
        *["n0", "n1", "n2"],
        *["n0 (1)", "n1 (1)", "n2 (1)", "n3 (1)"],
        "n0 (2)",
    ]
    np.testing.assert_array_equal(thrice.X[1], [2, 3, 10, 11, 12, 10, 11, 12, 13, 10])


def test_a_name_taken_by_a_class_or_a_meta_is_not_taken_again():
    metas = [StringVariable("image"), StringVariable("n1")]
    domain = Domain([], ContinuousVariable("n2 (1)"), metas)
    images, _, _ = with_embeddings(
        Table.from_numpy(domain, np.empty((1, 0)), [0.0], np.array([["a.png", "x"]], dtype=object)),
        embedded(1),
    )
    assert names(images) == ["n0 (2)", "n1 (2)", "n2 (2)"]


@pytest.mark.parametrize("n_skipped", [0, 2])
def test_sparse_x_stays_sparse(n_skipped):
    table = photos(sparse=True)
    outcomes = [*[DAMAGED] * n_skipped, *embedded(6 - n_skipped)]
    images, skipped, _ = with_embeddings(table, outcomes)
    assert sp.isspmatrix_csr(images.X)
    np.testing.assert_array_equal(images.X.toarray()[:, :2], table.X.toarray()[n_skipped:])
    np.testing.assert_array_equal(
        images.X.toarray()[:, 2:], [e.vector for e in outcomes[n_skipped:]]
    )
    assert skipped is None or sp.issparse(skipped.X)
    # Orange decides by the columns' flag, too, when it transforms the table
    assert sp.issparse(images.transform(Domain(images.domain.attributes[1:])).X)


class Album(Table):
    """A table that knows more than a Table, and keeps it as Orange3-Text's Corpus does."""

    pages: np.ndarray
    owner = "nobody"

    @classmethod
    def from_photos(cls, n):
        album = cls.from_table(photos().domain, photos(n))
        album.pages = np.arange(n)
        album.owner = "Ada"
        return album

    def __getitem__(self, key):
        selected = super().__getitem__(key)
        if isinstance(selected, Album):
            selected.pages = self.pages[key]
        return selected

    def copy(self):
        album = super().copy()
        album.pages, album.owner = self.pages, self.owner
        return album


def test_a_subclass_stays_and_keeps_what_its_copy_and_its_selection_keep():
    album = Album.from_photos(4)
    whole, _, _ = with_embeddings(album, embedded(4))
    assert type(whole) is Album
    assert (list(whole.pages), whole.owner) == ([0, 1, 2, 3], "Ada")
    part, skipped, _ = with_embeddings(album, [DAMAGED, *embedded(2), DAMAGED])
    assert type(part) is type(skipped) is Album
    assert list(part.pages) == [1, 2]
    assert list(skipped.pages) == [0, 3]


@pytest.mark.parametrize("outcomes", [embedded(6), [DAMAGED, *embedded(5)], [DAMAGED] * 6])
def test_the_results_share_no_memory_with_the_table_and_leave_it_as_it_was(outcomes):
    table = photos()
    before = table.copy()
    for result in with_embeddings(table, outcomes)[:2]:
        if result is None:
            continue
        for part in ("X", "Y", "metas", "W", "ids"):
            assert not np.may_share_memory(getattr(result, part), getattr(table, part)), part
        with pytest.raises(ValueError, match="read-only"):  # locked, as all tables are
            result.Y[0] = 1
        with result.unlocked():
            result.X[:], result.Y[:], result.metas[:] = 0, 0, 0
    assert table.name == "photos"
    assert table.domain == before.domain
    np.testing.assert_array_equal(table.X, before.X)
    np.testing.assert_array_equal(table.Y, before.Y)
    np.testing.assert_array_equal(table.metas, before.metas)


def test_a_view_of_another_table_can_be_embedded():
    images, _, _ = with_embeddings(photos()[2:5], embedded(3))
    assert list(images.get_column("image")) == ["2.png", "3.png", "4.png"]
    with images.unlocked():
        images.X[0, 0] = 7


@pytest.mark.parametrize("n_skipped", [0, 1])
@pytest.mark.parametrize("columns", [0, 1024])
def test_appending_takes_little_more_memory_than_the_result(columns, n_skipped):
    n = 1000
    domain = Domain([ContinuousVariable(f"x{i}") for i in range(columns)])
    table = Table.from_numpy(domain, np.ones((n, columns)))
    outcomes = [*[DAMAGED] * n_skipped, *embedded(n - n_skipped, 1024)]
    tracemalloc.start()
    try:
        images, _, _ = with_embeddings(table, outcomes)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * images.X.nbytes
