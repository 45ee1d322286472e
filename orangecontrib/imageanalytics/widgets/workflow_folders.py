"""Folders in workflows: as plain text, relative to the workflow's file where that is possible."""

from __future__ import annotations

import os
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

_LONGEST = 4096


def stored(folder: str, basedir: str | None) -> str:
    """Give a folder as the workflow keeps it.

    Parameters
    ----------
    folder : str
        Its absolute path.
    basedir : str or None
        The folder of the workflow's file; None if it has not been saved.

    Returns
    -------
    str
        For a folder in `basedir`, the relative path with forward slashes, so that both can be
        moved together; else `folder`.
    """
    if basedir is None or not PurePath(folder).is_relative_to(basedir):
        return folder
    return PurePath(folder).relative_to(basedir).as_posix()


def candidates(folder: str, basedir: str | None) -> list[str]:
    """List the absolute paths where a folder kept by `stored` may be, the likeliest first.

    A relative one is in `basedir`, and nowhere else: another folder of its name may hold other
    pictures. An absolute one that is gone may have been moved with the workflow, and is then
    beside it.
    """
    if _is_absolute(folder):
        beside = [str(PurePath(basedir, _name(folder)))] if basedir is not None else []
        return [folder, *beside]
    return [os.path.normpath(PurePath(basedir, folder))] if basedir is not None else []


def migrate(settings: dict[str, Any]) -> None:
    """Put the settings of any version, ours included, into our present form, in place.

    Orange3-ImageAnalytics kept the folders, pickled, as instances of Orange's RecentPath in
    `recent_paths`; the first was the one in use. The others are left out, as are those that an
    earlier version of ours kept: they are whose computer it was. Nothing in settings is trusted:
    what is not a folder's name is left out.
    """
    paths = settings.pop("recent_paths", None)
    if isinstance(paths, (list, tuple)) and paths:
        first = _from_public(paths[0])
        if first is not None:
            settings.setdefault("folder", first)
    settings.pop("recent_folders", None)
    if "folder" in settings and not _is_name(settings["folder"]):
        del settings["folder"]


def _from_public(path: object) -> str | None:
    relative = getattr(path, "relpath", None)
    if getattr(path, "prefix", None) == "basedir" and _is_name(relative):
        return str(relative).replace("\\", "/")
    absolute = getattr(path, "abspath", path)
    return absolute if isinstance(absolute, str) else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and "\0" not in value


def _is_absolute(folder: str) -> bool:
    """Whether a path is absolute here or on another system, where the workflow comes from."""
    return PurePosixPath(folder).is_absolute() or PureWindowsPath(folder).is_absolute()


def _name(folder: str) -> str:
    return folder.replace("\\", "/").rstrip("/").rpartition("/")[2]
