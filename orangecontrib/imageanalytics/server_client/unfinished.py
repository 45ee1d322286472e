"""The futures of one run that are not resolved yet, and how they all end at once."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Union

from orangecontrib.imageanalytics.embedder import Lost, Result
from orangecontrib.imageanalytics.outcome import Reason, Skipped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: An embedding, float32 of shape (D,), or why there is none.
Payload = Union["NDArray[np.float32]", Skipped]

#: Why a run ended before its last image: an error, or a server that was lost.
End = Exception | Lost


class Unfinished:
    """Promises of a `Result` that are kept once, by whichever thread comes first.

    All methods may be called from any thread.

    Attributes
    ----------
    end : Exception or Lost, optional
        Why the run ended early, if it did.
    """

    def __init__(self) -> None:
        self.end: End | None = None
        self._lock = threading.Lock()
        self._cancelled = False
        self._promises: set[Promise] = set()

    def promise(self) -> Promise:
        """Make a new promise; after the run's end it is resolved at once."""
        promise = Promise(self)
        with self._lock:
            end, cancelled = self.end, self._cancelled
            if end is None and not cancelled:
                self._promises.add(promise)
                return promise
        if cancelled:
            promise.future.cancel()
        elif end is not None:
            promise.resolve_with_end(end)
        return promise

    def end_with(self, why: End) -> None:
        """End the run: an error fails all promises, a lost server skips all images."""
        for promise in self._take_all(why):
            promise.resolve_with_end(why)

    def cancel(self) -> None:
        """Cancel all promises, those still to be made as well."""
        with self._lock:
            self._cancelled = True
        for promise in self._take_all(None):
            promise.future.cancel()

    def take(self, promise: Promise) -> bool:
        """Claim the right to resolve a promise; False if another thread has it."""
        with self._lock:
            if promise not in self._promises:
                return False
            self._promises.remove(promise)
        return True

    def _take_all(self, why: End | None) -> list[Promise]:
        with self._lock:
            if self.end is None:
                self.end = why
            promises = list(self._promises)
            self._promises.clear()
        return promises


class Promise:
    """One image's future, and what the engine has found out about the image so far."""

    def __init__(self, unfinished: Unfinished) -> None:
        self.future: Future[Result] = Future()
        self.encoded: Result | None = None
        self._unfinished = unfinished

    def resolve(self, payload: Payload) -> None:
        """Resolve it with what became of the image, unless that is done."""
        if self._unfinished.take(self):
            self._set(payload)

    def fail(self, error: BaseException) -> None:
        """Fail it, unless it is resolved."""
        if self._unfinished.take(self) and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    def cancel(self) -> None:
        """Cancel it, unless it is resolved."""
        if self._unfinished.take(self):
            self.future.cancel()

    def resolve_with_end(self, why: End) -> None:
        """Resolve it as the run's end demands; for one that has been taken."""
        if isinstance(why, Lost):
            self._set(Skipped(Reason.SERVER_FAILED, str(why)))
        elif self.future.set_running_or_notify_cancel():
            self.future.set_exception(why)

    def _set(self, payload: Payload) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        if self.encoded is None:
            self.future.set_result(Result(payload))
        else:
            self.future.set_result(dataclasses.replace(self.encoded, payload=payload))
