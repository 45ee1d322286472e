"""The controls of Find Images by Words; what it does with them is in `owfindimages.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from AnyQt.QtCore import QObject
from AnyQt.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)
from Orange.widgets.gui import attributeIconDict

from orangecontrib.imageanalytics.widgets.controls import set_row_visible, wrapped
from orangecontrib.imageanalytics.widgets.download_box import DownloadBox
from orangecontrib.imageanalytics.widgets.menus import Menu
from orangecontrib.imageanalytics.widgets.pictures_folder import PicturesFolder
from orangecontrib.imageanalytics.widgets.web_consent import FETCH
from orangecontrib.imageanalytics.widgets.words_run import Match
from orangecontrib.imageanalytics.widgets.words_settings import MOST

if TYPE_CHECKING:
    from Orange.data import Variable

    from orangecontrib.imageanalytics.widgets.background import Background

#: Wordings that CLIP's authors found to help, and none.
TEMPLATES = ("a photo of a {}", "a photo of {}", "a drawing of a {}", "a close-up of a {}", "{}")
MATCHES = {Match.TOP: "The best of each query", Match.THRESHOLD: "Similar enough to a query"}
BEST_OF_ALL = "The query that fits best"

WEAKNESSES = (
    "CLIP learned from English captions. It knows things, scenes and styles; it is bad at "
    "counting, at reading text in pictures, at left and right and at small differences, and it "
    "does not know who people are. Similarities order pictures; they are no proof."
)


class Panel(QObject):
    """The controls, in the order of the Tab key."""

    def __init__(self, widget: Background) -> None:
        super().__init__(widget)
        area = widget.controlArea
        self._make_words()
        self.image, self.match, self.sort_by = Menu(), Menu(), Menu()
        for match, name in MATCHES.items():
            self.match.addItem(name, str(match))
        self.top = QSpinBox(minimum=1, maximum=MOST)
        self.threshold = QDoubleSpinBox(minimum=-1, maximum=1, decimals=3, singleStep=0.005)
        self.threshold.setToolTip(
            "Unrelated images have some 0.15 to 0.2, fitting ones 0.25 and more."
        )
        box = QGroupBox("Images", area)
        form = _form(box)
        form.addRow("&Image attribute:", self.image)
        self.pictures = PicturesFolder(widget, form)
        area.layout().addWidget(box)
        self.download = DownloadBox(area)
        area.layout().addWidget(self.download)
        box = QGroupBox("Words", area)
        form = _form(box)
        form.addRow("&Queries, one a line:", self.words)
        form.addRow("&Wording:", self.template)
        area.layout().addWidget(box)
        box = QGroupBox("Matching images", area)
        self._matching = form = _form(box)
        form.addRow("&Match:", self.match)
        form.addRow("Ho&w many:", self.top)
        form.addRow("Simi&larity of at least:", self.threshold)
        form.addRow("S&ort by:", self.sort_by)
        area.layout().addWidget(box)
        self.fetch = QPushButton(FETCH, area, autoDefault=False)
        self.fetch.hide()
        weaknesses = wrapped(area)
        weaknesses.setText(WEAKNESSES)
        layout = area.layout()
        assert isinstance(layout, QVBoxLayout)
        for part in (self.fetch, widget.words, widget.cancel_button):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addWidget(weaknesses)

    def _make_words(self) -> None:
        self.words = QPlainTextEdit(tabChangesFocus=True)
        self.words.setPlaceholderText("red bicycle\nlemon")
        self.words.setFixedHeight(self.words.fontMetrics().lineSpacing() * 6)
        self.template = QComboBox(editable=True)
        self.template.addItems(TEMPLATES)
        self.template.setToolTip("{} stands for each query.")

    def show_columns(self, images: Sequence[Variable], image: str | None) -> None:
        """List the attributes to choose from, and show the one that is used."""
        self.image.clear()
        for column in images:
            self.image.addItem(attributeIconDict[column], column.name, column.name)
        self.image.setCurrentIndex(self.image.findData(image))
        self.image.setEnabled(len(images) > 0)

    def show_match(self, match: Match) -> None:
        """Show which pictures match."""
        self.match.setCurrentIndex(self.match.findData(str(match)))
        set_row_visible(self._matching, self.top, match is Match.TOP)
        set_row_visible(self._matching, self.threshold, match is Match.THRESHOLD)

    def show_queries(self, queries: Sequence[str], sort_by: str) -> None:
        """List the queries to sort by."""
        self.sort_by.clear()
        self.sort_by.addItem(BEST_OF_ALL, "")
        for query in queries if len(queries) > 1 else ():
            self.sort_by.addItem(query, query)
        self.sort_by.setCurrentIndex(max(0, self.sort_by.findData(sort_by)))
        set_row_visible(self._matching, self.sort_by, len(queries) > 1)

    def show_given(self, queries: Sequence[str] | None) -> None:
        """Show queries that come from another widget; None if they are typed here."""
        self.words.setReadOnly(queries is not None)
        if queries is not None:
            self.words.setPlainText("\n".join(queries))


def _form(box: QGroupBox) -> QFormLayout:
    form = QFormLayout(box)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
    return form
