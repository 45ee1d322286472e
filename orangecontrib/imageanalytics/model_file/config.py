"""The small JSON file beside a model of the user's own: what the ONNX file itself cannot say.

Its words are those of timm's pretrained configs, so such a config can be used as it is:

    {
      "title": "My ResNet",
      "input_size": [3, 224, 224],
      "mean": [0.485, 0.456, 0.406],
      "std": [0.229, 0.224, 0.225]
    }

A network that takes `float32 [N, 3, H, W]` gets `(x - mean) / std`, where x are the pixels from
0 to 1. Images are squashed to the network's size whatever `crop_pct` says, as for all models.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orangecontrib.imageanalytics.outcome import ModelFileError

#: The words that numbers depend on. Beside them and the texts, all in a config is passed over.
_WORDS = ("input_size", "input_space", "input_range", "mean", "std", "output")

_LARGEST = 2**20  # bytes; a config has some hundred

EXAMPLE = (
    '{"input_size": [3, 224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
)

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What is said beside the ONNX file; None and empty where nothing is.

    Attributes
    ----------
    title, description, licence, citation, trained_on : str
        For people.
    dimension : int, optional
        Length of an embedding (`num_features`).
    input_size : tuple of int, optional
        Height and width in pixels (the last two of `input_size`).
    bgr : bool
        Whether the network wants blue first (`input_space` is "BGR").
    input_range : float
        The value that white has before `mean` is subtracted: 1 or 255 (the end of `input_range`).
    mean, std : tuple of three float, optional
        In the order of the network's channels.
    output : str, optional
        The name of the output that is the embedding.
    """

    title: str = ""
    description: str = ""
    licence: str = ""
    citation: str = ""
    trained_on: str = ""
    dimension: int | None = None
    input_size: tuple[int, int] | None = None
    bgr: bool = False
    input_range: float = 1.0
    mean: Triple | None = None
    std: Triple | None = None
    output: str | None = None

    @property
    def numbers(self) -> str:
        """All that changes an embedding, as a text to tell two configs apart by."""
        parts = self.input_size, self.bgr, self.input_range, self.mean, self.std, self.output
        return repr(parts)


def config_path(model: Path) -> Path:
    """Where the config of an ONNX file is looked for: `my-model.json` beside `my-model.onnx`."""
    return model.with_suffix(".json")


def read_config(path: Path) -> ModelConfig:
    """Read a config.

    Parameters
    ----------
    path : Path
        The JSON file. If there is none, nothing is said: an empty config.

    Raises
    ------
    ModelFileError
        If the file cannot be read or understood; the text says where and why.
    """
    try:
        if path.exists() and not path.is_file():
            raise ModelFileError(f"{path} should be a file of JSON, and is something else.")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return ModelConfig()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > _LARGEST:
        raise ModelFileError(f"{path} is larger than a model's config can be (1 MB).")
    try:
        said = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not valid JSON: {error}.") from error
    return _Said(path, said).config()


class _Said:
    """What a JSON file says, taken word by word."""

    def __init__(self, path: Path, said: Any) -> None:
        self._path = path
        if not isinstance(said, dict):
            raise ModelFileError(f'{path} should hold one JSON object: {{"title": ..., ...}}.')
        # Hugging Face's config.json has timm's config inside, under this name.
        inner = said.get("pretrained_cfg")
        self._said = said | inner if isinstance(inner, dict) else said
        self._find_misspelt()

    def config(self) -> ModelConfig:
        mean, std = self._triple("mean"), self._triple("std")
        if (mean is None) != (std is None):
            raise self._wrong("mean", "and std belong together, and only one of them is there")
        if std is not None and min(std) <= 0:
            raise self._wrong("std", "must be above zero")
        white = self._white()
        if mean is not None and white == 1.0 and max(mean) > 1:
            raise self._wrong(
                "mean", 'is above 1. If it is of pixels from 0 to 255, add "input_range": [0, 255]'
            )
        return ModelConfig(
            title=self._text("title") or self._text("architecture"),
            description=self._text("description"),
            licence=self._text("licence") or self._text("license"),
            citation=self._text("citation"),
            trained_on=self._text("trained_on"),
            dimension=self._dimension(),
            input_size=self._size(),
            bgr=self._bgr(),
            input_range=white,
            mean=mean,
            std=std,
            output=self._text("output") or None,
        )

    def _find_misspelt(self) -> None:
        """Refuse "means" for "mean": to pass it over would make wrong numbers."""
        for word in self._said:
            close = difflib.get_close_matches(word.lower(), _WORDS, n=1, cutoff=0.85)
            if word not in _WORDS and close:
                raise ModelFileError(f'{self._path} says "{word}". Did you mean "{close[0]}"?')

    def _wrong(self, word: str, fault: str) -> ModelFileError:
        return ModelFileError(f'{self._path}: "{word}" {fault}. For example: {EXAMPLE}')

    def _text(self, word: str) -> str:
        value = self._said.get(word)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(word, "must be a text")
        return " ".join(value.split())

    def _triple(self, word: str) -> Triple | None:
        value = self._said.get(word)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 3 or not all(map(_is_number, value)):
            raise self._wrong(word, "must be three numbers, one for each colour")
        first, second, third = map(float, value)
        return first, second, third

    def _size(self) -> tuple[int, int] | None:
        value = self._said.get("input_size")
        if value is None:
            return None
        sizes = [value, value] if _is_count(value) else value
        if not isinstance(sizes, list) or not all(map(_is_count, sizes)):
            raise self._wrong("input_size", "must be [3, height, width]")
        if len(sizes) == 3 and sizes[0] != 3:
            raise self._wrong("input_size", "must begin with 3: images have three colours")
        if len(sizes) not in (2, 3):
            raise self._wrong("input_size", "must be [3, height, width]")
        return sizes[-2], sizes[-1]

    def _bgr(self) -> bool:
        order = self._text("input_space").upper() or "RGB"
        if order not in ("RGB", "BGR"):
            raise self._wrong("input_space", 'must be "RGB" or "BGR"')
        return order == "BGR"

    def _white(self) -> float:
        value = self._said.get("input_range")
        if value is None or value == [0, 1]:
            return 1.0
        if value != [0, 255]:
            raise self._wrong("input_range", "must be [0, 1] or [0, 255]")
        return 255.0

    def _dimension(self) -> int | None:
        value = self._said.get("num_features")
        if value is not None and not _is_count(value):
            raise self._wrong("num_features", "must be the length of an embedding")
        return value


def _is_number(value: object) -> bool:
    """Whether it is one that a network can compute with: no truth value, infinity or 10**400."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
