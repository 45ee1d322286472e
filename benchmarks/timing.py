"""Time, measured so that what else the computer does disturbs it little."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import psutil


def seconds(work: Callable[[], object]) -> float:
    """Do something once and say how long it took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turns(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """Measure several things alternately, so that a busy moment of the computer hits all alike.

    Parameters
    ----------
    rounds : int
        How often each is measured.
    *sides : callable
        Each measures something and gives a number.

    Returns
    -------
    list of float
        The median of each side.
    """
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, values in zip(sides, found, strict=True):
            values.append(side())
    return [statistics.median(values) for values in found]


def processor_seconds() -> float:
    """Processor time, so far, of this process and of those that it has started and still run.

    Unlike time, it does not depend on what else the computer does, or hardly.
    """
    total = time.process_time()
    for child in psutil.Process().children(recursive=True):
        try:
            spent = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return total
