"""Pictures with more than 8 bits per channel: brought to 8 bits with their contrast kept.

Pillow's own conversion clips at 255, which turns 99 % of a 16-bit ramp white, and reads 16-bit
colour by its high byte alone, which turns a microscope's 12 bits in 16 nearly black.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops

from orangecontrib.imageanalytics.decoding.fit import DEPTHS
from orangecontrib.imageanalytics.decoding.formats import Unreadable, tiff_tags
from orangecontrib.imageanalytics.outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile, _Tile

#: The depths that cameras and microscopes have; the smallest that holds the maximum is taken.
_DEPTHS = (8, *DEPTHS)

#: Pixels that are looked at together: 4 MB of floats.
_BAND = 1_000_000


def is_deep(mode: str) -> bool:
    """Whether a picture of this mode has one channel of more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def depth(maximum: float) -> int | None:
    """Choose the number of bits that integers up to this maximum were recorded with.

    None if they need more than 16.
    """
    return next((bits for bits in _DEPTHS if maximum < 2**bits), None)


def to_float(image: Image.Image, bits: int | None = None) -> tuple[Image.Image, float, float]:
    """Convert a deep picture to mode "F", and find which values are to be black and white.

    Infinite values count as the largest or smallest finite one, those that are no number as the
    smallest.

    Parameters
    ----------
    image : PIL.Image.Image
        Of one channel.
    bits : int, optional
        The depth that its integers were recorded with: 0 is black, 2 ** bits - 1 and above white.
        If None, the smallest of 8, 10, 12, 14 and 16 that holds this picture's largest value; the
        picture's own range if it has negative values. Floating-point numbers always span their
        own range.

    Returns
    -------
    values : PIL.Image.Image of mode "F"
        A new picture without infinities and NaNs.
    black, white : float
        The values that become 0 and 255; equal if the picture is of one value throughout.
    """
    is_integer = image.mode != "F"
    values = image.convert("F")
    if is_integer:
        black, white = _extrema(values)
        bits = bits or (depth(white) if black >= 0 else None)
        return values, *((0.0, 2.0**bits - 1) if bits else (black, white))
    ranges = [
        (finite.min(), finite.max())
        for _, band in _bands(values)
        if (finite := band[np.isfinite(band)]).size
    ]
    black = float(min((low for low, _ in ranges), default=0.0))
    white = float(max((high for _, high in ranges), default=0.0))
    for top, band in _bands(values):
        if not np.isfinite(band).all():
            band = np.nan_to_num(band, nan=black, posinf=white, neginf=black)
            values.paste(Image.fromarray(band), (0, top))
    return values, black, white


def to_grey(values: Image.Image, black: float, white: float) -> Image.Image:
    """Map a picture of mode "F" to mode "L"; one that is of one value throughout becomes black."""
    array = np.asarray(values, dtype=np.float64)
    share = (array - black) / (white - black) if white > black else np.zeros_like(array)
    return Image.fromarray(np.rint(share * 255).clip(0, 255).astype(np.uint8))


def is_negative(image: Image.Image) -> bool:
    """Whether a deep TIFF has white as its zero: Pillow passes that by if there are 16 bits."""
    return tiff_tags(image).get(_PHOTOMETRIC) == 0


def _bands(image: Image.Image) -> Iterator[tuple[int, NDArray[np.float32]]]:
    width, height = image.size
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        yield top, np.asarray(image.crop((0, top, width, min(top + rows, height))))


#: Where a JPEG 2000's main header is looked for, in bytes; profiles may stand before it.
_JPEG_2000_HEADER = 1_000_000

# Tags of TIFF.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR_CONFIGURATION = 258, 262, 284

#: Unpacking with the other byte order takes the low byte of each pair for the high one.
_LOW_BYTES = {
    "16B": "16L",
    "16L": "16B",
    "16N": "16B" if sys.byteorder == "little" else "16L",
}


def is_deep_colour(image: ImageFile) -> bool:
    """Whether an image that has not been loaded yet has 16 bits in each of several channels.

    Raises
    ------
    Unreadable
        If Pillow would read it wrongly: it takes TIFF's separate planes of 16 bits for bytes.
    """
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        return False
    if any("16" in f"{tile.codec_name} {_rawmode(tile)}" for tile in image.tile):
        return True
    if image.format == "TIFF" and max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))) > 8:
        raise Unreadable(
            Reason.UNSUPPORTED,
            "a TIFF with 16-bit colours in separate planes; save it with interleaved colours",
        )
    return image.format == "JPEG2000" and _jpeg_2000_depth(image) > 8


