"""Builds the package, as pyproject.toml says, and the help that F1 opens in Orange."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SOURCES = ROOT / "doc"
PACKAGE = Path("orangecontrib", "imageanalytics")


class BuildWithHelp(build_py):
    """Builds the help, too, so that whoever installs from the source tree has it.

    `make dist` has put a strictly built one into the package; then there is nothing to do. An
    editable install builds into ``doc/_build/html``, where the widgets look as well. A help that
    cannot be built keeps nobody from installing.
    """

    def run(self) -> None:
        super().run()
        target = SOURCES / "_build" / "html"
        if not self.editable_mode:
            target = Path(self.build_lib) / PACKAGE / "help"
        is_there = (target / "index.html").is_file()
        if not is_there and not (ROOT / PACKAGE / "help").is_dir() and SOURCES.is_dir():
            self.build_help(target)

    def build_help(self, target: Path) -> None:
        try:
            from sphinx.cmd.build import build_main
        except ImportError as error:
            print(f"The help is not built: {error}", file=sys.stderr)
            return
        with tempfile.TemporaryDirectory() as doctrees:
            # Without -W: where the package's own needs are missing, parts of pages for scripts are.
            options = ["-Q", "-d", doctrees, "-b", "html", str(SOURCES), str(target)]
            if build_main(options):
                print("The help is not built; `make docs` says why.", file=sys.stderr)


setup(cmdclass={"build_py": BuildWithHelp})
