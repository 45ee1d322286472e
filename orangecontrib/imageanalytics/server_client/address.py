"""Addresses of embedding servers: which one is used, and in what form."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from orangecontrib.imageanalytics.outcome import ServerSettingError

DEFAULT_SERVER = "https://api.garaza.io/"
ADDRESS_VARIABLE = "ORANGE_EMBEDDING_API_URL"
TOKEN_VARIABLE = "ORANGE_EMBEDDING_TOKEN"

#: What addresses of servers that speak KServe v2 begin with, before http:// or https://.
PREFIX = "kserve+"

_PORTS = {"http": 80, "https": 443}


def server_address(server_url: str | None = None) -> str:
    """Choose the embedding server, and check the form of its address.

    Parameters
    ----------
    server_url : str, optional
        An address such as ``http://localhost:8080`` or ``https://example.org/embedding``, or, for
        a server that speaks KServe v2, ``kserve+https://example.org:8000``. The
        environment variable ORANGE_EMBEDDING_API_URL wins over it; without either it is the
        public server.

    Returns
    -------
    str
        The address in one canonical form, ending in a slash.

    Raises
    ------
    ServerSettingError
        If it is not an address of a server; the text says what is wrong.
    """
    address = (os.environ.get(ADDRESS_VARIABLE) or server_url or DEFAULT_SERVER).strip()

    def wrong(why: str) -> ServerSettingError:
        return ServerSettingError(
            f"The embedding server's address {address!r} {why}. "
            f"It should be like {DEFAULT_SERVER} or http://localhost:8080/."
        )

    prefix = PREFIX if address[: len(PREFIX)].lower() == PREFIX else ""
    try:
        parts = urlsplit(address[len(prefix) :])
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong(f"cannot be read ({error})") from None
    if parts.scheme not in _PORTS:
        raise wrong("does not begin with http:// or https://")
    if not host or any(c.isspace() or not c.isprintable() or c in '\\<>"' for c in address):
        raise wrong("names no server")
    if parts.username is not None or parts.password is not None:
        # a password in an address ends up in messages and logs
        address = address.replace(parts.netloc.rpartition("@")[0], "...")
        raise wrong("holds a user name or a password; use a token instead")
    if parts.query or parts.fragment:
        raise wrong("has something after its path ('?' or '#')")
    netloc = f"[{host}]" if ":" in host else host
    if port not in (None, _PORTS[parts.scheme]):
        netloc += f":{port}"
    return f"{prefix}{parts.scheme}://{netloc}{parts.path.rstrip('/')}/"


def is_kserve(address: str | None) -> bool:
    """Whether an address is that of a server that speaks KServe v2."""
    return address is not None and address.strip().lower().startswith(PREFIX)


def server_name(address: str) -> str:
    """Name the server of an address for people: its host, with the port if that is unusual."""
    return urlsplit(address).netloc


def is_exposed(address: str) -> bool:
    """Whether others on the way can read what is sent: no TLS, and not this computer."""
    parts = urlsplit(address.removeprefix(PREFIX))
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")
