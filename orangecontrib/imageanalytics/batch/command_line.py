"""The command line of batches: ``python -m orangecontrib.imageanalytics batch photos/ -o out/``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.batch import addresses, inputs
from orangecontrib.imageanalytics.batch.dataset import PASSING, Dataset, Summary
from orangecontrib.imageanalytics.batch.shard import Shard
from orangecontrib.imageanalytics.engine import DEADLINE
from orangecontrib.imageanalytics.exit_code import exit_code_of
from orangecontrib.imageanalytics.outcome import EmbeddingError, Reason
from orangecontrib.imageanalytics.sources import shown

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.batch.run import Run, Totals

_PROGRAM = "python -m orangecontrib.imageanalytics batch"
#: Images in a shard: with 1000 numbers each, 40 MB.
SIZE = 10_000


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether these are for here: a folder of images may be called "batch", too."""
    rest = arguments[1:]
    return arguments[:1] == ["batch"] and (
        bool({"-h", "--help"} & set(rest))
        or any(not each.startswith("-") for each in rest[:1])
        or not Path("batch").exists()
    )


def main(arguments: Sequence[str]) -> int:
    """Run it.

    Returns
    -------
    int
        0 when all shards are written, 1 when some are not, 130 when it was stopped.

    Raises
    ------
    SystemExit
        With 2 when the arguments are wrong.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return exit_code_of(
            lambda: _batch(options),
            parser,
            "the parts that are written are kept: run it again",
        )
    except ImportError as error:
        print(
            f"error: batches need {error.name}: pip install 'Orange3-ImageEmbedding[cluster]'",
            file=sys.stderr,
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Embed any number of images into a Parquet dataset, here or on a cluster. "
        "Run again, it does what is missing.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="a folder, a .txt file with an image on each line, a .parquet file, a .zip file, an "
        "image, or an address that fsspec opens, such as s3://bucket/photos",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="a folder or an fsspec address"
    )
    parser.add_argument("-m", "--model", default=models.DEFAULT, help="default: %(default)s")
    parser.add_argument("--column", help="the column of .parquet files that names the images")
    parser.add_argument("--dask", metavar="ADDRESS", help="of the scheduler: tcp://host:8786")
    parser.add_argument(
        "--shard-size", type=_count, default=SIZE, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--retry-crashed", action="store_true", help="try images again that crashed the decoder"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace the vectors of other images that the folder of the output holds",
    )
    parser.add_argument(
        "--deadline", type=float, default=DEADLINE, metavar="SECONDS", help="for each image"
    )
    parser.add_argument("--models-folder", type=Path, metavar="FOLDER")
    parser.add_argument("--download", action="store_true", help="fetch the model if it is not here")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _batch(options: argparse.Namespace) -> int:
    import pyarrow  # noqa: F401 (before any work is done)

    from orangecontrib.imageanalytics.batch.run import Run

    with _bar(options) as tell:
        run = Run(_references(options), _pattern(options), options.shard_size, tell)
        totals = run.here() if options.dask is None else _on_cluster(run, options.dask)
    _print(totals, options)
    return 1 if totals.failed or totals.surplus or not totals.images else 0


def _references(options: argparse.Namespace) -> Iterator[str]:
    return inputs.references(options.inputs, options.column, _warn)


def _warn(error: OSError) -> None:
    print(f"warning: {shown(str(error.filename))}: {error.strerror}", file=sys.stderr)


def _pattern(options: argparse.Namespace) -> Shard:
    from orangecontrib.imageanalytics.local_embedder import local_job

    model = models.require(options.model, options.models_folder, download=options.download)
    if not model.is_local:
        raise EmbeddingError(f"{model.id} runs on a server; batches need a model that runs here.")
    job, fingerprint, workers = local_job(model)
    output = options.output
    again = PASSING | {Reason.CRASHED} if options.retry_crashed else PASSING
    return Shard(
        number=0,
        references=(),
        dataset=Dataset(output if addresses.is_address(output) else os.path.abspath(output)),  # noqa: PTH100
        job=job,
        said=Summary(model.id, fingerprint, model.dimension),
        again=frozenset(again),
        deadline=options.deadline,
        workers=workers if options.dask is None else None,
        replaces=options.replace,
    )


def _on_cluster(run: Run, address: str) -> Totals:
    from distributed import Client

    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise EmbeddingError(f"There is no Dask scheduler at {address}: {error}") from error
    with _without_traces_of_dask(), client:
        return run.on(client)


@contextmanager
def _without_traces_of_dask() -> Iterator[None]:
    """Keep Dask from printing forty lines of its own where the connection is lost: we say it."""
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _bar(options: argparse.Namespace) -> Iterator[Callable[[int], object]]:
    """Show how far it is; how many there are is counted meanwhile."""
    from tqdm import tqdm

    with tqdm(unit="image", disable=None, leave=False, mininterval=1) as bar:

        def count() -> None:
            try:
                total = sum(1 for _ in inputs.references(options.inputs, options.column))
            except (EmbeddingError, ImportError):  # the run says so
                return
            bar.total = total

        if not bar.disable:
            threading.Thread(target=count, daemon=True).start()
        yield lambda done: bar.update(max(0, done - bar.n))


def _print(totals: Totals, options: argparse.Namespace) -> None:
    print(
        f"{totals.embedded} of {totals.images} images embedded with {options.model} to "
        f"{options.output}, in {_parts(totals.shards)}, of which {totals.kept} "
        f"{'was' if totals.kept == 1 else 'were'} there before"
    )
    if totals.reasons:
        counts = (f"{count} {reason}" for reason, count in totals.reasons.most_common())
        print("skipped: " + ", ".join(counts) + "; the column `reason` says which")
    for number, why in totals.failed:
        print(f"part-{number:06} is missing ({why}); run it again")
    if totals.surplus:
        print(
            f"the folder holds {_parts(totals.surplus)} of a former run with more images, from "
            f"part-{totals.shards + len(totals.failed):06} on; delete them"
        )


def _parts(count: int) -> str:
    return f"{count} part" if count == 1 else f"{count} parts"
