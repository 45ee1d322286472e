"""Small parts that the widgets' panels are made of."""

from __future__ import annotations

from AnyQt.QtCore import Qt
from AnyQt.QtWidgets import QLabel, QWidget


def wrapped(parent: QWidget | None = None) -> QLabel:
    """Make a label for sentences, some fifty characters wide; text is never taken for HTML."""
    label = QLabel(parent, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    label.setMinimumWidth(label.fontMetrics().averageCharWidth() * 50)
    return label
