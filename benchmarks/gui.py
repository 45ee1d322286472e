"""GUI: the longest time that Orange's window would have stood still while images are embedded.

In a process with a Qt event loop, the widget is given a table of small images; a timer that should
fire every millisecond notes the longest time that it did not. Once without and once with a cache
that knows all images; and once with nothing to do, for what the computer itself adds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, environment, run, say

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNT, _QUICK_COUNT = 2_000, 200
#: Files must be older than this to be remembered, in seconds.
_SETTLED = 2.1
#: Seconds of the event loop with nothing to do.
_IDLE = 3.0


def measure(scope: Scope) -> list[Figure]:
    """Run the widget in a process of its own."""
    count = scope.choose(_QUICK_COUNT, _COUNT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"gui: the widget embeds {count} small images")
        photos.make_small(folder / "photos", count)
        time.sleep(_SETTLED)
        output = subprocess.run(
            [sys.executable, "-c", "from benchmarks import gui; gui.work()", folder / "photos"],
            env=environment(folder / "home"),
            stdout=subprocess.PIPE,
            check=True,
            timeout=300,
        ).stdout
    found = json.loads(output.splitlines()[-1])
    idle = f"{1000 * found['idle']:.0f} ms with nothing to do"
    return [
        Figure(
            f"GUI: the longest wait of the event loop while {count} images are embedded",
            1000 * found["cold"],
            "ms",
            at_most=50,
            note=f"both tables sent; {idle}",
        ),
        Figure(
            "GUI: the same with all of them in the cache",
            1000 * found["warm"],
            "ms",
            at_most=50,
            note=f"the run takes {found['warm_run']:.1f} s",
        ),
    ]


def work() -> None:
    """Run the widget over the folder that the command line names; print the longest waits."""
    from AnyQt.QtWidgets import QApplication

    from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding

    application = QApplication([])
    data = _table(sorted(Path(sys.argv[1]).iterdir()))
    found = {"idle": longest_wait(lambda: None, ended_after(_IDLE))[0]}
    for run_name in ("cold", "warm"):
        widget = OWImageEmbedding()
        widget.show()
        application.processEvents()
        waited, taken = longest_wait(
            lambda widget=widget: widget.set_images(data),  # type: ignore[misc]
            lambda widget=widget: widget.task is None,  # type: ignore[misc]
        )
        assert widget.finished is not None and widget.finished.n_skipped == 0
        found[run_name], found[f"{run_name}_run"] = waited, taken
        widget.onDeleteWidget()
        widget.deleteLater()
    print(json.dumps(found))


def ended_after(duration: float) -> Callable[[], bool]:
    end = time.perf_counter() + duration
    return lambda: time.perf_counter() > end


def longest_wait(begin: Callable[[], object], is_over: Callable[[], bool]) -> tuple[float, float]:
    """Run the event loop until something is over; give the longest wait and the whole time."""
    from AnyQt.QtCore import QEventLoop, Qt, QTimer

    loop = QEventLoop()  # one of its own: the end of the application's closes all windows

    begun = last = time.perf_counter()
    longest = 0.0

    def beat() -> None:
        nonlocal longest, last
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        if is_over():
            timer.stop()
            loop.quit()

    timer = QTimer(interval=1)
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(beat)
    timer.start()
    QTimer.singleShot(0, begin)
    QTimer.singleShot(10, lambda: None)
    loop.exec()
    return longest, time.perf_counter() - begun


class Busy:
    """The longest processor time that the window's thread takes between two turns of its loop.

    On a computer that others keep busy, it is what the longest wait would be on one that is idle.
    """

    def __init__(self) -> None:
        from AnyQt.QtCore import QTimer

        self._longest = 0.0
        self._last = time.thread_time()
        self._timer = QTimer(interval=1)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.thread_time()
        self._longest, self._last = max(self._longest, now - self._last), now

    def stop(self) -> float:
        """Give the longest, in seconds."""
        self._timer.stop()
        return self._longest


def _table(paths: list[Path]) -> Any:
    from Orange.data import Domain, StringVariable, Table

    column = StringVariable("image")
    column.attributes["type"] = "image"
    return Table.from_list(Domain([], metas=[column]), [[str(path)] for path in paths])


if __name__ == "__main__":
    run(measure)
