"""The pictures of a view: references and titles by row, shown in any order, with marks on them.

Nothing is made for a row that is not asked for: a hundred thousand rows are two lists and an
array.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from AnyQt.QtCore import QAbstractListModel, QModelIndex, QObject, Qt
from AnyQt.QtGui import QColor
from numpy.typing import ArrayLike, NDArray

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.outcome import Skipped

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Mark:
    """What is drawn on a picture besides its title.

    Attributes
    ----------
    caption : str
        A second line of text, such as a distance.
    frame : QColor, optional
        A frame around the picture, such as of its category or group.
    badge : str
        A word or two in a corner of the picture, on the frame's colour.
    dimmed : bool
        Whether it is drawn faintly: it is not what the others are about.
    """

    caption: str = ""
    frame: QColor | None = None
    badge: str = ""
    dimmed: bool = False


NO_MARK = Mark()


class ImagesModel(QAbstractListModel):
    """Pictures in the order in which they are shown.

    A *row* is the number of a picture in what was set, a *position* its place among those shown,
    which is the row of this model.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._references: Sequence[Any] = ()
        self._titles: Sequence[str] = ()
        self._folded: list[str] | None = None  # titles to be searched, by position
        self._positions: Rows | None = None
        self.order: Rows = np.empty(0, np.intp)
        self.failures: dict[int, Skipped] = {}
        self.facts: Callable[[int], str] = lambda row: ""
        self.is_selected: Callable[[int], bool] = lambda row: False
        self.marks: Callable[[int], Mark] | None = None

    # ---- what is shown

    def set_images(
        self,
        references: Sequence[Any],
        titles: Sequence[str] | None = None,
        order: ArrayLike | None = None,
    ) -> None:
        """Show other pictures.

        Parameters
        ----------
        references : sequence of N references
            As `sources.resolve` takes them; by row.
        titles : sequence of N str, optional
            By row.
        order : array-like of int, optional
            The rows that are shown, in this order; all by default.
        """
        self.beginResetModel()
        self._references = references
        self._titles = titles if titles is not None else [""] * len(references)
        self.failures = {}
        self._reorder(order)
        self.endResetModel()

    def set_order(self, order: ArrayLike | None) -> None:
        """Show these rows, in this order; None means all as they are."""
        self.beginResetModel()
        self._reorder(order)
        self.endResetModel()

    def set_titles(self, titles: Sequence[str]) -> None:
        """Change the titles, by row."""
        self._titles = titles
        self._folded = None
        self.refresh()

    def set_marks(self, marks: Callable[[int], Mark] | None) -> None:
        """Mark pictures: `marks` is asked for each row as it is drawn, so it should be quick."""
        self.marks = marks
        self.refresh()

    def refresh(self) -> None:
        """Let everything be drawn anew, for instance since marks have changed."""
        if len(self.order):
            self.dataChanged.emit(self.index(0), self.index(len(self.order) - 1))

    def _reorder(self, order: ArrayLike | None) -> None:
        everything = np.arange(len(self._references), dtype=np.intp)
        self.order = everything if order is None else np.asarray(order, np.intp)
        self._folded = None
        self._positions = None

    # ---- one picture

    @property
    def references(self) -> Sequence[Any]:
        """The references of all rows."""
        return self._references

    @property
    def titles(self) -> Sequence[str]:
        """The titles of all rows."""
        return self._titles

    def row(self, position: int) -> int:
        """Which row is shown at a position."""
        return int(self.order[position])

    def positions(self, rows: ArrayLike) -> Rows:
        """Where rows are shown; those that are not are left out."""
        if self._positions is None:
            self._positions = np.full(len(self._references), -1, np.intp)
            self._positions[self.order] = np.arange(len(self.order))
        wanted = np.asarray(rows, np.intp)
        found = self._positions[wanted[(wanted >= 0) & (wanted < len(self._positions))]]
        return found[found >= 0]

    def reference(self, row: int) -> Any:
        """The reference of a row."""
        return self._references[row]

    def title(self, row: int) -> str:
        """The title of a row."""
        return self._titles[row]

    def mark(self, row: int) -> Mark:
        """What is drawn on a row's picture."""
        return NO_MARK if self.marks is None else self.marks(row)

    def path(self, row: int) -> str:
        """The path or address of a row, fit for one line; empty if it has none."""
        reference = self._references[row]
        return sources.shown(str(reference)) if isinstance(reference, str) else ""

    def find(self, text: str, start: int) -> int:
        """The first position from `start` on, round about, whose title begins so; -1 if none."""
        if self._folded is None:
            titles = self._titles
            self._folded = [titles[row].casefold() for row in self.order.tolist()]
        begin, folded = text.casefold(), self._folded
        for positions in (range(start, len(folded)), range(start)):
            for position in positions:
                if folded[position].startswith(begin):
                    return position
        return -1

    # ---- Qt's side

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """How many pictures are shown."""
        return 0 if parent.isValid() else len(self.order)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Title, tooltip, what a screen reader says, or the `Mark`."""
        if not index.isValid():
            return None
        tell = _ROLES.get(Qt.ItemDataRole(role) if not isinstance(role, Enum) else role)
        return None if tell is None else tell(self, self.row(index.row()))

    def _tooltip(self, row: int) -> str:
        lines = [self.title(row), self.path(row), self.facts(row)]
        if row in self.failures:
            lines.append(str(self.failures[row]))
            lines.append(self.failures[row].reason.explanation)
        caption = self.mark(row).caption
        shown = [html.escape(line) for line in [*lines, caption] if line]
        return f"<qt>{'<br>'.join(shown)}</qt>"  # else Qt takes a name with a tag for HTML

    def _accessible(self, row: int) -> str:
        selected = "selected" if self.is_selected(row) else ""
        parts = [self.title(row), selected, self.mark(row).badge, self.mark(row).caption]
        if row in self.failures:
            parts.append(str(self.failures[row]))
        return ", ".join(part for part in parts if part)


_ROLES: dict[Any, Callable[[ImagesModel, int], Any]] = {
    Qt.ItemDataRole.DisplayRole: ImagesModel.title,
    Qt.ItemDataRole.ToolTipRole: ImagesModel._tooltip,
    Qt.ItemDataRole.AccessibleTextRole: ImagesModel._accessible,
}
