"""Embedding through a server that speaks KServe v2, such as NVIDIA's Triton."""

from __future__ import annotations

import asyncio
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from Orange.data import Domain, StringVariable, Table

from orangecontrib.imageanalytics import kept_embedders
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.decoding.pixels import decode
from orangecontrib.imageanalytics.embed_images import EmbedImages
from orangecontrib.imageanalytics.image_embedder import (
    Embedded,
    EmbeddingConnectionError,
    ImageEmbedder,
    Reason,
    ServerRefusedError,
)
from orangecontrib.imageanalytics.model_file.onnx_model import OnnxModel
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.server_client.answer import BadAnswer
from orangecontrib.imageanalytics.server_client.kserve import KServe, Scaling
from orangecontrib.imageanalytics.server_client.retry import Failure
from orangecontrib.imageanalytics.server_client.speech import Answer, Request
from orangecontrib.imageanalytics.web.fault import Kind
from tests.kserve_server import KServeServer

pytestmark = pytest.mark.usefixtures("no_new_workers")

MODEL = MODELS["squeezenet"]


def mean_colour(images: np.ndarray) -> np.ndarray:
    """Give each image's mean colour (channels last), and zeros up to the model's dimension."""
    means = images.astype(np.float64).mean(axis=(1, 2))
    return np.pad(means, ((0, 0), (0, MODEL.dimension - 3)))


def server(model=mean_colour, **options) -> KServeServer:
    return KServeServer(model, MODEL.id, MODEL.input_size, MODEL.dimension, **options)


def embedded(url: str, images, **options) -> list:
    with ImageEmbedder(MODEL.id, f"kserve+{url}", cache=False, **options) as embedder:
        assert not embedder.is_local_embedder()
        return list(embedder.outcomes(images))


def expected(photos) -> np.ndarray:
    return np.array([decode(p.read_bytes(), Squash(*MODEL.input_size)) for p in photos])


def raw_table(photos) -> Table:
    image = StringVariable("image")
    image.attributes["type"] = "image"
    return Table.from_list(Domain([], metas=[image]), [[str(path)] for path in photos])


