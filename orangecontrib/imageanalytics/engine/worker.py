"""What runs inside the isolated process: images in, for each of them a result out.

`work` is a plain function of picklable things, so the same code runs on any
`concurrent.futures.Executor`, a Dask cluster's included. This module and all that it imports
know neither Orange nor Qt nor httpx: the process must start fast and stay small.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import wait
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orangecontrib.imageanalytics import sources
from orangecontrib.imageanalytics.daemon_threads import DaemonThreads
from orangecontrib.imageanalytics.embedder import (
    BytesTask,
    ContentJob,
    FileTask,
    Job,
    PixelsTask,
    Preparation,
    Result,
    Task,
)
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from orangecontrib.imageanalytics.priority import lower_priority

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


#: Seconds between two looks at whether the parent is still there.
_PARENT_WATCH = 0.5

#: The events (PEP 578) of all that starts a process.
_STARTS_PROGRAMS = frozenset(
    {
        "_winapi.CreateProcess",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.startfile/2",
        "os.system",
        "pty.spawn",
        "subprocess.Popen",
    }
)


@dataclass(frozen=True, slots=True)
class Postponed:
    """The image needs more memory than was allowed; nothing has been decoded."""

    cost: int


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Pixels that nothing has been done with yet."""

    pixels: NDArray[np.uint8]
    shape: tuple[int, int] | None = None
    data: bytes | None = None
    stat: os.stat_result | None = None


def work(job: Job, task: Task, allowance: int, most: int) -> Result | Postponed:
    """Read, decode and process one image.

    Parameters
    ----------
    job : Job
        What to do with the pixels, if the task does not say it.
    task : Task
        The image.
    allowance : int
        Bytes that decoding may take now.
    most : int
        Bytes that it might be given later, once other images are done.
    """
    [result] = work_all(job, [task], allowance, most)
    return result


def work_all(
    job: Job, tasks: Sequence[Task], allowance: int, most: int
) -> list[Result | Postponed]:
    """Do `work` for some images: all are decoded before any is processed.

    A decoder and a network that take turns push each other out of the processor's caches:
    SqueezeNet then takes 9.6 ms for a photo of 0.3 megapixels, and in fours 9.1 ms.
    """
    jobs = [task.job or job for task in tasks]
    decoded = [_decode(*each, allowance, most) for each in zip(jobs, tasks, strict=True)]
    return [_process(*each) for each in zip(jobs, decoded, strict=True)]


def _decode(job: Job, task: Task, allowance: int, most: int) -> _Decoded | Result | Postponed:
    from orangecontrib.imageanalytics.decoding import pixels

    prepare(job)
    stat = None
    match task:
        case PixelsTask():
            return _Decoded(task.pixels)
        case BytesTask():
            data = task.data
        case FileTask():
            try:
                read = sources.read_file(task.path)
            except MemoryError:
                return Result(Skipped(Reason.TOO_LARGE, "there is not enough memory to read it"))
            if isinstance(read, Skipped):
                return Result(read)
            data, stat = read
    try:
        image, shape = pixels.decode_sized(data, job.fit, allowance=allowance)
    except pixels.NeedsMemory as need:
        if need.cost <= most:
            return Postponed(need.cost)
        skipped = Skipped(
            Reason.TOO_LARGE,
            f"decoding it would take {need.cost / 1e6:.0f} MB of memory; "
            f"the limit is {most / 1e6:.0f} MB",
        )
    except pixels.Unreadable as fault:
        skipped = fault.skipped
    else:
        return _Decoded(image, shape, data, stat)
    return Result(skipped, sources.content_hash(data), len(data), stat)


def _process(job: Job, decoded: _Decoded | Result | Postponed) -> Result | Postponed:
    if not isinstance(decoded, _Decoded):
        return decoded
    data = decoded.data
    if data is None:
        return Result(job(decoded.pixels))
    if isinstance(job, ContentJob):
        payload = job.of_content(decoded.pixels, data)
    else:
        payload = job(decoded.pixels)
    return Result(payload, sources.content_hash(data), len(data), decoded.stat, decoded.shape)


_threads = DaemonThreads("image worker")


def work_in_time(
    deadline: float, job: Job, tasks: Sequence[Task], allowance: int, most: int
) -> tuple[list[Result | Postponed], float]:
    """Do `work_all` in a process that is not ours to kill, and leave behind what takes too long.

    Parameters
    ----------
    deadline : float
        Seconds that each image may take. One that hangs keeps its thread for good.

    Returns
    -------
    list of (Result or Postponed), float
        One for each task, and the seconds that all took.
    """
    prepare(job)  # not the image's time
    began = time.monotonic()
    results = [_in_time(deadline, job, task, allowance, most) for task in tasks]
    return results, time.monotonic() - began


def _in_time(deadline: float, *arguments: Any) -> Result | Postponed:
    working = _threads.submit(work, *arguments)
    if wait([working], timeout=deadline).done:
        return working.result()
    return Result(skipped_after(deadline))


def skipped_after(deadline: float) -> Skipped:
    """Say that an image has taken too long."""
    return Skipped(
        Reason.CRASHED, f"reading and decoding it took longer than {deadline:g} s and was stopped"
    )


def hash_file(path: str) -> Result:
    """Read a file for its hash only; the payload is None, or a Skipped."""
    read = sources.read_file(path)
    if isinstance(read, Skipped):
        return Result(read)
    data, stat = read
    return Result(None, sources.content_hash(data), len(data), stat)


@lru_cache(maxsize=32)
def prepare(job: Preparation) -> None:
    """Make this process ready for the job; what goes wrong is raised each time."""
    job.prepare()


def start(parent: int) -> None:
    """Set up a worker process of ours; `parent` is the id of the process that owns it."""
    from orangecontrib.imageanalytics.decoding import pixels

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    if sys.platform != "win32":
        os.setpgid(0, 0)  # whoever kills us finds what a decoder may have started, at no cost
    lower_priority()
    sys.addaudithook(_forbid_programs)
    _silence_libraries()
    threading.Thread(target=_end_with, args=(parent,), name="parent watch", daemon=True).start()
    pixels.prepare_process()


def _silence_libraries() -> None:
    """Let no library write to standard error: libtiff complains of each row of a damaged fax.

    What goes wrong is raised. Who looks for the cause of a crash sets PYTHONFAULTHANDLER.
    """
    if not os.environ.get("PYTHONFAULTHANDLER"):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError):  # there may be none, in a program without a console
            os.dup2(nowhere, 2)
        os.close(nowhere)


def _forbid_programs(event: str, arguments: tuple[Any, ...]) -> None:
    """Let this process start no other one: a file might have made a decoder do so.

    It is an OSError, as where there is no such program: `platform` and others then do without.
    """
    if event in _STARTS_PROGRAMS:
        raise PermissionError(f"worker processes start no programs ({event})")


def _end_with(parent: int) -> None:
    """Exit as soon as the parent is gone, however it ended: loky's workers would live on."""
    import psutil

    while os.getppid() == parent and psutil.pid_exists(parent):
        time.sleep(_PARENT_WATCH)
    os._exit(1)
