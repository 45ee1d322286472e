"""Decoding: every image is seen as a person sees it, or skipped with the right reason."""

from __future__ import annotations

import io
import itertools
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from orangecontrib.imageanalytics.decoding import BUDGET, jpeg, pixels
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.decoding.pixels import (
    NeedsMemory,
    Unreadable,
    decode,
    from_picture,
)
from orangecontrib.imageanalytics.outcome import InputTypeError, Reason
from tests import awkward

SIZE = (48, 80)  # not square, so that height and width cannot be exchanged unnoticed
FIT = Squash(*SIZE)

#: How far pixels may be off on average, of 255: what lossy formats, palettes and dithering cost.
_TOLERANCES = {"bilevel": 12, "steps": 25}


def seen(image: Image.Image, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Give the pixels that an image is squashed to, by Pillow's plain way."""
    squashed = image.convert("RGB").resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(squashed).astype(float)


def expected(kind: str) -> np.ndarray:
    scene = awkward.scene()
    if kind.endswith("on white"):
        scene = awkward.on_white(scene)
    return seen(scene if kind.startswith("colour") else scene.convert("L"))


def reason(data: bytes) -> Reason | None:
    try:
        decode(data, FIT)
    except Unreadable as fault:
        return fault.skipped.reason
    return None


def detail(data: bytes) -> str:
    with pytest.raises(Unreadable) as fault:
        decode(data, FIT)
    return fault.value.skipped.detail


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> list[awkward.Case]:
    return awkward.write_files(tmp_path_factory.mktemp("awkward"))


class TestCorpus:
    def test_every_awkward_file_has_the_expected_outcome(self, corpus):
        assert len(corpus) > 60
        wrong = {}
        for case in corpus:
            got = reason(Path(case.path).read_bytes())
            if got != case.expected:
                wrong[case.path] = f"{case.expected} expected, {got} got"
        assert not wrong

    def test_every_image_is_seen_as_a_person_sees_it(self, corpus):
        wrong = {}
        for case in corpus:
            if case.expected is None and case.seen:
                got = decode(Path(case.path).read_bytes(), FIT)
                off = np.abs(got - expected(case.seen)).mean()
                if off > _TOLERANCES.get(case.seen, 4):
                    wrong[case.path] = off
        assert not wrong

    def test_the_same_file_always_gives_the_same_pixels(self, corpus):
        for case in corpus[:60:3]:
            data = Path(case.path).read_bytes()
            assert np.array_equal(decode(data, FIT), decode(data, FIT))

    def test_every_skip_says_in_one_short_line_what_is_wrong(self, corpus):
        for case in corpus:
            if case.expected is not None:
                text = detail(Path(case.path).read_bytes())
                assert 5 < len(text) < 350
                assert text.isprintable()

    def test_the_estimate_of_memory_is_made_for_every_image(self, corpus):
        for case in corpus:
            if case.expected is None:
                data = Path(case.path).read_bytes()
                with pytest.raises(NeedsMemory) as need:
                    decode(data, FIT, allowance=1)
                assert len(data) < need.value.cost < BUDGET / 2


class TestResult:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
    def test_is_a_writable_contiguous_array_of_bytes(self, kind):
        got = decode(awkward.encoded(awkward.scene(), kind), FIT)
        assert got.shape == (*SIZE, 3)
        assert got.dtype == np.uint8
        assert got.flags.c_contiguous
        assert got.flags.writeable

    def test_a_small_image_is_what_plain_pillow_makes_of_it(self):
        scene = awkward.scene()
        # The resizer filters downwards first, Pillow across first; both round in between.
        assert np.abs(decode(awkward.encoded(scene, "PNG"), FIT) - seen(scene)).max() <= 4

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
    def test_a_large_image_differs_hardly_from_what_plain_pillow_makes_of_it(self, kind):
        data = awkward.encoded(awkward.scene().resize((2500, 1800)), kind)
        off = decode(data, Squash(227, 227)) - seen(Image.open(io.BytesIO(data)), (227, 227))
        assert np.sqrt((off**2).mean()) < 1

    def test_enlarging_works(self):
        assert decode(awkward.encoded(awkward.scene(), "JPEG"), Squash(500, 700)).shape == (
            500,
            700,
            3,
        )

    def test_the_whole_picture_is_squashed_not_cropped(self):
        wide = Image.new("RGB", (900, 30), "red")
        wide.paste((0, 0, 255), (450, 0, 900, 30))
        got = decode(awkward.encoded(wide, "PNG"), Squash(64, 64))
        assert (got[:, :28] == (255, 0, 0)).all()
        assert (got[:, 36:] == (0, 0, 255)).all()


class TestTransparency:
    def test_hidden_colours_do_not_bleed_over_edges(self):
        """As they do when colours are resized without being multiplied by their opacity."""
        image = Image.new("RGBA", (400, 400), (255, 0, 0, 0))
        image.paste((0, 0, 0, 255), (200, 0, 400, 400))
        got = decode(awkward.encoded(image, "PNG"), Squash(33, 33)).astype(int)
        assert np.ptp(got, axis=-1).max() == 0  # from white to black, nothing of the red

    def test_half_opaque_black_on_white_is_grey(self):
        image = Image.new("RGBA", (50, 50), (0, 0, 0, 128))
        assert abs(int(decode(awkward.encoded(image, "PNG"), FIT)[5, 5, 0]) - 127) <= 1


class TestDepth:
    @pytest.mark.parametrize("scale", [257, 256])
    @pytest.mark.parametrize("colour_type", [0, 2])
    def test_8_bits_saved_as_16_come_out_as_8_bits(self, scale, colour_type):
        image = awkward.scene() if colour_type else awkward.scene().convert("L")
        values = np.asarray(image)
        deep = awkward.png(values.astype(np.uint16) * scale, colour_type)
        assert np.abs(decode(deep, FIT) - seen(image)).max() <= 5

    def test_a_16_bit_ramp_keeps_its_contrast(self):
        ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        got = decode(awkward.png(ramp, 0), Squash(64, 64))
        assert got[0].max() < 8
        assert got[-1].min() > 247
        assert len(np.unique(got)) > 50

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
    def test_colours_are_exact_at_every_depth(self, bits, order):
        values = np.random.default_rng(bits).integers(0, 2**bits, (20, 30, 3)).astype(np.uint16)
        values[0, 0] = 2**bits - 1
        right = values * (255 / (2**bits - 1))
        for data in (
            awkward.png(values, 2),
            awkward.tiff(values, photometric=2, byte_order=order),
        ):
            assert np.abs(decode(data, Squash(20, 30)) - right).max() <= 1.01

    def test_deep_colours_whose_low_bytes_cannot_be_read_are_skipped(self):
        """Premultiplied ones: Pillow divides by the high byte of the opacity."""
        values = np.full((9, 9, 4), 4000, np.uint16)
        values[..., 3] = 65535
        data = awkward.tiff(values, photometric=2, t338=1)
        assert reason(data) == Reason.UNSUPPORTED
        assert "only 12 bits are in use" in detail(data)

    @pytest.mark.parametrize("value", [0.0, 3.5, float("nan"), float("inf")])
    def test_floats_that_are_all_the_same_are_black(self, value):
        assert not decode(awkward.tiff(np.full((9, 9), value, np.float32)), FIT).any()

    def test_huge_floats_do_not_overflow(self):
        ramp = np.linspace(-3e38, 3e38, 100, dtype=np.float32).reshape(1, -1).repeat(10, axis=0)
        got = decode(awkward.tiff(ramp), Squash(10, 100))
        assert got[0, 0, 0] < 10
        assert got[0, -1, 0] > 245

    def test_integers_of_16_bits_and_of_32_bits_alike_go_by_the_depth_of_their_maximum(self):
        grey = np.asarray(awkward.scene().convert("L")).astype(np.int32) * 4
        assert np.abs(decode(awkward.tiff(grey), FIT) - expected("grey")).max() < 3


@pytest.fixture(scope="module")
def large() -> bytes:
    return awkward.encoded(awkward.scene().resize((1600, 960)), "JPEG", quality=95)


class TestJpeg:
    @pytest.mark.parametrize("progressive", [False, True])
    def test_a_cut_is_noticed_wherever_it_is_and_with_an_end_marker_behind(self, progressive):
        noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
        whole = awkward.encoded(Image.fromarray(noise), "JPEG", progressive=progressive)
        start = whole.index(b"\xff\xda") + 20
        for cut in range(start, len(whole) - 4, 97):
            assert reason(whole[:cut]) == Reason.DAMAGED
            assert reason(whole[:cut] + b"\xff\xd9") == Reason.DAMAGED

    def test_a_missing_end_marker_alone_does_no_harm(self, large):
        assert np.array_equal(decode(large[:-2], FIT), decode(large, FIT))

    def test_harmless_complaints_do_not_hide_harmful_ones(self, large):
        old_version = large[:11] + b"\0\0" + large[13:]
        assert np.array_equal(decode(old_version, FIT), decode(large, FIT))
        assert reason(old_version[:9000]) == Reason.DAMAGED
        assert reason(old_version[:9000] + b"\xff\xd9") == Reason.DAMAGED

    def test_an_unknown_transform_of_adobe_does_no_harm(self, large):
        adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x05"
        assert np.array_equal(decode(large[:2] + adobe + large[2:], FIT), decode(large, FIT))

    def test_wrong_parameters_of_the_scan_do_no_harm(self, large):
        at = large.index(b"\0\x3f\0", large.index(b"\xff\xda"))
        wrong = large[:at] + b"\0\0\0" + large[at + 3 :]
        assert np.array_equal(decode(wrong, FIT), decode(large, FIT))

    def test_is_decoded_at_a_fast_scale_at_least_as_large_as_wanted(self, large):
        header = jpeg.header(large)
        assert header is not None
        full = header.height, header.width
        for least in ((48, 80), (227, 227), (299, 299), (800, 800)):
            eighths = jpeg.scale(full, least)
            pixels = jpeg.decode(large, header, "RGB", eighths)
            assert eighths in (1, 2, 4, 8)
            assert pixels.shape[:2] == jpeg.scaled(full, eighths)
            assert all(have >= want for have, want in zip(pixels.shape, least, strict=False))

    @pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 9, 15, 17, 1000, 1001, 1007])
    @pytest.mark.parametrize("eighths", [1, 2, 4, 8])
    def test_the_scaled_size_is_the_decoder_s(self, side, eighths):
        data = awkward.encoded(Image.new("RGB", (side + 3, side)), "JPEG")
        header = jpeg.header(data)
        assert header is not None
        if side < 8 > eighths:
            return  # no scale below the whole is ever chosen for so small a picture
        pixels = jpeg.decode(data, header, "RGB", eighths)
        assert pixels.shape[:2] == jpeg.scaled((side, side + 3), eighths)

    def test_its_last_row_and_column_count_for_what_they_are(self):
        """A picture of 1001 pixels scaled to 1/8 has 126, of which the last is an eighth."""
        ramp = np.linspace(0, 255, 1001).round().astype(np.uint8)
        image = Image.fromarray(np.stack([np.tile(ramp, (1001, 1))] * 3, axis=2))
        data = awkward.encoded(image, "JPEG", quality=100)
        off = decode(data, Squash(50, 50)) - seen(image, (50, 50))
        assert np.abs(off).max() <= 2

    def test_a_thumbnail_inside_is_not_taken_for_the_picture(self, large):
        thumbnail = awkward.encoded(Image.new("RGB", (40, 30), "red"), "JPEG", progressive=True)
        segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
        data = large[:2] + segment + large[2:]
        assert np.array_equal(decode(data, FIT), decode(large, FIT))


