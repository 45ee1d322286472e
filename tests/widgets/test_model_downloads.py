"""Image Embedding downloads a model: asks first, shows it arrive, embeds with it, removes it."""

from __future__ import annotations

import numpy as np
import pytest
from AnyQt.QtWidgets import QApplication

from orangecontrib.imageanalytics.models import default_folder
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.models.downloaded import arrived, is_downloaded
from tests.hub import Hub, address, downloadable, refuse, small_network, stalling
from tests.widget_case import EmbeddingWidgetTest, image_table, photo_paths, until


class TestDownload(EmbeddingWidgetTest):
    @pytest.fixture(autouse=True)
    def hub(self, monkeypatch, tmp_path, own_surroundings):
        with Hub() as hub:
            monkeypatch.setenv("HF_ENDPOINT", hub.url())
            content = small_network(tmp_path)
            self.content = content
            self.small = downloadable(content)
            monkeypatch.setitem(MODELS, self.small.id, self.small)
            hub.put(content)
            self.hub, self.monkeypatch = hub, monkeypatch
            yield

    def with_photos(self, **settings):
        widget = self.make(model="small-model", **settings)
        self.give(widget, image_table(photo_paths()[:2]))
        return widget

    def box(self, widget):
        return widget.panel.download

    def test_a_workflow_downloads_nothing_by_itself(self):
        widget = self.with_photos()
        assert not widget.is_running
        assert self.shown(widget) == ["download"]
        assert "No picture is sent" in self.box(widget).told
        assert self.box(widget).fetch.text() == "&Download 2 MB"
        widget.apply()  # nor does Apply, before the user has agreed
        assert not widget.is_running
        assert self.hub.requests == []

    def test_nor_if_the_user_has_agreed_to_other_downloads(self):
        self.user.allow_downloads(self.hub.url().removeprefix("http://"))
        widget = self.with_photos()
        assert not widget.is_running
        assert "No picture is sent" not in self.box(widget).told  # asked once per hub
        widget.apply()
        assert widget.is_running
        self.finish(widget)

    def test_it_is_downloaded_and_embeds(self):
        widget = self.with_photos()
        self.box(widget).fetch.click()
        assert widget.is_running
        self.finish(widget)
        embedded, skipped = self.outputs(widget)
        assert (embedded.X.shape, skipped) == ((2, 4), None)
        assert is_downloaded(self.small)
        menu = widget.panel.model
        assert menu.currentText() == "Small Model (local)"
        assert self.shown(widget) == []
        assert not self.box(widget).remove.isHidden()
        assert self.box(widget).fetch.isHidden()

    def test_without_images_it_is_only_fetched(self):
        widget = self.make(model="small-model")
        self.box(widget).fetch.click()
        self.finish(widget)
        assert is_downloaded(self.small)
        assert widget.told == "Small Model is on this computer now."

    def test_bytes_are_shown_and_a_cancel_keeps_them(self):
        self.hub.put(self.content, sends=stalling(1_500_000))
        widget = self.with_photos()
        self.box(widget).fetch.click()
        until(lambda: self.box(widget).bar.value() >= 500)
        assert "of 2 MB" in widget.told
        widget.cancel_button.click()
        assert not widget.is_running
        assert "cancelled" in self.shown(widget)
        until(lambda: arrived(self.small) >= 1_000_000)
        self.hub.put(self.content)
        assert self.box(widget).bar.isHidden()
        self.box(widget).fetch.click()
        self.finish(widget)
        assert self.hub.ranges()[-1].startswith("bytes=1")
        assert self.outputs(widget)[0].X.shape == (2, 4)

    def test_new_data_in_the_middle_is_embedded_in_the_end(self):
        self.hub.put(self.content, sends=stalling(1_500_000))
        widget = self.with_photos()
        self.box(widget).fetch.click()
        until(lambda: self.box(widget).bar.value() >= 500)
        self.hub.put(self.content)
        self.give(widget, image_table(photo_paths()[:3]))
        assert widget.is_running
        self.finish(widget)
        assert self.outputs(widget)[0].X.shape == (3, 4)

    def test_no_network_is_said_with_what_to_do(self):
        self.monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        widget = self.with_photos()
        self.box(widget).fetch.click()
        self.finish(widget)
        assert "unreachable" in self.shown(widget)
        said = str(widget.Error.unreachable)
        assert "127.0.0.1:9 cannot be reached" in said and str(default_folder()) in said
        assert not widget.panel.instead.isHidden()
        assert self.box(widget).fetch.isEnabled()

    def test_what_the_hub_refuses_is_said(self):
        self.hub.on(address(), refuse(401, X_Error_Code="GatedRepo"))
        widget = self.with_photos()
        self.box(widget).fetch.click()
        self.finish(widget)
        assert "failed" in self.shown(widget)
        assert "HF_TOKEN" in str(widget.Error.failed)

    def test_it_is_removed_again(self):
        widget = self.with_photos()
        self.box(widget).fetch.click()
        self.finish(widget)
        self.box(widget).remove.click()
        assert not is_downloaded(self.small)
        assert widget.panel.model.currentText() == "Small Model, 2 MB"
        assert not self.box(widget).fetch.isHidden()
        widget.apply()  # asked for on purpose, and agreed to before
        self.finish(widget)
        assert is_downloaded(self.small)

    def test_deleting_the_widget_ends_the_download(self):
        self.hub.put(self.content, sends=stalling(1_500_000))
        widget = self.with_photos()
        self.box(widget).fetch.click()
        until(lambda: self.box(widget).bar.value() >= 500)
        widget.onDeleteWidget()
        widget.deleteLater()
        QApplication.processEvents()

    def test_choosing_it_in_the_menu_downloads_nothing(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()[:1]))
        self.finish(widget)
        self.choose(widget, "small-model")
        assert not widget.is_running
        assert self.hub.requests == []
        assert widget.panel.model.is_deliberate(widget.panel.model.currentIndex())

    def test_the_numbers_are_the_models(self):
        widget = self.with_photos()
        self.box(widget).fetch.click()
        self.finish(widget)
        x = self.outputs(widget)[0].X
        np.testing.assert_allclose(x[:, :3].sum(1), x[:, 3], rtol=1e-5)
