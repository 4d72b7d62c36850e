"""Dialects of HDF5: what in a file says which dataset is its image, with which axes, names and sizes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import h5py
import hdf5_dialects as dialects
import numpy as np
import pytest
from hdf5_files import GZIP, volume
from range_server import RangeServer

from ndviewer_light.errors import (
    DatasetNotFoundError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.model import PlaneKey, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ndviewer_light.sources import Source

    Open = Callable[..., Source]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    """A server of the files in its `folder`."""
    with RangeServer(tmp_path_factory.mktemp("served")) as server:
        yield server


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
    assert source.describe()["why"].endswith("/exported_data, axes by axistags of ilastik")


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
        ((17, 19, 4), "u2", "yxz"),
        ((17, 19, 4), "u1", "yxz"),
    ],
)
def test_matlab_stores_axes_in_reverse(
    tmp_path: Path, opened: Open, shape: Sequence[int], dtype: str, axes: str
) -> None:
    data = volume(shape, dtype) if dtype != "?" else volume(shape) > 100
    source = opened(dialects.write_mat73(tmp_path / "a.mat", img=data, note="a text"))
    assert_shows(source, data.astype("u1") if dtype == "?" else data, axes)
    assert source.info.choices == (), "texts are no pictures"
    assert source.describe()["why"].endswith("MATLAB, which reverses them")
    if axes[2:3] == "c":
        assert [channel.color for channel in source.info.channels] == ["#FF0000", "#00FF00", "#0000FF"]


def test_matlab_bright_on_the_left_is_on_the_left(tmp_path: Path, opened: Open, server: RangeServer) -> None:
    data = np.zeros((40, 60))
    data[:, :20] = 1
    path = dialects.write_mat73(server.folder / "a.mat", img=data)
    for where in (path, server.url("a.mat")):
        pixels = opened(where, cache_dir=str(tmp_path)).read_plane(PlaneKey())
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


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (("time", "channel", "lat", "lon"), "tcyx"),
        (("lat", "lon", "time"), "yxt"),
        (("lat", "time", "channel", "lon"), "ytcx"),
        (("time", "y", "lon"), "tyx"),
        (("x", "lat", "time"), "xyt"),
        (("time", "lat", "lon", "short"), "tyxc"),
    ],
)
def test_axes_that_are_known_stay_where_those_of_the_plane_are_not(
    tmp_path: Path, opened: Open, names: Sequence[str], axes: str
) -> None:
    sizes = {"time": 3, "channel": 2, "short": 4}
    data = volume([sizes.get(name, 17 + i) for i, name in enumerate(names)])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("a", data=data)
        for i, name in enumerate(names):
            made.dims[i].label = name
    source = opened(tmp_path / "a.h5")
    assert_shows(source, data, axes)
    said = f"({', '.join(names)}); assuming {' '.join(axes)}"
    assert any(said in text for text in source.info.warnings)


# ---- which dataset is the picture ------------------------------------------------------------------


def test_nexus_says_what_to_plot(tmp_path: Path, opened: Open) -> None:
    data = volume((4, 17, 19))
    steps = {"time": (2.0, "seconds since 2026-01-01"), "y": (0.5, "um"), "x": (250.0, "nm")}
    source = opened(dialects.write_nexus(tmp_path / "a.nxs", data, ("time", "y", "x"), steps))
    assert_shows(source, data, "tyx")
    info = source.info
    assert (info.time_step_s, info.pixel_size_y_um, info.pixel_size_x_um) == pytest.approx((2, 0.5, 0.25))
    assert info.choices[0].endswith("::/scan/plot/counts")


def test_a_step_counts_along_what_it_is_of(tmp_path: Path, opened: Open) -> None:
    """An axis that is taken for z, as nothing else is left, is not a length because wavelengths are."""
    data = volume((4, 17, 19))
    for name, step, z_um in (("wavelength", (50.0, "nm"), None), ("sample_z", (2.0, "um"), 2.0)):
        steps = {name: step, "y": (0.5, "um"), "x": (0.25, "um")}
        source = opened(dialects.write_nexus(tmp_path / f"{name}.nxs", data, (name, "y", "x"), steps))
        assert_shows(source, data, "zyx")
        assert (source.info.z_step_um, source.info.pixel_size_x_um) == (z_um, 0.25)
        assert f"{name}, y, x" in source.info.warnings[0]


def test_an_axis_called_by_its_colours_is_that_of_colours(tmp_path: Path, opened: Open) -> None:
    data = volume((2, 10, 12, 3), "u1")
    source = opened(dialects.write_nexus(tmp_path / "a.nxs", data, ("frame", "y", "x", "rgb")))
    assert_shows(source, data, "tyxc")
    assert [channel.name for channel in source.info.channels] == ["red", "green", "blue"]


def test_four_samples_of_two_bytes_are_four_channels(tmp_path: Path, opened: Open) -> None:
    """Nobody's transparency has 16 bits: none of them is left out."""
    data = volume((40, 50, 4))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = data
    assert_shows(opened(tmp_path / "a.h5"), data, "yxc")


