"""What to do when an embedding server gives no embedding: pure decisions, no input or output.

The loop that obeys (`server_client/run.py`) tells `Policy.after` what failed and how the run
stands, and gets back one of `Again`, `GiveUp` and `Stop`. Time is a number handed in, chance a
function.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus

#: Gives a number from 0 up to 1, like `random.random`.
Chance = Callable[[], float]


class Kind(Enum):
    """Whose fault it is that a request brought no embedding."""

    UNREACHABLE = auto()  # no connection came about: nothing was sent
    THROTTLED = auto()  # the server is there, and has too much to do
    FAULT = auto()  # anything else that may be better next time
    REJECTED = auto()  # this image will never do; others may
    REFUSED = auto()  # no image will ever do
    BARRED = auto()  # no connection will ever do


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that brought no embedding.

    Attributes
    ----------
    kind : Kind
        Whose fault it is.
    text : str
        What the server did: a sentence without its subject.
    advice : str
        What its user can do about it, where the run has to stop.
    retry_after : float, optional
        For how many seconds the server asks to be left alone.
    timed_out : bool
        Whether a deadline passed.
    """

    kind: Kind
    text: str
    advice: str = ""
    retry_after: float | None = None
    timed_out: bool = False


_THROTTLED = frozenset({429, 503})
_REJECTED = frozenset({400, 413, 415, 422})
_AGAIN = frozenset({408, 425})
#: The 5xx that will not pass by waiting; the others (Cloudflare's 520 to 524 among them) may.
_FINAL = frozenset({501, 505, 511})

_ADVICE = {
    401: "It asks for a token: enter the one that its administrator gave you "
    "(scripts: set ORANGE_EMBEDDING_TOKEN).",
    403: "It does not let you in: ask its administrator, or check the token.",
    404: "It has no model of this name: check the server's address, or choose another model.",
    407: "The proxy between you and the server asks for a name and a password: "
    "set them in the proxy's address.",
    511: "The network asks you to sign in first: open a web page in a browser.",
}
_REDIRECTED = (
    "Redirects are not followed, so that images go nowhere else: "
    "check the server's address, and whether the network asks you to sign in first."
)
_NO_ADVICE = "Check the server's address, or choose another server or a local model."


def status_text(status: int) -> str:
    """Name an HTTP status as people know it: ``503 Service Unavailable``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def failed_with(status: int, retry_after: float | None = None) -> Failure:
    """Judge an HTTP status that is not 2xx."""
    advice = ""
    if status in _THROTTLED:
        kind = Kind.THROTTLED
    elif status in _REJECTED:
        kind = Kind.REJECTED
    elif status in _AGAIN or (status >= 500 and status not in _FINAL):
        kind = Kind.FAULT
    else:
        kind = Kind.REFUSED
        advice = _REDIRECTED if status < 400 else _ADVICE.get(status, _NO_ADVICE)
    return Failure(kind, f"answered {status_text(status)}", advice, retry_after)


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Read the header Retry-After (RFC 9110, section 10.2.3): seconds, or a date.

    Returns
    -------
    float or None
        Seconds from `now`, not negative; None without the header or if it says neither.
    """
    if header is None:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # the latter for a year of twenty digits
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands when one of its requests has failed.

    Attributes
    ----------
    attempts : int
        Attempts that this image has used up, the failed one included.
    progressed : bool
        Whether the server has dealt with another image since this request was sent.
    reached : bool
        Whether any request of this run has ever reached the server.
    outage : int
        How many rounds in a row have found a server unreachable that had been reached before.
    """

    attempts: int
    progressed: bool = False
    reached: bool = True
    outage: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """Send the image once more.

    Attributes
    ----------
    delay : float
        Seconds that this image waits.
    cost : int
        What it costs the run's budget.
    counts : bool
        Whether the failure uses up one of the image's attempts.
    """

    delay: float
    cost: int
    counts: bool = True


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Skip this image; `rejected` if the server would not have it, else attempts are used up."""

    rejected: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """End the whole run: no image can succeed."""


Decision = Again | GiveUp | Stop


