"""HDF5 files of every layout and filter: planes equal to h5py's, from any thread, and what is refused."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import h5py
import hdf5_files
import numpy as np
import pytest
from hdf5_files import GZIP, SHAPE, volume, write

from ndviewer_light import open_dataset
from ndviewer_light.engine import to_xarray as lazy
from ndviewer_light.errors import (
    DatasetError,
    DatasetNotFoundError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import Reopening
from ndviewer_light.sources.hdf5 import array as hdf5_dataset
from ndviewer_light.sources.hdf5 import file as hdf5_file
from ndviewer_light.sources.hdf5 import plane_reader as hdf5_pixels
from ndviewer_light.sources.hdf5.format import HDF5Format
from ndviewer_light.sources.hdf5.source import HDF5Source, list_datasets
from ndviewer_light.storage.decoding import compressors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ndviewer_light.sources import Source

    Open = Callable[..., HDF5Source]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for next time is kept here."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "kept"))


def planes_of(source: Source) -> Iterator[tuple[PlaneKey, np.ndarray]]:
    sizes = source.info.sizes
    for key in itertools.starmap(PlaneKey, itertools.product(*(range(sizes[axis]) for axis in "tpcz"))):
        yield key, source.read_plane(key)


def assert_shows(source: Source, expected: np.ndarray, roles: str) -> None:
    """Every plane has the pixels of `expected`, whose axes are `roles`, in numpy's own byte order."""
    for key, pixels in planes_of(source):
        at = {**key._asdict(), "y": slice(None), "x": slice(None)}
        plane = expected[tuple(at[role] for role in roles)]
        assert pixels.dtype == source.info.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(pixels, plane if roles.index("y") < roles.index("x") else plane.T)


# ---- every layout, every filter ------------------------------------------------------------

LAYOUTS: list[Any] = [
    pytest.param({}, id="contiguous"),
    pytest.param({"chunks": (1, 37, 53)}, id="planes"),
    pytest.param({"chunks": (1, 7, 9)}, id="tiles"),
    pytest.param({"chunks": (2, 16, 20), **GZIP}, id="blocks-gzip"),
    pytest.param({"chunks": (5, 37, 53), "compression": "gzip"}, id="one-chunk"),
    pytest.param({"chunks": (1, 20, 53), **GZIP, "fletcher32": True}, id="checksums"),
    pytest.param({"chunks": (2, 16, 16), "fletcher32": True}, id="checksums-only"),
    pytest.param({"chunks": (1, 20, 20), "compression": "lzf", "shuffle": True}, id="lzf"),
    pytest.param({"chunks": (2, 16, 53), "maxshape": (None, 37, 53), **GZIP}, id="may-grow"),
    pytest.param({"chunks": (2, 16, 20), "maxshape": (None, None, 53)}, id="may-grow-twice"),
    pytest.param({"chunks": (1, 7, 9), "maxshape": (5, None, 80), **GZIP}, id="may-become-higher"),
    pytest.param({"chunks": (1, 7, 9), "maxshape": (9, 40, None)}, id="may-become-wider"),
    pytest.param({"chunks": (1, 7, 9), "maxshape": (9, 90, 60), **GZIP}, id="may-grow-so-far"),
]


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("how", LAYOUTS)
def test_planes_are_those_of_h5py(tmp_path: Path, opened: Open, how: dict[str, Any], libver: str) -> None:
    write(tmp_path / "a.h5", libver=libver, **how)
    source = opened(tmp_path / "a.h5")
    first = "t" if how.get("maxshape") == (None, 37, 53) else "z"
    assert source.info.sizes == {"t": 1, "p": 1, "c": 1, "z": 1, "y": 37, "x": 53, first: 5}
    assert_shows(source, volume(), f"{first}yx")
    assert_shows(source, volume(), f"{first}yx")  # now that the index is known


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i4", ">f4", "<f8", "<u8", "<f2", "?"])
@pytest.mark.parametrize("how", [{}, {"chunks": (2, 16, 20), **GZIP}])
def test_numbers_of_every_kind(tmp_path: Path, opened: Open, dtype: str, how: dict[str, Any]) -> None:
    data = (volume() > 100) if dtype == "?" else volume(dtype=dtype)
    assert_shows(opened(write(tmp_path / "a.h5", data, **how)), data, "zyx")


