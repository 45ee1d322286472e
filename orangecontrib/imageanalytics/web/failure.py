"""Why a download failed, in words for people, and whether it may pass."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.outcome import Reason
from orangecontrib.imageanalytics.sources.regular_file import shown
from orangecontrib.imageanalytics.web.http_client import causes, through_proxy

if TYPE_CHECKING:
    import httpx

#: Statuses that may be another one in a second (RFC 9110; 425: RFC 8470; 429: RFC 6585).
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadFailed(Exception):
    """An image that could not be downloaded.

    Attributes
    ----------
    words : str
        What happened; the address is added by who knows it.
    reason : Reason
        What the image is skipped for.
    passing : bool
        Whether trying again may help.
    retry_after : float, optional
        For how many seconds the server asks to be left alone.
    unreachable : str, optional
        The origin (scheme, host and port) that no connection could be made to.
    """

    unreachable: str | None = None

    def __init__(
        self,
        words: str,
        *,
        reason: Reason = Reason.NOT_DOWNLOADED,
        passing: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(words)
        self.words = words
        self.reason = reason
        self.passing = passing
        self.retry_after = retry_after


def shown_address(url: str) -> str:
    """Make an address fit for a message: on one line, and without name and password."""
    return shown(re.sub(r"(?<=//)[^/?#]*@", "", url, count=1))


def origin(address: httpx.URL) -> str:
    """Give the scheme, host and port of an address."""
    return f"{address.scheme}://{address.netloc.decode('ascii')}"


def failure_of(error: httpx.HTTPError | httpx.InvalidURL, address: httpx.URL) -> DownloadFailed:
    """Put into words what was raised instead of an answer from this address."""
    import httpx

    host = address.host
    # httpx reads a redirect's Location even if it is not to follow it, and chokes on some
    if isinstance(error, httpx.InvalidURL) or "location header" in str(error):
        return DownloadFailed(f"{host} redirects to what is no web address")
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        failed = _not_connected(error, host)
        failed.words += through_proxy(address.scheme, address.netloc.decode("ascii"))
        failed.unreachable = origin(address)
        return failed
    if isinstance(error, httpx.TimeoutException):
        return DownloadFailed(f"{host} fell silent", passing=True)
    if isinstance(error, httpx.RemoteProtocolError):
        return _broken_off(error, host)
    if isinstance(error, httpx.ProxyError):
        return DownloadFailed(f"the proxy refuses: {shown(str(error))}")
    if isinstance(error, httpx.NetworkError):
        return DownloadFailed(f"the connection to {host} was lost", passing=True)
    return DownloadFailed(f"not possible ({shown(str(error)) or type(error).__name__})")


def _broken_off(error: httpx.RemoteProtocolError, host: str) -> DownloadFailed:
    text = str(error)
    if "complete message body" in text or "incomplete chunked" in text:
        return DownloadFailed(f"{host} broke off before the end", passing=True)
    if "disconnected" in text.lower():
        return DownloadFailed(f"{host} closed the connection without an answer", passing=True)
    return DownloadFailed(f"{host} does not answer as a web server does ({shown(text)})")


def _not_connected(error: httpx.HTTPError, host: str) -> DownloadFailed:
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return DownloadFailed(f"{host} accepts no connection in time", passing=True)
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            if cause.errno == socket.EAI_AGAIN:
                return DownloadFailed(f"the name {host} cannot be looked up now", passing=True)
            return DownloadFailed(f"there is no host named {host}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return DownloadFailed(
                f"the certificate of {host} is not trusted ({cause.verify_message})"
            )
        if isinstance(cause, ssl.SSLError):
            return DownloadFailed(
                f"no secure connection to {host} ({cause.reason or 'broken off'})"
            )
        if isinstance(cause, ConnectionRefusedError):
            return DownloadFailed(f"{host} refuses the connection", passing=True)
    return DownloadFailed(f"{host} cannot be reached", passing=True)
