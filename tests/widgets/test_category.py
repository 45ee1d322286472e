"""The category as Orange discovers it."""

import logging
from pathlib import Path
from xml.etree import ElementTree

import pytest
from orangecanvas.registry import WidgetRegistry
from orangewidget.workflow.discovery import WidgetDiscovery

import orangecontrib.imageanalytics.widgets as package

ICONS = Path(package.__file__).parent / "icons"


@pytest.fixture
def registry(caplog):
    registry = WidgetRegistry()
    with caplog.at_level(logging.WARNING):
        WidgetDiscovery(registry).process_category_package(package.__name__)
    assert [record.getMessage() for record in caplog.records] == []
    return registry


#: All widgets in the order of their priorities, and their names in workflow files.
WIDGETS = {
    "Import Images": "owimageimport.OWImportImages",
    "Save Images": "owsaveimages.OWSaveImages",
    "Image Viewer": "owimageviewer.OWImageViewer",
    "Image Embedding": "owimageembedding.OWImageEmbedding",
    "Image Grid": "owimagegrid.OWImageGrid",
    "Duplicate Images": "owduplicateimages.OWDuplicateImages",
    "Find Images by Words": "owfindimages.OWFindImages",
}


def test_the_category_has_each_widget_once(registry):
    [category] = registry.categories()
    assert category.name == "Image Analytics"
    assert [widget.name for widget in registry.widgets(category)] == list(WIDGETS)


def test_the_names_in_workflows_are_those_of_the_public_addon(registry):
    for name in WIDGETS.values():
        assert registry.has_widget(f"{package.__name__}.{name}")


def test_every_icon_is_there_symbolic_and_plain(registry):
    named = [registry.categories()[0].icon, *(widget.icon for widget in registry.widgets())]
    for name in named:
        plain = ICONS.parent / name
        for path in (plain, plain.with_name(f"{plain.stem}-symbolic.svg")):
            root = ElementTree.parse(path).getroot()
            assert root.get("viewBox") == "0 0 48 48", path
    assert len(list(ICONS.iterdir())) == 2 * len(named)