def test_numbers_of_fewer_bits_than_bytes_hold(tmp_path: Path, opened: Open) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        kind = h5py.h5t.STD_U16LE.copy()
        kind.set_precision(12)
        kind.set_offset(2)
        made = h5py.h5d.create(file.id, b"a", kind, h5py.h5s.create_simple((5, 37, 53)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, volume())
    assert_shows(opened(tmp_path / "a.h5"), volume(), "zyx")


def test_small_datasets_kept_beside_their_description(tmp_path: Path, opened: Open) -> None:
    data = volume((3, 20, 30))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(data.shape)
        made = h5py.h5d.create(file.id, b"a", h5py.h5t.py_create(data.dtype), space, plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
    assert_shows(opened(tmp_path / "a.h5"), data, "zyx")


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_what_stands_before_the_file_is_passed_over(tmp_path: Path, opened: Open, libver: str) -> None:
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512, libver=libver) as file:
        file.create_dataset("chunks", data=volume(), chunks=(2, 16, 20), **GZIP)
        file.create_dataset("whole", data=volume(seed=1))
    with open(tmp_path / "a.mat", "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(512))
    assert HDF5Format().recognises(str(tmp_path / "a.mat"))
    assert_shows(opened(tmp_path / "a.mat", "chunks"), volume(), "zyx")
    assert_shows(opened(tmp_path / "a.mat", "whole"), volume(seed=1), "zyx")


def test_filters_that_only_h5py_knows(tmp_path: Path, opened: Open) -> None:
    write(tmp_path / "a.h5", chunks=(2, 16, 20), scaleoffset=0)
    assert_shows(opened(tmp_path / "a.h5"), volume(), "zyx")


@pytest.mark.parametrize("fast", [True, False], ids=["imagecodecs", "numcodecs"])
def test_filters_of_other_libraries(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    if not fast:
        monkeypatch.setattr(compressors, "from_imagecodecs", lambda name: None)
    data = volume((20, 30))
    for number, codec in ((32001, numcodecs.Blosc()), (32015, numcodecs.Zstd())):
        path = tmp_path / f"{number}.h5"
        hdf5_files.write_raw_chunk(path, data, codec.encode(data), [(number, ())])
        assert_shows(opened(path), data, "yx")


def test_a_chunk_may_have_left_out_filters(tmp_path: Path, opened: Open) -> None:
    data = volume((20, 30))
    stored = zlib.compress(data.tobytes())
    hdf5_files.write_raw_chunk(tmp_path / "a.h5", data, stored, [(2, (2,)), (1, (4,))], mask=0b01)
    assert_shows(opened(tmp_path / "a.h5"), data, "yx")


def test_pieces_larger_than_a_block(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_dataset, "_MOST_TILE_BYTES", 1000)
    monkeypatch.setattr(hdf5_dataset, "_BAND_BYTES", 900)
    assert_shows(opened(write(tmp_path / "a.h5")), volume(), "zyx")


def test_more_chunks_than_are_kept(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_pixels, "KEPT_BYTES", 1500)
    monkeypatch.setattr(hdf5_pixels, "_BATCH_BYTES", 3000)
    assert_shows(opened(write(tmp_path / "a.h5", chunks=(3, 16, 20), **GZIP)), volume(), "zyx")


# ---- what is not stored --------------------------------------------------------------------


def test_planes_that_nobody_wrote_are_missing_not_black(tmp_path: Path, opened: Open) -> None:
    hdf5_files.write_blocks(tmp_path / "a.h5", (4, 37, 53), (1, 16, 20), [0, 2])
    source = opened(tmp_path / "a.h5")
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=2)), volume((37, 53), seed=2))
    for z in (1, 3):
        assert source.plane_shape(PlaneKey(z=z)) == (37, 53)
        with pytest.raises(PlaneNotStoredError, match=r"a\.h5"):
            source.read_plane(PlaneKey(z=z))
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(z=4))


def test_chunks_missing_from_a_plane_are_fill_value(tmp_path: Path, opened: Open) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("a", (2, 40, 40), "u2", chunks=(1, 16, 16), fillvalue=7)
        data[1, :16, 16:32] = 100
        expected = data[1]
    np.testing.assert_array_equal(opened(tmp_path / "a.h5").read_plane(PlaneKey(z=1)), expected)


