"""A view's window on its pictures: where they are, what of them is in sight, and how it scrolls."""

from __future__ import annotations

from typing import Any

import numpy as np
from AnyQt.QtCore import QEvent, QItemSelection, QModelIndex, QPoint, QRect, QSize, Qt
from AnyQt.QtGui import QRegion
from AnyQt.QtWidgets import QAbstractItemView, QWidget
from numpy.typing import NDArray

from orangecontrib.imageanalytics.widgets.garbage import put_off_collection
from orangecontrib.imageanalytics.widgets.images_layout import Layout, UniformGrid
from orangecontrib.imageanalytics.widgets.images_model import ImagesModel


class Sight(QAbstractItemView):
    """A view whose cells are where a layout says; whoever derives from it draws them.

    Attributes
    ----------
    images : ImagesModel
        What is shown.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.images = ImagesModel(self)
        self._arrangement: Layout = UniformGrid()
        self._scrolled_up = False

    def cell_size(self) -> QSize:
        """How large each cell is."""
        raise NotImplementedError

    def sight_changed(self) -> None:
        """Do what is to be done when other cells are in sight."""
        raise NotImplementedError

    def zoom(self, steps: int) -> None:
        """Make the pictures larger, or smaller by a negative number of steps."""
        raise NotImplementedError

    @property
    def arrangement(self) -> Layout:
        """Where the pictures are."""
        return self._arrangement

    def set_arrangement(self, arrangement: Layout) -> None:
        """Arrange the pictures by another layout, from the top."""
        self._arrangement = arrangement
        self.updateGeometries()
        self.verticalScrollBar().setValue(0)
        self.sight_changed()

    @property
    def window_rect(self) -> QRect:
        """The part of the contents that is in sight."""
        corner = QPoint(self.horizontalOffset(), self.verticalOffset())
        return QRect(corner, self.viewport().size())

    def visible(self) -> NDArray[np.intp]:
        """The positions in sight."""
        return self._arrangement.within(self.window_rect)

    def zoom_by(self, factor: float, at: QPoint | None = None) -> None:
        """Let contents that grow do so about a point of the window, by default its middle."""
        at = self.viewport().rect().center() if at is None else at
        corner = self._arrangement.zoomed(factor, at + self.window_rect.topLeft()) - at
        self.updateGeometries()
        self.horizontalScrollBar().setValue(corner.x())
        self.verticalScrollBar().setValue(corner.y())
        self.viewport().update()
        self.sight_changed()

    # ---- what Qt asks of a view

    def updateGeometries(self) -> None:
        """Arrange all cells, and set the scroll bars accordingly."""
        cell, viewport = self.cell_size(), self.viewport().size()
        self._arrangement.arrange(len(self.images.order), cell, viewport)
        size = self._arrangement.size()
        for bar, total, window, step in (
            (self.verticalScrollBar(), size.height(), viewport.height(), cell.height() // 3),
            (self.horizontalScrollBar(), size.width(), viewport.width(), cell.width() // 3),
        ):
            bar.setRange(0, max(0, total - window))
            bar.setPageStep(max(1, window))
            bar.setSingleStep(max(1, step))
        super().updateGeometries()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Draw another part of the contents."""
        put_off_collection()
        if dy:
            self._scrolled_up = dy > 0
        self.viewport().update()
        self.sight_changed()

    def resizeEvent(self, event: Any) -> None:
        """Arrange anew; what was in the first line stays there, or what was first seen of a map."""
        first, corner = self.visible()[:1].tolist(), self.window_rect.topLeft()
        before = self._arrangement.rect(first[0]).topLeft() - corner if first else QPoint()
        super().resizeEvent(event)
        self.updateGeometries()
        if first and not corner.isNull():
            moved = self._arrangement.rect(first[0]).topLeft() - before
            self.horizontalScrollBar().setValue(moved.x())
            self.verticalScrollBar().setValue(moved.y())
        self.sight_changed()

    def showEvent(self, event: Any) -> None:
        """Ask for what is in sight now."""
        super().showEvent(event)
        self.sight_changed()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font and the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.updateGeometries()

    def visualRect(self, index: QModelIndex) -> QRect:
        """Where a picture is in the window."""
        if not index.isValid() or index.row() >= len(self.images.order):
            return QRect()
        return self._arrangement.rect(index.row()).translated(-self.window_rect.topLeft())

    def scrollTo(
        self,
        index: QModelIndex,
        hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible,
    ) -> None:
        """Bring a picture into sight."""
        if not index.isValid():
            return
        rect, window = self._arrangement.rect(index.row()), self.window_rect
        for bar, start, end, shown, length in (
            (self.verticalScrollBar(), rect.top(), rect.bottom(), window.top(), window.height()),
            (self.horizontalScrollBar(), rect.left(), rect.right(), window.left(), window.width()),
        ):
            if hint == QAbstractItemView.ScrollHint.PositionAtCenter:
                bar.setValue((start + end - length) // 2)
            elif start < shown:
                bar.setValue(start)
            elif end >= shown + length:
                bar.setValue(end - length + 1)

    def indexAt(self, point: QPoint) -> QModelIndex:
        """Which picture is at a point of the window."""
        position = self._arrangement.at(point + self.window_rect.topLeft())
        return self.images.index(position) if position >= 0 else QModelIndex()

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        """Where Tab leads to; the other keys are dealt with before."""
        return self.currentIndex()

    def horizontalOffset(self) -> int:
        """How far it is scrolled to the right."""
        return int(self.horizontalScrollBar().value())

    def verticalOffset(self) -> int:
        """How far it is scrolled down."""
        return int(self.verticalScrollBar().value())

    def isIndexHidden(self, index: QModelIndex) -> bool:
        """None is hidden."""
        return False

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        """What to draw anew when the selection changes: all."""
        return QRegion(self.viewport().rect())

    def sizeHint(self) -> QSize:
        """Room for some pictures."""
        return QSize(640, 480)
