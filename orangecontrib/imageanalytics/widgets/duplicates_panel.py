"""The controls of Duplicate Images; what it does with them is in `owduplicateimages.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from AnyQt.QtCore import QObject
from AnyQt.QtWidgets import QFormLayout, QGroupBox, QPushButton, QVBoxLayout
from Orange.widgets.gui import attributeIconDict

from orangecontrib.imageanalytics.widgets.distance_slider import DistanceSlider
from orangecontrib.imageanalytics.widgets.duplicates_run import Keep, Mode
from orangecontrib.imageanalytics.widgets.menus import Menu
from orangecontrib.imageanalytics.widgets.pictures_folder import PicturesFolder
from orangecontrib.imageanalytics.widgets.web_consent import FETCH

if TYPE_CHECKING:
    from Orange.data import Variable

    from orangecontrib.imageanalytics.widgets.background import Background

MODES = {
    Mode.EXACT: "Exact copies",
    Mode.NEAR: "Near copies",
    Mode.ALIKE: "Alike by the embedding",
}
_EXPLAINED = {
    Mode.EXACT: "The same pixels, under whatever name and in whatever format.",
    Mode.NEAR: "Scaled, recompressed, converted, made grey, slightly cropped.",
    Mode.ALIKE: "Vectors of the data's embedding that are near each other (cosine).",
}
KEEPS = {Keep.LARGEST: "The largest", Keep.OLDEST: "The oldest", Keep.FIRST: "The first"}


class Panel(QObject):
    """The controls, in the order of the Tab key."""

    def __init__(self, widget: Background) -> None:
        super().__init__(widget)
        area = widget.controlArea
        self.image, self.mode, self.keep = Menu(), Menu(), Menu()
        for mode, name in MODES.items():
            self.mode.addItem(name, str(mode))
        for keep, name in KEEPS.items():
            self.keep.addItem(name, str(keep))
        self.distance = DistanceSlider()
        self.keep_these = QPushButton("Keep Selec&ted Instead", autoDefault=False, enabled=False)
        self.keep_these.setToolTip("Keep the selected pictures of their groups, whatever the rule.")
        self.forget = QPushButton("For&get Choices by Hand", autoDefault=False, enabled=False)
        box = QGroupBox("Images", area)
        form = _form(box)
        form.addRow("&Image attribute:", self.image)
        self.pictures = PicturesFolder(widget, form)
        area.layout().addWidget(box)
        box = QGroupBox("Duplicates", area)
        form = _form(box)
        form.addRow("&Find:", self.mode)
        form.addRow(self.distance)
        area.layout().addWidget(box)
        box = QGroupBox("Of each group, keep", area)
        form = _form(box)
        form.addRow("R&ule:", self.keep)
        form.addRow(self.keep_these)
        form.addRow(self.forget)
        area.layout().addWidget(box)
        self.fetch = QPushButton(FETCH, area, autoDefault=False)
        self.fetch.hide()
        layout = area.layout()
        assert isinstance(layout, QVBoxLayout)
        for part in (self.fetch, widget.words, widget.cancel_button):
            layout.addWidget(part)
        layout.addStretch(1)

    def show_columns(self, images: Sequence[Variable], image: str | None) -> None:
        """List the attributes to choose from, and show the one that is used."""
        self.image.clear()
        for column in images:
            self.image.addItem(attributeIconDict[column], column.name, column.name)
        self.image.setCurrentIndex(self.image.findData(image))
        self.image.setEnabled(len(images) > 0)

    def show_mode(self, mode: Mode, *, embedding: str) -> None:
        """Show what is looked for; `embedding` is the title of the data's, empty if it has none."""
        index = self.mode.findData(str(Mode.ALIKE))
        self.mode.setItemText(index, f"Alike by {embedding}" if embedding else MODES[Mode.ALIKE])
        self.mode.model().item(index).setEnabled(bool(embedding))
        self.mode.setCurrentIndex(self.mode.findData(str(mode)))
        self.mode.setToolTip(_EXPLAINED[mode])
        self.distance.setVisible(mode is not Mode.EXACT)

    def show_keep(self, keep: Keep) -> None:
        """Show which one of a group is kept."""
        self.keep.setCurrentIndex(self.keep.findData(str(keep)))


def _form(box: QGroupBox) -> QFormLayout:
    form = QFormLayout(box)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
    return form
