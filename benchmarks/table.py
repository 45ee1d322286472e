"""Table: what it takes to put embeddings into an Orange table.

4096 numbers for each of 5 000 rows are 164 MB; in a process of its own, for its peak of memory.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import memory
from benchmarks.figure import Figure
from benchmarks.program import Scope, environment, run, say
from benchmarks.timing import seconds

_ROWS, _DIMENSION = 5_000, 4_096
_REPEATS, _QUICK_REPEATS = 15, 5


def measure(scope: Scope) -> list[Figure]:
    """Measure time and memory."""
    repeats = scope.choose(_QUICK_REPEATS, _REPEATS)
    say(f"table: {_DIMENSION} columns for {_ROWS} rows")
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            [sys.executable, "-c", "from benchmarks import table; table.work()", str(repeats)],
            env=environment(Path(folder)),
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        ).stdout
    found = json.loads(output)
    return [
        Figure(
            f"Table: appending {_DIMENSION} columns to {_ROWS} rows",
            1000 * found["seconds"],
            "ms",
            at_most=60,
            note=f"{1000 * found['first']:.0f} ms the first time, with what Orange imports then; "
            f"copying as many bytes into new memory takes {1000 * found['copy']:.0f} ms",
        ),
        Figure(
            "Table: memory taken meanwhile, over the result's size",
            found["memory"],
            "×",
            at_most=1.2,
            note="the result included",
        ),
    ]


def work() -> None:
    """Append columns as often as the command line says; print what it took."""
    import numpy as np
    from Orange.data import ContinuousVariable, Domain, StringVariable, Table

    from orangecontrib.imageanalytics import widened_tables
    from orangecontrib.imageanalytics.computed_columns import Embedding
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.outcome import Embedded

    domain = Domain([ContinuousVariable("x")], metas=[StringVariable("image")])
    table = Table.from_list(domain, [[index, f"{index}.jpg"] for index in range(_ROWS)])
    chance = np.random.default_rng(0)
    outcomes = [Embedded(chance.random(_DIMENSION, np.float32)) for _ in range(_ROWS)]
    how = Embedding(
        "vgg16",
        "fingerprint",
        "image",
        title="VGG-16",
        dimension=_DIMENSION,
        opens=ImageEmbedder,
    )
    size = _ROWS * _DIMENSION * 8

    def append() -> None:
        embedded, _, _ = widened_tables.with_embeddings(table, outcomes, how)
        assert embedded is not None and embedded.X.shape == (_ROWS, _DIMENSION + 1)

    def copy() -> None:
        np.empty((_ROWS, _DIMENSION))[:] = 1.0

    before = memory.now()
    first = seconds(append)
    taken = memory.peak() - before
    pairs = [(seconds(append), seconds(copy)) for _ in range(int(sys.argv[1]))]
    found = {
        "first": first,
        "memory": taken / size,
        "seconds": statistics.median(pair[0] for pair in pairs),
        "copy": statistics.median(pair[1] for pair in pairs),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    run(measure)
