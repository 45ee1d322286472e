"""Which of the pictures with equal pixels are the very same file under other names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.engine.worker import hash_file
from orangecontrib.imageanalytics.sources import LocalFile, resolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.cache import Cache

    Rows = NDArray[np.intp]


def same_files(
    images: Sequence[Any],
    pixels: Rows,
    sizes: NDArray[np.int64],
    check: Callable[[], object],
    cache: Cache,
) -> Rows:
    """Number files with the same content.

    Only files whose pixels and whose sizes are equal are looked at. Their contents are known to
    the cache, as a rule; else they are read.

    Parameters
    ----------
    images : sequence of N images
        Their references.
    pixels : ndarray of shape (N,), intp
        As in `Duplicates`.
    sizes : ndarray of shape (N,), int64
        Of the files, in bytes; -1 if not known.
    check : callable
        Called for each file; what it raises ends the work.
    cache : Cache
        Where contents are looked up.

    Returns
    -------
    ndarray of shape (N,), intp
        The same number for the same content; -1 for files that no other is like.
    """
    found = np.full(len(images), -1, np.intp)
    suspects = np.flatnonzero((pixels >= 0) & (sizes >= 0))
    _, kind, count = np.unique(
        np.column_stack([pixels, sizes])[suspects], axis=0, return_inverse=True, return_counts=True
    )
    numbers: dict[bytes, int] = {}
    for row in suspects[count[kind.ravel()] > 1].tolist():
        check()
        content = _content(images[row], cache)
        if content is not None:
            found[row] = numbers.setdefault(content, row)
    return found


def _content(image: Any, cache: Cache) -> bytes | None:
    source = resolve(image)
    if not isinstance(source, LocalFile):
        return None
    known = cache.content_of_file(source.path, source.stat)
    return hash_file(source.path).content if known is None else known
