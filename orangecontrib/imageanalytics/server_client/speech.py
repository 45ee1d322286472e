"""What a client and an embedding server say to each other: the face that each protocol has.

The connections carry what a `Speech` composes, and give back what it reads; which protocol it is,
they do not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orangecontrib.imageanalytics.embedder import Job
    from orangecontrib.imageanalytics.server_client.retry import Failure


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes
    ----------
    url : str
        The whole address.
    body : bytes, optional
        What is posted; a request without one is a GET.
    headers : dict
        Beyond those of every request.
    """

    url: str
    body: bytes | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with a status of 2xx.

    Attributes
    ----------
    body : bytes
        Its content.
    headers : mapping
        Its headers, whose names are found in upper and lower case.
    """

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


Ask = Callable[[Request], Awaitable["Answer | Failure"]]


class Speech(Protocol):
    """A protocol, spoken with one server about one model."""

    @property
    def address(self) -> str:
        """The server's address, http or https, ending in a slash."""

    @property
    def headers(self) -> dict[str, str]:
        """What is said with every request."""

    @property
    def fingerprint(self) -> str:
        """What the vectors depend on besides the image."""

    @property
    def job(self) -> Job:
        """What makes of an image's pixels the bytes that are sent."""

    @property
    def most_at_once(self) -> int:
        """How many images one request may hold, known once `prepare` is done."""

    async def prepare(self, ask: Ask) -> Failure | None:
        """Ask the server what has to be known before the first image; say what went wrong."""

    def request(self, images: Sequence[bytes], attempt: int) -> Request:
        """Compose the request that some images are sent with; attempts are counted from 1."""

    def read(self, answer: Answer, count: int) -> list[NDArray[np.float32]]:
        """Read the embeddings of so many images, each finite and of shape (D,).

        Raises
        ------
        BadAnswer
            If the answer is none; the text says what the server did.
        """
