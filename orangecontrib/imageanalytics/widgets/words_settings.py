"""Settings of Find Images by Words in workflows: nothing in them is trusted."""

from __future__ import annotations

from typing import Any

from orangecontrib.imageanalytics.widgets.migration import is_flag, is_name, is_number, keep_sound
from orangecontrib.imageanalytics.widgets.words_run import MOST_QUERIES, Match

#: The most pictures that can be asked for.
MOST = 1_000_000
#: The longest text of queries that is believed, in letters.
_LONGEST = 200 * MOST_QUERIES


def migrate(settings: dict[str, Any]) -> None:
    """Leave out what is of another type or too large, in place, so that its default holds."""
    keep_sound(settings, _CHECKS)


_CHECKS = {
    "image_attribute": is_name,
    "typed": lambda value: isinstance(value, str) and len(value) <= _LONGEST,
    "template": lambda value: value is not None and is_name(value),
    "match": lambda value: isinstance(value, str) and value in list(Match),
    "top": lambda value: type(value) is int and 1 <= value <= MOST,
    "threshold": lambda value: is_number(value, -1, 1),
    "sort_by": lambda value: value is not None and is_name(value),
    "auto_commit": is_flag,
    "pictures_folder": is_name,
}
