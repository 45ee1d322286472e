"""What one client may have of the server, and what is left for the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from orangecontrib.imageanalytics.server import http_protocol
from orangecontrib.imageanalytics.server.fairness import Shares, Turns, client_of
from orangecontrib.imageanalytics.server.http_protocol import Seldom, configuration
from orangecontrib.imageanalytics.server.intake import Limits
from tests.embedding_servers import client, running, with_mean_colour
from tests.handshakes import no_socket_left_open
from tests.jobs import MeanColour, png
from tests.misbehaving_server import CERTIFICATE

GREY = png((100, 100, 100))

#: Another address of this computer, for who takes all: only Linux has it without being told.
OTHER = "127.0.0.2"
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="there is no second address to send from"
)


class TestShares:
    def test_one_client_gets_three_quarters(self) -> None:
        shares = Shares(256)
        while shares.may_take("a"):
            shares.take("a")
        taken = 0
        while shares.may_take("b"):
            shares.take("b")
            taken += 1
        assert taken == 48
        assert shares.may_take("c")

    def test_of_little_each_still_gets_one(self) -> None:
        shares = Shares(1)
        assert shares.may_take("a")
        shares.take("a")
        assert not shares.may_take("b")
        shares.give_back("a")
        assert shares.may_take("b")

    def test_of_bytes_one_may_have_all_at_once_if_nobody_has_any(self) -> None:
        assert Shares(1000).may_take("a", 1000)
        assert not Shares(1000).may_take("a", 1001)


def test_customers_are_told_apart_but_not_by_the_addresses_that_one_can_choose() -> None:
    assert client_of(("192.0.2.7", 1)) == client_of(("192.0.2.7", 2)) == "192.0.2.7"
    assert client_of(("2001:db8::1", 1)) == client_of(("2001:db8::2:3", 1))
    assert client_of(("2001:db8::1", 1)) != client_of(("2001:db8:0:1::1", 1))
    assert client_of(("fe80::1%eth0", 1)) == "fe80::/64"
    assert client_of(("::ffff:192.0.2.7", 1)) != client_of(("::ffff:192.0.2.8", 1))
    assert client_of(None) == ""


class TestTurns:
    def test_clients_have_places_by_turns_each_in_its_order(self) -> None:
        assert asyncio.run(self.order("aaabbc")) == ["a0", "b3", "c5", "a1", "b4", "a2"]

    def test_who_gives_up_waiting_takes_no_place(self) -> None:
        assert asyncio.run(self.order("aab", gone={0})) == ["b2", "a1"]

    async def order(self, clients: str, gone: set[int] = frozenset()) -> list[str]:  # type: ignore[assignment]
        turns = Turns(0)
        served: list[str] = []

        async def be(number: int, name: str) -> None:
            await turns.wait(name)
            served.append(f"{name}{number}")
            await asyncio.sleep(0)
            turns.add(1)

        tasks = [asyncio.create_task(be(*who)) for who in enumerate(clients)]
        await asyncio.sleep(0)
        for number in gone:
            tasks[number].cancel()
        turns.add(1)
        await asyncio.gather(*tasks, return_exceptions=True)
        return served

    def test_a_place_given_to_one_who_is_just_going_is_given_to_the_next(self) -> None:
        async def check() -> None:
            turns = Turns(0)
            first, second = (asyncio.create_task(turns.wait(name)) for name in "ab")
            await asyncio.sleep(0)
            turns.add(1)
            first.cancel()  # it has got the place, and does not know yet
            async with asyncio.timeout(5):
                await second

        asyncio.run(check())


def connect(server: str, source: str = OTHER) -> socket.socket:
    parts = urlsplit(server)
    return socket.create_connection(
        (parts.hostname, parts.port), timeout=10, source_address=(source, 0)
    )


def headers(length: int) -> bytes:
    return f"POST /image/mean HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n".encode()


@linux
def test_who_announces_images_that_never_come_leaves_places_for_others() -> None:
    limits = Limits(requests=16, sending=30)
    with running(with_mean_colour(limits)) as server, contextlib.ExitStack() as held:
        for _ in range(16):
            connection = held.enter_context(connect(server))
            connection.sendall(headers(1000) + b"x")
        time.sleep(0.3)
        for _ in range(5):
            response = client.post(f"{server}image/mean", content=GREY)
            assert response.status_code == 200


@linux
def test_who_sends_many_images_does_not_keep_others_waiting_behind_all_of_them() -> None:
    job = MeanColour(pause=0.1)
    with (
        running(with_mean_colour(job=job)) as server,
        ThreadPoolExecutor(1) as other,
        contextlib.ExitStack() as held,
    ):
        greedy = [held.enter_context(connect(server)) for _ in range(60)]
        for connection in greedy:
            connection.sendall(headers(len(GREY)) + GREY)
        time.sleep(0.5)
        begun = time.monotonic()
        asked = other.submit(client.post, f"{server}image/mean", content=GREY)
        assert asked.result().status_code == 200
        assert time.monotonic() - begun < 4  # and not the 6 s that the sixty take
        assert sum(map(is_open_and_silent, greedy)) >= 20


def is_open_and_silent(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    return False


@linux
def test_who_only_connects_leaves_connections_for_others(monkeypatch) -> None:
    monkeypatch.setattr(http_protocol, "_CONNECTIONS", 20)
    with running(with_mean_colour()) as server, contextlib.ExitStack() as held:
        for _ in range(20):
            held.enter_context(connect(server))
        time.sleep(0.3)
        assert client.post(f"{server}image/mean", content=GREY).status_code == 200


def test_who_does_not_shake_hands_for_tls_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(http_protocol, "_HANDSHAKE", 0.5)
    with no_socket_left_open():
        assert seconds_until_cut_off() < 10  # asyncio would wait for 60 s


def seconds_until_cut_off() -> float:
    config = configuration(with_mean_colour().application(), CERTIFICATE)
    server = http_protocol.PunctualServer(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with socket.create_connection(listener.getsockname(), timeout=20) as connection:
                while not server.started:
                    time.sleep(0.01)
                begun = time.monotonic()
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
                return time.monotonic() - begun
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def test_the_same_message_is_logged_ten_times_a_minute(caplog) -> None:
    seconds = 0.0
    logger = logging.getLogger("messages under test")
    seldom = Seldom(lambda: seconds)
    logger.addFilter(seldom)
    try:
        for _ in range(1000):
            logger.warning("Invalid HTTP request received.")
        logger.warning("Something else")
        assert len(caplog.messages) == 11
        assert "More of these are not logged" in caplog.messages[9]
        seconds = 61.0
        logger.warning("Invalid HTTP request received.")
        assert len(caplog.messages) == 12
    finally:
        logger.removeFilter(seldom)
