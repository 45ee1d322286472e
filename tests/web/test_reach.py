"""Where web images may be fetched from."""

from __future__ import annotations

import httpx
import pytest

from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.sources import Content
from orangecontrib.imageanalytics.web.downloads import Downloads, Limits
from orangecontrib.imageanalytics.web.reach import Reach, Zone, host_of, zone
from tests.web_server import WebServer, answer, redirect

AGREED = Reach(frozenset({"pictures.example"}))
QUICK = Limits(connect=2, silence=2, total=5, tries=1)


@pytest.fixture
def server():
    with WebServer() as server:
        yield server


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("169.254.169.254", Zone.LINK_LOCAL),
        ("[fe80::1%25eth0]", Zone.LINK_LOCAL),
        ("fe80::1%eth0", Zone.LINK_LOCAL),
        ("::ffff:169.254.169.254", Zone.LINK_LOCAL),
        ("64:ff9b::a9fe:a9fe", Zone.LINK_LOCAL),
        ("2002:a9fe:a9fe::1", Zone.LINK_LOCAL),
        ("fd00:ec2::254", Zone.LINK_LOCAL),
        ("127.0.0.1", Zone.LOOPBACK),
        ("127.8.9.10", Zone.LOOPBACK),
        ("::1", Zone.LOOPBACK),
        ("0.0.0.0", Zone.LOOPBACK),
        ("::", Zone.LOOPBACK),
        ("::ffff:127.0.0.1", Zone.LOOPBACK),
        ("localhost", Zone.LOOPBACK),
        ("LocalHost.", Zone.LOOPBACK),
        ("a.localhost", Zone.LOOPBACK),
        ("192.168.1.1", Zone.ELSEWHERE),
        ("pictures.example", Zone.ELSEWHERE),
        ("", Zone.ELSEWHERE),
    ],
)
def test_how_near_a_host_is(host: str, found: Zone) -> None:
    assert zone(host) is found


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("http://Pictures.example:8080/a.png", "pictures.example"),
        ("HTTPS://anna:s3cret@pictures.example/", "pictures.example"),
        ("http:\\\\evil.example\\x.png", ""),
        ("http://[::1]/x.png", "::1"),
        ("http://[broken/x.png", ""),
        ("file:///etc/passwd", ""),
        ("C:/pictures/a.png", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_host_of_a_reference(reference: str | None, host: str) -> None:
    assert host_of(reference) == host


def test_a_script_may_fetch_what_it_names_but_from_no_link_local_address() -> None:
    reach = Reach()
    for host in ("pictures.example", "localhost", "127.0.0.1", "192.168.1.1"):
        assert reach.refusal(host) == ""
    assert "link-local" in reach.refusal("169.254.169.254")


def test_link_local_addresses_are_asked_if_that_is_wanted(monkeypatch) -> None:
    assert Reach(link_local=True).refusal("169.254.169.254") == ""
    monkeypatch.setenv("ORANGE_IMAGE_LINK_LOCAL", "1")
    assert Reach().refusal("169.254.169.254") == ""
    monkeypatch.setenv("ORANGE_IMAGE_LINK_LOCAL", "0")
    assert Reach().refusal("169.254.169.254")


def test_from_a_workflow_only_what_the_user_has_agreed_to_is_fetched() -> None:
    assert AGREED.refusal("Pictures.example") == ""
    for host in ("evil.example", "localhost", "127.0.0.1", "192.168.1.1"):
        assert "you have not agreed" in AGREED.refusal(host)
    assert Reach(frozenset({"localhost"})).refusal("localhost") == ""


@pytest.mark.parametrize("host", ["xn--bcher-kva.example", "b\u00fccher.example"])
def test_a_name_is_agreed_to_in_either_way_to_write_it(host: str) -> None:
    url = f"http://{host}/a.jpg"
    address = httpx.URL(url)
    looked_up = address.raw_host.decode()
    assert Reach(frozenset({host_of(url)})).refusal(address.host, looked_up) == ""
    assert AGREED.refusal(address.host, looked_up)


@pytest.mark.parametrize("reach", [Reach(), AGREED], ids=["script", "workflow"])
def test_a_redirect_into_this_computer_is_not_followed(reach: Reach) -> None:
    step = reach.refusal_of_step
    assert step("pictures.example", "cdn.example", "203.0.113.7") == ""
    assert "of this computer" in step("pictures.example", "localhost", None)
    assert "leads to an address of this computer" in step(
        "pictures.example", "evil.example", "127.0.0.1"
    )
    assert "link-local" in step("pictures.example", "evil.example", "169.254.169.254")
    assert step("localhost", "127.0.0.1", "127.0.0.1") == ""


def test_a_name_that_leads_to_this_computer_is_for_scripts_only() -> None:
    assert Reach().refusal_of_step("my-laptop", "my-laptop", "127.0.1.1") == ""
    assert AGREED.refusal_of_step("pictures.example", "pictures.example", "127.0.0.1")


def outcome(url: str, reach: Reach) -> Content | Skipped:
    with Downloads(limits=QUICK, reach=reach) as downloads:
        return downloads.fetch(url).result(30)  # type: ignore[return-value]


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.1", "0"])
def test_other_ways_to_write_an_address_lead_nowhere_else(server: WebServer, host: str) -> None:
    """The name that is agreed to, whatever it is, does not make it this computer's."""
    url = server.on("/x.png", answer(b"secret")).replace("127.0.0.1", host)
    skipped = outcome(url, Reach(frozenset({host})))
    assert isinstance(skipped, Skipped)
    assert skipped.reason is Reason.NOT_DOWNLOADED
    assert not server.requests


def test_a_server_on_this_computer_is_asked_if_it_is_named(server: WebServer) -> None:
    url = server.on("/x.png", answer(b"picture"))
    assert outcome(url, Reach()) == Content(b"picture")
    assert outcome(url, Reach(frozenset({"127.0.0.1"}))) == Content(b"picture")
    refused = outcome(url, AGREED)
    assert isinstance(refused, Skipped)
    assert "you have not agreed that images are fetched from 127.0.0.1" in refused.detail
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "to", ["http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/"]
)
def test_a_redirect_to_a_clouds_secrets_is_not_followed(server: WebServer, to: str) -> None:
    skipped = outcome(server.on("/x.png", redirect(to)), Reach())
    assert isinstance(skipped, Skipped)
    assert "link-local" in skipped.detail
