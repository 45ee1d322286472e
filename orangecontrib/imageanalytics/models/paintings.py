"""A batch of the user's paintings, from which the network Painters takes its statistics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import FileTask
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import ModelFileError, Skipped
from orangecontrib.imageanalytics.sources.folders import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Paintings of a batch; its statistics are computed at once, in 20 MB of memory for each of them.
MOST = 48


@dataclass(frozen=True, slots=True)
class _Pixels:
    """The job that gives an image's pixels as they are fitted."""

    fit: Squash

    def prepare(self) -> None:
        """Nothing has to be loaded."""

    def __call__(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        return pixels


def save_batch(folder: Path, size: tuple[int, int], destination: Path) -> None:
    """Decode paintings of a folder, in isolated processes, into one array.

    Parameters
    ----------
    folder : Path
        Of images, and of folders of them; if there are more than `MOST`, some from all over it.
    size : tuple of int
        Height and width that they are squashed to.
    destination : Path
        The file to write, uint8 [N, height, width, 3] RGB as NumPy's .npy.

    Raises
    ------
    ModelFileError
        If the folder holds no images.
    WorkerError
        If the isolated processes cannot be started.
    """
    paths = list(walk(folder))
    step = max(1, len(paths) // MOST)
    engine = Engine(_Pixels(Squash(*size)))
    try:
        futures = [engine.submit(FileTask(path)) for path in paths[::step][:MOST]]
        found = [future.result().payload for future in futures]
    finally:
        engine.close()
    batch = [pixels for pixels in found if not isinstance(pixels, Skipped)]
    if not batch:
        raise ModelFileError(f"There are no images in the folder {folder}. Name one of paintings.")
    np.save(destination, np.stack(batch))
