"""Names of images without their folder: where each is looked for, said once for all who read them.

A name in a spreadsheet is often only that of the file. It is looked for in the folder or at the
address that its column names (``origin``), then in the folder that somebody has said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from urllib.parse import urljoin

from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.sources.regular_file import shown

# A scheme has two letters or more: the drive of C:\x.png is none. Only what is followed by a
# slash (or is "data:") counts, since scan12:30.png is a good name for a file.
_ADDRESS = re.compile(r"\s*(data:|file:/|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
# Absolute on Windows is absolute everywhere: behind an origin, a path from another computer
# would be reported as one that nobody has ever written.
_ABSOLUTE = re.compile(r"/|~[\\/]|\\\\|[a-z]:[\\/]", re.IGNORECASE)


def is_relative(value: str) -> bool:
    """Tell whether a reference leaves open where it is: neither absolute path nor address."""
    if value[:1] == "/":  # soon said, as it is asked of a hundred thousand paths at once
        return False
    return not (_ADDRESS.match(value) or _ABSOLUTE.match(value))


def set_lost_apart(
    references: Sequence[str | None], folder: str | None
) -> tuple[list[str | None], dict[int, Skipped]]:
    """Set apart what could only be looked for in the working directory, which says nothing.

    Parameters
    ----------
    references : sequence of N (str or None)
        What `tables.references` gave; None where it is missing.
    folder : str or None
        The folder that relative names are in, if that is known: then nothing is lost.

    Returns
    -------
    list of N (str or None)
        The references, None instead of those that are lost.
    dict of int to Skipped
        What to say of those, by their number.
    """
    if folder is not None:
        return list(references), {}
    lost = {
        number: Skipped(Reason.NOT_FOUND, f"its folder is not known: {shown(reference)}")
        for number, reference in enumerate(references)
        if reference is not None and is_relative(reference)
    }
    return [None if number in lost else each for number, each in enumerate(references)], lost


def finder(origin: str, folders: Sequence[str] = ()) -> Callable[[str], str]:
    """Give the function that puts before relative references what is missing.

    Parameters
    ----------
    origin : str
        The folder or address that the column names; empty if none. A relative one is in `folders`.
    folders : sequence of str
        Where else to look, the likeliest first; an empty one leaves the name as it is.

    Returns
    -------
    callable
        From a reference to a reference. Addresses, data URIs and absolute paths come back as they
        are. Where there are several places, the first one where there is a file counts; if there
        is none, the first place. Only with several places is the disk looked at.
    """
    if origin and _ADDRESS.match(origin):
        base = origin if origin.endswith("/") else f"{origin}/"
        # "./": up to the colon, scan12:30.png is a scheme to urljoin
        return lambda value: urljoin(base, f"./{value}") if is_relative(value) else value
    places = _places(origin, folders)

    def find(value: str) -> str:
        if not is_relative(value):
            return value
        paths = [_join(place, value) for place in places]
        return next(filter(_is_there, paths), paths[0]) if len(paths) > 1 else paths[0]

    return find


def _places(origin: str, folders: Sequence[str]) -> list[str]:
    if not origin:
        found = list(folders)
    elif is_relative(origin):
        found = [_join(folder, origin) for folder in folders] + list(folders)
    else:
        found = [origin, *filter(None, folders)]
    return list(dict.fromkeys(found)) or [origin]


def _join(folder: str, name: str) -> str:
    return os.path.join(folder, name)  # noqa: PTH118  (Path drops "./" and "a//b")


def _is_there(path: str) -> bool:
    try:
        return os.path.lexists(os.path.expanduser(path))  # noqa: PTH111
    except ValueError:  # a null character
        return False