@dataclass(frozen=True, slots=True)
class Policy:
    """Every number that decides how patient the client is; seconds where it is time.

    The budget is botocore's standard mode (500 tokens, 5 a retry, 10 after a timeout); full jitter
    is that of Brooker (2015), "Exponential Backoff And Jitter", AWS Architecture Blog.

    Attributes
    ----------
    attempts : int
        How often an image is sent before it is given up.
    base, throttled_base, longest_delay : float
        A retry waits from 0 to the base (the second where the server is throttling us), doubled
        with each attempt up to the longest delay.
    longest_hold : float
        The longest Retry-After that is obeyed; a longer one is cut to this.
    budget, retry_cost, timeout_cost, success_gain : int
        The run's token bucket.
    connect_timeout, request_timeout : float
        Deadlines for the connection, and for a request from beginning to end.
    longest_answer : int
        Bytes; the 4096 numbers of VGG-16 take 90 kB.
    unreached : float
        How long the first images may try to reach the server before the run is stopped.
    quiet : float
        How long requests may wait without any success before the server is taken for gone.
    first_images : int
        How many images are tried while it is in doubt whether the server works, so that an
        outage does not use up the attempts of all.
    wrong_lengths : int
        After how many answers of another length than expected, and none of the right one, the
        server is taken to run another model.
    least_at_once, first_at_once, most_at_once : int
        Simultaneous requests: the bounds, and how many at first.
    """

    attempts: int = 3
    base: float = 0.5
    throttled_base: float = 1.0
    longest_delay: float = 20.0
    longest_hold: float = 120.0
    budget: int = 500
    retry_cost: int = 5
    timeout_cost: int = 10
    success_gain: int = 1
    connect_timeout: float = 5.0
    request_timeout: float = 60.0
    longest_answer: int = 4_000_000
    unreached: float = 15.0
    quiet: float = 90.0
    first_images: int = 8
    wrong_lengths: int = 10
    least_at_once: int = 1
    first_at_once: int = 8
    most_at_once: int = 64

    def after(self, failure: Failure, standing: Standing, chance: Chance) -> Decision:
        """Decide what becomes of an image whose request has failed."""
        if failure.kind in (Kind.REFUSED, Kind.BARRED):
            return Stop()
        if failure.kind is Kind.REJECTED:
            return GiveUp(rejected=True)
        cost = self.timeout_cost if failure.timed_out else self.retry_cost
        if self.is_outage(failure, standing):
            return Again(0.0, cost, counts=False)
        obeying = failure.kind is Kind.THROTTLED and failure.retry_after is not None
        if obeying and standing.progressed:
            return Again(0.0, 0, counts=False)
        if standing.attempts >= self.attempts:
            return GiveUp(rejected=False)
        if obeying:
            return Again(0.0, cost)
        base = self.throttled_base if failure.kind is Kind.THROTTLED else self.base
        return Again(self._backoff(base, standing.attempts, chance), cost)

    def is_outage(self, failure: Failure, standing: Standing) -> bool:
        """Whether a server that had been reached is away: no fault of the image's.

        A server that is restarted is away for some seconds; three attempts last less than one.
        """
        return failure.kind is Kind.UNREACHABLE and standing.reached and not standing.progressed

    def hold(self, failure: Failure, standing: Standing, chance: Chance) -> float:
        """Tell for how many seconds nothing at all is to be sent."""
        if self.is_outage(failure, standing):
            return self._backoff(self.base, standing.outage + 1, chance)
        return min(failure.retry_after or 0.0, self.longest_hold)

    def _backoff(self, base: float, attempt: int, chance: Chance) -> float:
        # 2**16 times any sensible base is past any sensible limit
        return chance() * min(self.longest_delay, base * 2.0 ** min(attempt - 1, 16))


class Budget:
    """A token bucket that bounds what a whole run spends on retries."""

    def __init__(self, policy: Policy) -> None:
        self._size = self.left = policy.budget
        self._gain = policy.success_gain

    def spend(self, cost: int) -> bool:
        """Take tokens; False, and take none, if there are not enough."""
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def earn(self) -> None:
        """Give back what a success is worth."""
        self.left = min(self._size, self.left + self._gain)
