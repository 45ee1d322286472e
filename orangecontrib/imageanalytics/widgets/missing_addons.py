"""Orange's question about missing add-ons, answered for workflows of Orange3-ImageAnalytics."""

from __future__ import annotations

import re
import sys
from typing import Any

from orangecontrib.imageanalytics.installed_beside import PUBLIC_ADDON


def replace_public_addon() -> None:
    """Let Orange open workflows of the public add-on without offering to install that.

    A workflow's file names the add-on that each widget is from. Orange reads over that only where
    a widget's successor has another name, and ours have kept theirs. The default button of its
    question would install the public add-on beside this one, which breaks both. Where Orange has
    no such question, or asks it in another way, nothing is changed.
    """
    canvas: Any = sys.modules.get("orangecanvas.application.canvasmain")
    known = getattr(canvas, "is_requirement_available", None)
    if known is None or hasattr(known, "replaced"):
        return

    def is_available(requirement: Any) -> bool:
        return _is_public_addon(requirement) or bool(known(requirement))

    is_available.replaced = known  # type: ignore[attr-defined]
    canvas.is_requirement_available = is_available


def _is_public_addon(requirement: Any) -> bool:
    name = getattr(requirement, "name", requirement)
    return isinstance(name, str) and _normalised(name) == _normalised(PUBLIC_ADDON)


def _normalised(name: str) -> str:
    """Write a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