@pytest.mark.parametrize("how", [{}, {"chunks": (1, 16, 16)}])
def test_a_dataset_without_a_single_pixel(tmp_path: Path, opened: Open, how: dict[str, Any]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (2, 40, 40), "u2", **how)
    source = opened(tmp_path / "a.h5")
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey())


# ---- axes and steps ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype", "roles"),
    [
        ((37, 53), "u2", "yx"),
        ((3, 37, 53), "u2", "zyx"),
        ((2, 3, 37, 53), "u2", "czyx"),
        ((2, 2, 3, 37, 53), "u2", "tczyx"),
        ((37, 53, 3), "u1", "yxc"),
        ((2, 37, 53, 4), "u1", "zyxc"),
        ((2, 2, 37, 53, 3), "u2", "tzyxc"),
        ((37, 53, 3), "f4", "yxc"),
        ((40, 5, 3), "u1", "zyx"),
    ],
)
@pytest.mark.parametrize("chunks", [None, True])
def test_axes_without_names(
    tmp_path: Path, opened: Open, shape: Sequence[int], dtype: str, roles: str, chunks: Any
) -> None:
    data = volume(shape, dtype)
    source = opened(write(tmp_path / "a.h5", data, chunks=chunks))
    assert_shows(source, data, roles)
    assert bool(source.info.warnings) is (len(shape) > 2), "what is assumed is said"
    if roles[-1] == "c":
        is_colour = [each.color for each in source.info.channels] == ["#FF0000", "#00FF00", "#0000FF"]
        assert is_colour is (dtype != "f4")


@pytest.mark.parametrize(
    ("most", "dtype", "roles"),
    [
        ((None, 37, 53), "u2", "tyx"),
        ((None, 4, 37, 53), "u2", "tzyx"),
        ((None, 2, 4, 37, 53), "u2", "tczyx"),
        ((None, 37, 53, 3), "u1", "tyxc"),
        ((None, 4, 37, 53, 3), "u1", "tzyxc"),
        ((None, None, None), "u2", "zyx"),
        ((None, 53), "u2", "yx"),
    ],
)
def test_an_axis_to_which_frames_are_appended_is_time(
    tmp_path: Path, opened: Open, most: tuple[int | None, ...], dtype: str, roles: str
) -> None:
    data = volume([size or (2 if i == 0 and len(most) > 2 else 37) for i, size in enumerate(most)], dtype)
    source = opened(write(tmp_path / "a.h5", data, chunks=True, maxshape=most))
    assert_shows(source, data, roles)
    said = any("as the first one can grow" in warning for warning in source.info.warnings)
    assert said is (roles[0] == "t")


@pytest.mark.parametrize("roles", ["xyz", "tyx", "ptczyx", "yxt", "cyx", "zcxy"])
@pytest.mark.parametrize("chunks", [None, True])
def test_axes_are_where_their_labels_say(tmp_path: Path, opened: Open, roles: str, chunks: Any) -> None:
    data = volume([dict(zip("tpczyx", (2, 3, 2, 3, 17, 19), strict=True))[role] for role in roles])
    with h5py.File(write(tmp_path / "a.h5", data, chunks=chunks), "a") as file:
        for i, role in enumerate(roles):
            file["a"].dims[i].label = {"t": "Time", "c": "channel"}.get(role, role)
    source = opened(tmp_path / "a.h5", "a")
    assert_shows(source, data, roles)
    assert source.info.warnings == ()


def test_steps_come_from_scales_with_units(tmp_path: Path, opened: Open) -> None:
    with h5py.File(write(tmp_path / "a.h5"), "a") as file:
        units = (("time", 0.5, "minutes"), ("y", 325.0, "nm"), ("x", 0.325, "µm"))
        for i, (name, step, unit) in enumerate(units):
            scale = file.create_dataset(name, data=np.arange(SHAPE[i]) * step)
            scale.make_scale(name)
            scale.attrs["units"] = unit
            file["a"].dims[i].attach_scale(scale)
    info = opened(tmp_path / "a.h5").info
    assert info.sizes["t"] == 5, "scales name their axes"
    assert info.time_step_s == pytest.approx(30)
    assert (info.pixel_size_y_um, info.pixel_size_x_um) == (pytest.approx(0.325), pytest.approx(0.325))


