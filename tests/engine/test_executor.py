"""The engine on an executor that was given, such as a cluster's."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.engine.supervisor import DEATHS_PER_IMAGE, Supervisor
from orangecontrib.imageanalytics.outcome import ModelFileError, Reason, Skipped, WorkerError
from tests.jobs import HANG, SEGFAULT, BrokenModel, MeanColour, png

GREYS = [(value, value, value) for value in range(40, 60)]
IMAGES = [png(grey) for grey in GREYS]


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def start():
    """Starts engines, and closes them."""
    engines = []

    def begin(executor: Executor, **options) -> Engine:
        engines.append(Engine(MeanColour(), workers=2, executor=executor, **options))
        return engines[-1]

    yield begin
    for engine in engines:
        engine.close()


def payloads(futures) -> list:
    return [future.result(timeout=60).payload for future in futures]


def colours(futures) -> list[list[int]]:
    return [payload.round().astype(int).tolist() for payload in payloads(futures)]


def test_each_image_gets_its_own_result_and_the_executor_is_left_open(threads, start, tmp_path):
    path = tmp_path / "grey.png"
    path.write_bytes(IMAGES[5])
    engine = start(threads)
    futures = [engine.submit(FileTask(str(path))), engine.submit(BytesTask(IMAGES[6]))]
    assert colours(futures) == [list(GREYS[5]), list(GREYS[6])]
    engine.close()
    assert threads.submit(len, "four").result() == 4


def test_a_file_that_is_read_here_is_known_by_its_state(threads, start, tmp_path):
    path = tmp_path / "grey.png"
    path.write_bytes(IMAGES[0])
    result = start(threads).submit(FileTask(str(path))).result(timeout=60)
    assert result.stat.st_mtime_ns == path.stat().st_mtime_ns
    assert result.content == sources.content_hash(IMAGES[0])


def test_a_file_that_is_gone_is_a_skip(threads, start, tmp_path):
    future = start(threads).submit(FileTask(str(tmp_path / "gone.png")))
    assert payloads([future])[0].reason is Reason.NOT_FOUND


def test_an_image_that_hangs_is_skipped_after_the_deadline_and_all_others_are_not(start):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        engine = start(processes, deadline=1.5)
        results = payloads(
            [engine.submit(BytesTask(image)) for image in [*IMAGES[:3], png(HANG), *IMAGES[3:]]]
        )
        engine.close()
        for process in processes._processes.values():
            process.kill()  # the thread that hangs would hold it up for ten minutes
    assert [index for index, one in enumerate(results) if isinstance(one, Skipped)] == [3]
    assert results[3].reason is Reason.CRASHED
    assert "1.5 s" in results[3].detail


class Asleep(Executor):
    """A cluster whose workers have not come yet."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        return Future()


def test_a_cluster_that_is_waited_for_is_not_looked_at_without_rest(start, tmp_path, monkeypatch):
    looked = []
    look = Supervisor.look
    monkeypatch.setattr(Supervisor, "look", lambda self: (looked.append(self), look(self)))
    (tmp_path / "a.png").write_bytes(png("red"))
    engine = start(Asleep(), deadline=0.2)
    waiting = engine.submit(FileTask(str(tmp_path / "a.png")))
    time.sleep(1)  # the deadline is that of reading, which is done
    assert not waiting.done()
    assert len(looked) < 50


class Unsteady(ThreadPoolExecutor):
    """Fails for some images, as a cluster does that loses workers."""

    def __init__(self, fails: dict[bytes, int]) -> None:
        super().__init__(2)
        self.left = dict(fails)  # how often each is to fail
        self.tries = dict.fromkeys(fails, 0)

    def submit(self, fn, /, *args, **kwargs):
        among = [task.data for task in args[2] if task.data in self.left]
        if not among:
            return super().submit(fn, *args, **kwargs)
        (data,) = among
        if len(args[2]) == 1:  # else nobody knows which one it was
            self.tries[data] += 1
        if not self.left[data]:
            return super().submit(fn, *args, **kwargs)
        self.left[data] -= 1
        lost: Future = Future()
        lost.set_exception(ChildProcessError("the worker is gone"))
        return lost


def test_an_image_whose_worker_is_lost_is_tried_again(start):
    with Unsteady({IMAGES[4]: DEATHS_PER_IMAGE - 1}) as executor:
        engine = start(executor)
        assert colours([engine.submit(BytesTask(image)) for image in IMAGES]) == [
            list(grey) for grey in GREYS
        ]
        assert 1 <= executor.tries[IMAGES[4]] <= DEATHS_PER_IMAGE


def test_an_image_on_which_workers_are_lost_each_time_is_skipped_and_no_other_is(start):
    with Unsteady({IMAGES[4]: 100}) as executor:
        engine = start(executor)
        results = payloads([engine.submit(BytesTask(image)) for image in IMAGES])
    assert [index for index, one in enumerate(results) if isinstance(one, Skipped)] == [4]
    assert results[4] == Skipped(Reason.CRASHED, "ChildProcessError: the worker is gone")
    assert executor.tries == {IMAGES[4]: DEATHS_PER_IMAGE}


