"""What the cache files things under, and how it knows them again."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: A file that was read within this time (seconds) of its last change may have changed once more
#: without its times showing it: FAT counts them in steps of 2 s.
RACY = 2.0


def path_digest(path: str) -> bytes:
    """Return the key of a file's name; a relative one is taken from the current folder.

    A digest, as a cache need not tell what its user looks at.
    """
    return _digest(os.fsencode(Path(path).absolute()))


def url_digest(url: str) -> bytes:
    """Return the key of a web address (which may contain a password)."""
    return _digest(url.encode("utf-8", "surrogatepass"))


def _digest(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=16).digest()


def file_state(stat: os.stat_result) -> str:
    """Return what changes with every change of a file.

    The device is no part of it: its number changes when a disk is plugged in anew.
    """
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def is_settled(stat: os.stat_result, read_after: float) -> bool:
    """Tell whether a change after the file was read is sure to show in its times.

    Not if it was read within 2 s of its last change, or before: its clock may be another one.
    """
    return read_after - max(stat.st_mtime_ns, stat.st_ctime_ns) / 1e9 > RACY


def checksum(*parts: bytes | str | float | None) -> int:
    """Compute the CRC-32 of a row: its key with what belongs to it (2 µs for 1000 floats).

    SQLite has no checksums: a flipped bit would come back as another number, and a page written
    to the wrong place as another file's row, which a look-up by an index does not notice. With
    this, all of them are misses.
    """
    crc = 0
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")
        crc = zlib.crc32(data, zlib.crc32(b"%d " % len(data), crc))
    return crc


def pack(vector: ArrayLike) -> bytes:
    """Return a vector as it is stored: float32, little-endian."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def unpack(blob: Any, dimension: int | None) -> NDArray[np.float32] | None:
    """Return a stored vector, or None if it cannot be one of this dimension."""
    if not isinstance(blob, bytes) or not blob or len(blob) % 4:
        return None
    if dimension is not None and len(blob) != 4 * dimension:
        return None
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)
