"""The command line: ``python -m orangecontrib.imageanalytics photos/ -o photos.tab``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import __version__, models
from orangecontrib.imageanalytics.command_paths import is_folder, warn_of_folder
from orangecontrib.imageanalytics.exit_code import exit_code_of
from orangecontrib.imageanalytics.outcome import (
    Embedded,
    EmbeddingError,
    Outcome,
    Skipped,
)
from orangecontrib.imageanalytics.skipped_lines import skipped_lines
from orangecontrib.imageanalytics.sources.regular_file import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.cache import Cache
    from orangecontrib.imageanalytics.embedder import Lost
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.output_files import Images


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 when all or some images were embedded, 1 when none could be.

    Raises
    ------
    SystemExit
        With 2 when the arguments are wrong.
    """
    from orangecontrib.imageanalytics import find_commands
    from orangecontrib.imageanalytics.batch import command_line as batch_command
    from orangecontrib.imageanalytics.models import command_line

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if command_line.is_meant(arguments):
        return command_line.main(arguments[1:], _Eyes)
    if batch_command.is_meant(arguments):
        return batch_command.main(arguments[1:])
    if find_commands.is_meant(arguments):
        return find_commands.main(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.cache_size or options.clear_cache is not None:
        _look_after_caches(options)
        return 0
    if not options.paths:
        parser.error("name images or folders of images")
    from orangecontrib.imageanalytics import output_files
    from orangecontrib.imageanalytics.cache import Cache

    cache = Cache(options.cache, enabled=not options.no_cache)
    outputs = [path for path in (options.output, options.skipped) if path is not None]
    for path in outputs:
        if problem := output_files.problem_with(path):
            parser.error(problem)
    if len({output_files.place_of(path) for path in outputs}) < len(outputs):
        parser.error("the embedded and the skipped images go into different files")
    return exit_code_of(
        lambda: _embed(options, cache), parser, "what was computed is kept for the next run"
    )


class _Eyes:
    """Embeds photos and words with the models of a folder; see `models.checking`."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def pictures(self, model: str, photos: Sequence[Path]) -> list[NDArray[np.float32] | None]:
        """Give the embeddings of photos."""
        from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

        with ImageEmbedder(model, cache=False, models_folder=self._folder) as embedder:
            return embedder(photos)

    def words(self, model: models.Model, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Give the embeddings of texts, if the model knows words."""
        from orangecontrib.imageanalytics.text_embedder import TextEmbedder, knows_words

        if not knows_words(model):
            return None
        with TextEmbedder(model.id, models_folder=self._folder) as embedder:
            return embedder(texts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orangecontrib.imageanalytics",
        description="Turn images into vectors of numbers with a pretrained deep network.",
        epilog="Images stay on this computer unless you choose a model that runs on a server. "
        "To list, download and add models: models --help; for millions of images: batch --help",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="an image, a folder, an address")
    parser.add_argument(
        "-m",
        "--model",
        default=models.DEFAULT,
        help="one that `models list` shows (default: %(default)s)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="a .tab, .csv, .xlsx, .pkl or .npz file"
    )
    parser.add_argument(
        "--skipped", type=Path, metavar="FILE", help="where to list the skipped images"
    )
    parser.add_argument(
        "--orange-header",
        action="store_true",
        help="write .csv files with Orange's three rows of header, not one for pandas and R",
    )
    parser.add_argument("--server", metavar="URL", help="address of the embedding server")
    parser.add_argument(
        "--provider", default="cpu", help="cpu, cuda, coreml or directml (default: %(default)s)"
    )
    parser.add_argument(
        "--models-folder", type=Path, metavar="FOLDER", help="where ONNX models of your own are"
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch the model if it is not here; sends no image"
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="neither use nor keep what was computed"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where the cache is")
    parser.add_argument(
        "--cache-size",
        action="store_true",
        help="show the size of the cache per model, and of thumbnails, and end",
    )
    parser.add_argument(
        "--clear-cache",
        nargs="?",
        const="",
        metavar="MODEL",
        help="forget what was computed (with that model, or `thumbnails`), and end",
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _look_after_caches(options: argparse.Namespace) -> None:
    from orangecontrib.imageanalytics.cache import Cache, ThumbnailCache

    sizes: dict[str, tuple[int, int]] = {}
    for kind in (Cache, ThumbnailCache):
        with kind(options.cache, enabled=not options.no_cache) as cache:
            if options.clear_cache is not None:
                cache.clear(options.clear_cache or None)
            sizes |= cache.sizes()
    for model, (entries, size) in sizes.items():
        print(f"{model:20}{entries:>10} images{size / 1e6:>10.1f} MB")
    if not sizes:
        print("the cache is empty")


def _embed(options: argparse.Namespace, cache: Cache) -> int:
    from orangecontrib.imageanalytics import output_files
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

    with ImageEmbedder(
        options.model,
        options.server,
        provider=options.provider,
        cache=cache,
        models_folder=options.models_folder,
        download=options.download,
    ) as embedder:
        embedder.start()
        if output_files.needs_orange(options.output, options.skipped):
            threading.Thread(target=output_files.import_orange, daemon=True).start()
        images = _find(options.paths)
        paths = images.paths
        if not paths:
            raise EmbeddingError("There are no files in " + ", ".join(map(shown, options.paths)))
        outcomes = list(_with_progress(embedder, paths))
        lost = embedder.lost
    status = 0 if any(isinstance(outcome, Embedded) for outcome in outcomes) else 1
    try:
        if options.output is not None:
            output_files.write_embedded(
                options.output,
                images,
                outcomes,
                embedder.embedding,
                orange_header=options.orange_header,
            )
        if options.skipped is not None:
            output_files.write_skipped(
                options.skipped, images, outcomes, orange_header=options.orange_header
            )
    except EmbeddingError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    with contextlib.suppress(BrokenPipeError):  # whoever read the summary has seen enough
        _print_summary(options, paths, outcomes, lost)
        sys.stdout.flush()
    return status


def _find(named: Sequence[str]) -> Images:
    """Find the files named and those in the folders named, without hidden ones."""
    from orangecontrib.imageanalytics.output_files import Images

    origin = named[0] if len(named) == 1 and is_folder(named[0]) else None
    found = [each for name in named for each in _walk(name, origin)]
    return Images([path for path, _ in found], [category for _, category in found], origin)


def _walk(name: str, origin: str | None) -> Iterator[tuple[str, str | None]]:
    """Give each file with its category, the folder that it is in; addresses have none."""
    from orangecontrib.imageanalytics.sources import is_relative
    from orangecontrib.imageanalytics.sources.folders import walk

    if is_folder(name):
        outside = name if origin else os.path.dirname(os.path.abspath(name))  # noqa: PTH100, PTH120
        for path in walk(name, warn_of_folder):
            yield path, os.path.relpath(os.path.dirname(path), outside).replace(os.sep, "/")  # noqa: PTH120
    elif is_relative(name) or os.path.isabs(name):  # noqa: PTH117
        yield name, os.path.basename(os.path.dirname(os.path.abspath(name)))  # noqa: PTH100, PTH119, PTH120
    else:
        yield name, None


def _with_progress(embedder: ImageEmbedder, paths: list[str]) -> Iterator[Outcome]:
    from tqdm import tqdm

    with tqdm(total=len(paths), unit="image", disable=None, leave=False) as bar:

        def show(share: float) -> None:
            bar.update(round(share * len(paths)) - bar.n)

        yield from embedder.outcomes(paths, callback=show)


def _print_summary(
    options: argparse.Namespace, paths: list[str], outcomes: list[Outcome], lost: Lost | None
) -> None:
    skipped = [(p, o) for p, o in zip(paths, outcomes, strict=True) if isinstance(o, Skipped)]
    embedded = len(outcomes) - len(skipped)
    title = options.model
    where = f" to {options.output}" if options.output is not None and embedded else ""
    print(f"{embedded} of {len(outcomes)} images embedded with {title}{where}")
    if lost:
        print(lost)
    for line in skipped_lines(skipped, "; --skipped FILE lists all"):
        print(line)
    if options.output is None and embedded:
        print("The vectors are kept in the cache; -o FILE writes them to a table.")


if __name__ == "__main__":
    if sys.stdout is not None:
        # names of files may hold anything
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # else the interpreter complains as it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
