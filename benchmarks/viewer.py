"""Viewer: how soon Image Viewer shows something, and whether it stands still while it scrolls.

In a process with a Qt event loop, the widget is given a table of small JPEGs on disk: with nothing
in the cache and no process started (cold), and once more (warm). Then it is scrolled from top to
bottom at ten screens a second, while a timer that should fire every millisecond notes the longest
time that it did not; and once with nothing to do, for what the computer itself adds. Memory is
what the process has more after scrolling than it had with the table and one image shown.

The rates are those of `Thumbnails` over photos of 0.3 megapixels, beside that of as many processes
which do nothing but decode and encode.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import memory, photos
from benchmarks.figure import Figure
from benchmarks.gui import Busy, _table, ended_after, longest_wait
from benchmarks.program import Scope, environment, run, say

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNTS, _QUICK_COUNTS, _FULL_COUNTS = (10_000,), (500,), (10_000, 100_000)
_PHOTOS, _QUICK_PHOTOS = 1_500, 100
_MEGAPIXELS = 0.3
#: Files must be older than this to be remembered, in seconds.
_SETTLED = 2.1
#: Seconds between two steps of scrolling, each a screen.
_SCREEN = 0.1
_IDLE = 3.0
#: Seconds after which a widget's processes have ended.
_PAUSE = 1.0
_STEP = 256


def measure(scope: Scope) -> list[Figure]:
    """Run the widget, and then the rates, in processes of their own."""
    figures = []
    for count in scope.choose(_QUICK_COUNTS, _COUNTS, _FULL_COUNTS):
        figures += _of_widget(count)
    return figures + _rates(scope.choose(_QUICK_PHOTOS, _PHOTOS))


def _of_widget(count: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"viewer: {count} small images are written")
        photos.make_small(folder / "photos", count)
        time.sleep(_SETTLED)
        say("viewer: the widget shows them, and scrolls")
        found = _child("work", folder, folder / "photos", timeout=1800)
    idle = f"{1000 * found['idle']:.0f} ms with nothing to do"
    return [
        Figure(
            f"Viewer, {count} images: from the signal to the first screenful, cold",
            found["cold"],
            "s",
            at_most=1.5,
            note=f"{found['visible']} images; {found['read']:.2f} s until titles",
        ),
        Figure(f"Viewer, {count} images: the same, warm", found["warm"], "s", at_most=0.3),
        Figure(
            f"Viewer, {count} images: the longest wait of the event loop while it scrolls",
            1000 * found["longest"],
            "ms",
            at_most=50,
            note=f"{found['screens']} screens, 10 a second; {idle}",
        ),
        Figure(
            f"Viewer, {count} images: of which the window computes at a stretch, at most",
            1000 * found["busy"],
            "ms",
            at_most=50,
            note="processor time, whatever else the computer does",
        ),
        Figure(
            f"Viewer, {count} images: memory beyond the table",
            found["memory"] / 1e6,
            "MB",
            at_most=150,
            note="after scrolling through all",
        ),
    ]


def _rates(count: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"viewer: thumbnails of {count} photos of {_MEGAPIXELS} megapixels")
        photos.make(folder / "photos", _MEGAPIXELS, count)
        time.sleep(_SETTLED)
        found = _child("work_rates", folder, folder / "photos", timeout=600)
    alone = found["alone"]
    return [
        Figure(
            "Thumbnails, cold, over what decoding and encoding alone allow",
            found["cold"] / alone,
            "×",
            at_least=0.85,
            note=f"{found['cold']:.0f} a second; alone {alone:.0f}",
        ),
        Figure("Thumbnails, warm", found["warm"], "a second"),
    ]


def _child(function: str, folder: Path, *arguments: Path, timeout: float) -> dict[str, Any]:
    output = subprocess.run(
        [sys.executable, "-c", f"from benchmarks import viewer; viewer.{function}()", *arguments],
        env=environment(folder / "home"),
        stdout=subprocess.PIPE,
        check=True,
        timeout=timeout,
    ).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def work() -> None:
    """Show the images of the folder that the command line names; print what was measured."""
    from AnyQt.QtCore import QTimer
    from AnyQt.QtWidgets import QApplication

    from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer

    application = QApplication([])
    paths = sorted(Path(sys.argv[1]).iterdir())
    data, one = _table(paths), _table(paths[:1])
    found: dict[str, Any] = {"idle": longest_wait(lambda: None, ended_after(_IDLE))[0]}
    for kind in ("cold", "warm", "scrolled"):
        widget = OWImageViewer()
        widget.resize(1200, 900)
        widget.show()
        application.processEvents()
        if kind == "scrolled":
            _shown_after(widget, one, _is_read(widget), _is_seen(widget, 1))
            before = memory.now()
        read = _is_read(widget)
        found[kind] = _shown_after(widget, data, read, _is_seen(widget, len(paths)))
        if kind != "scrolled":
            found["read"], found["visible"] = read.after, len(widget.view.visible())
            widget.onDeleteWidget()
            widget.deleteLater()
            longest_wait(lambda: None, ended_after(_PAUSE))
    bar = widget.view.verticalScrollBar()
    timer = QTimer(interval=round(1000 * _SCREEN))
    timer.timeout.connect(lambda: bar.setValue(bar.value() + bar.pageStep()))
    found["screens"] = bar.maximum() // bar.pageStep() + 1
    busy = Busy()
    found["longest"], _ = longest_wait(timer.start, lambda: bar.value() == bar.maximum())
    timer.stop()
    found["busy"] = busy.stop()
    longest_wait(lambda: None, _is_seen(widget, len(paths)))
    found["memory"] = memory.now() - before
    widget.onDeleteWidget()
    print(json.dumps(found))


def _is_read(widget: Any) -> _Moment:
    return _Moment(lambda: widget.shown is not None)


def _shown_after(widget: Any, data: Any, read: _Moment, seen: Callable[[], bool]) -> float:
    """Seconds from the signal until all that is in sight is seen."""
    return longest_wait(lambda: widget.set_data(data), lambda: read.look() and seen())[1]


class _Moment:
    """When something became true."""

    def __init__(self, true: Callable[[], bool]) -> None:
        self._true = true
        self._begun = time.perf_counter()
        self.after = 0.0

    def look(self) -> bool:
        if not self.after and self._true():
            self.after = time.perf_counter() - self._begun
        return bool(self.after)


def _is_seen(widget: Any, count: int) -> Callable[[], bool]:
    """Whether all that is in sight, of so many images, is drawn with its thumbnail."""

    def is_seen() -> bool:
        view = widget.view
        if len(view.images.order) != count:
            return False
        rows = view.images.order[view.visible()].tolist()
        return bool(rows) and all(view.loader.pixmap(row) is not None for row in rows)

    return is_seen


def work_rates() -> None:
    """Make thumbnails of the folder that the command line names; print images per second."""
    from orangecontrib.imageanalytics.thumbnails import Thumbnails

    paths = sorted(str(path) for path in Path(sys.argv[1]).iterdir())
    alone = [_alone(paths)]
    rates = {}
    with Thumbnails() as thumbnails:
        thumbnails(paths[:1], _STEP)  # its processes have started
        for kind in ("cold", "warm"):
            begun = time.perf_counter()
            assert all(hasattr(made, "data") for made in thumbnails(paths[1:], _STEP))
            rates[kind] = (len(paths) - 1) / (time.perf_counter() - begun)
            if kind == "cold":
                alone.append(_alone(paths))
    print(json.dumps({**rates, "alone": sum(alone) / len(alone)}))


def _alone(paths: list[str]) -> float:
    """Images per second of one process per core, each with its share and nothing else to do."""
    import loky

    from orangecontrib.imageanalytics.engine.pool import ENVIRONMENT

    count = loky.cpu_count()
    code = "from benchmarks import viewer; viewer.decode_and_encode()"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ENVIRONMENT,
            text=True,
        )
        for _ in range(count)
    ]
    for number, child in enumerate(children):
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()  # it is ready
        child.stdin.write(json.dumps(paths[number::count]) + "\n")
    for child in children:
        assert child.stdin is not None
        child.stdin.flush()
    taken = [float(child.communicate()[0]) for child in children]
    return len(paths) / max(taken)


def decode_and_encode() -> None:
    """Decode and encode the files that come in; print the seconds that it took."""
    from orangecontrib.imageanalytics.decoding import pixels
    from orangecontrib.imageanalytics.decoding.fit import Within
    from orangecontrib.imageanalytics.thumbnails.encoding import ThumbnailJob

    job = ThumbnailJob()
    job.prepare()
    print("ready", flush=True)
    paths = json.loads(sys.stdin.readline())
    begun = time.perf_counter()
    for path in paths:
        job(pixels.decode(Path(path).read_bytes(), Within(_STEP)))
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    run(measure)
