"""Windows icons: the one picture of several that is read, taken out of the file.

Pillow decodes an icon as it opens it, at the size that the picture inside has, whatever the
icon says: 30 000 x 30 000 pixels in one that says 64 x 64. So the picture is looked at first. One
that is a PNG goes the way of all PNGs; a bitmap must be as small as icons are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from orangecontrib.imageanalytics.decoding.formats import Unreadable
from orangecontrib.imageanalytics.outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The most bytes that a picture in an icon has: uncompressed, one takes 0.3 MB.
_LARGEST = 20_000_000

#: The most pixels of a bitmap's sides: the icon's own list has a byte for each.
_SIDE = 256

_DIRECTORY, _ENTRY = struct.Struct("<HHH"), struct.Struct("<BBBBHHII")
_START = _DIRECTORY.size + _ENTRY.size
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What an icon says of one of its pictures."""

    fields: tuple[int, ...]
    pixels: int
    depth: int
    length: int
    offset: int


def unwrapped(file: IO[bytes]) -> bytes:
    """Take the largest picture out of an icon.

    Parameters
    ----------
    file : file
        The icon, at its start.

    Returns
    -------
    bytes
        A PNG, or an icon that holds nothing but one bitmap of at most 256 x 256 pixels.

    Raises
    ------
    Unreadable
        If there is no such picture in it.
    """
    # Of several as large, the one with the fewest colours: as Pillow chooses.
    entry = min(_entries(file), key=lambda entry: (-entry.pixels, entry.depth), default=None)
    if entry is None:
        raise Unreadable(Reason.DAMAGED, "the icon has no picture in it")
    file.seek(entry.offset)
    picture = file.read(min(entry.length, _LARGEST))
    if picture.startswith(_PNG):
        return picture
    width, height = _bitmap(picture)
    if not (0 < width <= _SIDE and 0 < height <= _SIDE):
        raise Unreadable(
            Reason.TOO_LARGE, f"the icon has a bitmap of {width} x {height} pixels in it"
        )
    alone = _ENTRY.pack(*entry.fields[:6], len(picture), _START)
    return _DIRECTORY.pack(0, 1, 1) + alone + picture


def bitmap_size(icon: bytes) -> tuple[int, int]:
    """Give the width and height of the bitmap in an icon that `unwrapped` gave."""
    return _bitmap(icon[_START:])


def _entries(file: IO[bytes]) -> Iterator[_Entry]:
    """Read the list of pictures: sides (0 for 256), colours, planes, depth, length and offset."""
    _, _, count = _DIRECTORY.unpack(file.read(_DIRECTORY.size).ljust(_DIRECTORY.size, b"\0"))
    for _ in range(count):
        line = file.read(_ENTRY.size)
        if len(line) < _ENTRY.size:
            return
        fields = _ENTRY.unpack(line)
        width, height, colours, _, _, bits, length, offset = fields
        depth = bits or (colours - 1).bit_length() if colours else bits or 256
        yield _Entry(fields, (width or 256) * (height or 256), depth, length, offset)


def _bitmap(picture: bytes) -> tuple[int, int]:
    """Read a bitmap's width and height; below the picture's rows there are those of its mask."""
    head = picture[:12].ljust(12, b"\0")
    if head[:4] == b"\x0c\0\0\0":
        width, height = struct.unpack_from("<HH", head, 4)
    else:
        width, height = struct.unpack_from("<ii", head, 4)
    return width, abs(height) // 2
