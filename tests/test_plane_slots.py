"""Planes are read into the slots that they are handed over in, where nothing else can come to be there."""

from __future__ import annotations

import os
import threading
from concurrent.futures import wait
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tensorstore as ts
from memory_source import TIMEOUT, in_thread

from ndviewer_light.errors import DatasetError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.isolation.plane_slots import PlaneSlots
from ndviewer_light.isolation.shared_memory import OwnedSlot
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr.nodes import read_image
from ndviewer_light.sources.zarr.tensorstore_context import TensorStoreContext
from ndviewer_light.sources.zarr.whole_chunks import WholeChunks
from ndviewer_light.storage.plane_memory import lent, plane_memory
from ndviewer_light.storage.trees.tree import LocalTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE, DTYPE = (3, 5), np.dtype("u2")
PIXELS = np.arange(15, dtype=DTYPE).reshape(SHAPE)


@pytest.fixture
def slots() -> Iterator[tuple[PlaneSlots, list[OwnedSlot]]]:
    owned = [OwnedSlot(), OwnedSlot()]
    addresses = [os.dup(each.address) if isinstance(each.address, int) else each.address for each in owned]
    mapped = PlaneSlots(addresses)
    yield mapped, owned
    mapped.close()
    for each in owned:
        each.close()


def handed_over(owned: list[OwnedSlot], reply: dict[str, Any]) -> np.ndarray:
    stored = owned[reply["slot"]].copy_out(tuple(reply["shape"]), np.dtype(reply["dtype"]))
    return stored.T if reply["turned"] else stored


@pytest.mark.parametrize("stored", ["C", "F"])
def test_what_was_read_into_a_slot_is_not_copied(slots, monkeypatch, stored):
    mapped, owned = slots
    copied = []
    real = PlaneSlots.put.__globals__["copy_into"]
    monkeypatch.setitem(PlaneSlots.put.__globals__, "copy_into", lambda *to: copied.append(1) or real(*to))
    with mapped.lending() as slot:
        pixels = plane_memory(SHAPE, DTYPE, stored)
        assert pixels.flags.f_contiguous if stored == "F" else pixels.flags.c_contiguous
        pixels[:] = PIXELS
        reply = mapped.put(pixels, slot)
    assert not copied
    assert reply["turned"] == (stored == "F")
    np.testing.assert_array_equal(handed_over(owned, reply), PIXELS)


def test_a_slot_is_lent_for_one_array(slots):
    mapped, owned = slots
    with mapped.lending() as slot:
        first, second = (plane_memory(SHAPE, DTYPE, "C") for _ in range(2))
        first[:], second[:] = 7, PIXELS
        assert (first == 7).all(), "the second has memory of its own"
        reply = mapped.put(second, slot)
    np.testing.assert_array_equal(handed_over(owned, reply), PIXELS)
    outside = plane_memory(SHAPE, DTYPE, "C")
    outside[:] = 9
    np.testing.assert_array_equal(handed_over(owned, reply), PIXELS)


@pytest.mark.parametrize("part", [np.s_[:2], np.s_[::2], np.s_[1:], np.s_[:, :3]])
def test_a_part_of_what_was_read_is_handed_over_as_that(slots, part):
    mapped, owned = slots
    with mapped.lending() as slot:
        pixels = plane_memory(SHAPE, DTYPE, "C")
        pixels[:] = PIXELS
        reply = mapped.put(pixels[part], slot)
    np.testing.assert_array_equal(handed_over(owned, reply), PIXELS[part])


def test_a_slot_is_free_again_after_an_error_and_after_it_was_released(slots):
    mapped, _ = slots
    for _ in range(5):
        with pytest.raises(OSError, match="gone"), mapped.lending():
            plane_memory(SHAPE, DTYPE, "C")
            raise OSError("gone")
    with mapped.lending() as one, mapped.lending() as other, mapped.lending() as none_left:
        assert one is not None and other is not None and none_left is None
        reply = mapped.put(PIXELS, one)
    mapped.release(reply["slot"])
    with mapped.lending() as one, mapped.lending() as other:
        assert one is not None and other is not None


