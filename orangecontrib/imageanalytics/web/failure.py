"""Why a download failed, in words for people, and whether it may pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.outcome import Reason
from orangecontrib.imageanalytics.sources.regular_file import shown
from orangecontrib.imageanalytics.web import fault
from orangecontrib.imageanalytics.web.fault import Cause, Kind

if TYPE_CHECKING:
    import httpx

#: What an image is not asked for again after, though a server would be: what is wrong with an
#: address rather than with its host, of which a table may name thousands.
_FINAL = frozenset({Cause.UNKNOWN_NAME, Cause.NO_TLS, Cause.NOT_HTTP, Cause.OTHER})


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
    netloc = address.netloc.decode("ascii")
    found = fault.fault_of(error, address.scheme, netloc)
    failed = DownloadFailed(
        shown(f"{address.host} {found.text}"),
        passing=found.kind.may_pass and found.cause not in _FINAL,
    )
    if found.kind in (Kind.UNREACHABLE, Kind.BARRED):
        failed.unreachable = origin(address)
    return failed


def failure_of_status(response: httpx.Response) -> DownloadFailed:
    """Put into words that an answer is not the image."""
    status = response.status_code
    return DownloadFailed(
        f"the server answered {fault.status_text(status)}",
        passing=fault.kind_of_status(status).may_pass,
        retry_after=fault.retry_after(response.headers),
    )
