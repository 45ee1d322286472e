"""What the widget Image Embedding puts into Orange's report."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.sources import shown

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.models import Model
    from orangecontrib.imageanalytics.widgets.background import Background
    from orangecontrib.imageanalytics.widgets.embedding_run import Finished


def report_settings(widget: Background, attribute: str | None, model: Model, server: str) -> None:
    """Say what is embedded, with what, and where.

    Parameters
    ----------
    widget : Background
        The widget whose report it is.
    attribute : str, optional
        The column of images.
    model : Model
        What embeds them.
    server : str
        The address that a model is asked at which runs on a server.
    """
    widget.report_items(
        "Settings",
        [
            ("Image attribute", attribute or "none"),
            ("Embedder", f"{model.title}, {model.dimension} numbers per image"),
            ("Trained on", model.trained_on),
            ("Where", "this computer" if model.is_local else f"server {server}"),
        ],
    )


def report_outcome(widget: Background, done: Finished) -> None:
    """Say what came out, and which images were skipped and why."""
    widget.report_items(
        "Images",
        [("Embedded", done.n_embedded), ("Skipped", done.n_skipped)]
        + [(f"Skipped: {reason}", count) for reason, count in done.reasons.most_common()],
    )
    if done.examples:
        lines = [f"<li>{html.escape(_once(name, why))}</li>" for name, why in done.examples]
        more = done.n_skipped - len(lines)
        if more:
            lines.append(f"<li>and {more} more, all in the output Skipped Images</li>")
        widget.report_raw("Skipped images", f"<ul>{''.join(lines)}</ul>")


def _once(name: str, why: str) -> str:
    """Say a path once: most reasons name it."""
    return why if shown(name) in why else f"{name}: {why}"