class _Counting:
    """Lends memory, and counts who took it."""

    def __init__(self) -> None:
        self.taken = 0

    def take(self, shape: tuple[int, ...], dtype: np.dtype, order: str) -> np.ndarray:
        self.taken += 1
        return np.empty(shape, dtype, order)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    ("chunk", "n"), [((1, 1, 1, 48, 64), 1), ((2, 1, 1, 48, 64), 1), ((1, 1, 1, 24, 64), 0)]
)
def test_only_planes_in_one_chunk_are_read_into_memory_that_is_used_again(tmp_path: Path, chunk, n) -> None:
    array = stores.create_array(tmp_path / "a.zarr", (2, 1, 1, 48, 64), chunk=chunk)
    array.write(np.ones(array.shape, array.dtype.numpy_dtype)).result()
    stores.make_old(tmp_path)
    source = open_source(str(tmp_path / "a.zarr"))
    try:
        memory = _Counting()
        with lent(memory):
            assert (source.read_plane(PlaneKey(1)) == 1).all()
        assert memory.taken == n, "of what failed, other chunks may be written still"
    finally:
        source.close()


@pytest.mark.parametrize("axes", ["tczyx", "tczxy"])
def test_planes_through_the_reader_process_are_those_of_the_source(tmp_path: Path, axes: str) -> None:
    stores.write_image(tmp_path / "a.zarr", axes=axes)
    stores.make_old(tmp_path)
    walled, plain = IsolatedSource.open(str(tmp_path / "a.zarr")), open_source(str(tmp_path / "a.zarr"))
    try:
        for keeps_order, t, c, z in product((False, True), range(2), range(2), range(2)):
            if keeps_order:
                walled.keep_stored_order()
            pixels = walled.read_plane(PlaneKey(t, 0, c, z))
            np.testing.assert_array_equal(pixels, plain.read_plane(PlaneKey(t, 0, c, z)))
    finally:
        walled.close()
        plain.close()


@pytest.mark.parametrize("to_its_end", [True, False])
def test_a_read_into_memory_that_is_used_again_ends_before_it_is_left(
    tmp_path: Path, to_its_end: bool
) -> None:
    stores.write_image(tmp_path / "a.zarr")
    image = read_image(str(tmp_path / "a.zarr"))
    closed, (promise, future) = threading.Event(), ts.Promise.new()
    native = TensorStoreContext(LocalTree(image.array), closed, lambda said: None)
    closed.set()
    waiting = in_thread(partial(native.finish, future, image, to_its_end=to_its_end))
    if to_its_end:
        assert wait([waiting], 1.0).not_done, "the dataset is closed, but tensorstore may be writing"
        promise.set_result(None)
        waiting.result(TIMEOUT)
    else:
        with pytest.raises(DatasetError, match="was closed"):
            waiting.result(TIMEOUT)


def test_planes_that_are_lent_memory_are_read_to_their_end(tmp_path: Path, monkeypatch) -> None:
    stores.write_image(tmp_path / "a.zarr")
    source, asked = open_source(str(tmp_path / "a.zarr")), []
    real = TensorStoreContext.finish

    def finish(*given: Any, to_its_end: bool = False) -> None:
        asked.append(to_its_end)
        real(*given, to_its_end=to_its_end)

    monkeypatch.setattr(TensorStoreContext, "finish", finish)
    monkeypatch.setattr(WholeChunks, "read", lambda *given: None)  # as of what was written a moment ago
    memory = np.zeros((stores.HEIGHT, stores.WIDTH), "u2")
    try:
        with lent(_Fixed(memory)):
            pixels = source.read_plane(PlaneKey(1, 0, 1, 1))
        assert np.shares_memory(pixels, memory)
        np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 0, 1, 1)), pixels)
    finally:
        source.close()
    assert asked == [True, False]


class _Fixed:
    """Lends one array."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def take(self, shape: tuple[int, ...], dtype: np.dtype, order: str) -> np.ndarray:
        return self._array.reshape(-1)[: np.prod(shape)].reshape(shape, order=order)  # type: ignore[call-overload, no-any-return]
