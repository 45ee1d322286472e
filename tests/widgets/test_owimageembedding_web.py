"""Web images in a workflow: fetched only from hosts that the user has agreed to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orangecontrib.imageanalytics.widgets.user_settings import user_settings
from orangecontrib.imageanalytics.widgets.web_consent import AT_ONCE, agree, ask
from tests.conftest import PHOTOS
from tests.web_server import WebServer, answer
from tests.widget_case import EmbeddingWidgetTest, image_table, photo_paths

LEMON = (PHOTOS / "fruit" / "lemon.png").read_bytes()


class TestWebImages(EmbeddingWidgetTest):
    @pytest.fixture(autouse=True)
    def web(self) -> Iterator[None]:
        with WebServer() as self.server:
            self.url = self.server.on("/lemon.png", answer(LEMON))
            yield

    def test_nothing_is_fetched_before_the_user_agrees_to_the_host(self) -> None:
        widget = self.make()
        self.give(widget, image_table([self.url, photo_paths()[0]]))
        self.finish(widget)
        embedded, skipped = self.outputs(widget)
        assert len(embedded) == len(skipped) == 1
        assert not self.server.requests
        assert self.shown(widget) == ["skipped", "web"]
        assert "127.0.0.1" in str(widget.Warning.web)
        assert widget.panel.fetch.isVisibleTo(widget)

        widget.panel.fetch.click()
        self.finish(widget)
        embedded, skipped = self.outputs(widget)
        assert len(embedded) == 2
        assert skipped is None
        assert len(self.server.requests) == 1
        assert self.shown(widget) == []
        assert not widget.panel.fetch.isVisibleTo(widget)

    def test_what_was_agreed_to_once_holds_for_all_workflows_but_for_no_other_host(self) -> None:
        user_settings().allow_fetching(["127.0.0.1"])
        widget = self.make()
        self.give(widget, image_table([self.url, "http://pictures.invalid/x.png"]))
        self.finish(widget)
        embedded, _ = self.outputs(widget)
        assert len(embedded) == 1
        assert widget.finished.unasked == ("pictures.invalid",)

    def test_a_workflow_cannot_agree_in_its_users_place(self) -> None:
        widget = self.make(web_hosts=["127.0.0.1"], web={"127.0.0.1": "true"})
        self.give(widget, image_table([self.url]))
        self.finish(widget)
        assert not self.server.requests

    def test_another_table_takes_the_question_away(self) -> None:
        widget = self.make()
        self.give(widget, image_table([self.url]))
        self.finish(widget)
        self.give(widget, image_table(photo_paths()[:1]))
        self.finish(widget)
        assert self.shown(widget) == []
        assert not widget.panel.fetch.isVisibleTo(widget)

    def test_of_many_hosts_three_are_named(self) -> None:
        widget = self.make()
        table = image_table([f"http://{name}.invalid/x.png" for name in "abcde"])
        self.give(widget, table)
        self.finish(widget)
        assert "a.invalid, b.invalid, c.invalid and 2 other servers" in str(widget.Warning.web)

    def test_no_host_is_agreed_to_that_the_button_has_not_named(self) -> None:
        hosts = tuple(f"photos{number:02}.example" for number in range(AT_ONCE + 2))
        widget = self.make()
        warning, button = widget.Warning.web, widget.panel.fetch
        ask(warning, button, hosts)
        named = button.toolTip().removesuffix("</qt>").split("<br>")[1:]
        rest = agree(hosts)
        assert self.user.web_hosts() == set(named) == set(hosts[:AT_ONCE])
        assert rest == hosts[AT_ONCE:]
        assert agree(rest) == agree(hosts) == ()
        assert self.user.web_hosts() == set(hosts)
        ask(warning, button, ())
        assert button.isHidden() and not warning.is_shown()
