"""An embedding server that costs next to nothing: it answers every image with the same vector.

    python -m benchmarks.loopback_server DIMENSION LATENCY

It prints its port, and for each line that it reads how many connections and bytes it has had and
how much processor time it has taken since the line before; it ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass


@dataclass
class Counts:
    """What the server has had to do; processor time in seconds."""

    requests: int = 0
    connections: int = 0
    received: int = 0
    processor_time: float = 0.0


class _Connection(asyncio.Protocol):
    """HTTP/1.1, as far as a client that means well needs it."""

    def __init__(self, answer: bytes, latency: float, counts: Counts) -> None:
        self._answer = answer
        self._latency = latency
        self._counts = counts
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._counts.connections += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._counts.received += len(data)
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        del self._received[:]
        self._counts.requests += 1
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._send)
        else:
            self._send()

    def _send(self) -> None:
        self._transport.write(self._answer)


async def serve(dimension: int, latency: float) -> None:
    """Serve until the standard input ends."""
    chance = random.Random(0)
    vector = [chance.gauss(0, 1) for _ in range(dimension)]
    body = json.dumps({"embedding": vector}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(head + body, latency, counts), "127.0.0.1", 0, backlog=256
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    begun = time.process_time()
    while await loop.run_in_executor(None, sys.stdin.readline):
        now = time.process_time()
        counts.processor_time, begun = now - begun, now
        print(json.dumps(asdict(counts)), flush=True)
        counts.requests = counts.connections = counts.received = 0
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
