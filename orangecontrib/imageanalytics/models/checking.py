"""Checks on the example photos whether a downloaded model sees what it should."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from orangecontrib.imageanalytics.models.model import Model
from orangecontrib.imageanalytics.outcome import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Eyes(Protocol):
    """What embeds with a model, by its id; this room does not know how."""

    def pictures(self, model: str, photos: Sequence[Path]) -> Sequence[NDArray[np.float32] | None]:
        """Give the embeddings of photos; None for those that it cannot embed."""

    def words(self, model: Model, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Give the embeddings of texts in the same space; None if the model knows no words."""


def check(model: Model, eyes: Eyes) -> list[str]:
    """Embed the example photos, in folders by what they show, and compare them.

    Parameters
    ----------
    model : Model
        Which is here.
    eyes : Eyes
        Embeds with it.

    Returns
    -------
    list of str
        What does not fit: the nearest neighbour of a photo should show the same kind of thing, no
        two photos should have the same embedding, and if the model knows words, those for a photo
        should find one of its kind. Empty if all fits.

    Raises
    ------
    EmbeddingError
        If the model cannot be used at all.
    """
    photos = example_photos()
    found = eyes.pictures(model.id, photos)
    missing = [photo.name for photo, vector in zip(photos, found, strict=True) if vector is None]
    if missing:
        raise ModelFileError(f"{model.id} embedded no {', '.join(missing)}.")
    vectors = np.array(found, np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        return ["some embeddings are all zeros"]
    alike = (vectors / lengths) @ (vectors / lengths).T - 2 * np.eye(len(photos))
    problems = []
    for photo, nearest in zip(photos, alike.argmax(1), strict=True):
        other = photos[nearest]
        if other.parent != photo.parent:
            problems.append(
                f"{photo.stem} is most like {other.stem}, which is no {photo.parent.name}"
            )
    if alike.max() > 0.99999:
        problems.append("it does not tell some photos apart")
    return problems + _words_that_miss(model, photos, vectors / lengths, eyes)


def _words_that_miss(
    model: Model, photos: list[Path], pictures: NDArray[np.float64], eyes: Eyes
) -> list[str]:
    """Look for each photo by words, if the model knows any; say where they lead astray."""
    names = [photo.stem.replace("_", " ") for photo in photos]
    words = eyes.words(model, [f"a photo of a {name}" for name in names])
    if words is None:
        return []
    found = (words.astype(np.float64) @ pictures.T).argmax(1)
    return [
        f'the words "{name}" find {photos[best].stem}'
        for name, photo, best in zip(names, photos, found, strict=True)
        if photos[best].parent != photo.parent or (name == "lemon" and photos[best] != photo)
    ]


def example_photos() -> list[Path]:
    """The photos of the examples, as they are installed or lie in a checkout.

    Raises
    ------
    ModelFileError
        If they are not there.
    """
    package = Path(__file__).parents[1]
    for place in (package / "tutorials" / "photos", package.parents[1] / "examples" / "photos"):
        photos = sorted(place.glob("*/*.png"))
        if photos:
            return photos
    raise ModelFileError("The example photos are not there. Install this add-on once more.")
