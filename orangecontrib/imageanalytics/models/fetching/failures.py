"""Why a file of a hub could not be fetched, in words for people, and whether it may pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics.models.hub_address import address_of, hub_host
from orangecontrib.imageanalytics.outcome import (
    EmbeddingConnectionError,
    EmbeddingError,
    ModelDownloadError,
)
from orangecontrib.imageanalytics.web.fault import kind_of_status, retry_after

if TYPE_CHECKING:
    from types import ModuleType

    from orangecontrib.imageanalytics.models.model import HubFile


class Passing(Exception):
    """A failure that may pass.

    Attributes
    ----------
    error : EmbeddingError
        What to say if it does not.
    after : float, optional
        In how many seconds the hub asks to be asked again.
    """

    def __init__(self, error: EmbeddingError, after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


def put_into_words(error: Exception, file: HubFile, http: ModuleType) -> Exception:
    """Give the error for people, or a `Passing` one, for what the hub's library raised."""
    import huggingface_hub

    if isinstance(error, huggingface_hub.errors.OfflineModeIsEnabled):
        return EmbeddingConnectionError(
            f"{_named(file)} is not on this computer, and HF_HUB_OFFLINE forbids to fetch it. "
            "Take this variable away, or bring the file by hand."
        )
    answer = getattr(error, "response", None)
    if answer is not None:
        return _refusal(answer, file)
    if isinstance(error, huggingface_hub.errors.FileMetadataError):
        return ModelDownloadError(
            f"{hub_host()} does not answer as a hub of models does. If HF_ENDPOINT is set, check "
            "it; in a hotel or at an airport, sign in to the network first with a browser."
        )
    failure = EmbeddingConnectionError(
        f"{hub_host()} cannot be reached ({_reason(error)}). Check the internet connection and try "
        "again; what has arrived is kept."
    )
    return failure if isinstance(error, http.ProxyError) else Passing(failure)


def _refusal(answer: Any, file: HubFile) -> Exception:
    host, status = hub_host(), answer.status_code
    if status == 429:
        after = retry_after(answer.headers)
        when = f"in {after:.0f} seconds" if after is not None else "in some minutes"
        return Passing(
            ModelDownloadError(f"{host} is asked too often from here (429). Try again {when}."),
            after,
        )
    if kind_of_status(status).may_pass:
        return Passing(ModelDownloadError(f"{host} answers {status} now. Try again later."))
    if status in (401, 403):
        return ModelDownloadError(
            f"{host} does not give {_named(file)} to everybody ({status}). If you want it, sign in "
            f"there, accept what {_repository(file)} asks for, make a token in your settings, "
            "and start once more with the token in the environment variable HF_TOKEN."
        )
    if status == 404:
        return ModelDownloadError(
            f"There is no {address_of(file)} (404): it was moved or deleted. Look for a newer "
            "version of this add-on."
        )
    return ModelDownloadError(f"{host} answers {status} for {_named(file)}.")


def _named(file: HubFile) -> str:
    return f"{file.path} of {file.repository}"


def _repository(file: HubFile) -> str:
    return f"{hub_host()}/{file.repository}"


def _reason(error: Exception) -> str:
    """The last of the causes, on one line; else what kind of error it is."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
