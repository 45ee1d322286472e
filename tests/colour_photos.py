"""Small pictures in two colours, and a small network that tells them apart."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from Orange.data import DiscreteVariable, Domain, StringVariable, Table
from PIL import Image

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from tests.small_models import write_model

#: The id of the network: four columns, the means of red, green, blue and their sum.
MODEL = "colours"


def add_model(name: str = MODEL, factor: float = 1.0) -> Path:
    """Put the network among the user's own models, which are those of the test."""
    return write_model(Path(os.environ["ORANGE_IMAGE_MODELS"], f"{name}.onnx"), factor=factor)


def photos(folder: Path, count: int = 12, seed: int = 0, *, name: str = "image") -> Table:
    """Write pictures that are reddish or bluish by turns, and make a table of them."""
    chance = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{seed}-{index}.png" for index in range(count)]
    for index, file in enumerate(names):
        pixels = chance.integers(0, 100, (9, 9, 3), dtype=np.uint8)
        pixels[..., 2 * (index % 2)] += 120
        Image.fromarray(pixels).save(folder / file)
    image = StringVariable(name)
    image.attributes.update(type="image", origin=str(folder))
    domain = Domain([], DiscreteVariable("colour", values=("red", "blue")), [image])
    return Table.from_numpy(
        domain,
        np.empty((count, 0)),
        np.arange(count) % 2.0,
        np.array([[file] for file in names], dtype=object),
    )


def embed(table: Table, model: str = MODEL) -> Table:
    """Embed a table's pictures, all of them."""
    [image] = table.domain.metas
    with ImageEmbedder(model) as embedder:
        embedded, skipped, _ = embedder(table, col=image)
    assert embedded is not None and skipped is None
    return embedded


def without_pictures(table: Table) -> Table:
    """Give a copy whose pictures are not to be found: whoever embeds them fails."""
    copy = table.copy()
    with copy.unlocked(copy.metas):
        copy.metas[:, 0] = [f"gone-{index}.png" for index in range(len(copy))]
    return copy
