"""Planes that share chunks with others: those that nobody wrote never count as there."""

from __future__ import annotations

import contextlib
import time
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from follow_disk import SIZE, GrowingZarr, datasets_that_are_followed, shown, wait_for  # noqa: F401
from memory_source import TIMEOUT, wait_until

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources import open_source, shared_chunks
from ndviewer_light.sources.zarr.array_in_chunks import ZarrInChunks
from ndviewer_light.sources.zarr.source import ZarrSource
from ndviewer_light.storage.file_clock import FILE_CLOCK

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

PRESENT, FILLED, PENDING = PlaneState.PRESENT, PlaneState.FILLED, PlaneState.PENDING
ABSENT, UNKNOWN = PlaneState.ABSENT, PlaneState.UNKNOWN
KINDS = {
    "v2": {"version": 2, "chunk": (4, 1, 1, SIZE, SIZE)},
    "v3": {"chunk": (4, 1, 1, SIZE, SIZE)},
    "tiles": {"chunk": (4, 1, 1, SIZE // 2, SIZE // 2)},
    "chunks of t and z": {"chunk": (4, 1, 2, SIZE, SIZE)},
    "shards": {"chunk": (4, 1, 1, SIZE, SIZE), "shard": (8, 1, 1, SIZE, SIZE)},
    "shards of tiles": {"chunk": (4, 1, 1, SIZE, SIZE // 2), "shard": (4, 1, 2, SIZE, SIZE)},
    "nan": {"chunk": (4, 1, 1, SIZE, SIZE), "dtype": "float32", "metadata": {"fill_value": "NaN"}},
}


def interrupted(path: Path, kind: str, *, n: int = 11) -> list[PlaneKey]:
    """Write the first `n` planes of an image of 8 time points with 2 planes along z each; which these are."""
    array = stores.create_array(path, (8, 1, 2, SIZE, SIZE), **KINDS[kind])
    written = list(product(range(8), range(2)))[:n]
    for i, (t, z) in enumerate(written):
        pixels = np.full((SIZE, SIZE), array.fill_value or 0, array.dtype.numpy_dtype)
        pixels[-1, -1] = i + 1  # one pixel is enough
        array[t, 0, z].write(pixels).result()
    return [PlaneKey(t, z=z) for t, z in written]


def states(dataset: Dataset) -> dict[PlaneKey, PlaneState]:
    report = dataset.report()
    found = {PlaneKey(t, z=z): report.state(PlaneKey(t, z=z)) for t, z in product(range(8), range(2))}
    return {key: state for key, state in found.items() if state is not None}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [0.0, 20.0, 3600.0])
def test_planes_that_were_never_written_are_not_there(tmp_path: Path, kind: str, seconds: float) -> None:
    written = interrupted(tmp_path / "a.zarr", kind)
    if seconds:
        stores.make_old(tmp_path / "a.zarr", seconds)
    with open_dataset(tmp_path / "a.zarr") as dataset:
        said = states(dataset)
        assert len(said) == 16
        assert {said[key] for key in written} == {PRESENT}
        others = {key: state for key, state in said.items() if key not in written}
        # the other plane of the last time point is the end of its stack; while it may come, it is expected
        rest = others.pop(PlaneKey(5, z=1))
        assert rest in ((PENDING,) if not seconds else (FILLED,))
        assert set(others.values()) == {PENDING if not seconds else ABSENT}
        if seconds:
            for key in written:
                assert dataset.plane(*key)[-1, -1] > 0
            for key in others:
                assert dataset.state(key) is ABSENT
                with pytest.raises(PlaneNotStoredError, match="empty or not acquired"):
                    dataset.plane(*key)
            assert dataset.plane(5, z=1).shape == (SIZE, SIZE), "the blank end of a stack"
            assert dataset.report(read=True).count(ABSENT) == len(others)


@pytest.mark.parametrize("kind", KINDS)
def test_reports_of_a_run_never_say_that_a_plane_is_there_before_it_is(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_chunks, "_MOST_SAVED_SECONDS", TIMEOUT)  # a busy computer decodes slowly
    path = tmp_path / "a.zarr"
    array = stores.create_array(path, (8, 1, 2, SIZE, SIZE), **KINDS[kind])
    array[0, 0, 0].write(np.full((SIZE, SIZE), 1, array.dtype.numpy_dtype)).result()
    with open_dataset(path, follow=True) as dataset:
        written = [PlaneKey()]
        for i, (t, z) in enumerate(list(product(range(8), range(2)))[1:], 2):
            there = [key for key, state in states(dataset).items() if state in (PRESENT, FILLED)]
            assert there == written
            assert dataset.report().count(PENDING) == 16 - len(written)
            array[t, 0, z].write(np.full((SIZE, SIZE), i, array.dtype.numpy_dtype)).result()
            written.append(PlaneKey(t, z=z))
        assert dataset.report().counts == {PRESENT: 16}


def test_blank_planes_of_a_dataset_that_says_it_is_complete_are_data(tmp_path: Path) -> None:
    growing = GrowingZarr(tmp_path / "a.zarr", t_chunk=4)
    for value in (1, 2, 0, 0):
        growing.add(value)
    stores.merge_attributes(growing.path, {"_squid": {"acquisition_complete": True}})
    stores.make_old(growing.path, 3600)
    with open_dataset(growing.path) as dataset:
        assert dataset.report().counts == {PRESENT: 4}
        assert [int(dataset.plane(t).max()) for t in range(4)] == [1, 2, 0, 0]


def test_a_chunk_that_is_blank_all_over_was_written_so(tmp_path: Path) -> None:
    array = stores.create_array(tmp_path / "a.zarr", (4, 1, 1, SIZE, SIZE), chunk=(4, 1, 1, SIZE, SIZE))
    array[0].write(np.ones((1, 1, SIZE, SIZE), np.uint16)).result()
    (chunk,) = stores.chunk_files(tmp_path / "a.zarr")
    chunk.write_bytes(bytes(chunk.stat().st_size))
    stores.make_old(tmp_path / "a.zarr", 3600)
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert dataset.report().counts == {PRESENT: 4}
        assert not dataset.plane(3).any()


def test_chunks_that_are_not_the_last_ones_are_not_decoded(tmp_path: Path, monkeypatch) -> None:
    interrupted(tmp_path / "a.zarr", "v3", n=16)
    stores.make_old(tmp_path / "a.zarr", 3600)
    decoded = []
    real = ZarrInChunks.blank_planes
    monkeypatch.setattr(
        ZarrInChunks, "blank_planes", lambda self, block: decoded.append(block) or real(self, block)
    )
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert dataset.report().counts == {PRESENT: 16}
        assert dataset.report().counts == {PRESENT: 16}
    assert sorted(block.spans[0].start for block in decoded) == [4, 4], "of each z the last, once"


def test_a_followed_dataset_is_decoded_for_a_share_of_the_time(tmp_path: Path) -> None:
    interrupted(tmp_path / "a.zarr", "v3")
    stores.make_old(tmp_path / "a.zarr", 20.0)
    source = open_source(str(tmp_path / "a.zarr"))
    assert isinstance(source, ZarrSource)
    source.follow()
    with contextlib.closing(source):
        keys = [PlaneKey(t) for t in range(8)]
        shared = source._native.shared
        shared._spend(2.0)
        assert source.are_stored(keys) == [None] * 8, "not now"
        shared._spend(-2.0)
        assert source.are_stored(keys) == [True] * 6 + [False] * 2
        shared._spend(2.0)
        assert source.are_stored(keys) == [True] * 6 + [False] * 2, "that is known"


def test_what_takes_long_to_decode_is_looked_into_by_a_report_that_may_take_as_long(tmp_path, monkeypatch):
    written = interrupted(tmp_path / "a.zarr", "v3")
    stores.make_old(tmp_path / "a.zarr", 3600)
    monkeypatch.setattr(shared_chunks, "_SECONDS_PER_QUESTION", 0.02)
    real = ZarrInChunks.blank_planes
    monkeypatch.setattr(ZarrInChunks, "blank_planes", lambda *given: time.sleep(0.03) or real(*given))
    with open_dataset(tmp_path / "a.zarr") as dataset:
        assert {states(dataset)[key] for key in written} == {PRESENT}
        assert dataset.report().counts == {PRESENT: 11, FILLED: 1, ABSENT: 4}


def an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are older now; with their times set back, they would count as written anew."""
    real = FILE_CLOCK.age_s
    monkeypatch.setattr(FILE_CLOCK, "age_s", lambda changed_ns: real(changed_ns) + 3600)


@pytest.mark.parametrize("t_chunk", [1, 4])
def test_nothing_is_awaited_of_a_finished_dataset_whose_files_are_dated_ahead(
    tmp_path, monkeypatch, followed, t_chunk
):
    growing = GrowingZarr(tmp_path / "a.zarr", t_chunk=t_chunk)
    for value in (1, 2, 3):
        growing.add(value)
    growing._array = growing._array.resize(exclusive_max=[6, 1, 1, SIZE, SIZE]).result()
    stores.make_old(growing.path, -5 * 3600)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey(t=3)) is PENDING, (
        "it may have been written just now, by a clock that is wrong"
    )
    an_hour_later(monkeypatch)
    assert wait_for(dataset, PlaneKey(t=3), ABSENT) <= {PENDING, PlaneState.LOADING}
    wait_until(lambda: dataset.report().counts == {PRESENT: 3, ABSENT: 3})


def test_after_the_end_of_a_run_what_is_missing_of_its_last_chunk_is_never_black(
    tmp_path, monkeypatch, followed
):
    growing = GrowingZarr(tmp_path / "a.zarr", t_chunk=4)
    for value in (1, 2, 3):
        growing.add(value)
    growing._array = growing._array.resize(exclusive_max=[6, 1, 1, SIZE, SIZE]).result()
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey(t=3)) is PENDING
    an_hour_later(monkeypatch)
    assert wait_for(dataset, PlaneKey(t=3), ABSENT) <= {PENDING, PlaneState.LOADING}
    wait_until(lambda: dataset.report().counts == {PRESENT: 3, ABSENT: 3})
