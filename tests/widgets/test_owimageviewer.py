"""Image Viewer as a user has it: what is shown, sorted, selected, sent, saved and reported."""

from __future__ import annotations

import base64
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AnyQt.QtCore import QSettings, Qt
from AnyQt.QtTest import QTest
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable, Table
from Orange.widgets.settings import ContextSetting, DomainContextHandler, Setting
from Orange.widgets.tests import base
from Orange.widgets.widget import OWWidget
from PIL import Image

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.tables import maker
from orangecontrib.imageanalytics.widgets import images_loader
from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.viewer_run import file_name, restored
from tests.conftest import PHOTOS
from tests.web_server import WebServer, answer
from tests.widget_case import photo_paths, until
from tests.widgets.test_images_view import processes_have_ended
from tests.workflows import finish, opened, widget_named


class ViewerTest(base.WidgetTest):
    test_minimum_size = test_image_export = test_msg_base_class = test_zero_size_data = None

    @pytest.fixture(autouse=True)
    def own_user(self, tmp_path: Path, no_new_workers: None) -> None:
        self.folder = tmp_path
        QSettings.setPath(
            QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings")
        )
        self.user = user_settings()

    def tearDown(self) -> None:
        super().tearDown()
        until(processes_have_ended)

    def make(self, **settings: Any) -> OWImageViewer:
        widget = self.create_widget(OWImageViewer, stored_settings=settings or None)
        widget.resize(800, 600)
        widget.show()
        return widget

    def give(self, widget: OWImageViewer, data: Table | None) -> None:
        self.send_signal(widget.Inputs.data, data, widget=widget)
        self.finish(widget)

    def finish(self, widget: OWImageViewer) -> None:
        until(lambda: widget.task is None)

    def loaded(self, widget: OWImageViewer) -> None:
        view = widget.view
        until(lambda: not view._wanting.isActive() and view.loader.is_idle)

    def selected(self, widget: OWImageViewer) -> Table | None:
        return self.get_output(widget.Outputs.selected_data, widget=widget)

    def shown(self, widget: OWImageViewer) -> list[str]:
        images = widget.view.images
        return [images.title(row) for row in images.order.tolist()]


def table(paths: list[Any], **more: list[float]) -> Table:
    """A table of images with a class, and numbers if they are given."""
    image = StringVariable("image")
    image.attributes["type"] = "image"
    name = StringVariable("name")
    kind = DiscreteVariable("kind", values=("a", "b"))
    numbers = [ContinuousVariable(key) for key in more]
    count = len(paths)
    metas = np.array([[path, f"picture {count - row}"] for row, path in enumerate(paths)], object)
    return Table.from_numpy(
        Domain(numbers, kind, [name, image]),
        np.array(list(more.values()), float).T if more else np.empty((count, 0)),
        np.arange(count) % 2,
        metas[:, ::-1],
    )


def embedded(paths: list[str], vectors: list[list[float]]) -> Table:
    data = table(paths, **{f"n{i}": list(column) for i, column in enumerate(np.transpose(vectors))})
    for attribute in data.domain.attributes:
        attribute.attributes["embedder"] = maker("squeezenet", "SqueezeNet")
        attribute.attributes["hidden"] = True
    return data


