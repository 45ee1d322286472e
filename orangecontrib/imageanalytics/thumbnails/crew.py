"""One thread that works through whatever there is to do, and others while it is held up.

Several threads that compute beside each other do not get more done in Python, but each of them
takes the interpreter's lock from a window's thread again and again: while 220 screens were scrolled
past, the window waited 118 times for longer than 16 ms with three of them, and 13 times with one.
Yet a drive that does not answer must not keep the rest waiting.
"""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Threads at most; all but one are held up then.
_MOST = 8
#: Seconds in which a step should be done; else another thread does the next one. Reading what is
#: in the cache takes a thousandth, a look at a file on a network some thousandths.
_PATIENCE = 0.05
#: When a thread that waits for something to do has begun with it.
_WAITS = float("inf")


class Crew:
    """Threads that take steps; they begin with the first `ring`.

    Parameters
    ----------
    name : str
        Of the threads.
    step : callable
        Does what is to be done next; says whether there was anything. It must not raise.
    is_idle : callable
        Whether there is nothing to do, and nothing to wait for.
    end : callable
        Called in each thread when it ends after `close`.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        is_idle: Callable[[], bool],
        end: Callable[[], None],
    ) -> None:
        self._name = name
        self._step = step
        self._is_idle = is_idle
        self._end = end
        self._closed = False
        # Queues, as whoever rings must not wait: neither for a lock nor for the one who wakes up.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._watch_bell: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._begun: dict[int, float] = {}  # when each thread began with its step

    def wake(self) -> None:
        """Say that there is something to do, of which more may follow; from one thread."""
        if self._closed:
            return
        if not self._begun:
            self._add()
            self._start(self._watch)
        _ring(self._watch_bell)
        self.ring()

    def ring(self) -> None:
        """Say that there may be something to do now; from any thread."""
        _ring(self._bell)

    def close(self) -> None:
        """Let all threads end with their step."""
        self._closed = True
        _ring(self._bell)
        _ring(self._watch_bell)

    def _start(self, target: Callable[[], None]) -> int | None:
        thread = threading.Thread(target=target, name=self._name, daemon=True)
        thread.start()
        return thread.ident

    def _add(self) -> None:
        with self._lock:
            ident = self._start(self._work)
            assert ident is not None
            self._begun[ident] = time.monotonic()

    def _work(self) -> None:
        me = threading.get_ident()
        while not self._closed:
            with self._lock:
                self._begun[me] = time.monotonic()
            if self._step():
                continue
            with self._lock:
                if any(begun == _WAITS for begun in self._begun.values()):
                    del self._begun[me]
                    return
                self._begun[me] = _WAITS
            self._bell.get()
        _ring(self._bell)  # for the next one
        self._end()

    def _watch(self) -> None:
        while not self._closed:
            self._watch_bell.get()
            while not self._closed and not self._is_idle():
                time.sleep(_PATIENCE)
                self._look()
        self._end()

    def _look(self) -> None:
        """Add a thread if all that there are have been held up."""
        late = time.monotonic() - _PATIENCE
        with self._lock:
            is_held_up = all(begun < late for begun in self._begun.values())
        if is_held_up and len(self._begun) < _MOST:
            self._add()


def _ring(bell: SimpleQueue[None]) -> None:
    if bell.empty():  # once is enough: who wakes up does all there is to do
        bell.put(None)
