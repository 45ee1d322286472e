"""What a user does with the mouse."""

from __future__ import annotations

from AnyQt.QtCore import QT_VERSION, QPoint, QPointF, Qt
from AnyQt.QtGui import QNativeGestureEvent, QWheelEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QComboBox, QWidget


def turn_wheel(widget: QWidget, notches: int) -> None:
    """Turn the wheel over the middle of a widget; down is negative."""
    here = QPointF(widget.rect().center())
    event = QWheelEvent(
        here,
        QPointF(widget.mapToGlobal(here.toPoint())),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def click_in_list(menu: QComboBox, data: object) -> None:
    """Open a menu and click on the item that stands for `data`."""
    menu.showPopup()
    view = menu.view()
    QTest.qWait(QApplication.doubleClickInterval() + 100)  # Qt ignores a click that opens and ends
    index = menu.model().index(menu.findData(data), menu.modelColumn())
    view.scrollTo(index)
    here = view.visualRect(index).center()
    QTest.mouseMove(view.viewport(), here)
    QTest.mouseClick(
        view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, here
    )
    QApplication.processEvents()


def pinch(widget: QWidget, at: QPoint, grown: float) -> None:
    """Move two fingers on a touch pad apart, as macOS tells it: by how much what is seen grows."""
    zoom, here = Qt.NativeGestureType.ZoomNativeGesture, QPointF(at)
    there = QPointF(widget.mapToGlobal(at))
    if QT_VERSION >= 0x060000:
        from AnyQt.QtGui import QPointingDevice

        device = QPointingDevice.primaryPointingDevice()
        event = QNativeGestureEvent(zoom, device, 2, here, here, there, grown, QPointF(), 0)
    else:
        event = QNativeGestureEvent(zoom, here, here, there, grown, 0, 0)
    QApplication.sendEvent(widget, event)
