"""Whatever happens to the cache's file or disk costs vectors at worst, never a wrong one or a run.

The faults are real ones: killed processes, overwritten and truncated files, a small tmpfs and a
limit on the size of files, folders without permission, other processes that hold the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orangecontrib.imageanalytics.cache import Cache, WebRow, disk, file, writer

posix = pytest.mark.skipif(os.name != "posix", reason="needs what POSIX systems have")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs what Linux has")

# What each program begins with; they are ended by their own errors or by us.
PRELUDE = """
import hashlib, os, sqlite3, sys, time
from pathlib import Path
import numpy as np
from orangecontrib.imageanalytics.cache import writer
from orangecontrib.imageanalytics.cache import Cache

def content(number):
    return hashlib.sha256(str(number).encode()).digest()

def vector(number):
    return np.random.default_rng(number).standard_normal(1000, np.float32)

def add(cache, numbers):
    for number in numbers:
        cache.add(content(number), number, "model", "model-1", vector(number))

def kept(cache, numbers):
    return [n for n in numbers if cache.vector(content(n), "model-1") is not None]

folder = Path(sys.argv[1])
"""


def content(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def vector(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(1000, np.float32)


def add(cache: Cache, numbers: range) -> None:
    for number in numbers:
        cache.add(content(number), number, "model", "model-1", vector(number))


def kept(cache: Cache, numbers: range) -> list[int]:
    """Which of the vectors there are; each must be the right one."""
    found = []
    for number in numbers:
        stored = cache.vector(content(number), "model-1", 1000)
        if stored is not None:
            np.testing.assert_array_equal(stored, vector(number))
            found.append(number)
    return found


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(program: str, *arguments: object) -> tuple[str, str]:
    """Run a program in a process of its own; return what it prints and what it complains of."""
    process = start(program, *arguments)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output, errors


def assert_is_sound(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def filled(folder: Path) -> Path:
    """The file of a cache with 200 vectors that no one has open."""
    with Cache(folder) as cache:
        add(cache, range(200))
    return cache.path


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The warnings logged so far."""
    messages: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler = Collect(logging.WARNING)
    logger = logging.getLogger("orangecontrib.imageanalytics.cache")
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


# Killed


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_twenty_kills_leave_a_sound_file_with_all_but_the_last_moment(folder, tmp_path):
    # Five at a time, on one file, committing every 0.2 s so that a round is short. What was added
    # a second before the kill must be there: the period and 0.8 s for the commit itself.
    program = """
        writer.PERIOD = 0.2
        cache = Cache(folder)
        log = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
        number = int(sys.argv[3])
        while True:
            add(cache, range(number, number + 1))
            os.write(log, b"%d %f\\n" % (number, time.time()))
            number += 1
            time.sleep(0.002)
    """
    chance = random.Random(0)
    for rnd in range(4):
        logs = [tmp_path / f"{rnd}-{process}.log" for process in range(5)]
        processes = [
            start(program, folder, log, 1_000_000 * rnd + 100_000 * number)
            for number, log in enumerate(logs)
        ]
        deadline = time.monotonic() + 60
        while not all(log.exists() for log in logs):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        killed = []
        time.sleep(1.2)
        for process in processes:
            time.sleep(chance.uniform(0, 0.2))
            killed.append(time.time())
            process.kill()
        for process in processes:
            process.communicate(timeout=10)
        path = Cache(folder).path
        assert_is_sound(path)
        with Cache(folder) as cache:
            for log, end in zip(logs, killed, strict=True):
                added = [line.split() for line in log.read_text().splitlines()]
                numbers = [int(number) for number, _ in added]
                there = kept(cache, numbers)
                assert there == numbers[: len(there)], "what was added first was written first"
                assert len(there) >= sum(float(when) < end - 1.0 for _, when in added)
    assert len(kept(Cache(folder), range(100_000))) > 0
    assert not list(folder.glob("*damaged*"))


# Damaged


def overwrite_the_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(random.Random(0).randbytes(100))


