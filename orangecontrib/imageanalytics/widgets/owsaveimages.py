"""The widget Save Images: a table of pictures in, files in a folder out."""

from __future__ import annotations

import html
import uuid
from pathlib import Path
from typing import Any

from AnyQt.QtWidgets import QFileDialog
from Orange.data import Table, Variable
from Orange.widgets.settings import Setting
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics import models, tables
from orangecontrib.imageanalytics.decoding.fit import Fit, Squash, Within
from orangecontrib.imageanalytics.saving import AS_IT_IS, FORMATS
from orangecontrib.imageanalytics.sources import shown
from orangecontrib.imageanalytics.widgets import saving_settings
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.saving_panel import (
    FULL,
    SQUASHED,
    WITHIN,
    Panel,
)
from orangecontrib.imageanalytics.widgets.saving_run import Finished, Request, save
from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import NOT_FETCHED, agree, ask

#: A column of more values makes no menu of folders: it would be one for each picture.
_MOST_SUBFOLDERS = 1000


class OWSaveImages(Background):
    """Saves the pictures of a table into a folder, and touches nothing that is there."""

    name = "Save Images"
    description = "Save the images of a table into a folder."
    keywords = "save images, save, images, export, image, picture, photo, folder, convert, resize"
    icon = "icons/SaveImages.svg"
    category = "Image Analytics"
    priority = 120

    class Inputs:
        data = Input("Data", Table)

    class Outputs:
        saved_images = Output("Saved Images", Table)

    class Error(Background.Error):
        no_image_attribute = Msg(
            "The data has no column of images: it must be a text or categorical meta attribute."
        )
        no_such_model = Msg("There is no network {} here. Choose another one under 'Network'.")
        stopped = Msg("{}")

    class Warning(Background.Warning):
        no_folder = Msg("Choose the folder to save into.")
        not_chosen = Msg(
            "On this computer you have not chosen yet to save into {}. Press Save, or choose "
            "another folder; after that it is saved automatically."
        )
        no_pictures_folder = Msg(
            "It is not known which folder images are in: their names do not say it. Choose it "
            "under 'Pictures in folder'."
        )
        skipped = Msg("{}")
        web = Msg(NOT_FETCHED)

    class Information(Background.Information):
        cancelled = Msg("Cancelled. What was saved stays: Save goes on from there.")

    want_main_area = False
    settings_version = 2  # the public add-on has used none and 1
    nothing = "Nothing was saved."

    attribute: str | None = Setting(None)
    attribute_index: int | None = Setting(None, schema_only=True)
    #: None is the class, if there is one.
    subfolders: str | None = Setting(None)
    by_subfolders: bool = Setting(True)
    format: str = Setting(AS_IT_IS)
    sizing: str = Setting(FULL)
    pixels: int = Setting(1024)
    model: str = Setting(models.DEFAULT)
    dirname: str = Setting("", schema_only=True)
    auto_save: bool = Setting(False)
    pictures_folder: str | None = Setting(None, schema_only=True)
    #: By which this computer knows that its user has chosen the folder in this workflow.
    folder_key: str = Setting("", schema_only=True)

    def __init__(self) -> None:
        super().__init__()
        self.data: Table | None = None
        self.finished: Finished | None = None
        self.panel = panel = Panel(self)
        panel.automatically.setChecked(self.auto_save)
        for menu, value in (
            (panel.format, self.format),
            (panel.size, self.sizing),
            (panel.model, self.model),
        ):
            menu.setCurrentIndex(menu.findData(value))
        panel.pixels.setValue(self.pixels)
        panel.show_sizes(self.sizing)
        panel.show_folder(self.dirname)
        panel.attribute.activated.connect(self._attribute_chosen)
        panel.subfolders.activated.connect(self._subfolders_chosen)
        for menu in (panel.format, panel.size, panel.model):
            menu.activated.connect(self._files_chosen)
        panel.pixels.valueChanged.connect(self._files_chosen)
        panel.pictures.changed.connect(self._inputs_changed)
        panel.choose.clicked.connect(self.ask_for_folder)
        panel.automatically.toggled.connect(self._automatically_toggled)
        panel.save.clicked.connect(self.save)
        panel.fetch.clicked.connect(self._agree_to_fetch)
        self.tell("No data.")

    # ---- what goes in

    @Inputs.data
    @check_sql_input
    def set_data(self, data: Table | None) -> None:
        """Take a table; a run on another one ends."""
        self.data = data
        columns = [] if data is None else tables.image_columns(data)
        self.Error.no_image_attribute(shown=data is not None and not columns)
        self.panel.show_columns(columns, self.attribute_used)
        folders = self._folder_columns()
        self.panel.show_subfolders(folders, self.subfolders_used)
        self._inputs_changed()

    @property
    def attribute_used(self) -> str | None:
        """The column of images: the saved one if it is there, else the likeliest one."""
        return tables.image_column(self.data, self.attribute, self.attribute_index)

    @property
    def subfolders_used(self) -> str | None:
        """The column whose values are folders: the saved one, else the class, if wanted at all."""
        if self.data is None or not self.by_subfolders:
            return None
        names = [column.name for column in self._folder_columns()]
        if self.subfolders in names:
            return self.subfolders
        own = self.data.domain.class_var
        return own.name if own is not None and own.name in names else None

    def _folder_columns(self) -> list[Variable]:
        if self.data is None:
            return []
        domain = self.data.domain
        return [
            column
            for column in (*domain.class_vars, *domain.metas, *domain.attributes)
            if column.is_discrete and len(column.values) <= _MOST_SUBFOLDERS
        ]

    def _attribute_chosen(self) -> None:
        self.attribute = self.panel.attribute.currentData()
        self.attribute_index = None
        self._inputs_changed()

    def _subfolders_chosen(self) -> None:
        self.subfolders = self.panel.subfolders.currentData()
        self.by_subfolders = self.subfolders is not None
        self._inputs_changed()

    def _files_chosen(self) -> None:
        panel = self.panel
        self.format = panel.format.currentData()
        self.sizing = panel.size.currentData()
        self.model = panel.model.currentData() or self.model
        self.pixels = panel.pixels.value()
        panel.show_sizes(self.sizing)
        self._inputs_changed()

    # ---- where to

    def ask_for_folder(self) -> None:
        """Let the user choose the folder; it may be a new one, and one that is not empty."""
        start = self.dirname or str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Choose the Folder to Save into", start)
        if folder:
            self._choose(str(Path(folder)))
            self._inputs_changed()

    def _choose(self, folder: str) -> None:
        self.dirname = folder
        self.folder_key = self.folder_key or uuid.uuid4().hex
        user_settings().chose_for_saving(folder, self.folder_key)
        self.panel.show_folder(folder)

    @property
    def is_chosen(self) -> bool:
        """Whether the user has chosen the folder in this workflow on this computer."""
        return user_settings().may_save_into(self.dirname, self.folder_key)

    # ---- when to run

    def _inputs_changed(self) -> None:
        """End what runs; begin anew if that is wanted and was agreed to."""
        self.cancel()
        self._clear_outcome()
        panel = self.panel
        panel.pictures.show_data(self.data, self.attribute_used)
        self.Warning.no_pictures_folder(shown=panel.pictures.is_missing)
        self.Outputs.saved_images.send(None)
        is_lost = self.sizing == SQUASHED and panel.model.currentData() is None
        self.Error.no_such_model(self.model, shown=is_lost)
        ready = bool(self.data) and self.attribute_used is not None and not is_lost
        panel.save.setEnabled(ready)
        self.Warning.no_folder(shown=ready and self.auto_save and not self.dirname)
        if not ready:
            self.tell("No data." if not self.data else self.nothing)
        elif self.auto_save and self.dirname:
            if self.is_chosen:
                self._run()
                return
            self.Warning.not_chosen(shown(self.dirname))
            self.tell("Waiting for Save to be pressed.")
        else:
            count = 0 if self.data is None else len(self.data)
            self.tell(f"{count} image{'s' * (count != 1)}: press Save.")

    def save(self) -> None:
        """Save now, as the user wants; ask for the folder if there is none."""
        if not self.dirname:
            self.ask_for_folder()
            if not self.dirname or self.is_running:
                return
        self._choose(self.dirname)
        self.cancel()
        self._clear_outcome()
        self._run()

    def _automatically_toggled(self, automatically: bool) -> None:
        self.auto_save = automatically
        if automatically and self.finished is None and not self.is_running:
            self._inputs_changed()

    def _agree_to_fetch(self) -> None:
        assert self.finished is not None
        agree(self.finished.unasked)
        self.save()

    def _run(self) -> None:
        attribute = self.attribute_used
        if not self.data or attribute is None:
            return
        self.tell("Starting...")
        self.start(
            save,
            Request(
                self.data,
                attribute,
                self.dirname,
                self.format,
                self._fit(),
                self.subfolders_used,
                self.panel.pictures.folder,
            ),
        )

    def _fit(self) -> Fit | None:
        if self.sizing == WITHIN:
            return Within(self.pixels)
        if self.sizing == SQUASHED:
            return Squash(*models.get(self.model).input_size)
        return None

    # ---- what comes out

    def on_done(self, result: Finished) -> None:
        """Send the table, and say what came of it."""
        self.finished = result
        self.Outputs.saved_images.send(result.table)
        self.tell(f"{result.summary}.")
        self.Warning.skipped(f"{result.summary}.", shown=bool(result.reasons))
        self.Error.stopped(f"{result.stopped} {result.summary}.", shown=bool(result.stopped))
        ask(self.Warning.web, self.panel.fetch, result.unasked)

    def _clear_outcome(self) -> None:
        self.finished = None
        self.clear_run_messages()
        for message in (
            self.Error.stopped,
            self.Warning.no_folder,
            self.Warning.not_chosen,
            self.Warning.skipped,
            self.Warning.web,
        ):
            message.clear()
        self.panel.fetch.hide()

    def send_report(self) -> None:
        """Say what was saved where, and what was not and why."""
        done = self.finished
        if done is None:
            self.report_paragraph("Images", self.told)
            return
        format = "as it is" if self.format == AS_IT_IS else FORMATS[self.format].title
        self.report_items(
            "Images",
            [
                ("Folder", shown(done.request.folder)),
                ("Format", format),
                ("Size", self.panel.size.currentText()),
                ("Outcome", done.summary),
            ],
        )
        if done.examples:
            lines = [html.escape(f"{name}: {why}") for name, why in done.examples]
            more = done.reasons.total() - len(lines)
            self.report_raw("Not saved", "<br/>".join(lines + [f"and {more} more"] * (more > 0)))

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take the settings of any version, the public add-on's included."""
        saving_settings.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWSaveImages).run()
