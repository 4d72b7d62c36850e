"""Dialects of HDF5: what in a file says which dataset is its image, with which axes, names and sizes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import h5py
import hdf5_dialects as dialects
import numpy as np
import pytest
from hdf5_files import GZIP, volume

from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ndviewer_light.sources import Source

    Open = Callable[..., Source]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open files that are closed when the test is over."""
    sources: list[Source] = []

    def open_one(path: Path | str, inner: str = "", **options: str) -> Source:
        sources.append(open_source(f"{path}::{inner}" if inner else str(path), options or None))
        return sources[-1]

    yield open_one
    for source in sources:
        source.close()


def assert_shows(source: Source, data: np.ndarray, axes: str) -> None:
    """Every plane has the pixels of `data`, whose axes are named so ("-" is one sample)."""
    data = data[tuple(0 if axis == "-" else slice(None) for axis in axes)]
    axes = axes.replace("-", "")
    full = np.moveaxis(data, [axes.index(axis) for axis in "tpczyx" if axis in axes], range(data.ndim))
    full = np.expand_dims(full, [i for i, axis in enumerate("tpczyx") if axis not in axes])
    assert tuple(source.info.sizes.values()) == full.shape
    for key in itertools.product(*map(range, full.shape[:4])):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(*key)), full[key], err_msg=str(key))


# ---- which axis is which ---------------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["tzyxc", "tyxc", "xyzct", "cxy", "zcyx", "tczyx", "yx", "tzcxy"])
@pytest.mark.parametrize("how", [{}, {"chunks": True, **GZIP}], ids=["contiguous", "chunked"])
def test_ilastik_names_its_axes(tmp_path: Path, opened: Open, axes: str, how: dict[str, Any]) -> None:
    sizes = dict(zip("tzyxc", (3, 4, 17, 19, 2), strict=True))
    data = volume([sizes[axis] for axis in axes])
    source = opened(dialects.write_axistags(tmp_path / "a.h5", data, axes, **how))
    assert_shows(source, data, axes)
    assert source.info.warnings == ()


def test_a_last_axis_of_one_sample_is_no_x(tmp_path: Path, opened: Open) -> None:
    data = volume((5, 17, 19, 1))
    assert_shows(opened(dialects.write_axistags(tmp_path / "a.h5", data, "tyxc")), data, "tyxc")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("a", data=data)
    assert_shows(opened(tmp_path / "b.h5"), data, "zyx-")


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((17, 19), "u2", "yx"),
        ((17, 19), "?", "yx"),
        ((17, 19, 5), "f8", "yxz"),
        ((17, 19, 3), "u1", "yxc"),
        ((17, 19, 1, 5), "u2", "yx-z"),
        ((17, 19, 3, 4), "u1", "yxcz"),
        ((17, 19, 5, 2), "u2", "yxzc"),
    ],
)
def test_matlab_stores_axes_in_reverse(
    tmp_path: Path, opened: Open, shape: Sequence[int], dtype: str, axes: str
) -> None:
    data = volume(shape, dtype) if dtype != "?" else volume(shape) > 100
    source = opened(dialects.write_mat73(tmp_path / "a.mat", img=data, note="a text"))
    assert_shows(source, data.astype("u1") if dtype == "?" else data, axes)
    assert source.info.choices == (), "texts are no pictures"
    if axes[2:3] == "c":
        assert [channel.color for channel in source.info.channels] == ["#FF0000", "#00FF00", "#0000FF"]


def test_matlab_bright_on_the_left_is_on_the_left(tmp_path: Path, opened: Open) -> None:
    data = np.zeros((40, 60))
    data[:, :20] = 1
    pixels = opened(dialects.write_mat73(tmp_path / "a.mat", img=data)).read_plane(PlaneKey())
    assert pixels.shape == (40, 60)
    assert pixels[:, :20].all()
    assert not pixels[:, 20:].any()


def test_axes_that_are_partly_known_stay_where_they_are(tmp_path: Path, opened: Open) -> None:
    data = volume((17, 19, 6))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("a", data=data)
        for i, name in enumerate(("y", "x", "energy")):
            made.dims[i].label = name
    source = opened(tmp_path / "a.h5")
    assert_shows(source, data, "yxz")
    assert any("(y, x, energy); assuming y x z" in warning for warning in source.info.warnings)


# ---- which dataset is the picture ------------------------------------------------------------------


def test_nexus_says_what_to_plot(tmp_path: Path, opened: Open) -> None:
    data = volume((4, 17, 19))
    steps = {"time": (2.0, "s"), "y": (0.5, "um"), "x": (250.0, "nm")}
    source = opened(dialects.write_nexus(tmp_path / "a.nxs", data, ("time", "y", "x"), steps))
    assert_shows(source, data, "tyx")
    info = source.info
    assert (info.time_step_s, info.pixel_size_y_um, info.pixel_size_x_um) == pytest.approx((2, 0.5, 0.25))
    assert info.choices[0].endswith("::/scan/plot/counts")


def test_old_nexus_marks_its_signal(tmp_path: Path, opened: Open) -> None:
    data = volume((5, 17, 19))
    path = dialects.write_nexus(tmp_path / "a.h5", data)
    with h5py.File(path, "a") as file:
        del file.attrs["default"], file["scan"].attrs["default"], file["scan/plot"].attrs["signal"]
        file["scan/plot/counts"].attrs.update({"signal": 1, "axes": "[z:x:y]"})
    assert_shows(opened(path), data, "zxy")


def test_a_curve_is_no_picture_of_a_nexus_file(tmp_path: Path, opened: Open) -> None:
    path = dialects.write_nexus(tmp_path / "a.h5", np.arange(30.0))
    assert opened(path).info.width == 20, "what there is else"


def test_berkeley_emd(tmp_path: Path, opened: Open) -> None:
    data = volume((17, 19, 5), "f4")
    dims = [("y", 0.5, "[n_m]"), ("x", 0.25, "[n_m]"), ("t", 2.0, "[s]")]
    source = opened(dialects.write_emd(tmp_path / "a.emd", data, dims))
    assert_shows(source, data, "yxt")
    info = source.info
    assert (info.pixel_size_y_um, info.pixel_size_x_um, info.time_step_s) == pytest.approx((5e-4, 2.5e-4, 2))


def test_velox_emd(tmp_path: Path, opened: Open) -> None:
    frames = volume((3, 17, 19))
    source = opened(dialects.write_velox(tmp_path / "a.emd", frames, 2e-9))
    assert_shows(source, frames, "tyx")
    assert source.info.pixel_size_x_um == pytest.approx(2e-3)
