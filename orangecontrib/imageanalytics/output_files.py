"""The files that the command line writes: whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.decoding.header import Header, read_header
from orangecontrib.imageanalytics.outcome import Embedded, EmbeddingError, Outcome, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from Orange.data import Table

    from orangecontrib.imageanalytics.widened_tables import Origin

#: What can be written; all but .npz are Orange's formats.
SUFFIXES = (".tab", ".csv", ".xlsx", ".pkl", ".npz")


@dataclass(frozen=True, slots=True)
class Images:
    """The images that the command line was given, in its order.

    Attributes
    ----------
    paths : list of str
        Their paths and addresses.
    categories : list of str or None
        The folder that each was found in; None for addresses.
    origin : str or None
        The one folder that was named, if it was one; `categories` are relative to it.
    """

    paths: list[str]
    categories: list[str | None]
    origin: str | None = None


def problem_with(path: Path) -> str | None:
    """Say why nothing can be written there, before any work is done."""
    if path.suffix.lower() not in SUFFIXES:
        return f"{path}: the name of a file to write ends with {', '.join(SUFFIXES)}"
    try:
        if stat.S_ISDIR(path.lstat().st_mode):
            return f"{path} is a folder"
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not os.path.isdir(path.parent):  # noqa: PTH112 (it never raises)
        return f"there is no folder {path.parent}"
    if not os.access(path.parent, os.W_OK):
        return f"the folder {path.parent} may not be written to"
    return None


def place_of(path: Path) -> str:
    """Give the one name of a file among all that it may be called by, to tell two files apart.

    Names that differ in nothing but capitals are one file on Windows and macOS.
    """
    place = os.path.normcase(os.path.realpath(path))
    return place.casefold() if sys.platform == "darwin" else place


def needs_orange(*paths: Path | None) -> bool:
    """Whether Orange writes any of these files; importing it takes 1.8 s."""
    return any(path is not None and path.suffix.lower() != ".npz" for path in paths)


def import_orange() -> None:
    """Import what `write_embedded` needs of Orange, while the images are being embedded."""
    from orangecontrib.imageanalytics import import_images, widened_tables  # noqa: F401


def write_embedded(
    path: Path,
    images: Images,
    outcomes: Sequence[Outcome],
    embedding: Callable[[str], Origin] | None = None,
    *,
    orange_header: bool = False,
) -> None:
    """Write the embedded images; nothing if there are none.

    A .npz file holds `images` (text) and `embeddings` (float32 of shape (N, D)); others the table
    that the widgets would give. A .csv file has one row of names above the data, as pandas and R
    read it, or with `orange_header` the three that Orange reads types and roles from. `embedding`
    tells of a column of images how its embedding came about; it is asked only where that is kept.
    """
    rows = [row for row, outcome in enumerate(outcomes) if isinstance(outcome, Embedded)]
    if not rows:
        return
    if path.suffix.lower() == ".npz":
        vectors = [outcome.vector for outcome in outcomes if isinstance(outcome, Embedded)]
        with _whole(path) as temporary:
            names = np.array([_printable(images.paths[row]) for row in rows])
            np.savez(temporary, images=names, embeddings=np.vstack(vectors))
    else:
        is_plain = path.suffix.lower() == ".csv" and not orange_header
        embedded, _, _ = _tables(images, outcomes, is_plain, embedding)
        _save(embedded, path, is_plain)


def write_skipped(
    path: Path, images: Images, outcomes: Sequence[Outcome], *, orange_header: bool = False
) -> None:
    """Write the skipped images and why, also if there are none; see `write_embedded`."""
    if path.suffix.lower() == ".npz":
        skipped = [
            (i, o) for i, o in zip(images.paths, outcomes, strict=True) if isinstance(o, Skipped)
        ]
        with _whole(path) as temporary:
            np.savez(
                temporary,
                images=np.array([_printable(image) for image, _ in skipped], dtype=np.str_),
                reasons=np.array([str(outcome) for _, outcome in skipped], dtype=np.str_),
            )
    else:
        is_plain = path.suffix.lower() == ".csv" and not orange_header
        _, table, _ = _tables(images, outcomes, is_plain)
        none = _image_table(Images([], []), [], is_plain)
        _save(table if table is not None else none, path, is_plain)


def _tables(
    images: Images,
    outcomes: Sequence[Outcome],
    is_plain: bool,
    embedding: Callable[[str], Origin] | None = None,
) -> tuple[Table | None, Table | None, int]:
    from orangecontrib.imageanalytics import widened_tables

    how = None if embedding is None else embedding("image")
    return widened_tables.with_embeddings(_image_table(images, outcomes, is_plain), outcomes, how)


def _image_table(images: Images, outcomes: Sequence[Outcome], is_plain: bool) -> Table:
    """Make the table of images; a plain one has whole paths, since it does not hold the origin."""
    from orangecontrib.imageanalytics.import_images import image_table

    origin = None if is_plain or images.origin is None else str(Path(images.origin).absolute())
    folder = images.origin
    names = [
        os.path.relpath(path, folder).replace(os.sep, "/") if origin and folder else path
        for path in images.paths
    ]
    sizes = [_size(path, outcome) for path, outcome in zip(images.paths, outcomes, strict=True)]
    categories = [None if c is None else _printable(c) for c in images.categories]
    return image_table([_printable(name) for name in names], sizes, categories, origin)


def _size(path: str, outcome: Outcome) -> tuple[float, float, float]:
    header = read_header(path) if isinstance(outcome, Embedded) else None
    if isinstance(header, Header):
        return header.size, header.width, header.height
    return np.nan, np.nan, np.nan  # of an address, or a file that could not be read


def _printable(text: str) -> str:
    """Make text of a file name that need not be any."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _save(table: Table | None, path: Path, is_plain: bool) -> None:
    assert table is not None
    with _whole(path) as temporary:
        if is_plain:
            from Orange.data.io import CSVReader

            CSVReader.write_file(str(temporary), table, with_annotations=False)
        else:
            table.save(str(temporary))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give the name of a temporary file which takes the place of `path` once it is written.

    Raises
    ------
    EmbeddingError
        If it cannot be written; then nothing is.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".orange-", dir=path.parent) as folder:
            temporary = Path(folder) / (path.stem + path.suffix.lower())
            yield temporary
            for extra in Path(folder).iterdir():  # Orange may write a .metadata file beside
                extra.replace(path.with_name(extra.name.replace(temporary.name, path.name, 1)))
    except OSError as error:
        raise EmbeddingError(
            f"{path} could not be written: {error.strerror or error}. Free some space, or close "
            "the file if another program has it open, and run again."
        ) from error
