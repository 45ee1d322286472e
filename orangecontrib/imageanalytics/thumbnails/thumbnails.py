"""Thumbnails: a reference to a small picture, from the cache or through the engine."""

from __future__ import annotations

import os
import threading
import time
import weakref
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.cache import ThumbnailCache
from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.decoding import pixels as decoding
from orangecontrib.imageanalytics.decoding.fit import Within
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.sources import Content, LocalFile, Picture, Web
from orangecontrib.imageanalytics.thumbnails.encoding import (
    STEPS,
    VERSION,
    Thumbnail,
    ThumbnailJob,
    encode,
    step_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orangecontrib.imageanalytics.embedder import Result, Task
    from orangecontrib.imageanalytics.web.downloads import Downloads, Known
    from orangecontrib.imageanalytics.web.reach import Reach

    Made = Future[Thumbnail | Skipped]

#: What thumbnails are counted as in the cache.
_MODEL = "thumbnails"


class Thumbnails:
    """Makes small pictures of images, in isolated processes, and keeps them on disk.

    A thumbnail is upright, has the picture's aspect ratio and its transparency, and is never
    larger than the picture itself. Processes start with the first image that is not in the
    cache, and end when there has been nothing to do for a minute, or with `close`.

    Parameters
    ----------
    cache : ThumbnailCache, path or False, optional
        The cache, its folder, or False for none; the user's own by default.
    workers : int, optional
        Number of worker processes; by default that of the cores that this process may use.
    reach : Reach, optional
        Where web images may be fetched from; by default wherever a script may.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.thumbnails import Thumbnails
    >>> with Thumbnails(cache=False) as thumbnails:
    ...     lemon, missing = thumbnails(["examples/photos/fruit/lemon.png", "missing.png"], 64)
    >>> lemon.pixels().shape, str(missing.reason)
    ((42, 64, 4), 'not found')
    """

    def __init__(
        self,
        cache: ThumbnailCache | str | os.PathLike[str] | bool | None = None,
        *,
        workers: int | None = None,
        reach: Reach | None = None,
    ) -> None:
        if isinstance(cache, ThumbnailCache):
            self._cache = cache
        elif cache is None or isinstance(cache, bool):
            self._cache = ThumbnailCache(enabled=cache is not False)
        else:
            self._cache = ThumbnailCache(Path(cache))
        self._workers = workers
        self._reach = reach
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._downloads: Downloads | None = None
        self._threads = DaemonThreads("thumbnails")
        self._closed = False

    def __enter__(self) -> Thumbnails:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __call__(
        self,
        references: Iterable[Any],
        size: int = 256,
        callback: Callable[[int], None] | None = None,
    ) -> list[Thumbnail | Skipped]:
        """Make thumbnails of images.

        Parameters
        ----------
        references : iterable of N images
            Each is a path (str or Path), an http or https address, a ``data:`` URI, the bytes of
            an image file, a PIL image, or a uint8 array [H, W], [H, W, 3] or [H, W, 4].
        size : int
            Pixels, for the longer side. They are made in steps of 64, 128, 256, 512 and 1024
            pixels, and come in the smallest that is not below `size`. What is larger than 1024 is
            made of the very size, and not kept.
        callback : callable, optional
            Called with the number of finished images after each.

        Returns
        -------
        list of N Thumbnail or Skipped
            In the order of the references. An image that cannot be seen is Skipped, with the
            reason.

        Raises
        ------
        InputTypeError
            A reference is of a type that cannot be an image.
        WorkerError
            The processes that decode cannot start.
        """
        made = []
        for outcome in self.outcomes(references, size):
            made.append(outcome)
            if callback is not None:
                callback(len(made))
        return made

    def outcomes(self, references: Iterable[Any], size: int = 256) -> Iterator[Thumbnail | Skipped]:
        """Make thumbnails one after the other, in the order of the references; see `__call__`.

        Memory does not grow with their number. Leaving the loop early cancels the rest.
        """
        remaining = iter(references)
        under_way: list[Made] = []
        exhausted = False
        try:
            while under_way or not exhausted:
                while not exhausted and len(under_way) < self.capacity:
                    try:
                        under_way.append(self.request(next(remaining), size))
                    except StopIteration:
                        exhausted = True
                if under_way:
                    yield under_way.pop(0).result()
        finally:
            for future in under_way:
                future.cancel()

    @property
    def capacity(self) -> int:
        """How many unfinished images keep all processes busy."""
        with self._lock:
            return self._opened().capacity

    def start(self) -> None:
        """Start the processes now, while something else is being prepared."""
        with self._lock:
            self._opened().start()

    def request(self, reference: Any, size: int = 256) -> Made:
        """Make one thumbnail.

        It looks at the file and at the cache before it returns: not to be called in the thread of
        a window, as a network drive may take its time.

        Parameters
        ----------
        reference, size
            See `__call__`.

        Returns
        -------
        Future of Thumbnail or Skipped
            It fails only with what stops all, a WorkerError, and is cancelled by `close`. It can
            be cancelled: an image that no process has begun with is then not decoded.

        Raises
        ------
        InputTypeError
            If the reference is of a type that cannot be an image.
        RuntimeError
            If the thumbnails were closed.
        """
        step = step_for(size)
        made: Made = Future()
        match source := sources.resolve(reference):
            case Skipped():
                made.set_result(source)
            case LocalFile():
                self._from_file(source, step, made)
            case Content():
                self._from_bytes(source.data, step, made)
            case Picture():
                made.set_result(_from_picture(source, step))
            case Web():
                self._from_web(source.url, step, made)
        return made

    def set_reach(self, reach: Reach | None) -> None:
        """Fetch web images from elsewhere from now on; what is under way is cancelled."""
        with self._lock:
            self._reach = reach
            downloads, self._downloads = self._downloads, None
        if downloads is not None:
            downloads.close()

    def close(self) -> None:
        """End the processes and downloads at once; may be called twice."""
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
            downloads, self._downloads = self._downloads, None
        if downloads is not None:
            downloads.close()
        if engine is not None:
            engine.close()
        self._cache.close()

    # ---- from each kind of source

    def _from_file(self, file: LocalFile, step: int, made: Made) -> None:
        begun = time.time()
        blob = self._cache.blob_of_file(file.path, file.stat, _fingerprint(step))
        if blob is not None:
            made.set_result(Thumbnail.from_blob(blob))
            return
        self._decode(FileTask(file.path, ThumbnailJob(Within(step))), step, made, file.path, begun)

    def _from_bytes(self, data: bytes, step: int, made: Made) -> None:
        known = self._cache.blob(sources.content_hash(data), _fingerprint(step))
        if known is not None:
            _resolve(made, Thumbnail.from_blob(known))
        else:
            self._decode(BytesTask(data, ThumbnailJob(Within(step))), step, made)

    def _from_web(self, url: str, step: int, made: Made) -> None:
        fingerprint = _fingerprint(step)
        fetched = self._web().fetch(
            url, lambda content: self._cache.blob(content, fingerprint) is not None
        )
        # in a thread, as hashing takes 0.2 s for the largest, in which nothing would be received
        fetched.add_done_callback(
            lambda done: self._threads.submit(self._downloaded, done, url, step, made)
        )

    def _downloaded(
        self, fetched: Future[Content | Known | Skipped], url: str, step: int, made: Made
    ) -> None:
        if fetched.cancelled():
            made.cancel()
            return
        try:
            result = fetched.result()
            if isinstance(result, Skipped):
                _resolve(made, result)
            elif isinstance(result, Content):
                self._from_bytes(result.data, step, made)
            elif blob := self._cache.blob(result.content, _fingerprint(step)):
                _resolve(made, Thumbnail.from_blob(blob))
            else:  # the cache has dropped it in between
                again = self._web().fetch(url)
                again.add_done_callback(
                    lambda done: self._threads.submit(self._downloaded, done, url, step, made)
                )
        except RuntimeError:  # closed in between
            made.cancel()
        except BaseException as error:
            _fail(made, error)

    def _decode(
        self, task: Task, step: int, made: Made, path: str | None = None, begun: float = 0.0
    ) -> None:
        with self._lock:
            engine = self._opened()
            decoding = engine.submit(task)
        decoding.add_done_callback(partial(self._decoded, engine, step, made, path, begun))
        # Weakly: if the two held each other, each thumbnail would leave forty objects to the
        # collector of garbage, for which the window and all threads stand still (0.1 to 0.3 s).
        made.add_done_callback(partial(_cancel_with, weakref.ref(decoding)))

    def _decoded(
        self,
        engine: Engine,
        step: int,
        made: Made,
        path: str | None,
        begun: float,
        done: Future[Result],
    ) -> None:
        if done.cancelled():
            made.cancel()
        elif error := done.exception():
            self._give_up(engine)
            _fail(made, error)
        else:
            _resolve(made, self._taken(done.result(), step, path, begun))

    def _taken(
        self, result: Result, step: int, path: str | None, begun: float
    ) -> Thumbnail | Skipped:
        """Make a thumbnail of what a process gave, and keep it."""
        if isinstance(result.payload, Skipped):
            return result.payload
        assert result.shape is not None
        height, width = result.shape
        thumbnail = Thumbnail(result.payload, width, height, result.size)
        if step in STEPS:
            self._remember(result, thumbnail, step, path, begun)
        return thumbnail

    def _remember(
        self, result: Result, thumbnail: Thumbnail, step: int, path: str | None, begun: float
    ) -> None:
        assert result.content is not None
        self._cache.add_blob(
            result.content, result.size, _MODEL, _fingerprint(step), thumbnail.to_blob()
        )
        if path is not None and result.stat is not None:
            self._cache.remember_file(path, result.stat, result.content, read_after=begun)

    # ---- what is opened when it is needed

    def _opened(self) -> Engine:
        if self._closed:
            raise RuntimeError("the thumbnails were closed")
        if self._engine is None:
            self._engine = Engine(ThumbnailJob(), workers=self._workers)
        return self._engine

    def _give_up(self, engine: Engine) -> None:
        """Let the next image try new processes: these could not start."""
        with self._lock:
            if self._engine is engine:
                self._engine = None

    def _web(self) -> Downloads:
        with self._lock:
            if self._closed:
                raise RuntimeError("the thumbnails were closed")
            if self._downloads is None:
                from orangecontrib.imageanalytics.web.downloads import Downloads

                self._downloads = Downloads(self._cache, reach=self._reach)
            return self._downloads


def _fingerprint(step: int) -> str:
    return f"thumbnail {VERSION} within {step}"


def _from_picture(picture: Picture, step: int) -> Thumbnail | Skipped:
    try:
        pixels = decoding.from_picture(picture.image, Within(step))
    except decoding.Unreadable as fault:
        return fault.skipped
    image = picture.image  # of a file that lies, width and height are those before turning
    height, width = image.shape[:2] if isinstance(image, np.ndarray) else image.size[::-1]
    return Thumbnail(encode(pixels), width, height, 0)


def _cancel_with(decoding: weakref.ref[Future[Result]], made: Made) -> None:
    if made.cancelled() and (under_way := decoding()) is not None:
        under_way.cancel()


def _resolve(made: Made, outcome: Thumbnail | Skipped) -> None:
    if made.set_running_or_notify_cancel():
        made.set_result(outcome)


def _fail(made: Made, error: BaseException) -> None:
    if made.set_running_or_notify_cancel():
        made.set_exception(error)
