"""Bytes to the pixels that a model, or a person, sees: the one place that decodes images.

An image is decoded as a person sees it in a viewer (turned as its EXIF data say, the first of
several frames, deep pictures with their contrast) and fitted with a Lanczos filter: squashed to a
model's size on white, or within so many pixels for people, with its transparency. Colour profiles
are not applied: what they change is small beside what photos of one thing differ by, and embedding
servers do not apply them either.

Nothing of Pillow's global state is changed here, except by `prepare_process`.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile

from orangecontrib.imageanalytics.decoding import (
    BUDGET,
    contrast,
    cost,
    formats,
    icon,
    jpeg,
    opening,
    png,
    resize,
    upright,
)
from orangecontrib.imageanalytics.decoding.formats import Unreadable
from orangecontrib.imageanalytics.outcome import InputTypeError, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.decoding.fit import Fit

__all__ = [
    "NeedsMemory",
    "Unreadable",
    "decode",
    "decode_sized",
    "encode_jpeg",
    "from_picture",
    "is_deep",
    "prepare_process",
]


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
    fit: Fit,
    *,
    allowance: int | None = None,
) -> NDArray[np.uint8]:
    """Decode an image and fit it.

    Parameters
    ----------
    data : bytes
        The content of an image file.
    fit : Squash or Within
        The size of the result.
    allowance : int, optional
        Bytes that decoding may take. Without it, what takes more than `BUDGET` is too large: RGB
        above some 240 megapixels, RGBA above 120, grey above 900; of JPEGs what remains of them.

    Returns
    -------
    ndarray of shape (height, width, 3) or (height, width, 4), uint8
        RGB, C-contiguous; RGBA if `fit` is Within and a part of the picture is transparent.

    Raises
    ------
    Unreadable
        If the image cannot be decoded, or only in part, or is too large.
    NeedsMemory
        If decoding would take more than `allowance`; nothing has been decoded then.
    """
    return decode_sized(data, fit, allowance=allowance)[0]


def decode_sized(
    data: bytes,
    fit: Fit,
    *,
    allowance: int | None = None,
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Decode an image as `decode` does; give its own height and width, upright, as well."""
    if problem := formats.not_decoded(data):
        raise Unreadable(problem.reason, problem.detail)
    name = formats.signature(data)
    if name == "ICO":
        data = icon.unwrapped(io.BytesIO(data))
    is_jpeg = name == "JPEG"
    header = jpeg.header(data) if is_jpeg else None
    if header is not None and header.unsupported:
        raise Unreadable(Reason.UNSUPPORTED, header.unsupported)
    with _explained("the image"):
        image = _open(data)
        if is_jpeg and header is None:  # Pillow would go on, and fill with grey
            raise Unreadable(Reason.DAMAGED, "the JPEG's header is broken")
    fault = Reason.NOT_AN_IMAGE if opening.is_doubtful(image) else Reason.DAMAGED
    with _explained(f"the {image.format} image", fault):
        turn = upright.orientation(image) if header else 1
        result, eighths = _sizes(image, fit, turn)
        _afford(cost.estimate(image, data, header, eighths, result), image, allowance)
        if header is not None:
            full = image.height, image.width
            scaled = jpeg.decode(data, header, image.mode, eighths)
            fitted = resize.resize_scaled(scaled, full, eighths, fit, turn)
        else:
            picture = _loaded(image, data, fit.depth)
            full, turn = (picture.height, picture.width), upright.orientation(picture)
            fitted = resize.resize(picture, fit, turn)
    return fitted, upright.before_turning(full, turn)


def is_deep(data: bytes) -> bool:
    """Tell whether an image that can be decoded has more than 8 bits per channel.

    `decode` brings it to 8: different images may then have the same pixels.

    Parameters
    ----------
    data : bytes
        The content of an image file.
    """
    if formats.signature(data) in ("JPEG", "ICO"):
        return False
    image = _open(data)
    return contrast.is_deep(image.mode) or contrast.is_deep_colour(image)


def from_picture(picture: Image.Image | NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """Fit a picture in memory, treated as a file with the same pixels would be.

    Parameters
    ----------
    picture : PIL.Image.Image or ndarray of shape (H, W), (H, W, 3) or (H, W, 4), uint8
        Grey, RGB or RGBA if an array. It is not changed (one that Pillow opened and has not yet
        read is read, as any use of it does).
    fit : Squash or Within
        The size of the result.

    Returns
    -------
    ndarray of shape (height, width, 3) or (height, width, 4), uint8
        RGB, C-contiguous; RGBA if `fit` is Within and a part of the picture is transparent.

    Raises
    ------
    InputTypeError
        If it is neither, or an array of another type or shape.
    Unreadable
        If the picture has no pixels, or its file cannot be read.
    """
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    if not isinstance(picture, Image.Image):
        raise InputTypeError(f"neither a PIL image nor an array: {type(picture).__name__}")
    if min(picture.size) < 1:
        raise Unreadable(Reason.NOT_AN_IMAGE, "the picture has no pixels")
    if _is_unread(picture) and picture.format not in opening.READ:
        raise Unreadable(Reason.UNSUPPORTED, f"{picture.format} files are not read; save it as PNG")
    with _explained("the picture"):
        picture.load()
        return resize.resize(picture, fit, upright.orientation(picture))


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
def _explained(what: str, fault: Reason = Reason.DAMAGED) -> Iterator[None]:
    """Turn whatever Pillow raises into an outcome: on hostile files that is nearly anything."""
    try:
        yield
    except (Unreadable, NeedsMemory):
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(Reason.TOO_LARGE, f"{what} is too large: {opening.told(error)}") from error
    except Exception as error:
        raise Unreadable(fault, f"{what} cannot be decoded: {opening.told(error)}") from error


def _open(data: bytes) -> ImageFile.ImageFile:
    return opening.open_image(io.BytesIO(data), data)


def _is_unread(picture: Image.Image) -> bool:
    """Whether Pillow has opened a picture's file, but not read the pixels."""
    return bool(getattr(picture, "tile", None)) or isinstance(picture, ImageFile.StubImageFile)


def _sizes(image: ImageFile.ImageFile, fit: Fit, turn: int) -> tuple[tuple[int, int], int]:
    """Give the result's height and width as stored, and the scale for decoding a JPEG."""
    full = image.height, image.width
    wanted = fit.size(*upright.before_turning(full, turn))
    result = upright.before_turning(wanted, turn)
    least = math.ceil(fit.jpeg_gap * result[0]), math.ceil(fit.jpeg_gap * result[1])
    return result, jpeg.scale(full, least)


def _afford(takes: int, image: ImageFile.ImageFile, allowance: int | None) -> None:
    width, height = image.size
    if allowance is not None and takes > allowance:
        raise NeedsMemory(takes)
    if allowance is None and takes > BUDGET:
        raise Unreadable(
            Reason.TOO_LARGE,
            f"decoding its {width} x {height} pixels would take {takes / 1e6:.0f} MB of memory; "
            f"the limit is {BUDGET / 1e6:.0f} MB",
        )


def _loaded(image: ImageFile.ImageFile, data: bytes, depth: int | None) -> Image.Image:
    """Decode all formats but JPEG, in 8 bits per channel if it is in colour."""
    if contrast.is_deep_colour(image):
        picture = contrast.colour(image, lambda: _open(data), depth)
    else:
        contrast.scale_colour_key(image)
        image.load()
        picture = image
    if image.format == "PNG" and png.lacks_rows(image, data):
        raise Unreadable(Reason.DAMAGED, "the PNG image ends early: its last rows are missing")
    return picture


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
