"""One run of the widget Import Images: what its thread does, from a folder to a table."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.import_images import ImportImages, Others, Progress
from orangecontrib.imageanalytics.sources.folders import walk

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.widgets.background import Run


@dataclass(frozen=True, slots=True)
class Imported:
    """What was found in a folder.

    Attributes
    ----------
    folder : str
        Its absolute path.
    table : Table
        The images.
    others : Others
        What is not an image.
    """

    folder: str
    table: Table
    others: Others

    @property
    def summary(self) -> str:
        """The counts in words: "262 images, 13 categories, 3 other files"."""
        parts = [_counted(len(self.table), "image", "images")]
        category = self.table.domain.class_var
        if category is not None:
            parts.append(_counted(len(category.values), "category", "categories"))
        if self.others.count:
            parts.append(_counted(self.others.count, "other file", "other files"))
        return ", ".join(parts)


def import_folder(places: list[str], run: Run) -> Imported:
    """Look through a folder and build the table; runs in a thread.

    Parameters
    ----------
    places : list of str
        Where the folder may be; the first place where it is counts.
    run : Run
        Told the progress; says when to stop.

    Raises
    ------
    Interrupted
        If that was asked for.
    OSError
        If the folder is not there or may not be read.
    """
    folder = next((place for place in places if Path(place).is_dir()), places[0])
    importing = ImportImages(_Teller(run, folder))
    table, _ = importing(folder)
    run.check()
    return Imported(folder, table, importing.others)


class _Teller:
    """Tells how far it is."""

    def __init__(self, run: Run, folder: str) -> None:
        self._run = run
        self._folder = folder
        # Listing a folder takes a twentieth of the time that reading its files takes, so the end
        # is known early, and no list of all files has to be kept.
        self._total = DaemonThreads("count files").submit(self._count)

    def __call__(self, progress: Progress) -> None:
        if self._total.done() and self._total.exception() is None:
            total = max(self._total.result(), progress.count)
            words = f"{progress.count} of {total} files looked at"
            self._run.tell(words, progress.count / total)
        else:
            self._run.tell(f"{progress.count} files looked at")

    def _count(self) -> int:
        run = self._run
        return sum(1 for _ in itertools.takewhile(lambda _: run.is_wanted, walk(self._folder)))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
