"""Start: how long a fresh process takes to the first vector, and with what.

Three processes are timed from their start to their end: one that only imports, one that also has a
worker do nothing, and one that embeds an image. Their differences are the shares.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, environment, run, say
from benchmarks.timing import in_turns
from orangecontrib.imageanalytics.decoding.fit import Squash

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROUNDS = 7

_STAMP = "import time; begun = float(__import__('sys').argv[1])\n"
_IMPORTS = "from orangecontrib.imageanalytics.image_embedder import ImageEmbedder\n"
_WORKER = (
    "from orangecontrib.imageanalytics.embedder import FileTask\n"
    "from orangecontrib.imageanalytics.engine import Engine\n"
    "from benchmarks.start import Nothing\n"
    "Engine(Nothing()).submit(FileTask(__import__('sys').argv[2])).result()\n"
)
_VECTOR = (
    "(vector,) = ImageEmbedder('squeezenet', cache=False)([__import__('sys').argv[2]])\n"
    "assert vector.shape == (1000,)\n"
)
_TABLE = (
    "import Orange.data\n"
    "from Orange.data import Domain, StringVariable, Table\n"
    "column = StringVariable('image')\n"
    "column.attributes['type'] = 'image'\n"
    "path = __import__('sys').argv[2]\n"
    "table = Table.from_list(Domain([], metas=[column]), [[path]])\n"
    "embedded, _, n_skipped = ImageEmbedder('squeezenet', cache=False)(table)\n"
    "assert not n_skipped\n"
)
_END = "print(time.time() - begun)"


@dataclass(frozen=True)
class Nothing:
    """A job that computes nothing: what a worker costs without a model."""

    fit: Squash = Squash(227, 227)  # noqa: RUF009 (it is frozen)

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def __call__(self, image: NDArray[np.uint8], /) -> int:
        """Return the number of pixels."""
        return image.size


def measure(scope: Scope) -> list[Figure]:
    """Time the processes in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (photo,) = photos.make(folder / "photos", 0.3, 1)
        say("start: fresh processes")
        bare, imports, worker, vector, table = in_turns(
            scope.choose(3, _ROUNDS),
            *(
                lambda program=program: _time(program, photo, folder)
                for program in (
                    "",
                    _IMPORTS,
                    _IMPORTS + _WORKER,
                    _IMPORTS + _VECTOR,
                    _IMPORTS + _TABLE,
                )
            ),
        )
    return [
        Figure(
            "Start: a fresh process to the first vector",
            vector,
            "s",
            at_most=2,
            note=f"Python {bare:.2f} s, imports {imports - bare:.2f} s, worker "
            f"{worker - imports:.2f} s, model and image {vector - worker:.2f} s",
        ),
        Figure(
            "Start: a fresh process to the first embedded table",
            table,
            "s",
            note="with the import of Orange",
        ),
    ]


def _time(program: str, photo: str, folder: Path) -> float:
    """Seconds from before the process is started until its work is done."""
    import time

    output = subprocess.run(
        [sys.executable, "-c", _STAMP + program + _END, str(time.time()), photo],
        env=environment(folder),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    ).stdout
    return float(output)


if __name__ == "__main__":
    run(measure)