class TestShowing(ViewerTest):
    def test_images_are_shown_with_their_file_names(self):
        widget = self.make()
        paths = photo_paths()
        self.give(widget, table(paths))
        self.loaded(widget)
        assert self.shown(widget) == [Path(path).name for path in paths]
        assert widget.view.loader.count >= len(widget.view.visible())
        assert widget.told == "13 images"

    def test_the_marked_column_is_chosen_and_another_can_be(self):
        widget = self.make()
        self.give(widget, table(photo_paths()[:2]))
        assert widget.image_used == "image"
        widget.panel.image.setCurrentIndex(widget.panel.image.findData("name"))
        widget.panel.image.activated.emit(widget.panel.image.currentIndex())
        self.finish(widget)
        assert self.shown(widget) == ["picture 2", "picture 1"]

    def test_titles_come_from_any_attribute(self):
        widget = self.make(title_attribute="name")
        self.give(widget, table(photo_paths()[:3]))
        assert self.shown(widget) == ["picture 3", "picture 2", "picture 1"]
        widget.panel.title.setCurrentIndex(widget.panel.title.findData("kind"))
        widget.panel.title.activated.emit(widget.panel.title.currentIndex())
        self.finish(widget)
        assert self.shown(widget) == ["a", "b", "a"]

    def test_missing_values_are_left_out(self):
        paths = photo_paths()[:2]
        widget = self.make()
        self.give(widget, table([paths[0], "", None, paths[1], "?"]))
        assert widget.view.images.order.tolist() == [0, 3]
        assert widget.told == "2 images, 3 missing"

    def test_a_table_of_nothing_but_missing_values_is_a_warning(self):
        widget = self.make()
        self.give(widget, table([None, ""]))
        assert widget.Warning.no_images.is_shown()
        self.give(widget, table(photo_paths()[:1]))
        assert not widget.Warning.no_images.is_shown()

    def test_a_table_whose_files_are_all_gone_says_so(self):
        widget = self.make()
        self.give(widget, table([str(self.folder / f"{number}.png") for number in range(5)]))
        until(widget.Warning.none_seen.is_shown)
        assert "5 not found" in str(widget.Warning.none_seen)
        assert widget.told == "5 images, 5 not shown"

    def test_a_file_on_which_the_decoder_crashes_keeps_no_other_from_being_seen(self):
        (self.folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
        paths = [*photo_paths()[:3], str(self.folder / "broken.jpg")]
        widget = self.make()
        self.give(widget, table(paths))
        self.loaded(widget)
        until(lambda: 3 in widget.view.images.failures)
        assert widget.view.loader.count == 3
        assert not widget.Warning.none_seen.is_shown()

    def test_a_table_without_images_is_an_error(self):
        widget = self.make()
        self.give(widget, Table("iris"))
        assert widget.Error.no_image_attribute.is_shown()
        self.give(widget, None)
        assert not widget.Error.no_image_attribute.is_shown()
        assert widget.told == "No data."

    def test_relative_names_in_no_known_folder_are_not_looked_for(self):
        widget = self.make()
        self.give(widget, table(["a.png", "b.png"]))
        assert widget.Warning.no_folder.is_shown()
        shutil.copy(photo_paths()[0], self.folder / "a.png")
        widget.panel.pictures.choose_folder(str(self.folder))
        self.finish(widget)
        self.loaded(widget)
        assert not widget.Warning.no_folder.is_shown()
        assert widget.view.loader.pixmap(0) is not None

    def test_web_images_are_fetched_only_after_consent(self):
        with WebServer() as server:
            address = server.on("/a.png", answer(Path(photo_paths()[0]).read_bytes()))
            widget = self.make()
            self.give(widget, table([server.url("/a.png")]))
            self.loaded(widget)
            until(lambda: bool(widget.view.images.failures))
            assert widget.Warning.web.is_shown()
            assert not server.requests
            widget.panel.fetch.click()
            until(lambda: widget.view.loader.pixmap(0) is not None)
            assert not widget.Warning.web.is_shown(), address
            widget.onDeleteWidget()

    def test_new_data_and_deletion_in_mid_load_are_no_trouble(self):
        paths = []
        for number in range(300):
            Image.new("RGB", (200, 200), (number % 256, 0, 0)).save(
                path := self.folder / f"{number}.png"
            )
            paths.append(str(path))
        widget = self.make()
        self.give(widget, table(paths))
        QTest.qWait(50)
        self.give(widget, table(paths[:20]))
        assert len(widget.view.images.order) == 20
        QTest.qWait(50)
        widget.onDeleteWidget()
        widget.deleteLater()
        self.widgets.remove(widget)
        until(lambda: images_loader._thumbnails is None)


class TestSorting(ViewerTest):
    def sort(self, widget: OWImageViewer, by: str) -> list[int]:
        menu = widget.panel.sorting
        menu.setCurrentIndex(menu.findData(by))
        menu.activated.emit(menu.currentIndex())
        self.finish(widget)
        return widget.view.images.order.tolist()

    def test_by_title_with_numbers_in_their_order(self):
        names = ["b10.png", "B9.png", "a.png"]
        widget = self.make()
        self.give(widget, table([str(self.folder / name) for name in names]))
        assert self.sort(widget, "title") == [2, 1, 0]
        assert self.sort(widget, "data") == [0, 1, 2]

    def test_by_size_with_what_is_not_there_last(self):
        paths = []
        for name, size in (("a", 30), ("b", 10), ("c", 20)):
            (self.folder / name).write_bytes(bytes(size))
            paths.append(str(self.folder / name))
        widget = self.make(sorting="size")
        self.give(widget, table([*paths, "gone.png"]))
        assert widget.view.images.order.tolist() == [1, 2, 0, 3]

    def test_by_similarity_to_the_selected(self):
        vectors = [[1, 0], [0, 1], [0.9, 0.1], [0.5, 0.5]]
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:4], vectors))
        widget.view.select_rows([0])
        assert self.sort(widget, "similarity") == [0, 2, 3, 1]
        assert widget.view.selected_rows().tolist() == [0]
        widget.view.select_rows([1])
        widget.panel.again.click()
        self.finish(widget)
        assert widget.view.images.order.tolist() == [1, 3, 2, 0]
        widget.view.menu.ask_for_alike()  # of the current one
        self.finish(widget)

    def test_more_like_this_sorts_by_similarity(self):
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:3], [[1, 0], [0, 1], [0.9, 0.1]]))
        widget.view.more_like_this.emit([2])
        self.finish(widget)
        assert widget.view.images.order.tolist() == [2, 0, 1]
        assert widget.sorting == "similarity"

    def test_reference_images_are_what_the_others_are_compared_with(self):
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:4], [[1, 0], [0, 1], [0.9, 0.1], [0.5, 0.5]]))
        wanted = embedded(photo_paths()[4:5], [[0.1, 0.9]])
        self.send_signal(widget.Inputs.references, wanted, widget=widget)
        self.finish(widget)
        assert widget.sorting == "similarity"
        assert widget.view.images.order.tolist() == [1, 3, 2, 0]
        assert not widget.Information.nothing_selected.is_shown()
        assert not widget.Warning.other_references.is_shown()
        self.send_signal(widget.Inputs.references, None, widget=widget)
        widget.view.select_rows([0])
        widget.panel.again.click()
        self.finish(widget)
        assert widget.view.images.order.tolist() == [0, 2, 3, 1]

    def test_references_of_another_network_are_said(self):
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:3], [[1, 0], [0, 1], [0.9, 0.1]]))
        self.send_signal(widget.Inputs.references, table(photo_paths()[3:4]), widget=widget)
        self.finish(widget)
        assert widget.Warning.other_references.is_shown()
        assert widget.view.images.order.tolist() == [0, 1, 2]

    def test_another_network_s_columns_of_the_same_names_are_not_compared(self):
        others = embedded(photo_paths()[3:4], [[0, 1]])
        for attribute in others.domain.attributes:
            attribute.attributes["embedder"] = maker("painters", "Painters")
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:3], [[1, 0], [0, 1], [0.9, 0.1]]))
        self.send_signal(widget.Inputs.references, others, widget=widget)
        self.finish(widget)
        assert widget.Warning.other_references.is_shown()
        assert widget.view.images.order.tolist() == [0, 1, 2]

    def test_a_selected_picture_without_an_embedding_is_not_compared(self):
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:3], [[1, 0], [np.nan, 1], [0.9, 0.1]]))
        widget.view.select_rows([1])
        assert self.sort(widget, "similarity") == [0, 1, 2]
        widget.view.select_rows([1, 2])
        widget.panel.again.click()
        self.finish(widget)
        assert widget.view.images.order.tolist() == [2, 0, 1]
        assert not widget.Error.unexpected.is_shown()

    def test_without_an_embedding_there_is_no_similarity(self):
        widget = self.make(sorting="similarity")
        self.give(widget, table(photo_paths()[:3]))
        assert widget.sorting_used == "data"
        assert not widget.view.has_similarity
        index = widget.panel.sorting.findData("similarity")
        assert not widget.panel.sorting.model().item(index).isEnabled()

    def test_without_a_selection_it_says_what_to_do(self):
        widget = self.make()
        self.give(widget, embedded(photo_paths()[:3], [[1, 0], [0, 1], [0.9, 0.1]]))
        assert self.sort(widget, "similarity") == [0, 1, 2]
        assert widget.Information.nothing_selected.is_shown()


