"""Who may use the server: whoever sends its token."""

from __future__ import annotations

import hmac
import logging
import os
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

_log = logging.getLogger(__name__)


class TokenFileError(Exception):
    """The token's file cannot be used; the text says why."""


def read_token(path: Path) -> str:
    """Read the token from its file, without the line break at its end.

    Raises
    ------
    TokenFileError
        If there is no such file, or no usable token in it: never is a server open because its
        token was lost.
    """
    try:
        token = path.read_text("utf-8").strip()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise TokenFileError(f"The token's file {path} cannot be read: {reason}.") from None
    if not token:
        raise TokenFileError(f"The token's file {path} is empty. Put a long random text into it.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise TokenFileError(
            f"The token's file {path} holds more than one word, or characters other than ASCII's."
        )
    if os.name == "posix" and mode & 0o077:
        _log.warning(
            "Other users of this computer may open the token's file %s: chmod 600 it.", path
        )
    return token


class Access:
    """Lets in who sends the token; everyone if there is none."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    def check(self, request: Request) -> None:
        """Refuse a request without the token, in the same time whatever it sends instead.

        Raises
        ------
        HTTPException
            401.
        """
        if self._expected is None:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        sent = f"{scheme.title()} {token.strip()}".encode("latin-1", "replace")
        if not hmac.compare_digest(sent, self._expected):
            raise HTTPException(
                401,
                "This server asks for a token, and got none or a wrong one.",
                {"WWW-Authenticate": 'Bearer realm="embedding server"'},
            )
