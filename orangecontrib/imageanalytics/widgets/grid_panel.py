"""The controls of Image Grid; what it does with them is in `owimagegrid.py`."""

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
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.gui import attributeIconDict

from orangecontrib.imageanalytics.arrangement import METHODS
from orangecontrib.imageanalytics.widgets.grid_settings import MOST_CELLS
from orangecontrib.imageanalytics.widgets.images_view import LARGEST, SMALLEST
from orangecontrib.imageanalytics.widgets.menus import Menu
from orangecontrib.imageanalytics.widgets.pictures_folder import PicturesFolder
from orangecontrib.imageanalytics.widgets.web_consent import FETCH

if TYPE_CHECKING:
    from Orange.data import Variable

    from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid


class Panel(QObject):
    """The controls, in the order of the Tab key."""

    def __init__(self, widget: OWImageGrid) -> None:
        super().__init__(widget)
        area = widget.controlArea
        self.image, self.label, self.frame, self.method = Menu(), Menu(), Menu(), Menu()
        for method in METHODS:
            self.method.addItem(method, method)
        self.method.setToolTip(
            "t-SNE keeps alike pictures together; MDS keeps all distances, of up to 1000 pictures; "
            "PCA is there at once."
        )
        form = _form("Images", area)
        form.addRow("&Image attribute:", self.image)
        self.pictures = PicturesFolder(widget, form)
        form.addRow("&Labels:", self.label)
        form.addRow("Fra&mes by:", self.frame)
        self.columns = QSpinBox(minimum=1, maximum=MOST_CELLS, keyboardTracking=False)
        self.rows = QSpinBox(minimum=1, maximum=MOST_CELLS, keyboardTracking=False)
        self.automatic = QPushButton("Set Size A&utomatically", autoDefault=False)
        form = _form("Grid", area)
        form.addRow("Arrange &by:", self.method)
        form.addRow("C&olumns:", self.columns)
        form.addRow("Ro&ws:", self.rows)
        form.addRow(self.automatic)
        self.fits = QCheckBox("Fit into the wi&ndow")
        self.size = QSlider(Qt.Orientation.Horizontal, minimum=SMALLEST, maximum=LARGEST)
        self.size.setSingleStep(8)
        self.size.setPageStep(32)
        self.size.setAccessibleName("Image size")
        self.crop = QCheckBox("Cro&p to squares")
        form = _form("View", area)
        form.addRow("Image si&ze:", self.size)
        form.addRow(_beside(self.fits, self.crop))
        self.fetch = QPushButton(FETCH, area, autoDefault=False)
        self.fetch.hide()
        layout = area.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.addWidget(self.fetch)
        layout.addWidget(widget.words)
        layout.addWidget(widget.cancel_button)
        layout.addStretch(1)
        order = (
            *(self.image, self.pictures.menu, self.label, self.frame, self.method, self.columns),
            *(self.rows, self.automatic, self.size, self.fits, self.crop, self.fetch),
        )
        for before, after in itertools.pairwise(order):
            QWidget.setTabOrder(before, after)

    def show_columns(
        self,
        images: tuple[Sequence[Variable], str | None],
        labels: tuple[Sequence[Variable], str | None],
        frames: tuple[Sequence[Variable], str | None],
    ) -> None:
        """List the attributes to choose from, each with the name of the one that is used."""
        _fill(self.image, *images)
        _fill(self.label, *labels, none="(No labels)")
        _fill(self.frame, *frames, none="(No frames)")

    def show_size(self, columns: int, rows: int) -> None:
        """Show how large the grid is."""
        for box, number in ((self.columns, columns), (self.rows, rows)):
            blocked = box.blockSignals(True)
            box.setValue(number)
            box.blockSignals(blocked)

    def show_image_size(self, size: int) -> None:
        """Show how large pictures are."""
        blocked = self.size.blockSignals(True)
        self.size.setValue(size)
        self.size.blockSignals(blocked)


def _form(title: str, area: QWidget) -> QFormLayout:
    box = QGroupBox(title, area)
    form = QFormLayout(box)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    area.layout().addWidget(box)
    return form


def _beside(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def _fill(menu: Menu, columns: Sequence[Variable], chosen: str | None, none: str = "") -> None:
    menu.clear()
    if none:
        menu.addItem(none, None)
    for column in columns:
        menu.addItem(attributeIconDict[column], column.name, column.name)
    menu.setCurrentIndex(menu.findData(chosen))
    menu.setEnabled(menu.count() > 0)
