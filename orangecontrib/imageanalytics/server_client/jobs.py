"""What worker processes make of an image for a server: nothing here imports Orange, Qt or httpx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.decoding.fit import Squash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class JpegJob:
    """What the isolated process does for a server: pixels to JPEG.

    Attributes
    ----------
    fit : Squash
        The model's size.
    """

    fit: Squash

    def prepare(self) -> None:
        """Encode once, so that Pillow's codecs are loaded before the first image comes."""
        import numpy as np

        self(np.zeros((8, 8, 3), np.uint8))

    def __call__(self, image: NDArray[np.uint8]) -> bytes:
        """Encode pixels, uint8 [H, W, 3]."""
        from orangecontrib.imageanalytics.decoding import pixels

        return pixels.encode_jpeg(image)


@dataclass(frozen=True)
class PixelsJob:
    """What the isolated process does for such a server: pixels as they are, row by row.

    Attributes
    ----------
    fit : Squash
        The model's size.
    """

    fit: Squash

    def prepare(self) -> None:
        """Nothing has to be loaded."""

    def __call__(self, image: NDArray[np.uint8]) -> bytes:
        """Give pixels, uint8 [H, W, 3] RGB, as bytes."""
        return image.tobytes()