def test_old_nexus_marks_its_signal(tmp_path: Path, opened: Open) -> None:
    data = volume((5, 17, 19))
    path = dialects.write_nexus(tmp_path / "a.h5", data)
    with h5py.File(path, "a") as file:
        del file.attrs["default"], file["scan"].attrs["default"], file["scan/plot"].attrs["signal"]
        file["scan/plot/counts"].attrs.update({"signal": 1, "axes": "[z:x:y]"})
    assert_shows(opened(path), data, "zxy")


def test_nexus_says_what_is_in_colour(tmp_path: Path, opened: Open) -> None:
    data = volume((2, 10, 12, 3), "u1")
    path = dialects.write_nexus(tmp_path / "a.h5", data)
    with h5py.File(path, "a") as file:
        file["scan/plot/counts"].attrs["interpretation"] = "rgb-image"
    source = opened(path)
    assert_shows(source, data, "zyxc")
    assert [channel.name for channel in source.info.channels] == ["red", "green", "blue"]


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


# ---- images of many datasets -----------------------------------------------------------------------


@pytest.mark.parametrize("is_remote", [False, True], ids=["local", "http"])
def test_imaris_has_levels_times_channels_and_extents(
    tmp_path: Path, opened: Open, server: RangeServer, is_remote: bool
) -> None:
    data = volume((2, 3, 5, 37, 53), "u1")
    path = dialects.write_imaris(server.folder / "a.ims", data, Color="1.000 0.500 0.000")
    where = server.url("a.ims") if is_remote else str(path)
    source = opened(where, cache_dir=str(tmp_path))
    assert_shows(source, data, "tczyx")
    info = source.info
    assert (info.pixel_size_x_um, info.pixel_size_y_um, info.z_step_um) == pytest.approx((0.25, 0.5, 2))
    assert (info.time_step_s, info.choices) == (90, ())
    assert [channel.name for channel in info.channels] == ["dye 0", "dye 1", "dye 2"]
    assert [channel.color for channel in info.channels] == ["#00FF00", "#FF8000", "#00FF00"]
    first = info.channels[0]
    assert (first.excitation_nm, first.emission_nm, first.window) == (488, 525, (10, 200))
    assert [(level.sizes, level.scale) for level in source.levels(0)] == [
        ((5, 37, 53), (1, 1, 1)),
        ((5, 19, 27), (1, 2, 2)),
    ]
    pixels = source.read_plane(PlaneKey(t=1, c=2, z=3), level=1)
    np.testing.assert_array_equal(pixels, data[1, 2, 3, ::2, ::2])
    part = source.read_region(PlaneKey(c=1, z=4), Region(30, 40, 7, 13))
    np.testing.assert_array_equal(part, data[0, 1, 4, 30:, 40:])
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(z=5))


