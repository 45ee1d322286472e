"""SaveImages: pictures, wherever they are, to files in a folder."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.decoding import formats
from orangecontrib.imageanalytics.decoding import pixels as decoding
from orangecontrib.imageanalytics.decoding.fit import Fit, Within
from orangecontrib.imageanalytics.decoding.header import header_of
from orangecontrib.imageanalytics.embedder import BytesTask, PixelsTask
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.saving.encoding import (
    AS_IT_IS,
    FORMATS,
    FULL_SIZE,
    EncodeJob,
    Format,
)
from orangecontrib.imageanalytics.saving.names import folder_names, stem_of
from orangecontrib.imageanalytics.saving.new_files import NewFiles, Saved
from orangecontrib.imageanalytics.sources import Content, LocalFile, Picture, Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orangecontrib.imageanalytics.embedder import Result, Task
    from orangecontrib.imageanalytics.web.downloads import Downloads
    from orangecontrib.imageanalytics.web.reach import Reach

#: Seconds without news after which `tick` is called, so that a caller can cancel at any moment.
_TICK = 0.1
#: Bytes of pictures that wait to be written, at most, beyond the one that is next.
_HELD = 64 * 2**20
#: The format of pictures of a kind that is read but not written, such as HEIC.
_INSTEAD = FORMATS["png"]
#: What names of copied files end in, where that is not the kind's name.
_OTHERS = {"JPEG2000": ".jp2"}
#: Subfolders that are none; the dot is the category of images beside folders of images.
_THE_FOLDER_ITSELF = frozenset({"", "."})
_BY_SIGNATURE = {name: format for format in FORMATS.values() for name in format.signatures}


@dataclass(frozen=True, slots=True)
class _Ready:
    """A picture's file, before it has a name."""

    data: bytes
    extension: str
    times: os.stat_result | None = None


@dataclass(slots=True)
class _Waiting:
    """A picture that is being made ready."""

    stem: str
    subfolder: str
    ready: Future[_Ready | Skipped]
    held: int = 0  # bytes


