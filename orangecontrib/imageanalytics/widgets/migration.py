"""Settings of workflows: those of the public add-on put into ours, and garbage out.

Orange3-ImageAnalytics stored indices of its menus (`cb_embedder_current_id`,
`cb_image_attr_current_id`), in later versions the model's name (`current_embedder`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: The models in the order of that add-on's menu.
PUBLIC_ORDER = (
    "inception-v3",
    "squeezenet",
    "vgg16",
    "vgg19",
    "painters",
    "deeploc",
    "openface",
)

#: Our settings and their types. The index of the public add-on's attribute means something only
#: when the data is there.
TYPES: dict[str, type | tuple[type, ...]] = {
    "attribute": (str, type(None)),
    "attribute_index": (int, type(None)),
    "model": str,
    "auto_apply": bool,
    "pictures_folder": (str, type(None)),
    "depth": (int, type(None)),
}

#: The longest name that is believed; a megabyte of text in a menu would freeze the window.
_LONGEST = 1000


def migrate(settings: dict[str, Any]) -> None:
    """Put the settings of any version, ours included, into our present form, in place.

    Nothing in them is trusted: a value of another type is left out, so that its default holds.
    """
    by_index = settings.pop("cb_embedder_current_id", None)
    if is_index(by_index) and by_index < len(PUBLIC_ORDER):
        settings.setdefault("model", PUBLIC_ORDER[by_index])
    by_name = settings.pop("current_embedder", None)
    if isinstance(by_name, str) and by_name:
        settings["model"] = by_name
    attribute = settings.pop("cb_image_attr_current_id", None)
    if is_index(attribute):
        settings.setdefault("attribute_index", attribute)
    automatic = settings.pop("_auto_apply", None)
    if automatic is not None:
        settings.setdefault("auto_apply", automatic)
    for name, types in TYPES.items():
        if name in settings and not is_sound(settings[name], types):
            del settings[name]


def keep_sound(settings: dict[str, Any], checks: Mapping[str, Callable[[Any], bool]]) -> None:
    """Leave out the settings that fail their checks, in place, so that their defaults hold."""
    for name, check in checks.items():
        if name in settings and not check(settings[name]):
            del settings[name]


def is_name(value: object) -> bool:
    """Whether it is the name of a column, a path or a line of words, or None."""
    return is_sound(value, (str, type(None)))


def is_flag(value: object) -> bool:
    """Whether it is true or false."""
    return type(value) is bool


def is_number(value: object, low: float, high: float) -> bool:
    """Whether it is a number from low to high; NaN is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return low <= value <= high


def are_all(kind: type, value: object) -> bool:
    """Whether it is a list of nothing else."""
    return isinstance(value, list) and all(type(each) is kind for each in value)


def is_index(value: object) -> bool:
    return type(value) is int and value >= 0


def is_sound(value: object, types: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return types is bool
    return isinstance(value, types) and not (isinstance(value, str) and len(value) > _LONGEST)
