"""How many requests at once a server can bear, found by trying: an adaptive limit."""

from __future__ import annotations

from orangecontrib.imageanalytics.server_client.retry import Policy

#: A limit at which the server has throttled us is tried again after this many round trips.
#: Trying each time would have a server that takes one request at once refuse every third, and
#: spend the budget for retries faster than successes fill it.
_PATIENCE = 10


class AdaptiveLimit:
    """Additive increase, multiplicative decrease (Chiu and Jain 1989).

    One more after each round trip's worth of successes, half when the server says it is too much
    or lets a deadline pass; halved once per round trip, however many of its requests say so.

    Attributes
    ----------
    value : int
        How many requests may be under way at once.
    """

    def __init__(self, policy: Policy) -> None:
        self.value = policy.first_at_once
        self._least = policy.least_at_once
        self._most = policy.most_at_once
        self._successes = 0
        self._era = 0  # ends with each halving: what was sent before tells nothing of the new limit
        self._too_much: int | None = None

    def sent(self) -> int:
        """Note that a request is sent; give the returned stamp back with its answer."""
        return self._era

    def succeeded(self, stamp: int) -> None:
        """Note that the server has dealt with a request."""
        if stamp != self._era:
            return
        self._successes += 1
        at_the_edge = self._too_much is not None and self.value + 1 == self._too_much
        if self._successes < self.value * (_PATIENCE if at_the_edge else 1):
            return
        self._successes = 0
        if self._too_much is not None and self.value >= self._too_much:
            self._too_much = None  # a whole round trip went well there: the server has recovered
        self.value = min(self._most, self.value + 1)

    def overloaded(self, stamp: int) -> None:
        """Note that a request was throttled or ran into its deadline."""
        if stamp != self._era:
            return
        self._era += 1
        self._successes = 0
        self._too_much = self.value
        self.value = max(self._least, self.value // 2)
