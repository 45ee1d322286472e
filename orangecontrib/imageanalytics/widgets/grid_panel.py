"""The controls of Image Grid; what it does with them is in `owimagegrid.py`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
from orangecontrib.imageanalytics.widgets.controls import set_row_visible
from orangecontrib.imageanalytics.widgets.grid_columns import Choice
from orangecontrib.imageanalytics.widgets.grid_settings import (
    GRID,
    LAYOUTS,
    MOST_ALIKE,
    MOST_CELLS,
)
from orangecontrib.imageanalytics.widgets.images_view import LARGEST, SMALLEST
from orangecontrib.imageanalytics.widgets.menus import Menu
from orangecontrib.imageanalytics.widgets.pictures_folder import PicturesFolder
from orangecontrib.imageanalytics.widgets.web_consent import FETCH

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid


class Panel(QObject):
    """The controls, in the order of the Tab key."""

    def __init__(self, widget: OWImageGrid) -> None:
        super().__init__(widget)
        area = widget.controlArea
        self.image, self.label, self.frame = Menu(), Menu(), Menu()
        self.layout, self.method = Menu(), Menu()
        for key, name in LAYOUTS.items():
            self.layout.addItem(name, key)
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
        form = self._places = _form("Arrangement", area)
        form.addRow("La&yout:", self.layout)
        form.addRow("Arrange &by:", self.method)
        form.addRow("C&olumns:", self.columns)
        form.addRow("Ro&ws:", self.rows)
        form.addRow(self.automatic)
        self.whole = QPushButton("Show W&hole Map", autoDefault=False)
        self.whole.setToolTip(
            "The wheel, two fingers, and the keys + and − zoom into the map; 0 shows all of it. "
            "Pictures that have no room are dots."
        )
        form.addRow(self.whole)
        self.fits = QCheckBox("Fit into the wi&ndow")
        self.size = QSlider(Qt.Orientation.Horizontal, minimum=SMALLEST, maximum=LARGEST)
        self.size.setSingleStep(8)
        self.size.setPageStep(32)
        self.size.setAccessibleName("Image size")
        self.crop = QCheckBox("Cro&p to squares")
        form = _form("View", area)
        form.addRow("Image si&ze:", self.size)
        form.addRow(_beside(self.fits, self.crop))
        self.alike = QSpinBox(minimum=1, maximum=MOST_ALIKE, keyboardTracking=False)
        self.select = QPushButton("Select &Them", autoDefault=False)
        form = _form("Reference Images", area)
        row = _beside(self.alike, self.select)
        form.addRow("Most ali&ke:", row)
        form.labelForField(row).setBuddy(self.alike)
        self.references = form.parentWidget()
        self.references.hide()
        self.fetch = QPushButton(FETCH, area, autoDefault=False)
        self.fetch.hide()
        layout = area.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.addWidget(self.fetch)
        layout.addWidget(widget.words)
        layout.addWidget(widget.cancel_button)
        layout.addStretch(1)
        order = (
            *(self.image, self.pictures.menu, self.label, self.frame, self.layout, self.method),
            *(self.columns, self.rows, self.automatic, self.whole, self.size, self.fits),
            *(self.crop, self.alike, self.select, self.fetch),
        )
        for before, after in itertools.pairwise(order):
            QWidget.setTabOrder(before, after)

    def show_columns(self, images: Choice, labels: Choice, frames: Choice) -> None:
        """List the attributes to choose from, and show those that are used."""
        _fill(self.image, images)
        _fill(self.label, labels, none="(No labels)")
        _fill(self.frame, frames, none="(No frames)")

    def show_look(self, layout: str, *, fits: bool, crop: bool) -> None:
        """Show how pictures are shown, and what belongs to their layout."""
        self.layout.setCurrentIndex(self.layout.findData(layout))
        for box, ticked in ((self.fits, fits), (self.crop, crop)):
            _set_quietly(box, box.setChecked, ticked)
        is_grid = layout == GRID
        for field in (self.columns, self.rows):
            set_row_visible(self._places, field, is_grid)
        for control in (self.automatic, self.fits):
            control.setVisible(is_grid)
        self.whole.setVisible(not is_grid)

    def show_size(self, columns: int, rows: int) -> None:
        """Show how large the grid is."""
        for box, number in ((self.columns, columns), (self.rows, rows)):
            _set_quietly(box, box.setValue, number)

    def show_image_size(self, size: int) -> None:
        """Show how large pictures are."""
        _set_quietly(self.size, self.size.setValue, size)


def _set_quietly(control: QWidget, set_: Callable[[Any], None], value: Any) -> None:
    """Show a value that is known already: nobody need be told."""
    blocked = control.blockSignals(True)
    set_(value)
    control.blockSignals(blocked)


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


def _fill(menu: Menu, choice: Choice, none: str = "") -> None:
    menu.clear()
    if none:
        menu.addItem(none, None)
    for column in choice.columns:
        menu.addItem(attributeIconDict[column], column.name, column.name)
    menu.setCurrentIndex(menu.findData(choice.used))
    menu.setEnabled(menu.count() > 0)
