"""Scale: whether time and memory for each image stay the same, however many there are.

Each run is a process of its own, over small distinct JPEG files, with a cache; its workers have
been started before the clock. Subtracted from the peak of memory is what the run exists to give:
the vectors, each an array of its own, and, of a table, its columns (8 bytes for each number).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import memory, photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, environment, run, say
from benchmarks.timing import processor_seconds, seconds
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

_COUNTS = [1_000, 10_000]
_FULL_COUNTS = [*_COUNTS, 100_000]
_QUICK_COUNTS = [200, 1_000]
#: Seconds for each image, with room to spare, until a run is given up.
_PATIENCE = 0.1
_MB = 10**6


def measure(scope: Scope) -> list[Figure]:
    """Measure lists and tables."""
    counts = scope.choose(_QUICK_COUNTS, _COUNTS, _FULL_COUNTS)
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"scale: {counts[-1]} small images are made")
        photos.make_small(folder / "photos", counts[-1])
        for kind in ("list", "table"):
            runs = []
            for count in counts:
                say(f"scale: a {kind} of {count} images, some {0.006 * count / 60:.1f} minutes")
                runs.append(_run(kind, count, folder))
            figures.extend(_figures(kind, counts, runs))
    return figures


def _figures(kind: str, counts: list[int], runs: list[dict[str, float]]) -> list[Figure]:
    times = [found["seconds"] / count for found, count in zip(runs, counts, strict=True)]
    beyond = [found["beyond"] / _MB for found in runs]
    workers = max(found["workers"] for found in runs) / _MB
    processor = [found["processor"] / count for found, count in zip(runs, counts, strict=True)]
    sizes = ", ".join(f"{count:,}".replace(",", " ") for count in counts)
    return [
        Figure(
            f"Scale, {kind} of {sizes}: time per image of the last over the first",
            times[-1] / times[0],
            "×",
            at_most=1.1,
            note=f"{_listed(1000 * t for t in times)} ms; by processor time "
            f"{processor[-1] / processor[0]:.2f} ×",
        ),
        Figure(
            f"Scale, {kind} of {sizes}: growth of peak memory beyond the result",
            beyond[-1] - beyond[0],
            "MB",
            at_most=30,
            note=f"{_listed(beyond)} MB above the start; {workers:.0f} MB in each worker",
        ),
    ]


def _listed(numbers: Any) -> str:
    return ", ".join(f"{number:.1f}" for number in numbers)


def _run(kind: str, count: int, folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        output = subprocess.run(
            [sys.executable, "-c", "from benchmarks import scale; scale.work()", kind, str(count)],
            input=str(folder / "photos"),
            env=environment(Path(own)),
            stdout=subprocess.PIPE,
            check=True,
            timeout=60 + count * _PATIENCE,
            text=True,
        ).stdout
    found: dict[str, float] = json.loads(output)
    return found


def work() -> None:
    """Embed so many images of the folder that standard input names; print what it took."""
    kind, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.stdin.read())
    paths = [str(path) for path in sorted(folder.iterdir())[:count]]
    data = paths if kind == "list" else _table(paths)
    with ImageEmbedder("squeezenet") as embedder:
        embedder.start()
        embedder([_warm_up(paths[0], index) for index in range(8)])
        before, spent = memory.now(), processor_seconds()
        watch = _Watch()
        result: Any = None

        def embed() -> None:
            nonlocal result
            result = embedder(data)

        taken = seconds(embed)
        spent = processor_seconds() - spent
        workers = watch.end()
    vector = sys.getsizeof(np.array(np.zeros(1000, np.float32)))  # the data are its own
    wanted = count * (vector if kind == "list" else vector + 1000 * 8)
    assert len(result) == count if kind == "list" else result[2] == 0
    found = {
        "seconds": taken,
        "processor": spent,
        "beyond": memory.peak() - before - wanted,
        "workers": workers,
    }
    print(json.dumps(found))


def _warm_up(path: str, index: int) -> bytes:
    """Give an image that is not among those to be embedded."""
    return Path(path).read_bytes() + bytes([index])


def _table(paths: list[str]) -> Any:
    from Orange.data import Domain, StringVariable, Table

    column = StringVariable("image")
    column.attributes["type"] = "image"
    return Table.from_list(Domain([], metas=[column]), [[path] for path in paths])


class _Watch(threading.Thread):
    """Looks now and then how much memory the workers take."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._largest = 0
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(1.0):
            self._largest = max([self._largest, *memory.of_workers()])

    def end(self) -> int:
        """Give the most bytes of one worker."""
        self._ended.set()
        return max([self._largest, *memory.of_workers()])


if __name__ == "__main__":
    run(measure)
