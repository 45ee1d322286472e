"""The environments that our users have: `nox -l` lists them, `nox -s NAME` tests in one.

What stands behind `--` goes to pytest, which otherwise runs the whole suite. A session whose Python
is not on the machine is left out, and said so. `make test` needs none of this.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

PYTHONS = ("3.11", "3.12", "3.13")

#: conda's Orange has it.
PYQT5 = ("PyQt5>=5.15,<5.16", "PyQtWebEngine>=5.15,<5.16")

#: What Orange's installers of 3.40 for Windows and macOS hold, with Python 3.12.
INSTALLERS = (
    "Orange3==3.40.*",
    "numpy==2.1.*",
    "scipy==1.13.*",
    "scikit-learn==1.5.*",
    *("PyQt6==6.8.*", "PyQt6-Qt6==6.8.*"),
    *("PyQt6-WebEngine==6.8.*", "PyQt6-WebEngine-Qt6==6.8.*"),
)

_LIST = (
    "from importlib.metadata import distributions as all;"
    "print(*sorted({f'{d.name}=={d.version}' for d in all()}), sep='\\n')"
)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test with the newest versions of all that we need."""
    session.install("--editable", ".[test,doc]")
    _test(session)


@nox.session(python=PYTHONS[0])
def pyqt5(session: nox.Session) -> None:
    """Test with Qt 5."""
    session.install(*PYQT5, "--editable", ".[suite]")
    _test(session, QT_API="pyqt5")


@nox.session(python="3.12", venv_backend="venv")
def installers(session: nox.Session) -> None:
    """Add our wheel to what Orange's installers hold; no package there may change."""
    session.install(*INSTALLERS)
    before = _installed(session)
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ".")
        [wheel] = Path(folder).glob("*.whl")
        session.install("--upgrade", "--upgrade-strategy=only-if-needed", str(wheel))
        changed = before - _installed(session)
        if changed:
            session.error(f"Our wheel changes what was there: {', '.join(sorted(changed))}.")
        kept = Path(folder, "kept.txt")
        kept.write_text("\n".join(before))
        session.install("--constraint", str(kept), "--editable", ".[suite]")
    _test(session)


@nox.session(python=PYTHONS[0], venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Test with the lowest version that we allow of each package that we name."""
    # PyQt6's own needs have no upper bound: with the newest Qt the lowest one does not start.
    qt = ("PyQt6-Qt6>=6.6", "PyQt6-WebEngine-Qt6>=6.6")
    session.install("--resolution=lowest-direct", *qt, "--editable", ".[gui,suite]")
    _test(session)


@nox.session(python=PYTHONS[0], venv_backend="uv")
@nox.parametrize("resolution", ["lowest-direct", "highest"])
def audit(session: nox.Session, resolution: str) -> None:
    """Look for known faults in the lowest and the newest versions of all that we need."""
    needs = Path(session.create_tmp(), "needs.txt")
    command = ("uv", "pip", "compile", "--quiet", "--all-extras", f"--resolution={resolution}")
    session.run(*command, "pyproject.toml", "--output-file", str(needs), external=True)
    session.install("pip-audit")
    session.run("pip-audit", "--no-deps", "--disable-pip", "--requirement", str(needs))


@nox.session(python=PYTHONS[0], default=False)
def parity(session: nox.Session) -> None:
    """Compare the networks that we build with their originals in PyTorch; this takes 6 GB."""
    originals = ("torch", "torchvision", "timm", "transformers", "onnxscript")
    session.install(*originals, "--editable", ".[painters]")
    session.run("python", "tools/parity.py", *session.posargs)


def _test(session: nox.Session, **environment: str) -> None:
    offscreen = {"QT_QPA_PLATFORM": "offscreen"}
    session.run("python", "-m", "pytest", *session.posargs, env=offscreen | environment)


def _installed(session: nox.Session) -> set[str]:
    found = session.run("python", "-c", _LIST, silent=True)
    return set(str(found).splitlines())
