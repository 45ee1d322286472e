"""Finding: whether the window stands still while duplicates are found, or pictures by words.

Both widgets run in a process with a Qt event loop: data arrives, the slider is moved, a group is
selected, another picture is kept, words are typed, an answer is selected. A timer that should fire
every millisecond notes the longest time that it did not, and how long the window's own thread
computed at a stretch. Words are answered by the tests' tiny CLIP, whose architecture and whose
vectors' length are those of the real one; the vectors of the pictures are in the table.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import photos
from benchmarks.figure import Figure
from benchmarks.gui import Busy, ended_after, longest_wait
from benchmarks.program import ROOT, Scope, environment, run, say

#: Pictures of a group.
_ALIKE = 5
#: Pictures, and numbers of an embedding. Orange counts the missing values of tables below ten
#: million numbers, so those of 7 500 rows may cost more than those of 10 000.
_WIDTH, _WORDS_WIDTH = 1280, 512
_IDLE = 3.0
#: Files must be older than this to be remembered, in seconds.
_SETTLED = 2.1
#: Seconds within which words are answered over all pictures.
_ANSWER = 0.2


def measure(scope: Scope) -> list[Figure]:
    """Run both widgets, each in a process of its own for each number of pictures."""
    figures: list[Figure] = []
    for count in scope.choose((500,), (7_500, 10_000)):
        figures += _of("alike", count)
    figures += _of("near", scope.choose(500, 10_000))
    for count in scope.choose((500,), (10_000, 100_000)):
        figures += _of("words", count)
    return figures


_NAMES = {
    "alike": "Duplicates by an embedding",
    "near": "Near copies, known to the cache",
    "words": "Words",
}


def _of(kind: str, count: int) -> Iterator[Figure]:
    say(f"finding: {kind}, {count} pictures")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if kind == "words":
            _put_clip(folder / "models")
        variables = environment(folder, ORANGE_IMAGE_MODELS=str(folder / "models"))
        output = subprocess.run(
            [sys.executable, "-c", f"from benchmarks import finding; finding.work_{kind}()",
             str(folder), str(count)],
            env=variables,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
            timeout=1800,
        ).stdout  # fmt: skip
    found: dict[str, list[float]] = json.loads(output.splitlines()[-1])
    idle = found.pop("idle")[0]
    answer = found.pop("answer", None)
    for step, (waited, busy, taken) in found.items():
        yield Figure(
            f"{_NAMES[kind]}, {count} pictures: the longest wait of the event loop: {step}",
            1000 * waited,
            "ms",
            at_most=50,
            note=f"the window's thread computes for {1000 * busy:.0f} ms at a stretch; over after "
            f"{taken:.2f} s; {1000 * idle:.0f} ms with nothing to do",
        )
    if answer is not None:
        yield Figure(
            f"{_NAMES[kind]}, {count} pictures: from the end of typing's pause to what is shown",
            answer[2],
            "s",
            at_most=_ANSWER,
        )


class _Steps:
    """Does one thing after the other, and notes how the window felt."""

    def __init__(self) -> None:
        from AnyQt.QtWidgets import QApplication

        self.application = QApplication([])
        self.found: dict[str, tuple[float, float, float]] = {}
        self.do("idle", lambda: None, ended_after(_IDLE))

    def do(self, name: str, begin: Callable[[], object], is_over: Callable[[], bool]) -> None:
        busy = Busy()
        waited, taken = longest_wait(begin, is_over)
        self.found[name] = waited, busy.stop(), taken

    def tell(self) -> None:
        print(json.dumps(self.found))


def work_alike() -> None:
    """Find what is alike by an embedding."""
    count = int(sys.argv[2])
    steps = _Steps()
    paths = [f"/no such folder/{row % 100}/{row}.jpg" for row in range(count)]
    data = _table(paths, _vectors(count, _WIDTH), "squeezenet: SqueezeNet")
    _find_duplicates(steps, data, "alike")


def work_near() -> None:
    """Find near copies, once the cache knows the pictures."""
    from orangecontrib.imageanalytics import duplicates

    folder, count = Path(sys.argv[1]) / "photos", int(sys.argv[2])
    paths = _copies(folder, count)
    time.sleep(_SETTLED)
    duplicates.find(paths)
    steps = _Steps()
    _find_duplicates(steps, _table(paths, np.empty((count, 0)), ""), "near")


def _find_duplicates(steps: _Steps, data: Any, mode: str) -> None:
    from orangecontrib.imageanalytics.widgets.owduplicateimages import OWDuplicateImages

    widget = OWDuplicateImages()
    widget.mode = mode
    widget.resize(1200, 900)
    widget.show()
    steps.application.processEvents()

    def is_over() -> bool:
        return not (widget.is_running or widget._waiting.isActive()) and widget.groups is not None

    def select() -> None:
        assert widget.groups is not None
        widget.view.select_rows(widget.groups.order[1:2])

    slider = widget.panel.distance.slider
    steps.do("data arrives", lambda: widget.set_data(data), is_over)
    assert widget.groups is not None and len(widget.groups.sizes) > 1
    positions = iter(range(10, 150, 20))

    def move() -> bool:
        position = next(positions, None)
        if position is not None:
            slider.setValue(position)
        return position is None and is_over()

    steps.do("the slider is moved", lambda: None, move)
    steps.do("a picture is selected", select, ended_after(1.0))
    steps.do("it is kept", widget.panel.keep_these.click, is_over)
    bar = widget.view.verticalScrollBar()
    steps.do("it is scrolled", lambda: bar.setValue(bar.maximum() // 2), ended_after(1.0))
    steps.do("data goes", lambda: widget.set_data(None), ended_after(1.0))
    steps.tell()
    widget.onDeleteWidget()


def work_words() -> None:
    """Find pictures by words, whose vectors are in the table."""
    from orangecontrib.imageanalytics.widgets.owfindimages import OWFindImages

    count = int(sys.argv[2])
    steps = _Steps()
    paths = [f"/no such folder/{row % 100}/{row}.jpg" for row in range(count)]
    data = _table(paths, _vectors(count, _WORDS_WIDTH), "clip-vit-b-32: CLIP")
    widget = OWFindImages()
    widget.resize(1200, 900)
    widget.show()
    steps.application.processEvents()

    def is_over() -> bool:
        return not (widget.is_running or widget._waiting.isActive())

    def type_words(words: str) -> Callable[[], None]:
        return lambda: widget.panel.words.setPlainText(words)

    def is_answered(words: str) -> Callable[[], bool]:
        def is_answered() -> bool:
            found = widget.answer
            return found is not None and ", ".join(found.question.queries) == words

        return is_answered

    steps.do("data arrives", lambda: widget.set_data(data), is_over)
    steps.do("the first words, with the start of their process", type_words("cow"), is_over)
    steps.do("other words", type_words("a lemon"), is_over)
    steps.do("several queries", type_words("dog\ncat\nbicycle"), is_over)
    rows = widget.view.images.order[: count // 2]
    steps.do("half of them are selected", lambda: widget.view.select_rows(rows), ended_after(1.0))
    widget.panel.words.setPlainText("red bicycle")
    _until(lambda: not widget._waiting.isActive())  # the pause of typing
    begun = time.perf_counter()
    _until(is_answered("red bicycle"))
    answered = time.perf_counter() - begun
    _until(is_over)
    steps.do("data goes", lambda: widget.set_data(None), ended_after(1.0))
    steps.found["answer"] = 0, 0, answered
    steps.tell()
    widget.onDeleteWidget()


def _until(is_true: Callable[[], bool]) -> None:
    longest_wait(lambda: None, is_true)


def _vectors(count: int, width: int) -> NDArray[np.float64]:
    """Make vectors in groups of alike ones, that have nothing to do with other groups."""
    chance = np.random.default_rng(0)
    middles = chance.standard_normal((count // _ALIKE, width))
    return np.repeat(middles, _ALIKE, axis=0) + 0.3 * chance.standard_normal((count, width))


def _table(paths: list[str], vectors: NDArray[np.float64], maker: str) -> Any:
    from Orange.data import ContinuousVariable, Domain, StringVariable, Table

    image = StringVariable("image")
    image.attributes["type"] = "image"
    columns = [ContinuousVariable(f"n{number}") for number in range(vectors.shape[1])]
    for column in columns:
        column.attributes["embedder"] = maker
        column.attributes["hidden"] = True
    names = np.array(paths, object).reshape(-1, 1)
    return Table.from_numpy(Domain(columns, metas=[image]), vectors, metas=names)


def _copies(folder: Path, count: int) -> list[str]:
    """Write small pictures, each in some qualities."""
    from PIL import Image

    found = []
    for path in photos.make_small(folder, count // _ALIKE):
        with Image.open(path) as picture:
            for number in range(_ALIKE):
                copy = f"{path[:-4]} {number}.jpg"
                picture.save(copy, quality=95 - 5 * number)
                found.append(copy)
    return found


def _put_clip(folder: Path) -> None:
    """Put the tiny CLIP of the tests where a downloaded one is."""
    from orangecontrib.imageanalytics.models import downloaded
    from orangecontrib.imageanalytics.models.catalogue import MODELS
    from tests.clip import CLIP, content_of

    files = downloaded.downloaded_files(MODELS[CLIP], folder)
    for file, name in zip(files, ("images.onnx", "texts.onnx", "tokenizer.json"), strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content_of(name))


if __name__ == "__main__":
    run(measure)
