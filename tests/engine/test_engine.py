"""The engine: isolated processes that survive what images do to them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, CancelledError
from concurrent.futures import wait as wait_for
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask, PixelsTask
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.engine.pool import WorkerPool
from orangecontrib.imageanalytics.engine.workers import BundleSize
from orangecontrib.imageanalytics.outcome import ModelFileError, Reason, Skipped, WorkerError
from tests.conftest import workers
from tests.jobs import (
    ENDLESS,
    HANG,
    LIBRARY,
    SEGFAULT,
    STARTS,
    BrokenModel,
    DiesAtStart,
    LongAnswer,
    MeanColour,
    MissingLibrary,
    Shape,
    png,
)

pytestmark = pytest.mark.usefixtures("no_new_workers")

GREYS = [(value, value, value) for value in range(40, 80)]


@pytest.fixture
def engine():
    with_pool = Engine(MeanColour(), workers=2)
    yield with_pool
    with_pool.close()


def colours(futures) -> list[list[int]]:
    return [future.result(timeout=60).payload.round().astype(int).tolist() for future in futures]


def test_each_image_gets_its_own_result(engine):
    futures = [engine.submit(BytesTask(png(grey))) for grey in GREYS]
    assert colours(futures) == [list(grey) for grey in GREYS]


def test_an_image_may_come_with_a_job_of_its_own(engine, tmp_path):
    path = tmp_path / "grey.png"
    path.write_bytes(png(GREYS[0]))
    pixels = np.full((2, 3, 3), 7, np.uint8)
    tasks = [FileTask(str(path), Shape()), BytesTask(png(GREYS[0])), PixelsTask(pixels, Shape())]
    first, second, third = [engine.submit(task).result(60).payload for task in tasks]
    assert (first, third) == ((4, 5, 3), (2, 3, 3))
    assert second.round().tolist() == list(GREYS[0])


def test_a_file_is_read_and_hashed_by_the_worker(engine, tmp_path):
    path = tmp_path / "grey.png"
    path.write_bytes(png(GREYS[0]))
    result = engine.submit(FileTask(str(path))).result(timeout=60)
    assert result.size == path.stat().st_size
    assert result.content == engine.submit(BytesTask(path.read_bytes())).result(60).content
    assert result.stat.st_mtime_ns == path.stat().st_mtime_ns


def test_a_file_that_is_gone_is_a_skip(engine, tmp_path):
    result = engine.submit(FileTask(str(tmp_path / "gone.png"))).result(timeout=60)
    assert result.payload.reason is Reason.NOT_FOUND


def test_the_image_that_crashes_the_decoder_is_skipped_and_all_others_are_not(engine):
    images = [png(grey) for grey in GREYS]
    images[7] = images[23] = png(SEGFAULT)
    futures = [engine.submit(BytesTask(image)) for image in images]
    results = [future.result(timeout=120).payload for future in futures]
    assert [r.reason for r in results if isinstance(r, Skipped)] == [Reason.CRASHED] * 2
    assert isinstance(results[7], Skipped) and isinstance(results[23], Skipped)
    vectors = [r for r in results if not isinstance(r, Skipped)]
    expected = [grey for index, grey in enumerate(GREYS) if index not in (7, 23)]
    np.testing.assert_allclose(vectors, expected)


def test_an_image_that_hangs_is_skipped_after_the_deadline_and_all_others_are_not():
    engine = Engine(MeanColour(), workers=2, deadline=1.5)
    try:
        images = [png(grey) for grey in GREYS[:10]]
        images[3] = png(HANG)
        futures = [engine.submit(BytesTask(image)) for image in images]
        results = [future.result(timeout=60).payload for future in futures]
    finally:
        engine.close()
    assert isinstance(results[3], Skipped)
    assert results[3].reason is Reason.CRASHED
    assert "1.5 s" in results[3].detail
    assert sum(isinstance(result, Skipped) for result in results) == 1


@pytest.fixture
def bundles(monkeypatch) -> list[int]:
    """The number of images in each hand-over to the pool, as they happen."""
    sizes = []
    submit = WorkerPool.submit

    def noting(self, job, tasks, *memory):
        sizes.append(len(tasks))
        return submit(self, job, tasks, *memory)

    monkeypatch.setattr(WorkerPool, "submit", noting)
    return sizes


@pytest.mark.parametrize("fault", [HANG, SEGFAULT])
def test_of_images_handed_over_together_only_the_culprit_is_skipped(bundles, fault, monkeypatch):
    at_leisure = BundleSize(1, 4, 60.0)  # also where other programs slow all down
    monkeypatch.setattr(WorkerPool, "bundle_size", at_leisure)
    engine = Engine(MeanColour(), workers=2, deadline=4)
    try:
        warm_up = [engine.submit(BytesTask(png(grey))) for grey in GREYS]
        assert colours(warm_up) == [list(grey) for grey in GREYS]
        assert max(bundles) == 4
        images = [png(grey) for grey in GREYS]
        images[14] = png(fault)
        futures = [engine.submit(BytesTask(image)) for image in images]
        results = [future.result(timeout=60).payload for future in futures]
    finally:
        engine.close()
    assert [i for i, result in enumerate(results) if isinstance(result, Skipped)] == [14]
    assert results[14].reason is Reason.CRASHED


def test_images_that_take_long_are_handed_over_one_by_one(bundles):
    engine = Engine(MeanColour(pause=0.1), workers=2)
    try:
        futures = [engine.submit(BytesTask(png(grey))) for grey in GREYS[:12]]
        assert colours(futures) == [list(grey) for grey in GREYS[:12]]
    finally:
        engine.close()
    assert bundles == [1] * 12


def test_of_images_that_take_very_long_only_one_waits_for_each_worker(bundles):
    engine = Engine(MeanColour(pause=0.3), workers=2)
    try:
        assert engine.capacity == 10
        first = [engine.submit(BytesTask(png(grey))) for grey in GREYS[:10]]
        assert colours(first) == [list(grey) for grey in GREYS[:10]]
        assert engine.capacity == 4
        then = [engine.submit(BytesTask(png(grey))) for grey in GREYS[:10]]
        then[0].result(timeout=60)
        assert len(bundles) <= 10 + 2 + 4  # two are done, perhaps
        assert colours(then) == [list(grey) for grey in GREYS[:10]]
    finally:
        engine.close()


def test_a_worker_killed_while_it_idles_holds_no_later_image_up(engine):
    first, second = (BytesTask(png(grey)) for grey in GREYS[:2])
    before = workers()
    assert colours([engine.submit(first)]) == [list(GREYS[0])]
    for process in workers() - before:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while not engine._workers._executor._flags.broken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert colours([engine.submit(second)]) == [list(GREYS[1])]


def test_a_worker_starts_no_programs(engine):
    with pytest.raises(WorkerError, match="start no programs"):
        engine.submit(BytesTask(png(STARTS))).result(timeout=60)


@pytest.mark.skipif(sys.platform == "win32", reason="C's system() opens a window there")
def test_what_an_overdue_worker_has_started_ends_with_it():
    engine = Engine(MeanColour(), workers=1, deadline=1.5)
    try:
        future = engine.submit(BytesTask(png(LIBRARY)))
        while not (started := endless()):
            assert not future.done()
            time.sleep(0.05)
        assert future.result(timeout=60).payload.reason is Reason.CRASHED
    finally:
        engine.close()
    assert not psutil.wait_procs(started, timeout=5)[1]


def endless() -> list[psutil.Process]:
    """Find the endless programs that this process or its children have started."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.cmdline()[-1:] == [ENDLESS[-1]]:
                found.append(child)
    return found


