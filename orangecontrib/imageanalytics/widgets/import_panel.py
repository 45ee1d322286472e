"""What the widget Import Images shows; what it does with it is in `owimageimport.py`."""

from __future__ import annotations

import itertools
from pathlib import PurePath
from typing import TYPE_CHECKING

from AnyQt.QtCore import QObject, Qt
from AnyQt.QtWidgets import (
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QSizePolicy,
    QStyle,
    QWidget,
)

from orangecontrib.imageanalytics.sources.regular_file import shown
from orangecontrib.imageanalytics.widgets.controls import tip
from orangecontrib.imageanalytics.widgets.data_file import at_home
from orangecontrib.imageanalytics.widgets.menus import Menu

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.import_images import Others
    from orangecontrib.imageanalytics.widgets.background import Background

#: Of the list, when it is shown, beside the 1 of what is empty below it.
_ALL_THE_ROOM = 1000


class Panel(QObject):
    """The controls of the widget, in the order of the Tab key."""

    def __init__(self, widget: Background) -> None:
        super().__init__(widget)
        area = widget.controlArea
        style = widget.style()

        self.folder = Menu(characters=30)
        self._icon = style.standardIcon(QStyle.StandardPixmap.SP_DirIcon)
        self.choose = _button("C&hoose...", "Choose another folder.")
        self.choose.setIcon(style.standardIcon(QStyle.StandardPixmap.SP_DirOpenIcon))
        self.reload = _button("Re&load", "Look through the folder again.")
        self.reload.setIcon(style.standardIcon(QStyle.StandardPixmap.SP_BrowserReload))
        label = QLabel("&Folder:")
        label.setBuddy(self.folder)
        box = QGroupBox("Images", area)
        grid = QGridLayout(box)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self.folder, 0, 1)
        grid.addWidget(self.choose, 0, 2)
        grid.setColumnStretch(1, 1)

        grid.addWidget(widget.words, 1, 0, 1, 3)
        box.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        area.layout().addWidget(box)

        self.show_others = QPushButton("Show &other files", area, autoDefault=False, checkable=True)
        self.others = QListWidget(
            area, selectionMode=QListWidget.SelectionMode.ExtendedSelection, wordWrap=True
        )
        self.show_others.toggled.connect(self._others_toggled)
        area.layout().addWidget(self.show_others)
        area.layout().addWidget(self.others, _ALL_THE_ROOM)
        area.layout().addStretch(1)

        self.cancel = widget.cancel_button
        self.cancel.setToolTip("Stop looking through the folder.")
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(self.reload)
        row.addWidget(self.cancel)
        area.layout().addLayout(row)
        order = (self.folder, self.choose, self.show_others, self.others, self.reload, self.cancel)
        for before, after in itertools.pairwise(order):
            QWidget.setTabOrder(before, after)
        self.list_others(None)

    def _others_toggled(self, are_shown: bool) -> None:
        self.others.setVisible(are_shown)
        self.show_others.setText("Hide &other files" if are_shown else "Show &other files")

    def list_folders(self, folders: list[str], current: str | None) -> None:
        """Fill the menu; `current`, if it is not among `folders`, comes first."""
        self.folder.clear()
        listed = folders if current is None or current in folders else [current, *folders]
        for folder in listed:
            path = PurePath(folder)
            where = shown(at_home(str(path.parent)))
            self.folder.addItem(self._icon, f"{shown(path.name or folder)}  ({where})", folder)
            self.folder.setItemData(
                self.folder.count() - 1, tip(shown(folder)), Qt.ItemDataRole.ToolTipRole
            )
        self.folder.setCurrentIndex(-1 if current is None else self.folder.findData(current))
        self.folder.setToolTip("" if current is None else tip(shown(current)))

    def list_others(self, others: Others | None) -> None:
        """List the files that are not images, each with what it is."""
        self.others.clear()
        count = 0 if others is None else others.count
        if others is not None:
            self.others.addItems([f"{shown(name)}: {why}" for name, why in others.named])
            if count > len(others.named):
                self.others.addItem(f"and {count - len(others.named)} more")
        if not count:
            self.show_others.setChecked(False)
        self.show_others.setVisible(count > 0)
        self.others.setVisible(self.show_others.isChecked())


def _button(text: str, tip: str) -> QPushButton:
    return QPushButton(text, autoDefault=False, toolTip=tip)
