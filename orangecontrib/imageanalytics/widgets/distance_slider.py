"""A slider for a distance, with a curve above it: how many groups there are at each."""

from __future__ import annotations

import numpy as np
from AnyQt.QtCore import QPointF, QRectF, QSize, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from AnyQt.QtWidgets import QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget
from numpy.typing import NDArray

from orangecontrib.imageanalytics.widgets.duplicates_run import STEPS


class DistanceSlider(QWidget):
    """Chooses a distance from 0 to the largest one that is known."""

    #: The user has chosen another one.
    changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._reach = 1.0
        self.curve = _Curve(self)
        self.slider = QSlider(Qt.Orientation.Horizontal, self, maximum=STEPS)
        self.slider.setAccessibleName("Distance")
        self.told = QLabel(self, textFormat=Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.curve, self.slider, self.told):
            layout.addWidget(part)
        self.setFocusProxy(self.slider)
        self.slider.valueChanged.connect(self._moved)
        self.set_counts(1.0, None)

    @property
    def distance(self) -> float:
        """The distance that is chosen."""
        return float(self.slider.value() / STEPS * self._reach)

    def set_distance(self, distance: float) -> None:
        """Show a distance, without a signal."""
        blocked = self.slider.blockSignals(True)
        self.slider.setValue(round(distance / self._reach * STEPS))
        self.slider.blockSignals(blocked)
        self._tell()

    def set_counts(self, reach: float, counts: NDArray[np.intp] | None) -> None:
        """Take the largest distance, and the number of groups at each position of the slider."""
        self._reach = reach or 1.0
        self.curve.counts = counts
        self._tell()

    def _moved(self, position: int) -> None:
        self._tell()
        self.changed.emit(self.distance)

    def _tell(self) -> None:
        counts, position = self.curve.counts, self.slider.value()
        self.curve.position = position
        self.curve.update()
        text = f"Distance up to {self.distance:.4f}"
        if counts is not None:
            count = int(counts[position])
            text += f": {count} group" if count == 1 else f": {count} groups"
        self.told.setText(text)


class _Curve(QWidget):
    """The number of groups at each distance, and where the slider is."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.counts: NDArray[np.intp] | None = None
        self.position = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("How many groups there are at each distance.")

    def sizeHint(self) -> QSize:
        """Room for a small curve."""
        return QSize(160, 40)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the curve, filled up to the slider."""
        if self.counts is None or not self.counts.max(initial=0):
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        margin = 7.0  # half the slider's handle
        width, height = self.width() - 2 * margin, self.height() - 4.0
        x = margin + np.arange(STEPS + 1) / STEPS * width
        y = 2 + height * (1 - self.counts / self.counts.max())
        points = [QPointF(*point) for point in zip(x.tolist(), y.tolist(), strict=True)]
        colour = self.palette().color(self.palette().ColorRole.Highlight)
        at = x[self.position]
        painter.save()
        painter.setClipRect(QRectF(0, 0, at, self.height()))
        painter.setPen(Qt.PenStyle.NoPen)
        faint = self.palette().color(self.palette().ColorRole.Highlight)
        faint.setAlpha(70)
        painter.setBrush(faint)
        floor = [QPointF(x[-1], self.height()), QPointF(x[0], self.height())]
        painter.drawPolygon(QPolygonF(points + floor))
        painter.restore()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.5))
        painter.drawPolyline(QPolygonF(points))
        painter.drawLine(QPointF(at, 0), QPointF(at, self.height()))
