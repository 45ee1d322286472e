"""How much memory decoding an image takes, told from its header before anything is decoded.

All figures are bytes per pixel at the peak of a whole `pixels.decode`, measured as the growth of
the process's resident memory on 22 megapixels (Pillow 13, libjpeg-turbo 3.1, Linux).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.decoding import contrast, formats, jpeg, resize

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from orangecontrib.imageanalytics.decoding.jpeg import Header

#: What a pixel takes in Pillow's memory, where that is not 4 bytes.
_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2}

#: What is made of a picture of this mode before it is reduced; 4 where not listed.
_CONVERSION = {"L": 0, "RGB": 0, "1": 1, "F": 5}

#: What decoders hold besides the picture; for AVIF and HEIF with colours at full resolution.
_DECODER = {
    "AVIF": 12,
    "BMP": 0,
    "GIF": 0,
    "HEIF": 12,
    "PCX": 0,
    "PNG": 0,
    "PPM": 4,
    "TGA": 0,
    "TIFF": 4,
    "WEBP": 14,
}
_RARE_DECODER = 8

#: JPEG 2000 is decoded to 32 bits per channel.
_JPEG_2000_CHANNEL, _JPEG_2000_DECODER = 4, 4

#: The high and the low bytes, what they are added up to, and what compositing makes of that.
_DEEP_COLOUR = 14

#: A deep picture with a transparent value, at full size in floats.
_DEEP_COLOUR_KEY = 30

#: A JPEG's pixels as they come out of the decoder, and as the resizer takes them, twice.
_JPEG = {"L": 3, "RGB": 9, "CMYK": 15}

#: What a pixel of the result takes: resized, with its colours no longer premultiplied, turned
#: upright, and as an array.
_RESULT = 16

_TILE_WIDTH, _TILE_LENGTH = 322, 323

#: Whatever does not grow with the picture.
_FIXED = 6_500_000


def estimate(
    image: ImageFile,
    data: bytes,
    header: Header | None,
    eighths: int,
    result: tuple[int, int],
) -> int:
    """Estimate how many bytes decoding an image takes at its peak, the file's own included.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        Opened, not loaded.
    data : bytes
        The file.
    header : Header or None
        If it is a JPEG, how it is coded.
    eighths : int
        The scale that a JPEG is decoded at.
    result : tuple of int
        Height and width of what is made of it.
    """
    if header is not None:
        height, width = jpeg.scaled((image.height, image.width), eighths)
        decoding = height * width * _JPEG[image.mode] + header.buffered_bytes
    else:
        decoding = _pixels(image) * _per_pixel(image)
    return decoding + result[0] * result[1] * _RESULT + len(data) + _FIXED


def _per_pixel(image: ImageFile) -> int:
    bands = len(image.getbands())
    if image.format == "JPEG2000":
        decoder = _JPEG_2000_CHANNEL * bands + _JPEG_2000_DECODER
    else:
        decoder = _DECODER.get(image.format or "", _RARE_DECODER)
    if contrast.is_deep_colour(image):
        return decoder + _DEEP_COLOUR
    conversion = _CONVERSION.get(image.mode, 4)
    if contrast.is_deep(image.mode) and "transparency" in image.info:
        conversion = _DEEP_COLOUR_KEY
    elif resize.is_transparent(image) and image.mode not in ("LA", "RGBA"):
        conversion = 8  # to RGBA, then to premultiplied colours
    return _PIXEL.get(image.mode, 4) + conversion + decoder


def _pixels(image: ImageFile) -> int:
    """Count the pixels, or those of one tile of a TIFF, which may be larger than the picture."""
    tags = formats.tiff_tags(image)
    width, height = (tags.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    is_tiled = isinstance(width, int) and isinstance(height, int)
    return max(image.width * image.height, width * height if is_tiled else 0)
