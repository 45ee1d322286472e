"""Runs all programs, one after the other, and puts their figures into one table."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks import machine
from benchmarks.figure import Figure, as_markdown
from benchmarks.program import ROOT, environment, options, say

#: In the table's order. A program that is not there is left out, and that is said.
PROGRAMS = (
    "limit",
    "before",
    "warm",
    "start",
    "scale",
    "table",
    "cancel",
    "client",
    "server_load",
    "gui",
    "models",
    "cache_hit",
    "stages",
    "postponed",
    "similarity",
    "duplicates",
    "finding",
    "grid",
    "viewer",
    "cluster",
)
_TARGET = ROOT / "bench"
#: Seconds that a program may take, and with --full.
_PATIENCE, _FULL_PATIENCE = 600, 7200


def main() -> int:
    """Run what the command line says.

    Returns
    -------
    int
        0 if all programs gave figures, whether or not the aims were reached; else 1.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure how fast and how small it is; ten minutes on two cores.",
        parents=[options()],
    )
    parser.add_argument(
        "--only", nargs="+", choices=PROGRAMS, metavar="PROGRAM", help=", ".join(PROGRAMS)
    )
    chosen = parser.parse_args()
    begun = time.monotonic()
    notes = _remarks(chosen)
    for note in notes:
        say(note)
    figures: list[Figure] = []
    failed: list[str] = []
    for name in chosen.only or PROGRAMS:
        found = _figures(name, chosen)
        if found is None:
            failed.append(name)
        else:
            figures.extend(found)
    notes += [f"The program {name} gave no figures." for name in failed]
    notes.append(f"Measured in {(time.monotonic() - begun) / 60:.0f} minutes.")
    _write(figures, notes)
    return 1 if failed else 0


def _remarks(chosen: argparse.Namespace) -> list[str]:
    """What a reader must know to judge the figures."""
    remarks = [f"Measured on: {machine.description()}"]
    if chosen.quick:
        remarks.append("With --quick, which takes few images: these figures are noisy.")
    if warning := machine.busy():
        remarks.append(warning)
    if core_type := machine.core_type():
        remarks.append(core_type)
    return remarks


def _figures(name: str, chosen: argparse.Namespace) -> list[Figure] | None:
    """Run a program in a process of its own; None if it fails or takes too long."""
    if find_spec(f"benchmarks.{name}") is None:
        say(f"{name}: there is no such program")
        return []
    arguments = [f"--{option}" for option in ("quick", "full") if getattr(chosen, option)]
    if chosen.photos:
        arguments += ["--photos", *(str(folder.absolute()) for folder in chosen.photos)]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(target), *arguments]
        try:
            subprocess.run(
                command,
                cwd=ROOT,
                env=environment(Path(folder)),
                check=True,
                stdout=sys.stderr,
                timeout=_FULL_PATIENCE if chosen.full else _PATIENCE,
            )
            return [Figure.from_json(fields) for fields in json.loads(target.read_text())]
        except (subprocess.SubprocessError, OSError) as error:
            say(f"{name} gave no figures: {error}")
            return None


def _write(figures: list[Figure], notes: list[str]) -> None:
    text = "\n\n".join([as_markdown(figures), *notes]) + "\n"
    print(text)
    _TARGET.mkdir(exist_ok=True)
    (_TARGET / "figures.md").write_text(text, encoding="utf-8")
    content = {"notes": notes, "figures": [figure.to_json() for figure in figures]}
    (_TARGET / "figures.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
