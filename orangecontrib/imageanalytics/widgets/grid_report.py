"""What Image Grid puts into Orange's report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.widgets import images_report
from orangecontrib.imageanalytics.widgets.grid_settings import GRID, LAYOUTS
from orangecontrib.imageanalytics.widgets.images_saving import to_html

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid


def write(widget: OWImageGrid) -> None:
    """Show how pictures are arranged, all of them, and the selected ones."""
    rows = np.flatnonzero(widget.groups).tolist()
    layout = LAYOUTS[widget.shown_as]
    items = [
        ("Image attribute", widget.images.used or "none"),
        ("Shown", widget.told),
        ("Arranged by", widget.method),
        ("Layout", layout.lower()),
    ]
    if widget.arranged is not None and widget.shown_as == GRID:
        grid = widget.arranged.grid
        items.append(("Size", f"{grid.columns} × {grid.rows}"))
    widget.report_items("Images", [*items, ("Selected", len(rows))])
    if (drawing := widget.graph) is not None:
        widget.report_raw(layout, to_html(drawing))
    if rows:
        widget.report_raw("Selected images", images_report.pictures(widget.view, rows))
