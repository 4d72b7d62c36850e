"""Files with room for planes that are still to be written: what is to come is never shown as data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest
import stores
import tifffile
from follow_disk import datasets_that_are_followed  # noqa: F401
from memory_source import wait_until

from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources.images.source import ImagesSource
from ndviewer_light.storage.file_clock import FILE_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

SIZE, PLANES = 16, 4


class Filled(Protocol):
    """A file of `PLANES` planes of zeros, along time or z."""

    path: Path
    axis: str

    def write(self, i: int, value: int) -> None: ...


class FilledTiff:
    axis = "t"

    def __init__(self, folder: Path, **kind: Any) -> None:
        self.path = folder / ("a.ome.tif" if kind.get("ome") else "a.tif")
        self._pixels = tifffile.memmap(
            self.path,
            shape=(PLANES, SIZE, SIZE),
            dtype="u2",
            photometric="minisblack",
            metadata={"axes": "TYX"},
            **kind,
        )

    def write(self, i: int, value: int) -> None:
        self._pixels[i] = value
        self._pixels.flush()


class FilledFolder(FilledTiff):
    """Such a file, as the first one of a folder of stacks."""

    def __init__(self, folder: Path) -> None:
        (folder / "images").mkdir()
        super().__init__(folder / "images")
        tifffile.imwrite(
            folder / "images" / "b.tif", np.ones((PLANES, SIZE, SIZE), "u2"), photometric="minisblack"
        )
        self.path = folder / "images"


class FilledHDF5:
    axis = "z"

    def __init__(self, folder: Path, **storage: Any) -> None:
        h5py = pytest.importorskip("h5py")
        self.path = folder / "a.h5"
        self._file = h5py.File(self.path, "w", libver="latest")
        self._data = self._file.create_dataset("images", (PLANES, SIZE, SIZE), "u2", **storage)
        self._file.swmr_mode = True

    def write(self, i: int, value: int) -> None:
        self._data[i] = value
        self._data.flush()


class FilledMrc:
    axis = "z"

    def __init__(self, folder: Path) -> None:
        mrcfile = pytest.importorskip("mrcfile")
        self.path = folder / "a.mrc"
        self._file = mrcfile.new_mmap(self.path, (PLANES, SIZE, SIZE), mrc_mode=6)

    def write(self, i: int, value: int) -> None:
        self._file.data[i] = value
        self._file.flush()


KINDS: dict[str, Callable[[Path], Filled]] = {
    "tiff": FilledTiff,
    "imagej": lambda folder: FilledTiff(folder, imagej=True),
    "ome-tiff": lambda folder: FilledTiff(folder, ome=True),
    "folder": FilledFolder,
    "hdf5, one piece": FilledHDF5,
    "hdf5, chunks of planes": lambda folder: FilledHDF5(folder, chunks=(PLANES, SIZE, SIZE)),
    "mrc": FilledMrc,
}


def shown(dataset: Dataset, key: PlaneKey) -> object:
    """The value of a plane if it is there, else its state."""
    dataset.take_changes()
    [plane] = dataset.planes([key], wait=None)
    return plane.state if plane.pixels is None else int(plane.pixels[0, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_planes_to_come_are_pending_until_they_are_written(tmp_path, followed, kind):
    file = KINDS[kind](tmp_path)
    file.write(0, 1)
    dataset = followed(file.path)
    keys = [PlaneKey(**{file.axis: i}) for i in range(PLANES)]
    assert shown(dataset, keys[0]) == 1
    for n_there, i in enumerate((2, 1, 3), 1):
        assert shown(dataset, keys[i]) is PlaneState.PENDING
        assert dataset.report().counts.get(PlaneState.PRESENT, 0) <= n_there
        file.write(i, i + 1)
        wait_until(lambda i=i: shown(dataset, keys[i]) == i + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_plane_is_data_once_the_writer_is_past_it(tmp_path, followed, kind):
    file = KINDS[kind](tmp_path)
    file.write(0, 1)
    file.write(3, 4)
    dataset = followed(file.path)
    key = PlaneKey(**{file.axis: 1})
    assert shown(dataset, key) is PlaneState.PENDING, "it may be written in any order"
    stores.make_old(tmp_path, 20.0)
    wait_until(lambda: shown(dataset, key) == 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])  # the other file comes later
def test_what_is_counted_without_reading_is_what_reading_says(tmp_path, monkeypatch, followed, kind):
    file = KINDS[kind](tmp_path)
    dataset = followed(file.path)
    for i in (0, 2):
        file.write(i, i + 1)
    now_ns = FILE_CLOCK.now_ns
    keys = [PlaneKey(**{file.axis: i}) for i in range(PLANES)]
    for later_s in (10, 100):
        monkeypatch.setattr(FILE_CLOCK, "now_ns", lambda late=later_s: now_ns() + late * 10**9)
        wait_until(lambda: dataset.report().state(keys[3]) is shown(dataset, keys[3]))
        report, state = dataset.report(), dataset.state(keys[3])
        assert state in (PlaneState.PENDING, PlaneState.ABSENT)
        assert [report.state(key) for key in keys] == [PlaneState.PRESENT] * 3 + [state], later_s
        assert report.counts == dataset.report(read=True).counts
        assert shown(dataset, keys[1]) == 0, "a later one was written"


def test_the_clock_of_another_share_does_not_say_since_when_a_file_is_followed(
    tmp_path, monkeypatch, followed
):
    ahead_ns = 300 * 10**9
    for later_ns in (0, 1):  # of a dataset on a share whose clock is ahead
        FILE_CLOCK.note("elsewhere", time.time_ns() + ahead_ns + later_ns)
    assert FILE_CLOCK.now_ns() > time.time_ns() + ahead_ns // 2
    file = FilledTiff(tmp_path)
    dataset = followed(file.path)
    file.write(0, 1)
    now_ns = FILE_CLOCK.now_ns
    monkeypatch.setattr(FILE_CLOCK, "now_ns", lambda: now_ns() + 10 * 10**9)
    key = PlaneKey(t=1)
    wait_until(lambda: dataset.report().state(key) is shown(dataset, key))
    assert dataset.state(key) in (PlaneState.PENDING, PlaneState.ABSENT), "it is room that nobody has filled"


def test_planes_of_another_fill_value_without_a_later_one_are_missing_for_all_that_tell(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("images", (PLANES, SIZE, SIZE), "u2", fillvalue=7)
        data[1] = 5
    with open_dataset(tmp_path / "a.h5") as dataset:
        for report in (dataset.report(), dataset.report(read=True)):
            assert report.counts == {PlaneState.PRESENT: 2, PlaneState.ABSENT: 2}
        assert {dataset.state(PlaneKey(z=z)) for z in (2, 3)} == {PlaneState.ABSENT}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "chunks" not in kind])
def test_a_script_that_does_not_follow_reads_what_is_stored(tmp_path, kind):
    file = KINDS[kind](tmp_path)
    file.write(0, 1)
    with open_dataset(file.path) as dataset:
        assert not dataset.plane(**{file.axis: 1}).any()


def test_empty_pages_that_are_appended_are_data(tmp_path, followed):
    path = tmp_path / "a.tif"
    for value in (1, 2):
        tifffile.imwrite(path, np.full((SIZE, SIZE), value, "u2"), append=True, metadata=None)
    dataset = followed(path)
    assert shown(dataset, PlaneKey()) == 1
    tifffile.imwrite(path, np.zeros((SIZE, SIZE), "u2"), append=True, metadata=None)
    # the follower may look while the page is being written: pending then, and data a moment later
    wait_until(lambda: dataset.take_changes() is not None and dataset.sizes["z"] == 3)
    wait_until(lambda: shown(dataset, PlaneKey(z=2)) == 0)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_file_that_is_copied_to_its_full_size_is_shown_when_all_of_it_is_there(
    tmp_path, followed, is_folder
):
    path = tmp_path / "run" / "img_t0.tif"
    path.parent.mkdir()
    tifffile.imwrite(tmp_path / "whole.tif", np.full((SIZE, SIZE), 5, "u2"), photometric="minisblack")
    content = (tmp_path / "whole.tif").read_bytes()
    if is_folder:
        path.write_bytes(content)
    with open(path.with_name("img_t1.tif") if is_folder else path, "wb", buffering=0) as file:
        file.write(content[: len(content) - SIZE * SIZE])  # half of the pixels
        file.truncate(len(content))
        dataset = followed(path.parent if is_folder else path)
        key = PlaneKey(t=1 if is_folder else 0)
        assert shown(dataset, key) is PlaneState.PENDING
        file.write(content[len(content) - SIZE * SIZE :])
        wait_until(lambda: shown(dataset, key) == 5)


def test_a_plane_that_ends_in_zeros_is_shown_once_nothing_is_written_any_more(tmp_path, followed):
    pixels = np.full((SIZE, SIZE), 5, "u2")
    pixels[-4:] = 0
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    dataset = followed(tmp_path / "a.tif")
    assert shown(dataset, PlaneKey()) is PlaneState.PENDING
    stores.make_old(tmp_path, 3.0)
    wait_until(lambda: shown(dataset, PlaneKey()) == 5)


def test_files_that_nobody_writes_are_not_opened_to_count_planes(tmp_path, monkeypatch) -> None:
    """Which takes minutes where a share is slow."""
    for t in range(3):
        tifffile.imwrite(tmp_path / f"img_t{t}.tif", np.ones((SIZE, SIZE), "u2"))
    stores.make_old(tmp_path, 3600)
    opened, room_ahead = [], ImagesSource.room_ahead
    monkeypatch.setattr(ImagesSource, "room_ahead", lambda *of: opened.append(of) or room_ahead(*of))
    with open_dataset(tmp_path, follow=True) as dataset:
        assert dataset.report().present == 3
        assert opened == []
        tifffile.imwrite(tmp_path / "img_t3.tif", np.ones((SIZE, SIZE), "u2"))
        wait_until(lambda: dataset.report().present == 4)
        assert {key.t for _, key in opened} == {3}
