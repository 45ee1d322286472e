"""What was made of images before: vectors and thumbnails by the hash of their content, on disk.

The rest of the package sees this file alone. Behind it are `blobs` (what both caches are),
`contents` (what sets them apart), `keys` (what things are filed under), `writer` (additions wait in
memory and are written once a second), `disk` (what goes wrong costs a warning, not the run),
`file` and `fault` (SQLite's file, its connections, transactions and faults), `tables` (the
tables, what is asked of them and written into them) and `space` (the limit on the file's size).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.cache.blobs import DAY, Blobs, default_folder
from orangecontrib.imageanalytics.cache.contents import THUMBNAILS, VECTORS
from orangecontrib.imageanalytics.cache.keys import pack, unpack
from orangecontrib.imageanalytics.cache.tables import WebRow

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DAY",
    "LIMIT",
    "THUMBNAILS_LIMIT",
    "Blobs",
    "Cache",
    "ThumbnailCache",
    "WebRow",
    "default_folder",
]

#: Disk space, in bytes, that a cache of vectors may take: some 480 000 of 1000 floats.
LIMIT = 2 * 10**9

#: Disk space, in bytes, that thumbnails may take: some 35 000 of 256 pixels.
THUMBNAILS_LIMIT = 500 * 10**6


class Cache(Blobs):
    """Vectors of images seen before.

    Parameters
    ----------
    folder, enabled
        See `Blobs`.
    limit : int
        Disk space in bytes; beyond it, what was used least recently is dropped.
    """

    def __init__(
        self, folder: Path | None = None, limit: int = LIMIT, *, enabled: bool = True
    ) -> None:
        super().__init__(VECTORS, folder, limit, enabled=enabled)

    def vector(
        self, content: bytes, fingerprint: str, dimension: int | None = None
    ) -> NDArray[np.float32] | None:
        """Return the vector of an image, or None if there is none.

        Parameters
        ----------
        content : bytes
            Hash of the image's content.
        fingerprint : str
            What decides on the numbers besides the image: weights and preprocessing, or server.
        dimension : int, optional
            The model's; a vector of another length counts as none.

        Returns
        -------
        ndarray of shape (D,), float32, optional
            The caller's own.
        """
        return unpack(self.blob(content, fingerprint), dimension)

    def vector_of_file(
        self, path: str, stat: os.stat_result, fingerprint: str, dimension: int | None = None
    ) -> NDArray[np.float32] | None:
        """Return the vector of a file, or None if the file or its vector is not known.

        See `blob_of_file`.
        """
        return unpack(self.blob_of_file(path, stat, fingerprint), dimension)

    def add(
        self,
        content: bytes,
        size: int,
        model: str,
        fingerprint: str,
        vector: ArrayLike,
    ) -> None:
        """Remember a vector.

        Parameters
        ----------
        content : bytes
            Hash of the image's content.
        size : int
            The image's bytes; those of its pixels if it is an array.
        model : str
            The model's id, by which `sizes` counts and `clear` drops.
        fingerprint : str
            See `vector`.
        vector : array-like of shape (D,)
            Stored as float32.
        """
        if self.remembers:
            self.add_blob(content, size, model, fingerprint, pack(vector))


class ThumbnailCache(Blobs):
    """Thumbnails of images seen before, as small image files in a file of their own.

    Parameters
    ----------
    folder, enabled
        See `Blobs`.
    limit : int
        Disk space in bytes; beyond it, what was used least recently is dropped.
    """

    def __init__(
        self, folder: Path | None = None, limit: int = THUMBNAILS_LIMIT, *, enabled: bool = True
    ) -> None:
        super().__init__(THUMBNAILS, folder, limit, enabled=enabled)
