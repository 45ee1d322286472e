"""The widget Image Viewer: the images of a table, to look through and to choose from."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from AnyQt.QtCore import QSize
from AnyQt.QtWidgets import QWidget
from Orange.data import Domain, Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics import tables
from orangecontrib.imageanalytics.outcome import Reason
from orangecontrib.imageanalytics.widgets import images_loader, images_report, viewer_settings
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.images_view import ImagesView
from orangecontrib.imageanalytics.widgets.marked_tables import MarkedTables
from orangecontrib.imageanalytics.widgets.viewer_panel import Panel
from orangecontrib.imageanalytics.widgets.viewer_run import Request, Shown, prepare
from orangecontrib.imageanalytics.widgets.web_consent import NOT_FETCHED, agree, ask


class OWImageViewer(Background):
    """Shows the images of a table as thumbnails, and sends on those that are selected."""

    name = "Image Viewer"
    description = "Look through the images of a table and select some of them."
    keywords = "image viewer, viewer, image, picture, photo, thumbnail, gallery, show"
    icon = "icons/ImageViewer.svg"
    category = "Image Analytics"
    priority = 130
    replaces = ["Orange.widgets.data.owimageviewer.OWImageViewer"]  # noqa: RUF012

    class Inputs:
        data = Input("Data", Table, default=True)
        references = Input("Reference Images", Table)

    class Outputs:
        selected_data = Output("Selected Images", Table, default=True)
        data = Output("Data", Table)

    class Error(Background.Error):
        no_image_attribute = Msg(
            "The data has no column of images: it must be a text or categorical meta attribute."
        )
        no_decoder = Msg("{}")
        unexpected = Msg("Showing the images failed unexpectedly: {}")

    class Warning(Background.Warning):
        no_images = Msg("There is no image: all values of '{}' are missing.")
        none_seen = Msg("None of these images can be shown: {}.")
        no_folder = Msg(
            "It is not known which folder images are in: their names do not say it. Choose it "
            "under 'Pictures in folder'."
        )
        web = Msg(NOT_FETCHED)
        other_references = Msg(
            "The reference images have no embedding by the same network. Send them through Image "
            "Embedding with the embedder that the data has."
        )

    class Information(Background.Information):
        nothing_selected = Msg(
            "Select the images that the others are to be compared with, then press Sort Again."
        )

    graph_name = "graph"
    settings_version = 3  # above all that the public add-on has used
    nothing = "No images."

    image_attribute: str | None = Setting(None)
    title_attribute: str | None = Setting(None)
    # Where they stood in the menus of the public add-on, until others are chosen.
    image_index: int | None = Setting(None, schema_only=True)
    title_index: int | None = Setting(None, schema_only=True)
    sorting: str = Setting("data")
    image_size: int = Setting(100)
    auto_commit: bool = Setting(True)
    pictures_folder: str | None = Setting(None, schema_only=True)  # see `workflow_folders.stored`
    # What was selected when the workflow was saved, by row and by value.
    selected_rows: list[int] = Setting([], schema_only=True)
    selected_values: list[str] = Setting([], schema_only=True)

    def __init__(self) -> None:
        super().__init__()
        self.data: Table | None = None
        self.references: Table | None = None
        self.shown: Shown | None = None
        self._saved: tuple[list[int], list[str]] | None = None
        self.view = ImagesView()
        self.view.set_look(size=self.image_size)
        self.mainArea.layout().addWidget(self.view)
        self.panel = Panel(self)
        gui.auto_commit(self.buttonsArea, self, "auto_commit", "&Send")
        self._connect()
        self._show_data()

    def _connect(self) -> None:
        panel, view = self.panel, self.view
        panel.image.activated.connect(self._image_chosen)
        panel.title.activated.connect(self._title_chosen)
        panel.sorting.activated.connect(self._sorting_chosen)
        panel.again.clicked.connect(self._arrange)
        panel.pictures.changed.connect(self._folder_changed)
        panel.fetch.clicked.connect(self._agree_to_fetch)
        panel.size.setValue(self.image_size)
        panel.size.valueChanged.connect(self._size_chosen)
        view.zoomed.connect(panel.size.setValue)
        view.selected.connect(self._selection_changed)
        view.more_like_this.connect(self._sort_like_these)
        view.skipped.connect(self._show_state)
        view.loader.received.connect(self._show_state)
        view.failed.connect(self.Error.no_decoder)
        self.settingsAboutToBePacked.connect(self._keep_selection)

    @property
    def graph(self) -> QWidget:
        """What *Save image* saves: what is in sight."""
        return self.view.viewport()

    # ---- what goes in

    @Inputs.data
    @check_sql_input
    def set_data(self, data: Table | None) -> None:
        """Take a table; what was selected in the one before stays so, if it is in this one."""
        self._keep_selection()
        self._saved = self.selected_rows, self.selected_values
        self.data = data
        self.shown = None
        self.Error.clear()
        self.Warning.clear()
        self.Information.clear()
        self._show_data()
        self._begin()

    @Inputs.references
    @check_sql_input
    def set_references(self, references: Table | None) -> None:
        """Take images that the others are compared with, and sort by that."""
        self.references = references if references is not None and len(references) else None
        if self.references is not None:
            self.sorting = "similarity"
        self.panel.show_sorting(self.sorting_used, similarity=self.view.has_similarity)
        if self.shown is not None and self.sorting_used == "similarity":
            self._arrange()

    @property
    def image_used(self) -> str | None:
        """The column of images: the saved one if it is there, else the likeliest one."""
        return tables.image_column(self.data, self.image_attribute, self.image_index)

    @property
    def title_used(self) -> str | None:
        """The column of titles, if the saved one is there."""
        names = [column.name for column in self._title_columns()]
        if self.title_attribute is None and self.title_index is not None:
            return next(iter(names[self.title_index :]), None)
        return self.title_attribute if self.title_attribute in names else None

    def _title_columns(self) -> list[Variable]:
        domain = Domain([]) if self.data is None else self.data.domain
        return [*domain.class_vars, *domain.metas, *domain.attributes]

    def _show_data(self) -> None:
        columns = [] if self.data is None else tables.image_columns(self.data)
        titles = [each for each in self._title_columns() if not each.attributes.get("hidden")]
        self.panel.show_columns(columns, self.image_used, titles, self.title_used)
        self.panel.pictures.show_data(self.data, self.image_used)
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)
        self.Error.no_image_attribute(shown=self.data is not None and not columns)
        has_embedding = self.data is not None and bool(tables.embedding_columns(self.data))
        self.view.set_similarity(has_embedding)
        self.panel.show_sorting(self.sorting_used, similarity=has_embedding)

    @property
    def sorting_used(self) -> str:
        """The saved way of sorting, or the data's if the data has no embedding."""
        if self.sorting == "similarity" and not self.view.has_similarity:
            return "data"
        return self.sorting

    # ---- what the user chooses

    def _image_chosen(self) -> None:
        self.image_attribute, self.image_index = self.panel.image.currentData(), None
        self.panel.pictures.show_data(self.data, self.image_used)
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)
        self.shown = None
        self._begin()

    def _title_chosen(self) -> None:
        self.title_attribute, self.title_index = self.panel.title.currentData(), None
        self._arrange()

    def _sorting_chosen(self) -> None:
        self.sorting = self.panel.sorting.currentData()
        self.panel.show_sorting(self.sorting_used, similarity=self.view.has_similarity)
        self._arrange()

    def _sort_like_these(self, rows: list[int]) -> None:
        self.sorting = "similarity"
        self.view.select_rows(rows)
        self.panel.show_sorting(self.sorting_used, similarity=True)
        self._arrange()

    def _size_chosen(self, size: int) -> None:
        self.image_size = size
        self.view.set_look(size=size)

    def _folder_changed(self) -> None:
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)
        self.shown = None
        self._begin()

    def _agree_to_fetch(self) -> None:
        assert self.shown is not None
        ask(self.Warning.web, self.panel.fetch, agree(self.shown.unasked))
        images_loader.look_for_consent()
        self.view.retry()

    # ---- running

    def _begin(self) -> None:
        """Show other images."""
        self.cancel()
        self.view.set_images([])
        self._show_state()
        request = self._request(None)
        if request is None:
            self.commit.now()
        else:
            self.start(prepare, request)

    def _arrange(self) -> None:
        """Show the same images in another order, or with other titles."""
        request = self._request(self.view.selected_rows() if self.shown else None)
        if request is not None:
            by_selection = self.sorting_used == "similarity" and self.references is None
            needs_selection = by_selection and self.shown is not None
            nothing = needs_selection and not len(self.view.selected_rows())
            self.Information.nothing_selected(shown=nothing)
            self.start(prepare, request)

    def _request(self, selected: Any) -> Request | None:
        image = self.image_used
        if not self.data or image is None:
            return None
        folder = self.panel.pictures.folder
        title, sorting = self.title_used, self.sorting_used
        return Request(
            self.data, image, title, folder, sorting, selected, self._saved, self.references
        )

    def on_done(self, result: Shown) -> None:
        """Show what was read, in its order."""
        is_new = self.shown is None
        self.shown = result
        if is_new:
            self._saved = None
            self.view.set_images(result.references, result.titles, result.order)
            self.view.images.failures.update(result.failures)
            self.view.select_rows(result.selected)
            self.commit.now()
        else:
            self.view.images.set_titles(result.titles)
            self.view.set_order(result.order)
            self.view.verticalScrollBar().setValue(0)
        self.Warning.other_references(shown=result.is_unlike_references)
        ask(self.Warning.web, self.panel.fetch, result.unasked)
        self.Warning.no_images(self.image_used, shown=not len(result.order))
        self._show_state()

    def _show_state(self, *_: object) -> None:
        """Say how many images there are, and which of them cannot be seen."""
        failures = self.view.images.failures
        if self.shown is None:
            self.tell("No images." if self.data else "No data.")
            return
        count, missing = len(self.shown.order), len(self.shown.values) - len(self.shown.order)
        parts = [f"{count} image{'' if count == 1 else 's'}"]
        if missing:
            parts.append(f"{missing} missing")
        if failures:
            parts.append(f"{len(failures)} not shown")
        self.tell(", ".join(parts))
        reasons = Counter(why.reason for why in failures.values())
        told = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
        self.Warning.none_seen(told, shown=self.view.sees_nothing and not self.shown.unasked)
        if reasons[Reason.NOT_FOUND]:
            self.panel.pictures.offer()

    # ---- what comes out

    def _selection_changed(self) -> None:
        if self.shown is not None:
            self.commit.deferred()

    @gui.deferred
    def commit(self) -> None:
        """Send the selected rows, and all with a mark."""
        if self.data is None or self.shown is None:
            self.Outputs.selected_data.send(None)
            self.Outputs.data.send(self.data and MarkedTables(self.data).none_selected())
            return
        rows = self.view.selected_rows()
        selected = np.zeros(len(self.data), np.intp)
        selected[rows] = 1
        self.Outputs.selected_data.send(self.shown.marked.of_rows(rows))
        self.Outputs.data.send(self.shown.marked.all(selected))

    # ---- the rest of a widget's life

    def _keep_selection(self) -> None:
        if self.shown is None:  # what was saved has not been shown yet
            return
        rows = self.view.selected_rows().tolist()
        self.selected_rows = rows
        self.selected_values = [self.shown.values[row] for row in rows]

    def onDeleteWidget(self) -> None:
        """End what runs, and let go of the processes."""
        self.view.close_images()
        super().onDeleteWidget()

    def sizeHint(self) -> QSize:
        """Room for some rows of images."""
        return QSize(960, 640)

    def send_report(self) -> None:
        """Show the selected images."""
        rows = [] if self.shown is None else self.view.selected_rows().tolist()
        self.report_items(
            "Images",
            [
                ("Image attribute", self.image_used or "none"),
                ("Shown", self.told),
                ("Sorted by", viewer_settings.SORTINGS[self.sorting_used].lower()),
                ("Selected", len(rows)),
            ],
        )
        if rows:
            self.report_raw("Selected images", images_report.pictures(self.view, rows))

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take the settings of the public add-on, and nothing that is broken."""
        viewer_settings.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWImageViewer).run()
