"""What both speakers of HTTP share: a loop of their own, how to connect, what an error is from.

Orange's canvas and Jupyter run an event loop in the main thread, where `asyncio.run` raises;
a loop of our own works everywhere, and can be ended at any moment.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from orangecontrib.imageanalytics import __version__
from orangecontrib.imageanalytics.daemon_threads import DaemonThreads

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Iterator

    #: Told by httpcore what a request is at.
    Trace = Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]

_log = logging.getLogger(__name__)

T = TypeVar("T")

USER_AGENT = f"Orange3-ImageEmbedding/{__version__}"

#: How long `LoopThread.close` waits for cancelled work to let go of its sockets, in seconds, and
#: how long that may take in its thread: some hundredths on an idle computer, more on a busy one.
_WAITING, _CLOSING = 0.5, 5.0


def tls_context() -> ssl.SSLContext:
    """Make a TLS context that trusts what the operating system trusts.

    Companies and schools add their own certificate authorities there; certifi's list, the
    default of httpx, does not know them. One context can serve any number of connections.
    """
    import ssl

    # On Linux truststore reads OpenSSL's own file of certificates (where there is one) anew for
    # each connection: 25 ms of the event loop each time. A plain context reads the same file once.
    if sys.platform == "linux" and ssl.get_default_verify_paths().cafile is not None:
        return ssl.create_default_context()

    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all it came from; anyio groups those of a host's several addresses."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        waiting.extend(cause for cause in (error.__cause__, error.__context__) if cause)


def through_proxy(scheme: str, netloc: str) -> str:
    """Name the proxy that an address is asked through, if there is one: it may be to blame."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(netloc):
        return ""
    return f" (through the proxy {proxy.rpartition('@')[2].rpartition('//')[2].rstrip('/')})"


def closing_failed_handshakes(then: Trace | None = None) -> Trace:
    """Make a `trace` extension for one request, which closes what a failed TLS handshake leaves.

    httpcore (1.0.9) closes the socket if a handshake fails or takes too long, but not if it is
    cancelled: `AnyIOStream.start_tls` catches `Exception`, which a cancellation is not. The socket
    then stays open until the garbage is collected, with the warning "unclosed socket".

    Parameters
    ----------
    then : callable, optional
        Another such extension, called afterwards with the same.
    """
    stream: Any = None

    async def trace(event: str, info: dict[str, Any]) -> None:
        nonlocal stream
        if event.endswith(".connect_tcp.complete"):
            stream = info["return_value"]
        elif event.endswith(".start_tls.failed") and stream is not None:
            await stream.aclose()
        if then is not None:
            await then(event, info)

    return trace


class LoopThread:
    """An asyncio event loop that runs in a daemon thread until it is closed."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(DaemonThreads("name look-up"))
        self._lock = threading.Lock()
        self._closed = False
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
        with self._lock:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        raise RuntimeError("The event loop is closed.")

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function on the loop, soon; nothing is called once the loop was closed."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(function, *args)

    def close(self, first: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Cancel all that runs and end the thread; may be called twice, and from any thread.

        Parameters
        ----------
        first : callable, optional
            Gives a coroutine that is run to its end before the rest is cancelled.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                asyncio.run_coroutine_threadsafe(self._finish(first), self._loop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=_WAITING)

    async def _finish(self, first: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        me = asyncio.current_task()
        try:
            async with asyncio.timeout(_CLOSING):
                if first is not None:
                    await first()
                # what is cancelled may begin something to clean up after itself
                while tasks := [task for task in asyncio.all_tasks() if task is not me]:
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
                await self._loop.shutdown_asyncgens()
        except TimeoutError:
            _log.debug("Work that was cancelled did not end within %s s", _CLOSING)
        finally:
            self._loop.stop()
