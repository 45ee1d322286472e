"""What is said to an embedding server.

    POST {server}/image/{model}?machine={id}&session={id}&retry={attempt}
    Content-Type: image/jpeg

with the image, squashed to the model's size, as JPEG; the answer is ``{"embedding": [floats]}``,
an empty list meaning that this image cannot be embedded. It is the protocol of Orange's public
server; `answer.py` reads the answers. Servers of another protocol are spoken with as `kserve.py`
says.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics import decoding
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.outcome import ServerSettingError
from orangecontrib.imageanalytics.server_client.address import is_kserve, server_name
from orangecontrib.imageanalytics.server_client.answer import read_embedding
from orangecontrib.imageanalytics.server_client.jobs import JpegJob
from orangecontrib.imageanalytics.server_client.kserve import KServe
from orangecontrib.imageanalytics.server_client.speech import Answer, Ask, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.server_client.retry import Failure
    from orangecontrib.imageanalytics.server_client.speech import Speech

#: The server counts its users by these; drawn anew by each process, they identify nobody.
_MACHINE = secrets.token_hex(8)
_SESSION = secrets.token_hex(8)

#: What `pixels.encode_jpeg` makes; a change gives other vectors.
_ENCODING = "JPEG 95 4:4:4"


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
    headers = {"Accept-Encoding": "identity"}
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
    return f"{address} {model} {width}x{height} {_ENCODING} pixels {decoding.VERSION}"


def speech_with(address: str, model: str, fit: Squash, dimension: int, token: str | None) -> Speech:
    """Choose the protocol that a server speaks, by its address.

    Parameters
    ----------
    address : str
        As `server_address` gives it.
    model : str
        The model's name on the server.
    fit : Squash
        The size of its images.
    dimension : int
        Length of an embedding.
    token : str, optional
        For a server that asks for one.

    Raises
    ------
    ServerSettingError
        If the token holds characters that cannot be sent.
    """
    headers = request_headers(address, token)
    if is_kserve(address):
        return KServe(address, model, fit, dimension, headers)
    return OneByOne(address, model, fit, headers)


class OneByOne:
    """Speaks the public server's protocol, an image in each request; see `Speech`.

    Parameters
    ----------
    address, model, fit
        See `speech_with`.
    headers : dict
        What is said with every request.
    """

    most_at_once = 1

    def __init__(self, address: str, model: str, fit: Squash, headers: dict[str, str]) -> None:
        self.address = address
        self.headers = headers
        self.fingerprint = fingerprint(address, model, (fit.height, fit.width))
        self.job = JpegJob(fit)
        self._model = model

    async def prepare(self, ask: Ask) -> Failure | None:
        """Nothing has to be known before."""
        return None

    def request(self, images: Sequence[bytes], attempt: int) -> Request:
        """Compose the request for one image."""
        (jpeg,) = images
        url = request_url(self.address, self._model, attempt)
        return Request(url, jpeg, {"Content-Type": "image/jpeg"})

    def read(self, answer: Answer, count: int) -> list[NDArray[np.float32]]:
        """Read the one embedding.

        Raises
        ------
        BadAnswer
            If the answer holds something else.
        """
        return [read_embedding(answer.body)]
