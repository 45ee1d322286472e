"""How much memory a process takes, and took at its peak."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")


def now() -> int:
    """Resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """The most resident bytes that this process ever had.

    On Linux it is not `getrusage`'s, which a process inherits from the one that starts it.
    """
    if _STATUS.exists():
        (line,) = (x for x in _STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def of_workers() -> list[int]:
    """Resident bytes of each process below this one."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            found.append(int(child.memory_info().rss))
        except psutil.NoSuchProcess:
            continue
    return found
