"""The widget Image Grid: the images of a table, alike ones side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from AnyQt.QtCore import QSize, Qt, QTimer
from numpy.typing import NDArray
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics import tables
from orangecontrib.imageanalytics.widgets import (
    grid_columns,
    grid_groups,
    grid_marks,
    grid_report,
    grid_settings,
    images_loader,
)
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.grid_columns import Choice
from orangecontrib.imageanalytics.widgets.grid_marks import Marks
from orangecontrib.imageanalytics.widgets.grid_panel import Panel
from orangecontrib.imageanalytics.widgets.grid_references import References
from orangecontrib.imageanalytics.widgets.grid_run import (
    Alike,
    Arranged,
    Compared,
    Request,
    Selection,
    arrange,
    assign_anew,
    compare,
    find_alike,
    grid_for,
    read_labels,
)
from orangecontrib.imageanalytics.widgets.grid_settings import GRID
from orangecontrib.imageanalytics.widgets.grid_stage import Stage
from orangecontrib.imageanalytics.widgets.grid_subset import within
from orangecontrib.imageanalytics.widgets.images_saving import WRITERS, Drawing, to_clipboard
from orangecontrib.imageanalytics.widgets.images_view import ImagesView
from orangecontrib.imageanalytics.widgets.marked_tables import MarkedTables
from orangecontrib.imageanalytics.widgets.web_consent import NOT_FETCHED, agree, ask


class OWImageGrid(Background):
    """Arranges images on a grid, so that alike ones lie side by side, and sends on a selection."""

    name = "Image Grid"
    description = "See the images of a table with alike ones side by side."
    keywords = "image grid, image, grid, similarity"
    icon = "icons/ImageGrid.svg"
    category = "Image Analytics"
    priority = 160

    class Inputs:
        data = Input("Embeddings", Table, default=True)
        data_subset = Input("Data Subset", Table)
        references = Input("Reference Images", Table)

    class Outputs:
        selected_data = Output("Selected Images", Table, default=True)
        data = Output("Images", Table)

    class Error(Background.Error):
        no_image_attribute = Msg(
            "The data has no column of images: it must be a text or categorical meta attribute."
        )
        no_decoder = Msg("{}")

    class Warning(Background.Warning):
        no_images = Msg("There is no image: all values of '{}' are missing.")
        no_folder = Msg(
            "It is not known which folder images are in: their names do not say it. Choose it "
            "under 'Pictures in folder'."
        )
        web = Msg(NOT_FETCHED)
        incompatible_subset = Msg("No row of the data subset is in the data.")
        extras_in_subset = Msg("{} of the rows of the data subset are not in the data.")
        other_references = Msg(
            "The reference images have no embedding by the same network. Send them through Image "
            "Embedding with the embedder that the data has."
        )

    class Information(Background.Information):
        cancelled = Msg("Cancelled: pictures lie as they did so far.")

    graph_name = "graph"
    graph_writers = WRITERS
    settings_version = 2  # above all that the public add-on has used
    nothing = "No arrangement."

    image_attribute: str | None = Setting(None)
    attribute_index: int | None = Setting(None, schema_only=True)
    label_attribute: str | None = Setting(None)
    frame_attribute: str | None = Setting(None)
    shown_as: str = Setting(GRID)
    method: str = Setting("t-SNE")
    automatic_size: bool = Setting(True)
    columns: int = Setting(10)
    rows: int = Setting(10)
    crop: bool = Setting(False)
    fits_window: bool = Setting(True)
    image_size: int = Setting(100)
    map_size: int = Setting(32)
    most_alike: int = Setting(10)
    auto_commit: bool = Setting(True)
    pictures_folder: str | None = Setting(None, schema_only=True)  # see `workflow_folders.stored`
    # What was selected when the workflow was saved: by row, by value, and in which group.
    selected_rows: list[int] = Setting([], schema_only=True)
    selected_values: list[str] = Setting([], schema_only=True)
    selected_groups: list[int] = Setting([], schema_only=True)

    def __init__(self) -> None:
        super().__init__()
        self.data: Table | None = None
        self.subset: Table | None = None
        self.arranged: Arranged | None = None
        self.references = References()
        self.view = ImagesView()
        self.view.set_picking(True)
        self.mainArea.layout().addWidget(self.view)
        self.panel = Panel(self)
        self.stage = Stage(self.view, self.panel, self)
        gui.auto_commit(self.buttonsArea, self, "auto_commit", "&Send")
        self._show_settings()
        self._connect()
        self._show_data()

    def _show_settings(self) -> None:
        panel = self.panel
        panel.method.setCurrentIndex(panel.method.findData(self.method))
        panel.show_size(self.columns, self.rows)
        panel.alike.setValue(self.most_alike)

    def _connect(self) -> None:
        panel, view = self.panel, self.view
        panel.image.activated.connect(self._image_chosen)
        panel.label.activated.connect(self._label_chosen)
        panel.frame.activated.connect(self._frame_chosen)
        panel.method.activated.connect(self._method_chosen)
        panel.columns.valueChanged.connect(self._columns_chosen)
        panel.rows.valueChanged.connect(self._rows_chosen)
        panel.automatic.clicked.connect(self._set_automatically)
        panel.alike.valueChanged.connect(self._most_alike_chosen)
        panel.select.clicked.connect(self._select_alike)
        panel.pictures.changed.connect(self._folder_changed)
        panel.fetch.clicked.connect(self._agree_to_fetch)
        view.picked.connect(self._picked)
        view.selected.connect(self._view_selected)
        view.more_like_this.connect(self._select_like_these)
        view.failed.connect(self.Error.no_decoder)
        self.settingsAboutToBePacked.connect(self._keep_selection)

    @property
    def graph(self) -> Drawing | None:
        """What *Save image* saves: all that is arranged."""
        return Drawing(self, self.stage.sheet) if self._count else None

    def copy_to_clipboard(self) -> None:
        """Copy all that is arranged."""
        if (drawing := self.graph) is not None:
            to_clipboard(drawing)

    @property
    def groups(self) -> NDArray[np.intp]:
        """In which group of the selection each row is; 0 is none."""
        return self.stage.marks.groups

    # ---- what goes in

    @Inputs.data
    @check_sql_input
    def set_data(self, data: Table | None) -> None:
        """Take a table; what was selected in the one before stays so, if it is in this one."""
        self._keep_selection()
        self.data = data
        self.Error.clear()
        self.Warning.clear()
        self.Information.clear()
        self._clear_images()
        self._show_data()
        self._begin()

    @Inputs.data_subset
    def set_subset(self, subset: Table | None) -> None:
        """Take the rows that are not dimmed."""
        self.subset = subset

    @Inputs.references
    @check_sql_input
    def set_references(self, references: Table | None) -> None:
        """Take images that the others are compared with."""
        self.references.take(references)
        self.panel.references.setVisible(self.references.table is not None)
        self._show_alike()
        self._compare()

    def handleNewSignals(self) -> None:
        """Look for the subset in the data, when both are there."""
        self._show_subset()

    @property
    def images(self) -> Choice:
        """The columns of images, and the one that is used."""
        return grid_columns.images(self.data, self.image_attribute, self.attribute_index)

    @property
    def labels(self) -> Choice:
        """The columns of labels, and the one that is used."""
        return grid_columns.labels(self.data, self.label_attribute)

    @property
    def frames(self) -> Choice:
        """The columns whose colours can frame images, and the one that is used."""
        return grid_columns.frames(self.data, self.frame_attribute)

    def _show_data(self) -> None:
        images = self.images
        self.panel.show_columns(images, self.labels, self.frames)
        self.panel.pictures.show_data(self.data, images.used)
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)
        self.Error.no_image_attribute(shown=self.data is not None and not images.columns)

    def _show_frames(self) -> None:
        categories, colours = None, ()
        if self.data is not None and (frame := self.frames.used) is not None:
            categories, colours = grid_marks.categories(self.data, frame)
        self._change_marks(categories=categories, colours=colours)

    def _show_subset(self) -> None:
        in_subset, missing, image = None, 0, self.images.used
        if self.data and self.subset and image is not None:
            in_subset, missing = within(self.data, self.subset, image)
        none = in_subset is not None and not in_subset.any()
        self.Warning.incompatible_subset(shown=none)
        self.Warning.extras_in_subset(missing, shown=bool(missing) and not none)
        self._change_marks(in_subset=in_subset)

    def _change_marks(self, **changes: Any) -> None:
        self.stage.set_marks(replace(self.stage.marks, **changes))

    # ---- what the user chooses

    def _image_chosen(self) -> None:
        self.image_attribute = self.panel.image.currentData()
        self.attribute_index = None
        self.panel.pictures.show_data(self.data, self.images.used)
        self._folder_changed()
        self._show_subset()

    def _label_chosen(self) -> None:
        self.label_attribute = self.panel.label.currentData()
        if self.arranged is not None and self.arranged.is_last:
            self.start(read_labels, self._request(), self.arranged)
        else:
            self._begin()

    def _frame_chosen(self) -> None:
        self.frame_attribute = self.panel.frame.currentData()
        self._show_frames()

    def _method_chosen(self) -> None:
        self.method = self.panel.method.currentData()
        self._begin()

    def _folder_changed(self) -> None:
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)
        self._keep_selection()
        self._clear_images()
        self._begin()

    def _columns_chosen(self, columns: int) -> None:
        self.columns = columns
        self.rows = grid_for(self._count, (columns, 1)).rows
        self._size_chosen(automatic=False)

    def _rows_chosen(self, rows: int) -> None:
        self.rows = rows
        self.columns = max(self.panel.columns.value(), -(-self._count // rows))
        self._size_chosen(automatic=False)

    def _set_automatically(self) -> None:
        self._size_chosen(automatic=True)

    def _size_chosen(self, *, automatic: bool) -> None:
        self.automatic_size = automatic
        if self.arranged is None or not self.arranged.is_last:
            self._begin()
            return
        grid = grid_for(self._count, self._size_wanted)
        self.panel.show_size(grid.columns, grid.rows)
        self.start(assign_anew, self.arranged, grid)

    @property
    def _size_wanted(self) -> tuple[int, int] | None:
        return None if self.automatic_size else (self.columns, self.rows)

    @property
    def _count(self) -> int:
        return 0 if self.arranged is None else len(self.arranged.points)

    def _agree_to_fetch(self) -> None:
        assert self.arranged is not None
        ask(self.Warning.web, self.panel.fetch, agree(self.arranged.shown.unasked))
        images_loader.look_for_consent()
        self.view.retry()

    # ---- running

    def _clear_images(self) -> None:
        """Show nothing: what was there is of other data."""
        self.cancel()
        self.arranged = None
        self.references.forget()
        self.stage.clear()
        self.panel.fetch.hide()

    def _begin(self) -> None:
        """Arrange anew; pictures that are there stay where they are until it is done."""
        if not self.data or self.images.used is None:
            self._say_what_is_there()
            self._send()
            return
        self.tell("Starting...")
        self.start(arrange, self._request())

    def _request(self) -> Request:
        image = self.images.used
        assert self.data is not None and image is not None
        return Request(
            self.data,
            image,
            self.labels.used,
            self.panel.pictures.folder,
            self.method,
            self._size_wanted,
            Selection(self.selected_rows, self.selected_values, self.selected_groups),
        )

    def on_partial_result(self, result: Arranged) -> None:
        """Show the first arrangement, if there is none yet."""
        if self.arranged is None:
            self._show_images(result)
            self._show_arrangement(result)
            self.commit.now()

    def on_done(self, result: Arranged | Alike | Compared) -> None:
        """Show the last arrangement in the place of the first one, or what is alike."""
        if isinstance(result, Alike):
            self._select_alone(result.rows)
        elif isinstance(result, Compared):
            self.references.learn(result)
            self._show_alike()
        else:
            if self.arranged is None:  # there are no images
                self._show_images(result)
                self.commit.now()
            self._show_arrangement(result)
        self._say_what_is_there()
        self._compare_later()

    def on_cancelled(self) -> None:
        """Send what there is, if nothing was sent yet."""
        if self.arranged is None:
            self._send()
        self._compare_later()

    def on_exception(self, ex: Exception) -> None:
        """Say what ended the run; the outputs are those of the data all the same."""
        super().on_exception(ex)
        if self.arranged is None:
            self._send()

    def _show_images(self, result: Arranged) -> None:
        shown = result.shown
        self.stage.show(result, Marks(result.groups))
        self._show_frames()
        self._show_subset()
        self.view.select_rows(np.flatnonzero(self.groups))
        ask(self.Warning.web, self.panel.fetch, shown.unasked)
        self.Warning.no_images(self.images.used, shown=not len(shown.order))

    def _show_arrangement(self, result: Arranged) -> None:
        """Move pictures to where they belong, and not what is in sight."""
        self.arranged = result
        self.stage.move(result, titles=self.labels.used is not None)
        self.panel.show_size(result.grid.columns, result.grid.rows)
        if result.is_last:
            has_embedding = bool(self.data) and bool(tables.embedding_columns(self.data))
            self.view.set_similarity(has_embedding)

    def _say_what_is_there(self) -> None:
        if self.arranged is None:
            self.tell("No data." if not self.data else "No images.")
            return
        count, missing = self._count, len(self.arranged.shown.values) - self._count
        parts = [f"{count} image{'' if count == 1 else 's'}"]
        if missing:
            parts.append(f"{missing} missing")
        if selected := int((self.groups > 0).sum()):
            parts.append(f"{selected} selected")
        self.tell(", ".join(parts))

    # ---- what is like other images

    def _compare(self) -> None:
        """Compare the images with the references, if they are there and nothing else runs."""
        if self.references.is_pending and self.arranged is not None and self.task is None:
            self.start(compare, self.data, self.arranged.shown.order, self.references.table)

    def _compare_later(self) -> None:
        """Compare as soon as the run has ended that is about to: none begins before."""
        if self.references.is_pending:
            QTimer.singleShot(0, self._compare)

    def _show_alike(self) -> None:
        self.Warning.other_references(shown=self.references.is_unlike)
        ranks = self.references.ranks(self.most_alike, len(self.data or ()))
        self._change_marks(ranks=ranks)
        self.panel.select.setEnabled(ranks is not None)

    def _most_alike_chosen(self, number: int) -> None:
        self.most_alike = number
        self._show_alike()

    def _select_alike(self) -> None:
        self._select_alone(self.references.rows(self.most_alike))

    def _select_like_these(self, rows: list[int]) -> None:
        if self.arranged is not None and self.data is not None:
            chosen = np.array(rows, np.intp)
            self.start(find_alike, self.data, self.arranged.shown.order, chosen)

    # ---- what is selected

    def _picked(self, rows: NDArray[np.intp], modifiers: Any) -> None:
        self._select(grid_groups.picked(self.groups, rows, modifiers))

    def _select_alone(self, rows: NDArray[np.intp]) -> None:
        self._picked(rows, Qt.KeyboardModifier.NoModifier)

    def _view_selected(self) -> None:
        """Take over what the view's own keys have selected, such as Ctrl+A."""
        rows = self.view.selected_rows()
        if not np.array_equal(rows, np.flatnonzero(self.groups)):
            self._select_alone(rows)

    def _select(self, groups: NDArray[np.intp]) -> None:
        self._change_marks(groups=groups)
        self.view.select_rows(np.flatnonzero(groups))
        if self.task is None:
            self._say_what_is_there()
        self.commit.deferred()

    # ---- what comes out

    @gui.deferred
    def commit(self) -> None:
        """Send the selected rows with their groups, and all with a mark."""
        self._send()

    def _send(self) -> None:
        if self.arranged is None:
            self.Outputs.selected_data.send(None)
            self.Outputs.data.send(self.data and MarkedTables(self.data).none_selected())
            return
        marked = self.arranged.shown.marked
        self.Outputs.selected_data.send(marked.selected(self.groups))
        self.Outputs.data.send(marked.all(self.groups))

    # ---- the rest of a widget's life

    def _keep_selection(self) -> None:
        if self.arranged is None:  # what was saved has not been shown yet
            return
        rows = np.flatnonzero(self.groups).tolist()
        self.selected_rows = rows
        self.selected_values = [self.arranged.shown.values[row] for row in rows]
        self.selected_groups = self.groups[rows].tolist()

    def onDeleteWidget(self) -> None:
        """End what runs, and let go of the processes."""
        self.references.take(None)  # nothing is begun any more
        self.view.close_images()
        super().onDeleteWidget()

    def sizeHint(self) -> QSize:
        """Room for a grid that can be looked at."""
        return QSize(1000, 700)

    def send_report(self) -> None:
        """Show how pictures are arranged, and the selected ones."""
        grid_report.write(self)

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take the settings of the public add-on, and nothing that is broken."""
        grid_settings.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWImageGrid).run()
