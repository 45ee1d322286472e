"""A corpus of awkward image files, each with what is to become of it.

All that can be embedded show one scene, so that a test can tell whether each is seen rightly.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.outcome import Reason

Image.init()

#: Width and height of the scene.
SIZE = (160, 96)


@dataclass(frozen=True)
class Case:
    """A file and its fate.

    Attributes
    ----------
    path : str
        As it is given to the embedder.
    expected : Reason or None
        Why it is to be skipped; None if it is to be embedded.
    note : str
        What is awkward about it.
    seen : str
        How the scene is seen in it: "colour", "grey", "contrast" (grey between the scene's own
        extremes), "steps" or "bilevel", "colour on white" or "grey on white"; "" if it is
        another picture.
    """

    path: str
    expected: Reason | None
    note: str
    seen: str = ""


def scene() -> Image.Image:
    """Draw a picture that is different when it is turned, mirrored, inverted or faded."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    red, green = 40 + 200 * x, 30 + 220 * y
    blue = 20 + 230 * np.exp(-(((x - 0.7) / 0.2) ** 2 + ((y - 0.3) / 0.3) ** 2))
    pixels = np.rint(np.stack([red, green, blue], axis=-1)).astype(np.uint8)
    pixels[:12, :20] = 0
    pixels[-12:, -20:] = 255
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Save an image in a format of Pillow's."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(pixels: np.ndarray, colour_type: int, *extra: tuple[bytes, bytes]) -> bytes:
    """Write a PNG of 8 or 16 bits per channel by hand; `extra` chunks come before the pixels."""
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in big_endian)
    return png_of(rows, pixels.shape[:2], 8 * pixels.dtype.itemsize, colour_type, *extra)


def png_of(
    rows: bytes, shape: tuple[int, int], bits: int, colour_type: int, *extra: tuple[bytes, bytes]
) -> bytes:
    """Write a PNG whose unpacked pixels are these bytes, be they too few or too many."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", shape[1], shape[0], bits, colour_type, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        *extra,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def tiff(pixels: np.ndarray, *, photometric: int = 1, byte_order: str = "<", **tags: int) -> bytes:
    """Write an uncompressed TIFF by hand, its directory first, of numbers of any type.

    `tags` are named t254 and so on.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    body = pixels.astype(pixels.dtype.newbyteorder(byte_order)).tobytes()
    entries = {
        256: (width,),
        257: (height,),
        258: (8 * pixels.dtype.itemsize,) * channels,
        259: (1,),
        262: (photometric,),
        273: (0,),
        277: (channels,),
        278: (height,),
        279: (len(body),),
        339: (kind,) * channels,
        **{int(name[1:]): (value,) for name, value in tags.items()},
    }
    start = 8 + 2 + 12 * len(entries) + 4
    directory, outside = struct.pack(byte_order + "H", len(entries)), b""
    offset_of_pixels = start + sum(4 * len(v) for v in entries.values() if len(v) > 1)
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"{byte_order}{len(values)}I", *values)
        if tag == 273:
            packed = struct.pack(byte_order + "I", offset_of_pixels)
        directory += struct.pack(byte_order + "HHI", tag, 4, len(values))
        if len(values) > 1:
            directory += struct.pack(byte_order + "I", start + len(outside))
            outside += packed
        else:
            directory += packed
    mark = b"II*\0" if byte_order == "<" else b"MM\0*"
    header = mark + struct.pack(byte_order + "I", 8)
    return header + directory + struct.pack(byte_order + "I", 0) + outside + body


def with_alpha(image: Image.Image) -> Image.Image:
    """Make the left half transparent, over colours that must not be seen."""
    pixels = np.array(image.convert("RGBA"))
    half = pixels.shape[1] // 2
    pixels[:, :half] = (90, 10, 160, 0)
    return Image.fromarray(pixels)


