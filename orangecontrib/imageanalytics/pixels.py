"""Bytes to the pixels that a model sees: the one place that decodes images.

An image is decoded as a person sees it in a viewer (turned as its EXIF data say, transparency on
white, the first of several frames, deep pictures with their contrast) and squashed to the model's
size with a Lanczos filter. Colour profiles are not applied: what they change is small beside what
photos of one thing differ by, and embedding servers do not apply them either.

Nothing of Pillow's global state is changed here, except by `prepare_process`.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from orangecontrib.imageanalytics import contrast, formats, jpeg
from orangecontrib.imageanalytics.formats import Unreadable
from orangecontrib.imageanalytics.outcome import InputTypeError, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

__all__ = [
    "BUDGET",
    "VERSION",
    "NeedsMemory",
    "Unreadable",
    "decode",
    "encode_jpeg",
    "from_picture",
    "prepare_process",
]

#: Part of the cache's keys: to be raised when any pixel comes out differently.
VERSION = 1

#: Bytes that all decodes at the same time may take together.
BUDGET = 1_000_000_000

#: Box reduction goes down to this multiple of the target; the Lanczos filter does the rest.
_REDUCING_GAP = 2.0

#: A JPEG is decoded at the smallest scale that leaves it this multiple of the target.
_JPEG_GAP = 2

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NeedsMemory(Exception):
    """Decoding this image takes more memory than was allowed.

    Attributes
    ----------
    cost : int
        How much it would take, in bytes.
    """

    def __init__(self, cost: int) -> None:
        super().__init__(cost)
        self.cost = cost


def prepare_process() -> None:
    """Set Pillow up in a process that does nothing but decode; never in the user's own.

    Pillow's warnings, of broken metadata and of many pixels, are then not shown.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(
    data: bytes,
    size: tuple[int, int],
    *,
    allowance: int | None = None,
    max_pixels: int | None = None,
) -> NDArray[np.uint8]:
    """Decode an image and squash it to a size.

    Parameters
    ----------
    data : bytes
        The content of an image file.
    size : tuple of int
        Height and width of the result, in pixels.
    allowance : int, optional
        Bytes that decoding may take; without it, up to `BUDGET`.
    max_pixels : int, optional
        The most pixels an image may have. Without it, an image may have as many as can be decoded
        within `BUDGET`, which depends on its format and mode (250 million for a plain RGB file).

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        RGB, C-contiguous.

    Raises
    ------
    Unreadable
        If the image cannot be decoded, or only in part, or is too large.
    NeedsMemory
        If decoding would take more than `allowance`; nothing has been decoded then.
    """
    if problem := formats.not_decoded(data):
        raise Unreadable(problem.reason, problem.detail)
    with _explained("the image"):
        image = _open(data)
        if problem := formats.refused(image):
            raise Unreadable(problem.reason, problem.detail)
        _afford(image, data, size, allowance, max_pixels)
        return _decoded(image, data, size)


