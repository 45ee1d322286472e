"""A hand that moves a view's contents and makes them larger: wheel, fingers, middle button."""

from __future__ import annotations

import math
from typing import Any

from AnyQt.QtCore import QEvent, QObject, QPoint, Qt
from AnyQt.QtGui import QWheelEvent

from orangecontrib.imageanalytics.widgets.images_sight import Sight

#: What one notch of a wheel is, in eighths of a degree.
_NOTCH = 120
#: How much larger one notch of the wheel, or one press of a key, makes what is seen.
STEP = 1.15


class Hand(QObject):
    """Pans by the middle button, or the left one while Space is held; zooms about the pointer.

    What grows is the contents, if their layout says so, else the pictures. On contents that grow
    the wheel zooms; elsewhere it does so with Ctrl.

    Parameters
    ----------
    view : Sight
        Whose events are handed on to this.
    """

    def __init__(self, view: Sight) -> None:
        super().__init__(view)
        self._view = view
        self._notches = 0
        self._pinched = 1.0
        self._held_at: QPoint | None = None
        self._space = False
        self._has_panned = False
        view.viewport().grabGesture(Qt.GestureType.PinchGesture)

    # ---- panning

    @property
    def is_holding(self) -> bool:
        """Whether the contents follow the mouse."""
        return self._held_at is not None

    def press(self, event: Any) -> bool:
        """Take hold of the contents; say whether the button does that."""
        by_space = self._space and event.button() == Qt.MouseButton.LeftButton
        if event.button() != Qt.MouseButton.MiddleButton and not by_space:
            return False
        self._held_at = event.pos()
        self._view.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        return True

    def move(self, event: Any) -> bool:
        """Let the contents follow the mouse; say whether they are held."""
        if self._held_at is None:
            return False
        self._pan(event.pos() - self._held_at)
        self._held_at = event.pos()
        self._has_panned = True
        return True

    def release(self) -> bool:
        """Let go of the contents; say whether they were held."""
        was_held = self.is_holding
        self._held_at = None
        self._view.viewport().unsetCursor()
        return was_held

    def hold_space(self) -> None:
        """Note that Space is pressed: a drag pans then."""
        if not self._space:
            self._space, self._has_panned = True, False

    def leave_space(self) -> bool:
        """Note that Space is released; say whether it was pressed here, and nothing was moved."""
        was_pressed, self._space = self._space, False
        return was_pressed and not self._has_panned and not self.is_holding

    def _pan(self, by: QPoint) -> None:
        across, down = self._view.horizontalScrollBar(), self._view.verticalScrollBar()
        across.setValue(across.value() - by.x())
        down.setValue(down.value() - by.y())

    # ---- zooming

    def wheel(self, event: QWheelEvent) -> bool:
        """Zoom about the pointer; say whether this was for zooming, and not for scrolling."""
        with_control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        is_touch_pad = event.phase() != Qt.ScrollPhase.NoScrollPhase
        grows = self._view.arrangement.grows
        if not with_control and (not grows or is_touch_pad):
            return False
        angle, at = event.angleDelta().y(), event.position().toPoint()
        if grows:
            self._view.zoom_by(STEP ** (angle / _NOTCH), at)
        elif steps := self._whole_notches(angle):
            self._view.zoom(steps)
        return True

    def _whole_notches(self, angle: int) -> int:
        """Whole notches of a wheel, or of a touch pad's many small movements."""
        self._notches += angle
        steps = int(self._notches / _NOTCH)
        self._notches -= steps * _NOTCH
        return steps

    def gesture(self, event: QEvent) -> bool:
        """Zoom about the fingers that pinch; say whether they do."""
        if event.type() == QEvent.Type.NativeGesture:
            if event.gestureType() != Qt.NativeGestureType.ZoomNativeGesture:
                return False
            place = event.position() if hasattr(event, "position") else event.localPos()
            self._pinch(1 + event.value(), place.toPoint())
            return True
        if event.type() == QEvent.Type.Gesture:
            pinch = event.gesture(Qt.GestureType.PinchGesture)
            if pinch is None:
                return False
            at = self._view.viewport().mapFromGlobal(pinch.centerPoint().toPoint())
            self._pinch(pinch.scaleFactor(), at)
            return True
        return False

    def _pinch(self, factor: float, at: QPoint) -> None:
        if factor <= 0:
            return
        if self._view.arrangement.grows:
            self._view.zoom_by(factor, at)
            return
        self._pinched *= factor
        steps = int(math.log(self._pinched) / math.log(STEP))
        if steps:
            self._pinched /= STEP**steps
            self._view.zoom(steps)
