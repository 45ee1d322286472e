"""The widget Image Embedding with models that run here: real photos, the real engine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
from AnyQt.QtCore import QEvent, Qt, QTimer
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QLabel
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table
from PIL import Image

from orangecontrib.imageanalytics.models import find, user_models
from tests import small_models
from tests.small_models import write_model
from tests.widget_case import EmbeddingWidgetTest, image_table, photo_paths, until


class MyTable(Table):
    """A table with something more, as a Corpus is."""


class TestRuns(EmbeddingWidgetTest):
    def test_photos_become_rows_of_numbers(self):
        widget = self.make()
        table = image_table(photo_paths()[:5])
        self.give(widget, table)
        self.finish(widget)
        embedded, skipped = self.outputs(widget)
        assert embedded.X.shape == (5, 1000) and skipped is None
        assert list(embedded.ids) == list(table.ids)
        assert self.shown(widget) == []
        assert widget.told == "5 images embedded (SqueezeNet)."

    def test_skipped_images_are_counted_by_reason_and_both_outputs_make_up_the_input(self):
        damaged = self.folder / "damaged.png"
        damaged.write_bytes(Path(photo_paths()[0]).read_bytes()[:-5000])
        table = image_table(["gone.png", photo_paths()[0], str(damaged), "lost.png"])
        widget = self.make()
        self.give(widget, table)
        self.finish(widget)
        embedded, skipped = self.outputs(widget)
        assert str(widget.Warning.skipped) == "3 images skipped: 2 not found, 1 damaged"
        assert sorted([*embedded.ids, *skipped.ids]) == sorted(table.ids)
        widget.send_report()
        assert "gone.png" in widget.report_html and "not found" in widget.report_html

    def test_when_all_images_are_skipped_there_is_no_embedded_table(self):
        widget = self.make()
        self.give(widget, image_table([str(self.folder / "gone.png"), None]))
        self.finish(widget)
        embedded, skipped = self.outputs(widget)
        assert embedded is None and len(skipped) == 2
        assert self.shown(widget) == ["skipped"]

    def test_no_data_and_empty_data_give_nothing(self):
        widget = self.make()
        self.give(widget, None)
        assert self.outputs(widget) == (None, None) and self.shown(widget) == []
        self.give(widget, image_table(photo_paths()[:1])[:0])
        assert self.outputs(widget) == (None, None) and self.shown(widget) == ["no_data"]
        widget.send_report()

    def test_data_without_a_column_of_images_is_an_error_until_other_data_comes(self):
        widget = self.make()
        self.give(widget, Table("iris"))
        assert self.shown(widget) == ["no_image_attribute"]
        widget.apply()
        assert self.outputs(widget) == (None, None)
        self.give(widget, None)
        assert self.shown(widget) == []

    def test_a_table_of_another_type_keeps_it(self):
        widget = self.make()
        self.give(widget, MyTable.from_table_rows(image_table(photo_paths()[:2]), [0, 1]))
        self.finish(widget)
        assert type(self.outputs(widget)[0]) is MyTable

    def test_the_output_is_another_table_than_the_input(self):
        widget = self.make()
        table = image_table(photo_paths()[:1])
        self.give(widget, table)
        self.finish(widget)
        assert len(table.domain.attributes) == 0

    def test_chained_widgets_add_their_columns(self):
        first, second = self.make(), self.make(model="efficientnet-lite0")
        self.give(first, image_table([*photo_paths()[:3], "gone.png"]))
        self.finish(first)
        self.give(second, self.outputs(first)[0])
        self.finish(second)
        names = [a.name for a in self.outputs(second)[0].domain.attributes]
        assert len(names) == len(set(names)) == 2280


class TestWhenToRun(EmbeddingWidgetTest):
    def test_without_auto_apply_nothing_runs_before_apply_is_pressed(self):
        widget = self.make(auto_apply=False)
        self.give(widget, image_table(photo_paths()[:2]))
        assert widget.task is None and "Apply" in widget.told
        widget.panel.apply.click()
        assert widget.task is not None
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 2

    def test_switching_auto_apply_on_runs_what_was_waiting(self):
        widget = self.make(auto_apply=False)
        self.give(widget, image_table(photo_paths()[:2]))
        widget.panel.automatically.click()
        assert widget.auto_apply
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 2

    def test_outputs_are_cleared_when_a_run_starts(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()[:1]))
        self.finish(widget)
        self.give(widget, image_table(photo_paths()[:2]))
        assert self.outputs(widget) == (None, None)
        self.finish(widget)

    def test_after_a_cancel_apply_goes_on(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths() * 30))
        assert widget.panel.cancel.isEnabled()
        widget.panel.cancel.click()
        assert widget.task is None and not widget.panel.cancel.isEnabled()
        assert self.shown(widget) == ["cancelled"]
        assert self.outputs(widget) == (None, None)
        assert widget.panel.apply.isEnabled()
        widget.panel.apply.click()
        self.finish(widget)
        assert self.shown(widget) == []
        assert len(self.outputs(widget)[0]) == 30 * len(photo_paths())

    def test_new_data_in_mid_run_takes_the_place_of_the_old(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()))
        until(lambda: widget.processingState > 0)
        new = image_table(photo_paths()[:3])
        self.give(widget, new)
        self.finish(widget)
        assert list(self.outputs(widget)[0].ids) == list(new.ids)

    def test_another_embedder_in_mid_run_takes_the_place_of_the_old(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()[:3]))
        self.choose(widget, "efficientnet-lite0")
        self.finish(widget)
        assert self.outputs(widget)[0].X.shape == (3, 1280)

    def test_the_same_data_is_not_embedded_again_unless_apply_is_pressed(self):
        widget = self.make()
        table = image_table(photo_paths()[:2])
        self.give(widget, table)
        self.finish(widget)
        before = self.outputs(widget)[0]
        self.give(widget, table)
        assert widget.task is None and self.outputs(widget)[0] is before
        widget.panel.apply.click()
        assert widget.task is not None
        self.finish(widget)

    def test_going_back_to_what_was_finished_sends_it_again(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()[:2]))
        self.finish(widget)
        before = self.outputs(widget)[0]
        self.choose(widget, "efficientnet-lite0")
        self.choose(widget, "squeezenet")
        assert widget.task is None and self.outputs(widget)[0] is before

    def test_a_run_that_ended_with_skips_is_repeated(self):
        widget = self.make()
        late = self.folder / "late.png"
        table = image_table([photo_paths()[0], str(late)])
        self.give(widget, table)
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 1
        late.write_bytes(Path(photo_paths()[1]).read_bytes())
        self.give(widget, table)
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 2 and self.shown(widget) == []

    def test_removing_the_data_ends_the_run(self):
        widget = self.make()
        self.give(widget, image_table(photo_paths()))
        self.give(widget, None)
        assert widget.task is None and not widget.panel.cancel.isEnabled()
        assert self.outputs(widget) == (None, None) and widget.told == "No data."

    def test_a_widget_deleted_in_mid_run_leaves_nothing_behind(self):
        threads = set(threading.enumerate())
        widget = self.make()
        self.give(widget, image_table(photo_paths() * 20))
        until(lambda: widget.processingState > 0)
        start = time.perf_counter()
        widget.onDeleteWidget()
        print(f"deleted in {1000 * (time.perf_counter() - start):.0f} ms")
        if widget in self.widgets:
            self.widgets.remove(widget)
        widget.deleteLater()
        QApplication.processEvents()
        until(lambda: set(threading.enumerate()) <= threads, 5)

    def test_leaving_orange_in_mid_run_leaves_no_worker_behind(self):
        code = """
            import sys, psutil
            from AnyQt.QtWidgets import QApplication
            app = QApplication([])
            from tests.widget_case import image_table, photo_paths, until
            from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding
            widget = OWImageEmbedding()
            widget.set_images(image_table(photo_paths() * 100))
            until(lambda: (widget.progressBarValue or 0) > 1)
            print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
            widget.onDeleteWidget()
        """
        code = "\n".join(line.strip() for line in code.splitlines())
        environment = os.environ | {"ORANGE_IMAGE_CACHE": str(self.folder / "cache")}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0 and done.stdout.split(), done.stderr
        until(lambda: not any(psutil.pid_exists(int(pid)) for pid in done.stdout.split()), 20)

    def test_progress_only_rises_and_says_how_many(self):
        widget = self.make()
        values, texts = [], []
        widget.progressBarValueChanged.connect(values.append)
        widget.statusMessageChanged.connect(texts.append)
        self.give(widget, image_table(photo_paths()))
        self.finish(widget)
        values = [value for value in values if value is not None]
        rising = values[: values.index(max(values)) + 1]
        assert all(a <= b for a, b in pairwise(rising)) and max(values) == 100
        n = len(photo_paths())
        assert f"Embedding 0 of {n} (SqueezeNet)" in texts
        assert f"Embedding {n} of {n} (SqueezeNet)" in texts


class TestDepth(EmbeddingWidgetTest):
    def microscope(self) -> Table:
        paths = [self.folder / f"{bits}.png" for bits in (9, 11)]
        for path, top in zip(paths, (1023, 4095), strict=True):
            ramp = np.linspace(0, top, 64 * 64).reshape(64, 64).astype(np.uint16)
            Image.fromarray(ramp).save(path)
        return image_table([str(path) for path in paths])

    def test_pictures_of_one_camera_can_be_scaled_alike(self):
        widget = self.make()
        self.give(widget, self.microscope())
        self.finish(widget)
        apart = self.difference(widget)  # little: a ramp is a ramp, if each has its own white
        menu = widget.panel.depth
        menu.setCurrentIndex(menu.findData(12))
        menu.activated.emit(menu.currentIndex())
        self.finish(widget)
        assert widget.depth == 12 and self.difference(widget) > 10 * apart
        again = self.make(depth=12)
        assert again.panel.depth.currentData() == 12

    def difference(self, widget) -> float:
        one, other = self.outputs(widget)[0].X
        return float(np.linalg.norm(one - other))

    def test_a_saved_depth_that_there_is_not_is_left_out(self):
        for depth in (11, "12", 10**9, True):
            assert self.make(depth=depth).depth is None


class TestSurprises(EmbeddingWidgetTest):
    def test_an_unexpected_error_carries_its_traceback_and_goes_to_oranges_reporter(self):
        widget = self.make(auto_apply=False)
        reported = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "excepthook", lambda *error: reported.append(error))
            widget.start(lambda state: 1 / 0)
            self.finish(widget)
        assert self.shown(widget) == ["unexpected"]
        assert "ZeroDivisionError" in widget.Error.unexpected.tb
        assert reported[0][0] is ZeroDivisionError and not widget.isInvalidated()

    def test_a_provider_that_is_not_there_is_an_error(self):
        self.user.provider = "cuda"
        widget = self.make()
        assert widget.panel.provider.currentData() == "cuda"
        self.give(widget, image_table(photo_paths()[:1]))
        self.finish(widget)
        assert self.shown(widget) == ["failed"] and self.outputs(widget) == (None, None)

    def test_five_thousand_rows_of_4096_numbers_do_not_stop_the_window(self):
        write_wide_model(4096)
        widget = self.make(model="wide")
        table = image_table(photo_paths() * 400)[:5000]
        stalls = self.stalls_while(lambda: self.give_and_finish(widget, table))
        print(f"longest stall of the window: {1000 * max(stalls):.0f} ms")
        assert self.outputs(widget)[0].X.shape == (5000, 4096)

    def give_and_finish(self, widget, table):
        self.give(widget, table)
        self.finish(widget)

    @staticmethod
    def stalls_while(action):
        ticks = [time.perf_counter()]
        timer = QTimer(interval=1)
        timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
        timer.start()
        action()
        ticks.append(time.perf_counter())
        timer.stop()
        return [b - a for a, b in pairwise(ticks)]


def write_wide_model(dimension: int) -> None:
    """Put a model with so many numbers into the folder of the user's models."""
    folder = user_models.default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    weights = np.ones((3, dimension), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_models, "WEIGHTS", weights)
        write_model(folder / "wide.onnx", output=["N", dimension])


