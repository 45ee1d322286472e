"""The embedding servers' client against a real server that misbehaves in every way we know of."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest

from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import BytesTask, FileTask, LostBecause, Result
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.models.catalogue import MODELS
from orangecontrib.imageanalytics.outcome import (
    EmbeddingConnectionError,
    EmbeddingError,
    Reason,
    ServerRefusedError,
    Skipped,
)
from orangecontrib.imageanalytics.server_client.jobs import JpegJob
from orangecontrib.imageanalytics.server_client.retry import Policy
from orangecontrib.imageanalytics.server_embedder import ServerEmbedder
from tests.handshakes import NeverShakesHands, no_socket_left_open
from tests.misbehaving_server import (
    CERTIFICATE,
    DIMENSION,
    Answer,
    Behaviour,
    MisbehavingServer,
    after,
    always,
    cut_after,
    cut_before,
    cut_in_the_middle,
    drips,
    embed,
    endless,
    every,
    first_time,
    hangs,
    number_of,
    one_in,
    picture,
    raw,
    response,
    says,
    small_bomb,
    status,
    well,
)

pytestmark = pytest.mark.filterwarnings(
    "error::pytest.PytestUnraisableExceptionWarning",
    "error::pytest.PytestUnhandledThreadExceptionWarning",
)

MODEL = MODELS["deeploc"]  # the smallest images
ALL = range(100)

#: The true policy with shorter seconds; what hangs has its own, so that a busy computer does not.
POLICY = Policy(
    base=0.02,
    throttled_base=0.04,
    longest_delay=0.2,
    connect_timeout=5.0,
    request_timeout=5.0,
    unreached=15.0,
    quiet=20.0,
)
HANGING = replace(POLICY, request_timeout=0.4)


@pytest.fixture(autouse=True)
def no_proxy_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def nothing_goes_unnoticed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Exceptions in tasks and callbacks that nobody awaits are only logged."""
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    """Encodes here: starting processes for each test would take most of the time."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


@dataclass
class Ending:
    """How a run ended: results by picture, in the input's order."""

    results: list[Result]
    embedder: ServerEmbedder

    @property
    def embedded(self) -> list[int]:
        return [i for i, r in enumerate(self.results) if isinstance(r.payload, np.ndarray)]

    def skipped(self, reason: Reason) -> list[int]:
        return [
            i
            for i, r in enumerate(self.results)
            if isinstance(r.payload, Skipped) and r.payload.reason is reason
        ]

    def details(self) -> set[str]:
        return {r.payload.detail for r in self.results if isinstance(r.payload, Skipped)}


Make = Callable[..., ServerEmbedder]


@pytest.fixture
def make(executor: ThreadPoolExecutor) -> Iterator[Make]:
    embedders = []

    def make(server: MisbehavingServer | str, policy: Policy = POLICY, **kwargs: object) -> object:
        url = server if isinstance(server, str) else server.url
        engine = Engine(JpegJob(Squash(*MODEL.input_size)), executor=executor)
        embedder = ServerEmbedder(MODEL, url, policy=policy, engine=engine, **kwargs)  # type: ignore[arg-type]
        embedders.append(embedder)
        return embedder

    yield make  # type: ignore[misc]
    for embedder in embedders:
        embedder.close()


def submit(embedder: ServerEmbedder, pictures: range = ALL) -> list[Future[Result]]:
    assert len(pictures) <= embedder.capacity
    return [embedder.submit(BytesTask(picture(number))) for number in pictures]


def finish(embedder: ServerEmbedder, pictures: range = ALL) -> Ending:
    """Submit the pictures and wait; every vector must be on its own row."""
    results = [future.result(timeout=30) for future in submit(embedder, pictures)]
    for number, result in zip(pictures, results, strict=True):
        if isinstance(result.payload, np.ndarray):
            assert result.payload.dtype == np.float32
            assert result.payload.shape == (DIMENSION,)
            assert number_of(result.payload) == number
            np.testing.assert_allclose(result.payload, embed(picture(number)), atol=3)
    return Ending(results, embedder)


