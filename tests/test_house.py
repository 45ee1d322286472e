"""The rooms of the house keep others out, and there is no circle between them.

Imports are read from the source, those inside of functions and for types only, too: a room that
knows another one only by its types knows it all the same. What is imported where for speed (httpx
not by the workers, Orange not by scripts without tables) is tested with the rooms.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

NAME = "orangecontrib.imageanalytics"
ROOT = Path(__file__).parent.parent.joinpath(*NAME.split("."))

#: Who may import a package of others; all of our modules below these names.
ONLY = {
    "AnyQt": {"widgets"},
    "PyQt5": set(),
    "PyQt6": set(),
    "orangewidget": {"widgets"},
    "orangecanvas": {"widgets"},
    "Orange.widgets": {"widgets"},
    "Orange": {
        "widgets",
        "tables",
        "widened_tables",
        "computed_columns",
        "embed_images",
        "import_images",
        "image_grid",
        "output_files",
        "image_embedder",
        "save_images",
    },
    "sqlite3": {"cache"},
    "distributed": {"batch"},
    "dask": set(),
    "pyarrow": {"batch"},
    "fsspec": {"batch"},
    "httpx": {"web", "server_client"},
    "http": {"web"},
    "urllib.request": {"web"},
    "huggingface_hub": {"models"},
    "requests": set(),
    "aiohttp": set(),
    "starlette": {"server"},
    "uvicorn": {"server"},
}

#: What runs in workers and on clusters imports neither Orange nor Qt nor httpx, nor any room that
#: does: these may know of our own modules only the ones named.
SMALL = {
    "outcome": set(),
    "daemon_threads": set(),
    "priority": set(),
    "embedder": {"decoding"},
    "sources": {"outcome"},
    "decoding": {"outcome", "sources"},
    "model_file": {"outcome"},
    "engine": {"outcome", "sources", "decoding", "embedder", "daemon_threads", "priority"},
}

#: What stands above the rooms, and is imported by nobody but its like.
ABOVE = {"widgets": {"widgets"}, "__main__": set(), "utils": {"utils"}, "server": {"server"}}


@lru_cache(maxsize=1)
def modules() -> dict[str, Path]:
    """All modules, by their names within the package."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    return module.partition(".")[0]


def imported(path: Path) -> Iterator[str]:
    """The full names of what a module imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name: str) -> str | None:
    """The module of ours that a full name is of, or in."""
    if not f"{name}.".startswith(f"{NAME}."):
        return None
    inside = name[len(NAME) + 1 :]
    while inside and inside not in modules():
        inside = inside.rpartition(".")[0]
    return inside


@lru_cache(maxsize=1)
def arrows() -> dict[str, dict[str, set[str]]]:
    """Which room knows which others, and by which of its modules."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module, path in modules().items():
        for name in imported(path):
            other = own(name)
            if other and room(other) != room(module):
                found[room(module)][room(other)].add(module)
    return found


@pytest.mark.parametrize("package", ONLY)
def test_only_certain_rooms_import(package):
    by = {
        room(module)
        for module, path in modules().items()
        for name in imported(path)
        if f"{name}.".startswith(f"{package}.")
    }
    assert by <= ONLY[package], f"{package} is imported by {by - ONLY[package]}"


@pytest.mark.parametrize("small", SMALL)
def test_what_runs_in_workers_knows_few_others(small):
    more = {other: by for other, by in arrows()[small].items() if other not in SMALL[small]}
    assert not more, f"{small} knows {more}"


@pytest.mark.parametrize("top", ABOVE)
def test_nobody_imports_what_stands_above(top):
    by = {name for name, others in arrows().items() if top in others} - ABOVE[top]
    assert not by, f"{top} is imported by {by}"


def test_there_is_no_circle_between_rooms():
    """Each round takes away the rooms that know none that is left; a circle is never taken."""
    left = {name: set(others) for name, others in arrows().items()}
    while free := {name for name in left if not left[name] & left.keys()}:
        for name in free:
            del left[name]
    on_circles = {name: sorted(others & left.keys()) for name, others in left.items()}
    assert not on_circles, f"a circle runs through {on_circles}"


def test_the_package_itself_imports_nothing():
    assert list(imported(ROOT / "__init__.py")) == ["__future__.annotations"] or not list(
        imported(ROOT / "__init__.py")
    )


def test_all_packages_are_in_the_wheel():
    import tomllib

    listed = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        f"{NAME}.{module}" if module else NAME
        for module, path in modules().items()
        if path.name == "__init__.py"
    }
    assert folders <= set(listed["packages"])
