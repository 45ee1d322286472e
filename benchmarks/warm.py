"""Warm: how much faster a second run over the same files is, with the cache.

Both runs are of a new `ImageEmbedder`, as in a script that is run twice; the cold one starts the
workers. Files that were changed within the last two seconds are not remembered, so the program
waits before.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, run
from benchmarks.timing import in_turns, seconds
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

_COUNTS = {0.3: 400, 12: 60}
_QUICK_COUNTS = {0.3: 60, 12: 12}
_ROUNDS = 3
#: Files must be older than this to be remembered, in seconds.
_SETTLED = 2.1


def measure(scope: Scope) -> list[Figure]:
    """Measure both sizes of photo."""
    figures = []
    sizes = photos.of_each_size("warm", scope.choose(_QUICK_COUNTS, _COUNTS))
    for megapixels, paths, folder in sizes:
        time.sleep(_SETTLED)
        cold, warm = in_turns(scope.choose(1, _ROUNDS), *_cold_and_warm(paths, folder / "cache"))
        figures.append(
            Figure(
                f"Warm, {megapixels} megapixels: time per image of the second run",
                1000 * warm,
                "ms",
                at_most=0.3,
                note=f"mean of {len(paths)} photos, opening the cache included",
            )
        )
        figures.append(
            Figure(
                f"Warm, {megapixels} megapixels: the first run's time over the second's",
                cold / warm,
                "×",
                at_least=50 if megapixels == 12 else None,
                note=f"{1000 * cold:.1f} ms per image in the first run",
            )
        )
    return figures


def _cold_and_warm(
    paths: list[str], cache: Path
) -> tuple[Callable[[], float], Callable[[], float]]:
    def run_once() -> float:
        with ImageEmbedder("squeezenet", cache=cache) as embedder:
            vectors: list[object] = []
            taken = seconds(lambda: vectors.extend(embedder(paths)))
        assert all(vector is not None for vector in vectors)
        return taken / len(paths)

    def cold() -> float:
        shutil.rmtree(cache, ignore_errors=True)
        return run_once()

    return cold, run_once


if __name__ == "__main__":
    run(measure)
