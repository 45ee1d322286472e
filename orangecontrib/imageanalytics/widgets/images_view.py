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
- **A ground** beneath the pictures is drawn by `set_ground(...)`, such as the dots of a map.
- A preview (Space, double click), a menu (open, show in folder, copy), zoom (Ctrl+wheel, + and -)
  and typing a title to get there come with it, as does panning by the middle button.
  `set_similarity(True)` adds "More like this" to the menu, which emits `more_like_this`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from AnyQt.QtCore import (
    QAbstractItemModel,
    QEvent,
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
from numpy.typing import ArrayLike

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.widgets.images_hand import STEP, Hand
from orangecontrib.imageanalytics.widgets.images_loader import Loader
from orangecontrib.imageanalytics.widgets.images_menu import ImagesMenu
from orangecontrib.imageanalytics.widgets.images_model import Mark
from orangecontrib.imageanalytics.widgets.images_mouse import STEPS, Mouse
from orangecontrib.imageanalytics.widgets.images_painter import CellPainter, Look, Shown
from orangecontrib.imageanalytics.widgets.images_preview import Preview
from orangecontrib.imageanalytics.widgets.images_selection import Selection

__all__ = ["ImagesView", "Look", "Mark"]

#: The smallest and the largest square for a picture, in pixels.
SMALLEST, LARGEST = 32, 1024
#: Milliseconds from a change of what is in sight to the wish for it.
_DELAY = 20

_ZOOM_KEYS = {Qt.Key.Key_Plus: 1, Qt.Key.Key_Equal: 1, Qt.Key.Key_Minus: -1}


class ImagesView(Selection):
    """Shows pictures as thumbnails; see the module."""

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
        self._look = Look()
        self._preview: Preview | None = None
        self._wanting = QTimer(self, singleShot=True, interval=_DELAY)
        self._wanting.timeout.connect(self._want)
        self._ground: Callable[[QPainter, QRect], None] | None = None
        self.setModel(self.images)
        self.mouse = Mouse(self)
        self.hand = Hand(self)
        self.menu = ImagesMenu(self, self.loader)
        self.menu.previewed.connect(self.show_preview)
        self.menu.more_like_this.connect(self.more_like_this)
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

    def set_marks(self, marks: Callable[[int], Mark] | None) -> None:
        """Mark pictures; see `ImagesModel.set_marks`."""
        self.images.set_marks(marks)

    def set_ground(self, ground: Callable[[QPainter, QRect], None] | None) -> None:
        """Let something be drawn beneath the pictures of a region of the contents."""
        self._ground = ground
        self.viewport().update()

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
        """Make the pictures larger, or smaller by a negative number of steps; or their map."""
        if self._arrangement.grows:
            self.zoom_by(STEP**steps)
            return
        before = self._look.size
        self.set_look(
            size=max(before + steps, round(before * STEP**steps))
            if steps > 0
            else min(before + steps, round(before * STEP**steps))
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

    def set_similarity(self, similarity: bool) -> None:
        """Offer "More like this"."""
        self.menu.has_similarity = similarity

    @property
    def has_similarity(self) -> bool:
        """Whether "More like this" is offered."""
        return self.menu.has_similarity

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
        size = round(self._look.size * self._arrangement.growth * self.devicePixelRatioF())
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
        self.render_images(painter, event.region())
        self.mouse.paint_band(painter)

    def render_images(self, painter: QPainter, region: QRegion) -> None:
        """Draw what lies within a region of the window."""
        offset = -self.window_rect.topLeft()
        window = region.boundingRect().translated(-offset)
        painter.setFont(self.font())
        palette, active = self.palette(), self.hasFocus()
        if self._ground is not None:
            painter.translate(offset)
            self._ground(painter, window)
            painter.translate(-offset)
        for rect, text in self._arrangement.headings(window):
            painter.setPen(palette.color(palette.ColorRole.Text))
            painter.drawText(
                rect.translated(offset).adjusted(6, 0, -6, 0), Qt.AlignmentFlag.AlignVCenter, text
            )
        mask = self.selected_mask()
        current = self.currentIndex().row() if active else -1
        cells = CellPainter(painter, self._look, palette, active=active)
        for position in self._arrangement.within(window).tolist():
            cell = self._arrangement.rect(position).translated(offset)
            if region.intersects(cell):
                shown = self._shown(position, bool(mask[position]), position == current)
                cells.paint(cell, shown)

    def _shown(self, position: int, selected: bool, current: bool) -> Shown:
        row = self.images.row(position)
        pixmap, is_whole = self.loader.pixmap(row) or (None, False)
        return Shown(
            self.images.title(row),
            self.images.mark(row),
            pixmap,
            is_whole,
            self.loader.tone(row),
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
            self._preview = Preview(self, self.loader)
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
        self.set_current(position)
        self.scrollTo(self.images.index(position))

    # ---- keys, wheel, menu

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move, choose, zoom, open the preview, or go to a title that is typed."""
        key, modifiers = event.key(), event.modifiers()
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if key in STEPS:
            self.mouse.step(STEPS[key], modifiers)
        elif key in _ZOOM_KEYS:
            self.zoom(_ZOOM_KEYS[key])
        elif key == Qt.Key.Key_0 and self._arrangement.grows:
            self.zoom_by(0)
        elif key == Qt.Key.Key_Space and control:
            self.mouse.choose(self.currentIndex().row(), modifiers)
        elif key == Qt.Key.Key_Space:
            self.hand.hold_space()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.is_picking:
            self.mouse.choose(self.currentIndex().row(), modifiers)
        elif control and key == Qt.Key.Key_C:
            self.menu.copy_picture()
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Open the preview, unless Space was held to move the contents."""
        is_space = event.key() == Qt.Key.Key_Space and not event.isAutoRepeat()
        if is_space and self.hand.leave_space():
            self.show_preview()
        super().keyReleaseEvent(event)

    def keyboardSearch(self, search: str) -> None:
        """Go to the next title that begins with what is typed."""
        self.mouse.search(search)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom, or scroll."""
        if self.hand.wheel(event):
            event.accept()
        else:
            super().wheelEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Zoom by fingers, before anything else is made of them."""
        return self.hand.gesture(event) or super().viewportEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show what can be done with the pictures."""
        is_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        if is_key:
            rect = self.visualRect(self.currentIndex())
            self.menu.popup(self.viewport().mapToGlobal(rect.center()))
        else:
            self.menu.popup(event.globalPos())

    def mousePressEvent(self, event: Any) -> None:
        """Choose, begin a rubber band, or take hold of the contents."""
        if not self.hand.press(event):
            self.mouse.press(event)

    def mouseMoveEvent(self, event: Any) -> None:
        """Draw the rubber band, or move the contents."""
        if not self.hand.move(event):
            self.mouse.move(event)

    def mouseReleaseEvent(self, event: Any) -> None:
        """End the rubber band, or let go of the contents."""
        if not self.hand.release():
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
