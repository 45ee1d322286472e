"""What can be done with the pictures of a view: its context menu."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from AnyQt.QtCore import QMimeData, QObject, QPoint, QUrl
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QDesktopServices, QImage
from AnyQt.QtWidgets import QApplication, QMenu

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.widgets.images_loader import Loader
from orangecontrib.imageanalytics.widgets.images_selection import Selection

#: Pixels, for the longer side, of a picture that is copied.
_COPIED = 4096

#: What a file must be called to be opened in the system's viewer.
_IMAGES = (
    *(".avif", ".bmp", ".dds", ".gif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg"),
    *(".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".tga", ".tif", ".tiff", ".webp"),
)


class ImagesMenu(QObject):
    """Opens, shows and copies the pictures of a view.

    Parameters
    ----------
    view : Selection
        The view.
    thumbnails : Loader
        What it shows.

    Attributes
    ----------
    has_similarity : bool
        Whether "More like this" is offered.
    """

    #: The current picture is to be seen large.
    previewed = Signal()
    #: The user wants to see what is like these rows.
    more_like_this = Signal(object)

    def __init__(self, view: Selection, thumbnails: Loader) -> None:
        super().__init__(view)
        self._view = view
        self._thumbnails = thumbnails
        self.has_similarity = False
        self._copying: Loader | None = None

    def popup(self, at: QPoint) -> None:
        """Show the menu for the current picture."""
        menu = self.make()
        menu.popup(at)

    def make(self) -> QMenu:
        """Make the menu for the current picture and those selected."""
        view = self._view
        menu = QMenu(view)
        menu.aboutToHide.connect(menu.deleteLater)
        row = view.current_row()
        is_there = row is not None
        for text, do, enabled in (
            ("&Preview\tSpace", self.previewed.emit, is_there),
            ("&Open in the System's Viewer", self.open, is_there and self._may_open(row)),
            ("Show in &Folder", self.show_in_folder, is_there and bool(self._path(row))),
            ("&Copy Picture\tCtrl+C", self.copy_picture, is_there),
            ("Copy P&ath", self.copy_paths, row is not None and bool(view.images.path(row))),
        ):
            action = menu.addAction(text, lambda *_, do=do: do())
            action.setEnabled(bool(enabled))
        if self.has_similarity:
            menu.addSeparator()
            menu.addAction("&More Like This", self.ask_for_alike).setEnabled(is_there)
        return menu

    def rows(self) -> list[int]:
        """The rows that are meant: those selected, if the current one is among them."""
        row = self._view.current_row()
        selected = self._view.selected_rows().tolist()
        if row is None or row in selected:
            return [int(each) for each in selected]
        return [row]

    def open(self) -> None:
        """Open the current picture in the program that the system has for it."""
        row = self._view.current_row()
        if row is not None and self._may_open(row):
            QDesktopServices.openUrl(self._url(row))

    def show_in_folder(self) -> None:
        """Show the current picture's file among the others."""
        row = self._view.current_row()
        if row is not None and (path := self._path(row)):
            show_in_folder(path)

    def copy_paths(self) -> None:
        """Copy paths or addresses, one a line."""
        lines = [str(self._view.images.reference(row)) for row in self.rows()]
        QApplication.clipboard().setText("\n".join(lines))

    def copy_picture(self) -> None:
        """Copy the current picture, decoded as all are, in other processes."""
        row = self._view.current_row()
        if row is None:
            return
        if self._copying is not None:
            self._copying.close()
        loader = self._copying = Loader(self)
        path = self._path(row)

        def finish() -> None:
            kept = loader.pixmap(row)
            if kept is not None and loader is self._copying:
                _to_clipboard(kept[0].toImage(), path)
            end()

        def end(*_: Any) -> None:
            loader.close()
            if loader is self._copying:
                self._copying = None

        loader.received.connect(finish)
        loader.failed.connect(end)
        loader.want([(row, self._view.images.reference(row))], _COPIED)

    def ask_for_alike(self) -> None:
        """Tell the widget to sort by how alike the others are to these."""
        self.more_like_this.emit(self.rows())

    def close(self) -> None:
        """Give up copying."""
        if self._copying is not None:
            self._copying.close()
            self._copying = None

    def _may_open(self, row: int | None) -> bool:
        """Whether a picture may be handed to the system, which runs what is a program.

        A workflow from a stranger can name any file: only what was decoded as an image, and is
        called one, is opened.
        """
        if row is None or self._thumbnails.pixmap(row) is None:
            return False
        path = self._path(row)
        if path:
            return Path(path).suffix.lower() in _IMAGES
        return not self._url(row).isEmpty()

    def _path(self, row: int | None) -> str:
        """The path of a row's file; empty if it is none."""
        reference = None if row is None else self._view.images.reference(row)
        if not isinstance(reference, str):
            return ""
        scheme, colon, rest = reference.strip().partition(":")
        if colon and scheme.lower() in ("http", "https", "data"):
            return ""
        if colon and scheme.lower() == "file":
            return sources.file_url_path(rest, windows=os.name == "nt") or ""
        return str(Path(reference).expanduser().absolute())

    def _url(self, row: int) -> QUrl:
        if path := self._path(row):
            return QUrl.fromLocalFile(path)
        reference = str(self._view.images.reference(row)).strip()
        is_web = reference.lower().startswith(("http://", "https://"))
        return QUrl(reference) if is_web else QUrl()


def show_in_folder(path: str) -> None:
    """Show a file in the system's file manager, chosen among the others where that can be done."""
    if sys.platform == "win32":
        subprocess.Popen(f'explorer /select,"{path}"')
    elif sys.platform == "darwin":
        subprocess.Popen(["open", "-R", path])
    elif not _show_by_dbus(path):
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(path).parent)))


def _show_by_dbus(path: str) -> bool:
    """Ask the file manager, as freedesktop.org has agreed on; say whether it could be asked."""
    program = shutil.which("dbus-send")
    if program is None or not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return False
    address = QUrl.fromLocalFile(path).toString(QUrl.ComponentFormattingOption.FullyEncoded)
    service = "org.freedesktop.FileManager1"
    done = subprocess.run(
        [
            program,
            "--session",
            "--print-reply",
            "--reply-timeout=1000",
            f"--dest={service}",
            "/org/freedesktop/FileManager1",
            f"{service}.ShowItems",
            f"array:string:{address.replace(',', '%2C')}",
            "string:",
        ],
        check=False,
        capture_output=True,
        timeout=5,
    )
    return done.returncode == 0


def _to_clipboard(image: QImage, path: str) -> None:
    """Put a picture into the clipboard, and its file, which file managers paste."""
    content = QMimeData()
    content.setImageData(image)
    if path:
        content.setUrls([QUrl.fromLocalFile(path)])
    QApplication.clipboard().setMimeData(content)
