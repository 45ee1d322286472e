"""How a decoded picture is fitted: squashed to a model's size, or within a square for people."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEPTHS", "Fit", "Squash", "Within"]

#: The depths above 8 bits that cameras and microscopes have.
DEPTHS = (10, 12, 14, 16)


@dataclass(frozen=True, slots=True)
class Squash:
    """Squashed to a model's size, on white: uint8 [height, width, 3] RGB.

    Attributes
    ----------
    height, width : int
        Of the result, in pixels.
    depth : int, optional
        The number of bits that pictures with more than 8 bits per channel were recorded with, if
        that is said; else it is told of each picture by itself (see `contrast.to_float`).
    """

    height: int
    width: int
    depth: int | None = None

    #: A JPEG is decoded at the smallest scale that leaves it this multiple of the result.
    jpeg_gap = 1.5
    #: Whether transparency is kept.
    keeps_alpha = False

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Give the height and width of the result, whatever those of the upright picture are."""
        return self.height, self.width


@dataclass(frozen=True, slots=True)
class Within:
    """Scaled down until it fits into a square, with its aspect ratio: for people.

    The result is uint8 [h, w, 3] RGB, or [h, w, 4] RGBA (colours not premultiplied) of a picture
    of which a part is transparent. What is smaller than the square is not enlarged.

    Attributes
    ----------
    pixels : int
        The square's side, in pixels.
    """

    pixels: int

    jpeg_gap = Squash.jpeg_gap
    keeps_alpha = True
    depth = None

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Give the height and width, in pixels, of what is made of a picture of this size."""
        longer = max(height, width)
        if longer <= self.pixels:
            return height, width
        scale = self.pixels / longer
        return max(1, round(height * scale)), max(1, round(width * scale))


Fit = Squash | Within
