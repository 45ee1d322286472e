"""One run against an embedding server: which image is sent when, and what its answer leads to.

It decides nothing that can be decided without a network: what to do after a failure is
`retry.py`'s, how many requests there may be at once `concurrency.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from orangecontrib.imageanalytics.embedder import Lost, LostBecause
from orangecontrib.imageanalytics.outcome import (
    EmbeddingConnectionError,
    Reason,
    ServerRefusedError,
    Skipped,
)
from orangecontrib.imageanalytics.server_client.answer import AnswerLength
from orangecontrib.imageanalytics.server_client.batches import Batches
from orangecontrib.imageanalytics.server_client.concurrency import AdaptiveLimit
from orangecontrib.imageanalytics.server_client.health import ServerHealth
from orangecontrib.imageanalytics.server_client.retry import (
    Again,
    Budget,
    Chance,
    Failure,
    GiveUp,
    Policy,
    SetAside,
    Standing,
    Stop,
)
from orangecontrib.imageanalytics.server_client.unfinished import End, Payload

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Image:
    """An encoded image on its way.

    Attributes
    ----------
    number : int
        Its name in the log: a path would tell of its user.
    encoded : bytes
        What is sent.
    reply : callable
        Gets what became of it, once; never if the run ends before.
    sent, attempts : int
        How often it was sent, and how many of these count.
    """

    number: int
    encoded: bytes
    reply: Callable[[Payload], None]
    sent: int = 0
    attempts: int = 0


class ServerRun:
    """Sends images to a server until each is settled, or the run has to end.

    All methods are for the event loop's thread.

    Parameters
    ----------
    batches : Batches
        What the images are sent through.
    server : str
        The server's name, for messages.
    dimension : int
        Length of an embedding.
    policy : Policy
        All numbers.
    chance : callable
        Gives a number from 0 up to 1.
    on_end : callable
        Gets why the run ended early, once; images that are not settled then never will be.
    """

    def __init__(
        self,
        batches: Batches,
        server: str,
        dimension: int,
        policy: Policy,
        chance: Chance,
        on_end: Callable[[End], None],
    ) -> None:
        self._batches = batches
        self._server = server
        self._health = ServerHealth(server, policy)
        self._answers = AnswerLength(dimension, policy)
        self._policy = policy
        self._chance = chance
        self._on_end = on_end

        self._limit = AdaptiveLimit(policy)
        self._budget = Budget(policy)
        self._ready: deque[Image] = deque()  # those to be sent again come first
        self._requests: set[asyncio.Task[None]] = set()
        self._resting: dict[Image, asyncio.TimerHandle] = {}
        self._unreached: list[Image] = []  # attempts used up before the server was ever reached
        self._begun: set[Image] = set()  # sent at least once, not settled
        self._timers: dict[str, asyncio.TimerHandle] = {}

        self._ended = False
        self._has_warned = False

    def add(self, image: Image) -> None:
        """Send an image as soon as there is room."""
        if self._ended:
            return
        was_idle = not (self._ready or self._begun)
        self._ready.append(image)
        if was_idle:
            self._health.begins_to_wait(asyncio.get_running_loop().time())
            self._watch()
        self._send()

    def cancel(self) -> None:
        """Give up everything at once; nothing is settled any more."""
        self._ended = True
        for task in self._requests:
            task.cancel()
        self._batches.cancel()
        for timer in (*self._timers.values(), *self._resting.values()):
            timer.cancel()
        self._ready.clear()
        self._resting.clear()

    async def wait(self) -> None:
        """Wait until the requests under way have ended, their connections closed or free."""
        while self._requests:
            await asyncio.wait(self._requests)
        await self._batches.wait()

    def _end(self, why: End) -> None:
        if not self._ended:
            if isinstance(why, Lost):
                _log.warning("%s", why)
            self.cancel()
            self._on_end(why)

    def _call_at(self, name: str, when: float, function: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_at(when, function)

    # sending

    def _send(self) -> None:
        if self._ended:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._health.held_until:
            self._call_at("hold", self._health.held_until, self._send)
            return
        while self._ready and self._may_send(self._ready[0]):
            image = self._ready.popleft()
            if not (self._health.reached or "unreached" in self._timers):
                deadline = loop.time() + self._policy.unreached
                self._call_at("unreached", deadline, self._never_reached)
            self._begun.add(image)
            task = loop.create_task(self._request(image))
            self._requests.add(task)
            task.add_done_callback(self._request_done)

    def _may_send(self, image: Image) -> bool:
        if len(self._requests) >= self._limit.value:
            return False
        if self._health.outage:
            return not self._requests
        first = self._policy.first_images
        return not self._health.in_doubt or image in self._begun or len(self._begun) < first

    async def _request(self, image: Image) -> None:
        image.attempts += 1
        image.sent += 1
        stamp = self._limit.sent()
        health = self._health
        dealt_with, outage = health.dealt_with, health.outage
        answer = await self._batches.embed(
            image.encoded, image.sent, None if health.reached else self._first_contact
        )
        result = answer if isinstance(answer, Failure) else self._answers.check(answer)
        if self._ended:
            return
        if not isinstance(result, Failure):
            self._progressed(stamp, embedded=True)
            self._settle(image, result)
        else:
            progressed = health.dealt_with > dealt_with
            standing = Standing(image.attempts, progressed, health.reached, outage, health.outage)
            self._failed(image, result, stamp, standing)

    def _request_done(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._end(error if isinstance(error, Exception) else RuntimeError(repr(error)))
        self._send()

    # what an answer leads to

    def _settle(self, image: Image, payload: Payload) -> None:
        self._begun.discard(image)
        image.reply(payload)

    def _server_reached(self) -> None:
        self._health.reached = True
        if timer := self._timers.pop("unreached", None):
            timer.cancel()
        for image in self._unreached:
            image.attempts = 0
        self._ready.extendleft(reversed(self._unreached))
        self._unreached.clear()

    def _first_contact(self) -> None:
        self._server_reached()
        self._send()

    def _progressed(self, stamp: int, *, embedded: bool) -> None:
        self._server_reached()
        self._health.has_progressed(asyncio.get_running_loop().time(), embedded=embedded)
        self._limit.succeeded(stamp)
        if embedded:
            self._budget.earn()

    def _failed(self, image: Image, failure: Failure, stamp: int, standing: Standing) -> None:
        verdict = self._policy.judge(failure, standing, self._chance)
        if verdict.is_contact:
            self._server_reached()
        if verdict.slower:
            self._limit.overloaded(stamp)
        if verdict.is_news:
            now = asyncio.get_running_loop().time()
            self._health.has_failed(failure, standing, verdict.hold, now)
        match verdict.image:
            case Stop(barred):
                error = EmbeddingConnectionError if barred else ServerRefusedError
                self._end(error(self._health.refusal(failure)))
            case GiveUp(rejected=True):
                self._progressed(stamp, embedded=False)
                self._give_up(image, failure, Reason.REJECTED)
            case GiveUp():
                self._give_up(image, failure, Reason.SERVER_FAILED)
            case SetAside():
                self._set_aside(image)
            case Again() as again:
                self._again(image, failure, again)

    def _again(self, image: Image, failure: Failure, decision: Again) -> None:
        if not self._budget.spend(decision.cost):
            self._end(self._health.lost(LostBecause.FAILING))
            return
        if not decision.counts:
            image.attempts -= 1
        now = asyncio.get_running_loop().time()
        _log.debug(
            "Image %d is sent again in %.2f s (attempts used up: %d), as the server %s",
            image.number,
            max(decision.delay, self._health.held_until - now),
            image.attempts,
            failure.text,
        )
        if decision.delay:
            self._resting[image] = asyncio.get_running_loop().call_later(
                decision.delay, self._rested, image
            )
        else:
            self._ready.appendleft(image)

    def _rested(self, image: Image) -> None:
        del self._resting[image]
        self._ready.appendleft(image)
        self._send()

    def _set_aside(self, image: Image) -> None:
        self._unreached.append(image)
        if len(self._unreached) >= min(self._policy.first_images, len(self._begun)):
            self._never_reached()

    def _give_up(self, image: Image, failure: Failure, reason: Reason) -> None:
        attempts = f" ({image.sent} attempts)" if image.sent > 1 else ""
        detail = f"{self._server} {failure.text}{attempts}"
        level = logging.DEBUG if self._has_warned else logging.WARNING
        _log.log(level, "Image %d was given up: %s", image.number, detail)
        self._has_warned = True
        self._settle(image, Skipped(reason, detail))

    def _never_reached(self) -> None:
        self._end(EmbeddingConnectionError(self._health.never_reached()))

    def _watch(self) -> None:
        """Look, when it is time, whether there has been any progress."""
        if self._ended or not (self._ready or self._begun):
            self._timers.pop("quiet", None)
            return
        deadline = self._health.quiet_at
        if asyncio.get_running_loop().time() >= deadline:
            self._end(self._health.lost(LostBecause.SILENT))
        else:
            self._call_at("quiet", deadline, self._watch)
