"""Resizing with vector instructions, and Pillow's filter where there are none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from orangecontrib.imageanalytics.decoding import lanczos as module
from orangecontrib.imageanalytics.decoding.lanczos import lanczos, lanczos_by_pillow
from tests import awkward

SCENE = np.asarray(awkward.scene().convert("RGB"))
GREY = np.asarray(awkward.scene().convert("L"))


@pytest.mark.parametrize("pixels", [SCENE, GREY], ids=["RGB", "grey"])
@pytest.mark.parametrize("size", [(48, 80), (227, 227), (1, 1), (300, 7)])
@pytest.mark.parametrize("cut", [0, 0.4])
def test_both_ways_give_nearly_the_same(pixels, size, cut):
    extent = pixels.shape[0] - cut, pixels.shape[1] - cut
    fast = lanczos(pixels, size, extent)
    slow = lanczos_by_pillow(pixels, size, extent)
    assert fast.shape == slow.shape == (*size, *pixels.shape[2:])
    assert np.abs(fast.astype(int) - slow).mean() < 0.5


def test_without_the_vector_instructions_pillow_does_it(monkeypatch):
    monkeypatch.setattr(module, "cykooz_resizer", None)
    assert np.array_equal(
        lanczos(SCENE, (48, 80)), lanczos_by_pillow(SCENE, (48, 80), SCENE.shape[:2])
    )


def test_a_picture_of_the_right_size_stays_as_it_is():
    same = lanczos(SCENE, SCENE.shape[:2])
    assert np.array_equal(same, SCENE)
    assert not np.shares_memory(same, SCENE)


def test_the_result_may_be_written_to():
    lanczos(SCENE, (10, 10))[0] = 0


def test_threads_do_not_get_into_each_other_s_way():
    sizes = [(n, n + 1) for n in range(20, 60)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda size: lanczos(SCENE, size), sizes))
    for size, result in zip(sizes, together, strict=True):
        assert np.array_equal(result, lanczos(SCENE, size))
