"""The one view of thumbnails for all widgets: thousands of pictures to look through and to choose.

What a widget does with it::

    view = ImagesView()
    view.set_images(references, titles)         # what `tables.references` gives, and names
    view.selected.connect(...)                  # the user has chosen others
    view.selected_rows()                        # ndarray of rows, in the order of the rows
    view.set_order(rows)                        # which rows are shown, in which order
    view.set_marks(lambda row: Mark(caption="0.93", frame=QColor("red"), dimmed=row > 9))
    view.close_images()                         # in onDeleteWidget

- A **row** is the number of a picture in what was set; all that a widget is told or says is in
  rows, whatever order they are shown in. The selection is kept when the order changes.
- **Marks** (`images_model.Mark`: a caption, a frame, a badge, dimmed) are asked for as pictures
  are drawn; `refresh()` when they have changed. Captions have a line of their own with
  `set_look(captions=True)`.
- **Where pictures are** is a layout's (`images_layout`): `UniformGrid()` by default, with a fixed
  number of columns or with empty cells if it is told; `Sections` for groups with headings; or one
  of the widget's own, that keeps the protocol `Layout` (a map, for instance): `set_arrangement`.
- **Choosing** works as everywhere: click, Ctrl, Shift, a rubber band, keys. A widget with rules of
  its own calls `set_picking(True)`: the view then selects nothing, and emits `picked` with the rows
  clicked on or within the rubber band, and the keyboard's modifiers.
- A preview (Space, double click), a menu (open, show in folder, copy), zoom (Ctrl+wheel, + and -)
  and typing a title to get there come with it. `set_similarity(True)` adds "More like this" to the
  menu, which emits `more_like_this`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from AnyQt.QtCore import (
    QAbstractItemModel,
    QItemSelection,
    QItemSelectionModel,
    QRect,
    QSize,
    Qt,
    QTimer,
)
from AnyQt.QtCore import (
    pyqtSignal as Signal,
)
from AnyQt.QtGui import QContextMenuEvent, QKeyEvent, QPainter, QPaintEvent, QRegion, QWheelEvent
from AnyQt.QtWidgets import QAbstractItemView, QWidget
from numpy.typing import ArrayLike, NDArray

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.widgets.images_layout import Step
from orangecontrib.imageanalytics.widgets.images_loader import Loader
from orangecontrib.imageanalytics.widgets.images_menu import ImagesMenu
from orangecontrib.imageanalytics.widgets.images_model import Mark
from orangecontrib.imageanalytics.widgets.images_mouse import Mouse
from orangecontrib.imageanalytics.widgets.images_painter import Look, Shown, paint
from orangecontrib.imageanalytics.widgets.images_preview import Preview
from orangecontrib.imageanalytics.widgets.images_sight import Sight

__all__ = ["ImagesView", "Look", "Mark"]

#: The smallest and the largest square for a picture, in pixels.
SMALLEST, LARGEST = 32, 1024
#: How much larger one step of zooming makes them.
_ZOOM = 1.15
#: Milliseconds from a change of what is in sight to the wish for it.
_DELAY = 20

_KEYS = {
    Qt.Key.Key_Left: Step.LEFT,
    Qt.Key.Key_Right: Step.RIGHT,
    Qt.Key.Key_Up: Step.UP,
    Qt.Key.Key_Down: Step.DOWN,
    Qt.Key.Key_PageUp: Step.PAGE_UP,
    Qt.Key.Key_PageDown: Step.PAGE_DOWN,
    Qt.Key.Key_Home: Step.HOME,
    Qt.Key.Key_End: Step.END,
}
_ZOOM_KEYS = {Qt.Key.Key_Plus: 1, Qt.Key.Key_Equal: 1, Qt.Key.Key_Minus: -1}

_Flag = QItemSelectionModel.SelectionFlag


class ImagesView(Sight):
    """Shows pictures as thumbnails; see the module."""

    #: The user, or the program, has selected others.
    selected = Signal()
    #: Rows that were clicked on or lie within the rubber band, and the keyboard's modifiers; only
    #: with `set_picking`. Nothing was hit if there are no rows.
    picked = Signal(object, object)
    #: The user has chosen another size of the pictures.
    zoomed = Signal(int)
    #: The user wants to see what is like these rows.
    more_like_this = Signal(object)
    #: No picture can be decoded at all, and why.
    failed = Signal(str)
    #: Another picture turned out not to be seen: its row.
    skipped = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.loader = Loader(self)
        self.images.facts = self.loader.facts
        self.images.is_selected = self._is_selected
        self._look = Look()
        self._similarity = False
        self._picking = False
        self._mask: NDArray[np.bool_] | None = None
        self._preview: Preview | None = None
        self._wanting = QTimer(self, singleShot=True, interval=_DELAY)
        self._wanting.timeout.connect(self._want)
        self.mouse = Mouse(self)
        self.menu = ImagesMenu(self)
        self.setModel(self.images)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.viewport().setMouseTracking(True)
        self.setAccessibleName("Pictures")
        self.loader.received.connect(self._received)
        self.loader.skipped.connect(self._skipped)
        self.loader.failed.connect(self.failed)
        self.images.modelReset.connect(self._want_later)
        self.doubleClicked.connect(lambda index: self.show_preview(index.row()))

    # ---- what is shown

    def set_images(
        self,
        references: Sequence[Any],
        titles: Sequence[str] | None = None,
        order: ArrayLike | None = None,
    ) -> None:
        """Show other pictures; nothing is selected then. See `ImagesModel.set_images`."""
        self.close_preview()
        self.loader.clear()
        self.images.set_images(references, titles, order)
        self.verticalScrollBar().setValue(0)

    def set_order(self, order: ArrayLike | None) -> None:
        """Show these rows, in this order (None: all as they are); the selection is kept."""
        rows, current = self.selected_rows(), self.current_row()
        self.images.set_order(order)
        self._select_quietly(rows)
        positions = self.images.positions([] if current is None else [current])
        if len(positions):
            index = self.images.index(int(positions[0]))
            self.selectionModel().setCurrentIndex(index, _Flag.NoUpdate)

    def set_marks(self, marks: Callable[[int], Mark] | None) -> None:
        """Mark pictures; see `ImagesModel.set_marks`."""
        self.images.set_marks(marks)

    def refresh(self) -> None:
        """Draw everything anew, since marks have changed."""
        self.images.refresh()

    def set_look(self, **changes: Any) -> None:
        """Change some of `Look`: size, fills, titles, captions. What is in sight stays there."""
        look = replace(self._look, **changes)
        look = replace(look, size=min(max(look.size, SMALLEST), LARGEST))
        if look == self._look:
            return
        middle = self._arrangement.at(self.window_rect.center())
        self._look = look
        self.updateGeometries()
        if middle >= 0:
            y = self._arrangement.rect(middle).center().y()
            self.verticalScrollBar().setValue(y - self.viewport().height() // 2)
        self.viewport().update()
        self._want_later()

    @property
    def look(self) -> Look:
        """How the pictures are shown."""
        return self._look

    def zoom(self, steps: int) -> None:
        """Make the pictures larger, or smaller by a negative number of steps."""
        before = self._look.size
        self.set_look(
            size=max(before + steps, round(before * _ZOOM**steps))
            if steps > 0
            else min(before + steps, round(before * _ZOOM**steps))
        )
        if self._look.size != before:
            self.zoomed.emit(self._look.size)

    def close_images(self) -> None:
        """Let go of threads and processes; nothing is loaded any more."""
        self._wanting.stop()
        self.close_preview()
        self.loader.close()

    def retry(self) -> None:
        """Try once more to see what could not be seen."""
        self.images.failures.clear()
        self.viewport().update()
        self._want_later()

    # ---- what is selected

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

    def current_row(self) -> int | None:
        """The row that the keys go on from."""
        index = self.currentIndex()
        return self.images.row(index.row()) if index.isValid() else None

    def set_picking(self, picking: bool) -> None:
        """Let the widget decide what clicks and rubber bands do: see `picked`."""
        self._picking = picking

    @property
    def is_picking(self) -> bool:
        """Whether the widget decides what clicks and rubber bands do."""
        return self._picking

    def set_similarity(self, similarity: bool) -> None:
        """Offer "More like this"."""
        self._similarity = similarity

    @property
    def has_similarity(self) -> bool:
        """Whether "More like this" is offered."""
        return self._similarity

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        """Note what is selected now."""
        super().selectionChanged(selected, deselected)
        self._mask = None
        self.viewport().update()
        if self.mouse.band is None:  # else when it ends
            self.selected.emit()

    def reset(self) -> None:
        """Begin anew with other pictures, or another order."""
        self._mask = None
        super().reset()
        self.updateGeometries()

    # ---- what is in sight

    def _want_later(self) -> None:
        if not self._wanting.isActive():
            self._wanting.start()

    def _want(self) -> None:
        """Ask for what is in sight first, then for its neighbours in the direction of the way."""
        window = self.window_rect
        if not self.isVisible() or window.isEmpty():
            return
        up, down = (window.translated(0, by * window.height()) for by in (-1, 1))
        regions = (window, up, down) if self._scrolled_up else (window, down, up)
        positions = np.concatenate([self._arrangement.within(region) for region in regions])
        rows = self.images.order[positions].tolist()
        failures, reference = self.images.failures, self.images.reference
        seen = dict.fromkeys(row for row in rows if row not in failures)
        size = round(self._look.size * self.devicePixelRatioF())
        self.loader.want([(row, reference(row)) for row in seen], size)

    def _received(self, rows: list[int]) -> None:
        positions = self.images.positions(rows)
        offset = -self.window_rect.topLeft()
        region = QRegion()
        for position in positions.tolist():
            region = region.united(self._arrangement.rect(position).translated(offset))
        self.viewport().update(region)

    def _skipped(self, row: int, why: Skipped) -> None:
        self.images.failures[row] = why
        self.skipped.emit(row)

    @property
    def sees_nothing(self) -> bool:
        """Whether all that is in sight, and all that was, turned out not to be seen."""
        rows = self.images.order[self.visible()].tolist()
        return (
            bool(rows)
            and self.loader.count == 0
            and all(row in self.images.failures for row in rows)
        )

    # ---- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what is in sight."""
        painter = QPainter(self.viewport())
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
        )
        self.render_images(painter, event.rect().translated(self.window_rect.topLeft()))
        self.mouse.paint_band(painter)

    def render_images(self, painter: QPainter, region: QRect) -> None:
        """Draw the part of the contents within a region, which lies at the window's place."""
        offset = -self.window_rect.topLeft()
        painter.setFont(self.font())
        palette, active = self.palette(), self.hasFocus()
        for rect, text in self._arrangement.headings(region):
            painter.setPen(palette.color(palette.ColorRole.Text))
            painter.drawText(
                rect.translated(offset).adjusted(6, 0, -6, 0), Qt.AlignmentFlag.AlignVCenter, text
            )
        mask = self.selected_mask()
        current = self.currentIndex().row() if active else -1
        for position in self._arrangement.within(region).tolist():
            cell = self._arrangement.rect(position).translated(offset)
            shown = self._shown(position, bool(mask[position]), position == current)
            paint(painter, cell, shown, self._look, palette, active=active)

    def _shown(self, position: int, selected: bool, current: bool) -> Shown:
        row = self.images.row(position)
        pixmap, is_whole = self.loader.pixmap(row) or (None, False)
        return Shown(
            self.images.title(row),
            self.images.mark(row),
            pixmap,
            is_whole,
            self.images.failures.get(row),
            selected,
            current,
        )

    # ---- preview

    def show_preview(self, position: int | None = None) -> None:
        """Show a picture as large as the screen allows; the current one by default."""
        if position is None:
            position = self.currentIndex().row()
        if not 0 <= position < len(self.images.order):
            return
        if self._preview is None:
            self._preview = Preview(self)
            self._preview.moved.connect(self._preview_moved)
        self._preview.show_picture(position)

    @property
    def preview(self) -> Preview | None:
        """The preview, if it is open."""
        is_open = self._preview is not None and self._preview.isVisible()
        return self._preview if is_open else None

    def close_preview(self) -> None:
        """Close the preview, if it is open."""
        if self._preview is not None:
            self._preview.close()
            self._preview.deleteLater()
            self._preview = None

    def _preview_moved(self, position: int) -> None:
        index = self.images.index(position)
        self.selectionModel().setCurrentIndex(index, _Flag.NoUpdate)
        self.scrollTo(index)

    # ---- keys, wheel, menu

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move, choose, zoom, open the preview, or go to a title that is typed."""
        key, modifiers = event.key(), event.modifiers()
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if key in _KEYS:
            self._move(_KEYS[key], modifiers)
        elif key in _ZOOM_KEYS:
            self.zoom(_ZOOM_KEYS[key])
        elif key == Qt.Key.Key_Space and control:
            self.mouse.choose(self.currentIndex().row(), modifiers)
        elif key == Qt.Key.Key_Space:
            self.show_preview()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._picking:
            self.mouse.choose(self.currentIndex().row(), modifiers)
        elif control and key == Qt.Key.Key_C:
            self.menu.copy_picture()
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _move(self, step: Step, modifiers: Qt.KeyboardModifier) -> None:
        if not len(self.images.order):
            return
        current = self.currentIndex().row()
        begin = 0 if step is not Step.END else self._arrangement.step(0, step)
        target = self._arrangement.step(current, step) if current >= 0 else begin
        if self._picking or modifiers & Qt.KeyboardModifier.ControlModifier:
            self.selectionModel().setCurrentIndex(self.images.index(target), _Flag.NoUpdate)
        else:
            self.mouse.choose(target, modifiers)
        self.scrollTo(self.images.index(target))

    def keyboardSearch(self, search: str) -> None:
        """Go to the next title that begins with what is typed."""
        text, start = self.mouse.typed(search, self.currentIndex().row())
        position = self.images.find(text, start) if len(self.images.order) else -1
        if position >= 0:
            self.mouse.choose(position, Qt.KeyboardModifier.NoModifier, picks=False)
            self.scrollTo(self.images.index(position))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom with Ctrl, else scroll."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            steps = self.mouse.wheel_steps(event.angleDelta().y())
            if steps:
                self.zoom(steps)
            event.accept()
        else:
            super().wheelEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show what can be done with the pictures."""
        is_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        if is_key:
            rect = self.visualRect(self.currentIndex())
            self.menu.popup(self.viewport().mapToGlobal(rect.center()))
        else:
            self.menu.popup(event.globalPos())

    def mousePressEvent(self, event: Any) -> None:
        """Choose, or begin a rubber band."""
        self.mouse.press(event)

    def mouseMoveEvent(self, event: Any) -> None:
        """Draw the rubber band."""
        self.mouse.move(event)

    def mouseReleaseEvent(self, event: Any) -> None:
        """End the rubber band."""
        self.mouse.release(event)

    def mouseDoubleClickEvent(self, event: Any) -> None:
        """Open the preview."""
        index = self.indexAt(event.pos())
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton:
            self.doubleClicked.emit(index)

    # ---- what is asked of a view

    def cell_size(self) -> QSize:
        """How large each cell is."""
        return self._look.cell(self.fontMetrics())

    def sight_changed(self) -> None:
        """Ask for what is in sight now."""
        self.mouse.scrolled()
        self._want_later()

    def setModel(self, model: QAbstractItemModel | None) -> None:
        """Only its own model has what is drawn."""
        assert model is None or model is self.images
        super().setModel(model)

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        """Select what lies within a part of the window."""
        positions = self._arrangement.within(rect.translated(self.window_rect.topLeft()))
        mask = np.zeros(len(self.images.order), bool)
        mask[positions] = True
        self.select_positions(mask)
