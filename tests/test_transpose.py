"""Planes stored transposed come out in C order, pixel for pixel."""

from __future__ import annotations

import numpy as np
import pytest

from ndviewer_light.engine.transpose import c_ordered, copy_into, is_transposed

SHAPES = [
    (1, 1),
    (1, 9),
    (9, 1),
    (8, 8),
    (64, 64),
    (64, 65),
    (65, 64),
    (70, 130),
    (200, 96),
    (7, 260),
    (0, 5),
]
DTYPES = ["u1", "i1", "u2", ">u2", "i4", "f4", "u8", "f8", "c8", "c16", "?"]


def numbered(shape, dtype) -> np.ndarray:
    """An array no two neighbours of which are alike, with every bit pattern of small types."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    noise = np.random.default_rng(1).integers(0, 2 if dtype == "?" else 256, n_bytes, dtype=np.uint8)
    return noise.view(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_transposed_plane_keeps_every_bit(shape, dtype):
    stored = numbered(shape[::-1], dtype)
    plane = stored.T
    out = np.zeros(shape, dtype)
    copy_into(out, plane)
    assert out.tobytes() == np.ascontiguousarray(plane).tobytes(), "NaN payloads too"
    ordered = c_ordered(plane)
    assert ordered.flags.c_contiguous
    assert (ordered.dtype, ordered.shape) == (plane.dtype, plane.shape)
    assert ordered.tobytes() == out.tobytes()
    in_two = np.zeros(shape, dtype)
    copy_into(in_two, plane, n_threads=2)
    assert in_two.tobytes() == out.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_plane_in_c_order_is_not_copied(dtype):
    plane = numbered((6, 8), dtype)
    assert c_ordered(plane) is plane


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(np.s_[::2, ::2], id="every second"),
        pytest.param(np.s_[::-1, :], id="upside down"),
        pytest.param(np.s_[5:70, 3:67], id="a window"),
    ],
)
@pytest.mark.parametrize("transposed", [False, True])
def test_any_other_memory_order_is_copied_right(cut, transposed):
    stored = numbered((128, 96), "u2")
    plane = (stored.T if transposed else stored)[cut]
    ordered = c_ordered(plane)
    assert ordered.flags.c_contiguous
    np.testing.assert_array_equal(ordered, plane)


def test_what_is_stored_transposed_is_told_apart():
    stored = numbered((128, 96), "u2")
    assert is_transposed(stored.T)
    assert not is_transposed(stored)
    assert not is_transposed(stored.T[::2]), "with gaps"
    assert not is_transposed(stored[:1]), "in either order"
    assert not is_transposed(np.broadcast_to(np.uint16(7), (64, 64)))


def test_what_is_copied_into_may_be_foreign_memory():
    memory = bytearray(64 * 64 * 2)
    out = np.frombuffer(memory, np.uint16).reshape(64, 64)
    plane = numbered((64, 64), "u2").T
    copy_into(out, plane)
    assert bytes(memory) == np.ascontiguousarray(plane).tobytes()
