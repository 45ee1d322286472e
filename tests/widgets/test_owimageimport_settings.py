"""Settings of the widget Import Images: plain text, relative to the workflow, from any version."""

from __future__ import annotations

import ast
import pickle
import shutil
from pathlib import Path

import pytest
from Orange.widgets.utils.filedialogs import RecentPath
from orangecanvas.scheme.readwrite import literal_dumps

from orangecontrib.imageanalytics.widgets import workflow_folders
from orangecontrib.imageanalytics.widgets.owimageimport import OWImportImages
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from tests.conftest import PHOTOS
from tests.import_widget_case import ImportTest, make_images, own_user

__all__ = ["own_user"]


class TestSettings(ImportTest):
    def saved(self, widget: OWImportImages) -> dict:
        """Save as the canvas does: as text, without pickles."""
        return ast.literal_eval(literal_dumps(widget.settingsHandler.pack_data(widget)))

    def test_settings_are_plain_text_and_bring_the_folder_back(self):
        widget = self.make()
        self.open(widget, PHOTOS / "animal")
        self.open(widget, PHOTOS)
        saved = self.saved(widget)
        assert saved["folder"] == str(PHOTOS)
        assert str(PHOTOS / "animal") not in repr(saved)
        again = self.make(**saved)
        assert len(self.output(again)) == 13 and again.panel.folder.count() == 2

    def test_a_workflow_and_its_pictures_can_be_moved_together(self):
        home = make_images(self.folder / "project", "pictures/1.png")
        widget = self.in_workflow(home)
        self.open(widget, home / "pictures")
        saved = self.saved(widget)
        assert saved["folder"] == "pictures"
        moved = home.rename(self.folder / "elsewhere")
        again = self.in_workflow(moved, **saved)
        assert len(self.output(again)) == 1
        assert again.current == str(moved / "pictures")

    def test_pictures_in_the_workflows_own_folder_can_be_moved_too(self):
        home = make_images(self.folder / "project", "1.png")
        widget = self.in_workflow(home)
        self.open(widget, home)
        assert widget.folder == "."
        saved = self.saved(widget)
        moved = home.rename(self.folder / "elsewhere")
        assert len(self.output(self.in_workflow(moved, **saved))) == 1

    def test_pictures_elsewhere_are_found_beside_the_workflow_once_they_are_gone(self):
        pictures = make_images(self.folder / "usb" / "pictures", "1.png")
        home = self.folder / "project"
        home.mkdir()
        widget = self.in_workflow(home)
        self.open(widget, pictures)
        saved = self.saved(widget)
        assert saved["folder"] == str(pictures)
        shutil.move(pictures, home / "pictures")
        again = self.in_workflow(home, **saved)
        assert len(self.output(again)) == 1 and again.folder == "pictures"

    def test_a_workflow_in_which_no_folder_was_chosen_names_none(self):
        self.open(self.make(), PHOTOS)
        assert str(PHOTOS.parent) not in repr(self.saved(self.make()))

    def test_the_recent_folders_are_the_users_and_all_widgets_know_them(self):
        first, second = self.make(), self.make()
        self.open(first, PHOTOS)
        self.open(second, PHOTOS / "animal")
        menu = self.make().panel.folder
        listed = [menu.itemData(i) for i in range(menu.count())]
        assert listed == [str(PHOTOS / "animal"), str(PHOTOS)]

    def test_a_workflow_moved_alone_says_so_and_offers_the_folder(self):
        home = make_images(self.folder / "project", "pictures/1.png")
        widget = self.in_workflow(home)
        self.open(widget, home / "pictures")
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        # Not by itself: a folder of this name among the recent ones may be another workflow's.
        again = self.in_workflow(elsewhere, **self.saved(widget))
        assert self.shown(again) == ["vanished"] and self.output(again) is None
        self.choose(again, home / "pictures")
        assert len(self.output(again)) == 1 and again.folder == str(home / "pictures")

    def choose(self, widget: OWImportImages, folder: Path) -> None:
        menu = widget.panel.folder
        menu.setCurrentIndex(menu.findData(str(folder)))
        menu.activated.emit(menu.currentIndex())
        self.finish(widget)

    def test_saving_under_another_name_keeps_the_folder(self):
        home = make_images(self.folder / "project", "pictures/1.png")
        widget = self.in_workflow(home)
        self.open(widget, home / "pictures")
        widget.workflowEnvChanged("basedir", str(self.folder / "other"), str(home))
        assert widget.folder == str(home / "pictures")
        widget.workflowEnvChanged("basedir", str(self.folder), str(self.folder / "other"))
        assert widget.folder == "project/pictures"

    def test_saving_elsewhere_keeps_a_folder_that_is_not_there_now(self):
        widget = self.in_workflow(self.folder, folder="gone")
        assert self.shown(widget) == ["vanished"]
        widget.workflowEnvChanged("basedir", str(self.folder / "other"), str(self.folder))
        assert widget.folder == str(self.folder / "gone")

    def test_a_relative_folder_without_a_workflow_file_is_not_looked_for_anywhere(self):
        widget = self.make(folder="photos")
        assert self.shown(widget) == ["vanished"] and widget.folder == "photos"

    def test_the_next_new_widget_knows_the_recent_folders_and_opens_none(self):
        handler = OWImportImages.settingsHandler
        before = handler.defaults
        widget = self.in_workflow(PHOTOS.parent)
        self.open(widget, PHOTOS)
        try:
            handler._prepare_defaults(widget)  # what Orange writes when it closes
            new = self.in_workflow(self.folder)
        finally:
            handler.defaults = before
        assert new.folder is None and new.panel.folder.itemData(0) == str(PHOTOS)
        assert new.panel.folder.currentIndex() == -1 and self.output(new) is None

    def test_the_public_addons_recent_paths_are_read(self):
        here = str(PHOTOS)
        paths = [RecentPath(here, None, None), RecentPath("/gone/x", None, None), "junk"]
        widget = self.make(recent_paths=pickle.loads(pickle.dumps(paths)))
        assert len(self.output(widget)) == 13
        saved = self.saved(widget)
        assert "recent_paths" not in saved and "/gone/x" not in repr(saved)

    def test_the_public_addons_relative_paths_are_relative_to_the_workflow(self):
        home = make_images(self.folder / "project", "pictures/1.png")
        paths = [RecentPath("C:\\old\\pictures", "basedir", "pictures")]
        widget = self.in_workflow(home, recent_paths=paths)
        assert len(self.output(widget)) == 1 and widget.folder == "pictures"


