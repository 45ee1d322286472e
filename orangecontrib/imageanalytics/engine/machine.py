"""How much memory this computer has, or the container that this process runs in."""

from __future__ import annotations

import os
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def memory() -> int:
    """Return the physical memory in bytes, or the limit of the container if that is less."""
    return min([_physical(), *limits(_OWN, _MOUNT)])


def _physical() -> int:
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil  # takes 15 ms, which a run out of the cache alone need not wait for

    return int(psutil.virtual_memory().total)


def limits(own: Path, mount: Path) -> list[int]:
    """Return the limits of Linux's control groups (versions 1 and 2) on memory, in bytes.

    Parameters
    ----------
    own : Path
        A file that names the groups of a process, ``number:controllers:path`` in each line.
    mount : Path
        Where the groups are seen. Inside of a container that is often the own group itself,
        whatever its name outside: so all folders from there up to the mount are looked at.
    """
    found = []
    for line in _text(own).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = mount / controllers if controllers else mount
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            found.append(_text(group / name).strip())
            if group == top:
                break
    return [int(text) for text in found if text.isdecimal()]  # else "max": there is none


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
