"""What a reference refers to, and how a file is read."""

from __future__ import annotations

import base64
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orangecontrib.imageanalytics.outcome import InputTypeError, Reason, Skipped
from orangecontrib.imageanalytics.sources import (
    Content,
    LocalFile,
    Picture,
    Web,
    content_hash,
    file_url_path,
    picture_hash,
    read_file,
    regular_file,
    resolve,
    shown,
)

posix = pytest.mark.skipif(os.name == "nt", reason="needs files that Windows does not have")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(b"not really a photo")
    return path


def assert_skipped(outcome: object, reason: Reason, *words: str) -> None:
    assert isinstance(outcome, Skipped)
    assert outcome.reason == reason
    assert outcome.detail.isprintable(), "one line, and nothing that cannot be printed"
    for word in words:
        assert word in outcome.detail


class TestMissing:
    @pytest.mark.parametrize(
        "nothing", [None, "", "  \n", "?", float("nan"), np.nan, np.float32("nan"), np.str_("")]
    )
    def test_a_missing_value_is_no_image(self, nothing):
        assert resolve(nothing) == Skipped(Reason.NO_IMAGE)

    def test_a_missing_value_of_pandas_is_no_image(self):
        pandas = pytest.importorskip("pandas")
        assert resolve(pandas.NA) == resolve(pandas.NaT) == Skipped(Reason.NO_IMAGE)


