"""A folder into a table of images: real files of all kinds in real folders."""

import os
import struct
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from Orange.data import ContinuousVariable, StringVariable
from PIL import Image

from orangecontrib.imageanalytics import import_images
from orangecontrib.imageanalytics.decoding.header import Header, read_header
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.tables import image_columns, references

from .conftest import PHOTOS


def add(folder: Path, *names: str, size=(8, 6), format="PNG", **options) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "red").save(path, format, **options)
    return folder


def images(table) -> list[str]:
    return list(table.get_column("image"))


# The table


def test_the_table_has_the_columns_of_the_public_addon():
    table, n_skipped = ImportImages()(PHOTOS)
    assert n_skipped == 0 and len(table) == 13
    domain = table.domain
    assert domain.attributes == ()
    assert domain.class_var.name == "category" and domain.class_var.values == ("animal", "fruit")
    assert [v.name for v in domain.metas] == ["image name", "image", "size", "width", "height"]
    assert [type(v) for v in domain.metas] == [StringVariable] * 2 + [ContinuousVariable] * 3
    assert domain["image"].attributes == {"type": "image", "origin": str(PHOTOS)}
    assert [v.number_of_decimals for v in domain.metas[2:]] == [0, 0, 0]
    assert image_columns(table)[0].name == "image"
    assert table.name == "photos"


def test_a_row_says_what_the_file_is():
    table, _ = ImportImages()(PHOTOS)
    [row] = [row for row in table if row["image name"] == "lemon"]
    lemon = PHOTOS / "fruit" / "lemon.png"
    assert row["image"] == "fruit/lemon.png" and row["category"] == "fruit"
    assert row["size"] == lemon.stat().st_size
    assert (row["width"], row["height"]) == (120, 79)


def test_the_embedder_finds_the_files(tmp_path, monkeypatch):
    add(tmp_path, "a/1.png", "2.png")
    monkeypatch.chdir(tmp_path.parent)
    for folder in (tmp_path, str(tmp_path) + os.sep, tmp_path.name, Path(tmp_path.name)):
        table, _ = ImportImages()(folder)
        assert all(Path(path).is_file() for path in references(table, "image")), folder
        assert images(table) == ["2.png", "a/1.png"]


def test_images_in_one_folder_have_no_category(tmp_path):
    add(tmp_path / "only", "1.png", "2.png")
    (tmp_path / "notes.txt").write_text("hello")
    table, n_skipped = ImportImages()(tmp_path)
    assert table.domain.class_vars == () and n_skipped == 1
    assert images(table) == ["only/1.png", "only/2.png"]


def test_the_category_is_the_relative_path_of_the_folder_and_a_dot_for_the_root(tmp_path):
    add(tmp_path, "1.png", "a/2.png", "a/b/3.png", "a10/4.png", "a2/5.png")
    table, _ = ImportImages()(tmp_path)
    assert table.domain.class_var.values == (".", "a", "a/b", "a2", "a10")
    assert [str(row["category"]) for row in table] == [".", "a", "a/b", "a2", "a10"]


def test_the_order_is_natural_and_the_same_each_time(tmp_path):
    add(tmp_path, "img10.png", "img2.png", "IMG1.png", "b/x.png", "img02.png", "é.png")
    first, _ = ImportImages()(tmp_path)
    assert images(first) == ["IMG1.png", "img02.png", "img2.png", "img10.png", "é.png", "b/x.png"]
    assert images(ImportImages()(tmp_path)[0]) == images(first)


def test_names_keep_inner_dots_and_lose_the_extension(tmp_path):
    add(tmp_path, "a.b.png", "noext", ".hidden.png")
    table, _ = ImportImages()(tmp_path)
    assert sorted(table.get_column("image name")) == ["a.b", "noext"]


