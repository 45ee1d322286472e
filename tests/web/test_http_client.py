"""The event loop in a thread of its own, and whom we trust."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from orangecontrib.imageanalytics.web.http_client import LoopThread, tls_context
from tests.misbehaving_server import CERTIFICATE


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread("loop under test")
    yield thread
    thread.close()


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running() -> bool:
    return any(thread.name == "loop under test" for thread in threading.enumerate())


async def name_of_thread() -> str:
    return threading.current_thread().name


def test_a_coroutine_runs_in_a_thread_of_its_own(loop: LoopThread) -> None:
    assert loop.submit(name_of_thread()).result(timeout=5) == "loop under test"


def test_it_works_where_a_loop_is_running_already(loop: LoopThread) -> None:
    async def cell() -> str:
        return loop.submit(name_of_thread()).result(timeout=5)

    assert asyncio.run(cell()) == "loop under test"


def test_a_function_is_called_in_the_loop(loop: LoopThread) -> None:
    called = threading.Event()
    loop.call(lambda: called.set() if asyncio.get_running_loop() else None)
    assert called.wait(5)


def test_cancelling_the_future_cancels_the_coroutine(loop: LoopThread) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    future = loop.submit(waits())
    assert begun.wait(5)
    future.cancel()
    assert cancelled.wait(5)


def test_closing_cancels_what_runs_and_ends_the_thread(loop: LoopThread) -> None:
    cleaned_up: list[str] = []
    later: list[asyncio.Task[None]] = []

    async def cleans_up() -> None:
        await asyncio.sleep(0)
        cleaned_up.append("done")

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            later.append(asyncio.get_running_loop().create_task(cleans_up()))
            await cleans_up()

    future = loop.submit(waits())
    loop.submit(asyncio.sleep(0)).result(timeout=5)
    loop.close()
    assert future.cancelled()
    assert cleaned_up[0] == "done"
    assert later[0].done()
    assert not is_running()


def test_closing_waits_for_nothing_that_will_not_end(loop: LoopThread) -> None:
    async def stubborn() -> None:
        while not over:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    over: list[bool] = []
    loop.submit(stubborn())
    begun = time.monotonic()
    loop.close()
    assert time.monotonic() - begun < 2
    over.append(True)
    until(lambda: not is_running())


def test_closing_twice_or_from_within_is_harmless() -> None:
    loop = LoopThread("loop under test")
    loop.call(loop.close)
    loop.close()
    loop.close()
    assert not is_running()


def test_nothing_runs_after_closing(loop: LoopThread) -> None:
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.submit(name_of_thread())
    loop.call(pytest.fail)


def test_a_name_look_up_that_hangs_delays_nothing(loop: LoopThread) -> None:
    release = threading.Event()

    async def look_up() -> None:
        await asyncio.get_running_loop().run_in_executor(None, release.wait, 60)

    future = loop.submit(look_up())
    loop.submit(asyncio.sleep(0.05)).result(timeout=5)
    begun = time.monotonic()
    loop.close()
    assert time.monotonic() - begun < 2
    assert future.cancelled()
    assert not is_running()
    stuck = [thread for thread in threading.enumerate() if thread.name == "name look-up"]
    assert all(thread.daemon for thread in stuck)
    release.set()


def test_certificates_and_host_names_are_checked() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system itself verifies")
def test_the_certificates_of_the_system_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert [dict(c["subject"][0]) for c in tls_context().get_ca_certs()] == [
        {"commonName": "localhost"}
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system itself verifies")
def test_a_system_without_the_usual_file_has_its_certificates_searched_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path_factory.mktemp("none") / "none.pem"))
    assert type(tls_context()).__module__.startswith("truststore")
