"""That no client takes all: how much of anything one may have, and whose turn it is.

A client is an address on the network, as far as it tells one customer of a provider from another.
Behind a proxy all have one address, and share what one may have.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Address

#: A client may have this many times as much as is left free: alone three quarters of all, the next
#: three quarters of the rest, so that there is always something for one who comes later (dynamic
#: thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
_SHARE = 3


def client_of(address: Address | tuple[str, int] | None) -> str:
    """Name the client at an address: for IPv6, the network of 64 bits that a customer has."""
    if address is None:
        return ""
    host = address[0].partition("%")[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address) or found.ipv4_mapped:
        return host
    return str(ipaddress.ip_network((found, 64), strict=False))


class Shares:
    """Counts who has how much of something that there is a limited amount of.

    Parameters
    ----------
    total : int
        How much there is.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._by_client: Counter[str] = Counter()

    def may_take(self, client: str, amount: int = 1) -> bool:
        """Whether there is so much left, and not too much of it this client's already."""
        free = self._total - self._taken - amount
        own = self._by_client[client] + amount
        return free >= 0 and (own == amount or own <= _SHARE * (free + amount))

    def take(self, client: str, amount: int = 1) -> None:
        """Note that a client has taken so much."""
        self._taken += amount
        self._by_client[client] += amount

    def give_back(self, client: str, amount: int = 1) -> None:
        """Note that a client has given back so much of it."""
        self._taken -= amount
        self._by_client[client] -= amount
        if not self._by_client[client]:
            del self._by_client[client]


class Turns:
    """Places that clients wait for, and get by turns, however many each waits for.

    Parameters
    ----------
    places : int
        How many there are.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def wait(self, client: str) -> None:
        """Wait for a place; those of one client get theirs in order."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(place)
        self._grant()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.add(1)
            raise

    def add(self, places: int) -> None:
        """Give places back, or new ones; a negative number takes some away."""
        self._free += places
        self._grant()

    def _grant(self) -> None:
        while self._free > 0 and self._waiting:
            client = next(iter(self._waiting))
            queue = self._waiting.pop(client)
            place = queue.popleft()
            if queue:
                self._waiting[client] = queue  # at the end of the round
            if not place.done():
                self._free -= 1
                place.set_result(None)
