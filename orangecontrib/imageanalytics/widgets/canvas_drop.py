"""What Orange's canvas does with a folder that is dropped on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orangecanvas.canvas.items import NodeItem
from orangewidget.workflow.drophandler import SingleFileDropHandler

from orangecontrib.imageanalytics.widgets import owimageimport
from orangecontrib.imageanalytics.widgets.dropped_folder import dropped_folder


class ImportImagesDropHandler(SingleFileDropHandler):
    """Takes a folder that is dropped on the canvas: on an icon of the widget, or beside."""

    # By its module: Orange would take the class, imported by name, for one more widget.
    WIDGET = owimageimport.OWImportImages

    def canDropFile(self, path: str) -> bool:
        """Whether it is a folder."""
        return Path(path).is_dir()

    def parametersFromFile(self, path: str) -> dict[str, Any]:
        """Give the settings of a new widget for this folder."""
        return {"folder": str(Path(path))}

    def doDrop(self, document: Any, event: Any) -> bool:
        """Give the folder to the widget whose icon it is dropped on, else to a new one."""
        item = document.scene().item_at(event.scenePos(), NodeItem)
        node = document.scene().node_for_item(item) if item is not None else None
        if node is None or node.description.qualified_name != self.qualifiedName():
            return bool(super().doDrop(document, event))
        folder = dropped_folder(event.mimeData())
        assert folder is not None
        document.scheme().widget_for_node(node).open_folder(folder)
        return True
