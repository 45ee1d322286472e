"""Downloads, from a real server on loopback that behaves well or badly."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from orangecontrib.imageanalytics.cache import Cache, WebRow
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.sources import Content, content_hash
from orangecontrib.imageanalytics.web.downloads import Downloads, Known, Limits
from tests.handshakes import NeverShakesHands, no_socket_left_open
from tests.web_server import (
    WebServer,
    answer,
    cut_off,
    drip,
    endless,
    hang,
    in_turn,
    raw,
    redirect,
    slowly,
    unless_unchanged,
)

IMAGE = b"\x89PNG, or so it may be"
HASH = content_hash(IMAGE)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
NOW = 1_800_000_000.0

#: Short enough to be waited for; the tests that need other ones say so.
LIMITS = Limits(connect=5, silence=5, total=20, pause=0.001, longest_pause=0.05, size=100_000)


@pytest.fixture(autouse=True)
def no_proxy_but_the_tests_own(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def server():
    with WebServer() as server:
        yield server


@pytest.fixture
def downloads():
    with Downloads(limits=LIMITS) as downloads:
        yield downloads


class Rows:
    """The cache's rows of web images, in memory."""

    def __init__(self) -> None:
        self.of: dict[str, WebRow] = {}

    def web(self, url: str) -> WebRow | None:
        return self.of.get(url)

    def remember_web(self, row: WebRow) -> None:
        self.of[row.url] = row


def everything_is_known(content: bytes) -> bool:
    return True


def outcome_of(url: str, *, limits: Limits = LIMITS, **how):
    """Download from one address and give the outcome."""
    with Downloads(limits=limits) as downloads:
        return downloads.fetch(url, **how).result(30)


def assert_skipped(outcome: object, reason: Reason, *words: str) -> None:
    assert isinstance(outcome, Skipped), outcome
    assert outcome.reason == reason, outcome
    assert outcome.detail.isprintable()
    for word in words:
        assert word in outcome.detail


class TestGood:
    def test_an_image_is_downloaded(self, server, downloads):
        url = server.on("/x.png", answer(IMAGE, {"Content-Type": "image/png"}))
        assert downloads.fetch(url).result(10) == Content(IMAGE)

    def test_requests_say_honestly_who_asks_and_for_what(self, server, downloads):
        downloads.fetch(server.on("/x.png", answer(IMAGE))).result(10)
        headers = server.requests[0].headers
        assert headers["user-agent"].startswith("Orange3-ImageEmbedding/")
        assert headers["accept"].startswith("image/*")
        assert headers["accept-encoding"] == "identity"

    def test_many_come_each_to_its_own_future(self, server, downloads):
        urls = [server.on(f"/{i}.png", answer(IMAGE + b"%d" % i)) for i in range(100)]
        futures = [downloads.fetch(url) for url in urls]
        assert [future.result(20) for future in futures] == [
            Content(IMAGE + b"%d" % i) for i in range(100)
        ]

    def test_at_most_eight_at_once(self, server, downloads):
        urls = [server.on(f"/{i}", slowly(0.05, answer(IMAGE))) for i in range(40)]
        for future in [downloads.fetch(url) for url in urls]:
            future.result(20)
        assert server.most_at_once == 8

    def test_an_address_under_way_is_not_asked_for_twice(self, server, downloads):
        url = server.on("/x.png", slowly(0.1, answer(IMAGE)))
        futures = [downloads.fetch(url), downloads.fetch(url), downloads.fetch(url + "#part")]
        assert {future.result(10) for future in futures} == {Content(IMAGE)}
        assert len(server.requests) == 1

    def test_compression_that_nobody_asked_for_is_undone(self, server, downloads):
        packed = gzip.compress(IMAGE)
        url = server.on("/x.png", answer(packed, {"Content-Encoding": "gzip"}))
        assert downloads.fetch(url).result(10) == Content(IMAGE)

    def test_what_is_sent_in_chunks_is_put_together(self, server, downloads):
        url = server.on(
            "/x",
            raw(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        )
        assert downloads.fetch(url).result(10) == Content(b"abcde")

    def test_an_image_called_html_is_still_an_image(self, server, downloads):
        url = server.on("/x.png", answer(IMAGE, {"Content-Type": "text/html"}))
        assert downloads.fetch(url).result(10) == Content(IMAGE)

    def test_works_inside_a_running_event_loop_as_in_jupyter(self, server):
        url = server.on("/x.png", answer(IMAGE))

        async def cell():
            return outcome_of(url)

        assert asyncio.run(cell()) == Content(IMAGE)


class TestAddresses:
    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ("/a b.png", "/a%20b.png"),
            ("/ü.png", "/%C3%BC.png"),
            ("/a%20b%2Fc.png", "/a%20b%2Fc.png"),
            ("/folder\\x.png", "/folder/x.png"),
            ("/x\n\t.png", "/x.png"),
            ("/x?q=a b&c=\\ü", "/x?q=a%20b&c=\\%C3%BC"),
            ("/x.png#fragment", "/x.png"),
            ("", "/"),
        ],
    )
    def test_an_address_is_quoted_as_browsers_do(self, server, downloads, given, asked):
        server.on(asked, answer(IMAGE))
        outcome = downloads.fetch(server.url(given)).result(10)
        assert server.targets() == [asked]
        assert outcome == Content(IMAGE)

    @pytest.mark.parametrize(
        "url",
        [
            "http://",
            "http:///x.png",
            "http://[::1/x.png",
            "http://127.0.0.1:x/",
            "http://127.0.0.1:99999/",
            "http://a..b/",
            f"http://{'a' * 64}.org/",
            "http://☃.net/",
            "http://127.0.0.1/\ud800",
            "http://127.0.0.1/\x00",
            "http://127.0.0.1/" + "x" * 100_000,
        ],
    )
    def test_what_is_no_address_is_skipped(self, downloads, url):
        outcome = downloads.fetch(url).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "not a valid web address")
        assert len(outcome.detail) < 400

    def test_name_and_password_are_sent_but_never_shown(self, server, downloads, caplog):
        caplog.set_level(logging.DEBUG)
        url = server.on("/x.png", answer(IMAGE)).replace("//", "//anna:s3%20cret@")
        assert downloads.fetch(url).result(10) == Content(IMAGE)
        assert server.requests[0].headers["authorization"] == "Basic YW5uYTpzMyBjcmV0"
        gone = downloads.fetch(url.replace("x.png", "gone.png")).result(10)
        assert_skipped(gone, Reason.NOT_DOWNLOADED, f"http://127.0.0.1:{server.port}/gone.png")
        assert "s3" not in gone.detail + caplog.text

    def test_name_and_password_do_not_go_to_another_server(self, server, downloads):
        with WebServer() as other:
            other.on("/x.png", answer(IMAGE))
            url = server.on("/x.png", redirect(other.url("/x.png"))).replace("//", "//anna:pw@")
            assert downloads.fetch(url).result(10) == Content(IMAGE)
            assert "authorization" not in other.requests[0].headers


