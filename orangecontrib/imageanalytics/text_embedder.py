"""TextEmbedder: words to vectors in the space of a model's pictures."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from concurrent.futures import TimeoutError as Late
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.models.catalogue import TEXT_NETWORK, TOKENIZER
from orangecontrib.imageanalytics.outcome import InputTypeError, UnknownModelError, WorkerError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.engine.pool import WorkerPool
    from orangecontrib.imageanalytics.model_file.text_model import TextSpec
    from orangecontrib.imageanalytics.models import Model

__all__ = ["DEFAULT", "TextEmbedder", "knows_words"]

#: The model used when none is named.
DEFAULT = "clip-vit-b-32"
#: Seconds between two calls of the callback.
_TICK = 0.05
#: Vectors of texts that are kept in memory.
_KEPT = 10_000


def knows_words(model: Model) -> bool:
    """Whether a model has a side for words, so that pictures are found with it by words."""
    if model.download is None:
        return False
    return {TEXT_NETWORK, TOKENIZER} <= {product.ending for product in model.download.products}


class TextEmbedder:
    """Turns words into vectors that can be compared with those of pictures.

    The process that computes starts with the first text, is kept from call to call, and ends with
    `close`, with the ``with`` block, or with the program. A text is computed once.

    Parameters
    ----------
    model : str
        Id of a model that knows pictures and words.
    models_folder : path, optional
        Where models that were downloaded are; see `models.default_folder`.
    download : bool
        Whether the model is fetched now if it is not there.

    Raises
    ------
    UnknownModelError
        A ValueError: there is no such model, or it does not know words.
    MissingModelError
        It has to be downloaded first; the text says how.

    Examples
    --------
    ::

        from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
        from orangecontrib.imageanalytics.text_embedder import TextEmbedder

        with TextEmbedder("clip-vit-b-32") as words, ImageEmbedder("clip-vit-b-32") as pictures:
            word, = words(["a photo of a lemon"])
            picture, = pictures(["lemon.png"])
        cosine = word @ picture / np.linalg.norm(word) / np.linalg.norm(picture)
    """

    def __init__(
        self,
        model: str = DEFAULT,
        *,
        models_folder: str | os.PathLike[str] | None = None,
        download: bool = False,
    ) -> None:
        known = models.get(model, models_folder)
        if not knows_words(known):
            able = [m.id for m in models.of_catalogue(models_folder).values() if knows_words(m)]
            raise UnknownModelError(
                f"{known.title} knows no words. Models that do: {', '.join(able)}."
            )
        self._model = models.require(model, models_folder, download=download)
        self.model = model
        self.dimension = self._model.dimension
        self._pool: WorkerPool | None = None
        self._known: dict[str, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> TextEmbedder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TextEmbedder({self.model!r})"

    def __call__(
        self, texts: Sequence[str], callback: Callable[[], object] | None = None
    ) -> NDArray[np.float32]:
        """Embed texts.

        Parameters
        ----------
        texts : sequence of N str
            Of each, CLIP reads the first 77 tokens, which are some 50 English words.
        callback : callable, optional
            Called twenty times a second; what it raises ends the waiting and comes out unchanged.
            The process is kept, as loading a model takes longer than a text.

        Returns
        -------
        ndarray of shape (N, D), float32
            D is the model's dimension, as for pictures.

        Raises
        ------
        InputTypeError
            A TypeError: it is one text, or not all of them are.
        ModelFileError
            If the model's files cannot be used.
        WorkerError
            If the process that computes cannot be started, or ends.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InputTypeError("Texts are given as a list of texts; a single one as [text].")
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        fresh: dict[str, NDArray[np.float32]] = {}
        if missing:
            fresh = dict(zip(missing, self._computed(missing, callback), strict=True))
        found = np.empty((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            found[row] = fresh[text] if text in fresh else self._known[text]
        if len(self._known) + len(fresh) > _KEPT:
            self._known = {}
        self._known.update(fresh)
        return found

    def close(self) -> None:
        """End the process that computes, whatever it is at; the next call would start it anew."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.end()

    def _computed(
        self, texts: list[str], callback: Callable[[], object] | None
    ) -> NDArray[np.float32]:
        from orangecontrib.imageanalytics.model_file import text_model

        spec = self._files()
        pool = self._started(spec)
        try:
            computing = pool.call(text_model.embed, spec, texts)
            while True:
                try:
                    vectors: NDArray[np.float32] = computing.result(timeout=_TICK)
                    return vectors
                except Late:
                    if callback is not None:
                        callback()
        except (BrokenExecutor, CancelledError) as error:
            self.close()
            raise WorkerError(
                "The process that computes the vectors of words has ended. There may be too "
                "little memory for the model; close other programs and try again."
            ) from error

    def _files(self) -> TextSpec:
        from orangecontrib.imageanalytics.model_file.text_model import TextSpec

        assert self._model.weights is not None
        stem = self._model.weights.with_suffix("")
        return TextSpec.of(*(Path(f"{stem}{ending}") for ending in (TEXT_NETWORK, TOKENIZER)))

    def _started(self, spec: TextSpec) -> WorkerPool:
        from orangecontrib.imageanalytics.engine.pool import WorkerPool

        with self._lock:
            if self._pool is None:
                self._pool = WorkerPool(1, self)
                self._pool.start(spec)
            return self._pool
