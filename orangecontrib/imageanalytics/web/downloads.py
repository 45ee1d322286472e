"""Web images: downloads, several at once, on an event loop of their own.

httpx is imported and the loop started at the first download. Redirects are followed by hand:
httpx would read the body of a redirect without any limit, and take a redirect's conditions
(`If-None-Match`) to an address that they do not belong to. A redirect from https to http is
followed, as it is by curl and browsers: it is the server's own choice, and nothing of ours but
the address goes that way.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.sources import MAX_FILE_SIZE, Content, content_hash
from orangecontrib.imageanalytics.web.body import CannotUnpack, read_body
from orangecontrib.imageanalytics.web.failure import (
    DownloadFailed,
    failure_of,
    failure_of_status,
    origin,
    shown_address,
)
from orangecontrib.imageanalytics.web.fault import status_text
from orangecontrib.imageanalytics.web.freshness import (
    WebRows,
    conditions,
    is_fresh,
    renewed,
    row_of,
)
from orangecontrib.imageanalytics.web.hosts import UnreachableHosts
from orangecontrib.imageanalytics.web.http_client import (
    USER_AGENT,
    LoopThread,
    closing_failed_handshakes,
    tls_context,
)
from orangecontrib.imageanalytics.web.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import httpx

    from orangecontrib.imageanalytics.cache import WebRow
    from orangecontrib.imageanalytics.web.http_client import Trace

    #: Tells whether the vector of a content's hash is there, so that the body is not needed.
    IsKnown = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Known:
    """A web image that is what it was: its content's hash stands for it."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Redirect:
    """The image is elsewhere."""

    location: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a download may take; seconds where it is time.

    Attributes
    ----------
    at_once : int
        Downloads at the same time.
    redirects, tries : int
        How many redirects are followed, and how often what may pass is tried.
    connect, silence, total : float
        Deadlines: for a connection, between two pieces of an answer, and for an image with all
        its tries and redirects.
    pause, longest_pause : float
        Wait before the second try, doubled for the third; the most that a Retry-After gets.
    size : int
        Bytes of an image, after decompression.
    """

    at_once: int = 8
    redirects: int = 5
    tries: int = 3
    connect: float = 5.0
    silence: float = 20.0
    total: float = 60.0
    pause: float = 0.5
    longest_pause: float = 10.0
    size: int = MAX_FILE_SIZE


_DEFAULT_LIMITS = Limits()


class Downloads:
    """Fetches web images.

    Parameters
    ----------
    rows : WebRows, optional
        The cache, which remembers what images were; without it each is downloaded.
    limits : Limits
        What a download may take.
    reach : Reach, optional
        Where images may be fetched from; by default wherever a script may.
    now, chance : callable
        Unix time in seconds, and a random number from 0 up to 1.
    """

    def __init__(
        self,
        rows: WebRows | None = None,
        limits: Limits = _DEFAULT_LIMITS,
        *,
        reach: Reach | None = None,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._rows = rows
        self._limits = limits
        self._reach = reach or Reach()
        self._now = now
        self._chance = chance
        self._lock = threading.Lock()
        self._closed = False
        self._loop: LoopThread | None = None
        self._under_way: dict[str, Future[Content | Known | Skipped]] = {}
        self._places = asyncio.Semaphore(limits.at_once)
        self._unreachable = UnreachableHosts()
        self._opened: asyncio.Future[httpx.AsyncClient | Exception] | None = None
        self._holder: asyncio.Task[None] | None = None

    def __enter__(self) -> Downloads:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def fetch(self, url: str, known: IsKnown | None = None) -> Future[Content | Known | Skipped]:
        """Fetch an image; returns at once.

        Parameters
        ----------
        url : str
            An http or https address. Spaces, umlauts and the like are quoted as browsers do.
        known : callable, optional
            Told a content's hash, says whether its vector is there. Only then can the outcome be
            `Known`. It is called from this thread and from the one of the downloads.

        Returns
        -------
        Future
            Of the image's bytes, the hash that stands for them, or why there is neither. The
            same address asked for again while it is under way gives the same future. It is
            cancelled by `close`.

        Raises
        ------
        RuntimeError
            If the downloads were closed.
        """
        url = url.partition("#")[0]
        row = self._row(url, known)
        if row is not None and is_fresh(row, self._now()):
            done: Future[Content | Known | Skipped] = Future()
            done.set_result(Known(row.content))
            return done
        with self._lock:
            if self._closed:
                raise RuntimeError("the downloads were closed")
            if url in self._under_way:
                return self._under_way[url]
            if self._loop is None:
                self._loop = LoopThread("downloads")
            future = self._loop.submit(self._download(url, known))
            self._under_way[url] = future
        future.add_done_callback(lambda _: self._under_way.pop(url, None))
        return future

    def begin(self) -> None:
        """Begin a new run: hosts that could not be reached may be reached now."""
        self._unreachable = UnreachableHosts()

    def close(self) -> None:
        """Cancel what is under way and let go of all connections; may be called twice."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
            futures = list(self._under_way.values())
        for future in futures:
            future.cancel()
        if loop is not None:
            loop.close()

    def _row(self, url: str, known: IsKnown | None) -> WebRow | None:
        if self._rows is None or known is None:
            return None
        row = self._rows.web(url)
        return row if row is not None and known(row.content) else None

    def _remember(self, row: WebRow | None) -> None:
        if self._rows is not None and row is not None:
            self._rows.remember_web(row)

    async def _client(self) -> httpx.AsyncClient:
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
            self._holder = asyncio.create_task(self._hold(self._opened))
        client = await asyncio.shield(self._opened)
        if isinstance(client, Exception):
            raise client.with_traceback(None)  # else that grows with each image
        return client

    async def _hold(self, opened: asyncio.Future[httpx.AsyncClient | Exception]) -> None:
        """Keep the client open until the loop is closed, which cancels this."""
        try:  # in a thread, since importing httpx takes 0.15 s, in which nobody could close us
            client = await asyncio.to_thread(_open_client, self._limits)
        except Exception as error:
            opened.set_result(error)  # raised by those who wait for the client
            return
        async with client:
            opened.set_result(client)
            await asyncio.Event().wait()

    async def _download(self, url: str, known: IsKnown | None) -> Content | Known | Skipped:
        async with self._places:
            try:
                async with asyncio.timeout(self._limits.total):
                    return await self._persist(url, known)
            except TimeoutError:
                reason, words = (
                    Reason.NOT_DOWNLOADED,
                    f"not complete after {self._limits.total:g} s",
                )
            except DownloadFailed as failed:
                reason, words = failed.reason, failed.words
        return Skipped(reason, f"{words}: {shown_address(url)}")

    async def _persist(self, url: str, known: IsKnown | None) -> Content | Known:
        hosts = self._unreachable
        begun, tried = hosts.now(), 0
        while True:
            try:
                return await self._follow(url, known)
            except DownloadFailed as failed:
                tried += 1
                if not failed.passing or tried >= self._limits.tries:
                    hosts.note_failure(failed, begun)
                    raise
                await asyncio.sleep(self._pause(tried, failed.retry_after))

    def _pause(self, tried: int, retry_after: float | None) -> float:
        if retry_after is not None:
            return min(retry_after, self._limits.longest_pause)
        # from half to one and a half: those that failed together do not come back together
        return self._limits.pause * 2.0 ** (tried - 1) * (0.5 + self._chance())

    async def _follow(self, url: str, known: IsKnown | None) -> Content | Known:
        """Get an image from where the redirects lead, each hop with the row of its own."""
        address = _address(url)
        named = address.host
        if refusal := self._reach.refusal(named, address.raw_host.decode("ascii")):
            raise DownloadFailed(refusal)
        client = await self._client()
        for _ in range(self._limits.redirects + 1):
            row = None if address.userinfo else self._row(str(address), known)
            if row is not None and is_fresh(row, self._now()):
                return Known(row.content)
            answer = await self._ask(client, address, row, named)
            if not isinstance(answer, Redirect):
                return answer
            address = _address(answer.location, address)
        raise DownloadFailed(f"redirected more than {self._limits.redirects} times")

    async def _ask(
        self, client: httpx.AsyncClient, address: httpx.URL, row: WebRow | None, named: str
    ) -> Content | Known | Redirect:
        """Send one request."""
        import httpx

        if refusal := self._reach.refusal_of_step(named, address.host, None):
            raise DownloadFailed(refusal)
        self._unreachable.check(origin(address))
        # httpx writes addresses to its log: name and password do not belong there.
        auth = httpx.BasicAuth(address.username, address.password) if address.userinfo else None
        request = client.build_request(
            "GET",
            address.copy_with(userinfo=b""),
            headers=conditions(row),
            extensions={"trace": closing_failed_handshakes(self._looking(address, named))},
        )
        try:
            response = await client.send(request, stream=True, auth=auth)
            self._unreachable.note_answer(origin(address))
            try:
                return await self._receive(response, address, row)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failed = failure_of(error, address)
            if failed.unreachable is None:
                self._unreachable.note_answer(origin(address))
            raise failed from error

    def _looking(self, address: httpx.URL, named: str) -> Trace:
        """Look where a connection leads before anything is sent: a name may lead anywhere."""
        asked = ""

        async def look(event: str, info: dict[str, Any]) -> None:
            nonlocal asked
            if event.endswith(".connect_tcp.started"):
                asked = info["host"]
            elif event.endswith(".connect_tcp.complete") and asked == address.raw_host.decode():
                stream = info["return_value"]  # not one to a proxy, which decides by itself
                peer = stream.get_extra_info("server_addr")[0]
                if refusal := self._reach.refusal_of_step(named, address.host, peer):
                    await stream.aclose()
                    raise DownloadFailed(refusal)

        return look

    async def _receive(
        self, response: httpx.Response, address: httpx.URL, row: WebRow | None
    ) -> Content | Known | Redirect:
        headers = response.headers
        if response.has_redirect_location:
            return Redirect(headers["location"])
        if response.status_code == 304 and row is not None:
            self._remember(renewed(row, headers, self._now()))
            return Known(row.content)
        status = status_text(response.status_code)
        is_page = headers.get("content-type", "").lower().startswith(_PAGES)
        if not response.is_success or response.status_code == 206:  # a part nobody asked for
            raise _refused(response, is_page)
        body = await self._body(response)
        if not body:
            raise DownloadFailed(f"answered {status} with nothing", reason=Reason.NOT_AN_IMAGE)
        if is_page and body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise DownloadFailed(
                f"the server answered {status} with an HTML page", reason=Reason.NOT_AN_IMAGE
            )
        if self._rows is not None and not address.userinfo:
            content = await asyncio.to_thread(content_hash, body)  # 0.2 s for the largest
            self._remember(row_of(str(address), headers, content, self._now()))
        return Content(body)

    async def _body(self, response: httpx.Response) -> bytes:
        try:
            body = await read_body(response, self._limits.size)
        except CannotUnpack as error:
            raise DownloadFailed(f"the server {error}") from error
        if body is None:
            megabytes = f"{self._limits.size / 2**20:.3g} MB"
            raise DownloadFailed(
                f"more than the {megabytes} that are read", reason=Reason.TOO_LARGE
            )
        return body


