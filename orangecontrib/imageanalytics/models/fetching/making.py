"""What is done with an order: fetch, check, make, put in place, whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.models.fetching import Order, Step
from orangecontrib.imageanalytics.models.fetching.hub import check_by_hand, fetch
from orangecontrib.imageanalytics.outcome import ModelDownloadError, ModelFileError

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.models.model import HubFile, Product

Report = Callable[[Step], object]

#: Seconds that each attempt to get the lock takes.
_PATIENCE = 0.5


def carry_out(order: Order, report: Report) -> None:
    """Make all files of an order that are not there yet.

    Raises
    ------
    EmbeddingError
        Whatever is in the way, in words for people. What has arrived is kept for the next time.
    """
    for folder in (order.parts, *(path.parent for _, path in order.products)):
        _make_folder(folder)
    with _alone(order, report):
        missing = [(product, path) for product, path in order.products if not path.exists()]
        progress = _Progress([product for product, _ in missing], report)
        for product, path in missing:
            _make(order, product, path, progress)


@contextlib.contextmanager
def _alone(order: Order, report: Report) -> Iterator[None]:
    """Wait until no other program is fetching the same; it then may be there already."""
    import filelock

    lock = filelock.FileLock(order.parts / f"{order.products[0][1].name}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_PATIENCE)
        except filelock.Timeout:
            report(Step("Waiting for another program that is downloading the same"))
    try:
        yield
    finally:
        lock.release()


def _make(order: Order, product: Product, path: Path, progress: _Progress) -> None:
    """Fetch what a product is made of, and put it in its place at the very end."""
    sources = {}
    for key, file in product.sources.items():
        by_hand = order.place_by_hand(file)
        if by_hand.is_file():
            check_by_hand(by_hand, file)
            sources[key] = by_hand
        else:
            sources[key] = fetch(file, order.parts, progress.of(file))
    progress.say("Making the model")
    unfinished = order.parts / path.name
    try:
        if product.recipe is None:
            (source,) = sources.values()
            shutil.copyfile(source, unfinished)
        else:
            from orangecontrib.imageanalytics.models.building import build

            build(product.recipe, sources, unfinished, order.facts)
        if order.interface is not None and path == order.products[0][1]:
            progress.say("Trying the model")
            _try(unfinished, order.interface)
        unfinished.replace(path)
    except OSError as error:
        raise ModelDownloadError(
            f"{path} cannot be written: {error.strerror or error}. What was downloaded is kept."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    for source in sources.values():
        if source.parent == order.parts:
            source.unlink()


def _try(path: Path, interface: tuple[tuple[int, int], int]) -> None:
    """Load what was made and compute once, before anybody relies on it."""
    import numpy as np

    from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel

    model = OnnxModel(path)
    if (model.input_size, model.dimension) != interface:
        raise ModelFileError(
            f"What was downloaded gives {model.dimension} numbers for images of "
            f"{model.input_size}, where {interface[1]} for {interface[0]} were expected."
        )
    model(np.zeros((1, *model.input_size, 3), np.uint8))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelDownloadError(
            f"The folder {folder} cannot be made: {error.strerror or error}."
        ) from error


class _Progress:
    """Adds up the bytes of several files."""

    def __init__(self, products: list[Product], report: Report) -> None:
        files = [file for product in products for file in product.sources.values()]
        self._sizes = {file: file.size or 0 for file in files}
        self._done = dict.fromkeys(files, 0)
        self._report = report
        report(Step("Asking the hub", 0, sum(self._sizes.values())))

    def of(self, file: HubFile) -> Callable[[int, int], None]:
        """Give what is to be told of one file."""

        def tell(done: int, size: int) -> None:
            self._done[file] = done
            self._sizes[file] = max(size, done)
            in_all = sum(self._sizes.values())
            self._report(Step("Downloading", sum(self._done.values()), in_all))

        return tell

    def say(self, words: str) -> None:
        """Report what is done besides fetching."""
        self._report(Step(words))
