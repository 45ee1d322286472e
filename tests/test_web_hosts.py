"""Hosts that cannot be reached."""

from __future__ import annotations

import pytest

from orangecontrib.imageanalytics.web_failure import DownloadFailed
from orangecontrib.imageanalytics.web_hosts import ENOUGH, REST, UnreachableHosts

HOST = "https://example.org"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hosts(clock):
    return UnreachableHosts(clock)


def refused(origin: str | None = HOST) -> DownloadFailed:
    failed = DownloadFailed("example.org refuses the connection", passing=True)
    failed.unreachable = origin
    return failed


def give_up(hosts: UnreachableHosts) -> None:
    for _ in range(ENOUGH):
        hosts.check(HOST)
        hosts.note_failure(refused())


def test_a_host_is_given_up_after_enough_images(hosts):
    give_up(hosts)
    with pytest.raises(DownloadFailed, match="refuses the connection, as for 3 images before"):
        hosts.check(HOST)
    hosts.check("https://example.org:8443")
    hosts.check("http://example.org")


def test_other_failures_do_not_count(hosts):
    for _ in range(2 * ENOUGH):
        hosts.note_failure(refused(None))
    hosts.check(HOST)


def test_an_answer_in_between_starts_the_count_anew(hosts):
    for _ in range(3):
        for _ in range(ENOUGH - 1):
            hosts.note_failure(refused())
        hosts.check(HOST)
        hosts.note_answer(HOST)


def test_now_and_then_one_image_tries_again(hosts, clock):
    give_up(hosts)
    clock.now += REST
    hosts.check(HOST)
    with pytest.raises(DownloadFailed):  # the next one does not
        hosts.check(HOST)
    hosts.note_answer(HOST)
    hosts.check(HOST)
    hosts.check(HOST)
