"""One run of the widget Save Images: what its thread does, from a table to files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.saving import AS_IT_IS, FolderError, Saved
from orangecontrib.imageanalytics.sources import set_lost_apart, shown
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import unasked

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.decoding.fit import Fit
    from orangecontrib.imageanalytics.widgets.background import Run

#: The columns that the saved table has more.
SAVED_AS, NOT_SAVED = "saved as", "not saved because"


@dataclass(frozen=True, slots=True)
class Request:
    """What to save, where and how.

    Attributes
    ----------
    table : Table
        The pictures.
    attribute : str
        The name of their column.
    folder : str
        Where to.
    format : str
        A key of `FORMATS`, or "original".
    fit : Squash or Within, optional
        The size, if it is to be another one.
    subfolders : str, optional
        The column whose values are folders in the folder.
    pictures_folder : str, optional
        Where pictures are whose names leave it open.
    """

    table: Table
    attribute: str
    folder: str
    format: str = AS_IT_IS
    fit: Fit | None = None
    subfolders: str | None = None
    pictures_folder: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a run.

    Attributes
    ----------
    request : Request
        What it was.
    table : Table
        The request's, with the path of each picture that is there, or why it is not.
    n_new, n_there : int
        How many were saved now, and how many were there already.
    reasons : Counter of str
        How many were not saved for each reason.
    examples : list of (str, str)
        The first that were not saved: name and reason.
    stopped : str
        What ended the run before its end; empty if nothing did.
    unasked : tuple of str
        The hosts that nothing was fetched from, as the user has not agreed to it yet.
    """

    request: Request
    table: Table
    n_new: int
    n_there: int
    reasons: Counter[str]
    examples: list[tuple[str, str]]
    stopped: str = ""
    unasked: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What came of it, for people: "1200 saved, 3 not: 2 not found, 1 damaged"."""
        parts = [f"{self.n_new} saved"]
        if self.n_there:
            parts.append(f"{self.n_there} there already")
        if self.reasons:
            why = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
            parts.append(f"{self.reasons.total()} not: {why}")
        return ", ".join(parts)


#: The reason of pictures that came after what ended the run.
_NOT_REACHED = "not reached"
#: Pictures whose reasons are named in the report.
_NAMED = 100


def save(request: Request, run: Run) -> Finished:
    """Save a table's pictures; runs in a thread.

    Raises
    ------
    Interrupted
        If that was asked for. What was saved until then stays.
    WorkerError
        The processes that decode cannot start.
    """
    # All that it needs is loaded by the first run, not by the start of Orange.
    from orangecontrib.imageanalytics import tables
    from orangecontrib.imageanalytics.saving import SaveImages
    from orangecontrib.imageanalytics.web.reach import Reach

    references = tables.references(request.table, request.attribute, request.pictures_folder)
    reach, hosts = Reach(user_settings().web_hosts()), unasked(references)
    saver = SaveImages(request.folder, request.format, request.fit, reach=reach)
    images, lost = set_lost_apart(references, request.pictures_folder)
    outcomes: list[Saved | Skipped] = []
    stopped = ""
    count = len(references)

    def tell() -> None:
        done = len(outcomes)
        run.tell(f"Saving {done} of {count}", done / count)

    tell()
    try:
        for outcome in saver.outcomes(images, _subfolders(request), tell):
            outcomes.append(lost.get(len(outcomes), outcome))
            tell()
    except FolderError as error:
        stopped = str(error)
    return _finished(request, references, outcomes, stopped, hosts)


def _subfolders(request: Request) -> list[str] | None:
    if request.subfolders is None:
        return None
    variable = request.table.domain[request.subfolders]
    column = request.table.get_column(variable)
    return ["" if value != value else str(variable.repr_val(value)) for value in column]


def _finished(
    request: Request,
    references: list[str | None],
    outcomes: list[Saved | Skipped],
    stopped: str,
    unasked: tuple[str, ...],
) -> Finished:
    from orangecontrib.imageanalytics import widened_tables

    missing = len(references) - len(outcomes)
    paths = [o.path if isinstance(o, Saved) else "" for o in outcomes] + [""] * missing
    whys = ["" if isinstance(outcome, Saved) else str(outcome) for outcome in outcomes]
    whys += [f"{_NOT_REACHED}: {stopped}"] * missing
    texts = {SAVED_AS: paths, NOT_SAVED: whys}
    table = widened_tables.with_texts(request.table, texts, images=SAVED_AS)
    named = [
        (shown(name or "(missing value)"), why)
        for name, why in zip(references, whys, strict=True)
        if why
    ]
    return Finished(
        request,
        table,
        n_new=sum(isinstance(o, Saved) and o.is_new for o in outcomes),
        n_there=sum(isinstance(o, Saved) and not o.is_new for o in outcomes),
        reasons=Counter(why.partition(":")[0] for why in whys if why),
        examples=named[:_NAMED],
        stopped=stopped,
        unasked=unasked,
    )
