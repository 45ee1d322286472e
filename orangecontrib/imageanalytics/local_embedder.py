"""LocalEmbedder: images to vectors on this computer (or a cluster), through the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import decoding
from orangecontrib.imageanalytics.engine import Engine, machine
from orangecontrib.imageanalytics.model_file.onnx_model import ModelSpec, OnnxModel

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    import numpy as np
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.decoding.fit import Squash
    from orangecontrib.imageanalytics.embedder import Job, Result, Task
    from orangecontrib.imageanalytics.models import Model


@dataclass(frozen=True, slots=True)
class OnnxJob:
    """Computes an image's embedding with a model, in the version that it was specified in."""

    spec: ModelSpec
    fit: Squash

    def prepare(self) -> None:
        """Load the model; a ModelFileError says what is wrong with it."""
        _loaded(self.spec)

    def __call__(self, image: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return the embedding, float32 of shape (D,), of an image, uint8 [H, W, 3] RGB."""
        vector: NDArray[np.float32] = _loaded(self.spec)(image[None])[0]
        return vector


@lru_cache(maxsize=1)
def _loaded(spec: ModelSpec) -> OnnxModel:
    return spec.load()


class JobEmbedder:
    """Makes a vector of each image with a job that runs on this computer.

    Parameters
    ----------
    job : Job
        Its payload is a vector.
    fingerprint : str
        What the vectors depend on besides the image.
    dimension : int
        Their length.
    executor, workers, shared_files : optional
        See `Engine`.
    """

    def __init__(
        self,
        job: Job,
        fingerprint: str,
        dimension: int,
        *,
        executor: Executor | None = None,
        workers: int | None = None,
        shared_files: bool | None = None,
    ) -> None:
        self.fingerprint = _with_pixels(fingerprint)
        self.dimension = dimension
        self._engine = Engine(job, executor=executor, workers=workers, shared_files=shared_files)

    @property
    def lost(self) -> None:
        """Nothing: an engine that cannot go on is an error."""
        return

    @property
    def capacity(self) -> int:
        """How many unfinished images keep all cores busy."""
        return self._engine.capacity

    def start(self) -> None:
        """Start the workers now, while something else is being prepared."""
        self._engine.start()

    def begin(self) -> None:
        """Begin a run; nothing of the last one is in its way."""

    def submit(self, task: Task) -> Future[Result]:
        """Embed an image; see `Engine.submit`."""
        return self._engine.submit(task)

    def close(self) -> None:
        """End the workers at once."""
        self._engine.close()


class LocalEmbedder(JobEmbedder):
    """Embeds images with a model that runs on this computer.

    Parameters
    ----------
    model : Model
        A local one.
    provider : str
        What computes: "cpu", or a kind of GPU that the installed onnxruntime offers.
    depth : int, optional
        See `Squash`.
    executor, workers, shared_files : optional
        See `Engine`. Without the first two, there are as many worker processes as cores, or as
        many as a large network finds memory for.

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
        depth: int | None = None,
        executor: Executor | None = None,
        workers: int | None = None,
        shared_files: bool | None = None,
    ) -> None:
        assert model.weights is not None
        spec = ModelSpec.of(model.weights, provider)
        job = OnnxJob(spec, replace(model.fit, depth=depth))
        if workers is None and executor is None:
            workers = _workers_for(spec)
        super().__init__(
            job,
            spec.fingerprint,
            model.dimension,
            executor=executor,
            workers=workers,
            shared_files=shared_files,
        )
        if depth is not None:
            self.fingerprint += f" depth:{depth}"
        if provider != "cpu":
            self.fingerprint += f" {provider}"


def local_job(model: Model) -> tuple[OnnxJob, str, int]:
    """Give what `LocalEmbedder` does, for whoever has an engine already.

    Returns
    -------
    OnnxJob, str, int
        The job, the fingerprint of its vectors, and how many processes find memory for it here.
    """
    assert model.weights is not None
    spec = ModelSpec.of(model.weights)
    return OnnxJob(spec, model.fit), _with_pixels(spec.fingerprint), _workers_for(spec)


def _with_pixels(fingerprint: str) -> str:
    return f"{fingerprint} pixels:{decoding.VERSION}"


#: The share of the machine's memory that the networks of all workers may take; half of it is for
#: decoding (`engine.memory`), and Orange and the system need the rest.
_SHARE = 0.3

#: What a network takes while it is loaded, in sizes of its file: VGG-16, of 537 MB, 1060 MB, and
#: 680 MB from then on.
_LOADING = 2


def _workers_for(spec: ModelSpec) -> int:
    import loky

    size = sum(file_size for _, file_size, *_ in spec.state)
    return workers_that_fit(size, machine.memory(), loky.cpu_count())


def workers_that_fit(size: int, memory: int, cores: int) -> int:
    """Tell how many processes may load a network at the same time.

    Parameters
    ----------
    size, memory : int
        Bytes of the network's files, and of the machine.
    cores : int
        More processes than that are of no use.
    """
    return max(1, min(cores, int(_SHARE * memory / (_LOADING * max(1, size)))))
