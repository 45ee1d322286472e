"""Small parts that the widgets' panels are made of."""

from __future__ import annotations

import html

from AnyQt.QtCore import Qt
from AnyQt.QtGui import QResizeEvent
from AnyQt.QtWidgets import QFormLayout, QLabel, QLayout, QWidget


class _Wrapped(QLabel):
    """A label that claims the height that its lines take.

    Qt's own says how high it would like to be, and is squeezed all the same: in a window that is
    not high enough, the first line and the last one cannot be read.
    """

    def setText(self, text: str) -> None:
        """Show a text, in as many lines as it takes."""
        super().setText(text)
        self._claim()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take other lines at another width."""
        super().resizeEvent(event)
        self._claim()

    def _claim(self) -> None:
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))


def wrapped(parent: QWidget | None = None) -> QLabel:
    """Make a label for sentences, some fifty characters wide; text is never taken for HTML."""
    label = _Wrapped(parent, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    label.setMinimumWidth(label.fontMetrics().averageCharWidth() * 50)
    return label


def tip(text: str) -> str:
    """Make what `setToolTip` takes for HTML, else a name that holds a tag would be taken for it."""
    return f"<qt>{html.escape(text).replace(chr(10), '<br>')}</qt>" if text else ""


def set_row_visible(form: QFormLayout, field: QWidget | QLayout, visible: bool) -> None:
    """Show or hide a row of a form, its label included; Qt has that of its own only since 6.4."""
    parts = [field] if isinstance(field, QWidget) else _widgets(field)
    for part in [form.labelForField(field), *parts]:
        if part is not None:
            part.setVisible(visible)


def _widgets(layout: QLayout) -> list[QWidget]:
    items = [layout.itemAt(i) for i in range(layout.count())]
    return [item.widget() for item in items if item.widget() is not None]
