"""The controls of Image Viewer; what it does with them is in `owimageviewer.py`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from AnyQt.QtCore import QObject, Qt
from AnyQt.QtWidgets import QFormLayout, QGroupBox, QPushButton, QSlider, QVBoxLayout, QWidget
from Orange.widgets.gui import attributeIconDict

from orangecontrib.imageanalytics.widgets.images_view import LARGEST, SMALLEST
from orangecontrib.imageanalytics.widgets.menus import Menu
from orangecontrib.imageanalytics.widgets.pictures_folder import PicturesFolder
from orangecontrib.imageanalytics.widgets.viewer_settings import SORTINGS
from orangecontrib.imageanalytics.widgets.web_consent import FETCH

if TYPE_CHECKING:
    from Orange.data import Variable

    from orangecontrib.imageanalytics.widgets.background import Background

_NO_TITLE = "File name"


class Panel(QObject):
    """The controls, in the order of the Tab key."""

    def __init__(self, widget: Background) -> None:
        super().__init__(widget)
        area = widget.controlArea
        self.image = Menu()
        self.title = Menu()
        self.sorting = Menu()
        for key, name in SORTINGS.items():
            self.sorting.addItem(name, key)
        self.again = QPushButton("Sort &Again", autoDefault=False)
        self.again.setToolTip("Sort by similarity to what is selected now.")
        self.size = QSlider(Qt.Orientation.Horizontal, minimum=SMALLEST, maximum=LARGEST)
        self.size.setSingleStep(8)
        self.size.setPageStep(32)
        self.size.setAccessibleName("Image size")
        box = QGroupBox("Images", area)
        form = QFormLayout(box)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.addRow("&Image attribute:", self.image)
        self.pictures = PicturesFolder(widget, form)
        form.addRow("&Title attribute:", self.title)
        form.addRow("S&ort by:", self.sorting)
        form.addRow(self.again)
        form.addRow("Image si&ze:", self.size)
        area.layout().addWidget(box)
        self.fetch = QPushButton(FETCH, area, autoDefault=False)
        self.fetch.hide()
        area.layout().addWidget(self.fetch)
        layout = area.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.addWidget(widget.words)
        layout.addWidget(widget.cancel_button)
        widget.cancel_button.hide()
        widget.processingStateChanged.connect(
            lambda state: widget.cancel_button.setVisible(bool(state))
        )
        layout.addStretch(1)
        order = (self.image, self.pictures.menu, self.title, self.sorting, self.again, self.size)
        for before, after in itertools.pairwise(order):
            QWidget.setTabOrder(before, after)

    def show_columns(
        self,
        images: Sequence[Variable],
        image: str | None,
        titles: Sequence[Variable],
        title: str | None,
    ) -> None:
        """List the attributes to choose from, and show those that are used."""
        _fill(self.image, images, image)
        _fill(self.title, titles, title, none=_NO_TITLE)

    def show_sorting(self, sorting: str, *, similarity: bool) -> None:
        """Show how the images are sorted, and whether that can be by similarity."""
        index = self.sorting.findData("similarity")
        item = self.sorting.model().item(index)
        item.setEnabled(similarity)
        item.setToolTip("" if similarity else "The data has no embedding: see Image Embedding.")
        self.sorting.setCurrentIndex(self.sorting.findData(sorting))
        self.again.setVisible(sorting == "similarity" and similarity)


def _fill(menu: Menu, columns: Sequence[Variable], chosen: str | None, none: str = "") -> None:
    menu.clear()
    if none:
        menu.addItem(none, None)
    for column in columns:
        menu.addItem(attributeIconDict[column], column.name, column.name)
    menu.setCurrentIndex(menu.findData(chosen))
    menu.setEnabled(menu.count() > 0)
