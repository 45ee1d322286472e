"""The widget Save Images, in Orange's own harness with real files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from AnyQt.QtWidgets import QFileDialog
from Orange.data import DiscreteVariable, Domain, StringVariable, Table
from Orange.widgets.tests.base import WidgetTest
from Orange.widgets.tests.utils import simulate
from PIL import Image

from orangecontrib.imageanalytics.widgets import saving_run
from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages
from tests.conftest import PHOTOS
from tests.web_server import WebServer, answer
from tests.widget_case import image_table, photo_paths, until
from tests.workflows import own_user

__all__ = ["own_user"]


def labelled() -> Table:
    """The photos of the examples, the fruits and the animals, with their folder as the class."""
    paths = sorted(PHOTOS.rglob("*.png"))
    image = StringVariable("image")
    image.attributes["type"] = "image"
    kind = DiscreteVariable("kind", ("animal", "fruit"))
    odd = DiscreteVariable("odd/even", ("odd", "even"))
    domain = Domain([], kind, [image, odd])
    return Table.from_numpy(
        domain,
        np.empty((len(paths), 0)),
        np.array([kind.values.index(path.parent.name) for path in paths], float),
        np.array([[str(path), float(n % 2)] for n, path in enumerate(paths)], object),
    )


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


class TestOWSaveImages(WidgetTest):
    # Orange adds these to each class of tests; for us once is enough.
    test_minimum_size = test_image_export = test_msg_base_class = None

    @pytest.fixture(autouse=True)
    def own_folder(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        own_user: None,
        no_new_workers: None,
    ) -> None:
        self.folder, self.monkeypatch = tmp_path, monkeypatch
        self.choice = str(tmp_path / "to")
        (tmp_path / "to").mkdir()
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: self.choice)

    def make(self, **settings: object) -> OWSaveImages:
        return self.create_widget(OWSaveImages, stored_settings=settings or None)

    def give(self, widget: OWSaveImages, data: Table | None) -> None:
        self.send_signal(widget.Inputs.data, data, widget=widget)

    def save(self, widget: OWSaveImages) -> None:
        widget.panel.save.click()
        until(lambda: not widget.is_running)

    def output(self, widget: OWSaveImages) -> Table | None:
        return self.signal_manager.outputs.get((widget, "Saved Images"))

    def test_pictures_are_saved_in_folders_of_their_class(self):
        widget = self.make()
        self.give(widget, labelled())
        assert files(self.folder / "to") == []
        self.save(widget)
        assert "animal/cow.png" in files(self.folder / "to")
        assert "fruit/lemon.png" in files(self.folder / "to")
        assert len(files(self.folder / "to")) == 13
        assert widget.told == "13 saved."
        table = self.output(widget)
        assert [meta.name for meta in table.domain.metas][-2:] == [
            "saved as",
            "not saved because",
        ]
        assert all(Path(path).is_file() for path in table.get_column("saved as"))
        assert table.domain["saved as"].attributes == {"type": "image"}
        self.save(widget)
        assert widget.told == "0 saved, 13 there already."

    def test_by_another_attribute_or_none(self):
        widget = self.make()
        self.give(widget, labelled())
        simulate.combobox_activate_item(widget.panel.subfolders, "odd/even")
        self.save(widget)
        assert "odd/apple_granny_smith.png" in files(self.folder / "to") or "odd/cow.png" in files(
            self.folder / "to"
        )
        self.choice = str(self.folder / "flat")
        (self.folder / "flat").mkdir()
        widget.panel.choose.click()
        simulate.combobox_activate_item(widget.panel.subfolders, "(none)")
        self.save(widget)
        assert "lemon.png" in files(self.folder / "flat")

    def test_format_and_size(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()[:2]))
        simulate.combobox_activate_item(widget.panel.format, "JPEG")
        simulate.combobox_activate_item(widget.panel.size, "squashed to what a network sees")
        widget.panel.model.setCurrentIndex(widget.panel.model.findData("inception-v3"))
        widget.panel.model.activated.emit(widget.panel.model.currentIndex())
        self.save(widget)
        for name in files(self.folder / "to"):
            with Image.open(self.folder / "to" / name) as image:
                assert (image.format, image.size) == ("JPEG", (299, 299))

    def test_what_is_not_saved_is_counted_named_and_sent(self):
        (self.folder / "text.png").write_text("no picture")
        paths = ["/gone/a.png", str(self.folder / "text.png"), photo_paths()[0], ""]
        widget = self.make(format="jpg")
        self.give(widget, image_table(paths))
        self.save(widget)
        assert widget.told == "1 saved, 3 not: 1 not found, 1 not an image, 1 no image given."
        assert widget.Warning.skipped.is_shown()
        reasons = self.output(widget).get_column("not saved because")
        assert [reason.partition(":")[0] for reason in reasons] == [
            "not found",
            "not an image",
            "",
            "no image given",
        ]
        widget.send_report()

    def test_a_full_disk_says_what_was_saved(self):
        import os

        real, count = os.fsync, [0]

        def full(descriptor: int) -> None:
            count[0] += 1
            if count[0] > 3:
                raise OSError(28, "No space left on device")
            real(descriptor)

        self.monkeypatch.setattr(os, "fsync", full)
        widget = self.make()
        self.give(widget, image_table(photo_paths()))
        self.save(widget)
        assert "the disk is full" in str(widget.Error.stopped)
        assert "3 saved, 10 not: 10 not reached" in str(widget.Error.stopped)
        assert len(files(self.folder / "to")) == 3

    def test_cancel_and_go_on(self):
        widget = self.make(format="jpg", sizing="within", pixels=64)
        self.give(widget, image_table(photo_paths()))
        widget.panel.save.click()
        until(lambda: len(files(self.folder / "to")) > 0)
        widget.panel.cancel.click()
        assert not widget.is_running
        assert widget.Information.cancelled.is_shown()
        self.save(widget)
        assert len([name for name in files(self.folder / "to") if name.endswith(".jpg")]) == 13

    def test_new_data_and_deletion_in_mid_run_end_it(self):
        begun = []

        def slowly(request: saving_run.Request, run) -> None:
            begun.append(request)
            while True:
                run.tell("still saving")

        self.monkeypatch.setattr("orangecontrib.imageanalytics.widgets.owsaveimages.save", slowly)
        widget = self.make()
        self.give(widget, image_table(photo_paths()))
        widget.panel.save.click()
        until(lambda: len(begun) == 1)
        self.give(widget, image_table(photo_paths()[:1]))
        assert not widget.is_running
        widget.panel.save.click()
        until(lambda: len(begun) == 2)
        widget.onDeleteWidget()

    def test_nothing_is_saved_by_itself_where_the_user_has_not_chosen_the_folder(self):
        own = self.folder / "mine"
        own.mkdir()
        widget = self.make(auto_save=True, dirname=str(own))
        self.give(widget, image_table(photo_paths()[:2]))
        assert not widget.is_running
        assert widget.Warning.not_chosen.is_shown()
        assert files(own) == []
        self.save(widget)
        assert len(files(own)) == 2
        self.give(widget, image_table(photo_paths()[2:4]))
        until(lambda: not widget.is_running and len(files(own)) == 4)
        settings = widget.settingsHandler.pack_data(widget)
        again = self.create_widget(OWSaveImages, stored_settings=settings)
        self.give(again, image_table(photo_paths()[4:6]))
        until(lambda: not again.is_running and len(files(own)) == 6)
        stranger = dict(settings, folder_key="guessed")
        other = self.create_widget(OWSaveImages, stored_settings=stranger)
        self.give(other, image_table(photo_paths()[6:8]))
        assert not other.is_running
        assert len(files(own)) == 6

    def test_without_a_folder_nothing_begins(self):
        self.choice = ""
        widget = self.make(auto_save=True)
        self.give(widget, image_table(photo_paths()))
        assert widget.Warning.no_folder.is_shown()
        widget.panel.save.click()
        assert not widget.is_running
        self.give(widget, None)
        assert not widget.Warning.no_folder.is_shown()
        assert not widget.panel.save.isEnabled()

    def test_data_without_images_is_an_error(self):
        widget = self.make()
        self.give(widget, Table("iris"))
        assert widget.Error.no_image_attribute.is_shown()
        assert not widget.panel.save.isEnabled()

    def test_the_web_is_asked_only_after_the_user_has_agreed(self):
        file = io.BytesIO()
        Image.new("RGB", (9, 9)).save(file, "PNG")
        with WebServer() as server:
            url = server.on("/a.png", answer(file.getvalue()))
            widget = self.make()
            self.give(widget, image_table([url]))
            self.save(widget)
            assert server.targets() == []
            assert widget.Warning.web.is_shown()
            widget.panel.fetch.click()
            until(lambda: not widget.is_running)
            assert files(self.folder / "to") == ["a.png"]

    def test_settings_of_the_public_add_on_are_taken(self):
        widget = self.make(
            dirname="/home/teacher/saved",
            last_dir="/home/teacher",
            auto_save=True,
            use_scale=True,
            scale_index=2,
            file_format_index=3,
            image_attr_current_index=1,
        )
        assert (widget.format, widget.sizing, widget.model) == ("tiff", "model", "vgg16")
        assert (widget.dirname, widget.auto_save) == ("/home/teacher/saved", True)
        first, second = StringVariable("a"), StringVariable("b")
        data = Table.from_numpy(
            Domain([], metas=[first, second]),
            np.empty((1, 0)),
            metas=np.array([["/a.png", "/b.png"]], object),
        )
        self.give(widget, data)
        assert widget.attribute_used == "b"
        assert not widget.is_running
        assert self.make(scale_key="painters", use_scale=True).model == "painters"

    def test_garbage_in_settings_is_left_out(self):
        widget = self.make(
            format="exe", sizing=7, pixels=10**9, model=None, dirname=3, file_format_index="x",
            scale_index=-1, subfolders=b"x",
        )  # fmt: skip
        assert (widget.format, widget.sizing, widget.pixels) == ("original", "full", 1024)
        assert widget.dirname == ""

    def test_a_network_that_is_not_here_is_said(self):
        widget = self.make(sizing="model", model="of-a-colleague")
        self.give(widget, image_table(photo_paths()))
        assert widget.Error.no_such_model.is_shown()
        assert not widget.panel.save.isEnabled()
