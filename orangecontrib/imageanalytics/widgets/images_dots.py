"""Pictures that a map has no room for, as dots: an image made at once, without a call for each."""

from __future__ import annotations

import numpy as np
from AnyQt.QtCore import QRect, QSize
from AnyQt.QtGui import QImage
from numpy.typing import NDArray

#: Pixels across a dot.
DIAMETER = 5


def dots(
    middles: NDArray[np.int64], colours: NDArray[np.uint32], region: QRect, ratio: float = 1.0
) -> QImage:
    """Draw dots on a transparent ground.

    Parameters
    ----------
    middles : ndarray of shape (N, 2), int
        x and y of each.
    colours : ndarray of shape (N,), uint32
        As ARGB; where dots overlap, the last one is seen.
    region : QRect
        The part of the plane that the image shows.
    ratio : float
        Pixels of the image to one of the plane.

    Returns
    -------
    QImage
        With its device pixel ratio set.
    """
    diameter = max(1, round(DIAMETER * ratio))
    width, height = (max(1, round(side * ratio)) for side in _sides(region.size()))
    canvas = np.zeros((height + 2 * diameter, width + 2 * diameter), np.uint32)  # room at the edges
    corner = (region.left(), region.top())
    places = np.rint((middles - corner) * ratio).astype(np.int64) + (diameter - diameter // 2)
    inside = ((places >= 0) & (places <= (width + diameter, height + diameter))).all(axis=1)
    x, y = places[inside].T
    shown = colours[inside]
    for across, down in _disc(diameter):
        canvas[y + down, x + across] = shown
    pixels = np.ascontiguousarray(canvas[diameter:-diameter, diameter:-diameter])
    image = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32).copy()
    image.setDevicePixelRatio(ratio)
    return image


def _sides(size: QSize) -> tuple[int, int]:
    return size.width(), size.height()


def _disc(diameter: int) -> list[tuple[int, int]]:
    """The pixels of a disc."""
    middle = (diameter - 1) / 2
    return [
        (x, y)
        for x in range(diameter)
        for y in range(diameter)
        if (x - middle) ** 2 + (y - middle) ** 2 <= (diameter / 2) ** 2
    ]
