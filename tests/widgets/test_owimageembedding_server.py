"""The widget Image Embedding with a server: consent, addresses, tokens, losses; all on loopback."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pytest
from AnyQt.QtCore import QSettings, Qt
from AnyQt.QtTest import QTest

from orangecontrib.imageanalytics import server_embedder
from orangecontrib.imageanalytics.server_client.retry import Policy
from orangecontrib.imageanalytics.widgets import user_settings as module
from tests.misbehaving_server import (
    MisbehavingServer,
    after,
    always,
    every,
    hangs,
    picture,
    status,
)
from tests.pointing import click_in_list, turn_wheel
from tests.widget_case import EmbeddingWidgetTest, image_table, photo_paths, until


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring for the time of a test."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class ServerTest(EmbeddingWidgetTest):
    @pytest.fixture(autouse=True)
    def own_server(self, own_user: None):
        self.keyring, before = MemoryKeyring(), keyring.get_keyring()
        keyring.set_keyring(self.keyring)
        with MisbehavingServer() as self.server:
            self.host = f"127.0.0.1:{self.server.port}"
            self.user.server_address = self.server.url
            yield
        keyring.set_keyring(before)

    def pictures(self, n: int):
        paths = [self.folder / f"{i}.png" for i in range(n)]
        for i, path in enumerate(paths):
            path.write_bytes(picture(i))
        return image_table([str(path) for path in paths])

    def make(self, **settings: Any):
        return super().make(**({"model": "deeploc"} | settings))

    def type_address(self, widget, text: str) -> None:
        url = widget.panel.destination.url
        url.setText(text)
        url.setModified(True)
        url.editingFinished.emit()


class TestConsent(ServerTest):
    def test_nothing_is_sent_before_the_user_agrees(self):
        widget = self.make()
        self.give(widget, self.pictures(3))
        assert widget.task is None and self.shown(widget) == ["consent"]
        widget.panel.apply.click()
        assert widget.task is None and self.outputs(widget) == (None, None)
        assert self.host in widget.panel.destination.agree.text()
        said = widget.panel.destination.told
        assert "until you agree" in said and "as a JPEG of 64 x 64 pixels" in said
        assert "without its name" in said and "What is kept there is not known" in said
        assert self.server.connections == 0

    def test_agreeing_starts_the_run_also_without_auto_apply(self):
        for automatic in (True, False):
            self.user.forbid(self.host)
            widget = self.make(auto_apply=automatic)
            self.give(widget, self.pictures(3))
            widget.panel.destination.agree.click()
            self.finish(widget)
            assert len(self.outputs(widget)[0]) == 3 and self.shown(widget) == []
            said = f"You have agreed: images are sent to {self.host} while this runs."
            assert widget.panel.destination.told == said
            assert widget.panel.destination.agree.isHidden()

    def test_consent_is_the_users_and_holds_for_the_next_widget_too(self):
        self.user.allow(self.host)
        widget = self.make()
        self.give(widget, self.pictures(2))
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 2

    def test_revoking_ends_a_run_in_all_widgets_and_nothing_more_is_sent(self):
        self.server.behaviour = always(after(0.2))
        self.user.allow(self.host)
        first, second = self.make(), self.make()
        for widget in (first, second):
            self.give(widget, self.pictures(300))
        until(lambda: len(self.server.requests) > 0)
        first.panel.destination.stop.click()
        assert first.task is None and second.task is None
        until(lambda: self.server.open_connections == 0)
        sent = len(self.server.requests)
        for widget in (first, second):
            widget.panel.apply.click()
            assert self.shown(widget) == ["consent"]
        assert len(self.server.requests) == sent < 300

    def test_revoking_after_a_run_keeps_what_was_computed(self):
        self.user.allow(self.host)
        widget = self.make()
        self.give(widget, self.pictures(2))
        self.finish(widget)
        widget.panel.destination.stop.click()
        assert len(self.outputs(widget)[0]) == 2
        assert "until you agree" in widget.panel.destination.told

    def test_consent_is_for_one_host(self):
        self.user.allow(self.host)
        widget = self.make()
        self.type_address(widget, "http://localhost:1/")
        self.give(widget, self.pictures(2))
        assert widget.task is None and self.shown(widget) == ["consent"]

    def test_a_workflow_can_bring_neither_consent_nor_address(self):
        widget = self.make(
            server_address="http://evil.example/", consent=True, server_url="http://evil.example/"
        )
        self.give(widget, self.pictures(2))
        assert widget.panel.destination.host == self.host
        assert self.shown(widget) == ["consent"]
        packed = widget.settingsHandler.pack_data(widget)
        assert self.host not in repr(packed)

    def test_only_the_very_word_is_consent(self):
        for value in ("yes", "no", "1", "True", "@Invalid()"):
            settings = module._settings()
            settings.setValue(f"consent/{self.host}", value)
            settings.sync()
            assert not self.user.may_send_to(self.host)

    def test_settings_that_are_not_readable_are_no_consent(self):
        self.user.allow(self.host)
        path = module._settings().fileName()
        with open(path, "wb") as file:
            file.write(b"\x00\xff[[[consent\n=%%%")
        assert not self.user.may_send_to(self.host)

    def test_settings_are_where_tests_can_redirect_them(self):
        path = module._settings().fileName()
        assert path.startswith(str(self.folder))
        assert module._settings().format() == QSettings.Format.IniFormat

    def test_a_local_embedder_asks_nothing(self):
        widget = self.make(model="squeezenet")
        assert widget.panel.destination.told == "Images stay on this computer."
        for part in ("agree", "stop", "url", "token"):
            assert not getattr(widget.panel.destination, part).isVisibleTo(widget)


class TestDeliberateChoice(ServerTest):
    def widget_with_focus(self):
        self.user.allow(self.host)
        widget = self.make(model="squeezenet")
        self.give(widget, self.pictures(2))
        self.finish(widget)
        widget.show()
        QTest.qWaitForWindowActive(widget)
        return widget

    def test_the_wheel_never_gets_to_a_server(self):
        widget = self.widget_with_focus()
        turn_wheel(widget.panel.model, notches=-20)
        assert widget.model == "squeezenet"
        widget.panel.model.setFocus()
        for _ in range(20):
            turn_wheel(widget.panel.model, notches=-1)
            self.finish(widget)
            assert widget.panel.models[widget.model].is_local
        assert widget.model != "squeezenet"  # it turns, among those of this computer
        assert self.server.connections == 0

    def test_arrow_keys_never_get_to_a_server(self):
        widget = self.widget_with_focus()
        widget.panel.model.setFocus()
        for key in (Qt.Key.Key_Down, Qt.Key.Key_PageDown, Qt.Key.Key_End):
            QTest.keyClick(widget.panel.model, key)
            assert widget.panel.models[widget.model].is_local
            self.finish(widget)
        assert self.server.connections == 0

    def test_a_click_in_the_open_list_chooses_a_server_and_apply_sends(self):
        widget = self.widget_with_focus()
        click_in_list(widget.panel.model, "deeploc")
        assert widget.model == "deeploc" and widget.task is None
        assert widget.told == f"Press Apply to send images to {self.host}."
        self.give(widget, self.pictures(3))  # nor do new pictures start it
        widget.panel.automatically.click()
        widget.panel.automatically.click()
        assert widget.task is None and self.server.connections == 0
        widget.panel.apply.click()
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 3
        self.give(widget, self.pictures(4))  # from now on as with any other
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 4

    def test_each_choice_of_a_server_awaits_apply_anew(self):
        widget = self.widget_with_focus()
        click_in_list(widget.panel.model, "deeploc")
        widget.panel.apply.click()
        self.finish(widget)
        sent = self.server.connections
        click_in_list(widget.panel.model, "squeezenet")
        self.finish(widget)
        click_in_list(widget.panel.model, "vgg19")
        assert widget.task is None and self.server.connections == sent

    def test_without_consent_the_choice_asks_for_it_and_agreeing_sends(self):
        widget = self.make(model="squeezenet")
        self.give(widget, self.pictures(2))
        self.choose(widget, "deeploc")
        assert self.shown(widget) == ["consent"]
        widget.panel.destination.agree.click()
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 2


class TestAddress(ServerTest):
    def test_an_address_that_is_none_is_an_error_and_nothing_runs(self):
        self.user.allow(self.host)
        widget = self.make()
        self.type_address(widget, "nonsense")
        self.give(widget, self.pictures(2))
        assert widget.task is None and self.shown(widget) == ["bad_address"]
        assert widget.panel.destination.problem
        assert self.user.server_address == self.server.url
        self.type_address(widget, self.server.url)
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 2 and self.shown(widget) == []

    def test_an_empty_address_is_the_public_server(self):
        widget = self.make()
        self.type_address(widget, "")
        assert widget.panel.destination.host == "api.garaza.io"
        assert "the public server of Orange's makers" in widget.panel.destination.told
        assert self.user.server_address is None

    def test_an_address_typed_in_one_widget_holds_in_the_other(self):
        first, second = self.make(), self.make()
        self.type_address(first, "http://localhost:8080")
        assert second.panel.destination.host == "localhost:8080"
        assert second.panel.destination.url.text() == "http://localhost:8080"

    def test_garbage_in_the_settings_is_an_error_that_can_be_mended(self):
        self.user.server_address = "ftp://x y"
        widget = self.make()
        self.give(widget, self.pictures(1))
        assert self.shown(widget) == ["bad_address"]

    def test_without_encryption_the_widget_says_so(self):
        widget = self.make()
        self.type_address(widget, "http://example.org/")
        assert "not encrypted" in widget.panel.destination.told


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORANGE_EMBEDDING_API_URL", "http://localhost:9/")


@pytest.mark.usefixtures("elsewhere")
class TestAddressOfTheEnvironment(ServerTest):
    def test_it_wins_and_consent_is_for_the_host_that_is_really_used(self):
        self.user.allow(self.host)
        widget = self.make()
        self.give(widget, self.pictures(1))
        assert widget.panel.destination.host == "localhost:9"
        assert not widget.panel.destination.url.isEnabled()
        assert self.shown(widget) == ["consent"]


class TestFailures(ServerTest):
    @pytest.fixture(autouse=True)
    def less_patience(self, own_server: None, monkeypatch: pytest.MonkeyPatch):
        """Let a server be taken for lost after two seconds instead of ninety."""
        monkeypatch.setattr(server_embedder, "Policy", partial(Policy, quiet=2.0))

    def test_a_server_that_cannot_be_reached_is_named_and_squeezenet_offered(self):
        self.server.die()
        self.user.allow(self.host)
        widget = self.make()
        table = image_table(photo_paths()[:2])
        self.give(widget, table)
        self.finish(widget)
        assert self.shown(widget) == ["unreachable"]
        assert self.host in str(widget.Error.unreachable)
        assert widget.panel.instead.isVisibleTo(widget)
        widget.panel.instead.click()
        self.finish(widget)
        assert widget.model == "squeezenet" and not widget.panel.instead.isVisibleTo(widget)
        assert self.outputs(widget)[0].X.shape == (2, 1000) and self.shown(widget) == []

    def test_apply_tries_again(self):
        self.server.die()
        self.user.allow(self.host)
        widget = self.make()
        self.give(widget, self.pictures(2))
        self.finish(widget)
        self.server.come_back()
        widget.panel.apply.click()
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 2 and self.shown(widget) == []

    def test_a_server_that_refuses_is_an_error(self):
        self.server.behaviour = always(status(401))
        self.user.allow(self.host)
        widget = self.make()
        self.give(widget, self.pictures(2))
        self.finish(widget)
        assert self.shown(widget) == ["refused"] and self.host in str(widget.Error.refused)

    def test_a_server_lost_half_way_is_a_warning_and_apply_goes_on(self):
        self.server.behaviour = every(60, self.server.dying())
        self.user.allow(self.host)
        widget = self.make()
        table = self.pictures(100)
        self.give(widget, table)
        self.finish(widget)
        embedded, skipped = self.outputs(widget)
        assert self.shown(widget) == ["server_lost", "skipped"]
        assert len(embedded) + len(skipped) == 100 and len(embedded) > 0
        assert widget.panel.instead.isVisibleTo(widget)
        self.server.behaviour = MisbehavingServer().behaviour
        self.server.come_back()
        before = len(self.server.requests)
        widget.panel.apply.click()
        self.finish(widget)
        assert len(self.outputs(widget)[0]) == 100 and self.shown(widget) == []
        assert len(self.server.requests) - before == len(skipped)

    def test_a_server_that_hangs_can_be_cancelled(self):
        self.server.behaviour = always(hangs)
        self.user.allow(self.host)
        widget = self.make()
        threads = set(threading.enumerate())
        self.give(widget, self.pictures(5))
        until(lambda: len(self.server.requests) > 0)
        widget.panel.cancel.click()
        assert self.shown(widget) == ["cancelled"]
        # what is left is the widget's own thread, which waits for the next run
        until(lambda: len(set(threading.enumerate()) - threads) <= 1, 5)

    def test_the_report_names_the_server(self):
        self.user.allow(self.host)
        widget = self.make()
        self.give(widget, self.pictures(2))
        self.finish(widget)
        widget.send_report()
        assert self.server.url in widget.report_html and "DeepLoc" in widget.report_html


class TestToken(ServerTest):
    def type_token(self, widget, text: str) -> None:
        widget.panel.destination.token.setText(text)
        widget.panel.destination.token.editingFinished.emit()

    def test_a_token_goes_into_the_keyring_and_to_its_server(self):
        self.user.allow(self.host)
        widget = self.make()
        self.type_token(widget, "s3cret")
        assert widget.panel.destination.token.text() == ""
        assert "s3cret" in self.keyring.kept.values()
        assert "s3cret" not in Path(module._settings().fileName()).read_text()
        self.give(widget, self.pictures(1))
        self.finish(widget)
        assert self.server.requests[0].headers["authorization"] == "Bearer s3cret"

    def test_a_token_of_another_host_is_not_sent(self):
        self.user.keep_token("example.org", "s3cret")
        self.user.allow(self.host)
        widget = self.make()
        self.give(widget, self.pictures(1))
        self.finish(widget)
        assert "authorization" not in self.server.requests[0].headers

    def test_a_token_can_be_forgotten(self):
        widget = self.make()
        self.type_token(widget, "s3cret")
        assert widget.panel.destination.forget.isVisibleTo(widget)
        widget.panel.destination.forget.click()
        assert self.keyring.kept == {} and not self.user.has_token(self.host)
        assert not widget.panel.destination.forget.isVisibleTo(widget)

    def test_without_a_keyring_the_widget_says_what_to_do(self):
        import keyring.backends.fail

        keyring.set_keyring(keyring.backends.fail.Keyring())
        widget = self.make()
        self.type_token(widget, "s3cret")
        assert "ORANGE_EMBEDDING_TOKEN" in widget.panel.destination.complaint
        assert not self.user.has_token(self.host)

    def test_a_token_that_has_gone_from_the_keyring_is_an_error(self):
        self.user.allow(self.host)
        self.user.keep_token(self.host, "s3cret")
        self.keyring.kept.clear()
        widget = self.make()
        self.give(widget, self.pictures(1))
        self.finish(widget)
        assert self.shown(widget) == ["failed"] and self.server.requests == []
