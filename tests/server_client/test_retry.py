"""The decisions of the embedding servers' client: each number, without any network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orangecontrib.imageanalytics.embedder import LostBecause
from orangecontrib.imageanalytics.server_client.concurrency import AdaptiveLimit
from orangecontrib.imageanalytics.server_client.health import ServerHealth
from orangecontrib.imageanalytics.server_client.retry import (
    Again,
    Budget,
    Failure,
    GiveUp,
    Policy,
    SetAside,
    Standing,
    Stop,
    Verdict,
    failed_by,
    failed_with,
)
from orangecontrib.imageanalytics.web.fault import Cause, Fault, Kind, parse_retry_after

POLICY = Policy()
FIRST = Standing(attempts=1)
NOON = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
FAULT = Failure(Kind.FAULT, "answered 500")
UNREACHABLE = Failure(Kind.UNREACHABLE, "refused the connection")


def always() -> float:
    """Chance at its longest."""
    return 1.0


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Kind.THROTTLED, [429, 503]),
        (Kind.FAULT, [408, 425, 500, 502, 504, 507, 520, 524]),
        (Kind.REJECTED, [400, 413, 415, 422]),
        (Kind.REFUSED, [301, 302, 304, 307, 308, 401, 403, 404, 405, 407, 410, 451, 501, 505, 511]),
    ],
)
def test_each_status_is_of_one_kind(kind: Kind, statuses: list[int]) -> None:
    assert {failed_with(status).kind for status in statuses} == {kind}


def test_what_stops_the_run_comes_with_advice() -> None:
    for status in (302, 401, 403, 404, 407, 410, 511):
        assert failed_with(status).advice, status


def test_a_failure_names_the_status_as_people_know_it() -> None:
    assert failed_with(503).text == "answered 503 Service Unavailable"
    assert failed_with(599).text == "answered 599"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 1.5 ", 1.5),
        ("Wed, 01 May 2024 12:01:30 GMT", 90),
        ("Wed, 01 May 2024 11:00:00 GMT", 0),
        ("Wed, 01 May 2024 14:00:10 +0200", 10),
        ("Wed, 01 May 2024 12:01:30 -0000", 90),
        (None, None),
        ("", None),
        ("-3", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("Wed, 01 May 99999999999999999999 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(header, NOON) == seconds


@settings(max_examples=50)
@given(st.text())
def test_no_retry_after_is_too_strange_to_be_read(header: str) -> None:
    seconds = parse_retry_after(header, NOON)
    assert seconds is None or seconds >= 0


def test_a_retry_after_beyond_the_limit_is_cut_to_it() -> None:
    assert POLICY.hold(failed_with(503, 1e9), FIRST, always) == 120
    assert POLICY.hold(failed_with(503, 30), FIRST, always) == 30
    assert POLICY.hold(failed_with(503), FIRST, always) == 0


def test_an_image_is_sent_three_times_and_then_given_up() -> None:
    decisions = [POLICY.after(FAULT, Standing(n), always) for n in (1, 2, 3)]
    assert decisions == [Again(0.5, 5), Again(1.0, 5), GiveUp(rejected=False)]


def test_a_throttled_image_waits_longer() -> None:
    decisions = [POLICY.after(failed_with(429), Standing(n), always) for n in (1, 2, 3)]
    assert decisions == [Again(1.0, 5), Again(2.0, 5), GiveUp(rejected=False)]


def test_delays_double_up_to_the_limit_and_are_spread_down_to_nothing() -> None:
    patient = replace(POLICY, attempts=10**6)
    delays = [patient.after(FAULT, Standing(n), always).delay for n in (1, 2, 3, 4, 5, 6, 7, 10**5)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert patient.after(FAULT, Standing(3), lambda: 0.0).delay == 0
    assert patient.after(FAULT, Standing(3), lambda: 0.25).delay == 0.5


def test_a_timeout_costs_twice_a_retry() -> None:
    assert POLICY.after(replace(FAULT, timed_out=True), FIRST, always).cost == 10


def test_retry_after_uses_up_no_attempt_while_others_come_through() -> None:
    throttled = failed_with(503, 2)
    progressing = Standing(attempts=3, progressed=True)
    assert POLICY.after(throttled, progressing, always) == Again(0, 0, counts=False)
    assert POLICY.after(throttled, Standing(1), always) == Again(0, 5)
    assert POLICY.after(throttled, Standing(3), always) == GiveUp(rejected=False)


def test_a_rejected_image_is_skipped_and_a_refusal_stops_the_run() -> None:
    assert POLICY.after(failed_with(422), FIRST, always) == GiveUp(rejected=True)
    assert POLICY.after(failed_with(401), FIRST, always) == Stop()
    barred = Failure(Kind.BARRED, "has no certificate")
    assert POLICY.after(barred, FIRST, always) == Stop(barred=True)


def test_a_server_that_goes_away_for_a_while_costs_no_image_its_attempts() -> None:
    away = Standing(attempts=3)
    assert POLICY.after(UNREACHABLE, away, always) == Again(0, 5, counts=False)
    holds = [POLICY.hold(UNREACHABLE, replace(away, outage=n), always) for n in (0, 1, 2, 9)]
    assert holds == [0.5, 1, 2, 20]


def test_a_server_that_was_never_there_costs_attempts() -> None:
    never = Standing(attempts=1, reached=False)
    assert POLICY.after(UNREACHABLE, never, always) == Again(0.5, 5)
    assert POLICY.hold(UNREACHABLE, never, always) == 0
    assert POLICY.after(UNREACHABLE, replace(never, attempts=3), always) == SetAside()


def test_the_budget_is_spent_by_retries_and_filled_by_successes() -> None:
    budget = Budget(POLICY)
    assert all(budget.spend(5) for _ in range(100))
    assert not budget.spend(5)
    for _ in range(7):
        budget.earn()
    assert budget.spend(5)
    assert budget.left == 2


def test_the_budget_never_grows_beyond_its_size() -> None:
    budget = Budget(POLICY)
    budget.earn()
    assert budget.left == 500


def succeed(limit: AdaptiveLimit, times: int) -> None:
    for _ in range(times):
        limit.succeeded(limit.sent())


def test_the_limit_grows_by_one_with_each_round_trip_of_successes() -> None:
    limit = AdaptiveLimit(POLICY)
    assert limit.value == 8
    succeed(limit, 7)
    assert limit.value == 8
    succeed(limit, 1)
    assert limit.value == 9
    succeed(limit, 9 + 10)
    assert limit.value == 11


def test_the_limit_stays_within_its_bounds() -> None:
    limit = AdaptiveLimit(POLICY)
    succeed(limit, 10_000)
    assert limit.value == 64
    for _ in range(10):
        limit.overloaded(limit.sent())
    assert limit.value == 1


def test_the_limit_is_halved_once_however_many_of_a_round_trip_complain() -> None:
    limit = AdaptiveLimit(POLICY)
    stamps = [limit.sent() for _ in range(8)]
    for stamp in stamps:
        limit.overloaded(stamp)
    assert limit.value == 4
    succeed_late = stamps[0]
    limit.succeeded(succeed_late)  # tells nothing of the new limit
    limit.overloaded(limit.sent())
    assert limit.value == 2


def test_a_limit_that_was_too_much_is_tried_again_with_patience() -> None:
    limit = AdaptiveLimit(POLICY)
    limit.overloaded(limit.sent())
    succeed(limit, 4 + 5 + 6)
    assert limit.value == 7
    succeed(limit, 69)
    assert limit.value == 7
    succeed(limit, 1)
    assert limit.value == 8
    succeed(limit, 8 + 9)  # it is not too much any more
    assert limit.value == 10


def test_a_server_is_in_doubt_at_first_and_when_nothing_comes_through() -> None:
    health = ServerHealth("example.org", POLICY)
    assert health.in_doubt
    health.has_progressed(0, embedded=True)
    for _ in range(7):
        health.has_failed(FAULT, FIRST, 0, 1)
    assert not health.in_doubt
    health.has_failed(failed_with(429), FIRST, 0, 1)  # busy, but there
    assert not health.in_doubt
    health.has_failed(FAULT, FIRST, 0, 1)
    assert health.in_doubt
    health.has_progressed(2, embedded=False)
    assert not health.in_doubt


def test_the_time_that_a_server_asks_for_is_not_held_against_it() -> None:
    health = ServerHealth("example.org", POLICY)
    health.begins_to_wait(10)
    assert health.quiet_at == 100
    health.has_failed(failed_with(503, 20), FIRST, 20, now=15)
    health.has_failed(failed_with(503, 20), FIRST, 20, now=16)  # holds one second longer
    assert health.held_until == 36
    assert health.quiet_at == 100 + 21
    for now in range(40, 1000, 100):
        health.has_failed(failed_with(503, 99), FIRST, 99, now)
    assert health.quiet_at == 100 + 120  # but not for ever
    health.has_progressed(1000, embedded=True)
    assert health.quiet_at == 1090


def test_an_outage_lasts_until_the_server_says_anything() -> None:
    health = ServerHealth("example.org", POLICY)
    health.has_progressed(0, embedded=True)
    health.has_failed(UNREACHABLE, FIRST, 0.5, 1)
    assert health.outage == 1
    known = replace(FIRST, outage_now=health.outage)  # sent before the outage was known
    assert not POLICY.judge(UNREACHABLE, known, always).is_news
    assert POLICY.judge(UNREACHABLE, known, always).image == Again(0, 0, counts=False)
    assert POLICY.judge(UNREACHABLE, replace(known, outage=1), always).is_news
    health.has_failed(UNREACHABLE, replace(FIRST, outage=1), 1, 2)
    assert health.outage == 2
    health.has_failed(FAULT, FIRST, 0, 3)
    assert health.outage == 0


def test_a_verdict_says_all_that_follows_from_a_failure() -> None:
    throttled = POLICY.judge(failed_with(503, 7), Standing(1, reached=False), always)
    assert throttled == Verdict(Again(0, 5), is_contact=True, is_news=True, slower=True, hold=7)
    never = POLICY.judge(UNREACHABLE, Standing(3, reached=False), always)
    assert never == Verdict(SetAside(), is_contact=False, is_news=True)
    rejected = POLICY.judge(failed_with(422), FIRST, always)
    assert rejected == Verdict(GiveUp(rejected=True), is_contact=True)
    assert POLICY.judge(failed_with(401), FIRST, always) == Verdict(Stop(), is_contact=True)


def test_an_image_is_set_aside_only_while_nothing_shows_that_the_server_is_there() -> None:
    last = Standing(3, reached=False)
    assert POLICY.after(UNREACHABLE, last, always) == SetAside()
    assert POLICY.after(FAULT, last, always) == GiveUp(rejected=False)


def test_why_there_was_no_answer_comes_with_advice_where_it_stops_the_run() -> None:
    for cause in Cause:
        failure = failed_by(Fault(cause, "detail"))
        stops = isinstance(POLICY.after(failure, FIRST, always), Stop)
        assert bool(failure.advice) == stops, cause


def test_messages_name_the_server_the_cause_and_the_cure() -> None:
    health = ServerHealth("example.org", POLICY)
    health.has_failed(UNREACHABLE, FIRST, 0, 1)
    assert health.never_reached() == (
        "The embedding server example.org cannot be reached: it refused the connection. "
        "Check the internet connection and the server's address, or choose a local model such as "
        "SqueezeNet."
    )
    for _ in range(3):
        health.has_progressed(2, embedded=True)
    health.has_failed(failed_with(500), FIRST, 0, 3)
    assert str(health.lost(LostBecause.FAILING)) == (
        "The embedding server example.org was lost after 3 images: too many requests have failed; "
        "the last time, it answered 500 Internal Server Error. What came through is kept: run "
        "again to go on with the rest."
    )
    refused = failed_with(401)
    assert "example.org answered 401 Unauthorized" in health.refusal(refused)
    assert "token" in health.refusal(refused)