class TestOtherFormats:
    def test_an_interlaced_png_that_ends_with_a_pass_is_damaged(self):
        """Of 8 x 8 grey pixels: 1 + 1 + 1 + 2 + 2 + 4 rows come before the last pass's 4."""
        passes = [(1, 1), (1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8)]
        rows = [b"\0" + b"\xc8" * width for count, width in passes for _ in range(count)]
        whole, short = (_interlaced(b"".join(given)) for given in (rows, rows[: -passes[-1][0]]))
        assert (decode(whole, FIT) == 200).all()
        assert reason(short) == Reason.DAMAGED

    def test_a_png_that_is_black_at_its_end_is_no_reason_to_skip_it(self):
        scene = awkward.scene()
        scene.paste(0, (0, 50, *awkward.SIZE))
        assert reason(awkward.encoded(scene, "PNG")) is None
        assert reason(awkward.encoded(Image.new("1", (9, 9)), "PNG")) is None

    @pytest.mark.skipif("AVIF" not in Image.SAVE, reason="this Pillow has no AVIF")
    def test_an_image_is_known_by_its_content_not_by_a_name(self):
        assert reason(awkward.encoded(awkward.scene(), "AVIF")) is None

    def test_heic_without_pi_heif_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pi_heif", None)
        data = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(100)
        assert reason(data) == Reason.UNSUPPORTED
        assert "pip install --force-reinstall pi-heif" in detail(data)

    def test_ghostscript_is_never_run(self, monkeypatch):
        eps = awkward.encoded(awkward.scene(), "EPS")
        monkeypatch.setattr(subprocess, "check_call", lambda *_, **__: pytest.fail("it was run"))
        assert reason(eps) == Reason.UNSUPPORTED
        with pytest.raises(Unreadable):
            from_picture(Image.open(io.BytesIO(eps)), FIT)

    @pytest.mark.parametrize(
        ("data", "named"),
        [
            (b"", "empty"),
            (b"<html></html>", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"%PDF-1.4", "PDF"),
            (b"col1;col2\n", "text"),
        ],
    )
    def test_what_is_no_image_is_called_by_its_name(self, data, named):
        assert reason(data) == Reason.NOT_AN_IMAGE
        assert named in detail(data)


