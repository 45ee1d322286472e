"""What clicks, drags and typing do to the selection of a view."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from AnyQt.QtCore import QItemSelectionModel, QObject, QPoint, QRect, QSize, Qt, QTimer
from AnyQt.QtGui import QColor, QPainter, QPalette, QPen
from AnyQt.QtWidgets import QApplication
from numpy.typing import NDArray

from orangecontrib.imageanalytics.widgets.images_layout import Step
from orangecontrib.imageanalytics.widgets.images_selection import Selection

#: The keys that lead to another picture.
STEPS = {
    Qt.Key.Key_Left: Step.LEFT,
    Qt.Key.Key_Right: Step.RIGHT,
    Qt.Key.Key_Up: Step.UP,
    Qt.Key.Key_Down: Step.DOWN,
    Qt.Key.Key_PageUp: Step.PAGE_UP,
    Qt.Key.Key_PageDown: Step.PAGE_DOWN,
    Qt.Key.Key_Home: Step.HOME,
    Qt.Key.Key_End: Step.END,
}

_Flag = QItemSelectionModel.SelectionFlag
#: Milliseconds between two steps of scrolling while the rubber band is drawn beyond the edge.
_AUTO_SCROLL = 30


class Mouse(QObject):
    """Chooses pictures by mouse and keys, as everywhere.

    A click selects one, Ctrl turns one, Shift takes all up to it. A drag draws a rubber band, which
    selects what it touches; with Ctrl it turns them, with Shift it adds them.
    """

    def __init__(self, view: Selection) -> None:
        super().__init__(view)
        self._view = view
        self._pressed: QPoint | None = None  # in the contents
        self._pressed_at = -1
        self._at = QPoint()  # in the window
        self._modifiers = Qt.KeyboardModifier.NoModifier
        self._before: NDArray[np.bool_] = np.empty(0, bool)
        self._band: QRect | None = None  # in the contents
        self._anchor = -1
        self._typed = ("", 0.0)
        self._scrolling = QTimer(self, interval=_AUTO_SCROLL)
        self._scrolling.timeout.connect(self._scroll)
        view.images.modelReset.connect(self._forget)

    @property
    def band(self) -> QRect | None:
        """The rubber band, in the contents, while it is drawn."""
        return self._band

    def choose(self, position: int, modifiers: Qt.KeyboardModifier, *, picks: bool = True) -> None:
        """Do what a click on a picture does, or beside all if it is -1."""
        view = self._view
        shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if view.is_picking:
            if position >= 0:
                self._set_current(position)
            if picks:
                rows = [view.images.row(position)] if position >= 0 else []
                view.picked.emit(np.array(rows, np.intp), modifiers)
            return
        if position < 0:
            if not shift and not control:
                view.selectionModel().clearSelection()
            return
        count = len(view.images.order)
        anchor = self._anchor if 0 <= self._anchor < count else position
        if shift:
            mask = view.selected_mask().copy() if control else np.zeros(count, bool)
            mask[min(anchor, position) : max(anchor, position) + 1] = True
            view.select_positions(mask)
        elif control:
            view.selectionModel().select(view.images.index(position), _Flag.Toggle)
        else:
            view.selectionModel().select(view.images.index(position), _Flag.ClearAndSelect)
        self._anchor = anchor if shift else position
        self._set_current(position)

    def _set_current(self, position: int) -> None:
        self._view.set_current(position)
        self._view.viewport().update()

    # ---- the mouse

    def press(self, event: Any) -> None:
        """Choose, or begin a rubber band."""
        view = self._view
        self._at = event.pos()
        position = view.indexAt(self._at).row()
        if event.button() == Qt.MouseButton.RightButton:
            if not view.is_picking and position >= 0:
                if not view.selected_mask()[position]:
                    self.choose(position, Qt.KeyboardModifier.NoModifier)
                else:
                    self._set_current(position)
            elif position >= 0:
                self._set_current(position)
            return
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._modifiers = event.modifiers()
        self._pressed = self._at + self._corner()
        self._pressed_at = position
        self._before = view.selected_mask().copy()
        if not view.is_picking:
            self.choose(position, self._modifiers)

    def move(self, event: Any) -> None:
        """Draw the rubber band, once the mouse has gone a little."""
        if self._pressed is None:
            return
        self._at = event.pos()
        way = (self._at + self._corner() - self._pressed).manhattanLength()
        if self._band is None and way < QApplication.startDragDistance():
            return
        self._stretch()
        if not self._view.viewport().rect().contains(self._at):
            self._scrolling.start()
        else:
            self._scrolling.stop()

    def release(self, event: Any) -> None:
        """End the rubber band, or the click."""
        if event.button() != Qt.MouseButton.LeftButton or self._pressed is None:
            return
        view, band = self._view, self._band
        self._scrolling.stop()
        self._pressed = self._band = None
        view.is_settled = True
        view.viewport().update()
        if view.is_picking:
            if band is None:
                self.choose(self._pressed_at, self._modifiers)
            else:
                rows = view.images.order[view.arrangement.touched(band)]
                view.picked.emit(rows, self._modifiers)
        elif band is not None:
            view.selected.emit()

    def scrolled(self) -> None:
        """Follow the contents that move beneath the mouse."""
        if self._band is not None:
            self._stretch()

    def _stretch(self) -> None:
        view = self._view
        assert self._pressed is not None
        corner, other = self._pressed, self._at + self._corner()
        left, top = min(corner.x(), other.x()), min(corner.y(), other.y())
        size = QSize(abs(corner.x() - other.x()) + 1, abs(corner.y() - other.y()) + 1)
        self._band = QRect(QPoint(left, top), size)
        view.is_settled = False
        if not view.is_picking:
            within = np.zeros(len(self._before), bool)
            within[view.arrangement.touched(self._band)] = True
            if self._modifiers & Qt.KeyboardModifier.ControlModifier:
                mask = self._before ^ within
            elif self._modifiers & Qt.KeyboardModifier.ShiftModifier:
                mask = self._before | within
            else:
                mask = within
            if not np.array_equal(mask, view.selected_mask()):
                view.select_positions(mask)
        view.viewport().update()

    def _scroll(self) -> None:
        rect, view, at = self._view.viewport().rect(), self._view, self._at
        for bar, place, first, last in (
            (view.verticalScrollBar(), at.y(), rect.top(), rect.bottom()),
            (view.horizontalScrollBar(), at.x(), rect.left(), rect.right()),
        ):
            bar.setValue(bar.value() + place - min(max(place, first), last))

    def _corner(self) -> QPoint:
        return QPoint(self._view.horizontalOffset(), self._view.verticalOffset())

    def _forget(self) -> None:
        self._pressed = self._band = None
        self._view.is_settled = True
        self._anchor = -1
        self._scrolling.stop()

    def paint_band(self, painter: QPainter) -> None:
        """Draw the rubber band."""
        if self._band is None:
            return
        colour = self._view.palette().color(QPalette.ColorRole.Highlight)
        painter.setPen(QPen(colour, 1))
        fill = QColor(colour)
        fill.setAlpha(50)
        painter.setBrush(fill)
        painter.drawRect(self._band.translated(-self._corner()))

    # ---- keys and typing

    def step(self, step: Step, modifiers: Qt.KeyboardModifier) -> None:
        """Go to another picture, as a key says; with Ctrl, what is selected stays so."""
        view = self._view
        if not len(view.images.order):
            return
        current = view.currentIndex().row()
        begin = 0 if step is not Step.END else view.arrangement.step(0, step)
        target = view.arrangement.step(current, step) if current >= 0 else begin
        if view.is_picking or modifiers & Qt.KeyboardModifier.ControlModifier:
            view.set_current(target)
        else:
            self.choose(target, modifiers)
        view.scrollTo(view.images.index(target))

    def search(self, typed: str) -> None:
        """Go to the next title that begins with what is typed."""
        view = self._view
        text, start = self._in_one_go(typed, view.currentIndex().row())
        position = view.images.find(text, start) if len(view.images.order) else -1
        if position >= 0:
            self.choose(position, Qt.KeyboardModifier.NoModifier, picks=False)
            view.scrollTo(view.images.index(position))

    def _in_one_go(self, typed: str, current: int) -> tuple[str, int]:
        """What was typed in one go, and from which position on to look for it."""
        text, before = self._typed
        now = time.monotonic()
        goes_on = now - before < QApplication.keyboardInputInterval() / 1000
        text = text + typed if goes_on else typed
        self._typed = text, now
        if len(set(text)) == 1 and len(text) > 1:  # the same letter again and again: the next one
            return text[0], current + 1
        return text, current if goes_on and current >= 0 else current + 1
