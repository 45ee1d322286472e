"""LocalEmbedder: images to vectors on this computer (or a cluster), through the engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import onnx_model, pixels
from orangecontrib.imageanalytics.engine import Engine, Result, Task

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.catalogue import Model


@dataclass(frozen=True, slots=True)
class OnnxJob:
    """Computes an image's embedding with the model of an ONNX file."""

    weights: Path
    size: tuple[int, int]
    provider: str

    def prepare(self) -> None:
        """Load the model; a ModelFileError says what is wrong with it."""
        _loaded(self)

    def __call__(self, image: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return the embedding, float32 of shape (D,), of an image, uint8 [H, W, 3] RGB."""
        vector: NDArray[np.float32] = _loaded(self)(image[None])[0]
        return vector


@lru_cache(maxsize=1)
def _loaded(job: OnnxJob) -> onnx_model.OnnxModel:
    return onnx_model.OnnxModel(job.weights, provider=job.provider)


class LocalEmbedder:
    """Embeds images with a model that runs on this computer.

    Parameters
    ----------
    model : Model
        A local one.
    provider : str
        What computes: "cpu", or a kind of GPU that the installed onnxruntime offers.
    executor, workers : optional
        See `Engine`.

    Attributes
    ----------
    fingerprint : str
        What the vectors depend on besides the image: the weights, the preprocessing and, where
        its numbers are not the CPU's, the provider.
    """

    def __init__(
        self,
        model: Model,
        *,
        provider: str = "cpu",
        executor: Executor | None = None,
        workers: int | None = None,
    ) -> None:
        assert model.weights is not None
        weights = onnx_model.fingerprint(model.weights)
        self.fingerprint = f"{weights} pixels:{pixels.VERSION}"
        if provider != "cpu":
            self.fingerprint += f" {provider}"
        self.dimension = model.dimension
        job = OnnxJob(model.weights, model.input_size, provider)
        self._engine = Engine(job, executor=executor, workers=workers)

    #: Nothing is ever lost half-way here, unlike with a server.
    lost: str | None = None

    @property
    def capacity(self) -> int:
        """How many unfinished images keep all cores busy."""
        return self._engine.capacity

    def start(self) -> None:
        """Start the workers now, while something else is being prepared."""
        self._engine.start()

    def begin(self) -> None:
        """Begin a new run; there is nothing to forget of the last one."""

    def submit(self, task: Task) -> Future[Result]:
        """Embed an image; see `Engine.submit`."""
        return self._engine.submit(task)

    def close(self) -> None:
        """End the workers at once."""
        self._engine.close()