def test_an_imaris_file_that_says_its_sizes_once(tmp_path: Path, opened: Open) -> None:
    data = volume((1, 2, 5, 37, 53))
    path = dialects.write_imaris(tmp_path / "a.ims", data)
    with h5py.File(path, "a") as file:
        for level, c, axis in np.ndindex(2, 2, 3):
            group = file[f"DataSet/ResolutionLevel {level}/TimePoint 0/Channel {c}"]
            del group.attrs[f"ImageSize{'XYZ'[axis]}"]
        file["DataSetInfo/Image"].attrs["X"] = 53
    source = opened(path)
    assert_shows(source, data, "tczyx")
    assert [level.sizes for level in source.levels(0)] == [(5, 37, 53), (5, 19, 27)]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(c=1, z=4), 1), data[0, 1, 4, ::2, ::2])


def test_an_imaris_file_whose_groups_are_called_otherwise(tmp_path: Path, opened: Open) -> None:
    """As its root says; its names are bytes of one encoding or another, one at a time."""
    data = volume((1, 2, 5, 37, 53))
    path = dialects.write_imaris(tmp_path / "a.ims", data)
    with h5py.File(path, "a") as file:
        for name in ("DataSet", "DataSetInfo"):
            file.move(name, f"My{name}")
            file.attrs[f"{name}DirectoryName"] = np.frombuffer(f"My{name}".encode(), "S1")
        for c, encoding in enumerate(("utf-8", "latin-1")):
            name = np.frombuffer("Größe µ".encode(encoding), "S1")
            file[f"MyDataSetInfo/Channel {c}"].attrs["Name"] = name
    source = opened(path)
    assert_shows(source, data, "tczyx")
    assert [channel.name for channel in source.info.channels] == ["Größe µ"] * 2
    assert source.info.z_step_um == pytest.approx(2)


def test_an_imaris_time_point_that_is_not_written_is_missing(tmp_path: Path, opened: Open) -> None:
    path = dialects.write_imaris(tmp_path / "a.ims", volume((3, 1, 2, 17, 19)))
    with h5py.File(path, "a") as file:
        del file["DataSet/ResolutionLevel 0/TimePoint 1/Channel 0/Data"]
    source = opened(path)
    assert source.are_stored([PlaneKey(t=t) for t in range(3)]) == [True, False, True]
    with pytest.raises(PlaneNotStoredError, match="later ones are stored"):
        source.read_plane(PlaneKey(t=1))


STACKS = {
    (tile, channel): volume((2, 3, 17 + tile, 19), "i4", seed=10 * tile + channel).astype("u2") * 400
    for tile in range(2)
    for channel in range(2)
    if (tile, channel) != (1, 0)
}
"""Tile 1 is larger, and has the second channel only; half of the values are above 32,767."""


def assert_shows_stacks(source: Source) -> None:
    info = source.info
    assert (len(info.positions), info.n_t, info.n_z, info.height) == (2, 2, 3, 18)
    assert [channel.name for channel in info.channels] == ["dye 0", "dye 1"]
    assert [channel.name for channel in info.image(1).channels] == ["dye 1"]
    assert (info.dtype, info.times) == (np.uint16, (3, 7))
    assert (info.pixel_size_x_um, info.pixel_size_y_um, info.z_step_um) == (0.25, 0.5, 2)
    assert [(at.name, at.x_um, at.y_um, at.z_um) for at in info.positions] == [
        ("tile 0", 0, 0, 0),
        ("tile 1", 100, 10, 1),
    ]
    for (tile, c), stack in STACKS.items():
        for t, z in np.ndindex(2, 3):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t, tile, c, z)), stack[t, z])
        half = source.read_plane(PlaneKey(1, tile, c, 2), level=1)
        np.testing.assert_array_equal(half, stack[1, 2, ::2, ::2])
    assert [level.scale for level in source.levels(1)] == [(1, 1, 1), (1, 2, 2)]


@pytest.mark.parametrize("where", ["h5", "xml", "http h5", "http xml"])
def test_bigdataviewer_opens_by_either_file(
    tmp_path: Path, opened: Open, server: RangeServer, where: str
) -> None:
    path = dialects.write_bigdataviewer(server.folder / "spim.h5", STACKS, times=(3, 7))
    name = f"spim.{where[-3:].strip()}"
    place = server.url(name) if "http" in where else path.with_name(name)
    assert_shows_stacks(opened(place, cache_dir=str(tmp_path)))


