"""How images go into an ONNX file and embeddings come out: one vector per image, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orangecontrib.imageanalytics.model_file.config import EXAMPLE, ModelConfig, config_path
from orangecontrib.imageanalytics.model_file.onnx_file import OnnxFile, Tensor
from orangecontrib.imageanalytics.outcome import ModelFileError

#: Sides of images in pixels; larger than any network has, so that a slip cannot fill the memory.
_LARGEST_SIDE = 4096

_ACCEPTED = "uint8 [N, height, width, 3] or float32 [N, 3, height, width]"
_FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class Interface:
    """The way in and out.

    Attributes
    ----------
    input, output : str
        Names in the file.
    is_float : bool
        Whether it takes `float32 [N, 3, H, W]`, prepared as its config says, not the pixels.
    size : tuple of int
        Height and width in pixels.
    dimension : int
        Length of an embedding.
    one_by_one : bool
        Whether it takes a single image at a time.
    """

    input: str
    output: str
    is_float: bool
    size: tuple[int, int]
    dimension: int
    one_by_one: bool


def find_interface(path: Path, content: OnnxFile, config: ModelConfig) -> Interface:
    """Find the input for images and the output that is the embedding.

    Parameters
    ----------
    path : Path
        The ONNX file, for messages.
    content : OnnxFile
        What it says of itself.
    config : ModelConfig
        What stands beside it.

    Raises
    ------
    ModelFileError
        If there is no such input or output, or no telling which; the text says what to do.
    """
    image, axes = _image(path, content.inputs)
    is_float = image.type == "float32"
    if is_float and config.mean is None:
        raise ModelFileError(
            f"{path} takes numbers and does not say how to make them of pixels. "
            f'Put its "mean" and "std" into {config_path(path)}, for example: {EXAMPLE}'
        )
    embedding = _embedding(path, content.outputs, config)
    return Interface(
        input=image.name,
        output=embedding.name,
        is_float=is_float,
        size=_size(path, axes[2:] if is_float else axes[1:3], config),
        dimension=_length(path, embedding, config),
        one_by_one=1 in (axes[0], *(embedding.shape or ())[:1]),
    )


def _image(path: Path, inputs: Sequence[Tensor]) -> tuple[Tensor, tuple[int | str | None, ...]]:
    """The one input and its four axes, if it is one for images."""
    if len(inputs) != 1:
        listed = "; ".join(map(str, inputs)) or "none"
        raise ModelFileError(
            f"{path} should have one input, for images, and has {len(inputs)} ({listed})."
        )
    image = inputs[0]
    axes = image.shape or ()
    if len(axes) != 4 or not _holds_colours(image.type, axes):
        raise ModelFileError(
            f"{path} takes {image}, which is not understood. Export it with {_ACCEPTED}."
        )
    if isinstance(axes[0], int) and axes[0] != 1:
        raise ModelFileError(
            f"{path} takes {axes[0]} images at a time, no more and no fewer ({image}). "
            "Export it with an open number of images, or with 1."
        )
    return image, axes


def _holds_colours(kind: str, axes: tuple[int | str | None, ...]) -> bool:
    """Whether the axis that should be the three colours can be that; an open size can."""
    if kind == "uint8":
        return axes[3] == 3 or (_is_open(axes[3]) and axes[1] != 3)
    if kind == "float32":
        return axes[1] == 3 or (_is_open(axes[1]) and axes[3] != 3)
    return False


def _is_open(size: int | str | None) -> bool:
    return not isinstance(size, int)


def _size(path: Path, stated: Sequence[int | str | None], config: ModelConfig) -> tuple[int, int]:
    """Height and width, from the file where it says them, else from the config."""
    said = config.input_size or (None, None)
    sizes = []
    for name, own, beside in zip(("height", "width"), stated, said, strict=True):
        if isinstance(own, int) and beside is not None and own != beside:
            raise ModelFileError(
                f"{path} takes images with a {name} of {own} pixels, but {config_path(path)} "
                f"says {beside}. Correct its input_size."
            )
        size = own if isinstance(own, int) else beside
        if size is None:
            raise ModelFileError(
                f"{path} takes images of any size. Put the size that it works best with into "
                f'{config_path(path)}, for example: {{"input_size": [3, 224, 224]}}'
            )
        if size > _LARGEST_SIDE:
            raise ModelFileError(
                f"{path} wants images with a {name} of {size} pixels; "
                f"at most {_LARGEST_SIDE} are possible."
            )
        sizes.append(size)
    return sizes[0], sizes[1]


def _embedding(path: Path, outputs: Sequence[Tensor], config: ModelConfig) -> Tensor:
    """The output that the config names, or the only one that can be an embedding."""
    listed = "; ".join(map(str, outputs)) or "none"
    if config.output is not None:
        named = [output for output in outputs if output.name == config.output]
        if not named:
            raise ModelFileError(
                f'{path} has no output "{config.output}", which {config_path(path)} names. '
                f"Its outputs: {listed}."
            )
        outputs = named
    usable = [output for output in outputs if _may_be_vector(output)]
    if not usable:
        raise ModelFileError(
            f"{path} does not give one vector per image, float32 [N, D]. It gives {listed}. "
            "Export it up to its pooled activations, without what comes after."
        )
    if len(usable) > 1:
        raise ModelFileError(
            f"{path} has more than one output that could be the embedding: {listed}. "
            f'Name one in {config_path(path)}, for example: {{"output": "{usable[0].name}"}}'
        )
    return usable[0]


def _may_be_vector(output: Tensor) -> bool:
    """Whether it is one vector per image, as far as its shape says: [N, D], [N, D, 1, 1]..."""
    if output.type not in _FLOATS:
        return False
    if output.shape is None:
        return True
    first, *rest = output.shape or (None,)
    long = [size for size in rest if isinstance(size, int) and size != 1]
    return bool(rest) and len(long) <= 1 and (first == 1 or _is_open(first))


def _length(path: Path, output: Tensor, config: ModelConfig) -> int:
    """The embedding's length, from the file where it says it, else from the config."""
    sizes = (output.shape or ())[1:]
    known = [size for size in sizes if isinstance(size, int)]
    if sizes and len(known) == len(sizes):
        return math.prod(known)
    if config.dimension is None:
        raise ModelFileError(
            f"{path} does not say how long its embeddings are ({output}). Put their length into "
            f'{config_path(path)}, for example: {{"num_features": 512}}'
        )
    return config.dimension
