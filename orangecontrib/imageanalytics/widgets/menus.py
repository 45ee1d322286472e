"""Drop-down menus in which nothing far-reaching is chosen by accident."""

from __future__ import annotations

from AnyQt.QtCore import Qt
from AnyQt.QtGui import QFont, QKeyEvent, QWheelEvent
from AnyQt.QtWidgets import QComboBox, QWidget

_DELIBERATE = Qt.ItemDataRole.UserRole + 1

_STEPS = {
    Qt.Key.Key_Up: -1,
    Qt.Key.Key_Down: 1,
    Qt.Key.Key_PageUp: -10,
    Qt.Key.Key_PageDown: 10,
    Qt.Key.Key_Home: -(10**6),
    Qt.Key.Key_End: 10**6,
}


class Menu(QComboBox):
    """A drop-down menu that the mouse's wheel does not change in passing.

    Qt's own changes when the wheel turns over it, on the way down a page: three notches chose a
    model on a server, and ten photos were sent. This one turns only while it has the focus, which
    the wheel does not give. Items that are chosen on purpose (images leave the computer, something
    large is downloaded) are marked by `set_deliberate`: they are chosen with a click or Enter in
    the open list and in no other way; wheel and arrow keys step over them.
    """

    def __init__(self, parent: QWidget | None = None, *, characters: int = 20) -> None:
        super().__init__(
            parent,
            sizeAdjustPolicy=QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon,
            minimumContentsLength=characters,
            maxVisibleItems=20,
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def add_heading(self, text: str) -> None:
        """Add a line that names what follows, and cannot be chosen."""
        self.addItem(text)
        index = self.count() - 1
        font = QFont(self.font())
        font.setBold(True)
        # as the others' colour: what a theme gives to what is disabled may not be seen at all
        self.setItemData(index, self.palette().text(), Qt.ItemDataRole.ForegroundRole)
        self.setItemData(index, font, Qt.ItemDataRole.FontRole)
        item = self.model().item(index)
        item.setFlags(item.flags() & ~(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable))

    def set_deliberate(self, index: int) -> None:
        """Let an item be chosen in the open list only."""
        self.setItemData(index, True, _DELIBERATE)

    def is_deliberate(self, index: int) -> bool:
        """Whether an item is chosen in the open list only."""
        return bool(self.itemData(index, _DELIBERATE))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Turn to the next item that may be chosen so, if the menu has the focus."""
        turned = event.angleDelta().y()
        if self.hasFocus() and turned:
            self._step(-1 if turned > 0 else 1)
            event.accept()
        else:
            event.ignore()  # what it stands in may scroll

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Step over what is chosen on purpose; letters look for an item in the open list."""
        step = _STEPS.get(event.key())
        text = event.text()
        if event.modifiers() & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier):
            super().keyPressEvent(event)  # opens the list
        elif step is not None:
            self._step(step)
        elif text.strip() and text.isprintable():
            self.showPopup()
            self.view().keyboardSearch(text)
        else:
            super().keyPressEvent(event)

    def _step(self, step: int) -> None:
        """Choose the item so many further among those that may be chosen so."""
        index = self.currentIndex()
        free = [i for i in range(self.count()) if self._is_free(i)]
        ahead = [i for i in free if i > index] if step > 0 else [i for i in free[::-1] if i < index]
        if ahead:
            chosen = ahead[min(abs(step), len(ahead)) - 1]
            self.setCurrentIndex(chosen)
            self.activated.emit(chosen)

    def _is_free(self, index: int) -> bool:
        flags = self.model().index(index, self.modelColumn(), self.rootModelIndex()).flags()
        return bool(flags & Qt.ItemFlag.ItemIsEnabled) and not self.is_deliberate(index)
