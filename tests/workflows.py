"""Workflow files in Orange's own loader, without a window."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
from AnyQt.QtCore import QEvent, QSettings
from AnyQt.QtWidgets import QApplication
from orangecanvas.registry import WidgetRegistry
from orangecanvas.utils import name_lookup
from orangewidget.widget import OWBaseWidget
from orangewidget.workflow.discovery import WidgetDiscovery
from orangewidget.workflow.widgetsscheme import WidgetsScheme

from .widget_case import until


@pytest.fixture
def own_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings that Orange writes when a workflow is closed away from the user's."""
    folder = tmp_path_factory.mktemp("user")
    monkeypatch.setattr(
        "orangewidget.settings.__WIDGET_SETTINGS_DIR", (str(folder / "widgets"), "0")
    )
    QSettings.setPath(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder / "settings")
    )


def registry_of(*modules: str) -> WidgetRegistry:
    """Register the widgets of modules: discovering all of Orange's would take long."""
    registry = WidgetRegistry()
    discovery = WidgetDiscovery(registry)
    for module in dict.fromkeys(modules):
        discovery.process_widget_module(importlib.import_module(module))
    return registry


@lru_cache(maxsize=1)
def application() -> QApplication:
    """Keep one application to the end: Orange's list of windows does not survive it."""
    return QApplication.instance() or QApplication([])


@contextmanager
def opened(path: Path) -> Iterator[WidgetsScheme]:
    """Open a workflow file as `Orange.canvas.run` does, and close it again."""
    application()
    modules = re.findall(r'qualified_name="([\w.]+)\.\w+"', path.read_text("utf-8"))
    scheme = WidgetsScheme()
    scheme.set_runtime_env("basedir", str(path.parent))
    registry = registry_of(*modules)
    handlers = [name_lookup(d.qualified_name).settingsHandler for d in registry.widgets()]
    defaults = [handler.defaults for handler in handlers]
    for handler in handlers:
        handler.defaults = {}  # of workflows closed before, which Orange's new widgets begin with
    problems: list[Exception] = []
    with path.open("rb") as file:
        scheme.load_from(file, registry=registry, error_handler=problems.append)
    assert problems == []
    try:
        for node in scheme.nodes:
            scheme.widget_for_node(node)
        yield scheme
    finally:
        scheme.clear()
        QApplication.sendEvent(scheme, QEvent(QEvent.Type.Close))
        QApplication.processEvents()
        for handler, before in zip(handlers, defaults, strict=True):
            handler.defaults = before


def widget_named(scheme: WidgetsScheme, name: str) -> OWBaseWidget:
    """Find the widget of this name in a workflow."""
    [node] = [node for node in scheme.nodes if node.description.name == name]
    return scheme.widget_for_node(node)


def finish(scheme: WidgetsScheme) -> None:
    """Wait until nothing is computed any more and no signal is on its way."""
    manager = scheme.signal_manager

    def is_quiet() -> bool:
        # A node's own state says nothing of what its widget has begun while it was created.
        return not manager.has_pending() and not any(map(manager.is_invalidated, scheme.nodes))

    until(is_quiet)
