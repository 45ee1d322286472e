"""Cache: what opening it, adding to it and finding in it cost, without the rest of a run.

A new cache is filled with vectors of 1000 floats, each with the row of its file; then all are
found again, in random order.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import memory
from benchmarks.figure import Figure
from benchmarks.program import Scope, run, say
from orangecontrib.imageanalytics.cache import Cache

_DIMENSION = 1000


def measure(scope: Scope) -> list[Figure]:
    """Fill a cache and empty it again."""
    count = scope.choose(2_000, 20_000, 100_000)
    say(f"cache: {count} vectors")
    contents = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    vector = np.random.default_rng(0).standard_normal(_DIMENSION, np.float32)
    stat = Path(sys.executable).stat()  # of any file that was not changed a moment ago
    order = random.Random(0).sample(range(count), count)

    def add(number: int) -> None:
        cache.add(contents[number], number, "model", "fingerprint", vector)
        cache.remember_file(f"/photos/{number}.jpg", stat, contents[number], read_after=time.time())

    def find(number: int) -> None:
        assert cache.vector(contents[number], "fingerprint", _DIMENSION) is not None

    def find_file(number: int) -> None:
        path = f"/photos/{number}.jpg"
        assert cache.vector_of_file(path, stat, "fingerprint", _DIMENSION) is not None

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with Cache(Path(folder)) as cache:
            for number in order:
                add(number)
            adding = (time.perf_counter() - began) / count * 1e6
        written = (time.perf_counter() - began) / count * 1e6
        size = cache.path.stat().st_size
        before = memory.peak()
        began = time.perf_counter()
        with Cache(Path(folder)) as cache:
            cache.vector(b"unknown", "fingerprint")
            opening = (time.perf_counter() - began) * 1e3
            finding = _processor_microseconds(find, order)
            finding_files = _processor_microseconds(find_file, order)
        grown = memory.peak() - before
        began = time.perf_counter()
        with Cache(Path(folder)) as cache:
            cache.clear()
            clearing = (time.perf_counter() - began) * 1e3
    note = f"processor time, {count} vectors in random order"
    return [
        Figure("Cache: opening it", opening, "ms", at_most=5),
        Figure("Cache: finding a vector by its content", finding, "µs", at_most=100, note=note),
        Figure("Cache: finding a vector by its file", finding_files, "µs", at_most=100, note=note),
        Figure(
            "Cache: adding a vector and its file",
            adding,
            "µs",
            note=f"{written:.0f} µs until it is on the disk",
        ),
        Figure("Cache: its file over the vectors in it", size / (count * _DIMENSION * 4), "×"),
        Figure(
            "Cache: more memory after reading all of it",
            grown / 1e6,
            "MB",
            at_most=10,
            note=f"a cache of {size / 1e6:.0f} MB",
        ),
        Figure("Cache: clearing it", clearing, "ms", note=f"{count} vectors"),
    ]


def _processor_microseconds(work: Callable[[int], object], order: list[int]) -> float:
    began = time.process_time()
    for number in order:
        work(number)
    return (time.process_time() - began) / len(order) * 1e6


if __name__ == "__main__":
    run(measure)
