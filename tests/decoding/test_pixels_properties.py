"""Whatever is done to an image file's bytes, it is an image, or skipped with a reason."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orangecontrib.imageanalytics.decoding.fit import Squash
from orangecontrib.imageanalytics.decoding.pixels import Unreadable, decode
from orangecontrib.imageanalytics.outcome import Skipped
from tests import awkward

SIZE = (24, 31)
FIT = Squash(*SIZE)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::Warning:PIL")


@functools.cache
def files() -> dict[str, bytes]:
    """Give small and valid files of all kinds."""
    return {name: data for name, data, _ in awkward.good() if len(data) < 200_000}


names = st.sampled_from(sorted(files()))
quickly = settings(max_examples=300)


def outcome(data: bytes) -> Skipped | None:
    """Decode; anything but an array of the right shape or a reason fails the test."""
    try:
        got = decode(data, FIT)
    except Unreadable as fault:
        assert isinstance(fault.skipped, Skipped)
        assert fault.skipped.detail.isprintable()
        assert fault.skipped.detail
        return fault.skipped
    assert got.shape == (*SIZE, 3)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    return None


@quickly
@given(name=names, share=st.floats(0, 1))
def test_a_cut_file_is_whole_in_what_is_seen_or_skipped(name, share):
    whole = files()[name]
    cut = whole[: int(share * len(whole))]
    # Nothing tells a number whose last digits are missing from a smaller one.
    assume(not (name == "plain.ppm" and cut[-1:].isdigit()))
    if outcome(cut) is None:
        assert np.abs(decode(cut, FIT).astype(int) - decode(whole, FIT)).max() <= 2


@quickly
@given(
    name=names,
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_flipped_bits_anywhere_give_an_outcome(name, flips):
    data = bytearray(files()[name])
    for place, bits in flips:
        data[int(place * (len(data) - 1))] ^= bits
    outcome(bytes(data))


@quickly
@given(name=names, flips=st.dictionaries(st.integers(0, 120), st.integers(0, 255), min_size=1))
def test_flipped_headers_give_an_outcome(name, flips):
    data = bytearray(files()[name])
    for place, value in flips.items():
        if place < len(data):
            data[place] = value
    outcome(bytes(data))


@quickly
@given(name=names, other=names, at=st.floats(0, 1), behind=st.floats(0, 1))
def test_the_start_of_one_file_and_the_end_of_another_give_an_outcome(name, other, at, behind):
    first, second = files()[name], files()[other]
    outcome(first[: int(at * len(first))] + second[int(behind * len(second)) :])


@quickly
@given(data=st.binary(max_size=400))
def test_any_bytes_give_an_outcome(data):
    outcome(data)
