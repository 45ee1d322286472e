"""Server: what 64 clients at once get of the engine's speed, whether all get all, and in how much.

The server is started from the command line; 64 connections send it images, each the next as soon as
it has its answer, for a minute. What the engine does alone with the same images on the same cores,
before and after, is the measure. The clients, in this process, share the cores with the server.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks import machine, photos
from benchmarks.figure import Figure
from benchmarks.program import ROOT, Scope, environment, run, say
from benchmarks.timing import processor_seconds
from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import BytesTask
from orangecontrib.imageanalytics.local_embedder import LocalEmbedder
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.server_client import protocol

_MODEL = MODELS["squeezenet"]
_CLIENTS = 64
_IMAGES = 64
#: Seconds of load, and of the engine alone before and after.
_SECONDS, _QUICK_SECONDS = 60.0, 6.0
_ALONE, _QUICK_ALONE = 10.0, 3.0
#: Seconds after which something must be wrong.
_PATIENCE = 60.0


def measure(scope: Scope) -> list[Figure]:
    """Measure the engine, the server under load, and the engine again."""
    alone = scope.choose(_QUICK_ALONE, _ALONE)
    with tempfile.TemporaryDirectory() as folder:
        jpegs = _jpegs(Path(folder))
        say(f"server: the engine alone, {alone:.0f} s")
        *before, vectors = _engine(jpegs, alone)
        seconds = scope.choose(_QUICK_SECONDS, _SECONDS)
        say(f"server: {_CLIENTS} clients, {seconds:.0f} s")
        with _server(Path(folder)) as (address, process):
            load = _Load(jpegs, vectors, process)
            asyncio.run(load.run(address, seconds))
        say(f"server: the engine alone, {alone:.0f} s")
        *after, _ = _engine(jpegs, alone)
    return load.figures(*map(statistics.mean, zip(before, after, strict=True)))


def _jpegs(folder: Path) -> list[bytes]:
    """Images as the client sends them."""
    return [
        pixels.encode_jpeg(pixels.decode(Path(path).read_bytes(), Squash(*_MODEL.input_size)))
        for path in photos.make(folder / "photos", 0.3, _IMAGES)
    ]


def _engine(jpegs: list[bytes], seconds: float) -> tuple[float, float, list[NDArray[np.float32]]]:
    """Images per second of the engine alone, processor seconds per image, and the vectors."""
    embedder = LocalEmbedder(_MODEL)
    try:
        futures = [embedder.submit(BytesTask(jpeg)) for jpeg in jpegs]
        vectors = [future.result(_PATIENCE).payload for future in futures]
        running = deque(
            embedder.submit(BytesTask(jpegs[i % _IMAGES])) for i in range(embedder.capacity)
        )
        count, begun, spent = 0, time.perf_counter(), processor_seconds()
        while time.perf_counter() < begun + seconds:
            running.popleft().result(_PATIENCE)
            running.append(embedder.submit(BytesTask(jpegs[count % _IMAGES])))
            count += 1
        spent = processor_seconds() - spent
        return count / (time.perf_counter() - begun), spent / count, vectors
    finally:
        embedder.close()


@contextmanager
def _server(folder: Path) -> Iterator[tuple[tuple[str, int], psutil.Process]]:
    """Where a server of its own process listens, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orangecontrib.imageanalytics.server", "--port", "0"],
        cwd=ROOT,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        port = 0
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                port = int(found[1])
            if "Ready" in line:
                break
        else:
            raise RuntimeError("The server does not start.")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield ("127.0.0.1", port), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(_PATIENCE)


