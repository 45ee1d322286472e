"""Arranging in a process of its own gives what arranging here does, and ends when it is told."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from orangecontrib.imageanalytics.arrangement import (
    MOST_FOR_MDS,
    TO_PLANE,
    Apart,
    Grid,
    TooFewCellsError,
    TooManyForMDSError,
    assign,
    lay_out,
    thin,
    to_unit_square,
)


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)


def left_behind(before: set[int]) -> list[psutil.Process]:
    """Processes that were started since, but for loky's tracker of resources."""
    return [
        child
        for child in psutil.Process().children()
        if child.pid not in before and "resource_tracker" not in " ".join(child.cmdline())
    ]


@pytest.mark.parametrize("method", ["PCA", "t-SNE"])
def test_it_is_what_is_arranged_here(vectors, method):
    grid, ticks = Grid(8, 8), []
    with Apart(method) as apart:
        found = apart.arrange(vectors, grid, ticks.append)
    plane = lay_out(vectors, method)
    assert np.array_equal(found.points, to_unit_square(plane))
    assert np.array_equal(found.places.order, thin(plane).order)
    assert np.array_equal(found.cells, assign(to_unit_square(plane), grid))
    assert ticks == sorted(ticks) and TO_PLANE in ticks and ticks[-1] <= 1.0


def test_points_get_the_same_cells():
    points = np.random.default_rng(0).random((900, 2)) ** 2
    with Apart("PCA") as apart:
        cells = apart.assign(points, Grid(30, 31))
    assert np.array_equal(cells, assign(points, Grid(30, 31)))


def test_errors_of_its_own_come_back_as_they_are(vectors):
    with Apart("PCA") as apart, pytest.raises(TooFewCellsError):
        apart.assign(np.zeros((5, 2)), Grid(2, 2))
    with Apart("MDS") as apart, pytest.raises(TooManyForMDSError):
        apart.arrange(np.zeros((MOST_FOR_MDS + 1, 3), np.float32), Grid(40, 40))


def test_no_vectors_are_no_trouble():
    with Apart("PCA") as apart:
        found = apart.arrange(np.zeros((0, 4), np.float32), Grid(1, 1))
    assert found.points.shape == (0, 2) and found.cells.shape == (0,)


def test_a_process_that_is_not_needed_any_more_ends():
    before = {child.pid for child in psutil.Process().children()}
    with Apart("t-SNE"):
        assert left_behind(before)
    assert not left_behind(before)
