"""Which requests bring which ranges: all of what is wanted, little else, in few parts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndviewer_light.storage.remote.coalescing import (
    MAX_BLOCK_BYTES,
    Block,
    blocks_for,
    blocks_of,
    joined,
)

KIB, MIB = 1024, 1024**2


def test_neighbours_go_together_and_the_work_is_shared_by_32():
    planes = [(number * MIB, MIB) for number in range(96)]
    blocks = blocks_for(planes)
    assert len(blocks) == 32
    assert {block.length for block in blocks} == {3 * MIB}


def test_a_large_plane_is_read_in_parts():
    assert blocks_for([(100, 8 * MIB)]) == [Block(100 + n * MIB, 100 + (n + 1) * MIB) for n in range(8)]


@pytest.mark.parametrize(
    ("gap", "length", "together"),
    [
        pytest.param(4 * KIB, 90 * KIB, True, id="headers between frames"),
        pytest.param(16 * KIB, 100, True, id="a small gap costs less than a request"),
        pytest.param(30 * KIB, 490 * KIB, True, id="few beside what is wanted"),
        pytest.param(90 * KIB, 90 * KIB, False, id="another channel in between"),
    ],
)
def test_gaps_are_read_across_where_it_pays(gap, length, together):
    assert len(blocks_for([(0, length), (length + gap, length)])) == (1 if together else 2)


@pytest.mark.parametrize(("gap", "blocks"), [(200 * KIB, 44), (300 * KIB, 130)])
def test_gaps_of_more_than_256_kib_are_never_read(gap, blocks):
    ranges = [(number * (5 * MIB + gap), 5 * MIB) for number in range(130)]
    assert len(blocks_for(ranges)) == blocks


def test_a_block_is_never_larger_than_20_mb_nor_than_its_share():
    ranges = [(number * 10 * MIB, 10 * MIB) for number in range(100)]
    total = sum(length for _, length in ranges)
    assert max(block.length for block in blocks_for(ranges)) <= min(MAX_BLOCK_BYTES, total // 16)


_RANGES = st.lists(st.tuples(st.integers(0, 5 * MIB), st.integers(0, 3 * MIB)), max_size=30)


@given(_RANGES)
def test_blocks_hold_every_byte_that_is_wanted_once(ranges):
    blocks = blocks_for([wanted for wanted in ranges if wanted[1]])
    assert all(a.end <= b.start for a, b in pairwise(blocks)), "sorted, apart"
    for offset, length in ranges:
        parts = blocks_of(blocks, offset, length) if length else []
        covered = sum(min(b.end, offset + length) - max(b.start, offset) for b in parts)
        assert covered == length


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 100)), max_size=8))
def test_what_is_joined_is_the_range(ranges):
    content = bytes(number % 251 for number in range(1000))
    blocks = [Block(start, min(start + 170, 1000)) for start in range(0, 1000, 170)]
    data = {block: content[block.start : block.end] for block in blocks}
    for offset, length in ranges:
        found = joined(blocks_of(blocks, offset, length) if length else [], data, offset, length)
        assert found == content[offset : offset + length]
