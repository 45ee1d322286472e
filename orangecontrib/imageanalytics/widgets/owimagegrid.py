"""The widget Image Grid: the images of a table, alike ones side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from AnyQt.QtCore import QEvent, QObject, QSize, Qt
from AnyQt.QtGui import QColor
from AnyQt.QtWidgets import QWidget
from numpy.typing import NDArray
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.colorpalettes import LimitedDiscretePalette
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics import tables
from orangecontrib.imageanalytics.widgets import (
    grid_groups,
    grid_settings,
    images_loader,
    images_report,
)
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.grid_panel import Panel
from orangecontrib.imageanalytics.widgets.grid_run import (
    Alike,
    Arranged,
    Request,
    Selection,
    arrange,
    assign_anew,
    find_alike,
    grid_for,
    read_labels,
)
from orangecontrib.imageanalytics.widgets.grid_subset import within
from orangecontrib.imageanalytics.widgets.images_layout import UniformGrid
from orangecontrib.imageanalytics.widgets.images_painter import MARGIN
from orangecontrib.imageanalytics.widgets.images_view import SMALLEST, ImagesView, Mark
from orangecontrib.imageanalytics.widgets.marked_tables import MarkedTables
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import NOT_FETCHED, named

_NONE = np.empty(0, np.intp)
_NO_KEY = Qt.KeyboardModifier.NoModifier


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

    class Information(Background.Information):
        cancelled = Msg("Cancelled: pictures lie as they did so far.")

    graph_name = "graph"
    settings_version = 2  # above all that the public add-on has used
    nothing = "No arrangement."

    image_attribute: str | None = Setting(None)
    attribute_index: int | None = Setting(None, schema_only=True)
    label_attribute: str | None = Setting(None)
    frame_attribute: str | None = Setting(None)
    method: str = Setting("t-SNE")
    automatic_size: bool = Setting(True)
    columns: int = Setting(10)
    rows: int = Setting(10)
    crop: bool = Setting(False)
    fits_window: bool = Setting(True)
    image_size: int = Setting(100)
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
        self.groups: NDArray[np.intp] = _NONE
        self._in_subset: NDArray[np.bool_] | None = None
        self._frames: NDArray[np.floating] | None = None
        self._colours: list[QColor] = []
        self._group_colours: list[QColor] = []  # if there are several groups
        self.view = ImagesView()
        self.view.set_picking(True)
        self.view.set_marks(self._mark)
        self.mainArea.layout().addWidget(self.view)
        self.panel = Panel(self)
        gui.auto_commit(self.buttonsArea, self, "auto_commit", "&Send")
        self._show_settings()
        self._connect()
        self._show_data()

    def _show_settings(self) -> None:
        panel = self.panel
        panel.method.setCurrentIndex(panel.method.findData(self.method))
        panel.show_size(self.columns, self.rows)
        panel.show_image_size(self.image_size)
        panel.crop.setChecked(self.crop)
        panel.fits.setChecked(self.fits_window)
        self.view.set_look(size=self.image_size, fills=self.crop, titles=False)

    def _connect(self) -> None:
        panel, view = self.panel, self.view
        panel.image.activated.connect(self._image_chosen)
        panel.label.activated.connect(self._label_chosen)
        panel.frame.activated.connect(self._frame_chosen)
        panel.method.activated.connect(self._method_chosen)
        panel.columns.valueChanged.connect(self._columns_chosen)
        panel.rows.valueChanged.connect(self._rows_chosen)
        panel.automatic.clicked.connect(self._set_automatically)
        panel.size.valueChanged.connect(self._image_size_chosen)
        panel.fits.toggled.connect(self._fit_toggled)
        panel.crop.toggled.connect(self._crop_toggled)
        panel.pictures.changed.connect(self._folder_changed)
        panel.fetch.clicked.connect(self._agree_to_fetch)
        view.zoomed.connect(self._zoomed)
        view.picked.connect(self._picked)
        view.selected.connect(self._view_selected)
        view.more_like_this.connect(self._select_like_these)
        view.failed.connect(self.Error.no_decoder)
        view.viewport().installEventFilter(self)
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

    def handleNewSignals(self) -> None:
        """Look for the subset in the data, when both are there."""
        self._show_subset()

    @property
    def image_used(self) -> str | None:
        """The column of images: the saved one if it is there, else the likeliest one."""
        return tables.image_column(self.data, self.image_attribute, self.attribute_index)

    @property
    def label_used(self) -> str | None:
        """The column of labels, if the saved one is there."""
        return self._if_there(self.label_attribute, self._label_columns())

    @property
    def frame_used(self) -> str | None:
        """The column whose colours frame the images, if the saved one is there."""
        return self._if_there(self.frame_attribute, self._frame_columns())

    @staticmethod
    def _if_there(name: str | None, columns: list[Variable]) -> str | None:
        return name if name in [column.name for column in columns] else None

    def _label_columns(self) -> list[Variable]:
        if self.data is None:
            return []
        domain = self.data.domain
        columns = (*domain.class_vars, *domain.metas, *domain.attributes)
        return [column for column in columns if not column.attributes.get("hidden")]

    def _frame_columns(self) -> list[Variable]:
        return [column for column in self._label_columns() if column.is_discrete]

    def _show_data(self) -> None:
        images = [] if self.data is None else tables.image_columns(self.data)
        self.panel.show_columns(
            (images, self.image_used),
            (self._label_columns(), self.label_used),
            (self._frame_columns(), self.frame_used),
        )
        self._show_frames()
        self.panel.pictures.show_data(self.data, self.image_used)
        self.Warning.no_folder(shown=self.panel.pictures.is_missing)
        self.Error.no_image_attribute(shown=self.data is not None and not images)

    def _show_frames(self) -> None:
        self._frames, self._colours = None, []
        if self.data is not None and self.frame_used is not None:
            column = self.data.domain[self.frame_used]
            self._frames = self.data.get_column(column)
            self._colours = [QColor(*rgb) for rgb in np.asarray(column.colors).tolist()]
        self.view.refresh()

    def _show_subset(self) -> None:
        self._in_subset = None
        missing = 0
        if self.data and self.subset and self.image_used is not None:
            self._in_subset, missing = within(self.data, self.subset, self.image_used)
        none = self._in_subset is not None and not self._in_subset.any()
        self.Warning.incompatible_subset(shown=none)
        self.Warning.extras_in_subset(missing, shown=bool(missing) and not none)
        self.view.refresh()

    # ---- what the user chooses

    def _image_chosen(self) -> None:
        self.image_attribute = self.panel.image.currentData()
        self.attribute_index = None
        self.panel.pictures.show_data(self.data, self.image_used)
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
        user_settings().allow_fetching(self.arranged.shown.unasked)
        images_loader.look_for_consent()
        self.Warning.web.clear()
        self.panel.fetch.hide()
        self.view.retry()

    # ---- how large pictures are

    def _image_size_chosen(self, size: int) -> None:
        self.panel.fits.setChecked(False)
        self.image_size = size
        self.view.set_look(size=size)

    def _zoomed(self, size: int) -> None:
        self.panel.show_image_size(size)
        self._image_size_chosen(size)

    def _fit_toggled(self, fits: bool) -> None:
        self.fits_window = fits
        self._fit()

    def _crop_toggled(self, crop: bool) -> None:
        self.crop = crop
        self.view.set_look(fills=crop)

    def _fit(self) -> None:
        """Make pictures as large as fits into the window, if that is wanted."""
        if not self.fits_window or self.arranged is None:
            return
        grid, viewport = self.arranged.grid, self.view.viewport().size()
        look = self.view.look
        text = look.cell(self.view.fontMetrics()).height() - look.size - 2 * MARGIN
        room = min(viewport.width() // grid.columns, viewport.height() // grid.rows - text)
        size = max(SMALLEST, room - 2 * MARGIN)
        self.view.set_look(size=size)
        self.panel.show_image_size(self.view.look.size)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fit pictures into a window that has another size now."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    # ---- running

    def _clear_images(self) -> None:
        """Show nothing: what was there is of other data."""
        self.cancel()
        self.arranged = None
        self.groups = _NONE
        self.view.set_images([])
        self.view.set_arrangement(UniformGrid())  # the other one has cells for what was there
        self.view.set_similarity(False)
        self.panel.fetch.hide()

    def _begin(self) -> None:
        """Arrange anew; pictures that are there stay where they are until it is done."""
        if not self.data or self.image_used is None:
            self._say_what_is_there()
            self._send()
            return
        self.tell("Starting...")
        self.start(arrange, self._request())

    def _request(self) -> Request:
        assert self.data is not None and self.image_used is not None
        return Request(
            self.data,
            self.image_used,
            self.label_used,
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

    def on_done(self, result: Arranged | Alike) -> None:
        """Show the last arrangement in the place of the first one, or select what is alike."""
        if isinstance(result, Alike):
            self._select(grid_groups.picked(self.groups, result.rows, _NO_KEY))
            self._say_what_is_there()
            return
        if self.arranged is None:  # there are no images
            self._show_images(result)
            self.commit.now()
        self._show_arrangement(result)

    def on_cancelled(self) -> None:
        """Send what there is, if nothing was sent yet."""
        if self.arranged is None:
            self._send()

    def on_exception(self, ex: Exception) -> None:
        """Say what ended the run; the outputs are those of the data all the same."""
        super().on_exception(ex)
        if self.arranged is None:
            self._send()

    def _show_images(self, result: Arranged) -> None:
        shown = result.shown
        self.view.set_arrangement(UniformGrid(result.grid.columns, result.cells))
        self.view.set_images(shown.references, shown.titles, shown.order)
        self.view.images.failures.update(shown.failures)
        self.groups = result.groups
        self._show_selection()
        self.Warning.web(named(shown.unasked), shown=bool(shown.unasked))
        self.panel.fetch.setVisible(bool(shown.unasked))
        self.Warning.no_images(self.image_used, shown=not len(shown.order))

    def _show_arrangement(self, result: Arranged) -> None:
        """Move pictures to where they belong, and not what is in sight."""
        self.arranged = result
        bars = self.view.horizontalScrollBar(), self.view.verticalScrollBar()
        before = [bar.value() for bar in bars]
        self.view.images.set_titles(result.shown.titles)
        self.view.set_look(titles=self.label_used is not None)
        self.view.set_arrangement(UniformGrid(result.grid.columns, result.cells))
        self._fit()
        for bar, value in zip(bars, before, strict=True):
            bar.setValue(value)
        self.view.viewport().update()
        self.panel.show_size(result.grid.columns, result.grid.rows)
        if result.is_last:
            has_embedding = bool(self.data) and bool(tables.embedding_columns(self.data))
            self.view.set_similarity(has_embedding)
            self._say_what_is_there()

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

    # ---- what is selected

    def _picked(self, rows: NDArray[np.intp], modifiers: Any) -> None:
        self._select(grid_groups.picked(self.groups, rows, modifiers))

    def _view_selected(self) -> None:
        """Take over what the view's own keys have selected, such as Ctrl+A."""
        rows = self.view.selected_rows()
        if not np.array_equal(rows, np.flatnonzero(self.groups)):
            self._select(grid_groups.picked(self.groups, rows, _NO_KEY))

    def _select(self, groups: NDArray[np.intp]) -> None:
        self.groups = groups
        self._show_selection()
        if self.task is None:
            self._say_what_is_there()
        self.commit.deferred()

    def _show_selection(self) -> None:
        last = int(self.groups.max(initial=0))
        palette = LimitedDiscretePalette(last)
        colours = [palette.value_to_qcolor(group) for group in range(last)]
        self._group_colours = colours if last > 1 else []
        self.view.select_rows(np.flatnonzero(self.groups))
        self.view.refresh()

    def _select_like_these(self, rows: list[int]) -> None:
        if self.arranged is not None and self.data is not None:
            chosen = np.array(rows, np.intp)
            self.start(find_alike, self.data, self.arranged.shown.order, chosen)

    def _mark(self, row: int) -> Mark:
        """Frame a picture in its category's colour, and number it if there are several groups."""
        frame = None
        if self._frames is not None and not np.isnan(self._frames[row]):
            frame = self._colours[int(self._frames[row])]
        badge, group = "", int(self.groups[row]) if row < len(self.groups) else 0
        if group and self._group_colours:
            badge = str(group)
            frame = frame or self._group_colours[group - 1]
        dimmed = self._in_subset is not None and not self._in_subset[row]
        return Mark(frame=frame, badge=badge, dimmed=dimmed)

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
        self.view.close_images()
        super().onDeleteWidget()

    def sizeHint(self) -> QSize:
        """Room for a grid that can be looked at."""
        return QSize(1000, 700)

    def send_report(self) -> None:
        """Show how pictures were arranged, and the selected ones."""
        rows = np.flatnonzero(self.groups).tolist()
        grid = None if self.arranged is None else self.arranged.grid
        self.report_items(
            "Images",
            [
                ("Image attribute", self.image_used or "none"),
                ("Shown", self.told),
                ("Arranged by", self.method),
                ("Grid", "none" if grid is None else f"{grid.columns} × {grid.rows}"),
                ("Selected", len(rows)),
            ],
        )
        if self.arranged is not None:
            self.report_plot("Grid", self.view.viewport())
        if rows:
            self.report_raw("Selected images", images_report.pictures(self.view, rows))

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take the settings of the public add-on, and nothing that is broken."""
        grid_settings.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWImageGrid).run()
