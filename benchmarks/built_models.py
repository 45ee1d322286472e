"""Built models: how fast the models are that are downloaded, by files that `tools/parity.py` keeps.

    python tools/parity.py vgg inception DINOv2 CLIP mobilenetv4 painters --keep FOLDER
    python -m benchmarks.built_models FOLDER

Their weights are random, which changes no time. Milliseconds for an image on one core, one image at
a time, in turns with the bundled SqueezeNet, so that a busy computer slows all alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from benchmarks.timing import in_turns, seconds
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.catalogue import DEFAULT, MODELS

_ROUNDS = 7
_SHORTEST = 0.2  # seconds that each measures at a time


def measure(folder: Path) -> list[Figure]:
    """Time every file of a folder, and SqueezeNet first."""
    bundled = MODELS[DEFAULT].weights
    assert bundled is not None
    files = [bundled, *sorted(folder.glob("*.onnx"))]
    figures = []
    for file in files[1:]:
        loops = [_loop(OnnxModel(path)) for path in (bundled, file)]
        reference, taken = in_turns(_ROUNDS, *loops)
        note = f"{taken / reference:.1f} times SqueezeNet's {1000 * reference:.1f} ms"
        question = f"Built models, {file.stem}: time per image on one core"
        figures.append(Figure(question, 1000 * taken, "ms", note=note))
        print(figures[-1], flush=True)
    return figures


def _loop(model: OnnxModel) -> Callable[[], float]:
    image = np.random.default_rng(0).integers(0, 256, (1, *model.input_size, 3), np.uint8)
    first = min(seconds(lambda: model(image)) for _ in range(2))
    count = max(1, round(_SHORTEST / first))
    return lambda: seconds(lambda: [model(image) for _ in range(count)]) / count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files are")
    measure(parser.parse_args().folder)
