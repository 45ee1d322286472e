"""What Find Images by Words does in threads: pictures to vectors, once; words to answers, often."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orangecontrib.imageanalytics.outcome import Embedded, Skipped
from orangecontrib.imageanalytics.sources import set_lost_apart
from orangecontrib.imageanalytics.widgets.duplicates_run import columns_of, title
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import unasked

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.similarity import Pictures
    from orangecontrib.imageanalytics.text_embedder import TextEmbedder
    from orangecontrib.imageanalytics.widgets.background import Run

Scores = NDArray[np.float32]

#: Queries that are answered, at most: each takes some 50 ms the first time.
MOST_QUERIES = 1000


class Match(StrEnum):
    """Which pictures match."""

    TOP = "top"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Request:
    """Which pictures to look through.

    Attributes
    ----------
    table : Table of N rows
        The pictures.
    image : str
        The name of their column.
    folder : str, optional
        Where those are whose names do not say it.
    model : str
        Id of the model that knows pictures and words.
    """

    table: Table
    image: str
    folder: str | None
    model: str


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Pictures that words can be compared with.

    Attributes
    ----------
    request : Request
        Which they are.
    references : list of str or None
        By row.
    titles : list of str
        Their names for people.
    pictures : Pictures
        Their vectors; NaN for those that could not be read.
    skipped : dict of int to Skipped
        The latter, and why.
    unasked : tuple of str
        Hosts that were not asked for pictures, as the user has not agreed.
    """

    request: Request
    references: list[str | None]
    titles: list[str]
    pictures: Pictures
    skipped: dict[int, Skipped]
    unasked: tuple[str, ...]


def look(request: Request, run: Run) -> Seen:
    """Embed a table's pictures, or take the vectors that it has; runs in a thread.

    Raises
    ------
    Interrupted
        If that was asked for.
    EmbeddingError
        What stops the run.
    """
    from orangecontrib.imageanalytics import models, tables
    from orangecontrib.imageanalytics.computed_columns import are_as_made
    from orangecontrib.imageanalytics.similarity import Pictures

    references = tables.references(request.table, request.image, request.folder)
    titles = [title(reference) for reference in references]
    dimension = models.require(request.model).dimension
    for embedding in tables.embeddings(request.table):
        # Words are compared with what the model made, not with what was computed of it since.
        if embedding.model == request.model and are_as_made(embedding.columns, dimension):
            run.tell("Reading the embedding")
            vectors = columns_of(request.table, list(embedding.columns))
            return Seen(request, references, titles, Pictures(vectors), {}, ())
    vectors, skipped = _embedded(request, references, run)
    hosts = unasked(references)
    return Seen(request, references, titles, Pictures(vectors), skipped, hosts)


def _embedded(
    request: Request, references: list[str | None], run: Run
) -> tuple[Scores, dict[int, Skipped]]:
    from orangecontrib.imageanalytics import models
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.web.reach import Reach

    images, lost = set_lost_apart(references, request.folder)
    model = models.require(request.model)
    vectors = np.full((len(images), model.dimension), np.nan, np.float32)
    skipped: dict[int, Skipped] = {}

    def tell(share: float) -> None:
        run.tell(f"Looking at {round(share * len(images))} of {len(images)} images", share)

    with ImageEmbedder(request.model, reach=Reach(user_settings().web_hosts())) as embedder:
        for row, outcome in enumerate(embedder.outcomes(images, callback=tell)):
            if isinstance(outcome, Embedded):
                vectors[row] = outcome.vector
            else:
                skipped[row] = lost.get(row, outcome)
    return vectors, skipped


