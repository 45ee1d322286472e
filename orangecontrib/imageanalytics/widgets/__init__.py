"""The category Image Analytics in Orange's toolbox."""

from pathlib import Path

from orangecontrib.imageanalytics.installed_beside import warn_if_public_addon_is_installed
from orangecontrib.imageanalytics.surroundings import surround
from orangecontrib.imageanalytics.widgets.missing_addons import replace_public_addon
from orangecontrib.imageanalytics.widgets.model_calls import OrangeWindow

NAME = "Image Analytics"
DESCRIPTION = "Tables of images, and tables of numbers from them."
ICON = "icons/Category-ImageAnalytics.svg"
BACKGROUND = "#F7F5A8"
PRIORITY = 1000

_PACKAGE = Path(__file__).parent.parent

#: Where F1 looks for help: the documentation built in a source tree, then that in the wheel.
WIDGET_HELP_PATH = (
    (str(_PACKAGE.parent.parent / "doc" / "_build" / "html" / "index.html"), None),
    (str(_PACKAGE / "help" / "index.html"), None),
)

warn_if_public_addon_is_installed()
replace_public_addon()
surround(OrangeWindow())
