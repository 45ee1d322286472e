"""Thumbnails: whatever can be embedded can be seen; what cannot says why; nothing is made twice."""

from __future__ import annotations

import base64
import gc
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orangecontrib.imageanalytics.cache import ThumbnailCache
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import InputTypeError, Reason, Skipped, WorkerError
from orangecontrib.imageanalytics.thumbnails import (
    STEPS,
    Requests,
    Thumbnail,
    Thumbnails,
    step_for,
)
from orangecontrib.imageanalytics.thumbnails.encoding import encode
from tests import awkward
from tests.jobs import DiesAtStart
from tests.web_server import WebServer, answer

pytestmark = pytest.mark.usefixtures("no_new_workers")


def jpeg(path: Path, size: tuple[int, int], colour: str = "red") -> Path:
    Image.new("RGB", size, colour).save(path, "JPEG")
    return path


def shapes(outcomes: list[Thumbnail | Skipped]) -> list[tuple[int, ...] | str]:
    return [
        outcome.pixels().shape if isinstance(outcome, Thumbnail) else str(outcome.reason)
        for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("pixels", "step"), [(1, 64), (64, 64), (65, 128), (1000, 1024), (1025, 1025), (3000, 3000)]
)
def test_sizes_come_in_steps(pixels, step):
    assert step_for(pixels) == step
    assert list(STEPS) == sorted(STEPS)


def test_all_kinds_of_references_give_one_outcome_each_in_their_order(tmp_path):
    path = jpeg(tmp_path / "a.jpg", (300, 200))
    data = path.read_bytes()
    uri = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    array = np.zeros((90, 30, 4), np.uint8)
    references = [str(path), path, data, uri, Image.open(path), array, None, tmp_path, "gone.jpg"]
    with Thumbnails(workers=1) as thumbnails:
        got = shapes(thumbnails(references, 64))
    assert got == [(43, 64, 3)] * 5 + [(64, 21, 4), "no image given", "not a file", "not found"]


def test_what_was_made_is_freed_without_the_collector_of_garbage(tmp_path):
    paths = [jpeg(tmp_path / f"{n}.jpg", (30, 20)) for n in range(4)]
    with Thumbnails(workers=1) as thumbnails:
        thumbnails(paths[:1], 64)  # what is made once is there
        gc.disable()
        try:
            made = [thumbnails.request(path, 64) for path in paths[1:]]
            assert shapes([future.result() for future in made]) == [(20, 30, 3)] * 3
            left = [weakref.ref(future) for future in made]
            made.clear()
            until = time.monotonic() + 30  # the engine's thread lets go of the last one
            while any(future() is not None for future in left) and time.monotonic() < until:
                time.sleep(0.01)
            assert [future() for future in left] == [None] * 3
        finally:
            gc.enable()


def test_every_readable_file_can_be_seen_and_the_others_say_why(tmp_path):
    cases = awkward.write_files(tmp_path)
    with Thumbnails(workers=2) as thumbnails:
        outcomes = thumbnails([case.path for case in cases], 64)
    for case, outcome in zip(cases, outcomes, strict=True):
        if case.expected is None:
            assert max(outcome.pixels().shape[:2]) <= 64, case.path
        else:
            assert outcome.reason == case.expected, case.path


def test_a_thumbnail_is_turned_upright_and_keeps_its_transparency(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100), "red").save(tmp_path / "lying.jpg", exif=exif)
    ghost = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    ghost.paste((0, 255, 0, 255), (50, 0, 100, 100))
    ghost.save(tmp_path / "ghost.png")
    with Thumbnails(workers=1) as thumbnails:
        lying, ghostly = thumbnails([tmp_path / "lying.jpg", tmp_path / "ghost.png"], 64)
    assert lying.pixels().shape == (64, 32, 3)
    pixels = ghostly.pixels()
    assert (pixels[:, :28, 3] < 5).all()
    assert (pixels[:, 36:, 3] == 255).all()
    assert pixels[32, 50, 1] > 200


def test_what_is_known_of_the_picture_itself_comes_with_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "lying.jpg"
    Image.new("RGB", (200, 100), "red").save(path, exif=exif)
    with Thumbnails(tmp_path / "cache", workers=1) as thumbnails:
        for _ in range(2):  # decoded, and from the cache
            (thumbnail,) = thumbnails([path], 64)
            assert (thumbnail.width, thumbnail.height) == (100, 200)
            assert thumbnail.size == path.stat().st_size


