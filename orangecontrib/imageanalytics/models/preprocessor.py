"""What pixels a network takes, as timm's and transformers' files say it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orangecontrib.imageanalytics.model_file.config import EXAMPLE, ModelConfig, read_config
from orangecontrib.imageanalytics.model_file.files import ModelFiles
from orangecontrib.imageanalytics.models.recipes import Pixels, Triple
from orangecontrib.imageanalytics.outcome import ModelFileError


def pixels_of_config(config: ModelConfig, files: ModelFiles | None) -> Pixels:
    """Take them from a config, and the size from the ONNX file if that says it.

    Raises
    ------
    ModelFileError
        If mean, std or size are not to be had.
    """
    size = config.input_size or (_size_of(files) if files is not None else None)
    if config.mean is None or config.std is None or size is None:
        where = "the JSON file" if files is None else f"a JSON file beside {files.path}"
        raise ModelFileError(f"Put mean, std and input_size into {where}, for example: {EXAMPLE}")
    white = config.input_range
    return Pixels(size, _scaled(config.mean, white), _scaled(config.std, white), config.bgr)


def _scaled(values: Triple, white: float) -> Triple:
    first, second, third = (value / white for value in values)
    return first, second, third


def _size_of(files: ModelFiles) -> tuple[int, int] | None:
    """Height and width of the one input with four axes, where they are fixed."""
    for tensor in files.content.inputs:
        axes = tensor.shape or ()
        if len(axes) == 4:
            sides = axes[1:3] if axes[3] == 3 else axes[2:]
            height, width = sides
            if isinstance(height, int) and isinstance(width, int):
                return height, width
    return None


def read_preprocessor(path: Path) -> Pixels | None:
    """Read `preprocessor_config.json` of transformers, or `config.json` of timm.

    Returns
    -------
    Pixels or None
        None if the file says nothing of pixels.

    Raises
    ------
    ModelFileError
        If it is not to be understood.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFileError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(said, dict):
        raise ModelFileError(f"{path} should hold one JSON object.")
    if "image_mean" in said and "image_std" in said:
        return _of_transformers(path, said)
    if "mean" in said or "pretrained_cfg" in said:
        return pixels_of_config(read_config(path), None)
    return None


def _of_transformers(path: Path, said: dict[str, Any]) -> Pixels:
    """Images are squashed to what the network gets in the end: the crop, if there is one."""
    crops = said.get("do_center_crop") and said.get("crop_size")
    size = _side(said["crop_size"]) if crops else _side(said.get("size"))
    mean, std = _triple(said["image_mean"]), _triple(said["image_std"])
    if size is None or mean is None or std is None:
        raise ModelFileError(
            f"{path.name} does not say size, mean and std in a way that is understood. Put them "
            f"into a JSON file, and name it with --config, for example: {EXAMPLE}"
        )
    if said.get("do_normalize") is False:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if said.get("do_rescale") is False:
        mean, std = _scaled(mean, 255), _scaled(std, 255)
    return Pixels(size, mean, std)


def _side(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if isinstance(size, dict):
        height = size.get("height", size.get("shortest_edge"))
        width = size.get("width", size.get("shortest_edge"))
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    return None


def _triple(values: Any) -> Triple | None:
    if not isinstance(values, list) or len(values) != 3:
        return None
    if not all(isinstance(value, int | float) for value in values):
        return None
    first, second, third = map(float, values)
    return first, second, third
