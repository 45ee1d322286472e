"""What the widget Image Embedding puts into Orange's report."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.sources import shown

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding


def report(widget: OWImageEmbedding) -> None:
    """Say what was embedded with what, what came out, and which images were skipped and why."""
    model = widget.panel.models.get(widget.model)
    if model is None:
        widget.report_paragraph("Embedder", str(widget.Error.no_such_model))
        return
    destination = widget.panel.destination
    widget.report_items(
        "Settings",
        [
            ("Image attribute", widget.attribute_used or "none"),
            ("Embedder", f"{model.title}, {model.dimension} numbers per image"),
            ("Trained on", model.trained_on),
            ("Where", "this computer" if model.is_local else f"server {destination.address}"),
        ],
    )
    done = widget.finished
    if done is None or not widget.is_sent:
        widget.report_paragraph("Images", widget.told)
        return
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
