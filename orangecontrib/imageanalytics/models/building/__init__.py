"""Makes our one kind of ONNX file of what the authors of a network published.

Nothing that was downloaded is run: weights are read as plain numbers, checked for their names,
shapes and finite values, and graphs consist of ONNX's own operators. `onnx`, `safetensors` and
`h5py` are imported when something is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orangecontrib.imageanalytics.models.recipes import (
    DeepLoc,
    Facts,
    InceptionV3,
    OnnxImages,
    OnnxTexts,
    Painters,
    Recipe,
    Vgg,
)

__all__ = ["build", "checkpoint_files"]


def build(
    recipe: Recipe, files: Mapping[str, Path], destination: Path, facts: Facts | None = None
) -> None:
    """Make an ONNX file, whole or not at all.

    Parameters
    ----------
    recipe : Recipe
        How it is made.
    files : mapping of str to Path
        What it is made of: under `recipes.MAIN` the main file, and those that belong to it by the
        names that it calls them.
    destination : Path
        The file to write; one that is there already is replaced at the very end.
    facts : mapping of str to str, optional
        What is known of the model (id, title, licence, source...), written into it as metadata.

    Raises
    ------
    ModelFileError
        If a file is missing, broken or not what the recipe expects, or the model cannot be
        written; the text says which file, why, and what to do.
    """
    facts = dict(facts or {})
    match recipe:
        case Vgg():
            from orangecontrib.imageanalytics.models.building import vgg

            vgg.build(recipe, files, destination, facts)
        case InceptionV3():
            from orangecontrib.imageanalytics.models.building import inception

            inception.build(recipe, files, destination, facts)
        case OnnxImages():
            from orangecontrib.imageanalytics.models.building import onnx_images

            onnx_images.build(recipe, files, destination, facts)
        case OnnxTexts():
            from orangecontrib.imageanalytics.models.building import onnx_texts

            onnx_texts.build(recipe, files, destination, facts)
        case DeepLoc():
            from orangecontrib.imageanalytics.models.building import deeploc

            deeploc.build(recipe, files, destination, facts)
        case Painters():
            from orangecontrib.imageanalytics.models.building import painters

            painters.build(recipe, files, destination, facts)


def checkpoint_files(path: Path) -> dict[str, Path]:
    """The files of a checkpoint of TensorFlow; see `building.checkpoint.checkpoint_files`."""
    from orangecontrib.imageanalytics.models.building import checkpoint

    return checkpoint.checkpoint_files(path)
