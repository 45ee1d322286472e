"""Regular files: what may be opened, and reading one whole and unchanged.

A folder, a FIFO, a device or a link that leads nowhere is never opened. What is wrong with a
file is told as a `Skipped`, whose detail has the path in a form that can be shown on one line.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from orangecontrib.imageanalytics.outcome import Reason, Skipped

#: The largest file, download or data URI that is taken in, in bytes.
MAX_FILE_SIZE = 256 * 2**20

# O_NONBLOCK: a FIFO put in a file's place must not hang the worker until somebody writes to it.
_READING = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY", "O_NOINHERIT"):
    _READING |= getattr(os, _flag, 0)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_WINDOWS_LINK_LOOP = 1921  # ERROR_CANT_RESOLVE_FILENAME

# What breaks a line, is invisible, reverses the text or cannot be encoded for printing.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST_SHOWN = 300


def look(
    given: str, *, home: bool = True, limit: int = MAX_FILE_SIZE
) -> tuple[str, os.stat_result] | Skipped:
    """Look at a file without opening it.

    Parameters
    ----------
    given : str
        Its path as the user has it, relative ones to the current folder.
    home : bool
        Whether ``~`` at the start means the user's home.
    limit : int
        Size in bytes above which the file is skipped.

    Returns
    -------
    (str, os.stat_result) or Skipped
        The absolute path, since the worker has another current folder, and the file's state.
    """
    path = Path(given)
    try:
        if home and given.startswith("~"):
            path = _expanded(path)
        path = path.absolute()  # not resolve(): it costs a system call for each folder above
        state = path.stat()
    except (OSError, ValueError) as error:
        return _inaccessible(given, path, error)
    return _unusable(state, given, limit) or (str(path), state)


def read_file(path: str, limit: int = MAX_FILE_SIZE) -> tuple[bytes, os.stat_result] | Skipped:
    """Read a regular file whole.

    Parameters
    ----------
    path : str
        Path of the file.
    limit : int
        Size in bytes above which the file is skipped.

    Returns
    -------
    (bytes, os.stat_result) or Skipped
        The content with the file's state while it was read. A file that is changed or deleted
        meanwhile is skipped: half of its bytes might be of another image.
    """
    try:
        descriptor = os.open(path, _READING)
    except (OSError, ValueError) as error:
        return _inaccessible(path, Path(path), error)
    try:
        before = os.fstat(descriptor)
        unusable = _unusable(before, path, limit)
        if unusable is not None:
            return unusable
        data = _read(descriptor, before.st_size)
        after = os.fstat(descriptor)
    except OSError as error:
        return _inaccessible(path, Path(path), error)
    finally:
        os.close(descriptor)
    if before.st_nlink > 0 and after.st_nlink == 0:
        return Skipped(
            Reason.NOT_FOUND, f"deleted or replaced while it was being read: {shown(path)}"
        )
    if not len(data) == before.st_size == after.st_size or before.st_mtime_ns != after.st_mtime_ns:
        return Skipped(Reason.DAMAGED, f"changed while it was being read: {shown(path)}")
    return data, after


def too_large(size: int, limit: int, what: str) -> Skipped:
    """Say that something of `size` bytes is above the limit of `limit` bytes."""
    return Skipped(
        Reason.TOO_LARGE,
        f"{size / 2**20:.3g} MB, where at most {limit / 2**20:.3g} MB are read: {shown(what)}",
    )


def shown(text: str) -> str:
    """Make a path or address fit for one line of a message: printable, and not endless."""
    if len(text) > _LONGEST_SHOWN:
        half = _LONGEST_SHOWN // 2
        text = f"{text[:half]}…{text[-half:]}"
    return _UNPRINTABLE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user: a file whose name begins with ~, as backups do
        return path


def _read(descriptor: int, size: int) -> bytes:
    """Read what is there, up to one byte more than expected, which shows that it grew."""
    parts = []
    missing = size + 1
    while missing > 0 and (part := os.read(descriptor, missing)):
        parts.append(part)
        missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unusable(state: os.stat_result, given: str, limit: int) -> Skipped | None:
    mode = state.st_mode
    if not stat.S_ISREG(mode):
        kind = next((kind for test, kind in _KINDS if test(mode)), "not a regular file")
        return Skipped(Reason.NOT_A_FILE, f"{kind}: {shown(given)}")
    if state.st_size == 0:
        return Skipped(Reason.NOT_AN_IMAGE, f"the file is empty: {shown(given)}")
    if state.st_size > limit:
        return too_large(state.st_size, limit, given)
    return None


def _inaccessible(given: str, path: Path, error: OSError | ValueError) -> Skipped:
    name = shown(given)
    if not isinstance(error, OSError):  # a NUL, or a character that no file name can have
        return Skipped(Reason.NOT_FOUND, f"no file can have this name: {name}")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL) and not _is_link_loop(error):
        return Skipped(Reason.NOT_FOUND, _why_not_there(given, path))
    if error.errno == errno.ENAMETOOLONG:
        return Skipped(Reason.NOT_FOUND, f"no file can have so long a name: {name}")
    if error.errno == errno.ELOOP or _is_link_loop(error):
        return Skipped(Reason.NOT_A_FILE, f"a link that leads back to itself: {name}")
    if error.errno == errno.ENXIO:  # what opening a socket gives
        return Skipped(Reason.NOT_A_FILE, f"a socket or a device: {name}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Skipped(Reason.NOT_READABLE, f"permission denied: {name}")
    return Skipped(Reason.NOT_READABLE, f"{(error.strerror or str(error)).lower()}: {name}")


def _is_link_loop(error: OSError) -> bool:
    return getattr(error, "winerror", None) == _WINDOWS_LINK_LOOP


def _why_not_there(given: str, path: Path) -> str:
    name = shown(given)
    if re.match(r"https?:[\\/]", given, re.IGNORECASE):  # Path("http://x") is http:/x
        return f"a web address must be given as text, not as a Path: {name}"
    try:
        if path.is_symlink():
            return f"a link to a file that is gone: {name}"
        if path.is_absolute() and not Path(given).is_absolute() and not given.startswith("~"):
            return f"{name} (in the folder {shown(str(Path.cwd()))})"
    except OSError:  # the current folder is gone, too
        pass
    return name
