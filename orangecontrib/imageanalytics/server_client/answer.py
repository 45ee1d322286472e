"""How an embedding server's answers are read: strictly."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.server_client.retry import Failure, Policy
from orangecontrib.imageanalytics.web.fault import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BadAnswer(Exception):
    """The answer is no embedding; the text says what the server did."""


def read_embedding(body: bytes) -> NDArray[np.float32]:
    """Read one answer.

    Parameters
    ----------
    body : bytes
        JSON: ``{"embedding": [floats]}``.

    Returns
    -------
    ndarray of shape (D,), float32
        The embedding; of length 0 if the server says that this image cannot be embedded.

    Raises
    ------
    BadAnswer
        If it is not JSON of this form, or holds what float32 cannot: NaN, infinity, larger
        numbers, or anything that is not a number.
    """
    import numpy as np

    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswer("answered something that is not JSON") from None
    values = answer.get("embedding") if isinstance(answer, dict) else None
    if not isinstance(values, list):
        raise BadAnswer("answered without an embedding")
    if not {type(value) for value in values} <= {float, int}:
        raise BadAnswer("answered an embedding that does not consist of numbers")
    try:
        with np.errstate(over="ignore"):
            vector = np.array(values, np.float64).astype(np.float32)
    except OverflowError:  # an integer of more than 308 digits
        raise BadAnswer("answered numbers that are too large") from None
    if not np.isfinite(vector).all():
        raise BadAnswer("answered numbers that are not finite")
    return vector


#: No more names are repeated than a message holds, and none that is none.
_MOST_NAMES = 20
_NAME = re.compile(r"[\w.+-]{1,60}")


def models_listed(body: bytes) -> list[str]:
    """Read which models a server offers instead of one that it has not; see `server.app`."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    listed = answer.get("models") if isinstance(answer, dict) else None
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    return [name for name in names if _NAME.fullmatch(name)][:_MOST_NAMES]


class AnswerLength:
    """Checks the answers of one run, which must all be of one length.

    Parameters
    ----------
    dimension : int
        Length of an embedding.
    policy : Policy
        Says how many answers of a wrong length are too many.
    """

    def __init__(self, dimension: int, policy: Policy) -> None:
        self._dimension = dimension
        self._patience: int | None = policy.wrong_lengths

    def check(self, vector: NDArray[np.float32]) -> NDArray[np.float32] | Failure:
        """Check the length of an answer; an empty one means that there is no embedding."""
        if not len(vector):
            return Failure(Kind.REJECTED, "answered that it cannot embed this image")
        if len(vector) == self._dimension:
            self._patience = None  # it runs the right model
            return vector
        text = f"answered {len(vector)} numbers where the model has {self._dimension}"
        if self._patience is not None:
            self._patience -= 1
            if self._patience <= 0:
                advice = "It runs another model under this name: check the server's address."
                return Failure(Kind.REFUSED, text, advice)
        return Failure(Kind.FAULT, text)
