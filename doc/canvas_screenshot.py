"""Drive a real Orange canvas on a screen of its own (Xvfb), and save how it looks.

    python doc/canvas_screenshot.py                  # builds a workflow by hand
    python doc/canvas_screenshot.py examples/x.ows   # opens this one
    python doc/canvas_screenshot.py predictions      # new photos go into Predictions as they are
    python doc/canvas_screenshot.py grid             # photos on a map, and some of them

Without an argument, File, Image Embedding and Data Table are placed, connected and run. The result
is doc/images/canvas.png, doc/images/predictions.png or doc/images/grid-workflow.png. The canvas has
a home of its own: the user's settings are left alone, and nothing is asked of any server. Needs
Xvfb and ImageMagick, and this package installed, as Orange finds widgets by entry points.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PHOTOS = sorted((HERE.parent / "examples" / "photos").rglob("*.png"))
SIZE = "1200x760"
_CHILD = "ORANGE_SCREENSHOT_HOME"  # set in the process that is the canvas


def main() -> int:
    """Start a screen, and on it this program again, with a home of its own."""
    shown, told = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(told), "-screen", "0", f"{SIZE}x24"],
        pass_fds=[told],
        stderr=subprocess.DEVNULL,
    )
    os.close(told)
    try:
        with os.fdopen(shown) as numbers, tempfile.TemporaryDirectory() as home:
            surroundings = os.environ | {
                "DISPLAY": f":{numbers.readline().strip()}",
                "QT_QPA_PLATFORM": "xcb",
                "HOME": home,
                "XDG_CONFIG_HOME": f"{home}/config",
                "XDG_DATA_HOME": f"{home}/data",
                "XDG_CACHE_HOME": f"{home}/cache",
                _CHILD: home,
            }
            command = [sys.executable, __file__, *sys.argv[1:]]
            return subprocess.run(command, env=surroundings, timeout=180, check=False).returncode
    finally:
        screen.terminate()
        screen.wait()


def photo_table(folder: Path) -> Path:
    """Write a table of the photos as a spreadsheet would have it, with a header of three rows."""
    rows = [f"{photo}\t{photo.parent.name}" for photo in PHOTOS]
    table = folder / "photos.tab"
    table.write_text("\n".join(["image\tkind", "string\td", "meta type=image\tclass", *rows]))
    return table


def run_canvas() -> None:
    """Be the canvas."""
    from AnyQt.QtCore import QSettings, QTimer
    from AnyQt.QtWidgets import QApplication
    from Orange.canvas.__main__ import OMain

    class Canvas(OMain):
        """Orange's own, which asks nobody for news and is driven by `steps`."""

        def setup_application(self) -> None:
            settings = QSettings()
            for question in (
                "startup/check-updates",
                "notifications/check-notifications",
                "reporting/send-statistics",
            ):
                settings.setValue(question, False)
            settings.sync()
            super().setup_application()

        def create_main_window(self) -> Any:
            window = super().create_main_window()
            steps = STEPS.get("".join(sys.argv[1:]), watch)(window)
            QTimer.singleShot(2000, lambda: take_step(steps))
            return window

    def take_step(steps: Iterator[Callable[[], bool]]) -> None:
        """Go on with the next step as soon as what the last one waits for is true."""
        try:
            awaited = next(steps)
        except StopIteration:
            QApplication.exit()
            return
        except Exception:
            # Orange would show it in a window, and wait for somebody to close it
            traceback.print_exc()
            os._exit(1)
        end = time.monotonic() + 90

        def look() -> None:
            if awaited():
                take_step(steps)
            elif time.monotonic() > end:
                sys.stderr.write("It does not happen.\n")
                os._exit(1)
            else:
                QTimer.singleShot(100, look)

        look()

    files = [] if "".join(sys.argv[1:]) in STEPS else sys.argv[1:]
    arguments = [sys.argv[0], "--no-welcome", "--no-splash", *files]
    Canvas().run(arguments)


def place(
    window: Any, places: dict[str, tuple[int, int]], links: list[tuple[int, str, int, str]]
) -> list[Any]:
    """Place widgets, by their titles, and connect them; what follows a bar tells them apart."""
    from orangecanvas.registry import global_registry
    from orangecanvas.scheme import SchemeLink

    window.setGeometry(0, 0, *map(int, SIZE.split("x")))
    document, registry = window.current_document(), global_registry()
    nodes = []
    for title, position in places.items():
        name = title.partition("|")[0]
        description = next(widget for widget in registry.widgets() if widget.name == name)
        nodes.append(document.createNewNode(description, title.replace("|", " "), position))
    for source, output, sink, input_ in links:
        source, sink = nodes[source], nodes[sink]
        document.addLink(
            SchemeLink(source, source.output_channel(output), sink, sink.input_channel(input_))
        )
    return [document.scheme().widget_for_node(node) for node in nodes]


