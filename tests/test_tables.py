"""Tables: which columns hold images or an embedding, references out of them."""

import os
from pathlib import Path

import numpy as np
import pytest
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
from orangecontrib.imageanalytics.outcome import ColumnError
from orangecontrib.imageanalytics.tables import (
    embedding_columns,
    embeddings,
    image_column,
    image_columns,
    references,
)
from orangecontrib.imageanalytics.widened_tables import with_embeddings

from .photo_tables import embedded, photos, text_column

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
