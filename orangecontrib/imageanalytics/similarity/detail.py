"""Whether two pictures that are alike in the large agree in detail, too.

Two pages of text, two plots with the same axes, or two windows of one program are the same picture
in 16 by 16 greys, or nearly. Here they are compared in 64 by 64, after one was moved onto the other
(by some per cent, as by cropping), block by block: what they differ by may not exceed what there is
of edges in both, as a small shift or a coarser scale leaves no more than that.

References: B. Lucas and T. Kanade (1981), An iterative image registration technique with an
application to stereo vision, IJCAI; from coarse to fine as in J. R. Bergen et al. (1992),
Hierarchical model-based motion estimation, ECCV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Greys = NDArray[np.float32]  # of shape (n, side, side)

#: Of a picture's greys, each way.
SIDE = 64
#: Numbers that `packed` makes.
DIMENSION = -(-(SIDE**2) // 3)
#: By which the difference in a block may exceed its edges, at most, and levels, of 255, that are
#: added to these, of pictures as they are. Of converted copies of photos, plots, windows, icons and
#: pages of text 97 % and more are below, other pages from ten times as much on, unless they are
#: nearly empty.
_AS_IT_IS, _NOISE = 0.5, 5.0
#: The same once one was moved onto the other,
_MOVED, _MOVED_NOISE = 1.1, 1.0
#: and the share of the difference that may remain then: what is not the same is not explained so.
_REMAINS = 0.35
#: Pixels of a picture's smaller side from which it is compared in 64 by 64, and in 32 by 32; what
#: is smaller has no detail that recompression leaves alone.
FINE, COARSE = 256, 128
_BLOCKS = 8
#: At the edge a picture that was moved is not known: cells, of `SIDE`.
_EDGE = 2
_AT_ONCE = 256


def packed(greys: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pack greys of shape (64, 64) into numbers that float32 holds exactly, three in each."""
    levels = np.zeros(3 * DIMENSION, np.float32)
    levels[: SIDE**2] = greys.ravel()
    numbers: NDArray[np.float32] = levels.reshape(-1, 3) @ np.array([65536, 256, 1], np.float32)
    return numbers


