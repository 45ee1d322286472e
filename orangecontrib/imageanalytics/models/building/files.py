"""The files that a model is made of, each looked at before it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orangecontrib.imageanalytics.models.recipes import MAIN
from orangecontrib.imageanalytics.outcome import ModelFileError

#: What to do when a file is not what it should be.
FETCH_AGAIN = "Remove it and fetch it once more."


def main_file(files: Mapping[str, Path]) -> Path:
    """The main file.

    Raises
    ------
    ModelFileError
        If it is not among the files, or not a regular file.
    """
    path = files.get(MAIN)
    if path is None:
        raise ModelFileError("The main file of the model is not among its files.")
    return checked(path)


def file_beside(files: Mapping[str, Path], name: str) -> Path:
    """The file that the main one calls `name`.

    Raises
    ------
    ModelFileError
        If it is not among the files, or not a regular file.
    """
    path = files.get(name)
    if path is None or name == MAIN:
        main = files.get(MAIN, "The model")
        raise ModelFileError(f"{main} keeps weights in {name!r}, which is missing.")
    return checked(path)


def checked(path: Path) -> Path:
    """The path, if it leads to a regular file."""
    if not path.is_file():
        fault = "is not a file" if path.exists() else "is not there"
        raise ModelFileError(f"{path} {fault}. {FETCH_AGAIN}")
    return path


def broken(path: Path, why: object) -> ModelFileError:
    """What to raise if a file cannot be read as what it should be."""
    return ModelFileError(f"{path} cannot be read: {why}. {FETCH_AGAIN}")
