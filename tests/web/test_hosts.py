"""Hosts that cannot be reached."""

from __future__ import annotations

import pytest

from orangecontrib.imageanalytics.web.failure import DownloadFailed
from orangecontrib.imageanalytics.web.hosts import ENOUGH, UnreachableHosts

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


def fail(hosts: UnreachableHosts, clock: Clock, times: int) -> None:
    for _ in range(times):
        begun = hosts.now()
        clock.now += 1
        hosts.note_failure(refused(), begun)


def test_a_host_is_given_up_after_enough_images(hosts, clock):
    fail(hosts, clock, ENOUGH - 1)
    hosts.check(HOST)
    fail(hosts, clock, 1)
    with pytest.raises(DownloadFailed, match="refuses the connection, as for other images"):
        hosts.check(HOST)
    hosts.check("https://example.org:8443")
    hosts.check("http://example.org")


def test_of_images_tried_at_the_same_time_one_counts(hosts, clock):
    begun = hosts.now()
    clock.now += 1
    for _ in range(5 * ENOUGH):
        hosts.note_failure(refused(), begun)
    hosts.check(HOST)


def test_other_failures_do_not_count(hosts, clock):
    for _ in range(2 * ENOUGH):
        clock.now += 1
        hosts.note_failure(refused(None), hosts.now())
    hosts.check(HOST)


def test_a_host_that_answered_once_is_never_given_up(hosts, clock):
    fail(hosts, clock, ENOUGH - 1)
    hosts.note_answer(HOST)
    fail(hosts, clock, 5 * ENOUGH)
    hosts.check(HOST)
