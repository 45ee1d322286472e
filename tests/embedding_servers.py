"""Our own embedding server in a thread, with real models or with jobs that crash and hang."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import httpx

from orangecontrib.imageanalytics.embedder import Embedder, Job, Result, Task
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.models.catalogue import MODELS, Model
from orangecontrib.imageanalytics.server.app import EmbeddingServer
from orangecontrib.imageanalytics.server.http_protocol import (
    PunctualProtocol,
    PunctualServer,
    configuration,
)
from orangecontrib.imageanalytics.server.intake import Limits
from tests.jobs import MeanColour

#: For all tests: making one takes 0.1 s, for TLS that is not used here.
client = httpx.Client(verify=False, trust_env=False, timeout=30)

#: What `MeanColour` may be said to be.
MEAN_COLOUR = replace(
    MODELS["squeezenet"], id="mean", title="Mean colour", dimension=3, input_size=(8, 8)
)


class JobEmbedder:
    """Does a job with each image, as `LocalEmbedder` does with the model's."""

    fingerprint = "a job of the tests"
    dimension = 3
    lost = None

    def __init__(self, job: Job, workers: int | None, deadline: float) -> None:
        self._engine = Engine(job, workers=workers, deadline=deadline)

    @property
    def capacity(self) -> int:
        return self._engine.capacity

    def start(self) -> None:
        self._engine.start()

    def begin(self) -> None:
        pass

    def submit(self, task: Task) -> Future[Result]:
        return self._engine.submit(task)

    def close(self) -> None:
        self._engine.close()


def opens(job: Job, deadline: float = 60.0) -> Callable[..., Embedder]:
    """Say that every model is this job."""

    def start(model: Model, *, workers: int | None = None) -> Embedder:
        return JobEmbedder(job, workers, deadline)

    return start


def with_mean_colour(
    limits: Limits | None = None, job: Job | None = None, deadline: float = 60.0
) -> EmbeddingServer:
    """A server whose one model gives an image's mean colour."""
    return EmbeddingServer(
        {"mean": MEAN_COLOUR},
        workers=1,
        limits=limits,
        opens=opens(job or MeanColour(), deadline),
    )


@contextlib.contextmanager
def running(
    server: EmbeddingServer, patience: float | None = None, ready: bool = True
) -> Iterator[str]:
    """Run a server until the block is left; gives its address, when it is `ready`."""
    configured = configuration(server.application())
    if patience is not None:
        configured.http = type("Impatient", (PunctualProtocol,), {"PATIENCE": patience})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        uvicorn_server = PunctualServer(configured)
        thread = threading.Thread(target=uvicorn_server.run, args=([listener],))
        thread.start()
        try:
            if ready:
                wait_until_ready(address)
            yield address
        finally:
            uvicorn_server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def wait_until_ready(address: str, seconds: float = 30) -> None:
    """Wait until a server says that it is."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.TransportError):
            if client.get(f"{address}health").status_code == 200:
                return
        assert time.monotonic() < end, "the server did not become ready"
        time.sleep(0.05)


def write_stand_in(path: Path, size: int = 224, dimension: int = 4096) -> Path:
    """Write a model that clients may take for another: SqueezeNet's numbers, over and over.

    SqueezeNet ends in a mean over all places, so it takes images of any size.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(MODELS["squeezenet"].weights))
    for axis in (1, 2):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    (output,) = model.graph.output
    once = output.name
    model.graph.output.remove(output)
    for name, values in (("from", [0]), ("to", [dimension]), ("axis", [1])):
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], values))
    model.graph.node.extend(
        [
            helper.make_node("Concat", [once] * (dimension // 1000 + 1), ["repeated"], axis=1),
            helper.make_node("Slice", ["repeated", "from", "to", "axis"], ["stand-in"]),
        ]
    )
    model.graph.output.append(
        helper.make_tensor_value_info("stand-in", TensorProto.FLOAT, ["N", dimension])
    )
    onnx.save(model, str(path))
    return path
