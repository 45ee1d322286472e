"""The examples of docstrings and pages do what they show."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "orangecontrib" / "imageanalytics"
PROMPT = ">>> "

_BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def with_examples(folder: Path, pattern: str) -> list[Path]:
    found = folder.rglob(pattern)
    return sorted(path for path in found if PROMPT in path.read_text(encoding="utf-8"))


MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in with_examples(PACKAGE, "*.py")
]
PAGES = with_examples(ROOT / "doc", "*.md")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Examples name the photos of the examples as seen from the checkout."""
    monkeypatch.chdir(ROOT)


def failures_of(tests: list[doctest.DocTest]) -> str:
    told: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test, out=told.append)
    return "".join(told)


def test_there_are_examples_in_modules_and_on_pages():
    assert MODULES
    assert PAGES


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name):
    tests = doctest.DocTestFinder().find(importlib.import_module(name))
    assert failures_of(tests) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_hold(page):
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks, "examples belong into fences that begin with ```pycon"
    # A blank line ends what an example is expected to print.
    text = "\n".join(blocks)
    test = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    assert failures_of([test]) == ""


def test_the_lines_of_the_readme_run_as_they_stand(capsys):
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
    )
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert "not found" in capsys.readouterr().out
