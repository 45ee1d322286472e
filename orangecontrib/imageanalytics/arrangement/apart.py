"""Arranging in a process of its own, which can be ended at once.

t-SNE's libraries take a second or two to be imported, and hold the interpreter while they are, as
does all that is done point by point; a window would stand still. Their threads (OpenMP's) wait for
each other by turning in circles unless that is forbidden before they are loaded: on two busy cores
100 steps with 2500 vectors took 10.5 s (2.8 s of processor time) so, and 3.4 s (1.1 s) with
patience. The result is the same to the last bit, whatever the number of threads.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from orangecontrib.imageanalytics.arrangement.cells import Grid, assign
from orangecontrib.imageanalytics.arrangement.plane import (
    AT_ONCE,
    METHODS,
    Tick,
    prepare,
    to_unit_square,
)
from orangecontrib.imageanalytics.arrangement.thinning import Places, thin
from orangecontrib.imageanalytics.outcome import EmbeddingError
from orangecontrib.imageanalytics.priority import lower_priority

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

T = TypeVar("T")

#: How much of the whole the way to the plane is; the rest is that to the cells.
TO_PLANE = 0.8
_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
#: Seconds between two calls of `tick` while the process says nothing.
_PATIENCE = 0.1


class LayoutCrashedError(EmbeddingError):
    """The process that arranged has ended or failed, which it never should."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where N vectors are.

    Attributes
    ----------
    points : ndarray of shape (N, 2), float64
        On the plane, from 0 to 1 in both directions.
    places : Places
        On a map.
    cells : ndarray of shape (N,), intp
        In a grid, counted row by row.
    """

    points: NDArray[np.float64]
    places: Places
    cells: NDArray[np.intp]


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
    with Apart(method) as apart:
        return apart.call(_laid_out, vectors, (method,), tick)


class Apart:
    """A process that arranges; it starts at once, while the caller gets the vectors ready.

    Parameters
    ----------
    method : str
        A key of `METHODS`: what it needs is imported.

    Examples
    --------
    >>> with Apart("PCA") as apart:
    ...     found = apart.arrange(np.array([[0.0, 1.0], [1.0, 0.0]]), Grid(1, 2))
    >>> sorted(found.cells.tolist())
    [0, 1]
    """

    def __init__(self, method: str) -> None:
        from loky.backend import get_context

        self._method = method
        context = get_context("loky")
        self._here, there = context.Pipe()
        self._process = context.Process(
            target=_work, args=(there, method), daemon=True, init_main_module=False,
            env=_ENVIRONMENT,
        )  # fmt: skip
        self._process.start()
        there.close()

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()  # loky's cannot be killed otherwise
        self._process.join()
        self._here.close()

    def arrange(
        self, vectors: NDArray[np.floating], grid: Grid, tick: Tick = lambda done: None
    ) -> Arrangement:
        """Arrange vectors by the method on a plane, a map and a grid; see `lay_out` and `assign`.

        `tick` is given `TO_PLANE` when the plane is done, and 1 at the end.
        """
        return self.call(_arranged, vectors, (self._method, grid), tick)

    def assign(
        self, points: NDArray[np.floating], grid: Grid, tick: Tick = lambda done: None
    ) -> NDArray[np.intp]:
        """Give points cells, as `cells.assign` does."""
        return self.call(assign, points, (grid,), tick)

    def call(
        self,
        function: Callable[..., T],
        array: NDArray[Any],
        arguments: tuple[Any, ...],
        tick: Tick,
    ) -> T:
        """Call a function in the process with an array, other arguments, and a tick."""
        array = np.ascontiguousarray(array)
        with contextlib.suppress(BrokenPipeError):  # it has ended already, as is said below
            self._here.send((function, array.shape, array.dtype.str, arguments))
            self._here.send_bytes(array.data.cast("B") if array.size else b"")
        result: T = self._received(tick)
        return result

    def _received(self, tick: Tick) -> Any:
        done = 0.0
        while True:
            tick(done)
            if not self._here.poll(_PATIENCE):
                continue
            try:
                message = self._here.recv()
            except (EOFError, OSError):
                raise LayoutCrashedError(
                    "The process that lays the pictures out has ended unexpectedly; there may be "
                    "too little memory."
                ) from None
            if isinstance(message, float):
                done = message
            elif isinstance(message, EmbeddingError):
                raise message
            elif isinstance(message, str):
                raise LayoutCrashedError(f"Laying the pictures out failed: {message}")
            else:
                return message


# ---- in the process


def _laid_out(vectors: NDArray[np.floating], method: str, tick: Tick) -> NDArray[np.float64]:
    return METHODS[method](vectors, tick)


def _arranged(vectors: NDArray[np.floating], method: str, grid: Grid, tick: Tick) -> Arrangement:
    plane = METHODS[method](vectors, lambda done: tick(TO_PLANE * done))
    points = to_unit_square(plane)
    places = thin(plane)
    cells = assign(points, grid, lambda done: tick(TO_PLANE + (1 - TO_PLANE) * done))
    return Arrangement(points, places, cells)


def _work(there: Connection, method: str) -> None:
    """Do what is asked for, in the other process; it ends when nobody listens any more."""
    lower_priority()
    try:
        prepare(method)
        function, shape, kind, arguments = there.recv()
        array = np.frombuffer(there.recv_bytes(), kind).reshape(shape)
        answer: Any = function(array, *arguments, lambda done: there.send(float(done)))
    except (BrokenPipeError, EOFError):
        return
    except EmbeddingError as error:
        answer = error
    except Exception:  # handed on, as a text: another process may not be able to read it
        answer = traceback.format_exc(limit=-3)
    with contextlib.suppress(BrokenPipeError):
        there.send(answer)
