"""What of a view's pictures is selected: by row for the widgets, by position for Qt."""

from __future__ import annotations

import numpy as np
from AnyQt.QtCore import QItemSelection, QItemSelectionModel, QRect
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import QAbstractItemView, QWidget
from numpy.typing import ArrayLike, NDArray

from orangecontrib.imageanalytics.widgets.images_sight import Sight

_Flag = QItemSelectionModel.SelectionFlag


class Selection(Sight):
    """A view whose pictures can be selected; the hand that does it is `images_mouse`.

    Whoever derives from it sets the model, when it knows how large its cells are.

    Attributes
    ----------
    is_settled : bool
        Whether `selected` is emitted at once, or when the rubber band ends that is being drawn.
    """

    #: The user, or the program, has selected others.
    selected = Signal()
    #: Rows that were clicked on or lie within the rubber band, and the keyboard's modifiers; only
    #: with `set_picking`. Nothing was hit if there are no rows.
    picked = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.is_settled = True
        self._picking = False
        self._mask: NDArray[np.bool_] | None = None
        self.images.is_selected = self._is_selected
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)

    def selected_mask(self) -> NDArray[np.bool_]:
        """Which positions are selected."""
        if self._mask is None:
            mask = np.zeros(len(self.images.order), bool)
            for part in self.selectionModel().selection():
                mask[part.top() : part.bottom() + 1] = True
            self._mask = mask
        return self._mask

    def selected_rows(self) -> NDArray[np.intp]:
        """The selected rows, in the order of the rows."""
        return np.sort(self.images.order[self.selected_mask()])

    def _is_selected(self, row: int) -> bool:
        return bool(self.selected_mask()[self.images.positions([row])].any())

    def select_rows(self, rows: ArrayLike) -> None:
        """Select these rows and no others; those that are not shown are left out."""
        self._select_quietly(rows)
        self.selected.emit()

    def select_positions(self, mask: NDArray[np.bool_]) -> None:
        """Select by position."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
        selection = QItemSelection()
        for first, end in edges.reshape(-1, 2).tolist():
            selection.select(self.images.index(first), self.images.index(end - 1))
        self.selectionModel().select(selection, _Flag.ClearAndSelect)

    def _select_quietly(self, rows: ArrayLike) -> None:
        mask = np.zeros(len(self.images.order), bool)
        mask[self.images.positions(rows)] = True
        blocked = self.blockSignals(True)
        try:
            self.select_positions(mask)
        finally:
            self.blockSignals(blocked)

    def set_order(self, order: ArrayLike | None) -> None:
        """Show these rows, in this order (None: all as they are); the selection is kept."""
        rows, current = self.selected_rows(), self.current_row()
        self.images.set_order(order)
        self._select_quietly(rows)
        positions = self.images.positions([] if current is None else [current])
        if len(positions):
            self.set_current(int(positions[0]))

    def current_row(self) -> int | None:
        """The row that the keys go on from."""
        index = self.currentIndex()
        return self.images.row(index.row()) if index.isValid() else None

    def set_current(self, position: int) -> None:
        """Let the keys go on from a position; what is selected stays so."""
        self.selectionModel().setCurrentIndex(self.images.index(position), _Flag.NoUpdate)

    def set_picking(self, picking: bool) -> None:
        """Let the widget decide what clicks and rubber bands do: see `picked`."""
        self._picking = picking

    @property
    def is_picking(self) -> bool:
        """Whether the widget decides what clicks and rubber bands do."""
        return self._picking

    # ---- what Qt asks of a view

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        """Note what is selected now."""
        super().selectionChanged(selected, deselected)
        self._mask = None
        self.viewport().update()
        if self.is_settled:
            self.selected.emit()

    def reset(self) -> None:
        """Begin anew with other pictures, or another order."""
        self._mask = None
        super().reset()
        self.updateGeometries()

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        """Select what lies within a part of the window."""
        positions = self._arrangement.within(rect.translated(self.window_rect.topLeft()))
        mask = np.zeros(len(self.images.order), bool)
        mask[positions] = True
        self.select_positions(mask)
