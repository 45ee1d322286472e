"""Which web images are not fetched, since the user has not agreed to it yet: for all widgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from AnyQt.QtWidgets import QPushButton

from orangecontrib.imageanalytics.web.reach import host_of
from orangecontrib.imageanalytics.widgets.controls import tip
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

#: Said with the names of the hosts, beside a button that is named so.
NOT_FETCHED = (
    "Images on {} were not fetched: it would tell these servers that you look at them. "
    "Press Fetch Them from the Web to agree."
)
FETCH = "Fetch Them from the &Web"

#: Hosts that are agreed to at once: as many as the button's tooltip can name.
AT_ONCE = 30


def unasked(references: Iterable[str | None]) -> tuple[str, ...]:
    """List the hosts of web images that the user has not agreed to fetch from."""
    hosts = frozenset(map(host_of, references)) - {""}
    return tuple(sorted(hosts - user_settings().web_hosts()))


def ask(warning: Any, button: QPushButton, hosts: Sequence[str]) -> None:
    """Show what was not fetched, and the button that agrees to it and names each host, if any."""
    warning(named(hosts), shown=bool(hosts))
    button.setVisible(bool(hosts))
    button.setToolTip(tip("\n".join(["Images are fetched from:", *hosts[:AT_ONCE]])))


def agree(hosts: Sequence[str]) -> tuple[str, ...]:
    """Note that the user agrees to the hosts that the button named; return those it did not."""
    new = tuple(host for host in hosts if host not in user_settings().web_hosts())
    user_settings().allow_fetching(new[:AT_ONCE])
    return new[AT_ONCE:]


def named(hosts: Sequence[str]) -> str:
    """Name some hosts for people."""
    listed = ", ".join(hosts[:3])
    return listed if len(hosts) <= 3 else f"{listed} and {len(hosts) - 3} other servers"
