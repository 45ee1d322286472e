"""Which pictures are the same, without an embedding: real files, real workers."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from orangecontrib.imageanalytics import duplicates
from orangecontrib.imageanalytics.cache import Cache
from orangecontrib.imageanalytics.duplicate_files import same_files
from orangecontrib.imageanalytics.duplicates import NEAR_COPY, find
from orangecontrib.imageanalytics.outcome import Reason
from orangecontrib.imageanalytics.similarity.fingerprint import fingerprint, near_copies
from orangecontrib.imageanalytics.sources import content_hash
from tests.copies import on_white, write_copies


def groups(labels, names):
    found = {}
    for label, name in zip(labels, names, strict=True):
        if label >= 0:
            found.setdefault(label, set()).add(name)
    return list(found.values())


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    from tests.conftest import PHOTOS

    chosen = [PHOTOS / "fruit" / "lemon.png", PHOTOS / "animal" / "cow.png"]
    return {
        f"{photo.stem} {kind}": path
        for photo in chosen
        for kind, path in write_copies(photo, folder).items()
    }


def test_copies_are_found_and_other_photos_are_not_taken_for_them(copies, photos):
    names = [*copies, *(str(path) for path in photos)]
    found = find([*copies.values(), *photos], workers=1)
    exact = groups(found.tree.labels(0), names)
    assert {"lemon photo", "lemon png", "lemon tiff"} in exact
    near = groups(found.tree.labels(NEAR_COPY), names)
    assert len(near) == 2 and not found.skipped
    for name, group in zip(("lemon", "cow"), near, strict=True):
        assert {n for n in copies if n.startswith(name)} <= group
        assert len([n for n in group if n.endswith("png") and "/" in n]) == 1  # the example itself


def test_the_size_and_the_pixels_of_copies_are_known(copies):
    found = find(list(copies.values()), workers=1)
    photo, png, _, jpeg, scaled, *_ = found.pixels.tolist()
    assert photo == png != jpeg and scaled not in (photo, jpeg, -1)
    width, height = found.sizes[0].tolist()
    assert Image.open(copies["lemon photo"]).size == (width, height)
    assert found.sizes[4].tolist() == [width // 2, height // 2]


def test_pictures_of_more_than_8_bits_are_exact_copies_only_if_their_files_are(tmp_path):
    y, x = np.mgrid[:80, :80]
    values = (x * 0.001 + y * 0.002).astype(np.float32)
    counts = ((x * 7 + y * 13) % 256 * 256).astype(np.uint16)
    counts[0, 0] = 65535
    other = counts.copy()
    other[20:60, 20:60] |= 0x30
    made = {"a.tif": values, "b.tif": 1000 * values, "a.png": counts, "b.png": other}
    for name, array in made.items():
        Image.fromarray(array).save(tmp_path / name)
    for name in ("a.tif", "a.png"):
        shutil.copy(tmp_path / name, tmp_path / f"copy of {name}")
        made[f"copy of {name}"] = None
    deep = np.dstack([counts, other, counts])
    for name, array in {"a.ppm": deep, "b.ppm": deep | 1}.items():
        header = b"P6 80 80 65535\n"
        (tmp_path / name).write_bytes(header + array.astype(">u2").tobytes())
        made[name] = array
    found = find([str(tmp_path / name) for name in made], workers=1)
    assert not found.skipped
    exact = groups(found.tree.labels(0), made)
    assert sorted(map(sorted, exact)) == [["a.png", "copy of a.png"], ["a.tif", "copy of a.tif"]]
    assert found.sizes[0].tolist() == [80, 80]


def test_what_was_made_of_pictures_is_in_the_cache(copies, monkeypatch):
    first = find(list(copies.values()), workers=1)
    monkeypatch.setattr(
        "orangecontrib.imageanalytics.engine.Engine.submit",
        lambda *_: pytest.fail("a picture was decoded again"),
    )
    again = find([Path(path).read_bytes() for path in copies.values()])
    assert (again.tree.labels(NEAR_COPY) == first.tree.labels(NEAR_COPY)).all()


def test_the_same_file_under_another_name_is_an_exact_copy(photos, tmp_path):
    twin = shutil.copy(photos[0], tmp_path / "no ending")
    found = find([str(photos[1]), str(photos[0]), str(twin), photos[2].read_bytes()], workers=1)
    assert found.tree.labels(0).tolist() == [-1, 0, 0, -1]


def test_a_photo_and_its_lossless_copy_are_exact_though_jpegs_are_decoded_scaled(tmp_path, photos):
    large = on_white(photos[0]).resize((1500, 1100))
    jpeg, png = tmp_path / "a.jpg", tmp_path / "a.png"
    large.save(jpeg, quality=92)
    Image.open(jpeg).save(png)
    assert find([str(jpeg), str(png)], workers=1).tree.labels(0).tolist() == [0, 0]


def test_a_picture_that_differs_by_one_pixel_is_a_near_copy_but_not_an_exact_one(tmp_path, photos):
    picture = on_white(photos[0]).resize((640, 640))
    other = picture.copy()
    other.putpixel((5, 5), (0, 0, 0))
    found = find([np.asarray(p) for p in (picture, other, picture, other)], workers=1)
    assert found.tree.labels(0).tolist() == [0, 1, 0, 1]
    assert found.tree.labels(NEAR_COPY).tolist() == [0, 0, 0, 0]


def test_what_cannot_be_read_is_in_no_group_and_nothing_else_is_lost(photos, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(photos[0].read_bytes()[:500])
    images = [str(cut), str(photos[0]), "no such file", str(tmp_path), None, str(photos[0])]
    found = find(images, workers=1)
    assert found.tree.labels(0).tolist() == [-1, 0, -1, -1, -1, 0]
    assert [found.skipped[i].reason for i in (0, 2, 3, 4)] == [
        Reason.DAMAGED,
        Reason.NOT_FOUND,
        Reason.NOT_A_FILE,
        Reason.NO_IMAGE,
    ]


def test_none_and_one_picture_have_no_copies(photos):
    assert find([]).tree.labels(NEAR_COPY).tolist() == []
    assert find([photos[0]], workers=1).tree.labels(NEAR_COPY).tolist() == [-1]


def test_progress_rises_to_1_and_what_tell_raises_ends_it(photos):
    shares = []
    find([*photos, photos[0]], workers=1, tell=lambda words, share: shares.append(share))
    assert shares == sorted(shares) and shares[-1] == 1

    class Stop(Exception):
        pass

    def stop(words, share):
        raise Stop

    with pytest.raises(Stop):
        find(photos, cache=Cache(enabled=False), workers=1, tell=stop)


def test_what_else_looks_alike_is_no_near_copy(photos):
    """Mirrored, of another colour, darker, its negative: they are other pictures."""
    lemon = on_white(next(p for p in photos if p.stem == "lemon")).resize((64, 64))
    blue = Image.merge("RGB", [lemon.getchannel(c) for c in "BGR"])
    others = [ImageOps.mirror(lemon), blue, ImageOps.invert(lemon), lemon.point(lambda v: v * 0.6)]
    prints = np.array([fingerprint(np.asarray(p)) for p in (lemon, *others)])
    assert not [pair for pair in zip(*_ends(near_copies(prints)), strict=True) if pair[0] == 0]


def _ends(pairs):
    return pairs.first.tolist(), pairs.second.tolist()


def test_empty_pictures_are_copies_only_of_those_as_bright_and_of_the_same_colour():
    chance = np.random.default_rng(0)
    colours = [(255, 255, 255), (255, 255, 255), (0, 0, 0), (0, 0, 2), (200, 60, 60), (60, 60, 200)]
    pictures = [np.full((64, 64, 3), colour, np.uint8) for colour in colours]
    pictures[1] = pictures[1] - chance.integers(0, 3, (64, 64, 1), np.uint8)
    pairs = near_copies(np.array([fingerprint(picture) for picture in pictures]))
    assert list(zip(*_ends(pairs), strict=True)) == [(0, 1), (2, 3)]


def test_noise_without_anything_in_common_is_no_copy():
    chance = np.random.default_rng(0)
    pictures = chance.integers(0, 256, (200, 64, 64, 3), np.uint8)
    pairs = near_copies(np.array([fingerprint(picture) for picture in pictures]))
    assert len(pairs.first) == 0


def test_fewer_are_compared_closely_when_too_many_are_alike(monkeypatch):
    from orangecontrib.imageanalytics.similarity import fingerprint as module

    monkeypatch.setattr(module, "_MOST", 30)
    chance = np.random.default_rng(0)
    base = np.kron(chance.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1)))
    noise = chance.normal(0, 1, (20, 64, 64, 3)) * np.linspace(1, 90, 20)[:, None, None, None]
    noisy = np.clip(base + noise, 0, 255).astype(np.uint8)
    pairs = near_copies(np.array([fingerprint(picture) for picture in noisy]))
    assert 0 < pairs.reach < duplicates.REACH and len(pairs.first)


def test_a_grey_area_is_no_grey_copy_of_a_green_one():
    green, grey = np.zeros((200, 200, 3), np.uint8), np.zeros((200, 200, 3), np.uint8)
    green[:], grey[:] = (47, 180, 133), (135, 135, 135)  # equally bright
    assert find([green, grey, green.copy()], workers=1).tree.labels(NEAR_COPY).tolist() == [
        0,
        -1,
        0,
    ]


@pytest.mark.parametrize("is_known", [True, False], ids=["known to the cache", "read"])
def test_the_same_file_under_other_names_is_told(photos, tmp_path, is_known, monkeypatch):
    paths = [str(shutil.copy(photos[i], tmp_path / f"{n}.png")) for n, i in enumerate((0, 0, 1, 1))]
    with open(paths[3], "ab") as file:
        file.write(b" ")  # as many pixels, and another file
    for path in paths:
        os.utime(path, (1e9, 1e9))
    cache = Cache(tmp_path / "cache")
    if is_known:
        for path in paths[:2]:
            state = Path(path).stat()
            content = content_hash(Path(path).read_bytes())
            cache.remember_file(path, state, content, read_after=time.time() + 10)
        reads = "orangecontrib.imageanalytics.duplicate_files.hash_file"
        monkeypatch.setattr(reads, lambda path: pytest.fail("it was read"))
    sizes = np.array([Path(path).stat().st_size for path in paths])
    found = same_files(paths, np.array([0, 0, 2, 2]), sizes, lambda: None, cache)
    assert found.tolist() == [0, 0, -1, -1]
    cache.close()
