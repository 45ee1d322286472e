"""Laying out, in a process of its own where it takes long, which can be ended at once.

t-SNE's libraries take a second or two to be imported, and hold the interpreter while they are; a
window would stand still. Their threads (OpenMP's) wait for each other by turning in circles unless
that is forbidden before they are loaded: on two busy cores 100 steps with 2500 vectors took 10.5 s
(2.8 s of processor time) so, and 3.4 s (1.1 s) with patience. The result is the same to the last
bit, whatever the number of threads.
"""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np

from orangecontrib.imageanalytics.arrangement.plane import AT_ONCE, METHODS, Tick
from orangecontrib.imageanalytics.outcome import EmbeddingError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
#: Seconds between two calls of `tick` while the process says nothing.
_PATIENCE = 0.1


class LayoutCrashedError(EmbeddingError):
    """The process that laid out has ended or failed, which it never should."""


def lay_out(
    vectors: NDArray[np.floating], method: str, tick: Tick = lambda done: None
) -> NDArray[np.float64]:
    """Lay vectors out on a plane: by PCA at once, by the others in a process of their own.

    Parameters
    ----------
    vectors : ndarray of shape (N, D)
        Finite numbers.
    method : str
        A key of `METHODS`.
    tick : callable
        Called with the share that is done, at least every tenth of a second, in this process and
        thread; what it raises ends the work.

    Returns
    -------
    ndarray of shape (N, 2), float64
        The same in every run, on one computer.

    Raises
    ------
    LayoutCrashedError
        The process died, for instance since there is too little memory.
    EmbeddingError
        What the method raises of its own.
    """
    if method in AT_ONCE:
        return METHODS[method](vectors, tick)
    return _apart(vectors, method, tick)


def _apart(vectors: NDArray[np.floating], method: str, tick: Tick) -> NDArray[np.float64]:
    from loky.backend import get_context

    context = get_context("loky")
    here, there = context.Pipe()
    process = context.Process(
        target=_work, args=(there, method), daemon=True, init_main_module=False, env=_ENVIRONMENT
    )
    process.start()
    there.close()
    try:
        with contextlib.suppress(BrokenPipeError):  # it has ended already, as `_received` will say
            here.send(vectors)
        return _received(here, tick)
    finally:
        process.terminate()  # loky's cannot be killed otherwise
        process.join()
        here.close()


def _received(here: Connection, tick: Tick) -> NDArray[np.float64]:
    done = 0.0
    while True:
        tick(done)
        if not here.poll(_PATIENCE):
            continue
        try:
            message = here.recv()
        except (EOFError, OSError):
            raise LayoutCrashedError(
                "The process that lays the pictures out has ended unexpectedly; there may be too "
                "little memory."
            ) from None
        if isinstance(message, float):
            done = message
        elif isinstance(message, EmbeddingError):
            raise message
        elif isinstance(message, str):
            raise LayoutCrashedError(f"Laying the pictures out failed: {message}")
        else:
            points: NDArray[np.float64] = message
            return points


def _work(there: Connection, method: str) -> None:
    """Lay out, in the other process; it ends when nobody listens any more."""
    try:
        answer: Any = METHODS[method](there.recv(), lambda done: there.send(float(done)))
    except (BrokenPipeError, EOFError):
        return
    except EmbeddingError as error:
        answer = error
    except Exception:  # handed on, as a text: another process may not be able to read it
        answer = traceback.format_exc(limit=-3)
    with contextlib.suppress(BrokenPipeError):
        there.send(answer)