def on_white(image: Image.Image) -> Image.Image:
    """Show what `with_alpha` looks like."""
    pixels = np.array(image)
    pixels[:, : pixels.shape[1] // 2] = 255
    return Image.fromarray(pixels)


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _oriented() -> Iterator[tuple[str, bytes, str]]:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for orientation, turn in undo.items():
        stored = scene().transpose(turn)
        exif = _exif(orientation)
        yield f"turned{orientation}.jpg", encoded(stored, "JPEG", exif=exif, quality=95), "colour"
        yield f"turned{orientation}.png", encoded(stored, "PNG", exif=exif), "colour"
        yield f"turned{orientation}.tif", encoded(stored, "TIFF", exif=exif), "colour"
    stored = scene().transpose(undo[6])
    yield "turned6.webp", encoded(stored, "WEBP", exif=_exif(6), quality=95), "colour"
    compressed = encoded(stored, "TIFF", exif=_exif(6), compression="tiff_lzw")
    yield "turned6-lzw.tif", compressed, "colour"
    if "AVIF" in Image.SAVE:
        yield "turned6.avif", encoded(stored, "AVIF", exif=_exif(6), quality=95), "colour"


def _jpegs() -> Iterator[tuple[str, bytes, str]]:
    image = scene()
    for name, options in {
        "baseline": {},
        "progressive": {"progressive": True},
        "full-colour": {"subsampling": 0},
        "restarts": {"restart_marker_blocks": 2},
        "optimised": {"optimize": True},
        "profile": {"icc_profile": b"not a profile" * 20},
    }.items():
        yield f"{name}.jpg", encoded(image, "JPEG", quality=95, **options), "colour"
    yield "cmyk.jpg", encoded(image.convert("CMYK"), "JPEG", quality=95), "colour"
    yield "grey.jpg", encoded(image.convert("L"), "JPEG", quality=95), "grey"
    whole = encoded(image, "JPEG", quality=95)
    yield "rgb-stored.jpg", encoded(image, "JPEG", quality=95, keep_rgb=True), "colour"
    yield "behind-the-end.jpg", whole + b"more" * 100, "colour"
    yield "without-end.jpg", whole[:-2], "colour"
    yield "padded.jpg", whole[:-2] + bytes(500) + whole[-2:], "colour"
    yield "jfif-version.jpg", whole[:11] + b"\0\0" + whole[13:], "colour"
    other = image.transpose(Image.Transpose.ROTATE_180)
    several = encoded(image, "MPO", save_all=True, append_images=[other], quality=95)
    yield "two-views.mpo", several, "colour"


def _modes() -> Iterator[tuple[str, bytes, str]]:
    image, grey = scene(), scene().convert("L")
    bilevel = grey.convert("1")
    palette = image.quantize(256)
    yield "rgb.png", encoded(image, "PNG"), "colour"
    yield "grey.png", encoded(grey, "PNG"), "grey"
    yield "bilevel.png", encoded(bilevel, "PNG"), "bilevel"
    yield "palette.png", encoded(palette, "PNG"), "colour"
    for bits in (2, 4):
        yield f"grey{bits}.png", _few_bits(grey, bits), "steps"
    yield "grey-bilevel.tif", encoded(bilevel, "TIFF", compression="group4"), "bilevel"
    yield "cmyk.tif", encoded(image.convert("CMYK"), "TIFF"), "colour"
    yield "palette.tif", encoded(palette, "TIFF"), "colour"
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        options = {"quality": 95} if compression == "jpeg" else {}
        file = encoded(image, "TIFF", compression=compression, **options)
        yield f"{compression}.tif", file, "colour"
    yield "rgb.gif", encoded(palette, "GIF"), "colour"
    yield "rgb.bmp", encoded(image, "BMP"), "colour"
    yield "palette.bmp", encoded(palette, "BMP"), "colour"
    yield "lossy.webp", encoded(image, "WEBP", quality=95), "colour"
    yield "lossless.webp", encoded(image, "WEBP", lossless=True), "colour"
    yield "rgb.jp2", encoded(image, "JPEG2000"), "colour"
    yield "rgb.j2k", encoded(image, "JPEG2000", no_jp2=True), "colour"
    if "AVIF" in Image.SAVE:
        yield "rgb.avif", encoded(image, "AVIF", quality=95), "colour"
    yield "rgb.ico", encoded(image.resize((128, 96)), "ICO", sizes=[(128, 96)]), "colour"
    yield "rgb.ppm", encoded(image, "PPM"), "colour"
    yield "grey.pgm", encoded(grey, "PPM"), "grey"
    yield "bilevel.pbm", encoded(bilevel, "PPM"), "bilevel"
    numbers = " ".join(str(value) for value in np.asarray(image).ravel())
    yield "plain.ppm", f"P3\n{SIZE[0]} {SIZE[1]}\n255\n{numbers}\n".encode(), "colour"
    yield "rgb.tga", encoded(image, "TGA", compression="tga_rle"), "colour"
    yield "rgb.pcx", encoded(image, "PCX"), "colour"
    if "QOI" in Image.SAVE:
        yield "rgb.qoi", encoded(image, "QOI"), "colour"
    yield "rgb.dds", encoded(image, "DDS"), "colour"
    yield "rgb.sgi", encoded(image, "SGI"), "colour"
    frames = [image.rotate(180).quantize(256)]
    yield "moving.gif", encoded(palette, "GIF", save_all=True, append_images=frames), "colour"
    frames = [image.rotate(180)]
    yield "moving.png", encoded(image, "PNG", save_all=True, append_images=frames), "colour"
    yield "moving.webp", _moving_webp(image, frames), "colour"
    yield "pages.tif", encoded(image, "TIFF", save_all=True, append_images=frames), "colour"


def _few_bits(grey: Image.Image, bits: int, *extra: tuple[bytes, bytes]) -> bytes:
    """Write a PNG with several pixels to the byte."""
    values = np.rint(np.asarray(grey) / 255 * (2**bits - 1)).astype(np.uint8)
    planes = [(values >> bit) & 1 for bit in reversed(range(bits))]
    packed = np.packbits(np.stack(planes, axis=-1).reshape(len(values), -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    return png_of(rows, values.shape, bits, 0, *extra)


def _moving_webp(image: Image.Image, frames: list[Image.Image]) -> bytes:
    return encoded(image, "WEBP", save_all=True, append_images=frames, quality=95)


def _transparent() -> Iterator[tuple[str, bytes, str]]:
    image = with_alpha(scene())
    key = (90, 10, 160)
    opaque = Image.new("RGB", image.size, key)
    opaque.paste(image, mask=image.getchannel("A"))
    yield "rgba.png", encoded(image, "PNG"), "colour on white"
    yield "rgba.webp", encoded(image, "WEBP", lossless=True), "colour on white"
    yield "rgba.tif", encoded(image, "TIFF"), "colour on white"
    yield "rgba.jp2", encoded(image, "JPEG2000"), "colour on white"
    yield "rgba.ico", encoded(image.resize((128, 96)), "ICO", sizes=[(128, 96)]), "colour on white"
    yield "rgba.tga", encoded(image, "TGA"), "colour on white"
    yield "grey-alpha.png", encoded(image.convert("LA"), "PNG"), "grey on white"
    yield "colour-key.png", encoded(opaque, "PNG", transparency=key), "colour on white"
    values = np.array(scene().convert("L"))
    values[values == 7] = 8
    values[:, : SIZE[0] // 2] = 7
    grey = Image.fromarray(values)
    yield "grey-key.png", encoded(grey, "PNG", transparency=7), "grey on white"
    steps = scene().convert("L").point(lambda value: max(value, 17))
    steps.paste(0, (0, 0, SIZE[0] // 2, SIZE[1]))
    yield "grey4-key.png", _few_bits(steps, 4, (b"tRNS", b"\0\0")), "grey on white"
    steps = scene().convert("L").point(lambda value: min(value, 238))
    steps.paste(255, (0, 0, SIZE[0] // 2, SIZE[1]))
    key4 = (b"tRNS", b"\0\x0f")
    yield "grey4-white-key.png", _few_bits(steps, 4, key4), "grey on white"
    palette = opaque.quantize(255)
    entry = palette.getpixel((0, 0))
    yield "palette-key.png", encoded(palette, "PNG", transparency=entry), "colour on white"
    alphas = bytes(0 if value == entry else 255 for value in range(255))
    yield "palette-alphas.png", encoded(palette, "PNG", transparency=alphas), "colour on white"
    yield "palette-key.gif", encoded(palette, "GIF", transparency=entry), "colour on white"
    if "AVIF" in Image.SAVE:
        yield "rgba.avif", encoded(image, "AVIF", quality=98), "colour on white"


def _deep() -> Iterator[tuple[str, bytes, str]]:
    grey = np.asarray(scene().convert("L")).astype(np.float64)
    colour = np.asarray(scene()).astype(np.float64)
    for bits in (8, 10, 12, 14, 16):
        scale = (2**bits - 1) / 255
        values = np.rint(grey * scale).astype(np.uint16)
        yield f"grey{bits}in16.png", png(values, 0), "grey"
        yield f"grey{bits}in16.tif", tiff(values), "grey"
        values = np.rint(colour * scale).astype(np.uint16)
        yield f"colour{bits}in16.png", png(values, 2), "colour"
        yield f"colour{bits}in16.tif", tiff(values, photometric=2), "colour"
    values = (grey.astype(np.uint16)) << 8
    yield "grey-high-byte.png", png(values, 0), "grey"
    yield "grey16.jp2", encoded(Image.fromarray(values * 1), "JPEG2000"), "grey"
    yield "grey16-be.tif", tiff((grey * 257).astype(np.uint16), byte_order=">"), "grey"
    negative = (65535 - grey * 257).astype(np.uint16)
    yield "grey16-white-is-0.tif", tiff(negative, photometric=0), "grey"
    yield "integers.tif", tiff((grey * 100_000).astype(np.int32)), "contrast"
    yield "signed.tif", tiff((grey * 100 - 9000).astype(np.int16)), "contrast"
    yield "floats.tif", tiff((grey / 255).astype(np.float32)), "contrast"
    holes = (grey / 1000).astype(np.float32)
    holes[3, 30], holes[4, 40], holes[5, 50] = np.nan, np.inf, -np.inf
    yield "not-numbers.tif", tiff(holes), "contrast"
    yield "floats.pfm", encoded(Image.fromarray(grey.astype(np.float32)), "PPM"), "contrast"
    shown = with_alpha(scene())
    yield (
        "rgba12in16.png",
        png(np.rint(np.asarray(shown) * [16, 16, 16, 257]).astype(np.uint16), 6),
        "colour on white",
    )
    yield (
        "grey-alpha12in16.png",
        png(np.rint(np.asarray(shown.convert("LA")) * [16, 257]).astype(np.uint16), 4),
        "grey on white",
    )
    keyed = np.rint(colour * 257).astype(np.uint16)
    keyed[:, : SIZE[0] // 2] = (300, 301, 302)
    key = (b"tRNS", struct.pack(">HHH", 300, 301, 302))
    yield "colour-key16.png", png(keyed, 2, key), "colour on white"
    values = np.rint(grey * 257).astype(np.uint16)
    values[:, : SIZE[0] // 2] = 1234
    yield "grey-key16.png", png(values, 0, (b"tRNS", struct.pack(">H", 1234))), "grey on white"


def _shapes() -> Iterator[tuple[str, bytes, str]]:
    yield "1x1.png", encoded(scene().resize((1, 1)), "PNG"), ""
    yield "1x1.jpg", encoded(scene().resize((1, 1)), "JPEG"), ""
    yield "long.png", encoded(scene().resize((20_000, 60)), "PNG", compress_level=1), "colour"
    yield "long.jpg", encoded(scene().resize((20_000, 60)), "JPEG", quality=95), "colour"
    yield "tall.jpg", encoded(scene().resize((3, 20_000)), "JPEG", quality=95), ""
    yield "one-row.bmp", encoded(scene().resize((5000, 1)), "BMP"), ""
    yield "large.png", encoded(scene().resize((3000, 2000)), "PNG", compress_level=1), "colour"


def good() -> Iterator[tuple[str, bytes, str]]:
    """Yield name, content and how the scene is seen of all images that can be embedded."""
    for group in (_jpegs, _modes, _transparent, _deep, _oriented, _shapes):
        yield from group()
    import pillow_heif  # writes HEIC, which pi-heif, that reads it, cannot

    for name, image, seen in (
        ("photo.heic", scene(), "colour"),
        ("rgba.heic", with_alpha(scene()), "colour on white"),
    ):
        file = io.BytesIO()
        pillow_heif.from_pillow(image).save(file, quality=95)
        yield name, file.getvalue(), seen


#: Formats that are cut off and flipped, and the place in the file where the flip hurts.
def _wholes() -> dict[str, bytes]:
    image = scene()
    wholes = {
        "jpg": encoded(image, "JPEG", quality=95),
        "progressive.jpg": encoded(image, "JPEG", quality=95, progressive=True),
        "grey.jpg": encoded(image.convert("L"), "JPEG", quality=95),
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG", quality=95),
        "png": encoded(image, "PNG"),
        "gif": encoded(image.quantize(256), "GIF"),
        "tif": encoded(image, "TIFF"),
        "first.tif": tiff(np.asarray(image), photometric=2),
        "lzw.tif": encoded(image, "TIFF", compression="tiff_lzw"),
        "bmp": encoded(image, "BMP"),
        "webp": encoded(image, "WEBP", quality=95),
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "jp2": encoded(image, "JPEG2000"),
        "ppm": encoded(image, "PPM"),
        "ico": encoded(image.resize((128, 96)), "ICO", sizes=[(128, 96)]),
        "dds": encoded(image, "DDS"),
    }
    if "QOI" in Image.SAVE:
        wholes["qoi"] = encoded(image, "QOI")
    if "AVIF" in Image.SAVE:
        wholes["avif"] = encoded(image, "AVIF", quality=95)
    return wholes


def damaged() -> Iterator[tuple[str, bytes, str]]:
    """Yield name, content and note of images of which a part is missing or broken."""
    wholes = _wholes()
    for name, whole in wholes.items():
        yield f"half.{name}", whole[: len(whole) // 2], "cut in half"
        yield f"most.{name}", whole[: len(whole) * 9 // 10], "the last tenth cut off"
        yield f"start.{name}", whole[:20], "cut off after 20 bytes"
        if name.endswith("jpg"):
            middle = len(whole) * 2 // 3
            yield f"ended.{name}", whole[:middle] + b"\xff\xd9", "cut, and an end marker put behind"
    jpeg = wholes["progressive.jpg"]
    scans = [at for at in range(len(jpeg)) if jpeg[at : at + 2] == b"\xff\xda"]
    yield "scans.jpg", jpeg[: scans[-1]] + b"\xff\xd9", "without its last scan"
    rows = np.asarray(scene())
    short = b"".join(b"\0" + row.tobytes() for row in rows[:50])
    yield "rows.png", png_of(short, rows.shape[:2], 8, 2), "whole, but with half the rows"
    for name in ("png", "gif", "lossless.webp", "lzw.tif", "jpg", "progressive.jpg"):
        flipped = bytearray(wholes[name])
        for at in range(len(flipped) // 2, len(flipped) // 2 + 60):
            flipped[at] ^= 0x55
        yield f"flipped.{name}", bytes(flipped), "bits flipped"
    yield "no-pixels.png", png_of(b"", (0, 0), 8, 2), "of no pixels"
    yield "text-bomb.png", _text_bomb(), "a text in it unpacks to 100 MB"


def _text_bomb() -> bytes:
    text = b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9)
    return png(np.asarray(scene()), 2, (b"zTXt", text))


def too_large() -> Iterator[tuple[str, bytes, str]]:
    """Yield name, content and note of images that would take too much memory."""
    yield "bomb.png", png_of(bytes(1000), (40_000, 40_000), 8, 2), "1600 megapixels by its header"
    yield "bomb.gif", b"GIF89a" + struct.pack("<HH", 65_000, 65_000) + _GIF_REST, "4 gigapixels"
    pixels = np.zeros((2, 2, 3), np.uint8)
    yield "bomb.tif", tiff(pixels, photometric=2, t256=60_000, t257=60_000), "3.6 gigapixels"
    yield "bomb.ico", _icon_bomb(), "a small icon with a large picture inside"
    jpeg = bytearray(encoded(scene(), "JPEG", progressive=True))
    at = jpeg.index(b"\xff\xc2") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    yield "bomb.jpg", bytes(jpeg), "progressive: all coefficients are kept in memory"


_GIF_REST = b"\0\0\0\x2c\0\0\0\0" + struct.pack("<HHB", 65_000, 65_000, 0) + b"\x08\x01\0\0;"


def _icon_bomb() -> bytes:
    inside = png_of(bytes(1000), (30_000, 30_000), 8, 2)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 64, 64, 0, 0, 1, 32, len(inside), 22) + inside


def no_images() -> Iterator[tuple[str, bytes, str]]:
    """Yield name, content and note of other things that are called images."""
    yield "empty.png", b"", "empty"
    yield "page.jpg", b"<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page"
    yield "words.png", b"This is no image, whatever its name says.\n" * 20, "text"
    yield (
        "bmw.bmp",
        b"BMW builds cars, and this is a text of them.\n" * 5,
        "text that begins as BMP",
    )
    yield "sums.png", b"a,b,c\n1,2,3\n" * 50, "a table"
    yield "paper.jpg", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(100), "a PDF"
    yield "archive.png", b"PK\3\4" + bytes(100), "a ZIP archive"
    yield "film.jpg", struct.pack(">I", 24) + b"ftypisom\0\0\2\0isommp42" + bytes(50), "a video"
    yield "program.png", b"\x7fELF" + bytes(100), "a program"
    yield "notes._.jpg", b"\0\5\x16\7\0\2\0\0" + b"Mac OS X" + bytes(100), "macOS's notes"
    yield "zeros.png", bytes(1000), "zeros"
    yield "noise.jpg", np.random.default_rng(3).bytes(5000), "noise"
    yield "one-byte.gif", b"G", "one byte"


def unsupported() -> Iterator[tuple[str, bytes, str]]:
    """Yield name, content and note of images of formats or kinds that cannot be read here."""
    yield "drawing.svg", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"
    yield "drawing.eps", encoded(scene(), "EPS"), "EPS: Ghostscript must not be run"
    yield "drawing.wmf", b"\xd7\xcd\xc6\x9a" + bytes(18) + b"\1\0\x09\0" + bytes(40), "WMF"
    yield "new.jxl", b"\xff\x0a" + bytes(100), "JPEG XL"
    yield "film.mpg", b"\0\0\1\xb3\x0a\x00\x60" + bytes(100), "MPEG"
    yield "camera.cr3", struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + bytes(50), "Canon raw"
    raw = tiff(np.asarray(scene()), photometric=2, t254=1, t330=8)
    yield "camera.nef", raw, "a raw file, of which Pillow would read the preview"
    floats = np.asarray(scene()).astype(np.float32)
    yield "floats-rgb.tif", tiff(floats, photometric=2), "colours as floats"
    yield "doubles.tif", tiff(floats[..., 0].astype(np.float64)), "64-bit floats"
    deep = np.ascontiguousarray(np.moveaxis(np.asarray(scene()).astype(np.uint16) * 257, -1, 0))
    planes = tiff(deep.reshape(*scene().size[::-1], 3), photometric=2, t284=2)
    yield "planes16.tif", planes, "16-bit colours in planes: Pillow reads them as bytes"
    twelve = bytearray(encoded(scene(), "JPEG"))
    twelve[twelve.index(b"\xff\xc0") + 4] = 12
    yield "twelve-bits.jpg", bytes(twelve), "12 bits per channel"
    yield (
        "layers.psd",
        b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\5\0\0\0\5\0\x10\0\3" + bytes(99),
        "PSD",
    )


#: Names that are awkward in themselves, of good images.
NAMES = (
    "with space.png",
    "émoji 🍎🐞.png",
    "new\nline.png",
    "tab\t'quotes' \"and\" #%?&;.png",
    "-rf.png",
    "~home.png",
    "no extension",
    "PHOTO.JPG",
    "a" * 200 + ".png",
    os.fsdecode(b"not utf-8 \xff\xfe.png"),
)


def write_files(folder: Path) -> list[Case]:
    """Write all image files, and those that only say so; see the module."""
    groups: tuple[tuple[Callable[[], Iterator[tuple[str, bytes, str]]], Reason | None], ...] = (
        (good, None),
        (damaged, Reason.DAMAGED),
        (too_large, Reason.TOO_LARGE),
        (no_images, Reason.NOT_AN_IMAGE),
        (unsupported, Reason.UNSUPPORTED),
    )
    cases = []
    for group, expected in groups:
        for name, content, note in group():
            path = folder / f"{group.__name__} {name}"
            path.write_bytes(content)
            seen = note if group is good else ""
            cases.append(Case(str(path), expected, note or name, seen))
    return cases


def write_names(folder: Path) -> list[Case]:
    """Write a good image under awkward names, as far as this file system takes them."""
    content = encoded(scene(), "PNG")
    cases = []
    for name in (*NAMES, "really a jpeg.png", "really a png.jpeg", "really a webp.gif"):
        kind = {"really a jpeg.png": "JPEG", "really a webp.gif": "WEBP"}.get(name, "PNG")
        try:
            (folder / name).write_bytes(content if kind == "PNG" else encoded(scene(), kind))
        except (OSError, ValueError):
            continue
        cases.append(Case(str(folder / name), None, f"named {name!r}", "colour"))
    return cases


def write_specials(folder: Path) -> list[Case]:
    """Make what is not a file, or cannot be read; see the module."""
    folder_case = folder / "folder.png"
    folder_case.mkdir()
    cases = [
        Case(str(folder_case), Reason.NOT_A_FILE, "a folder"),
        Case(str(folder / "missing.png"), Reason.NOT_FOUND, "nothing of this name"),
    ]
    if sys.platform == "win32":
        return cases
    links = {
        "dangling.png": ("gone.png", Reason.NOT_FOUND),
        "loop.png": ("loop.png", Reason.NOT_A_FILE),
        "null.png": ("/dev/null", Reason.NOT_A_FILE),
        "zero.png": ("/dev/zero", Reason.NOT_A_FILE),
        "folder-link.png": ("folder.png", Reason.NOT_A_FILE),
        "link.png": ("target.png", None),
    }
    (folder / "target.png").write_bytes(encoded(scene(), "PNG"))
    for name, (target, expected) in links.items():
        (folder / name).symlink_to(target)
        cases.append(Case(str(folder / name), expected, f"a link to {target}"))
    os.mkfifo(folder / "fifo.png")
    cases.append(Case(str(folder / "fifo.png"), Reason.NOT_A_FILE, "a FIFO"))
    secret = folder / "secret.png"
    secret.write_bytes(encoded(scene(), "PNG"))
    secret.chmod(0)
    may_read = os.access(secret, os.R_OK)
    cases.append(Case(str(secret), None if may_read else Reason.NOT_READABLE, "without permission"))
    return cases


def write_corpus(folder: Path) -> list[Case]:
    """Write everything into a folder that is empty."""
    return [*write_files(folder), *write_names(folder), *write_specials(folder)]
