"""The server with real models: what it answers, to our client and to Orange's own."""

from __future__ import annotations

import asyncio
import gc
import io
import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

from orangecontrib.imageanalytics import __version__
from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import FileTask
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.local_embedder import LocalEmbedder
from orangecontrib.imageanalytics.models.catalogue import MODELS, Model
from orangecontrib.imageanalytics.models.user_models import describe
from orangecontrib.imageanalytics.outcome import Embedded, Reason, ServerRefusedError, Skipped
from orangecontrib.imageanalytics.server.answers import answer, embedding_json
from orangecontrib.imageanalytics.server.app import EmbeddingServer
from orangecontrib.imageanalytics.server.embedders import Embedders, _Places
from orangecontrib.imageanalytics.server.served_models import find_models
from tests.embedding_servers import client, running, write_stand_in


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes VGG-16's place, in a folder of its own."""
    return write_stand_in(tmp_path_factory.mktemp("served") / "vgg16.onnx")


@pytest.fixture(scope="module")
def server(vgg16: Path) -> Iterator[str]:
    """The address of a server with the bundled models and one that is named VGG-16."""
    with running(EmbeddingServer(find_models(vgg16.parent), workers=1)) as address:
        yield address


def local_vectors(model: Model, images: list[Path]) -> np.ndarray:
    embedder = LocalEmbedder(model, workers=1)
    try:
        futures = [embedder.submit(FileTask(str(image))) for image in images]
        return np.stack([future.result(60).payload for future in futures])
    finally:
        embedder.close()


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def post(server: str, model: str, body: bytes) -> httpx.Response:
    return client.post(f"{server}image/{model}?machine=1&session=2&retry=1", content=body)


@pytest.mark.parametrize("model", ["squeezenet", "efficientnet-lite0", "efficientnet-lite2"])
def test_the_same_image_gives_the_same_vector_as_locally(server: str, photos: list[Path], model):
    response = post(server, model, photos[0].read_bytes())
    assert response.status_code == 200
    vector = np.array(response.json()["embedding"], np.float32)
    np.testing.assert_array_equal(vector, local_vectors(MODELS[model], photos[:1])[0])


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "WEBP"])
def test_images_of_any_common_format_are_embedded(server: str, photos: list[Path], kind: str):
    content = io.BytesIO()
    Image.open(photos[0]).convert("RGB").save(content, kind)
    assert len(post(server, "squeezenet", content.getvalue()).json()["embedding"]) == 1000


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"hello", "not an image"), (b"", "not an image"), (b"\x89PNG\r\n\x1a\n", "damaged")],
)
def test_what_is_no_image_gives_an_empty_embedding_and_a_reason(server, body, reason):
    response = post(server, "squeezenet", body)
    assert response.status_code == 200
    assert response.json() == {"embedding": []}
    assert response.headers["X-Skip-Reason"].startswith(reason)


