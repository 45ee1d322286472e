"""Beside: what an image takes in this version and in another one, in turns.

    python -m benchmarks.beside COMMIT

The other version is taken out of the repository into a temporary folder; both run in this Python,
with its packages, over the same photos. The cache is off. Processor time is that of a whole call:
of the caller and of all workers.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import machine, photos
from benchmarks.figure import Figure
from benchmarks.program import ROOT, Scope, answer, environment, options, say, scope_of

_COUNTS = {0.3: 200, 2.5: 100, 12: 40}
_QUICK_COUNTS = {0.3: 40, 2.5: 20, 12: 8}
_ROUNDS, _QUICK_ROUNDS = 7, 2


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beside",
        description="Measure this version and another one in turns.",
        parents=[options()],
    )
    parser.add_argument("commit", help="the other version, as git names it")
    parser.add_argument("--model", default="squeezenet", help="default: %(default)s")
    chosen = parser.parse_args()
    say(machine.description())
    if warning := machine.busy():
        say(warning)
    figures = measure(scope_of(chosen), chosen.commit, chosen.model)
    for figure in figures:
        print(figure)
    print(answer(figures))


def measure(scope: Scope, commit: str, model: str) -> list[Figure]:
    """Measure each size of photo."""
    rounds = scope.choose(_QUICK_ROUNDS, _ROUNDS)
    with _checked_out(commit) as tree, _side(ROOT, model) as ours, _side(tree, model) as theirs:
        sizes = photos.of_each_size("beside", scope.choose(_QUICK_COUNTS, _COUNTS))
        return [
            figure
            for megapixels, paths, _ in sizes
            for figure in _compared(f"Beside, {megapixels} megapixels", paths, ours, theirs, rounds)
        ]


def _compared(
    name: str,
    paths: list[str],
    ours: subprocess.Popen[str],
    theirs: subprocess.Popen[str],
    rounds: int,
) -> list[Figure]:
    taken = [(_ask(ours, paths), _ask(theirs, paths)) for _ in range(rounds)]
    figures = []
    for place, what in enumerate(("time", "processor time")):
        now, before = ([pair[side][place] for pair in taken] for side in (0, 1))
        ratios = [one / other for one, other in zip(now, before, strict=True)]
        figures.append(
            Figure(
                f"{name}: {what} of an image over that of the other version",
                statistics.median(ratios),
                "×",
                note=f"{statistics.median(now):.1f} ms now, {statistics.median(before):.1f} ms "
                f"there, on {machine.cores()} cores; in turns {min(ratios):.2f} to "
                f"{max(ratios):.2f} ×",
            )
        )
    return figures


def _ask(side: subprocess.Popen[str], paths: list[str]) -> list[float]:
    """Milliseconds, and those of processor time, that an image takes a version."""
    assert side.stdin is not None and side.stdout is not None
    side.stdin.write(json.dumps(paths) + "\n")
    side.stdin.flush()
    taken: list[float] = json.loads(side.stdout.readline())
    return taken


@contextmanager
def _checked_out(commit: str) -> Iterator[Path]:
    """Lay out another version in a folder of its own."""
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder).resolve()


@contextmanager
def _side(tree: Path, model: str) -> Iterator[subprocess.Popen[str]]:
    """Run `side` for a version, in a process of its own."""
    script = str(Path(__file__).with_name("side.py"))
    with tempfile.TemporaryDirectory() as folder:
        surroundings = environment(Path(folder)) | {"PYTHONPATH": str(tree)}
        process = subprocess.Popen(
            [sys.executable, "-P", script, str(tree), model],
            cwd=tree,
            env=surroundings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(60)
            process.stdout.close()


if __name__ == "__main__":
    main()