class TestHandshakes:
    def test_closing_in_the_middle_of_tls_handshakes_leaves_no_socket_open(self):
        with (
            NeverShakesHands() as server,
            no_socket_left_open(),
            Downloads(limits=LIMITS) as downloads,
        ):
            for number in range(4):
                downloads.fetch(f"{server.url}{number}.png")
            server.wait(4)

    def test_a_deadline_in_the_middle_of_a_tls_handshake_leaves_no_socket_open(self):
        with NeverShakesHands() as server, no_socket_left_open():
            outcome = outcome_of(f"{server.url}x.png", limits=replace(LIMITS, total=0.5))
            assert_skipped(outcome, Reason.NOT_DOWNLOADED, "not complete after 0.5 s")


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_followed(self, server, downloads, status):
        server.on("/there", answer(IMAGE))
        url = server.on("/here", redirect("/there", status))
        assert downloads.fetch(url).result(10) == Content(IMAGE)

    def test_a_redirect_may_be_relative_and_badly_quoted(self, server, downloads):
        server.on("/folder/a%20b", answer(IMAGE))
        url = server.on("/folder/x", redirect("../folder/a b"))
        assert downloads.fetch(url).result(10) == Content(IMAGE)

    def test_five_redirects_are_followed_and_six_are_not(self, server, downloads):
        server.on("/0", answer(IMAGE))
        urls = [server.on(f"/{i}", redirect(f"/{i - 1}")) for i in range(1, 7)]
        assert downloads.fetch(urls[4]).result(10) == Content(IMAGE)
        outcome = downloads.fetch(urls[5]).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "redirected more than 5 times", "/6")

    def test_redirects_in_a_circle_end(self, server, downloads):
        url = server.on("/x", redirect("/x"))
        assert_skipped(downloads.fetch(url).result(10), Reason.NOT_DOWNLOADED, "redirected")
        assert len(server.requests) == 6

    @pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://a.org/x", "data:,x", "C:\\x"])
    def test_a_redirect_out_of_the_web_is_not_followed(self, server, downloads, to):
        outcome = downloads.fetch(server.on("/x", redirect(to))).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "redirect", server.url("/x"))

    def test_the_endless_body_of_a_redirect_is_not_read(self, server, downloads):
        server.on("/there", answer(IMAGE))
        url = server.on("/here", endless(status=302, Location="/there"))
        assert downloads.fetch(url).result(10) == Content(IMAGE)

    def test_a_redirect_to_nowhere_is_skipped(self, server, downloads):
        url = server.on("/x", answer(status=302))
        assert_skipped(downloads.fetch(url).result(10), Reason.NOT_DOWNLOADED, "302 Found")
        for to in ("http://[::1", "http:///", "//", "http://a:b/", "\0"):
            outcome = downloads.fetch(server.on("/y", redirect(to))).result(10)
            assert_skipped(outcome, Reason.NOT_DOWNLOADED, server.url("/y"))