def test_a_folder_without_images_gives_an_empty_table_of_the_same_kind(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    table, n_skipped = ImportImages()(tmp_path)
    assert len(table) == 0 and n_skipped == 1
    assert table.domain.metas == ImportImages()(PHOTOS)[0].domain.metas
    assert references(table, "image") == []


def test_very_many_files_are_in_order_though_threads_read_them(tmp_path):
    data = (PHOTOS / "fruit" / "banana.png").read_bytes()
    for number in range(500):
        (tmp_path / f"{number}.png").write_bytes(data)
    table, _ = ImportImages()(tmp_path)
    assert images(table) == [f"{number}.png" for number in range(500)]


# What is an image


@pytest.mark.parametrize(
    "format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "JPEG2000", "AVIF"]
)
def test_what_the_embedder_decodes_is_listed_whatever_its_name(tmp_path, format):
    if format not in Image.SAVE and format not in Image.registered_extensions().values():
        pytest.skip(f"this Pillow was built without {format}")
    add(tmp_path, "picture.dat", size=(32, 16), format=format)
    table, n_skipped = ImportImages()(tmp_path)
    assert n_skipped == 0
    assert (table[0]["width"], table[0]["height"]) in [(32, 16), (16, 8)]  # an icon is square-ish


def test_heic_images_are_listed(tmp_path):
    picture = Image.new("RGB", (64, 48))
    pillow_heif.from_pillow(picture).save(tmp_path / "photo.heic")
    table, n_skipped = ImportImages()(tmp_path)
    assert n_skipped == 0 and (table[0]["width"], table[0]["height"]) == (64, 48)
    assert "HEIF" not in Image.OPEN  # nothing of Pillow's is changed


def test_without_pi_heif_a_heic_image_is_named_as_one(tmp_path, monkeypatch):
    pillow_heif.from_pillow(Image.new("RGB", (64, 48))).save(tmp_path / "photo.heic")
    monkeypatch.setitem(__import__("sys").modules, "pi_heif", None)
    look = read_header(str(tmp_path / "photo.heic"))
    assert isinstance(look, Skipped) and look.reason == Reason.UNSUPPORTED
    assert "pi-heif" in look.detail


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("notes.txt", b"hello", "text"),
        ("page.png", b"<!doctype html><html></html>", "HTML"),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "SVG"),
        ("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS"),
        ("paper.pdf", b"%PDF-1.7", "PDF"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(600), "thumbnails"),
        ("empty.png", b"", "empty"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0", "PNG"),
        ("noise.bin", bytes(range(256)) * 8, "no known image format"),
    ],
)
def test_what_is_not_an_image_is_counted_with_the_reason(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    run = ImportImages()
    table, n_skipped = run(tmp_path)
    assert len(table) == 0 and n_skipped == 1 == run.others.count
    [(found, why)] = run.others.named
    assert found == name and words in why


def test_bytes_that_might_be_a_targa_image_are_one_only_if_they_are_named_so(tmp_path):
    add(tmp_path, "a.tga", "a.dat", format="TGA")
    table, n_skipped = ImportImages()(tmp_path)
    assert images(table) == ["a.tga"] and n_skipped == 1


def test_width_and_height_are_those_that_are_seen(tmp_path):
    lying = Image.Exif()
    lying[0x0112] = 6
    add(tmp_path, "1.jpg", size=(80, 40), format="JPEG", exif=lying)
    add(tmp_path, "2.png", size=(80, 40), exif=lying)
    add(tmp_path, "3.jpg", size=(80, 40), format="JPEG")
    table, _ = ImportImages()(tmp_path)
    np.testing.assert_array_equal(table.metas[:, 3:].astype(float), [[40, 80], [40, 80], [80, 40]])


def test_only_headers_are_read(tmp_path):
    path = add(tmp_path, "huge.png") / "huge.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)  # a "bomb" to Pillow
    data = path.read_bytes()
    data = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:60]
    path.write_bytes(data)
    assert read_header(str(path)) == Header(len(data), 30000, 30000)


# Folders as they are


def test_hidden_files_and_folders_are_left_out_without_being_counted(tmp_path):
    add(tmp_path, "1.png", ".2.png", ".hidden/3.png", "a/.git/4.png")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    table, n_skipped = ImportImages()(tmp_path)
    assert images(table) == ["1.png"] and n_skipped == 0


