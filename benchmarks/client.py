"""Client: how fast images go through a server, over what the work for them alone would allow.

The server, in a process of its own on this computer, answers at once or after 50 ms. The limit
is the processor time per image for decoding it and encoding it as JPEG, each alone in a tight loop
on one core, and for sending it and reading its answer, without any decoding beside it, divided by
the number of cores; the server's own, small, processor time is a part of it, as the cores are
shared. The cache is off.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from benchmarks import machine, photos
from benchmarks.figure import Figure
from benchmarks.loopback_server import Counts
from benchmarks.program import ROOT, Scope, run, say
from benchmarks.timing import in_turns, processor_seconds, seconds
from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.server_client.address import server_address
from orangecontrib.imageanalytics.server_client.batches import Batches
from orangecontrib.imageanalytics.server_client.connections import Connections
from orangecontrib.imageanalytics.server_client.jobs import JpegJob
from orangecontrib.imageanalytics.server_client.protocol import speech_with
from orangecontrib.imageanalytics.server_client.retry import Policy
from orangecontrib.imageanalytics.server_client.run import Image, ServerRun
from orangecontrib.imageanalytics.web.http_client import LoopThread

_MODEL = MODELS["inception-v3"]
_MEGAPIXELS = 0.3
_LATENCIES = (0.0, 0.05)
_COUNT, _QUICK_COUNT = 1_500, 100
_ROUNDS = 5
#: Seconds after which something must be wrong.
_PATIENCE = 120


def measure(scope: Scope) -> list[Figure]:
    """Measure a server without and one with latency."""
    count = scope.choose(_QUICK_COUNT, _COUNT)
    with tempfile.TemporaryDirectory() as folder:
        say(f"client: making {count} photos of {_MEGAPIXELS} megapixels")
        paths = photos.make(Path(folder), _MEGAPIXELS, count)
        figures = []
        for latency in _LATENCIES:
            say(f"client: a server that answers after {1000 * latency:.0f} ms")
            with _server(latency) as server:
                figures += _figures(server, latency, paths, scope.choose(2, _ROUNDS))
    return figures


def _figures(server: _Server, latency: float, paths: list[str], rounds: int) -> list[Figure]:
    encoding = _Encoding(paths)
    sending = _Sending(server, encoding.jpegs)
    counts: list[Counts] = []
    spent: list[float] = []
    with ImageEmbedder(_MODEL.id, server.url, cache=False) as embedder:
        embedder(paths)

        def call() -> float:
            server.counts()
            before = processor_seconds()
            taken = seconds(lambda: embedder(paths)) / len(paths)
            spent.append((processor_seconds() - before) / len(paths))
            counts.append(server.counts())
            return taken

        encode, send, whole = in_turns(rounds, encoding, sending, call)
    with ImageEmbedder(_MODEL.id, server.url, cache=False) as embedder:
        server.counts()
        embedder(paths)
        anew = server.counts()
    limit = (encode + send) / machine.cores()
    jpeg = statistics.mean(len(jpeg) for jpeg in encoding.jpegs)
    name = f"Client, server with {1000 * latency:.0f} ms of latency"
    return [
        Figure(
            f"{name}: throughput, as a share of what the work alone allows",
            100 * limit / whole,
            "%",
            at_least=85,
            note=f"{1 / whole:.0f} images per second of {1 / limit:.0f}; decoding and encoding "
            f"take {1000 * encode:.2f} ms per image, HTTP {1000 * send:.2f} ms, on "
            f"{machine.cores()} cores; by processor time "
            f"{100 * (encode + send) / statistics.median(spent):.0f} %",
        ),
        Figure(
            f"{name}: connections opened for {len(paths)} images",
            anew.connections,
            "connections",
            note=f"{counts[-1].connections} in a run that follows another; "
            f"{anew.requests} requests",
        ),
        Figure(
            f"{name}: bytes sent per image",
            anew.received / len(paths) / 1000,
            "kB",
            note=f"{jpeg / 1000:.1f} kB of them JPEG",
        ),
    ]


class _Encoding:
    """Decoding and encoding, each alone, on one core."""

    def __init__(self, paths: list[str]) -> None:
        self._files = cycle([Path(path).read_bytes() for path in paths])
        self._count = min(100, len(paths))
        job = JpegJob(Squash(*_MODEL.input_size))
        self._job = job
        self.jpegs = [job(pixels.decode(file, job.fit)) for file in islice(self._files, 100)]

    def __call__(self) -> float:
        """Processor seconds per image for the next few images."""
        files = list(islice(self._files, self._count))
        begun = time.process_time()
        images = [pixels.decode(file, self._job.fit) for file in files]
        for image in images:
            self._job(image)
        return (time.process_time() - begun) / self._count


class _Sending:
    """Sending and reading answers, alone."""

    def __init__(self, server: _Server, jpegs: list[bytes]) -> None:
        self._server = server
        self._jpegs = 3 * jpegs

    def __call__(self) -> float:
        """Processor seconds per image, those of the server included."""
        policy = Policy()
        fit = Squash(*_MODEL.input_size)
        speech = speech_with(
            server_address(self._server.url), _MODEL.id, fit, _MODEL.dimension, None
        )
        connections = Connections(speech.address, speech.headers, policy)
        finished = threading.Semaphore(0)
        loop = LoopThread("client alone")
        sending = ServerRun(
            Batches(speech, connections),
            "loopback",
            _MODEL.dimension,
            policy,
            lambda: 1.0,
            lambda why: None,
        )
        self._server.counts()
        begun = time.process_time()
        for number, jpeg in enumerate(self._jpegs):
            loop.call(sending.add, Image(number, jpeg, lambda payload: finished.release()))
        for _ in self._jpegs:
            if not finished.acquire(timeout=_PATIENCE):
                raise TimeoutError("The server does not answer.")
        spent = time.process_time() - begun + self._server.counts().processor_time
        loop.submit(connections.close()).result(_PATIENCE)
        loop.close()
        return spent / len(self._jpegs)


@dataclass(frozen=True)
class _Server:
    """The server, in its process."""

    process: subprocess.Popen[str]
    url: str

    def counts(self) -> Counts:
        """What it has had to do since this was asked last."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Counts(**json.loads(self.process.stdout.readline()))


@contextmanager
def _server(latency: float) -> Iterator[_Server]:
    command = [sys.executable, "-m", "benchmarks.loopback_server"]
    process = subprocess.Popen(
        [*command, str(_MODEL.dimension), str(latency)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield _Server(process, f"http://127.0.0.1:{process.stdout.readline().strip()}/")
    finally:
        process.stdin.close()
        process.wait(_PATIENCE)
        process.stdout.close()


if __name__ == "__main__":
    run(measure)
