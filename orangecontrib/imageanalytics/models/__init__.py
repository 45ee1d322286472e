"""Which models there are, and what is known of each: the one place that is asked.

A model is bundled, the user's own (`user_models`), to be downloaded (`downloaded`), or on a server;
its `Kind` says which. The literals of all but the user's own are in `catalogue`.
"""

from __future__ import annotations

import os
from dataclasses import replace

from orangecontrib.imageanalytics.models import user_models
from orangecontrib.imageanalytics.models.catalogue import DEFAULT, MODELS
from orangecontrib.imageanalytics.models.downloaded import downloaded_files, is_downloaded
from orangecontrib.imageanalytics.models.model import (
    Download,
    HubFile,
    Kind,
    Model,
    Product,
    Section,
)
from orangecontrib.imageanalytics.models.user_models import Found, Problem, default_folder
from orangecontrib.imageanalytics.outcome import ModelFileError, UnknownModelError

__all__ = [
    "DEFAULT",
    "Download",
    "Found",
    "HubFile",
    "Kind",
    "Model",
    "Problem",
    "Product",
    "Section",
    "default_folder",
    "find",
    "get",
    "of_catalogue",
]


def find(folder: str | os.PathLike[str] | None = None) -> Found:
    """Find all models that there are.

    Parameters
    ----------
    folder : Path or str, optional
        Where the user's own and downloaded ones are; `default_folder` if None.

    Returns
    -------
    Found
        All models by id, section by section, and what is wrong with files of the folder. The
        catalogue's come in its order, the user's own after the bundled ones.
    """
    own = user_models.find(folder)
    listed = of_catalogue(folder)
    order = list(Section)
    models = sorted([*listed.values(), *own.models.values()], key=lambda m: order.index(m.section))
    return Found({model.id: model for model in models}, own.problems)


def of_catalogue(folder: str | os.PathLike[str] | None = None) -> dict[str, Model]:
    """Give the catalogue's models by id; those that were downloaded have their file."""
    return {id_: _on_this_computer(model, folder) for id_, model in MODELS.items()}


def get(id_: str, folder: str | os.PathLike[str] | None = None) -> Model:
    """Give the model of this id; what lies in the folder is looked at only if it may be there.

    Raises
    ------
    UnknownModelError
        If there is none; the text lists those that there are.
    ModelFileError
        If the file of this name in the folder is no usable model.
    """
    if id_ in MODELS:
        return _on_this_computer(MODELS[id_], folder)
    found = find(folder)
    if id_ in found.models:
        return found.models[id_]
    for problem in found.problems:
        if problem.id == id_:
            raise ModelFileError(problem.message)
    known = ", ".join(found.models)
    raise UnknownModelError(f"There is no model {id_!r}. Models: {known}.")


def _on_this_computer(model: Model, folder: str | os.PathLike[str] | None) -> Model:
    """Add its file to a model that was downloaded."""
    if model.kind is not Kind.DOWNLOADABLE or not is_downloaded(model, folder):
        return model
    return replace(model, weights=downloaded_files(model, folder)[0])