@pytest.mark.parametrize(
    "settings",
    [
        {"recent_paths": None},
        {"recent_paths": []},
        {"recent_paths": [None, 3, object()]},
        {"recent_paths": "photos"},
        {"recent_paths": [RecentPath(None, "basedir", None)]},
        {"recent_paths": [{"abspath": "/x"}]},
        {"folder": 3, "recent_folders": {"a": 1}},
        {"folder": "", "recent_folders": [1, None, "relative", "/nul\0", "x" * 10000]},
        {"folder": ["/x"], "recent_folders": None},
    ],
)
def test_garbage_in_settings_is_left_out(settings):
    workflow_folders.migrate(settings)
    assert "recent_paths" not in settings
    assert settings.get("folder") is None
    assert "recent_folders" not in settings


class TestRecentFolders(ImportTest):
    def test_the_menu_remembers_the_last_folders_each_once(self):
        for number in [*range(20), 3]:
            user_settings().remember_folder(f"/{number}")
        assert len(user_settings().recent_folders) == 15
        assert user_settings().recent_folders[:3] == ["/3", "/19", "/18"]

    def test_garbage_in_the_users_settings_is_no_folder(self):
        for text in ("", "[", "3", '{"a": 1}', "@Invalid()", '[1, null, "/x"]'):
            user_settings()._store("folders/recent", text)
            assert user_settings().recent_folders == (["/x"] if "/x" in text else [])
        assert self.make().panel.folder.count() == 1


def test_paths_of_another_system_are_not_taken_for_relative_ones():
    windows = "C:\\Users\\ada\\photos"
    assert workflow_folders.candidates(windows, None) == [windows]
    assert workflow_folders.candidates(windows, "/work")[1] == str(Path("/work/photos"))