def test_a_truncated_photo_gives_an_empty_embedding(server: str, photos: list[Path]):
    content = photos[0].read_bytes()
    response = post(server, "squeezenet", content[: len(content) // 2])
    assert response.json() == {"embedding": []}
    assert response.headers["X-Skip-Reason"].startswith("damaged")


def test_a_reason_is_one_line_of_ascii_whatever_it_quotes():
    response = answer(Skipped(Reason.DAMAGED, "“žaba”\r\nX-Evil: \x00 1"))
    assert response.headers["X-Skip-Reason"] == "damaged: ??aba? X-Evil: ? 1"


def test_every_float32_comes_through_the_json_as_it_was():
    rng = np.random.default_rng(0)
    vector = rng.integers(0, 2**32, 100_000, np.uint32).view(np.float32)
    vector = vector[np.isfinite(vector)]
    read = np.array(json.loads(embedding_json(vector))["embedding"], np.float64)
    np.testing.assert_array_equal(read.astype(np.float32), vector)


def test_an_unknown_model_is_404_with_those_that_there_are(server: str):
    response = post(server, "vgg99", b"")
    assert response.status_code == 404
    assert response.json()["models"] == [
        "squeezenet",
        "efficientnet-lite0",
        "efficientnet-lite2",
        "vgg16",
    ]


def test_the_models_are_listed(server: str):
    listed = {model["id"]: model for model in client.get(f"{server}models").json()["models"]}
    assert list(listed) == ["squeezenet", "efficientnet-lite0", "efficientnet-lite2", "vgg16"]
    assert listed["vgg16"]["title"] == "VGG-16"
    assert listed["vgg16"]["dimension"] == 4096
    assert listed["vgg16"]["input_size"] == [224, 224]
    assert listed["squeezenet"]["licence"] == "BSD-2-Clause"


def test_the_description_names_all_routes(server: str):
    description = client.get(f"{server}openapi.json").json()
    assert description["info"]["version"] == __version__
    routes = {route.path for route in EmbeddingServer({}).application().routes}
    assert set(description["paths"]) == routes - {"/openapi.json"}


def test_another_method_is_405(server: str):
    response = client.get(f"{server}image/squeezenet")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_our_client_gets_the_vectors_that_the_model_gives_here(
    server: str, vgg16: Path, photos: list[Path]
):
    with ImageEmbedder("vgg16", server, cache=False) as embedder:
        outcomes = list(embedder.outcomes([*photos, "missing.png"]))
    assert isinstance(outcomes.pop(), Skipped)
    assert all(isinstance(outcome, Embedded) for outcome in outcomes)
    found = np.stack([outcome.vector for outcome in outcomes])
    assert cosines(found, local_vectors(describe(vgg16), photos)).min() > 0.99


def test_our_client_is_told_that_a_model_is_not_there(server: str, photos: list[Path]):
    with (
        ImageEmbedder("painters", server, cache=False) as embedder,
        pytest.raises(ServerRefusedError, match="no model of this name"),
    ):
        embedder(photos[:1])


def test_oranges_own_client_speaks_to_it(server, vgg16, photos, tmp_path, monkeypatch):
    from Orange.misc.server_embedder import ServerEmbedderCommunicator
    from Orange.misc.utils import embedder_utils

    monkeypatch.setattr(embedder_utils, "cache_dir", lambda: str(tmp_path))

    class Communicator(ServerEmbedderCommunicator):
        async def _encode_data_instance(self, data_instance):
            return pixels.encode_jpeg(pixels.decode(data_instance.read_bytes(), Squash(224, 224)))

    communicator = Communicator("vgg16", 10, server, "image")
    communicator.content_type = "image/jpeg"
    found = np.array(communicator.embedd_data(photos))
    assert found.shape == (len(photos), 4096)
    assert cosines(found, local_vectors(describe(vgg16), photos)).min() > 0.99


def test_the_engine_gets_as_many_images_as_it_has_capacity_for_at_the_time():
    embedder = SimpleNamespace(capacity=2)

    def free(places: _Places) -> int:
        """Take all that there are, and say how many those were."""
        return asyncio.run(take(places))

    async def take(places: _Places) -> int:
        waiting = [asyncio.create_task(places.acquire("client")) for _ in range(9)]
        await asyncio.sleep(0.01)
        taken = sum(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        return taken

    places = _Places(embedder)
    assert free(places) == 2
    embedder.capacity = 5  # the images turn out to be quick
    places.release()
    assert free(places) == 4  # one is still at work
    embedder.capacity = 3  # and now slow
    for _ in range(2):
        places.release()
    assert free(places) == 0
    places.release()
    assert free(places) == 1


def test_what_fails_after_the_client_has_gone_is_nobodys_error(caplog):
    future: Future[object] = Future()
    embedder = SimpleNamespace(capacity=2, submit=lambda task: future)
    embedders = Embedders({"net": MODELS["squeezenet"]}, opens=lambda model, workers: embedder)

    async def leave() -> None:
        asking = asyncio.create_task(embedders.embed("net", b"image"))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.wait([asking])
        del asking
        future.set_exception(RuntimeError("stopped"))
        await asyncio.sleep(0.05)
        gc.collect()

    asyncio.run(leave())
    assert [record.getMessage() for record in caplog.records] == []
