"""Feeds the engine with mutated and wrapped files of all formats, and looks what becomes of it.

Each must end as an image or as a skip with a reason, in time, in little memory, with no worker
dead and no other program started. What does not is kept in a folder, to be made a test of.

    python -m benchmarks.fuzz --seconds 300
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import struct
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.program import ROOT
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import BytesTask, Result
from orangecontrib.imageanalytics.engine import Engine
from orangecontrib.imageanalytics.outcome import Reason, Skipped
from tests import awkward, wrapped

#: Seconds that one file may take. The longest seen is some 5, on a busy machine.
_DEADLINE = 30.0
#: Bytes that all decodes together may take, and what a worker has beside that.
_BUDGET, _WORKER = 400_000_000, 300_000_000
_LARGEST_SEED = 300_000
_FIT = Squash(32, 32)
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 13_300)


@dataclass(frozen=True)
class Mean:
    """Gives the mean colour: next to nothing is done but decoding."""

    fit: Squash = _FIT

    def prepare(self) -> None:
        """Need nothing."""

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute it."""
        return pixels.mean(axis=(0, 1), dtype=np.float32)


def seeds() -> list[bytes]:
    """Give small files of all formats that are read or refused, good and bad ones."""
    groups = (awkward.good, awkward.damaged, awkward.too_large, awkward.unsupported)
    files = [data for group in groups for _, data, *_ in group() if 0 < len(data) < _LARGEST_SEED]
    return [*files, *wrapped.hostile().values(), wrapped.many_scans(50), wrapped.fax(20_000)]


class Mutations:
    """Makes new files of old ones.

    Parameters
    ----------
    files : list of bytes
        What to begin with.
    chance : random.Random
        What decides.
    """

    def __init__(self, files: list[bytes], chance: random.Random) -> None:
        self._files = files
        self._chance = chance
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            self._flipped,
            self._flipped,
            self._numbered,
            self._numbered,
            self._cut,
            self._joined,
            self._doubled,
            self._wrapped,
        )

    def next(self) -> bytes:
        """Make a file by one to three changes."""
        data = self._chance.choice(self._files)
        for _ in range(self._chance.randint(1, 3)):
            data = self._chance.choice(self._ways)(data) or data
        return data

    def _place(self, data: bytes) -> int:
        """Choose a place, half of the time in the header."""
        end = len(data) if self._chance.random() < 0.5 else min(len(data), 200)
        return self._chance.randrange(max(1, end))

    def _flipped(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._chance.randint(1, 8)):
            changed[self._place(data)] ^= self._chance.randrange(1, 256)
        return bytes(changed)

    def _numbered(self, data: bytes) -> bytes:
        form = self._chance.choice(("<H", ">H", "<I", ">I"))
        number = self._chance.choice(_NUMBERS) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
        at = self._place(data)
        packed = struct.pack(form, number)
        return data[:at] + packed + data[at + len(packed) :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _joined(self, data: bytes) -> bytes:
        other = self._chance.choice(self._files)
        return data[: self._place(data)] + other[self._place(other) :]

    def _doubled(self, data: bytes) -> bytes:
        at, end = sorted((self._place(data), self._place(data)))
        return data[:end] + data[at:end] * self._chance.randint(1, 20) + data[end:]

    def _wrapped(self, data: bytes) -> bytes:
        wrap = self._chance.choice((wrapped.iptc, wrapped.icon, wrapped.icns))
        return wrap(data)


class Watch:
    """Looks at the worker processes: their memory, and what they have started.

    Attributes
    ----------
    most : int
        The largest resident memory of a worker, in bytes.
    programs : Counter
        What was started, by its command line.
    """

    def __init__(self) -> None:
        self.most = 0
        self.programs: Counter[str] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._over.wait(0.05):
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    command = " ".join(child.cmdline())
                    if command and "python" not in command.lower():
                        self.programs[command] += 1
                    else:
                        self.most = max(self.most, child.memory_info().rss)


def fault_of(result: Result) -> str:
    """Say what is wrong with what became of a file; nothing, if it is an image or a skip."""
    payload = result.payload
    if isinstance(payload, Skipped):
        if payload.reason is Reason.CRASHED:
            return payload.detail
        return "" if payload.detail.isprintable() else "a reason that cannot be printed"
    if payload.shape != (3,) or not np.isfinite(payload).all():
        return f"a payload of shape {payload.shape}"
    return ""


def fuzz(seconds: float, files: Iterator[bytes], keep: Path) -> tuple[Counter[str], int]:
    """Feed the engine for some seconds.

    Returns
    -------
    outcomes : Counter of str
        How many files ended how.
    faults : int
        How many ended wrongly; they are in the folder `keep`.
    """
    outcomes: Counter[str] = Counter()
    faults = 0
    engine = Engine(Mean(), workers=2, deadline=_DEADLINE, budget=_BUDGET)
    end = time.monotonic() + seconds
    waiting: deque[tuple[bytes, Future[Any]]] = deque()
    try:
        while time.monotonic() < end or waiting:
            while time.monotonic() < end and len(waiting) < engine.capacity:
                data = next(files)
                waiting.append((data, engine.submit(BytesTask(data))))
            data, future = waiting.popleft()
            result = future.result(timeout=20 * _DEADLINE)
            fault = fault_of(result)
            payload = result.payload
            outcomes[payload.reason.value if isinstance(payload, Skipped) else "decoded"] += 1
            if fault:
                faults += 1
                _keep(data, fault, keep)
    finally:
        engine.close()
    return outcomes, faults


def _keep(data: bytes, fault: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    print(f"{path}: {fault}", flush=True)


def main() -> int:
    """Run what the command line says.

    Returns
    -------
    int
        0 if nothing was found.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="another one each time, if not said")
    parser.add_argument("--keep", type=Path, default=ROOT / "bench" / "fuzz", metavar="FOLDER")
    chosen = parser.parse_args()
    seed = int(time.time()) if chosen.seed is None else chosen.seed
    mutations = Mutations(seeds(), random.Random(seed))
    watch = Watch()
    try:
        outcomes, faults = fuzz(chosen.seconds, iter(mutations.next, None), chosen.keep)
    finally:
        watch.close()
    ends = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"seed {seed}: {outcomes.total()} files; {ends}")
    print(f"largest worker {watch.most / 1e6:.0f} MB; programs started: {len(watch.programs)}")
    for command in watch.programs:
        print(f"A worker has started: {command}")
    too_large = watch.most > _BUDGET + _WORKER
    if too_large:
        print(f"A worker took more than {(_BUDGET + _WORKER) / 1e6:.0f} MB.")
    return 1 if faults or watch.programs or too_large else 0


if __name__ == "__main__":
    sys.exit(main())