def tell(server: MisbehavingServer, ending: Ending | None = None) -> None:
    """Print what it took (pytest -s)."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[2].partition(" (")[0]
    embedded = "" if ending is None else f", {len(ending.embedded)} embedded"
    print(
        f"\n{test}: {len(server.requests)} requests, {server.connections} connections, "
        f"at most {server.most_at_once} at once{embedded}"
    )


def check_failures(server: MisbehavingServer, ending: Ending) -> None:
    """Everything is embedded, but what was tried as often as it may be."""
    failed = ending.skipped(Reason.SERVER_FAILED)
    assert sorted(ending.embedded + failed) == list(ALL)
    # A server that cuts a connection may not have read what it was sent.
    assert all(server.sent[number] <= POLICY.attempts for number in failed)
    assert ending.embedder.lost is None


def test_a_server_that_works_embeds_every_image_with_one_request_each(make: Make) -> None:
    with MisbehavingServer(always(after(0.01))) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.embedded == list(ALL)
    assert len(server.requests) == 100
    assert server.connections <= 20  # kept and used again
    contents = [result.content for result in ending.results]
    assert None not in contents
    assert len(set(contents)) == 100  # so that the vectors can be remembered


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 520])
def test_a_third_of_answers_with_a_passing_error_is_tried_again(make: Make, code: int) -> None:
    with MisbehavingServer(every(3, status(code))) as server:
        ending = finish(make(server))
        tell(server, ending)
    check_failures(server, ending)
    assert len(ending.embedded) >= 85
    assert len(server.requests) <= 200


def test_a_third_of_answers_503_with_retry_after_loses_nothing(make: Make) -> None:
    busy = status(503, Retry_After="0.05")
    with MisbehavingServer(every(3, busy)) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.embedded == list(ALL)
    assert len(server.requests) <= 160


def test_retry_after_holds_back_the_whole_pool(make: Make) -> None:
    busy = status(503, Retry_After="0.6")
    with MisbehavingServer(lambda request: busy if request.index == 1 else after(0.05)) as server:
        ending = finish(make(server), range(30))
    assert ending.embedded == list(range(30))
    times = sorted(request.time for request in server.requests)
    assert max(later - earlier for earlier, later in pairwise(times)) >= 0.5


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "0.05"}], ids=["plain", "Retry-After"])
def test_a_server_that_takes_four_at_once_is_not_asked_for_much_more(
    make: Make, headers: dict[str, str]
) -> None:
    too_many = status(429, **headers)

    def behaviour(request: object) -> Answer:
        return too_many if server.at_once > 4 else after(0.03)

    with MisbehavingServer(behaviour) as server:
        ending = finish(make(server))
        tell(server, ending)
    check_failures(server, ending)
    assert len(ending.embedded) >= 98
    assert len(server.requests) <= 130


@pytest.mark.parametrize("cut", [cut_before, cut_in_the_middle])
def test_a_third_of_connections_cut_is_tried_again(make: Make, cut: Answer) -> None:
    with MisbehavingServer(every(3, cut)) as server:
        ending = finish(make(server))
        tell(server, ending)
    check_failures(server, ending)
    assert len(ending.embedded) >= 85
    assert len(server.requests) <= 200


def test_connections_closed_unannounced_after_each_answer_cost_no_image(make: Make) -> None:
    with MisbehavingServer(always(cut_after)) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.embedded == list(ALL)
    assert len(server.requests) <= 110


def test_one_request_in_ten_that_hangs_is_sent_again(make: Make) -> None:
    with MisbehavingServer(every(10, hangs)) as server:
        ending = finish(make(server, HANGING))
        tell(server, ending)
    check_failures(server, ending)
    assert len(ending.embedded) >= 98
    assert len(server.requests) <= 130


def test_images_on_which_the_server_hangs_each_time_are_given_up(make: Make) -> None:
    with MisbehavingServer(one_in(10, hangs)) as server:
        ending = finish(make(server, replace(POLICY, request_timeout=0.2)))
        tell(server, ending)
    assert ending.skipped(Reason.SERVER_FAILED) == list(range(0, 100, 10))
    assert len(ending.embedded) == 90
    # Others may be asked for again, where a busy machine takes longer than 0.2 s.
    assert [server.sent[number] for number in range(0, 100, 10)] == [3] * 10
    (detail,) = ending.details()
    assert "gave no whole answer within 0.2 s (3 attempts)" in detail


def test_a_server_that_hangs_on_everything_is_taken_for_gone(make: Make) -> None:
    with MisbehavingServer(always(hangs)) as server:
        ending = finish(make(server, replace(HANGING, quiet=1.2)))
        tell(server, ending)
    assert ending.skipped(Reason.SERVER_FAILED) == list(ALL)
    assert ending.embedder.lost is not None
    assert "lost after 0 images" in str(ending.embedder.lost)
    assert "gave no whole answer within 0.4 s" in str(ending.embedder.lost)
    assert len(server.requests) <= 30


def test_an_answer_that_drips_runs_into_the_deadline(make: Make) -> None:
    with MisbehavingServer(one_in(10, drips(0.01))) as server:
        ending = finish(make(server, replace(POLICY, request_timeout=0.2)))
        tell(server, ending)
    assert ending.skipped(Reason.SERVER_FAILED) == list(range(0, 100, 10))
    assert len(server.requests) == 90 + 30


NONSENSE: dict[str, Answer] = {
    "not JSON": raw(response(200, b"<html>Welcome to the hotel's network</html>")),
    "nothing": raw(response(200, b"")),
    "no content": raw(response(204, b"")),
    "wrong key": raw(response(200, b'{"vector": [1, 2]}')),
    "no object": raw(response(200, b"[1, 2]")),
    "null": says(None),
    "a number": says(7),
    "an object": says({"0": 1}),
    "NaN": says([float("nan")] * DIMENSION),
    "infinity": says([float("inf")] * DIMENSION),
    "beyond float32": says([1e39] * DIMENSION),
    "beyond float64": says([10**400] * DIMENSION),
    "strings": says(["1.0"] * DIMENSION),
    "truth values": says([True] * DIMENSION),
    "nested": says([[1.0] * DIMENSION]),
    "ragged": lambda request, writer: says([1.0] * (request.number + 1))(request, writer),
    "not UTF-8": raw(response(200, b'{"embedding": [\xff]}')),
    "very deep": raw(response(200, b"[" * 100_000)),
    "bad gzip": raw(response(200, b"no gzip", {"Content-Encoding": "gzip"})),
    "gzip in gzip": raw(response(200, small_bomb(), {"Content-Encoding": "gzip, gzip"})),
    "br": raw(response(200, b"x", {"Content-Encoding": "br"})),
    "endless": endless,
    "not HTTP": raw(b"220 mail.example.org ESMTP\r\n", keep=False),
    "bad length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", keep=False),
}


@pytest.mark.parametrize("code", [200, 400, 503])
def test_a_small_answer_that_unpacks_to_much_does_not_fill_the_memory(
    make: Make, code: int
) -> None:
    """400 bytes, of which httpx made 100 MB before anybody could count them."""
    answer = status(code, small_bomb(), Content_Encoding="gzip, gzip")
    with MisbehavingServer(one_in(20, answer)) as server:
        embedder = make(server)
        tracemalloc.start()
        try:
            ending = finish(embedder)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        tell(server, ending)
    assert len(ending.embedded) == 95
    assert peak < 40_000_000


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_an_answer_that_is_no_embedding_is_asked_for_again_then_skipped(
    make: Make, nonsense: str
) -> None:
    with MisbehavingServer(one_in(20, NONSENSE[nonsense])) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.skipped(Reason.SERVER_FAILED) == list(range(0, 100, 20))
    assert len(ending.embedded) == 95
    # what ends a connection that was used before may be its closing: asked for once more at once
    repeats = 15 if nonsense == "not HTTP" else 0
    assert 95 + 15 <= len(server.requests) <= 95 + 15 + repeats


def test_nonsense_that_passes_costs_no_image(make: Make) -> None:
    def behaviour(request: object) -> Answer:
        kinds = list(NONSENSE.values())
        number = len(server.requests)
        return kinds[number // 7 % len(kinds)] if number % 7 == 0 else well

    with MisbehavingServer(behaviour) as server:
        ending = finish(make(server))
        tell(server, ending)
    check_failures(server, ending)
    assert len(ending.embedded) >= 95


def test_an_image_that_the_server_cannot_embed_is_skipped_at_once(make: Make) -> None:
    with MisbehavingServer(one_in(5, says([]))) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.skipped(Reason.REJECTED) == list(range(0, 100, 5))
    assert len(ending.embedded) == 80
    assert len(server.requests) == 100


@pytest.mark.parametrize("code", [400, 413, 415, 422])
def test_an_image_that_the_server_refuses_is_skipped_at_once(make: Make, code: int) -> None:
    with MisbehavingServer(one_in(5, status(code))) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.skipped(Reason.REJECTED) == list(range(0, 100, 5))
    assert len(ending.embedded) == 80
    assert len(server.requests) == 100
    assert all(str(code) in detail for detail in ending.details())


def test_a_server_that_refuses_every_image_is_not_lost(make: Make) -> None:
    with MisbehavingServer(always(status(422))) as server:
        ending = finish(make(server))
    assert ending.skipped(Reason.REJECTED) == list(ALL)
    assert ending.embedder.lost is None


def test_a_server_that_dies_for_good_leaves_what_came_through(make: Make) -> None:
    def behaviour(request: object) -> Answer:
        return server.dying() if len(server.requests) == 50 else after(0.02)

    with MisbehavingServer(behaviour) as server:
        embedder = make(server, replace(POLICY, quiet=2.0))
        ending = finish(embedder)
        tell(server, ending)
        came_through = len(ending.embedded)
        assert 30 <= came_through < 50
        assert len(ending.skipped(Reason.SERVER_FAILED)) == 100 - came_through
        assert embedder.lost is not None
        assert embedder.lost.embedded == came_through
        assert embedder.lost.because is LostBecause.SILENT
        assert f"lost after {came_through} images" in str(embedder.lost)
        assert "refused the connection" in str(embedder.lost)
        assert f"127.0.0.1:{server.port}" in str(embedder.lost)
        assert len(server.requests) <= 64
        late = embedder.submit(BytesTask(picture(0))).result(timeout=0)
        assert late.payload == Skipped(Reason.SERVER_FAILED, str(embedder.lost))

        server.behaviour = always(well)
        server.come_back()
        embedder.begin()  # the next run begins anew
        assert embedder.lost is None
        assert finish(embedder).embedded == list(ALL)


def test_a_server_that_comes_back_loses_nothing(make: Make) -> None:
    def behaviour(request: object) -> Answer:
        return server.dying(come_back_after=1.0) if len(server.requests) == 50 else after(0.02)

    with MisbehavingServer(behaviour) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.embedded == list(ALL)
    assert len(server.requests) <= 120


def test_a_server_that_fails_on_everything_uses_up_the_budget(make: Make) -> None:
    def behaviour(request: object) -> Answer:
        return status(500) if len(server.requests) > 30 else well

    with MisbehavingServer(behaviour) as server:
        ending = finish(make(server, replace(POLICY, budget=100)))
        tell(server, ending)
    assert ending.embedder.lost is not None
    assert ending.embedder.lost.because is LostBecause.FAILING
    assert "lost after 30 images: too many requests have failed" in str(ending.embedder.lost)
    assert "answered 500 Internal Server Error" in str(ending.embedder.lost)
    assert len(ending.embedded) == 30
    assert len(server.requests) <= 30 + 20 + 20


def test_a_server_that_has_not_the_model_says_which_it_has(make: Make) -> None:
    offer = b'{"error": "no such model", "models": ["squeezenet", "vgg16"]}'
    with MisbehavingServer(always(status(404, offer))) as server:
        embedder = make(server)
        future = submit(embedder)[0]
        with pytest.raises(ServerRefusedError, match="It has: squeezenet, vgg16"):
            future.result(timeout=30)


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (401, "token"),
        (403, "administrator"),
        (404, "model"),
        (302, "Redirects are not followed"),
        (308, "Redirects are not followed"),
        (405, "address"),
    ],
)
def test_a_refusal_stops_the_run_and_says_what_to_do(make: Make, code: int, word: str) -> None:
    with MisbehavingServer() as elsewhere:
        refusal = status(code, Location=elsewhere.url)
        with MisbehavingServer(lambda request: refusal if request.index > 20 else well) as server:
            embedder = make(server, token="secret")
            futures = submit(embedder)
            wait_for(futures, timeout=30)
            errors = {future.exception(timeout=0) for future in futures} - {None}
            (error,) = errors
            assert isinstance(error, ServerRefusedError)
            assert f"127.0.0.1:{server.port} answered {code}" in str(error)
            assert word in str(error)
            assert sum(future.exception() is None for future in futures) <= 20
            assert len(server.requests) <= 20 + 20
            assert embedder.submit(BytesTask(picture(0))).exception(timeout=0) is error
            tell(server)
    assert not elsewhere.requests


def test_a_server_with_another_model_stops_the_run(make: Make) -> None:
    with MisbehavingServer(always(says([0.5] * 1000))) as server:
        future = submit(make(server))[0]
        with pytest.raises(ServerRefusedError, match=r"answered 1000 .* model has 512"):
            future.result(timeout=30)
        tell(server)
    assert len(server.requests) <= 10 + 8


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("pictures", [range(1), range(100)], ids=["one", "hundred"])
def test_a_server_that_is_not_there_stops_the_run(make: Make, pictures: range) -> None:
    port = closed_port()
    futures = submit(make(f"http://127.0.0.1:{port}"), pictures)
    with pytest.raises(ConnectionError, match=f"127.0.0.1:{port} cannot be reached") as raised:
        futures[-1].result(timeout=30)
    assert isinstance(raised.value, EmbeddingConnectionError)
    assert "refused the connection" in str(raised.value)
    assert "SqueezeNet" in str(raised.value)


def test_a_server_whose_name_is_not_known_stops_the_run(make: Make) -> None:
    embedder = make("http://no-such-server.invalid/")
    with pytest.raises(EmbeddingConnectionError, match=r"no-such-server\.invalid cannot be reach"):
        submit(embedder, range(3))[0].result(timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems fill a backlog differently")
def test_a_server_that_takes_no_connection_stops_the_run(make: Make) -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        policy = replace(POLICY, connect_timeout=0.3, unreached=1.5)
        embedder = make(f"http://127.0.0.1:{deaf.getsockname()[1]}", policy)
        with pytest.raises(EmbeddingConnectionError, match="did not accept a connection in time"):
            submit(embedder)[0].result(timeout=30)


def test_a_server_that_appears_at_the_last_moment_loses_nothing(make: Make) -> None:
    patient = replace(POLICY, base=0.5, longest_delay=1)
    server = MisbehavingServer(port=closed_port())
    embedder = make(f"http://127.0.0.1:{server.port}", patient, chance=lambda: 1.0)
    futures = submit(embedder)
    time.sleep(0.8)  # two of three attempts are used up
    with server:
        results = [future.result(timeout=30) for future in futures]
    assert [number_of(result.payload) for result in results] == list(ALL)


def test_a_slow_first_answer_is_not_taken_for_an_unreachable_server(make: Make) -> None:
    policy = replace(POLICY, unreached=0.3)
    with MisbehavingServer(always(after(0.8))) as server:
        assert len(finish(make(server, policy), range(8)).embedded) == 8


def test_a_certificate_that_does_not_verify_stops_the_run(make: Make) -> None:
    with MisbehavingServer(tls=True) as server:
        with pytest.raises(EmbeddingConnectionError, match="certificate") as raised:
            submit(make(server))[0].result(timeout=30)
        assert f"127.0.0.1:{server.port}" in str(raised.value)
        assert not server.requests


def test_requests_cancelled_in_the_middle_of_tls_handshakes_leave_no_socket_open(
    make: Make,
) -> None:
    """So it is when one of several finds that the certificate is not trusted."""
    with NeverShakesHands() as server, no_socket_left_open():
        embedder = make(server.url, replace(POLICY, connect_timeout=20))
        submit(embedder, range(4))
        server.wait(4)
        embedder.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system's store has no variable")
def test_certificates_that_the_system_trusts_are_trusted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with MisbehavingServer(tls=True) as server:
        ending = finish(make(server))
        tell(server, ending)
    assert ending.embedded == list(ALL)


def test_a_server_without_tls_asked_for_https_stops_the_run(make: Make) -> None:
    with MisbehavingServer() as server:
        embedder = make(server.url.replace("http:", "https:"))
        with pytest.raises(EmbeddingConnectionError, match="TLS"):
            submit(embedder)[0].result(timeout=30)


def test_the_proxy_of_the_environment_is_used(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with MisbehavingServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        ending = finish(make("http://embedding.invalid"), range(20))
        assert ending.embedded == list(range(20))
        assert all(
            request.target.startswith("http://embedding.invalid/image/deeploc?")
            for request in proxy.requests
        )


def test_no_proxy_is_heeded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with MisbehavingServer() as server:
        assert len(finish(make(server), range(20)).embedded) == 20


def test_a_proxy_that_refuses_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with MisbehavingServer(always(status(403))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//user:secret@"))
        with pytest.raises(EmbeddingConnectionError) as raised:
            submit(make("https://embedding.invalid"))[0].result(timeout=30)
    assert "embedding.invalid is behind a proxy that refuses (403" in str(raised.value)
    assert f"through the proxy 127.0.0.1:{proxy.port}" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_proxy_that_is_no_address_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:70")
    with pytest.raises(EmbeddingConnectionError, match="proxy whose address cannot be used"):
        submit(make("http://embedding.invalid"))[0].result(timeout=30)


def test_waiting_for_a_retry_holds_up_no_other_image(make: Make) -> None:
    one_at_once = replace(POLICY, first_at_once=1, most_at_once=1, base=0.4, longest_delay=1)
    with MisbehavingServer(lambda r: status(500) if r.index == 1 else well) as server:
        embedder = make(server, one_at_once, chance=lambda: 1.0)
        futures = [embedder.submit(BytesTask(picture(number))) for number in range(2)]
        done = wait_for(futures, return_when="FIRST_COMPLETED", timeout=30).done
        failed = server.requests[0].number
        assert done == {futures[1 - failed]}
        assert number_of(futures[failed].result(timeout=30).payload) == failed


def test_only_pixels_and_random_names_are_sent(make: Make, tmp_path: Path) -> None:
    secret = tmp_path / "patient-4711.png"
    secret.write_bytes(picture(7))
    with MisbehavingServer(first_time(status(500))) as server:
        embedder = make(server)
        assert number_of(embedder.submit(FileTask(str(secret))).result(timeout=30).payload) == 7
        first, second = server.requests
    assert first.method == "POST"
    assert first.target.startswith("/image/deeploc?")
    assert first.query.keys() == {"machine", "session", "retry"}
    assert (first.query["retry"], second.query["retry"]) == ("1", "2")
    assert first.query["machine"] == second.query["machine"]
    assert first.headers.keys() == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
        "content-type",
        "content-length",
    }
    assert first.headers["content-type"] == "image/jpeg"
    assert first.body.startswith(b"\xff\xd8\xff\xe0")  # JFIF, no Exif
    assert b"4711" not in first.body + repr((first.headers, first.target)).encode()


def test_the_token_is_sent_when_there_is_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with MisbehavingServer() as server:
        finish(make(server), range(1))
        monkeypatch.setenv("ORANGE_EMBEDDING_TOKEN", "of-the-environment\n")
        finish(make(server), range(1))
        finish(make(server, token="of-the-argument"), range(1))
    assert [request.headers.get("authorization") for request in server.requests] == [
        None,
        "Bearer of-the-environment",
        "Bearer of-the-argument",
    ]


def test_a_token_that_goes_out_in_the_clear_is_warned_of(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    make("https://example.org", token="secret")
    make("http://localhost:8080", token="secret")
    assert not caplog.records
    make("http://example.org", token="secret")
    assert "unencrypted" in caplog.text
    assert "secret" not in caplog.text


def test_the_environment_decides_on_the_server(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with MisbehavingServer() as server:
        monkeypatch.setenv("ORANGE_EMBEDDING_API_URL", server.url)
        embedder = make("https://elsewhere.invalid")
        assert finish(embedder, range(1)).embedded == [0]
        assert embedder.fingerprint.startswith(f"http://127.0.0.1:{server.port}/ deeploc 64x64 ")


def test_what_is_no_image_is_never_sent(make: Make) -> None:
    with MisbehavingServer() as server:
        embedder = make(server)
        result = embedder.submit(BytesTask(b"no image")).result(timeout=30)
        assert isinstance(result.payload, Skipped)
        assert result.payload.reason is Reason.NOT_AN_IMAGE
        assert result.content is not None
    assert not server.requests


def test_retries_are_logged_and_what_is_given_up_is_warned_of_once(
    make: Make, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG, logger="orangecontrib.imageanalytics")
    path = tmp_path / "patient-4711.png"
    path.write_bytes(picture(7))
    with MisbehavingServer(always(status(500))) as server:
        embedder = make(server)
        futures = [embedder.submit(FileTask(str(path))) for _ in range(5)]
        wait_for(futures, timeout=30)
    records = [r for r in caplog.records if r.name.startswith("orangecontrib.imageanalytics")]
    retries = [r.getMessage() for r in records if "is sent again" in r.getMessage()]
    assert len(retries) == 10
    assert all("answered 500 Internal Server Error" in retry for retry in retries)
    (warning,) = [r.getMessage() for r in records if r.levelno == logging.WARNING]
    assert "given up" in warning
    assert "4711" not in caplog.text


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "behaviour",
    [always(hangs), always(well), always(status(503, Retry_After="60")), every(2, hangs)],
    ids=["all hang", "all is well", "held back", "some hang"],
)
def test_closing_returns_at_once_and_leaves_nothing(make: Make, behaviour: Behaviour) -> None:
    with MisbehavingServer(behaviour) as server:
        before = set(threading.enumerate())
        embedder = make(server)
        futures = submit(embedder)
        wait_until(lambda: bool(server.requests))
        time.sleep(0.2)
        begun = time.monotonic()
        embedder.close()
        took = time.monotonic() - begun
        print(f"\nclosed in {took * 1000:.0f} ms")
        assert took < 2
        assert all(future.done() for future in futures)
        wait_until(lambda: not server.open_connections, 2)
        names = {thread.name for thread in set(threading.enumerate()) - before}
        assert not names & {"embedding server", "engine"}
    with pytest.raises(CancelledError):
        embedder.submit(BytesTask(picture(0))).result(timeout=0)
    embedder.begin()
    with pytest.raises(CancelledError):
        embedder.submit(BytesTask(picture(0))).result(timeout=0)


@pytest.mark.usefixtures("no_new_workers")
def test_closing_ends_processes_and_sockets() -> None:
    with MisbehavingServer(always(hangs)) as server:
        engine = Engine(JpegJob(Squash(*MODEL.input_size)), workers=1)
        embedder = ServerEmbedder(MODEL, server.url, engine=engine)
        futures = submit(embedder)
        wait_until(lambda: len(server.requests) >= 8)
        begun = time.monotonic()
        embedder.close()
        print(f"\nclosed in {(time.monotonic() - begun) * 1000:.0f} ms")
        assert all(future.cancelled() for future in futures)
        wait_until(lambda: not server.open_connections, 2)
        sockets = [
            c for c in psutil.Process().net_connections() if c.raddr and c.raddr.port == server.port
        ]
        assert not sockets


@pytest.mark.usefixtures("no_new_workers")
def test_processes_encode_what_a_server_embeds() -> None:
    with MisbehavingServer() as server:
        embedder = ServerEmbedder(MODEL, server.url, policy=POLICY)
        try:
            assert finish(embedder).embedded == list(ALL)
        finally:
            embedder.close()


def test_a_new_run_cancels_what_is_left_of_the_one_before(make: Make) -> None:
    with MisbehavingServer(always(hangs)) as server:
        embedder = make(server)
        futures = submit(embedder)
        wait_until(lambda: len(server.requests) >= 8)
        embedder.begin()
        assert all(future.cancelled() for future in futures)
        server.behaviour = always(well)
        assert finish(embedder).embedded == list(ALL)


def test_it_works_where_a_loop_is_running_already(make: Make) -> None:
    async def cell() -> list[int]:
        return finish(make(server)).embedded

    with MisbehavingServer(every(3, cut_before)) as server:
        assert len(asyncio.run(cell())) >= 85


def test_a_fault_of_ours_is_raised_instead_of_hanging(executor: ThreadPoolExecutor) -> None:
    @dataclass(frozen=True)
    class Wrong(JpegJob):
        def __call__(self, image: object) -> bytes:
            return 17  # type: ignore[return-value]

    with MisbehavingServer() as server:
        engine = Engine(Wrong(Squash(*MODEL.input_size)), executor=executor)
        embedder = ServerEmbedder(MODEL, server.url, engine=engine)
        with pytest.raises(TypeError):
            submit(embedder, range(3))[0].result(timeout=30)
        embedder.close()


def test_an_image_cancelled_by_its_caller_disturbs_nobody(make: Make) -> None:
    with MisbehavingServer(always(after(0.05))) as server:
        embedder = make(server)
        futures = submit(embedder)
        for future in futures[::2]:
            future.cancel()
        for number, future in enumerate(futures):
            if not future.cancelled():
                assert number_of(future.result(timeout=30).payload) == number


@pytest.mark.parametrize("url", ["nonsense", "http://user:pw@example.org", "ftp://example.org"])
def test_an_address_of_no_server_is_an_error_at_once(url: str) -> None:
    with pytest.raises(EmbeddingError, match="address"):
        ServerEmbedder(MODEL, url)
