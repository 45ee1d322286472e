"""Grid: how soon pictures are arranged, how well, and whether the window stands still meanwhile.

Vectors as those of pictures, of 1280 numbers, at random or in 20 clusters. What counts for times is
processor time on a computer that has other things to do: both are printed. The cost is compared
with that of the exact assignment (SciPy's), which takes too long beyond 2500 points; there with a
bound that no assignment can be below: the dual problem's value at potentials that Sinkhorn's
iterations give (Cuturi, 2013, Sinkhorn distances: lightspeed computation of optimal transport),
made feasible by a c-transform. With 2500 points it is some 0.2 % below the least cost. Neighbours
are each picture's ten nearest by cosine; the share of them within two cells is compared with that
of a random arrangement, and of the public add-on's method: MDS, then the exact assignment.
"""

from __future__ import annotations

import itertools
import json
import resource
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
from benchmarks.program import Scope, environment, run, say
from orangecontrib.imageanalytics import arrangement, similarity
from orangecontrib.imageanalytics.arrangement import Grid

WIDTH = 1280
#: Points up to which the exact assignment is computed for comparison.
_EXACT = 2_500
_NEIGHBOURS, _CELLS = 10, 2
#: Squares of cells by which Sinkhorn's assignments are blurred, one after the other.
_SOFTNESS, _ROUNDS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125), 200
#: Seconds within which the last arrangement is to be there, by the number of pictures.
_SECONDS = {2_500: 10.0, 10_000: 60.0}
_FILES = 200
_IDLE, _WATCHED = 3.0, 7.0


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
    plane = [0.0]

    def tick(done: float) -> None:
        if done <= arrangement.TO_PLANE:
            plane[0] = spent.seconds

    with arrangement.Apart("t-SNE") as apart:
        found = apart.arrange(vectors, grid, tick)
    seconds = spent.seconds
    yield Figure(
        f"Grid, {name}: the last arrangement",
        seconds,
        "s",
        at_most=_SECONDS.get(count),
        note=f"{plane[0]:.1f} s of it to the plane; {spent.processor}",
    )
    yield _cost(name, found, grid)
    yield from _neighbours(name, vectors, found.cells, grid)


def _cost(name: str, found: arrangement.Arrangement, grid: Grid) -> Figure:
    points, is_exact = found.points, len(found.points) <= _EXACT
    bound = _bound(points, grid)
    least = arrangement.cost(points, _exact(points, grid), grid) if is_exact else bound
    return Figure(
        f"Grid, {name}: the cost over {'the least' if is_exact else 'a bound of the least'}",
        arrangement.cost(points, found.cells, grid) / least,
        "×",
        at_most=1.02,
        note=f"the bound is {bound / least:.4f} of the least" if is_exact else "by the dual",
    )


def _bound(points: NDArray[np.float64], grid: Grid) -> float:
    """Give a number that the cost of no assignment is below, nor with cells that stay empty."""
    scaled = points * (grid.columns, grid.rows)
    best = 0.0
    potentials = np.zeros(grid.size)
    for softness in _SOFTNESS:
        with np.errstate(all="ignore"):
            potentials = _sinkhorn(scaled, grid, softness, potentials)
        if not np.isfinite(potentials).all():  # too small for the numbers of a computer
            break
        # Empty cells cost nothing: their potentials are 0 at most.
        feasible = potentials - potentials.max() if len(points) < grid.size else potentials
        best = max(best, float(_nearest(scaled, grid, feasible).sum() + feasible.sum()))
    return best


def _sinkhorn(
    scaled: NDArray[np.float64], grid: Grid, softness: float, start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give potentials of the cells; the kernel is a product of one in x and one in y."""
    x, y = scaled[:, :1] - _centres(grid.columns), scaled[:, 1:] - _centres(grid.rows)
    across, down = np.exp(-(x**2) / softness), np.exp(-(y**2) / softness)
    cells = np.exp(start / softness).reshape(grid.rows, grid.columns)
    share = len(scaled) / grid.size
    for _ in range(_ROUNDS):
        rows = 1 / np.einsum("ij,ij->i", across @ cells.T, down)
        cells = share / ((down * rows[:, None]).T @ across)
    return np.asarray(softness * np.log(cells.ravel()), np.float64)


def _nearest(
    scaled: NDArray[np.float64], grid: Grid, potentials: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each point the most that its potential can be: no cell costs less than both."""
    from scipy.spatial.distance import cdist

    y, x = np.divmod(np.arange(grid.size), grid.columns)
    cells = np.stack([x, y], axis=1) + 0.5
    parts = [
        (cdist(scaled[begin : begin + 1000], cells, "sqeuclidean") - potentials).min(axis=1)
        for begin in range(0, len(scaled), 1000)
    ]
    return np.concatenate(parts)


def _centres(count: int) -> NDArray[np.float64]:
    return np.arange(count, dtype=np.float64) + 0.5


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
        for key, doing in (
            ("arranging", "arranges"),
            ("scrolling", "scrolls and zooms its grid"),
            ("panning", "moves its map"),
            ("zooming", "zooms into its map"),
        )
    ] + [
        Figure(
            f"Grid, {count}: from the signal to the {which} arrangement in the widget",
            found[which],
            "s",
            at_most=aim,
        )
        for which, aim in (
            ("first", 1.0 if count <= _EXACT else None),
            ("last", _SECONDS.get(count)),
        )
    ]


def work() -> None:
    """Let the widget arrange pictures of the folder that the command line names."""
    from AnyQt.QtCore import QPoint
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
    busy = Busy()
    begun = time.perf_counter()

    def is_over() -> bool:
        if widget.arranged is not None:
            found.setdefault("first", time.perf_counter() - begun)
        return widget.task is None

    found["arranging"], found["last"] = longest_wait(lambda: widget.set_data(data), is_over)
    found["arranging_busy"] = busy.stop()
    bars = widget.view.verticalScrollBar(), widget.view.horizontalScrollBar()

    def scroll(number: int) -> None:
        widget.view.zoom(1 if number % 10 == 0 else 0)
        for bar in bars:
            bar.setValue(bar.value() + bar.pageStep() // 2)

    def pan(number: int) -> None:
        by = 40 if number % 40 < 20 else -40
        for bar in bars:
            bar.setValue(bar.value() + by)

    def zoom(number: int) -> None:
        widget.view.zoom_by(1.15 if number % 40 < 20 else 1 / 1.15, QPoint(300, 400))

    _watch(found, "scrolling", scroll, 100)
    menu = widget.panel.layout
    menu.setCurrentIndex(menu.findData("map"))
    menu.activated.emit(menu.currentIndex())
    widget.view.zoom(10)
    _watch(found, "panning", pan, 33)
    _watch(found, "zooming", zoom, 100)
    print(json.dumps(found))
    widget.onDeleteWidget()


def _watch(found: dict[str, Any], name: str, step: Callable[[int], None], interval: int) -> None:
    """Note the longest wait, and the longest work, while something is done again and again."""
    from AnyQt.QtCore import QTimer

    numbers = itertools.count()
    timer = QTimer(interval=interval)
    timer.timeout.connect(lambda: step(next(numbers)))
    timer.start()
    busy = Busy()
    found[name] = longest_wait(lambda: None, ended_after(_WATCHED))[0]
    found[f"{name}_busy"] = busy.stop()
    timer.stop()


if __name__ == "__main__":
    run(measure)
