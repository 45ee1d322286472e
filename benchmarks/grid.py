"""Grid: how soon pictures are arranged, how well, and whether the window stands still meanwhile.

Vectors as those of pictures, of 1280 numbers, at random or in 20 clusters. What counts for times is
processor time on a computer that has other things to do: both are printed. The cost is compared
with that of the exact assignment (SciPy's), which takes too long beyond 2500 points. Neighbours are
each picture's ten nearest by cosine; the share of them within two cells is compared with that of a
random arrangement, and of the public add-on's method: MDS, then the exact assignment.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import photos
from benchmarks.figure import Figure
from benchmarks.gui import ended_after, longest_wait
from benchmarks.program import Scope, environment, run, say
from benchmarks.viewer import _Busy
from orangecontrib.imageanalytics import arrangement, similarity
from orangecontrib.imageanalytics.arrangement import Grid

WIDTH = 1280
#: Points up to which the exact assignment is computed for comparison.
_EXACT = 2_500
_NEIGHBOURS, _CELLS = 10, 2
#: Seconds within which the last arrangement is to be there, by the number of pictures.
_SECONDS = {2_500: 10.0, 10_000: 60.0}
_FILES = 200
_IDLE = 3.0


def measure(scope: Scope) -> list[Figure]:
    """Measure arrangements of random and clustered vectors, and then the widget."""
    counts = scope.choose([100], [100, 1_000, 2_500], [100, 1_000, 2_500, 10_000])
    figures: list[Figure] = []
    for count in counts:
        for kind in ("random", "clustered"):
            say(f"grid: {count} {kind} vectors")
            figures += _of(count, kind)
    for count in counts[-1:]:
        figures += _of_widget(count)
    return figures


def vectors_of(count: int, kind: str) -> NDArray[np.float32]:
    """Make vectors at random, or in 20 clusters."""
    chance = np.random.default_rng(0)
    vectors = chance.standard_normal((count, WIDTH)).astype(np.float32)
    if kind == "clustered":
        middles = chance.standard_normal((20, WIDTH)).astype(np.float32)
        vectors = middles[chance.integers(20, size=count)] + np.float32(0.7) * vectors
    return vectors


def _of(count: int, kind: str) -> Iterator[Figure]:
    vectors, grid, name = vectors_of(count, kind), Grid.for_count(count), f"{count} {kind}"
    spent = _Spent()
    first = arrangement.to_unit_square(arrangement.lay_out(vectors, "PCA"))
    arrangement.spread(first, grid)
    yield Figure(
        f"Grid, {name}: the first arrangement",
        spent.seconds,
        "s",
        at_most=1.0 if count <= _EXACT else None,
        note=spent.processor,
    )
    spent = _Spent()
    points = arrangement.to_unit_square(arrangement.lay_out(vectors, "t-SNE"))
    plane = spent.seconds
    cells = arrangement.assign(points, grid)
    yield Figure(
        f"Grid, {name}: the last arrangement",
        spent.seconds,
        "s",
        at_most=_SECONDS.get(count),
        note=f"{plane:.1f} s of it to the plane; {spent.processor}",
    )
    if count <= _EXACT:
        least = _exact(points, grid)
        yield Figure(
            f"Grid, {name}: the cost over the least",
            arrangement.cost(points, cells, grid) / arrangement.cost(points, least, grid),
            "×",
            at_most=1.02,
        )
    yield from _neighbours(name, vectors, cells, grid)


def _neighbours(
    name: str, vectors: NDArray[np.float32], cells: NDArray[np.intp], grid: Grid
) -> Iterator[Figure]:
    nearest = similarity.nearest(vectors, _NEIGHBOURS).indices
    by_chance = np.random.default_rng(1).permutation(grid.size)[: len(vectors)]
    others = {"at random": _kept(nearest, by_chance, grid)}
    if len(vectors) <= arrangement.MOST_FOR_MDS:
        public = arrangement.to_unit_square(arrangement.mds(vectors))
        others["by the public method"] = _kept(nearest, _exact(public, grid), grid)
    told = ", ".join(f"{100 * share:.0f} % {kind}" for kind, share in others.items())
    share = _kept(nearest, cells, grid)
    yield Figure(f"Grid, {name}: neighbours within {_CELLS} cells", 100 * share, "%", note=told)


def _kept(nearest: NDArray[np.intp], cells: NDArray[np.intp], grid: Grid) -> float:
    places = np.stack(np.divmod(cells, grid.columns), axis=1)
    apart = np.abs(places[nearest] - places[:, None]).max(axis=2)
    return float((apart <= _CELLS).mean())


def _exact(points: NDArray[np.float64], grid: Grid) -> NDArray[np.intp]:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    y, x = np.divmod(np.arange(grid.size), grid.columns)
    scaled = points * (grid.columns, grid.rows)
    cost = cdist(scaled, np.stack([x, y], axis=1) + 0.5, "sqeuclidean")
    return np.asarray(linear_sum_assignment(cost)[1], np.intp)


class _Spent:
    """Time since it was made: on the clock, and of the processor in this process and others."""

    def __init__(self) -> None:
        self._begun, self._processor = time.perf_counter(), self._now()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    @property
    def processor(self) -> str:
        return f"{self._now() - self._processor:.1f} s of processor time"

    @staticmethod
    def _now() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in used)


def _of_widget(count: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"grid: the widget arranges {count} pictures")
        photos.make_small(folder / "photos", _FILES)
        output = subprocess.run(
            [sys.executable, "-c", "from benchmarks import grid; grid.work()",
             str(folder / "photos"), str(count)],
            env=environment(folder / "home"),
            stdout=subprocess.PIPE,
            check=True,
            timeout=1800,
        ).stdout  # fmt: skip
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    idle = f"{1000 * found['idle']:.0f} ms with nothing to do"
    return [
        Figure(
            f"Grid, {count}: the longest wait of the event loop while the widget {doing}",
            1000 * found[key],
            "ms",
            at_most=50,
            note=f"{idle}; of which the window computes at a stretch, at most "
            f"{1000 * found[key + '_busy']:.0f} ms of processor time",
        )
        for key, doing in (("arranging", "arranges"), ("scrolling", "scrolls and zooms"))
    ]


def work() -> None:
    """Let the widget arrange pictures of the folder that the command line names."""
    from AnyQt.QtCore import QTimer
    from AnyQt.QtWidgets import QApplication
    from Orange.data import ContinuousVariable, Domain, StringVariable, Table

    from orangecontrib.imageanalytics.tables import maker
    from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid

    application = QApplication([])
    files, count = sorted(Path(sys.argv[1]).iterdir()), int(sys.argv[2])
    image = StringVariable("image")
    image.attributes["type"] = "image"
    columns = [ContinuousVariable(f"n{number}") for number in range(WIDTH)]
    for column in columns:
        column.attributes["embedder"] = maker("squeezenet", "SqueezeNet")
        column.attributes["hidden"] = True
    names = np.array([[str(files[row % len(files)])] for row in range(count)], object)
    vectors = vectors_of(count, "clustered").astype(float)
    data = Table.from_numpy(Domain(columns, metas=[image]), vectors, metas=names)
    found = {"idle": longest_wait(lambda: None, ended_after(_IDLE))[0]}
    widget = OWImageGrid()
    widget.resize(1200, 900)
    widget.show()
    application.processEvents()
    busy = _Busy()
    found["arranging"] = longest_wait(lambda: widget.set_data(data), lambda: widget.task is None)[0]
    found["arranging_busy"] = busy.stop()
    bars = widget.view.verticalScrollBar(), widget.view.horizontalScrollBar()
    steps = iter(range(60))

    def step() -> None:
        number = next(steps, None)
        if number is not None:
            widget.view.zoom(1 if number % 10 == 0 else 0)
            for bar in bars:
                bar.setValue(bar.value() + bar.pageStep() // 2)

    timer = QTimer(interval=100)
    timer.timeout.connect(step)
    timer.start()
    busy = _Busy()
    found["scrolling"] = longest_wait(lambda: None, ended_after(7.0))[0]
    found["scrolling_busy"] = busy.stop()
    print(json.dumps(found))
    widget.onDeleteWidget()


if __name__ == "__main__":
    run(measure)
