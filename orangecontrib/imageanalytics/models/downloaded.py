"""Where models that were downloaded are kept: each network as one ONNX file of our kind."""

from __future__ import annotations

import os
from pathlib import Path

from orangecontrib.imageanalytics.models.model import Model
from orangecontrib.imageanalytics.models.user_models import chosen_folder

#: Inside the folder of the user's models, where nothing looks for the user's own.
FOLDER = "downloaded"

_PARTS = "unfinished"


def downloaded_files(
    model: Model, folder: str | os.PathLike[str] | None = None
) -> tuple[Path, ...]:
    """The files that a downloadable model has once it was downloaded, that for images first.

    Parameters
    ----------
    model : Model
        One with a `download`.
    folder : path, optional
        That of the user's models; see `user_models.default_folder`.
    """
    assert model.download is not None
    place = chosen_folder(folder) / FOLDER
    return tuple(place / f"{model.id}{product.ending}" for product in model.download.products)


def is_downloaded(model: Model, folder: str | os.PathLike[str] | None = None) -> bool:
    """Whether all of its files are there."""
    return all(file.is_file() for file in downloaded_files(model, folder))


def parts_folder(id_: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Where what has arrived of a model and is not whole yet is kept."""
    return chosen_folder(folder) / FOLDER / _PARTS / id_


def arrived(model: Model, folder: str | os.PathLike[str] | None = None) -> int:
    """The bytes of a model that have arrived in a download that was not finished."""
    return sum(map(_size, parts_folder(model.id, folder).glob("*.part")))


def size(model: Model, folder: str | os.PathLike[str] | None = None) -> int:
    """The bytes that a downloaded model's files take."""
    return sum(map(_size, downloaded_files(model, folder)))


def _size(file: Path) -> int:
    """A file's size; 0 for one that another program has just taken away."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def remove(model: Model, folder: str | os.PathLike[str] | None = None) -> int:
    """Delete a downloaded model's files, and what has arrived of it; it can be downloaded again.

    Returns
    -------
    int
        The bytes that became free.

    Raises
    ------
    OSError
        If a file cannot be deleted; on Windows, for instance, while it is in use.
    """
    parts = parts_folder(model.id, folder).glob("*.part")
    there = [file for file in (*downloaded_files(model, folder), *parts) if file.is_file()]
    freed = 0
    for file in there:
        freed += _size(file)
        file.unlink(missing_ok=True)
    return freed