def test_the_size_of_elements_as_ilastik_writes_it(tmp_path: Path, opened: Open) -> None:
    with h5py.File(write(tmp_path / "a.h5"), "a") as file:
        file["a"].attrs["element_size_um"] = [1.5, 0.25, 0.5]
    info = opened(tmp_path / "a.h5").info
    assert (info.z_step_um, info.pixel_size_y_um, info.pixel_size_x_um) == (1.5, 0.25, 0.5)


# ---- which dataset -------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Path:
    path = tmp_path / "several.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("small", data=volume((3, 20, 30)))
        file.create_dataset("deep/er/large", data=volume((9, 20, 30), seed=1))
        file.create_dataset("table", data=np.zeros((5, 6, 7, 8, 9, 10)))
        file.create_dataset("axes", data=np.zeros((2, 2, 2, 2, 2, 9, 10)))
        file.create_dataset("names", data=[["a", "b"], ["c", "d"]], dtype=h5py.string_dtype())
        file.create_dataset("line", data=np.arange(1000))
        file.create_dataset("nothing", (0, 20, 30), "u2")
        file["again"] = file["small"]
        file["elsewhere"] = h5py.SoftLink("/deep/er")
        file["circle"] = h5py.SoftLink("/circle")
        file["deep/up"] = file["/"]
    return path


def test_the_largest_is_opened_and_the_others_are_offered(several: Path, opened: Open) -> None:
    source = opened(several)
    assert_shows(source, volume((9, 20, 30), seed=1), "zyx")
    assert source.info.name == "several.h5"
    choices = source.info.choices
    assert choices[0] == f"{several}::/deep/er/large"
    assert len(choices) == 3 and choices[2] == f"{several}::/table"
    assert any(
        "::/axes has more axes (2 × 2 × 2 × 2 × 2 × 9 × 10) than" in each for each in source.info.warnings
    )
    assert any("(3 × 20 × 30 uint16)" in warning for warning in source.info.warnings)
    other = opened(several, choices[1].partition("::")[2])
    assert_shows(other, volume((3, 20, 30)), "zyx")
    assert set(other.info.choices) == set(choices)
    assert [entry.shape for entry in list_datasets(str(several))][:2] == [(9, 20, 30), (3, 20, 30)]


@pytest.mark.parametrize("inner", ["small", "/small", "again", "elsewhere/large", "deep", "/deep/up/small"])
def test_datasets_by_path(several: Path, opened: Open, inner: str) -> None:
    source = opened(several, inner)
    is_large = inner in ("elsewhere/large", "deep")
    assert source.info.n_z == (9 if is_large else 3)
    assert source.info.name == f"several.h5::{inner}"


@pytest.mark.parametrize(
    ("inner", "error", "said"),
    [
        ("/nope", DatasetNotFoundError, "does not contain '/nope'; it contains .*large"),
        ("/small/a", DatasetNotFoundError, "does not contain '/small/a'"),
        ("/line", UnsupportedError, "1 dimension"),
        ("/axes", UnsupportedError, "more axes .* leave some out when you write it"),
        ("/names", UnsupportedError, "contains text"),
        ("/nothing", UnsupportedError, "empty"),
        ("/circle", MetadataError, "form a loop"),
    ],
)
def test_paths_that_lead_to_no_image(
    several: Path, opened: Open, inner: str, error: type[DatasetError], said: str
) -> None:
    with pytest.raises(error, match=said):
        opened(several, inner)


def test_of_files_with_very_many_objects_only_some_are_looked_at(
    several: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5_file, "MAX_OBJECTS", 3)
    source = opened(several)
    assert any("contains more than was searched" in warning for warning in source.info.warnings)
    assert opened(several, "/deep/er/large").info.n_z == 9


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        (np.dtype([("a", "f4"), ("b", "i2")]), "records with several fields"),
        (np.dtype("c8"), "records|complex"),
        (h5py.ref_dtype, "references"),
        (h5py.vlen_dtype(np.dtype("i4")), "lists of varying length"),
        (np.dtype("V5"), "opaque"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, opened: Open, dtype: Any, said: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (20, 30), dtype)
    with pytest.raises(UnsupportedError, match=said):
        opened(tmp_path / "a.h5", "a")
    with pytest.raises(UnsupportedError, match="nothing that can be shown"):
        opened(tmp_path / "a.h5")