def test_a_clock_of_coarse_steps_is_good_enough(monkeypatch):
    steps = SimpleNamespace(monotonic=lambda: 1000.0)  # those of Windows were 16 ms long
    monkeypatch.setattr("orangecontrib.imageanalytics.engine.supervisor.time", steps)
    engine = Engine(MeanColour(), workers=2)
    try:
        futures = [engine.submit(BytesTask(png(grey))) for grey in GREYS]
        assert colours(futures) == [list(grey) for grey in GREYS]
    finally:
        engine.close()


def test_workers_killed_at_random_cost_no_image_and_mix_up_none():
    random = np.random.default_rng(7)
    engine = Engine(MeanColour(pause=0.02), workers=2)
    images = [png((int(r), int(g), int(b))) for r, g, b in random.integers(1, 250, (200, 3))]
    expected = [undisturbed(image) for image in images]
    try:
        before = workers()
        futures = [engine.submit(BytesTask(image)) for image in images]
        kills = 0
        while unfinished := [future for future in futures if not future.done()]:
            wait_for(unfinished, return_when=FIRST_COMPLETED)  # they have started
            wait_for(unfinished, timeout=float(random.uniform(0.1, 0.6)))
            for process in list(workers() - before)[:1]:
                process.kill()
                kills += 1
        results = [future.result().payload for future in futures]
    finally:
        engine.close()
    assert kills >= 2
    assert not [result for result in results if isinstance(result, Skipped)]
    np.testing.assert_allclose(results, expected)


