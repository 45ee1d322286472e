"""How the server speaks HTTP: uvicorn, on connections that do not wait without end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from orangecontrib.imageanalytics.server.fairness import Shares, client_of

if TYPE_CHECKING:
    import socket
    from asyncio import TimerHandle
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

#: Connections at once: below the 1024 open files that a process on Linux may have by default.
_CONNECTIONS = 800
#: Seconds within which a client must have shaken hands for TLS; asyncio would wait for 60.
_HANDSHAKE = 10.0
#: Messages of a kind that are logged in a minute: whoever can connect can cause some.
_LOGGED = 10
#: Seconds that images in the queue have to be finished when the server is stopped; an image may
#: take 60.
_FINISHING = 70


class PunctualProtocol(H11Protocol):
    """Closes a connection whose client keeps it waiting.

    uvicorn waits for ever for the headers of a request that has begun, for a first request, and
    for the rest of a body that was refused. Here a request must be there within `PATIENCE` seconds
    of its first byte, and the first byte within the same time of what came before.
    """

    #: Seconds; longer than the application's limit for a body, which it answers with 408.
    PATIENCE = 35.0

    _alarm: TimerHandle | None = None
    _quiet = True  # nothing has come of the next request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.who = client_of(self.client)
        taken = Shares(_CONNECTIONS)
        for connection in cast("set[PunctualProtocol]", self.connections):
            if connection is not self:
                taken.take(connection.who)
        if taken.may_take(self.who):
            self._set_alarm()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._quiet:
            self._set_alarm()
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_alarm()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Set or unset the alarm by who is waiting for whom."""
        state = self.conn.their_state
        self._quiet = state is h11.IDLE and not self.conn.trailing_data[0]
        if state not in (h11.IDLE, h11.SEND_BODY) or self.transport.is_closing():
            self._unset_alarm()
        elif self._quiet or self._alarm is None:
            self._set_alarm()

    def _set_alarm(self) -> None:
        self._unset_alarm()
        self._alarm = self.loop.call_later(self.PATIENCE, self.transport.abort)

    def _unset_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


class PunctualServer(uvicorn.Server):
    """Closes connections that do not shake hands for TLS, which nothing else counts."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        loop: Any = asyncio.get_running_loop()
        if self.config.is_ssl:
            # uvicorn has no setting for it; what is set here shadows the loop's own method.
            loop.create_server = partial(loop.create_server, ssl_handshake_timeout=_HANDSHAKE)
        try:
            await super().startup(sockets)
        finally:
            vars(loop).pop("create_server", None)


class Seldom(logging.Filter):
    """Lets the same message through ten times a minute, so that nobody can fill the disk.

    Parameters
    ----------
    now : callable
        Seconds on a clock that only goes forward.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._minute = 0
        self._seen: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a message is logged."""
        minute = int(self._now() // 60)
        if minute != self._minute:
            self._minute = minute
            self._seen.clear()
        kind = str(record.msg)
        self._seen[kind] += 1
        if self._seen[kind] == _LOGGED:
            record.msg = f"{record.msg} (More of these are not logged in this minute.)"
        return self._seen[kind] <= _LOGGED


def configuration(
    application: ASGIApp, certfile: Path | None = None, keyfile: Path | None = None
) -> uvicorn.Config:
    """Configure uvicorn; it logs warnings and errors only, and no addresses with their queries."""
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, Seldom) for known in logger.filters):
        logger.addFilter(Seldom())
    return uvicorn.Config(
        application,
        http=PunctualProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=int(PunctualProtocol.PATIENCE),
        timeout_graceful_shutdown=_FINISHING,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
    )
