"""Pictures for people: upright, small, from the cache or the engine.

Scripts use `Thumbnails`. What shows thousands of them, and scrolls, asks through `Requests`: what
is in sight first, and what has scrolled away not at all.
"""

from orangecontrib.imageanalytics.thumbnails.encoding import STEPS, Thumbnail, step_for
from orangecontrib.imageanalytics.thumbnails.requests import Requests
from orangecontrib.imageanalytics.thumbnails.thumbnails import Thumbnails

__all__ = ["STEPS", "Requests", "Thumbnail", "Thumbnails", "step_for"]
