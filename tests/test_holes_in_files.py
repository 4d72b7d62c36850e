"""Planes that have room in a file and were never written: not drawn as black data, during or after a run."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
import stores
import tifffile
from follow_disk import (
    datasets_that_are_followed,  # noqa: F401
    shown,
)
from memory_source import wait_until

from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneKey, PlaneState, Region
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import filled_in_advance
from ndviewer_light.storage.file_holes import Stretch, are_holes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SIZE, PLANES = 256, 4


def tiff(path: Path, written: Sequence[int], **kind: Any) -> None:
    shape = (PLANES, SIZE, SIZE)
    pixels = tifffile.memmap(
        path, shape=shape, dtype="u2", photometric="minisblack", metadata={"axes": "TYX"}, **kind
    )
    for i in written:
        pixels[i] = i + 1
    pixels.flush()


def folder_of_stacks(path: Path, written: Sequence[int]) -> None:
    path.mkdir()
    tiff(path / "run_t0.tif", range(PLANES))
    tiff(path / "run_t1.tif", written)


def hdf5(path: Path, written: Sequence[int], **storage: Any) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("images", (PLANES, SIZE, SIZE), "u2", **storage)
        for i in written:
            data[i] = i + 1


def hdf5_in_early_chunks(path: Path, written: Sequence[int]) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", libver="latest") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, SIZE, SIZE))
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((PLANES, SIZE, SIZE))
        h5py.h5d.create(file.id, b"images", h5py.h5t.STD_U16LE, space, plist)
        for i in written:
            file["images"][i] = i + 1


def mrc(path: Path, written: Sequence[int]) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new_mmap(path, (PLANES, SIZE, SIZE), mrc_mode=6) as file:
        for i in written:
            file.data[i] = i + 1


KINDS: dict[str, tuple[str, str, Callable[[Path, Sequence[int]], None]]] = {
    "tiff": ("a.tif", "t", tiff),
    "imagej": ("a.tif", "t", lambda path, written: tiff(path, written, imagej=True)),
    "ome-tiff": ("a.ome.tif", "t", lambda path, written: tiff(path, written, ome=True)),
    "folder of stacks": ("run", "t", folder_of_stacks),
    "hdf5, one piece": ("a.h5", "z", hdf5),
    "hdf5, early chunks": ("a.h5", "z", hdf5_in_early_chunks),
    "mrc": ("a.mrc", "z", mrc),
}


@pytest.fixture(autouse=True)
def file_system_with_holes(tmp_path) -> None:
    probe = tmp_path / "probe"
    with open(probe, "wb") as file:
        file.truncate(1024**2)
    knows = are_holes([[Stretch(str(probe), 0, 1024**2)]])[0]
    probe.unlink()
    if not knows:
        pytest.skip("this file system keeps no holes")


class Run:
    """A file of which some planes were written, by a writer that is gone for two minutes."""

    def __init__(self, folder: Path, kind: str, written: Sequence[int]) -> None:
        name, self.axis, write = KINDS[kind]
        self.path = folder / name
        write(self.path, written)
        stores.make_old(folder, 120.0)
        self._fixed = {"p": 1} if kind == "folder of stacks" else {}

    def key(self, i: int) -> PlaneKey:
        return PlaneKey(**{**self._fixed, self.axis: i})


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_writer_that_died_never_wrote_is_empty_or_not_acquired(tmp_path, followed, kind):
    run = Run(tmp_path, kind, (0, 1))
    dataset = followed(run.path)
    n_planes = sum(dataset.report().counts.values())
    seen = [shown(dataset, run.key(i)) for i in range(PLANES)]
    assert seen == [1, 2, PlaneState.ABSENT, PlaneState.ABSENT]
    [plane] = dataset.planes([run.key(3)], wait=None)
    assert "empty or not acquired" in plane.reason
    counts = {state: n for state, n in dataset.report().counts.items() if n}
    assert counts == {PlaneState.PRESENT: n_planes - 2, PlaneState.ABSENT: 2}
    assert dataset.state(run.key(3)) is PlaneState.ABSENT


@pytest.mark.parametrize("kind", KINDS)
def test_so_it_is_to_scripts(tmp_path, kind):
    run = Run(tmp_path, kind, (0, 1))
    with open_dataset(run.path) as dataset:
        assert dataset.plane(**run.key(1)._asdict()).max() == 2
        with pytest.raises(PlaneNotStoredError, match="empty or not acquired"):
            dataset.plane(**run.key(3)._asdict())
        assert dataset.report().counts[PlaneState.ABSENT] == 2
        assert dataset.report(read=True).counts[PlaneState.ABSENT] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_hole_before_what_was_written_is_the_fill_value_and_says_so(tmp_path, followed, kind):
    run = Run(tmp_path, kind, (0, 2, 3))
    dataset = followed(run.path)
    [plane] = dataset.planes([run.key(1)], wait=None)
    assert plane.state is PlaneState.FILLED
    assert plane.pixels is not None
    assert not plane.pixels.any()
    assert dataset.state(run.key(1)) is PlaneState.FILLED
    with open_dataset(run.path) as unfollowed:
        assert not unfollowed.plane(**run.key(1)._asdict()).any()


@pytest.mark.parametrize("kind", KINDS)
def test_while_it_is_written_it_is_pending(tmp_path, followed, kind):
    run = Run(tmp_path, kind, (0, 1))
    stores.make_old(tmp_path, 0.0)
    dataset = followed(run.path)
    assert shown(dataset, run.key(3)) is PlaneState.PENDING
    assert dataset.state(run.key(3)) is PlaneState.PENDING


def test_a_part_of_a_plane_in_a_hole_is_not_data_either(tmp_path):
    run = Run(tmp_path, "tiff", (0, 1))
    with open_dataset(run.path) as dataset:
        assert dataset.plane(region=Region(0, 0, 8, 8), **run.key(1)._asdict()).max() == 2
        with pytest.raises(PlaneNotStoredError, match="empty or not acquired"):
            dataset.plane(region=Region(0, 0, 8, 8), **run.key(3)._asdict())


def test_where_no_hole_tells_what_was_seen_to_be_written_up_to_a_plane_tells(tmp_path, followed, monkeypatch):
    run = Run(tmp_path, "tiff", (0,))
    content = run.path.read_bytes()  # without holes, once it is written again
    run.path.write_bytes(content)
    dataset = followed(run.path)
    with open(run.path, "r+b") as file:
        pixels = tifffile.memmap(run.path)
        pixels[1] = 2
        pixels.flush()
        os.utime(file.fileno())
    wait_until(lambda: shown(dataset, run.key(1)) == 2)
    assert shown(dataset, run.key(3)) is PlaneState.PENDING
    for name in ("JUST_WRITTEN_SECONDS", "QUIET_SECONDS"):
        monkeypatch.setattr(filled_in_advance, name, 0.0)
    dataset.refresh()
    wait_until(lambda: shown(dataset, run.key(3)) is PlaneState.ABSENT)


def test_a_fill_value_other_than_zero_is_no_data(tmp_path, followed):
    path = tmp_path / "a.h5"
    hdf5(path, (0, 1), fillvalue=7)
    dataset = followed(path)
    assert shown(dataset, PlaneKey(z=1)) == 2
    assert shown(dataset, PlaneKey(z=3)) is PlaneState.PENDING
    stores.make_old(tmp_path, 120.0)
    with open_dataset(path) as finished, pytest.raises(PlaneNotStoredError, match="empty or not acquired"):
        finished.plane(z=3)


def test_a_folder_of_single_planes_has_no_room_ahead(tmp_path, followed):
    """That a file is there says that it was acquired, whatever the file system keeps of it."""
    for t in range(3):
        tifffile.memmap(tmp_path / f"run_t{t}.tif", shape=(SIZE, SIZE), dtype="u2").flush()
    stores.make_old(tmp_path, 120.0)
    assert shown(followed(tmp_path), PlaneKey(t=2)) == 0


def test_a_system_that_cannot_tell_holes_has_none(tmp_path, monkeypatch):
    path = tmp_path / "a"
    with open(path, "wb") as file:
        file.truncate(SIZE * SIZE)
    whole = Stretch(str(path), 0, SIZE * SIZE)
    assert are_holes([[whole], [], [whole, Stretch(str(path), SIZE * SIZE, SIZE * SIZE)]]) == [
        True,
        False,
        True,
    ]
    assert are_holes([[whole._replace(path=str(tmp_path / "b"))]]) == [False]

    def cannot(*_: object) -> int:
        raise OSError(errno.EINVAL, "no holes here")

    monkeypatch.setattr(os, "lseek", cannot)
    assert are_holes([[whole]]) == [False]


def test_what_shares_a_block_with_others_is_no_hole(tmp_path):
    path = tmp_path / "a"
    with open(path, "wb") as file:
        file.truncate(SIZE * SIZE)
        file.seek(SIZE * SIZE // 2)
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
    half = SIZE * SIZE // 2
    assert are_holes([[Stretch(str(path), 0, half)], [Stretch(str(path), half, half)]]) == [True, False]
    assert are_holes([[Stretch(str(path), 0, 100)]]) == [False], "less than a block"
