"""Settings of Save Images: those of the public add-on put into ours, and garbage out.

Orange3-ImageAnalytics stored indices of its menus (`file_format_index`, `scale_index`,
`image_attr_current_index`), in later versions the model's name (`scale_key`).
"""

from __future__ import annotations

from typing import Any

from orangecontrib.imageanalytics.saving import AS_IT_IS, FORMATS
from orangecontrib.imageanalytics.widgets.migration import PUBLIC_ORDER, is_index, is_sound
from orangecontrib.imageanalytics.widgets.saving_panel import (
    FULL,
    LEAST_PIXELS,
    MOST_PIXELS,
    SQUASHED,
    WITHIN,
)

#: The formats in the order of that add-on's menu.
PUBLIC_FORMATS = ("png", "jpg", "gif", "tiff", "pdf", "bmp", "eps", "ico")

_TYPES: dict[str, type | tuple[type, ...]] = {
    "attribute": (str, type(None)),
    "attribute_index": (int, type(None)),
    "subfolders": (str, type(None)),
    "by_subfolders": bool,
    "format": str,
    "sizing": str,
    "pixels": int,
    "model": str,
    "dirname": str,
    "auto_save": bool,
    "pictures_folder": (str, type(None)),
    "folder_key": str,
}
_CHOICES = {"format": {AS_IT_IS, *FORMATS}, "sizing": {FULL, WITHIN, SQUASHED}}


def migrate(settings: dict[str, Any]) -> None:
    """Put the settings of any version, ours included, into our present form, in place.

    Nothing in them is trusted: a value of another type is left out, so that its default holds.
    """
    format = settings.pop("file_format_index", None)
    if is_index(format) and format < len(PUBLIC_FORMATS):
        settings.setdefault("format", PUBLIC_FORMATS[format])
    scale = settings.pop("scale_index", None)
    if is_index(scale) and scale < len(PUBLIC_ORDER):
        settings.setdefault("model", PUBLIC_ORDER[scale])
    key = settings.pop("scale_key", None)
    if isinstance(key, str) and key:
        settings["model"] = key
    if settings.pop("use_scale", None) is True:
        settings.setdefault("sizing", SQUASHED)
    attribute = settings.pop("image_attr_current_index", None)
    if is_index(attribute):
        settings.setdefault("attribute_index", attribute)
    settings.pop("last_dir", None)  # of whose computer it was
    for name, types in _TYPES.items():
        if name in settings and not is_sound(settings[name], types):
            del settings[name]
    for name, choices in _CHOICES.items():
        if name in settings and settings[name] not in choices:
            del settings[name]
    if not LEAST_PIXELS <= settings.get("pixels", LEAST_PIXELS) <= MOST_PIXELS:
        del settings["pixels"]
