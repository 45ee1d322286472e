"""How long a downloaded image may be taken for unchanged: HTTP caching without the bodies.

What is kept of a web image is one row: its validators, when it expires, and its content's hash,
under which its embeddings are filed. The libraries that do HTTP caching (hishel, CacheControl)
store the bodies, which is what must not happen to 100 000 photos of somebody's table; what is
left without them are the rules here, of RFC 9111 (private cache) and RFC 9110, section 13.
Where a rule is in doubt, the server is asked.
"""

from __future__ import annotations

import re
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orangecontrib.imageanalytics.cache import WebRow

_YEAR = 365 * 86400.0


class WebRows(Protocol):
    """Where the rows are kept: `cache.Cache`."""

    def web(self, url: str) -> WebRow | None:
        """Give the row of an address."""

    def remember_web(self, row: WebRow) -> None:
        """Keep a row, in place of an older one of its address; must not block."""


def is_fresh(row: WebRow, now: float) -> bool:
    """Whether the image may be taken for unchanged without asking the server."""
    return row.expires is not None and now < row.expires


def conditions(row: WebRow | None) -> dict[str, str]:
    """Give the headers that make a server send the image only if it has changed."""
    headers = {}
    if row is not None and row.etag:
        headers["If-None-Match"] = row.etag
    if row is not None and row.last_modified:
        headers["If-Modified-Since"] = row.last_modified
    return headers


def row_of(url: str, headers: Mapping[str, str], content: bytes, now: float) -> WebRow | None:
    """Make the row of an image that has just been downloaded.

    Parameters
    ----------
    url : str
        The address that sent it.
    headers : Mapping
        Headers of the answer, found without regard to case.
    content : bytes
        The hash of its content.
    now : float
        Unix time in seconds.

    Returns
    -------
    WebRow or None
        None if the server forbids to keep anything, or gives nothing to recognise it by.
    """
    from orangecontrib.imageanalytics.cache import WebRow

    if _forbidden(headers):
        return None
    row = WebRow(url, _etag(headers), _last_modified(headers, now), _expires(headers, now), content)
    return row if row.etag or row.last_modified or is_fresh(row, now) else None


def renewed(row: WebRow, headers: Mapping[str, str], now: float) -> WebRow | None:
    """Make the row of an image of which the server has said that it is unchanged (304)."""
    if _forbidden(headers):
        return None
    return replace(row, etag=_etag(headers) or row.etag, expires=_expires(headers, now))


def _forbidden(headers: Mapping[str, str]) -> bool:
    return "no-store" in _directives(headers) or "*" in headers.get("vary", "")


def _directives(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (part.partition("=") for part in headers.get("cache-control", "").split(","))
    return {name.strip().lower(): value.strip(' "') for name, _, value in pairs}


def _expires(headers: Mapping[str, str], now: float) -> float | None:
    directives = _directives(headers)
    if "no-cache" in directives:
        return None
    if "max-age" in directives:
        lifetime = _number(directives["max-age"])
    else:
        end = _unix_time(headers.get("expires"))
        start = _unix_time(headers.get("date")) or now  # by the server's clock, which may be off
        lifetime = None if end is None else end - start
    if lifetime is None:
        return None
    left = min(lifetime, _YEAR) - (_number(headers.get("age", "")) or 0.0)
    return now + left if left > 0 else None


def _etag(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("etag")
    return etag if etag and etag.isascii() and etag.isprintable() else None


def _last_modified(headers: Mapping[str, str], now: float) -> str | None:
    text = headers.get("last-modified")
    changed = _unix_time(text)
    if changed is None:
        return None
    # It counts whole seconds: an image that has just changed may change again in the same one
    # (RFC 9110, section 8.8.2.2).
    return text if (_unix_time(headers.get("date")) or now) - changed >= 2 else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def _unix_time(text: str | None) -> float | None:
    if not text or not text.isascii():
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
