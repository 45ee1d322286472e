"""Vectors come to lie on a plane, alike ones close together, the same in every run."""

import os
import signal
import threading

import numpy as np
import psutil
import pytest
from scipy.spatial.distance import cdist, pdist

from orangecontrib.imageanalytics.arrangement import (
    METHODS,
    MOST_FOR_MDS,
    LayoutCrashedError,
    TooManyForMDSError,
    lay_out,
    mds,
    pca,
    to_unit_square,
    tsne,
)


@pytest.fixture(scope="module")
def classes():
    return np.arange(90) % 3


@pytest.fixture(scope="module")
def vectors(classes):
    chance = np.random.default_rng(0)
    middles = chance.normal(size=(3, 64))
    return (middles[classes] + 0.2 * chance.normal(size=(90, 64))).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_alike_ones_lie_close_together(method, vectors, classes):
    points = METHODS[method](vectors, lambda done: None)
    assert points.shape == (90, 2) and points.dtype == np.float64
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    assert (classes[distances.argmin(axis=1)] == classes).all()


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_same_in_another_process_and_run(method, vectors):
    here = METHODS[method](vectors, lambda done: None)
    assert np.array_equal(here, METHODS[method](vectors, lambda done: None))
    assert np.array_equal(lay_out(vectors, method), lay_out(vectors, method))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 7])
@pytest.mark.parametrize("width", [1, 2, 9])
def test_few_vectors_are_laid_out_too(method, count, width):
    vectors = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    points = METHODS[method](vectors, lambda done: None)
    assert points.shape == (count, 2) and np.isfinite(points).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 3.5])
def test_equal_vectors_lie_at_one_place(method, value):
    points = METHODS[method](np.full((40, 8), value, np.float32), lambda done: None)
    assert points.shape == (40, 2) and not np.ptp(points, axis=0).any()


@pytest.mark.parametrize("method", METHODS)
def test_copies_among_others_do_no_harm(method, vectors):
    points = METHODS[method](np.repeat(vectors[:20], 5, axis=0), lambda done: None)
    assert np.isfinite(points).all()


def test_pca_is_that_of_scikit_learn(vectors):
    from sklearn.decomposition import PCA

    expected = PCA(2).fit_transform(vectors.astype(float))
    assert np.allclose(np.abs(pca(vectors)), np.abs(expected), atol=1e-3)


def test_mds_keeps_distances_that_a_plane_can_keep():
    places = np.random.default_rng(0).normal(size=(30, 2))
    vectors = np.hstack([places, np.zeros((30, 3))])
    assert np.allclose(pdist(mds(vectors)), pdist(places), atol=1e-6)


def test_mds_refuses_what_would_take_minutes():
    with pytest.raises(TooManyForMDSError, match=f"at most {MOST_FOR_MDS} pictures"):
        lay_out(np.zeros((MOST_FOR_MDS + 1, 3), np.float32), "MDS")


def test_tsne_looks_at_directions_only(vectors):
    lengths = np.random.default_rng(0).choice([0.5, 1, 2, 4], size=(90, 1)).astype(np.float32)
    assert np.allclose(tsne(vectors * lengths), tsne(vectors))


@pytest.mark.parametrize("method", ["t-SNE", "MDS"])
def test_ticks_rise_to_the_end(method, vectors):
    ticks = []
    lay_out(vectors, method, ticks.append)
    assert ticks == sorted(ticks) and ticks[0] >= 0 and ticks[-1] <= 1.0 and len(ticks) > 2


def test_what_a_tick_raises_ends_the_process(vectors):
    before = {child.pid for child in psutil.Process().children()}
    started = []

    def stop(done):
        started.extend(c.pid for c in psutil.Process().children() if c.pid not in before)
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lay_out(vectors, "t-SNE", stop)
    assert started
    left = {child.pid for child in psutil.Process().children()} - before
    assert not [pid for pid in left if _computes(pid)]


def _computes(pid):
    """Whether a process is not only loky's tracker of resources."""
    return "resource_tracker" not in " ".join(psutil.Process(pid).cmdline())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_a_process_that_dies_is_an_error_in_words(vectors):
    before = {child.pid for child in psutil.Process().children()}

    def kill(done):
        for child in psutil.Process().children():
            if child.pid not in before and _computes(child.pid):
                os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(LayoutCrashedError, match="ended unexpectedly"):
        lay_out(vectors, "t-SNE", kill)


def test_it_can_be_done_in_a_thread(vectors):
    found = []
    thread = threading.Thread(target=lambda: found.append(lay_out(vectors, "t-SNE")))
    thread.start()
    thread.join()
    assert np.array_equal(found[0], lay_out(vectors, "t-SNE"))


def test_points_fill_the_unit_square():
    points = to_unit_square(np.array([[3.0, 7.0], [5.0, 7.0], [4.0, 7.0]]))
    assert points.tolist() == [[0.0, 0.5], [1.0, 0.5], [0.5, 0.5]]
