"""Models: how fast each model that runs here is, and how well its embeddings tell photos apart.

Those are the bundled ones; run by itself, the user's own and downloaded ones, too (the environment
variable ORANGE_IMAGE_MODELS names another folder). Speed: milliseconds of one core for an image,
one at a time. Accuracy: logistic regression (C = 0.01, on standardised embeddings) and the five
nearest neighbours (vectors of length 1) in five-fold stratified cross-validation, the mean of six
shuffles, on a folder of labelled photos that is given with ``--photos``; without one, there is no
accuracy.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import Figure
from benchmarks.program import Scope, run, say
from benchmarks.timing import in_turns
from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.image_embedder import Embedded, ImageEmbedder
from orangecontrib.imageanalytics.model_file.onnx_model import ModelSpec

_IMAGES = 20
_FOLDS = 5
_SHUFFLES = 6


def measure(scope: Scope) -> list[Figure]:
    """Measure each model that is on this computer."""
    local = [model for model in models.find().models.values() if model.weights is not None]
    say("models: speed on one core")
    figures = _speeds(local, scope.choose(3, 11))
    if scope.photos is None:
        say("models: no accuracy, as no folder of labelled photos is given (--photos FOLDER)")
        return figures
    return figures + [figure for model in local for figure in _accuracies(model, scope.photos)]


def _speeds(local: list[models.Model], rounds: int) -> list[Figure]:
    loops = []
    for model in local:
        assert model.weights is not None
        network = ModelSpec.of(model.weights).load()
        shape = (1, *model.input_size, 3)
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        network(image)

        def loop(network: Any = network, image: NDArray[np.uint8] = image) -> float:
            begun = time.process_time()
            for _ in range(_IMAGES):
                network(image)
            return (time.process_time() - begun) / _IMAGES

        loops.append(loop)
    return [
        Figure(f"Models, {model.title}: time per image on one core", 1000 * taken, "ms")
        for model, taken in zip(local, in_turns(rounds, *loops), strict=True)
    ]


def _accuracies(model: models.Model, folder: Path) -> Iterator[Figure]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    say(f"models: accuracy of {model.title}")
    vectors, classes = _embedded(model.id, folder)
    learners = {
        "logistic regression": make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)
        ),
        "five nearest neighbours": make_pipeline(Normalizer(), KNeighborsClassifier(5)),
    }
    for name, learner in learners.items():
        yield _accuracy(f"Models, {model.title}: accuracy of {name}", learner, vectors, classes)


def _accuracy(
    question: str, learner: Any, vectors: NDArray[np.float32], classes: list[str]
) -> Figure:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    splits = [StratifiedKFold(_FOLDS, shuffle=True, random_state=i) for i in range(_SHUFFLES)]
    scores = [100 * cross_val_score(learner, vectors, classes, cv=split).mean() for split in splits]
    return Figure(
        question,
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
