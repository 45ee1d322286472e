"""Which models there are, and what is known of each: the one place that is asked.

A model is bundled, the user's own (`user_models`), to be downloaded (`downloaded`), or on a server;
its `Kind` says which. The literals of all but the user's own are in `catalogue`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.models import user_models
from orangecontrib.imageanalytics.models.catalogue import DEFAULT, MODELS
from orangecontrib.imageanalytics.models.downloaded import downloaded_files, is_downloaded
from orangecontrib.imageanalytics.models.hub_address import hub_host
from orangecontrib.imageanalytics.models.model import (
    Download,
    HubFile,
    Kind,
    Model,
    Product,
    Section,
)
from orangecontrib.imageanalytics.models.user_models import Found, Problem, default_folder
from orangecontrib.imageanalytics.outcome import (
    MissingModelError,
    ModelFileError,
    UnknownModelError,
)

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.models.downloading import Callback

#: The environment variable that lets scripts download the models that they name, if it is "1".
DOWNLOAD_VARIABLE = "ORANGE_IMAGE_DOWNLOAD"

__all__ = [
    "DEFAULT",
    "DOWNLOAD_VARIABLE",
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
    "hub_host",
    "may_download",
    "of_catalogue",
    "require",
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
    alike = get_close_matches(id_.lower(), found.models, n=1)
    meant = f" Did you mean {alike[0]!r}?" if alike else ""
    raise UnknownModelError(f"There is no model {id_!r}.{meant} Models: {known}.")


def require(
    id_: str,
    folder: str | os.PathLike[str] | None = None,
    *,
    download: bool = False,
    callback: Callback | None = None,
) -> Model:
    """Give the model of this id, ready for use: one that can be downloaded is there.

    Parameters
    ----------
    id_, folder
        See `get`.
    download : bool
        Whether it is fetched if it is not there. The environment variable ORANGE_IMAGE_DOWNLOAD
        may allow it as well.
    callback : callable, optional
        Told how far that is; see `downloading.download`, also for what is raised on the way. None
        shows a bar on the terminal, if there is one.

    Raises
    ------
    MissingModelError
        If it is not there and may not be fetched; the text names the size and what to do.
    UnknownModelError, ModelFileError
        See `get`.
    """
    model = get(id_, folder)
    if model.section is not Section.TO_DOWNLOAD:
        return model
    if download or may_download():
        from orangecontrib.imageanalytics.models import downloading

        if callback is not None:
            return downloading.download(model, folder, callback)
        with downloading.progress_bar(model.id) as callback:
            return downloading.download(model, folder, callback)
    assert model.download is not None
    raise MissingModelError(
        f"{model.title} is not on this computer yet. Fetch it once, {model.download.size / 1e6:.0f}"
        f" MB from {hub_host()} (no image is sent): "
        f"python -m orangecontrib.imageanalytics models get {model.id}. "
        f"In a script, download=True does it, too; so does the environment variable "
        f"{DOWNLOAD_VARIABLE}=1."
    )


def may_download() -> bool:
    """Whether the environment lets scripts download the models that they name."""
    return os.environ.get(DOWNLOAD_VARIABLE, "").strip() == "1"


def _on_this_computer(model: Model, folder: str | os.PathLike[str] | None) -> Model:
    """Add its file to a model that was downloaded."""
    if model.kind is not Kind.DOWNLOADABLE or not is_downloaded(model, folder):
        return model
    return replace(model, weights=downloaded_files(model, folder)[0])
