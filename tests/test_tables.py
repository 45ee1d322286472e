"""Tables: which columns hold images, references out of them, embeddings into them."""

import os
import tracemalloc
from pathlib import Path

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
    TimeVariable,
)

from orangecontrib.imageanalytics import tables
from orangecontrib.imageanalytics.computed_columns import Embedding
from orangecontrib.imageanalytics.outcome import ColumnError, Embedded, Reason, Skipped
from orangecontrib.imageanalytics.tables import (
    embedding_columns,
    embeddings,
    image_column,
    image_columns,
    references,
    with_embeddings,
)


@pytest.fixture(autouse=True)
def locked_tables(monkeypatch):
    """Tables refuse to be written to, as in Orange's own tests."""
    monkeypatch.setattr(Table, "LOCKING", True)


DAMAGED = Skipped(Reason.DAMAGED, "cut off: a.png")


def text_column(values, name="image", **attributes):
    variable = StringVariable(name)
    variable.attributes.update(attributes)
    metas = np.array(values, dtype=object).reshape(-1, 1)
    return Table.from_numpy(
        Domain([], None, [variable]), np.empty((len(metas), 0)), None, metas=metas
    )


def photos(n=6, sparse=False):
    """A table with something in every part: sparse or dense X, class, metas, weights."""
    image = StringVariable("image")
    image.attributes.update(type="image", origin="/photos")
    domain = Domain(
        [ContinuousVariable("age", sparse=sparse), ContinuousVariable("price", sparse=sparse)],
        DiscreteVariable("kind", values=("cat", "dog")),
        [image, DiscreteVariable("place", values=("here", "there")), ContinuousVariable("size")],
    )
    X = np.arange(2.0 * n).reshape(n, 2)
    table = Table.from_numpy(
        domain,
        sp.csr_matrix(X) if sparse else X,
        np.arange(n) % 2.0,
        np.array(
            [[f"{row}.png", row % 2.0, 100.0 * row] for row in range(n)], dtype=object
        ).reshape(n, 3),
        W=np.linspace(1, 2, n),
    )
    table.name = "photos"
    table.attributes = {"source": "a camera"}
    return table


def embedded(n, dimension=3):
    return [Embedded(np.arange(dimension, dtype="f4") + 10 * row) for row in range(n)]


def names(table):
    return [variable.name for variable in table.domain.attributes]


# Which columns


def test_text_and_categorical_metas_can_hold_images_those_marked_first():
    first, second = DiscreteVariable("first", values=("a",)), StringVariable("second")
    number, time, marked = ContinuousVariable("n"), TimeVariable("t"), StringVariable("marked")
    marked.attributes["type"] = "image"
    domain = Domain([], DiscreteVariable("class"), [first, number, second, time, marked])
    assert image_columns(domain) == [marked, first, second]
    assert image_columns(Table.from_domain(domain)) == [marked, first, second]


@pytest.mark.parametrize(
    ("name", "index", "used"),
    [
        ("b", None, "b"),
        ("b", 0, "b"),
        (None, 1, "a"),
        ("gone", 2, "b"),
        ("gone", 3, "marked"),
        ("gone", -1, "marked"),
        (None, None, "marked"),
    ],
)
def test_the_chosen_column_of_images_is_used_if_it_is_there(name, index, used):
    marked = StringVariable("marked")
    marked.attributes["type"] = "image"
    domain = Domain([], metas=[StringVariable("a"), StringVariable("b"), marked])
    assert image_column(Table.from_domain(domain), name, index) == used


def test_without_columns_of_images_none_is_used():
    assert image_column(Table.from_domain(Domain([])), "a", 0) is None
    assert image_column(None, "a") is None


def test_a_column_that_is_not_there_gets_an_error_with_the_candidates():
    with pytest.raises(ColumnError, match=r"no column 'picture'.*: 'image', 'place'\.") as error:
        references(photos(), "picture")
    assert isinstance(error.value, ValueError)
    with pytest.raises(ColumnError, match="no column 'other'"):
        references(photos(), StringVariable("other"))
    with pytest.raises(ColumnError, match="no column 'None'"):
        references(photos(), None)


