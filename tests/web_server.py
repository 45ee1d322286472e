"""A web server on loopback that sends images, or behaves as badly as it is told to.

    with WebServer() as server:
        server.on("/cat.png", answer(PNG, {"ETag": '"1"'}))
        server.on("/busy.png", in_turn(answer(status=503), answer(PNG)))
        ... server.url("/cat.png"), server.requests, server.most_at_once

What is put at an absolute address is served as a proxy is asked for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True)
class Request:
    """A request as it came in: the target as on the wire, header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]


class Exchange(BaseHTTPRequestHandler):
    """One connection; an answer is a function that writes to it."""

    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def closing(self) -> threading.Event:
        """Set when the server goes away: who hangs, hangs until then."""
        return self.server.owner.closing

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response_only(status)  # no Date but the test's own
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        owner = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        with owner.counted(Request(self.command, self.path, headers)):
            try:
                owner.answers.get(self.path, answer(status=404))(self)
            except OSError:  # the client has gone
                self.close_connection = True

    do_CONNECT = do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing to the terminal."""


Answer = Callable[[Exchange], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 100
    owner: WebServer
    tls: ssl.SSLContext | None = None

    def finish_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        """Write nothing to the terminal: connections break here on purpose."""


class WebServer:
    """The server, in a thread of its own; answers 404 where nothing was put.

    Parameters
    ----------
    tls : ssl.SSLContext, optional
        With it, the server speaks https.

    Attributes
    ----------
    requests : list of Request
        All that came in.
    most_at_once : int
        How many were being answered at the same time, at most.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, Answer] = {}
        self.most_at_once = 0
        self.closing = threading.Event()
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), Exchange)
        self._server.owner = self
        self._server.tls = tls
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="web server", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def on(self, target: str, answer: Answer) -> str:
        """Put an answer somewhere; gives the address."""
        self.answers[target] = answer
        return self.url(target)

    def url(self, target: str = "") -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}{target}"

    def targets(self) -> list[str]:
        return [request.target for request in self.requests]

    def counted(self, request: Request) -> _Counted:
        return _Counted(self, request)

    def count(self, change: int) -> None:
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Counted:
    def __init__(self, server: WebServer, request: Request) -> None:
        self._server = server
        self._request = request

    def __enter__(self) -> None:
        self._server.requests.append(self._request)
        self._server.count(1)

    def __exit__(self, *_: object) -> None:
        self._server.count(-1)


def answer(body: bytes = b"", headers: dict[str, str] | None = None, status: int = 200) -> Answer:
    """Answer as one should: with the right length."""

    def give(exchange: Exchange) -> None:
        length = {} if status in (204, 304) else {"Content-Length": str(len(body))}
        exchange.send(status, {**length, **(headers or {})}, body)

    return give


def redirect(to: str, status: int = 302) -> Answer:
    return answer(headers={"Location": to}, status=status)


def unless_unchanged(body: bytes, headers: dict[str, str]) -> Answer:
    """Answer 304 to who has this ETag or Last-Modified already."""

    def give(exchange: Exchange) -> None:
        for asked, name in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
            if name in headers and exchange.headers.get(asked) == headers[name]:
                return answer(b"", headers, status=304)(exchange)
        return answer(body, headers)(exchange)

    return give


def in_turn(*answers: Answer) -> Answer:
    """Give one answer after the other, and the last one for ever."""
    left = list(answers)

    def give(exchange: Exchange) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return give


def slowly(seconds: float, then: Answer) -> Answer:
    def give(exchange: Exchange) -> None:
        exchange.closing.wait(seconds)
        then(exchange)

    return give


def hang(exchange: Exchange) -> None:
    """Take the request and say nothing."""
    exchange.closing.wait()
    exchange.close_connection = True


def raw(data: bytes) -> Answer:
    """Write these bytes and close the connection."""

    def give(exchange: Exchange) -> None:
        exchange.wfile.write(data)
        exchange.close_connection = True

    return give


def cut_off(body: bytes, promised: int) -> Answer:
    """Promise more than is sent."""
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (promised, body))


def drip(every: float) -> Answer:
    """Send a byte now and then, for ever."""

    def give(exchange: Exchange) -> None:
        exchange.send(200, {"Content-Length": "1000"})
        while not exchange.closing.wait(every):
            exchange.wfile.write(b"x")
        exchange.close_connection = True

    return give


def endless(pieces: Iterable[bytes] = (), status: int = 200, **headers: str) -> Answer:
    """Send without end and without saying how much."""

    def give(exchange: Exchange) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange.send(status, {"Connection": "close", **named})
        piece = b"x" * 65536
        for some in pieces:
            exchange.wfile.write(some)
        end = time.monotonic() + 20  # of a test that has failed
        while not exchange.closing.is_set() and time.monotonic() < end:
            exchange.wfile.write(piece)
        exchange.close_connection = True

    return give
