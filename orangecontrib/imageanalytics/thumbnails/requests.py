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

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from concurrent.futures import Future

    from orangecontrib.imageanalytics.thumbnails.encoding import Thumbnail
    from orangecontrib.imageanalytics.thumbnails.thumbnails import Thumbnails

T = TypeVar("T")

#: Threads that look at files and at the cache, and decode thumbnails: what is in the cache costs
#: 0.1 ms there and 0.2 to decode, and a drive that does not answer holds up only one of them.
_THREADS = 3
#: Seconds after which an idle thread ends.
_IDLE = 5.0


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
        self._changed = threading.Condition()
        self._wanted: deque[tuple[Hashable, Any]] = deque()
        self._size = 0
        self._under_way: dict[tuple[Hashable, int], Future[Thumbnail | Skipped] | None] = {}
        self._made: deque[tuple[Hashable, int, Future[Thumbnail | Skipped]]] = deque()
        self._threads = 0
        self._closed = False

    def want(self, wanted: Iterable[tuple[Hashable, Any]], size: int) -> None:
        """Say what is wanted now, in the place of what was wanted before.

        Parameters
        ----------
        wanted : iterable of (key, reference)
            The most urgent first. What is under way in this size already need not be left out.
        size : int
            Pixels; see `Thumbnails`.
        """
        with self._changed:
            if self._closed:
                return
            keys = set()
            self._wanted = deque()
            for key, reference in wanted:
                keys.add((key, size))
                if (key, size) not in self._under_way:
                    self._wanted.append((key, reference))
            self._size = size
            unwanted = [
                future
                for key, future in self._under_way.items()
                if future is not None and key not in keys
            ]
            for _ in range(min(len(self._wanted), _THREADS) - self._threads):
                threading.Thread(target=self._work, name="thumbnail requests", daemon=True).start()
                self._threads += 1
            self._changed.notify_all()
        for future in unwanted:  # outside of the lock: a callback takes it
            future.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether all that was wanted has been given."""
        with self._changed:
            return not (self._wanted or self._under_way)

    def close(self) -> None:
        """Want nothing any more, and give nothing."""
        with self._changed:
            self._closed = True
            self._wanted.clear()
            self._made.clear()
            unwanted = [future for future in self._under_way.values() if future is not None]
            self._under_way.clear()
            self._changed.notify_all()
        for future in unwanted:
            future.cancel()

    # ---- in the threads

    def _work(self) -> None:
        while (step := self._next()) is not None:
            try:
                step()
            except BaseException as error:
                self._stop(error)

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do; None if the thread is to end."""
        with self._changed:
            while True:
                if self._closed:
                    self._threads -= 1
                    return None
                if self._made:
                    key, size, future = self._made.popleft()
                    return lambda: self._give(key, size, future)
                if self._wanted and len(self._under_way) < self._most_under_way():
                    key, reference = self._wanted.popleft()
                    size = self._size
                    self._under_way[key, size] = None
                    return lambda: self._ask(key, reference, size)
                if not self._changed.wait(_IDLE) and not self._under_way:
                    self._threads -= 1
                    return None

    def _most_under_way(self) -> int:
        try:
            return self._thumbnails.capacity
        except RuntimeError:  # closed meanwhile
            return 0

    def _ask(self, key: Hashable, reference: Any, size: int) -> None:
        future = self._thumbnails.request(reference, size)
        with self._changed:
            if (key, size) in self._under_way:
                self._under_way[key, size] = future
        future.add_done_callback(lambda done: self._queue(key, size, done))

    def _queue(self, key: Hashable, size: int, done: Future[Thumbnail | Skipped]) -> None:
        with self._changed:
            if done.cancelled() or self._closed:
                self._under_way.pop((key, size), None)
            else:
                self._made.append((key, size, done))
            self._changed.notify()

    def _give(self, key: Hashable, size: int, done: Future[Thumbnail | Skipped]) -> None:
        try:
            outcome = done.result()
            result = outcome if isinstance(outcome, Skipped) else self._finish(outcome)
            if not self._closed:
                self._received(key, size, result)
        finally:
            with self._changed:
                self._under_way.pop((key, size), None)
                self._changed.notify()

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            was_closed = self._closed
            self._wanted.clear()
            self._made.clear()
            unwanted = [future for future in self._under_way.values() if future is not None]
            self._under_way.clear()
        for future in unwanted:
            future.cancel()
        if not was_closed:
            self._failed(error)
