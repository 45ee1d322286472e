"""The files of a folder and of the folders in it, in natural order, each once."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Order names as people do: img2 before img10, upper and lower case alike."""
    # split puts digits at odd places, so numbers are compared with numbers only
    parts = _DIGITS.split(name.casefold())
    return [int(p) if i % 2 and p.isdecimal() else p for i, p in enumerate(parts)], name


def walk(
    folder: str | os.PathLike[str], unreadable: Callable[[OSError], object] = lambda error: None
) -> Iterator[str]:
    """List files; hidden files and folders are left out, links are followed.

    Parameters
    ----------
    folder : str or PathLike
        Where to begin.
    unreadable : callable, optional
        Told the OSError, with its `filename`, of each folder that cannot be listed.

    Yields
    ------
    str
        Paths that begin with `folder`: the files of a folder, then those of the folders in it.
        A folder that is reached again, through a link, is not listed again.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(folder)]
    while waiting:
        current = waiting.pop()
        try:
            state = os.stat(current)  # noqa: PTH116 (a str, a hundred thousand times)
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(current) as entries:
                visible = [entry for entry in entries if not _is_hidden(entry)]
        except OSError as error:
            unreadable(error)
            continue
        visible.sort(key=lambda entry: natural_key(entry.name))
        yield from (entry.path for entry in visible if not _is_folder(entry))
        waiting.extend(entry.path for entry in reversed(visible) if _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that loops
        return False


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return True
    if sys.platform != "win32":
        return False
    try:
        attributes = entry.stat(follow_symlinks=False).st_file_attributes
    except OSError:  # it has just vanished
        return False
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)
