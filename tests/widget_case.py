"""What tests of the widgets share: a user of their own, tables of photos, and patience."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AnyQt.QtCore import QSettings
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from Orange.data import Domain, StringVariable, Table
from Orange.widgets.tests.base import WidgetTest

from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

from .conftest import PHOTOS


def photo_paths() -> list[str]:
    """All photos of the examples."""
    return [str(path) for path in sorted(PHOTOS.rglob("*.png"))]


def image_table(paths: list[Any], *, name: str = "image", marked: bool = True) -> Table:
    """Make a table of images."""
    image = StringVariable(name)
    if marked:
        image.attributes["type"] = "image"
    metas = np.array(paths, dtype=object).reshape(-1, 1)
    return Table.from_numpy(Domain([], metas=[image]), np.empty((len(paths), 0)), metas=metas)


class EmbeddingWidgetTest(WidgetTest):
    """Tests of the widget Image Embedding."""

    # Orange adds these to each class of tests; for us once is enough.
    test_minimum_size = test_image_export = test_msg_base_class = test_zero_size_data = None

    @pytest.fixture(autouse=True)
    def own_user(self, tmp_path: Path, no_new_workers: None) -> None:
        self.folder = tmp_path
        QSettings.setPath(
            QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings")
        )
        self.user = user_settings()

    def make(self, **settings: Any) -> OWImageEmbedding:
        """Create the widget."""
        return self.create_widget(OWImageEmbedding, stored_settings=settings or None)

    def give(self, widget: OWImageEmbedding, data: Table | None) -> None:
        """Put a table in, and do not wait."""
        self.send_signal(widget.Inputs.images, data, widget=widget)

    def finish(self, widget: OWImageEmbedding) -> None:
        """Wait for the run."""
        until(lambda: widget.task is None)

    def outputs(self, widget: OWImageEmbedding) -> tuple[Table | None, Table | None]:
        """What the widget has sent last."""
        sent = self.signal_manager.outputs
        return (
            sent.get((widget, widget.Outputs.embeddings.name)),
            sent.get((widget, widget.Outputs.skipped_images.name)),
        )

    def choose(self, widget: OWImageEmbedding, model: str) -> None:
        """Choose an embedder as a user does."""
        menu = widget.panel.model
        menu.setCurrentIndex(menu.findData(model))
        menu.activated.emit(menu.currentIndex())

    def shown(self, widget: OWImageEmbedding) -> list[str]:
        """The names of the messages shown."""
        return sorted(
            name
            for group in widget.message_groups
            for name, message in vars(group).items()
            if not name.startswith("_") and message in group.active
        )


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Let the window live until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not happen"
        QTest.qWait(10)
    QApplication.processEvents()
