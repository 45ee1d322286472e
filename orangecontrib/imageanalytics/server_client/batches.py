"""Images that are to be sent at the same moment, in as few requests as the protocol allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.server_client.answer import BadAnswer
from orangecontrib.imageanalytics.server_client.retry import Failure
from orangecontrib.imageanalytics.server_client.speech import Answer, Request
from orangecontrib.imageanalytics.web.fault import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.server_client.connections import Connections
    from orangecontrib.imageanalytics.server_client.speech import Speech


#: Requests under way at the same time: enough that the server always has the next one. Images
#: that come meanwhile wait, and go together.
_REQUESTS = 4


@dataclass(eq=False, slots=True)
class _Waiting:
    image: bytes
    attempt: int
    on_sending: Callable[[], None] | None
    result: asyncio.Future[NDArray[np.float32] | Failure]


class Batches:
    """Sends images through connections as a protocol says; for one event loop's thread.

    Parameters
    ----------
    speech : Speech
        The protocol.
    connections : Connections
        To its server.
    """

    def __init__(self, speech: Speech, connections: Connections) -> None:
        self._speech = speech
        self._connections = connections
        self._is_prepared = False
        self._preparing: asyncio.Task[Failure | None] | None = None
        self._waiting: list[_Waiting] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def embed(
        self, image: bytes, attempt: int, on_sending: Callable[[], None] | None = None
    ) -> NDArray[np.float32] | Failure:
        """Send an image, with others that come in the same moment.

        Parameters
        ----------
        image : bytes
            What the protocol's job has made of it.
        attempt : int
            Which attempt this is, from 1.
        on_sending : callable, optional
            Called as soon as there is a connection.

        Returns
        -------
        ndarray of shape (D,), float32, or Failure
            Of length 0 if the server says that it cannot embed this image.
        """
        if not self._is_prepared and (failure := await self._prepare(on_sending)) is not None:
            return failure
        if self._speech.most_at_once == 1:
            (result,) = await self._exchange([image], attempt, on_sending)
            return result
        loop = asyncio.get_running_loop()
        waiting = _Waiting(image, attempt, on_sending, loop.create_future())
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop.call_soon(self._send)  # those that come in the same moment go along
        return await waiting.result

    async def _prepare(self, on_sending: Callable[[], None] | None) -> Failure | None:
        """Ask once for all that wait; after a failure, the next image asks again."""
        if self._preparing is None:

            async def ask(request: Request) -> Answer | Failure:
                return await self._connections.exchange(request, on_sending)

            self._preparing = asyncio.ensure_future(self._speech.prepare(ask))
        preparing = self._preparing
        try:
            failure = await asyncio.shield(preparing)
        finally:
            if preparing.done() and self._preparing is preparing:
                self._preparing = None
        self._is_prepared = failure is None
        return failure

    def _send(self) -> None:
        most = self._speech.most_at_once
        while self._waiting and len(self._sending) < _REQUESTS:
            together, self._waiting = self._waiting[:most], self._waiting[most:]
            task = asyncio.ensure_future(self._send_together(together))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._send()

    async def _send_together(self, waiting: list[_Waiting]) -> None:
        waiting = [one for one in waiting if not one.result.cancelled()]
        if not waiting:
            return
        first = waiting[0]
        try:
            results = await self._exchange(
                [one.image for one in waiting], first.attempt, first.on_sending
            )
        except Exception as error:  # the run ends with it, as with an error in its own requests
            for one in waiting:
                if not one.result.done():
                    one.result.set_exception(error)
            return
        for one, result in zip(waiting, results, strict=True):
            if not one.result.done():
                one.result.set_result(result)

    async def _exchange(
        self, images: list[bytes], attempt: int, on_sending: Callable[[], None] | None
    ) -> list[NDArray[np.float32] | Failure]:
        request = self._speech.request(images, attempt)
        answer = await self._connections.exchange(request, on_sending)
        if isinstance(answer, Failure):
            return [answer] * len(images)
        try:
            return list(self._speech.read(answer, len(images)))
        except BadAnswer as error:
            return [Failure(Kind.FAULT, str(error))] * len(images)

    def cancel(self) -> None:
        """End what is under way."""
        self._waiting.clear()
        for task in (*self._sending, *([self._preparing] if self._preparing else [])):
            task.cancel()

    async def wait(self) -> None:
        """Wait until what was cancelled has ended, its connections closed or free."""
        while under_way := [
            task for task in (*self._sending, self._preparing) if task and not task.done()
        ]:
            await asyncio.wait(under_way)
