"""Each point gets a cell of its own, at little more than the least cost."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics.arrangement import (
    Grid,
    TooFewCellsError,
    assign,
    cost,
    spread,
    to_unit_square,
)


def uniform(count, seed=0):
    return np.random.default_rng(seed).random((count, 2))


def clustered(count):
    chance = np.random.default_rng(1)
    middles = chance.normal(size=(8, 2)) * 5
    return to_unit_square(
        middles[chance.integers(8, size=count)] + 0.3 * chance.normal(size=(count, 2))
    )


def least_cost(points, grid):
    """By the exact solution for all points and cells at once."""
    y, x = np.divmod(np.arange(grid.size), grid.columns)
    centres = np.stack([x, y], axis=1) + 0.5
    distances = cdist(points * (grid.columns, grid.rows), centres, "sqeuclidean")
    return distances[linear_sum_assignment(distances)].sum()


def check_cells(cells, count, grid):
    assert len(set(cells.tolist())) == len(cells) == count
    assert cells.min(initial=0) >= 0 and cells.max(initial=0) < grid.size


@pytest.mark.parametrize("method", [spread, assign])
@pytest.mark.parametrize("points", [uniform(1), uniform(37), clustered(700), np.zeros((90, 2))])
@pytest.mark.parametrize("ratio", [0.01, 1.0, 3.0])
def test_each_point_has_a_cell_of_its_own(method, points, ratio):
    grid = Grid.for_count(len(points), ratio)
    check_cells(method(points, grid), len(points), grid)


@pytest.mark.parametrize("grid", [Grid(1, 9), Grid(9, 1), Grid(20, 31), Grid(3, 4)])
def test_cells_may_stay_empty(grid):
    check_cells(assign(uniform(9), grid), 9, grid)


@pytest.mark.parametrize("points", [uniform(300), clustered(300)])
def test_few_points_cost_the_least(points):
    grid = Grid.for_count(len(points))
    least = least_cost(points, grid)
    assert cost(points, assign(points, grid), grid) == pytest.approx(least)


@pytest.mark.parametrize("points", [uniform(1000), clustered(1000)])
@pytest.mark.parametrize("grid", [Grid(32, 32), Grid(40, 30)])
def test_many_points_cost_little_more(points, grid):
    least = least_cost(points, grid)
    found = cost(points, assign(points, grid), grid)
    assert least <= found * 1.000001
    assert found <= 1.02 * least
    assert found < cost(points, spread(points, grid), grid)


def test_no_points_take_no_cells():
    assert assign(np.empty((0, 2)), Grid(1, 1)).tolist() == []


def test_too_many_points_are_refused_in_words():
    with pytest.raises(TooFewCellsError, match="13 pictures do not fit into a grid of 4 x 3"):
        assign(uniform(13), Grid(3, 4))


def test_a_grid_without_cells_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Grid(0, 3)


@pytest.mark.parametrize(("count", "size"), [(0, (1, 1)), (1, (1, 1)), (5, (2, 3)), (99, (10, 10))])
def test_a_grid_is_about_square(count, size):
    grid = Grid.for_count(count)
    assert (grid.rows, grid.columns) == size


def test_it_is_the_same_in_every_run():
    points, grid = clustered(900), Grid(30, 31)
    assert np.array_equal(assign(points, grid), assign(points, grid))


def test_ticks_rise_and_end_the_work():
    ticks = []
    assign(clustered(1000), Grid(32, 32), ticks.append)
    assert ticks == sorted(ticks) and ticks[-1] == 1.0

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assign(clustered(1000), Grid(32, 32), stop)
