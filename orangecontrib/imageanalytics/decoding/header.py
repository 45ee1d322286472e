"""What a file's header tells of its image, without decoding it.

What is accepted here is what `pixels` decodes, as far as a header can tell: a file that is cut
off later on passes.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

from PIL import Image

from orangecontrib.imageanalytics.decoding import formats, icon, opening, upright
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.sources.regular_file import look

#: As much of a file as `formats.not_decoded` looks at.
_BEGINNING = 4000


@dataclass(frozen=True, slots=True)
class Header:
    """The image in a file.

    Attributes
    ----------
    size : int
        Size of the file in bytes.
    width, height : int
        Of the image in pixels, as it is seen: turned as its EXIF data say.
    has_more : bool
        Whether it is a TIFF with further pages, of which only the first is used.
    """

    size: int
    width: int
    height: int
    has_more: bool = False


def read_header(path: str) -> Header | Skipped:
    """Read an image file's header.

    Parameters
    ----------
    path : str
        The file; if it is not a regular file, it is not opened.

    Returns
    -------
    Header or Skipped
        Skipped if it is not an image, not one that can be decoded, or cannot be read.
    """
    found = look(path, home=False, limit=sys.maxsize)
    if isinstance(found, Skipped):
        return found
    try:
        with open(path, "rb") as file:
            beginning = file.read(_BEGINNING)
            file.seek(0)
            return _header(file, beginning, PurePath(path).suffix, found[1].st_size)
    except OSError as error:  # Pillow's complaints are dealt with below
        return Skipped(Reason.NOT_READABLE, error.strerror or str(error))


def header_of(data: bytes) -> Header | Skipped:
    """Read the header of an image file's bytes; see `read_header`."""
    return _header(io.BytesIO(data), data[:_BEGINNING], "", len(data))


def _header(file: IO[bytes], beginning: bytes, suffix: str, size: int) -> Header | Skipped:
    if problem := formats.not_decoded(beginning):
        return problem
    try:
        if formats.signature(beginning) == "ICO":
            beginning = icon.unwrapped(file)
            if formats.signature(beginning) == "ICO":  # to open it would be to decode it
                return Header(size, *icon.bitmap_size(beginning))
            file = io.BytesIO(beginning)
        image = opening.open_image(file, beginning)
        width, height = image.size
        if upright.is_lying(upright.orientation_in_header(image)):
            width, height = height, width
    except formats.Unreadable as error:
        return error.skipped
    except Exception as error:  # Pillow raises nearly anything on hostile files
        return formats.unidentified(beginning, opening.told(error))
    if opening.is_doubtful(image) and not _is_named_so(image.format, suffix):
        return formats.unidentified(beginning, "")
    pages = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    return Header(size, width, height, has_more=bool(getattr(pages, "next", 0)))


def _is_named_so(name: str | None, suffix: str) -> bool:
    """Whether a file name goes with a format."""
    return Image.EXTENSION.get(suffix.lower()) == name
