"""Embed the example photos through a real Triton, and compare with what is computed here.

    pip install nvidia-pytriton 'numpy<2'  # brings tritonserver, for glibc 2.35 or newer
    python tools/check_triton.py

Triton serves SqueezeNet's file as doc/inference-servers.md says, but through its Python backend, as
the package has no ONNX backend; it listens on 127.0.0.1 only, and ends with this program. The
program ends with status 1 where a vector differs.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

from orangecontrib.imageanalytics.image_embedder import Embedded, ImageEmbedder
from orangecontrib.imageanalytics.models.catalogue import MODELS

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "examples" / "photos"
MODEL = MODELS["squeezenet"]
#: Seconds within which Triton is ready.
PATIENCE = 120

CPU = "instance_group [ { kind: KIND_CPU } ]"

BACKEND = """
import sys
sys.path[:0] = {path!r}
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        self.session = onnxruntime.InferenceSession({file!r}, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        answers = []
        for request in requests:
            images = triton.get_input_tensor_by_name(request, "image").as_numpy()
            (vectors,) = self.session.run(["flatten10"], {{"image": images}})
            answers.append(triton.InferenceResponse([triton.Tensor("flatten10", vectors)]))
        return answers
"""


def configuration() -> str:
    """Take the one of the page, for the backend that is here."""
    page = (ROOT / "doc" / "inference-servers.md").read_text(encoding="utf-8")
    start = page.index(f'name: "{MODEL.id}"')
    text = page[start : page.index("```", start)]
    return text.replace('backend: "onnxruntime"', 'backend: "python"') + CPU


def repository(folder: Path) -> Path:
    """Lay out the folder that Triton reads models from."""
    model = folder / "models" / MODEL.id
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(configuration())
    text = BACKEND.format(path=sys.path[1:], file=str(MODEL.weights))
    (model / "1" / "model.py").write_text(text)
    return folder / "models"


def backends(triton: Path, folder: Path) -> Path:
    """Copy the Python backend, with the program for this Python beside it."""
    copied = folder / "backends" / "python"
    shutil.copytree(triton / "backends" / "python", copied)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, copied)
    return copied.parent


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait for Triton, unless it ends."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/v2/models/{MODEL.id}/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise SystemExit("Triton does not start; what it says stands above.")


def largest_difference(url: str) -> float:
    """Embed the photos there and here; the largest difference of two numbers."""
    photos = sorted(PHOTOS.rglob("*.png"))
    with ImageEmbedder(MODEL.id, f"kserve+{url}", cache=False) as there:
        outcomes = list(there.outcomes(photos))
    failed = [str(outcome) for outcome in outcomes if not isinstance(outcome, Embedded)]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(photos)} photos failed: {failed[0]}")
    with ImageEmbedder(MODEL.id, cache=False) as here:
        vectors = here(photos)
    return max(
        float(np.abs(outcome.vector - vector).max())
        for outcome, vector in zip(outcomes, vectors, strict=True)
    )


def main() -> None:
    """Start Triton, compare, end it."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise SystemExit("Triton is not here: pip install nvidia-pytriton 'numpy<2'")
    triton = Path(spec.origin).parent / "tritonserver"
    http, grpc, metrics = free_ports(3)
    libraries = [
        sysconfig.get_config_var("LIBDIR"),
        str(triton / "lib"),
        str(triton.parents[1] / "nvidia_pytriton.libs"),  # the copied program is elsewhere
    ]
    environment = dict(os.environ, LD_LIBRARY_PATH=":".join(filter(None, libraries)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            str(triton / "bin" / "tritonserver"),
            f"--model-repository={repository(folder)}",
            f"--backend-directory={backends(triton, folder)}",
            "--http-address=127.0.0.1", f"--http-port={http}",
            "--grpc-address=127.0.0.1", f"--grpc-port={grpc}",
            "--metrics-address=127.0.0.1", f"--metrics-port={metrics}",
        ]  # fmt: skip
        with subprocess.Popen(command, env=environment) as server:
            try:
                wait_until_ready(f"http://127.0.0.1:{http}", server)
                difference = largest_difference(f"http://127.0.0.1:{http}")
            finally:
                server.terminate()
    print(f"largest difference of a number: {difference:.2g}")
    if difference > 0:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
