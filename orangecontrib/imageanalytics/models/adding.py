"""Adds a model to the user's own: an ONNX file, one of the hub, or what authors published."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from orangecontrib.imageanalytics.model_file.config import config_path, read_config
from orangecontrib.imageanalytics.model_file.files import ModelFiles
from orangecontrib.imageanalytics.models import user_models
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.models.downloaded import parts_folder
from orangecontrib.imageanalytics.models.downloading import Callback, carry_out
from orangecontrib.imageanalytics.models.fetching import Order
from orangecontrib.imageanalytics.models.model import HubFile, Model, Product
from orangecontrib.imageanalytics.models.paintings import save_batch
from orangecontrib.imageanalytics.models.preprocessor import pixels_of_config, read_preprocessor
from orangecontrib.imageanalytics.models.recipes import (
    BATCH,
    INCEPTION_2015,
    MAIN,
    DeepLoc,
    OnnxImages,
    Painters,
    Pixels,
    Pooling,
    Recipe,
)
from orangecontrib.imageanalytics.outcome import ModelDownloadError, ModelFileError

_POOLING = {
    "none": Pooling.NONE,
    "class": Pooling.CLASS_TOKEN,
    "tokens": Pooling.MEAN_TOKEN,
    "spatial": Pooling.SPATIAL,
}

#: What authors published, by the word that stands before the file: how it is read, and what it is.
_PUBLISHED: dict[str, tuple[Recipe, str]] = {
    "painters": (Painters(), "painters"),
    "deeploc": (DeepLoc(), "deeploc"),
    "inception-v3": (INCEPTION_2015, "inception-v3"),
}

_HUB = re.compile(
    r"hf:(?P<repository>[\w.-]+/[\w.-]+)/(?P<path>[^@]+\.onnx)(@(?P<revision>[\w./-]+))?"
)


def add(
    source: Sequence[str],
    *,
    name: str | None = None,
    config: Path | None = None,
    output: str | None = None,
    pooling: str = "none",
    folder: str | os.PathLike[str] | None = None,
    callback: Callback | None = None,
) -> Model:
    """Add a model to the user's own.

    Parameters
    ----------
    source : sequence of str
        ``[FILE.onnx]``, ``[hf:OWNER/NAME/PATH.onnx]`` or ``[painters, FILE]`` and the like; to
        Painters belongs a folder of paintings, see `recipes.Painters`.
    name : str, optional
        The model's id; that of the file or repository unless told otherwise.
    config : Path, optional
        What pixels the network takes; see `model_file.config`. Otherwise that beside the file.
    output : str, optional
        The tensor that the embedding is made of. Otherwise it is what goes into the classifier.
    pooling : "none", "class", "tokens" or "spatial"
        How it is made of it.
    folder : path, optional
        See `user_models.default_folder`.
    callback : callable, optional
        See `downloading.download`.

    Raises
    ------
    ModelFileError
        If no model can be made of it, or the name is taken; the text says what to do.
    ModelDownloadError, EmbeddingConnectionError
        If a file cannot be had from the hub.
    """
    place = user_models.chosen_folder(folder)
    if source[0] in _PUBLISHED and len(source) in (2, 3 if source[0] == "painters" else 2):
        recipe, known_as = _PUBLISHED[source[0]]
        destination = _destination(place, name or f"{known_as}-local")
        with tempfile.TemporaryDirectory() as beside:
            files = _published_files(recipe, Path(source[1]))
            if isinstance(recipe, Painters) and len(source) == 3:
                files[BATCH] = Path(beside, "batch.npy")
                save_batch(Path(source[2]), recipe.pixels.size, files[BATCH])
            return _made(recipe, files, destination, known_as)
    if len(source) != 1:
        words = ", ".join(_PUBLISHED)
        raise ModelFileError(
            f"{' '.join(source)} is not understood. Name one FILE.onnx, hf:OWNER/NAME/PATH.onnx, "
            f"or one of {words} and its file."
        )
    cut = OnnxImages(Pixels((1, 1), (0, 0, 0), (1, 1, 1)), output, _POOLING[pooling])
    if source[0].startswith("hf:"):
        return _of_hub(source[0], cut, name, config, place, callback)
    return _of_file(Path(source[0]), cut, name, config, place)


def _destination(place: Path, name: str) -> Path:
    """Where a model of this name goes, if no other has the name."""
    if not re.fullmatch(r"[\w][\w. -]*", name):
        raise ModelFileError(f"{name!r} is no name for a model. Use letters, digits, - and _.")
    if name.casefold() in {id_.casefold() for id_ in MODELS}:
        raise ModelFileError(
            f"{name!r} is the name of a model of the catalogue. Choose another with --name."
        )
    destination = place / f"{name}.onnx"
    if os.path.lexists(destination):  # a link that leads nowhere, too
        raise ModelFileError(
            f"{destination} is there already. Take it away, or choose another name with --name."
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(f"The folder {place} cannot be made: {reason}.") from error
    return destination


def _of_file(
    path: Path, cut: OnnxImages, name: str | None, config: Path | None, place: Path
) -> Model:
    files = ModelFiles.of(path)
    destination = _destination(place, name or path.stem)
    beside = read_config(config or config_path(files.path))
    if any(tensor.type == "uint8" for tensor in files.content.inputs):
        return _copied(files, destination, config)
    sources = {MAIN: files.path} | {
        location: files.path.parent / location for location in files.content.external
    }
    recipe = replace(cut, pixels=pixels_of_config(beside, files))
    return _made(recipe, sources, destination, None, title=beside.title, licence=beside.licence)


def _copied(files: ModelFiles, destination: Path, config: Path | None) -> Model:
    """Copy a file that is of our kind already, with what belongs to it."""
    if files.content.external:
        raise ModelFileError(
            f"{files.path} keeps weights in other files. Copy all of them into "
            f"{destination.parent} yourself."
        )
    beside = config or config_path(files.path)
    copies = [(files.path, destination)]
    if beside.is_file() and not _is_in_place(beside, config_path(destination)):
        copies.append((beside, config_path(destination)))
    try:
        with ExitStack() as undoing:
            for original, copy in copies:
                with original.open("rb") as content, copy.open("xb") as written:
                    undoing.callback(copy.unlink, missing_ok=True)
                    shutil.copyfileobj(content, written)
            model = user_models.describe(destination)
            undoing.pop_all()
            return model
    except OSError as error:
        reason = error.strerror or error
        raise ModelFileError(f"{destination} cannot be written: {reason}.") from error


def _is_in_place(config: Path, place: Path) -> bool:
    """Whether a config lies where it is to go; another one that lies there is the user's."""
    if not os.path.lexists(place):
        return False
    if place.exists() and place.samefile(config):
        return True
    raise ModelFileError(
        f"{place} is there already, and is not {config}. Take it away, or choose another name "
        "with --name."
    )


