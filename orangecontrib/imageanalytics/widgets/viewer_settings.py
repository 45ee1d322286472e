"""Settings of Image Viewer in workflows: those of the public add-on put into ours, garbage out.

Orange3-ImageAnalytics (to 0.13) stored `imageSize` and `autoCommit`, and in contexts, which belong
to a domain, the image and title attributes with the values of the selected images
(`selected_items`); before 0.13, the places of these attributes in its menus (`imageAttr`,
`titleAttr`), which mean something only when the data is there. Ours keeps names, and the selection
by row and by value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orangecontrib.imageanalytics.widgets.migration import (
    are_all,
    is_flag,
    is_index,
    is_name,
    keep_sound,
)

#: The ways of sorting: how they are saved, and what they are called.
SORTINGS = {
    "data": "Order in the data",
    "title": "Title",
    "size": "File size",
    "similarity": "Similarity to the selected",
}

_SMALLEST, _LARGEST = 32, 1024


def migrate(settings: dict[str, Any]) -> None:
    """Put the settings of any version, ours included, into our present form, in place.

    Nothing in them is trusted: a value of another type is left out, so that its default holds.
    """
    for old, new in (("imageSize", "image_size"), ("autoCommit", "auto_commit")):
        if old in settings:
            settings.setdefault(new, settings.pop(old))
    contexts = settings.pop("context_settings", None)
    if isinstance(contexts, list) and contexts:  # the one that was last used comes first
        for name, value in _from_context(getattr(contexts[0], "values", None)):
            settings.setdefault(name, value)
    keep_sound(settings, _CHECKS)
    if len(settings.get("selected_rows", [])) != len(settings.get("selected_values", [])):
        settings.pop("selected_rows", None)  # of the public add-on: by value alone


def _from_context(values: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(values, dict):
        return
    for old, new in (("image_attr", "image_attribute"), ("title_attr", "title_attribute")):
        name = _unwrapped(values.get(old))
        if isinstance(name, str):
            yield new, name
    for old, new in (("imageAttr", "image_index"), ("titleAttr", "title_index")):
        if is_index(index := _unwrapped(values.get(old))):
            yield new, index
    selected = _unwrapped(values.get("selected_items"))
    if isinstance(selected, (list, tuple)):
        yield "selected_values", [str(value) for value in selected if isinstance(value, str)]


def _unwrapped(value: Any) -> Any:
    """Take a value out of the pair of it and its kind that a context keeps."""
    return value[0] if isinstance(value, tuple) and len(value) == 2 else value


def _is_place(value: object) -> bool:
    return value is None or is_index(value)


def _is_size(value: object) -> bool:
    return type(value) is int and _SMALLEST <= value <= _LARGEST


_CHECKS = {
    "image_attribute": is_name,
    "title_attribute": is_name,
    "image_index": _is_place,
    "title_index": _is_place,
    "sorting": lambda value: value in SORTINGS if isinstance(value, str) else False,
    "image_size": _is_size,
    "auto_commit": is_flag,
    "pictures_folder": is_name,
    "selected_rows": lambda value: are_all(int, value),
    "selected_values": lambda value: are_all(str, value),
}