class TestStatuses:
    def test_a_404_page_is_not_an_image(self, server, downloads):
        page = answer(b"<html>Sorry!", {"Content-Type": "text/html; charset=utf-8"}, 404)
        outcome = downloads.fetch(server.on("/x.png", page)).result(10)
        assert_skipped(outcome, Reason.NOT_AN_IMAGE, "404 Not Found", "HTML", server.url("/x.png"))

    @pytest.mark.parametrize("body", [b"<!doctype html>", b"\xef\xbb\xbf \n<html>"])
    def test_a_page_in_an_images_place_is_not_an_image(self, server, downloads, body):
        page = answer(body, {"Content-Type": "text/html"})
        outcome = downloads.fetch(server.on("/x.png", page)).result(10)
        assert_skipped(outcome, Reason.NOT_AN_IMAGE, "200 OK", "HTML", "/x.png")

    @pytest.mark.parametrize("status", [204, 200])
    def test_an_answer_without_content_is_not_an_image(self, server, downloads, status):
        outcome = downloads.fetch(server.on("/x.png", answer(status=status))).result(10)
        assert_skipped(outcome, Reason.NOT_AN_IMAGE, str(status), "nothing")

    @pytest.mark.parametrize("status", [206, 304, 400, 401, 403, 404, 406, 451, 501, 505])
    def test_a_status_that_will_stay_is_named_and_not_tried_again(self, server, downloads, status):
        outcome = downloads.fetch(server.on("/x.png", answer(b"no", status=status))).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, str(status), server.url("/x.png"))
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 524])
    def test_a_status_that_may_pass_is_tried_three_times(self, server, downloads, status):
        page = answer(b"<html>", {"Content-Type": "text/html"}, status)
        outcome = downloads.fetch(server.on("/x.png", page)).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, str(status), server.url("/x.png"))
        assert len(server.requests) == 3

    def test_what_passes_is_no_failure(self, server, downloads):
        url = server.on("/x.png", in_turn(answer(status=503), answer(status=500), answer(IMAGE)))
        assert downloads.fetch(url).result(10) == Content(IMAGE)


class TestPauses:
    @pytest.mark.parametrize("after", ["0.3", "3600"])
    def test_retry_after_is_obeyed_up_to_a_bound(self, server, after):
        limits = replace(LIMITS, longest_pause=0.3)
        busy = answer(headers={"Retry-After": after}, status=429)
        url = server.on("/x.png", in_turn(busy, answer(IMAGE)))
        start = time.monotonic()
        assert outcome_of(url, limits=limits) == Content(IMAGE)
        assert time.monotonic() - start >= 0.3

    def test_a_retry_after_that_says_nothing_is_ignored(self, server):
        busy = answer(headers={"Retry-After": "soon"}, status=429)
        url = server.on("/x.png", in_turn(busy, answer(IMAGE)))
        assert outcome_of(url) == Content(IMAGE)

    def test_pauses_double_and_are_spread_by_chance(self):
        for chance, pauses in ((0.0, [0.25, 0.5]), (0.5, [0.5, 1.0]), (1.0, [0.75, 1.5])):
            downloads = Downloads(chance=lambda chance=chance: chance)
            assert [downloads._pause(tried, None) for tried in (1, 2)] == pauses

    def test_the_defaults_are_patient_but_not_for_ever(self):
        limits = Limits()
        assert (limits.at_once, limits.redirects, limits.tries) == (8, 5, 3)
        assert (limits.connect, limits.total, limits.size) == (5, 60, 256 * 2**20)


