"""Names for files and folders that every system takes, made of names that people gave."""

from __future__ import annotations

import re
import unicodedata
from itertools import count
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["folder_names", "numbered", "safe_name", "stem_of"]

#: What Windows takes in no name (learn.microsoft.com, "Naming Files, Paths, and Namespaces");
#: of it, other systems refuse only the slash and the zero. Lone surrogates cannot be encoded.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
#: Names of devices on Windows, whatever their extension.
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)")
#: Bytes in UTF-8 that a name may have, its number and extension included: 255 nearly everywhere.
_LONGEST = 200
_ADDRESSES = ("http", "https", "file")
_LONGEST_EXTENSION = 10


def safe_name(text: str) -> str:
    """Make a name of a file or folder that Windows, macOS and Linux take.

    Parameters
    ----------
    text : str
        Anything: a class of the data, a file's name without its extension.

    Returns
    -------
    str
        The text with underscores for what is forbidden in names; never empty, hidden, a device or
        the way to another folder, and at most 200 bytes long in UTF-8.
    """
    name = _FORBIDDEN.sub("_", text).strip().rstrip(". ")
    name = name.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
    if not name or name.startswith(".") or _DEVICE.match(name):
        name = f"_{name}"
    return name


def folder_names(texts: Iterable[str]) -> dict[str, str]:
    """Make names of folders, one for each text, on every system.

    Parameters
    ----------
    texts : iterable of str
        Classes of the data, for instance.

    Returns
    -------
    dict of str to str
        The safe name of each text. Where it is that of another text, or differs from it only in
        what some systems do not tell apart (capitals, how accents are composed), a number is added.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    # Texts that are names as they are keep them, whatever others become.
    for text in sorted(set(texts), key=lambda text: (safe_name(text) != text, text)):
        name = safe_name(text)
        unique = (numbered(name, "", number) for number in count(1))
        names[text] = next(each for each in unique if _compared(each) not in taken)
        taken.add(_compared(names[text]))
    return names


def _compared(name: str) -> str:
    """Give a name as the strictest system compares it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def stem_of(reference: Any, number: int) -> str:
    """Give the name, without extension, that a picture is saved under.

    Parameters
    ----------
    reference : object
        A path, an address, or something that has no name.
    number : int
        Tells pictures without a name apart: their row, counted from 1.
    """
    text = reference if isinstance(reference, str) else ""
    if hasattr(reference, "__fspath__"):
        text = str(reference)
    scheme = text.partition(":")[0].lower()
    if scheme in _ADDRESSES:
        last = _last_part(text)
    elif scheme == "data":
        last = ""
    else:  # Windows takes both slashes; elsewhere a backslash is a letter, but in no safe name
        last = PureWindowsPath(text).name
    stem, dot, extension = last.rpartition(".")
    if not dot or not stem or len(extension) > _LONGEST_EXTENSION:
        stem = last
    return safe_name(stem) if stem else f"image {number}"


def _last_part(address: str) -> str:
    try:
        path = urlsplit(address).path
    except ValueError:  # an address that is none, such as "http://["
        return ""
    return unquote(PurePosixPath(path).name)


def numbered(stem: str, extension: str, number: int) -> str:
    """Give the first, second, ... name of a file: ``a.png``, ``a (2).png``, ``a (3).png``."""
    return f"{stem}{extension}" if number == 1 else f"{stem} ({number}){extension}"
