"""The commands ``find`` and ``duplicates`` of ``python -m orangecontrib.imageanalytics``."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.command_paths import images_of
from orangecontrib.imageanalytics.exit_code import exit_code_of
from orangecontrib.imageanalytics.outcome import (
    Embedded,
    EmbeddingError,
    Skipped,
)
from orangecontrib.imageanalytics.skipped_lines import skipped_lines
from orangecontrib.imageanalytics.sources.regular_file import shown

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.cache import Cache

_PROGRAM = "python -m orangecontrib.imageanalytics"

Rows = Iterator[dict[str, Any]]


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether these are for here: a folder of images may be called "find", too."""
    return len(arguments) > 1 and arguments[0] in _COMMANDS


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns
    -------
    int
        0 when it was done, 1 when it could not be.

    Raises
    ------
    SystemExit
        With 2 when the arguments are wrong.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    return exit_code_of(
        lambda: _done(options), parser, "what was computed is kept for the next run"
    )


def _done(options: argparse.Namespace) -> int:
    from orangecontrib.imageanalytics.cache import Cache

    paths = list(images_of(options.paths))
    if not paths:
        raise EmbeddingError("There are no files in " + ", ".join(map(shown, options.paths)))
    with Cache(options.cache, enabled=not options.no_cache) as cache:
        rows = list(_COMMANDS[options.command](options, paths, cache))
    with contextlib.suppress(BrokenPipeError):  # whoever read this has seen enough
        _print(rows, as_json=options.json)
        sys.stdout.flush()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM)
    commands = parser.add_subparsers(dest="command", required=True)
    find = commands.add_parser(
        "find",
        help="find images by words",
        description="List the images that fit words best. No image leaves this computer.",
    )
    find.add_argument("words", help='what to look for, such as "a photo of a red bicycle"')
    find.add_argument("-k", type=_positive, default=20, help="how many (default: %(default)s)")
    find.add_argument("-m", "--model", default="clip-vit-b-32", help="default: %(default)s")
    find.add_argument(
        "--models-folder", type=Path, metavar="FOLDER", help="where downloaded models are"
    )
    duplicates = commands.add_parser(
        "duplicates",
        help="find copies of images",
        description="List groups of images that are the same, or nearly. No file is touched.",
        epilog="The first of each group is the largest; distances are from it.",
    )
    duplicates.add_argument(
        "--threshold",
        type=_distance,
        metavar="DISTANCE",
        help="how far apart two of a group may be, from 0 (the same pixels) to 0.03; the default "
        "is 0.012 (scaled, recompressed, slightly cropped)",
    )
    for command in (find, duplicates):
        command.add_argument("paths", nargs="+", metavar="PATH", help="an image, a folder")
        command.add_argument("--json", action="store_true", help="print JSON lines, not a table")
        command.add_argument("--no-cache", action="store_true", help="use and keep nothing")
        command.add_argument("--cache", type=Path, metavar="FOLDER", help="where the cache is")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it is 1 or more")
    return number


def _distance(text: str) -> float:
    from orangecontrib.imageanalytics.duplicates import REACH

    number = float(text)
    if not 0 <= number <= REACH:
        raise argparse.ArgumentTypeError(f"it is from 0 to {REACH}")
    return number


def _find(options: argparse.Namespace, paths: list[str], cache: Cache) -> Rows:
    import numpy as np

    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.similarity import Pictures
    from orangecontrib.imageanalytics.text_embedder import TextEmbedder

    folder = options.models_folder
    with TextEmbedder(options.model, models_folder=folder) as words:
        wanted = words([options.words])
    with (
        ImageEmbedder(options.model, cache=cache, models_folder=folder) as embedder,
        _bar(len(paths)) as show,
    ):
        outcomes = list(embedder.outcomes(paths, callback=show))
    seen = [(i, o.vector) for i, o in enumerate(outcomes) if isinstance(o, Embedded)]
    _tell_skipped([(p, o) for p, o in zip(paths, outcomes, strict=True) if isinstance(o, Skipped)])
    if not seen:
        raise EmbeddingError("None of the images could be read.")
    vectors = np.array([vector for _, vector in seen])
    similarities = Pictures(vectors).similarities(wanted)[:, 0]
    for rank, index in enumerate(np.argsort(-similarities, kind="stable")[: options.k], 1):
        similarity = round(float(similarities[index]), 4)
        yield {"rank": rank, "similarity": similarity, "path": paths[seen[index][0]]}


def _duplicates(options: argparse.Namespace, paths: list[str], cache: Cache) -> Rows:
    import numpy as np

    from orangecontrib.imageanalytics import duplicates

    distance = duplicates.NEAR_COPY if options.threshold is None else options.threshold
    with _bar(len(paths)) as show:
        found = duplicates.find(paths, cache=cache, tell=lambda words, share: show(share))
    _tell_skipped([(paths[row], skip) for row, skip in found.skipped.items()])
    labels = found.tree.labels(min(distance, found.tree.reach))
    if labels.max(initial=-1) < 0:
        compared = len(paths) - len(found.skipped)
        print(f"no duplicates among {compared} images", file=sys.stderr)
    for group in range(int(labels.max(initial=-1)) + 1):
        rows = np.flatnonzero(labels == group)
        rows = np.array(sorted(rows.tolist(), key=lambda row: _largest_first(found, paths, row)))
        apart = found.distances(np.full(len(rows), rows[0]), rows)
        apart[0] = 0
        for row, far in zip(rows.tolist(), apart.tolist(), strict=True):
            line = {"group": group + 1, "distance": round(far, 6)}
            width, height = found.sizes[row].tolist()
            if width:
                line |= {"width": width, "height": height}
            yield line | {"path": paths[row]}


def _largest_first(found: Any, paths: list[str], row: int) -> tuple[int, int, int]:
    width, height = found.sizes[row].tolist()
    size = 0
    with contextlib.suppress(OSError, ValueError):  # an address, or it has just been deleted
        size = Path(paths[row]).stat().st_size
    return (-width * height, -size, row)


_COMMANDS: dict[str, Callable[[argparse.Namespace, list[str], Cache], Rows]] = {
    "find": _find,
    "duplicates": _duplicates,
}


@contextlib.contextmanager
def _bar(count: int) -> Iterator[Callable[[float], None]]:
    from tqdm import tqdm

    with tqdm(total=count, unit="image", disable=None, leave=False) as bar:
        yield lambda share: bar.update(round(share * count) - bar.n) and None


def _tell_skipped(skips: list[tuple[str, Skipped]]) -> None:
    for line in skipped_lines(skips):
        print(line, file=sys.stderr)


def _print(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if columns:
        print("\t".join(columns))
    for row in rows:
        cells = (shown(str(row.get(name, ""))) for name in columns)
        print("\t".join(cells))