_PAGES = ("text/html", "application/xhtml")


def _open_client(limits: Limits) -> httpx.AsyncClient:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    # No cookies: nobody is to follow who looks at which images, and one that is not ASCII would
    # make httpx fail at each later request to its host.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    try:
        return httpx.AsyncClient(
            verify=tls_context(),
            cookies=cookies,
            timeout=httpx.Timeout(limits.silence, connect=limits.connect, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=limits.at_once),
            headers={
                "User-Agent": USER_AGENT,
                "Accept": "image/*,*/*;q=0.1",
                "Accept-Encoding": "identity",
            },
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        # socks://, which GNOME sets, is unknown to httpx; socks5:// needs another package
        raise DownloadFailed(
            f"the proxy that the environment names cannot be used ({error})"
        ) from error


def _address(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Read an address as browsers do: backslashes are slashes, line breaks are nothing."""
    import httpx

    text = re.sub(r"[\t\r\n]", "", text)
    path, mark, query = text.partition("?")
    text = path.replace("\\", "/") + mark + query
    try:
        address = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise DownloadFailed("not a valid web address") from error
    if address.scheme not in ("http", "https"):
        raise DownloadFailed(f"redirected to a {address.scheme}: address, which is not followed")
    labels = address.host.removesuffix(".").split(".")
    if not all(0 < len(label) < 64 for label in labels) or (address.port or 1) > 65535:
        raise DownloadFailed("not a valid web address")
    return address.copy_with(fragment=None)


def _refused(response: httpx.Response, is_page: bool) -> DownloadFailed:
    failed = failure_of_status(response)
    if is_page and response.status_code in (404, 410):
        return DownloadFailed(f"{failed.words} with an HTML page", reason=Reason.NOT_AN_IMAGE)
    return failed
