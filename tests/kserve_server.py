"""A server of KServe v2 on loopback, with binary tensors, that computes what it is told to.

    with KServeServer(model=mean_colour, size=(64, 64), dimension=3) as server:
        ImageEmbedder("squeezenet", f"kserve+{server.url}")
        ... server.batches, server.headers

It says and takes what Triton says and takes; `input`, `config` and `answer` make it another one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np

LENGTH = "Inference-Header-Content-Length"


class KServeServer:
    """One model: uint8 or float32 images in, `dimension` numbers for each out."""

    def __init__(
        self,
        model: Callable[[np.ndarray], np.ndarray],
        name: str,
        size: tuple[int, int],
        dimension: int,
        *,
        datatype: str = "UINT8",
        is_planar: bool = False,
        batch: int = 8,
        parameters: dict[str, str] | None = None,
        has_config: bool = True,
        as_json: bool = False,
        extensions: tuple[str, ...] = ("classification", "binary_tensor_data"),
        trouble: Callable[[int], tuple[int, bytes] | None] = lambda request: None,
    ) -> None:
        self.model, self.name, self.size, self.dimension = model, name, size, dimension
        self.datatype, self.is_planar, self.batch = datatype, is_planar, batch
        self.parameters, self.has_config, self.as_json = parameters or {}, has_config, as_json
        self.extensions = extensions
        self.trouble = trouble
        self.batches: list[int] = []
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                server.take(self)

            def do_POST(self) -> None:
                server.take(self)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def metadata(self) -> dict[str, Any]:
        height, width = self.size
        shape = [3, height, width] if self.is_planar else [height, width, 3]
        return {
            "name": self.name,
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": "images", "datatype": self.datatype, "shape": [-1, *shape]}],
            "outputs": [
                {"name": "embedding", "datatype": "FP32", "shape": [-1, self.dimension]},
                {"name": "classes", "datatype": "INT64", "shape": [-1, 1]},
            ],
        }

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            self.requests.append(f"{handler.command} {handler.path}")
            self.headers.append(dict(handler.headers))
            number = sum(request.startswith("POST") for request in self.requests)
        path = f"/v2/models/{self.name}"
        extra: dict[str, str] = {}
        if handler.command == "POST" and (wrong := self.trouble(number)) is not None:
            status, content = wrong
        elif handler.path == "/v2":
            about = {"name": "triton", "version": "2", "extensions": list(self.extensions)}
            status, content = 200, json.dumps(about).encode()
        elif handler.path == path:
            status, content = 200, json.dumps(self.metadata).encode()
        elif handler.path == f"{path}/config" and self.has_config:
            parameters = {key: {"string_value": value} for key, value in self.parameters.items()}
            config = {"max_batch_size": self.batch, "parameters": parameters}
            status, content = 200, json.dumps(config).encode()
        elif handler.path == f"{path}/infer":
            status, content, extra = self._infer(handler, body)
        else:
            status, content = 404, b'{"error": "unknown model"}'
        handler.send_response(status)
        for key, value in {**extra, "Content-Length": str(len(content))}.items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(content)

    def _infer(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        end = int(handler.headers.get(LENGTH, len(body)))
        (tensor,) = json.loads(body[:end])["inputs"]
        kind = {"UINT8": np.uint8, "FP32": np.float32}[self.datatype]
        content = body[end:]
        if "binary_tensor_data" in self.extensions:
            has_content = tensor["parameters"]["binary_data_size"] == len(content)
        else:
            has_content = handler.headers["Content-Type"] == "application/json"
            content = np.array(tensor["data"], kind).tobytes()
        right = (
            tensor["datatype"] == self.datatype
            and has_content
            and tensor["shape"][1:] == self.metadata["inputs"][0]["shape"][1:]
            and tensor["shape"][0] <= max(1, self.batch)
        )
        if not right:
            return 400, b'{"error": "unexpected shape"}', {}
        images = np.frombuffer(content, kind).reshape(tensor["shape"])
        with self._lock:
            self.batches.append(len(images))
        vectors = np.asarray(self.model(images), np.float32)
        classes = np.zeros((len(images), 1), np.int64)
        described = [
            {"name": "classes", "datatype": "INT64", "shape": list(classes.shape)},
            {"name": "embedding", "datatype": "FP32", "shape": list(vectors.shape)},
        ]
        binary = b""
        for output, values in zip(described, (classes, vectors), strict=True):
            if self.as_json:
                output["data"] = values.ravel().tolist()
            else:
                output["parameters"] = {"binary_data_size": values.nbytes}
                binary += values.tobytes()
        header = json.dumps({"model_name": self.name, "outputs": described}).encode()
        extra = {} if self.as_json else {LENGTH: str(len(header))}
        return 200, header + binary, extra
