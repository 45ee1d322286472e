"""ImportImages: a folder into a table of the images in it."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table

from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.decoding.header import Header, read_header
from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.sources.folders import walk

#: How many of the files that are not images are named; all are counted.
NAMED = 1000

# Reading headers holds Python's lock for most of the time: 10 000 local files take 1.4 to 2.2 s
# with one thread and with eight. More threads help where a file takes long to open, in a network.
_CHUNKS_AT_WORK = 4
_CHUNK = 16

_Look = tuple[str, Header | Skipped]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a folder has been looked through.

    Attributes
    ----------
    count : int
        The number of files looked at.
    lastpath : str
        The last of them.
    """

    count: int
    lastpath: str


@dataclass(slots=True)
class Others:
    """What is in a folder beside images.

    Attributes
    ----------
    count : int
        The number of files that are not images, or not ones that can be embedded.
    named : list of (str, str)
        The first `NAMED` of them: path relative to the folder, and what is wrong.
    unreadable : list of (str, str)
        The first `NAMED` folders that could not be listed, and why.
    """

    count: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


class ImportImages:
    """Makes a table of the images in a folder and in the folders in it.

    Parameters
    ----------
    report_progress : callable, optional
        Called with a `Progress` for every sixteenth file or so, in the calling thread. What it
        raises ends the run at once and comes out unchanged.

    Attributes
    ----------
    cancelled : bool
        Set to True (by another thread), it ends the run; the table is then empty.
    others : Others
        What the last folder had beside images.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.import_images import ImportImages
    >>> data, n_skipped = ImportImages()("examples/photos")
    >>> len(data), data.domain.class_var.values, n_skipped
    (13, ('animal', 'fruit'), 0)
    """

    def __init__(self, report_progress: Callable[[Progress], object] | None = None) -> None:
        self.report_progress = report_progress
        self.cancelled = False
        self.others = Others()

    def __call__(self, start_dir: str | os.PathLike[str]) -> tuple[Table, int]:
        """Look through a folder.

        Parameters
        ----------
        start_dir : str or PathLike
            The folder; hidden files and folders in it are left out, links are followed. Only the
            headers of files are read.

        Returns
        -------
        table : Table of N rows
            One row for each image, in natural order, a folder's own images before those of the
            folders in it. Metas: ``image name`` (text, without extension), ``image`` (text,
            relative path with forward slashes; its ``type`` is ``image``, its ``origin`` the
            folder), ``size`` in bytes, ``width`` and ``height`` in pixels, as seen. If the images
            are in several folders, the class ``category`` is the relative path of each one's
            folder, "." for `start_dir` itself.
        n_skipped : int
            The number of files that are not images that can be embedded; see `others`.

        Raises
        ------
        OSError
            If the folder does not exist, is not a folder, or may not be read.
        """
        folder = Path(start_dir).expanduser().absolute()
        os.scandir(folder).close()  # raises what keeps us out
        self.others = Others()
        rows = _Rows(str(folder))
        with closing(self._looks(rows.origin)) as looks:
            for count, (path, look) in enumerate(looks, start=1):
                if self.cancelled:
                    return _Rows(rows.origin).table(), 0
                relative = rows.relative(path)
                if isinstance(look, Header):
                    rows.append(relative, look)
                else:
                    self.others.count += 1
                    if len(self.others.named) < NAMED:
                        self.others.named.append((relative, str(look)))
                if self.report_progress is not None and count % _CHUNK == 1:
                    self.report_progress(Progress(count, path))
        return rows.table(), self.others.count

    def _looks(self, origin: str) -> Generator[_Look, None, None]:
        """Look at each file, in threads; the looks come in the order of the files."""

        def note(error: OSError) -> None:
            if len(self.others.unreadable) < NAMED:
                name = os.path.relpath(error.filename or origin, origin).replace(os.sep, "/")
                self.others.unreadable.append((name, error.strerror or str(error)))

        # Daemons: a network drive that hangs must not keep the program from ending.
        threads = DaemonThreads("import images")
        at_work: deque[Future[list[_Look]]] = deque()
        for chunk in _chunks(walk(origin, note)):
            at_work.append(threads.submit(_look_at, chunk))
            if len(at_work) == _CHUNKS_AT_WORK:
                yield from at_work.popleft().result()
        for future in at_work:
            yield from future.result()


def _chunks(paths: Iterable[str]) -> Iterator[list[str]]:
    paths = iter(paths)
    while chunk := list(itertools.islice(paths, _CHUNK)):
        yield chunk


def _look_at(paths: list[str]) -> list[_Look]:
    return [(path, read_header(path)) for path in paths]


class _Rows:
    """The rows of the table while they are gathered, by column."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._prefix = len(os.path.join(origin, ""))  # noqa: PTH118 (Path drops the last slash)
        self._images: list[str] = []
        self._sizes: list[tuple[int, int, int]] = []

    def relative(self, path: str) -> str:
        return path[self._prefix :].replace(os.sep, "/")

    def append(self, relative: str, header: Header) -> None:
        self._images.append(relative)
        self._sizes.append((header.size, header.width, header.height))

    def table(self) -> Table:
        category, classes = _categories(self._images)
        metas = np.empty((len(self._images), 5), dtype=object)
        metas[:, 0] = [os.path.splitext(image.rpartition("/")[2])[0] for image in self._images]  # noqa: PTH122
        metas[:, 1] = self._images
        metas[:, 2:] = np.array(self._sizes, dtype=float).reshape(-1, 3)
        table = Table.from_numpy(
            Domain([], category, _metas(self.origin)),
            np.empty((len(metas), 0)),
            classes,
            metas,
        )
        table.name = Path(self.origin).name or self.origin
        return table


def _metas(origin: str) -> list[ContinuousVariable | StringVariable]:
    image = StringVariable("image")
    image.attributes.update(type="image", origin=origin)
    numbers = (ContinuousVariable(name, number_of_decimals=0) for name in _NUMBERS)
    return [StringVariable("image name"), image, *numbers]


_NUMBERS = ("size", "width", "height")


def _categories(
    images: list[str],
) -> tuple[DiscreteVariable | None, np.ndarray | None]:
    """Make a class of the images' folders, if there is more than one."""
    folders = [image.rpartition("/")[0] or "." for image in images]
    values = list(dict.fromkeys(folders))  # in natural order, as `walk` has come to them
    if len(values) < 2:
        return None, None
    index = {value: i for i, value in enumerate(values)}
    return DiscreteVariable("category", values), np.array([index[f] for f in folders], dtype=float)
