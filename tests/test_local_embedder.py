"""local_embedder: how many processes a network finds memory for."""

from __future__ import annotations

import pytest

from orangecontrib.imageanalytics.local_embedder import workers_that_fit

VGG, SQUEEZENET = 537_000_000, 5_000_000


@pytest.mark.parametrize(
    ("size", "memory", "cores", "workers"),
    [
        (SQUEEZENET, 4 * 2**30, 16, 16),
        (VGG, 8 * 2**30, 8, 2),
        (VGG, 16 * 2**30, 8, 4),
        (VGG, 64 * 2**30, 8, 8),
        (VGG, 1 * 2**30, 8, 1),  # one there must be
        (0, 8 * 2**30, 8, 8),
    ],
)
def test_a_large_network_gets_fewer_processes_where_there_is_little_memory(
    size, memory, cores, workers
):
    assert workers_that_fit(size, memory, cores) == workers