def link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("links cannot be made here")


def test_links_are_followed_and_loops_only_once(tmp_path):
    add(tmp_path / "elsewhere", "far.png")
    root = add(tmp_path / "root", "a/1.png")
    link(root / "a" / "loop", root)
    link(root / "far", tmp_path / "elsewhere")
    link(root / "self", root / "self")
    link(root / "gone.png", root / "not there.png")
    table, n_skipped = ImportImages()(root)
    assert images(table) == ["a/1.png", "far/far.png"]
    assert n_skipped == 2  # the link to itself and the one to nothing


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    add(tmp_path, "1.png")
    run = ImportImages()
    table, n_skipped = run(tmp_path)
    assert images(table) == ["1.png"] and n_skipped == 1
    assert "named pipe" in run.others.named[0][1]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        ImportImages()(tmp_path / "gone")
    assert error.value.filename == str(tmp_path / "gone")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        ImportImages()(tmp_path / "file")


def test_folders_inside_that_cannot_be_listed_are_told(tmp_path, monkeypatch):
    add(tmp_path, "1.png", "locked/2.png")
    scandir = os.scandir

    def refuse(path):  # permissions do not hold for root, as which tests may run
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    run = ImportImages()
    table, _ = run(tmp_path)
    assert images(table) == ["1.png"]
    assert run.others.unreadable == [("locked", "Permission denied")]


def test_of_very_many_other_files_all_are_counted_and_some_named(tmp_path, monkeypatch):
    monkeypatch.setattr(import_images, "NAMED", 10)
    for number in range(50):
        (tmp_path / f"{number}.txt").write_text("hello")
    run = ImportImages()
    assert run(tmp_path)[1] == 50 == run.others.count
    assert [name for name, _ in run.others.named] == [f"{number}.txt" for number in range(10)]


@pytest.mark.skipif(os.name == "nt", reason="all names are text there")
def test_a_name_that_is_not_text_can_be_opened_again(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    try:
        with open(path, "wb") as file:
            Image.new("RGB", (4, 4)).save(file, "PNG")
    except OSError:
        pytest.skip("this file system has only names that are text")
    table, _ = ImportImages()(tmp_path)
    assert Path(references(table, "image")[0]).exists()


# Progress and its end


def test_progress_is_told_and_what_it_raises_comes_out_unchanged(tmp_path):
    add(tmp_path, *(f"{number}.png" for number in range(100)))
    told = []
    ImportImages(told.append)(tmp_path)
    counts = [progress.count for progress in told]
    assert counts[0] == 1 and counts == sorted(set(counts)) and len(counts) > 5
    assert Path(told[0].lastpath).name == "0.png"

    class Enough(BaseException):
        pass

    def stop(progress):
        if progress.count > 30:
            raise Enough

    with pytest.raises(Enough):
        ImportImages(stop)(tmp_path)
    end = time.monotonic() + 5
    while any(thread.name == "import images" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_cancelled_run_gives_an_empty_table(tmp_path):
    add(tmp_path, "1.png", "2.png")
    run = ImportImages()
    run.cancelled = True
    table, n_skipped = run(tmp_path)
    assert len(table) == 0 and n_skipped == 0


def test_memory_beyond_the_table_does_not_grow_with_the_number_of_files(tmp_path):
    data = (PHOTOS / "fruit" / "banana.png").read_bytes()
    (tmp_path / "0.png").write_bytes(data)
    ImportImages()(tmp_path)
    peaks = []
    for start, end in ((1, 500), (500, 4000)):
        for number in range(start, end):
            os.link(tmp_path / "0.png", tmp_path / f"{number}.png")
        tracemalloc.start()
        try:
            table, _ = ImportImages()(tmp_path)
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        peaks.append((peak - kept) / 1e6)
        assert len(table) == end
    assert peaks[1] < peaks[0] + 4  # megabytes, of which the folder's listing is the most
