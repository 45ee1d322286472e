"""Check a built wheel alone: install it into a fresh environment, and use it.

    python tools/check_wheel.py dist/*.whl

No file of the checkout is on the path of what is run, but for one photo. It installs all that the
wheel needs and Orange's window (the extra ``gui``); that takes a minute. It needs no display.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
PHOTO = ROOT / "examples" / "photos" / "fruit" / "lemon.png"
#: The widgets, each with its page and its icon.
((_, WIDGETS),) = json.loads((ROOT / "doc" / "widgets.json").read_text(encoding="utf-8"))
PACKAGE = "orangecontrib/imageanalytics"

MODELS = ("squeezenet", "efficientnet-lite0", "efficientnet-lite2")

#: What must be in the wheel.
NEEDED = (
    *(f"{PACKAGE}/weights/{m}.onnx" for m in MODELS),
    *(f"{PACKAGE}/weights/{m}.LICENSE.txt" for m in MODELS),
    *(f"{PACKAGE}/widgets/icons/{PurePosixPath(widget['icon']).name}" for widget in WIDGETS),
    *(f"{PACKAGE}/help/{PurePosixPath(widget['doc']).with_suffix('.html')}" for widget in WIDGETS),
    f"{PACKAGE}/help/index.html",
)
#: Folders and endings that have no place in it.
FOREIGN = ("tests", "tools", "benchmarks", "__pycache__", ".doctrees")
FOREIGN_SUFFIXES = (".pyc", ".sqlite", ".sqlite3", ".db")

#: Runs in the fresh environment: what Orange does when it starts, and when F1 is pressed.
IN_ORANGE = """
import sys
from importlib.metadata import entry_points
from pathlib import Path

from AnyQt.QtWidgets import QApplication
from orangecanvas.help.manager import HelpManager
from orangecanvas.registry import WidgetRegistry
from orangewidget.workflow.discovery import WidgetDiscovery

import orangecontrib.imageanalytics as package

prefix = Path(sys.prefix).resolve()
assert prefix in Path(package.__file__).resolve().parents, package.__file__
application = QApplication([])
registry = WidgetRegistry()
ours = [p for p in entry_points(group="orange.widgets") if p.dist.name == "Orange3-ImageEmbedding"]
WidgetDiscovery(registry).run(ours)
widgets = {widget.name: widget for widget in registry.widgets()}
assert sorted(widgets) == sorted(sys.argv[1:]), sorted(widgets)
manager = HelpManager()
manager.set_registry(registry)
for name, widget in widgets.items():
    page = Path(manager.search({"id": widget.qualified_name}).toLocalFile())
    assert page.is_file() and prefix in page.resolve().parents, page
    assert f"<h1>{name}<" in page.read_text(encoding="utf-8"), page
    print(f"{name}: found, and its help")
"""


def check_contents(wheel: Path) -> None:
    """Look at the names of the wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    missing = [name for name in NEEDED if name not in names]
    foreign = [
        name
        for name in sorted(names)
        if set(PurePosixPath(name).parts[:-1]) & set(FOREIGN) or name.endswith(FOREIGN_SUFFIXES)
    ]
    if missing or foreign:
        sys.exit(f"{wheel.name} lacks {missing}, and has no business with {foreign}")
    print(f"{wheel.name}: {len(names)} files, with models, licences and help")


def check_in_use(wheel: Path, folder: Path) -> None:
    """Install the wheel and use it from another folder."""
    home = folder / "environment"
    venv.create(home, with_pip=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    surroundings |= {
        "QT_QPA_PLATFORM": "offscreen",
        "ORANGE_IMAGE_CACHE": str(folder / "cache"),
        "ORANGE_IMAGE_MODELS": str(folder / "models"),
    }

    def run(*arguments: str) -> None:
        command = [str(python), *arguments]
        subprocess.run(command, cwd=folder, env=surroundings, check=True)

    run("-m", "pip", "install", "--quiet", f"{wheel}[gui]")
    run("-m", "pip", "check")
    run("-m", "orangecontrib.imageanalytics", str(PHOTO), "-o", "lemon.npz")
    if not (folder / "lemon.npz").is_file():
        sys.exit("the command line has written nothing")
    run("-c", IN_ORANGE, *(widget["text"] for widget in WIDGETS))


def main() -> None:
    """Check the wheel that is named."""
    parser = argparse.ArgumentParser(description="Check a built wheel alone.")
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    check_contents(wheel)
    with tempfile.TemporaryDirectory() as folder:
        check_in_use(wheel, Path(folder))


if __name__ == "__main__":
    main()
