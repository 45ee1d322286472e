"""What the widget Image Embedding shows; what it does with it is in `owimageembedding.py`."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from AnyQt.QtCore import QObject, Qt, QUrl
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QDesktopServices
from AnyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.gui import attributeIconDict

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.decoding.fit import DEPTHS
from orangecontrib.imageanalytics.widgets.controls import set_row_visible, tip, wrapped
from orangecontrib.imageanalytics.widgets.destination import Destination
from orangecontrib.imageanalytics.widgets.download_box import DownloadBox
from orangecontrib.imageanalytics.widgets.menus import Menu
from orangecontrib.imageanalytics.widgets.pictures_folder import PicturesFolder
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

if TYPE_CHECKING:
    from Orange.data import Variable

    from orangecontrib.imageanalytics.widgets.background import Background

_PROVIDER_NAMES = {
    "cpu": "CPU",
    "cuda": "NVIDIA GPU (CUDA)",
    "coreml": "Apple GPU (CoreML)",
    "directml": "GPU (DirectML)",
}


class Panel(QObject):
    """The controls of the widget, in the order of the Tab key.

    Attributes
    ----------
    models : dict of str to Model
        All models to choose from.
    problems : list of str
        What is wrong with files in the folder of the user's models.
    """

    provider_chosen = Signal()

    def __init__(self, widget: Background) -> None:
        super().__init__(widget)
        self.models: dict[str, models.Model] = {}
        self.problems: list[str] = []
        self._found: models.Found | None = None
        area = widget.controlArea

        self.attribute = Menu()
        self.model = Menu()
        self.folder = QPushButton("Models f&older", autoDefault=False, clicked=_open_folder)
        self.folder.setToolTip(
            f"{models.default_folder()}\n"
            "Put ONNX files of your own there, and they are listed here."
        )
        self.unusable = QPushButton(autoDefault=False, clicked=self._show_problems)
        self.unusable.setToolTip("Says what is wrong with files in the models folder.")
        self.unusable.hide()
        self.provider = Menu()
        self.depth = Menu()
        self.depth.setToolTip(
            "Cameras and microscopes record 10 to 16 bits and store 16. If you say how many, all "
            "pictures are scaled alike. Pictures of 8 bits, as most are, are not changed by this."
        )
        self.depth.addItem("as each picture's brightest point suggests", None)
        for bits in DEPTHS:
            self.depth.addItem(f"{bits} bits (0 to {2**bits - 1})", bits)
        self._description = wrapped(area)
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("&Image attribute:", self.attribute)
        self.pictures = PicturesFolder(widget, form)
        model_row = QHBoxLayout()
        model_row.addWidget(self.model, 1)
        model_row.addWidget(self.folder)
        model_row.addWidget(self.unusable)
        form.addRow("&Embedder:", model_row)
        form.labelForField(model_row).setBuddy(self.model)
        form.addRow("Compute o&n:", self.provider)
        form.addRow("16-&bit images:", self.depth)
        box = QGroupBox("Settings", area)
        layout = QVBoxLayout(box)
        layout.addLayout(form)
        layout.addWidget(self._description)
        area.layout().addWidget(box)

        self.download = DownloadBox(area)
        self.destination = Destination(area)
        area.layout().addWidget(self.download)
        area.layout().addWidget(self.destination)

        title = models.get(models.DEFAULT).title
        self.instead = QPushButton(f"&Use {title} instead", area, autoDefault=False)
        self.instead.setToolTip("It runs on this computer.")
        self.instead.hide()
        self.fetch = QPushButton("Fetch them from the &web", area, autoDefault=False)
        self.fetch.hide()
        for part in (self.instead, self.fetch, widget.words):
            area.layout().addWidget(part)

        area.layout().addStretch(1)  # in a higher window, what belongs together stays together
        self.automatically = QCheckBox("Appl&y automatically")
        self.apply = QPushButton("&Apply", autoDefault=False)
        self.cancel = widget.cancel_button
        row = QHBoxLayout()
        for button in (self.automatically, self.apply, self.cancel):
            row.addWidget(button)
        area.layout().addLayout(row)
        self._order = (
            self.attribute, self.pictures.menu, self.pictures.choose,
            self.model, self.folder, self.unusable, self.provider, self.depth,
            self.download.fetch, self.download.remove,
            self.destination.agree, self.destination.url, self.destination.token,
            self.destination.forget, self.destination.stop,
            self.instead, self.fetch, self.automatically, self.apply, self.cancel,
        )  # fmt: skip
        for before, after in zip(self._order, self._order[1:], strict=False):
            QWidget.setTabOrder(before, after)

        self._fill_providers()
        self.find_models()

    def find_models(self) -> bool:
        """Look for the user's own models; say whether the menu has changed."""
        found = models.find()
        if found == self._found:
            return False
        self._found = found
        self.models = found.models
        self.problems = [problem.message for problem in found.problems]
        files = "1 file" if len(self.problems) == 1 else f"{len(self.problems)} files"
        self.unusable.setText(f"{files} cannot be used")
        self.unusable.setVisible(bool(self.problems))
        self._fill_menu()
        return True

    def _show_problems(self) -> None:
        """List what is wrong with files of the folder, without keeping the window from working."""
        self.listed = QMessageBox(
            QMessageBox.Icon.Warning,
            "Files that cannot be used",
            "\n\n".join(self.problems),
            QMessageBox.StandardButton.Ok,
            self.unusable.window(),
        )
        self.listed.setTextFormat(Qt.TextFormat.PlainText)
        self.listed.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.listed.open()

    def _fill_menu(self) -> None:
        """List the models section by section; what has consequences is chosen on purpose."""
        self.model.clear()
        for section in models.Section:
            listed = [model for model in self.models.values() if model.section is section]
            if listed:
                self.model.add_heading(section)
            for model in listed:
                self.model.addItem(_item(model), model.id)
                index = self.model.count() - 1
                self.model.setItemData(index, tip(_hint(model)), Qt.ItemDataRole.ToolTipRole)
                if section is not models.Section.HERE:
                    self.model.set_deliberate(index)

    def show_model(self, name: str) -> None:
        """Show the model that is used, or that it is not there."""
        self.model.setCurrentIndex(self.model.findData(name))
        model = self.models.get(name)
        if model is None:
            self.model.setPlaceholderText(f"{name} (not there)")
            self._description.clear()
            self.destination.show_model(True)
            self.download.show_model(None)
            return
        trained_on = "" if model.trained_on == "not stated" else f" Trained on {model.trained_on}."
        speed = f", in some {model.milliseconds:.0f} ms each" if model.milliseconds else ""
        self._description.setText(
            f"{model.description}\nGives {model.dimension} numbers per image{speed}.{trained_on}"
        )
        has_choice = model.is_local and self.provider.count() > 1
        set_row_visible(self._form, self.provider, has_choice)
        self.destination.show_model(model.is_local, model.input_size)
        self.download.show_model(model)

    def show_columns(self, columns: Sequence[Variable], used: str | None) -> None:
        """Show the columns that may hold images, and which of them is used."""
        self.attribute.clear()
        for column in columns:
            self.attribute.addItem(attributeIconDict[column], column.name, column.name)
        self.attribute.setCurrentIndex(self.attribute.findData(used))
        self.attribute.setEnabled(bool(columns))

    def _fill_providers(self) -> None:
        """Offer GPUs that are likely there, and whatever the user has chosen before."""
        chosen = user_settings().provider
        offered = dict.fromkeys(["cpu", *_gpus(), chosen])
        for name in offered:
            self.provider.addItem(_PROVIDER_NAMES.get(name, name), name)
        self.provider.setCurrentIndex(self.provider.findData(chosen))
        self.provider.activated.connect(self._provider_activated)

    def _provider_activated(self) -> None:
        user_settings().provider = self.provider.currentData()
        self.provider_chosen.emit()


def _item(model: models.Model) -> str:
    """How a model is listed."""
    if model.section is models.Section.TO_DOWNLOAD:
        assert model.download is not None
        return f"{model.title}, {model.download.size / 1e6:.0f} MB"
    return f"{model.title} ({'local' if model.is_local else 'server'})"


def _hint(model: models.Model) -> str:
    """What is known of a model before it is chosen."""
    speed = f", some {model.milliseconds:.0f} ms each" if model.milliseconds else ""
    return f"{model.description} {model.dimension} numbers per image{speed}."


def _open_folder() -> None:
    folder = models.default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _gpus() -> list[str]:
    """Tell by its package what the installed onnxruntime can use.

    Asking onnxruntime itself would load its DLLs beside PyQt's, which clash on Windows.
    """
    gpus = ["coreml"] if sys.platform == "darwin" else []
    for package, name in (("onnxruntime-gpu", "cuda"), ("onnxruntime-directml", "directml")):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        gpus.append(name)
    return gpus
