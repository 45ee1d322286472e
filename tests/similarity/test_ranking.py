"""All vectors by how alike they are to some."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from orangecontrib.imageanalytics.similarity import rank, rank_by, ranking


@pytest.fixture
def vectors():
    return np.random.default_rng(0).random((200, 12), np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("at_once", [ranking._AT_ONCE, 1])
def test_one_selected_ranks_by_distance(vectors, metric, at_once, monkeypatch):
    monkeypatch.setattr(ranking, "_AT_ONCE", at_once)
    order = rank(vectors, [17], metric)
    assert order[0] == 17 and sorted(order) == list(range(200))
    distances = cdist(vectors[[17]].astype(float), vectors.astype(float), metric)[0]
    assert (np.diff(distances[order]) > -1e-6).all()


def test_several_rank_by_the_mean_of_their_ranks(vectors):
    chosen = [9, 3, 100]
    order = rank(vectors, chosen)
    ranks = rankdata(cdist(vectors.astype(float), vectors[chosen].astype(float), "cosine"), axis=0)
    expected = [i for i in np.argsort(ranks.mean(axis=1), kind="stable") if i not in chosen]
    assert order.tolist() == chosen + expected


def test_the_selected_come_first_in_their_order_and_each_once(vectors):
    assert rank(vectors, [5, 2, 5, -1])[:3].tolist() == [5, 2, 199]


def test_equally_alike_ones_stay_in_order():
    assert rank(np.ones((6, 3)), [4]).tolist() == [4, 0, 1, 2, 3, 5]


def test_rows_with_missing_numbers_come_last(vectors):
    vectors[[0, 50]] = np.nan
    assert rank(vectors, [3])[-2:].tolist() == [0, 50]
    assert rank(vectors, [3, 50])[:2].tolist() == [3, 50]
    assert rank(vectors, [3, 50])[2:].tolist() == [i for i in rank(vectors, [3])[1:] if i != 50]


def test_pictures_of_another_table_can_be_what_is_compared_with(vectors):
    assert rank_by(vectors, vectors[[8]] * 3)[0] == 8


def test_near_copies_far_from_the_origin_are_told_apart():
    chance = np.random.default_rng(0)
    vectors = (chance.normal(0, 1, (100, 20)) + 1000).astype(np.float32)
    vectors[70] = vectors[20] + 0.001
    assert rank(vectors, [20], "euclidean")[1] == 70


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank(np.ones((3, 2)), []), "Nothing is selected"),
        (lambda: rank_by(np.ones((3, 2)), np.ones((1, 5))), "not of the same model"),
        (lambda: rank_by(np.ones((3, 2)), np.full((1, 2), np.nan)), "missing number"),
        (lambda: rank(np.ones(3), [0]), "1 dimensions"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_selected_row_that_is_not_there_is_refused():
    with pytest.raises(IndexError):
        rank(np.ones((3, 2)), [3])