def test_a_numeric_column_gets_an_error_with_the_candidates():
    with pytest.raises(ColumnError, match=r"'size' is neither text nor categorical.*'image'"):
        references(photos(), "size")


def test_a_table_without_candidates_says_so():
    table = Table.from_domain(Domain([ContinuousVariable("x")]))
    with pytest.raises(ColumnError, match="nor has it any other"):
        references(table, "image")


def test_of_very_many_candidates_ten_are_named():
    metas = [StringVariable(f"text{i}") for i in range(1000)]
    with pytest.raises(ColumnError) as error:
        references(Table.from_domain(Domain([], None, metas)), "image")
    assert "'text9', ..." in str(error.value)
    assert "text10" not in str(error.value)


# References out


def test_a_column_is_found_by_name_and_by_variable():
    table = photos(2)
    expected = [f"/photos{os.sep}0.png", f"/photos{os.sep}1.png"]
    assert references(table, "image") == expected
    assert references(table, table.domain["image"]) == expected
    assert references(table, StringVariable("image")) == expected  # equal, as Orange sees it


def test_missing_values_are_none():
    values = ["a.png", "", None, np.nan, "?", "  ", StringVariable.Unknown]
    assert references(text_column(values), "image") == ["a.png"] + [None] * 6
    with_origin = text_column(values, origin="dir")
    assert references(with_origin, "image") == [f"dir{os.sep}a.png"] + [None] * 6


@pytest.mark.parametrize("part", ["attribute", "class", "meta"])
def test_a_categorical_column_is_read_in_every_part_of_the_table(part):
    variable = DiscreteVariable("picture", values=("b.png", "a.png"))
    variable.attributes["origin"] = "dir"
    column = np.array([[1.0], [0.0], [np.nan]])
    nothing = np.empty((3, 0))
    if part == "attribute":
        table = Table.from_numpy(Domain([variable]), column)
    elif part == "class":
        table = Table.from_numpy(Domain([], variable), nothing, column)
    else:
        table = Table.from_numpy(Domain([], None, [variable]), nothing, metas=column)
    expected = [f"dir{os.sep}a.png", f"dir{os.sep}b.png", None]
    assert references(table, "picture") == expected


@pytest.mark.parametrize(
    "value",
    [
        "/abs/a.png",
        "~/a.png",
        r"C:\photos\a.png",
        "d:/photos/a.png",
        r"\\server\share\a.png",
        "https://example.org/a.png",
        "HTTP://example.org/a.png",
        " https://example.org/a.png",
        "ftp://example.org/a.png",
        "file:///photos/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
    ],
)
@pytest.mark.parametrize("origin", ["", "/photos", "https://other.org/x"])
def test_absolute_paths_addresses_and_data_uris_are_left_as_they_are(value, origin):
    assert references(text_column([value], origin=origin), "image") == [value]


@pytest.mark.parametrize(
    ("origin", "value", "expected"),
    [
        ("", "a.png", "a.png"),
        ("/photos", "a.png", f"/photos{os.sep}a.png"),
        ("/photos/", "cats/a b.png", "/photos/cats/a b.png"),
        ("rel", "a.png", f"rel{os.sep}a.png"),
        ("rel", "scan12:30.png", f"rel{os.sep}scan12:30.png"),
        ("https://e.org", "a.png", "https://e.org/a.png"),
        ("https://e.org/x", "cats/a.png", "https://e.org/x/cats/a.png"),
        ("https://e.org/x/", "../a.png", "https://e.org/a.png"),
        ("https://e.org/x/", "scan12:30.png", "https://e.org/x/scan12:30.png"),
        ("https://e.org/x/", "a.png?size=2", "https://e.org/x/a.png?size=2"),
        ("file:///photos", "a.png", "file:///photos/a.png"),
    ],
)
def test_the_origin_is_put_before_relative_values(origin, value, expected):
    assert references(text_column([value], origin=origin), "image") == [expected]


def test_values_that_are_not_text_are_read_as_text():
    assert references(text_column([7, "a.png"], origin=None), "image") == ["7", "a.png"]


# Embeddings in


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


