"""The row *Pictures in folder*, of all widgets that read pictures whose names leave it open."""

from __future__ import annotations

from pathlib import Path

from AnyQt.QtCore import Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QWidget
from Orange.data import Table, Variable

from orangecontrib.imageanalytics import tables
from orangecontrib.imageanalytics.sources import shown
from orangecontrib.imageanalytics.widgets import workflow_folders
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.controls import set_row_visible, tip
from orangecontrib.imageanalytics.widgets.data_file import at_home, folder_of_data, workflow_folder
from orangecontrib.imageanalytics.widgets.menus import Menu


class PicturesFolder(QWidget):
    """Names the folder that `tables.references` is given; shown where names leave it open.

    The widget keeps the choice in a setting, and calls `show_data` when its data or column changes.
    Never is the working directory looked into.

    Parameters
    ----------
    widget : Background
        The widget, which has ``pictures_folder: str | None = Setting(None, schema_only=True)``.
    form : QFormLayout
        Where the row is appended.
    """

    #: The folder is another one now.
    changed = Signal()

    def __init__(self, widget: Background, form: QFormLayout) -> None:
        super().__init__()
        self._widget = widget
        self._form = form
        self._table: Table | None = None
        self._column: Variable | str | None = None
        self._is_needed = False
        self._guessed: str | None = None
        self._chosen: str | None = None
        self.menu = Menu(self)
        self.choose = QPushButton("C&hoose...", self, autoDefault=False, clicked=self._ask)
        self.choose.setToolTip("Choose the folder that the pictures are in.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.menu, 1)
        row.addWidget(self.choose)
        form.addRow("Pictures in &folder:", self)
        form.labelForField(self).setBuddy(self.menu)
        self.menu.activated.connect(self._activated)
        widget.workflow_moved.connect(self._workflow_moved)
        self._find()
        set_row_visible(form, self, False)

    @property
    def folder(self) -> str | None:
        """The folder for `tables.references`: the one chosen, else the likeliest one."""
        return self._chosen or self._guessed

    @property
    def is_missing(self) -> bool:
        """Whether names leave their folder open, and none is known."""
        return self._is_needed and self.folder is None

    def show_data(self, table: Table | None, column: Variable | str | None) -> None:
        """Take other data, or another column of it."""
        self._table, self._column = table, column
        self._is_needed = bool(table) and column is not None and tables.needs_folder(table, column)
        self._find()
        set_row_visible(self._form, self, self._is_needed or self._chosen is not None)

    def offer(self) -> None:
        """Show the row though the column names a folder: its pictures are not there any more."""
        if self._table and tables.needs_folder(self._table, self._column, despite_origin=True):
            set_row_visible(self._form, self, True)

    def _workflow_moved(self, basedir: str | None, before: str | None) -> None:
        """Keep the choice when the workflow is saved elsewhere."""
        kept = self._widget.pictures_folder
        if kept is not None:
            known = [self._chosen] if self._chosen else workflow_folders.candidates(kept, before)
            if known:
                self._widget.pictures_folder = workflow_folders.stored(known[0], basedir or None)
        was = self.folder
        self._find()
        if self._is_needed and self.folder != was:
            self.changed.emit()

    def choose_folder(self, folder: str | None) -> None:
        """Take a folder, or None for the likeliest."""
        basedir = workflow_folder(self._widget)
        kept = None if folder is None else workflow_folders.stored(folder, basedir)
        self._widget.pictures_folder = kept
        self._find()
        self.changed.emit()

    def _find(self) -> None:
        """Look which folder is chosen and which is the likeliest, and list both."""
        basedir = workflow_folder(self._widget)
        of_data = folder_of_data(self._table, self._widget)
        self._guessed = of_data or basedir
        kept = self._widget.pictures_folder
        found = [] if kept is None else workflow_folders.candidates(kept, basedir)
        self._chosen = found[0] if found else None
        self.menu.clear()
        if self._guessed is None:
            self.menu.addItem("not known: please choose", None)
        else:
            whose = "the data's file" if of_data else "the workflow"
            self._add(f"that of {whose}", self._guessed, None)
        if self._chosen is not None:
            self._add(Path(self._chosen).name or self._chosen, self._chosen, self._chosen)
        self.menu.setCurrentIndex(self.menu.count() - 1)
        self.menu.setToolTip(tip(shown(self.folder or "")))

    def _add(self, name: str, folder: str, data: str | None) -> None:
        self.menu.addItem(f"{shown(name)}  ({shown(at_home(folder))})", data)
        role = Qt.ItemDataRole.ToolTipRole
        self.menu.setItemData(self.menu.count() - 1, tip(shown(folder)), role)

    def _activated(self, index: int) -> None:
        if self.menu.itemData(index) != self._chosen:
            self.choose_folder(self.menu.itemData(index))

    def _ask(self) -> None:
        title, start = "Choose the Folder of the Pictures", self.folder or str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, title, start)
        if folder:
            self.choose_folder(str(Path(folder)))