def _made(
    recipe: Recipe,
    sources: dict[str, Path],
    destination: Path,
    known_as: str | None,
    *,
    title: str = "",
    licence: str = "",
) -> Model:
    """Build a model's file, and look at it as the widget will."""
    from orangecontrib.imageanalytics.models.building import build

    facts = {"id": destination.stem, "title": title, "licence": licence}
    if known_as is not None:
        known = MODELS[known_as]
        facts |= {"title": known.title, "citation": known.citation, "layer": known.layer}
    build(recipe, sources, destination, {word: fact for word, fact in facts.items() if fact})
    return user_models.describe(destination)


def _published_files(recipe: Recipe, path: Path) -> dict[str, Path]:
    """The files that belong to what is named: TensorFlow's checkpoint consists of several."""
    if isinstance(recipe, DeepLoc):
        from orangecontrib.imageanalytics.models.building import checkpoint_files

        return checkpoint_files(path)
    return {MAIN: path}


def _of_hub(
    source: str,
    cut: OnnxImages,
    name: str | None,
    config: Path | None,
    place: Path,
    callback: Callback | None,
) -> Model:
    match = _HUB.fullmatch(source)
    if match is None:
        raise ModelFileError(
            f"{source} is not understood. Write hf:OWNER/NAME/PATH.onnx, for example "
            "hf:onnx-community/mobilenetv4_conv_small.e2400_r224_in1k/onnx/model.onnx"
        )
    repository, revision = match["repository"], match["revision"] or "main"
    destination = _destination(place, name or repository.partition("/")[2])
    parts = parts_folder(destination.stem, place)
    with tempfile.TemporaryDirectory() as beside:
        pixels = (
            pixels_of_config(read_config(config), None)
            if config is not None
            else _pixels_of_hub(repository, revision, Path(beside), callback)
        )
    onnx = HubFile(repository, match["path"], revision)
    order = Order(
        products=((Product(".onnx", {MAIN: onnx}, replace(cut, pixels=pixels)), destination),),
        parts=parts,
        by_hand=parts / "by-hand",
        facts={"id": destination.stem, "title": destination.stem, "source": source[3:]},
    )
    carry_out(order, callback)
    return user_models.describe(destination)


def _pixels_of_hub(
    repository: str, revision: str, folder: Path, callback: Callback | None
) -> Pixels:
    """What a repository says of the pixels that its network takes."""
    missing = []
    for file in ("preprocessor_config.json", "config.json"):
        copy = folder / file
        product = Product(".json", {MAIN: HubFile(repository, file, revision)})
        order = Order(((product, copy),), folder / "parts", folder / "by-hand", {})
        try:
            carry_out(order, callback)
        except ModelDownloadError as error:
            missing.append(str(error))
            continue
        pixels = read_preprocessor(copy)
        if pixels is not None:
            return pixels
    raise ModelFileError(
        f"{repository} does not say what pixels its network takes. Put mean, std and input_size "
        f"into a JSON file, and name it with --config. {' '.join(missing)}"
    )
