"""What a view wants to show now: the most urgent first, and nothing that scrolled away.

Whoever shows pictures says again and again, whole, what it wants, in the order of urgency. What
is not under way yet and no longer wanted is forgotten; so however many pictures a view runs past,
only those are decoded that it stops at.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from orangecontrib.imageanalytics.outcome import Skipped
from orangecontrib.imageanalytics.thumbnails.crew import Crew

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from concurrent.futures import Future

    from orangecontrib.imageanalytics.thumbnails.encoding import Thumbnail
    from orangecontrib.imageanalytics.thumbnails.thumbnails import Thumbnails

T = TypeVar("T")


class Requests(Generic[T]):
    """The wishes of one view.

    Parameters
    ----------
    thumbnails : Thumbnails
        What makes them; it may serve several views.
    finish : callable
        Makes of a thumbnail what the view draws; called in a thread.
    received : callable
        Called in a thread with the key, the size that was asked for, and what `finish` gave or a
        Skipped.
    failed : callable
        Called in a thread with what stops all, such as a WorkerError; nothing is wanted then.
    """

    def __init__(
        self,
        thumbnails: Thumbnails,
        finish: Callable[[Thumbnail], T],
        received: Callable[[Hashable, int, T | Skipped], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._thumbnails = thumbnails
        self._finish = finish
        self._received = received
        self._failed = failed
        self._crew = Crew("thumbnail requests", self._step, lambda: self.is_idle, self._give_up)
        # The last wish, until it is taken up; a deque, as its methods are atomic.
        self._wishes: deque[tuple[list[tuple[Hashable, Any]], int]] = deque(maxlen=1)
        self._made: deque[tuple[Hashable, int, Future[Thumbnail | Skipped]]] = deque()
        self._closed = False
        # What follows is the threads', behind the lock: who wants something never waits for it.
        self._lock = threading.Lock()
        self._wanted: deque[tuple[Hashable, Any]] = deque()
        self._size = 0
        self._under_way: dict[tuple[Hashable, int], Future[Thumbnail | Skipped] | None] = {}

    def want(self, wanted: Iterable[tuple[Hashable, Any]], size: int) -> None:
        """Say what is wanted now, in the place of what was wanted before; from one thread.

        Parameters
        ----------
        wanted : iterable of (key, reference)
            The most urgent first. What is under way in this size already need not be left out.
        size : int
            Pixels; see `Thumbnails`.
        """
        if self._closed:
            return
        self._wishes.append((list(wanted), size))
        self._crew.wake()

    @property
    def is_idle(self) -> bool:
        """Whether all that was wanted has been given."""
        with self._lock:
            return not (self._wishes or self._wanted or self._under_way)

    def close(self) -> None:
        """Want nothing any more, and give nothing."""
        self._closed = True
        self._wishes.clear()
        self._crew.close()

    # ---- in the threads

    def _step(self) -> bool:
        """Do what is most urgent; say whether there was anything to do."""
        try:
            return self._do_next()
        except BaseException as error:
            self._stop(error)
            return True

    def _do_next(self) -> bool:
        self._take_wish()
        with self._lock:
            made = self._made.popleft() if self._made else None
            wanted = None
            if made is None and self._wanted and len(self._under_way) < self._most_under_way():
                wanted, size = self._wanted.popleft(), self._size
                self._under_way[wanted[0], size] = None
        if made is not None:
            self._give(*made)
        elif wanted is not None:
            self._ask(*wanted, size)
        return made is not None or wanted is not None

    def _take_wish(self) -> None:
        if not self._wishes:
            return
        with self._lock:
            try:
                wanted, self._size = self._wishes.pop()
            except IndexError:  # another thread has
                return
            keys = {(key, self._size) for key, _ in wanted}
            self._wanted = deque(
                (key, reference)
                for key, reference in wanted
                if (key, self._size) not in self._under_way
            )
            unwanted = {
                key: future
                for key, future in self._under_way.items()
                if future is not None and key not in keys
            }
            for key in unwanted:
                del self._under_way[key]
        for future in unwanted.values():
            future.cancel()

    def _most_under_way(self) -> int:
        try:
            return self._thumbnails.capacity
        except RuntimeError:  # closed meanwhile
            return 0

    def _ask(self, key: Hashable, reference: Any, size: int) -> None:
        future = self._thumbnails.request(reference, size)
        with self._lock:
            if (key, size) in self._under_way:
                self._under_way[key, size] = future
        future.add_done_callback(lambda done: self._note(key, size, done))

    def _note(self, key: Hashable, size: int, done: Future[Thumbnail | Skipped]) -> None:
        self._made.append((key, size, done))
        self._crew.ring()

    def _give(self, key: Hashable, size: int, done: Future[Thumbnail | Skipped]) -> None:
        try:
            if not done.cancelled():
                outcome = done.result()
                result = outcome if isinstance(outcome, Skipped) else self._finish(outcome)
                if not self._closed:
                    self._received(key, size, result)
        finally:
            with self._lock:
                if self._under_way.get((key, size)) is done:
                    del self._under_way[key, size]
            self._crew.ring()  # there is room for another one

    def _give_up(self) -> None:
        """Forget all that is wanted and under way."""
        with self._lock:
            self._wanted.clear()
            self._made.clear()
            unwanted = [future for future in self._under_way.values() if future is not None]
            self._under_way.clear()
        for future in unwanted:
            future.cancel()

    def _stop(self, error: BaseException) -> None:
        self._give_up()
        if not self._closed:
            self._failed(error)
