"""Points thinned by scale: nothing overlaps, nothing more has room, and what is seen stays so."""

from __future__ import annotations

import numpy as np
import pytest

from orangecontrib.imageanalytics.arrangement import Places, thin
from orangecontrib.imageanalytics.arrangement.thinning import LATTICE


def spots(count: int = 400) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 2)) * (3, 1)


def seen(places: Places, apart: float) -> np.ndarray:
    return places.points[places.order[places.apart >= apart]]


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one[:, None] - other[None]).max(axis=2)


@pytest.mark.parametrize("apart", [0.3, 0.1, 0.02, 0.004])
def test_what_is_seen_is_apart_and_what_is_not_has_no_room(apart):
    places = thin(spots())
    shown = seen(places, apart)
    between = distances(shown, shown)
    np.fill_diagonal(between, np.inf)
    assert between.min() >= apart
    assert distances(places.points, shown).min(axis=1).max() < apart or len(shown) == 400


def test_all_come_into_sight_one_after_the_other_and_the_same_way_each_time():
    places, again = thin(spots()), thin(spots())
    assert sorted(places.order.tolist()) == list(range(400))
    assert (np.diff(places.apart[1:]) <= 0).all() and places.apart[0] == np.inf
    assert np.array_equal(places.order, again.order)
    assert np.array_equal(places.points, again.points)


def test_points_keep_their_places_and_the_ratio_of_the_sides():
    points = spots()
    places = thin(points)
    expected = (points - points.min(axis=0)) / (points.max(axis=0) - points.min(axis=0)).max()
    assert np.abs(places.points - expected).max() < 2 / LATTICE
    assert places.points.max() == 1 and places.points[:, 1].max() < 0.6


def test_equal_points_get_places_beside_each_other():
    one_spot = np.zeros((1000, 2))
    places = thin(np.concatenate([one_spot, [[1.0, 1.0]]]))
    assert len(np.unique(places.points, axis=0)) == 1001
    assert np.abs(places.points[:1000]).max() < 40 / LATTICE
    assert places.apart[-1] > 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_have_places(count):
    places = thin(np.zeros((count, 2)))
    assert len(places.points) == len(places.order) == len(np.unique(places.points, axis=0)) == count
    assert np.isfinite(places.points).all()


def test_it_can_be_ended():
    class Enough(Exception):
        pass

    def tick(done: float) -> None:
        if done > 0.5:
            raise Enough

    with pytest.raises(Enough):
        thin(spots(2000), tick)
