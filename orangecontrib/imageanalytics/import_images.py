"""ImportImages: a folder into a table of the images in it."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
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
    paged : int
        How many of the images are TIFFs with several pages, of which the first is used.
    """

    count: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    paged: int = 0


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
                    self.others.paged += look.has_more
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
        folders = [image.rpartition("/")[0] or "." for image in self._images]
        table = image_table(self._images, self._sizes, folders, self.origin)
        table.name = Path(self.origin).name or self.origin
        return table


def image_table(
    images: Sequence[str],
    sizes: Sequence[tuple[float, float, float]],
    categories: Sequence[str | None],
    origin: str | None,
) -> Table:
    """Make the table of images that `ImportImages` gives.

    Parameters
    ----------
    images : sequence of N str
        Their references.
    sizes : sequence of N tuples
        Size in bytes, width and height in pixels; NaN where that is not known.
    categories : sequence of N str or None
        Where each is filed; a class if there are several, in the order in which they come.
    origin : str or None
        The folder that relative references are in.
    """
    category, classes = _categories(categories)
    metas = np.empty((len(images), 5), dtype=object)
    metas[:, 0] = [os.path.splitext(image.rpartition("/")[2])[0] for image in images]  # noqa: PTH122
    metas[:, 1] = images
    metas[:, 2:] = np.array(sizes, dtype=float).reshape(-1, 3)
    domain = Domain([], category, _metas(origin))
    return Table.from_numpy(domain, np.empty((len(metas), 0)), classes, metas)


def _metas(origin: str | None) -> list[ContinuousVariable | StringVariable]:
    image = StringVariable("image")
    image.attributes["type"] = "image"
    if origin is not None:
        image.attributes["origin"] = origin
    numbers = (ContinuousVariable(name, number_of_decimals=0) for name in _NUMBERS)
    return [StringVariable("image name"), image, *numbers]


_NUMBERS = ("size", "width", "height")


def _categories(
    folders: Sequence[str | None],
) -> tuple[DiscreteVariable | None, np.ndarray | None]:
    """Make a class of the images' folders, if there is more than one."""
    values = list(dict.fromkeys(filter(None, folders)))  # in natural order, as `walk` came to them
    if len(values) < 2:
        return None, None
    index: dict[str | None, float] = {value: i for i, value in enumerate(values)}
    return DiscreteVariable("category", values), np.array([index.get(f, np.nan) for f in folders])
