"""The process that fetches a model and makes its files; `models.downloading` starts it.

It is a process of its own, so that it can be ended at any moment without losing what has arrived,
so that the gigabyte that a large network takes while it is made is not Orange's, and so that no
network is waited for in Orange's process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orangecontrib.imageanalytics.models.model import HubFile, Product

__all__ = ["Order", "Step"]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched and made.

    Attributes
    ----------
    products : tuple of (Product, Path)
        Each file to make, and where.
    parts : Path
        The folder for what has arrived and is not whole yet; on the same disk.
    by_hand : Path
        The folder in which files are looked for that somebody has brought by hand.
    facts : mapping of str to str
        What is known of the model; it is written into its file.
    interface : tuple of ((int, int), int), optional
        Height and width of images, and the embedding's length, that the model must have.
    """

    products: tuple[tuple[Product, Path], ...]
    parts: Path
    by_hand: Path
    facts: Mapping[str, str]
    interface: tuple[tuple[int, int], int] | None = None

    def place_by_hand(self, file: HubFile) -> Path:
        """Where a file is looked for that somebody has brought, under the name it has there."""
        name = Path(file.path).name
        sources = [source for product, _ in self.products for source in product.sources.values()]
        if sum(Path(source.path).name == name for source in sources) == 1:
            return self.by_hand / name
        return self.by_hand / file.repository.rpartition("/")[2] / name


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is.

    Attributes
    ----------
    words : str
        What is being done.
    done, total : int
        Bytes that have arrived and bytes in all; 0 in all where nothing is being fetched.
    """

    words: str
    done: int = 0
    total: int = 0
