"""What both speakers of HTTP share: an event loop in a thread of its own, and how we connect.

Orange's canvas and Jupyter run an event loop in the main thread, where `asyncio.run` raises;
a loop of our own works everywhere, and can be ended at any moment.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from orangecontrib.imageanalytics import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

USER_AGENT = f"Orange3-ImageEmbedding/{__version__}"

#: How long `LoopThread.close` waits for cancelled work to let go of its sockets, in seconds.
_CLOSING = 0.1


def tls_context() -> ssl.SSLContext:
    """Make a TLS context that trusts what the operating system trusts.

    Companies and schools add their own certificate authorities there; certifi's list, the
    default of httpx, does not know them.
    """
    import ssl

    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _DaemonThreads(ThreadPoolExecutor):
    """Each call in a daemon thread: a name look-up that hangs delays neither close nor exit.

    The threads of a plain ThreadPoolExecutor are joined when the interpreter exits.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, name="name look-up", daemon=True).start()
        return future


class LoopThread:
    """An asyncio event loop that runs in a daemon thread until it is closed."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_DaemonThreads())
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop; cancelling the future cancels it.

        Raises
        ------
        RuntimeError
            If the loop was closed.
        """
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise

    def close(self) -> None:
        """Cancel all that runs and end the thread; may be called twice, and from any thread."""
        if self._loop.is_closed():
            return

        async def finish() -> None:
            me = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not me]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=_CLOSING)
            self._loop.stop()

        try:
            self.submit(finish())
        except RuntimeError:  # closed by another thread in between
            return
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5 * _CLOSING)