def test_an_executor_that_breaks_is_an_error_that_says_so(start):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        engine = start(processes)
        with pytest.raises(WorkerError, match="executor that was given is broken"):
            engine.submit(BytesTask(png(SEGFAULT))).result(timeout=60)
        with pytest.raises(WorkerError, match="executor that was given is broken"):
            engine.submit(BytesTask(IMAGES[0])).result(timeout=60)


def test_an_executor_that_is_shut_down_is_an_error_that_says_so(threads, start):
    threads.shutdown()
    with pytest.raises(WorkerError, match="executor that was given is broken"):
        start(threads).submit(BytesTask(IMAGES[0])).result(timeout=60)


def test_a_model_that_cannot_be_loaded_stops_everything(threads):
    engine = Engine(BrokenModel(), workers=2, executor=threads)
    try:
        for future in [engine.submit(BytesTask(image)) for image in IMAGES]:
            with pytest.raises(ModelFileError, match="broken"):
                future.result(timeout=60)
    finally:
        engine.close()


@pytest.fixture
def dead_drive(monkeypatch, tmp_path):
    """A path on a network drive that does not answer, until the test is over."""
    path, answer, read = str(tmp_path / "drive" / "x.png"), threading.Event(), sources.read_file

    def hang(asked: str):
        if asked == path:
            answer.wait()
        return read(asked)

    monkeypatch.setattr(sources, "read_file", hang)
    yield path
    answer.set()


def test_a_drive_that_hangs_holds_up_neither_other_images_nor_the_end(threads, start, dead_drive):
    engine = start(threads)
    hanging = engine.submit(FileTask(dead_drive))
    assert colours([engine.submit(BytesTask(image)) for image in IMAGES]) == [
        list(grey) for grey in GREYS
    ]
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 5
    with pytest.raises(CancelledError):
        hanging.result(timeout=0)


def test_a_file_on_a_drive_that_hangs_is_skipped_after_the_deadline(threads, start, dead_drive):
    engine = start(threads, deadline=1.0)
    (skipped,) = payloads([engine.submit(FileTask(dead_drive))])
    assert skipped.reason is Reason.CRASHED
    assert "reading" in skipped.detail and "1 s" in skipped.detail


class Elsewhere(ThreadPoolExecutor):
    """Sees another folder at the paths of this computer's, as a cluster may."""

    def __init__(self, here: Path, there: Path) -> None:
        super().__init__(2)
        self.here, self.there = str(here), str(there)
        self.sent: list[type] = []

    def submit(self, fn, /, *args, **kwargs):
        return super().submit(fn, *map(self.seen, args), **kwargs)

    def seen(self, argument):
        if isinstance(argument, str):
            return argument.replace(self.here, self.there)
        if not isinstance(argument, list):
            return argument
        self.sent += map(type, argument)
        return [
            replace(task, path=self.seen(task.path)) if isinstance(task, FileTask) else task
            for task in argument
        ]


@pytest.fixture
def folders(tmp_path):
    """The same images here and there."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        for index, image in enumerate(IMAGES):
            path = tmp_path / name / f"{index}.png"
            path.write_bytes(image)
            os.utime(path, (1e9, 1e9))
    return tmp_path / "here", tmp_path / "there"


def files_of(folder: Path) -> list[FileTask]:
    return [FileTask(str(folder / f"{index}.png")) for index in range(len(IMAGES))]


def submit_after_the_first(engine: Engine, tasks: list[FileTask]) -> list:
    first = engine.submit(tasks[0])
    first.result(timeout=60)
    return [first, *map(engine.submit, tasks[1:])]


def test_paths_are_sent_where_workers_see_the_files(start, folders):
    with Elsewhere(*folders) as executor:
        futures = submit_after_the_first(start(executor), files_of(folders[0]))
        assert colours(futures) == [list(grey) for grey in GREYS]
    assert set(executor.sent) == {FileTask}


def test_contents_are_sent_where_workers_do_not_see_the_files(start, folders):
    with Elsewhere(folders[0], folders[1] / "no such folder") as executor:
        futures = submit_after_the_first(start(executor), files_of(folders[0]))
        assert colours(futures) == [list(grey) for grey in GREYS]
    assert set(executor.sent) == {BytesTask}


def test_files_that_workers_lack_or_have_in_another_state_are_sent_from_here(start, folders):
    here, there = folders
    (there / "5.png").unlink()
    (there / "6.png").write_bytes(png((255, 255, 255)))
    with Elsewhere(here, there) as executor:
        futures = submit_after_the_first(start(executor), files_of(here))
        assert colours(futures) == [list(grey) for grey in GREYS]
    assert executor.sent.count(BytesTask) == 2
    stat = futures[6].result().stat
    assert stat.st_ino == (here / "6.png").stat().st_ino


def test_a_user_may_say_that_workers_see_the_files(start, folders):
    here, there = folders
    os.utime(there / "3.png", (1.1e9, 1.1e9))
    with Elsewhere(here, there) as executor:
        engine = start(executor, shared_files=True)
        assert colours(map(engine.submit, files_of(here))) == [list(grey) for grey in GREYS]
    assert set(executor.sent) == {FileTask}


def test_a_user_may_say_that_workers_do_not_see_the_files(start, folders):
    with Elsewhere(*folders) as executor:
        engine = start(executor, shared_files=False)
        assert colours(map(engine.submit, files_of(folders[0]))) == [list(grey) for grey in GREYS]
    assert set(executor.sent) == {BytesTask}
