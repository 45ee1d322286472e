"""ImageGrid for scripts: as the public add-on's, and errors where that one asserts."""

import numpy as np
import pytest
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table

from orangecontrib.imageanalytics.image_grid import (
    AllColumnsRemovedError,
    ImageGrid,
    TooFewCellsError,
    features,
)
from orangecontrib.imageanalytics.outcome import EmbeddingError


def table(values, embedder=None, names=()):
    values = np.asarray(values, float)
    columns = [ContinuousVariable(f"n{i}") for i in range(values.shape[1])]
    if embedder:
        for column in columns[: embedder[1]]:
            column.attributes["embedder"] = embedder[0]
    image = StringVariable("image")
    image.attributes["type"] = "image"
    domain = Domain(columns, DiscreteVariable("kind", ("a", "b")), [image])
    metas = np.empty((len(values), 1), object)
    metas[:, 0] = [f"{i}.png" for i in range(len(values))]
    return Table.from_numpy(domain, values, np.arange(len(values)) % 2, metas)


@pytest.fixture
def seven():
    return table(np.random.default_rng(0).normal(size=(7, 5)))


def test_attributes_are_those_of_the_public_one(seven):
    grid = ImageGrid(seven)
    assert grid.data is seven and grid.norm_data.shape == (7, 2)
    assert grid.norm_data.min() == 0 and grid.norm_data.max() == 1
    assert (grid.size_x, grid.size_y, len(grid.image_list)) == (0, 0, 0)
    grid.process()
    assert (grid.size_x, grid.size_y) == (3, 3)
    assert sorted(grid.grid_indices.tolist()) == [-1, -1, *range(7)]
    assert grid.cost > 0
    assert grid.assignments.shape == (7, 2)


def test_assignments_and_indices_say_the_same(seven):
    grid = ImageGrid(seven)
    grid.process(4, 2)
    for row, (column, line) in enumerate(grid.assignments.astype(int)):
        assert grid.grid_indices[line * grid.size_x + column] == row


def test_the_list_of_images_is_a_table_with_missing_rows(seven):
    grid = ImageGrid(seven, method="PCA")
    grid.process(4, 2)
    assert isinstance(grid.image_list, Table) and len(grid.image_list) == 8
    for index, row in zip(grid.grid_indices, grid.image_list, strict=True):
        if index < 0:
            assert np.isnan(row.x).all() and np.isnan(row["kind"]) and row["image"] == ""
        else:
            assert row.id == seven[index].id and row["image"] == seven[index]["image"]


def test_anything_is_put_into_the_order_of_the_cells(seven):
    grid = ImageGrid(seven, method="PCA")
    grid.process(3, 3)
    letters = grid.order_to_grid("abcdefg")
    assert letters == [None if i < 0 else "abcdefg"[i] for i in grid.grid_indices]
    assert letters.count(None) == 2


def test_one_size_alone_does_not_count(seven):
    grid = ImageGrid(seven, method="PCA")
    grid.process(size_x=7)
    assert (grid.size_x, grid.size_y) == (3, 3)


def test_too_few_cells_are_an_error_in_words(seven):
    grid = ImageGrid(seven, method="PCA")
    with pytest.raises(TooFewCellsError, match="7 pictures do not fit into a grid of 2 x 3"):
        grid.process(2, 3)
    with pytest.raises(ValueError, match="at least one row"):
        grid.process(-2, 3)


@pytest.mark.parametrize("method", ["t-SNE", "MDS", "PCA"])
def test_it_is_the_same_in_every_run(method):
    data = table(np.random.default_rng(1).normal(size=(50, 30)))
    first, second = ImageGrid(data, method), ImageGrid(data, method)
    first.process()
    second.process()
    assert np.array_equal(first.grid_indices, second.grid_indices)


def test_an_unknown_method_is_an_error_in_words(seven):
    with pytest.raises(ValueError, match="no method 'UMAP' to lay pictures out; there are t-SNE"):
        ImageGrid(seven, "UMAP")


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_pictures_have_their_cells(count):
    grid = ImageGrid(table(np.ones((count, 4))))
    grid.process()
    assert sorted(grid.grid_indices.tolist()) == list(range(count))


@pytest.mark.parametrize("values", [np.full((4, 3), np.nan), np.empty((4, 0)), np.empty((0, 3))])
def test_without_numbers_there_is_nothing_to_compare(values):
    with pytest.raises(AllColumnsRemovedError, match="no numbers") as caught:
        ImageGrid(table(values))
    assert isinstance(caught.value, EmbeddingError) and isinstance(caught.value, ValueError)


def test_missing_values_are_their_columns_mean():
    found = features(table([[1, np.nan, np.inf], [3, np.nan, 4], [np.nan, np.nan, 8]]))
    assert found.shape == (3, 2) and np.isfinite(found).all()
    assert found[2, 0] == pytest.approx(0) and found[0, 1] == pytest.approx(0)


def test_the_columns_of_an_embedding_count_alone_and_as_they_are():
    values = np.random.default_rng(0).normal(size=(6, 5))
    found = features(table(values, embedder=("m: Model", 3)))
    assert np.array_equal(found, values[:, :3].astype(np.float32))


def test_an_embedding_among_the_metas_counts_too():
    data = table(np.random.default_rng(0).normal(size=(6, 3)), embedder=("m: Model", 2))
    moved = Domain(data.domain.attributes[2:], None, data.domain.attributes[:2])
    assert np.array_equal(features(data.transform(moved)), features(data))


def test_other_columns_count_by_their_deviations():
    found = features(table([[0, 0], [1, 1000], [2, 2000.0]]))
    assert np.allclose(found[:, 0], found[:, 1]) and found.std() == pytest.approx(1)


def test_constant_columns_do_no_harm():
    found = features(table([[5, 1], [5, 2], [5, 3.0]]))
    assert not found[:, 0].any() and found[:, 1].any()


def test_a_sparse_table_is_taken():
    import scipy.sparse

    data = table(np.eye(4))
    expected = features(data)
    with data.unlocked():
        data.X = scipy.sparse.csr_matrix(data.X)
    assert np.array_equal(features(data), expected)
