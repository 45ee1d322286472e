"""Pictures for people: upright, within so many pixels, never enlarged, with their transparency."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orangecontrib.imageanalytics.decoding.fit import Squash, Within
from orangecontrib.imageanalytics.decoding.pixels import NeedsMemory, decode, from_picture
from tests import awkward

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize(
    ("size", "within", "result"),
    [
        ((300, 200), 64, (64, 43)),
        ((200, 300), 64, (43, 64)),
        ((64, 64), 64, (64, 64)),
        ((65, 10), 64, (64, 10)),
        ((40, 30), 64, (40, 30)),
        ((5000, 2), 64, (64, 1)),
        ((1, 1), 64, (1, 1)),
    ],
)
def test_the_longer_side_is_fitted_and_nothing_is_enlarged(size, within, result):
    assert Within(within).size(*size) == result
    assert from_picture(np.zeros((*size, 3), np.uint8), Within(within)).shape == (*result, 3)


def test_a_squash_is_of_its_size_whatever_the_picture_is():
    assert Squash(20, 30).size(7, 1000) == (20, 30)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
def test_a_picture_that_was_stored_lying_is_turned_upright(kind, tmp_path):
    turned = {name: data for name, data, _ in awkward.good() if name.startswith("turned")}
    upright = decode(awkward.encoded(awkward.scene(), "PNG"), Within(64))
    for orientation in range(2, 9):
        got = decode(turned[f"turned{orientation}.{kind}"], Within(64))
        assert got.shape == upright.shape
        assert np.abs(got.astype(int) - upright).mean() < 4


def test_every_readable_image_can_be_seen(tmp_path):
    for case in awkward.write_files(tmp_path):
        if case.expected is None:
            got = decode(Path(case.path).read_bytes(), Within(32))
            assert max(got.shape[:2]) <= 32
            assert got.ndim == 3
            assert got.shape[2] in (3, 4)
            assert got.dtype == np.uint8
            assert got.flags.c_contiguous


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_kept(mode):
    image = Image.new("RGBA", (300, 100), (255, 0, 0, 0))
    image.paste((200, 200, 200, 255), (150, 0, 300, 100))
    got = from_picture(_in_mode(image, mode), Within(60))
    assert got.shape == (20, 60, 4)
    assert (got[:, :26, 3] == 0).all()
    assert (got[:, 34:, :3] == 200).all()
    assert (got[:, 34:, 3] == 255).all()


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert, by way of a file if that is how such a picture comes about."""
    if mode == "P":
        return Image.open(io.BytesIO(awkward.encoded(image.quantize(8), "PNG")))
    return image.convert(mode)


def test_a_transparent_value_of_a_deep_picture_is_kept():
    deep = np.full((40, 80), 40_000, np.uint16)
    deep[:, :40] = 7
    got = decode(awkward.png(deep, 0, (b"tRNS", b"\0\x07")), Within(40))
    assert got.shape == (20, 40, 4)
    assert (got[:, :17, 3] == 0).all()
    assert (got[:, 23:, 3] == 255).all()


def test_a_transparency_of_which_nothing_is_seen_is_not_kept():
    assert from_picture(Image.new("RGBA", (90, 90), "red"), Within(30)).shape == (30, 30, 3)


def test_colours_do_not_bleed_out_of_what_is_transparent():
    image = Image.new("RGBA", (400, 400), (255, 0, 0, 0))  # an invisible red
    image.paste((0, 0, 255, 255), (0, 0, 201, 400))
    got = from_picture(image, Within(50))
    visible = got[got[..., 3] > 0]
    assert visible[:, 0].max() < 20


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", ["rgb", "rgba", "jpeg", "lying"])
@pytest.mark.parametrize("within", [256, 100_000])
def test_the_estimate_of_memory_holds(kind, within, tmp_path):
    scene = awkward.scene().resize((3000, 2000))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = {
        "rgb": lambda: awkward.encoded(scene, "PNG", compress_level=1),
        "rgba": lambda: awkward.encoded(awkward.with_alpha(scene), "PNG", compress_level=1),
        "jpeg": lambda: awkward.encoded(scene, "JPEG"),
        "lying": lambda: awkward.encoded(scene, "JPEG", exif=exif),
    }[kind]()
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(NeedsMemory) as need:
        decode(data, Within(within), allowance=1)
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, tmp_path / "image", str(within)],
        check=True,
        capture_output=True,
        text=True,
    )
    took, estimate = int(done.stdout), need.value.cost
    assert took < estimate
    assert took > 0.4 * estimate or estimate < 20_000_000  # mostly what is always added


_PEAK = """
import pathlib, re, sys
import numpy as np
from PIL import Image
from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.decoding.fit import Within

def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search("VmHWM:\\s+([0-9]+) kB", status)[1])

Image.init()
pixels.from_picture(np.zeros((600, 600, 4), np.uint8), Within(256))
before = peak()
pixels.decode(pathlib.Path(sys.argv[1]).read_bytes(), Within(int(sys.argv[2])))
print(peak() - before)
"""
