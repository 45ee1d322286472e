"""What an embedder is: an image goes in as a `Task`, and comes out as a `Result`.

`LocalEmbedder` computes here or on a cluster, `ServerEmbedder` lets a server compute. The pipeline,
the facade and the self-hosted server know nothing of either but what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BytesTask", "FileTask", "PixelsTask", "Result", "Task"]


@dataclass(frozen=True, slots=True)
class FileTask:
    """An image in a file.

    Attributes
    ----------
    path : str
        Of a local file, which whoever computes reads.
    """

    path: str


@dataclass(frozen=True, slots=True)
class BytesTask:
    """An image in memory, as it was encoded.

    Attributes
    ----------
    data : bytes
        The content of an image file.
    """

    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class PixelsTask:
    """An image that is decoded and fitted already.

    Attributes
    ----------
    pixels : ndarray of shape (H, W, 3), uint8
        RGB, of the size that the model takes.
    """

    pixels: NDArray[np.uint8]


Task = FileTask | BytesTask | PixelsTask


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a task.

    Attributes
    ----------
    payload : object or Skipped
        What was made of the image, or why nothing was.
    content : bytes, optional
        The hash of the very bytes that were decoded.
    size : int
        The number of these bytes.
    stat : os.stat_result, optional
        Of the file that was read, at the time of reading.
    """

    payload: Any
    content: bytes | None = None
    size: int = 0
    stat: os.stat_result | None = None