def overwrite_everything(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


def overwrite_the_tables_list(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(random.Random(0).randbytes(3996))


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_within_the_first_page(path: Path) -> None:
    os.truncate(path, 1000)


def replace_by_text(path: Path) -> None:
    path.write_text("All work and no play makes Jack a dull boy.\n" * 1000)


def replace_by_another_programs_database(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE precious (things)")


def drop_a_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE vectors")


DAMAGES = [
    overwrite_the_header,
    overwrite_everything,
    overwrite_the_tables_list,
    cut_in_half,
    cut_within_the_first_page,
    replace_by_text,
    replace_by_another_programs_database,
    drop_a_table,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("first", ["read", "write"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(folder, filled, warnings, damage, first):
    damage(filled)
    damaged = filled.read_bytes()
    with Cache(folder) as cache:
        if first == "read":
            kept(cache, range(200))
        add(cache, range(200, 300))
        assert cache.flush()
        kept(cache, range(200))
        add(cache, range(300, 400))
        assert kept(cache, range(200, 400)) == list(range(200, 400))
    with Cache(folder) as cache:
        assert kept(cache, range(300, 400)) == list(range(300, 400))
    assert len(warnings) == 1
    assert str(folder) in warnings[0]
    assert "damaged" in warnings[0]
    (aside,) = folder.glob("*damaged*")
    assert aside.name in warnings[0]
    assert (aside / filled.name).read_bytes()[:1000] == damaged[:1000]
    assert_is_sound(filled)


@posix  # an open file cannot be replaced on Windows
@pytest.mark.parametrize("damage", [overwrite_everything, cut_in_half, cut_within_the_first_page])
def test_a_file_damaged_while_it_is_open_is_set_aside(folder, filled, warnings, damage):
    with Cache(folder) as cache:
        add(cache, range(200, 210))
        cache.flush()
        assert kept(cache, range(200)) == list(range(200))
        damage(filled)
        for _ in range(3):
            kept(cache, range(210))
            add(cache, range(300, 310))
            cache.flush()
        assert kept(cache, range(300, 310)) == list(range(300, 310))
    with Cache(folder) as cache:
        assert kept(cache, range(300, 310)) == list(range(300, 310))
    assert len(warnings) == 1
    assert_is_sound(filled)


def flip_bytes(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 10, 1000))):
        data[chance.randrange(len(data))] = chance.randrange(256)


def swap_pages(data: bytearray, chance: random.Random) -> None:
    """Do what a write to the wrong place does; SQLite's look-ups do not notice it."""
    one, other = (4096 * chance.randrange(len(data) // 4096) for _ in range(2))
    page = data[one : one + 4096]
    data[one : one + 4096] = data[other : other + 4096]
    data[other : other + 4096] = page


@pytest.mark.parametrize("damage", [flip_bytes, swap_pages])
def test_random_damage_never_gives_anything_wrong(folder, damage):
    stat = Path(sys.executable).stat()

    def fill(cache: Cache, numbers: range) -> None:
        for number in numbers:
            short = vector(number)[:30]  # so that there are as many pages of other tables
            cache.add(content(number), number, "model", "model-1", short)
            cache.remember_file(f"/{number}.jpg", stat, content(number))
            cache.remember_web(WebRow(f"/{number}", "etag", None, 1.0, content(number)))
        assert cache.flush()

    def check(cache: Cache, numbers: range) -> int:
        there = 0
        for number in numbers:
            for stored in (
                cache.vector(content(number), "model-1", 30),
                cache.vector_of_file(f"/{number}.jpg", stat, "model-1", 30),
            ):
                if stored is not None:
                    np.testing.assert_array_equal(stored, vector(number)[:30])
                    there += 1
            row = cache.web(f"/{number}")
            assert row in (None, WebRow(f"/{number}", "etag", None, 1.0, content(number)))
        return there

    with Cache(folder) as cache:
        fill(cache, range(200))
    whole = cache.path.read_bytes()
    chance = random.Random(0)
    found = 0
    for _ in range(10):
        shutil.rmtree(folder)
        cache.path.parent.mkdir(parents=True)
        data = bytearray(whole)
        damage(data, chance)
        cache.path.write_bytes(data)
        with Cache(folder) as cache:
            found += check(cache, range(200))
            fill(cache, range(150, 250))
            check(cache, range(250))
    assert found > 0


def test_an_emptied_file_is_filled_again_without_a_word(folder, filled, warnings):
    os.truncate(filled, 0)
    with Cache(folder) as cache:
        assert kept(cache, range(200)) == []
        add(cache, range(10))
        cache.flush()
        assert kept(cache, range(200)) == list(range(10))
    assert warnings == []


def test_of_damaged_files_the_latest_is_kept_and_clearing_all_removes_it(folder, filled, warnings):
    with Cache(folder) as cache:
        for number in range(2):
            cache_damage = (overwrite_everything, replace_by_text)[number]
            cache.flush()
            cache._disk.file.close()
            cache_damage(filled)
            add(cache, range(number, number + 1))
            cache.flush()
        (aside,) = folder.glob("*damaged*")
        assert (aside / filled.name).read_text().startswith("All work")
        cache.clear()
        assert not list(folder.glob("*damaged*"))
    assert len(warnings) >= 1


def test_a_file_that_is_damaged_again_and_again_is_left_alone(folder, filled, warnings):
    with Cache(folder) as cache:
        for _ in range(disk.SET_ASIDE + 3):
            cache._disk.file.close()
            overwrite_everything(filled)
            add(cache, range(10))
            cache.flush()
            assert kept(cache, range(10)) in ([], list(range(10)))
    assert sum("cannot be used" in warning for warning in warnings) == 1


@posix
def test_a_process_follows_when_another_one_has_set_the_file_aside(folder, filled, warnings):
    with Cache(folder) as cache:
        add(cache, range(200, 201))
        cache.flush()
        assert kept(cache, range(201)) == list(range(201))
        overwrite_everything(filled)
        _, errors = run(
            """
            with Cache(folder) as cache:
                add(cache, range(500, 510))
            """,
            folder,
        )
        assert "damaged" in errors
        add(cache, range(300, 310))
        cache.flush()
        assert kept(cache, range(500, 510)) == list(range(500, 510))
    with Cache(folder) as cache:
        both = [*range(300, 310), *range(500, 510)]
        assert kept(cache, range(1000)) == both
    assert warnings == []
    assert len(list(folder.glob("*damaged*"))) == 1


@posix
def test_a_folder_deleted_while_it_is_open_is_made_anew(folder, filled, warnings):
    with Cache(folder) as cache:
        assert kept(cache, range(200)) == list(range(200))
        shutil.rmtree(folder)
        add(cache, range(300, 310))
        cache.flush()
        assert kept(cache, range(1000)) == list(range(300, 310))
    with Cache(folder) as cache:
        assert kept(cache, range(1000)) == list(range(300, 310))
    assert warnings == []


# No place for it


def assert_works_without(cache: Cache, warnings: list[str]) -> None:
    """Check that nothing is remembered, and that this is said once."""
    for number in range(0, 30, 10):
        add(cache, range(number, number + 10))
        assert cache.flush()
        assert kept(cache, range(30)) == []
        assert not cache.knows_size(1)
        assert cache.sizes() == {}
    cache.close()
    assert len(warnings) == 1
    assert "without it" in warnings[0]
    assert "ORANGE_IMAGE_CACHE" in warnings[0]


@pytest.mark.parametrize("below", ["", "below/it"])
def test_a_file_in_the_place_of_the_folder_costs_the_cache_and_one_warning(folder, warnings, below):
    folder.write_bytes(b"")
    assert_works_without(Cache(folder / below), warnings)
    assert folder.read_bytes() == b""


@linux
def test_a_folder_where_nothing_can_be_made_costs_the_cache_and_one_warning(warnings):
    assert_works_without(Cache(Path("/proc/self/cache")), warnings)


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder that may be read but not written to, by a user who is not root."""
    if os.name != "posix":
        pytest.skip("Windows has no such permissions")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0  # to whom permissions do not apply
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


def test_a_read_only_folder_costs_the_cache_and_one_warning(foreign_folder, warnings):
    assert_works_without(Cache(foreign_folder / "cache"), warnings)


def test_a_folder_that_may_not_be_entered_costs_the_cache_and_one_warning(foreign_folder, warnings):
    user = os.geteuid()
    os.seteuid(os.getuid())
    foreign_folder.chmod(0o000)
    os.seteuid(user)
    assert_works_without(Cache(foreign_folder / "cache"), warnings)


@linux
def test_a_full_disk_costs_the_cache_and_one_warning_and_clearing_makes_it_work_again(tmp_path):
    program = """
        import subprocess
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
        with Cache(folder) as cache:
            for number in range(0, 1000, 50):
                add(cache, range(number, number + 50))
                assert cache.flush()
            there = kept(cache, range(1000))
            assert there == list(range(len(there)))
            print(len(there), flush=True)
            cache.clear()
            add(cache, range(100))
            cache.flush()
            print(len(kept(cache, range(100))))
    """
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"]).returncode:
        pytest.skip("a small file system cannot be mounted here")
    command = ["unshare", "-rm", sys.executable, "-c", PRELUDE + textwrap.dedent(program), tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "mount" in done.stderr and done.returncode:
        pytest.skip("a small file system cannot be mounted here")
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert 0 < before < 250
    assert after == 100
    assert done.stderr.count("cannot be used") == 1


@posix
@pytest.mark.parametrize("size", [0, 3000, 20_000, 700_000])
def test_a_limit_on_the_size_of_files_costs_the_cache_and_one_warning(folder, size):
    output, errors = run(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        with Cache(folder) as cache:
            for number in range(0, 1000, 50):
                add(cache, range(number, number + 50))
                assert cache.flush()
            there = kept(cache, range(1000))
            assert there == list(range(len(there)))
            print(len(there))
        """,
        folder,
        size,
    )
    assert int(output) < size / 4000 + 1
    assert errors.count("cannot be used") == 1
    with Cache(folder) as cache:
        assert len(kept(cache, range(1000))) >= int(output)
        add(cache, range(1000, 1010))
        cache.flush()
        assert kept(cache, range(1000, 1010)) == list(range(1000, 1010))


@posix
def test_a_drive_that_cannot_share_a_database_costs_the_cache_and_one_warning(
    folder, warnings, monkeypatch
):
    def connect(path, **options):
        return sqlite3_connect(f"{path.as_uri()}?vfs=unix-none", uri=True, **options)

    # SQLite's own layer for file systems without locks; the log needs shared memory.
    sqlite3_connect = sqlite3.connect
    monkeypatch.setattr(file.sqlite3, "connect", connect)
    assert_works_without(Cache(folder), warnings)


# Locked

HOLD = """
    with Cache(folder) as cache:
        add(cache, range(1))
    db = sqlite3.connect(cache.path, isolation_level=None)
    db.execute(sys.argv[2])
    print("holding", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holding(folder: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the file locked until it is let go."""
    process = start(HOLD, folder, request.param)
    assert process.stdout.readline() == "holding\n"
    yield process
    process.communicate(timeout=20)


@pytest.mark.parametrize("holding", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"], indirect=True)
def test_a_locked_file_is_waited_for(folder, warnings, holding, monkeypatch):
    monkeypatch.setattr(file, "WRITE_TIMEOUT", 0.1)
    with Cache(folder) as cache:
        add(cache, range(10))
        assert kept(cache, range(10)) == list(range(10))
        assert not cache.flush(timeout=0.5)
        add(cache, range(10, 20))
        assert kept(cache, range(20)) == list(range(20))
        holding.communicate(timeout=20)
        assert cache.flush()
    with Cache(folder) as cache:
        assert kept(cache, range(20)) == list(range(20))
    assert warnings == []


@pytest.mark.parametrize("holding", ["BEGIN IMMEDIATE"], indirect=True)
def test_a_file_that_stays_locked_costs_what_waits_and_one_warning(
    folder, warnings, holding, monkeypatch
):
    monkeypatch.setattr(file, "WRITE_TIMEOUT", 0.1)
    monkeypatch.setattr(writer, "PERIOD", 0.05)
    monkeypatch.setattr(writer, "PATIENCE", 0.3)
    with Cache(folder) as cache:
        for number in (100, 200):
            add(cache, range(number, number + 10))
            assert cache.flush(timeout=20)  # nothing waits any more
            assert kept(cache, range(number, number + 10)) == []
        assert kept(cache, range(1)) == [0]  # what is there can be read
        assert len(warnings) == 1
        assert "10 vectors" in warnings[0]
        holding.communicate(timeout=20)
        add(cache, range(300, 310))
        assert cache.flush()
        assert kept(cache, range(300, 310)) == list(range(300, 310))


@pytest.mark.parametrize("holding", ["BEGIN IMMEDIATE"], indirect=True)
def test_what_waits_for_a_locked_file_takes_little_memory(folder, warnings, holding, monkeypatch):
    monkeypatch.setattr(file, "WRITE_TIMEOUT", 0.1)
    monkeypatch.setattr(writer, "BACKLOG", 1_000_000)
    monkeypatch.setattr(writer, "STALL", 0.2)
    with Cache(folder) as cache:
        add(cache, range(1000))
        assert 0 < len(kept(cache, range(1000))) < 500
        assert len(warnings) == 1
        holding.communicate(timeout=20)


@pytest.mark.parametrize("holding", ["BEGIN IMMEDIATE"], indirect=True)
def test_closing_does_not_wait_for_a_locked_file_for_ever(folder, warnings, holding):
    cache = Cache(folder)
    add(cache, range(100, 110))
    cache.close(timeout=0.3)
    assert len(warnings) == 1
    assert "locked" in warnings[0]


def test_a_program_that_fills_the_cache_faster_than_the_disk_loses_nothing(folder, monkeypatch):
    monkeypatch.setattr(writer, "BACKLOG", 100_000)
    with Cache(folder) as cache:
        add(cache, range(2000))
    with Cache(folder) as cache:
        assert kept(cache, range(2000)) == list(range(2000))
