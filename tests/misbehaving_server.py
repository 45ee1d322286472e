"""An embedding server on loopback that works, or misbehaves in whatever way it is told to.

    with MisbehavingServer(every(3, status(500))) as server:
        ServerEmbedder(MODELS["deeploc"], server.url)
        ... server.requests, server.sent[17], server.most_at_once, server.connections

It runs in a thread with an event loop of its own and writes HTTP/1.1 by hand, as no server
library would write what is needed here. Its "model" is computed from the pixels it receives:
`picture(17)` comes back as a vector that only picture 17 has.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
DIMENSION = 512
_SIDE = 64
_SHADES = 5  # pictures differ in nine fields of five shades each


def picture(number: int) -> bytes:
    """Make a PNG of 3 by 3 grey fields that stand for a number."""
    digits = [number // _SHADES**place % _SHADES for place in range(9)]
    fields = np.array(digits, np.uint8).reshape(3, 3) * (240 // (_SHADES - 1))
    content = io.BytesIO()
    Image.fromarray(fields).resize((_SIDE, _SIDE), Image.Resampling.NEAREST).save(content, "PNG")
    return content.getvalue()


def embed(content: bytes, dimension: int = DIMENSION) -> NDArray[np.float64]:
    """Compute the "embedding" of an image: the shades of its fields, over and over."""
    with Image.open(io.BytesIO(content)) as image:
        shades = np.asarray(image.convert("L"), np.float64)
    return np.resize(shades[_SIDE // 6 :: _SIDE // 3, _SIDE // 6 :: _SIDE // 3][:3, :3], dimension)


def number_of(vector: NDArray[Any]) -> int:
    """Tell which picture a vector belongs to."""
    digits = np.rint(vector[:9] / (240 // (_SHADES - 1))).astype(int)
    return int(sum(digit * _SHADES**place for place, digit in enumerate(digits)))


@dataclass(frozen=True)
class Request:
    """A request, and how it stands among the others.

    `index` counts all requests, `sent` those for the same picture, `at_once` those that are under
    way; all from 1. `time` is when it had come in, in seconds of the monotonic clock.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    time: float
    index: int
    sent: int
    at_once: int
    number: int

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


#: Answers a request; whether the connection stays open.
Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[bool]]
#: Chooses the answer to a request.
Behaviour = Callable[[Request], Answer]


def response(status: int, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def raw(content: bytes, *, keep: bool = True) -> Answer:
    """Send these bytes, whatever they are."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(content)
        await writer.drain()
        return keep

    return answer


def says(embedding: object) -> Answer:
    """Give this in place of the embedding."""
    return raw(response(200, json.dumps({"embedding": embedding}).encode()))


def small_bomb() -> bytes:
    """Pack 100 MB of zeros twice with gzip."""
    return gzip.compress(gzip.compress(bytes(100_000_000)))


def status(code: int, body: bytes = b"no", **headers: str) -> Answer:
    """Answer with an HTTP status; header names with _ for -."""
    return raw(response(code, body, {k.replace("_", "-"): v for k, v in headers.items()}))


async def well(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Answer as a server should."""
    return await says(embed(request.body).tolist())(request, writer)


def after(seconds: float, then: Answer = well) -> Answer:
    """Take some time."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(seconds)
        return await then(request, writer)

    return answer


async def hangs(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Never answer."""
    await asyncio.sleep(3600)
    return False


def drips(seconds: float) -> Answer:
    """Send the right answer, a byte at a time."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
        for byte in response(200, json.dumps({"embedding": [1.0] * DIMENSION}).encode()):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(seconds)
        return True

    return answer


async def endless(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Send numbers for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in itertools.count():
        writer.write(b"8000\r\n" + b"0.125, " * 4681 + b"\n\r\n")
        await writer.drain()
    return False


async def cut_before(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Hang up without an answer."""
    return False


async def cut_in_the_middle(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Hang up half-way through the answer."""
    content = response(200, json.dumps({"embedding": embed(request.body).tolist()}).encode())
    writer.write(content[: len(content) // 2])
    await writer.drain()
    return False


async def cut_after(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Answer well, and hang up without having said so."""
    await well(request, writer)
    return False


def always(answer: Answer) -> Behaviour:
    return lambda request: answer


def every(n: int, answer: Answer, otherwise: Answer = well) -> Behaviour:
    """Answer every n-th request so, the others well."""
    return lambda request: answer if request.index % n == 0 else otherwise


def one_in(n: int, answer: Answer, otherwise: Answer = well) -> Behaviour:
    """Answer so whenever one picture in n comes, however often."""
    return lambda request: answer if request.number % n == 0 else otherwise


def first_time(answer: Answer, otherwise: Answer = well) -> Behaviour:
    """Answer so when a picture comes for the first time."""
    return lambda request: answer if request.sent == 1 else otherwise


@dataclass(eq=False)
class MisbehavingServer:
    """The server; `behaviour` may be changed while it runs."""

    behaviour: Behaviour = field(default_factory=lambda: always(well))
    tls: bool = False
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    sent: Counter[int] = field(default_factory=Counter)
    connections: int = 0
    open_connections: int = 0
    at_once: int = 0
    most_at_once: int = 0

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._deaths: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="misbehaving server")
        self._thread.start()
        self.come_back()
        return self

    def __exit__(self, *error: object) -> None:
        self.die()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/"

    def die(self) -> None:
        """Stop listening, and cut all connections."""
        asyncio.run_coroutine_threadsafe(self._die(), self._loop).result(10)

    def come_back(self) -> None:
        """Listen again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def dying(self, come_back_after: float | None = None) -> Answer:
        """Die, with all connections, instead of answering; for good, or for some seconds."""

        async def answer(request: Request, writer: asyncio.StreamWriter) -> bool:
            self._deaths.append(self._loop.create_task(self._die()))
            if come_back_after is not None:
                self._loop.call_later(come_back_after, self._resurrect)
            await asyncio.sleep(3600)
            return False

        return answer

    def _resurrect(self) -> None:
        self._deaths.append(self._loop.create_task(self._listen()))

    async def _listen(self) -> None:
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=context, backlog=256, limit=2**20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _die(self) -> None:
        self._server.close()
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task not in (me, *self._deaths)]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has gone
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        start = await reader.readexactly(4)
        if start not in (b"POST", b"CONN"):
            writer.write(response(400, b"this is not HTTP"))
            return False
        head = (start + await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
        method, target, _ = head[0].split(" ")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        number = number_of(embed(body)) if body else -1
        self.sent[number] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        request = Request(
            method,
            target,
            headers,
            body,
            time.monotonic(),
            len(self.requests) + 1,
            self.sent[number],
            self.at_once,
            number,
        )
        self.requests.append(request)
        answering = asyncio.ensure_future(self.behaviour(request)(request, writer))
        client_goes = asyncio.ensure_future(reader.read(1))  # it sends nothing before our answer
        try:
            await asyncio.wait({answering, client_goes}, return_when=asyncio.FIRST_COMPLETED)
            return answering.done() and answering.result()
        finally:
            self.at_once -= 1
            await self._stop(answering, client_goes)

    @staticmethod
    async def _stop(*tasks: asyncio.Future[Any]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