# ---- threads, processes, the end -----------------------------------------------------------


@pytest.mark.parametrize("how", [{"chunks": (3, 16, 20), **GZIP}, {"chunks": (2, 16, 20), "scaleoffset": 0}])
def test_four_threads_read_the_same_planes(tmp_path: Path, opened: Open, how: dict[str, Any]) -> None:
    source, data = opened(write(tmp_path / "a.h5", **how)), volume()
    with ThreadPoolExecutor(4) as pool:
        for z, pixels in pool.map(lambda z: (z, source.read_plane(PlaneKey(z=z))), [0, 1, 2, 3, 4] * 8):
            np.testing.assert_array_equal(pixels, data[z])


@pytest.mark.parametrize("how", [{"chunks": (1, 16, 20), **GZIP}, {"chunks": (2, 16, 20), "scaleoffset": 0}])
def test_closing_while_threads_read_gives_pixels_or_an_error(tmp_path: Path, how: dict[str, Any]) -> None:
    data = volume()
    write(tmp_path / "a.h5", libver="latest", **how)
    for _ in range(10):
        source, wrong = HDF5Source.open(str(tmp_path / "a.h5")), []

        def read(source: HDF5Source = source, wrong: list[Any] = wrong) -> None:
            try:
                for z in itertools.cycle(range(5)):
                    if not np.array_equal(source.read_plane(PlaneKey(z=z)), data[z]):
                        wrong.append(z)
            except DatasetError as error:
                if "closed" not in str(error):
                    wrong.append(error)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        source.close()
        source.close()
        for thread in threads:
            thread.join()
        assert not wrong


def test_through_a_process_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", chunks=(2, 16, 20), **GZIP)
    reader = IsolatedSource.open(f"{tmp_path / 'a.h5'}::/a")
    try:
        assert_shows(reader, volume(), "zyx")
    finally:
        reader.close()


def test_lazy_arrays_of_a_dataset_inside_a_file_travel(
    several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xarray")
    monkeypatch.chdir(several.parent)
    with open_dataset("several.h5::/small") as dataset:
        array = pickle.loads(pickle.dumps(dataset.to_xarray()))
    monkeypatch.chdir("/")
    try:
        np.testing.assert_array_equal(array.values[0, 0, :, 0], volume((3, 20, 30)))
    finally:
        lazy._open_once(Reopening(f"{several}::/small", ())).close()
        lazy._open_once.cache_clear()


def test_a_file_that_nobody_closes_does_not_take_python_down(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", libver="latest", chunks=(1, 7, 9))
    code = (
        "import sys\nfrom ndviewer_light.sources.hdf5.source import HDF5Source\n"
        "from ndviewer_light.model import PlaneKey\n"
        "source = HDF5Source.open(sys.argv[1])\nprint(source.read_plane(PlaneKey()).sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.h5")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", str(volume()[0].sum()))


@pytest.mark.parametrize("fixed", [False, True])
def test_scales_of_text_name_channels_and_positions(tmp_path: Path, fixed: bool) -> None:
    kind = "S9" if fixed else h5py.string_dtype()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = np.ones((2, 3, 8, 9), "u2")
        for axis, (name, texts) in enumerate(
            {"position": ["A1", "B 2"], "channel": ["GFP", "", "x"]}.items()
        ):
            file[name] = np.array(texts, dtype=kind)
            file[name].make_scale(name)
            file["image"].dims[axis].attach_scale(file[name])
        for axis, name in enumerate("pcyx"):
            file["image"].dims[axis].label = name
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert [channel.name for channel in dataset.info.channels] == ["GFP", "Ch1", "x"]
        assert [channel.color for channel in dataset.info.channels] == ["#00FF00", "#FF00FF", "#00FFFF"]
        assert [position.title for position in dataset.info.positions] == ["A1", "B 2"]
        assert dataset.plane(p="B 2", c="GFP").shape == (8, 9)