def _interlaced(rows: bytes) -> bytes:
    data = bytearray(awkward.png_of(rows, (8, 8), 8, 0))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


class TestLimits:
    def test_more_memory_than_allowed_is_told_before_decoding(self):
        data = awkward.encoded(awkward.scene().resize((3000, 2000)), "PNG", compress_level=1)
        with pytest.raises(NeedsMemory) as need:
            decode(data, FIT, allowance=20_000_000)
        assert 24_000_000 < need.value.cost < 48_000_000
        assert decode(data, FIT, allowance=need.value.cost).shape == (*SIZE, 3)

    def test_a_large_jpeg_is_cheap_unless_it_is_progressive(self):
        large = awkward.scene().resize((4000, 3000))
        costs = {}
        for progressive in (False, True):
            with pytest.raises(NeedsMemory) as need:
                decode(awkward.encoded(large, "JPEG", progressive=progressive), FIT, allowance=1)
            costs[progressive] = need.value.cost
        assert costs[False] < 12_000_000
        assert costs[True] > 36_000_000  # the coefficients: 2 bytes, one and a half times

    def test_a_picture_beyond_pillows_limit_is_decoded_if_it_fits_ours(self):
        """200 megapixels of one bit are 400 MB at most; Pillow stops at 179 megapixels."""
        rows = bytes(20_000 * (1 + 1250))
        data = awkward.png_of(rows, (20_000, 10_000), 1, 0)
        with pytest.raises(Image.DecompressionBombError):
            Image.open(io.BytesIO(data))
        assert decode(data, FIT).shape == (*SIZE, 3)

    @pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
    @pytest.mark.parametrize("kind", ["rgb", "rgba", "deep", "progressive", "webp"])
    def test_the_estimate_of_memory_holds(self, kind, tmp_path):
        """Pillow's memory is seen from outside only, so each is decoded in a process of its own."""
        scene = awkward.scene().resize((3000, 2000))
        data = {
            "rgb": lambda: awkward.encoded(scene, "PNG", compress_level=1),
            "rgba": lambda: awkward.encoded(scene.convert("RGBA"), "PNG", compress_level=1),
            "deep": lambda: awkward.png(np.asarray(scene).astype(np.uint16) * 16, 2),
            "progressive": lambda: awkward.encoded(scene, "JPEG", progressive=True),
            "webp": lambda: awkward.encoded(scene, "WEBP", method=0),
        }[kind]()
        (tmp_path / "image").write_bytes(data)
        with pytest.raises(NeedsMemory) as need:
            decode(data, Squash(227, 227), allowance=1)
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, tmp_path / "image"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert 0.5 * need.value.cost < int(done.stdout) < need.value.cost + 10_000_000


