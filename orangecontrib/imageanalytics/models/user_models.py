"""Models of the user's own: ONNX files in a folder, each with a small JSON beside it if need be.

`my-model.onnx` is found as "my-model". Only what the files say of themselves is read here, without
onnxruntime, so a widget can list them at once: 15 ms for a file of 13 MB the first time, and only
a look at its size and times after that. What onnxruntime thinks of it shows when it is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from orangecontrib.imageanalytics.model_file.config import config_path, read_config
from orangecontrib.imageanalytics.model_file.files import ModelFiles
from orangecontrib.imageanalytics.model_file.interface import find_interface
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.models.model import Kind, Model
from orangecontrib.imageanalytics.outcome import ModelFileError

#: The environment variable that names another folder.
FOLDER_VARIABLE = "ORANGE_IMAGE_MODELS"


@dataclass(frozen=True, slots=True)
class Problem:
    """A file in the folder that is no usable model.

    Attributes
    ----------
    id : str
        The name that the model would have.
    path : Path
        The ONNX file, or the folder if that itself cannot be read.
    message : str
        What is wrong with which file and what to do.
    """

    id: str
    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """The models that were found.

    Attributes
    ----------
    models : dict of str to Model
        Usable ones by id.
    problems : tuple of Problem
        Files that are not usable, in the order of their names.
    """

    models: dict[str, Model]
    problems: tuple[Problem, ...] = ()


def default_folder() -> Path:
    """The folder that the environment variable names, or else one among the user's data."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    return Path(platformdirs.user_data_dir("Orange"), "imageanalytics", "models")


def chosen_folder(folder: str | os.PathLike[str] | None) -> Path:
    """The folder that is named, absolute; `default_folder` if none is."""
    return Path(folder).expanduser().absolute() if folder is not None else default_folder()


def find(
    folder: str | os.PathLike[str] | None = None, *, reserved: Collection[str] = tuple(MODELS)
) -> Found:
    """Look at all ONNX files of a folder; those of folders inside it are left alone.

    Parameters
    ----------
    folder : Path or str, optional
        The folder; `default_folder` if None. One that does not exist holds nothing.
    reserved : collection of str
        Ids that a file may not take, in whatever case: all of the catalogue unless said otherwise.

    Returns
    -------
    Found
        The models in the order of their titles, and what is wrong with the files that are none.
        No file makes this fail.
    """
    folder = chosen_folder(folder)
    try:
        paths = sorted(path for path in folder.iterdir() if _is_named_as_model(path))
    except FileNotFoundError:
        return Found({})
    except OSError as error:
        reason = error.strerror or str(error)
        return Found({}, (Problem("", folder, f"{folder} cannot be read: {reason}."),))
    models: dict[str, Model] = {}
    problems = []
    names = {name.casefold(): f"the model {name!r} of the catalogue" for name in reserved}
    titles = {model.title.casefold() for model in MODELS.values()}
    for path in paths:
        try:
            _check_name(path, names)
            model = describe(path)
        except ModelFileError as error:
            problems.append(Problem(path.stem, path, str(error)))
            continue
        names[model.id.casefold()] = path.name
        if model.title.casefold() in titles:
            model = replace(model, title=f"{model.title} ({path.name})")
        titles.add(model.title.casefold())
        models[model.id] = model
    by_title = sorted(models.values(), key=lambda model: (model.title.casefold(), model.id))
    return Found({model.id: model for model in by_title}, tuple(problems))


def describe(path: Path) -> Model:
    """Describe the model in an ONNX file from what the file, and the JSON beside it, say.

    Raises
    ------
    ModelFileError
        If it cannot be read, or is not one that gives a vector per image.
    """
    files = ModelFiles.of(path)
    config = read_config(config_path(files.path))
    interface = find_interface(files.path, files.content, config)
    return Model(
        id=path.stem,
        title=config.title or path.stem,
        description=config.description or f"A model of your own, in the file {path.name}.",
        input_size=interface.size,
        dimension=interface.dimension,
        layer=interface.output,
        trained_on=config.trained_on or "not stated",
        licence=config.licence or "not stated",
        citation=config.citation,
        kind=Kind.OWN,
        weights=files.path,
    )


def _is_named_as_model(path: Path) -> bool:
    """Whether the name ends in .onnx; hidden files (macOS leaves `._name`) are no models."""
    return path.suffix.lower() == ".onnx" and not path.name.startswith(".")


def _check_name(path: Path, names: dict[str, str]) -> None:
    """Refuse a name that belongs to another model: none is ever put in another's place."""
    owner = names.get(path.stem.casefold())
    if owner is not None:
        raise ModelFileError(
            f"{path} has the same name as {owner}. Rename the file: a model is found by its name."
        )
