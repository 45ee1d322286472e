"""The part of the widget that says where images go, and asks before they go anywhere."""

from __future__ import annotations

import os

from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.image_embedder import (
    ADDRESS_VARIABLE,
    DEFAULT_SERVER,
    TOKEN_VARIABLE,
    is_exposed,
    server_address,
    server_name,
)
from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.widgets.controls import wrapped
from orangecontrib.imageanalytics.widgets.user_settings import user_settings

_PUBLIC = server_name(DEFAULT_SERVER)


class Destination(QGroupBox):
    """Shows, for the chosen model, where images go; the user's settings are changed here.

    Attributes
    ----------
    address : str
        The server's address in its canonical form; empty if what was typed is none.
    problem : str
        What is wrong with the address.
    """

    #: The server, the consent or the token is another one now.
    changed = Signal()
    #: The user has just agreed here that images are sent.
    agreed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Where images go", parent)
        self._is_local = True
        self._is_sending = False
        self.input_size = (0, 0)
        self.address = self.problem = ""
        self._told = _told = wrapped(self)
        self._server = QWidget(self)
        self._problem = wrapped(self)
        self.agree = QPushButton(self, autoDefault=False, clicked=self._agree)
        self.stop = QPushButton("Sto&p sending", self, autoDefault=False, clicked=self._revoke)
        self.stop.setToolTip("Ends what is running and sends nothing more until you agree again.")
        self.url = QLineEdit(placeholderText=DEFAULT_SERVER, editingFinished=self._address_typed)
        self.token = QLineEdit(
            echoMode=QLineEdit.EchoMode.Password, editingFinished=self._token_typed
        )
        self.forget = QPushButton("For&get", autoDefault=False, clicked=self._forget_token)

        token_row = QHBoxLayout()
        token_row.addWidget(self.token)
        token_row.addWidget(self.forget)
        form = QFormLayout(self._server)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("&Server:", self.url)
        form.addRow("&Token:", token_row)
        form.labelForField(token_row).setBuddy(self.token)
        layout = QVBoxLayout(self)
        for part in (_told, self.agree, self._server, self._problem, self.stop):
            layout.addWidget(part)

        self.url.setText(user_settings().server_address or "")
        user_settings().changed.connect(self._settings_changed)
        self.refresh()

    @property
    def host(self) -> str:
        """The server's name for people, by which consent and token are kept."""
        return server_name(self.address)

    @property
    def may_send(self) -> bool:
        """Whether the user has agreed that images go to this server."""
        return bool(self.address) and user_settings().may_send_to(self.host)

    @property
    def told(self) -> str:
        """The sentence on where images go."""
        return str(self._told.text())

    @property
    def complaint(self) -> str:
        """What is wrong with what was typed."""
        return str(self._problem.text())

    def show_model(self, is_local: bool, input_size: tuple[int, int] = (0, 0)) -> None:
        """Say whether the chosen model runs on this computer, and which pictures it is sent."""
        self._is_local = is_local
        self.input_size = input_size
        self.refresh()

    def refresh(self) -> None:
        """Show what holds now."""
        self._read_address()
        self._is_sending = not self._is_local and self.may_send
        self._told.setText(self._sentence())
        self._server.setHidden(self._is_local)
        self._problem.setText(self.problem)
        self._problem.setHidden(self._is_local or not self.problem)
        self.agree.setHidden(self._is_local or not self.address or self._is_sending)
        self.agree.setText(f"Send i&mages to {self.host}")
        self.stop.setHidden(not self._is_sending)
        self._show_token()

    def let_go(self) -> None:
        """Hear no more of the user's settings, which outlive this."""
        user_settings().changed.disconnect(self._settings_changed)

    def _settings_changed(self) -> None:
        before = self.address, self.problem, self._is_sending
        if not self.url.isModified():
            self.url.setText(user_settings().server_address or "")
        self.refresh()
        if not self._is_local and before != (self.address, self.problem, self._is_sending):
            self.changed.emit()

    def _read_address(self) -> None:
        typed = self.url.text().strip() or None
        named = os.environ.get(ADDRESS_VARIABLE)
        self.url.setEnabled(not named)
        self.url.setToolTip(
            f"Set by the environment variable {ADDRESS_VARIABLE}: {named}"
            if named
            else "The embedding server; yours alone, it is not saved in workflows."
        )
        try:
            self.address, self.problem = server_address(typed), ""
        except EmbeddingError as error:
            self.address, self.problem = "", str(error)

    def _sentence(self) -> str:
        if self._is_local:
            return "Images stay on this computer."
        if not self.address:
            return "Images are not sent: the server's address cannot be used."
        if self._is_sending:
            text = f"You have agreed: images are sent to {self.host} while this runs."
        else:
            height, width = self.input_size
            text = (
                f"This embedder runs on {_whose(self.host)}, which needs your images for it: each "
                f"as a JPEG of {width} x {height} pixels, without its name, its path and its "
                "metadata. What is kept there is not known here. Nothing is sent until you agree."
            )
        if is_exposed(self.address):
            text += " The connection is not encrypted: others on the way can see them."
        return text

    def _show_token(self) -> None:
        kept = bool(self.address) and user_settings().has_token(self.host)
        self.forget.setHidden(not kept)
        self.token.setEnabled(bool(self.address))
        by_variable = os.environ.get(TOKEN_VARIABLE)
        self.token.setPlaceholderText(
            "kept in this computer's keyring"
            if kept
            else f"taken from {TOKEN_VARIABLE}"
            if by_variable
            else "only if the server wants one"
        )

    def _address_typed(self) -> None:
        typed = self.url.text().strip()
        try:
            server_address(typed or None)
        except EmbeddingError:
            self._settings_changed()  # which says what is wrong; nothing is stored
            return
        self.url.setModified(False)
        if typed != (user_settings().server_address or ""):
            user_settings().server_address = typed
        else:  # it was wrong in between
            self._settings_changed()

    def _agree(self) -> None:
        if self.address:
            user_settings().allow(self.host)
            self.agreed.emit()

    def _revoke(self) -> None:
        user_settings().forbid(self.host)

    def _token_typed(self) -> None:
        if self.token.text():
            self._keep_token(self.token.text().strip())

    def _forget_token(self) -> None:
        self._keep_token("")

    def _keep_token(self, token: str) -> None:
        self.token.clear()
        try:
            user_settings().keep_token(self.host, token)
        except EmbeddingError as error:
            self._problem.setText(str(error))
            self._problem.show()
        else:
            self.changed.emit()


def _whose(host: str) -> str:
    """Name a server and, if it is the public one, what is known of it."""
    return f"{host}, the public server of Orange's makers" if host == _PUBLIC else host
