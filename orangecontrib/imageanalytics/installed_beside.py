"""A warning when the add-on whose place this one takes is installed, too."""

import importlib.metadata
import warnings

PUBLIC_ADDON = "Orange3-ImageAnalytics"


def warn_if_public_addon_is_installed() -> None:
    """Warn, with the cure, if Orange3-ImageAnalytics is installed beside this add-on.

    Both have the same modules: whichever was installed later has overwritten files of the other,
    and uninstalling either of them breaks the one that stays.
    """
    try:
        # 1 ms: only the name's own .dist-info is looked for on the path, none is read.
        importlib.metadata.distribution(PUBLIC_ADDON)
    except importlib.metadata.PackageNotFoundError:
        return
    warnings.warn(
        f"{PUBLIC_ADDON} is installed beside Orange3-ImageEmbedding. They overwrite each other's "
        f"files, so neither can be relied on. Uninstall both, then install one:\n"
        f"    pip uninstall {PUBLIC_ADDON} Orange3-ImageEmbedding\n"
        f"    pip install Orange3-ImageEmbedding",
        stacklevel=2,
    )