class TestSending(ViewerTest):
    def test_what_is_selected_is_sent_with_all_that_it_has(self):
        widget = self.make()
        data = table(photo_paths()[:5], x=[1, 2, 3, 4, 5])
        self.give(widget, data)
        assert self.selected(widget) is None
        annotated = self.get_output(widget.Outputs.data, widget=widget)
        assert annotated.get_column("Selected").tolist() == [0] * 5
        widget.view.select_rows([3, 1])
        assert self.selected(widget).ids.tolist() == data.ids[[1, 3]].tolist()
        annotated = self.get_output(widget.Outputs.data, widget=widget)
        assert annotated.get_column("Selected").tolist() == [0, 1, 0, 1, 0]
        self.give(widget, None)
        assert self.selected(widget) is None
        assert self.get_output(widget.Outputs.data, widget=widget) is None

    def test_the_rows_sent_are_those_seen_however_they_are_sorted(self):
        widget = self.make(sorting="title", title_attribute="name")
        data = table(photo_paths()[:3])
        self.give(widget, data)
        place = widget.view.visualRect(widget.view.images.index(0)).center()
        QTest.mouseClick(
            widget.view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
        )
        assert str(self.selected(widget)[0]["name"]) == "picture 1"

    def test_without_send_automatically_the_button_is_awaited(self):
        widget = self.make(auto_commit=False)
        self.give(widget, table(photo_paths()[:3]))
        widget.view.select_rows([1])
        assert self.get_output(widget.Outputs.selected_data, widget=widget) is None
        widget.commit.now()
        assert len(self.selected(widget)) == 1

    def test_the_selection_stays_when_the_same_data_comes_again(self):
        widget = self.make()
        paths = photo_paths()[:5]
        self.give(widget, table(paths))
        widget.view.select_rows([1, 3])
        self.give(widget, table(paths))
        assert widget.view.selected_rows().tolist() == [1, 3]
        self.give(widget, table(paths[1:3]))
        assert widget.view.selected_rows().tolist() == [0]

    def test_the_selection_is_saved_by_row_and_value(self):
        widget = self.make()
        path = photo_paths()[0]
        self.give(widget, table([path, path, path]))
        widget.view.select_rows([1])
        saved = widget.settingsHandler.pack_data(widget)
        again = self.make(**saved)
        self.give(again, table([path, path, path]))
        assert again.view.selected_rows().tolist() == [1]
        assert len(self.selected(again)) == 1

    def test_a_saved_selection_is_not_lost_when_no_data_came(self):
        widget = self.make(selected_rows=[1], selected_values=["x.png"])
        saved = widget.settingsHandler.pack_data(widget)
        assert (saved["selected_rows"], saved["selected_values"]) == ([1], ["x.png"])


