"""How Sphinx builds the documentation, and the help that F1 opens in Orange."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from orangecontrib.imageanalytics import __version__

project = "Orange3-ImageEmbedding"
author = "The Orange3-ImageEmbedding maintainers"
copyright = f"{author}; GPL-3.0-or-later"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name the types, with their shapes and units
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "alabaster"
html_theme_options = {
    "description": "Image embedding for Orange and for scripts",
    "fixed_sidebar": False,
    # Orange shows this in a window of its own, often without a network.
    "font_family": "sans-serif",
    "page_width": "60em",
}
html_copy_source = False
html_show_sourcelink = False
