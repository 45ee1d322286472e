"""No widget of Orange3-ImageAnalytics, of whatever version, is lost with its workflow."""

from __future__ import annotations

import io

import pytest
from orangecanvas.registry import WidgetRegistry
from orangewidget.workflow.discovery import WidgetDiscovery
from orangewidget.workflow.widgetsscheme import WidgetsScheme

from orangecontrib.imageanalytics import widgets

from ..workflows import own_user

__all__ = ["own_user"]

PACKAGE = "orangecontrib.imageanalytics.widgets"

#: The qualified names that workflows hold: with today's name, inputs and outputs of then.
PUBLIC = [
    ("owimageimport.OWImportImages", "Import Images", [], ["Data"]),
    ("owimageembedding.OWImageEmbedding", "Image Embedding", ["Images"],
     ["Embeddings", "Skipped Images"]),
    ("owimagenetembedding.OWImageNetEmbedding", "Image Embedding", ["Data"],
     ["Embeddings", "Missing Images"]),
    ("owimageviewer.OWImageViewer", "Image Viewer", ["Data"], ["Selected Images", "Data"]),
    ("Orange.widgets.data.owimageviewer.OWImageViewer", "Image Viewer", ["Data"], ["Data"]),
    ("owimagegrid.OWImageGrid", "Image Grid", ["Embeddings", "Data Subset"],
     ["Selected Images", "Images"]),
    ("owsaveimages.OWSaveImages", "Save Images", ["Data"], []),
]  # fmt: skip


def full(name: str) -> str:
    return name if name.startswith("Orange.") else f"{PACKAGE}.{name}"


@pytest.fixture(scope="module")
def registry() -> WidgetRegistry:
    """Our widgets and Data Table, as Orange discovers them."""
    registry = WidgetRegistry()
    discovery = WidgetDiscovery(registry)
    discovery.process_category_package(widgets, name="Image Analytics")
    discovery.process_widget_module("Orange.widgets.data.owtable")
    return registry


def node(number: int, qualified_name: str) -> str:
    return (
        f'<node id="{number}" name="x" title="{number}" qualified_name="{qualified_name}"'
        f' project_name="Orange3-ImageAnalytics" position="({number}, 0)" />'
    )


def link(number: int, source: int, output: str, sink: int, input_: str) -> str:
    return (
        f'<link id="{number}" source_node_id="{source}" source_channel="{output}"'
        f' sink_node_id="{sink}" sink_channel="{input_}" enabled="true" />'
    )


def workflow(name: str, inputs: list[str], outputs: list[str]) -> bytes:
    """Write a workflow with this widget between a table for each input and each output."""
    table = "Orange.widgets.data.owtable.OWTable"
    nodes = [node(0, name)] + [node(i + 1, table) for i in range(len(inputs + outputs))]
    into = [link(i, i + 1, "Data", 0, channel) for i, channel in enumerate(inputs)]
    first = len(inputs)
    out_of = [link(first + i, 0, c, first + i + 1, "Data") for i, c in enumerate(outputs)]
    return (
        '<?xml version="1.0" encoding="utf-8"?><scheme version="2.0" title="" description="">'
        f"<nodes>{''.join(nodes)}</nodes><links>{''.join(into + out_of)}</links></scheme>"
    ).encode()


@pytest.mark.parametrize(("name", "today", "inputs", "outputs"), PUBLIC)
def test_an_old_widget_comes_back_with_its_links_and_is_saved(
    name, today, inputs, outputs, registry, own_user
):
    scheme = WidgetsScheme()
    problems: list[Exception] = []
    text = workflow(full(name), inputs, outputs)
    scheme.load_from(io.BytesIO(text), registry=registry, error_handler=problems.append)
    assert problems == []
    assert scheme.nodes[0].description.name == today
    assert len(scheme.nodes) == 1 + len(inputs + outputs)
    assert len(scheme.links) == len(inputs + outputs)
    saved = io.BytesIO()
    scheme.save_to(saved)
    assert saved.getvalue().count(b"<node ") == len(scheme.nodes)
    scheme.clear()
