"""ServerEmbedder: images to vectors, through an embedding server.

Images are read, hashed, decoded and encoded in isolated processes (`engine.py`), then sent from
an event loop in a thread of its own (`server_client/run.py`). Only the re-encoded pixels leave the
computer: no name, no path, no metadata, nothing that identifies the computer.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import Lost, Result, Task
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.server_client.address import (
    TOKEN_VARIABLE,
    is_exposed,
    server_address,
    server_name,
)
from orangecontrib.imageanalytics.server_client.batches import Batches
from orangecontrib.imageanalytics.server_client.connections import Connections
from orangecontrib.imageanalytics.server_client.protocol import speech_with
from orangecontrib.imageanalytics.server_client.retry import Chance, Policy
from orangecontrib.imageanalytics.server_client.run import Image, ServerRun
from orangecontrib.imageanalytics.server_client.unfinished import Promise, Unfinished
from orangecontrib.imageanalytics.web.http_client import LoopThread

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.models import Model

_log = logging.getLogger(__name__)

#: Images that may be submitted and unfinished for each request that may be under way: the others
#: are being encoded or wait for their turn, at some 50 kB each.
_AHEAD = 2


class ServerEmbedder:
    """Embeds images through a server.

    It is used for one run after another, each begun with `begin`: a server that was lost in one
    run may be there in the next. Connections, threads and processes are made when the first
    image comes, and kept between runs.

    Parameters
    ----------
    model : Model
        One of the catalogue; the server knows it by its id.
    server_url : str, optional
        The server's address, which says what protocol it speaks; the environment variable
        ORANGE_EMBEDDING_API_URL wins over it, and without either it is the public server.
    token : str, optional
        A bearer token, if the server asks for one; without it, that of the environment variable
        ORANGE_EMBEDDING_TOKEN. It is sent to this server only.
    policy : Policy, optional
        Attempts, deadlines, the budget for retries, simultaneous requests.
    engine : Engine, optional
        Encodes the images with the protocol's job; closed with the embedder.
    chance : callable, optional
        Gives a number from 0 up to 1: spreads retries in time.

    Attributes
    ----------
    fingerprint : str
        What the vectors depend on besides the image: the server, the model, the encoding.
    dimension : int
        Length of an embedding.
    capacity : int
        How many images should be submitted and unfinished: enough to keep the server busy, few
        enough that memory does not depend on the number of images.
    server : str
        The server's name for people.

    Raises
    ------
    ServerSettingError
        If the address or the token is not of a form that can be used.
    """

    def __init__(
        self,
        model: Model,
        server_url: str | None = None,
        *,
        token: str | None = None,
        depth: int | None = None,
        policy: Policy | None = None,
        engine: Engine | None = None,
        chance: Chance = random.random,
    ) -> None:
        address = server_address(server_url)
        token = (token or os.environ.get(TOKEN_VARIABLE, "")).strip() or None
        fit = Squash(*model.input_size, depth)
        speech = speech_with(address, model.id, fit, model.dimension, token)
        self.server = server_name(address)
        self.fingerprint = speech.fingerprint
        if depth is not None:
            self.fingerprint += f" depth:{depth}"
        self.dimension = model.dimension
        self._policy = policy or Policy()
        self.capacity = _AHEAD * self._policy.most_at_once
        self._chance = chance
        self._engine = engine or Engine(speech.job)
        self._speech = speech
        self._connections = Connections(speech.address, speech.headers, self._policy)
        if token and is_exposed(address):
            _log.warning(
                "The token for %s is sent unencrypted; use https:// if the server has it.",
                self.server,
            )
        self._lock = threading.Lock()
        self._loop: LoopThread | None = None
        self._closed = False
        self._new_run()

    def _new_run(self) -> None:
        self._numbers = itertools.count(1)
        self._unfinished = Unfinished()
        self._run = ServerRun(
            Batches(self._speech, self._connections),
            self.server,
            self.dimension,
            self._policy,
            self._chance,
            self._unfinished.end_with,
        )

    @property
    def lost(self) -> Lost | None:
        """How the server was lost in this run, if it was."""
        end = self._unfinished.end
        return end if isinstance(end, Lost) else None

    def start(self) -> None:
        """Start the workers that encode now, while something else is being prepared."""
        self._engine.start()

    def begin(self) -> None:
        """Begin a new run: attempts, budgets and a lost server are of the past.

        What is left of the run before is cancelled.
        """
        with self._lock:
            unfinished, run = self._unfinished, self._run
            self._new_run()
            if self._closed:
                self._unfinished.cancel()
        unfinished.cancel()
        if self._loop is not None:
            self._loop.call(run.cancel)

    def submit(self, task: Task) -> Future[Result]:
        """Embed an image.

        Parameters
        ----------
        task : Task
            The image.

        Returns
        -------
        Future of Result
            Its payload is the embedding, float32 of shape (D,), or why the image was skipped; if
            the server is lost (see `lost`), all that is left is skipped as "server failed". It
            fails if the whole run has to end: with a ServerRefusedError, an
            EmbeddingConnectionError or a WorkerError. It is cancelled by `close` and `begin`.
        """
        with self._lock:
            run, number, promise = self._run, next(self._numbers), self._unfinished.promise()
            if promise.future.done():
                return promise.future
            if self._loop is None:
                self._loop = LoopThread("embedding server")
            loop = self._loop

        def encoded(encoding: Future[Result]) -> None:
            if encoding.cancelled():
                promise.cancel()
            elif error := encoding.exception():
                promise.fail(error)
            else:
                promise.encoded = encoding.result()
                self._send(loop, run, promise, number)

        try:
            self._engine.submit(task).add_done_callback(encoded)
        except RuntimeError:
            if not self._closed:
                raise
            promise.cancel()  # it was closed by another thread in between
        return promise.future

    @staticmethod
    def _send(loop: LoopThread, run: ServerRun, promise: Promise, number: int) -> None:
        encoded = promise.encoded
        assert encoded is not None
        if isinstance(encoded.payload, Skipped):
            promise.resolve(encoded.payload)
        else:
            loop.call(run.add, Image(number, encoded.payload, promise.resolve))

    def close(self) -> None:
        """Cancel everything; close connections, thread and processes. At once, at any moment."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._unfinished.cancel()
        if self._loop is not None:
            self._loop.call(self._run.cancel)
        self._engine.close()
        if self._loop is not None:
            self._loop.close(self._close_connections)

    async def _close_connections(self) -> None:
        self._run.cancel()
        await self._run.wait()
        await self._connections.close()