def test_what_is_in_the_cache_is_not_decoded_again(tmp_path):
    paths = [jpeg(tmp_path / f"{number}.jpg", (200, 100 + number)) for number in range(5)]
    time.sleep(2.1)  # a file that has just been changed might change once more unnoticed
    with Thumbnails(tmp_path / "cache", workers=1) as thumbnails:
        first = thumbnails(paths, 100)
    with Thumbnails(tmp_path / "cache", workers=1) as thumbnails:
        begun = _count_engine_starts(thumbnails)
        assert thumbnails(paths, 128) == first
        assert begun() == 0
        thumbnails(paths, 200)  # another step
        assert begun() == 1


def _count_engine_starts(thumbnails: Thumbnails):
    return lambda: int(thumbnails._engine is not None and thumbnails._engine._thread is not None)


def test_a_file_that_has_changed_is_decoded_again(tmp_path):
    path = jpeg(tmp_path / "a.jpg", (200, 100))
    with Thumbnails(workers=1) as thumbnails:
        thumbnails([path], 64)
        jpeg(path, (100, 200))
        assert shapes(thumbnails([path], 64)) == [(64, 32, 3)]


def test_the_same_content_under_another_name_is_found_by_its_hash(tmp_path):
    data = jpeg(tmp_path / "a.jpg", (200, 100)).read_bytes()
    with Thumbnails(tmp_path / "cache", workers=1) as thumbnails:
        thumbnails([tmp_path / "a.jpg"], 64)
    with Thumbnails(tmp_path / "cache", workers=1) as thumbnails:
        assert shapes(thumbnails([data], 64)) == [(32, 64, 3)]
        assert _count_engine_starts(thumbnails)() == 0


def test_beyond_the_largest_step_nothing_is_kept(tmp_path):
    path = jpeg(tmp_path / "a.jpg", (1500, 100))
    with Thumbnails(tmp_path / "cache", workers=1) as thumbnails:
        assert shapes(thumbnails([path], 1200)) == [(80, 1200, 3)]
    with ThumbnailCache(tmp_path / "cache") as cache:
        assert cache.sizes() == {}


def test_the_cache_keeps_its_limit_and_drops_the_oldest(tmp_path):
    noise = np.random.default_rng(0)
    files = []
    for number in range(12):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(noise.integers(0, 255, (512, 512, 3), np.uint8)).save(files[-1])
    with Thumbnails(ThumbnailCache(tmp_path / "cache", limit=10**6), workers=2) as thumbnails:
        for file in files:
            thumbnails([file], 512)
            thumbnails._cache.flush()
    with ThumbnailCache(tmp_path / "cache") as cache:
        count, size = cache.sizes()["thumbnails"]
        assert 1 < count < 12
        assert size < 10**6


def test_a_decoder_that_is_killed_costs_no_other_image(tmp_path):
    paths = [jpeg(tmp_path / f"{number}.jpg", (64, 64)) for number in range(4)]
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(awkward.png_of(b"", (200_000, 200_000), 8, 6))
    with Thumbnails(workers=1) as thumbnails:
        got = thumbnails([*paths, bomb], 64)
    assert shapes(got[:4]) == [(64, 64, 3)] * 4
    assert got[4].reason in (Reason.TOO_LARGE, Reason.DAMAGED)


def test_web_images_are_seen_and_known_again(tmp_path):
    data = jpeg(tmp_path / "a.jpg", (200, 100)).read_bytes()
    with WebServer() as server:
        server.on("/a.jpg", answer(data, {"Cache-Control": "max-age=3600"}))
        with Thumbnails(tmp_path / "cache", workers=1) as thumbnails:
            got = thumbnails([server.url("/a.jpg"), server.url("/gone.jpg")], 64)
            assert shapes(got) == [(32, 64, 3), "could not be downloaded"]
            asked = len(server.requests)
            assert shapes(thumbnails([server.url("/a.jpg")], 64)) == [(32, 64, 3)]
            assert len(server.requests) == asked
            assert shapes(thumbnails([server.url("/a.jpg")], 256)) == [(100, 200, 3)]


def test_what_is_no_image_at_all_is_an_error():
    with Thumbnails(workers=1) as thumbnails, pytest.raises(InputTypeError):
        thumbnails([17])


def test_processes_that_cannot_start_are_an_error_and_tried_again_later(tmp_path, monkeypatch):
    path = jpeg(tmp_path / "a.jpg", (64, 64))
    with Thumbnails(workers=1) as thumbnails:
        thumbnails._engine = Engine(DiesAtStart(), workers=1)
        with pytest.raises(WorkerError):
            thumbnails([path], 64)
        assert shapes(thumbnails([path], 64)) == [(64, 64, 3)]


