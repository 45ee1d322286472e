"""TLS handshakes that never end, and whether the sockets are closed that are left of them."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import warnings
from collections.abc import Iterator


class NeverShakesHands:
    """A server that takes connections, and answers no TLS handshake.

    Attributes
    ----------
    url : str
        Its address.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._taken: list[socket.socket] = []
        self._greeted = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def __enter__(self) -> NeverShakesHands:
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for taken in self._taken:
            taken.close()

    def wait(self, count: int) -> None:
        """Wait until so many clients are in the middle of their handshakes."""
        for _ in range(count):
            assert self._greeted.acquire(timeout=20)

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._listener.accept()
                self._taken.append(taken)
                taken.recv(5)  # of the client's greeting
                self._greeted.release()


@contextlib.contextmanager
def no_socket_left_open() -> Iterator[None]:
    """Check that no socket is left to the garbage collector."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert not [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
