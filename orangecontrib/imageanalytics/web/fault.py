"""What failed on the network, classified once: the one table of statuses and of causes.

Whoever speaks HTTP here (downloads of images and models, the embedding server's client) learns
from it whose fault a failure is, and how to say it. What is done about it is for a policy.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.web.http_client import causes, through_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(Enum):
    """Whose fault it is that a request brought nothing."""

    UNREACHABLE = auto()  # no connection came about: nothing was sent
    THROTTLED = auto()  # the server is there, and has too much to do
    FAULT = auto()  # anything else that may be better next time
    REJECTED = auto()  # this content will never do; others may
    REFUSED = auto()  # what is asked for will never be given
    BARRED = auto()  # no connection will ever do

    @property
    def may_pass(self) -> bool:
        """Whether trying again may help."""
        return self in (Kind.UNREACHABLE, Kind.THROTTLED, Kind.FAULT)


#: Statuses (RFC 9110; 425: RFC 8470; 429: RFC 6585) of each kind; 5xx that are not here are FAULT,
#: Cloudflare's 520 to 524 among them; all others are REFUSED.
_STATUSES = {
    **dict.fromkeys((429, 503), Kind.THROTTLED),
    **dict.fromkeys((408, 425), Kind.FAULT),
    **dict.fromkeys((400, 413, 415, 422), Kind.REJECTED),
    **dict.fromkeys((501, 505, 511), Kind.REFUSED),
}


def kind_of_status(status: int) -> Kind:
    """Judge an HTTP status that is not 2xx."""
    return _STATUSES.get(status, Kind.FAULT if 500 <= status < 600 else Kind.REFUSED)


def status_text(status: int) -> str:
    """Name an HTTP status as people know it: ``503 Service Unavailable``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read for how many seconds from now a server asks to be left alone."""
    return parse_retry_after(headers.get("Retry-After"), datetime.now(UTC))


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Read the header Retry-After (RFC 9110, section 10.2.3): seconds, or a date.

    Returns
    -------
    float or None
        Seconds from `now`, not negative; None without the header or if it says neither.
    """
    if header is None:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # the latter for a year of twenty digits
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


class Cause(Enum):
    """What there was instead of an answer: whose fault it is, and a sentence without subject."""

    UNKNOWN_NAME = Kind.UNREACHABLE, "could not be found under this name (are you connected?)"
    NO_NAMES_NOW = Kind.UNREACHABLE, "has a name that cannot be looked up now"
    NOT_ACCEPTED = Kind.UNREACHABLE, "did not accept a connection in time"
    NOT_LET_IN = Kind.UNREACHABLE, "refused the connection"
    CUT_EARLY = Kind.UNREACHABLE, "cut the connection before it was made"
    NO_TLS = Kind.UNREACHABLE, "does not speak TLS there (is it https:// ?): {}"
    NOT_CONNECTED = Kind.UNREACHABLE, "could not be connected to ({})"
    PROXY_FAILED = Kind.UNREACHABLE, "could not be connected to by the proxy ({})"
    PROXY_REFUSES = Kind.BARRED, "is behind a proxy that refuses ({})"
    PROXY_UNUSABLE = (
        Kind.BARRED,
        "needs a proxy whose address cannot be used ({})",
    )
    UNTRUSTED = Kind.BARRED, "has a certificate that this computer does not trust ({})"
    SILENT = Kind.FAULT, "fell silent"
    TOO_SLOW = Kind.FAULT, "gave no whole answer within {}"
    HUNG_UP = Kind.FAULT, "closed the connection without an answer"
    BROKE_OFF = Kind.FAULT, "broke off before the end"
    LOST = Kind.FAULT, "cut the connection"
    NOT_HTTP = Kind.FAULT, "does not answer as a web server does ({})"
    NO_ADDRESS = Kind.REFUSED, "redirects to what is no web address"
    OTHER = Kind.FAULT, "could not be asked ({})"

    def __init__(self, kind: Kind, words: str) -> None:
        self.kind = kind
        self.words = words


