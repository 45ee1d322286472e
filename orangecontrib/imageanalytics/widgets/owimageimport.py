"""The widget Import Images: a folder in, a table of the images in it out."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from AnyQt.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent
from AnyQt.QtWidgets import QFileDialog
from Orange.data import Table
from Orange.widgets.settings import Setting
from Orange.widgets.widget import Msg, Output

from orangecontrib.imageanalytics.sources.regular_file import shown
from orangecontrib.imageanalytics.widgets import workflow_folders
from orangecontrib.imageanalytics.widgets.background import Background
from orangecontrib.imageanalytics.widgets.data_file import workflow_folder
from orangecontrib.imageanalytics.widgets.dropped_folder import dropped_folder
from orangecontrib.imageanalytics.widgets.import_panel import Panel
from orangecontrib.imageanalytics.widgets.import_run import Imported, import_folder
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

#: Files that the report names.
_REPORTED = 100


class OWImportImages(Background):
    """Makes a table of the images in a folder and in the folders in it."""

    name = "Import Images"
    description = "Make a table of the images in a folder."
    keywords = "import images, image, picture, photo, folder, read, load, open"
    icon = "icons/ImportImages.svg"
    category = "Image Analytics"
    priority = 110

    class Outputs:
        data = Output("Data", Table, default=True)

    class Error(Background.Error):
        vanished = Msg(
            "There is no folder {}. It may have been moved, renamed or deleted, or its drive is "
            "not connected: choose it where it is now, or press Reload when it is back."
        )
        not_a_folder = Msg("{} is a file. Choose the folder that it is in.")
        not_readable = Msg("The folder {} cannot be read: {}.")
        no_memory = Msg("There is not enough memory for a table of so many images.")
        unexpected = Msg("Looking through the folder failed unexpectedly: {}")

    class Warning(Background.Warning):
        no_images = Msg("There are no images in this folder.")
        left_out = Msg("{} left out, because they cannot be read: {}")

    class Information(Background.Information):
        cancelled = Msg("Cancelled. Reload looks through the folder again.")
        paged = Msg("{} of several pages: the first page of each is used.")

    want_main_area = False
    settings_version = 2
    nothing = "No images."

    # What the workflow keeps, see `workflow_folders.stored`; where that is now is `current`.
    folder: str | None = Setting(None, schema_only=True)

    def __init__(self) -> None:
        super().__init__()
        self.imported: Imported | None = None
        self.current: str | None = None
        self.panel = Panel(self)
        self.panel.folder.activated.connect(self._folder_activated)
        self.panel.choose.clicked.connect(self._ask_for_folder)
        self.panel.reload.clicked.connect(self.reload)
        self.workflow_moved.connect(self._workflow_moved)
        self.setAcceptDrops(True)
        self.reload()

    # ---- which folder

    def open_folder(self, folder: str) -> None:
        """Take another folder and look through it.

        Parameters
        ----------
        folder : str
            Its absolute path.
        """
        self._keep(folder)
        self.reload()

    def _keep(self, folder: str) -> None:
        self.current = folder
        self.folder = workflow_folders.stored(folder, workflow_folder(self))
        user_settings().remember_folder(folder)

    def _workflow_moved(self, basedir: str | None, before: str | None) -> None:
        """Keep the folder relative to the place where the workflow is being saved."""
        if self.folder is not None:
            known = [self.current] if self.current else []
            known += workflow_folders.candidates(self.folder, before)
            if known:
                self.folder = workflow_folders.stored(known[0], basedir or None)

    def _folder_activated(self, index: int) -> None:
        self.open_folder(self.panel.folder.itemData(index))

    def _ask_for_folder(self) -> None:
        start = self.current or str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Choose a Folder of Images", start)
        if folder:
            self.open_folder(str(Path(folder)))

    # ---- dropping a folder on the window

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Let a folder come in."""
        if dropped_folder(event.mimeData()) is not None:
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Let a folder be dropped anywhere."""
        event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take the folder."""
        folder = dropped_folder(event.mimeData())
        if folder is not None:
            event.acceptProposedAction()
            self.open_folder(folder)

    # ---- running

    def reload(self) -> None:
        """Look through the folder, whatever was found before."""
        self.cancel()
        self.Error.clear()
        self.Warning.clear()
        self.Information.clear()
        self._show(None)
        self.panel.reload.setEnabled(self.folder is not None)
        if self.folder is None:
            self.panel.list_folders(user_settings().recent_folders, None)
            self.tell("Choose a folder of images, or drop one on this window.")
            return
        if self.current is not None:
            places = [self.current]
        else:
            places = workflow_folders.candidates(self.folder, workflow_folder(self))
        current = places[0] if places else self.folder
        self.panel.list_folders(user_settings().recent_folders, current)
        if not places:
            self.Error.vanished(shown(self.folder))
            self.tell(self.nothing)
            return
        self.tell("Looking through the folder...")
        self.start(import_folder, places)

    def on_done(self, result: Imported) -> None:
        """Send the table."""
        self._keep(result.folder)
        self.panel.list_folders(user_settings().recent_folders, result.folder)
        self._show(result)
        self.tell(f"{result.summary}.")
        paged = result.others.paged
        self.Information.paged(f"{paged} TIFF image{'s' * (paged != 1)}", shown=paged > 0)
        self.Warning.no_images(shown=len(result.table) == 0)
        unreadable = result.others.unreadable
        if unreadable:
            count = "1 folder is" if len(unreadable) == 1 else f"{len(unreadable)} folders are"
            names = ", ".join(shown(name) for name, _ in unreadable[:5])
            self.Warning.left_out(count, names + (", ..." if len(unreadable) > 5 else ""))

    def explain(self, error: Exception) -> bool:
        """Say what is wrong with the folder."""
        folder = shown(str(getattr(error, "filename", None) or self.panel.folder.currentData()))
        if isinstance(error, FileNotFoundError):
            self.Error.vanished(folder)
        elif isinstance(error, NotADirectoryError):
            self.Error.not_a_folder(folder)
        elif isinstance(error, OSError):
            self.Error.not_readable(folder, shown((error.strerror or str(error)).lower()))
        return isinstance(error, OSError)

    def _show(self, imported: Imported | None) -> None:
        self.imported = imported
        table = None if imported is None else imported.table
        self.Outputs.data.send(table if table else None)
        self.panel.list_others(None if imported is None else imported.others)

    # ---- the rest of a widget's life

    def send_report(self) -> None:
        """Say which folder was looked through, and what was found."""
        found = self.imported
        if found is None:
            self.report_paragraph("Images", self.told)
            return
        items = [("Folder", shown(found.folder)), ("Found", found.summary)]
        self.report_items("Images", items)
        if len(found.table):
            self.report_data_brief("Data", found.table)
        if found.others.named:
            names = [f"{shown(name)}: {why}" for name, why in found.others.named[:_REPORTED]]
            more = found.others.count - len(names)
            lines = [html.escape(name) for name in names] + ([f"and {more} more"] if more else [])
            self.report_raw("Other files", "<br/>".join(lines))

    @classmethod
    def migrate_settings(cls, settings: dict[str, Any], version: int | None) -> None:
        """Take the settings of any version, the public add-on's included."""
        workflow_folders.migrate(settings)


if __name__ == "__main__":
    from Orange.widgets.utils.widgetpreview import WidgetPreview

    WidgetPreview(OWImportImages).run()
