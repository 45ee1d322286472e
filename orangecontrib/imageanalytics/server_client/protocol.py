"""What is said to an embedding server.

    POST {server}/image/{model}?machine={id}&session={id}&retry={attempt}
    Content-Type: image/jpeg

with the image, squashed to the model's size, as JPEG; the answer is ``{"embedding": [floats]}``,
an empty list meaning that this image cannot be embedded. It is the protocol of Orange's public
server; `answer.py` reads the answers. `JpegJob` runs in worker processes: nothing here
imports Orange, Qt or httpx.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orangecontrib.imageanalytics.decoding import pixels
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.outcome import ServerSettingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_SERVER = "https://api.garaza.io/"
ADDRESS_VARIABLE = "ORANGE_EMBEDDING_API_URL"
TOKEN_VARIABLE = "ORANGE_EMBEDDING_TOKEN"

#: The server counts its users by these; drawn anew by each process, they identify nobody.
_MACHINE = secrets.token_hex(8)
_SESSION = secrets.token_hex(8)

#: What `pixels.encode_jpeg` makes; a change gives other vectors.
_ENCODING = "JPEG 95 4:4:4"

_PORTS = {"http": 80, "https": 443}


def server_address(server_url: str | None = None) -> str:
    """Choose the embedding server, and check the form of its address.

    Parameters
    ----------
    server_url : str, optional
        An address such as ``http://localhost:8080`` or ``https://example.org/embedding``. The
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

    try:
        parts = urlsplit(address)
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
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}/"


def server_name(address: str) -> str:
    """Name the server of an address for people: its host, with the port if that is unusual."""
    return urlsplit(address).netloc


def is_exposed(address: str) -> bool:
    """Whether others on the way can read what is sent: no TLS, and not this computer."""
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


def request_url(address: str, model: str, attempt: int) -> str:
    """Compose the address that an image is posted to; attempts are counted from 1."""
    return f"{address}image/{model}?machine={_MACHINE}&session={_SESSION}&retry={attempt}"


def request_headers(address: str, token: str | None) -> dict[str, str]:
    """Compose the headers of each request.

    Raises
    ------
    ServerSettingError
        If the token holds characters that cannot be sent.
    """
    # uncompressed: an answer then takes no more memory than was received
    headers = {"Content-Type": "image/jpeg", "Accept-Encoding": "identity"}
    if token:
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ServerSettingError(
                f"The token for the embedding server {server_name(address)} holds spaces, line "
                "breaks or letters that a token cannot hold. Copy it once more."
            )
        headers["Authorization"] = f"Bearer {token}"
    return headers


def fingerprint(address: str, model: str, size: tuple[int, int]) -> str:
    """Identify what vectors of this server's model depend on, besides the image."""
    height, width = size
    return f"{address} {model} {width}x{height} {_ENCODING} pixels {pixels.VERSION}"


@dataclass(frozen=True)
class JpegJob:
    """What the isolated process does for a server: pixels to JPEG.

    Attributes
    ----------
    fit : Squash
        The model's size.
    """

    fit: Squash

    def prepare(self) -> None:
        """Encode once, so that Pillow's codecs are loaded before the first image comes."""
        import numpy as np

        self(np.zeros((8, 8, 3), np.uint8))

    def __call__(self, image: NDArray[np.uint8]) -> bytes:
        """Encode pixels, uint8 [H, W, 3]."""
        return pixels.encode_jpeg(image)
