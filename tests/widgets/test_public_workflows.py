"""Workflows saved by Orange3-ImageAnalytics open here, with their settings."""

from __future__ import annotations

import base64
import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from Orange.widgets.utils.filedialogs import RecentPath
from orangecanvas.application import canvasmain

from orangecontrib.imageanalytics.widgets.missing_addons import replace_public_addon
from tests.conftest import PHOTOS
from tests.workflows import finish, opened, own_user, widget_named

__all__ = ["own_user"]

WORKFLOW = """<?xml version='1.0' encoding='utf-8'?>
<scheme version="2.0" title="" description="">
  <nodes>
    <node id="0" name="Import Images" project_name="Orange3-ImageAnalytics" version=""
      qualified_name="orangecontrib.imageanalytics.widgets.owimageimport.OWImportImages"
      title="Import Images" position="(100, 100)" />
    <node id="1" name="Image Embedding" project_name="Orange3-ImageAnalytics" version=""
      qualified_name="orangecontrib.imageanalytics.widgets.owimageembedding.OWImageEmbedding"
      title="Image Embedding" position="(250, 100)" />
    <node id="2" name="Data Table" project_name="Orange3" version=""
      qualified_name="Orange.widgets.data.owtable.OWTable"
      title="Embedded" position="(400, 100)" />
    <node id="3" name="Data Table" project_name="Orange3" version=""
      qualified_name="Orange.widgets.data.owtable.OWTable"
      title="Skipped" position="(400, 200)" />
  </nodes>
  <links>
    <link id="0" source_node_id="0" sink_node_id="1"
      source_channel="Data" sink_channel="Images" enabled="true" />
    <link id="1" source_node_id="1" sink_node_id="2"
      source_channel="Embeddings" sink_channel="Data" enabled="true" />
    <link id="2" source_node_id="1" sink_node_id="3"
      source_channel="Skipped Images" sink_channel="Data" enabled="true" />
  </links>
  <node_properties>
    <properties node_id="0" format="pickle">{importing}</properties>
    <properties node_id="1" format="literal">{embedding}</properties>
  </node_properties>
</scheme>
"""


def pickled(settings: dict[str, Any]) -> str:
    """Pickle settings as old versions of Orange did: with the module's name of then."""
    data = pickle.dumps(settings, protocol=0)
    data = data.replace(b"orangewidget.utils.filedialogs", b"Orange.widgets.utils.filedialogs")
    assert pickle.loads(data).keys() == settings.keys()
    return base64.encodebytes(data).decode("ascii")


def saved(folder: Path, paths: list[Any], embedding: dict[str, Any]) -> Path:
    """Write the workflow as the public add-on did."""
    importing = {"recent_paths": paths, "savedWidgetGeometry": b"\0", "__version__": 1}
    path = folder / "images.ows"
    path.write_text(WORKFLOW.format(importing=pickled(importing), embedding=embedding), "utf-8")
    return path


@pytest.fixture
def home(tmp_path: Path, own_user: None) -> Path:
    """A folder with two photos in it."""
    folder = tmp_path / "project"
    (folder / "photos").mkdir(parents=True)
    for name in ("fruit/lemon.png", "animal/zebra.png"):
        shutil.copy(PHOTOS / name, folder / "photos")
    return folder


def table_titled(scheme: Any, title: str) -> Any:
    [node] = [node for node in scheme.nodes if node.title == title]
    received = scheme.widget_for_node(node).input
    return None if received is None else received.table


SQUEEZENET = {"cb_embedder_current_id": 1, "cb_image_attr_current_id": 0, "_auto_apply": True}


def test_import_and_embedding_run_with_their_old_settings(home, no_new_workers):
    paths = [RecentPath(str(home / "photos"), None, None)]
    with opened(saved(home, paths, {**SQUEEZENET, "__version__": 1})) as scheme:
        finish(scheme)
        embedded = table_titled(scheme, "Embedded")
        assert len(embedded) == 2 and embedded.X.shape == (2, 1000)
        assert table_titled(scheme, "Skipped") is None
        assert widget_named(scheme, "Image Embedding").model == "squeezenet"
        assert widget_named(scheme, "Image Embedding").attribute_used == "image"


def test_the_attribute_is_that_of_the_old_index(home, no_new_workers):
    paths = [RecentPath(str(home / "photos"), None, None)]
    with opened(saved(home, paths, {**SQUEEZENET, "cb_image_attr_current_id": 1})) as scheme:
        finish(scheme)
        # the columns are "image", first since it is marked, and "image name", which are no files
        assert widget_named(scheme, "Image Embedding").attribute_used == "image name"
        assert len(table_titled(scheme, "Skipped")) == 2


def test_folders_relative_to_the_workflow_are_found_after_both_have_moved(home, no_new_workers):
    paths = [RecentPath("/where/it/was/photos", "basedir", "photos")]
    moved = saved(home, paths, SQUEEZENET).parent.rename(home.parent / "elsewhere")
    with opened(moved / "images.ows") as scheme:
        finish(scheme)
        assert len(table_titled(scheme, "Embedded")) == 2


def test_auto_apply_that_was_off_stays_off(home, no_new_workers):
    paths = [RecentPath(str(home / "photos"), None, None)]
    with opened(saved(home, paths, {**SQUEEZENET, "_auto_apply": False})) as scheme:
        finish(scheme)
        assert table_titled(scheme, "Embedded") is None
        assert not widget_named(scheme, "Image Embedding").auto_apply


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({"cb_embedder_current_id": 0}, "inception-v3"),
        ({"cb_embedder_current_id": 6}, "openface"),
        ({"current_embedder": "vgg16"}, "vgg16"),
    ],
)
def test_an_old_workflow_with_a_server_embedder_waits_for_consent(home, settings, model):
    paths = [RecentPath(str(home / "photos"), None, None)]
    with opened(saved(home, paths, settings)) as scheme:
        finish(scheme)
        widget = widget_named(scheme, "Image Embedding")
        assert widget.model == model and widget.Warning.consent.is_shown()
        assert table_titled(scheme, "Embedded") is None


@pytest.mark.parametrize("paths", [[], [None, 3], "nonsense", [RecentPath("", None, None)]])
def test_garbage_in_the_recent_paths_never_keeps_a_workflow_from_opening(home, paths):
    with opened(saved(home, paths, {"cb_embedder_current_id": "x"})) as scheme:
        finish(scheme)
        assert widget_named(scheme, "Import Images").folder is None
        assert table_titled(scheme, "Embedded") is None


def test_orange_does_not_offer_to_install_the_public_addon(monkeypatch):
    original = getattr(canvasmain.is_requirement_available, "replaced", None)
    if original is not None:
        monkeypatch.setattr(canvasmain, "is_requirement_available", original)
    monkeypatch.setattr(canvasmain, "is_requirement_available", canvasmain.is_requirement_available)
    text = WORKFLOW.format(importing=pickled({"recent_paths": []}), embedding={})
    required = canvasmain.scheme_requires(io.BytesIO(text.encode()))
    assert required == ["Orange3-ImageAnalytics", "Orange3"]
    assert not canvasmain.is_requirement_available("Orange3-ImageAnalytics")
    replace_public_addon()
    replace_public_addon()
    assert all(map(canvasmain.is_requirement_available, required))
    assert not canvasmain.is_requirement_available("Orange3-NoSuchAddOn")
    assert canvasmain.is_requirement_available.replaced.__module__.startswith("orangecanvas")
