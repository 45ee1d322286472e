"""What tests of the widget Import Images share: folders of images, and patience."""

from __future__ import annotations

from pathlib import Path

import pytest
from Orange.data import Table
from Orange.widgets.tests.base import WidgetTest
from PIL import Image

from orangecontrib.imageanalytics.widgets.owimageimport import OWImportImages

from .widget_case import until
from .workflows import own_user

__all__ = ["own_user"]


def make_images(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, "PNG")
    return folder


class ImportTest(WidgetTest):
    # Orange adds these to each class of tests; for us once is enough.
    test_minimum_size = test_image_export = test_msg_base_class = test_zero_size_data = None

    @pytest.fixture(autouse=True)
    def own_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_user: None) -> None:
        self.folder, self.monkeypatch = tmp_path, monkeypatch

    def make(self, **settings) -> OWImportImages:
        widget = self.create_widget(OWImportImages, stored_settings=settings or None)
        self.finish(widget)
        return widget

    def in_workflow(self, basedir: Path, **settings) -> OWImportImages:
        """Make the widget as the canvas does it for a workflow saved in `basedir`."""
        widget = OWImportImages.__new__(
            OWImportImages,
            signal_manager=self.signal_manager,
            stored_settings=settings or None,
            env={"basedir": str(basedir)},
        )
        widget.__init__()
        self.widgets.append(widget)
        self.finish(widget)
        return widget

    def open(self, widget: OWImportImages, folder: Path) -> None:
        widget.open_folder(str(folder))
        self.finish(widget)

    def finish(self, widget: OWImportImages) -> None:
        until(lambda: widget.task is None)

    def output(self, widget: OWImportImages) -> Table | None:
        return self.signal_manager.outputs.get((widget, "Data"))

    def shown(self, widget: OWImportImages) -> list[str]:
        return sorted(
            name
            for group in widget.message_groups
            for name, message in vars(group).items()
            if not name.startswith("_") and message in group.active
        )
