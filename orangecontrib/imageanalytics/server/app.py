"""The server's routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orangecontrib.imageanalytics.local_embedder import LocalEmbedder
from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.server.access import Access
from orangecontrib.imageanalytics.server.answers import answer
from orangecontrib.imageanalytics.server.embedders import Embedders, Opens
from orangecontrib.imageanalytics.server.fairness import client_of
from orangecontrib.imageanalytics.server.intake import ClientGone, Intake, Limits
from orangecontrib.imageanalytics.server.openapi import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from starlette.requests import Request
    from starlette.types import Receive

    from orangecontrib.imageanalytics.models import Model

_log = logging.getLogger(__name__)

T = TypeVar("T")


class EmbeddingServer:
    """What stands behind the routes.

    Parameters
    ----------
    models : dict of str to Model
        What is offered, by id; all have `weights`.
    token : str, optional
        What clients have to send.
    workers : int, optional
        Worker processes of each model; as many as there are cores by default.
    limits : Limits
        How much is taken in at once.
    tried : callable, optional
        Called when all models have been loaded and have computed once, with None; or with the
        error if one of them cannot, and then the server never becomes ready.
    opens : callable
        Starts the embedder of a model.
    """

    def __init__(
        self,
        models: dict[str, Model],
        *,
        token: str | None = None,
        workers: int | None = None,
        limits: Limits | None = None,
        tried: Callable[[Exception | None], object] = lambda error: None,
        opens: Opens = LocalEmbedder,
    ) -> None:
        self._models = models
        self._access = Access(token)
        self._intake = Intake(limits or Limits())
        self._embedders = Embedders(models, workers, opens)
        self._tried = tried
        self._ready = False

    def application(self) -> Starlette:
        """Make the ASGI application."""
        return Starlette(
            routes=[
                Route("/image/{model}", self._embed, methods=["POST"]),
                Route("/models", self._list_models),
                Route("/health", self._say_health),
                Route("/openapi.json", self._describe),
            ],
            exception_handlers={HTTPException: _refuse},
            lifespan=self._live,
        )

    @contextlib.asynccontextmanager
    async def _live(self, app: Starlette) -> AsyncIterator[None]:
        trial = asyncio.create_task(self._try_models())
        yield
        self._ready = False
        trial.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await trial
        await self._embedders.close()

    async def _try_models(self) -> None:
        try:
            await self._embedders.try_all()
        except Exception as error:
            self._tried(error)
        else:
            self._ready = True
            self._tried(None)

    async def _embed(self, request: Request) -> Response:
        self._access.check(request)
        model = request.path_params["model"]
        if model not in self._models:
            return _refusal(404, f"There is no model {model!r} here.", models=list(self._models))
        if not self._ready:
            raise HTTPException(503, "The models are being loaded.", {"Retry-After": "1"})
        try:
            client = client_of(request.client)
            async with self._intake.body(client, request.headers, request.receive) as body:
                outcome = await _unless_gone(
                    request.receive, self._embedders.embed(model, body, client)
                )
        except ClientGone:
            return Response(status_code=400)  # nobody reads it
        except EmbeddingError as error:
            _log.error("%s failed: %s", model, error)  # the text may name the server's files
            return _refusal(500, f"The model {model!r} failed; the server's log says why.")
        return answer(outcome)

    async def _list_models(self, request: Request) -> Response:
        self._access.check(request)
        return JSONResponse(
            {
                "models": [
                    {
                        "id": model.id,
                        "title": model.title,
                        "dimension": model.dimension,
                        "input_size": list(model.input_size),
                        "layer": model.layer,
                        "licence": model.licence,
                    }
                    for model in self._models.values()
                ]
            }
        )

    async def _say_health(self, request: Request) -> Response:
        if self._ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "loading"}, 503, {"Retry-After": "1"})

    async def _describe(self, request: Request) -> Response:
        return JSONResponse(DESCRIPTION)


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Wait for a result; cancel the work if the client closes the connection before."""
    working = asyncio.create_task(work)
    going = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        working.cancel()
        going.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(status: int, text: str, **more: Any) -> Response:
    return JSONResponse({"error": text, **more}, status)


async def _refuse(request: Request, error: Exception) -> Response:
    """Answer in JSON whatever is refused, Starlette's own 404 and 405 included."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
