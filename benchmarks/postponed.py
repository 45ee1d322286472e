"""Postponed: for which photos there is no memory at once, on computers with few and many cores.

It simulates what the engine decides, with its own rules (`engine/backlog.py`, `engine/memory.py`)
and with what decoding is said to cost (`decoding/cost.py`); nothing is decoded. A photo that needs
more than a worker's allowance is postponed: it is handed over twice, and the second time by itself.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from benchmarks.figure import Figure
from benchmarks.program import Scope, run, say
from orangecontrib.imageanalytics.decoding import BUDGET, pixels
from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.embedder import BytesTask
from orangecontrib.imageanalytics.engine.backlog import Backlog
from orangecontrib.imageanalytics.engine.backlog import Image as Waiting
from orangecontrib.imageanalytics.engine.memory import SHARE, Memory
from orangecontrib.imageanalytics.engine.supervisor import AT_HAND

#: Workers, and gigabytes of memory that a computer with so many cores has at least.
_MACHINES = {2: 4, 4: 8, 8: 8, 16: 16, 64: 64, 128: 128}
_SIZES = {12: (4000, 3000), 24: (6000, 4000)}
#: What somebody's folder holds, of 100.
_FOLDER = {
    "12 MP JPEG": 30,
    "24 MP JPEG": 50,
    "24 MP progressive JPEG": 8,
    "24 MP PNG": 6,
    "24 MP HEIC": 6,
}
#: Seconds that decoding takes; only the order of events depends on it.
_SECONDS_PER_BYTE = 1e-9


def measure(scope: Scope) -> list[Figure]:
    """Simulate each computer, as it is and with the former rule."""
    costs = _costs()
    for kind, cost in costs.items():
        say(f"{kind}: {cost / 1e6:.0f} MB to decode")
    count = scope.choose(1000, 10_000)
    return [
        figure
        for workers, gigabytes in _MACHINES.items()
        for figure in _figures(workers, gigabytes, costs, count)
    ]


def _figures(workers: int, gigabytes: int, costs: dict[str, int], count: int) -> list[Figure]:
    memory = Memory.divided(int(SHARE * gigabytes * 1e9), workers)
    folder = _folder(costs, count)
    new, old = (Simulation(one, workers, folder) for one in (memory, _former(workers)))
    new.run()
    old.run()
    share, before = (100 * len(one.postponed) / count for one in (new, old))
    kinds = ", ".join(kind for kind, cost in costs.items() if cost in new.postponed) or "none"
    return [
        Figure(
            f"{workers} workers, {gigabytes} GB: photos that are postponed",
            share,
            "%",
            note=f"{kinds}; allowance {memory.allowance / 1e6:.0f} MB; busy {100 * new.busy:.0f} "
            f"%; by the former rule {before:.0f} %, busy {100 * old.busy:.0f} %",
        ),
        Figure(
            f"{workers} workers, {gigabytes} GB: most that decodes take together, of what they may",
            new.peak / memory.total,
            "×",
            at_most=1.0,
        ),
    ]


class Simulation:
    """Works through a folder of photos in the order of events, with a clock of its own.

    Parameters
    ----------
    memory : Memory
        What decoding may take.
    workers : int
        How many there are.
    costs : list of int
        What decoding each photo takes.
    """

    def __init__(self, memory: Memory, workers: int, costs: list[int]) -> None:
        self._memory = memory
        self._workers = workers
        self._backlog = Backlog(memory, workers)
        self._costs = {Waiting(BytesTask(b"")): cost for cost in costs}
        self._backlog.waiting.extend(self._costs)
        self._at_hand: list[Waiting] = []  # the first of them are being worked on
        self._ends: dict[Waiting, float] = {}  # of these
        self._chance = np.random.default_rng(0)
        self.now = self.worked = 0.0
        self.peak = 0
        self.postponed: list[int] = []  # their costs

    def run(self) -> None:
        """Go on until nothing is left."""
        while self._hand_over():
            self._begin()
            image = min(self._ends, key=self._ends.__getitem__)
            self.now = self._ends.pop(image)
            self._at_hand.remove(image)
            if self._takes(image) == 0:
                self.postponed.append(self._costs[image])
                self._backlog.postpone(image, self._costs[image])

    @property
    def busy(self) -> float:
        """The share of the workers' time in which they decoded."""
        return self.worked / (self.now * self._workers)

    def _hand_over(self) -> bool:
        while len(self._at_hand) < AT_HAND * self._workers:
            images = self._backlog.next_bundle(self._at_hand, 1)
            if not images:
                break
            self._at_hand += images
        return bool(self._at_hand)

    def _begin(self) -> None:
        for image in self._at_hand[: self._workers]:
            if image not in self._ends:
                seconds = self._takes(image) * _SECONDS_PER_BYTE * self._chance.uniform(0.5, 1.5)
                self.worked += seconds
                self._ends[image] = self.now + seconds
        self.peak = max(self.peak, sum(map(self._takes, self._ends)))

    def _takes(self, image: Waiting) -> int:
        """Give the bytes that an image takes now: none if it comes back as postponed."""
        cost, memory = self._costs[image], self._memory
        return cost if cost <= (memory.allowance if image.cost is None else memory.most) else 0


def _folder(costs: dict[str, int], count: int) -> list[int]:
    shares = np.array(list(_FOLDER.values())) / sum(_FOLDER.values())
    kinds = np.random.default_rng(0).choice(list(_FOLDER), count, p=shares)
    return [costs[str(kind)] for kind in kinds]


class _Former(Memory):
    def extra(self, cost: int) -> int:
        return cost


def _former(workers: int) -> Memory:
    """Give the rule that there was: one gigabyte for all, half of it in equal parts."""
    total = BUDGET
    allowance = total // (2 * workers)
    return _Former(total, total, allowance, total - allowance * workers)


def _costs() -> dict[str, int]:
    """Ask what decoding photos of each kind costs; their pixels are noise, as hard as can be."""
    return {
        "12 MP JPEG": _cost(_SIZES[12], "JPEG", quality=90),
        "24 MP JPEG": _cost(_SIZES[24], "JPEG", quality=90),
        "24 MP progressive JPEG": _cost(_SIZES[24], "JPEG", quality=90, progressive=True),
        "24 MP PNG": _cost(_SIZES[24], "PNG", compress_level=1),
        "24 MP HEIC": _cost(_SIZES[24], "HEIF", quality=50),
    }


def _cost(size: tuple[int, int], kind: str, **options: object) -> int:
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    coarse = np.random.default_rng(0).integers(0, 256, (size[1] // 4, size[0] // 4, 3), np.uint8)
    picture = Image.fromarray(coarse).resize(size)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    try:
        pixels.decode(file.getvalue(), Squash(224, 224), allowance=0)
    except pixels.NeedsMemory as needs:
        return needs.cost
    raise AssertionError("nothing is decoded without memory")


if __name__ == "__main__":
    run(measure)
