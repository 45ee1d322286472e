"""Folders dropped on the widget Import Images and on Orange's canvas, by real drag events."""

from __future__ import annotations

from AnyQt.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from AnyQt.QtGui import QDragEnterEvent
from AnyQt.QtWidgets import QApplication, QWidget
from orangecanvas.document.schemeedit import SchemeEditWidget
from orangecanvas.gui.test import dragDrop
from orangewidget.workflow.widgetsscheme import WidgetsScheme

from orangecontrib.imageanalytics.widgets.canvas_drop import ImportImagesDropHandler
from orangecontrib.imageanalytics.widgets.owimageimport import OWImportImages
from tests.conftest import PHOTOS
from tests.import_widget_case import ImportTest, own_user
from tests.workflows import registry_of

__all__ = ["own_user"]

CORNER = QPoint(3, 3)


class TestDrops(ImportTest):
    def drag(self, target: QWidget, *urls: str, at: QPoint = CORNER) -> bool:
        """Drag what has these addresses over a widget and let go; whether that was accepted."""
        self.data = QMimeData()  # the events do not keep it alive
        self.data.setUrls([QUrl(url) for url in urls])
        return dragDrop(target, self.data, at)

    def test_a_folder_dropped_on_the_window_is_opened(self):
        widget = self.make()
        assert self.drag(widget, PHOTOS.as_uri())
        self.finish(widget)
        assert len(self.output(widget)) == 13

    def test_a_folder_dragged_over_any_part_of_the_window_may_come_in(self):
        widget = self.make()
        for part in (widget.panel.folder, widget.panel.reload, widget.controlArea):
            data = QMimeData()
            data.setUrls([QUrl(PHOTOS.as_uri())])
            enter = QDragEnterEvent(
                QPoint(3, 3),
                Qt.DropAction.CopyAction,
                data,
                Qt.MouseButton.LeftButton,
                Qt.KeyboardModifier.NoModifier,
            )
            enter.setAccepted(False)
            QApplication.sendEvent(part, enter)
            assert enter.isAccepted()

    def test_files_several_folders_and_addresses_are_not_taken(self):
        widget = self.make()
        assert not self.drag(widget, (PHOTOS / "fruit" / "lemon.png").as_uri())
        assert not self.drag(widget, PHOTOS.as_uri(), (PHOTOS / "fruit").as_uri())
        assert not self.drag(widget, "https://example.org/photos")
        assert widget.task is None and widget.folder is None

    def test_a_folder_dropped_on_the_canvas_makes_a_widget_and_on_its_icon_is_opened_by_it(self):
        registry = registry_of(OWImportImages.__module__)
        canvas = SchemeEditWidget()
        canvas.setRegistry(registry)
        canvas.setDropHandlers([ImportImagesDropHandler()])
        canvas.setScheme(WidgetsScheme())
        canvas.resize(800, 600)
        scheme, view = canvas.scheme(), canvas.view()
        fruit, animal = (PHOTOS / "fruit").as_uri(), (PHOTOS / "animal").as_uri()

        def found(node) -> int:
            widget = scheme.widget_for_node(node)
            self.finish(widget)
            return len(widget.imported.table)

        assert self.drag(view.viewport(), fruit, at=QPoint(200, 200))
        [node] = scheme.nodes
        assert found(node) == 6
        icon = view.mapFromScene(QPointF(*node.position))
        assert self.drag(view.viewport(), animal, at=icon)
        assert scheme.nodes == [node]
        assert found(node) == 7
        assert self.drag(view.viewport(), fruit, at=icon + QPoint(300, 200))
        assert len(scheme.nodes) == 2
        assert found(scheme.nodes[1]) == 6
        assert not self.drag(view.viewport(), (PHOTOS / "fruit" / "lemon.png").as_uri(), at=icon)
        scheme.clear()
        canvas.deleteLater()
