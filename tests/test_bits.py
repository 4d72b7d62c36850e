"""Which planes a writer has told us of, one bit each."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndviewer_light.engine.announced_planes import PlaneBits, key_rows

SIZES = (3, 2, 5)
EVERY = list(itertools.product(range(2), *map(range, SIZES)))


def test_nothing_is_in_an_empty_set():
    bits = PlaneBits(*SIZES)
    assert not any(key in bits for key in EVERY)


@pytest.mark.parametrize("key", EVERY[::7], ids=str)
def test_one_plane_is_one_bit_and_no_neighbour(key):
    bits = PlaneBits(*SIZES)
    bits.update(key_rows([key, key]))
    assert [other for other in EVERY if other in bits] == [key]


@given(st.sets(st.sampled_from(EVERY)), st.sets(st.sampled_from(EVERY)))
@settings(derandomize=True)
def test_it_is_a_set(first, second):
    bits = PlaneBits(*SIZES)
    bits.update(key_rows(first))
    bits.update(key_rows(second))
    assert {key for key in EVERY if key in bits} == first | second


@pytest.mark.parametrize(
    "key",
    [
        (-1, 0, 0, 0),
        (0, 3, 0, 0),
        (0, 0, 2, 0),
        (0, 0, 0, 5),
        (0, -1, 0, 0),
        (2**40, 0, 0, 0),
        (2**80, 0, 0, 0),
    ],
    ids=str,
)
def test_what_is_outside_is_left_out(key):
    bits = PlaneBits(*SIZES)
    bits.update(key_rows(EVERY))
    bits.update(key_rows([key]))
    assert key not in bits
    assert all(other in bits for other in EVERY)


def test_time_is_open_ended():
    bits = PlaneBits(*SIZES)
    bits.update(key_rows([(9999, 2, 1, 4)]))
    assert (9999, 2, 1, 4) in bits
    assert (9998, 2, 1, 4) not in bits


def test_a_million_planes_take_less_than_a_quarter_of_a_megabyte():
    bits = PlaneBits(1000, 4, 25)
    bits.update(key_rows(list(itertools.product(range(10), range(1000), range(4), range(25)))))
    assert sum(row.nbytes for row in bits._per_t.values()) < 250_000
