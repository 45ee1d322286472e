"""The cache remembers exactly what it was given, for the right image, and in little space."""

from __future__ import annotations

import gc
import hashlib
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from orangecontrib.imageanalytics.cache import DAY, Cache, WebRow, default_folder

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions or forks")


def content(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def vector(number: int, dimension: int = 1000) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(dimension, np.float32)


def add(cache: Cache, numbers: range, model: str = "model", dimension: int = 1000) -> None:
    for number in numbers:
        cache.add(content(number), number, model, f"{model}-1", vector(number, dimension))


def kept(cache: Cache, numbers: range, model: str = "model") -> list[int]:
    return [n for n in numbers if cache.vector(content(n), f"{model}-1") is not None]


def run(program: str, *arguments: object) -> str:
    """Run a program in a process of its own and return what it prints."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> Iterator[Cache]:
    with Cache(folder) as cache:
        yield cache


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A file that was last changed ten seconds ago, all its times included."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"as it was")
    return path


def later(seconds: float = 10) -> float:
    return time.time() + seconds


# Vectors


def test_a_vector_comes_back_as_it_was_before_and_after_it_is_on_the_disk(folder):
    with Cache(folder) as cache:
        add(cache, range(1))
        np.testing.assert_array_equal(cache.vector(content(0), "model-1", 1000), vector(0))
        assert cache.flush()
        np.testing.assert_array_equal(cache.vector(content(0), "model-1", 1000), vector(0))
    with Cache(folder) as cache:
        found = cache.vector(content(0), "model-1", 1000)
        np.testing.assert_array_equal(found, vector(0))
        assert found.dtype == np.float32


def test_infinities_and_nans_come_back_bit_by_bit(cache):
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
    cache.add(content(0), 1, "model", "model-1", odd)
    cache.flush()
    assert cache.vector(content(0), "model-1").tobytes() == odd.tobytes()


def test_a_vector_belongs_to_its_caller(cache):
    add(cache, range(1))
    for _ in ("in memory", "on the disk"):
        cache.vector(content(0), "model-1")[:] = 0
        np.testing.assert_array_equal(cache.vector(content(0), "model-1"), vector(0))
        cache.flush()


def test_what_is_done_to_a_vector_after_it_was_added_does_not_reach_the_cache(cache):
    mine = vector(0)
    cache.add(content(0), 1, "model", "model-1", mine)
    mine[:] = 0
    cache.flush()
    np.testing.assert_array_equal(cache.vector(content(0), "model-1"), vector(0))


def test_models_and_versions_of_a_model_do_not_mix(cache):
    for fingerprint, number in (("a-1", 1), ("a-2", 2), ("b-1", 3)):
        cache.add(content(0), 9, fingerprint[0], fingerprint, vector(number))
    cache.flush()
    for fingerprint, number in (("a-1", 1), ("a-2", 2), ("b-1", 3)):
        np.testing.assert_array_equal(cache.vector(content(0), fingerprint), vector(number))
    assert cache.vector(content(0), "b-2") is None
    assert cache.vector(content(1), "a-1") is None


def test_a_vector_of_the_wrong_length_is_a_miss_and_is_replaced(cache):
    cache.add(content(0), 9, "model", "model-1", vector(0, 999))
    for _ in ("in memory", "on the disk"):
        assert cache.vector(content(0), "model-1", 1000) is None
        cache.flush()
    add(cache, range(1))
    cache.flush()
    np.testing.assert_array_equal(cache.vector(content(0), "model-1", 1000), vector(0))
    assert cache.sizes() == {"model": (1, 4000)}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE vectors SET vector = CAST(x'00' || substr(vector, 2) AS BLOB)",
        "UPDATE vectors SET vector = substr(vector, 1, 3998)",
        "UPDATE vectors SET vector = x''",
        "UPDATE vectors SET vector = 'text'",
        "UPDATE vectors SET id = 3 - id",  # each image gets the other one's
        "DELETE FROM vectors",
    ],
)
def test_a_vector_that_is_not_what_was_written_is_a_miss_and_can_be_added_again(folder, change):
    with Cache(folder) as cache:
        add(cache, range(2))
    db = sqlite3.connect(cache.path)
    if "3 - id" in change:
        db.execute("UPDATE vectors SET id = -id")
        change = "UPDATE vectors SET id = 3 + id"
    db.execute(change)
    db.commit()
    db.close()
    with Cache(folder) as cache:
        assert kept(cache, range(2)) == []
        add(cache, range(2))
        cache.flush()
        for number in range(2):
            np.testing.assert_array_equal(cache.vector(content(number), "model-1"), vector(number))


def test_vectors_are_plain_little_endian_floats_in_the_file(folder):
    with Cache(folder) as cache:
        add(cache, range(1))
    db = sqlite3.connect(cache.path)
    ((blob,),) = db.execute("SELECT vector FROM vectors").fetchall()
    db.close()
    assert blob == vector(0).astype("<f4").tobytes()


# Files


def remember(
    cache: Cache, path: str, stat: os.stat_result, content: bytes, read_after: float | None = None
) -> None:
    cache.add_blob(content, 0, "model", "itself", content)
    cache.remember_file(path, stat, content, read_after=read_after)


def known(cache: Cache, path: str, stat: os.stat_result) -> bytes | None:
    """What a file is known to hold."""
    return cache.blob_of_file(path, stat, "itself")


def test_a_file_that_did_not_change_is_known(cache, photo):
    add(cache, range(1))
    remember(cache, str(photo), photo.stat(), content(0), read_after=later())
    for _ in ("in memory", "on the disk"):
        assert known(cache, str(photo), photo.stat()) == content(0)
        found = cache.vector_of_file(str(photo), photo.stat(), "model-1", 1000)
        np.testing.assert_array_equal(found, vector(0))
        assert cache.vector_of_file(str(photo), photo.stat(), "model-2", 1000) is None
        assert cache.vector_of_file(str(photo), photo.stat(), "model-1", 999) is None
        cache.flush()


def test_a_file_on_the_disk_finds_a_vector_that_still_waits_in_memory(cache, photo):
    remember(cache, str(photo), photo.stat(), content(0), read_after=later())
    cache.flush()
    add(cache, range(1))
    assert cache.vector_of_file(str(photo), photo.stat(), "model-1") is not None


def change_content(path: Path) -> None:
    path.write_bytes(b"grown since then")


def change_in_place_and_put_the_time_back(path: Path) -> None:
    before = path.stat()
    time.sleep(0.02)  # the clock of file systems ticks every 4 or 10 ms
    path.write_bytes(b"it is now")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_another(path: Path) -> None:
    other = path.with_name("other.jpg")
    other.write_bytes(b"it is now")
    other.replace(path)


@posix  # where st_ctime is the time of the last change
@pytest.mark.parametrize(
    "change", [change_content, change_in_place_and_put_the_time_back, replace_by_another]
)
@pytest.mark.parametrize("written", [False, True], ids=["in memory", "on the disk"])
def test_a_changed_file_is_noticed(cache, photo, change, written):
    add(cache, range(1))
    remember(cache, str(photo), photo.stat(), content(0), read_after=later())
    if written:
        cache.flush()
    change(photo)
    assert known(cache, str(photo), photo.stat()) is None
    assert cache.vector_of_file(str(photo), photo.stat(), "model-1") is None
    remember(cache, str(photo), photo.stat(), content(1), read_after=later())
    assert known(cache, str(photo), photo.stat()) == content(1)
    cache.flush()
    assert known(cache, str(photo), photo.stat()) == content(1)


def test_a_file_read_within_two_seconds_of_its_change_is_not_trusted(cache, photo):
    changed = max(photo.stat().st_mtime, photo.stat().st_ctime)
    remember(cache, str(photo), photo.stat(), content(0), read_after=changed + 1.9)
    assert known(cache, str(photo), photo.stat()) is None
    remember(cache, str(photo), photo.stat(), content(0), read_after=changed + 2.1)
    assert known(cache, str(photo), photo.stat()) == content(0)


def test_a_file_with_a_time_that_is_yet_to_come_is_not_trusted(cache, photo):
    os.utime(photo, (later(3600), later(3600)))
    remember(cache, str(photo), photo.stat(), content(0), read_after=later())
    assert known(cache, str(photo), photo.stat()) is None


def test_without_a_moment_of_reading_a_file_is_trusted_if_it_is_older_than_the_cache(cache, photo):
    old = Path(sys.executable)
    remember(cache, str(old), old.stat(), content(0))
    assert known(cache, str(old), old.stat()) == content(0)
    remember(cache, str(photo), photo.stat(), content(1))
    assert known(cache, str(photo), photo.stat()) is None


@pytest.mark.parametrize("name", ["père\n☃ 🦆.jpg", b"\xff\xfe.jpg", "quote'\".jpg"])
def test_any_name_of_a_file_can_be_remembered(cache, photo, name):
    path = str(photo.parent / os.fsdecode(name))
    remember(cache, path, photo.stat(), content(0), read_after=later())
    for _ in ("in memory", "on the disk"):
        assert known(cache, path, photo.stat()) == content(0)
        assert known(cache, path + "x", photo.stat()) is None
        cache.flush()


def test_a_relative_path_is_that_file_in_the_current_folder(cache, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    remember(cache, photo.name, photo.stat(), content(0), read_after=later())
    assert known(cache, str(photo), photo.stat()) == content(0)
    monkeypatch.chdir("/")
    assert known(cache, photo.name, photo.stat()) is None


def test_times_and_inodes_beyond_64_bits_are_remembered_too(cache):
    stat = SimpleNamespace(
        st_size=2**63, st_mtime_ns=-(10**30), st_ctime_ns=-(10**18), st_ino=2**128 - 1
    )
    remember(cache, "/of another system", stat, content(0))
    cache.flush()
    assert known(cache, "/of another system", stat) == content(0)


def test_names_of_files_and_addresses_are_not_in_the_cache(folder, photo):
    with Cache(folder) as cache:
        cache.remember_file(str(photo), photo.stat(), content(0), read_after=later())
        cache.remember_web(WebRow("https://me:secret@example.org", None, None, None, content(1)))
        cache.flush()
        stored = b"".join(path.read_bytes() for path in cache.path.parent.iterdir())
    assert b"photo" not in stored
    assert b"example.org" not in stored


def test_sizes_of_known_images_are_known(cache):
    assert not cache.knows_size(7)
    cache.add(content(0), 7, "model", "model-1", vector(0))
    for _ in ("in memory", "on the disk"):
        assert cache.knows_size(7)
        assert not cache.knows_size(8)
        cache.flush()


# Web addresses


def test_a_web_address_comes_back_as_it_was_and_as_it_is_now(cache):
    rows = [
        WebRow("https://example.org/ü.jpg", '"an etag"', "a date", 1.5e9, content(0)),
        WebRow("https://example.org/ü.jpg", None, None, None, content(1)),
    ]
    assert cache.web(rows[0].url) is None
    for row in rows:
        cache.remember_web(row)
        for _ in ("in memory", "on the disk"):
            assert cache.web(row.url) == row
            cache.flush()
    assert cache.web(rows[0].url + "?") is None


# Size


def test_sizes_are_told_and_vectors_dropped_by_model(cache, photo):
    add(cache, range(10), "a")
    add(cache, range(5, 20), "b", 250)
    cache.remember_file(str(photo), photo.stat(), content(0), read_after=later())
    cache.remember_web(WebRow("https://example.org", None, None, None, content(9)))
    assert cache.sizes() == {"a": (10, 40_000), "b": (15, 15_000)}
    assert cache.clear("a") == 10
    assert cache.sizes() == {"b": (15, 15_000)}
    assert kept(cache, range(20), "a") == []
    assert kept(cache, range(20), "b") == list(range(5, 20))
    assert cache.web("https://example.org") is not None  # the other model has its vector
    assert cache.clear("no such model") == 0
    add(cache, range(1), "c")  # the image again, of whose file nothing was left
    assert cache.vector_of_file(str(photo), photo.stat(), "c-1") is None
    assert cache.clear("c") == 1
    assert cache.clear() == 15
    assert cache.sizes() == {}
    assert cache.web("https://example.org") is None
    add(cache, range(3), "a")
    assert cache.sizes() == {"a": (3, 12_000)}


def test_what_is_cleared_is_given_back_to_the_disk(cache):
    add(cache, range(2000), "a")
    add(cache, range(100), "b")
    cache.flush()
    assert cache.path.stat().st_size > 8_000_000
    cache.clear("a")
    assert cache.path.stat().st_size < 1_000_000
    cache.clear()
    assert cache.path.stat().st_size < 100_000


def test_the_least_recently_used_is_dropped_beyond_the_limit(folder, monkeypatch):
    limit = 2_000_000
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with Cache(folder, limit) as cache:
        for number in range(0, 400, 100):
            add(cache, range(number, number + 100))
            cache.flush()
            now += 2 * DAY
        assert kept(cache, range(100)) == list(range(100))  # used again
        cache.flush()
        now += 1
        add(cache, range(400, 500))
        cache.flush()
        left = kept(cache, range(500))
        assert left[:100] == list(range(100))
        assert left[-100:] == list(range(400, 500))
        assert len(left) == left[-1] - left[100] + 101, "the oldest of the others are gone"
        assert 400 <= len(left) < 480
        for number in range(1000, 5000, 200):
            add(cache, range(number, number + 200))
            cache.flush()
            now += 1
        assert kept(cache, range(4800, 5000)) == list(range(4800, 5000))
        assert cache.path.stat().st_size < 1.1 * limit + 200 * 4096


def test_files_and_addresses_not_used_for_as_long_are_dropped_with_them(folder, photo, monkeypatch):
    now = time.time() + 100
    monkeypatch.setattr(time, "time", lambda: now)
    with Cache(folder, 1_000_000) as cache:
        add(cache, range(100))
        cache.remember_file(str(photo), photo.stat(), content(0), read_after=now)
        cache.remember_file("/used.jpg", photo.stat(), content(0), read_after=now)
        for url in ("old", "used"):
            cache.remember_web(WebRow(url, None, None, None, content(0)))
        cache.flush()
        now += 2 * DAY
        assert cache.vector_of_file("/used.jpg", photo.stat(), "model-1") is not None
        assert cache.web("used") is not None
        add(cache, range(100, 400))
        cache.flush()
        add(cache, range(1))  # the image again: the question is what is known of its files
        assert cache.vector_of_file(str(photo), photo.stat(), "model-1") is None
        assert cache.vector_of_file("/used.jpg", photo.stat(), "model-1") is not None
        assert cache.web("old") is None
        assert cache.web("used") is not None


def test_a_lower_limit_makes_the_file_smaller(folder):
    with Cache(folder) as cache:
        add(cache, range(1000))
    with Cache(folder, 1_000_000) as cache:
        add(cache, range(1000, 1001))
        cache.flush()
        assert cache.path.stat().st_size <= 1_000_000
        assert kept(cache, range(1000, 1001)) == [1000]


def test_a_use_is_noted_once_a_day_so_that_a_warm_run_writes_nothing(folder, monkeypatch):
    with Cache(folder) as cache:
        add(cache, range(10))
    unchanged = cache.path.read_bytes()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with Cache(folder) as cache:
        assert len(kept(cache, range(10))) == 10
    assert cache.path.read_bytes() == unchanged
    now += DAY + 2
    with Cache(folder) as cache:
        assert len(kept(cache, range(10))) == 10
    assert cache.path.read_bytes() != unchanged


def test_memory_does_not_grow_with_the_size_of_the_cache(folder):
    resource = pytest.importorskip("resource")
    assert resource
    with Cache(folder) as cache:
        add(cache, range(15_000))
    assert cache.path.stat().st_size > 60_000_000
    grown = run(
        """
        import hashlib, resource, sys
        from pathlib import Path
        from orangecontrib.imageanalytics.cache import Cache

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        with Cache(Path(sys.argv[1])) as cache:
            for number in range(15_000):
                content = hashlib.sha256(str(number).encode()).digest()
                assert cache.vector(content, "model-1", 1000) is not None
                if number == 100:
                    before = peak()
            print(peak() / before)
        """,
        folder,
    )
    assert float(grown) < 1.25


# Staying out of the way


def test_nothing_is_made_before_something_is_added(folder, photo):
    with Cache(folder) as cache:
        assert cache.vector(content(0), "model-1") is None
        assert cache.vector_of_file(str(photo), photo.stat(), "model-1") is None
        assert not cache.knows_size(1)
        assert cache.sizes() == {}
        assert cache.clear() == 0
    assert not folder.exists()


def test_a_cache_that_is_not_enabled_remembers_nothing_and_touches_nothing(folder, photo):
    with Cache(folder, enabled=False) as cache:
        add(cache, range(1))
        cache.remember_file(str(photo), photo.stat(), content(0), read_after=later())
        cache.remember_web(WebRow("https://example.org", None, None, None, content(0)))
        assert cache.vector(content(0), "model-1") is None
        assert cache.vector_of_file(str(photo), photo.stat(), "model-1") is None
        assert cache.web("https://example.org") is None
        assert cache.clear() == 0
        assert cache.sizes() == {}
    assert not folder.exists()


def test_a_closed_cache_remembers_nothing_and_complains_of_nothing(folder):
    cache = Cache(folder)
    add(cache, range(1))
    cache.close()
    cache.close()
    add(cache, range(1, 2))
    assert cache.flush()
    assert cache.vector(content(0), "model-1") is None
    with Cache(folder) as cache:
        assert kept(cache, range(2)) == [0]


def test_a_closed_cache_leaves_one_file_and_no_log(folder):
    with Cache(folder) as cache:
        add(cache, range(1))
    assert [path.name for path in cache.path.parent.iterdir()] == [cache.path.name]


def test_a_cache_at_rest_has_no_thread(cache):
    before = threading.active_count()
    add(cache, range(1))
    assert threading.active_count() == before + 1
    cache.flush()
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.01)
    assert threading.active_count() == before


def test_additions_are_on_the_disk_within_about_a_second_unasked(cache, folder):
    add(cache, range(1))
    with Cache(folder) as other:
        deadline = time.monotonic() + 20
        while kept(other, range(1)) != [0]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_cache_thrown_away_without_being_closed_keeps_what_was_added(folder):
    cache = Cache(folder)
    add(cache, range(1))
    del cache
    gc.collect()
    with Cache(folder) as cache:
        deadline = time.monotonic() + 20
        while kept(cache, range(1)) != [0]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@posix
def test_others_may_not_look_into_the_cache(cache):
    add(cache, range(1))
    cache.flush()
    assert cache.path.parent.stat().st_mode & 0o777 == 0o700
    for path in cache.path.parent.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_folder_is_the_environments_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("ORANGE_IMAGE_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    assert Cache().path.is_relative_to(tmp_path)
    monkeypatch.delenv("ORANGE_IMAGE_CACHE")
    import platformdirs

    assert default_folder() == Path(platformdirs.user_cache_dir("Orange"), "imageanalytics")


def test_the_cache_is_found_without_orange_or_qt():
    loaded = run(
        """
        import sys
        import orangecontrib.imageanalytics.cache as cache
        cache.default_folder()
        print([name for name in sys.modules if name.split(".")[0] in ("Orange", "AnyQt", "httpx")])
        """
    )
    assert loaded.strip() == "[]"


# Threads and processes


def test_threads_share_a_cache(cache):
    faults = []

    def work(thread: int) -> None:
        try:
            for number in range(thread, 400, 8):
                add(cache, range(number, number + 1))
                for other in range(0, number, 40):
                    found = cache.vector(content(other), "model-1")
                    assert found is None or (found == vector(other)).all()
                if number % 50 == 0:
                    cache.flush()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert kept(cache, range(400)) == list(range(400))
    assert cache.sizes() == {"model": (400, 1_600_000)}


ADD = """
    import hashlib, sys
    from pathlib import Path
    import numpy as np
    from orangecontrib.imageanalytics.cache import Cache

    def content(number):
        return hashlib.sha256(str(number).encode()).digest()

    def vector(number):
        return np.random.default_rng(number).standard_normal(1000, np.float32)

    cache = Cache(Path(sys.argv[1]))
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        cache.add(content(number), number, "model", "model-1", vector(number))
"""


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "import atexit; atexit.register(cache.flush)"])
def test_what_was_added_last_is_kept_when_the_interpreter_exits(folder, end):
    run(textwrap.dedent(ADD) + end, folder, 0, 50)
    with Cache(folder) as cache:
        assert kept(cache, range(50)) == list(range(50))


def test_what_was_added_last_is_kept_when_a_program_ends_with_an_error(folder):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run(textwrap.dedent(ADD) + "1 / 0", folder, 0, 50)
    with Cache(folder) as cache:
        assert kept(cache, range(50)) == list(range(50))


def test_what_another_process_adds_is_seen(cache, folder):
    assert kept(cache, range(10)) == []
    run(ADD, folder, 0, 10)
    assert kept(cache, range(10)) == list(range(10))
    run(ADD, folder, 10, 20)
    assert kept(cache, range(20)) == list(range(20))


def test_four_processes_write_at_once_without_loss(folder):
    program = textwrap.dedent(ADD)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(start), str(start + 1000)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for start in range(0, 2000, 500)  # each half of what it adds, its neighbour adds too
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert errors == ""
    with Cache(folder) as cache:
        for number in range(2500):
            np.testing.assert_array_equal(cache.vector(content(number), "model-1"), vector(number))
        assert cache.sizes() == {"model": (2500, 10_000_000)}
    assert not list(folder.glob("*damaged*"))


@posix
def test_a_forked_process_has_its_own_connection_and_nothing_that_waits(folder):
    program = """
        import os

        cache.flush()
        cache.add(content(10), 1, "model", "model-1", vector(10))  # waits while it forks
        child = os.fork()
        mine = (1000, 1100) if child else (2000, 2100)
        for number in range(*mine):
            cache.add(content(number), number, "model", "model-1", vector(number))
            assert cache.vector(content(0), "model-1") is not None
        cache.close()
        if child:
            _, status = os.waitpid(child, 0)
            assert status == 0
    """
    run(textwrap.dedent(ADD) + textwrap.dedent(program), folder, 0, 10)
    with Cache(folder) as cache:
        assert len(kept(cache, range(2100))) == 211
        db = sqlite3.connect(cache.path)
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()


def test_the_log_does_not_grow_while_others_read(cache, folder):
    with Cache(folder) as reader:
        for number in range(0, 10_000, 500):
            add(cache, range(number, number + 500))
            cache.flush()
            assert kept(reader, range(number, number + 1)) == [number]
    log = cache.path.with_name(cache.path.name + "-wal")
    assert log.stat().st_size < 17 * 2**20


@posix
def test_only_its_user_may_read_it(cache: Cache) -> None:
    before = os.umask(0o022)
    try:
        add(cache, range(3))
        cache.flush()
        files = {path.name: path.stat().st_mode & 0o777 for path in cache.path.parent.iterdir()}
        assert len(files) == 3  # with SQLite's log and shared memory
        assert set(files.values()) == {0o600}
        assert cache.path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