def test_bigdataviewer_in_several_files(tmp_path: Path, opened: Open) -> None:
    path = dialects.write_bigdataviewer(tmp_path / "a.h5", STACKS, times=(3, 7))
    with h5py.File(path, "a") as file, h5py.File(tmp_path / "a-01-00.h5", "w") as part:
        file.copy("t00007", part)
        del file["t00007"]
        for setup in range(len(STACKS)):
            file[f"t00007/s{setup:02}"] = h5py.ExternalLink("a-01-00.h5", f"/t00007/s{setup:02}")
    assert_shows_stacks(opened(path, allow_outside="yes"))
    source = opened(path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), STACKS[0, 0][0, 0])
    with pytest.raises(UntrustedReferenceError, match=r"'a-01-00\.h5'.*allow_outside=yes"):
        source.read_plane(PlaneKey(t=1))


def test_bigdataviewer_without_its_xml(tmp_path: Path, opened: Open) -> None:
    path = dialects.write_bigdataviewer(tmp_path / "a.h5", STACKS, xml=False, times=(3, 7))
    source = opened(path)
    assert [at.name for at in source.info.positions] == ["setup 0", "setup 1", "setup 2"]
    assert_shows(opened(path, "/t00007/s01/0/cells"), STACKS[0, 1][1], "zyx")
    assert any("no XML file of the same name" in warning for warning in source.info.warnings)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 2, 0, 2)), STACKS[1, 1][1, 2])


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("<SpimData", "<!DOCTYPE a [<!ENTITY b 'c'>]><SpimData"), MetadataError, "document type"),
        ((">a.h5<", ">../b.h5<"), UntrustedReferenceError, "allow_outside=yes"),
        (('format="bdv.hdf5"', 'format="bdv.n5"'), UnsupportedError, r"bdv\.n5"),
        (("3, 7", "0-99999999"), MetadataError, "not a range"),
        (("<SequenceDescription>", "<a>" * 80), MetadataError, "nested"),
        (("<SpimData", "<?xml version='1.0' encoding='UTF-V'?><SpimData"), MetadataError, "unknown encoding"),
    ],
)
def test_an_xml_file_of_nobody_honest(
    tmp_path: Path, opened: Open, change: tuple[str, str], error: type[Exception], said: str
) -> None:
    path = dialects.write_bigdataviewer(tmp_path / "a.h5", STACKS, times=(3, 7)).with_suffix(".xml")
    text = path.read_text().partition("?>")[2].strip()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(error, match=said):
        opened(path)


# ---- frames in other files -------------------------------------------------------------------------


def test_a_link_without_a_word_is_the_picture_where_nexus_has_it(tmp_path: Path, opened: Open) -> None:
    data = volume((4, 17, 19))
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file["stack"] = data
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/instrument/flatfield"] = volume((200, 300))
        file["entry/data/data"] = h5py.ExternalLink("raw.h5", "/stack")
    with pytest.raises(UntrustedReferenceError, match=r"'raw\.h5'.*allow_outside=yes"):
        opened(tmp_path / "a.h5")
    assert_shows(opened(tmp_path / "a.h5", allow_outside="yes"), data, "zyx")


@pytest.mark.parametrize("virtual", [False, True], ids=["links", "virtual"])
def test_a_master_shows_its_frames_if_that_is_allowed_and_else_nothing(
    tmp_path: Path, opened: Open, server: RangeServer, virtual: bool
) -> None:
    frames = volume((7, 17, 19), "u4")
    path = dialects.write_eiger(server.folder, frames, 3, virtual=virtual)
    for inner in ("", "/entry/data/data" if virtual else "/entry/data/data_000001"):
        with pytest.raises(UntrustedReferenceError, match=r"scan_data_000001\.h5.*allow_outside=yes"):
            opened(path, inner)
    for where in (path, server.url(path.name)):
        source = opened(where, allow_outside="yes", cache_dir=str(tmp_path))
        assert_shows(source, frames, "zyx" if virtual else "tyx")
    if not virtual:
        assert (source.info.pixel_size_um, source.info.time_step_s) == (75, 0.01)
        assert_shows(opened(path, "/entry/data/data_000003", allow_outside="yes"), frames[6:], "zyx")
    flat = "/entry/instrument/detector/detectorSpecific/flatfield"
    assert opened(path, flat).info.width == 300, "by its path"


