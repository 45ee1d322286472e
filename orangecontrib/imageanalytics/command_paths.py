"""The images that a command line names: files, those in folders, addresses."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from orangecontrib.imageanalytics.sources.regular_file import shown


def images_of(paths: Sequence[str]) -> Iterator[str]:
    """Give the files named and those in the folders named, without hidden ones."""
    from orangecontrib.imageanalytics.sources.folders import walk

    for path in paths:
        if is_folder(path):
            yield from walk(path, warn_of_folder)
        else:
            yield path


def is_folder(name: str) -> bool:
    """Whether it is a folder; it never raises, as for a data: URI."""
    return os.path.isdir(name)  # noqa: PTH112


def warn_of_folder(error: OSError) -> None:
    """Say that a folder cannot be looked into."""
    print(f"warning: {shown(str(error.filename))}: {error.strerror}", file=sys.stderr)
