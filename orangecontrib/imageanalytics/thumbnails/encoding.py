"""A thumbnail as a small image file, and the job that makes it.

The job runs in worker processes: nothing here imports Orange, Qt or httpx.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.decoding.fit import Within

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The sizes, in pixels, that thumbnails are made in and kept in.
STEPS = (64, 128, 256, 512, 1024)

#: JPEG at 85 with halved colours: 0.14 ms and 8 kB for 256 pixels of a photo. WebP, which alone
#: of the two keeps transparency, takes 4.5 ms at its fastest, PNG as long and six times the space.
_JPEG_QUALITY, _WEBP_QUALITY, _WEBP_METHOD = 85, 85, 0

#: What stands before a thumbnail's file in the cache: the picture's width, height and bytes.
_FACTS = struct.Struct("<IIQ")

#: Part of the cache's keys: to be raised when thumbnails come out differently.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture.

    Attributes
    ----------
    data : bytes
        The content of an image file: JPEG, or WebP if a part of the picture is transparent.
    width, height : int
        Of the picture itself, upright, in pixels.
    size : int
        Of the picture's file, in bytes; 0 if it is not one of bytes.
    """

    data: bytes
    width: int
    height: int
    size: int

    def pixels(self) -> NDArray[np.uint8]:
        """Decode it.

        Returns
        -------
        ndarray of shape (h, w, 3) or (h, w, 4), uint8
            RGB, or RGBA (colours not premultiplied) if a part of it is transparent.
        """
        if self.data.startswith(b"\xff\xd8"):
            import simplejpeg

            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(self.data)
            return pixels
        # Not Image.open: while another thread loads Pillow's formats, it takes a WebP for
        # whatever has been loaded so far.
        from PIL.WebPImagePlugin import WebPImageFile

        return np.array(WebPImageFile(io.BytesIO(self.data)).convert("RGBA"))

    def to_blob(self) -> bytes:
        """Write it as it is kept in the cache."""
        return _FACTS.pack(self.width, self.height, self.size) + self.data

    @classmethod
    def from_blob(cls, blob: bytes) -> Thumbnail:
        """Read what `to_blob` has written."""
        width, height, size = _FACTS.unpack_from(blob)
        return cls(blob[_FACTS.size :], width, height, size)


def step_for(pixels: int) -> int:
    """Give the smallest step that is not below so many pixels; beyond the largest, these."""
    return next((step for step in STEPS if step >= pixels), pixels)


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Make a thumbnail's file.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, 3) or (h, w, 4), uint8
        RGB, or RGBA with a transparent part.
    """
    if pixels.shape[2] == 3:
        import simplejpeg

        data: bytes = simplejpeg.encode_jpeg(pixels, _JPEG_QUALITY, "RGB", "420")
        return data
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_METHOD)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class ThumbnailJob:
    """What the isolated process does: pixels to a thumbnail's file.

    Attributes
    ----------
    fit : Within
        The thumbnail's size.
    """

    fit: Within = Within(256)  # noqa: RUF009 - it is frozen

    def prepare(self) -> None:
        """Encode once, so that the codecs are loaded before the first image comes."""
        self(np.zeros((8, 8, 3), np.uint8))

    def __call__(self, pixels: NDArray[np.uint8], /) -> bytes:
        """Encode pixels, uint8 [h, w, 3] or [h, w, 4]."""
        return encode(pixels)
