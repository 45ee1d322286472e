"""What the widget Save Images shows; what it does with it is in `owsaveimages.py`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from AnyQt.QtCore import QObject, Qt
from AnyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QWidget,
)
from Orange.widgets.gui import attributeIconDict

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.saving import AS_IT_IS, FORMATS
from orangecontrib.imageanalytics.sources import shown
from orangecontrib.imageanalytics.widgets.controls import set_row_visible, tip
from orangecontrib.imageanalytics.widgets.data_file import at_home
from orangecontrib.imageanalytics.widgets.menus import Menu
from orangecontrib.imageanalytics.widgets.pictures_folder import PicturesFolder
from orangecontrib.imageanalytics.widgets.web_consent import FETCH

if TYPE_CHECKING:
    from Orange.data import Variable

    from orangecontrib.imageanalytics.widgets.background import Background

#: How a picture's size is changed: the settings' words, and those for people.
FULL, WITHIN, SQUASHED = "full", "within", "model"
_SIZES = {
    FULL: "as it is",
    WITHIN: "scaled down to fit a square",
    SQUASHED: "squashed to what a network sees",
}
#: The smallest and largest square, in pixels.
LEAST_PIXELS, MOST_PIXELS = 16, 16384


class Panel(QObject):
    """The controls of the widget, in the order of the Tab key."""

    def __init__(self, widget: Background) -> None:
        super().__init__(widget)
        area = widget.controlArea
        self.attribute = Menu()
        self.subfolders = Menu()
        pictures, form = _form("Pictures", area)
        form.addRow("&Image attribute:", self.attribute)
        self.pictures = PicturesFolder(widget, form)
        form.addRow("Su&bfolders by:", self.subfolders)
        self.subfolders.setToolTip("Each value of this attribute becomes a folder in the folder.")

        self.format = Menu()
        self.format.addItem("as it is", AS_IT_IS)
        for format in FORMATS.values():
            self.format.addItem(format.title, format.key)
        self.size = Menu()
        for key, title in _SIZES.items():
            self.size.addItem(title, key)
        self.pixels = _Pixels(minimum=LEAST_PIXELS, maximum=MOST_PIXELS, suffix=" pixels")
        self.model = Menu()
        for model in models.of_catalogue().values():
            height, width = model.input_size
            self.model.addItem(f"{model.title} ({width} × {height})", model.id)
        files, self._form = _form("Files", area)
        self._form.addRow("For&mat:", self.format)
        self._form.addRow("Si&ze:", self.size)
        self._form.addRow("S&quare:", self.pixels)
        self._form.addRow("&Network:", self.model)

        self.folder = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.folder.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        icon = widget.style().standardIcon(QStyle.StandardPixmap.SP_DirOpenIcon)
        self.choose = QPushButton(icon, "Choose fo&lder...", autoDefault=False)
        target, form = _form("Save into", area)
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(self.choose)
        form.addRow(row)
        form.addRow(widget.words)
        for box in (pictures, files, target):
            box.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
            area.layout().addWidget(box)
        area.layout().addStretch()

        self.automatically = QCheckBox("Save &automatically when something changes", area)
        self.save = QPushButton("&Save", autoDefault=False)
        self.fetch = QPushButton(FETCH, autoDefault=False, visible=False)
        self.cancel = widget.cancel_button
        area.layout().addWidget(self.automatically)
        row = QHBoxLayout()
        row.addWidget(self.fetch)
        row.addStretch()
        row.addWidget(self.cancel)
        row.addWidget(self.save)
        area.layout().addLayout(row)
        order = (
            self.attribute, self.pictures.menu, self.subfolders, self.format, self.size,
            self.pixels, self.model, self.choose, self.automatically, self.fetch, self.cancel,
            self.save,
        )  # fmt: skip
        for before, after in itertools.pairwise(order):
            QWidget.setTabOrder(before, after)

    def show_columns(self, columns: Sequence[Variable], used: str | None) -> None:
        """Fill the menu of columns of images."""
        _fill(self.attribute, columns, used)
        self.attribute.setEnabled(bool(columns))

    def show_subfolders(self, columns: Sequence[Variable], used: str | None) -> None:
        """Fill the menu of columns whose values may be folders."""
        _fill(self.subfolders, columns, used, first="(none)")

    def show_sizes(self, size: str) -> None:
        """Show what belongs to a choice of size, and nothing else."""
        set_row_visible(self._form, self.pixels, size == WITHIN)
        set_row_visible(self._form, self.model, size == SQUASHED)

    def show_folder(self, folder: str) -> None:
        """Show where pictures are saved to."""
        self.folder.setText(shown(at_home(folder)) if folder else "(no folder is chosen)")
        self.folder.setToolTip(tip(shown(folder)))


class _Pixels(QSpinBox):
    """A number that the mouse's wheel does not change in passing."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)

    def wheelEvent(self, event: object) -> None:
        """Turn only while it has the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()  # type: ignore[attr-defined]


def _form(title: str, area: QWidget) -> tuple[QGroupBox, QFormLayout]:
    box = QGroupBox(title, area)
    form = QFormLayout(box)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return box, form


def _fill(menu: Menu, columns: Sequence[Variable], used: str | None, first: str = "") -> None:
    menu.clear()
    if first:
        menu.addItem(first, None)
    for column in columns:
        menu.addItem(attributeIconDict[column], column.name, column.name)
    menu.setCurrentIndex(max(0, menu.findData(used)) if menu.count() else -1)
