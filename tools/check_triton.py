"""Embed the example photos through a real Triton, and compare with what is computed here.

    pip install nvidia-pytriton 'numpy<2'  # brings tritonserver, for glibc 2.35 or newer
    python tools/check_triton.py

Triton serves SqueezeNet's file through its Python backend, as the package has no ONNX backend; it
listens on 127.0.0.1 only, and ends with this program. The program ends with status 1 where a vector
differs.
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

PHOTOS = Path(__file__).parents[1] / "examples" / "photos"
MODEL = MODELS["squeezenet"]
#: Seconds within which Triton is ready.
PATIENCE = 120

CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: 8
input [ {{ name: "images" data_type: TYPE_UINT8 dims: [ {height}, {width}, 3 ] }} ]
output [ {{ name: "embedding" data_type: TYPE_FP32 dims: [ {dimension} ] }} ]
instance_group [ {{ kind: KIND_CPU }} ]
"""

BACKEND = """
import sys
sys.path[:0] = {path!r}
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        self.session = onnxruntime.InferenceSession({file!r}, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def execute(self, requests):
        answers = []
        for request in requests:
            images = triton.get_input_tensor_by_name(request, "images").as_numpy()
            (vectors,) = self.session.run(None, {{self.name: images}})
            answers.append(triton.InferenceResponse([triton.Tensor("embedding", vectors)]))
        return answers
"""


def repository(folder: Path) -> Path:
    """Lay out the folder that Triton reads models from."""
    height, width = MODEL.input_size
    model = folder / "models" / MODEL.id
    (model / "1").mkdir(parents=True)
    values = {"name": MODEL.id, "height": height, "width": width, "dimension": MODEL.dimension}
    (model / "config.pbtxt").write_text(CONFIG.format(**values))
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
    libraries = [sysconfig.get_config_var("LIBDIR"), str(triton / "lib")]
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