class TestBadServers:
    def test_a_dripping_server_is_left_at_the_deadline(self, server):
        limits = replace(LIMITS, total=0.5)
        outcome = outcome_of(server.on("/x.png", drip(0.05)), limits=limits)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "not complete after 0.5 s", "/x.png")

    def test_a_silent_server_is_tried_again(self, server):
        limits = replace(LIMITS, silence=0.2)
        url = server.on("/x.png", in_turn(hang, answer(IMAGE)))
        assert outcome_of(url, limits=limits) == Content(IMAGE)
        url = server.on("/y.png", hang)
        assert_skipped(outcome_of(url, limits=limits), Reason.NOT_DOWNLOADED, "fell silent")

    def test_a_host_that_accepts_no_connection_is_left(self):
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            waiting = [stack.enter_context(socket.socket()) for _ in range(4)]
            for one in waiting:  # fill its queue
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.png"
            outcome = outcome_of(url, limits=replace(LIMITS, connect=0.2, silence=0.2))
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "127.0.0.1")

    def test_a_dead_host_costs_three_images_their_tries_and_not_each(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
        pauses = []
        limits = replace(LIMITS, at_once=1)
        with Downloads(limits=limits, chance=lambda: pauses.append(1) or 0.0) as downloads:
            futures = [downloads.fetch(f"{dead}/{number}.png") for number in range(50)]
            outcomes = [future.result(30) for future in futures]
        assert len(pauses) == 3 * (limits.tries - 1)
        for number, outcome in enumerate(outcomes):
            words = ("refused", f"/{number}.png", "as for other images before")
            assert_skipped(outcome, Reason.NOT_DOWNLOADED, *words[: 2 if number < 3 else 3])

    def test_a_host_that_answered_is_not_given_up_for_an_outage(self, server):
        url = server.on("/x.png", answer(IMAGE))
        with Downloads(limits=replace(LIMITS, at_once=1)) as downloads:
            assert downloads.fetch(url).result(30) == Content(IMAGE)
            server.close()
            futures = [downloads.fetch(f"{url}?{number}") for number in range(6)]
            assert all(isinstance(future.result(30), Skipped) for future in futures)
            with WebServer(port=server.port) as back:
                assert downloads.fetch(back.on("/y.png", answer(IMAGE))).result(30) == Content(
                    IMAGE
                )

    def test_a_new_run_tries_a_host_again(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with Downloads(limits=replace(LIMITS, at_once=1)) as downloads:
            futures = [downloads.fetch(f"http://127.0.0.1:{port}/{n}.png") for n in range(5)]
            assert all(isinstance(future.result(30), Skipped) for future in futures)
            with WebServer(port=port) as back:
                url = back.on("/x.png", answer(IMAGE))
                assert_skipped(downloads.fetch(url).result(30), Reason.NOT_DOWNLOADED)
                downloads.begin()
                assert downloads.fetch(url).result(30) == Content(IMAGE)

    def test_a_dead_host_costs_others_nothing(self, server):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
        url = server.on("/x.png", answer(IMAGE))
        with Downloads(limits=LIMITS) as downloads:
            futures = [downloads.fetch(f"{dead}/{number}.png") for number in range(10)]
            futures.append(downloads.fetch(url))
            assert futures[-1].result(30) == Content(IMAGE)

    def test_a_body_that_breaks_off_is_tried_again_and_never_taken(self, server, downloads):
        cut = cut_off(IMAGE, len(IMAGE) + 1)
        url = server.on("/x.png", in_turn(cut, cut, answer(IMAGE)))
        assert downloads.fetch(url).result(10) == Content(IMAGE)
        outcome = downloads.fetch(server.on("/y.png", cut)).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "broke off before the end", "/y.png")
        assert server.targets().count("/y.png") == 3

    def test_chunks_that_break_off_are_never_taken(self, server, downloads):
        url = server.on("/x", raw(CHUNKED + b"3\r\nabc\r\n"))
        outcome = downloads.fetch(url).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "broke off before the end")

    def test_an_endless_body_is_too_large(self, server, downloads):
        outcome = downloads.fetch(server.on("/x.png", endless())).result(10)
        assert_skipped(outcome, Reason.TOO_LARGE, "0.0954 MB", "/x.png")
        assert len(server.requests) == 1

    def test_an_announced_length_above_the_limit_is_not_read(self, server, downloads):
        outcome = downloads.fetch(server.on("/x.png", cut_off(b"", 100_001))).result(10)
        assert_skipped(outcome, Reason.TOO_LARGE)

    def test_a_body_of_just_the_limit_is_taken(self, server, downloads):
        url = server.on("/x.png", answer(bytes(100_000)))
        assert downloads.fetch(url).result(10) == Content(bytes(100_000))

    def test_a_compression_bomb_is_too_large(self, server, downloads):
        bomb = answer(gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"})
        outcome = downloads.fetch(server.on("/x.png", bomb)).result(10)
        assert_skipped(outcome, Reason.TOO_LARGE)

    def test_a_compression_bomb_does_not_fill_the_memory(self, server, downloads):
        bomb = answer(gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"})
        url = server.on("/x.png", bomb)
        tracemalloc.start()
        try:
            downloads.fetch(url).result(10)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20_000_000

    def test_deflate_is_undone_with_and_without_the_frame_of_zlib(self, server, downloads):
        bare = zlib.compressobj(wbits=-15)
        for packed in (zlib.compress(IMAGE), bare.compress(IMAGE) + bare.flush()):
            url = server.on("/x.png", answer(packed, {"Content-Encoding": "deflate"}))
            assert downloads.fetch(url).result(10) == Content(IMAGE)

    def test_a_compression_that_ends_early_is_skipped(self, server, downloads):
        page = answer(gzip.compress(IMAGE)[:-9], {"Content-Encoding": "gzip"})
        outcome = downloads.fetch(server.on("/x.png", page)).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "broken compression")

    def test_compressions_without_bounds_are_not_undone(self, server, downloads):
        for name in ("br", "zstd", "gzip, gzip"):
            page = answer(b"x", {"Content-Encoding": name})
            outcome = downloads.fetch(server.on("/x.png", page)).result(10)
            assert_skipped(outcome, Reason.NOT_DOWNLOADED, f"'{name}'")

    def test_a_broken_compression_is_skipped(self, server, downloads):
        page = answer(zlib.compress(IMAGE), {"Content-Encoding": "gzip"})
        outcome = downloads.fetch(server.on("/x.png", page)).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "broken compression")

    def test_a_connection_closed_without_an_answer_is_tried_again(self, server, downloads):
        url = server.on("/x.png", in_turn(raw(b""), answer(IMAGE)))
        assert downloads.fetch(url).result(10) == Content(IMAGE)
        outcome = downloads.fetch(server.on("/y.png", raw(b""))).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "closed the connection without an answer")

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x00\xff\x00\xff\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            b"HTTP/1.1 999999 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 300_000 + b"\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe\r\n\r\n",
            CHUNKED + b"zz\r\n",
        ],
    )
    def test_an_answer_that_is_not_http_is_skipped(self, server, downloads, garbage):
        outcome = downloads.fetch(server.on("/x.png", raw(garbage))).result(10)
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, server.url("/x.png"))

    @pytest.mark.parametrize(
        "headers",
        [
            {"ETag": '"\xe4"', "Last-Modified": "\xe4", "Cache-Control": "max-age=\xe4"},
            {"Content-Type": "\xff\xfe;=", "Content-Encoding": "", "Vary": ","},
            {"Cache-Control": ",,=;max-age", "Expires": "0", "Date": "x", "Age": "-1"},
            {"Last-Modified": "Mon, 99 Foo 99999 99:99:99 GMT", "Expires": "Mon, 1 Jan 0001"},
            {"Set-Cookie": "=;\xff; expires=never; domain=..", "Content-Type": ""},
        ],
    )
    def test_senseless_headers_do_not_matter(self, server, headers):
        url = server.on("/x.png", answer(IMAGE, headers))
        with Downloads(Rows(), LIMITS) as downloads:
            for _ in range(2):
                assert downloads.fetch(url, everything_is_known).result(10) == Content(IMAGE)

    def test_cookies_are_neither_kept_nor_harmful(self, server, downloads):
        for cookie in ("a=b; path=/", "a=b\xe4; path=/"):
            url = server.on("/x.png", answer(IMAGE, {"Set-Cookie": cookie}))
            for _ in range(2):
                assert downloads.fetch(url).result(10) == Content(IMAGE)
        assert not any("cookie" in request.headers for request in server.requests)

    def test_a_refused_connection_is_named_and_tried_again(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/x.png"
        assert_skipped(outcome_of(url), Reason.NOT_DOWNLOADED, "127.0.0.1 refused", url)

    def test_a_host_that_does_not_exist_is_named(self):
        outcome = outcome_of("http://no-such-host.invalid/x.png")
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "no-such-host.invalid")


