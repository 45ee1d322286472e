"""How much a server takes in at once: requests, bytes, seconds."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from orangecontrib.imageanalytics.server.fairness import Shares

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Receive


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too much.

    Attributes
    ----------
    requests : int
        Images that are being received, wait, or are worked on. The client gives up an image after
        60 s, within which one core embeds this many even with VGG-16.
    body : int
        Bytes of one image.
    held : int
        Bytes of all these images together.
    sending : float
        Seconds within which a request must have been sent.
    """

    requests: int = 256
    body: int = 32 * 2**20
    held: int = 512 * 2**20
    sending: float = 30.0


class ClientGone(Exception):
    """The client closed the connection before it had sent all."""


class Intake:
    """Counts what is taken in, and refuses what is too much."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._requests = Shares(limits.requests)
        self._held = Shares(limits.held)

    @asynccontextmanager
    async def body(
        self, client: str, headers: Mapping[str, str], receive: Receive
    ) -> AsyncIterator[bytes]:
        """Receive a request's body, and count it until the block is left.

        Nothing is read of a request that is refused from its headers.

        Raises
        ------
        HTTPException
            503 if there is too much else, of this client or of all, 413 if it is too large, 408
            if it comes too slowly, 415 if it is compressed.
        ClientGone
            If the connection was closed.
        """
        self._check(client, headers)
        body = bytearray()
        self._requests.take(client)
        try:
            try:
                async with asyncio.timeout(self._limits.sending):
                    await self._receive(client, receive, body)
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"The image was not sent within {self._limits.sending:g} s.",
                    {"Connection": "close"},
                ) from None
            yield bytes(body)
        finally:
            self._requests.give_back(client)
            self._held.give_back(client, len(body))

    def _check(self, client: str, headers: Mapping[str, str]) -> None:
        if not self._requests.may_take(client):
            raise _busy()
        if headers.get("content-encoding", "identity") != "identity":
            raise HTTPException(415, "Send the image as it is, without Content-Encoding.")
        announced = headers.get("content-length", "")
        if announced.isdecimal():
            if int(announced) > self._limits.body:
                raise self._too_large()
            if not self._held.may_take(client, int(announced)):
                raise _busy()

    async def _receive(self, client: str, receive: Receive, body: bytearray) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > self._limits.body:
                raise self._too_large()
            if not self._held.may_take(client, len(chunk)):
                raise _busy()
            body += chunk
            self._held.take(client, len(chunk))
            if not message.get("more_body", False):
                return

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"An image may have {self._limits.body / 2**20:g} MiB here.")


def _busy() -> HTTPException:
    return HTTPException(
        503, "The server has as much to do as it takes on. Try again soon.", {"Retry-After": "1"}
    )
