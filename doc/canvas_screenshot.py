"""Drive a real Orange canvas on a screen of its own (Xvfb), and save how it looks.

    python doc/canvas_screenshot.py                  # builds a workflow by hand
    python doc/canvas_screenshot.py examples/x.ows   # opens this one

Without an argument, File, Image Embedding and Data Table are placed, connected and run. The result
is doc/images/canvas.png. The canvas has a home of its own: the user's settings are left alone, and
nothing is asked of any server. Needs Xvfb and ImageMagick, and this package installed, as Orange
finds widgets by entry points.
"""

from __future__ import annotations

import os
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
            steps = build_and_run(window) if len(sys.argv) == 1 else watch(window)
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

    arguments = [sys.argv[0], "--no-welcome", "--no-splash", *sys.argv[1:]]
    Canvas().run(arguments)


def build_and_run(window: Any) -> Iterator[Callable[[], bool]]:
    """Place three widgets, connect them, and wait for the embeddings."""
    from orangecanvas.registry import global_registry
    from orangecanvas.scheme import SchemeLink

    window.setGeometry(0, 0, *map(int, SIZE.split("x")))
    document, registry = window.current_document(), global_registry()
    names = "File", "Image Embedding", "Data Table"
    nodes = []
    for i, name in enumerate(names):
        description = next(widget for widget in registry.widgets() if widget.name == name)
        nodes.append(document.createNewNode(description, position=(150 + 200 * i, 120)))
    for (source, output), (sink, input_) in (
        ((nodes[0], "Data"), (nodes[1], "Images")),
        ((nodes[1], "Embeddings"), (nodes[2], "Data")),
    ):
        document.addLink(
            SchemeLink(source, source.output_channel(output), sink, sink.input_channel(input_))
        )
    scheme = document.scheme()
    file, embedding, table = (scheme.widget_for_node(node) for node in nodes)
    file.add_path(str(photo_table(Path(os.environ[_CHILD]))))
    file.load_data()
    yield lambda: embedding.finished is not None and embedding.task is None
    yield lambda: table.input is not None
    embedding.show()
    embedding.move(680, 330)
    yield pause(2)
    photograph()


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


def photograph() -> None:
    """Save the whole screen."""
    target = str(HERE / "images" / "canvas.png")
    subprocess.run(["import", "-window", "root", "+dither", "-colors", "128", target], check=True)


if __name__ == "__main__":
    if _CHILD in os.environ:
        run_canvas()
    else:
        sys.exit(main())
