"""A hub of models on loopback, which `huggingface_hub` takes for the real one.

with Hub() as hub:
hub.put("me/model", "model.onnx", content)
monkeypatch.setenv("HF_ENDPOINT", hub.url())
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from orangecontrib.imageanalytics.models import Download, HubFile, Kind, Model, Product
from tests.small_models import SIZE, write_model
from tests.web_server import Answer, Exchange, WebServer, answer

COMMIT = "0123456789abcdef0123456789abcdef01234567"

REPOSITORY, FILE = "somebody/small-model", "model.onnx"


class Hub(WebServer):
    """The hub; what was not put there is answered as the real one does."""

    def put(
        self,
        content: bytes,
        repository: str = REPOSITORY,
        path: str = FILE,
        *,
        sends: Callable[[Exchange, bytes], object] | None = None,
    ) -> str:
        """Put a file there; `sends` is how its bytes are sent, if not all at once."""
        return self.on(address(repository, path), serve(content, sends))

    def downloads(self) -> int:
        """How many times bytes were asked for."""
        return sum(request.method == "GET" for request in self.requests)

    def ranges(self) -> list[str]:
        """From where on bytes were asked for."""
        return [
            request.headers.get("range", "") for request in self.requests if request.method == "GET"
        ]


def address(repository: str = REPOSITORY, path: str = FILE) -> str:
    """Where a hub has a file."""
    return f"/{repository}/resolve/main/{path}"


def serve(content: bytes, sends: Callable[[Exchange, bytes], object] | None = None) -> Answer:
    """Answer as the hub does for a large file, beginning where it is asked to."""
    sha256 = hashlib.sha256(content).hexdigest()

    def give(exchange: Exchange) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", exchange.headers.get("Range") or "")
        first = int(asked[1]) if asked else 0
        headers = {
            "ETag": f'"{sha256}"',
            "X-Linked-ETag": f'"{sha256}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": COMMIT,
            "Content-Length": str(len(content) - first),
        }
        if asked:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        status = 206 if asked else 200
        if sends is None or exchange.command == "HEAD":
            exchange.send(status, headers, content[first:])
        else:
            exchange.send(status, headers)
            sends(exchange, content[first:])

    return give


def refuse(status: int, **headers: str) -> Answer:
    """Answer with an error and the hub's headers about it, as in X_Error_Code."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(status=status, headers=named)


def breaking_off(after: int) -> Callable[[Exchange, bytes], object]:
    """Send so many bytes and close the connection."""

    def send(exchange: Exchange, content: bytes) -> None:
        exchange.wfile.write(content[:after])
        exchange.close_connection = True

    return send


def stalling(after: int) -> Callable[[Exchange, bytes], object]:
    """Send so many bytes, and then nothing until the hub goes away."""

    def send(exchange: Exchange, content: bytes) -> None:
        exchange.wfile.write(content[:after])
        exchange.wfile.flush()
        exchange.closing.wait()
        exchange.close_connection = True

    return send


def in_pieces(size: int) -> Callable[[Exchange, bytes], object]:
    """Send piece by piece, with pauses in which progress is seen."""

    def send(exchange: Exchange, content: bytes) -> None:
        for start in range(0, len(content), size):
            exchange.wfile.write(content[start : start + size])
            exchange.closing.wait(0.3)

    return send


def small_network(folder: Path, padding: int = 2_000_000) -> bytes:
    """The bytes of a network that gives mean colours, with metadata that makes it longer."""
    import onnx

    proto = onnx.load(str(write_model(folder / "made.onnx")))
    entry = proto.metadata_props.add()
    entry.key, entry.value = "padding", "x" * padding
    return proto.SerializeToString()


def downloadable(content: bytes, **changed: object) -> Model:
    """A model that has to be fetched from the hub."""
    sha256 = hashlib.sha256(content).hexdigest()
    source = {"size": len(content), "sha256": sha256} | changed
    return Model(
        id="small-model",
        title="Small Model",
        description="Mean colours.",
        input_size=(SIZE, SIZE),
        dimension=4,
        layer="embedding",
        trained_on="nothing",
        licence="MIT",
        citation="",
        kind=Kind.DOWNLOADABLE,
        download=Download(
            (Product(".onnx", {"main": HubFile(REPOSITORY, FILE, **source)}),)  # type: ignore[arg-type]
        ),
    )
