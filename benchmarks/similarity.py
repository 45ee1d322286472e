"""Neighbours and groups of near duplicates: time and memory over the matrix products alone.

The products are those of the same blocks, each pair of blocks once, with NumPy and nothing else;
those of 100 000 vectors are measured on some of the blocks, in turns with the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from benchmarks import memory
from benchmarks.figure import Figure
from benchmarks.program import Scope, run, say
from orangecontrib.imageanalytics import similarity

WIDTH = 1280
_K = 10
_REACH = 0.1
_ROWS = 2048
#: Products that are measured, of those that there are.
_SAMPLE = 60
#: Bytes that neighbours or groups may take beyond the vectors and the answer.
_MOST = 500


def measure(scope: Scope) -> list[Figure]:
    """Measure neighbours, groups and ranks."""
    counts = scope.choose([2_000], [10_000], [10_000, 100_000])
    return [figure for count in counts for figure in _measured(count)]


def _measured(count: int) -> Iterator[Figure]:
    vectors = pictures(count)
    named = f"{count:,} vectors".replace(",", " ")
    say(f"similarity: {named}")
    products = _Products(vectors)
    products.measure()
    sides: dict[str, Callable[[Callable[[float], None]], object]] = {
        f"the {_K} nearest": lambda tick: similarity.nearest(vectors, _K, callback=tick),
        f"groups within {_REACH}": lambda tick: similarity.group(vectors, _REACH, callback=tick),
    }
    for name, work in sides.items():
        ticks: list[float] = []
        with _memory() as taken:
            begun, processor = time.perf_counter(), time.process_time()
            work(lambda share, ticks=ticks: ticks.append(time.perf_counter()))  # type: ignore[misc]
            spent = time.perf_counter() - begun
            processor = time.process_time() - processor
        products.measure()
        yield Figure(
            f"{named}, {name}: time over the products alone",
            spent / products.seconds,
            "×",
            at_most=1.5,
            note=f"{spent:.1f} s; products {products.seconds:.1f} s; "
            f"in processor time {processor / products.processor_seconds:.2f} ×",
        )
        yield Figure(f"{named}, {name}: memory", taken() / 1e6, "MB", at_most=_MOST)
        longest = float(np.diff(ticks).max(initial=0))
        yield Figure(f"{named}, {name}: longest time without a callback", longest, "s")
    begun = time.perf_counter()
    similarity.rank(vectors, [1, 2, 3])
    yield Figure(f"{named}, rank by 3", time.perf_counter() - begun, "s")


class _Products:
    """The time of the products alone, measured before and after what they are compared with."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors
        starts = range(0, len(vectors), _ROWS)
        pairs = [(one, other) for one in starts for other in starts if other >= one]
        chance = np.random.default_rng(0)
        few = chance.choice(len(pairs), min(_SAMPLE, len(pairs)), replace=False)
        self._pairs = [pairs[index] for index in few]
        self._factor = sum(map(self._work, pairs)) / sum(map(self._work, self._pairs))
        self._found: list[tuple[float, float]] = []

    def measure(self) -> None:
        room = np.empty((_ROWS, _ROWS), np.float32)
        begun, processor = time.perf_counter(), time.process_time()
        for one, other in self._pairs:
            left, right = self._vectors[one : one + _ROWS], self._vectors[other : other + _ROWS]
            np.matmul(left, right.T, out=room[: len(left), : len(right)])
        spent = time.perf_counter() - begun, time.process_time() - processor
        self._found.append((spent[0] * self._factor, spent[1] * self._factor))

    @property
    def seconds(self) -> float:
        """Of all products: the mean of what was measured before and after."""
        return float(np.mean([spent for spent, _ in self._found[-2:]]))

    @property
    def processor_seconds(self) -> float:
        """The same in processor time, which depends less on what else the computer does."""
        return float(np.mean([processor for _, processor in self._found[-2:]]))

    def _work(self, pair: tuple[int, int]) -> int:
        one, other = (min(_ROWS, len(self._vectors) - start) for start in pair)
        return one * other


def pictures(count: int) -> NDArray[np.float32]:
    """Make vectors as those of pictures are: in classes, positive, some of them near copies."""
    chance = np.random.default_rng(0)
    classes = chance.random((50, WIDTH), np.float32) ** 4
    vectors = classes[chance.integers(50, size=count)]
    vectors += chance.random((count, WIDTH), np.float32) ** 4
    copies = chance.choice(count, count // 10, replace=False)
    noise = chance.standard_normal((len(copies), WIDTH), np.float32) * np.float32(0.05)
    vectors[copies] = vectors[chance.integers(count, size=len(copies))] + noise
    return vectors


@contextmanager
def _memory() -> Iterator[Callable[[], float]]:
    """Look at the memory of this process a hundred times a second, and give what was added."""
    before = memory.now()
    most = [before]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.01):
            most.append(memory.now())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: max(most) - before
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    run(measure)
