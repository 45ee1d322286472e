"""The widget Duplicate Images: real photos and copies of them, real workers, a real view."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AnyQt.QtCore import QSettings
from Orange.data import ContinuousVariable, Domain, Table
from Orange.widgets.tests.base import WidgetTest
from PIL import Image

from orangecontrib.imageanalytics.widgets.duplicates_run import Keep, Mode
from orangecontrib.imageanalytics.widgets.group_details import texts
from orangecontrib.imageanalytics.widgets.owduplicateimages import OWDuplicateImages
from tests.conftest import PHOTOS
from tests.copies import write_copies
from tests.widget_case import image_table, photo_paths, until


def with_embedding(table: Table, vectors: np.ndarray) -> Table:
    columns = []
    for index in range(vectors.shape[1]):
        column = ContinuousVariable(f"n{index}")
        column.attributes["embedder"] = "squeezenet: SqueezeNet"
        columns.append(column)
    return Table.from_numpy(Domain(columns, metas=table.domain.metas), vectors, metas=table.metas)


class TestDuplicateImages(WidgetTest):
    test_minimum_size = test_image_export = test_msg_base_class = None

    @pytest.fixture(autouse=True)
    def own_user(self, tmp_path: Path, no_new_workers: None) -> None:
        self.folder = tmp_path
        QSettings.setPath(
            QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings")
        )

    def make(self, **settings: Any) -> OWDuplicateImages:
        return self.create_widget(OWDuplicateImages, stored_settings=settings or None)

    def give(self, widget: OWDuplicateImages, data: Table | None) -> None:
        self.send_signal(widget.Inputs.data, data, widget=widget)
        self.finish(widget)

    def finish(self, widget: OWDuplicateImages) -> None:
        until(lambda: not widget.is_running and not widget._waiting.isActive())

    def output(self, widget: OWDuplicateImages, name: str) -> Table | None:
        return self.signal_manager.outputs.get((widget, name))

    def copies(self) -> list[str]:
        """Seven files of a lemon and a cow each, and the other photos."""
        found = []
        for photo in (PHOTOS / "fruit" / "lemon.png", PHOTOS / "animal" / "cow.png"):
            found += write_copies(photo, self.folder).values()
        return found + [p for p in photo_paths() if Path(p).stem not in ("lemon", "cow")]

    def test_near_copies_are_in_groups_and_the_largest_of_each_is_unique(self):
        widget = self.make()
        paths = self.copies()
        self.give(widget, image_table(paths))
        groups = widget.groups
        assert groups.sizes.tolist() == [7, 7]
        unique, grouped = self.output(widget, "Unique Images"), self.output(widget, "Duplicates")
        assert len(unique) == len(paths) - 12 and len(grouped) == 14
        assert len(self.output(widget, "Data")) == len(paths)
        names = [str(row["image"]) for row in unique]
        assert any("lemon photo.bmp" in name for name in names)  # of all with as many pixels
        assert widget.told == (
            f"14 images in 2 groups; 12 could go, {len(unique)} stay. No file is touched."
        )
        assert all(Path(path).exists() for path in paths)

    def test_the_tables_say_group_distance_and_what_is_kept(self):
        widget = self.make()
        paths = self.copies()
        self.give(widget, image_table(paths))
        grouped, data = self.output(widget, "Duplicates"), self.output(widget, "Data")
        assert [v.name for v in data.domain.metas] == ["image", "group", "distance", "kept"]
        assert grouped.get_column("group").tolist() == [1] * 7 + [2] * 7
        kept = grouped.get_column("kept")
        assert kept.sum() == 2 and (grouped.get_column("distance")[kept == 1] == 0).all()
        assert np.nanmax(grouped.get_column("distance")) <= 0.012
        assert np.isnan(data.get_column("group")[14:]).all() and data.get_column("kept")[14:].all()

    def test_exact_copies_have_the_same_pixels(self):
        widget = self.make(mode=str(Mode.EXACT))
        self.give(widget, image_table(self.copies()))
        assert widget.groups.sizes.tolist() == [3, 3]
        assert "the same pixels" in widget.groups.headings[0]
        assert widget.panel.distance.isHidden()

    def test_changing_the_mode_and_the_distance_needs_no_new_look_at_the_pictures(self):
        widget = self.make()
        self.give(widget, image_table(self.copies()))
        found = widget.found
        widget.panel.mode.setCurrentIndex(0)
        widget.panel.mode.activated.emit(0)
        self.finish(widget)
        assert widget.found is found and widget.groups.sizes.tolist() == [3, 3]
        widget.panel.mode.setCurrentIndex(1)
        widget.panel.mode.activated.emit(1)
        widget.panel.distance.slider.setValue(1)
        self.finish(widget)
        assert widget.found is found and 6 <= widget.groups.sizes.sum() < 14
        assert widget.near_distance == pytest.approx(0.03 / 200)

    def test_the_slider_says_how_many_groups_there_are_at_each_distance(self):
        widget = self.make()
        self.give(widget, image_table(self.copies()))
        slider = widget.panel.distance
        assert "2 groups" in slider.told.text()
        assert slider.curve.counts[0] == 2 and len(slider.curve.counts) == 201

    def test_alike_ones_by_the_embedding(self):
        chance = np.random.default_rng(0)
        vectors = chance.random((13, 40))
        vectors[5] = vectors[2] + 0.01
        widget = self.make(mode=str(Mode.ALIKE))
        self.give(widget, with_embedding(image_table(photo_paths()), vectors))
        assert sorted(widget.groups.order.tolist()) == [2, 5]
        assert "SqueezeNet" in widget.panel.mode.currentText()
        assert not widget.Warning.no_embedding.is_shown()
        assert "from the kept one" in widget.groups.headings[0]

    def test_what_has_the_same_embedding_is_not_said_to_have_the_same_pixels(self):
        vectors = np.random.default_rng(0).random((13, 40))
        vectors[5] = 2 * vectors[2]
        vectors[7] = vectors[3]
        widget = self.make(mode=str(Mode.ALIKE))
        self.give(widget, with_embedding(image_table(photo_paths()), vectors))
        assert len(widget.groups.headings) == 2
        for heading in widget.groups.headings:
            assert heading.endswith("2 images, no distance between their embeddings")
        told = [texts(widget.found, widget.groups, row) for row in widget.groups.order.tolist()]
        assert not any("same pixels" in line for line in told)

    def test_without_an_embedding_near_copies_are_looked_for_and_that_is_said(self):
        widget = self.make(mode=str(Mode.ALIKE))
        self.give(widget, image_table(photo_paths()))
        assert widget.mode_used is Mode.NEAR and widget.Warning.no_embedding.is_shown()
        assert widget.mode == Mode.ALIKE  # for other data
        self.give(widget, None)
        assert not widget.Warning.no_embedding.is_shown()

    def test_the_oldest_or_the_first_can_be_kept(self):
        paths = [str(shutil.copy(PHOTOS / "fruit" / "lemon.png", self.folder / n)) for n in "abc"]
        for path, when in zip(paths, (3e8, 1e8, 2e8), strict=True):
            os.utime(path, (when, when))
        widget = self.make(keep=str(Keep.OLDEST))
        self.give(widget, image_table(paths))
        assert widget.groups.kept.tolist() == [False, True, False]
        widget.panel.keep.setCurrentIndex(2)
        widget.panel.keep.activated.emit(2)
        self.finish(widget)
        assert widget.groups.kept.tolist() == [True, False, False]
        assert "1979" in widget.details.topLevelItem(0).text(4)

    def test_the_same_file_is_told_from_the_same_pixels(self):
        lemon, cow = PHOTOS / "fruit" / "lemon.png", PHOTOS / "animal" / "cow.png"
        paths = [str(shutil.copy(lemon, self.folder / n)) for n in "abc"]
        saved = self.folder / "cow.png"
        Image.open(cow).save(saved, compress_level=0)
        widget = self.make(keep=str(Keep.FIRST))
        self.give(widget, image_table([*paths, str(cow), str(saved)]))
        same_file, same_pixels = widget.groups.headings
        assert "3 images, the same file" in same_file
        assert "2 images, the same pixels" in same_pixels
        told = [widget.details.topLevelItem(row).text(5) for row in range(3)]
        assert told == ["", "same file", "same file"]
        widget.view.select_rows([4])
        assert widget.details.topLevelItem(1).text(5) == "same pixels"

    def test_nothing_is_drawn_once_the_data_has_gone(self):
        widget = self.make()
        widget.show()
        self.give(widget, image_table(self.copies()))
        assert len(widget.view.visible())
        self.give(widget, None)
        assert len(widget.view.visible()) == 0 and not widget.view.grab().isNull()

    def test_by_hand_any_can_be_kept_and_that_is_saved_with_the_workflow(self):
        widget = self.make()
        paths = self.copies()
        self.give(widget, image_table(paths))
        widget.view.select_rows([4])
        assert widget.panel.keep_these.isEnabled()
        widget.panel.keep_these.click()
        self.finish(widget)
        assert np.flatnonzero(widget.groups.kept).tolist()[:2] == [4, 7]
        settings = widget.settingsHandler.pack_data(widget)
        again = self.create_widget(OWDuplicateImages, stored_settings=settings)
        self.give(again, image_table(paths))
        assert again.groups.kept[4] and not again.groups.kept[0]
        again.view.select_rows([2])  # another one of the same group takes its place
        again.panel.keep_these.click()
        self.finish(again)
        assert again.groups.kept[2] and not again.groups.kept[4]
        again.panel.forget.click()
        self.finish(again)
        assert again.groups.kept[0]

    def test_the_details_list_what_differs(self):
        widget = self.make()
        self.give(widget, image_table(self.copies()))
        widget.view.select_rows([8])
        details = widget.details
        assert details.topLevelItemCount() == 7
        first = details.topLevelItem(0)
        assert first.text(0) == "kept" and "cow" in first.text(1) and "×" in first.text(2)
        scaled = next(
            details.topLevelItem(i) for i in range(7) if "scaled" in details.topLevelItem(i).text(1)
        )
        assert scaled.font(2).bold() and not scaled.font(6).bold()

    def test_what_cannot_be_read_stays_unique_and_is_counted(self):
        widget = self.make()
        paths = [*photo_paths()[:2], "no such file.png", str(self.folder), photo_paths()[0]]
        self.give(widget, image_table(paths))
        assert len(self.output(widget, "Unique Images")) == 4
        assert widget.Warning.skipped.is_shown()

    def test_data_without_images_none_and_no_rows(self):
        widget = self.make()
        self.give(widget, Table("iris"))
        assert widget.Error.no_image_attribute.is_shown()
        assert self.output(widget, "Unique Images") is None
        self.give(widget, image_table([]))
        self.give(widget, None)
        assert not widget.Error.no_image_attribute.is_shown() and widget.told == "No data."

    def test_one_image_is_unique(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()[:1]))
        assert widget.told == "No duplicates." and len(self.output(widget, "Unique Images")) == 1
        assert self.output(widget, "Duplicates") is None

    def test_new_data_in_mid_run_and_deletion_in_mid_run_leave_nothing_behind(self):
        widget = self.make()
        self.send_signal(widget.Inputs.data, image_table(self.copies()), widget=widget)
        self.give(widget, image_table([photo_paths()[0]] * 2))
        assert widget.groups.sizes.tolist() == [2]
        self.send_signal(widget.Inputs.data, image_table(self.copies()), widget=widget)
        widget.onDeleteWidget()

    def test_cancel_ends_it_at_once(self):
        widget = self.make()
        self.send_signal(widget.Inputs.data, image_table(self.copies()), widget=widget)
        widget.cancel_button.click()
        assert not widget.is_running and widget.Information.cancelled.is_shown()

    def test_class_weights_and_ids_survive(self):
        data = image_table([photo_paths()[0]] * 2 + photo_paths()[:3])
        with data.unlocked_reference():
            data.W = np.full(len(data), 2.0)
        widget = self.make()
        self.give(widget, data)
        unique = self.output(widget, "Unique Images")
        assert unique.ids.tolist() == data.ids[[0, 3, 4]].tolist() and (unique.W == 2).all()

    def test_broken_settings_of_a_workflow_are_left_out(self):
        defaults = self.make()
        names = ["image_attribute", "mode", "near_distance", "alike_distance", "keep"]
        names += ["kept_by_hand", "auto_commit", "pictures_folder"]
        for broken in (5.5j, [1], float("nan"), b"x", -1):
            widget = self.make(**dict.fromkeys(names, broken))
            for name in names:
                assert getattr(widget, name) == getattr(defaults, name)
        kept = {"mode": "alike", "alike_distance": np.float64(0.2), "kept_by_hand": ["a.png"]}
        widget = self.make(**kept)
        assert {name: getattr(widget, name) for name in kept} == kept

    def test_report(self):
        widget = self.make()
        self.give(widget, image_table([photo_paths()[0]] * 2))
        widget.send_report()
        assert "Near copies" in widget.report_html
