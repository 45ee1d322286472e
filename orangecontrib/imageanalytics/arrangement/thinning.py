"""Points of a plane to places on a map, thinned so that what is seen at a scale does not overlap.

Places are put into an order in which each is as far as can be from all before it (farthest first
traversal; Gonzalez, 1985, Clustering to minimize the maximum intercluster distance, TCS 38). So at
any scale the first ones are seen, as many as have room: no two of them overlap, there is no room
for another one, and what is seen stays so when the scale grows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.arrangement.plane import Tick

#: Places across the longer side: points nearer than that are moved apart, so that a map need not
#: be larger than a screen can scroll through for all to be seen.
LATTICE = 8192
_BETWEEN_TICKS = 256


@dataclass(frozen=True, slots=True)
class Places:
    """Where pictures are on a map, and in which order they come into sight.

    Attributes
    ----------
    points : ndarray of shape (N, 2), float64
        x and y from 0 on; the longer side is 1, or 0 if all points are one. No two are the same.
    order : ndarray of shape (N,), intp
        Points as they come into sight while the scale grows.
    apart : ndarray of shape (N,), float64
        How far each of these is from all before it, the larger of its distances in x and y; it
        never grows. That of the first is infinite.
    """

    points: NDArray[np.float64]
    order: NDArray[np.intp]
    apart: NDArray[np.float64]


def thin(points: NDArray[np.floating], tick: Tick = lambda done: None) -> Places:
    """Give points places of their own, and the order in which they come into sight.

    Parameters
    ----------
    points : ndarray of shape (N, 2)
        Finite numbers; both axes have the same unit.
    tick : callable
        Called with the share that is done; what it raises ends the work.

    Returns
    -------
    Places
        The same for the same points.
    """
    if len(points) == 0:
        return Places(np.zeros((0, 2)), np.empty(0, np.intp), np.empty(0))
    low = points.min(axis=0)
    span = float((points.max(axis=0) - low).max())
    scaled = (points - low) / (span if span > 0 else 1.0)
    lattice = _each_its_own(np.rint(scaled * LATTICE).astype(np.int64))
    lattice -= lattice.min(axis=0)
    order, apart = _farthest_first(lattice.astype(np.int32), tick)
    longest = max(1, int(lattice.max()))
    return Places(lattice / longest, order, apart / longest)


def _each_its_own(lattice: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move all but the first of the points that share a place to the nearest free ones."""
    free = lattice.copy()
    _, first = np.unique(lattice, axis=0, return_index=True)
    taken = set(map(tuple, lattice[first].tolist()))
    crowded = np.ones(len(lattice), bool)
    crowded[first] = False
    ways: dict[tuple[int, int], Iterator[tuple[int, int]]] = {}
    for number in np.flatnonzero(crowded).tolist():
        x, y = lattice[number].tolist()
        way = ways.setdefault((x, y), _rings())
        place = next((x + dx, y + dy) for dx, dy in way if (x + dx, y + dy) not in taken)
        taken.add(place)
        free[number] = place
    return free


def _rings() -> Iterator[tuple[int, int]]:
    """Go round a place in squares that grow."""
    radius = 0
    while True:
        radius += 1
        for step in range(-radius, radius):
            yield from (
                (step, -radius), (radius, step), (-step, radius), (-radius, -step),
            )  # fmt: skip


def _farthest_first(
    lattice: NDArray[np.int32], tick: Tick
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Begin in the middle, and go on with what is farthest from all that were there before."""
    x, y = np.ascontiguousarray(lattice[:, 0]), np.ascontiguousarray(lattice[:, 1])
    count = len(x)
    nearest = np.full(count, np.iinfo(np.int32).max, np.int32)
    across, down = np.empty_like(x), np.empty_like(y)
    order, apart = np.empty(count, np.intp), np.empty(count)
    chosen = int((np.abs(x - x.max() // 2) + np.abs(y - y.max() // 2)).argmin())
    for rank in range(count):
        if rank % _BETWEEN_TICKS == 0:
            tick(rank / count)
        order[rank] = chosen
        apart[rank] = nearest[chosen] if rank else math.inf
        np.abs(np.subtract(x, x[chosen], out=across), out=across)
        np.abs(np.subtract(y, y[chosen], out=down), out=down)
        np.minimum(nearest, np.maximum(across, down, out=across), out=nearest)
        chosen = int(nearest.argmax())
    tick(1.0)
    return order, apart
