"""Where models that were downloaded are kept, each as one ONNX file of our kind."""

from __future__ import annotations

import os
from pathlib import Path

from orangecontrib.imageanalytics.models.user_models import chosen_folder

#: Inside the folder of the user's models, which looks at no folders inside it.
FOLDER = "downloaded"


def downloaded_file(id_: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The file that a downloadable model has once it was downloaded.

    Parameters
    ----------
    id_ : str
        Of a model of the catalogue.
    folder : Path or str, optional
        That of the user's models; see `user_models.default_folder`.
    """
    return chosen_folder(folder) / FOLDER / f"{id_}.onnx"
