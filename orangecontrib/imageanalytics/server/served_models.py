"""Which models a server offers: the bundled, the downloaded, and the ONNX files of a folder."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.models import Kind, Model, of_catalogue, user_models
from orangecontrib.imageanalytics.outcome import ModelFileError

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

_CATALOGUE = of_catalogue()

#: What no file of the folder may take the place of.
_TAKEN = tuple(id_ for id_, model in _CATALOGUE.items() if model.kind is not Kind.SERVER)

#: The end of the ids of models that can stand in for a server's, as vgg16-local for vgg16.
_STANDS_IN = "-local"


def find_models(folder: Path | None) -> dict[str, Model]:
    """Find the models to serve.

    Parameters
    ----------
    folder : Path, optional
        Where ONNX files are. One that is named like a server's model of the catalogue is what
        clients get under this name, so it must give as many numbers as the catalogue says.

    Returns
    -------
    dict of str to Model
        The bundled models, those that this computer's user has downloaded, the folder's; all of
        them have `weights`. Those that can stand in for a server's model of the catalogue come
        once more under its id, unless the folder has a file for it.

    Raises
    ------
    ModelFileError
        If the folder cannot be read, or any file in it cannot be served: who starts the server
        can put that right, those who would miss the model cannot. The text names all such files.
    """
    served = {id_: model for id_, model in of_catalogue().items() if model.weights is not None}
    if folder is not None:
        served |= _of_folder(folder)
    return served | _standing_in(served)


def _of_folder(folder: Path) -> dict[str, Model]:
    if not folder.is_dir():
        raise ModelFileError(f"{folder} is not a folder. Make it, or name another with --models.")
    found = user_models.find(folder, reserved=_TAKEN)
    problems = [problem.message for problem in found.problems]
    served = {}
    for model in found.models.values():
        if problem := _conflict(model):
            problems.append(problem)
        served[model.id] = _in_place_of(model)
    if problems:
        raise ModelFileError("\n".join(problems))
    return served


def _standing_in(served: dict[str, Model]) -> dict[str, Model]:
    """Offer what computes the same as a server's model under that one's id as well."""
    more = {}
    for id_, expected in _CATALOGUE.items():
        model = served.get(f"{id_}{_STANDS_IN}")
        if model is not None and id_ not in served and model.dimension == expected.dimension:
            more[id_] = replace(model, id=id_)
    return more


def _conflict(model: Model) -> str | None:
    """Say what is wrong with a file that has the name of a server's model."""
    names = {name.casefold(): name for name in _CATALOGUE}
    name = names.get(model.id.casefold())
    if name is None:
        return None
    if name != model.id:
        return f"{model.weights} is asked for as {name!r}. Rename it to {name}.onnx."
    if model.dimension != _CATALOGUE[name].dimension:
        return (
            f"{model.weights} gives {model.dimension} numbers for an image, where clients expect "
            f"{_CATALOGUE[name].dimension} of {name!r}. Export it up to the layer "
            f"{_CATALOGUE[name].layer!r}, or give the file another name."
        )
    return None


def _in_place_of(model: Model) -> Model:
    """Give a file that takes the place of a server's model its title."""
    expected = _CATALOGUE.get(model.id)
    if expected is None:
        return model
    if model.input_size != expected.input_size:
        _log.warning(
            "%s takes images of %d x %d; clients send %d x %d for this name, so each is resized "
            "twice.",
            model.weights,
            *model.input_size,
            *expected.input_size,
        )
    title = expected.title if model.title == model.id else model.title
    return replace(model, title=title)