class TestEmbedding:
    def test_our_own_file_gives_the_same_numbers_there_as_here(self, photos):
        model = OnnxModel(MODEL.weights)
        with server(lambda images: np.vstack([model(image[None]) for image in images])) as there:
            outcomes = embedded(there.url, photos)
        with ImageEmbedder(MODEL.id, cache=False) as here:
            assert all(
                np.array_equal(outcome.vector, vector)
                for outcome, vector in zip(outcomes, here(photos), strict=True)
            )

    def test_its_columns_compute_themselves_there(self, photos, tmp_path):
        with server() as there:
            url = f"kserve+{there.url}"
            with ImageEmbedder(MODEL.id, url) as embedder:
                assert embedder.embedding().server == f"{url}/"
            preprocessed = EmbedImages(MODEL.id, server_url=url)(raw_table(photos[:2]))
            kept_embedders.close_all()
        assert preprocessed.X[:, :3] == pytest.approx(
            expected(photos[:2]).mean(axis=(1, 2)), rel=1e-5
        )

    def test_images_go_together_up_to_the_largest_batch(self, photos):
        def slowly(images: np.ndarray) -> np.ndarray:
            time.sleep(0.2)
            return mean_colour(images)

        with server(slowly, batch=4) as there:
            outcomes = embedded(there.url, photos)
        means = expected(photos).mean(axis=(1, 2))
        for outcome, mean in zip(outcomes, means, strict=True):
            assert outcome.vector[:3] == pytest.approx(mean, rel=1e-5)
        assert sum(there.batches) == len(photos)
        assert 1 < max(there.batches) <= 4
        assert there.requests[:3] == [
            "GET /v2",
            "GET /v2/models/squeezenet",
            "GET /v2/models/squeezenet/config",
        ]

    def test_a_server_without_triton_s_configuration_will_do(self, photos):
        with server(has_config=False) as there:
            outcomes = embedded(there.url, photos[:3])
        assert all(isinstance(outcome, Embedded) for outcome in outcomes)

    @pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
    def test_a_server_without_binary_tensors_gets_and_gives_numbers_in_json(self, photos, datatype):
        plain = {"mean": "0,0,0", "std": "1,1,1", "range": "1"}
        options = {"as_json": True, "extensions": (), "datatype": datatype, "parameters": plain}
        with server(**options) as there:
            outcomes = embedded(there.url, photos[:3])
        means = expected(photos[:3]).mean(axis=(1, 2))
        assert np.array([o.vector[:3] for o in outcomes]) == pytest.approx(means, rel=1e-5)

    def test_a_model_that_takes_floats_gets_them_as_its_configuration_says(self, photos):
        def check(images: np.ndarray) -> np.ndarray:
            assert images.dtype == np.float32
            return mean_colour(images.transpose(0, 2, 3, 1))

        parameters = {
            "mean": "0.5, 0.25, 0.125", "std": "[0.5, 2, 4]", "channel_order": "BGR",
        }  # fmt: skip
        with server(check, datatype="FP32", is_planar=True, parameters=parameters) as there:
            outcomes = embedded(there.url, photos[:3])
        scaled = (expected(photos[:3])[..., ::-1] / 255 - [0.5, 0.25, 0.125]) / [0.5, 2, 4]
        means = scaled.mean(axis=(1, 2))
        assert np.array([o.vector[:3] for o in outcomes]) == pytest.approx(means, abs=1e-4)

    def test_the_token_is_sent_and_no_name_is(self, photos):
        with server() as there:
            embedded(there.url, photos[:1], token="s3cret")
        assert all(headers["Authorization"] == "Bearer s3cret" for headers in there.headers)
        assert not any("cow" in str(headers) for headers in there.headers)

    def test_the_environment_alone_sends_no_image_of_a_local_model(self, photos, monkeypatch):
        with server() as there:
            monkeypatch.setenv("ORANGE_EMBEDDING_API_URL", f"kserve+{there.url}")
            with ImageEmbedder(MODEL.id, cache=False) as embedder:
                assert embedder.is_local_embedder()
                embedder(photos[:1])
        assert there.requests == []

    def test_a_second_run_is_answered_by_the_cache(self, photos):
        with server() as there:
            for _ in range(2):
                with ImageEmbedder(MODEL.id, f"kserve+{there.url}") as embedder:
                    embedder(photos)
            assert sum(there.batches) == len(photos)
            with ImageEmbedder(MODEL.id) as here:
                assert here(photos[:1])[0][5] != 0  # another fingerprint


class TestTrouble:
    def test_failures_that_pass_cost_no_image(self, photos):
        with server(trouble=lambda number: (503, b"") if number in (1, 3, 6) else None) as there:
            outcomes = embedded(there.url, photos)
        assert all(isinstance(outcome, Embedded) for outcome in outcomes)

    @pytest.mark.parametrize(
        "content", [b"{}", b"[]", b"\xff", b'{"outputs": [{"name": "embedding"}]}']
    )
    def test_nonsense_is_no_embedding(self, photos, content):
        with server(trouble=lambda number: (200, content)) as there:
            (outcome,) = embedded(there.url, photos[:1])
        assert outcome.reason == Reason.SERVER_FAILED

    def test_a_model_that_is_not_there_is_said(self, photos):
        with (
            server() as there,
            ImageEmbedder("efficientnet-lite0", f"kserve+{there.url}", cache=False) as other,
            pytest.raises(ServerRefusedError, match="no model of this name"),
        ):
            other(photos[:1])

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"datatype": "INT8"}, "takes INT8"),
            ({"datatype": "FP32"}, "does not say how colours are scaled"),
            (
                {"datatype": "FP32", "parameters": {"mean": "a,b,c", "std": "1,1,1"}},
                "cannot be read",
            ),
        ],
    )
    def test_a_model_of_another_kind_is_refused_before_an_image_is_sent(
        self, photos, options, words
    ):
        with server(**options) as there, pytest.raises(ServerRefusedError, match=words):
            embedded(there.url, photos[:1])
        assert not any(request.startswith("POST") for request in there.requests)

    def test_another_size_or_length_is_refused(self, photos):
        for size, dimension in (((64, 64), 1000), (MODEL.input_size, 512)):
            with (
                KServeServer(mean_colour, MODEL.id, size, dimension) as there,
                pytest.raises(ServerRefusedError, match=r"64|outputs of 1000 numbers"),
            ):
                embedded(there.url, photos[:1])

    def test_a_server_that_is_not_there(self, photos):
        with server() as there:
            url = there.url
        with pytest.raises(EmbeddingConnectionError):
            embedded(url, photos[:1])


