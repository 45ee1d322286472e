"""Small pictures of pictures, by which near copies are recognised without a network.

A fingerprint is the picture in 16 by 16 greys, slightly blurred, and 4 by 4 colours. One picture is
a near copy of another if the greys of one explain those of the other: up to a shift or a change of
size by a few per cent (what cropping does), and up to contrast. What they do not explain, as a
share of the picture's variance, is the distance.

Pairs that are near are compared once more, in detail (`detail.py`): two pages of text, or two
windows of one program, are alike in so few greys.

Chosen by measurement (benchmarks/duplicates.py): on 265 cut-outs this tells all copies that are
recompressed, scaled, converted or grey from other pictures of their class (the former are within
0.008, the latter from 0.018 on). At a precision of 1, the perceptual hashes pHash (of ImageHash)
and PDQ found 98 % and 95 % of these, and SqueezeNet's embedding half, as networks are made not to
see such differences as that of a red and a green traffic light.

The measure, its blur and `NEAR_COPY` were chosen on these very pictures, of some twenty variants.
The look at the detail was chosen on photos, pages, plots, screenshots and icons, and tried on
others of these kinds: see the page on Duplicate Images for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.decoding.fit import Squash, Within
from orangecontrib.imageanalytics.similarity import detail
from orangecontrib.imageanalytics.similarity.pairs import Pairs, pairs_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.similarity.space import Callback

#: The distance up to which pictures are taken for near copies of each other.
NEAR_COPY = 0.012
#: The largest distance that can be asked about.
REACH = 0.03
#: To be raised when fingerprints of the same pixels change.
VERSION = 1

_SIDE, _COLOURS = 16, 4  # of the greys, and of the colours
#: Length of a fingerprint, and of what `IdentityJob` makes; of the latter's parts.
DIMENSION = _SIDE**2 + 2 * _COLOURS**2
_DIGEST = 16
_KNOWN = _DIGEST + 2  # height and width, too
IDENTITY_DIMENSION = _KNOWN + detail.DIMENSION
#: Weights of red, green and blue in the greys (ITU-R BT.601, as in JPEG).
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
#: Levels, of 255, by which greys may differ for reasons of compression alone: less contrast than
#: this is none.
_NOISE = 3.0
#: Cosine distance of centred greys within which a closer look is taken; 3 % of cropping leaves
#: pictures within 0.06 but for one of 530.
_CANDIDATES = 0.08
#: Pairs that are looked at more closely, at most; 10 µs each.
_MOST = 2_000_000
_AT_ONCE = 4096
#: Levels, of 255, by which brightness and colours may differ. Of converted and cropped copies the
#: colours differ by up to 8; those of a grey copy are not compared.
_BRIGHTNESS, _COLOUR, _COLOURLESS = 24.0, 12.0, 3.0


@dataclass(frozen=True, slots=True)
class FingerprintJob:
    """Makes fingerprints, in the engine's workers."""

    fit = Squash(64, 64)

    def prepare(self) -> None:
        """Nothing needs to be loaded."""

    def __call__(self, pixels: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return the fingerprint, float32 [288], of pixels, uint8 [64, 64, 3] RGB."""
        return fingerprint(pixels)


@dataclass(frozen=True, slots=True)
class IdentityJob:
    """Tells whether pixels are the same, whatever their format, and what their detail is.

    The payload is float32 [1384]: 16 bytes of a hash of the upright picture's pixels, its height
    and its width, and its greys in 64 by 64, packed. It goes where vectors go. Of files with more
    than 8 bits per channel the content is hashed instead: with their contrast brought to 8 bits,
    other values look the same.
    """

    fit = Within(2**24)  # nothing is scaled down

    def prepare(self) -> None:
        """Nothing needs to be loaded."""

    def __call__(self, pixels: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """Return the identity of pixels, uint8 [h, w, 3] RGB or [h, w, 4] RGBA."""
        return _identity(pixels, np.ascontiguousarray(pixels).data.cast("B"))

    def of_content(self, pixels: NDArray[np.uint8], data: bytes) -> NDArray[np.float32]:
        """Return the identity of pixels that were decoded from the content of a file."""
        from orangecontrib.imageanalytics.decoding.pixels import is_deep

        return _identity(pixels, memoryview(data)) if is_deep(data) else self(pixels)


def _identity(pixels: NDArray[np.uint8], hashed: memoryview) -> NDArray[np.float32]:
    import blake3

    height, width = pixels.shape[:2]
    digest = blake3.blake3(np.array(pixels.shape, "<i8").tobytes())
    digest.update(hashed)
    known = np.array([*digest.digest(_DIGEST), height, width], np.float32)
    return np.concatenate([known, detail.packed(_greys(pixels))])


def of_identities(
    identities: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """Take identities apart.

    Parameters
    ----------
    identities : ndarray of shape (n, IDENTITY_DIMENSION), float32
        What `IdentityJob` gave; NaN for what could not be read.

    Returns
    -------
    tuple of ndarray of shape (n, 18), of shape (n, 2), and of shape (n, 64, 64)
        What is equal for equal pixels; width and height; and greys, for `detail.agree`.
    """
    known = identities[:, :_KNOWN]
    sizes = known[:, [_DIGEST + 1, _DIGEST]]
    return known, sizes, detail.unpacked(identities[:, _KNOWN:])


def fingerprint(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Make the fingerprint of a picture that was squashed to 64 by 64 pixels.

    Parameters
    ----------
    pixels : ndarray of shape (64, 64, 3), uint8
        RGB.

    Returns
    -------
    ndarray of shape (288,), float32
        Greys, row by row, and blueness and redness (blue and red less grey), from 0 to 255 or
        -255 to 255.
    """
    values = pixels.astype(np.float32)
    grey = values @ _GREY
    colours = values[..., [2, 0]] - grey[..., None]
    small = _averaged(colours, _COLOURS)
    return np.concatenate([_blurred(_averaged(grey, _SIDE)).ravel(), small.ravel()])


def _greys(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average the greys of a picture, on white, over 64 by 64 cells."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, "white")
        ground.alpha_composite(picture)
        picture = ground.convert("RGB")
    size = detail.SIDE, detail.SIDE
    return np.asarray(picture.convert("L").resize(size, Image.Resampling.BICUBIC))


def _averaged(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    height, width, *rest = values.shape
    shape = side, height // side, side, width // side, *rest
    mean: NDArray[np.float32] = values.reshape(shape).mean(axis=(1, 3))
    return mean


def _blurred(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur with [1, 2, 1] / 4 each way: then a shift by a part of a cell is a small change."""
    wide: NDArray[Any] = np.pad(grey, 1, "edge")
    rows: NDArray[Any] = (wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4
    both: NDArray[Any] = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
    return both


def near_copies(
    fingerprints: NDArray[np.float32], reach: float = REACH, callback: Callback | None = None
) -> Pairs:
    """Find all pairs of near copies.

    Parameters
    ----------
    fingerprints : ndarray of shape (N, 288)
        One a row.
    reach : float
        The largest distance, at most `REACH`.
    callback : callable, optional
        As for `similarity.nearest`.

    Returns
    -------
    Pairs
        With the distances that the head of this file defines, from 0 to `reach`.
    """
    greys = fingerprints[:, : _SIDE**2].astype(np.float32)
    means = greys.mean(axis=1, keepdims=True)
    greys -= means
    # One more column, the same for all, makes what has no contrast alike instead of random.
    wide = np.column_stack([greys, np.full(len(greys), _NOISE * _SIDE, np.float32)])
    found = pairs_within(wide, _CANDIDATES, callback=callback, at_most=_MOST)
    alike = abs(means[found.first, 0] - means[found.second, 0]) <= _BRIGHTNESS
    is_flat = np.sqrt(np.square(greys).mean(axis=1)) < _NOISE
    alike &= _same_colours(fingerprints[:, _SIDE**2 :], is_flat, found)
    first, second = found.first[alike], found.second[alike]
    is_whole = found.reach == _CANDIDATES
    apart = _apart(greys, first, second, callback)
    pairs = Pairs(first, second, apart, reach if is_whole else min(reach, found.reach))
    return pairs.within(pairs.reach)


def distances(
    fingerprints: NDArray[np.float32], first: NDArray[np.intp], second: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Compute the distances of pairs of fingerprints, float32 of shape (n,)."""
    greys = fingerprints[:, : _SIDE**2]
    return _apart(greys - greys.mean(axis=1, keepdims=True), first, second, None)


def _apart(
    greys: NDArray[np.float32],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    callback: Callback | None,
) -> NDArray[np.float32]:
    found = np.empty(len(first), np.float32)
    for start in range(0, len(first), _AT_ONCE):
        if callback is not None:
            callback(1.0)
        part = slice(start, start + _AT_ONCE)
        one, other = greys[first[part]], greys[second[part]]
        found[part] = np.minimum(_unexplained(one, other), _unexplained(other, one))
    return found


def _same_colours(
    colours: NDArray[np.float32], is_flat: NDArray[np.bool_], pairs: Pairs
) -> NDArray[np.bool_]:
    """Tell which pairs have the same colours, or none in one of them, which shows something."""
    strength = np.sqrt(np.square(colours).mean(axis=1))
    result = np.empty(len(pairs.first), bool)
    for start in range(0, len(result), _AT_ONCE):
        one, other = (ends[start : start + _AT_ONCE] for ends in (pairs.first, pairs.second))
        difference = np.sqrt(np.square(colours[one] - colours[other]).mean(axis=1))
        colourless = np.minimum(strength[one], strength[other]) < _COLOURLESS
        colourless &= ~(is_flat[one] | is_flat[other])
        result[start : start + _AT_ONCE] = colourless | (difference <= _COLOUR)
    return result


def _unexplained(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the share of the variance of one that the other does not explain.

    To the first order, a picture that is shifted by s and stretched by t is the picture plus
    (s + t x) times its gradient; so this is a regression on the picture and its gradients.

    Reference: B. Lucas and T. Kanade (1981), An iterative image registration technique with an
    application to stereo vision, IJCAI.

    Parameters
    ----------
    one, other : ndarray of shape (n, 256), float32
        Centred greys.
    """
    pictures = other.reshape(-1, _SIDE, _SIDE)
    down, across = np.gradient(pictures, axis=(1, 2))
    place = np.linspace(-1, 1, _SIDE, dtype=np.float32)
    parts = [pictures, across, down, across * place, down * place[:, None]]
    known = np.stack(parts, axis=1).reshape(len(one), len(parts), -1).astype(np.float64)
    known -= known.mean(axis=2, keepdims=True)
    products = known @ known.transpose(0, 2, 1) + 1e-3 * np.eye(len(parts))
    with_one = known @ one[..., None].astype(np.float64)
    explained = (np.linalg.solve(products, with_one) * with_one).sum(axis=(1, 2))
    variance = np.square(one, dtype=np.float64).sum(axis=1)
    share = (variance - explained) / (variance + (_NOISE * _SIDE) ** 2)
    return np.clip(share, 0, None).astype(np.float32)