class TestHttps:
    @pytest.fixture
    def certificate(self, tmp_path):
        path = tmp_path / "certificate.pem"
        program = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        program += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        try:
            subprocess.run(
                [*program, "-keyout", path, "-out", tmp_path / "c"], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no openssl that makes certificates")
        with open(path, "ab") as file:
            file.write((tmp_path / "c").read_bytes())
        return path

    @pytest.fixture
    def https(self, certificate):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        with WebServer(tls) as server:
            yield server

    @pytest.mark.skipif(sys.platform != "linux", reason="SSL_CERT_FILE is OpenSSL's")
    def test_a_certificate_that_the_system_trusts_is_trusted(self, https, certificate, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert outcome_of(https.on("/x.png", answer(IMAGE))) == Content(IMAGE)

    def test_a_certificate_that_nobody_vouches_for_is_named(self, https):
        outcome = outcome_of(https.on("/x.png", answer(IMAGE)))
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "127.0.0.1 has a certificate", "not trust")
        assert https.requests == []

    def test_https_asked_of_a_plain_server_is_named(self, server):
        outcome = outcome_of(server.url("/x.png").replace("http:", "https:"))
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "127.0.0.1 does not speak TLS")


class TestProxies:
    def test_the_proxy_of_the_environment_is_asked(self, server, monkeypatch):
        monkeypatch.setenv("http_proxy", server.url())
        server.on("http://images.invalid/x.png", answer(IMAGE))
        assert outcome_of("http://images.invalid/x.png") == Content(IMAGE)

    def test_hosts_that_no_proxy_names_are_asked_themselves(self, server, monkeypatch):
        with WebServer() as proxy:
            monkeypatch.setenv("http_proxy", proxy.url())
            monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
            assert outcome_of(server.on("/x.png", answer(IMAGE))) == Content(IMAGE)
            assert proxy.requests == []

    def test_a_proxy_that_refuses_is_named(self, server, monkeypatch):
        monkeypatch.setenv("https_proxy", server.url())
        server.on("images.invalid:443", answer(status=403))
        outcome = outcome_of("https://images.invalid/x.png")
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, "behind a proxy that refuses", "403")
        assert server.requests[0].method == "CONNECT"

    def test_a_proxy_that_is_away_is_named_without_its_password(self, monkeypatch):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://anna:s3cret@127.0.0.1:{port}")
        outcome = outcome_of("http://images.invalid/x.png")
        assert_skipped(outcome, Reason.NOT_DOWNLOADED, f"through the proxy 127.0.0.1:{port}")
        assert "s3cret" not in outcome.detail

    @pytest.mark.parametrize("proxy", ["socks://anna:s3cret@localhost:1", "http://[", "x://y"])
    def test_a_proxy_that_cannot_be_used_skips_the_image(self, monkeypatch, proxy):
        monkeypatch.setenv("all_proxy", proxy)
        with Downloads(limits=LIMITS) as downloads:
            for name in ("x", "y"):
                outcome = downloads.fetch(f"http://images.invalid/{name}.png").result(10)
                assert_skipped(outcome, Reason.NOT_DOWNLOADED, "the proxy", f"/{name}.png")
                assert "s3cret" not in outcome.detail


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


