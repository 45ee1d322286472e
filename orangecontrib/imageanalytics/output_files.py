"""The files that the command line writes: whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.outcome import Embedded, EmbeddingError, Outcome, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from Orange.data import Table

#: What can be written; all but .npz are Orange's formats.
SUFFIXES = (".tab", ".csv", ".xlsx", ".pkl", ".npz")


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


def needs_orange(*paths: Path | None) -> bool:
    """Whether Orange writes any of these files; importing it takes 1.8 s."""
    return any(path is not None and path.suffix.lower() != ".npz" for path in paths)


def import_orange() -> None:
    """Import what `write_embedded` needs of Orange, while the images are being embedded."""
    from orangecontrib.imageanalytics import tables  # noqa: F401


def write_embedded(path: Path, images: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    """Write the embedded images; nothing if there are none.

    A .npz file holds `images` (text) and `embeddings` (float32 of shape (N, D)); others the table
    that the widget would give.
    """
    rows = [row for row, outcome in enumerate(outcomes) if isinstance(outcome, Embedded)]
    if not rows:
        return
    if path.suffix.lower() == ".npz":
        vectors = [outcome.vector for outcome in outcomes if isinstance(outcome, Embedded)]
        with _whole(path) as temporary:
            names = np.array([_printable(images[row]) for row in rows])
            np.savez(temporary, images=names, embeddings=np.vstack(vectors))
    else:
        embedded, _, _ = _tables(images, outcomes)
        _save(embedded, path)


def write_skipped(path: Path, images: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    """Write the skipped images and why, also if there are none."""
    if path.suffix.lower() == ".npz":
        skipped = [(i, o) for i, o in zip(images, outcomes, strict=True) if isinstance(o, Skipped)]
        with _whole(path) as temporary:
            np.savez(
                temporary,
                images=np.array([_printable(image) for image, _ in skipped], dtype=np.str_),
                reasons=np.array([str(outcome) for _, outcome in skipped], dtype=np.str_),
            )
    else:
        _, skipped_table, _ = _tables(images, outcomes)
        _save(skipped_table if skipped_table is not None else _image_table([]), path)


def _tables(
    images: Sequence[str], outcomes: Sequence[Outcome]
) -> tuple[Table | None, Table | None, int]:
    from orangecontrib.imageanalytics import tables

    return tables.with_embeddings(_image_table(images), outcomes)


def _image_table(images: Sequence[str]) -> Table:
    from Orange.data import Domain, StringVariable, Table

    name, image = StringVariable("image name"), StringVariable("image")
    image.attributes["type"] = "image"
    metas = np.empty((len(images), 2), dtype=object)
    metas[:, 0] = [_printable(Path(path).stem) for path in images]
    metas[:, 1] = [_printable(path) for path in images]
    empty = np.empty((len(images), 0))
    return Table.from_numpy(Domain([], metas=[name, image]), empty, metas=metas)


def _printable(text: str) -> str:
    """Make text of a file name that need not be any."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _save(table: Table | None, path: Path) -> None:
    assert table is not None
    with _whole(path) as temporary:
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
