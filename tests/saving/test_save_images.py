"""Saving pictures: whole or not at all, and nothing that is there is touched."""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from orangecontrib.imageanalytics.decoding.fit import Squash, Within
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.saving import FORMATS, FolderError, Saved, SaveImages, save_images
from orangecontrib.imageanalytics.saving.encoding import EncodeJob
from orangecontrib.imageanalytics.saving.new_files import PART, NewFiles
from tests.web_server import WebServer, answer

pytestmark = pytest.mark.usefixtures("no_new_workers")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def jpeg(colour: str = "red", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture
def photo(tmp_path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    path = tmp_path / "a.b.jpg"
    path.write_bytes(jpeg(exif=exif))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


class TestCopies:
    def test_a_file_that_stays_as_it_is_is_copied_with_all_that_it_says(self, photo, tmp_path):
        for format in ("original", "jpg"):
            (saved,) = SaveImages(tmp_path / format, format)([photo])
            assert Path(saved.path).name == "a.b.jpg"
            assert Path(saved.path).read_bytes() == photo.read_bytes()
            assert Path(saved.path).stat().st_mtime == 1_000_000_000

    def test_a_picture_that_is_not_scaled_down_is_copied(self, photo, tmp_path):
        (saved,) = SaveImages(tmp_path / "to", "original", Within(100))([photo])
        assert Path(saved.path).read_bytes() == photo.read_bytes()

    def test_pictures_of_several_formats_are_scaled_by_the_same_processes(
        self, photo, tmp_path, monkeypatch
    ):
        engines = []

        def counted(*args: object, **options: object) -> Engine:
            engines.append(Engine(*args, **options))
            return engines[-1]

        monkeypatch.setattr(save_images, "Engine", counted)
        other = tmp_path / "a.png"
        Image.new("RGB", (90, 60), "red").save(other)
        array = np.zeros((90, 60, 3), np.uint8)
        saved = SaveImages(tmp_path / "to", fit=Within(30), workers=1)([photo, other, array])
        kinds = []
        for one in saved:
            with Image.open(one.path) as image:
                kinds.append((image.format, max(image.size)))
        assert kinds == [("JPEG", 30), ("PNG", 30), ("PNG", 30)]
        assert len(engines) == 1

    def test_the_same_twice_writes_nothing_anew(self, photo, photos, tmp_path):
        for format in ("original", "png"):
            save = SaveImages(tmp_path / format, format, workers=1)
            first = save([photo, *photos[:3]])
            assert all(saved.is_new for saved in first)
            before = [Path(saved.path).stat() for saved in first]
            again = save([photo, *photos[:3]])
            assert [saved.path for saved in again] == [saved.path for saved in first]
            assert not any(saved.is_new for saved in again)
            assert [Path(saved.path).stat().st_mtime_ns for saved in again] == [
                state.st_mtime_ns for state in before
            ]
            assert len(files(tmp_path / format)) == 4


class TestNothingIsLost:
    def test_another_picture_of_the_same_name_gets_a_number(self, tmp_path):
        references = []
        for index, colour in enumerate(["red", "green", "blue"]):
            path = tmp_path / str(index) / "same.jpg"
            path.parent.mkdir()
            path.write_bytes(jpeg(colour))
            references.append(path)
        saved = SaveImages(tmp_path / "to")(references)
        assert files(tmp_path / "to") == ["same (2).jpg", "same (3).jpg", "same.jpg"]
        for reference, one in zip(references, saved, strict=True):
            assert Path(one.path).read_bytes() == reference.read_bytes()
        assert [one.path for one in SaveImages(tmp_path / "to")(references)] == [
            one.path for one in saved
        ]

    def test_what_is_there_is_never_touched(self, photo, tmp_path):
        folder = tmp_path / "to"
        (folder / "a.b (2).jpg").mkdir(parents=True)
        (folder / "a.b.jpg").write_bytes(b"somebody's own")
        (folder / "diary.txt").write_text("dear diary")
        (saved,) = SaveImages(folder)([photo])
        assert Path(saved.path).name == "a.b (3).jpg"
        assert (folder / "a.b.jpg").read_bytes() == b"somebody's own"
        assert (folder / "diary.txt").read_text() == "dear diary"
        assert (folder / "a.b (2).jpg").is_dir()

    def test_two_programs_at_once_lose_nothing(self, tmp_path):
        """Both take all names at the same time, with other pictures."""
        program = (
            "import sys; from orangecontrib.imageanalytics.saving.new_files import NewFiles\n"
            "new = NewFiles(sys.argv[1])\n"
            "for n in range(40):\n"
            "    new.write(f'{sys.argv[2]} {n}'.encode(), '', 'same', '.png')\n"
        )
        running = [
            subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "to"), name])
            for name in ("a", "b")
        ]
        assert [process.wait(120) for process in running] == [0, 0]
        contents = {(tmp_path / "to" / name).read_text() for name in files(tmp_path / "to")}
        assert contents == {f"{name} {n}" for name in "ab" for n in range(40)}

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that kills at once")
    def test_a_program_that_is_killed_leaves_only_whole_files(self, tmp_path):
        program = (
            "import sys; from orangecontrib.imageanalytics.saving.new_files import NewFiles\n"
            "new = NewFiles(sys.argv[1])\n"
            "for n in range(10**6):\n"
            "    new.write(bytes([n % 256]) * 200_000 + str(n).encode(), '', str(n), '.png')\n"
        )
        folder = tmp_path / "to"
        process = subprocess.Popen([sys.executable, "-c", program, str(folder)])
        end = time.monotonic() + 60
        while time.monotonic() < end and len(files(folder)) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        names = [name for name in files(folder) if not name.endswith(PART)]
        assert len(names) >= 19
        for name in names:
            number = int(name.removesuffix(".png"))
            content = bytes([number % 256]) * 200_000 + str(number).encode()
            assert (folder / name).read_bytes() == content
        assert len(files(folder)) <= len(names) + 1

    def test_it_works_where_the_file_system_knows_no_links(self, photo, tmp_path, monkeypatch):
        def no_links(*_: object) -> None:
            raise OSError(errno.ENOTSUP, "not supported")

        monkeypatch.setattr(os, "link", no_links)
        (tmp_path / "to").mkdir()
        (tmp_path / "to" / "a.b.jpg").write_bytes(b"taken")
        (saved,) = SaveImages(tmp_path / "to")([photo])
        assert files(tmp_path / "to") == ["a.b (2).jpg", "a.b.jpg"]
        assert Path(saved.path).read_bytes() == photo.read_bytes()

    def test_a_name_that_was_taken_without_links_is_given_back(self, photo, tmp_path, monkeypatch):
        def refused(*_: object) -> None:
            raise OSError(errno.EIO, "refused")

        def no_links(*_: object) -> None:
            raise OSError(errno.ENOTSUP, "not supported")

        monkeypatch.setattr(os, "link", no_links)
        monkeypatch.setattr(Path, "replace", refused)
        with pytest.raises(FolderError):
            SaveImages(tmp_path / "to")([photo])
        assert files(tmp_path / "to") == []