class TestSecondRun:
    """What is not downloaded again."""

    @staticmethod
    def run(rows, url, *, known=everything_is_known, at=NOW):
        with Downloads(rows, LIMITS, now=lambda: at) as downloads:
            return downloads.fetch(url, known).result(10)

    @pytest.mark.parametrize(
        "headers", [{"ETag": '"1"'}, {"ETag": 'W/"1"'}, {"Last-Modified": http_date(NOW - 9999)}]
    )
    def test_an_unchanged_image_costs_one_conditional_request_and_no_body(self, server, headers):
        url, rows = server.on("/x.png", unless_unchanged(IMAGE, headers)), Rows()
        assert self.run(rows, url) == Content(IMAGE)
        assert self.run(rows, url) == Known(HASH)
        assert len(server.requests) == 2

    @pytest.mark.parametrize(
        "headers",
        [
            {"Cache-Control": "max-age=3600"},
            {"Cache-Control": 'public, MAX-AGE="3600", immutable'},
            {"Expires": http_date(5000 + 3600), "Date": http_date(5000)},  # by a clock that is off
            {"Expires": http_date(0), "Cache-Control": "max-age=3600"},
        ],
    )
    def test_a_fresh_image_costs_no_request(self, server, headers):
        url, rows = server.on("/x.png", answer(IMAGE, headers)), Rows()
        assert self.run(rows, url) == Content(IMAGE)
        assert self.run(rows, url, at=NOW + 3599) == Known(HASH)
        assert len(server.requests) == 1
        assert self.run(rows, url, at=NOW + 3600) == Content(IMAGE)

    def test_the_cache_on_disk_remembers_it_for_the_next_session(self, server, tmp_path):
        url = server.on("/x.png", unless_unchanged(IMAGE, {"ETag": '"1"'}))
        for outcome in (Content(IMAGE), Known(HASH)):
            with Cache(tmp_path) as cache:
                assert self.run(cache, url) == outcome
        assert len(server.requests) == 2

    def test_a_fresh_image_needs_no_thread(self, server):
        url, rows = server.on("/x.png", answer(IMAGE, {"Cache-Control": "max-age=9"})), Rows()
        self.run(rows, url)
        with Downloads(rows, LIMITS, now=lambda: NOW) as downloads:
            assert downloads.fetch(url, everything_is_known).done()
            assert "downloads" not in [thread.name for thread in threading.enumerate()]

    def test_time_spent_in_caches_on_the_way_counts(self, server):
        headers = {"Cache-Control": "max-age=3600", "Age": "3000"}
        url, rows = server.on("/x.png", answer(IMAGE, headers)), Rows()
        self.run(rows, url)
        assert self.run(rows, url, at=NOW + 599) == Known(HASH)
        assert self.run(rows, url, at=NOW + 600) == Content(IMAGE)

    def test_no_more_than_a_year_is_believed(self, server):
        url, rows = (
            server.on("/x.png", answer(IMAGE, {"Cache-Control": "max-age=999999999999"})),
            Rows(),
        )
        self.run(rows, url)
        year = timedelta(days=365).total_seconds()
        assert self.run(rows, url, at=NOW + year + 1) == Content(IMAGE)

    def test_a_304_renews_the_time_for_which_nothing_is_asked(self, server):
        headers = {"ETag": '"1"', "Cache-Control": "max-age=60"}
        url, rows = server.on("/x.png", unless_unchanged(IMAGE, headers)), Rows()
        self.run(rows, url)
        assert self.run(rows, url, at=NOW + 100) == Known(HASH)
        assert self.run(rows, url, at=NOW + 150) == Known(HASH)
        assert len(server.requests) == 2

    def test_a_changed_image_is_downloaded(self, server):
        rows = Rows()
        self.run(rows, server.on("/x.png", unless_unchanged(IMAGE, {"ETag": '"1"'})))
        url = server.on("/x.png", unless_unchanged(b"new", {"ETag": '"2"'}))
        assert self.run(rows, url) == Content(b"new")
        assert self.run(rows, url) == Known(content_hash(b"new"))

    def test_the_body_is_sent_if_the_vector_is_not_there(self, server):
        headers = {"ETag": '"1"', "Cache-Control": "max-age=3600"}
        url, rows = server.on("/x.png", unless_unchanged(IMAGE, headers)), Rows()
        self.run(rows, url)
        asked = []
        assert self.run(rows, url, known=asked.append) == Content(IMAGE)
        assert set(asked) == {HASH}
        assert self.run(rows, url, known=None) == Content(IMAGE)
        assert "if-none-match" not in server.requests[-1].headers

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"ETag": '"1"', "Cache-Control": "max-age=3600, No-Store"},
            {"ETag": '"1"', "Cache-Control": "max-age=3600", "Vary": "*"},
            {"Cache-Control": "max-age=0"},
            {"Cache-Control": "max-age=3600, no-cache"},
            {"Expires": "0"},
            {"Expires": http_date(NOW - 1)},
            {"Last-Modified": http_date(NOW), "Date": http_date(NOW + 1)},  # may change once more
        ],
    )
    def test_what_must_not_or_cannot_be_recognised_is_not_kept(self, server, headers):
        url, rows = server.on("/x.png", answer(IMAGE, headers)), Rows()
        self.run(rows, url)
        assert rows.of == {}

    def test_no_cache_is_asked_for_each_time(self, server):
        headers = {"ETag": '"1"', "Cache-Control": "no-cache, max-age=3600"}
        url, rows = server.on("/x.png", unless_unchanged(IMAGE, headers)), Rows()
        self.run(rows, url)
        assert self.run(rows, url) == Known(HASH)
        assert len(server.requests) == 2

    def test_conditions_go_only_to_the_address_they_are_of(self, server):
        headers = {"ETag": '"1"'}  # the same for both, as version numbers are
        server.on("/old.png", unless_unchanged(IMAGE, headers))
        server.on("/new.png", unless_unchanged(b"new", headers))
        rows, url = Rows(), server.on("/latest.png", redirect("/old.png"))
        assert self.run(rows, url) == Content(IMAGE)
        assert self.run(rows, url) == Known(HASH)
        server.on("/latest.png", redirect("/new.png"))
        assert self.run(rows, url) == Content(b"new")
        assert set(rows.of) == {server.url("/old.png"), server.url("/new.png")}

    def test_an_address_with_a_password_is_not_kept(self, server):
        rows, url = Rows(), server.on("/x.png", answer(IMAGE, {"ETag": '"1"'}))
        self.run(rows, url.replace("//", "//anna:pw@"))
        assert rows.of == {}

    def test_pages_and_failures_are_not_kept(self, server):
        rows = Rows()
        for status, body in ((404, b"no"), (200, b"<html>"), (200, b"")):
            headers = {"ETag": '"1"', "Content-Type": "text/html"}
            assert isinstance(
                self.run(rows, server.on("/x", answer(body, headers, status))), Skipped
            )
        assert rows.of == {}


