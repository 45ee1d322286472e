"""What is drawn on the pictures of Image Grid: frames, numbers of groups, ranks; what is dimmed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from AnyQt.QtGui import QColor
from numpy.typing import NDArray
from Orange.data import Table
from Orange.widgets.utils.colorpalettes import LimitedDiscretePalette

from orangecontrib.imageanalytics.widgets.images_model import Mark

_NONE = np.empty(0, np.intp)


@dataclass(frozen=True)
class Marks:
    """The marks of all rows; another one is made when they change.

    Attributes
    ----------
    groups : ndarray of shape (N,), int
        In which group of the selection each row is; 0 is none.
    categories : ndarray of shape (N,), int, optional
        Each row's category; -1 is none.
    colours : list of QColor
        Of the categories.
    in_subset : ndarray of shape (N,), bool, optional
        Which rows are not dimmed.
    ranks : ndarray of shape (N,), int, optional
        How alike the rows are to the reference images: 1 is the most alike one; 0 is none of those
        that are looked for, which is dimmed.
    """

    groups: NDArray[np.intp] = field(default_factory=lambda: _NONE)
    categories: NDArray[np.intp] | None = None
    colours: tuple[QColor, ...] = ()
    in_subset: NDArray[np.bool_] | None = None
    ranks: NDArray[np.intp] | None = None
    group_colours: tuple[QColor, ...] = field(init=False)  # if there are several groups

    def __post_init__(self) -> None:
        last = int(self.groups.max(initial=0))
        palette = LimitedDiscretePalette(last)
        several = [palette.value_to_qcolor(group) for group in range(last)] if last > 1 else []
        object.__setattr__(self, "group_colours", tuple(several))

    def of(self, row: int) -> Mark:
        """Frame a picture in its category's colour; number it by its group, or its rank."""
        frame = None
        if self.categories is not None and self.categories[row] >= 0:
            frame = self.colours[self.categories[row]]
        badge, caption = "", ""
        if self.ranks is not None and self.ranks[row]:
            badge = str(self.ranks[row])
            caption = f"no. {self.ranks[row]} of those most like the reference images"
        group = int(self.groups[row]) if row < len(self.groups) else 0
        if group and self.group_colours:
            badge = str(group)
            frame = frame or self.group_colours[group - 1]
        return Mark(caption, frame, badge, self.is_dimmed(row))

    def is_dimmed(self, row: int) -> bool:
        """Whether a row is not what the others are about."""
        if self.in_subset is not None and not self.in_subset[row]:
            return True
        return self.ranks is not None and not self.ranks[row]

    def dots(self, rows: NDArray[np.intp], text: QColor, chosen: QColor) -> NDArray[np.uint32]:
        """Give the colours of pictures that are dots, as ARGB: `chosen` if selected or ranked.

        The others have that of their category, or `text`; those that are dimmed are faint.
        """
        colours = np.full(len(rows), _argb(text, 110), np.uint32)
        if self.categories is not None and len(self.colours):
            known = self.categories[rows]
            table = np.array([_argb(colour, 200) for colour in self.colours], np.uint32)
            colours = np.where(known >= 0, table[known], colours)
        faint = np.zeros(len(rows), bool)
        if self.in_subset is not None:
            faint |= ~self.in_subset[rows]
        if self.ranks is not None:
            faint |= self.ranks[rows] == 0
        colours[faint] = (colours[faint] & 0x00FFFFFF) | (40 << 24)
        if self.ranks is not None:
            colours[self.ranks[rows] > 0] = _argb(chosen, 255)
        if len(self.groups):
            colours[self.groups[rows] > 0] = _argb(chosen, 255)
        return colours


def categories(data: Table, name: str) -> tuple[NDArray[np.intp], tuple[QColor, ...]]:
    """Read a categorical column: each row's category, -1 if it is missing, and their colours."""
    column = data.domain[name]
    values = data.get_column(column)
    codes = np.where(np.isnan(values), -1, values).astype(np.intp)
    return codes, tuple(QColor(*rgb) for rgb in np.asarray(column.colors).tolist())


def _argb(colour: QColor, alpha: int) -> int:
    return (alpha << 24) | (colour.rgb() & 0x00FFFFFF)
