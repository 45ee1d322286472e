"""Addresses that fsspec opens: s3://, gs://, memory://, zip://...::..., and what is installed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.outcome import EmbeddingError, Reason, Skipped
from orangecontrib.imageanalytics.sources import MAX_FILE_SIZE, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
#: What `sources` and `web` read, with their own limits.
_OTHERS = frozenset({"http", "https", "file", "data"})


def is_address(reference: str) -> bool:
    """Whether fsspec is to open it."""
    match = _SCHEME.match(reference)
    return match is not None and (match[1].lower() not in _OTHERS or "::" in reference)


@contextmanager
def reaching(address: str, what: str = "cannot be read") -> Iterator[None]:
    """Say which address it was: each plug-in of fsspec has errors of its own.

    Raises
    ------
    EmbeddingError
        In place of whatever is raised.
    """
    try:
        yield
    except EmbeddingError:
        raise
    except Exception as error:
        raise EmbeddingError(f"{shown(address)} {what}: {type(error).__name__}: {error}") from error


def opened(address: str) -> tuple[Any, str]:
    """Give the file system of an address, and the path in it.

    Raises
    ------
    EmbeddingError
        If there is nothing that opens such addresses, or it cannot be reached.
    """
    first, chain, rest = address.partition("::")
    protocol, _, path = first.partition("://")
    with reaching(address, "cannot be opened"):
        if chain:  # an archive: its list of contents is read once, not for each image
            return _archive(f"{protocol}://::{rest}"), path
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(address)
        return fs, path


@lru_cache(maxsize=16)
def _archive(address: str) -> Any:
    from fsspec.core import url_to_fs

    return url_to_fs(address)[0]


def is_folder(address: str) -> bool:
    """Whether there are images below it."""
    fs, path = opened(address)
    with reaching(address):
        return bool(path in ("", "/") or fs.isdir(path))


def walk(address: str) -> Iterator[str]:
    """Give the addresses of all files below one, without hidden ones, in the order of names."""
    fs, top = opened(address)
    first, chain, rest = address.partition("::")
    protocol = first.partition("://")[0]
    waiting = [top]
    while waiting:
        with reaching(address):
            entries = sorted(fs.ls(waiting.pop(), detail=True), key=lambda each: str(each["name"]))
        visible = [entry for entry in entries if not _is_hidden(entry["name"])]
        for entry in visible:
            if entry["type"] != "directory":
                path = entry["name"]
                inside = f"{protocol}://{path.lstrip('/')}{chain}{rest}"
                yield inside if chain else fs.unstrip_protocol(path)
        waiting += [one["name"] for one in reversed(visible) if one["type"] == "directory"]


def _is_hidden(path: str) -> bool:
    return path.rstrip("/").rpartition("/")[2].startswith(".")


def read(address: str, limit: int = MAX_FILE_SIZE) -> bytes | Skipped:
    """Read a file whole."""
    try:
        fs, path = opened(address)
        with fs.open(path, "rb") as file:
            data: bytes = file.read(limit + 1)
    except (FileNotFoundError, KeyError):
        return Skipped(Reason.NOT_FOUND, shown(address))
    except IsADirectoryError:
        return Skipped(Reason.NOT_A_FILE, f"a folder: {shown(address)}")
    except PermissionError as error:
        return Skipped(Reason.NOT_READABLE, f"{error}: {shown(address)}")
    except Exception as error:  # each plug-in of fsspec has errors of its own
        return Skipped(Reason.NOT_DOWNLOADED, f"{type(error).__name__}: {error}: {shown(address)}")
    if len(data) > limit:
        return Skipped(
            Reason.TOO_LARGE,
            f"more than {limit / 2**20:.3g} MB, which are read at most: {shown(address)}",
        )
    if not data:
        return Skipped(Reason.NOT_AN_IMAGE, f"the file is empty: {shown(address)}")
    return data