class TestClosing:
    def test_hanging_downloads_are_left_within_moments(self, server):
        before = set(threading.enumerate())
        downloads = Downloads(limits=LIMITS)
        futures = [downloads.fetch(server.on(f"/{i}", hang)) for i in range(20)]
        while server.most_at_once < 8:
            time.sleep(0.01)
        ours = [thread for thread in threading.enumerate() if thread.name == "downloads"]
        start = time.monotonic()
        downloads.close()
        assert time.monotonic() - start < 2  # 0.01 s, when the machine has nothing else to do
        assert all(future.cancelled() for future in futures)
        assert len(ours) == 1
        assert not ours[0].is_alive()
        assert [t for t in set(threading.enumerate()) - before if t.name == "downloads"] == []

    def test_closing_at_once_and_twice_is_no_trouble(self, server):
        url = server.on("/x.png", answer(IMAGE))
        for pause in (0, 0.001, 0.01, 0.05):
            downloads = Downloads(limits=LIMITS)
            future = downloads.fetch(url)
            time.sleep(pause)
            downloads.close()
            downloads.close()
            assert future.done()
        with pytest.raises(RuntimeError, match="closed"):
            downloads.fetch(url)

    def test_one_that_is_cancelled_does_not_disturb_the_others(self, server, downloads):
        first = downloads.fetch(server.on("/hang", hang))
        second = downloads.fetch(server.on("/x.png", slowly(0.2, answer(IMAGE))))
        first.cancel()
        assert second.result(10) == Content(IMAGE)
        assert downloads.fetch(server.on("/hang", answer(IMAGE))).result(10) == Content(IMAGE)

    def test_no_connection_is_left_open(self, server):
        if not Path("/proc/self/fd").exists():
            pytest.skip("no /proc here")
        outcome_of(server.on("/x.png", answer(IMAGE)))  # what is opened once for all

        def sockets() -> int:
            links = [
                str(entry.readlink())
                for entry in Path("/proc/self/fd").iterdir()
                if entry.is_symlink()
            ]
            return len([link for link in links if link.startswith("socket:")])

        with WebServer() as quiet:
            del quiet
        before = sockets()
        with Downloads(limits=LIMITS) as downloads:
            for i in range(20):
                downloads.fetch(server.on(f"/{i}", answer(IMAGE))).result(10)
            hanging = downloads.fetch(server.on("/hang", hang))
            while "/hang" not in server.targets():
                time.sleep(0.01)
        assert hanging.cancelled()
        end = time.monotonic() + 5  # the server's own ends take a moment
        while sockets() > before and time.monotonic() < end:
            server.closing.set()
            time.sleep(0.01)
        assert sockets() <= before

    @pytest.mark.parametrize("ending", ["pass", "downloads.close()", "raise SystemExit(3)"])
    def test_the_interpreter_exits_at_once_and_silently_while_downloads_hang(self, server, ending):
        program = f"""
import logging, time
from orangecontrib.imageanalytics.web.downloads import Downloads
logging.getLogger("asyncio").setLevel(logging.ERROR)  # not that a busy machine was slow
downloads = Downloads()
downloads.fetch({server.on("/x.png", answer(IMAGE))!r}).result(20)
downloads.fetch({server.on("/hang", hang)!r})
time.sleep(0.2)
{ending}
"""
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=20
        )
        assert done.stderr == ""
        assert done.returncode == (3 if "3" in ending else 0)

    def test_nothing_is_imported_or_started_before_the_first_download(self):
        program = """
import sys, threading
from orangecontrib.imageanalytics.web.downloads import Downloads
with Downloads():
    print([m for m in ("httpx", "numpy", "PIL", "Orange") if m in sys.modules],
          threading.active_count())
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[] 1"
