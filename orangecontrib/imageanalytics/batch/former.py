"""Whether a dataset is of the images that are given: the vectors of others are not replaced."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.batch.dataset import readable
from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.sources import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orangecontrib.imageanalytics.batch.dataset import Dataset, Summary

#: Images, of either, that are looked at for one that both have: 100 MB of names.
_LOOKED_AT = 1_000_000


def require_shared(
    references: Iterator[str], dataset: Dataset, there: set[int], said: Summary
) -> Iterator[str]:
    """Give the same images, of which the dataset has to hold one already.

    Parameters
    ----------
    references : iterator of str
        The images. As many are held as come before the first that is in the dataset's first shard.
    dataset : Dataset
        Where they go.
    there : set of int
        The shards that it holds, at least one.
    said : Summary
        Of which model they have to be.

    Raises
    ------
    EmbeddingError
        If it holds none of them, or vectors of another model.
    """
    theirs = dataset.paths(min(there), said)
    known = set(theirs)
    ours: list[str] = []
    for reference in itertools.islice(references, _LOOKED_AT):
        ours.append(reference)
        if readable(reference) in known:
            return itertools.chain(ours, references)
    if not ours or _is_later(set(map(readable, ours)), dataset, there, said):
        return itertools.chain(ours, references)
    raise EmbeddingError(
        f"{shown(dataset.folder)} holds other images, such as {shown(theirs[0])}. Name another "
        "folder, or add --replace to replace their vectors."
    )


def _is_later(ours: set[str], dataset: Dataset, there: set[int], said: Summary) -> bool:
    """Whether one is in a later shard: those of the first may have been taken away."""
    looked_at = 0
    for number in sorted(there)[1:]:
        theirs = dataset.paths(number, said)
        looked_at += len(theirs)
        if not ours.isdisjoint(theirs):
            return True
        if looked_at >= _LOOKED_AT:
            break
    return False