class TestPaths:
    def test_a_str_a_path_and_a_numpy_str_are_paths(self, photo):
        for reference in (
            str(photo),
            photo,
            np.array([str(photo)])[0],
            next(os.scandir(photo.parent)),
        ):
            found = resolve(reference)
            assert isinstance(found, LocalFile)
            assert type(found.path) is str
            assert found.path == str(photo)
            assert found.stat.st_size == 18

    def test_a_relative_path_becomes_absolute(self, photo, monkeypatch):
        monkeypatch.chdir(photo.parent)
        assert resolve("photo.png").path == str(photo)

    @posix
    def test_two_dots_behind_a_link_to_a_folder_are_where_the_system_says(self, photo, monkeypatch):
        far = photo.parent / "far" / "folder"
        far.mkdir(parents=True)
        (photo.parent / "link").symlink_to(far)
        (photo.parent / "far" / "there.png").write_bytes(b"x")
        monkeypatch.chdir(photo.parent)
        assert isinstance(resolve("link/../there.png"), LocalFile)

    def test_a_tilde_is_the_home(self, photo, monkeypatch):
        monkeypatch.setenv("HOME", str(photo.parent))
        monkeypatch.setenv("USERPROFILE", str(photo.parent))
        assert Path(resolve("~/photo.png").path) == photo
        assert Path(resolve(Path("~/photo.png")).path) == photo

    def test_a_name_that_begins_with_a_tilde_is_a_name(self, tmp_path, monkeypatch):
        (tmp_path / "~photo.png").write_bytes(b"x")
        monkeypatch.chdir(tmp_path)
        assert isinstance(resolve("~photo.png"), LocalFile)

    def test_white_space_around_is_left_off_unless_a_file_is_called_so(self, photo):
        assert resolve(f" {photo}\n").path == str(photo)

    @posix
    def test_white_space_that_belongs_to_the_name_is_kept(self, tmp_path):
        (tmp_path / "x.png").write_bytes(b"1")
        (tmp_path / "x.png ").write_bytes(b"22")
        assert resolve(f"{tmp_path}/x.png ").stat.st_size == 2

    @posix
    @pytest.mark.parametrize(
        "name",
        [
            b"\xff\xfe.png",
            "🦊.png".encode(),
            b"new\nline.png",
            b"a:b.png",
            b"50%25.png",
            b"C:\\x.png",
        ],
    )
    def test_any_name_a_file_can_have_is_found_and_read(self, tmp_path, name):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(b"content")
        found = resolve(str(path))
        assert pickle.loads(pickle.dumps(found)) == found
        data, state = read_file(found.path)
        assert data == b"content"
        assert os.path.samestat(state, path.stat())

    def test_the_state_of_a_file_survives_pickling_to_the_nanosecond(self, photo):
        found = resolve(photo)
        assert pickle.loads(pickle.dumps(found)).stat.st_mtime_ns == found.stat.st_mtime_ns

    def test_a_file_that_is_not_there_is_not_found(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert_skipped(resolve("gone.png"), Reason.NOT_FOUND, "gone.png", str(tmp_path))
        assert_skipped(resolve(tmp_path / "gone.png"), Reason.NOT_FOUND, "gone.png")
        (tmp_path / "file").write_bytes(b"x")
        assert_skipped(resolve(tmp_path / "file" / "gone.png"), Reason.NOT_FOUND, "gone.png")

    @pytest.mark.parametrize("name", ["a\0b.png", "\ud800.png", "x" * 5000])
    def test_a_name_no_file_can_have_is_not_found(self, name):
        assert_skipped(resolve(name), Reason.NOT_FOUND)

    @posix
    def test_a_current_folder_that_is_gone_is_no_crash(self, tmp_path, monkeypatch):
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert_skipped(resolve("x.png"), Reason.NOT_FOUND, "x.png")

    @pytest.mark.parametrize("name", ["C:\\x.png", "C:/x.png", "c:x"])
    def test_a_drive_letter_is_not_a_scheme(self, name):
        assert_skipped(resolve(name), Reason.NOT_FOUND, name)

    def test_a_folder_is_not_a_file(self, tmp_path):
        assert_skipped(resolve(tmp_path), Reason.NOT_A_FILE, "a folder", str(tmp_path))

    def test_an_empty_file_is_not_an_image(self, tmp_path):
        (tmp_path / "empty.png").touch()
        assert_skipped(resolve(tmp_path / "empty.png"), Reason.NOT_AN_IMAGE, "empty")

    def test_a_file_above_the_limit_is_too_large(self, photo):
        assert_skipped(resolve(photo, limit=17), Reason.TOO_LARGE, "photo.png")
        assert isinstance(resolve(photo, limit=18), LocalFile)

    def test_a_sparse_file_of_a_terabyte_is_too_large(self, tmp_path):
        with open(tmp_path / "huge.png", "wb") as file:
            try:
                file.truncate(10**12)
            except OSError:
                pytest.skip("the file system has no sparse files")
        assert_skipped(resolve(tmp_path / "huge.png"), Reason.TOO_LARGE, "9.54e+05 MB")


@posix
class TestWhatIsNotARegularFile:
    def test_a_named_pipe_is_skipped_at_once(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.png")
        assert_skipped(resolve(tmp_path / "pipe.png"), Reason.NOT_A_FILE, "a named pipe")
        assert_skipped(read_file(str(tmp_path / "pipe.png")), Reason.NOT_A_FILE, "a named pipe")

    def test_a_socket_is_not_a_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # a socket's path may have 107 characters only
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.png")
            assert_skipped(resolve("socket.png"), Reason.NOT_A_FILE, "a socket")
            assert_skipped(read_file("socket.png"), Reason.NOT_A_FILE, "a socket")

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
    def test_a_device_and_a_link_to_one_are_not_files(self, tmp_path, device):
        if not Path(device).exists():
            pytest.skip(f"no {device} here")
        link = tmp_path / "link.png"
        link.symlink_to(device)
        for path in (device, link):
            assert_skipped(resolve(path), Reason.NOT_A_FILE, "a device")
            if device != "/dev/tty":
                assert_skipped(read_file(str(path)), Reason.NOT_A_FILE, "a device")

    def test_a_link_to_an_image_is_the_image(self, photo):
        link = photo.parent / "link.png"
        link.symlink_to(photo)
        assert resolve(link).path == str(link)
        assert read_file(str(link))[0] == photo.read_bytes()

    def test_a_link_whose_file_is_gone_is_not_found_and_said_to_be_a_link(self, tmp_path):
        link = tmp_path / "link.png"
        link.symlink_to(tmp_path / "gone.png")
        assert_skipped(resolve(link), Reason.NOT_FOUND, "a link", "link.png")
        assert_skipped(read_file(str(link)), Reason.NOT_FOUND, "a link", "link.png")

    def test_a_link_that_leads_to_itself_is_not_a_file(self, tmp_path):
        link = tmp_path / "link.png"
        link.symlink_to(link)
        assert_skipped(resolve(link), Reason.NOT_A_FILE, "leads back to itself")
        assert_skipped(read_file(str(link)), Reason.NOT_A_FILE, "leads back to itself")

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
    def test_a_file_of_the_kernel_that_says_it_is_empty_is_taken_at_its_word(self):
        assert_skipped(resolve("/proc/self/status"), Reason.NOT_AN_IMAGE, "empty")

    def test_a_file_or_folder_without_permission_is_not_readable(self, tmp_path):
        (tmp_path / "folder").mkdir()
        for name in ("secret.png", "folder/x.png"):
            (tmp_path / name).write_bytes(b"x")
        tmp_path.chmod(0o755)
        for name in ("secret.png", "folder"):
            (tmp_path / name).chmod(0)
        program = """
import os
from orangecontrib.imageanalytics.sources.regular_file import look, read_file
if os.geteuid() == 0:  # root may read everything
    os.seteuid(65534)
print(read_file("secret.png"))
print(look("folder/x.png"))
"""
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
        )
        (tmp_path / "folder").chmod(0o700)
        assert done.stderr == ""
        assert done.stdout.splitlines() == [
            "not readable: permission denied: secret.png",
            "not readable: permission denied: folder/x.png",
        ]


class TestAddresses:
    @pytest.mark.parametrize(
        "url", ["http://example.com/x.png", "HTTPS://example.com", "http://user:pw@[::1]:80/ü?a#b"]
    )
    def test_http_and_https_are_of_the_web(self, url):
        assert resolve(url) == resolve(f" {url} ") == Web(url)

    @pytest.mark.parametrize("url", ["ftp://example.com/x.png", "s3://bucket/x.png", "blob://x"])
    def test_other_schemes_are_skipped_with_what_is_accepted(self, url):
        assert_skipped(resolve(url), Reason.NOT_DOWNLOADED, url, "http, https, file and data")

    def test_an_address_made_a_path_is_told_how_to_give_it(self):
        assert_skipped(resolve(Path("http://a.org/x.png")), Reason.NOT_FOUND, "given as text")

    def test_a_file_url_is_a_path(self, photo):
        for prefix in ("file://", "FILE://", "file:", "file://localhost"):
            if os.name != "nt":
                assert resolve(prefix + str(photo)).path == str(photo)
        assert Path(resolve(photo.as_uri()).path) == photo

    @posix
    def test_a_file_url_keeps_every_byte_of_a_name(self, tmp_path):
        path = os.fsencode(tmp_path) + b"/\xff %?#\xc3\xbc.png"
        with open(path, "wb") as file:
            file.write(b"x")
        assert os.fsencode(resolve(Path(os.fsdecode(path)).as_uri()).path) == path

    @posix
    def test_what_is_typed_by_hand_may_have_marks_in_its_name(self, tmp_path):
        (tmp_path / "a#1?ü b.png").write_bytes(b"x")
        assert isinstance(resolve(f"file://{tmp_path}/a#1?ü b.png"), LocalFile)

    @posix
    @pytest.mark.parametrize("url", ["file://server/x.png", "file:///%00", "file:///\ud800"])
    def test_a_file_url_of_nothing_here_is_not_found(self, url):
        assert_skipped(resolve(url), Reason.NOT_FOUND)

    @pytest.mark.parametrize(
        ("rest", "path"),
        [
            ("///C:/My%20Photos/x.png", "C:\\My Photos\\x.png"),
            ("//localhost/C:/x.png", "C:\\x.png"),
            ("///C|/x.png", "C:\\x.png"),
            ("//C:/x.png", "C:\\x.png"),
            ("/C:/x.png", "C:\\x.png"),
            ("//server/share/%C3%BC.png", "\\\\server\\share\\ü.png"),
            ("////server/share/x.png", "\\\\server\\share\\x.png"),
        ],
    )
    def test_file_urls_of_windows(self, rest, path):
        assert file_url_path(rest, windows=True) == path


class TestDataUris:
    @pytest.mark.parametrize(
        "uri",
        [
            "data:image/png;base64,aGVsbG8h",
            "DATA:image/png;name=x.png;BASE64,aGVsbG8h",
            "data:;base64,aGVs\n bG8h",
            "data:,hello!",
            "data:image/png,h%65llo%21",
            "data:image/png;base64,aGVsbG8%68",
        ],
    )
    def test_a_data_uri_is_its_content(self, uri):
        assert resolve(uri) == Content(b"hello!")

    def test_missing_padding_is_forgiven(self):
        assert resolve("data:;base64,aGVsbG8") == Content(b"hello")
        assert resolve("data:;base64,aGVsbG8=") == Content(b"hello")

    @pytest.mark.parametrize("body", ["aGVsb", "aGV!bG8h", "aGVs=bG8h", "\ud800", "aGVß"])
    def test_broken_base64_is_damaged(self, body):
        assert_skipped(resolve(f"data:image/png;base64,{body}"), Reason.DAMAGED, "base64")

    def test_a_data_uri_without_a_comma_is_damaged(self):
        assert_skipped(resolve("data:image/png;base64"), Reason.DAMAGED, "comma")

    def test_an_empty_one_is_not_an_image(self):
        assert_skipped(resolve("data:image/png;base64,"), Reason.NOT_AN_IMAGE, "empty")

    def test_a_large_one_is_named_by_its_beginning(self):
        uri = "data:image/png;base64," + base64.b64encode(bytes(10_000)).decode()
        outcome = resolve(uri, limit=9_999)
        assert_skipped(outcome, Reason.TOO_LARGE, "data:image/png;base64,AAAA")
        assert len(outcome.detail) < 150

    @given(st.binary(min_size=1, max_size=200))
    def test_any_bytes_come_out_as_they_went_in(self, data):
        assert resolve(f"data:image/png;base64,{base64.b64encode(data).decode()}") == Content(data)


class TestObjects:
    def test_bytes_are_the_content_of_an_image(self, photo):
        name = os.fsencode(photo)  # even if they spell a path
        for data in (name, bytearray(name), memoryview(name), np.bytes_(name)):
            found = resolve(data)
            assert found == Content(name)
            assert type(found.data) is bytes

    def test_no_bytes_and_too_many_are_skipped(self):
        assert_skipped(resolve(b""), Reason.NOT_AN_IMAGE, "empty")
        assert_skipped(resolve(b"1234", limit=3), Reason.TOO_LARGE)

    @pytest.mark.parametrize("picture", [PIL.Image.new("L", (3, 2)), np.zeros((2, 3), np.uint8)])
    def test_a_pil_image_and_an_array_are_pictures(self, picture):
        found = resolve(picture)
        assert isinstance(found, Picture)
        assert found.image is picture

    @pytest.mark.parametrize("reference", [3, 2.5, ["x.png"], object(), np.float32(1), True, {}])
    def test_other_types_are_an_error_that_says_what_is_accepted(self, reference):
        with pytest.raises(
            InputTypeError, match=r"path .*address.*data: URI.*PIL image.*uint8 array"
        ):
            resolve(reference)

    def test_telling_what_a_reference_is_imports_nothing_heavy(self, photo):
        program = f"""
import sys
from orangecontrib.imageanalytics.sources import resolve
for reference in ({str(photo)!r}, "http://a.org/x", "data:,x", b"x", None, "file:///x"):
    resolve(reference)
print([name for name in ("PIL", "numpy", "pandas", "httpx", "ssl", "Orange", "asyncio",
                         "urllib.request") if name in sys.modules])
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"

    @given(st.text())
    def test_no_text_whatever_raises(self, text):
        resolve(text)

    @given(
        st.sampled_from(["file:", "data:", "http:", "x:", "~"]),
        st.text(alphabet="/%;,|:?#\\\0ü\ud800aC4 "),
    )
    def test_nothing_that_looks_like_an_address_raises(self, scheme, text):
        resolve(scheme + text)


class TestReading:
    def test_a_file_is_read_whole_with_its_state(self, photo):
        data, state = read_file(str(photo))
        assert data == photo.read_bytes()
        assert os.path.samestat(state, photo.stat())
        assert state.st_mtime_ns == photo.stat().st_mtime_ns

    def test_a_file_that_has_gone_since_it_was_resolved_is_not_found(self, tmp_path):
        assert_skipped(read_file(str(tmp_path / "gone.png")), Reason.NOT_FOUND, "gone.png")

    def test_a_folder_and_a_large_file_are_not_read(self, photo):
        folder = read_file(str(photo.parent))
        assert_skipped(folder, Reason.NOT_READABLE if os.name == "nt" else Reason.NOT_A_FILE)
        assert_skipped(read_file(str(photo), limit=17), Reason.TOO_LARGE)

    @pytest.mark.parametrize("change", ["grow", "shrink", "rewrite"])
    def test_a_file_that_changes_while_it_is_read_is_damaged(self, photo, monkeypatch, change):
        def changed() -> None:
            if change == "grow":
                with open(photo, "ab") as file:
                    file.write(b"more")
            elif change == "shrink":
                os.truncate(photo, 5)
            else:
                time.sleep(0.02)  # the clock of file times is coarse
                photo.write_bytes(b"another, same size")

        assert_skipped(
            self.read_with(changed, photo, monkeypatch),
            Reason.DAMAGED,
            "changed while",
            "photo.png",
        )

    @posix
    @pytest.mark.parametrize("replaced", [False, True])
    def test_a_file_that_vanishes_while_it_is_read_is_skipped(self, photo, monkeypatch, replaced):
        def vanish() -> None:
            photo.unlink()
            if replaced:
                photo.write_bytes(b"another, same size")

        outcome = self.read_with(vanish, photo, monkeypatch)
        assert_skipped(outcome, Reason.NOT_FOUND, "while it was being read", "photo.png")

    @staticmethod
    def read_with(change, photo, monkeypatch):
        """Read the photo, with something happening to it in the middle."""
        half, rest = os.read, [change]

        def read(descriptor: int, size: int) -> bytes:
            data = half(descriptor, min(size, 9))
            if rest:
                rest.pop()()
            return data

        monkeypatch.setattr(regular_file.os, "read", read)
        return read_file(str(photo))

    def test_a_read_error_of_the_disk_is_not_readable(self, photo, monkeypatch):
        def broken(descriptor: int, size: int) -> bytes:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(regular_file.os, "read", broken)
        outcome = read_file(str(photo))
        assert_skipped(outcome, Reason.NOT_READABLE, "input/output error", "photo.png")

    @posix
    def test_a_pipe_put_in_a_files_place_does_not_hang_the_run(self, photo):
        found = resolve(photo)
        photo.unlink()
        os.mkfifo(photo)
        outcomes = []
        thread = threading.Thread(
            target=lambda: outcomes.append(read_file(found.path)), daemon=True
        )
        thread.start()
        thread.join(10)
        assert_skipped(outcomes[0], Reason.NOT_A_FILE, "a named pipe")

    def test_no_descriptor_is_left_open(self, photo):
        if not Path("/proc/self/fd").exists():
            pytest.skip("no /proc here")
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            read_file(str(photo))
            read_file(str(photo), limit=1)
            read_file(str(photo.parent))
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestHashes:
    def test_the_hash_of_a_content_is_its_blake3(self):
        """The digests are of BLAKE3's published test vectors: 0, 1, 2, ... 250, 0, 1, ..."""
        digests = {
            0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
            1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
        }
        for length, digest in digests.items():
            assert content_hash(bytes(i % 251 for i in range(length))).hex() == digest

    def test_the_same_bytes_in_another_shape_are_another_picture(self):
        pixels = np.arange(2 * 6 * 3, dtype=np.uint8)
        shapes = [(2, 6, 3), (6, 2, 3), (3, 4, 3), (1, 12, 3)]
        assert len({picture_hash(pixels.reshape(shape)) for shape in shapes}) == 4

    def test_a_picture_is_hashed_by_its_pixels_not_their_layout_in_memory(self):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
        assert picture_hash(np.asfortranarray(pixels)) == picture_hash(pixels)
        assert len(picture_hash(pixels)) == len(content_hash(b""))

    def test_a_file_of_the_same_bytes_is_not_the_picture(self):
        pixels = np.zeros((2, 2, 3), np.uint8)
        assert picture_hash(pixels) != content_hash(pixels.tobytes())


class TestShowing:
    def test_what_would_break_a_line_or_a_printer_is_escaped(self):
        assert shown("a\nb\x1b[31m\u202egnp.exe\udcff\ud800") == (
            "a\\nb\\x1b[31m\\u202egnp.exe\\xff\\ud800"
        )

    def test_what_people_can_read_stays(self):
        assert shown("/home/jané/🦊 1\u202fPM.png") == "/home/jané/🦊 1\u202fPM.png"

    def test_what_is_endless_is_cut_in_the_middle(self):
        text = shown("/start" + "x" * 10_000 + "end.png")
        assert len(text) < 310
        assert text.startswith("/start")
        assert text.endswith("end.png")
