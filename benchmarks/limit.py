"""Limit: how near a whole call comes to what decoding and computing alone would take.

The limit is the time to decode an image plus the time to compute its embedding, each alone in a
tight loop on one core, divided by the number of cores. A call has also to read and hash files, to
share out the work and to collect vectors. Files are in the system's memory, the cache is off.
"""

from __future__ import annotations

import statistics
import time
from itertools import cycle, islice
from pathlib import Path

from benchmarks import machine, photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, run
from benchmarks.timing import in_turns, processor_seconds, seconds
from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.catalogue import MODELS

_MODEL = MODELS["squeezenet"]
#: Photos of each size: a whole call should take a few seconds, unless one is in a hurry.
_COUNTS = {0.3: 400, 2.5: 300, 12: 60}
_QUICK_COUNTS = {0.3: 60, 2.5: 30, 12: 12}
#: Images in one measurement of the tight loop.
_LOOP = 40
_ROUNDS = 4


def measure(scope: Scope) -> list[Figure]:
    """Measure each size of photo."""
    sizes = photos.of_each_size("limit", scope.choose(_QUICK_COUNTS, _COUNTS))
    return [_over_limit(size, paths, scope.choose(2, _ROUNDS)) for size, paths, _ in sizes]


def _over_limit(megapixels: float, paths: list[str], rounds: int) -> Figure:
    tight = _TightLoop(paths)
    with ImageEmbedder(_MODEL.id, cache=False) as embedder:
        cold = seconds(lambda: embedder(paths)) / len(paths)
        spent: list[float] = []

        def call() -> float:
            before = processor_seconds()
            taken = seconds(lambda: embedder(paths))
            spent.append((processor_seconds() - before) / len(paths))
            return taken / len(paths)

        alone, whole = in_turns(rounds, tight, call)
    limit = alone / machine.cores()
    return Figure(
        f"Limit, {megapixels} megapixels: time per image over that of decoding and computing alone",
        whole / limit,
        "×",
        at_most=1.12,
        note=f"{1000 * whole:.1f} ms per image over {1000 * limit:.1f} ms; "
        f"by processor time {statistics.median(spent) / tight.processor_time:.2f} ×; "
        f"{cold / limit:.2f} × with the start of the workers, for {len(paths)} photos",
    )


class _TightLoop:
    """Decoding and computing, each alone, on one core.

    Attributes
    ----------
    processor_time : float
        The median processor time for an image, in seconds.
    """

    def __init__(self, paths: list[str]) -> None:
        assert _MODEL.weights is not None
        self._model = OnnxModel(_MODEL.weights)
        self._paths = cycle(paths)
        self._count = min(_LOOP, len(paths))
        self._spent: list[float] = []
        self()
        self._spent.clear()  # the first images are slower than all others

    @property
    def processor_time(self) -> float:
        return statistics.median(self._spent)

    def __call__(self) -> float:
        """Seconds per image for the next few images."""
        contents = [Path(path).read_bytes() for path in islice(self._paths, self._count)]
        begun, spent = time.perf_counter(), time.process_time()
        images = [pixels.decode(content, Squash(*_MODEL.input_size)) for content in contents]
        for image in images:
            self._model(image[None])
        self._spent.append((time.process_time() - spent) / self._count)
        return (time.perf_counter() - begun) / self._count


if __name__ == "__main__":
    run(measure)
