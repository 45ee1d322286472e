"""What building needs is imported when something is built, and never a framework or Orange."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(*statements: str) -> set[str]:
    program = "; ".join([*statements, "import sys", "print(*sys.modules)"])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_recipes_and_the_way_to_building_import_nothing_large() -> None:
    found = modules_after(
        "from orangecontrib.imageanalytics.models import recipes",
        "from orangecontrib.imageanalytics.models.building import build",
    )
    assert not found & {"numpy", "onnx", "onnxruntime", "safetensors", "h5py", "Orange", "httpx"}


@pytest.mark.parametrize(
    "module", ["vgg", "inception", "onnx_images", "onnx_texts", "deeploc", "painters"]
)
def test_building_imports_neither_orange_nor_a_framework(module: str) -> None:
    found = modules_after(f"import orangecontrib.imageanalytics.models.building.{module}")
    assert "onnx" in found
    assert not found & {"Orange", "AnyQt", "PyQt6", "httpx", "torch", "tensorflow", "onnxruntime"}