_PEAK = """
import pathlib, re, sys
import numpy as np
from PIL import Image
from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.decoding.fit import Squash

def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search("VmHWM:\\s+([0-9]+) kB", status)[1])

Image.init()
pixels.from_picture(np.zeros((600, 600, 4), np.uint8), Squash(227, 227))
before = peak()
pixels.decode(pathlib.Path(sys.argv[1]).read_bytes(), Squash(227, 227))
print(peak() - before)
"""


class TestPictures:
    def test_an_array_is_treated_as_a_file_of_its_pixels(self):
        scene = awkward.scene()
        for image in (scene, scene.convert("L"), awkward.with_alpha(scene)):
            assert np.array_equal(
                from_picture(np.asarray(image), FIT), decode(awkward.encoded(image, "PNG"), FIT)
            )

    def test_an_array_may_be_a_view(self):
        pixels_ = np.asarray(awkward.scene())
        assert np.array_equal(
            from_picture(pixels_[::-1, ::-1], FIT), from_picture(pixels_[::-1, ::-1].copy(), FIT)
        )

    @pytest.mark.parametrize(
        "mode", ["1", "L", "P", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "CMYK", "YCbCr", "HSV"]
    )
    def test_a_picture_of_any_mode_is_seen_rightly_and_not_changed(self, mode):
        image = awkward.scene()
        if mode in ("La", "RGBa"):
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[mode])
        image = image.convert(mode)
        before = (image.mode, image.size, image.tobytes(), dict(image.info))
        kind = "grey" if mode in ("1", "L", "LA", "La") else "colour"
        tolerance = 12 if mode in ("1", "P") else 4
        assert np.abs(from_picture(image, FIT) - expected(kind)).mean() < tolerance
        assert (image.mode, image.size, image.tobytes(), dict(image.info)) == before

    @pytest.mark.parametrize("mode", ["I", "F", "I;16", "I;16L", "I;16B"])
    def test_deep_pictures_keep_their_contrast(self, mode):
        grey = np.asarray(awkward.scene().convert("L")).astype(np.uint16) * 257
        kinds = {"I": "<i4", "F": "<f4", "I;16B": ">u2"}
        image = Image.frombytes(mode, awkward.SIZE, grey.astype(kinds.get(mode, "<u2")).tobytes())
        assert np.abs(from_picture(image, FIT) - expected("grey")).mean() < 1

    def test_lab_is_shown_in_its_colours(self):
        """Red in CIELAB is 54, 81, 70; Pillow keeps a and b shifted by 128, L times 2.55."""
        red = Image.merge("LAB", [Image.new("L", (5, 5), value) for value in (138, 209, 198)])
        red, green, blue = from_picture(red, FIT)[0, 0].astype(int)
        assert red > 200
        assert max(green, blue) < 90

    def test_an_opened_file_is_read_and_turned_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        stored = awkward.scene().transpose(Image.Transpose.ROTATE_90)
        stored.save(tmp_path / "turned.png", exif=exif)
        with Image.open(tmp_path / "turned.png") as image:
            assert np.abs(from_picture(image, FIT) - expected("colour")).mean() < 1

    def test_an_opened_file_that_is_cut_off_is_damaged(self, tmp_path):
        data = awkward.encoded(awkward.scene(), "PNG")
        with (
            Image.open(io.BytesIO(data[: len(data) // 2])) as image,
            pytest.raises(Unreadable) as fault,
        ):
            from_picture(image, FIT)
        assert fault.value.skipped.reason == Reason.DAMAGED

    @pytest.mark.parametrize("shape", [(0, 5), (5, 0, 3), (0, 0, 4)])
    def test_an_array_without_pixels_is_skipped(self, shape):
        with pytest.raises(Unreadable) as fault:
            from_picture(np.zeros(shape, np.uint8), FIT)
        assert fault.value.skipped.reason == Reason.NOT_AN_IMAGE

    @pytest.mark.parametrize(
        "given",
        [
            np.zeros((5, 5), np.uint16),
            np.zeros((5, 5, 3), np.float32),
            np.zeros((5, 5), bool),
            np.zeros((5, 5, 2), np.uint8),
            np.zeros(5, np.uint8),
            np.zeros((1, 5, 5, 3), np.uint8),
            "a path",
        ],
    )
    def test_what_is_no_picture_is_an_error_of_the_caller(self, given):
        with pytest.raises(InputTypeError, match="array"):
            from_picture(given, FIT)


class TestSurroundings:
    def test_pillows_global_state_is_left_alone(self):
        def state() -> tuple[object, ...]:
            return (
                Image.MAX_IMAGE_PIXELS,
                ImageFile.LOAD_TRUNCATED_IMAGES,
                Image.WARN_POSSIBLE_FORMATS,
                "HEIF" in Image.OPEN,
            )

        before = state()
        for _, data, _ in itertools.islice(awkward.good(), 20):
            decode(data, FIT)
        for _, data, _ in awkward.too_large():
            assert reason(data) == Reason.TOO_LARGE
        assert state() == before

    def test_importing_it_brings_neither_orange_nor_qt_nor_httpx(self):
        code = (
            "import sys, orangecontrib.imageanalytics.decoding.pixels; print(','.join(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        modules = set(done.stdout.strip().split(","))
        unwanted = {"Orange", "AnyQt", "PyQt6", "httpx", "pi_heif", "scipy", "onnxruntime"}
        assert not modules & unwanted

    def test_what_is_encoded_for_a_server_is_nearly_what_was_decoded(self):
        got = decode(awkward.encoded(awkward.scene(), "PNG"), Squash(224, 224))
        data = pixels.encode_jpeg(got)
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "JPEG"
            assert image.size == (224, 224)
            assert image.layer[1][1:3] == (1, 1)  # type: ignore[attr-defined]
            assert np.abs(np.asarray(image).astype(int) - got).mean() < 2

    def test_broken_metadata_do_not_hide_a_picture(self):
        exif = b"Exif\0\0II*\0\xff\xff\xff\x7fbroken"
        assert reason(awkward.encoded(awkward.scene(), "JPEG", exif=exif)) is None


def deep_grey(values: list[int]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.array([values] * 4, np.uint16)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_with_a_depth_that_is_said_pictures_of_one_camera_are_scaled_alike(bits):
    white = 2**bits - 1
    dark, bright = deep_grey([0, 200, 400, 800]), deep_grey([0, 200, white // 2, white])
    fit = Squash(4, 4, bits)
    seen = [pixels.decode(data, fit)[0, 1, 0] for data in (dark, bright)]
    assert seen == [round(255 * 200 / white)] * 2
    assert pixels.decode(bright, fit)[0, 3, 0] == 255


def test_without_one_the_brightest_point_of_each_decides():
    dark, bright = deep_grey([0, 200, 400, 800]), deep_grey([0, 200, 2000, 60000])
    seen = [int(pixels.decode(data, Squash(4, 4))[0, 1, 0]) for data in (dark, bright)]
    assert seen == [round(255 * 200 / 1023), round(255 * 200 / 65535)]


def test_what_is_brighter_than_the_depth_is_white():
    assert pixels.decode(deep_grey([0, 4095, 5000, 65535]), Squash(4, 4, 12))[0, 1:, 0].min() == 255


def test_a_depth_holds_for_colours_too_and_not_for_8_bits():
    array = np.zeros((4, 4, 3), np.uint8)
    array[:, :2] = 100
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    plain = file.getvalue()
    assert (pixels.decode(plain, Squash(4, 4, 12)) == pixels.decode(plain, Squash(4, 4))).all()
    deep = deep_colours()
    whites = {bits: int(pixels.decode(deep, Squash(4, 4, bits)).max()) for bits in (12, 14, 16)}
    assert whites == {12: round(255 * 4000 / 4095), 14: round(255 * 4000 / 16383), 16: 4000 >> 8}


def deep_colours() -> bytes:
    """Make a PNG of 16-bit colours up to 4000: Pillow writes none."""
    rows = b"".join(b"\0" + struct.pack(">HHH", 4000, 2000, 0) * 4 for _ in range(4))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


XPM = b"""/* XPM */
static char *x[] = {
"4 2 3 1",
"  c None",
". c #FF0000",
"+ c #0000FF",
"..++",
"..  "};
"""


def test_an_xpm_is_read_and_what_is_transparent_is_white():
    seen = pixels.decode(XPM, Squash(2, 4))
    assert seen[0].tolist() == [[255, 0, 0]] * 2 + [[0, 0, 255]] * 2
    assert seen[1].tolist() == [[255, 0, 0]] * 2 + [[255, 255, 255]] * 2


@pytest.mark.parametrize("kept", [40, 60, 90, len(XPM) - 9])
def test_a_cut_xpm_is_damaged(kept):
    assert reason(XPM[:kept]) is Reason.DAMAGED


def test_an_svg_says_what_it_is():
    with pytest.raises(Unreadable, match="SVG"):
        pixels.decode(b'<svg xmlns="http://www.w3.org/2000/svg"/>', Squash(2, 4))