def test_a_saved_selection_is_found_again():
    have = ["a", "b", "b", "c"]
    assert restored([2], ["b"], have).tolist() == [2]
    assert restored([0, 1], ["b", "b"], have).tolist() == [1, 2]
    assert restored([7], ["c"], have).tolist() == [3]
    assert restored([7], ["gone"], have).tolist() == []
    assert restored([], ["b", "c"], have).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("/a/b c.png", "b c.png"),
        ("C:\\a\\b.png", "b.png"),
        ("http://x.org/a/b%20c.png?size=3", "b c.png"),
        ("data:image/png;base64,AAAA", "embedded image"),
        ("http://x.org/", "http://x.org/"),
        ("http://[", "http://["),
        (None, ""),
    ],
)
def test_references_are_called_by_their_files(reference, name):
    assert file_name(reference) == name


class PublicViewer(OWWidget):
    """The settings of the public add-on's widget, kept by Orange as it keeps them."""

    name = "Image Viewer"
    want_main_area = False
    settingsHandler = DomainContextHandler()
    settings_version = 2
    image_attr = ContextSetting(None)
    title_attr = ContextSetting(None)
    selected_items = ContextSetting([])
    imageSize = Setting(100)
    autoCommit = Setting(True)


class OlderPublicViewer(OWWidget):
    """The same, of versions before 0.13."""

    name = "Image Viewer"
    want_main_area = False
    settingsHandler = DomainContextHandler()
    imageAttr = ContextSetting(0)  # among the text columns, those of images first
    titleAttr = ContextSetting(0)  # among class, metas and attributes
    imageSize = Setting(100)
    autoCommit = Setting(True)