def test_memory_holds_but_what_is_under_way(tmp_path):
    path = jpeg(tmp_path / "a.jpg", (64, 64))
    taken = []

    def references():
        for number in range(1000):
            taken.append(number)
            yield path

    with Thumbnails(workers=1) as thumbnails:
        outcomes = thumbnails.outcomes(references(), 64)
        for _ in range(3):
            next(outcomes)
        assert len(taken) < 100
        outcomes.close()


def test_transparent_thumbnails_are_decoded_while_pillow_knows_no_format(monkeypatch):
    """As in a thread, while another one loads Pillow's formats."""
    data = encode(np.zeros((8, 9, 4), np.uint8))
    monkeypatch.setattr(Image, "ID", [])
    assert Thumbnail(data, 9, 8, len(data)).pixels().shape == (8, 9, 4)


class Wishes:
    """Requests, and what came of them."""

    def __init__(self, thumbnails: Thumbnails) -> None:
        self.came: list[tuple[object, int, object]] = []
        self.errors: list[BaseException] = []
        self.news = threading.Event()
        self.requests = Requests(
            thumbnails, lambda made: made.pixels().shape, self._take, self.errors.append
        )

    def _take(self, key: object, size: int, result: object) -> None:
        self.came.append((key, size, result))
        self.news.set()

    def wait(self, true, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.came
            time.sleep(0.01)


def test_requests_are_answered_each_with_its_key(tmp_path):
    paths = {name: jpeg(tmp_path / f"{name}.jpg", (100, 50)) for name in "abc"}
    with Thumbnails(workers=1) as thumbnails:
        wishes = Wishes(thumbnails)
        wishes.requests.want([*paths.items(), ("d", "gone.jpg")], 64)
        wishes.wait(lambda: len(wishes.came) == 4)
        wishes.wait(lambda: wishes.requests.is_idle)
        wishes.requests.close()
    got = {key: result for key, _, result in wishes.came}
    assert [got[key] for key in "abc"] == [(32, 64, 3)] * 3
    assert got["d"].reason == Reason.NOT_FOUND
    assert not wishes.errors


def test_what_is_no_longer_wanted_is_not_decoded(tmp_path):
    large = tmp_path / "large.png"
    Image.new("RGB", (3000, 3000), "red").save(large, compress_level=1)
    with Thumbnails(cache=False, workers=1) as thumbnails:
        wishes = Wishes(thumbnails)
        for begin in range(0, 5000, 50):  # scrolls by
            wishes.requests.want([(number, large) for number in range(begin, begin + 50)], 64)
        wishes.requests.want([("end", large)], 64)
        wishes.wait(lambda: "end" in [key for key, _, _ in wishes.came])
        wishes.wait(lambda: wishes.requests.is_idle)
        assert len(wishes.came) < 60
        wishes.requests.close()


def test_the_most_urgent_come_first(tmp_path):
    paths = [jpeg(tmp_path / f"{number}.jpg", (2000, 1500)) for number in range(120)]
    with Thumbnails(cache=False, workers=1) as thumbnails:
        thumbnails([paths[0]])  # it has started
        wishes = Wishes(thumbnails)
        wishes.requests.want(list(enumerate(paths)), 64)
        wishes.requests.want(list(reversed(list(enumerate(paths)))), 64)
        wishes.wait(lambda: len(wishes.came) > 60)
        wishes.requests.close()
    late = [key for key, _, _ in wishes.came[:60]]
    assert np.mean(late) > 60


def test_after_closing_nothing_comes(tmp_path):
    paths = [jpeg(tmp_path / f"{number}.jpg", (500, 500)) for number in range(50)]
    with Thumbnails(cache=False, workers=1) as thumbnails:
        wishes = Wishes(thumbnails)
        wishes.requests.want(list(enumerate(paths)), 64)
        wishes.news.wait(60)
        wishes.requests.close()
        time.sleep(0.1)
        count = len(wishes.came)
        time.sleep(0.5)
        assert len(wishes.came) == count
        wishes.requests.want(list(enumerate(paths)), 64)
        assert wishes.requests.is_idle


def test_a_view_is_told_when_no_image_can_be_decoded(tmp_path):
    path = jpeg(tmp_path / "a.jpg", (64, 64))
    with Thumbnails(workers=1) as thumbnails:
        thumbnails._engine = Engine(DiesAtStart(), workers=1)
        wishes = Wishes(thumbnails)
        wishes.requests.want([(1, path)], 64)
        wishes.wait(lambda: bool(wishes.errors))
        assert isinstance(wishes.errors[0], WorkerError)
        wishes.requests.want([(1, path)], 64)  # tried again with new processes
        wishes.wait(lambda: bool(wishes.came))
        wishes.requests.close()
