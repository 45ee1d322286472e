"""How a run finds an embedding server: there, in doubt, away for a while, or lost.

Pure bookkeeping: the time, in seconds from any beginning, is handed in.
"""

from __future__ import annotations

from orangecontrib.imageanalytics.embedder import Lost, LostBecause
from orangecontrib.imageanalytics.server_client.retry import Failure, Policy, Standing
from orangecontrib.imageanalytics.web.fault import Kind


class ServerHealth:
    """What the requests of one run have shown of the server so far.

    Parameters
    ----------
    server : str
        The server's name, for messages.
    policy : Policy
        All numbers.

    Attributes
    ----------
    reached : bool
        Whether there has been a connection to the server.
    embedded, dealt_with : int
        How many images it embedded, and how many it embedded or rejected.
    outage : int
        How many rounds in a row have found it unreachable, after it had been reached.
    held_until : float
        Nothing is to be sent before this time.
    """

    def __init__(self, server: str, policy: Policy) -> None:
        self.reached = False
        self.embedded = self.dealt_with = self.outage = 0
        self.held_until = 0.0
        self._server = server
        self._policy = policy
        self._failures_in_a_row = 0
        self._last_progress = 0.0
        self._held = 0.0  # of the seconds since the last progress, those the server asked for
        self._last_failure = Failure(Kind.UNREACHABLE, "did not answer")

    @property
    def in_doubt(self) -> bool:
        """Whether it is unknown that the server works: not many images should be risked."""
        return not self.dealt_with or self._failures_in_a_row >= self._policy.first_images

    @property
    def quiet_at(self) -> float:
        """When the server is to be taken for gone, if there is no progress until then."""
        return self._last_progress + self._patience

    @property
    def _patience(self) -> float:
        return self._policy.quiet + min(self._held, self._policy.longest_hold)

    def begins_to_wait(self, now: float) -> None:
        """Note that from now on images wait for the server."""
        self._last_progress = now
        self._held = 0.0

    def has_progressed(self, now: float, *, embedded: bool) -> None:
        """Note that the server has embedded or rejected an image."""
        self.reached = True
        self.dealt_with += 1
        self.embedded += embedded
        self._failures_in_a_row = self.outage = 0
        self.begins_to_wait(now)

    def has_failed(self, failure: Failure, standing: Standing, hold: float, now: float) -> None:
        """Note a failure, and for how many seconds it is to hold everything back."""
        self._last_failure = failure
        until = now + hold
        if self._policy.is_outage(failure, standing):
            self.outage = standing.outage + 1
        else:
            self._held += max(0.0, until - max(now, self.held_until))
        if failure.kind is not Kind.UNREACHABLE:
            self.reached = True
            self.outage = 0
        if failure.kind is not Kind.THROTTLED:
            self._failures_in_a_row += 1
        self.held_until = max(self.held_until, until)

    def refusal(self, failure: Failure) -> str:
        """Say for people that the server refuses, and what to do."""
        return f"The embedding server {self._server} {failure.text}. {failure.advice}"

    def never_reached(self) -> str:
        """Say for people that the server cannot be reached, and what to do."""
        return (
            f"The embedding server {self._server} cannot be reached: it {self._last_failure.text}."
            " Check the internet connection and the server's address, or choose a local model such"
            " as SqueezeNet."
        )

    def lost(self, because: LostBecause) -> Lost:
        """Say that the server was lost, when, and why."""
        text = self._last_failure.text
        return Lost(self._server, self.embedded, because, self._patience, text)