class TestFormats:
    @pytest.mark.parametrize("key", FORMATS)
    def test_every_format_is_written(self, key, photos, tmp_path):
        half = Image.new("RGBA", (40, 30), (255, 0, 0, 128))
        saved = SaveImages(tmp_path, key, workers=1)([photos[0], half])
        for one in saved:
            assert Path(one.path).suffix == f".{key}"
            assert Path(one.path).stat().st_size > 50
        if key in ("pdf", "eps"):
            return
        with Image.open(saved[1].path) as image:
            assert image.size == (40, 30)
            pixel = image.convert("RGBA").getpixel((20, 15))
            assert pixel[:3] == pytest.approx(
                (255, 127, 127) if pixel[3] == 255 else (255, 0, 0), abs=6
            )

    def test_a_photo_is_turned_upright_when_it_is_encoded_anew(self, photo, tmp_path):
        (saved,) = SaveImages(tmp_path / "to", "png", workers=1)([photo])
        with Image.open(saved.path) as image:
            assert image.size == (30, 40)

    def test_squashed_to_a_model_s_size_or_fitted_within(self, photos, tmp_path):
        (squashed,) = SaveImages(tmp_path / "a", "png", Squash(227, 200), workers=1)(photos[:1])
        (fitted,) = SaveImages(tmp_path / "b", fit=Within(20), workers=1)(photos[:1])
        with Image.open(squashed.path) as image:
            assert image.size == (200, 227)
        with Image.open(fitted.path) as image:
            assert max(image.size) == 20
            assert image.format == "PNG"

    def test_an_unknown_format_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="Formats: original, png"):
            SaveImages(tmp_path, "docx")


