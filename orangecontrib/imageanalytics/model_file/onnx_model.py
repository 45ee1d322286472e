"""An ONNX file as a function: a batch of uint8 RGB images to a batch of float32 embeddings.

This is what the worker processes run. onnxruntime is imported when a model is loaded, not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.model_file.config import config_path, read_config
from orangecontrib.imageanalytics.model_file.files import FileState, ModelFiles
from orangecontrib.imageanalytics.model_file.interface import find_interface
from orangecontrib.imageanalytics.model_file.session import check_provider, open_session, reason
from orangecontrib.imageanalytics.model_file.weights import WEIGHTS
from orangecontrib.imageanalytics.outcome import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model to be loaded, in the very version that its embeddings are filed under.

    Small and picklable: it goes to the processes that compute, on this or another computer.

    Attributes
    ----------
    path : Path
        The ONNX file.
    provider : str
        What computes: a key of `model_file.session.PROVIDERS`.
    fingerprint : str
        Of the weights and the config; see `ModelFiles.fingerprint`.
    state : tuple
        Sizes and times of the files when the fingerprint was taken.
    """

    path: Path
    provider: str
    fingerprint: str
    state: tuple[FileState, ...]

    @classmethod
    def of(cls, path: Path | str, provider: str = "cpu") -> ModelSpec:
        """Take the fingerprint of a file; onnxruntime is not needed for it.

        Raises
        ------
        ModelFileError
            If the file is missing or broken.
        WorkerError
            If there is no such provider.
        """
        check_provider(provider)
        files = ModelFiles.of(Path(path))
        state = files.state
        return cls(files.path, provider, files.fingerprint(), state)

    def load(self) -> OnnxModel:
        """Load the model, in the process that is to compute.

        Raises
        ------
        ModelFileError
            If it cannot be loaded, or has been changed since the fingerprint was taken: the
            vectors would be filed under another version's name.
        WorkerError
            If the provider does not start.
        """
        path = self.path
        if path.parent.name == WEIGHTS.name and not path.exists():
            path = WEIGHTS / path.name  # on a cluster the package may be installed elsewhere
        model = OnnxModel(path, provider=self.provider)
        files = ModelFiles.of(path)
        if files.state != self.state and files.fingerprint() != self.fingerprint:
            raise ModelFileError(f"{path} has been changed in the meantime. Start once more.")
        return model


class OnnxModel:
    """A network that has been loaded and is ready to compute.

    Parameters
    ----------
    path : Path or str
        The ONNX file; weights in files beside it and a config of the same name are found there.
    provider : str
        What computes: a key of `model_file.session.PROVIDERS`.

    Attributes
    ----------
    input_size : tuple of int
        Height and width in pixels of the images that it takes.
    dimension : int
        Length of an embedding.

    Raises
    ------
    ModelFileError
        If the file cannot be loaded or is not one that gives a vector per image.
    WorkerError
        If the provider is not there or does not start. None other computes in its place.
    """

    def __init__(self, path: Path | str, *, provider: str = "cpu") -> None:
        files = ModelFiles.of(Path(path))
        self._path = files.path
        self._config = read_config(config_path(files.path))
        self._interface = find_interface(files.path, files.content, self._config)
        self._session = open_session(files.path, provider)
        self.input_size = self._interface.size
        self.dimension = self._interface.dimension

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute embeddings.

        Parameters
        ----------
        images : ndarray of shape (N, H, W, 3), uint8
            RGB, of the size that `input_size` says.

        Returns
        -------
        ndarray of shape (N, D), float32
            An embedding per image, in the same order.

        Raises
        ------
        ModelFileError
            If the network fails, or gives anything else than D finite numbers for each image:
            the fault is the model's, and other images' numbers would be no better.
        """
        if images.dtype != np.uint8 or images.shape[1:] != (*self.input_size, 3):
            height, width = self.input_size
            raise ValueError(f"expected uint8 [N, {height}, {width}, 3], not {images.shape}")
        batches = np.split(images, len(images)) if self._interface.one_by_one else [images]
        vectors = [self._vectors(batch) for batch in batches if len(batch)]
        if not vectors:
            return np.empty((0, self.dimension), np.float32)
        found = np.concatenate(vectors)
        if found.shape[1] != self.dimension:
            raise ModelFileError(
                f"{self._path} gives {found.shape[1]} numbers for an image where it is said "
                f"to give {self.dimension}."
            )
        if not np.isfinite(found).all():
            raise ModelFileError(
                f"{self._path} gives infinity or no number at all (NaN) for an image. Check its "
                f"mean and std in {config_path(self._path).name}, and export it with float32."
            )
        return found

    def _vectors(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network makes of a batch, as one row per image."""
        try:
            (found,) = self._session.run(
                [self._interface.output], {self._interface.input: self._prepared(images)}
            )
        except Exception as error:
            raise ModelFileError(
                f"{self._path} fails on an image: {reason(error)}. Export it once more."
            ) from error
        if found.ndim < 2 or len(found) != len(images) or found[0].size not in found.shape[1:]:
            shape = ", ".join(map(str, found.shape))
            raise ModelFileError(
                f"{self._path} does not give one vector per image: for {len(images)} of them it "
                f"gives [{shape}]. Export it up to its pooled activations."
            )
        with np.errstate(over="ignore"):
            return found.reshape(len(images), -1).astype(np.float32, copy=False)

    def _prepared(self, images: NDArray[np.uint8]) -> NDArray[np.uint8] | NDArray[np.float32]:
        """The network's input: pixels as they are, or as the config says."""
        config = self._config
        if config.bgr:
            images = np.ascontiguousarray(images[..., ::-1])
        if not self._interface.is_float:
            return images
        pixels = images.astype(np.float32) * np.float32(config.input_range / 255)
        pixels -= np.array(config.mean, np.float32)
        pixels /= np.array(config.std, np.float32)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