class SaveImages:
    """Saves pictures into a folder, and touches nothing that is there.

    A picture keeps its name. Where another one has it, a number is added; where the same content
    has it, nothing is written. Each file is there whole or not at all. A file whose format and
    size stay the same is copied, with all that it says of the photo; others are decoded in
    isolated processes, turned upright, and encoded anew.

    Parameters
    ----------
    folder : str or Path
        Where to; it is made.
    format : str
        A key of `FORMATS` ("png", "jpg", "webp", ...), or "original" for each picture's own.
    fit : Squash or Within, optional
        The size, if it is to be another one.
    workers : int, optional
        Number of worker processes; by default that of the cores that this process may use.
    reach : Reach, optional
        Where pictures from the web may be fetched from; what a script names, by default.

    Raises
    ------
    ValueError
        There is no such format.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> saved, missing = SaveImages(folder)(["examples/photos/fruit/lemon.png", "missing.png"])
    >>> saved.is_new, saved.path.endswith("lemon.png"), str(missing.reason)
    (True, True, 'not found')
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        format: str = AS_IT_IS,
        fit: Fit | None = None,
        *,
        workers: int | None = None,
        reach: Reach | None = None,
    ) -> None:
        if format != AS_IT_IS and format not in FORMATS:
            known = ", ".join([AS_IT_IS, *FORMATS])
            raise ValueError(f"Images cannot be saved as {format!r}. Formats: {known}.")
        self._folder = str(Path(folder).expanduser().absolute())
        self._format = FORMATS.get(format)
        self._fit = fit
        self._workers = workers
        self._reach = reach

    def __call__(
        self, references: Iterable[Any], subfolders: Sequence[str] | None = None
    ) -> list[Saved | Skipped]:
        """Save pictures.

        Parameters
        ----------
        references : iterable of N images
            Each is a path (str or Path), an http or https address, a ``data:`` URI, the bytes of
            an image file, a PIL image, or a uint8 array [H, W], [H, W, 3] or [H, W, 4].
        subfolders : sequence of N str, optional
            The folder in the folder that each goes into; an empty text is the folder itself, and so
            is a dot, which `ImportImages` gives as the category of images beside folders.

        Returns
        -------
        list of N Saved or Skipped
            In the order of the references. A picture that cannot be saved is Skipped, with the
            reason.

        Raises
        ------
        FolderError
            Nothing (more) can be saved into the folder. What was saved until then stays.
        WorkerError
            The processes that decode cannot start.
        """
        return list(self.outcomes(references, subfolders))

    def outcomes(
        self,
        references: Iterable[Any],
        subfolders: Sequence[str] | None = None,
        tick: Callable[[], object] = lambda: None,
    ) -> Iterator[Saved | Skipped]:
        """Save pictures one after the other; see `__call__`.

        Parameters
        ----------
        references, subfolders
            See `__call__`.
        tick : callable
            Called ten times a second while nothing is ready; what it raises ends the run.

        Yields
        ------
        Saved or Skipped
            In the order of the references. Leaving the loop early ends the run.
        """
        files = NewFiles(self._folder)
        named = set(subfolders or ()) - _THE_FOLDER_ITSELF
        folders = folder_names(named) | dict.fromkeys(_THE_FOLDER_ITSELF, "")
        waiting: deque[_Waiting] = deque()
        with _Workshop(self._workers, self._reach) as workshop:
            for number, reference in enumerate(references, 1):
                tick()
                waiting.append(
                    _Waiting(
                        stem_of(reference, number),
                        folders[subfolders[number - 1]] if subfolders else "",
                        *self._begin(reference, workshop),
                    )
                )
                while waiting and self._is_due(waiting, workshop):
                    yield _finish(waiting.popleft(), files, tick)
            while waiting:
                yield _finish(waiting.popleft(), files, tick)

    @staticmethod
    def _is_due(waiting: deque[_Waiting], workshop: _Workshop) -> bool:
        return (
            waiting[0].ready.done()
            or len(waiting) > workshop.capacity
            or sum(picture.held for picture in waiting) > _HELD
        )

    def _begin(self, reference: Any, workshop: _Workshop) -> tuple[Future[_Ready | Skipped], int]:
        """Make a picture ready; the second is how many bytes that holds meanwhile."""
        match source := sources.resolve(reference):
            case Skipped():
                return _done(source), 0
            case LocalFile():
                read = sources.read_file(source.path)
                if isinstance(read, Skipped):
                    return _done(read), 0
                return self._from_bytes(read[0], read[1], workshop), len(read[0])
            case Content():
                return self._from_bytes(source.data, None, workshop), len(source.data)
            case Picture():
                return self._from_picture(source, workshop), 0
            case Web():
                return self._from_web(source.url, workshop), 0

    def _from_bytes(
        self, data: bytes, times: os.stat_result | None, workshop: _Workshop
    ) -> Future[_Ready | Skipped]:
        name = formats.signature(data)
        own = _BY_SIGNATURE.get(name)
        wanted = self._format or own or _INSTEAD
        as_it_was = _Ready(data, wanted.extension, times)
        if self._fit is None and (wanted is own or (name and self._format is None)):
            if isinstance(problem := header_of(data), Skipped):
                return _done(problem)
            extension = wanted.extension if own else _OTHERS.get(name, f".{name.lower()}")
            return _done(replace(as_it_was, extension=extension))
        unchanged = as_it_was if wanted is own and isinstance(self._fit, Within) else None
        return self._encoded(BytesTask(data, self._job(wanted)), wanted, workshop, unchanged)

    def _from_picture(self, picture: Picture, workshop: _Workshop) -> Future[_Ready | Skipped]:
        try:
            pixels = decoding.from_picture(picture.image, self._fit or FULL_SIZE)
        except decoding.Unreadable as fault:
            return _done(fault.skipped)
        format = self._format or _INSTEAD
        return self._encoded(PixelsTask(pixels, self._job(format)), format, workshop)

    def _job(self, format: Format) -> EncodeJob:
        return EncodeJob(format, self._fit or FULL_SIZE)

    def _from_web(self, url: str, workshop: _Workshop) -> Future[_Ready | Skipped]:
        ready: Future[_Ready | Skipped] = Future()

        def downloaded(fetched: Future[Any]) -> None:
            if fetched.cancelled() or (error := fetched.exception()) is not None:
                _pass_on(fetched, ready)
            elif isinstance(result := fetched.result(), Skipped):
                ready.set_result(result)
            else:
                try:
                    following = self._from_bytes(result.data, None, workshop)
                except BaseException as error:
                    ready.set_exception(error)
                else:
                    following.add_done_callback(lambda done: _pass_on(done, ready))

        workshop.downloads().fetch(url).add_done_callback(downloaded)
        return ready

    def _encoded(
        self, task: Task, format: Format, workshop: _Workshop, unchanged: _Ready | None = None
    ) -> Future[_Ready | Skipped]:
        """Encode a picture; give the `unchanged` file if it was not scaled down."""
        ready: Future[_Ready | Skipped] = Future()

        def encoded(done: Future[Result]) -> None:
            if done.cancelled() or done.exception() is not None:
                _pass_on(done, ready)
                return
            made = done.result().payload
            if isinstance(made, Skipped):
                ready.set_result(made)
            elif unchanged is not None and self._is_whole(made.height, made.width):
                ready.set_result(unchanged)
            else:
                ready.set_result(_Ready(made.data, format.extension))

        workshop.engine().submit(task).add_done_callback(encoded)
        return ready

    def _is_whole(self, height: int, width: int) -> bool:
        """Whether a picture that came out with this size had it before."""
        return isinstance(self._fit, Within) and max(height, width) < self._fit.pixels


class _Workshop:
    """The processes and the downloads of one run, which begin when they are needed."""

    def __init__(self, workers: int | None, reach: Reach | None) -> None:
        self._workers = workers
        self._reach = reach
        self._engine: Engine | None = None
        self._lock = threading.Lock()  # the thread of the downloads asks for the engine, too
        self._closed = False
        self._downloads: Downloads | None = None

    def __enter__(self) -> _Workshop:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._downloads is not None:
            self._downloads.close()
        with self._lock:
            self._closed = True
        if self._engine is not None:
            self._engine.close()

    @property
    def capacity(self) -> int:
        """How many unfinished pictures keep all at work."""
        with self._lock:
            return 16 if self._engine is None else self._engine.capacity

    def engine(self) -> Engine:
        """Give the processes; each picture's task says in which format it is encoded."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the run has ended")
            if self._engine is None:
                self._engine = Engine(EncodeJob(_INSTEAD), workers=self._workers)
            return self._engine

    def downloads(self) -> Downloads:
        """Give what fetches pictures from the web."""
        if self._downloads is None:
            from orangecontrib.imageanalytics.web.downloads import Downloads

            self._downloads = Downloads(reach=self._reach)
        return self._downloads


def _finish(picture: _Waiting, files: NewFiles, tick: Callable[[], object]) -> Saved | Skipped:
    while not picture.ready.done():
        wait([picture.ready], timeout=_TICK)
        tick()
    ready = picture.ready.result()
    if isinstance(ready, Skipped):
        return ready
    if not ready.data:
        return Skipped(Reason.NOT_AN_IMAGE, "the file is empty")
    return files.write(ready.data, picture.subfolder, picture.stem, ready.extension, ready.times)


def _done(outcome: _Ready | Skipped) -> Future[_Ready | Skipped]:
    future: Future[_Ready | Skipped] = Future()
    future.set_result(outcome)
    return future


def _pass_on(done: Future[Any], to: Future[Any]) -> None:
    if done.cancelled():
        to.cancel()
    elif (error := done.exception()) is not None:
        to.set_exception(error)
    else:
        to.set_result(done.result())