class TestSources:
    def test_pictures_of_every_kind_are_saved(self, photo, tmp_path):
        content = jpeg("blue")
        with WebServer() as server:
            url = server.on("/red%20bicycle.jpg", answer(jpeg("green")))
            references = [
                str(photo),
                url,
                "data:image/jpeg;base64," + __import__("base64").b64encode(content).decode(),
                content,
                np.zeros((5, 6), np.uint8),
            ]
            saved = SaveImages(tmp_path / "to", workers=1)(references)
        names = [Path(one.path).name for one in saved]
        assert names == ["a.b.jpg", "red bicycle.jpg", "image 3.jpg", "image 4.jpg", "image 5.png"]
        assert Path(saved[1].path).read_bytes() == jpeg("green")

    def test_what_cannot_be_saved_is_skipped_and_the_rest_is_there(self, photo, tmp_path):
        (tmp_path / "text.jpg").write_text("no picture")
        (tmp_path / "empty.png").touch()
        cut = tmp_path / "cut.jpg"
        cut.write_bytes(jpeg(size=(400, 300))[:2000])
        references = ["gone.png", tmp_path / "text.jpg", tmp_path / "empty.png", cut, None, photo]
        outcomes = SaveImages(tmp_path / "to", "png", workers=1)(references)
        reasons = [one.reason if isinstance(one, Skipped) else None for one in outcomes]
        assert reasons == [
            Reason.NOT_FOUND,
            Reason.NOT_AN_IMAGE,
            Reason.NOT_AN_IMAGE,
            Reason.DAMAGED,
            Reason.NO_IMAGE,
            None,
        ]
        assert files(tmp_path / "to") == ["a.b.png"]

    def test_what_only_begins_like_a_picture_is_not_copied(self, photo, tmp_path):
        (tmp_path / "notes.jpg").write_text("BMW 320, first registered in 1984")
        raw = tmp_path / "raw.dng"
        version = TiffImagePlugin.ImageFileDirectory_v2()
        version[50706] = b"\1\4\0\0"
        Image.new("RGB", (8, 8)).save(raw, "TIFF", tiffinfo=version)
        outcomes = SaveImages(tmp_path / "to")([tmp_path / "notes.jpg", raw, photo])
        assert [one.reason for one in outcomes[:2]] == [Reason.NOT_AN_IMAGE, Reason.UNSUPPORTED]
        assert files(tmp_path / "to") == ["a.b.jpg"]

    @pytest.mark.parametrize("format", [key for key, one in FORMATS.items() if one.longest])
    def test_what_a_format_cannot_hold_is_skipped_and_the_rest_is_there(self, format, tmp_path):
        long = np.zeros((1, FORMATS[format].longest + 1, 3), np.uint8)
        outcomes = SaveImages(tmp_path / "to", format, workers=1)(
            [long, np.zeros((5, 6), np.uint8)]
        )
        assert outcomes[0].reason is Reason.TOO_LARGE
        assert isinstance(outcomes[1], Saved)

    def test_what_the_codec_refuses_is_skipped(self):
        odd = replace(FORMATS["webp"], longest=None)
        outcome = EncodeJob(odd)(np.zeros((1, 20_000, 3), np.uint8))
        assert outcome.reason is Reason.UNSUPPORTED
        assert "16383" in outcome.detail

    def test_folders_in_the_folder_are_made_safe(self, photo, tmp_path):
        folder = tmp_path / "to"
        subfolders = ["cats", "../../outside", "CON", "a/b:c", "", "dots..."]
        SaveImages(folder)([photo] * 6, subfolders)
        assert {Path(name).parent.name for name in files(folder)} == {
            "cats", "_.._.._outside", "_CON", "a_b_c", "", "dots",
        }  # fmt: skip
        assert not (tmp_path.parent / "outside").exists()

    def test_classes_with_alike_names_stay_apart(self, photo, photos, tmp_path):
        SaveImages(tmp_path / "to")([photo, photos[0]], ["<5", ">5"])
        assert len({Path(name).parent for name in files(tmp_path / "to")}) == 2

    def test_images_beside_folders_are_saved_beside_folders(self, photo, tmp_path):
        for place in ("from/lemon.png", "from/fruit/lemon.png"):
            (tmp_path / place).parent.mkdir(exist_ok=True)
            shutil.copy(photo, tmp_path / place)
        table, _ = ImportImages()(tmp_path / "from")
        categories = [str(row.get_class()) for row in table]
        SaveImages(tmp_path / "to")([photo, photo], categories)
        assert files(tmp_path / "to") == ["a.b.jpg", "fruit/a.b.jpg"]