def undisturbed(image: bytes) -> np.ndarray:
    """What an undisturbed run gives."""
    from orangecontrib.imageanalytics.decoding import pixels

    return MeanColour()(pixels.decode(image, Squash(8, 8)))


def test_a_model_that_cannot_be_loaded_stops_everything():
    engine = Engine(BrokenModel(), workers=2)
    try:
        futures = [engine.submit(BytesTask(png(grey))) for grey in GREYS]
        for future in futures:
            with pytest.raises(ModelFileError, match="broken"):
                future.result(timeout=60)
        with pytest.raises(ModelFileError):
            engine.submit(BytesTask(png(GREYS[0]))).result(timeout=60)
    finally:
        engine.close()


def test_a_library_that_is_missing_is_named():
    engine = Engine(MissingLibrary(), workers=1)
    try:
        with pytest.raises(WorkerError, match=r"onnxruntime cannot be imported.*DLL load failed"):
            engine.submit(BytesTask(png(GREYS[0]))).result(timeout=60)
    finally:
        engine.close()


def test_workers_that_die_as_they_start_end_with_an_error():
    engine = Engine(DiesAtStart(), workers=1)
    try:
        with pytest.raises(WorkerError, match="as soon as it starts"):
            engine.submit(BytesTask(png(GREYS[0]))).result(timeout=120)
    finally:
        engine.close()


def test_closing_cancels_what_is_unfinished_and_ends_the_workers(engine):
    engine.submit(BytesTask(png(GREYS[0]))).result(timeout=60)
    futures = [engine.submit(BytesTask(png(HANG))) for _ in range(20)]
    time.sleep(0.2)
    engine.close()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=0)
    with pytest.raises(RuntimeError):
        engine.submit(BytesTask(png(GREYS[0])))


def test_large_images_wait_for_their_share_of_the_memory():
    engine = Engine(MeanColour(), workers=2, budget=80_000_000)
    try:
        large = png((9, 9, 9), (2000, 2000))  # more than the 20 MB that each worker may take
        futures = [
            engine.submit(BytesTask(large if n % 3 == 0 else png(GREYS[n]))) for n in range(20)
        ]
        results = [future.result(timeout=60).payload for future in futures]
        huge = engine.submit(BytesTask(png((9, 9, 9), (6000, 6000)))).result(timeout=60).payload
    finally:
        engine.close()
    assert not [result for result in results if isinstance(result, Skipped)]
    assert huge.reason is Reason.TOO_LARGE


PROGRAM = """
import sys, time
from tests.jobs import HANG, MeanColour, png
from orangecontrib.imageanalytics.embedder import BytesTask
from orangecontrib.imageanalytics.engine import Engine
engine = Engine(MeanColour(), workers=2)
engine.submit(BytesTask(png((1, 1, 1)))).result()
futures = [engine.submit(BytesTask(png(HANG))) for _ in range(4)]
print("running", flush=True)
if sys.argv[1] == "return":
    time.sleep(0.3)
elif sys.argv[1] == "raise":
    raise ValueError("of the user's")
else:
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["return", "raise", "kill"])
def test_the_end_of_the_program_ends_its_workers(how):
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout.readline() == "running\n"
    children = psutil.Process(program.pid).children(recursive=True)
    assert children
    if how == "kill":
        program.kill()
    program.wait(timeout=10)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    program.stdout.close()


def test_a_worker_killed_while_it_writes_holds_nothing_up():
    engine = Engine(LongAnswer(), workers=1)
    try:
        before = workers()
        futures = [engine.submit(BytesTask(png(grey))) for grey in GREYS[:12]]
        while not any(future.done() for future in futures):
            time.sleep(0.01)
        for process in workers() - before:
            process.kill()
        results = [future.result(timeout=60).payload for future in futures]
        assert not [result for result in results if isinstance(result, Skipped)]
    finally:
        engine.close()


def test_processes_that_cannot_be_started_are_an_error_also_for_later_images(monkeypatch):
    def no_more(*arguments: object, **names: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("loky.ProcessPoolExecutor", no_more)
    engine = Engine(MeanColour(), workers=1)
    try:
        for _ in range(2):
            with pytest.raises(WorkerError, match="Too many open files"):
                engine.submit(BytesTask(png(GREYS[0]))).result(timeout=10)
    finally:
        engine.close()