def build_and_run(window: Any) -> Iterator[Callable[[], bool]]:
    """Place three widgets, connect them, and wait for the embeddings."""
    file, embedding, table = place(
        window,
        {
            "File": (150, 120),
            "Image Embedding": (350, 120),
            "Data Table": (550, 120),
        },
        [(0, "Data", 1, "Images"), (1, "Embeddings", 2, "Data")],
    )
    file.add_path(str(photo_table(Path(os.environ[_CHILD]))))
    file.load_data()
    yield lambda: embedding.finished is not None and embedding.task is None
    yield lambda: table.input is not None
    embedding.show()
    embedding.move(720, 225)
    yield pause(2)
    photograph()


def predict(window: Any) -> Iterator[Callable[[], bool]]:
    """Train a model on an embedding, and give it photos that nobody has embedded."""
    old, embedding, _, new, predictions = place(
        window,
        {
            "Import Images|(to learn from)": (120, 90),
            "Image Embedding": (300, 90),
            "Logistic Regression": (480, 90),
            "Import Images|(new)": (300, 220),
            "Predictions": (660, 150),
        },
        [
            (0, "Data", 1, "Images"),
            (1, "Embeddings", 2, "Data"),
            (2, "Model", 4, "Predictors"),
            (3, "Data", 4, "Data"),
        ],
    )
    home = Path(os.environ[_CHILD])
    for index, photo in enumerate(PHOTOS):
        folder = home / "new" if index % 3 == 1 else home / "photos" / photo.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder)
    old.open_folder(str(home / "photos"))
    yield lambda: embedding.finished is not None
    yield pause(2)
    new.open_folder(str(home / "new"))
    yield lambda: predictions.data is not None and bool(predictions._non_errored_predictors())
    predictions.resize(640, 330)
    predictions.show()
    predictions.move(540, 400)
    yield pause(2)
    photograph("predictions.png")


def arrange(window: Any) -> Iterator[Callable[[], bool]]:
    """Walk through a map of photos, and look at some of them in another widget."""
    from AnyQt.QtCore import Qt

    folder, embedding, grid, viewer = place(
        window,
        {
            "Import Images": (100, 80),
            "Image Embedding": (260, 80),
            "Image Grid": (420, 80),
            "Image Viewer": (580, 80),
        },
        [
            (0, "Data", 1, "Images"),
            (1, "Embeddings", 2, "Embeddings"),
            (2, "Selected Images", 3, "Data"),
        ],
    )
    folder.open_folder(str(PHOTOS[0].parents[1]))
    yield lambda: embedding.finished is not None
    yield lambda: grid.arranged is not None and grid.arranged.is_last
    menu = grid.panel.layout
    menu.setCurrentIndex(menu.findData("map"))
    menu.activated.emit(menu.currentIndex())
    grid.panel.size.setValue(64)
    grid.resize(880, 540)
    grid.show()
    grid.move(300, 200)
    yield pause(1)
    grid.view.picked.emit(grid.view.images.order[-6:], Qt.KeyboardModifier.NoModifier)
    yield lambda: viewer.shown is not None and len(viewer.shown.order) == 6
    yield pause(3)
    photograph("grid-workflow.png")


def watch(window: Any) -> Iterator[Callable[[], bool]]:
    """Wait until an opened workflow has run."""
    window.setGeometry(0, 0, *map(int, SIZE.split("x")))
    yield pause(3)
    manager = window.current_document().scheme().signal_manager
    yield (
        lambda: (
            not manager.has_pending()
            and not any(
                manager.is_invalidated(node) for node in window.current_document().scheme().nodes
            )
        )
    )
    yield pause(2)
    photograph()


def pause(seconds: float) -> Callable[[], bool]:
    """Wait, with the window alive."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def photograph(name: str = "canvas.png") -> None:
    """Save the whole screen."""
    target = str(HERE / "images" / name)
    subprocess.run(["import", "-window", "root", "+dither", "-colors", "128", target], check=True)


STEPS = {"": build_and_run, "predictions": predict, "grid": arrange}

if __name__ == "__main__":
    if _CHILD in os.environ:
        run_canvas()
    else:
        sys.exit(main())
