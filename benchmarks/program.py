"""The command line that all programs here share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.figure import Figure

ROOT = Path(__file__).parent.parent

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is to be measured.

    Attributes
    ----------
    quick : bool
        With few images: to see whether a program works, not what is fast.
    full : bool
        With as many as there are, however long it takes.
    photos : Path, optional
        A folder of labelled photos: a folder for each class.
    more : tuple of Path
        Further folders, for programs that report each apart.
    """

    quick: bool = False
    full: bool = False
    photos: Path | None = None
    more: tuple[Path, ...] = ()

    def choose(self, quick: T, default: T, full: T | None = None) -> T:
        """Give the number that fits."""
        if self.quick:
            return quick
        return full if self.full and full is not None else default


def options() -> argparse.ArgumentParser:
    """The options of each program, and of all of them together."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--quick", action="store_true", help="few images, noisy figures")
    parser.add_argument("--full", action="store_true", help="100 000 images too: half an hour")
    parser.add_argument(
        "--photos",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="labelled photos, a folder for each class; duplicates reports several sets apart",
    )
    return parser


def scope_of(chosen: argparse.Namespace) -> Scope:
    """Read what `options` parsed."""
    photos, *more = chosen.photos or [None]
    return Scope(chosen.quick, chosen.full, photos, tuple(more))


def run(measure: Callable[[Scope], list[Figure]]) -> None:
    """Measure as the command line says; print the figures, each a line, and their sum in one."""
    parser = argparse.ArgumentParser(parents=[options()])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where figures go, too")
    chosen = parser.parse_args()
    figures = measure(scope_of(chosen))
    for figure in figures:
        print(figure)
    print(answer(figures))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([figure.to_json() for figure in figures], indent=1))


def answer(figures: list[Figure]) -> str:
    """One line: whether the aims are reached, and by which numbers they are not."""
    aimed = [figure for figure in figures if figure.ok is not None]
    missed = [figure for figure in aimed if not figure.ok]
    if missed:
        named = "; ".join(f"{f.question}: {f.text}, aim {f.aim}" for f in missed)
        return f"Answer: {len(missed)} of {len(aimed)} aims missed: {named}."
    numbers = "; ".join(f"{f.question}: {f.text}" for f in (aimed or figures))
    return f"Answer: {'all aims reached. ' if aimed else ''}{numbers}."


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Give variables for a process that leaves all that is the user's alone.

    Parameters
    ----------
    folder : Path
        A temporary folder, for what the process would write into the user's.
    **more : str
        Further variables.
    """
    return os.environ | {
        "ORANGE_IMAGE_CACHE": str(folder / "cache"),
        "ORANGE_IMAGE_MODELS": str(folder / "models"),
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        **more,
    }


def say(text: str) -> None:
    """Tell what is being done, apart from the figures."""
    print(f"  {text}", file=sys.stderr, flush=True)