def unpacked(numbers: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Do the opposite for n pictures, uint8 of shape (n, 64, 64); zeros for missing numbers."""
    whole = np.nan_to_num(numbers).astype(np.uint32)
    levels = np.stack([whole >> 16, whole >> 8, whole], axis=2).astype(np.uint8)
    return levels.reshape(len(numbers), 3 * DIMENSION)[:, : SIDE**2].reshape(-1, SIDE, SIDE)


def agree(
    greys: NDArray[np.uint8],
    sides: NDArray[np.integer],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    check: Callable[[], object] = lambda: None,
) -> NDArray[np.bool_]:
    """Tell which pairs agree in detail.

    Parameters
    ----------
    greys : ndarray of shape (N, 64, 64), uint8
        The pictures.
    sides : ndarray of shape (N,), int
        How many pixels their smaller sides have; pairs with one of less than `COARSE` agree.
    first, second : ndarray of shape (n,), intp
        Pairs of pictures.
    check : callable
        Called now and then; what it raises comes out.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    found = np.ones(len(first), bool)
    smaller = np.minimum(sides[first], sides[second])
    for side, is_meant in (
        (SIDE, smaller >= FINE),
        (SIDE // 2, (smaller >= COARSE) & (smaller < FINE)),
    ):
        pairs = np.flatnonzero(is_meant)
        for start in range(0, len(pairs), _AT_ONCE):
            check()
            some = pairs[start : start + _AT_ONCE]
            one, other = (greys[ends[some]].astype(np.float32) for ends in (first, second))
            found[some] = difference(one, other, side) <= 1
    return found


def difference(one: Greys, other: Greys, side: int = SIDE) -> NDArray[np.float32]:
    """By which pictures differ in some block at most, in terms of its edges; as they are, or moved.

    Parameters
    ----------
    one, other : ndarray of shape (n, 64, 64), float32
        The pictures of each pair.
    side : int
        How finely they are compared as they are: what was moved is smoother anyway.

    Returns
    -------
    ndarray of shape (n,), float32
        Up to 1 for what agrees.
    """
    here, there = _averaged(one, side), _averaged(other, side)
    found = _in_blocks(here - there, here, there, _NOISE) / _AS_IT_IS
    far = np.flatnonzero(found > 1)
    if len(far):
        for here, there in ((one[far], other[far]), (other[far], one[far])):
            found[far] = np.minimum(found[far], _difference_if_moved(here, there))
    return found


def _difference_if_moved(one: Greys, other: Greys) -> NDArray[np.float32]:
    moved, inner = _moved_onto(one, other), _EDGE
    before, after = _less_contrast(one, other), _less_contrast(one, moved)
    for rest in (before, after):
        rest[:, :inner] = rest[:, -inner:] = rest[:, :, :inner] = rest[:, :, -inner:] = 0
    remains = np.square(after).sum(axis=(1, 2)) / (np.square(before).sum(axis=(1, 2)) + 1e-3)
    in_blocks = _in_blocks(after, one, moved, _MOVED_NOISE)
    return np.asarray(np.maximum(in_blocks / _MOVED, remains / _REMAINS), np.float32)


def _in_blocks(rest: Greys, one: Greys, other: Greys, noise: float) -> NDArray[np.float32]:
    rest = rest - np.median(rest, axis=(1, 2), keepdims=True)  # brightness does not count
    edges = np.minimum(_edges(one), _edges(other))
    difference = np.sqrt(_averaged(np.square(rest), _BLOCKS))
    return np.asarray((difference / (noise + edges)).max(axis=(1, 2)), np.float32)


def _edges(greys: Greys) -> Greys:
    down, across = np.gradient(greys, axis=(1, 2))
    return np.sqrt(_averaged(np.square(down) + np.square(across), _BLOCKS))


def _averaged(greys: Greys, side: int) -> Greys:
    count, size = len(greys), greys.shape[1] // side
    mean: Greys = greys.reshape(count, side, size, side, size).mean(axis=(2, 4))
    return mean


def _moved_onto(one: Greys, other: Greys) -> Greys:
    """Shift and stretch other so that it lies on one, from coarse to fine."""
    side = one.shape[1]
    # Across and down: the shift, and what is added at the edge.
    shifts: NDArray[np.floating] = np.zeros((len(one), 4))
    for level in (side // 4, side // 4, side // 2, side // 2, side, side):
        coarse, moved = _averaged(one, level), _averaged(_sampled(other, shifts), level)
        shifts = shifts + _explained_by(moved, coarse)[:, 1:] * (side / level)
        shifts = np.clip(shifts, -side / 8, side / 8)
    return _sampled(other, shifts)


def _explained_by(other: Greys, one: Greys) -> NDArray[np.float64]:
    """Find by how much other has to be shifted and stretched to be one: contrast, four shifts."""
    side = other.shape[1]
    down, across = np.gradient(other, axis=(1, 2))
    place = np.linspace(-1, 1, side, dtype=np.float32)
    parts = [other, across, down, across * place, down * place[:, None]]
    known = np.stack(parts, axis=1).reshape(len(other), len(parts), -1).astype(np.float64)
    known -= known.mean(axis=2, keepdims=True)
    wanted = one.reshape(len(one), -1, 1).astype(np.float64)
    products = known @ known.transpose(0, 2, 1) + 1e-3 * np.eye(len(parts))
    found: NDArray[Any] = np.linalg.solve(products, known @ wanted)[..., 0]
    contrast = found[:, :1]
    found[:, 1:] /= np.where(np.abs(contrast) < 0.2, 1, contrast)
    return found


def _sampled(greys: Greys, shifts: NDArray[np.floating]) -> Greys:
    """Look up greys at shifted places, between cells."""
    side = greys.shape[1]
    place, cells = np.linspace(-1, 1, side), np.arange(side)
    across = np.clip(cells + shifts[:, :1] + shifts[:, 2:3] * place, 0, side - 1)
    down = np.clip(cells + shifts[:, 1:2] + shifts[:, 3:] * place, 0, side - 1)
    rows = _between(greys, down)
    return _between(rows.transpose(0, 2, 1), across).transpose(0, 2, 1)


def _between(greys: Greys, places: NDArray[np.floating]) -> Greys:
    """Take rows at places between them."""
    before = np.minimum(places.astype(np.intp), greys.shape[1] - 2)
    weight = (places - before).astype(np.float32)[..., None]
    first = np.take_along_axis(greys, before[..., None], axis=1)
    second = np.take_along_axis(greys, before[..., None] + 1, axis=1)
    found: Greys = first * (1 - weight) + second * weight
    return found


def _less_contrast(one: Greys, other: Greys) -> Any:
    """What remains of one when other is taken away with the contrast that fits best."""
    here = one - one.mean(axis=(1, 2), keepdims=True)
    there = other - other.mean(axis=(1, 2), keepdims=True)
    squares = np.square(there).sum(axis=(1, 2), keepdims=True)
    return here - there * ((here * there).sum(axis=(1, 2), keepdims=True) / (squares + 1e-3))
