"""The k nearest neighbours are those that scikit-learn finds by brute force in float64."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from orangecontrib.imageanalytics.similarity import nearest, space


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks that a test's few vectors make many of."""
    monkeypatch.setattr(space, "_ROWS", 128)


def reference(vectors, k, metric):
    found = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute")
    return found.fit(np.asarray(vectors, float)).kneighbors()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1000, 40), (128, 3), (129, 700), (60, 5)])
def test_they_are_those_of_an_independent_search(metric, kind, shape):
    vectors = np.random.default_rng(0).normal(1, 1, shape).astype(kind)
    found = nearest(vectors, 7, metric)
    distances, indices = reference(vectors, 7, metric)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-4, atol=1e-6)
    different = found.indices != indices  # only where two are as good as equally near
    assert different.mean() < 0.01
    assert found.indices.dtype == np.intp and found.distances.dtype == np.float32


def test_near_copies_far_from_the_origin_are_told_apart():
    chance = np.random.default_rng(0)
    vectors = chance.normal(0, 1, (300, 20)) + 1000
    vectors[150:] = vectors[:150] + chance.normal(0, 1e-3, (150, 20))
    found = nearest(vectors.astype(np.float32), 1, "euclidean")
    assert found.indices[:, 0].tolist() == [*range(150, 300), *range(150)]
    assert found.distances.max() < 0.01


def test_copies_are_at_distance_0_and_the_first_come_first():
    vectors = np.tile(np.random.default_rng(0).random((50, 30), np.float32), (6, 1))
    found = nearest(vectors, 4)
    assert (found.distances == 0).all()
    assert found.indices[0].tolist() == [50, 100, 150, 200]
    assert found.indices[299].tolist() == [49, 99, 149, 199]


def test_where_there_are_too_few_the_rest_is_missing():
    found = nearest([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 5)
    assert found.indices[0].tolist() == [2, 1, -1, -1, -1]
    assert np.isnan(found.distances[:, 2:]).all()
    assert nearest(np.empty((0, 3)), 2).indices.shape == (0, 2)
    assert nearest([[1.0, 2.0]], 2).indices.tolist() == [[-1, -1]]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_rows_with_missing_numbers_have_no_neighbours_and_are_nobodys(metric):
    vectors = np.random.default_rng(0).random((300, 8))
    missing = [0, 7, 200]
    vectors[missing, [0, 3, 7]] = [np.nan, np.inf, np.nan]
    found = nearest(vectors, 3, metric)
    assert (found.indices[missing] == -1).all() and np.isnan(found.distances[missing]).all()
    assert not np.isin(found.indices, missing).any()
    whole = np.delete(np.arange(300), missing)
    _, indices = reference(vectors[whole], 3, metric)
    assert (found.indices[whole] == whole[indices]).mean() > 0.99


def test_a_vector_of_zeros_is_at_1_from_all():
    found = nearest([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], 2)
    assert found.distances.tolist() == [[1, 1], [1, 1], [1, 1]]


def test_progress_rises_to_1_and_what_the_callback_raises_comes_out():
    vectors = np.random.default_rng(0).random((500, 8))
    shares = []
    nearest(vectors, 3, callback=shares.append)
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares) and len(shares) > 5

    class Stop(Exception):
        pass

    def stop(share):
        if share > 0.3:
            raise Stop

    with pytest.raises(Stop):
        nearest(vectors, 3, callback=stop)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], 1), "1 dimensions"),
        (([[1.0, 2.0]], 0), "1 or more"),
        (([[1.0, 2.0]], 1, "manhattan"), "manhattan"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        nearest(*arguments)


def test_the_vectors_are_left_as_they_are():
    vectors = np.random.default_rng(0).random((300, 8), np.float32)
    before = vectors.copy()
    nearest(vectors, 2, "euclidean")
    assert (vectors == before).all()
