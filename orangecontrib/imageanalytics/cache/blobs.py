"""What both caches are: blobs by the hash of an image's content, and what files and addresses hold.

Every blob has a fingerprint: what it depends on besides the image.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.cache.disk import Disk
from orangecontrib.imageanalytics.cache.keys import (
    checksum,
    file_state,
    is_settled,
    path_digest,
    url_digest,
)
from orangecontrib.imageanalytics.cache.tables import (
    FILE,
    FILE_AND_VECTOR,
    SIZE,
    VECTOR,
    WEB,
    NewBlob,
    WebRow,
)
from orangecontrib.imageanalytics.cache.writer import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from orangecontrib.imageanalytics.cache.contents import Contents

#: Seconds that `flush`, `close` and the interpreter's exit wait at most.
FLUSH_TIMEOUT = 15.0

#: A use is noted at most this often (seconds), so that a warm run writes next to nothing.
DAY = 86400

# What a row that waits takes in memory, roughly, besides its blob.
_ROW = 300


def default_folder() -> Path:
    """Return the folder of the user's cache.

    That is the environment variable ``ORANGE_IMAGE_CACHE`` if it is set, else ``imageanalytics``
    in platformdirs' ``user_cache_dir("Orange")``: unlike the folder that Orange has beside it,
    this one does not change with Orange's version.
    """
    if folder := os.environ.get("ORANGE_IMAGE_CACHE"):
        return Path(folder).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("Orange")) / "imageanalytics"


class Blobs:
    """What was made of images seen before, for any number of threads and processes at once.

    What is added can be had at once and is on the disk about a second later. Nothing here raises
    into a run: a cache that cannot be used logs one warning and remembers nothing from then on.
    A forked process goes on with a connection of its own and with nothing that waits: what its
    parent had added, its parent writes.

    Parameters
    ----------
    contents : Contents
        What is in it.
    folder : Path, optional
        Where it is; `default_folder` if not given. It is made with the first addition.
    limit : int
        Disk space in bytes; beyond it, what was used least recently is dropped.
    enabled : bool
        If false, it remembers nothing and touches no file.
    """

    def __init__(
        self, contents: Contents, folder: Path | None, limit: int, *, enabled: bool = True
    ) -> None:
        folder = default_folder() if folder is None else Path(folder)
        self._disk = Disk(folder.absolute(), contents, limit, enabled=enabled)
        self._writer = WriteBehind(self._disk)
        self._made = time.time()
        _open.add(self)
        weakref.finalize(self, self._disk.file.close, 0).atexit = False

    @property
    def path(self) -> Path:
        """The SQLite file, which may not exist yet."""
        return self._disk.file.path

    @property
    def remembers(self) -> bool:
        """Whether what is added can be had again: it is enabled, and its disk can be written."""
        return self._disk.writes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def blob(self, content: bytes, fingerprint: str) -> bytes | None:
        """Return what was made of an image, or None if it is not there.

        Parameters
        ----------
        content : bytes
            Hash of the image's content.
        fingerprint : str
            What the blob depends on besides the image.
        """
        for batch in self._writer.unwritten():
            if new := batch.vectors.get((content, fingerprint)):
                return new.blob
        for row in self._disk.rows(VECTOR, (content, fingerprint)):
            return self._whole(content, fingerprint, row)
        return None

    def blob_of_file(self, path: str, stat: os.stat_result, fingerprint: str) -> bytes | None:
        """Return what was made of a file, or None if the file or its blob is not known.

        As if its content's hash were looked up and then its `blob`, in one query.

        Parameters
        ----------
        path : str
            Relative paths are taken from the current folder.
        stat : os.stat_result
            The file's size, times of change and inode now.
        fingerprint : str
            See `blob`.
        """
        digest, state = path_digest(path), file_state(stat)
        content = self._new_content(digest, state)
        if content is None:
            rows = self._disk.rows(FILE_AND_VECTOR, (fingerprint, digest, state))
            for found, crc, used, *row in rows:
                if checksum(digest, state, found) != crc:
                    return None
                content = found
                self._note_use("files", digest, used)
                if (blob := self._whole(content, fingerprint, row)) is not None:
                    return blob
        return None if content is None else self.blob(content, fingerprint)

    def content_of_file(self, path: str, stat: os.stat_result) -> bytes | None:
        """Return the content hash of a file, if it is known in this very state.

        Parameters
        ----------
        path, stat
            See `blob_of_file`.
        """
        digest, state = path_digest(path), file_state(stat)
        content = self._new_content(digest, state)
        if content is None:
            for found, crc, used in self._disk.rows(FILE, (digest, state)):
                if checksum(digest, state, found) == crc:
                    self._note_use("files", digest, used)
                    return found
        return content

    def knows_size(self, size: int) -> bool:
        """Tell whether any image of this many bytes is known.

        If none is, a file of that size need not be hashed to know that its vector is missing.
        """
        if any(size in batch.sizes for batch in self._writer.unwritten()):
            return True
        return bool(self._disk.rows(SIZE, (size,)))

    def add_blob(
        self, content: bytes, size: int, model: str, fingerprint: str, blob: bytes
    ) -> None:
        """Remember what was made of an image.

        Parameters
        ----------
        content : bytes
            Hash of the image's content.
        size : int
            The image's bytes; those of its pixels if it is an array.
        model : str
            What `sizes` counts and `clear` drops by.
        fingerprint : str
            See `blob`.
        blob : bytes
            What was made of it.
        """
        if not self._disk.writes:
            return
        with self._writer.adding() as batch:
            batch.vectors[content, fingerprint] = NewBlob(model, size, blob)
            batch.sizes.add(size)
            batch.memory += len(blob) + _ROW

    def remember_file(
        self,
        path: str,
        stat: os.stat_result,
        content: bytes,
        *,
        read_after: float | None = None,
    ) -> None:
        """Remember the content hash of a file in this state.

        Not if the file was changed within 2 s before it was read, or has times that are yet to
        come: it might change once more without its size and times showing it.

        Parameters
        ----------
        path : str
            Relative paths are taken from the current folder.
        stat : os.stat_result
            As it was when the file was read.
        content : bytes
            Hash of the file's content.
        read_after : float, optional
            A moment before the file was read (Unix time, seconds), such as the start of the run;
            by default that when this cache was made. The time of this call would not do: since
            the file was read a vector was computed, and the file may have changed.
        """
        since = self._made if read_after is None else read_after
        if not self._disk.writes or not is_settled(stat, since):
            return
        with self._writer.adding() as batch:
            batch.files[path_digest(path)] = file_state(stat), content
            batch.memory += _ROW

    def web(self, url: str) -> WebRow | None:
        """Return what is known of a web address, or None."""
        digest = url_digest(url)
        for batch in self._writer.unwritten():
            if row := batch.web.get(digest):
                return row
        for *fields, crc, used in self._disk.rows(WEB, (digest,)):
            row = WebRow(url, *fields)
            if row.checksum() == crc:
                self._note_use("web", digest, used)
                return row
        return None

    def remember_web(self, row: WebRow) -> None:
        """Remember a web address; the body is not kept, only its hash."""
        if not self._disk.writes:
            return
        with self._writer.adding() as batch:
            batch.web[url_digest(row.url)] = row
            batch.memory += _ROW

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return the number of blobs and their bytes, by model."""
        self.flush()
        return self._disk.sizes()

    def clear(self, model: str | None = None) -> int:
        """Drop a model's blobs, or all; return how many. The file becomes smaller."""
        self.flush()
        return self._disk.clear(model)

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> bool:
        """Wait until all that was added is on the disk; False if that takes too long (seconds)."""
        return self._writer.flush(timeout)

    def close(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Write what waits, for at most `timeout` seconds, and let go of the file.

        After that it is a cache that remembers nothing. May be called twice.
        """
        if not self._writer.flush(timeout):
            self._writer.drop()
        self._disk.reads = self._disk.writes = False
        self._disk.file.close(timeout=1.0)
        _open.discard(self)

    def _whole(self, content: bytes, fingerprint: str, row: Sequence[Any]) -> bytes | None:
        """Return a row's blob if it is what was written."""
        entry, used, crc, blob = row
        if not isinstance(blob, bytes) or checksum(content, fingerprint, blob) != crc:
            return None
        self._note_use("entries", entry, used)
        return blob

    def _new_content(self, digest: bytes, state: str) -> bytes | None:
        for batch in self._writer.unwritten():
            new_state, content = batch.files.get(digest, ("", b""))
            if new_state == state:
                return content
        return None

    def _note_use(self, table: str, key: int | bytes, used: int | None) -> None:
        if used is None or time.time() - used > DAY:
            with self._writer.adding() as batch:
                batch.used[table].add(key)
                batch.memory += _ROW


_open: weakref.WeakSet[Blobs] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # The threads that write are daemons: they run until exit functions are done, not beyond.
    for cache in list(_open):
        cache.close()


def _begin_anew_in_child() -> None:
    for cache in list(_open):
        cache._writer.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
