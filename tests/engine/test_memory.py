"""How the memory for decoding is shared out, and how much of it there is."""

from __future__ import annotations

import random
from pathlib import Path

import psutil
import pytest

from orangecontrib.imageanalytics.decoding import BUDGET
from orangecontrib.imageanalytics.embedder import BytesTask
from orangecontrib.imageanalytics.engine import machine
from orangecontrib.imageanalytics.engine.backlog import Backlog, Image
from orangecontrib.imageanalytics.engine.memory import SHARE, Memory

MB, GB = 10**6, 10**9

#: Workers, and the memory that a computer with so many cores has at least.
MACHINES = [(2, 4 * GB), (4, 8 * GB), (16, 16 * GB), (64, 64 * GB), (128, 128 * GB)]

#: What `decoding.cost` says of 24 megapixels squashed to 224: see `benchmarks/postponed.py`.
JPEG, PROGRESSIVE, PNG = 22 * MB, 92 * MB, 159 * MB


@pytest.mark.parametrize(("workers", "physical"), MACHINES)
@pytest.mark.parametrize("cost", [JPEG, PROGRESSIVE, PNG])
def test_an_everyday_photo_of_24_megapixels_is_within_each_workers_allowance(
    workers, physical, cost
):
    assert Memory.divided(int(SHARE * physical), workers).allowance >= cost


def test_large_images_beside_everyday_ones_never_take_more_than_the_total():
    chance = random.Random(0)
    for _ in range(300):
        memory = Memory.divided(chance.randrange(50 * MB, 8 * GB), workers := chance.choice([2, 8]))
        waiting = backlog(memory, [chance.randrange(1, memory.most) for _ in range(20)] + [0] * 20)
        at_hand: list[Image] = []
        while images := waiting.next_bundle(at_hand, 1):
            at_hand += images
        taken = sorted((image.cost or memory.allowance for image in at_hand), reverse=True)
        assert sum(taken[:workers]) <= memory.total


@pytest.mark.parametrize("workers", [1, 2, 16, 64, 128, 1000])
@pytest.mark.parametrize("total", [100 * MB, 1 * GB, 12 * GB, 500 * GB])
def test_all_allowances_and_what_is_kept_back_are_never_more_than_the_total(workers, total):
    memory = Memory.divided(total, workers)
    assert workers * memory.allowance + memory.kept_back == total
    assert memory.kept_back >= 0
    assert memory.allowance <= memory.most <= total


def test_what_is_too_large_is_the_same_on_all_machines_that_have_the_memory():
    mosts = {Memory.divided(int(SHARE * physical), n).most for n, physical in MACHINES}
    assert mosts == {BUDGET}


def backlog(memory: Memory, costs: list[int]) -> Backlog:
    """Images of which those with a cost were postponed."""
    images = Backlog(memory, workers=2)
    for cost in costs:
        image = Image(BytesTask(b""))
        if cost:
            images.postpone(image, cost)
        else:
            images.waiting.append(image)
    return images


def test_large_images_go_as_long_as_what_is_kept_back_suffices_and_others_go_beside_them():
    memory = Memory(total=2 * GB, most=GB, allowance=500 * MB, kept_back=GB)
    waiting = backlog(memory, [900 * MB, 900 * MB, 900 * MB, 0])
    at_hand: list[Image] = []
    for _ in range(3):
        at_hand += waiting.next_bundle(at_hand, 1)
    assert [image.cost for image in at_hand] == [900 * MB, 900 * MB, None]
    assert waiting.next_bundle(at_hand, 1) == []
    assert waiting.next_bundle(at_hand[1:], 1)[0].cost == 900 * MB


def test_an_image_that_needs_more_than_is_kept_back_is_worked_on_alone():
    memory = Memory.divided(900 * MB, workers=2)
    waiting = backlog(memory, [0, 0])
    at_hand = waiting.next_bundle([], 1)
    waiting.postpone(Image(BytesTask(b"")), 900 * MB)
    assert waiting.next_bundle(at_hand, 1) == []  # until all else is finished
    large = waiting.next_bundle([], 1)
    assert large[0].cost == 900 * MB
    assert waiting.next_bundle(large, 1) == []  # nothing else meanwhile
    assert waiting.next_bundle([], 1)[0].cost is None


def group(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_the_limits_of_a_container_are_found_in_version_2(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/user.slice/docker-1.scope\n")
    group(tmp_path / "user.slice" / "docker-1.scope", "memory.max", "max\n")
    group(tmp_path / "user.slice", "memory.max", "4000000000\n")
    assert machine.limits(own, tmp_path) == [4 * GB]


def test_the_limits_of_a_container_are_found_in_version_1(tmp_path):
    own = tmp_path / "own"
    own.write_text("5:cpu,cpuacct:/a\n4:memory:/docker/1f\n0::/\n")
    group(tmp_path / "memory", "memory.limit_in_bytes", "2000000000\n")
    assert machine.limits(own, tmp_path) == [2 * GB]  # the own group is not to be seen inside


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert machine.limits(tmp_path / "own", tmp_path) == []


def test_this_computer_has_its_memory_or_that_of_its_container():
    assert 0 < machine.memory() <= psutil.virtual_memory().total
