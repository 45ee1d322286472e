"""A run over all images: which shards are to be done, some at a time, here or on a cluster."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.batch import addresses
from orangecontrib.imageanalytics.batch.dataset import Summary
from orangecontrib.imageanalytics.batch.former import require_shared
from orangecontrib.imageanalytics.batch.shard import (
    Shard,
    embed_shard,
    embed_shard_on_worker,
    packed,
)
from orangecontrib.imageanalytics.engine import hash_file
from orangecontrib.imageanalytics.outcome import EmbeddingError, Reason, Skipped
from orangecontrib.imageanalytics.sources import LocalFile, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Client

#: Shards beyond one for each thread of the cluster, so that none waits for the next one.
_BEFORE = 2


@dataclass(slots=True)
class Totals:
    """What has become of all images so far.

    Attributes
    ----------
    images : int
        Those that have been done, in this run or before.
    embedded : int
        Those of them that have a vector.
    reasons : Counter of Reason
        Why others have none.
    shards, kept : int
        Shards that are done, and those of them that were there before.
    failed : list of (int, str)
        Numbers of shards that could not be done, and why; another run does them.
    surplus : int
        Shards in the folder beyond those of these images.
    """

    images: int = 0
    embedded: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    shards: int = 0
    kept: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    surplus: int = 0

    def add(self, said: Summary, *, kept: bool) -> None:
        """Count a shard."""
        self.embedded += said.embedded
        self.reasons.update({Reason[name]: count for name, count in said.reasons.items()})
        self.images += said.embedded + sum(said.reasons.values())
        self.shards += 1
        self.kept += kept


class Run:
    """Embeds images into a dataset.

    Parameters
    ----------
    references : iterable of str
        The images, in the same order each time.
    pattern : Shard
        What all shards have in common.
    size : int
        Images in a shard.
    tell : callable, optional
        Called with the number of images that are done, now and then.
    """

    def __init__(
        self,
        references: Iterable[str],
        pattern: Shard,
        size: int,
        tell: Callable[[int], object] = lambda done: None,
    ) -> None:
        self._references = references
        self._pattern = pattern
        self._size = size
        self._tell = tell
        self._done: dict[int, int] = {}  # images of each shard under way
        self._is_tried = False  # whether workers see the files
        self._lock = threading.Lock()
        self.totals = Totals()

    def here(self) -> Totals:
        """Do it on this computer.

        Raises
        ------
        EmbeddingError
            What stops the run; the shards that were written stay.
        """
        for shard in self._open_shards():
            self._add(shard.number, embed_shard(shard, partial(self._news, shard.number)))
        return self.totals

    def on(self, client: Client) -> Totals:
        """Do it on a cluster, whose workers see the images and the folder by the same names.

        Raises
        ------
        EmbeddingError
            What stops the run; the shards that were written stay.
        """
        from distributed import as_completed

        topic = f"images-{uuid.uuid4().hex}"
        client.subscribe_topic(topic, lambda event: self._news(event[1]["shard"], event[1]["done"]))
        shards = self._open_shards()
        under_way: dict[Any, int] = {}
        waiting = as_completed()

        def hand_over(count: int) -> None:
            for shard in itertools.islice(shards, count):
                if not self._is_tried:
                    self._try(client, shard)
                    self._is_tried = True
                future = client.submit(embed_shard_on_worker, *packed(shard), topic, pure=False)
                under_way[future] = shard.number
                waiting.add(future)

        try:
            hand_over(_room(client))
            for future in waiting:
                self._finish(future, under_way.pop(future))
                future.release()
                hand_over(max(0, _room(client) - len(under_way)))
        finally:
            client.cancel(list(under_way))
            client.unsubscribe_topic(topic)
        return self.totals

    def _finish(self, future: Any, number: int) -> None:
        if future.status == "finished":
            said = future.result()
            if not self._pattern.dataset.has(number):
                raise EmbeddingError(
                    f"The cluster's workers write to a folder {shown(self._pattern.dataset.folder)}"
                    " of their own, which this computer does not see. Name one that all see."
                )
            self._add(number, said)
            return
        error = future.exception() if future.status == "error" else None
        if isinstance(error, EmbeddingError):
            raise error
        if future.status == "cancelled":
            raise EmbeddingError(
                "The connection to the cluster was lost. What is written is kept: run it again."
            )
        self.totals.failed.append((number, f"{type(error).__name__}: {error}".splitlines()[0]))

    def _try(self, client: Client, shard: Shard) -> None:
        """Let a worker read one file that is here: it must be there, too."""
        for reference in shard.references:
            source = None if addresses.is_address(reference) else sources.resolve(reference)
            if isinstance(source, LocalFile):
                ours = hash_file(source.path)
                if isinstance(ours.payload, Skipped):
                    continue
                theirs = client.submit(hash_file, source.path, pure=False).result()
                if theirs.content != ours.content:
                    raise EmbeddingError(
                        "The cluster's workers do not see the files of this computer, such as "
                        f"{shown(source.path)}. Put the images where all see them, by the same "
                        "name: on a shared drive, or in a store such as s3://."
                    )
                return

    # ---- which shards

    def _open_shards(self) -> Iterator[Shard]:
        """Give the shards that are to be done; what is done already is counted."""
        dataset = self._pattern.dataset
        dataset.make()
        there = dataset.numbers()
        replaces = self._pattern.replaces
        references = iter(self._references)
        if there and not replaces:
            references = require_shared(references, dataset, there, self._pattern.said)
        number = 0
        while names := tuple(itertools.islice(references, self._size)):
            shard = replace(
                self._pattern,
                number=number,
                references=names,
                replaces=replaces or number in there,
            )
            said = self._said(shard) if number in there else None
            if said is None:
                yield shard
            else:
                with self._lock:
                    self.totals.add(said, kept=True)
                self._report()
            number += 1
        self.totals.surplus = sum(1 for one in there if one >= number)

    def _said(self, shard: Shard) -> Summary | None:
        """What is in a shard that is there, if that is all that can be had."""
        said = shard.dataset.summary(shard.number, shard.said)
        is_done = said.references == shard.digest and not said.may_be_better(shard.again)
        return said if is_done else None

    # ---- how far it is

    def _news(self, number: int, done: int) -> None:
        with self._lock:
            self._done[number] = done
        self._report()

    def _add(self, number: int, said: Summary) -> None:
        with self._lock:
            self._done.pop(number, None)
            self.totals.add(said, kept=False)
        self._report()

    def _report(self) -> None:
        with self._lock:
            self._tell(self.totals.images + sum(self._done.values()))


def _room(client: Client) -> int:
    return sum(client.nthreads().values()) + _BEFORE
