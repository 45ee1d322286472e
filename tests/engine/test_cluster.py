"""The engine on a Dask cluster of two processes on this computer."""

from __future__ import annotations

import time

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster

from orangecontrib.imageanalytics.embedder import BytesTask, FileTask
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import ModelFileError, Reason, Skipped
from tests.jobs import HANG, SEGFAULT, BrokenModel, MeanColour, png

GREYS = [(value, value, value) for value in range(40, 100)]
_PATIENCE = 120.0  # seconds, on a loaded computer


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as one,
    ):
        yield one


@pytest.fixture
def start(client):
    engines = []

    def begin(job=MeanColour(), **options) -> Engine:  # noqa: B008
        engines.append(Engine(job, executor=client.get_executor(), **options))
        return engines[-1]

    yield begin
    for engine in engines:
        engine.close()


@pytest.fixture
def tasks(tmp_path):
    found = []
    for grey in GREYS:
        path = tmp_path / f"{grey[0]}.png"
        path.write_bytes(png(grey))
        found.append(FileTask(str(path)))
    return found


def payloads(futures) -> list:
    return [future.result(timeout=_PATIENCE).payload for future in futures]


def test_a_cluster_has_as_many_workers_as_threads(start):
    assert start().capacity == start(workers=2).capacity


def test_vectors_are_those_of_this_computer(start, tasks):
    own = Engine(MeanColour(), workers=1)
    try:
        expected = payloads(map(own.submit, tasks))
    finally:
        own.close()
    assert np.array_equal(payloads(map(start().submit, tasks)), expected)


def test_a_crash_and_a_hang_cost_one_image_each(start, tasks):
    tasks[7:7] = [BytesTask(png(SEGFAULT))]
    tasks[30:30] = [BytesTask(png(HANG))]
    found = payloads(map(start(deadline=5.0).submit, tasks))
    skipped = [index for index, one in enumerate(found) if isinstance(one, Skipped)]
    assert skipped == [7, 30]
    assert {found[index].reason for index in skipped} == {Reason.CRASHED}
    assert "5 s" in found[30].detail
    assert [one[0] for one in found if not isinstance(one, Skipped)] == [g[0] for g in GREYS]


def test_what_a_killed_worker_had_is_done_by_others(client, start, tasks):
    engine = start(MeanColour(pause=0.05))
    futures = [engine.submit(task) for task in tasks]
    futures[10].result(timeout=_PATIENCE)
    pids = client.run(_pid)
    victim = psutil.Process(next(iter(pids.values())))
    victim.kill()
    assert [one[0] for one in payloads(futures)] == [grey[0] for grey in GREYS]
    client.wait_for_workers(2, timeout=_PATIENCE)


def test_a_killed_worker_leaves_no_process_behind(client, start, tasks):
    payloads(map(start().submit, tasks))
    workers = map(psutil.Process, client.run(_pid).values())
    families = {worker: worker.children(recursive=True) for worker in workers}
    worker, left = max(families.items(), key=lambda item: len(item[1]))
    worker.kill()
    _, alive = psutil.wait_procs(left, timeout=60)
    assert left and not alive
    client.wait_for_workers(2, timeout=_PATIENCE)


def test_a_model_that_cannot_be_loaded_stops_everything_and_the_next_one_does_not(start, tasks):
    for _ in range(2):
        with pytest.raises(ModelFileError, match="broken"):
            start(BrokenModel()).submit(tasks[0]).result(timeout=_PATIENCE)
    assert payloads([start().submit(tasks[0])])[0][0] == GREYS[0][0]


def test_closing_waits_for_nobody(start, tasks):
    engine = start(MeanColour(pause=0.5))
    for task in tasks:
        engine.submit(task)
    time.sleep(0.5)
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 5


def _pid() -> int:
    import os

    return os.getpid()
