"""What a cache can hold: the vectors of images, or their thumbnails, each in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a cache's file, and how warnings speak of it.

    Attributes
    ----------
    name : str
        Of the file and its folder.
    title : str
        What they are, at the start of a sentence.
    items : str
        What is lost if some cannot be stored.
    done : str
        What is done to the images that are not, or no longer, in the cache.
    """

    name: str
    title: str
    items: str
    done: str


VECTORS = Contents("embeddings", "Image embeddings", "vectors", "embedded")
THUMBNAILS = Contents("thumbnails", "Thumbnails of images", "thumbnails", "decoded")
