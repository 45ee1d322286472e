"""One shard: what a worker of the cluster does at a time, or this computer."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.batch import addresses
from orangecontrib.imageanalytics.batch.dataset import Dataset, Row, Summary, readable
from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask, Result
from orangecontrib.imageanalytics.engine import own_engine
from orangecontrib.imageanalytics.outcome import Embedded, EmbeddingError, Reason, Skipped
from orangecontrib.imageanalytics.sources import Content, LocalFile, Web, content_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orangecontrib.imageanalytics.embedder import Job
    from orangecontrib.imageanalytics.engine import Engine
    from orangecontrib.imageanalytics.web.downloads import Downloads

#: Images under way at a time; most are but a path.
_UNDER_WAY = 256
#: Images that are held in memory or fetched at a time, since they are no files here.
_HELD = 24
#: Seconds that fetching an image by its address may take.
_FETCH = 120.0
#: Seconds between two words about how far it is.
_NEWS = 2.0


@dataclass(frozen=True, slots=True)
class Shard:
    """What is to be done.

    Attributes
    ----------
    number : int
        Which shard of the dataset it is.
    references : tuple of str
        The images.
    dataset : Dataset
        Where it goes.
    job : Job
        What makes vectors.
    said : Summary
        Which model that is, of what fingerprint.
    again : frozenset of Reason
        What is tried again, of what is in the dataset already.
    deadline : float
        Seconds that an image may be worked on.
    workers : int, optional
        Processes; as many as a worker of the cluster has threads by default.
    replaces : bool
        Whether it may take the place of a shard of other images.
    """

    number: int
    references: tuple[str, ...]
    dataset: Dataset
    job: Job
    said: Summary
    again: frozenset[Reason]
    deadline: float
    workers: int | None = None
    replaces: bool = False

    @property
    def digest(self) -> str:
        """Hash of the names."""
        names = "\0".join(map(readable, self.references))
        return content_hash(names.encode()).hex()


def embed_shard(shard: Shard, tell: Callable[[int], object] = lambda done: None) -> Summary:
    """Embed the images of a shard, and write it.

    Parameters
    ----------
    shard : Shard
        Images that are in the dataset already are taken from there.
    tell : callable
        Told now and then how many images are done.

    Returns
    -------
    Summary
        What was written.

    Raises
    ------
    EmbeddingError
        If the dataset cannot be read or written, or holds vectors of another model, or those of
        other images that another program has put there meanwhile; they stay.
    """
    known = shard.dataset.rows(shard.number, shard.said) if _is_there(shard) else {}
    known = {path: row for path, row in known.items() if not _is_again(row, shard.again)}
    rows = [known.get(readable(reference)) for reference in shard.references]
    missing = [place for place, row in enumerate(rows) if row is None]
    had = len(rows) - len(missing)
    found = _Embedding(shard, lambda done: tell(had + done))(
        [shard.references[place] for place in missing]
    )
    for place, row in zip(missing, found, strict=True):
        rows[place] = row
    whole = [row for row in rows if row is not None]
    reasons = Counter(row.outcome.reason for row in whole if isinstance(row.outcome, Skipped))
    said = replace(
        shard.said,
        references=shard.digest,
        reasons={reason.name: count for reason, count in reasons.items()},
        embedded=len(whole) - reasons.total(),
    )
    _is_there(shard)
    shard.dataset.write(shard.number, shard.references, whole, said)
    return said


def _is_there(shard: Shard) -> bool:
    """Whether there is one of its number, which this one may take the place of."""
    if not shard.dataset.has(shard.number):
        return False
    there = shard.dataset.summary(shard.number, shard.said)
    if there.references != shard.digest and not shard.replaces:
        raise EmbeddingError(
            f"Another program has written {shard.dataset.name(shard.number)} meanwhile, of other "
            "images. Name another folder."
        )
    return True


def packed(shard: Shard) -> tuple[Shard, bytes]:
    """Put the names aside, compressed: Dask's scheduler keeps its last messages to each worker."""
    return replace(shard, references=()), zlib.compress(json.dumps(shard.references).encode())


def embed_shard_on_worker(shard: Shard, names: bytes, topic: str) -> Summary:
    """Do the same in a worker of Dask, which tells whoever listens to the topic.

    Parameters
    ----------
    shard, names
        What `packed` gives.
    topic : str
        Of Dask's events.
    """
    from distributed import get_worker

    shard = replace(shard, references=tuple(json.loads(zlib.decompress(names))))
    worker = get_worker()
    return embed_shard(
        shard, lambda done: worker.log_event(topic, {"shard": shard.number, "done": done})
    )


