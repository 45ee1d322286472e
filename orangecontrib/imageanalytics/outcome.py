"""What becomes of one image (an `Outcome`), and what stops a whole run (an `EmbeddingError`).

An image that cannot be embedded is data: it comes back as `Skipped`, and the run goes on.
Exceptions are for what makes the whole run impossible:

    EmbeddingError
    ├── UnknownModelError      (ValueError)       no such model in the catalogue
    ├── InputTypeError         (TypeError)        the input is not of a kind that can be embedded
    ├── ColumnError            (ValueError)       the table has no such column of images
    ├── ComputedColumnError    (ValueError)       a column of an embedding cannot compute itself
    ├── ModelFileError                            a model's file is missing, broken or unusable
    │   └── MissingModelError                     it has to be downloaded first
    ├── ModelDownloadError                        a model's files cannot be had from the hub
    ├── WorkerError                               the process that computes cannot start
    ├── ServerSettingError     (ValueError)       the server's address or token cannot be used
    ├── ServerRefusedError                        the server answers, and will not do it
    └── EmbeddingConnectionError (ConnectionError)  the server or hub cannot be reached
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Reason(StrEnum):
    """Why an image was skipped; the value is how a person reads it."""

    NO_IMAGE = "no image given"
    NOT_FOUND = "not found"
    NOT_READABLE = "not readable"
    NOT_A_FILE = "not a file"
    NOT_AN_IMAGE = "not an image"
    DAMAGED = "damaged"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported format"
    NOT_DOWNLOADED = "could not be downloaded"
    CRASHED = "crashed the decoder"
    REJECTED = "rejected by the server"
    SERVER_FAILED = "server failed"

    @property
    def explanation(self) -> str:
        """One sentence for people: what this reason means and what can be done."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Reason.NO_IMAGE: "The row names no image: its value is missing.",
    Reason.NOT_FOUND: "There is no file of this name; it may have been moved, renamed or deleted.",
    Reason.NOT_READABLE: "The file is there, but may not or cannot be read by this user.",
    Reason.NOT_A_FILE: "The name belongs to a folder, a device or a pipe, not to a regular file.",
    Reason.NOT_AN_IMAGE: "The content is not an image of any known format, whatever its name says.",
    Reason.DAMAGED: "The image is incomplete or corrupt; a part of it would have to be guessed.",
    Reason.TOO_LARGE: "The file or the picture is larger than the limits allow.",
    Reason.UNSUPPORTED: "The format is known, but cannot be read here.",
    Reason.NOT_DOWNLOADED: "The image could not be fetched from its web address.",
    Reason.CRASHED: "Decoding the image crashed the worker process or took too long.",
    Reason.REJECTED: "The embedding server answered that it cannot embed this image.",
    Reason.SERVER_FAILED: "The embedding server gave no usable answer; try again later.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """An image's embedding.

    Attributes
    ----------
    vector : ndarray of shape (D,), float32
        The activations of the model's embedding layer; D is the model's dimension.
    """

    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that could not be embedded, and why.

    Attributes
    ----------
    reason : Reason
        The kind of fault.
    detail : str
        What exactly happened to which file or address; may be empty.
    """

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


Outcome = Embedded | Skipped


class EmbeddingError(Exception):
    """Something that stops the whole run; the base of all errors raised on purpose here."""


class UnknownModelError(EmbeddingError, ValueError):
    """There is no model of this name."""


class InputTypeError(EmbeddingError, TypeError):
    """The input is not of a type that can be embedded."""


class ColumnError(EmbeddingError, ValueError):
    """The table has no such column of images."""


class ComputedColumnError(EmbeddingError, ValueError):
    """A column of an embedding cannot be computed for pictures that a model is given."""


class ModelFileError(EmbeddingError):
    """A model's file is missing, broken, or not one that gives a vector per image."""


class MissingModelError(ModelFileError):
    """A model that can be downloaded is not on this computer."""


class ModelDownloadError(EmbeddingError):
    """A model's files are refused by the hub, not what they should be, or find no room here."""


class WorkerError(EmbeddingError):
    """The process that decodes and computes cannot be started."""


class ServerSettingError(EmbeddingError, ValueError):
    """The server's address or token is not of a form that can be used."""


class ServerRefusedError(EmbeddingError):
    """The server was reached and refuses what is asked for; trying again would not help."""


class EmbeddingConnectionError(EmbeddingError, ConnectionError):
    """The server cannot be reached at all."""