#: Which of the errors behind an error of httpx's says why no connection came about, in this order.
_BEHIND: tuple[tuple[type[BaseException], Cause], ...] = (
    (socket.gaierror, Cause.UNKNOWN_NAME),
    (ConnectionRefusedError, Cause.NOT_LET_IN),
    (ssl.SSLError, Cause.NO_TLS),
    (ConnectionError, Cause.CUT_EARLY),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What there was instead of an answer.

    Attributes
    ----------
    cause : Cause
        What it was.
    detail : str
        What the library below said; may be empty.
    proxy : str
        Names the proxy in between, if there is one: it may be to blame.
    """

    cause: Cause
    detail: str = ""
    proxy: str = ""

    @property
    def kind(self) -> Kind:
        """Whose fault it is."""
        return self.cause.kind

    @property
    def text(self) -> str:
        """What the server did: a sentence without its subject."""
        return self.cause.words.format(self.detail) + self.proxy

    @property
    def timed_out(self) -> bool:
        """Whether a deadline passed."""
        return self.cause in (Cause.NOT_ACCEPTED, Cause.SILENT, Cause.TOO_SLOW)


def fault_of(error: Exception, scheme: str, netloc: str) -> Fault:
    """Classify what httpx has raised instead of giving an answer.

    Parameters
    ----------
    error : Exception
        An error of httpx's, or of what is below it.
    scheme, netloc : str
        Of the address that was asked.
    """
    found = _fault_of(error)
    if found.kind in (Kind.UNREACHABLE, Kind.BARRED):
        return replace(found, proxy=through_proxy(scheme, netloc))
    return found


def _fault_of(error: Exception) -> Fault:
    import httpx

    found = list(causes(error))
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Fault(Cause.UNTRUSTED, cause.verify_message)
    # httpx reads a redirect's Location even if it is not to follow it, and chokes on some
    if isinstance(error, httpx.InvalidURL) or "location header" in str(error):
        return Fault(Cause.NO_ADDRESS)
    if isinstance(error, httpx.ConnectTimeout):
        return Fault(Cause.NOT_ACCEPTED)
    if isinstance(error, httpx.ProxyError):
        return _of_proxy(error)
    if isinstance(error, httpx.ConnectError):
        return _of_connecting(error, found)
    if isinstance(error, httpx.TimeoutException):
        return Fault(Cause.SILENT)
    if isinstance(error, httpx.RemoteProtocolError):
        return _of_protocol(str(error))
    if isinstance(error, (httpx.NetworkError, OSError)):
        return Fault(Cause.LOST)
    return Fault(Cause.OTHER, _told(error))


def _of_proxy(error: Exception) -> Fault:
    """Judge what a proxy says by its status, if it says one: 502 may pass, 403 will not."""
    status = re.match(r"[1-5]\d\d\b", str(error))
    may_pass = status is not None and kind_of_status(int(status[0])).may_pass
    return Fault(Cause.PROXY_FAILED if may_pass else Cause.PROXY_REFUSES, _told(error))


def _of_connecting(error: Exception, found: list[BaseException]) -> Fault:
    for kind, name in _BEHIND:
        for cause in found:
            if not isinstance(cause, kind):
                continue
            if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
                return Fault(Cause.NO_NAMES_NOW)
            reason = getattr(cause, "reason", None) or "broken off"  # of OpenSSL
            return Fault(name, reason if name is Cause.NO_TLS else "")
    return Fault(Cause.NOT_CONNECTED, _told(found[-1] if found else error))


def _of_protocol(text: str) -> Fault:
    """Tell apart, by h11's words, an answer that ends too early and what is no answer."""
    if "complete message body" in text or "incomplete chunked" in text:
        return Fault(Cause.BROKE_OFF)
    if "disconnected" in text.lower():
        return Fault(Cause.HUNG_UP)
    return Fault(Cause.NOT_HTTP, " ".join(text.split()))


def _told(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
