"""The way of the images: references in, outcomes out, in input order, streaming.

Each image goes through a few steps (looked up in the cache, fetched, hashed, embedded), each of
which is a future or done at once. One thread, the caller's, moves images on as their futures
complete; whatever takes time happens elsewhere.
"""

from __future__ import annotations

import threading
import time
import weakref
import zlib
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask, PixelsTask, Result, Task
from orangecontrib.imageanalytics.engine import worker
from orangecontrib.imageanalytics.outcome import Embedded, Outcome, Skipped
from orangecontrib.imageanalytics.sources import Content, LocalFile, Picture, Web

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.cache import Cache
    from orangecontrib.imageanalytics.decoding.fit import Fit
    from orangecontrib.imageanalytics.embedder import Embedder
    from orangecontrib.imageanalytics.web.downloads import Downloads, Known

#: Outcomes kept back because an earlier image is not finished: one that hangs for a minute does
#: not stop the others, and 4096 vectors of 4096 floats are 64 MB.
_AHEAD = 4096
#: Images under way beyond what the embedder needs: those being downloaded or hashed.
_BEFORE = 8
#: Files that are hashed at once: each is read whole.
_HASHED_AT_ONCE = 4
#: Seconds without news after which `tick` is called, so that a caller can cancel at any moment.
_TICK = 0.1


@dataclass(eq=False, slots=True)
class _Image:
    index: int
    path: str | None = None  # of a local file
    stat: os.stat_result | None = None
    url: str | None = None
    task: Task | None = None  # how to embed it
    content: bytes | None = None  # hash, once known
    size: int = 0  # of the content, in bytes
    keys: list[str | bytes | int] = field(default_factory=list)  # by which others follow it
    begun: float = field(default_factory=time.time)  # Unix time, seconds


class Made(Protocol):
    """What is made of images, such as the vectors of a model."""

    @property
    def id(self) -> str:
        """By which the cache counts and clears."""

    @property
    def fit(self) -> Fit:
        """How pictures are fitted for it."""


