"""HDF5 files that a program is writing: what it has flushed is shown, never other pixels."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from hdf5_files import GZIP, start_appending, stop, volume, write

from ndviewer_light import open_dataset
from ndviewer_light.errors import CorruptDataError, DatasetError, PlaneNotStoredError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.hdf5.source import HDF5Source

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 60.0


@pytest.mark.parametrize("mode", ["swmr", "latest", "plain"])
def test_planes_appear_as_they_are_written(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.h5"
    writer = start_appending(path, mode)
    source = HDF5Source.open(str(path))
    before, good = source.info.n_t, 0
    assert before >= 20
    deadline = time.monotonic() + TIMEOUT
    while good < 100 and time.monotonic() < deadline:
        try:
            last = source.refresh().n_t - 1
            pixels = [source.read_plane(PlaneKey(t=t)) for t in (0, last // 2, last)]
        except (CorruptDataError, PlaneNotStoredError) as error:  # as when it is asked for half way
            assert error.transient
            continue
        for t, plane in zip((0, last // 2), pixels, strict=False):
            assert (plane == t).all(), f"plane {t} is {np.unique(plane)}"
        # what is written without regard for readers may have its place before it has its pixels
        assert (pixels[2] == last).all() or (mode != "swmr" and not pixels[2].all())
        good += 1
    stop(writer)
    assert good == 100
    assert source.info.n_t > before
    has_said_so = any("being written, or was not closed" in warning for warning in source.info.warnings)
    assert has_said_so is (mode == "latest"), "only there does the file tell"
    source.close()


@pytest.mark.parametrize("mode", ["swmr", "latest", "plain"])
def test_what_a_writer_left_that_crashed_can_be_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.h5"
    stop(start_appending(path, mode))
    source = HDF5Source.open(str(path))
    assert source.info.n_t >= 20
    for t in range(20):
        assert (source.read_plane(PlaneKey(t=t)) == t).all()
    source.close()


def test_a_plane_beyond_the_end_is_found_once_it_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", chunks=(1, 37, 53), maxshape=(None, 37, 53))
    source = HDF5Source.open(str(path))
    info = source.info
    assert source.plane_shape(PlaneKey(t=5)) is None
    assert source.info is info, "nothing new is known"
    with h5py.File(path, "a") as file:
        file["a"].resize(7, axis=0)
        file["a"][6] = 1
    assert source.plane_shape(PlaneKey(t=6)) == (37, 53)
    assert source.info.n_t == 7
    assert (source.read_plane(PlaneKey(t=6)) == 1).all()
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(t=5))
    source.close()


def test_chunks_that_moved_are_read_where_they_are_now(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", np.zeros((5, 37, 53), "u2"), chunks=(1, 37, 53), **GZIP)
    source = HDF5Source.open(str(path))
    assert not source.read_plane(PlaneKey(z=1)).any()
    with h5py.File(path, "a") as file:  # what was zero takes more room now
        file["a"][...] = volume()
    for z in range(5):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), volume()[z])
    source.close()


def test_a_file_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", chunks=(1, 37, 53))
    source = HDF5Source.open(str(path))
    source.read_plane(PlaneKey())
    write(tmp_path / "new.h5", volume((2, 20, 30), seed=1))
    os.replace(tmp_path / "new.h5", path)
    assert source.refresh().sizes == {"t": 1, "p": 1, "c": 1, "z": 2, "y": 20, "x": 30}
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=1)), volume((2, 20, 30), seed=1)[1])
    path.write_bytes(b"no longer HDF5")
    with pytest.raises(DatasetError, match="not an HDF5 file"):
        source.refresh()
    source.close()


def test_a_file_that_went_away_is_read_on(tmp_path: Path) -> None:
    source = HDF5Source.open(str(write(tmp_path / "a.h5", chunks=(1, 37, 53))))
    (tmp_path / "a.h5").unlink()
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=4)), volume()[4])
    source.close()


def test_a_dataset_sees_what_is_appended(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", chunks=(1, 37, 53), maxshape=(None, 37, 53))
    with open_dataset(path) as dataset:
        assert dataset.info.n_t == 5
        with h5py.File(path, "a") as file:
            file["a"].resize(6, axis=0)
            file["a"][5] = 9
        assert dataset.refresh().n_t == 6
        assert (dataset.plane(t=5) == 9).all()
