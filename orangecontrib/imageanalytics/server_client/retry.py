"""What to do when an embedding server gives no embedding: pure decisions, no input or output.

The loop that obeys (`server_client/run.py`) tells `Policy.judge` what failed and how the run
stands, and gets back what to do with the image (`Again`, `GiveUp`, `SetAside` or `Stop`) and with
all others. Time is a number handed in, chance a function. What failed is classified in
`web/fault.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orangecontrib.imageanalytics.web.fault import (
    Cause,
    Fault,
    Kind,
    kind_of_status,
    status_text,
)

#: Gives a number from 0 up to 1, like `random.random`.
Chance = Callable[[], float]


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


#: What its user can do about a status that stops the run.
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


#: What its user can do about a cause that stops the run.
_ADVICE_ON_CAUSES = {
    Cause.PROXY_UNUSABLE: "Check the proxy in the system's settings or in the environment "
    "variables https_proxy, http_proxy and all_proxy.",
    Cause.PROXY_REFUSES: "Ask the proxy's administrator, or choose a local model such as "
    "SqueezeNet.",
    Cause.UNTRUSTED: "Check the address and this computer's clock. If the server's certificate is "
    "your organisation's own, have it added to the system's trusted ones.",
}


def failed_with(
    status: int, retry_after: float | None = None, models: Sequence[str] = ()
) -> Failure:
    """Tell what an HTTP status that is not 2xx means here; `models` are those that it offered."""
    kind = kind_of_status(status)
    advice = ""
    if kind is Kind.REFUSED:
        advice = _REDIRECTED if status < 400 else _ADVICE.get(status, _NO_ADVICE)
        if status == 404 and models:
            advice = f"It has no model of this name. It has: {', '.join(models)}."
    return Failure(kind, f"answered {status_text(status)}", advice, retry_after)


def failed_by(fault: Fault) -> Failure:
    """Tell what it means here that there was no answer."""
    advice = _ADVICE_ON_CAUSES.get(fault.cause, _NO_ADVICE if fault.kind is Kind.REFUSED else "")
    return Failure(fault.kind, fault.text, advice, timed_out=fault.timed_out)


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
        How many rounds in a row had found a server unreachable that had been reached before, when
        the request was sent.
    outage_now : int
        How many have by now: more, if another request of the same round has brought the news.
    """

    attempts: int
    progressed: bool = False
    reached: bool = True
    outage: int = 0
    outage_now: int = 0


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
class SetAside:
    """Keep this image until the server is reached for the first time, if it ever is."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the whole run: no image can succeed; `barred` if there can be no connection at all."""

    barred: bool = False


Decision = Again | GiveUp | SetAside | Stop


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that follows from a failure.

    Attributes
    ----------
    image : Decision
        What becomes of the image.
    is_contact : bool
        Whether the failure shows that the server is there.
    is_news : bool
        Whether it tells anything of the server's health.
    slower : bool
        Whether fewer images are to be sent at once.
    hold : float
        For how many seconds nothing at all is to be sent.
    """

    image: Decision
    is_contact: bool
    is_news: bool = False
    slower: bool = False
    hold: float = 0.0


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

    def judge(self, failure: Failure, standing: Standing, chance: Chance) -> Verdict:
        """Decide all that follows from a failed request."""
        is_contact = failure.kind is not Kind.UNREACHABLE
        if self.is_outage(failure, standing) and standing.outage_now > standing.outage:
            return Verdict(Again(0.0, 0, counts=False), is_contact)
        decision = self.after(failure, standing, chance)
        if isinstance(decision, Stop) or decision == GiveUp(rejected=True):
            return Verdict(decision, is_contact)
        return Verdict(
            decision,
            is_contact,
            is_news=True,
            slower=failure.kind is Kind.THROTTLED or failure.timed_out,
            hold=self.hold(failure, standing, chance),
        )

    def after(self, failure: Failure, standing: Standing, chance: Chance) -> Decision:
        """Decide what becomes of an image whose request has failed."""
        if failure.kind in (Kind.REFUSED, Kind.BARRED):
            return Stop(barred=failure.kind is Kind.BARRED)
        if failure.kind is Kind.REJECTED:
            return GiveUp(rejected=True)
        cost = self.timeout_cost if failure.timed_out else self.retry_cost
        if self.is_outage(failure, standing):
            return Again(0.0, cost, counts=False)
        obeying = failure.kind is Kind.THROTTLED and failure.retry_after is not None
        if obeying and standing.progressed:
            return Again(0.0, 0, counts=False)
        if standing.attempts >= self.attempts:
            is_there = standing.reached or failure.kind is not Kind.UNREACHABLE
            return GiveUp(rejected=False) if is_there else SetAside()
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
