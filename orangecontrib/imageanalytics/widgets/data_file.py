"""Which file a widget's data came from: Orange's tables do not say it, the widgets before do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from Orange.data import Table
from Orange.widgets.widget import OWWidget


def folder_of_data(table: Table | None, widget: OWWidget) -> str | None:
    """Give the folder of the file that a table came from, if that can be told.

    A table that a script has read says it (`Table.from_file`). The widgets File and CSV File
    Import put it neither into the table nor into its columns (File does for columns that have a
    type in the file), so the workflow is asked which of them stands before the widget, however
    many others are between; the nearest counts.

    Parameters
    ----------
    table : Table, optional
        What the widget was given.
    widget : OWWidget
        The widget; one that stands in no workflow has none before it.
    """
    own = getattr(table, "__file__", None)
    files = [own] if isinstance(own, str) else _files(_before(widget))
    folders = (os.path.dirname(file) for file in files)  # noqa: PTH120
    return next((folder for folder in folders if os.path.isabs(folder)), None)  # noqa: PTH117


def workflow_folder(widget: OWWidget) -> str | None:
    """Give the folder of the workflow's file; None if it has not been saved."""
    basedir = widget.workflowEnv().get("basedir")
    return basedir if isinstance(basedir, str) and basedir else None


def at_home(path: str) -> str:
    """Write the user's home as ~."""
    home = os.path.expanduser("~")  # noqa: PTH111 (a home that is not set stays "~")
    return f"~{path[len(home) :]}" if Path(path).is_relative_to(home) else path


def _before(widget: OWWidget) -> Iterator[Any]:
    """Go through the widgets before this one in the workflow, the nearest first."""
    workflow: Any = getattr(widget.signalManager, "workflow", lambda: None)()
    node = None if workflow is None else workflow.node_for_widget(widget)
    waiting, seen = deque([] if node is None else [node]), set()
    while waiting:
        for link in workflow.find_links(sink_node=waiting.popleft()):
            source = link.source_node
            if source not in seen:
                seen.add(source)
                waiting.append(source)
                yield workflow.widget_for_node(source)


def _files(widgets: Iterator[Any]) -> Iterator[str]:
    for widget in widgets:
        if hasattr(widget, "current_item"):  # CSV File Import
            item = widget.current_item()
            file = None if item is None else item.path()
        elif hasattr(widget, "last_path"):  # File, and others that read one
            is_url = getattr(widget, "source", 0) == getattr(widget, "URL", 1)
            file = None if is_url else widget.last_path()
        else:
            continue
        if isinstance(file, str) and file:
            yield file
