"""The side for words of a model that knows pictures and words: texts to vectors.

It runs in an isolated process, as all of onnxruntime does; see `text_embedder`.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.model_file.session import open_session, reason
from orangecontrib.imageanalytics.outcome import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Tokens of a text, at most, the first and the last included: those beyond are cut off.
#: A. Radford et al. (2021), Learning transferable visual models from natural language supervision.
LONGEST = 77
#: CLIP's token that ends a text, which also fills shorter ones up.
_END = "<|endoftext|>"
#: Texts that are computed at once.
_BATCH = 32


@dataclass(frozen=True, slots=True)
class TextSpec:
    """A network for texts and its tokeniser: small and picklable, for the process that computes.

    Attributes
    ----------
    network : Path
        An ONNX file: `int64 [N, tokens]` in (and which of them are a text's), `float32 [N, D]` out.
    tokenizer : Path
        A `tokenizer.json` of the `tokenizers` library.
    state : tuple of int
        Sizes and times of both, so that files that are replaced are loaded again.
    """

    network: Path
    tokenizer: Path
    state: tuple[int, ...]

    @classmethod
    def of(cls, network: Path, tokenizer: Path) -> TextSpec:
        """Look at the files.

        Raises
        ------
        ModelFileError
            If one is not there.
        """
        try:
            stats = [path.stat() for path in (network, tokenizer)]
        except OSError as error:
            raise ModelFileError(
                f"The file {error.filename}, by which the model understands words, cannot be read: "
                f"{error.strerror}. Download the model once more."
            ) from error
        return cls(network, tokenizer, tuple(n for s in stats for n in (s.st_size, s.st_mtime_ns)))

    def prepare(self) -> None:
        """Load both, in the process that is to compute."""
        _loaded(self)


def embed(spec: TextSpec, texts: list[str]) -> NDArray[np.float32]:
    """Compute the vectors of texts.

    Returns
    -------
    ndarray of shape (N, D), float32

    Raises
    ------
    ModelFileError
        If one of the files cannot be used.
    """
    return _loaded(spec)(texts)


@lru_cache(maxsize=1)
def _loaded(spec: TextSpec) -> TextModel:
    return TextModel(spec.network, spec.tokenizer)


class TextModel:
    """A network for texts that has been loaded, and its tokeniser.

    Parameters
    ----------
    network, tokenizer : Path
        See `TextSpec`.

    Raises
    ------
    ModelFileError
        If one cannot be loaded, or is not what it should be.
    """

    def __init__(self, network: Path, tokenizer: Path) -> None:
        self._path = network
        self._tokens = Tokens(tokenizer)
        self._session = open_session(network, "cpu")
        inputs = [given.name for given in self._session.get_inputs()]
        masks = [name for name in inputs if "mask" in name]
        self._ids = next((name for name in inputs if name not in masks), "")
        self._mask = masks[0] if masks else None
        if not self._ids or len(inputs) > 2:
            raise ModelFileError(
                f"{network} takes {', '.join(inputs) or 'nothing'}, not the tokens of texts. "
                "Download the model once more."
            )

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        """Compute the vectors, float32 of shape (N, D), of texts."""
        batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
        return np.concatenate([self._vectors(batch) for batch in batches])

    def _vectors(self, texts: list[str]) -> NDArray[np.float32]:
        rows = [self._tokens(text) for text in texts]
        length = max(map(len, rows))
        ids = np.array([row + [self._tokens.end] * (length - len(row)) for row in rows], np.int64)
        given = {self._ids: ids}
        if self._mask is not None:
            sizes = np.array([[len(row)] for row in rows])
            given[self._mask] = (np.arange(length) < sizes).astype(np.int64)
        try:
            (found, *_) = self._session.run(None, given)
        except Exception as error:
            raise ModelFileError(f"{self._path} fails on a text: {reason(error)}.") from error
        if found.ndim != 2 or len(found) != len(texts) or not np.isfinite(found).all():
            raise ModelFileError(f"{self._path} does not give a vector of numbers for each text.")
        vectors: NDArray[np.float32] = found.astype(np.float32, copy=False)
        return vectors


class Tokens:
    """CLIP's tokeniser: texts to numbers, as the program did that CLIP was trained with.

    Parameters
    ----------
    path : Path
        A `tokenizer.json`.
    """

    def __init__(self, path: Path) -> None:
        import tokenizers

        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more special
            raise ModelFileError(
                f"{path} is no tokeniser ({error}). Download the model once more."
            ) from error
        end = self._tokenizer.token_to_id(_END)
        if end is None:
            raise ModelFileError(f"{path} is not the tokeniser of a CLIP: it has no {_END}.")
        self.end: int = end
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def __call__(self, text: str) -> list[int]:
        """Give a text's tokens, from 2 to `LONGEST`."""
        ids: list[int] = self._tokenizer.encode(_cleaned(text)).ids
        return ids


def _cleaned(text: str) -> str:
    """Mend a text as CLIP's own program does (`basic_clean` of its simple_tokenizer.py)."""
    import ftfy

    return html.unescape(html.unescape(ftfy.fix_text(text)))
