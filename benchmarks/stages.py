"""Stages: what the processor's time for an image goes to, from the file to the vector.

The stages of the work are timed alone in tight loops. What a whole call takes beyond them is in
the threads that hand out work and collect vectors, and in the workers: pickling, and caches that
hold the weights one moment and the pixels the next.
"""

from __future__ import annotations

import math
import statistics
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks import photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, run
from benchmarks.timing import processor_seconds, seconds
from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.decoding import jpeg, pixels, resize
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.catalogue import MODELS

_MODEL = MODELS["squeezenet"]
_COUNTS = {0.3: 400, 2.5: 200, 12: 60}
_QUICK_COUNTS = {0.3: 60, 2.5: 30, 12: 12}
#: Images in one measurement of a stage.
_LOOP = 40
_ROUNDS = 5


def measure(scope: Scope) -> list[Figure]:
    """Take each size of photo apart."""
    figures = []
    sizes = photos.of_each_size("stages", scope.choose(_QUICK_COUNTS, _COUNTS))
    for megapixels, paths, _ in sizes:
        stages = _stages(paths[:_LOOP]) | _whole(paths)
        figures.append(
            Figure(
                f"Stages, {megapixels} megapixels: processor time of a whole call, per image",
                stages.pop("whole"),
                "ms",
                note=", ".join(f"{name} {taken:.2f}" for name, taken in stages.items()),
            )
        )
    return figures


def _stages(paths: list[str]) -> dict[str, float]:
    """Milliseconds for an image, by stage."""
    assert _MODEL.weights is not None
    model = OnnxModel(_MODEL.weights)
    fit = Squash(*_MODEL.input_size)
    least = (math.ceil(fit.jpeg_gap * fit.height), math.ceil(fit.jpeg_gap * fit.width))
    contents = [Path(path).read_bytes() for path in paths]
    headers = [jpeg.header(content) for content in contents]
    assert all(headers)

    full = [(header.height, header.width) for header in headers if header is not None]
    scales = [jpeg.scale(size, least) for size in full]

    def decoded(index: int) -> NDArray[np.uint8]:
        header = headers[index]
        assert header is not None
        return jpeg.decode(contents[index], header, "RGB", scales[index])

    pictures = [decoded(index) for index in range(len(paths))]
    inputs = [pixels.decode(content, fit)[None] for content in contents]
    stages: dict[str, Callable[[int], object]] = {
        "reading": lambda i: sources.read_file(paths[i]),
        "hashing": lambda i: sources.content_hash(contents[i]),
        "decoding": lambda i: pixels.decode(contents[i], fit),
        "of which libjpeg": decoded,
        "and Lanczos": lambda i: resize.resize_scaled(pictures[i], full[i], scales[i], fit, 1),
        "network": lambda i: model(inputs[i]),
    }
    return {name: 1000 * _median(stage, len(paths)) for name, stage in stages.items()}


def _median(stage: Callable[[int], object], count: int) -> float:
    """Seconds for an image, of several rounds over all; the first round is not counted."""
    taken = [seconds(lambda: [stage(i) for i in range(count)]) for _ in range(_ROUNDS + 1)]
    return statistics.median(taken[1:]) / count


def _whole(paths: list[str]) -> dict[str, float]:
    """Milliseconds of processor time for an image of a whole call, and of each thread in it."""
    with ImageEmbedder(_MODEL.id, cache=False) as embedder:
        embedder(paths[:_LOOP])  # starts all threads
        before, spent = _of_threads(), processor_seconds()
        for _ in range(_ROUNDS):
            embedder(paths)
        spent = processor_seconds() - spent
        after = _of_threads()
        names = {t.native_id: t.name for t in threading.enumerate()}
    per_image = 1000 / (_ROUNDS * len(paths))
    own = {
        f"thread {name}": (after[number] - before.get(number, 0.0)) * per_image
        for number, name in names.items()
        if number in after
    }
    return {"whole": spent * per_image} | {
        name: taken for name, taken in own.items() if taken >= 0.01
    }


def _of_threads() -> dict[int, float]:
    """Seconds of processor time so far, by thread of this process."""
    return {t.id: t.user_time + t.system_time for t in psutil.Process().threads()}


if __name__ == "__main__":
    run(measure)
