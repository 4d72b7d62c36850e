"""Planes that share chunks of HDF5 with others: those that nobody wrote never count as there."""

from __future__ import annotations

import contextlib
import shutil
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from follow_disk import SIZE, datasets_that_are_followed, shown, wait_for  # noqa: F401
from memory_source import wait_until

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources import open_source
from ndviewer_light.sources.hdf5.planes_in_chunks import HDF5InChunks
from ndviewer_light.sources.hdf5.source import HDF5Source

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

h5py = pytest.importorskip("h5py")

PRESENT, FILLED, PENDING = PlaneState.PRESENT, PlaneState.FILLED, PlaneState.PENDING
ABSENT, UNKNOWN = PlaneState.ABSENT, PlaneState.UNKNOWN

CHUNK = (4, 1, SIZE, SIZE)
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"chunks": CHUNK},
    "latest": {"chunks": CHUNK, "libver": "latest"},
    "growing": {"chunks": CHUNK, "libver": "latest", "maxshape": (None, 2, SIZE, SIZE)},
    "gzip": {"chunks": CHUNK, "compression": "gzip", "shuffle": True},
    "tiles": {"chunks": (4, 1, SIZE // 2, SIZE)},
    "chunks of t and z": {"chunks": (4, 2, SIZE, SIZE)},
    "only h5py decodes it": {"chunks": CHUNK, "scaleoffset": 0},
    "another fill value": {"chunks": CHUNK, "fillvalue": 7},
    "nan": {"chunks": CHUNK, "dtype": "f4", "fillvalue": np.nan},
}


def created(path: Path, *, dtype: str = "u2", libver: str = "earliest", **kind: Any) -> Any:
    """A file with an image of 8 time points with 2 planes along z each, open for writing."""
    file = h5py.File(path, "w", libver=libver)
    images = file.create_dataset("images", (8, 2, SIZE, SIZE), dtype, **kind)
    images.dims[0].label, images.dims[1].label = "t", "z"
    images.dims[2].label, images.dims[3].label = "y", "x"
    return file


def put(file: Any, t: int, z: int, value: int) -> None:
    images = file["images"]
    fill = images.fillvalue
    pixels = np.full((SIZE, SIZE), fill, images.dtype)
    pixels[-1, -1] = 10 + value  # one pixel is enough
    images[t, z] = pixels
    file.flush()


def interrupted(path: Path, kind: str, *, n: int = 11) -> list[PlaneKey]:
    """Write the first `n` planes; which these are."""
    written = list(product(range(8), range(2)))[:n]
    with created(path, **KINDS[kind]) as file:
        for i, (t, z) in enumerate(written):
            put(file, t, z, i)
    return [PlaneKey(t, z=z) for t, z in written]


def states(dataset: Dataset) -> dict[PlaneKey, PlaneState | None]:
    report = dataset.report()
    return {PlaneKey(t, z=z): report.state(PlaneKey(t, z=z)) for t, z in product(range(8), range(2))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [20.0, 3600.0])
def test_planes_that_were_never_written_are_not_there(tmp_path: Path, kind: str, seconds: float) -> None:
    written = interrupted(tmp_path / "a.h5", kind)
    stores.make_old(tmp_path, seconds)
    with open_dataset(tmp_path / "a.h5") as dataset:
        said = states(dataset)
        assert {said[key] for key in written} == {PRESENT}
        others = {key: state for key, state in said.items() if key not in written}
        assert others.pop(PlaneKey(5, z=1)) is FILLED, "the end of a stack"
        assert set(others.values()) == {ABSENT}
        for key in written:
            assert dataset.plane(*key)[-1, -1] >= 10
        for key in others:
            assert dataset.state(key) is ABSENT
            with pytest.raises(PlaneNotStoredError, match="empty or not acquired"):
                dataset.plane(*key)
        assert dataset.plane(5, z=1).shape == (SIZE, SIZE)
        assert dataset.report(read=True).count(ABSENT) == len(others)


@pytest.mark.parametrize("kind", KINDS)
def test_reports_of_a_run_never_say_that_a_plane_is_there_before_it_is(tmp_path: Path, kind: str) -> None:
    file = created(tmp_path / "a.h5", **KINDS[kind])
    put(file, 0, 0, 0)
    with contextlib.closing(file), open_dataset(tmp_path / "a.h5", follow=True) as dataset:
        written = [PlaneKey()]
        for i, (t, z) in enumerate(list(product(range(8), range(2)))[1:], 1):
            there = [key for key, state in states(dataset).items() if state in (PRESENT, FILLED)]
            assert there == written
            assert dataset.report().count(PENDING) == 16 - len(written)
            put(file, t, z, i)
            written.append(PlaneKey(t, z=z))
        assert dataset.report().counts == {PRESENT: 16}


@pytest.mark.parametrize("seconds", [20.0, 3600.0])
def test_what_a_writer_left_that_was_killed_says_that_it_is_not_complete(tmp_path: Path, seconds) -> None:
    with created(tmp_path / "a.h5", **KINDS["growing"]) as file:
        file.swmr_mode = True
        for i, (t, z) in enumerate(product(range(6), range(2))):
            put(file, t, z, i)
        shutil.copyfile(tmp_path / "a.h5", tmp_path / "left.h5")  # as it is while it is open
    stores.make_old(tmp_path, seconds)
    with open_dataset(tmp_path / "left.h5") as dataset:
        assert dataset.report().counts == {PRESENT: 12, ABSENT: 4}
        with pytest.raises(PlaneNotStoredError, match="empty or not acquired"):
            dataset.plane(6)
        assert dataset.thumbnails([PlaneKey(6)], 8)[0].state is ABSENT
        assert dataset.report(read=True).counts == {PRESENT: 12, ABSENT: 4}


def test_dark_planes_that_the_writer_is_past_are_data_at_once_in_the_chunks_before(tmp_path, followed):
    """Also while the file is written all the time, and of files that are not closed."""
    file = created(tmp_path / "a.h5", **KINDS["growing"])
    file.swmr_mode = True
    for i, (t, z) in enumerate(product(range(5), range(2))):
        put(file, t, z, -10 if t == 2 else i)
    assert not file["images"][2].any()
    dataset = followed(tmp_path / "a.h5")
    put(file, 5, 0, 1)
    assert shown(dataset, PlaneKey(2)) == 0
    assert shown(dataset, PlaneKey(6)) is PENDING
    wait_until(lambda: dataset.report().counts == {PRESENT: 11, PENDING: 5})
    file.close()


def test_a_dark_plane_before_a_later_one_of_its_chunk_is_data_after_some_seconds(tmp_path, followed):
    with created(tmp_path / "a.h5", **KINDS["plain"]) as file:
        for i, (t, z) in enumerate(product(range(7), range(2))):
            put(file, t, z, -10 if t == 5 else i)
    dataset = followed(tmp_path / "a.h5")
    assert shown(dataset, PlaneKey(5)) is PENDING, "it may be written in any order"
    stores.make_old(tmp_path, 20.0)
    assert wait_for(dataset, PlaneKey(5), 0) <= {PENDING, PlaneState.LOADING}
    wait_until(lambda: dataset.report().counts == {PRESENT: 14, PENDING: 2})


def test_a_chunk_of_hdf5_that_is_blank_all_over_was_written_so(tmp_path: Path) -> None:
    with created(tmp_path / "a.h5", **KINDS["plain"]) as file:
        file["images"][:] = np.zeros((8, 2, SIZE, SIZE), "u2")
    stores.make_old(tmp_path, 3600)
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert dataset.report().counts == {PRESENT: 16}
        assert not dataset.plane(7).any()


def test_only_the_last_chunks_of_hdf5_are_decoded(tmp_path: Path, monkeypatch) -> None:
    interrupted(tmp_path / "a.h5", "plain", n=16)
    decoded = []
    real = HDF5InChunks.blank_planes
    monkeypatch.setattr(
        HDF5InChunks, "blank_planes", lambda self, block: decoded.append(block) or real(self, block)
    )
    stores.make_old(tmp_path, 20.0)
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert dataset.report().counts == {PRESENT: 16}
        assert dataset.report().counts == {PRESENT: 16}
    assert sorted((block.spans for block in decoded), key=str) == [
        (range(4, 8), range(1)),
        (range(4, 8), range(1, 2)),
    ]


def test_a_followed_file_is_decoded_for_a_share_of_the_time(tmp_path: Path) -> None:
    interrupted(tmp_path / "a.h5", "plain")
    stores.make_old(tmp_path, 20.0)
    source = open_source(str(tmp_path / "a.h5"))
    assert isinstance(source, HDF5Source)
    source.follow()
    with contextlib.closing(source):
        keys = [PlaneKey(t) for t in range(8)]
        shared = source._blank._shared
        shared._spend(2.0)
        assert source.are_stored(keys) == [True] * 4 + [None] * 4, "not now"
        shared._spend(-2.0)
        assert source.are_stored(keys) == [True] * 6 + [False] * 2
        shared._spend(2.0)
        assert source.are_stored(keys) == [True] * 6 + [False] * 2, "that is known"


def test_chunks_that_all_had_their_place_at_first_are_room_for_what_is_to_come(tmp_path, followed):
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk((1, SIZE, SIZE))
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple((4, SIZE, SIZE))
        data = h5py.Dataset(h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT16, space, how))
        data[0] = 1
    dataset = followed(tmp_path / "a.h5")
    assert shown(dataset, PlaneKey()) == 1
    assert shown(dataset, PlaneKey(z=1)) is PENDING


def test_chunks_of_bigdataviewer_hold_planes_of_a_stack(tmp_path: Path) -> None:
    """A dataset for each time point and setup: what was not written of the last stack is not there."""
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file["s00/subdivisions"], file["s00/resolutions"] = [[4, SIZE, SIZE]], [[1.0, 1.0, 1.0]]
        file["s00/resolutions"][...] = 1.0
        for t in range(2):
            cells = file.create_dataset(
                f"t0000{t}/s00/0/cells", (6, SIZE, SIZE), "i2", chunks=(4, SIZE, SIZE)
            )
            for z in range(6 if t == 0 else 2):
                cells[z] = 1 + z
        file.swmr_mode = True
        file.flush()
        shutil.copyfile(tmp_path / "a.h5", tmp_path / "left.h5")
    stores.make_old(tmp_path, 20.0)
    with open_dataset(tmp_path / "left.h5") as dataset:
        assert dataset.sizes["t"] == 2
        assert dataset.report().counts == {PRESENT: 8, ABSENT: 4}
        assert [dataset.state(PlaneKey(1, z=z)) for z in range(6)] == [PRESENT] * 2 + [ABSENT] * 4
