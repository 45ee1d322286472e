"""New files in a folder: each whole or not at all, and none in the place of another.

A file is written under a hidden name, and gets its own by a link, which fails where that name is
taken; a program that is ended in between leaves at most the hidden file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.outcome import EmbeddingError, Skipped
from orangecontrib.imageanalytics.saving.names import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FolderError", "NewFiles", "Saved"]

#: The end of the name of a file that is being written.
PART = ".part"
_NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
#: File systems that know no links (FAT, some network drives) answer with one of these.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
#: What is wrong with the folder or its disk, in words; nothing else can be saved there either.
_TROUBLE = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota on this disk is used up",
    errno.EROFS: "it is read-only",
    errno.EACCES: "you may not write to it",
    errno.EPERM: "you may not write to it",
    errno.EIO: "the disk reports an error",
    errno.ENODEV: "its disk is not there any more",
    errno.ENXIO: "its disk is not there any more",
    errno.ESTALE: "its network drive is not there any more",
    errno.ENOENT: "it is not there any more",
    errno.EEXIST: "it is a file",
    errno.ENOTDIR: "it, or a folder that it is in, is a file",
    errno.ENAMETOOLONG: "its name is too long",
}


class FolderError(EmbeddingError, OSError):
    """Nothing more can be saved into a folder."""

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True, slots=True)
class Saved:
    """A picture that is there.

    Attributes
    ----------
    path : str
        Of its file.
    is_new : bool
        Whether it was written now; otherwise the same content was there.
    """

    path: str
    is_new: bool


@dataclass(slots=True)
class _Names:
    """What is known of the files of one name: ``a.png``, ``a (2).png``, ..."""

    looked_at: int = 0
    by_content: dict[bytes, str] = field(default_factory=dict)  # their paths


class NewFiles:
    """Writes files into a folder and the folders in it, without touching those that are there.

    Parameters
    ----------
    folder : str
        An absolute path; it is made with the first file.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        # By folder and name, as the strictest system compares them: each file is read only once.
        self._names: dict[tuple[str, str], _Names] = {}

    def write(
        self,
        data: bytes,
        subfolder: str,
        stem: str,
        extension: str,
        times: os.stat_result | None = None,
    ) -> Saved:
        """Write a file, unless one of this name and content is there.

        Parameters
        ----------
        data : bytes
            The content.
        subfolder : str
            A safe name, or an empty text for the folder itself.
        stem, extension : str
            The safe name and ``.png`` or the like. Where another file has it, a number is added.
        times : os.stat_result, optional
            Of the file that is copied: its times are the copy's.

        Raises
        ------
        FolderError
            The folder cannot be written to; it says why.
        """
        folder = self._folder / subfolder if subfolder else self._folder
        content = sources.content_hash(data)
        with self._explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            names = self._names.setdefault((subfolder, f"{stem}{extension}".casefold()), _Names())
            if content in names.by_content:
                return Saved(names.by_content[content], False)
            with _part(folder, data, times) as part:
                while True:
                    path = folder / numbered(stem, extension, names.looked_at + 1)
                    is_new = _named(part, path)
                    there = content if is_new else _content(path)
                    names.by_content.setdefault(there, str(path))
                    names.looked_at += 1
                    if there == content:
                        return Saved(str(path), is_new)

    @contextlib.contextmanager
    def _explained(self, folder: Path) -> Iterator[None]:
        try:
            yield
        except FolderError:
            raise
        except OSError as error:
            code = error.errno or 0
            why = _TROUBLE.get(code, (error.strerror or str(error)).lower())
            shown = sources.shown(str(folder))
            raise FolderError(code, f"Nothing can be saved into {shown}: {why}.") from error


@contextlib.contextmanager
def _part(folder: Path, data: bytes, times: os.stat_result | None) -> Iterator[Path]:
    """Write a hidden file, which is there until the block ends."""
    part = folder / f".{uuid.uuid4().hex}{PART}"
    descriptor = os.open(part, _NEW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if times is not None:
            with contextlib.suppress(OSError):  # phones and some network drives keep no times
                os.utime(part, ns=(times.st_atime_ns, times.st_mtime_ns))
        yield part
    finally:
        part.unlink(missing_ok=True)


def _named(part: Path, path: Path) -> bool:
    """Give a file its name; False where that is taken."""
    if os.name == "nt":
        try:
            part.rename(path)
        except FileExistsError:
            return False
        return True
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _taken_and_replaced(part, path)
    return True


def _taken_and_replaced(part: Path, path: Path) -> bool:
    """Do it without links: take the name with an empty file, and put the whole one there."""
    try:
        os.close(os.open(path, _NEW, 0o666))
    except FileExistsError:
        return False
    try:
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            if path.stat().st_size == 0:  # nobody has written into it since
                path.unlink()
        raise
    return True


def _content(path: Path) -> bytes:
    """Give the hash of what has a name already; something of its own for what is no file."""
    read = sources.read_file(str(path))
    if isinstance(read, Skipped):
        return os.fsencode(path)
    return sources.content_hash(read[0])
