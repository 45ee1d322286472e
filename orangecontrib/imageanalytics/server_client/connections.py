"""The connections to an embedding server, and what comes of a request through one.

Each connection is an HTTP client of its own. httpx's pool looks at all its connections for each
request: with 64 in one pool a request costs 9.6 ms of processor time, with one in each of 64
pools 1.6 ms. The clients share one TLS context, and making one costs 0.5 ms.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orangecontrib.imageanalytics.server_client.answer import models_listed
from orangecontrib.imageanalytics.server_client.retry import (
    Failure,
    Policy,
    failed_by,
    failed_with,
)
from orangecontrib.imageanalytics.server_client.speech import Answer, Request
from orangecontrib.imageanalytics.web.body import CannotUnpack, read_body
from orangecontrib.imageanalytics.web.fault import Cause, Fault, Kind, fault_of, retry_after
from orangecontrib.imageanalytics.web.http_client import (
    USER_AGENT,
    closing_failed_handshakes,
    through_proxy,
    tls_context,
)

if TYPE_CHECKING:
    import httpx

#: An idle connection is closed by us before uvicorn does it (5 s), as nothing announces its
#: closing, and a request sent in that moment is lost.
_IDLE = 4.0

#: An error's body is read, and its connection kept, up to this many bytes.
_SMALL = 65_536


class Connections:
    """Connections to one server, made as they are needed and kept.

    All methods are for the thread of one event loop.

    Parameters
    ----------
    address : str
        The server's, http or https.
    headers : dict
        What is said with every request.
    policy : Policy
        Deadlines, and how long an answer may be.
    """

    def __init__(self, address: str, headers: dict[str, str], policy: Policy) -> None:
        self._address = address
        self._headers = headers
        self._policy = policy
        self._idle: list[httpx.AsyncClient] = []
        self._tls: ssl.SSLContext | None = None
        self._urls: dict[str, httpx.URL] = {}  # parsing one takes 0.05 ms

    async def exchange(
        self, request: Request, on_sending: Callable[[], None] | None = None
    ) -> Answer | Failure:
        """Send a request.

        Parameters
        ----------
        request : Request
            What is said.
        on_sending : callable, optional
            Called as soon as there is a connection.

        Returns
        -------
        Answer or Failure
            An answer with a status of 2xx; else what went wrong.
        """
        import httpx

        reused = bool(self._idle)
        try:
            # the one used last: its connection is the likeliest to be open still
            client = self._idle.pop() if self._idle else self._make_client()
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            return failed_by(Fault(Cause.PROXY_UNUSABLE, str(error)))
        connected = on_sending is None

        def sending() -> None:
            nonlocal connected
            connected = True
            if on_sending is not None:
                on_sending()

        answer: Answer | Failure
        try:
            async with asyncio.timeout(self._policy.request_timeout):
                trace = None if connected else sending
                try:
                    answer = await self._exchange(client, request, trace)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                    nonsense = "disconnected" not in str(error)
                    if not reused or (nonsense and isinstance(error, httpx.RemoteProtocolError)):
                        raise
                    # closed just as it was used again: the server may (RFC 9112, section 9.5)
                    await client.aclose()
                    client = self._make_client()
                    answer = await self._exchange(client, request, trace)
        except TimeoutError:
            seconds = f"{self._policy.request_timeout:g} s"
            answer = failed_by(
                Fault(Cause.TOO_SLOW, seconds)
                if connected
                else Fault(Cause.NOT_ACCEPTED, proxy=self._proxy())
            )
            await client.aclose()
        except (httpx.RequestError, OSError) as error:
            answer = self._failure(error)
            await client.aclose()
        except BaseException:
            self._idle.append(client)  # to be closed by `close`
            raise
        else:
            self._idle.append(client)
        return answer

    async def close(self) -> None:
        """Close what is idle; a request under way is closed by cancelling it first."""
        idle, self._idle = self._idle, []
        for client in idle:
            await client.aclose()

    def _make_client(self) -> httpx.AsyncClient:
        import httpx

        if self._tls is None:
            self._tls = tls_context()
        # with a transport of our own, httpx would not look at the proxies in the environment
        return httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT, **self._headers},
            verify=self._tls,
            timeout=httpx.Timeout(None, connect=self._policy.connect_timeout),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=_IDLE),
            follow_redirects=False,
        )

    async def _exchange(
        self,
        client: httpx.AsyncClient,
        request: Request,
        sending: Callable[[], None] | None,
    ) -> Answer | Failure:
        import httpx

        url = self._url(request.url)
        method = "GET" if request.body is None else "POST"
        trace = closing_failed_handshakes(_tracer(sending) if sending else None)
        extensions = {"trace": trace}
        async with client.stream(
            method, url, content=request.body, headers=request.headers, extensions=extensions
        ) as response:
            if response.is_success:
                try:
                    body = await _read(response, self._policy.longest_answer)
                    return body if isinstance(body, Failure) else Answer(body, response.headers)
                except httpx.RequestError as error:  # in the middle of its answer
                    return self._failure(error)
            told: bytes | Failure = b""
            if _announced_length(response) <= _SMALL:
                told = await _read(response, _SMALL)
            there = models_listed(told) if isinstance(told, bytes) else []
            return failed_with(response.status_code, retry_after(response.headers), there)

    def _url(self, text: str) -> httpx.URL:
        import httpx

        if text not in self._urls:
            self._urls[text] = httpx.URL(text)
        return self._urls[text]

    def _failure(self, error: Exception) -> Failure:
        parts = urlsplit(self._address)
        return failed_by(fault_of(error, parts.scheme, parts.netloc))

    def _proxy(self) -> str:
        """Name the proxy, if there is one: it may be the one to blame."""
        parts = urlsplit(self._address)
        return through_proxy(parts.scheme, parts.netloc)


async def _read(response: httpx.Response, limit: int) -> bytes | Failure:
    try:
        body = await read_body(response, limit)
    except CannotUnpack as error:
        return Failure(Kind.FAULT, str(error))
    return Failure(Kind.FAULT, f"answered more than {limit / 1e6:g} MB") if body is None else body


def _announced_length(response: httpx.Response) -> float:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else float("inf")


def _tracer(on_sending: Callable[[], None]) -> Callable[[str, dict[str, Any]], Any]:
    async def trace(event: str, info: dict[str, Any]) -> None:
        # a proxy that is asked to CONNECT is not yet the server
        if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            on_sending()

    return trace
