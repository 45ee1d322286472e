"""Which web images are not fetched, since the user has not agreed to it yet: for all widgets."""

from __future__ import annotations

from collections.abc import Iterable

from orangecontrib.imageanalytics.web.reach import host_of
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

#: Said with the names of the hosts, beside a button that is named so.
NOT_FETCHED = (
    "Images on {} were not fetched: it would tell these servers that you look at them. "
    "Press Fetch Them from the Web to agree."
)
FETCH = "Fetch Them from the &Web"


def unasked(references: Iterable[str | None]) -> tuple[str, ...]:
    """List the hosts of web images that the user has not agreed to fetch from."""
    hosts = frozenset(map(host_of, references)) - {""}
    return tuple(sorted(hosts - user_settings().web_hosts()))


def named(hosts: tuple[str, ...]) -> str:
    """Name some hosts for people."""
    listed = ", ".join(hosts[:3])
    return listed if len(hosts) <= 3 else f"{listed} and {len(hosts) - 3} other servers"
