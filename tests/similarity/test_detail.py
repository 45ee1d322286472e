"""Pictures that are alike in the large and differ in detail: pages, plots; and copies of them."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from orangecontrib.imageanalytics.duplicates import NEAR_COPY, find
from orangecontrib.imageanalytics.similarity import detail

TEXT = (
    "the picture shows what was seen from there and nobody had asked why since it was late in "
    "summer when all of them left for another town by train or on foot as it pleased them"
)
WORDS = TEXT.split()


def page(seed: int, lines: int) -> Image.Image:
    """A page with some lines of text at its top."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", (620, 880), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    draw.text((60, 40), "4.2 What is meant", font=font, fill="black")
    for line in range(lines):
        text = " ".join(chance.choice(WORDS, chance.integers(9, 12)))
        draw.text((60, 80 + 22 * line), text, font=font, fill="black")
    return picture


def plot(seed: int) -> Image.Image:
    """Axes, a title and some points."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((80, 60, 576, 427), outline="black")
    draw.text((250, 40), "Heights by weights", font=ImageFont.load_default(16), fill="black")
    for x, y in chance.normal((330, 240), (60, 50), (60, 2)):
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill="steelblue")
    return picture


def as_jpeg(picture: Image.Image, quality: int = 60) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.mark.parametrize("lines", [4, 9, 25])
def test_other_pages_are_no_copies_of_each_other_and_recompressed_and_scaled_ones_are(lines):
    pages = [page(seed, lines) for seed in range(6)]
    half = [one.resize((310, 440), Image.Resampling.LANCZOS) for one in pages]
    images = [*map(np.asarray, pages), *map(as_jpeg, pages), *map(np.asarray, half)]
    labels = find(images, workers=1).tree.labels(NEAR_COPY)
    assert labels.tolist() == 3 * list(range(6))


def test_other_plots_are_no_copies_of_each_other_and_recompressed_ones_are():
    plots = [plot(seed) for seed in range(5)]
    images = [*map(np.asarray, plots), *map(as_jpeg, plots)]
    assert find(images, workers=1).tree.labels(NEAR_COPY).tolist() == 2 * list(range(5))


def test_greys_are_packed_and_unpacked():
    greys = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    numbers = np.stack([detail.packed(one) for one in greys])
    assert numbers.shape == (3, detail.DIMENSION) and numbers.dtype == np.float32
    assert (detail.unpacked(numbers) == greys).all()
    assert not detail.unpacked(np.full((1, detail.DIMENSION), np.nan, np.float32)).any()
    assert detail.unpacked(np.empty((0, detail.DIMENSION), np.float32)).shape == (0, 64, 64)


def test_a_picture_that_was_moved_and_stretched_is_moved_back():
    x, y = np.meshgrid(np.linspace(0, 9, 66), np.linspace(0, 7, 66))
    scene = (128 + 60 * np.sin(x) * np.cos(y) + 40 * np.cos(x + 1.3 * y)).astype(np.float32)
    one, other = scene[None, 1:65, 1:65], scene[None, 2:66, :64]
    assert detail.difference(one, other)[0] < 0.2
    assert detail.difference(one, one[:, ::-1])[0] > 2


def test_small_pictures_are_not_judged_by_their_detail():
    greys = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
    ends = np.array([0]), np.array([1])
    assert detail.agree(greys, np.array([100, 900]), *ends).tolist() == [True]
    assert detail.agree(greys, np.array([300, 900]), *ends).tolist() == [False]