class TestAttributes(EmbeddingWidgetTest):
    def table(self) -> Table:
        marked = StringVariable("photo")
        marked.attributes["type"] = "image"
        metas = [StringVariable("text"), DiscreteVariable("kind", ["a", "b"]), marked]
        domain = Domain([ContinuousVariable("x")], metas=metas)
        return Table.from_list(domain, [[1, "no.png", "a", photo_paths()[0]]])

    def test_marked_columns_come_first_and_are_chosen(self):
        widget = self.make(auto_apply=False)
        self.give(widget, self.table())
        menu = widget.panel.attribute
        assert [menu.itemData(i) for i in range(menu.count())] == ["photo", "text", "kind"]
        assert widget.attribute_used == menu.currentData() == "photo"

    def test_a_saved_attribute_that_is_not_there_is_kept_until_the_user_chooses(self):
        widget = self.make(auto_apply=False, attribute="other")
        self.give(widget, self.table())
        assert widget.attribute_used == "photo" and widget.attribute == "other"
        self.give(widget, image_table(photo_paths()[:1], name="other"))
        assert widget.attribute_used == "other"
        self.give(widget, self.table())
        menu = widget.panel.attribute
        menu.setCurrentIndex(1)
        menu.activated.emit(1)
        assert widget.attribute == widget.attribute_used == "text"

    def test_a_saved_model_that_is_not_there_is_an_error_without_output(self):
        widget = self.make(model="my-model")
        self.give(widget, image_table(photo_paths()[:1]))
        assert widget.task is None and self.outputs(widget) == (None, None)
        assert self.shown(widget) == ["no_such_model"] and widget.model == "my-model"
        said = str(widget.Error.no_such_model)
        assert "my-model.onnx" in said and str(user_models.default_folder()) in said
        assert widget.panel.model.currentText() == ""
        self.choose(widget, "efficientnet-lite0")
        assert widget.model == "efficientnet-lite0" and self.shown(widget) == []
        assert widget.panel.instead.isHidden()
        self.finish(widget)
        assert self.outputs(widget)[0].X.shape == (1, 1280)

    def test_a_model_that_is_not_there_can_be_replaced_with_a_click(self):
        widget = self.make(model="my-model")
        self.give(widget, image_table(photo_paths()[:1]))
        assert not widget.panel.instead.isHidden()
        widget.send_report()
        widget.panel.instead.click()
        self.finish(widget)
        assert self.outputs(widget)[0].X.shape == (1, 1000) and self.shown(widget) == []

    def test_a_model_that_comes_back_is_used_and_one_that_goes_takes_its_numbers_along(self):
        widget = self.make(model="mine")
        self.give(widget, image_table(photo_paths()[:1]))
        widget.isActiveWindow = lambda: True
        file = user_models.default_folder() / "mine.onnx"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_model(file)
        widget.changeEvent(QEvent(QEvent.Type.ActivationChange))
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 1 and self.shown(widget) == []
        file.unlink()
        widget.changeEvent(QEvent(QEvent.Type.ActivationChange))
        assert self.outputs(widget) == (None, None) and self.shown(widget) == ["no_such_model"]


