"""Photos to measure with: as large, as detailed and as different as a camera's.

They are made of the real photos of the examples, on a ground whose detail falls off with size as
that of landscapes does, with a sensor's noise. So their files are as large as a camera's (2 to 3
bits per pixel), and decoding costs what it costs with real ones.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.program import ROOT, say

#: Megapixels to width and height.
SIZES = {0.3: (640, 480), 2.5: (1824, 1368), 12: (4000, 3000)}

_EXAMPLES = ROOT / "examples" / "photos"
#: Pictures that the photos of one size are variants of.
_SCENES = 2
#: Size of the ground before it is enlarged: the finest detail of large photos is noise anyway.
_GROUND = (1024, 768)
_NOISE = 7  # standard deviation of the sensor's noise, of 255


def make(folder: Path, megapixels: float, count: int) -> list[str]:
    """Write JPEGs: quality 90, colours at half resolution (4:2:0), with EXIF.

    Parameters
    ----------
    folder : Path
        Where to; it is made.
    megapixels : float
        A key of `SIZES`.
    count : int
        How many. No two have the same content.

    Returns
    -------
    list of str
        Their paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [_scene(SIZES[megapixels], seed) for seed in range(min(_SCENES, count))]
    exif = _exif()
    paths = []
    for index in range(count):
        path = folder / f"photo {index:04}.jpg"
        _variant(scenes[index % len(scenes)], index).save(
            path, "JPEG", quality=90, subsampling="4:2:0", exif=exif
        )
        paths.append(str(path))
    return paths


def of_each_size(program: str, counts: dict[float, int]) -> Iterator[tuple[float, list[str], Path]]:
    """Make photos of several sizes in a temporary folder, each size when it is asked for.

    Parameters
    ----------
    program : str
        Whose photos they are, to tell.
    counts : dict of float to int
        How many photos of how many megapixels.

    Yields
    ------
    (float, list of str, Path)
        Megapixels, the photos' paths, and the folder, for what else must be put away.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for megapixels, count in counts.items():
            say(f"{program}: {count} photos of {megapixels} megapixels")
            yield megapixels, make(folder / str(megapixels), megapixels, count), folder


def make_small(folder: Path, count: int) -> list[str]:
    """Write JPEGs of 64 by 64 pixels, some 2 kB each; no two have the same content."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, content in enumerate(_small(count)):
        path = folder / f"{index:06}.jpg"
        path.write_bytes(content)
        paths.append(str(path))
    return paths


def _small(count: int) -> Iterator[bytes]:
    scene = np.asarray(_scene((640, 480), 0))
    chance = np.random.default_rng(0)
    for index in range(count):
        top, left = chance.integers(0, (480 - 64, 640 - 64))
        part = scene[top : top + 64, left : left + 64].copy()
        part[:8, :8] = np.frombuffer(index.to_bytes(3, "big"), np.uint8)  # unlike all others
        file = io.BytesIO()
        Image.fromarray(part).save(file, "JPEG", quality=90)
        yield file.getvalue()


def _scene(size: tuple[int, int], seed: int) -> Image.Image:
    """Put the photos of the examples onto a ground, and take a picture of that."""
    width, height = size
    chance = np.random.default_rng(seed)
    picture = _ground(size, chance)
    for photo in _examples():
        scale = height / 3 / max(photo.size) * chance.uniform(0.7, 1.3)
        larger = photo.resize(
            (round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC
        )
        left, top = chance.integers(0, (width - larger.width, height - larger.height))
        picture.paste(larger, (int(left), int(top)), larger)
    return Image.fromarray(_with_noise(np.asarray(picture), chance))


def _ground(size: tuple[int, int], chance: np.random.Generator) -> Image.Image:
    """Sum noise of all scales, the finer the weaker."""
    width, height = _GROUND
    total = np.full((height, width, 3), 128, np.float32)
    cells = 4
    while cells < width:
        coarse = chance.normal(0, 1, (max(2, cells * height // width), cells, 3))
        for channel in range(3):
            layer = Image.fromarray(coarse[..., channel].astype(np.float32))
            total[..., channel] += (140 / cells**0.5) * np.asarray(
                layer.resize(_GROUND, Image.Resampling.BICUBIC)
            )
        cells *= 4
    return Image.fromarray(total.clip(0, 255).astype(np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )


def _with_noise(pixels: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    noise = chance.standard_normal(pixels.shape, np.float32) * _NOISE
    return (pixels + noise).clip(0, 255).astype(np.uint8)


def _variant(scene: Image.Image, index: int) -> Image.Image:
    """Shift a scene, all around: a different picture of the same difficulty."""
    # one further after each thousand: both shifts alone come back together after 1920
    shift = (97 * index + index // 1000) % scene.height, (131 * index) % scene.width
    return Image.fromarray(np.roll(np.asarray(scene), shift, axis=(0, 1)))


@lru_cache(maxsize=1)
def _examples() -> list[Image.Image]:
    return [Image.open(path).convert("RGBA") for path in sorted(_EXAMPLES.rglob("*.png"))]


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 1  # orientation: upright
    exif[0x010F] = "Camera"
    return exif
