"""The one table of what fails on the network."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest

from orangecontrib.imageanalytics.web.fault import Cause, Fault, Kind, fault_of, kind_of_status

NOWHERE = ("http", "example.org")


def behind(error: Exception, *hidden: Exception) -> Exception:
    """An error with others behind it, as httpx and anyio raise them."""
    inner = hidden[0] if len(hidden) == 1 else ExceptionGroup("several addresses", list(hidden))
    error.__cause__ = inner
    return error


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("status", range(300, 600))
def test_each_status_has_a_kind_by_which_it_passes_or_not(status):
    may_pass = status in (408, 425, 429) or (status >= 500 and status not in (501, 505, 511))
    assert kind_of_status(status).may_pass == may_pass


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


CONNECT = httpx.ConnectError("All connection attempts failed")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (httpx.ConnectTimeout(""), Cause.NOT_ACCEPTED),
        (httpx.ReadTimeout(""), Cause.SILENT),
        (httpx.WriteTimeout(""), Cause.SILENT),
        (httpx.ReadError(""), Cause.LOST),
        (ConnectionResetError(), Cause.LOST),
        (
            httpx.RemoteProtocolError("Server disconnected without a response."),
            Cause.HUNG_UP,
        ),
        (httpx.RemoteProtocolError("peer closed ... complete message body"), Cause.BROKE_OFF),
        (httpx.RemoteProtocolError("illegal status line: b'SSH-2.0'"), Cause.NOT_HTTP),
        (httpx.RemoteProtocolError("Invalid URL in location header: x"), Cause.NO_ADDRESS),
        (httpx.InvalidURL("no host"), Cause.NO_ADDRESS),
        (httpx.ProxyError("403 Forbidden"), Cause.PROXY_REFUSES),
        (httpx.ProxyError("407 Proxy Authentication Required"), Cause.PROXY_REFUSES),
        (httpx.ProxyError("502 Bad Gateway"), Cause.PROXY_FAILED),
        (httpx.ProxyError("is none"), Cause.PROXY_REFUSES),
        (httpx.UnsupportedProtocol("gopher"), Cause.OTHER),
        (httpx.ConnectError("no idea"), Cause.NOT_CONNECTED),
        (behind(CONNECT, ConnectionRefusedError()), Cause.NOT_LET_IN),
    ],
)
def test_what_httpx_raises_has_a_cause(error, cause):
    assert fault_of(error, *NOWHERE).cause is cause


@pytest.mark.parametrize(
    ("hidden", "cause"),
    [
        ([ConnectionRefusedError()], Cause.NOT_LET_IN),
        ([OSError(113, "No route to host"), ConnectionRefusedError()], Cause.NOT_LET_IN),
        ([socket.gaierror(socket.EAI_NONAME, "not known")], Cause.UNKNOWN_NAME),
        ([socket.gaierror(socket.EAI_AGAIN, "try again")], Cause.NO_NAMES_NOW),
        ([ssl.SSLError(1, "wrong version number")], Cause.NO_TLS),
        ([untrusted()], Cause.UNTRUSTED),
        ([ConnectionResetError()], Cause.CUT_EARLY),
        ([OSError(113, "No route to host")], Cause.NOT_CONNECTED),
    ],
)
def test_what_is_behind_a_connection_that_was_not_made_tells_the_cause(hidden, cause):
    assert fault_of(behind(httpx.ConnectError("failed"), *hidden), *NOWHERE).cause is cause


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_is_a_sentence_without_subject(cause):
    text = Fault(cause, "detail").text
    assert text.split()[0] in {
        "has",
        "did",
        "refused",
        "cut",
        "does",
        "could",
        "is",
        "needs",
        "fell",
        "gave",
        "closed",
        "broke",
        "redirects",
    }
    assert "{" not in text


def test_the_proxy_in_between_is_named_where_no_connection_came_about(monkeypatch):
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://anna:s3cret@proxy.example:3128")
    text = fault_of(httpx.ConnectTimeout(""), *NOWHERE).text
    assert text.endswith("(through the proxy proxy.example:3128)")
    assert "proxy" not in fault_of(httpx.ReadTimeout(""), *NOWHERE).text


def test_what_no_connection_can_mend_is_barred():
    assert {cause for cause in Cause if cause.kind is Kind.BARRED} == {
        Cause.PROXY_REFUSES,
        Cause.PROXY_UNUSABLE,
        Cause.UNTRUSTED,
    }