@dataclass
class _Load:
    """64 clients, and what became of their images."""

    jpegs: list[bytes]
    vectors: list[NDArray[np.float32]]
    process: psutil.Process
    sent: int = 0
    right: int = 0
    seconds: float = 0.0
    own: float = 0.0  # processor seconds of the clients
    spent: float = 0.0  # of all together
    front: float = 0.0  # of the server without its workers
    latencies: list[float] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)
    _seen: dict[int, bytes] = field(default_factory=dict)

    async def run(self, address: tuple[str, int], seconds: float) -> None:
        """Send for this long; what is under way then is waited for."""
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(self._client(address, 0.0, i) for i in range(_CLIENTS)))
        self.sent = self.right = 0
        self.latencies.clear()
        own, front = time.process_time(), sum(self.process.cpu_times()[:2])
        spent = processor_seconds()
        begun = time.perf_counter()
        watching = asyncio.create_task(self._watch())
        async with asyncio.timeout(seconds + _PATIENCE):
            await asyncio.gather(
                *(self._client(address, begun + seconds, i) for i in range(_CLIENTS)),
                return_exceptions=True,
            )
        watching.cancel()
        self.seconds = time.perf_counter() - begun
        self.spent = processor_seconds() - spent
        self.own = time.process_time() - own
        self.front = sum(self.process.cpu_times()[:2]) - front

    async def _client(self, address: tuple[str, int], until: float, number: int) -> None:
        reader, writer = await asyncio.open_connection(*address)
        try:
            while True:
                number = (number + 1) % _IMAGES
                jpeg = self.jpegs[number]
                self.sent += 1
                begun = time.perf_counter()
                path = protocol.request_url("/", _MODEL.id, 1)
                writer.write(
                    f"POST {path} HTTP/1.1\r\nHost: {address[0]}\r\nContent-Type: image/jpeg\r\n"
                    f"Content-Length: {len(jpeg)}\r\n\r\n".encode()
                    + jpeg
                )
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                body = await reader.readexactly(int(length[1]))
                self.latencies.append(time.perf_counter() - begun)
                self.right += head.startswith(b"HTTP/1.1 200 ") and self._is_right(number, body)
                if time.perf_counter() >= until:
                    return
        finally:
            writer.close()

    def _is_right(self, number: int, body: bytes) -> bool:
        """Whether it is this image's vector, to the last bit."""
        if number not in self._seen:
            vector = np.array(json.loads(body)["embedding"], np.float32)
            if not np.array_equal(vector, self.vectors[number]):
                return False
            self._seen[number] = body
        return self._seen[number] == body

    async def _watch(self) -> None:
        while True:
            workers = 0
            for child in self.process.children(recursive=True):
                try:
                    workers += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.memory.append((self.process.memory_info().rss, workers))
            await asyncio.sleep(0.5)

    def figures(self, alone: float, cost: float) -> list[Figure]:
        """Say what was measured, given what the engine does per second and spends per image."""
        rate = self.right / self.seconds
        quarter = max(1, len(self.memory) // 4)
        early = [
            statistics.median(side)
            for side in zip(*self.memory[quarter : 2 * quarter], strict=True)
        ]
        late = [statistics.median(side) for side in zip(*self.memory[-quarter:], strict=True)]
        growth = max(0.0, sum(late) - sum(early)) / 1e6
        name = f"Server, {_CLIENTS} clients for {self.seconds:.0f} s"
        return [
            Figure(
                f"{name}: throughput, as a share of the engine's own on the same cores",
                100 * rate / alone,
                "%",
                note=f"{rate:.0f} images per second of {alone:.0f}, on {machine.cores()} cores; "
                f"by processor time {100 * cost * self.sent / self.spent:.0f} %; the clients "
                f"took {1000 * self.own / self.sent:.2f} ms per image, receiving "
                f"and answering {1000 * self.front / self.sent:.2f} ms; half of the answers came "
                f"within {1000 * statistics.median(self.latencies):.0f} ms, the slowest within "
                f"{1000 * max(self.latencies):.0f} ms",
            ),
            Figure(
                f"{name}: images lost or with another's vector",
                self.sent - self.right,
                "images",
                at_most=0,
                note=f"of {self.sent}",
            ),
            Figure(
                f"{name}: growth of memory from the second quarter of the time to the last",
                growth,
                "MB",
                at_most=10,
                note=f"the server takes {late[0] / 1e6:.0f} MB, its workers {late[1] / 1e6:.0f} MB",
            ),
        ]


def _medians(memory: list[tuple[int, int]]) -> list[float]:
    """Of the server and of its workers."""
    return [statistics.median(side) for side in zip(*memory, strict=True)]


if __name__ == "__main__":
    run(measure)
