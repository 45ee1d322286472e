"""The priority of processes that compute beside a window."""

from __future__ import annotations

import sys


def lower_priority() -> None:
    """Let Orange and other programs go first, from now on, in this process."""
    import psutil

    process = psutil.Process()
    if sys.platform == "win32":
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        process.nice(10)
