"""A folder that is dragged out of the system's file manager."""

from __future__ import annotations

from pathlib import Path

from AnyQt.QtCore import QMimeData


def dropped_folder(data: QMimeData) -> str | None:
    """Give the folder that is being dragged, if it is one and only one."""
    urls = data.urls()
    if len(urls) != 1 or not urls[0].isLocalFile():
        return None
    path = Path(urls[0].toLocalFile())
    return str(path) if path.is_dir() else None
