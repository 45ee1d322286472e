"""Groups of near duplicates: every two of a group are within the distance, at any distance."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics.similarity import group, grouping, pairs_within


def as_sets(labels):
    return {frozenset(np.flatnonzero(labels == label)) for label in set(labels) - {-1}}


@pytest.fixture
def vectors():
    return np.random.default_rng(1).random((400, 3))


def test_they_are_those_of_complete_linkage(vectors):
    tree = group(vectors, 0.3, "euclidean")
    expected = linkage(cdist(vectors, vectors)[np.triu_indices(400, 1)], "complete")
    for distance in (0.02, 0.1, 0.2, 0.29):
        names = fcluster(expected, distance, "distance")
        sets = {frozenset(np.flatnonzero(names == name)) for name in set(names)}
        assert as_sets(tree.labels(distance)) == {s for s in sets if len(s) > 1}


def test_every_two_of_a_group_are_within_the_distance_and_groups_only_grow(vectors):
    tree = group(vectors, 0.4, "euclidean")
    before = set()
    for distance in np.linspace(0, 0.4, 9):
        sets = as_sets(tree.labels(distance))
        for members in map(list, sets):
            assert cdist(vectors[members], vectors[members]).max() <= distance + 1e-5
        assert all(any(small <= large for large in sets) for small in before)
        before = sets


def test_a_chain_of_slow_changes_is_not_one_group():
    chain = np.arange(100.0)[:, None]
    labels = group(chain, 1.5, "euclidean").labels(1.5)
    assert np.bincount(labels[labels >= 0]).max() == 2


def test_a_long_row_of_equal_steps_is_joined_in_few_rounds(monkeypatch):
    rounds = []
    monkeypatch.setattr(
        grouping, "_mutual", lambda *given, f=grouping._mutual: (rounds.append(1), f(*given))[1]
    )
    labels = group(np.arange(3000.0)[:, None], 1.5, "euclidean").labels(1.5)
    assert np.bincount(labels[labels >= 0]).max() == 2
    assert len(rounds) < 50


def test_the_number_of_groups_is_known_at_each_distance(vectors):
    tree = group(vectors, 0.4, "euclidean")
    distances = np.linspace(0, 0.4, 30)
    expected = [len(as_sets(tree.labels(distance))) for distance in distances]
    assert tree.numbers_of_groups(distances).tolist() == expected
    assert max(expected) > 50


def test_copies_are_a_group_at_distance_0():
    vectors = np.random.default_rng(0).random((50, 9), np.float32)
    vectors[[10, 30, 40]] = vectors[3]
    tree = group(vectors, 0.01)
    assert np.flatnonzero(tree.labels(0) == 0).tolist() == [3, 10, 30, 40]
    assert tree.numbers_of_groups([0.0]).tolist() == [1]


def test_groups_are_numbered_by_their_first_members():
    labels = group([[9.0], [0.0], [5.0], [0.1], [9.1], [5.1], [20.0]], 0.5, "euclidean").labels(0.5)
    assert labels.tolist() == [0, 1, 2, 1, 0, 2, -1]


def test_rows_with_missing_numbers_are_in_no_group():
    vectors = np.ones((6, 4))
    vectors[[1, 2]] = np.nan
    assert group(vectors, 0.1).labels(0.1).tolist() == [0, -1, -1, 0, 0, 0]


def test_a_distance_that_was_not_looked_at_is_refused(vectors):
    with pytest.raises(ValueError, match=r"up to a distance of 0\.1"):
        group(vectors, 0.1).labels(0.2)


def test_nothing_and_one_vector_make_no_groups():
    assert group(np.empty((0, 3)), 0.1).labels(0.1).tolist() == []
    assert group([[1.0, 2.0]], 0.1).labels(0.1).tolist() == [-1]
    assert group([[1.0], [5.0]], 0.1, "euclidean").numbers_of_groups([0, 0.1]).tolist() == [0, 0]


def test_too_many_near_each_other_are_grouped_within_a_smaller_distance(vectors, monkeypatch):
    monkeypatch.setattr(grouping, "_MOST", 1000)
    tree = group(vectors, 0.5, "euclidean")
    assert 0 < tree.reach < 0.5
    expected = group(vectors, tree.reach, "euclidean")
    assert (tree.labels(tree.reach) == expected.labels(tree.reach)).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_pairs_are_all_that_are_within_the_distance(vectors, metric):
    found = pairs_within(vectors, 0.1, metric)
    first, second = np.nonzero(np.triu(cdist(vectors, vectors, metric) <= 0.1, 1))
    assert found.first.tolist() == first.tolist() and found.second.tolist() == second.tolist()
    assert found.reach == 0.1


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_of_too_many_pairs_the_nearest_are_kept_and_all_within_the_reach(vectors, metric):
    found = pairs_within(vectors, 2.0, metric, at_most=500)
    assert 200 < len(found.first) <= 500
    distances = cdist(vectors, vectors, metric)[np.triu_indices(400, 1)]
    assert (distances <= found.reach).sum() == len(found.first)


def test_a_negative_distance_is_refused(vectors):
    with pytest.raises(ValueError, match="0 or more"):
        pairs_within(vectors, -1.0)
