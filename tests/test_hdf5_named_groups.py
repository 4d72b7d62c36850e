"""HDF5 whose axes are in the names of groups and datasets: one image, as Fiji's plug-in means it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import hdf5_dialects as dialects
import numpy as np
import pytest

from ndviewer_light import open_dataset
from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources.hdf5 import file as hdf5_file

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset


def volume(*shape: int, dtype: Any = "u2") -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


def pixels_of(dataset: Dataset) -> np.ndarray:
    """All planes, (T, P, C, Z, Y, X)."""
    sizes = dataset.sizes
    shape = tuple(sizes[axis] for axis in "tpcz")
    planes = [dataset.plane(t=t, p=p, c=c, z=z) for t, p, c, z in np.ndindex(shape)]
    return np.stack(planes).reshape(*shape, *planes[0].shape)


def test_fijis_groups_are_times_and_channels(tmp_path: Path) -> None:
    data = volume(11, 2, 3, 16, 20)  # t10 comes after t9
    path = dialects.write_groups(tmp_path / "a.h5", data, "t{t}/channel{c}", compression="gzip")
    with open_dataset(path) as dataset:
        info = dataset.info
        assert [channel.name for channel in info.channels] == ["Ch0", "Ch1"]
        assert (info.z_step_um, info.pixel_size_y_um, info.pixel_size_x_um) == (2.0, 0.5, 0.25)
        assert (info.times, info.choices) == ((), ())
        np.testing.assert_array_equal(pixels_of(dataset), data[:, None])
    with open_dataset(f"{path}::/t3/channel1") as one:
        assert one.sizes["z"] == 3 and one.sizes["t"] == 1
        np.testing.assert_array_equal(one.plane(z=2), data[3, 1, 2])


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("time_{t:03}/c{c}", "tc"),
        ("exported/Timepoint {t}/ch{c:02}", "tc"),
        ("channel{c}/frame{t}", "tc"),
        ("pos{t}/channel{c}", "pc"),
        ("view{t}/t{c}", "pt"),
    ],
)
def test_words_that_mean_an_axis(tmp_path: Path, name: str, axes: str) -> None:
    data = volume(2, 3, 4, 16, 20)
    path = dialects.write_groups(tmp_path / "a.h5", data, name)
    with open_dataset(path) as dataset:
        at = [axes.find(axis) for axis in "tpc"] + [2]
        right = data.transpose([i for i in at if i >= 0] + [3, 4])
        right = right.reshape([data.shape[i] if i >= 0 else 1 for i in at] + [16, 20])
        np.testing.assert_array_equal(pixels_of(dataset), right)


def test_datasets_called_by_words_are_channels(tmp_path: Path) -> None:
    data = volume(3, 2, 4, 16, 20)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for t, c in np.ndindex(3, 2):
            file[f"t{t}/{('DAPI', 'GFP')[c]}"] = data[t, c]
            file[f"t{t}/mask{c}"] = data[t, c] > 5
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert [channel.name for channel in dataset.info.channels] == ["DAPI", "GFP"]
        np.testing.assert_array_equal(pixels_of(dataset), data[:, None])
        assert any(each.endswith("::/t0/mask1") for each in dataset.info.choices)


def test_planes_and_times_in_names(tmp_path: Path) -> None:
    """Datasets that are planes, of times with gaps; one is missing."""
    data = volume(3, 4, 16, 20)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for t, z in np.ndindex(3, 4):
            if (t, z) != (1, 2):
                file[f"t{5 * t + 5}/z{z}"] = data[t, z]
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert dataset.info.times == (5, 10, 15)
        np.testing.assert_array_equal(dataset.plane(t=2, z=3), data[2, 3])
        dataset.plane(t=1, z=2)
        assert dataset.state(PlaneKey(t=1, z=2)) is PlaneState.FILLED


def test_positions_have_times_and_stacks_of_their_own(tmp_path: Path) -> None:
    """What is not there at a position is no plane of it, not a black one."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for p, t, n in ((0, 0, 3), (0, 1, 3), (0, 2, 3), (1, 0, 5), (1, 1, 5)):
            file[f"pos{p}/t{t}"] = volume(n, 16, 20) + 100 * p + 10 * t
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert [(dataset.image(p).n_t, dataset.image(p).n_z) for p in range(2)] == [(3, 3), (2, 5)]
        np.testing.assert_array_equal(dataset.plane(p=1, t=1, z=4), volume(5, 16, 20)[4] + 110)
        for key in ({"p": 1, "t": 2}, {"p": 0, "z": 3}):
            with pytest.raises((IndexError, PlaneNotStoredError)):
                dataset.plane(**key)


def test_axes_inside_that_names_have_already(tmp_path: Path) -> None:
    """Of whose axes nothing is said: (t, z, y, x) in each channel, since c is in the names."""
    data = volume(2, 3, 4, 16, 20)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for c in range(2):
            file[f"channel{c}"] = data[c]
    with open_dataset(tmp_path / "a.h5") as dataset:
        np.testing.assert_array_equal(pixels_of(dataset), data.transpose(1, 0, 2, 3, 4)[:, None])
        assert any("axes are not named" in each for each in dataset.info.warnings)


def test_what_is_no_image_of_groups(tmp_path: Path) -> None:
    """Levels, samples and treatments called by words, and a larger dataset beside, stay what they are."""
    with h5py.File(tmp_path / "levels.h5", "w") as file:
        file["s0"], file["s1"] = volume(4, 32, 40), volume(2, 16, 20)
    with h5py.File(tmp_path / "words.h5", "w") as file:
        for name in ("control", "treated"):
            for t in range(3):
                file[f"{name}/t{t}"] = volume(16, 20)
    with h5py.File(tmp_path / "beside.h5", "w") as file:
        file["raw"] = volume(9, 32, 40)
        for t in range(2):
            file[f"t{t}/small"] = volume(16, 20)
    with open_dataset(tmp_path / "levels.h5") as dataset:
        assert dataset.sizes == {"t": 1, "p": 1, "c": 1, "z": 4, "y": 32, "x": 40}
    with open_dataset(tmp_path / "words.h5") as dataset:
        assert (dataset.sizes["t"], dataset.sizes["c"]) == (3, 1)
        assert len(dataset.info.choices) == 4  # it, and the others
        assert any("open the others as FILE::/PATH: /treated/t0" in each for each in dataset.info.warnings)
    with open_dataset(tmp_path / "beside.h5") as dataset:
        assert dataset.sizes["z"] == 9


def test_of_very_many_groups_only_some_are_shown_and_that_is_said(tmp_path: Path, monkeypatch: Any) -> None:
    path = dialects.write_groups(tmp_path / "a.h5", volume(9, 2, 1, 8, 9), "t{t}/channel{c}")
    monkeypatch.setattr(hdf5_file, "MAX_OBJECTS", 20)
    with open_dataset(path) as dataset:
        assert dataset.sizes["t"] < 9
        assert any("more than was searched" in each for each in dataset.info.warnings)


def test_groups_that_are_added_are_seen(tmp_path: Path) -> None:
    data = volume(4, 2, 3, 16, 20)
    path = dialects.write_groups(tmp_path / "a.h5", data[:2], "t{t}/channel{c}")
    with open_dataset(path) as dataset:
        assert dataset.sizes["t"] == 2
        with h5py.File(path, "a") as file:
            for t, c in np.ndindex(2, 2):
                file[f"t{t + 2}/channel{c}"] = data[t + 2, c]
        dataset.refresh()
        assert dataset.sizes["t"] == 4
        np.testing.assert_array_equal(pixels_of(dataset), data[:, None])