# Whose columns


def made_by(model, title):
    return Embedding(model, "fingerprint", "image", title=title, dimension=3, opens=dict)


MADE_BY_NET = made_by("my-net", "My: net (2)")


def test_columns_say_which_embedder_made_them():
    images, _, _ = with_embeddings(photos(), embedded(6), MADE_BY_NET)
    for variable in images.domain.attributes[2:]:
        assert variable.attributes == {"hidden": True, "embedder": "my-net: My: net (2)"}
    [found] = embeddings(images)
    assert (found.model, found.title) == ("my-net", "My: net (2)")
    assert found.columns == images.domain.attributes[2:]
    assert embedding_columns(images.domain) == list(images.domain.attributes[2:])


def test_several_embeddings_are_told_apart_and_the_last_one_is_the_one():
    once, _, _ = with_embeddings(photos(), embedded(6), MADE_BY_NET)
    twice, _, _ = with_embeddings(once, embedded(6), MADE_BY_NET)
    thrice, _, _ = with_embeddings(twice, embedded(6, dimension=1), made_by("b", "B"))
    first, second, third = embeddings(thrice)
    assert [variable.name for variable in second.columns] == ["n0 (1)", "n1 (1)", "n2 (1)"]
    assert (first.model, second.model, third.model) == ("my-net", "my-net", "b")
    assert [variable.name for variable in embedding_columns(thrice)] == ["n0 (2)"]


def test_columns_that_say_nothing_are_of_no_embedding():
    assert embeddings(photos()) == embedding_columns(photos()) == []
    unsaid, _, _ = with_embeddings(photos(), embedded(6))
    assert embedding_columns(unsaid) == []


def test_what_is_left_of_an_embedding_is_found_among_the_metas_too():
    images, _, _ = with_embeddings(photos(), embedded(6), MADE_BY_NET)
    age, _, _, n1, n2 = images.domain.attributes
    moved = images.transform(Domain([age, n2], None, [*images.domain.metas, n1.renamed("one")]))
    assert [variable.name for variable in embedding_columns(moved)] == ["n2", "one"]


def test_a_tab_file_keeps_who_made_the_columns(tmp_path):
    images, _, _ = with_embeddings(photos(), embedded(6), MADE_BY_NET)
    images.save(str(tmp_path / "embedded.tab"))
    [found] = embeddings(Table(str(tmp_path / "embedded.tab")))
    assert (found.model, found.title, len(found.columns)) == ("my-net", "My: net (2)", 3)


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


def names_table(*names: str, **attributes: str) -> Table:
    image = StringVariable("image")
    image.attributes.update(attributes)
    metas = np.array(names, dtype=object).reshape(-1, 1)
    return Table.from_numpy(Domain([], metas=[image]), np.empty((len(names), 0)), metas=metas)


def test_a_folder_is_put_before_bare_names(tmp_path: Path) -> None:
    table = names_table("a.png", "/b.png", "https://x.org/c.png", "")
    found = tables.references(table, "image", tmp_path)
    assert found == [str(tmp_path / "a.png"), "/b.png", "https://x.org/c.png", None]


def test_bare_names_of_a_file_are_looked_for_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "data.csv").write_text("image\na.png\nb.png\nc.png\n")
    table = Table.from_file(str(tmp_path / "data.csv"))
    found = tables.references(table, "image")
    assert found == [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]


def test_a_relative_origin_is_relative_to_the_tables_file(tmp_path: Path) -> None:
    (tmp_path / "data.tab").write_text("image\nstring\nmeta type=image origin=photos\na.png\n")
    table = Table.from_file(str(tmp_path / "data.tab"))
    assert tables.references(table, "image") == [str(tmp_path / "photos" / "a.png")]


def test_a_column_needs_a_folder_if_a_value_leaves_it_open() -> None:
    assert tables.needs_folder(names_table("/a.png", "b.png"), "image")
    assert tables.needs_folder(names_table("b.png", origin="photos"), "image")
    assert not tables.needs_folder(names_table("b.png", origin="/photos"), "image")
    assert not tables.needs_folder(names_table("/a.png", "", "?"), "image")
