"""What a file's header tells of its image, without decoding it.

What is accepted here is what `pixels` decodes, as far as a header can tell: a file that is cut
off later on passes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from orangecontrib.imageanalytics.decoding import formats, upright
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
    """

    size: int
    width: int
    height: int


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


def _header(file: IO[bytes], beginning: bytes, suffix: str, size: int) -> Header | Skipped:
    if problem := formats.not_decoded(beginning):
        return problem
    try:
        image = _open(file, formats.signature(beginning))
        if image is None:
            return formats.unidentified(beginning, "")
        width, height = image.size
        if upright.is_lying(upright.orientation_in_header(image)):
            width, height = height, width
    except formats.Unreadable as error:
        return error.skipped
    except Exception as error:  # Pillow raises nearly anything on hostile files
        return formats.unidentified(beginning, " ".join(str(error).split())[:200])
    is_doubtful = formats.fault(image) == Reason.NOT_AN_IMAGE
    if is_doubtful and not _is_named_so(image.format, suffix):
        return formats.unidentified(beginning, "")
    return formats.refused(image) or Header(size, width, height)


def _open(file: IO[bytes], name: str) -> ImageFile | None:
    """Open an image by the plugin for its signature, else by trying all of Pillow's.

    The plugin alone is faster, and does not warn of large pictures: none is decoded here.
    """
    if name == "HEIF":
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            raise formats.Unreadable(
                Reason.UNSUPPORTED, "a HEIC image; pillow-heif, if installed, would read it"
            ) from error
        return HeifImageFile(file)
    if name in Image.OPEN:
        return Image.OPEN[name][0](file, "")
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        return None


def _is_named_so(name: str | None, suffix: str) -> bool:
    """Whether a file name goes with a format; Pillow takes any bytes for some of the formats."""
    return Image.EXTENSION.get(suffix.lower()) == name


# Once, before threads use it: it registers all of Pillow's formats.
Image.init()
