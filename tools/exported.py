"""What the export programs share: what is stated in a file, and a report of what was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from orangecontrib.imageanalytics.models.catalogue import Model


def stated(model: Model) -> dict[str, str]:
    """The metadata that the catalogue knows."""
    return {
        "id": model.id,
        "title": model.title,
        "licence": model.licence,
        "trained_on": model.trained_on,
        "layer": model.layer,
        "citation": model.citation,
    }


def report(path: Path) -> None:
    """Print what was written: the file, its size in bytes and its SHA-256."""
    content = path.read_bytes()
    print(f"{path}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
