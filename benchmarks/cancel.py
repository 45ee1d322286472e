"""Cancel: how long a run goes on after its callback has said to stop.

The callback raises while large photos are being decoded; for the server, while none of the requests
is answered. The clock runs from there until the call returns with that very exception.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks import photos
from benchmarks.figure import Figure
from benchmarks.program import Scope, run, say
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

#: The callback raises at this share of the images, when all workers have something to do,
_SHARE = 0.25
#: or after as many seconds, if no image is ever finished.
_AFTER = 2.0
_COPIES = 12
_ROUNDS = 5


class _Stop(Exception):
    """What the callback raises."""


def measure(scope: Scope) -> list[Figure]:
    """Cancel local runs and runs on a server that does not answer."""
    rounds = scope.choose(2, _ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        say("cancel: large photos, local")
        paths = list(_copies(photos.make(Path(folder), 12, 4), Path(folder)))
        local = [_cancelled(ImageEmbedder("squeezenet", cache=False), paths) for _ in range(rounds)]
        say("cancel: a server that does not answer")
        small = photos.make_small(Path(folder) / "small", 200)
        with _silent_server() as url:
            remote = [
                _cancelled(ImageEmbedder("inception-v3", url, cache=False), small)
                for _ in range(rounds)
            ]
    return [_figure("local", local), _figure("server", remote)]


def _copies(paths: list[str], folder: Path) -> Iterator[str]:
    """Give the same photos with something behind, so that each is decoded."""
    for index, path in enumerate(paths * _COPIES):
        copy = folder / f"copy {index}.jpg"
        copy.write_bytes(Path(path).read_bytes() + index.to_bytes(2, "big"))
        yield str(copy)


def _figure(where: str, delays: list[float]) -> Figure:
    return Figure(
        f"Cancel, {where}: from the callback's exception to the call's return",
        max(delays),
        "s",
        at_most=0.2,
        note=f"the longest of {len(delays)}; the shortest {min(delays):.3f} s",
    )


def _cancelled(embedder: ImageEmbedder, paths: list[str]) -> float:
    """Seconds from the exception to the return."""
    begun = time.perf_counter()
    raised = 0.0

    def callback(fraction: float) -> None:
        nonlocal raised
        started = fraction > 0 or not embedder.is_local_embedder()
        if fraction >= _SHARE or (started and time.perf_counter() > begun + _AFTER):
            raised = time.perf_counter()
            raise _Stop

    try:
        embedder(paths, callback=callback)
    except _Stop:
        return time.perf_counter() - raised
    finally:
        embedder.close()
    raise AssertionError("the run ended before it was cancelled")


@contextmanager
def _silent_server() -> Iterator[str]:
    """Run a server on loopback that takes images and does not answer."""
    over = threading.Event()

    class Silence(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            over.wait()

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients are expected to go."""

    server = Server(("127.0.0.1", 0), Silence)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    run(measure)
