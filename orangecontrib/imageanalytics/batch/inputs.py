"""Which images there are: named by folders, lists, columns of Parquet files and addresses.

All is given one by one, in the same order each time; nothing is held.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.batch import addresses
from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.sources import folders, is_relative, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Rows of a Parquet file that are read at a time.
_ROWS = 10_000
#: Names of columns of images, if none is named: the first that is there.
COLUMNS = ("path", "image", "url", "file_name")


def references(
    inputs: Iterable[str],
    column: str | None = None,
    warn: Callable[[OSError], object] = lambda error: None,
) -> Iterator[str]:
    """Name all images, one after the other.

    Parameters
    ----------
    inputs : iterable of str
        Folders; ``.txt`` files, which name an image on each line; ``.parquet`` files, which have a
        column of them; ``.zip`` files; addresses that fsspec opens; single images. Relative names
        in a file are relative to its folder.
    column : str, optional
        The column of Parquet files; one of `COLUMNS` by default.
    warn : callable, optional
        Told of each folder that cannot be listed.

    Raises
    ------
    EmbeddingError
        If an input cannot be read.
    """
    for name in inputs:
        try:
            yield from _of(name, column, warn)
        except OSError as error:
            raise EmbeddingError(f"{shown(name)} cannot be read: {error}") from error


def _of(name: str, column: str | None, warn: Callable[[OSError], object]) -> Iterator[str]:
    suffix = Path(name.partition("::")[0]).suffix.lower()
    if suffix == ".txt":
        yield from _lines(name)
    elif suffix == ".parquet":
        yield from _rows(name, column)
    elif addresses.is_address(name):
        yield from addresses.walk(name) if addresses.is_folder(name) else [name]
    elif suffix == ".zip":
        yield from addresses.walk(f"zip://::{os.path.abspath(name)}")  # noqa: PTH100
    elif os.path.isdir(name):  # noqa: PTH112 (it never raises)
        yield from folders.walk(os.path.abspath(name), warn)  # noqa: PTH100
    else:
        yield os.path.abspath(name) if is_relative(name) else name  # noqa: PTH100


def _lines(name: str) -> Iterator[str]:
    if addresses.is_address(name):
        fs, path = addresses.opened(name)
        file = fs.open(path, "r", encoding="utf-8", errors="surrogateescape")
    else:
        file = open(name, encoding="utf-8-sig", errors="surrogateescape")  # noqa: SIM115
    with file:
        for line in file:
            if stripped := line.rstrip("\r\n"):
                yield _beside(name, stripped)


def _rows(name: str, column: str | None) -> Iterator[str]:
    import pyarrow as pa
    from pyarrow import parquet

    fs, path = addresses.opened(name) if addresses.is_address(name) else (None, name)
    try:
        with parquet.ParquetFile(fs.open(path, "rb") if fs else path) as file:
            chosen = _column(name, file.schema_arrow.names, column)
            for batch in file.iter_batches(_ROWS, columns=[chosen]):
                for value in batch.column(0).to_pylist():
                    yield _beside(name, value) if isinstance(value, str) else ""
    except pa.ArrowInvalid as error:
        raise EmbeddingError(f"{shown(name)} is not a Parquet file: {error}") from error


def _column(name: str, there: list[str], wanted: str | None) -> str:
    for column in (wanted,) if wanted else COLUMNS:
        if column in there:
            return column
    raise EmbeddingError(
        f"{shown(name)} has no column {wanted or ' or '.join(COLUMNS)}; it has "
        f"{', '.join(there)}. Name one with --column."
    )


def _beside(file: str, name: str) -> str:
    """Give what a file names; it is relative to the file's folder."""
    if not is_relative(name) or addresses.is_address(name):
        return name
    if addresses.is_address(file):
        return f"{file.rpartition('/')[0]}/{name}"
    return os.path.join(os.path.dirname(os.path.abspath(file)), name)  # noqa: PTH100, PTH118, PTH120