class Pipeline:
    """One run over some references.

    Parameters
    ----------
    model : Made
        What is made of them: a model, or something else of which there is a vector per image.
    embedder : Embedder
        What computes.
    cache : Cache
        What was computed before.
    downloads : callable
        Gives what fetches web images, once there is one.
    tick : callable, optional
        Called with the number of finished images after each one, and ten times a second while
        none finishes. What it raises ends the run.
    """

    def __init__(
        self,
        model: Made,
        embedder: Embedder,
        cache: Cache,
        downloads: Callable[[], Downloads],
        tick: Callable[[int], None] = lambda finished: None,
    ) -> None:
        self._model = model
        self._embedder = embedder
        self._cache = cache
        self._downloads = downloads
        self._tick = tick
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._hashers = DaemonThreads("image hasher")
        self._hashing = threading.BoundedSemaphore(_HASHED_AT_ONCE)
        self._outcomes: dict[int, Outcome] = {}  # of finished images, until they are given out
        self._taken = self._finished = self._given_out = 0
        # Images that wait for another one, by what they share: path, content hash, or the size
        # of a file whose hash is not known yet, so that they may share that too.
        self._followers: dict[str | bytes | int, list[_Image]] = {}
        self._sizes: set[int] = set()  # of the files of this run
        # For want of a cache: holds on to no vector, but finds those that the caller still has.
        self._vectors: weakref.WeakValueDictionary[bytes, NDArray[np.float32]]
        self._vectors = weakref.WeakValueDictionary()
        self._checksums: dict[bytes, int] = {}  # the caller may change what was given out

    def run(self, references: Iterable[Any]) -> Iterator[Outcome]:
        """Give each reference's outcome, in their order.

        Raises
        ------
        EmbeddingError
            What stops the run.
        """
        remaining = enumerate(references)
        exhausted = False
        while not exhausted or self._finished < self._taken:
            if not exhausted and self._may_take():
                try:
                    index, reference = next(remaining)
                except StopIteration:
                    exhausted = True
                else:
                    self._taken += 1
                    self._begin(_Image(index), sources.resolve(reference))
            else:
                self._wait()
            while self._given_out in self._outcomes:
                yield self._outcomes.pop(self._given_out)
                self._given_out += 1

    def _may_take(self) -> bool:
        unfinished = self._taken - self._finished
        return (
            unfinished < self._embedder.capacity + _BEFORE
            and self._taken - self._given_out < _AHEAD
        )

    def _wait(self) -> None:
        try:
            event = self._events.get(timeout=_TICK)
        except Empty:
            self._tick(self._finished)
        else:
            event()

    def _when(
        self, future: Future[Any], then: Callable[[_Image, Any], None], image: _Image
    ) -> None:
        """Call `then` in the caller's thread with the future's result, or raise there."""
        future.add_done_callback(lambda done: self._events.put(lambda: then(image, done.result())))

    def _finish(self, image: _Image, outcome: Outcome) -> None:
        self._outcomes[image.index] = outcome
        self._finished += 1
        self._tick(self._finished)

    # ---- the steps of an image; each leads to another one, or to `_finish`

    def _begin(self, image: _Image, source: sources.Source) -> None:
        match source:
            case Skipped():
                self._finish(image, source)
            case LocalFile():
                image.path, image.stat = source.path, source.stat
                self._look_up_file(image)
            case Content():
                self._use_bytes(image, source.data)
            case Picture():
                self._use_picture(image, source)
            case Web():
                image.url = source.url
                fetching = self._downloads().fetch(source.url, self._is_known)
                self._when(fetching, self._downloaded, image)

    def _look_up_file(self, image: _Image) -> None:
        assert image.path is not None and image.stat is not None
        vector = self._cache.vector_of_file(
            image.path, image.stat, self._embedder.fingerprint, self._embedder.dimension
        )
        if vector is not None:
            self._finish(image, Embedded(vector))
            return
        if self._follows(image, image.path):
            return
        self._lead(image, image.path)
        if self._may_be_known(image.stat.st_size):
            hashing = self._hashers.submit(self._hash, image.path)
            self._when(hashing, self._hashed, image)
        else:
            self._lead(image, image.stat.st_size)
            self._embed(image, FileTask(image.path))

    def _may_be_known(self, size: int) -> bool:
        """Whether content of this many bytes was met before, here or in the cache.

        Most files are of a size never seen, and are hashed by the worker that decodes them.
        """
        seen = size in self._sizes
        self._sizes.add(size)
        return seen or self._cache.knows_size(size)

    def _hash(self, path: str) -> Result:
        with self._hashing:
            return worker.hash_file(path)

    def _hashed(self, image: _Image, result: Result) -> None:
        if isinstance(result.payload, Skipped):
            self._conclude(image, result.payload)
            return
        image.content, image.size, image.stat = result.content, result.size, result.stat
        assert image.path is not None
        self._look_up_content(image, FileTask(image.path))

    def _use_bytes(self, image: _Image, data: bytes) -> None:
        image.content, image.size = sources.content_hash(data), len(data)
        self._look_up_content(image, BytesTask(data))

    def _use_picture(self, image: _Image, picture: Picture) -> None:
        from orangecontrib.imageanalytics.decoding import pixels

        try:
            ready = pixels.from_picture(picture.image, self._model.fit)
        except pixels.Unreadable as fault:
            self._finish(image, fault.skipped)
            return
        image.content, image.size = sources.picture_hash(ready), ready.nbytes
        self._look_up_content(image, PixelsTask(ready))

    def _downloaded(self, image: _Image, result: Content | Known | Skipped) -> None:
        if isinstance(result, Skipped):
            self._finish(image, result)
        elif isinstance(result, Content):
            self._use_bytes(image, result.data)
        else:
            vector = self._known_vector(result.content)
            if vector is not None:
                self._finish(image, Embedded(vector))
            else:  # the cache has dropped it in between
                assert image.url is not None
                self._when(self._downloads().fetch(image.url), self._downloaded, image)

    def _is_known(self, content: bytes) -> bool:
        return self._known_vector(content) is not None

    def _known_vector(self, content: bytes) -> NDArray[np.float32] | None:
        """Return a vector of the caller's own."""
        vector = self._vectors.get(content)
        if vector is not None and zlib.crc32(vector.data) == self._checksums[content]:
            return vector.copy()
        return self._cache.vector(content, self._embedder.fingerprint, self._embedder.dimension)

    def _look_up_content(self, image: _Image, task: Task) -> None:
        assert image.content is not None
        vector = self._known_vector(image.content)
        if vector is not None:
            self._remember_file(image)
            self._conclude(image, Embedded(vector))
        elif self._follows(image, image.size) or self._follows(image, image.content):
            image.task = task
        else:
            image.task = None
            self._lead(image, image.content)
            self._embed(image, task)

    def _follows(self, image: _Image, key: str | bytes | int) -> bool:
        """Let the image wait if one is under way that is, or may be, the same."""
        if key in self._followers:
            self._followers[key].append(image)
            return True
        return False

    def _lead(self, image: _Image, key: str | bytes | int) -> None:
        """Let others that are, or may be, the same image wait for this one."""
        self._followers[key] = []
        image.keys.append(key)

    def _embed(self, image: _Image, task: Task) -> None:
        self._when(self._embedder.submit(task), self._embedded, image)

    def _embedded(self, image: _Image, result: Result) -> None:
        if isinstance(result.payload, Skipped):
            self._conclude(image, result.payload)
            return
        if result.content is not None:  # of the very bytes that were decoded
            image.content, image.size, image.stat = result.content, result.size, result.stat
        assert image.content is not None
        vector = np.array(result.payload)  # what was unpickled is a view of a view, 0.4 kB larger
        self._cache.add(
            image.content, image.size, self._model.id, self._embedder.fingerprint, vector
        )
        if not self._cache.remembers:
            self._vectors[image.content] = vector
            self._checksums[image.content] = zlib.crc32(vector.data)
        self._remember_file(image)
        self._conclude(image, Embedded(vector))

    def _remember_file(self, image: _Image) -> None:
        if image.path is not None and image.stat is not None and image.content is not None:
            self._cache.remember_file(image.path, image.stat, image.content, read_after=image.begun)

    def _conclude(self, image: _Image, outcome: Outcome) -> None:
        """Finish an image that others may wait for."""
        followers = [(key, self._followers.pop(key)) for key in image.keys]
        own = None  # copied before the caller gets hold of it
        if isinstance(outcome, Embedded) and any(waiting for _, waiting in followers):
            own = outcome.vector.copy()
        self._finish(image, outcome)
        for key, waiting in followers:
            for follower in waiting:
                if isinstance(key, str):
                    self._conclude(follower, outcome if own is None else Embedded(own.copy()))
                else:  # it may be the same content, but under another name
                    assert follower.task is not None
                    self._look_up_content(follower, follower.task)