def speech() -> KServe:
    return KServe("kserve+http://localhost/", "m", Squash(2, 2), 4, {})


def ready() -> KServe:
    """A protocol that has been told about the model."""
    talks = speech()
    metadata = {
        "inputs": [{"name": "x", "datatype": "UINT8", "shape": [-1, 2, 2, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
    }

    async def ask(request: Request) -> Answer | Failure:
        if request.url.endswith("/v2"):
            return Answer(b'{"extensions": ["binary_tensor_data"]}')
        if request.url.endswith("/config"):
            return Failure(Kind.REFUSED, "answered 404")
        return Answer(json.dumps(metadata).encode())

    assert asyncio.run(talks.prepare(ask)) is None
    return talks


@settings(max_examples=100)
@given(st.binary(), st.integers(-5, 50), st.integers(1, 3))
def test_no_answer_is_too_strange_to_be_read(body, length, count):
    headers = {"Inference-Header-Content-Length": str(length)}
    try:
        vectors = ready().read(Answer(body, headers), count)
    except BadAnswer as error:
        assert str(error).startswith("answered ")
    else:
        assert len(vectors) == count


@pytest.mark.parametrize(
    "output",
    [
        {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3]},
        {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, None]},
        {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 1e300]},
        {"name": "y", "datatype": "FP16", "shape": [1, 4], "data": [1, 2, 3, 4]},
        {"name": "z", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]},
        {"name": "y", "datatype": "FP32", "parameters": {"binary_data_size": 16}},
        {"name": "y", "datatype": "FP32", "parameters": {"binary_data_size": -4}},
        {"name": "y", "datatype": "FP32", "parameters": {"binary_data_size": float("inf")}},
        {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 10**400]},
    ],
)
def test_a_wrong_tensor_is_no_embedding(output):
    with pytest.raises(BadAnswer, match=r"^answered "):
        ready().read(Answer(json.dumps({"outputs": [output]}).encode()), 1)


def test_a_length_of_thousands_of_digits_is_no_error_of_ours():
    with pytest.raises(BadAnswer):
        ready().read(Answer(b"[]", {"Inference-Header-Content-Length": "9" * 5000}), 1)


@pytest.mark.parametrize(
    ("extensions", "side"), [(5, -1), ({"binary_tensor_data": 1}, -1), ([], float("inf"))]
)
def test_a_strange_description_ends_no_run_with_an_error_of_ours(extensions, side):
    """It is described, or failed upon in words; nothing else comes out."""
    described = {
        "extensions": extensions,
        "inputs": [{"name": "x", "datatype": "UINT8", "shape": [side, 2, 2, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
    }

    async def ask(request: Request) -> Answer | Failure:
        return Answer(json.dumps(described).encode())

    failure = asyncio.run(speech().prepare(ask))
    assert (failure is None) == (side == -1)


def test_scaling_is_read_from_parameters():
    assert Scaling.of({}) is None
    assert Scaling.of({"mean": "1,2,3", "std": "[4, 5, 6]", "range": "1"}) == Scaling(
        (1, 2, 3), (4, 5, 6), 1
    )
    for wrong in (
        {"mean": "1,2", "std": "1,2"},
        {"mean": "1,2,3", "std": "1,0,3"},
        {"mean": "nan,2,3", "std": "1,2,3"},
        {"mean": "1,2,3", "std": "1,2,3", "range": "inf"},
    ):
        with pytest.raises(ValueError, match="three numbers"):
            Scaling.of(wrong)
