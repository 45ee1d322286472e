"""One run of the widget: what its thread does, from a table to two tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.models import Model
from orangecontrib.imageanalytics.outcome import Outcome, Reason, Skipped
from orangecontrib.imageanalytics.sources import set_lost_apart
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import unasked

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.embedder import Lost
    from orangecontrib.imageanalytics.widgets.background import Run

#: Skipped images that the report names; all of them are in the second output.
_NAMED = 100
#: A data URI is no name.
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Request:
    """What to embed, with what.

    Attributes
    ----------
    table : Table
        The images.
    attribute : str
        The name of their column.
    model, title : str
        Id of the model, and its name for people.
    server_url : str, optional
        Address of the server that computes it.
    provider : str
        What computes a local model.
    host : str, optional
        That server's name, by which the user's token for it is kept.
    folder : str, optional
        Where images are whose names do not say it; None if nobody knows.
    depth : int, optional
        See `ImageEmbedder`.
    downloads : bool
        Whether the model has to be downloaded first.
    """

    table: Table
    attribute: str
    model: str
    title: str
    server_url: str | None = None
    provider: str = "cpu"
    host: str | None = None
    folder: str | None = None
    depth: int | None = None
    downloads: bool = False

    def is_same(self, other: Request | None) -> bool:
        """Whether it would give the same, if the images' files have not changed."""
        return other is not None and self.table is other.table and self._settings == other._settings

    @property
    def _settings(self) -> tuple[object, ...]:
        """What the numbers depend on besides the images."""
        where = self.server_url, self.provider
        return self.attribute, self.model, self.folder, self.depth, *where


@dataclass(frozen=True, slots=True)
class Finished:
    """What came out of a run.

    Attributes
    ----------
    request : Request
        What it was.
    embedded, skipped : Table, optional
        The two tables.
    reasons : Counter of Reason
        How many images were skipped for each reason.
    examples : list of (str, str)
        The first skipped images: name, and reason with details.
    lost : Lost, optional
        How the server was lost half-way.
    unasked : tuple of str
        The hosts whose images were not fetched, as the user has not agreed to it yet.
    """

    request: Request
    embedded: Table | None
    skipped: Table | None
    reasons: Counter[Reason]
    examples: list[tuple[str, str]]
    lost: Lost | None = None
    unasked: tuple[str, ...] = ()

    @property
    def n_skipped(self) -> int:
        """The number of skipped images."""
        return self.reasons.total()

    @property
    def n_embedded(self) -> int:
        """The number of embedded images."""
        return len(self.request.table) - self.n_skipped

    @property
    def skips(self) -> str:
        """The skipped images in words, or an empty text."""
        if not self.reasons:
            return ""
        parts = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
        return f"{_images(self.n_skipped)} skipped: {parts}"

    @property
    def summary(self) -> str:
        """What came out, for people."""
        text = f"{_images(self.n_embedded)} embedded ({self.request.title})."
        if self.reasons:
            text += f"\n{self.skips}."
        return f"{text}\n{self.lost}" if self.lost else text


def _images(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"


def embed(request: Request, run: Run) -> Finished:
    """Embed a table's images and build both tables; runs in a thread.

    Raises
    ------
    Interrupted
        If that was asked for, within a tenth of a second.
    EmbeddingError
        What stops the run.
    """
    # The facade and all that it needs are loaded by the first run, not by the start of Orange.
    from orangecontrib.imageanalytics import tables, widened_tables
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.web.reach import Reach

    if request.downloads:
        fetch(request.model, run)
    references = tables.references(request.table, request.attribute, request.folder)
    token = user_settings().token(request.host) if request.host is not None else None
    count = len(references)
    reach, hosts = Reach(user_settings().web_hosts()), unasked(references)
    images, unfound = set_lost_apart(references, request.folder)

    def tell(fraction: float) -> None:
        done = round(fraction * count)
        run.tell(f"Embedding {done} of {count} ({request.title})", fraction)

    tell(0.0)
    with ImageEmbedder(
        request.model,
        request.server_url,
        token=token,
        provider=request.provider,
        depth=request.depth,
        reach=reach,
    ) as embedder:
        outcomes = list(embedder.outcomes(images, callback=tell))
        lost, how = embedder.lost, embedder.embedding(request.attribute)
    outcomes = [unfound.get(row, outcome) for row, outcome in enumerate(outcomes)]
    embedded, skipped, _ = widened_tables.with_embeddings(request.table, outcomes, how)
    run.check()
    return Finished(
        request,
        embedded,
        skipped,
        Counter(skip.reason for skip in outcomes if isinstance(skip, Skipped)),
        list(islice(_skips(references, outcomes), _NAMED)),
        lost,
        hosts,
    )


def fetch(model: str, run: Run) -> Model:
    """Download a model; runs in a thread. How far it is, is sent as `Progress`, then the model.

    Raises
    ------
    Interrupted, EmbeddingError
        See `embed`.
    """
    from orangecontrib.imageanalytics.models.downloading import Progress

    def tell(progress: Progress) -> None:
        run.tell(str(progress))
        run.send(progress)

    fetched = models.require(model, download=True, callback=tell)
    run.send(fetched)
    return fetched


def _skips(references: list[str | None], outcomes: list[Outcome]) -> Iterator[tuple[str, str]]:
    for reference, outcome in zip(references, outcomes, strict=True):
        if isinstance(outcome, Skipped):
            name = reference or "(missing value)"
            if len(name) > _LONGEST_NAME:
                name = f"{name[:_LONGEST_NAME]}..."
            yield name, str(outcome)