def test_frames_of_a_file_that_was_not_copied_say_so(tmp_path: Path, opened: Open) -> None:
    frames = volume((7, 17, 19))
    path = dialects.write_eiger(tmp_path, frames, 3)
    (tmp_path / "scan_data_000002.h5").unlink()
    source = opened(path, allow_outside="yes")
    assert source.info.warnings[0].endswith("lacks 1 of 3 files of frames")
    np.testing.assert_array_equal(source.read_plane(PlaneKey(6)), frames[6])
    with pytest.raises(DatasetNotFoundError, match=r"scan_data_000002\.h5 does not exist"):
        source.read_plane(PlaneKey(4))
    with h5py.File(tmp_path / "scan_data_000002.h5", "w") as file:
        file.create_dataset("entry/data/data", data=frames[3:6])
    np.testing.assert_array_equal(source.read_plane(PlaneKey(4)), frames[4])
    (tmp_path / "scan_data_000001.h5").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"scan_data_000001\.h5, which does not exist: copy it"):
        opened(path, allow_outside="yes")


def test_a_link_to_another_file_is_said_and_followed_when_that_is_allowed(
    tmp_path: Path, opened: Open
) -> None:
    data = volume((4, 40, 50))
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file["stack"] = data
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["preview"] = volume((20, 30))
        file["raw"] = h5py.ExternalLink("raw.h5", "/stack")
        file["gone"] = h5py.ExternalLink("gone.h5", "/stack")
    source = opened(tmp_path / "a.h5")
    assert source.info.width == 30
    assert any("a.h5::/raw is in another file, 'raw.h5'" in warning for warning in source.info.warnings)
    source = opened(tmp_path / "a.h5", allow_outside="yes")
    assert_shows(source, data, "zyx")
    assert [choice.partition("::")[2] for choice in source.info.choices] == ["/raw", "/preview"]
    assert any("gone.h5 does not exist" in warning for warning in source.info.warnings)


@pytest.mark.parametrize("mode", ["INTERLACE_PIXEL", "INTERLACE_LINE", "INTERLACE_PLANE"])
def test_the_image_specification_says_where_colours_are(tmp_path: Path, opened: Open, mode: str) -> None:
    data = volume((40, 50, 3)).astype(np.uint8)
    stored = np.moveaxis(data, -1, {"PIXEL": 2, "LINE": 1, "PLANE": 0}[mode.partition("_")[2]])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        image = file.create_dataset("image", data=stored)
        told = {"CLASS": "IMAGE", "IMAGE_SUBCLASS": "IMAGE_TRUECOLOR", "INTERLACE_MODE": mode}
        image.attrs.update({name: np.bytes_(value) for name, value in told.items()})
    source = opened(tmp_path / "a.h5")
    assert_shows(source, data, "yxc")
    assert [channel.name for channel in source.info.channels] == ["red", "green", "blue"]
    assert {channel.window for channel in source.info.channels} == {(0, 255)}
    assert source.info.warnings == ()


def test_the_image_specification_says_that_zero_is_white(tmp_path: Path, opened: Open) -> None:
    data = volume((40, 50))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        image = file.create_dataset("image", data=data)
        image.attrs.update({"CLASS": np.bytes_("IMAGE"), "IMAGE_WHITE_IS_ZERO": np.uint8(1)})
    source = opened(tmp_path / "a.h5")
    assert_shows(source, data, "yx")
    assert source.info.channels[0].inverted


@pytest.mark.parametrize(
    ("shape", "axes"), [((40, 50, 2), "yxc"), ((6, 40, 50, 4), "zyxc"), ((6, 9, 3), "zyx")]
)
def test_a_short_last_axis_is_that_of_channels(
    tmp_path: Path, opened: Open, shape: tuple[int, ...], axes: str
) -> None:
    data = volume(shape).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = data
    source = opened(tmp_path / "a.h5")
    assert_shows(source, data, axes)
    assert f"assuming {' '.join(axes)}" in source.info.warnings[0]
