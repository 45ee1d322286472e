"""Models: how fast each model that runs here is, and how well its embeddings tell photos apart.

Speed: milliseconds for an image on one core, one image at a time. Accuracy: logistic regression
(C = 0.01, on standardised embeddings) in five-fold stratified cross-validation, the mean of six
shuffles, on a folder of labelled photos that is given with ``--photos``; without one, there is no
accuracy.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import Figure
from benchmarks.program import Scope, run, say
from benchmarks.timing import in_turns, seconds
from orangecontrib.imageanalytics.image_embedder import Embedded, ImageEmbedder
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models import Kind
from orangecontrib.imageanalytics.models.catalogue import MODELS

_LOCAL = [model for model in MODELS.values() if model.kind is Kind.BUNDLED]
_IMAGES = 20
_FOLDS = 5
_SHUFFLES = 6


def measure(scope: Scope) -> list[Figure]:
    """Measure each local model of the catalogue."""
    say("models: speed on one core")
    figures = _speeds(scope.choose(3, 11))
    if scope.photos is None:
        say("models: no accuracy, as no folder of labelled photos is given (--photos FOLDER)")
        return figures
    return figures + [_accuracy(model.id, model.title, scope.photos) for model in _LOCAL]


def _speeds(rounds: int) -> list[Figure]:
    loops = []
    for model in _LOCAL:
        assert model.weights is not None
        network = OnnxModel(model.weights)
        shape = (1, *model.input_size, 3)
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        network(image)
        loops.append(
            lambda network=network, image=image: (
                seconds(lambda: [network(image) for _ in range(_IMAGES)]) / _IMAGES
            )
        )
    times = in_turns(rounds, *loops)
    return [
        Figure(f"Models, {model.title}: time per image on one core", 1000 * taken, "ms")
        for model, taken in zip(_LOCAL, times, strict=True)
    ]


def _accuracy(model: str, title: str, folder: Path) -> Figure:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    say(f"models: accuracy of {title}")
    vectors, classes = _embedded(model, folder)
    learner = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    splits = [StratifiedKFold(_FOLDS, shuffle=True, random_state=i) for i in range(_SHUFFLES)]
    scores = [100 * cross_val_score(learner, vectors, classes, cv=split).mean() for split in splits]
    return Figure(
        f"Models, {title}: accuracy",
        statistics.mean(scores),
        "%",
        note=f"{len(classes)} photos of {len(set(classes))} classes, five-fold cross-validation, "
        f"the mean of {_SHUFFLES} shuffles, {min(scores):.1f} to {max(scores):.1f}",
    )


def _embedded(model: str, folder: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Embed the photos of all classes that have enough for each fold; others are left out."""
    by_class = {
        subfolder.name: sorted(path for path in subfolder.iterdir() if path.is_file())
        for subfolder in sorted(folder.iterdir())
        if subfolder.is_dir()
    }
    labelled = [
        (path, name) for name, paths in by_class.items() if len(paths) >= _FOLDS for path in paths
    ]
    if len({name for _, name in labelled}) < 2:
        raise SystemExit(
            f"{folder} does not have two or more folders with {_FOLDS} or more photos in each."
        )
    with ImageEmbedder(model, cache=False) as embedder:
        outcomes = list(embedder.outcomes([path for path, _ in labelled]))
    kept = [
        (outcome.vector, name)
        for outcome, (_, name) in zip(outcomes, labelled, strict=True)
        if isinstance(outcome, Embedded)
    ]
    return np.array([vector for vector, _ in kept]), [name for _, name in kept]


if __name__ == "__main__":
    run(measure)
