"""Downloads a model: starts the process that does it, tells how far it is, and ends it on demand.

From `models.fetching`, which is that process, only its order and its steps are known here.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from orangecontrib.imageanalytics import outcome
from orangecontrib.imageanalytics.models.downloaded import downloaded_files, parts_folder
from orangecontrib.imageanalytics.models.fetching import Order, Step
from orangecontrib.imageanalytics.models.hub_address import address_of
from orangecontrib.imageanalytics.models.model import Model
from orangecontrib.imageanalytics.outcome import EmbeddingError, ModelDownloadError

#: Seconds between two calls of the callback, so that what it raises ends the download soon.
_INTERVAL = 0.1

#: Seconds of which the speed is the mean.
_MEMORY = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is.

    Attributes
    ----------
    words : str
        What is being done.
    done, total : int
        Bytes that have arrived and bytes in all; 0 in all where nothing is being fetched.
    seconds_left : float, optional
        As things go.
    """

    words: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None

    def __str__(self) -> str:
        if not self.total:
            return f"{self.words}..."
        text = f"{self.words}: {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
        return text if self.seconds_left is None else f"{text}, {_time(self.seconds_left)} left"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"


Callback = Callable[[Progress], object]


def download(
    model: Model, folder: str | os.PathLike[str] | None = None, callback: Callback | None = None
) -> Model:
    """Fetch a model and put its files into the folder, whole or not at all.

    Parameters
    ----------
    model : Model
        A downloadable one. If it is there already, nothing is done.
    folder : path, optional
        That of the user's models; see `user_models.default_folder`.
    callback : callable, optional
        Called ten times a second with a `Progress`. What it raises ends the download at once and
        comes out unchanged; what has arrived is kept.

    Returns
    -------
    Model
        The same with its file in `weights`.

    Raises
    ------
    ModelDownloadError
        If the hub refuses, what arrives is not what it should be, or there is no room for it.
    EmbeddingConnectionError
        If the hub cannot be reached.
    ModelFileError
        If no model can be made of what arrived.
    """
    assert model.download is not None, f"{model.id} is not to be downloaded"
    files = downloaded_files(model, folder)
    order = Order(
        products=tuple(zip(model.download.products, files, strict=True)),
        parts=parts_folder(model.id, folder),
        by_hand=files[0].with_suffix(""),
        facts=facts(model),
        interface=(model.input_size, model.dimension),
    )
    if not all(file.is_file() for file in files):
        try:
            carry_out(order, callback)
        except outcome.EmbeddingConnectionError as error:
            raise outcome.EmbeddingConnectionError(f"{error} {_by_hand(order)}") from error
    return replace(model, weights=files[0])


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callback]:
    """Give a callback that shows a bar of progress on the terminal, if there is one."""
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, disable=None, leave=False, desc=name) as bar:

        def show(progress: Progress) -> None:
            bar.total = progress.total or bar.total
            bar.set_postfix_str(progress.words, refresh=False)
            bar.update(progress.done - bar.n if progress.total else 0)

        yield show


def facts(model: Model) -> dict[str, str]:
    """What is known of a model, as it is written into its file."""
    known = {
        "id": model.id,
        "title": model.title,
        "licence": model.licence,
        "trained_on": model.trained_on,
        "layer": model.layer,
        "citation": model.citation,
    }
    if model.download is not None:
        sources = model.download.products[0].sources.values()
        known["source"] = " ".join(f"{file.repository}/{file.path}" for file in sources)
    return known


def carry_out(order: Order, callback: Callback | None = None) -> None:
    """Let a process carry out an order; see `download` for what is raised."""
    with tempfile.TemporaryFile() as errors:
        with _started(order, errors) as process:
            last = _listen(process, _Pace(), callback or (lambda progress: None))
        if last.get("finished"):
            return
        if "error" in last:
            kind = getattr(outcome, last["error"])
            assert issubclass(kind, EmbeddingError)
            raise kind(last["text"])
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    raise ModelDownloadError(
        f"The process that downloads ended unexpectedly: {said[-1] if said else 'it was killed'}. "
        "Try again; what has arrived is kept."
    )


def _started(order: Order, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        # -P: what lies in the working directory, whose files may be anybody's, is not imported
        [sys.executable, "-P", "-m", f"{__package__}.fetching"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=_environment(),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(order))
    process.stdin.flush()  # and left open: the process ends when we do
    return process


def _environment() -> dict[str, str]:
    """Let the process find this package where we have, and tell the hub no more than it asks."""
    root = str(Path(__file__).parents[3])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
    }


def _listen(process: subprocess.Popen[bytes], pace: _Pace, callback: Callback) -> dict[str, Any]:
    """Pass on what the process says, until it says the last of it; then it is ended."""
    said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stdout, said), daemon=True)
    reader.start()
    step = Step("Starting")
    try:
        while True:
            last, step = _latest(said, step)
            callback(pace.progress(step))
            if last is not None:
                return last
    finally:
        process.kill()
        reader.join()


def _latest(
    said: queue.SimpleQueue[dict[str, Any] | None], step: Step
) -> tuple[dict[str, Any] | None, Step]:
    """Hear for a moment what the process says; give its last words, if they were, and its step."""
    end = time.monotonic() + _INTERVAL
    while (left := end - time.monotonic()) > 0:
        try:
            words = said.get(timeout=left)
        except queue.Empty:
            break
        if words is None or "error" in words or "finished" in words:
            return words or {}, step
        step = Step(**words)
    return None, step


def _read(lines: IO[bytes], said: queue.SimpleQueue[dict[str, Any] | None]) -> None:
    for line in lines:
        said.put(json.loads(line))
    said.put(None)


class _Pace:
    """Tells from the last seconds how long the rest will take."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def progress(self, step: Step) -> Progress:
        now = time.monotonic()
        self._seen = [(when, done) for when, done in self._seen if when > now - _MEMORY]
        self._seen.append((now, step.done))
        began, had = self._seen[0]
        took = now - began
        speed = (step.done - had) / took if took > 1 else 0.0
        left = (step.total - step.done) / speed if speed > 0 and step.total else None
        return Progress(step.words, step.done, step.total, left)


def _by_hand(order: Order) -> str:
    """Say how the files can be brought by hand."""
    missing = [product for product, path in order.products if not path.exists()]
    files = [file for product in missing for file in product.sources.values()]
    ways = [f"{address_of(file)} as {order.place_by_hand(file)}" for file in files]
    return f"Or fetch elsewhere, and bring here, {' and '.join(ways)}; then try again."
