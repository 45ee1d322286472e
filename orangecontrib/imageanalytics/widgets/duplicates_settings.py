"""Settings of Duplicate Images in workflows: nothing in them is trusted."""

from __future__ import annotations

from typing import Any

from orangecontrib.imageanalytics.duplicates import REACH
from orangecontrib.imageanalytics.widgets.duplicates_run import ALIKE_REACH, Keep, Mode
from orangecontrib.imageanalytics.widgets.migration import (
    are_all,
    is_flag,
    is_name,
    is_number,
    keep_sound,
)


def migrate(settings: dict[str, Any]) -> None:
    """Leave out what is of another type or too large, in place, so that its default holds."""
    keep_sound(settings, _CHECKS)


_CHECKS = {
    "image_attribute": is_name,
    "mode": lambda value: isinstance(value, str) and value in list(Mode),
    "near_distance": lambda value: is_number(value, 0, REACH),
    "alike_distance": lambda value: is_number(value, 0, ALIKE_REACH),
    "keep": lambda value: isinstance(value, str) and value in list(Keep),
    "kept_by_hand": lambda value: are_all(str, value),
    "auto_commit": is_flag,
    "pictures_folder": is_name,
}