class Words:
    """The side for words of one model, for a widget's life: its process is kept between queries."""

    def __init__(self) -> None:
        self._embedder: TextEmbedder | None = None
        self._lock = threading.Lock()

    def __call__(self, model: str, texts: list[str], run: Run) -> Scores:
        """Embed texts; in a thread. A text is computed once."""
        from orangecontrib.imageanalytics.text_embedder import TextEmbedder

        with self._lock:
            if self._embedder is None:
                self._embedder = TextEmbedder(model)
            embedder = self._embedder
        return embedder(texts, callback=run.check)

    def close(self) -> None:
        """End the process, without waiting for it."""
        with self._lock:
            embedder, self._embedder = self._embedder, None
        if embedder is not None:
            threading.Thread(target=embedder.close, name="words end", daemon=True).start()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes
    ----------
    queries : tuple of str
        The words, each once.
    template : str
        What "{}" is replaced by them in.
    match : Match
        Which pictures match:
    top : int
        so many of the best for each query,
    threshold : float
        or those that are at least so similar to one.
    sort_by : str
        The query that the pictures are sorted by; the best of all if it is none of them.
    """

    queries: tuple[str, ...]
    template: str
    match: Match
    top: int
    threshold: float
    sort_by: str

    @property
    def texts(self) -> list[str]:
        """What the model is given."""
        place = self.template if "{}" in self.template else "{}"
        return [place.replace("{}", query) for query in self.queries]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """How pictures fit the words.

    Attributes
    ----------
    question : Question
        What was asked.
    similarities, probabilities : ndarray of shape (N, Q), float32
        Cosines, and the softmax over the queries; NaN for pictures that could not be read.
    best : ndarray of shape (N,), intp
        The query that fits best; -1 if none does.
    order : ndarray of shape (N,), intp
        All rows, the best first.
    matching : ndarray of shape (N,), bool
        Which match.
    """

    question: Question
    similarities: Scores
    probabilities: Scores
    best: NDArray[np.intp]
    order: NDArray[np.intp]
    matching: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """The tables of an answer: the matching rows, the best first, and all rows."""

    answer: Answer
    matching: Table | None
    data: Table


def answer(seen: Seen, question: Question, words: Words, run: Run) -> Sent:
    """Answer a question; runs in a thread. The answer is sent before its tables are built.

    Raises
    ------
    Interrupted, EmbeddingError
        See `look`.
    """
    vectors = words(seen.request.model, question.texts, run)
    found = answered(seen.pictures.similarities(vectors), question)
    run.send(found)
    return Sent(found, *_tables(seen.request.table, found))


def answered(similarities: Scores, question: Question) -> Answer:
    """Sort pictures by how they fit, and tell which match."""
    from orangecontrib.imageanalytics.similarity import probabilities

    known: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(similarities), axis=1)
    filled = np.where(known[:, None], similarities, -np.inf)
    best = np.where(known, filled.argmax(axis=1), -1).astype(np.intp)
    if question.sort_by in question.queries:
        scores = filled[:, question.queries.index(question.sort_by)]
    else:
        scores = filled.max(axis=1)
    order = np.argsort(-scores, kind="stable")
    if question.match is Match.THRESHOLD:
        matching = np.logical_or.reduce(filled >= question.threshold, axis=1)
    else:
        matching = np.zeros(len(filled), bool)
        for column in filled.T:
            matching[np.argsort(-column, kind="stable")[: question.top]] = True
        matching &= known
    return Answer(question, similarities, probabilities(similarities), best, order, matching)


def _tables(table: Table, found: Answer) -> tuple[Table | None, Table]:
    from Orange.data import ContinuousVariable, DiscreteVariable

    from orangecontrib.imageanalytics.widgets.shared_tables import free_names, with_metas

    queries = found.question.queries
    several = len(queries) > 1
    wanted = list(queries)
    if several:
        wanted += [*(f"{query} (probability)" for query in queries), "best label"]
    names = free_names(table.domain, wanted)
    columns = [found.similarities]
    new = [ContinuousVariable(name, number_of_decimals=3) for name in names[: len(queries)]]
    if several:
        numbers = names[len(queries) : -1]
        new += [ContinuousVariable(name, number_of_decimals=3) for name in numbers]
        new.append(DiscreteVariable(names[-1], queries))
        best = np.where(found.best >= 0, found.best, np.nan)
        columns += [found.probabilities, best[:, None]]
    data = with_metas(table, new, np.hstack(columns))
    rows = found.order[found.matching[found.order]]
    return (data[rows] if len(rows) else None), data


def queries_of(table: Table) -> tuple[str, ...]:
    """Read queries out of a table: a Corpus's documents, or the first text column, each once."""
    from Orange.data import StringVariable

    texts = getattr(table, "documents", None)
    if texts is None:
        columns = [c for c in table.domain.metas if isinstance(c, StringVariable)]
        columns += [c for c in (*table.domain.variables, *table.domain.metas) if c.is_discrete]
        if not columns:
            return ()
        column = columns[0]
        texts = [column.str_val(value) for value in table.get_column(column)]
    return distinct(text for text in map(str, texts) if text != "?")


def distinct(texts: Any) -> tuple[str, ...]:
    """Give texts without spaces around them, each once, and no empty ones."""
    stripped = (" ".join(str(text).split()) for text in texts)
    return tuple(dict.fromkeys(text for text in stripped if text))
