"""A Dask cluster of two processes on this computer, against our own two processes.

The same images in turns, so that a busy moment of the computer hits all alike. What goes over the
wire is counted between the client and the scheduler. Then a batch of small images on the cluster:
whether the memory of the one who hands over, and of the scheduler in the same process, grows.
"""

from __future__ import annotations

import itertools
import socket
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import memory, photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, run, say
from benchmarks.timing import in_turns, seconds
from orangecontrib.imageanalytics import models
from orangecontrib.imageanalytics.batch import Dataset, Run, Shard, Summary
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.local_embedder import local_job

if TYPE_CHECKING:
    from distributed import Client

_WORKERS = 2
_MB = 10**6


class Wire:
    """Stands between a client and a scheduler, and counts what passes."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.count = 0
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        """Where a client connects to."""
        return f"tcp://127.0.0.1:{self._server.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            near, _ = self._server.accept()
            far = socket.create_connection(self._target)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            self.count += len(data)
            target.sendall(data)
        target.close()


def measure(scope: Scope) -> list[Figure]:
    """Measure photos of all sizes, and a batch."""
    from distributed import Client, LocalCluster

    say("cluster: two processes are started")
    with LocalCluster(n_workers=_WORKERS, threads_per_worker=1, dashboard_address=":0") as cluster:
        wire = Wire(cluster.scheduler_address)
        with Client(wire.address) as client:
            in_batch = _batch(client, scope)  # first: whole files leave much memory behind
            figures = list(
                itertools.chain.from_iterable(
                    _photos(client, wire, megapixels, paths, scope)
                    for megapixels, paths, _ in photos.of_each_size("cluster", _counts(scope))
                )
            )
    return figures + in_batch


def _counts(scope: Scope) -> dict[float, int]:
    return scope.choose({0.3: 40}, {0.3: 200, 2.5: 100, 12: 40})


def _photos(
    client: Client, wire: Wire, megapixels: float, paths: Sequence[str], scope: Scope
) -> list[Figure]:
    """Measure with paths, and with whole files, against processes of our own."""
    executor = client.get_executor()
    own = ImageEmbedder(cache=False, workers=_WORKERS)
    by_path = ImageEmbedder(cache=False, executor=executor, shared_files=True)
    by_bytes = ImageEmbedder(cache=False, executor=executor, shared_files=False)
    sent = {}

    def time_of(embedder: ImageEmbedder) -> float:
        before = wire.count
        taken = seconds(lambda: embedder(paths))
        sent[embedder] = (wire.count - before) / len(paths)
        return taken

    with own, by_path, by_bytes:
        for embedder in (own, by_path, by_bytes):
            embedder(paths[:16])
        times = in_turns(
            scope.choose(1, 3),
            lambda: time_of(own),
            lambda: time_of(by_path),
            lambda: time_of(by_bytes),
        )
    each = [1000 * one / len(paths) for one in times]
    return [
        Figure(
            f"Cluster, {megapixels} MP: time with paths over that of our own processes",
            times[1] / times[0],
            "×",
            at_most=1.25,
            note=f"{each[1]:.1f} and {each[0]:.1f} ms an image; with whole files {each[2]:.1f}; "
            f"on the wire {sent[by_path] / _MB:.3f} and {sent[by_bytes] / _MB:.3f} MB an image",
        )
    ]


def _batch(client: Client, scope: Scope) -> list[Figure]:
    """Measure a batch of small images: the growth of memory, from one half to the other."""
    count = scope.choose(2_000, 20_000, 200_000)
    size = count // 20
    job, fingerprint, _ = local_job(models.require(models.DEFAULT))
    with tempfile.TemporaryDirectory() as name:
        say(f"cluster: {count} small images are made")
        paths = photos.make_small(Path(name) / "photos", count)
        pattern = Shard(
            0,
            (),
            Dataset(str(Path(name) / "out")),
            job,
            Summary(models.DEFAULT, fingerprint, models.require(models.DEFAULT).dimension),
            frozenset(),
            60.0,
        )
        seen: list[tuple[int, int]] = []
        batch = Run(paths, pattern, size, lambda done: seen.append((done, memory.now())))
        taken = seconds(lambda: batch.on(client))
        written = sum(path.stat().st_size for path in (Path(name) / "out").iterdir())
    assert batch.totals.embedded == count
    early = max(size for done, size in seen if done <= count // 2)
    late = max(size for done, size in seen)
    return [
        Figure(
            f"Cluster, batch of {count} small images: growth of memory in the second half",
            (late - early) / _MB,
            "MB",
            at_most=30,
            note=f"caller and scheduler together, {late / _MB:.0f} MB; "
            f"{1000 * taken / count:.1f} ms and {written / count / 1000:.1f} kB on disk an image",
        )
    ]


if __name__ == "__main__":
    run(measure)