def colour(
    image: ImageFile, again: Callable[[], ImageFile], bits: int | None = None
) -> Image.Image:
    """Bring a picture of 16 bits per channel to 8 bits.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened, not loaded.
    again : callable
        Opens the same file anew.
    bits : int, optional
        The depth, as of `to_float`.

    Returns
    -------
    PIL.Image.Image
        Of the mode that Pillow gives it; what a colour key makes transparent gets an alpha channel.

    Raises
    ------
    Unreadable
        If there is contrast in the low bytes only, and they cannot be read.
    """
    key = image.info.pop("transparency", None)
    image.load()
    if bits is None:
        bands = [image.getchannel(band) for band in image.getbands() if band != "A"]
        bits = depth(256 * max(_extrema(band)[1] for band in bands) + 255) or 16
    if bits == 16 and key is None:
        return image
    return _combined(image, _low_bytes(again(), bits), 2**bits - 1, key)


def _extrema(image: Image.Image) -> tuple[float, float]:
    """Return the smallest and the largest value of a picture of one channel."""
    low, high = image.getextrema()
    assert not isinstance(low, tuple) and not isinstance(high, tuple)
    return low, high


def scale_colour_key(image: ImageFile) -> None:
    """Scale a PNG's transparent grey value as Pillow scales 2 and 4 bits, before it is loaded."""
    key = image.info.get("transparency")
    steps = {"L;2": 85, "L;4": 17}
    if image.format == "PNG" and isinstance(key, int) and image.tile:
        image.info["transparency"] = key * steps.get(_rawmode(image.tile[0]), 1)


def _rawmode(tile: _Tile) -> str:
    arguments = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    return arguments[0] if arguments and isinstance(arguments[0], str) else ""


def _jpeg_2000_depth(image: ImageFile) -> int:
    """Read the first channel's number of bits from the SIZ segment (ISO 15444-1, A.5.1)."""
    assert image.fp is not None
    image.fp.seek(0)
    data = image.fp.read(_JPEG_2000_HEADER)
    at = data.find(b"\xff\x4f\xff\x51")
    return (data[at + 42] & 127) + 1 if 0 <= at < len(data) - 42 else 8


def _low_bytes(image: ImageFile, bits: int) -> Image.Image:
    """Decode an image of 16 bits per channel to its low bytes."""
    rawmodes = {_rawmode(tile) for tile in image.tile}
    rawmode = rawmodes.pop()
    channels, _, order = rawmode.partition(";")
    is_planar = tiff_tags(image).get(_PLANAR_CONFIGURATION) == 2
    if channels in ("RGB", "RGBA", "RGBX") and order in _LOW_BYTES and not (rawmodes or is_planar):
        low = f"{channels};{_LOW_BYTES[order]}"
    elif rawmode == "LA;16B":  # a pixel's four bytes
        low = "RGBA"
    else:
        raise Unreadable(
            Reason.UNSUPPORTED,
            f"16-bit colours in a {image.format} file of which only {bits} bits are in use; "
            "save it as PNG or TIFF",
        )
    image.tile = [
        tile._replace(args=(low, *tile.args[1:]) if isinstance(tile.args, tuple) else low)
        for tile in image.tile
    ]
    image.load()
    if low == "RGBA" and rawmode == "LA;16B":
        _, grey, _, alpha = image.split()
        return Image.merge("RGBA", (grey, grey, grey, alpha))
    return image


def _combined(
    high: Image.Image, low: Image.Image, white: int, key: tuple[int, int, int] | None
) -> Image.Image:
    """Add the bytes up, scaled so that the number called white becomes 255."""
    opaque = None
    if key is not None:  # what differs from the key in either byte
        opaque = ImageChops.lighter(
            _differing(high, tuple(value >> 8 for value in key)),
            _differing(low, tuple(value & 255 for value in key)),
        )
    rising = [min(255, round(255 * 256 * value / white)) for value in range(256)]
    rest = [round(255 * value / white) for value in range(256)]
    # Band by band, which takes half the memory of whole pictures.
    bands = [
        high.getchannel(band)
        if band == "A"
        else ImageChops.add(high.getchannel(band).point(rising), low.getchannel(band).point(rest))
        for band in high.getbands()
    ]
    del low
    picture = Image.merge(high.mode, bands)
    if opaque is not None:
        picture.putalpha(opaque)
    return picture


def _differing(image: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """Make a mask of mode "L": 0 where the image is of this colour, 255 elsewhere."""
    image.info["transparency"] = colour
    try:
        return image.convert("RGBA").getchannel("A")
    finally:
        del image.info["transparency"]
