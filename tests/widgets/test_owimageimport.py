"""The widget Import Images: real folders and a real thread."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from AnyQt.QtCore import QPoint, QTimer
from AnyQt.QtWidgets import QFileDialog, QLabel
from PIL import Image

from orangecontrib.imageanalytics.widgets import import_run
from tests.conftest import PHOTOS
from tests.import_widget_case import ImportTest, make_images, own_user
from tests.widget_case import until

__all__ = ["own_user"]


class TestImporting(ImportTest):
    def test_a_new_widget_waits_for_a_folder(self):
        widget = self.make()
        assert self.output(widget) is None and self.shown(widget) == []
        assert "Choose a folder" in widget.told
        assert not widget.panel.reload.isEnabled() and not widget.panel.cancel.isEnabled()

    def test_a_folder_becomes_a_table(self):
        widget = self.make()
        self.open(widget, PHOTOS)
        table = self.output(widget)
        assert len(table) == 13 and table.domain.class_var.values == ("animal", "fruit")
        assert widget.told == "13 images, 2 categories."
        assert self.shown(widget) == [] and widget.panel.show_others.isHidden()

    def test_what_was_found_stands_below_the_folder(self):
        widget = self.make()
        self.open(widget, PHOTOS)
        widget.resize(470, 500)
        widget.show()
        until(lambda: widget.words.isVisible())
        below = widget.words.mapTo(widget, QPoint(0, 0)).y()
        assert below < 130
        widget.hide()

    def test_a_tiff_of_several_pages_says_that_its_first_is_used(self):
        pages = [Image.new("L", (8, 8), value) for value in (0, 100, 200)]
        pages[0].save(self.folder / "stack.tif", save_all=True, append_images=pages[1:])
        pages[0].save(self.folder / "plain.tif")
        widget = self.make()
        self.open(widget, self.folder)
        assert self.shown(widget) == ["paged"]
        assert str(widget.Information.paged).startswith("1 TIFF image of several pages")
        (self.folder / "stack.tif").unlink()
        widget.panel.reload.click()
        self.finish(widget)
        assert self.shown(widget) == []

    def test_files_that_are_not_images_are_counted_and_listed(self):
        make_images(self.folder, "a/1.png", "b/2.png")
        (self.folder / "a" / "notes.txt").write_text("hello")
        widget = self.make()
        self.open(widget, self.folder)
        assert widget.told == "2 images, 2 categories, 1 other file."
        widget.panel.show_others.click()
        assert not widget.panel.others.isHidden()
        assert widget.panel.show_others.text() == "Hide &other files"
        assert widget.panel.others.item(0).text().startswith("a/notes.txt: not an image")
        widget.send_report()
        assert "a/notes.txt" in widget.report_html and "2 images" in widget.report_html
        self.open(widget, make_images(self.folder / "c", "1.png"))
        assert widget.told == "1 image."
        assert widget.panel.show_others.isHidden() and widget.panel.others.isHidden()

    def test_reload_finds_what_has_changed(self):
        widget = self.make()
        self.open(widget, make_images(self.folder, "1.png"))
        make_images(self.folder, "2.png")
        widget.panel.reload.click()
        assert self.output(widget) is None
        self.finish(widget)
        assert len(self.output(widget)) == 2

    def test_choosing_with_the_button_opens_a_folder_and_giving_up_changes_nothing(self):
        widget = self.make()
        self.monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(PHOTOS))
        widget.panel.choose.click()
        self.finish(widget)
        self.monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
        widget.panel.choose.click()
        assert widget.task is None and len(self.output(widget)) == 13

    def test_the_menu_has_the_recent_folders_latest_first_and_opens_them(self):
        one, two = make_images(self.folder / "one", "1.png"), make_images(self.folder / "two")
        widget = self.make()
        two.mkdir()
        self.open(widget, one)
        self.open(widget, two)
        menu = widget.panel.folder
        assert [menu.itemData(i) for i in range(menu.count())] == [str(two), str(one)]
        assert menu.itemText(0).startswith("two") and menu.currentIndex() == 0
        menu.setCurrentIndex(1)
        menu.activated.emit(1)
        self.finish(widget)
        assert len(self.output(widget)) == 1 and menu.currentData() == str(one)

    def test_a_report_without_images_can_be_made(self):
        widget = self.make()
        widget.send_report()
        assert "Choose a folder" in widget.report_html

    def test_every_label_and_button_has_a_mnemonic_of_its_own(self):
        widget = self.make()
        panel = widget.panel
        labels = [
            label for label in widget.controlArea.findChildren(QLabel) if label.buddy() is not None
        ]
        buttons = [panel.choose, panel.reload, panel.cancel, panel.show_others]
        keys = [part.text()[part.text().index("&") + 1].lower() for part in [*labels, *buttons]]
        assert len(keys) == 5 == len(set(keys))


class TestFaults(ImportTest):
    def test_a_folder_that_has_vanished_is_named_and_found_again_by_reload(self):
        folder = make_images(self.folder / "photos", "1.png")
        widget = self.make(folder=str(folder))
        away = folder.rename(self.folder / "away")
        widget.reload()
        self.finish(widget)
        assert self.shown(widget) == ["vanished"] and str(folder) in str(widget.Error.vanished)
        assert self.output(widget) is None and widget.folder == str(folder)
        away.rename(folder)
        widget.panel.reload.click()
        self.finish(widget)
        assert self.shown(widget) == [] and len(self.output(widget)) == 1

    def test_a_file_is_not_a_folder(self):
        (self.folder / "photo.png").write_bytes(b"")
        widget = self.make(folder=str(self.folder / "photo.png"))
        assert self.shown(widget) in (["not_a_folder"], ["vanished"])

    def test_a_folder_without_images_is_told_from_one_that_is_not_there(self):
        (self.folder / "notes.txt").write_text("hello")
        widget = self.make(folder=str(self.folder))
        assert self.shown(widget) == ["no_images"] and self.output(widget) is None
        assert widget.told == "0 images, 1 other file."

    def test_a_folder_that_may_not_be_read_is_named(self):
        def refuse(run, folder):  # permissions do not hold for root, as which tests may run
            raise PermissionError(13, "Permission denied", folder)

        self.monkeypatch.setattr(import_run.ImportImages, "__call__", refuse)
        widget = self.make(folder=str(self.folder))
        assert self.shown(widget) == ["not_readable"]
        assert f"{self.folder} cannot be read: permission denied" in str(widget.Error.not_readable)

    def test_what_nobody_expects_is_an_error_with_its_traceback(self):
        widget = self.make()
        widget.on_exception(RuntimeError("strange"))
        assert self.shown(widget) == ["unexpected"]
        assert widget.Error.unexpected.formatted
        assert any("RuntimeError: strange" in m.tb for m in widget.Error.active if m.tb)


class TestRunning(ImportTest):
    def many(self, count: int = 3000) -> Path:
        folder = self.folder / "many"
        folder.mkdir(exist_ok=True)
        data = (PHOTOS / "fruit" / "banana.png").read_bytes()
        for number in range(count):
            (folder / f"{number}.png").write_bytes(data)
        return folder

    def test_progress_is_shown_and_the_window_stays_alive(self):
        folder = self.many()
        widget = self.make()
        told, longest, last = [], [0.0], [time.perf_counter()]
        widget.statusMessageChanged.connect(told.append)

        def tick():
            now = time.perf_counter()
            longest[0], last[0] = max(longest[0], now - last[0]), now

        timer = QTimer(interval=1, timeout=tick)
        timer.start()
        self.open(widget, folder)
        timer.stop()
        assert any("of 3000 files looked at" in text for text in told)
        assert widget.told == "3000 images."
        assert longest[0] < 2  # a freeze would be as long as the run; figures are in benchmarks/

    def test_cancel_stops_and_reload_begins_anew(self):
        widget = self.make()
        widget.open_folder(str(self.many()))
        assert widget.panel.cancel.isEnabled()
        until(lambda: "looked at" in widget.told)
        widget.panel.cancel.click()
        assert widget.task is None and self.shown(widget) == ["cancelled"]
        assert self.output(widget) is None and not widget.panel.cancel.isEnabled()
        widget.panel.reload.click()
        self.finish(widget)
        assert len(self.output(widget)) == 3000 and self.shown(widget) == []

    def test_another_folder_in_mid_run_wins(self):
        widget = self.make()
        widget.open_folder(str(self.many()))
        until(lambda: "looked at" in widget.told)
        self.open(widget, PHOTOS)
        assert len(self.output(widget)) == 13

    def test_deletion_in_mid_run_returns_at_once_and_leaves_no_thread(self):
        widget = self.make()
        widget.open_folder(str(self.many()))
        until(lambda: "looked at" in widget.told)
        before = time.perf_counter()
        widget.onDeleteWidget()
        assert time.perf_counter() - before < 1
        until(
            lambda: (
                not any(t.name in ("Import Images", "count files") for t in threading.enumerate())
            )
        )

    def test_a_drive_that_hangs_keeps_neither_window_nor_exit_waiting(self):
        back = threading.Event()
        self.monkeypatch.setattr(
            import_run.ImportImages, "__call__", lambda run, folder: back.wait(60)
        )
        widget = self.make()
        widget.open_folder(str(self.folder))
        threads = [t for t in threading.enumerate() if t.name == "Import Images"]
        assert threads and all(thread.daemon for thread in threads)
        widget.onDeleteWidget()  # or the test would last a minute
        assert not back.is_set() and threads[-1].is_alive()
        back.set()
        threads[-1].join(10)
