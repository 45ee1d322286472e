"""The warning when the public add-on is installed, too."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from orangecontrib.imageanalytics.installed_beside import warn_if_public_addon_is_installed


def install(folder: Path, name: str = "Orange3_ImageAnalytics-0.13.0.dist-info") -> None:
    (folder / name).mkdir()
    (folder / name / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Orange3-ImageAnalytics\nVersion: 0.13.0\n"
    )


def test_it_is_silent_when_this_add_on_is_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_public_addon_is_installed()


def test_it_names_the_cure(tmp_path, monkeypatch):
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="Uninstall both") as caught:
        warn_if_public_addon_is_installed()
    assert "pip uninstall Orange3-ImageAnalytics Orange3-ImageEmbedding" in str(caught[0].message)


@pytest.mark.parametrize("module", ["widgets", "image_embedder"])
def test_importing_the_widgets_or_the_embedder_warns_once_and_goes_on(tmp_path, module):
    install(tmp_path)
    root = Path(__file__).parent.parent
    code = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]
import orangecontrib.imageanalytics.{module}
print("goes on")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "goes on"
    assert done.stderr.count("Uninstall both") == 1
