"""The part of the widget that asks before a model is downloaded, and shows it arrive."""

from __future__ import annotations

from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import QGroupBox, QProgressBar, QPushButton, QVBoxLayout, QWidget

from orangecontrib.imageanalytics.models import Kind, Model, downloaded, hub_host
from orangecontrib.imageanalytics.models.downloading import Progress
from orangecontrib.imageanalytics.widgets.controls import wrapped
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

#: Steps of the bar: bytes do not fit into Qt's numbers.
_STEPS = 1000


class DownloadBox(QGroupBox):
    """Shows of the chosen model whether it is on this computer, and what to do about it."""

    #: The user wants the model, and has agreed that it is fetched from the hub.
    wanted = Signal()
    #: The user wants its files deleted.
    unwanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Download", parent)
        self._model: Model | None = None
        self._told = wrapped(self)
        self.fetch = QPushButton(self, autoDefault=False, clicked=self._agree)
        self.remove = QPushButton(self, autoDefault=False, clicked=self.unwanted)
        self.remove.setToolTip("Deletes it from this computer; it can be downloaded again.")
        self.bar = QProgressBar(self, maximum=_STEPS, textVisible=True)
        layout = QVBoxLayout(self)
        for part in (self._told, self.fetch, self.bar, self.remove):
            layout.addWidget(part)
        self.show_model(None)

    @property
    def told(self) -> str:
        """What it says."""
        return str(self._told.text())

    def show_model(self, model: Model | None) -> None:
        """Show the chosen model; nothing is running."""
        self._model = model
        self.setVisible(model is not None and model.kind is Kind.DOWNLOADABLE)
        self.bar.hide()
        if model is None or model.download is None:
            return
        is_here = model.weights is not None
        size = _megabytes(model.download.size)
        self.fetch.setText(f"&Download {size}")
        self.fetch.setVisible(not is_here)
        self.fetch.setEnabled(True)
        self.remove.setVisible(is_here)
        if is_here:
            taken = _megabytes(downloaded.size(model))
            self.remove.setText(f"Remo&ve from this computer ({taken})")
            self._told.setText("Downloaded: it runs on this computer.")
        else:
            self._told.setText(_question(model, size))

    def show_running(self) -> None:
        """Show that a run is going on, in which it may be fetched."""
        self.fetch.setEnabled(False)

    def show_progress(self, progress: Progress) -> None:
        """Show how far the download is."""
        self.fetch.hide()
        self.bar.show()
        self._told.setText(f"It comes from {hub_host()}. Cancel keeps what has arrived.")
        if progress.total:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(int(_STEPS * progress.done / progress.total))
        else:
            self.bar.setRange(0, 0)  # busy

    def _agree(self) -> None:
        user_settings().allow_downloads(hub_host())
        self.wanted.emit()


def _question(model: Model, size: str) -> str:
    """Ask, once per hub; from then on say what will happen."""
    host = hub_host()
    arrived = downloaded.arrived(model)
    more = f" {_megabytes(arrived)} have arrived already." if arrived else ""
    if user_settings().may_download_from(host):
        return f"Not on this computer yet: {size} from {host}, once.{more}"
    return (
        f"Not on this computer yet. Download {size} from {host}, once? No picture is sent. From "
        f"then on it runs here.{more}"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
