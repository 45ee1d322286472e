"""What is known of a model without running it, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.decoding.fit import Squash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orangecontrib.imageanalytics.models.recipes import Recipe


class Kind(StrEnum):
    """Where a model comes from, and with that where it computes."""

    #: In the package.
    BUNDLED = "bundled"
    #: A file in the user's folder.
    OWN = "own"
    #: To be fetched once; from then on it is on this computer.
    DOWNLOADABLE = "downloadable"
    #: On an embedding server, which gets the images.
    SERVER = "server"


class Section(StrEnum):
    """The parts of a list of models, in their order; the value is how people read it."""

    HERE = "On this computer"
    TO_DOWNLOAD = "To download"
    SERVER = "On a server"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository of a hub of models.

    Attributes
    ----------
    repository : str
        Owner and name, as in "timm/vgg16.tv_in1k".
    path : str
        The file's path in it.
    revision : str
        A commit or a branch.
    size : int, optional
        Bytes, where they are known beforehand.
    sha256 : str, optional
        Of the content, in hexadecimal digits, where it is known beforehand.
    """

    repository: str
    path: str
    revision: str = "main"
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A file that is made of files of a hub.

    Attributes
    ----------
    ending : str
        The end of its name, after the model's id.
    sources : mapping of str to HubFile
        What it is made of, by the names that the recipe knows them by.
    recipe : Recipe, optional
        How it is made of them, see `recipes`; None if the one source is kept as it is.
    """

    ending: str
    sources: Mapping[str, HubFile]
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """What has to be fetched for a model.

    Attributes
    ----------
    products : tuple of Product
        The files that it becomes; the first is the network for images, `.onnx`.
    """

    products: tuple[Product, ...]

    @property
    def size(self) -> int:
        """Bytes to fetch, all in all, as far as they are known; said before anybody agrees."""
        sources = (source for product in self.products for source in product.sources.values())
        return sum(source.size or 0 for source in sources)


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of a model without running it.

    Attributes
    ----------
    id : str
        Its name in scripts, workflows and the server's addresses.
    title : str
        Its name for people.
    description : str
        One or two sentences: what it is good for.
    input_size : tuple of int
        Height and width in pixels that images are squashed to.
    dimension : int
        Length of an embedding.
    layer : str
        The layer whose activations are the embedding.
    trained_on : str
        The data it learned from.
    licence : str
        Of the weights: an SPDX identifier where there is one.
    citation : str
        The paper that describes it.
    kind : Kind
        Where it comes from.
    weights : Path, optional
        Its ONNX file, if that is on this computer.
    milliseconds : float, optional
        What computing an image takes on one core, see doc/models.md; decoding not included.
    download : Download, optional
        What has to be fetched for it, if it is downloadable.
    """

    id: str
    title: str
    description: str
    input_size: tuple[int, int]
    dimension: int
    layer: str
    trained_on: str
    licence: str
    citation: str
    kind: Kind
    weights: Path | None = None
    milliseconds: float | None = None
    download: Download | None = None

    @property
    def fit(self) -> Squash:
        """How images are fitted for it."""
        return Squash(*self.input_size)

    @property
    def is_local(self) -> bool:
        """Whether images stay on this computer."""
        return self.kind is not Kind.SERVER

    @property
    def section(self) -> Section:
        """The part of a list of models that it belongs to."""
        if self.kind is Kind.SERVER:
            return Section.SERVER
        if self.kind is Kind.DOWNLOADABLE and self.weights is None:
            return Section.TO_DOWNLOAD
        return Section.HERE