def _is_again(row: Row, again: frozenset[Reason]) -> bool:
    return isinstance(row.outcome, Skipped) and row.outcome.reason in again


class _Embedding:
    """Embeds some images with the engine of this process, some at a time."""

    def __init__(self, shard: Shard, tell: Callable[[int], object]) -> None:
        self._shard = shard
        self._tell = tell
        self._under_way = threading.Semaphore(_UNDER_WAY)
        self._held = threading.Semaphore(_HELD)
        self._fetchers = DaemonThreads("image fetcher")
        self._fetching: dict[Future[Result], float] = {}  # and since when
        self._lock = threading.Lock()  # of that: fetchers' threads take out what has arrived
        self._downloads: Downloads | None = None
        self._told = time.monotonic()

    def __call__(self, references: Sequence[str]) -> list[Row]:
        """Give what became of each."""
        if not references:
            return []
        shard = self._shard
        futures: list[Future[Result]] = []
        try:
            with own_engine(shard.job, shard.deadline, shard.workers) as engine:
                for reference in references:
                    self._acquire(self._under_way, futures)
                    future = self._begin(reference, engine, futures)
                    future.add_done_callback(lambda done: self._under_way.release())
                    futures.append(future)
                for _ in range(_UNDER_WAY):  # all of them: then nothing is under way
                    self._acquire(self._under_way, futures)
                return [_row(future.result()) for future in futures]
        finally:
            if self._downloads is not None:
                self._downloads.close()

    def _acquire(self, places: threading.Semaphore, futures: list[Future[Result]]) -> None:
        while not places.acquire(timeout=_NEWS):
            self._look(futures)
        if time.monotonic() - self._told > _NEWS:
            self._look(futures)

    def _look(self, futures: list[Future[Result]]) -> None:
        """Tell how far it is, and let go of what takes too long to be fetched."""
        self._told = time.monotonic()
        with self._lock:
            fetching = list(self._fetching.items())
        for future, since in fetching:
            if self._told - since > _FETCH:
                slow = f"fetching it took longer than {_FETCH:g} s and was stopped"
                _settle(future, Result(Skipped(Reason.NOT_DOWNLOADED, slow)))
        self._tell(sum(future.done() for future in futures))

    def _begin(
        self, reference: str, engine: Engine, futures: list[Future[Result]]
    ) -> Future[Result]:
        if addresses.is_address(reference):
            return self._fetch(
                lambda: self._fetchers.submit(addresses.read, reference), engine, futures
            )
        source = sources.resolve(reference)
        if isinstance(source, LocalFile):
            return engine.submit(FileTask(source.path))
        if isinstance(source, Content):
            return engine.submit(BytesTask(source.data))
        if isinstance(source, Web):
            return self._fetch(lambda: self._web().fetch(source.url), engine, futures)
        done: Future[Result] = Future()
        done.set_result(Result(source))
        return done

    def _web(self) -> Downloads:
        if self._downloads is None:
            from orangecontrib.imageanalytics.web.downloads import Downloads

            self._downloads = Downloads()
        return self._downloads

    def _fetch(
        self, begin: Callable[[], Future], engine: Engine, futures: list[Future[Result]]
    ) -> Future[Result]:
        """Embed what is fetched from elsewhere; some are held at a time."""
        self._acquire(self._held, futures)
        promised: Future[Result] = Future()
        promised.add_done_callback(lambda done: self._held.release())
        with self._lock:
            self._fetching[promised] = time.monotonic()

        def fetched(fetching: Future) -> None:
            with self._lock:
                self._fetching.pop(promised, None)
            try:
                got = fetching.result()
                if isinstance(got, Skipped):
                    _settle(promised, Result(got))
                    return
                data = got.data if isinstance(got, Content) else got
                engine.submit(BytesTask(data)).add_done_callback(embedded)
            except BaseException as error:
                _settle(promised, error)

        def embedded(embedding: Future[Result]) -> None:
            try:
                _settle(promised, embedding.result())
            except BaseException as error:
                _settle(promised, error)

        begin().add_done_callback(fetched)
        return promised


_settling = threading.Lock()


def _settle(future: Future[Result], what: Result | BaseException) -> None:
    """Give a future its result, unless it has been let go of."""
    with _settling:
        if future.done():
            return
        if isinstance(what, BaseException):
            future.set_exception(what)
        else:
            future.set_result(what)


def _row(result: Result) -> Row:
    if isinstance(result.payload, Skipped):
        return Row(result.payload, result.content)
    return Row(Embedded(result.payload), result.content)
