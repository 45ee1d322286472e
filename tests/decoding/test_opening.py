"""Which files are opened, and by what: no plugin that opens others, or starts a program."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys

import psutil
import pytest
from PIL import Image

from orangecontrib.imageanalytics.decoding import opening
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.decoding.header import Header, read_header
from orangecontrib.imageanalytics.decoding.pixels import (
    NeedsMemory,
    Unreadable,
    decode,
    from_picture,
)
from orangecontrib.imageanalytics.embedder import BytesTask
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from tests import awkward, wrapped
from tests.jobs import MeanColour

FIT = Squash(24, 31)
HOSTILE = wrapped.hostile()

#: Pillow plugins that open another picture by themselves, start a program or know only a name.
NEVER = ("BLP", "BUFR", "EPS", "FPX", "GRIB", "HDF5", "ICNS", "IPTC", "MIC", "MPEG", "WMF")


@pytest.fixture
def no_programs(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("it was started"))


@pytest.mark.usefixtures("no_programs")
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrapped_in_a_file_is_not_opened(name):
    with pytest.raises(Unreadable) as fault:
        decode(HOSTILE[name], FIT)
    assert fault.value.skipped.reason != Reason.CRASHED


@pytest.mark.usefixtures("no_programs")
@pytest.mark.parametrize("name", HOSTILE)
def test_the_header_of_what_is_wrapped_is_not_read(name, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(HOSTILE[name])
    found = read_header(str(path))
    if name == "icon around a large png":  # as with all PNGs, decoding it is refused
        assert found == Header(path.stat().st_size, 13_300, 13_300)
    elif name == "icon cut off":
        assert found == Header(300, 64, 64)
    else:
        assert isinstance(found, Skipped)


@pytest.mark.skipif(not shutil.which("gs"), reason="Ghostscript is not installed")
def test_no_worker_runs_ghostscript():
    """With Pillow's IPTC plugin it ran, and went on when the worker had been killed."""
    engine = Engine(MeanColour(), workers=1, deadline=3)
    try:
        future = engine.submit(BytesTask(HOSTILE["iptc around endless eps"]))
        assert future.result(timeout=60).payload.reason is Reason.NOT_AN_IMAGE
        names = {child.name() for child in psutil.Process().children(recursive=True)}
        assert not {name for name in names if name.startswith("gs")}
    finally:
        engine.close()


def test_formats_that_wrap_others_or_start_programs_are_on_no_list():
    assert not opening.READ & set(NEVER)


@pytest.mark.parametrize("kind", ["IPTC", "EPS"])
def test_a_picture_that_pillow_has_opened_is_not_read_if_its_format_is_not(kind):
    data = {"IPTC": HOSTILE["iptc around eps"], "EPS": HOSTILE["eps"]}[kind]
    picture = Image.open(io.BytesIO(data))
    assert picture.format == kind
    with pytest.raises(Unreadable) as fault:
        from_picture(picture, FIT)
    assert fault.value.skipped.reason == Reason.UNSUPPORTED


class TestTime:
    def test_a_jpeg_of_many_scans_is_not_decoded(self):
        with pytest.raises(Unreadable, match="scans") as fault:
            decode(wrapped.many_scans(1000), FIT)
        assert fault.value.skipped.reason == Reason.UNSUPPORTED

    def test_a_progressive_jpeg_of_usual_scans_is(self):
        assert decode(wrapped.many_scans(0), FIT).shape == (24, 31, 3)

    def test_a_fax_of_very_many_rows_is_not_decoded(self):
        with pytest.raises(Unreadable, match="rows") as fault:
            decode(wrapped.fax(1_000_000), FIT)
        assert fault.value.skipped.reason == Reason.UNSUPPORTED

    def test_what_libtiff_complains_of_is_not_written_to_standard_error(self, tmp_path):
        (tmp_path / "noise.tif").write_bytes(wrapped.fax(1000))
        done = subprocess.run(
            [sys.executable, "-c", ENGINE, str(tmp_path / "noise.tif")],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "Fax3Decode" not in done.stderr


ENGINE = """
import sys
from orangecontrib.imageanalytics.embedder import FileTask
from orangecontrib.imageanalytics.engine import Engine
from tests.jobs import MeanColour

if __name__ == "__main__":
    engine = Engine(MeanColour(), workers=1)
    engine.submit(FileTask(sys.argv[1])).result(60)
    engine.close()
"""


def test_a_tile_larger_than_its_picture_is_part_of_the_estimate():
    """Of 16 000 x 16 000 pixels, 750 kB in the file, it took 730 MB where 6 MB were estimated."""
    assert decode(wrapped.large_tile(512), FIT).shape == (24, 31, 3)
    with pytest.raises(NeedsMemory) as need:
        decode(wrapped.large_tile(4096), FIT, allowance=20_000_000)
    assert need.value.cost > 3 * 4096**2


class TestIcons:
    def test_of_several_pictures_the_largest_is_read(self, tmp_path):
        small, large = (
            wrapped.bitmap((16, 16)),
            awkward.encoded(Image.new("RGB", (48, 48), "lime"), "PNG"),
        )
        icon = wrapped.icon(small, large, sides=((16, 16), (48, 48)))
        assert (decode(icon, FIT) == (0, 255, 0)).all()
        path = tmp_path / "both.ico"
        path.write_bytes(icon)
        assert read_header(str(path)) == Header(len(icon), 48, 48)

    @pytest.mark.parametrize("sides", [(64, 64), (0, 0), (64, 32)])
    def test_a_bitmap_is_read_with_its_mask(self, sides, tmp_path):
        real = tuple(side or 256 for side in sides)
        icon = wrapped.icon(wrapped.bitmap(real), sides=(sides,))
        assert (decode(icon, FIT) == (255, 0, 0)).all()
        path = tmp_path / "red.ico"
        path.write_bytes(icon)
        assert read_header(str(path)) == Header(len(icon), *real)

    def test_a_picture_larger_than_icons_are_is_read_as_the_png_that_it_is(self):
        large = awkward.encoded(Image.new("RGB", (600, 500), "lime"), "PNG")
        assert (decode(wrapped.icon(large, sides=((0, 0),)), FIT) == (0, 255, 0)).all()

    def test_an_icon_that_pillow_writes_is_read_as_pillow_reads_it(self):
        for kind in ("bmp", "png"):
            stream = io.BytesIO()
            awkward.scene().save(stream, "ICO", bitmap_format=kind, sizes=[(32, 32), (64, 38)])
            with Image.open(io.BytesIO(stream.getvalue())) as image:
                expected = from_picture(image, FIT)
            assert (decode(stream.getvalue(), FIT) == expected).all()


@pytest.mark.parametrize("start", [b"IIRO", b"\x1c\x03\x3c", b"\n\5\1\10", struct.pack("<I", 40)])
def test_any_bytes_after_a_start_that_some_plugin_takes_give_a_reason(start):
    with pytest.raises(Unreadable):
        decode(start + bytes(200), FIT)
