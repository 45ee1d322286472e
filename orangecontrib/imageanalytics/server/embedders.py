"""The models at work: an engine for each that is in use."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

import numpy as np

from orangecontrib.imageanalytics.embedder import BytesTask, PixelsTask
from orangecontrib.imageanalytics.local_embedder import LocalEmbedder
from orangecontrib.imageanalytics.outcome import ModelFileError, Skipped
from orangecontrib.imageanalytics.server.fairness import Turns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.embedder import Embedder
    from orangecontrib.imageanalytics.models import Model

_log = logging.getLogger(__name__)


class Opens(Protocol):
    """Starts an embedder."""

    def __call__(self, model: Model, *, workers: int | None = None) -> Embedder:
        """Start one with this number of processes."""


class _Places:
    """As many as the embedder has capacity for, which changes with the time that images take."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._granted = embedder.capacity
        self._turns = Turns(self._granted)

    async def acquire(self, client: str) -> None:
        """Wait for a place."""
        await self._turns.wait(client)

    def release(self) -> None:
        """Give a place back, and more or none if the capacity has changed."""
        wanted = self._embedder.capacity
        if wanted < self._granted:
            self._granted -= 1
            return
        self._turns.add(1 + wanted - self._granted)
        self._granted = wanted


class _Room:
    """One model's embedder, once there is need of it, and the queue before it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.opening = asyncio.Lock()
        self.embedder: Embedder | None = None
        self.places: _Places


class Embedders:
    """Embeds with any of a number of models.

    Each has its own worker processes, from its first image on; those that are idle for a
    minute end. So memory depends on the models in use, not on those that are offered.

    Parameters
    ----------
    models : dict of str to Model
        Those that are offered, by id; all have `weights`.
    workers : int, optional
        Worker processes of each model; as many as there are cores by default.
    opens : callable
        Starts the embedder of a model.
    """

    def __init__(
        self, models: dict[str, Model], workers: int | None = None, opens: Opens = LocalEmbedder
    ) -> None:
        self._rooms = {id_: _Room(model) for id_, model in models.items()}
        self._workers = workers
        self._opens = opens

    async def try_all(self) -> None:
        """Load each model and compute once, in one process after the other.

        Raises
        ------
        EmbeddingError
            If one cannot be loaded or gives something else than its file says.
        """
        for room in self._rooms.values():
            embedder = await asyncio.to_thread(self._opens, room.model, workers=1)
            try:
                black = np.zeros((*room.model.input_size, 3), np.uint8)
                result = await asyncio.wrap_future(embedder.submit(PixelsTask(black)))
                _check_length(room.model, result.payload)
            finally:
                await asyncio.to_thread(embedder.close)

    async def embed(
        self, model: str, data: bytes, client: str = ""
    ) -> NDArray[np.float32] | Skipped:
        """Embed an image; clients have their turns, however many images each sends.

        Cancelling this takes the image out of the queue. The few that the engine has already
        taken are finished, as their memory is only then free for others.

        Returns
        -------
        ndarray of shape (D,), float32, or Skipped

        Raises
        ------
        EmbeddingError
            If the model failed. It is started anew for the next image.
        """
        room = self._rooms[model]
        async with room.opening:
            if room.embedder is None:
                # takes the fingerprint: 1 s for the 500 MB of a VGG-16
                room.embedder = await asyncio.to_thread(
                    self._opens, room.model, workers=self._workers
                )
                room.places = _Places(room.embedder)
        embedder, places = room.embedder, room.places
        await places.acquire(client)
        if room.embedder is not embedder:  # it failed while this image was waiting
            places.release()
            return await self.embed(model, data, client)
        future = embedder.submit(BytesTask(data))
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(places.release))
        working = asyncio.wrap_future(future)
        # Whoever asked may be gone when it ends: an error that nobody sees is logged by asyncio.
        working.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            result = await asyncio.shield(working)
            _check_length(room.model, result.payload)
        except Exception:  # the engine has stopped for good
            if room.embedder is embedder:
                room.embedder = None
                await asyncio.to_thread(embedder.close)
            raise
        payload: NDArray[np.float32] | Skipped = result.payload
        return payload

    async def close(self) -> None:
        """End all workers at once."""
        for room in self._rooms.values():
            if room.embedder is not None:
                await asyncio.to_thread(room.embedder.close)


def _check_length(model: Model, payload: NDArray[np.float32] | Skipped) -> None:
    """Refuse what is not as long as all clients were told."""
    if not isinstance(payload, Skipped) and len(payload) != model.dimension:
        raise ModelFileError(
            f"{model.weights} gave {len(payload)} numbers where it said {model.dimension}. "
            "If the file was changed, start the server once more."
        )