class TestTrouble:
    @pytest.mark.parametrize(
        ("code", "words"),
        [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "it is read-only")],
    )
    def test_a_disk_that_takes_no_more_ends_the_run_and_keeps_what_is_there(
        self, photos, tmp_path, monkeypatch, code, words
    ):
        real, count = os.fsync, [0]

        def full(descriptor: int) -> None:
            count[0] += 1
            if count[0] == 3:
                raise OSError(code, os.strerror(code))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        outcomes = SaveImages(tmp_path).outcomes(photos)
        saved = [next(outcomes), next(outcomes)]
        with pytest.raises(FolderError, match=words):
            next(outcomes)
        assert files(tmp_path) == sorted(Path(one.path).name for one in saved)

    def test_a_file_in_the_folder_s_place_is_said(self, photo, tmp_path):
        (tmp_path / "to").write_text("a file")
        with pytest.raises(FolderError, match=r"Nothing can be saved into .*: it is a file\.$"):
            SaveImages(tmp_path / "to")([photo])
        assert (tmp_path / "to").read_text() == "a file"

    def test_what_the_tick_raises_ends_the_run(self, photos, tmp_path):
        class Cancelled(Exception):
            pass

        ticks = [0]

        def tick() -> None:
            ticks[0] += 1
            if ticks[0] > 3:
                raise Cancelled

        with pytest.raises(Cancelled):
            list(SaveImages(tmp_path, "png", Within(50), workers=1).outcomes(photos, tick=tick))

    def test_names_of_every_awkward_kind_are_saved(self, tmp_path):
        content, names = jpeg(), ["😀.jpg", "a\nb.jpg", "con.jpg", "x" * 240 + ".jpg", "-rf.jpg"]
        for name in names:
            (tmp_path / name).write_bytes(content)
        saved = SaveImages(tmp_path / "to")([tmp_path / name for name in names])
        assert all(Path(one.path).read_bytes() == content for one in saved)
        assert len(files(tmp_path / "to")) == len(names)


def test_a_drive_that_keeps_no_times_is_saved_into(photo, tmp_path, monkeypatch):
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    (saved,) = SaveImages(tmp_path / "to")([photo])
    assert Path(saved.path).read_bytes() == photo.read_bytes()


def test_a_copied_jpeg_2000_has_the_name_that_programs_know(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "JPEG2000")
    (tmp_path / "a.jp2").write_bytes(file.getvalue())
    (saved,) = SaveImages(tmp_path / "to")([tmp_path / "a.jp2"])
    assert Path(saved.path).name == "a.jp2"


def test_threads_that_ask_at_once_share_their_processes(monkeypatch):
    """Pictures of the web come from another thread: none may start processes that nobody ends."""

    def slowly(*args: object, **options: object) -> Engine:
        time.sleep(0.1)  # as long as libraries take to be loaded
        return Engine(*args, **options)

    monkeypatch.setattr(save_images, "Engine", slowly)
    together = Barrier(4)
    workshop = save_images._Workshop(1, None)

    def ask() -> Engine:
        together.wait()
        return workshop.engine()

    with workshop, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask) for _ in range(4)]
        assert len({one.result() for one in asked}) == 1
    with pytest.raises(RuntimeError, match="ended"):
        workshop.engine()


def test_a_name_that_was_looked_at_is_not_read_again(tmp_path, monkeypatch):
    new = NewFiles(str(tmp_path))
    paths = [new.write(str(n).encode(), "", "same", ".png").path for n in range(50)]
    monkeypatch.setattr("orangecontrib.imageanalytics.sources.read_file", None)
    assert new.write(b"7", "", "same", ".png").path == paths[7]
    assert new.write(b"new", "", "same", ".png").path.endswith("same (51).png")
