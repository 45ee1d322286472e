"""F1 on a widget opens its page, and no link on the pages leads nowhere."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from orangecanvas.help.manager import HelpManager, create_html_inventory_provider
from orangecanvas.registry import WidgetRegistry
from orangecanvas.registry.discovery import WidgetDiscovery
from orangewidget.workflow.discovery import WidgetDiscovery as OrangeDiscovery

from orangecontrib.imageanalytics import widgets
from tests.widgets.test_category import WIDGETS

ROOT = Path(__file__).parents[2]
PROJECT = "Orange3-ImageEmbedding"
GROUP = "orange.canvas.help"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built strictly."""
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    folder = tmp_path_factory.mktemp("html")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html"]
    command += ["-d", str(tmp_path_factory.mktemp("doctrees")), str(ROOT / "doc"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def registry() -> WidgetRegistry:
    """Our widgets, as Orange discovers them."""
    registry = WidgetRegistry()
    discovery: WidgetDiscovery = OrangeDiscovery(registry)
    discovery.process_category_package(widgets, name="Image Analytics")
    for widget in registry.widgets():
        widget.project_name = PROJECT
    return registry


def entry_point() -> importlib.metadata.EntryPoint:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["entry-points"][GROUP]
    return importlib.metadata.EntryPoint("html-index", declared["html-index"], GROUP)


def widget_names() -> set[str]:
    return set(WIDGETS)


def test_orange_discovers_all_widgets(registry):
    assert {widget.name for widget in registry.widgets()} == widget_names()


@pytest.mark.parametrize("name", sorted(widget_names()))
def test_f1_opens_the_page_of_the_widget(built, registry, name, monkeypatch):
    paths = ((str(built / "index.html"), None),)
    monkeypatch.setattr(widgets, "WIDGET_HELP_PATH", paths)
    manager = HelpManager()
    manager.set_registry(registry)
    manager._providers[PROJECT] = create_html_inventory_provider(entry_point())
    widget = next(widget for widget in registry.widgets() if widget.name == name)
    url = manager.search({"id": widget.qualified_name})
    page = Path(url.toLocalFile())
    assert page.name == f"{name.replace(' ', '').lower()}.html"
    assert f"<h1>{name}<" in page.read_text(encoding="utf-8")


def test_help_is_looked_for_in_the_source_tree_and_in_the_package():
    places = [place for place, _ in widgets.WIDGET_HELP_PATH]
    assert places[0] == str(ROOT / "doc" / "_build" / "html" / "index.html")
    assert str(ROOT / "orangecontrib" / "imageanalytics" / "help" / "index.html") in places


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is installed from a source tree."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    without = shutil.ignore_patterns("_build", "help", "__pycache__", "*.onnx")
    for name in ("orangecontrib", "doc", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=without)
    return folder


@pytest.mark.parametrize(
    ("hook", "place"),
    [
        ("build_wheel", "build/lib/orangecontrib/imageanalytics/help"),
        ("build_editable", "doc/_build/html"),
    ],
)
def test_whoever_installs_from_the_source_tree_has_the_help(checkout, hook, place, tmp_path):
    code = f"from setuptools.build_meta import *; {hook}({str(tmp_path)!r})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in ("index", "widgets/imageembedding", "widgets/importimages"):
        assert (checkout / place / f"{page}.html").is_file(), done.stderr
    if hook == "build_wheel":
        [wheel] = tmp_path.glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        assert "orangecontrib/imageanalytics/help/index.html" in names


class Links(HTMLParser):
    """The targets and anchors of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors = {""}
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.targets.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def test_no_link_between_the_pages_leads_nowhere(built):
    pages = {page.resolve(): Links(page) for page in built.rglob("*.html")}
    dead = []
    for page, links in pages.items():
        for target in links.targets:
            if urlsplit(target).scheme:
                continue
            path, anchor = urldefrag(target)
            there = (page.parent / unquote(urlsplit(path).path)).resolve() if path else page
            if not there.exists() or (there in pages and anchor not in pages[there].anchors):
                dead.append((page.name, target))
    assert dead == []


def test_the_web_catalogue_names_all_widgets_with_files_that_are_there():
    ((category, entries),) = json.loads((ROOT / "doc" / "widgets.json").read_text("utf-8"))
    assert category == widgets.NAME
    assert {entry["text"] for entry in entries} == widget_names()
    for entry in entries:
        assert (ROOT / "doc" / entry["doc"]).is_file()
        assert (ROOT / "doc" / entry["icon"]).is_file()
        assert entry["background"] == widgets.BACKGROUND