class TestLooks(EmbeddingWidgetTest):
    def test_it_fits_on_a_small_screen(self):
        self.check_minimum_size(self.make(model="vgg16"))

    def test_its_messages_derive_from_oranges(self):
        self.check_msg_base_class(self.make())

    def test_models_are_listed_in_sections_with_where_each_runs(self):
        menu = self.make().panel.model
        texts = [menu.itemText(i) for i in range(menu.count())]
        assert texts[:5] == [
            "On this computer",
            "SqueezeNet (local)",
            "EfficientNet-Lite0 (local)",
            "EfficientNet-Lite2 (local)",
            "To download",
        ]
        assert "VGG-16 (torchvision), 553 MB" in texts
        assert texts[texts.index("On a server") + 1] == "Inception v3 (server)"
        ids = [menu.itemData(i) for i in range(menu.count()) if menu.itemData(i)]
        assert ids == list(find().models)

    def test_headings_of_the_menu_cannot_be_chosen(self):
        menu = self.make().panel.model
        headings = [i for i in range(menu.count()) if menu.itemData(i) is None]
        assert len(headings) == 3
        assert not any(menu.model().item(i).isEnabled() for i in headings)

    def test_mnemonics_are_unique_and_lead_somewhere(self):
        widget = self.make(model="vgg16")
        parts = [*widget.controlArea.findChildren(QLabel), *widget.panel._order]
        texts = [part.text() for part in parts if hasattr(part, "text")]
        keys = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
        assert len(keys) == len(set(keys)) >= 9
        for label in widget.controlArea.findChildren(QLabel):
            if "&" in label.text():
                assert label.buddy() is not None, label.text()

    def test_no_label_takes_formatting_from_a_users_model(self):
        widget = self.make()
        assert widget.panel._description.textFormat() == Qt.TextFormat.PlainText

    def test_neither_the_network_nor_the_engine_is_loaded_to_list_the_widget(self):
        code = (
            "import sys, orangecontrib.imageanalytics.widgets.owimageembedding;"
            "print([m for m in ('httpx', 'onnxruntime', 'loky', 'keyring') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip().endswith("[]"), done.stderr


class TestModelsOfTheUser(EmbeddingWidgetTest):
    def folder_of_models(self):
        folder = user_models.default_folder()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def test_a_file_that_is_no_model_gets_a_message_that_says_why(self):
        (self.folder_of_models() / "mine.onnx").write_bytes(b"not a model")
        widget = self.make()
        assert self.shown(widget) == []  # it is no fault of this workflow
        assert widget.panel.unusable.text() == "1 file cannot be used"
        assert not widget.panel.unusable.isHidden()
        widget.panel.unusable.click()
        assert "mine.onnx" in widget.panel.listed.text()
        widget.panel.listed.close()
        (self.folder_of_models() / "mine.onnx").unlink()
        widget.panel.find_models()
        assert widget.panel.unusable.isHidden()

    def test_a_model_of_the_users_own_is_listed_by_its_title_and_embeds(self):
        write_model(self.folder_of_models() / "mine.onnx")
        widget = self.make(model="mine")
        menu = widget.panel.model
        assert menu.currentText() == "mine (local)"
        assert menu.currentIndex() == 4  # after the bundled ones
        self.give(widget, image_table(photo_paths()[:2]))
        self.finish(widget)
        assert self.outputs(widget)[0].X.shape == (2, 4)

    def test_the_menu_is_looked_over_when_the_user_comes_back(self):
        widget = self.make()
        (self.folder_of_models() / "mine.onnx").write_bytes(b"not a model")
        widget.isActiveWindow = lambda: True
        widget.changeEvent(QEvent(QEvent.Type.ActivationChange))
        assert not widget.panel.unusable.isHidden()


class TestWords(EmbeddingWidgetTest):
    def test_the_window_can_be_widened(self):
        widget = self.make()
        widget.resize(900, 600)
        widget.show()
        assert widget.width() >= 900 and widget.maximumWidth() > 2000

    def test_the_report_says_a_path_once(self):
        missing = str(self.folder / "missing.png")
        widget = self.make()
        self.give(widget, image_table([missing, photo_paths()[0]]))
        self.finish(widget)
        widget.send_report()
        assert widget.report_html.count("missing.png") == 1

    def test_the_models_folder_says_where_it_is(self):
        assert str(user_models.default_folder()) in self.make().panel.folder.toolTip()


class TestSentences(EmbeddingWidgetTest):
    def test_no_line_of_a_sentence_is_cut_off_however_low_the_window(self):
        widget = self.make()
        widget.show()
        widget.tell("\n".join(["A line of an explanation that is long."] * 30))
        widget.resize(widget.width(), 300)
        QTest.qWait(100)
        label = widget.words
        assert label.height() >= label.heightForWidth(label.width()) > 300
