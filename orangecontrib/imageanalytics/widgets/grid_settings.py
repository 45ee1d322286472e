"""Settings of Image Grid in workflows: those of the public add-on put into ours, garbage out.

Orange3-ImageAnalytics (to 0.13) stored `cell_fit` ("Resize", or the index of Resize and Crop),
`columns`, `rows`, `imageSize`, `label_selected`, `auto_update` (without effect) and `auto_commit`,
and in contexts, which belong to a domain, `imageAttr`, an index among the columns of images, and
`label_attr`. Ours keeps names.
"""

from __future__ import annotations

from typing import Any

from orangecontrib.imageanalytics.arrangement import METHODS
from orangecontrib.imageanalytics.widgets.migration import (
    are_all,
    is_flag,
    is_index,
    is_name,
    keep_sound,
)

_SMALLEST, _LARGEST = 32, 1024
#: The layouts, and their names for people.
GRID, MAP = "grid", "map"
LAYOUTS = {GRID: "Grid", MAP: "Map"}
#: The most columns or rows that can be asked for.
MOST_CELLS = 1000
#: The most pictures that can be marked as those most like the reference images.
MOST_ALIKE = 1000


def migrate(settings: dict[str, Any]) -> None:
    """Put the settings of any version, ours included, into our present form, in place.

    Nothing in them is trusted: a value of another type is left out, so that its default holds.
    """
    if (fit := settings.pop("cell_fit", None)) is not None:
        settings.setdefault("crop", fit in (1, "Crop"))
    if "imageSize" in settings:
        settings.setdefault("image_size", settings.pop("imageSize"))
    contexts = settings.pop("context_settings", None)
    if isinstance(contexts, list) and contexts:  # the one that was last used comes first
        _take_context(settings, getattr(contexts[0], "values", None))
    if settings.pop("label_selected", True) is False:
        settings.pop("label_attribute", None)
    settings.pop("auto_update", None)
    if "automatic_size" not in settings and {"columns", "rows"} <= settings.keys():
        settings["automatic_size"] = False
    keep_sound(settings, _CHECKS)
    kept = [len(settings.get(f"selected_{part}", [])) for part in ("rows", "values", "groups")]
    if len(set(kept)) > 1:
        for part in ("rows", "values", "groups"):
            settings.pop(f"selected_{part}", None)


def _take_context(settings: dict[str, Any], values: Any) -> None:
    if not isinstance(values, dict):
        return
    index = _unwrapped(values.get("imageAttr"))
    if is_index(index):
        settings.setdefault("attribute_index", index)
    label = _unwrapped(values.get("label_attr"))
    if isinstance(label, str):
        settings.setdefault("label_attribute", label)


def _unwrapped(value: Any) -> Any:
    """Take a value out of the pair of it and its kind that a context keeps."""
    return value[0] if isinstance(value, tuple) and len(value) == 2 else value


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= MOST_CELLS


def _is_size(value: object) -> bool:
    return type(value) is int and _SMALLEST <= value <= _LARGEST


_CHECKS = {
    "image_attribute": is_name,
    "attribute_index": lambda value: value is None or is_index(value),
    "label_attribute": is_name,
    "frame_attribute": is_name,
    "pictures_folder": is_name,
    "method": lambda value: isinstance(value, str) and value in METHODS,
    "crop": is_flag,
    "automatic_size": is_flag,
    "fits_window": is_flag,
    "auto_commit": is_flag,
    "shown_as": lambda value: isinstance(value, str) and value in LAYOUTS,
    "most_alike": lambda value: type(value) is int and 1 <= value <= MOST_ALIKE,
    "columns": _is_count,
    "rows": _is_count,
    "image_size": _is_size,
    "map_size": _is_size,
    "selected_rows": lambda value: are_all(int, value),
    "selected_values": lambda value: are_all(str, value),
    "selected_groups": lambda value: are_all(int, value),
}
