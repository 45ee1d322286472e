"""What is said to embedding servers and how their answers are read, without any network."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.outcome import EmbeddingError, ServerSettingError
from orangecontrib.imageanalytics.server_client.address import (
    is_exposed,
    is_kserve,
    server_address,
    server_name,
)
from orangecontrib.imageanalytics.server_client.answer import (
    AnswerLength,
    BadAnswer,
    models_listed,
    read_embedding,
)
from orangecontrib.imageanalytics.server_client.jobs import JpegJob
from orangecontrib.imageanalytics.server_client.protocol import (
    fingerprint,
    request_headers,
    request_url,
)
from orangecontrib.imageanalytics.server_client.retry import Failure, Kind, Policy


@pytest.mark.parametrize(
    ("given_address", "address"),
    [
        ("https://api.garaza.io/", "https://api.garaza.io/"),
        ("https://api.garaza.io", "https://api.garaza.io/"),
        (" HTTPS://API.Garaza.IO:443 \n", "https://api.garaza.io/"),
        ("http://localhost:8080", "http://localhost:8080/"),
        ("http://localhost:80//", "http://localhost/"),
        ("http://[::1]:8080", "http://[::1]:8080/"),
        ("https://example.org/embedding/v1/", "https://example.org/embedding/v1/"),
        ("https://bücher.example", "https://bücher.example/"),
        ("kserve+http://localhost:8000", "kserve+http://localhost:8000/"),
        (" KServe+HTTPS://Example.org:443/triton/ ", "kserve+https://example.org/triton/"),
    ],
)
def test_an_address_has_one_canonical_form(given_address: str, address: str) -> None:
    assert server_address(given_address) == address
    assert server_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "api.garaza.io",
        "localhost:8080",
        "ftp://example.org",
        "file:///etc/passwd",
        "https://",
        "https:///embedding",
        "http://example.org:port",
        "http://example.org:99999",
        "http://[::1",
        "http://exa mple.org",
        "http://example.org\\embedding",
        "http://example.org/?model=vgg16",
        "http://example.org/#top",
        "http://user:secret@example.org",
        "http://user@example.org",
        "kserve+localhost:8000",
        "kserve+ftp://example.org",
        "kserve+kserve+http://example.org",
    ],
)
def test_an_address_that_is_none_is_explained(address: str) -> None:
    with pytest.raises(ServerSettingError, match="It should be like") as raised:
        server_address(address)
    assert isinstance(raised.value, EmbeddingError)
    assert isinstance(raised.value, ValueError)
    assert "secret" not in str(raised.value)


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_no_address_is_too_strange_to_be_checked(text: str) -> None:
    for address in (text, "http://" + text):
        try:
            canonical = server_address(address)
        except ServerSettingError:
            continue
        assert server_address(canonical) == canonical


def test_the_environment_wins_over_the_argument_and_both_over_the_public_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert server_address() == server_address(None) == "https://api.garaza.io/"
    assert server_address("http://localhost:1/") == "http://localhost:1/"
    monkeypatch.setenv("ORANGE_EMBEDDING_API_URL", "http://localhost:2")
    assert server_address("http://localhost:1/") == "http://localhost:2/"


def test_a_server_is_named_by_its_host() -> None:
    assert server_name("https://api.garaza.io/") == "api.garaza.io"
    assert server_name("http://localhost:8080/embedding/") == "localhost:8080"
    assert server_name("kserve+https://example.org:8000/") == "example.org:8000"


def test_the_address_says_which_protocol_is_spoken() -> None:
    assert is_kserve("KServe+http://localhost:8000")
    assert not is_kserve("http://localhost:8000")
    assert not is_kserve(None)


def test_an_image_is_posted_to_its_model() -> None:
    url = request_url("https://example.org/embedding/", "inception-v3", 2)
    assert url.startswith("https://example.org/embedding/image/inception-v3?machine=")
    assert url.endswith("&retry=2")


def test_each_process_is_a_machine_of_its_own() -> None:
    program = (
        "from orangecontrib.imageanalytics.server_client.protocol import request_url;"
        "print(request_url('http://localhost/', 'vgg16', 1))"
    )
    runs = [subprocess.check_output([sys.executable, "-c", program], text=True) for _ in range(2)]
    assert runs[0] != runs[1]


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "Schlüssel", "nul\0"])
def test_a_token_that_cannot_be_sent_is_an_error(token: str) -> None:
    with pytest.raises(ServerSettingError, match=r"token for the embedding server example\.org"):
        request_headers("https://example.org/", token)


def test_only_a_server_elsewhere_without_tls_is_exposed() -> None:
    assert is_exposed("http://example.org/")
    assert is_exposed("http://192.168.1.5:8080/")
    assert is_exposed("kserve+http://example.org/")
    assert not is_exposed("kserve+http://localhost:8000/")
    for address in ("https://example.org/", "http://localhost:1/", "http://[::1]/"):
        assert not is_exposed(address)


def test_the_fingerprint_tells_servers_models_and_sizes_apart() -> None:
    one = fingerprint("https://example.org/", "vgg16", (224, 224))
    others = {
        fingerprint("https://example.com/", "vgg16", (224, 224)),
        fingerprint("https://example.org/", "vgg19", (224, 224)),
        fingerprint("https://example.org/", "vgg16", (227, 227)),
    }
    assert one not in others
    assert len(others) == 3


def test_pixels_are_sent_as_a_jpeg_that_keeps_their_colours() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 31:] = (255, 0, 0)  # chroma subsampling would smear the edge
    job = JpegJob(Squash(64, 64))
    job.prepare()
    with Image.open(io.BytesIO(job(pixels))) as image:
        assert image.format == "JPEG"
        assert image.size == (64, 64)
        assert image.layer[0][1:3] == image.layer[1][1:3]  # type: ignore[attr-defined]
        assert not image.getexif()
        difference = np.asarray(image).astype(int) - pixels
    assert np.abs(difference).max() < 40


def body(embedding: object) -> bytes:
    return json.dumps({"embedding": embedding}).encode()


def test_an_answer_is_read_as_float32() -> None:
    vector = read_embedding(body([1, -2.5, 1e-50, 3e38]))
    assert vector.dtype == np.float32
    assert vector.tolist() == [1, -2.5, 0, float(np.float32(3e38))]
    assert len(read_embedding(body([]))) == 0


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_an_answer_is_finite_numbers_or_bad(value: object) -> None:
    for answer in (json.dumps(value).encode(), body(value)):
        try:
            vector = read_embedding(answer)
        except BadAnswer as error:
            assert str(error).startswith("answered ")
        else:
            assert vector.dtype == np.float32
            assert vector.ndim == 1
            assert np.isfinite(vector).all()


@settings(max_examples=50)
@given(st.binary())
@example(b'{"embedding":[]}')
@example(b'{"embedding":[1,2]}')
@example(b"[" * 100_000)
@example(b'{"embedding":[' + b"9" * 400 + b"]}")
@example(b"\xff\xfe\x00")
def test_no_answer_is_too_strange_to_be_read(answer: bytes) -> None:
    try:
        vector = read_embedding(answer)
    except BadAnswer as error:
        assert str(error).startswith("answered ")
    else:  # bytes by chance may be an answer
        assert vector.ndim == 1 and np.isfinite(vector).all()


def test_an_empty_embedding_is_a_rejection() -> None:
    answer = AnswerLength(3, Policy()).check(np.zeros(0, np.float32))
    assert isinstance(answer, Failure)
    assert answer.kind is Kind.REJECTED


def kinds(reader: AnswerLength, lengths: list[int]) -> list[Kind | None]:
    answers = [reader.check(np.full(length, 0.5, np.float32)) for length in lengths]
    return [answer.kind if isinstance(answer, Failure) else None for answer in answers]


def test_ten_answers_of_another_length_are_another_model() -> None:
    assert kinds(AnswerLength(3, Policy()), [4] * 10) == [Kind.FAULT] * 9 + [Kind.REFUSED]


def test_a_wrong_length_among_right_ones_is_only_a_bad_answer() -> None:
    reader = AnswerLength(3, Policy())
    assert kinds(reader, [4] * 9 + [3] + [4] * 20) == [Kind.FAULT] * 9 + [None] + [Kind.FAULT] * 20


def test_the_job_of_the_workers_imports_neither_httpx_nor_orange_nor_qt() -> None:
    program = (
        "import sys, orangecontrib.imageanalytics.server_client.jobs; "
        "print([m for m in ('httpx', 'ssl', 'asyncio', 'Orange', 'AnyQt') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_models_that_a_server_offers_are_read_strictly() -> None:
    offer = {"error": "no such model", "models": ["vgg16", "x" * 99, "<b>", 3, "own.model"]}
    assert models_listed(json.dumps(offer).encode()) == ["vgg16", "own.model"]
    for body in (b"", b"no", b"[]", b'{"models": 3}', b"[" * 100_000, b"\xff"):
        assert models_listed(body) == []
    many = json.dumps({"models": [f"m{i}" for i in range(1000)]}).encode()
    assert len(models_listed(many)) == 20
