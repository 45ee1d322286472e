"""What computer the figures are from, without anything that names it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import loky
import psutil

#: Has OpenBLAS compute as another processor would: NumPy may be slowed down, onnxruntime is not.
CORE_TYPE = "OPENBLAS_CORETYPE"


def description() -> str:
    """One sentence: processor, cores, memory, system, versions."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("onnxruntime", "numpy", "Pillow", "Orange3")
    )
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{_processor()}, {cores()} cores used, {memory:.0f} GB of memory, {_system()}, "
        f"Python {platform.python_version()}, {packages}."
    )


def cores() -> int:
    """The cores that this process may use: as many workers does the package start."""
    return int(loky.cpu_count())


def busy() -> str | None:
    """A warning if other programs are at work."""
    load = psutil.cpu_percent(interval=1.0)
    if load > 20:
        return f"Other programs keep {load:.0f} % of the processor busy: the figures will be noisy."
    return None


def core_type() -> str | None:
    """A remark if OpenBLAS is not left to choose how to compute."""
    if CORE_TYPE in os.environ:
        return f"{CORE_TYPE} is set here; what is compared with NumPy runs without it."
    return None


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER", platform.machine())


def _system() -> str:
    if sys.platform == "linux":
        try:
            return str(platform.freedesktop_os_release()["PRETTY_NAME"])
        except OSError:
            return "Linux"
    return f"{platform.system()} {platform.release()}"