def workflow(nodes: dict[str, tuple[str, dict[str, Any]]], *links: tuple[str, str]) -> str:
    """Write a workflow of widgets in a row as the public add-on's are saved."""
    listed, properties = [], []
    for number, (name, (where, settings)) in enumerate(nodes.items()):
        listed.append(
            f'<node id="{number}" name="{name}" project_name="Orange3-ImageAnalytics" version="" '
            f'qualified_name="orangecontrib.imageanalytics.widgets.{where}" title="{name}" '
            f'position="({100 * number}, 100)" />'
        )
        pickled = base64.encodebytes(pickle.dumps(settings)).decode("ascii")
        properties.append(f'<properties node_id="{number}" format="pickle">{pickled}</properties>')
    linked = [
        f'<link id="{number}" source_node_id="{number}" sink_node_id="{number + 1}" '
        f'source_channel="{source}" sink_channel="{sink}" enabled="true" />'
        for number, (source, sink) in enumerate(links)
    ]
    return (
        '<?xml version="1.0" encoding="utf-8"?><scheme version="2.0" title="" description="">'
        f"<nodes>{''.join(listed)}</nodes><links>{''.join(linked)}</links>"
        f"<node_properties>{''.join(properties)}</node_properties></scheme>"
    )


class TestSettings(ViewerTest):
    def public(self, data: Table, selected: list[str], title: str = "kind") -> dict[str, Any]:
        """What the public widget saves."""
        widget = self.create_widget(PublicViewer)
        widget.settingsHandler.open_context(widget, data.domain)
        widget.image_attr, widget.title_attr = data.domain["image"], data.domain[title]
        widget.selected_items = selected
        widget.imageSize, widget.autoCommit = 212, False
        return pickle.loads(pickle.dumps(widget.settingsHandler.pack_data(widget)))

    def test_those_of_the_public_addon_are_read(self):
        data = table(photo_paths()[:4])
        paths = photo_paths()
        widget = self.make(**self.public(data, [paths[2], paths[0]]))
        self.give(widget, data)
        assert widget.image_used == "image"
        assert widget.title_used == "kind"
        assert widget.image_size == widget.view.look.size == widget.panel.size.value() == 212
        assert not widget.auto_commit
        assert widget.view.selected_rows().tolist() == [0, 2]
        assert len(self.selected(widget)) == 2

    def test_places_in_the_menus_of_older_versions_are_read_until_others_are_chosen(self):
        paths = photo_paths()[:3]
        copy, note, image = (StringVariable(name) for name in ("copy", "note", "image"))
        copy.attributes["type"] = image.attributes["type"] = "image"
        domain = Domain([], DiscreteVariable("kind", ("a", "b")), [copy, note, image])
        rows = [["", "a note", path] for path in paths]
        data = Table.from_numpy(domain, np.empty((3, 0)), np.zeros(3), np.array(rows, object))
        old = self.create_widget(OlderPublicViewer)
        old.settingsHandler.open_context(old, domain)
        old.imageAttr, old.titleAttr = 1, 2
        saved = pickle.loads(pickle.dumps(old.settingsHandler.pack_data(old)))
        widget = self.make(**saved)
        self.give(widget, data)
        assert (widget.image_used, widget.title_used) == ("image", "note")
        widget.panel.title.setCurrentIndex(0)
        widget.panel.title.activated.emit(0)
        assert widget.title_used is None  # by the names of the files

    def test_workflow_files_of_the_public_addon_open_with_settings_and_selection(self):
        shutil.copytree(PHOTOS, self.folder / "photos")
        names = ["fruit/lemon.png", "animal/zebra.png"]
        data, _ = ImportImages()(str(self.folder / "photos"))
        viewer = self.public(data, names, title="image name")
        nodes = {
            "Import Images": ("owimageimport.OWImportImages", {"folder": "photos"}),
            "Image Viewer": ("owimageviewer.OWImageViewer", viewer),
        }
        path = self.folder / "old.ows"
        path.write_text(workflow(nodes, ("Data", "Data")), "utf-8")
        with opened(path) as scheme:
            finish(scheme)
            widget = widget_named(scheme, "Image Viewer")
            assert (widget.image_used, widget.title_used) == ("image", "image name")
            assert (widget.image_size, widget.auto_commit) == (212, False)
            chosen = widget.data[widget.view.selected_rows()]
            assert {str(row["image"]) for row in chosen} == set(names)

    @pytest.mark.filterwarnings("ignore")
    def test_garbage_keeps_no_widget_from_opening(self):
        for garbage in (
            {"image_size": "large", "sorting": "backwards", "selected_rows": ["x"]},
            {"imageSize": 10**9, "autoCommit": "yes", "context_settings": [3]},
            {"context_settings": "none", "selected_values": [[]], "title_attribute": 4},
            {"selected_rows": [1, 2], "selected_values": ["a"], "image_attribute": "x" * 10**6},
        ):
            widget = self.make(**garbage)
            self.give(widget, table(photo_paths()[:2]))
            assert widget.view.look.size == 100
            assert len(widget.view.images.order) == 2

    def test_zooming_is_saved(self):
        widget = self.make()
        widget.view.zoom(2)
        assert widget.image_size == widget.view.look.size > 100
        widget.panel.size.setValue(64)
        assert widget.view.look.size == 64


class TestReport(ViewerTest):
    def test_the_report_shows_the_selected_pictures(self):
        widget = self.make()
        self.give(widget, table([*photo_paths()[:2], "/gone/away.png"]))
        self.loaded(widget)
        widget.view.select_rows([0, 2])
        widget.send_report()
        report = widget.report_html
        assert report.count("data:image/png;base64,") == 1
        assert "away.png" in report
        assert "not found" in report

    def test_what_is_in_sight_can_be_saved_as_an_image(self):
        from orangewidget.io import PngFormat

        widget = self.make()
        self.give(widget, table(photo_paths()))
        self.loaded(widget)
        PngFormat.write_image(str(self.folder / "graph.png"), widget.graph)
        assert Image.open(self.folder / "graph.png").width > 300
