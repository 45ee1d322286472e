"""The server when clients or images misbehave: real connections, real worker processes."""

from __future__ import annotations

import itertools
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from orangecontrib.imageanalytics.outcome import ModelFileError
from orangecontrib.imageanalytics.server.app import EmbeddingServer
from orangecontrib.imageanalytics.server.intake import Limits
from tests.embedding_servers import MEAN_COLOUR, client, opens, running, with_mean_colour
from tests.jobs import HANG, SEGFAULT, BrokenModel, MeanColour, png

GREY = png((100, 100, 100))


@dataclass(frozen=True)
class FailsOnWhite(MeanColour):
    """A model that fails for good on a white image."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.min() == 255:
            raise ModelFileError("/secret/mean.onnx gives no numbers")
        return super().__call__(pixels)


@dataclass(frozen=True)
class ChangesItsLength(MeanColour):
    """A model that gives two numbers for a white image."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        vector = super().__call__(pixels)
        return vector[:2] if pixels.min() == 255 else vector


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    limits = Limits(body=100_000, sending=0.4)
    with running(with_mean_colour(limits), patience=0.8) as address:
        yield address


@dataclass(frozen=True)
class Waits(MeanColour):
    """Waits with a grey image until a file is there."""

    file: Path = Path()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        while pixels.min() > 0 and not self.file.exists():
            time.sleep(0.01)
        return super().__call__(pixels)


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The file that a slow server waits for."""
    return tmp_path / "go"


@pytest.fixture
def slow_server(go: Path) -> Iterator[str]:
    """A server with room for eight images of one client."""
    with running(with_mean_colour(Limits(requests=10), Waits(file=go))) as address:
        yield address
        go.touch()


def post(server: str, body: bytes = GREY, **more: object) -> httpx.Response:
    return client.post(f"{server}image/mean", content=body, **more)


def connect(server: str) -> socket.socket:
    parts = urlsplit(server)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def headers(length: int) -> bytes:
    return f"POST /image/mean HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n".encode()


def test_many_clients_at_once_all_get_their_own_answer(server: str):
    def ask(shade: int) -> bool:
        return post(server, png((shade, shade, shade))).json() == {"embedding": [shade] * 3}

    with ThreadPoolExecutor(64) as clients:
        assert all(clients.map(ask, range(128)))


def test_a_body_that_is_announced_too_large_is_refused_unread(server: str):
    with connect(server) as connection:
        connection.sendall(headers(100_001))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_becomes_too_large_is_refused(server: str):
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(10_000)

    response = post(server, chunks())
    assert response.status_code == 413
    assert "MiB" in response.json()["error"]


def test_a_refused_body_is_read_to_its_end_and_the_connection_serves_on(server: str):
    with httpx.Client(trust_env=False) as one:
        for body, status in ((bytes(200_000), 413), (GREY, 200), (bytes(200_000), 413)):
            response = one.post(f"{server}image/mean", content=body)
            assert response.status_code == status


def test_a_compressed_body_is_refused(server: str):
    assert post(server, headers={"Content-Encoding": "gzip"}).status_code == 415


def test_who_sends_too_slowly_is_told_and_cut_off(server: str):
    with connect(server) as connection:
        connection.sendall(headers(len(GREY)) + GREY[:10])
        answer = b""
        while received := connection.recv(1000):
            answer += received
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"POST /image/mean HTTP/1.1\r\nHost"])
def test_who_does_not_send_even_the_headers_is_cut_off(server: str, sent: bytes):
    with connect(server) as connection:
        connection.sendall(sent)
        assert is_cut_off(connection)


def test_who_drips_a_refused_body_is_cut_off(server: str):
    with connect(server) as connection:
        connection.sendall(headers(200_000))
        assert b" 413 " in answer_on(connection)
        end = time.monotonic() + 20
        with pytest.raises(OSError):
            while time.monotonic() < end:
                connection.sendall(b"x")
                time.sleep(0.05)


def test_who_stays_silent_after_an_answer_is_cut_off(server: str):
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(headers(len(GREY)) + GREY)
            assert b" 200 " in answer_on(connection)
        assert is_cut_off(connection)


def answer_on(connection: socket.socket) -> bytes:
    """Read one answer, whose body is a line of JSON."""
    answer = b""
    while not answer.endswith(b"}"):
        received = connection.recv(1000)
        assert received, answer
        answer += received
    return answer


def is_cut_off(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def fill(server: str, room: int = 8) -> tuple[list[socket.socket], list[socket.socket]]:
    """Send four images more than there is room for; those that wait, and those refused."""
    connections = [connect(server) for _ in range(room + 4)]
    for connection in connections:
        connection.sendall(headers(len(GREY)) + GREY)
    refused: list[socket.socket] = []
    while len(refused) < 4:
        refused, _, _ = select.select(connections, [], [], 10)
        assert refused
    return [c for c in connections if c not in refused], refused


def test_a_full_queue_is_503_at_once_and_nothing_in_it_is_lost(slow_server: str, go: Path):
    waiting, refused = fill(slow_server)
    for connection in refused:
        answer = answer_on(connection)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
    go.touch()
    assert len(waiting) == 8
    for connection in waiting:
        assert answer_on(connection).startswith(b"HTTP/1.1 200 ")


def test_images_of_clients_that_are_gone_make_room_for_others(slow_server: str, go: Path):
    for connection in itertools.chain(*fill(slow_server)):
        connection.close()
    with late_comer(slow_server) as connection:
        go.touch()
        assert answer_on(connection).startswith(b"HTTP/1.1 200 ")


def late_comer(server: str) -> socket.socket:
    """Send an image as soon as there is room for it."""
    for _ in range(50):
        connection = connect(server)
        connection.sendall(headers(len(GREY)) + GREY)
        if not select.select([connection], [], [], 0.2)[0]:  # it was let in, and waits
            return connection
        assert answer_on(connection).startswith(b"HTTP/1.1 503 ")
        connection.close()
    raise AssertionError("the queue stays full")


def test_all_bodies_together_are_limited(server: str):
    with (
        running(with_mean_colour(Limits(body=1000, held=1500))) as address,
        connect(address) as first,
    ):
        first.sendall(headers(1000) + bytes(900))
        for _ in range(3):  # small ones, beside which the first has room, while it is received
            assert post(address, bytes(1)).status_code == 200
        statuses = (post(address, bytes(700)).status_code for _ in range(100))
        assert 503 in statuses  # once the first has been received
        first.sendall(bytes(100))
        assert b" 200 " in answer_on(first)
        assert post(address, bytes(700)).status_code == 200


def test_an_image_that_crashes_the_decoder_harms_nobody_else(server: str):
    with ThreadPoolExecutor(8) as clients:
        crash = clients.submit(post, server, png(SEGFAULT))
        others = list(clients.map(lambda _: post(server), range(20)))
    assert crash.result().json() == {"embedding": []}
    assert crash.result().headers["X-Skip-Reason"].startswith("crashed the decoder")
    assert {response.status_code for response in others} == {200}
    assert all(response.json()["embedding"] == [100, 100, 100] for response in others)


def test_an_image_that_hangs_the_decoder_is_given_up():
    with running(with_mean_colour(deadline=0.5)) as address:
        response = post(address, png(HANG))
        assert response.headers["X-Skip-Reason"].startswith("crashed the decoder")
        assert post(address).json()["embedding"] == [100, 100, 100]


@pytest.mark.parametrize("job", [FailsOnWhite(), ChangesItsLength()])
def test_a_model_that_fails_is_500_and_started_anew(job: MeanColour, caplog):
    with running(with_mean_colour(job=job)) as address:
        response = post(address, png((255, 255, 255)))
        assert response.status_code == 500
        assert "mean" in response.json()["error"]
        assert "onnx" not in response.text  # no file of the server's
        assert ".onnx" in caplog.text
        assert post(address).json()["embedding"] == [100, 100, 100]


def test_it_is_ready_only_when_the_models_have_been_loaded():
    loading, loaded = threading.Event(), threading.Event()

    def start(model, *, workers=None):
        if workers == 1:  # the trial
            loading.set()
            loaded.wait(20)
        return opens(MeanColour())(model, workers=workers)

    server = EmbeddingServer({"mean": MEAN_COLOUR}, workers=2, opens=start)

    def look(address: str) -> list[int]:
        return [client.get(f"{address}health").status_code, post(address).status_code]

    with running(server, ready=False) as address:
        assert loading.wait(20)
        assert look(address) == [503, 503]
        loaded.set()
        end = time.monotonic() + 20
        while look(address) != [200, 200]:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_model_that_does_not_load_is_told_and_it_never_becomes_ready():
    told: list[Exception | None] = []
    heard = threading.Event()

    def tried(error: Exception | None) -> None:
        told.append(error)
        heard.set()

    server = EmbeddingServer(
        {"mean": MEAN_COLOUR}, opens=opens(BrokenModel()), workers=1, tried=tried
    )
    with running(server, ready=False) as address:
        assert heard.wait(20)
        assert isinstance(told[0], ModelFileError)
        assert client.get(f"{address}health").status_code == 503
