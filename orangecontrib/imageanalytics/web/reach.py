"""Where web images may be fetched from. Pure: names and addresses are handed in.

The address of a picture can spy, as it tells its server who looks when; and it can reach what
only this computer can: its own services, its neighbours, a cloud's data on the machine
(169.254.169.254). So a table from a stranger must not decide alone what is fetched.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

#: Set to 1, this lets images be fetched from link-local addresses.
LINK_LOCAL_VARIABLE = "ORANGE_IMAGE_LINK_LOCAL"

#: Where clouds tell a machine its secrets, beside the link-local 169.254.169.254: AWS, Alibaba.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))

#: An IPv4 address in an IPv6 one: RFC 6052's prefix for translators.
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class Zone(Enum):
    """How near an address is."""

    LINK_LOCAL = "a link-local address"
    LOOPBACK = "an address of this computer"
    ELSEWHERE = "an address elsewhere"


def zone(host: str) -> Zone:
    """Tell how near a host is: an IP address, or a name, of which only `localhost` is known."""
    host = host.strip("[]").partition("%")[0].rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return Zone.LOOPBACK
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return Zone.ELSEWHERE
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if address in _TRANSLATED:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inside or address
    if address.is_link_local or address in _METADATA:
        return Zone.LINK_LOCAL
    # the unspecified address, 0.0.0.0, is connected to as loopback
    if address.is_loopback or address.is_unspecified:
        return Zone.LOOPBACK
    return Zone.ELSEWHERE


def host_of(reference: str | None) -> str:
    """Give the host that a reference to an image names, in lower case; empty if it is no address.

    The port is not part of it.
    """
    if reference is None or reference[:1] not in "hH":
        return ""
    if not reference[:8].lower().startswith(("http://", "https://")):
        return ""
    try:
        return urlsplit(reference.replace("\\", "/")).hostname or ""
    except ValueError:
        return ""


def _is_link_local_wanted() -> bool:
    return os.environ.get(LINK_LOCAL_VARIABLE) == "1"


@dataclass(frozen=True, slots=True)
class Reach:
    """Where web images may be fetched from.

    Attributes
    ----------
    hosts : frozenset of str, optional
        The hosts that the user has agreed to, in lower case. None lets a script fetch what it
        names, on this computer too.
    link_local : bool
        Whether link-local addresses may be asked, where clouds keep a machine's secrets. By
        default only if the environment variable ORANGE_IMAGE_LINK_LOCAL is 1.
    """

    hosts: frozenset[str] | None = None
    link_local: bool = field(default_factory=_is_link_local_wanted)

    def refusal(self, named: str, looked_up: str = "") -> str:
        """Say why nothing is fetched from a host that a reference names; empty if it may be.

        Parameters
        ----------
        named : str
            The host, as people read it.
        looked_up : str
            The same in ASCII ("xn--..."): who wrote it so has agreed to it so.
        """
        if self.hosts is not None and self.hosts.isdisjoint((named.lower(), looked_up)):
            return f"you have not agreed that images are fetched from {named}"
        return self.refusal_of_step(named, named, None)

    def refusal_of_step(self, named: str, host: str, peer: str | None) -> str:
        """Say why a step on the way to an image is not taken; empty if it may be.

        Parameters
        ----------
        named : str
            The host that the reference names.
        host : str
            The host that is to be asked now: another one after a redirect.
        peer : str or None
            The IP address that it has, once that is known.
        """
        found = {zone(host), zone(peer or host)}
        leads = f"{host} is" if peer in (None, host) else f"{host} leads to"
        if Zone.LINK_LOCAL in found and not self.link_local:
            return (
                f"{leads} {Zone.LINK_LOCAL.value}, which nothing is fetched from unless the "
                f"environment variable {LINK_LOCAL_VARIABLE} is 1"
            )
        if Zone.LOOPBACK in found and zone(named) is not Zone.LOOPBACK:
            # A script may know this computer by another name of its own.
            if self.hosts is None and host == named:
                return ""
            return f"{leads} {Zone.LOOPBACK.value}, which the reference does not name"
        return ""
