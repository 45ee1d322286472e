"""What belongs to the user and not to a workflow: servers, tokens, consent to send and to fetch.

A workflow from a stranger must not upload anybody's images, nor tell a web server who opens it, so
none of this is in workflow files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache

from AnyQt.QtCore import QObject, QSettings
from AnyQt.QtCore import pyqtSignal as Signal

from orangecontrib.imageanalytics.outcome import EmbeddingError

ORGANISATION = "Orange3-ImageEmbedding"
APPLICATION = "Image Embedding"

_ADDRESS = "server/address"
_CONSENT = "consent"
_HAS_TOKEN = "token"
_WEB = "web"
_DOWNLOADS = "downloads"
_PROVIDER = "provider"
_FOLDERS = "folders/recent"
_SAVING = "folders/saving"

#: How many folders a menu remembers.
MOST_FOLDERS = 15


class UserSettings(QObject):
    """The user's choices, in an INI file that all widgets share.

    They are read anew each time: another widget or another Orange may have changed them.
    """

    #: Something was changed in this process.
    changed = Signal()

    @property
    def server_address(self) -> str | None:
        """The embedding server's address as the user typed it; None is the public server."""
        return self._text(_ADDRESS) or None

    @server_address.setter
    def server_address(self, address: str | None) -> None:
        self._store(_ADDRESS, address or None)

    @property
    def provider(self) -> str:
        """What computes local models: "cpu" or a kind of GPU."""
        return self._text(_PROVIDER) or "cpu"

    @provider.setter
    def provider(self, provider: str) -> None:
        self._store(_PROVIDER, provider)

    @property
    def recent_folders(self) -> list[str]:
        """The folders that images were imported from, the last one first."""
        try:
            listed = json.loads(self._text(_FOLDERS) or "[]")
        except ValueError:
            return []
        return [name for name in listed if isinstance(name, str)] if type(listed) is list else []

    def remember_folder(self, folder: str) -> None:
        """Put a folder first in the list of recent ones."""
        before = self.recent_folders
        after = [folder, *(other for other in before if other != folder)][:MOST_FOLDERS]
        if after != before:
            self._store(_FOLDERS, json.dumps(after))  # a list of one would come back as a text

    def may_save_into(self, folder: str, key: str) -> bool:
        """Whether the user has chosen, on this computer, this folder in the workflow of this key.

        A workflow from a stranger names a folder, but knows no key.
        """
        return bool(key) and self._text(f"{_SAVING}/{key}") == folder

    def chose_for_saving(self, folder: str, key: str) -> None:
        """Keep that the user has chosen a folder to save into."""
        self._store(f"{_SAVING}/{key}", folder)

    def may_send_to(self, host: str) -> bool:
        """Whether the user has agreed that images are sent to this host."""
        # Nothing but the very word: Qt takes any text that is not "false" for true.
        return self._text(f"{_CONSENT}/{host}") == "true"

    def allow(self, host: str) -> None:
        """Keep that the user has agreed."""
        self._store(f"{_CONSENT}/{host}", "true")

    def forbid(self, host: str) -> None:
        """Forget that the user has agreed."""
        self._store(f"{_CONSENT}/{host}", None)

    def web_hosts(self) -> frozenset[str]:
        """Give the hosts that the user has agreed to fetch web images from."""
        settings = _settings()
        settings.sync()
        settings.beginGroup(_WEB)
        try:
            return frozenset(key for key in settings.childKeys() if settings.value(key) == "true")
        finally:
            settings.endGroup()

    def allow_fetching(self, hosts: Iterable[str]) -> None:
        """Keep that the user has agreed to fetch web images from these hosts."""
        settings = _settings()
        for host in hosts:
            settings.setValue(f"{_WEB}/{host}", "true")
        settings.sync()
        self.changed.emit()

    def may_download_from(self, host: str) -> bool:
        """Whether the user has agreed that models are downloaded from this hub."""
        return self._text(f"{_DOWNLOADS}/{host}") == "true"

    def allow_downloads(self, host: str) -> None:
        """Keep that the user has agreed."""
        self._store(f"{_DOWNLOADS}/{host}", "true")

    def has_token(self, host: str) -> bool:
        """Whether the system's keyring should have a token for this host."""
        return self._text(f"{_HAS_TOKEN}/{host}") == "true"

    def keep_token(self, host: str, token: str) -> None:
        """Put a token for a host into the system's keyring; an empty one removes it.

        Raises
        ------
        EmbeddingError
            If there is no keyring, or it refuses.
        """
        keyring = _keyring()
        if token:
            setattr(keyring, host, token)
            if getattr(keyring, host) != token:  # Orange only logs what the keyring says
                raise EmbeddingError(
                    "This computer's keyring did not take the token. Unlock or install one, or "
                    "start Orange with the token in the environment variable "
                    "ORANGE_EMBEDDING_TOKEN."
                )
        elif self.has_token(host):
            delattr(keyring, host)
        self._store(f"{_HAS_TOKEN}/{host}", "true" if token else None)

    def token(self, host: str) -> str | None:
        """Read a host's token from the system's keyring, which may take long: not for the GUI.

        Raises
        ------
        EmbeddingError
            If there should be one, and is not.
        """
        if not self.has_token(host):
            return None
        token = getattr(_keyring(), host)
        if not token:
            raise EmbeddingError(
                f"The token for {host} cannot be read from this computer's keyring. Unlock the "
                "keyring, or enter the token once more."
            )
        return str(token)

    def _text(self, key: str) -> str:
        settings = _settings()
        settings.sync()
        value = settings.value(key)
        return value if isinstance(value, str) else ""

    def _store(self, key: str, value: str | None) -> None:
        settings = _settings()
        if value is None:
            settings.remove(key)
        else:
            settings.setValue(key, value)
        settings.sync()
        self.changed.emit()


@lru_cache(maxsize=1)
def user_settings() -> UserSettings:
    """Give the one that all widgets share, so that each hears what another changes."""
    return UserSettings()


def _settings() -> QSettings:
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, ORGANISATION, APPLICATION
    )


def _keyring() -> object:
    from Orange.widgets.credentials import CredentialManager

    return CredentialManager("Image Embedding")