def from_picture(
    picture: Image.Image | NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Squash a picture in memory to a size, treated as a file with the same pixels would be.

    Parameters
    ----------
    picture : PIL.Image.Image or ndarray of shape (H, W), (H, W, 3) or (H, W, 4), uint8
        Grey, RGB or RGBA if an array. It is not changed (one that Pillow opened and has not yet
        read is read, as any use of it does).
    size : tuple of int
        Height and width of the result, in pixels.

    Returns
    -------
    ndarray of shape (height, width, 3), uint8
        RGB, C-contiguous.

    Raises
    ------
    InputTypeError
        If an array is of another type or shape.
    Unreadable
        If the picture has no pixels, or its file cannot be read.
    """
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    if min(picture.size) < 1:
        raise Unreadable(Reason.NOT_AN_IMAGE, "the picture has no pixels")
    if getattr(picture, "tile", None) and (problem := formats.refused(picture)):
        raise Unreadable(problem.reason, problem.detail)
    with _explained("the picture"):
        picture.load()
        return _squashed(picture, size, _orientation(picture))


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels for sending to a server: JPEG at quality 95, colours at full resolution.

    Parameters
    ----------
    pixels : ndarray of shape (H, W, 3), uint8
        RGB.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever Pillow raises into an outcome: on hostile files that is nearly anything."""
    try:
        yield
    except (Unreadable, NeedsMemory):
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(Reason.TOO_LARGE, _sentence(what, error)) from error
    except Exception as error:
        raise Unreadable(Reason.DAMAGED, _sentence(what, error)) from error


def _sentence(what: str, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{what} cannot be decoded: {text[:200]}"


def _open(data: bytes) -> ImageFile:
    """Read an image's header.

    Pillow's limit on pixels is passed by, where it has recognised the format: ours depends on the
    mode, and a JPEG is not decoded at its full size.
    """
    name = formats.signature(data)
    if name == "HEIF":
        return _open_heif(data)
    if name == "JPEG" and (header := jpeg.header(data)) and header.unsupported:
        raise Unreadable(Reason.UNSUPPORTED, header.unsupported)
    try:
        return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        if name not in Image.OPEN:
            raise
        return Image.OPEN[name][0](io.BytesIO(data), "")
    except UnidentifiedImageError:
        problem = formats.unidentified(data, _complaint(name, data))
        raise Unreadable(problem.reason, problem.detail) from None


def _open_heif(data: bytes) -> ImageFile:
    """Read the header of a HEIC image; pillow-heif is used without registering it in Pillow."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise Unreadable(
            Reason.UNSUPPORTED,
            "a HEIC image, which pillow-heif would read; install it with "
            f"pip install 'Orange3-ImageEmbedding[heic]' ({error})",
        ) from error
    return HeifImageFile(io.BytesIO(data))


def _complaint(name: str, data: bytes) -> str:
    """Find out what a plugin of Pillow has against a file: `Image.open` does not say."""
    if name not in Image.OPEN:
        return "this Pillow was built without it"
    try:
        Image.OPEN[name][0](io.BytesIO(data), "")
    except Exception as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return "it is not accepted"


def _afford(
    image: ImageFile,
    data: bytes,
    size: tuple[int, int],
    allowance: int | None,
    max_pixels: int | None,
) -> None:
    width, height = image.size
    cost = _cost(image, data, size)
    if max_pixels is not None and width * height > max_pixels:
        raise Unreadable(
            Reason.TOO_LARGE, f"{width} x {height} pixels are more than the limit of {max_pixels}"
        )
    if max_pixels is None and cost > BUDGET:
        raise Unreadable(
            Reason.TOO_LARGE,
            f"decoding {width} x {height} pixels takes {cost / 1e9:.1f} GB of memory, "
            f"more than the limit of {BUDGET / 1e9:.1f} GB",
        )
    if allowance is not None and cost > allowance:
        raise NeedsMemory(cost)


def _cost(image: ImageFile, data: bytes, size: tuple[int, int]) -> int:
    """Estimate how many bytes decoding takes at its peak."""
    width, height = image.size
    return width * height * 12 + len(data)


def _decoded(image: ImageFile, data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    if formats.signature(data) == "JPEG":
        orientation = _orientation(image)
        least = tuple(_JPEG_GAP * n for n in _turned(size, orientation))
        return _squashed(jpeg.decode(data, least, image.mode), size, orientation)
    if contrast.is_deep_colour(image):
        picture = contrast.colour(image, lambda: _open(data))
    else:
        image.load()
        picture = image
    return _squashed(picture, size, _orientation(image))


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation >= 5 else size


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 to 8 (1 is upright), after loading: a PNG may have it last."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken metadata: viewers show the image as it is stored
        return 1
    return value if value in _TURNS else 1


def _squashed(image: Image.Image, size: tuple[int, int], orientation: int) -> NDArray[np.uint8]:
    """Resize before turning and compositing, which then have little to do."""
    height, width = _turned(size, orientation)
    picture = _on_white(_resized(image, (width, height)))
    if orientation in _TURNS:
        picture = picture.transpose(_TURNS[orientation])
    return np.array(picture)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Reduce to mode "L", "RGB", "La" or "RGBa", the latter two with premultiplied colours."""
    if contrast.is_deep(image.mode):
        values, black, white = contrast.to_float(image)
        return contrast.to_grey(_lanczos(values, size), black, white)
    if image.has_transparency_data:
        image = image if image.mode in ("LA", "La", "RGBA", "RGBa") else image.convert("RGBA")
        image = image.convert("La" if image.mode in ("LA", "La") else "RGBa")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "LAB":
        return _from_lab(_lanczos(image, size))
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return _lanczos(image, size)


def _lanczos(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("La", "RGBa"):
        *colours, alpha = (np.asarray(band, dtype=np.int16) for band in image.split())
        rest = 255 - alpha
        composed = [(colour + rest).clip(0, 255).astype(np.uint8) for colour in colours]
        return Image.fromarray(np.stack(composed * (3 // len(composed)), axis=-1))
    return image.convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.ImageCmsTransform(lab, srgb, "LAB", "RGB").apply(image)


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not is_picture:
        raise InputTypeError(
            "an image given as an array must be of type uint8 and of shape [height, width], "
            f"[height, width, 3] or [height, width, 4], not {array.dtype} of shape {array.shape}"
        )
    if array.size == 0:
        raise Unreadable(Reason.NOT_AN_IMAGE, f"an array of shape {array.shape} has no pixels")
    return Image.fromarray(np.ascontiguousarray(array))
