"""PNG: whether the compressed pixels are as many as the header promises.

Pillow notices a stream that breaks off, but not one that is whole in itself and too short at a
row's end: it leaves the rest of the picture black.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: First column and row, and steps, of the passes of an interlaced image (PNG specification, 8.2).
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
#: Bytes that are unpacked at a time to be counted.
_AT_ONCE = 1_000_000


def lacks_rows(image: Image.Image, data: bytes) -> bool:
    """Whether the last rows of a PNG, which has been loaded, are missing in its file.

    Unpacking once more costs nearly as much as decoding, so only pictures whose last or last but
    one row is black are looked into (interlaced ones end with every other row).
    """
    width, height = image.size
    ending = np.asarray(image.crop((0, max(0, height - 2), width, height)))
    if all(row.any() for row in ending):
        return False
    return _unpacked_size(data) < _promised_size(data)


def _promised_size(data: bytes) -> int:
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    bits = data[24] * _CHANNELS.get(data[25], 1)
    passes = _PASSES if data[28] else ((0, 0, 1, 1),)
    size = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + (columns * bits + 7) // 8)
    return size


def _unpacked_size(data: bytes) -> int:
    stream = zlib.decompressobj()
    size = 0
    for chunk in _chunks(data, b"IDAT"):
        while chunk and not stream.eof:
            size += len(stream.decompress(chunk, _AT_ONCE))
            chunk = stream.unconsumed_tail
    return size


def _chunks(data: bytes, kind: bytes) -> Iterator[bytes]:
    at = 8
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == kind:
            yield data[at + 8 : end]
        at = end + 4
