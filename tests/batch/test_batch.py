"""Batches: images into a Parquet dataset, here and on a cluster of two processes."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import fsspec
import numpy as np
import psutil
import pyarrow as pa
import pytest
from distributed import Client, LocalCluster
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import parquet

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.__main__ import main
from orangecontrib.imageanalytics.batch import (
    Dataset,
    Run,
    Shard,
    Summary,
    command_line,
    inputs,
)
from orangecontrib.imageanalytics.batch import shard as one_shard
from orangecontrib.imageanalytics.batch.dataset import KEY, PASSING
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.outcome import EmbeddingError, Reason
from orangecontrib.imageanalytics.sources import content_hash
from tests.jobs import HANG, SEGFAULT, BrokenModel, MeanColour, png

GREYS = [(value, value, value) for value in range(40, 70)]


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    for index, grey in enumerate(GREYS):
        (folder / ("b" if index >= 20 else ".") / f"{index}.png").write_bytes(png(grey))
    return folder


@pytest.fixture
def pattern(tmp_path) -> Shard:
    return Shard(
        number=0,
        references=(),
        dataset=Dataset(str(tmp_path / "out")),
        job=MeanColour(),
        said=Summary("mean", "mean 1", 3),
        again=PASSING,
        deadline=5.0,
        workers=2,
    )


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as one,
    ):
        yield one


def names(*given: object, column: str | None = None) -> list[str]:
    return list(inputs.references(map(str, given), column))


def table(folder: Path) -> pa.Table:
    return parquet.read_table(folder)


def greys(folder: Path) -> list[int | None]:
    vectors = table(folder).column("embedding").to_pylist()
    return [None if vector is None else round(vector[0]) for vector in vectors]


EXPECTED = [grey[0] for grey in GREYS]


# ---- the dataset


def test_a_folder_becomes_shards_of_one_schema(photos, pattern, tmp_path):
    totals = Run(names(photos), pattern, 8).here()
    assert (totals.images, totals.embedded, totals.shards, totals.kept) == (30, 30, 4, 0)
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        f"part-{number:06}.parquet" for number in range(4)
    ]
    assert greys(out) == EXPECTED
    schema = parquet.read_schema(out / "part-000003.parquet")
    assert schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert json.loads(schema.metadata[KEY])["fingerprint"] == "mean 1"
    first = table(out).slice(0, 1).to_pylist()[0]
    assert first["content"] == content_hash(png(GREYS[0]))
    assert first["path"] == str(photos / "0.png")
    assert first["reason"] is None


def test_a_crash_a_hang_and_a_missing_file_are_rows_with_their_reason(photos, pattern, tmp_path):
    (photos / "5.png").write_bytes(png(SEGFAULT))
    (photos / "6.png").write_bytes(png(HANG))
    totals = Run([*names(photos), str(photos / "gone.png")], pattern, 100).here()
    assert totals.reasons == {Reason.CRASHED: 2, Reason.NOT_FOUND: 1}
    assert greys(tmp_path / "out") == [*EXPECTED[:5], None, None, *EXPECTED[7:], None]
    reasons = table(tmp_path / "out").column("reason").to_pylist()
    assert reasons[5:7] == ["crashed the decoder"] * 2
    assert reasons[-1] == "not found"


# ---- another run


def times(folder: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in sorted(folder.iterdir())]


def test_another_run_writes_nothing_again(photos, pattern, tmp_path):
    Run(names(photos), pattern, 8).here()
    before = times(tmp_path / "out")
    totals = Run(names(photos), replace(pattern, job=BrokenModel()), 8).here()
    assert (totals.embedded, totals.kept) == (30, 4)
    assert times(tmp_path / "out") == before


def test_another_run_does_the_missing_shards_only(photos, pattern, tmp_path):
    Run(names(photos), pattern, 8).here()
    (tmp_path / "out" / "part-000002.parquet").unlink()
    totals = Run(names(photos), pattern, 8).here()
    assert (totals.shards, totals.kept) == (4, 3)
    assert greys(tmp_path / "out") == EXPECTED


def test_another_run_does_what_failed_for_reasons_that_pass_and_nothing_else(
    photos, pattern, tmp_path
):
    given = names(photos)
    (photos / "5.png").unlink()
    (photos / "6.png").write_bytes(b"no image")
    Run(given, pattern, 100).here()
    for index in (4, 5, 6):  # the fourth is done: its row stays
        (photos / f"{index}.png").write_bytes(png((200, 200, 200)))
    Run(given, pattern, 100).here()
    assert greys(tmp_path / "out")[3:8] == [43, 44, 200, None, 47]


def test_images_that_were_added_are_done_and_the_others_of_their_shard_are_not(
    photos, pattern, tmp_path
):
    given = names(photos)
    Run(given[:25], pattern, 20).here()
    Path(given[22]).write_bytes(png((200, 200, 200)))
    totals = Run(given, pattern, 20).here()
    assert (totals.images, totals.kept) == (30, 1)
    assert greys(tmp_path / "out") == EXPECTED


def test_shards_of_a_former_run_with_more_images_are_told_and_left(photos, pattern, tmp_path):
    Run(names(photos), pattern, 8).here()
    assert Run(names(photos)[:16], pattern, 8).here().surplus == 2
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_vectors_of_another_model_are_not_mixed_in(photos, pattern):
    Run(names(photos), pattern, 8).here()
    other = replace(pattern, said=Summary("mean", "mean 2", 3))
    with pytest.raises(EmbeddingError, match="Name another folder"):
        Run(names(photos), other, 8).here()


# ---- vectors of other images


@pytest.fixture
def used(photos, pattern) -> list[str]:
    """The names of thirty images, of which the middle ten are in the dataset, in two parts."""
    given = names(photos)
    Run(given[10:20], pattern, 5).here()
    return given


def test_vectors_of_other_images_are_not_replaced(used, pattern, tmp_path):
    before = times(tmp_path / "out")
    with pytest.raises(EmbeddingError, match=r"holds other images, such as .*10\.png.*--replace"):
        Run(iter(used[:10]), pattern, 5).here()
    assert times(tmp_path / "out") == before


def test_they_are_replaced_if_that_is_asked_for(used, pattern, tmp_path):
    totals = Run(used[:10], replace(pattern, replaces=True), 5).here()
    assert (totals.embedded, totals.kept) == (10, 0)
    assert greys(tmp_path / "out") == EXPECTED[:10]


@pytest.mark.parametrize(
    "part", [slice(0, 20), slice(10, 30), slice(15, 30), slice(19, 20), slice(4, 11)]
)
def test_images_are_added_and_taken_away_before_and_behind(used, pattern, part):
    totals = Run(iter(used[part]), pattern, 5).here()
    assert totals.embedded == len(used[part])
    rows = [pattern.dataset.rows(number) for number in range(totals.shards)]
    assert [path for shard in rows for path in shard] == used[part]


def test_no_images_at_all_replace_nothing(used, pattern):
    totals = Run([], pattern, 5).here()
    assert (totals.images, totals.surplus) == (0, 2)


def test_two_programs_that_begin_at_once_do_not_replace_each_others_images(photos, pattern):
    given = names(photos)

    def begun_meanwhile():
        Run(given[:5], pattern, 5).here()
        yield from given[5:]

    with pytest.raises(EmbeddingError, match=r"written .*part-000000\.parquet meanwhile"):
        Run(begun_meanwhile(), pattern, 5).here()
    assert list(pattern.dataset.rows(0)) == given[:5]


@pytest.mark.parametrize("when", ["before its images are read", "while they are embedded"])
def test_two_programs_that_begin_at_once_do_not_mix_two_models(photos, pattern, when, monkeypatch):
    monkeypatch.setattr(one_shard, "_NEWS", 0.0)
    given = names(photos)
    other = replace(pattern, said=Summary("mean", "mean 2", 3))

    def begun_meanwhile():
        if when == "before its images are read":
            Run(given, other, 8).here()
        yield from given

    def meanwhile(done: int) -> None:
        if not other.dataset.numbers():  # told while nothing is written yet
            Run(given, other, 8).here()

    with pytest.raises(EmbeddingError, match="Name another folder"):
        Run(begun_meanwhile(), pattern, 8, meanwhile).here()
    summaries = [pattern.dataset.summary(number) for number in range(4)]
    assert {said.fingerprint for said in summaries} == {"mean 2"}


def test_a_run_that_is_stopped_has_written_whole_shards_only(photos, pattern, tmp_path):
    def stop(done: int) -> None:
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(names(photos), pattern, 8, stop).here()
    assert greys(tmp_path / "out") == EXPECTED[:16]
    assert Run(names(photos), pattern, 8).here().kept == 2
    assert greys(tmp_path / "out") == EXPECTED


def test_a_folder_that_cannot_be_made_is_an_error(photos, pattern):
    file = photos / "0.png"
    with pytest.raises(EmbeddingError, match=r"0\.png"):
        Run(names(photos), replace(pattern, dataset=Dataset(str(file / "out"))), 8).here()


# ---- the inputs


def test_lists_and_parquet_columns_name_images_relative_to_themselves(photos):
    expected = names(photos)
    relative = [os.path.relpath(path, photos) for path in expected]
    (photos / "list.txt").write_text("\n".join(relative), encoding="utf-8")
    parquet.write_table(pa.table({"n": range(30), "file": relative}), photos / "list.parquet")
    assert names(photos / "list.txt") == expected
    assert names(photos / "list.parquet", column="file") == expected
    with pytest.raises(EmbeddingError, match="--column"):
        names(photos / "list.parquet")


def test_a_zip_file_and_other_file_systems_are_read(photos, pattern, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in names(photos)[:20]:
            archive.write(path, f"a/{Path(path).name}")
    memory = fsspec.filesystem("memory")
    for path in names(photos)[20:]:
        memory.pipe_file(f"/photos/{Path(path).name}", Path(path).read_bytes())
    try:
        given = names(tmp_path / "photos.zip", "memory://photos", "memory://gone.png")
        out = replace(pattern, dataset=Dataset("memory://out"))
        totals = Run(given, out, 100).here()
        assert totals.reasons == {Reason.NOT_FOUND: 1}
        assert {
            row.outcome.vector[0].round()
            for row in out.dataset.rows(0).values()
            if hasattr(row.outcome, "vector")
        } == set(EXPECTED)
        assert Run(given[:-1], out, 100).here().embedded == 30
    finally:
        memory.rm("/", recursive=True)


class Patience(float):
    """How long fetching may take: all that is being fetched arrives just when it is looked at."""

    arrive: Callable[[], object]

    def __lt__(self, taken: float) -> bool:
        self.arrive()
        return super().__lt__(taken)


def test_images_may_arrive_while_those_are_looked_for_that_take_too_long(pattern, monkeypatch):
    may_arrive = threading.Event()

    def read(address: str) -> bytes:
        may_arrive.wait(30)
        return png(GREYS[0])

    def arrive() -> None:
        may_arrive.set()
        for thread in threading.enumerate():
            if thread.name == "image fetcher":
                thread.join(30)

    patience = Patience(60)
    patience.arrive = arrive
    monkeypatch.setattr(one_shard, "_FETCH", patience)
    monkeypatch.setattr(one_shard, "_NEWS", 0.0)
    monkeypatch.setattr(one_shard.addresses, "read", read)
    assert Run(["memory://1.png", "memory://2.png"], pattern, 10).here().embedded == 2
    assert may_arrive.is_set()


class ObjectStore(MemoryFileSystem):
    """One that has no folders, as S3 has none, and raises what is no OSError."""

    protocol = "objects"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("objects://", "memory://"))

    def makedirs(self, path, exist_ok=False):
        pass

    def pipe_file(self, path, value, **options):
        if "/locked/" in path:
            raise RuntimeError("no credentials")
        super().pipe_file(path, value, **options)


@pytest.fixture
def objects():
    fsspec.register_implementation("objects", ObjectStore, clobber=True)
    yield fsspec.filesystem("objects")
    ObjectStore.store.clear()


def test_an_object_store_needs_no_folder_to_begin_with(photos, pattern, objects):
    for path in names(photos):
        objects.pipe_file(f"/bucket/photos/{Path(path).name}", Path(path).read_bytes())
    out = replace(pattern, dataset=Dataset("objects://bucket/out"))
    given = names("objects://bucket/photos")
    assert Run(given, out, 20).here().embedded == 30
    assert Run(given, out, 20).here().kept == 2


def test_what_a_store_refuses_is_an_error_with_its_address(photos, pattern, objects):
    out = replace(pattern, dataset=Dataset("objects://bucket/locked/out"))
    with pytest.raises(EmbeddingError, match=r"locked/out cannot be written to: .* no credentials"):
        Run(names(photos), out, 100).here()


def test_a_damaged_part_is_an_error_that_names_it(photos, pattern, tmp_path):
    Run(names(photos), pattern, 20).here()
    (tmp_path / "out" / "part-000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(EmbeddingError, match=r"part-000001\.parquet cannot be read .*delete it"):
        Run(names(photos), pattern, 20).here()


def test_an_address_that_nothing_opens_is_an_error():
    with pytest.raises(EmbeddingError, match="nosuch"):
        names("nosuch://bucket/photos")


# ---- on a cluster


def test_a_cluster_writes_what_this_computer_does(client, photos, pattern, tmp_path):
    (photos / "5.png").write_bytes(png(SEGFAULT))
    (photos / "b" / "25.png").write_bytes(png(HANG))
    told: list[int] = []
    totals = Run(names(photos), pattern, 8, told.append).on(client)
    assert totals.reasons == {Reason.CRASHED: 2}
    assert greys(tmp_path / "out") == [
        None if index in (5, 25) else grey for index, grey in enumerate(EXPECTED)
    ]
    assert told[-1] == 30
    assert Run(names(photos), pattern, 8).here().kept == 4


def test_workers_that_are_killed_lose_nothing(client, photos, pattern, tmp_path):
    slow = replace(pattern, job=MeanColour(pause=0.2))
    killed = []
    pids = list(client.run(os.getpid).values())

    def kill(done: int) -> None:
        if not killed:
            killed.append(done)
            psutil.Process(pids[0]).kill()

    Run(names(photos), slow, 4, kill).on(client)
    assert killed
    assert greys(tmp_path / "out") == EXPECTED


def test_workers_that_do_not_see_the_files_are_an_error(client, photos, pattern, monkeypatch):
    monkeypatch.setattr(sources, "content_hash", lambda data: b"in this process only")
    with pytest.raises(EmbeddingError, match="do not see"):
        Run(names(photos), pattern, 8).on(client)


def test_a_model_that_cannot_be_loaded_stops_the_run(client, photos, pattern):
    broken = replace(pattern, job=BrokenModel())
    with pytest.raises(EmbeddingError, match="broken"):
        Run(names(photos), broken, 8).on(client)


def test_a_scheduler_that_is_lost_stops_the_run_and_another_one_goes_on(photos, pattern, tmp_path):
    closing: list[threading.Thread] = []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:

        def close(done: int) -> None:
            if done >= 4 and not closing:
                closing.append(threading.Thread(target=cluster.close))
                closing[0].start()

        slow = replace(pattern, job=MeanColour(pause=0.5))
        with (
            Client(cluster.scheduler_address, timeout=5) as own,
            pytest.raises(EmbeddingError, match="run it again"),
        ):
            Run(names(photos), slow, 2, close).on(own)
        closing[0].join()
    written = len(list((tmp_path / "out").glob("part-*")))  # killed workers may leave begun ones
    assert 2 <= written < 15
    assert Run(names(photos), pattern, 2).here().kept == written
    assert greys(tmp_path / "out") == EXPECTED


# ---- the command line


def test_a_folder_of_images_may_be_called_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command_line.is_meant(["batch"])
    (tmp_path / "batch").mkdir()
    assert not command_line.is_meant(["batch", "-o", "photos.tab"])
    assert command_line.is_meant(["batch", "photos", "-o", "out"])


def test_the_command_line_writes_the_vectors_of_the_embedder(photos, tmp_path, capsys):
    arguments = ["batch", str(photos), "-o", str(tmp_path / "out"), "--shard-size", "20"]
    assert main(arguments) == 0
    assert "30 of 30 images embedded with squeezenet" in capsys.readouterr().out
    with ImageEmbedder("squeezenet", cache=False) as embedder:
        expected = embedder(names(photos))
    found = table(tmp_path / "out").column("embedding").to_pylist()
    assert np.array_equal(np.array(found, np.float32), expected)
    assert main(arguments) == 0
    assert "2 were there before" in capsys.readouterr().out


def test_the_command_line_replaces_other_images_only_if_told_to(photos, tmp_path, capsys):
    out = ["-o", str(tmp_path / "out")]
    assert main(["batch", str(photos / "0.png"), *out]) == 0
    assert main(["batch", str(photos / "1.png"), *out]) == 1
    assert "--replace" in capsys.readouterr().err
    assert list(Dataset(str(tmp_path / "out")).rows(0)) == [str(photos / "0.png")]
    assert main(["batch", str(photos / "1.png"), *out, "--replace"]) == 0
    assert list(Dataset(str(tmp_path / "out")).rows(0)) == [str(photos / "1.png")]


@pytest.mark.parametrize("more", [["-m", "painters"], ["--dask", "tcp://127.0.0.1:1"]])
def test_what_cannot_be_done_is_said(photos, tmp_path, capsys, more, monkeypatch):
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        assert main(["batch", str(photos), "-o", str(tmp_path / "out"), *more]) == 1
    assert "error: " in capsys.readouterr().err


def test_a_scheduler_that_is_lost_is_told_in_one_line(photos, tmp_path, capsys):
    records: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = records.append
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.addHandler(listener)
    try:
        with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:

            def close_after_the_first_part() -> None:
                while not list((tmp_path / "out").glob("part-*")):
                    time.sleep(0.01)
                cluster.close()

            closing = threading.Thread(target=close_after_the_first_part)
            closing.start()
            arguments = ["--shard-size", "1", "--dask", cluster.scheduler_address]
            assert main(["batch", str(photos), "-o", str(tmp_path / "out"), *arguments]) == 1
            closing.join()
    finally:
        logger.removeHandler(listener)
    assert "was lost" in capsys.readouterr().err
    assert [record.getMessage() for record in records] == []
    assert logger.level == level
