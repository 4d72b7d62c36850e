"""References: which array is shown, as what, and as a source like any other."""

from __future__ import annotations

import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import Reopening
from ndviewer_light.sources.references.format import ReferencesFormat
from ndviewer_light.storage.decoding.pictures import PNG_SIGNATURE
from tests.reference_files import ZLIB, ReferenceWriter, pixels
from tests.references_opened import VOLUME, ngff_attributes, opening_references, volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def writer(tmp_path: Path) -> ReferenceWriter:
    """Collects arrays in the test's folder."""
    return ReferenceWriter(tmp_path)


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens references; closes them when the test is over."""
    yield from opening_references()


# ---- which array, and as what ----------------------------------------------------------------


def test_the_largest_array_is_shown_and_the_others_are_named(writer: ReferenceWriter, opened: Any) -> None:
    large, small = pixels(VOLUME), pixels((2, 8, 8))
    writer.add("times", pixels((500_000,), "<f8"), (500_000,), skip=lambda at: True)
    writer.add("small", small, (1, 8, 8))
    writer.add("deep/large", large, (1, 24, 40))
    path = writer.write()
    source = opened(path)
    np.testing.assert_array_equal(volume(source)[0, 0], large)
    assert source.info.choices == (f"{path}::/deep/large", f"{path}::/small")
    assert any("::/small" in warning for warning in source.info.warnings)
    other = opened(source.info.choices[1])
    np.testing.assert_array_equal(volume(other)[0, 0], small)
    assert other.info.choices[0] == f"{path}::/small"
    with pytest.raises(DatasetNotFoundError, match="/deep/large"):
        opened(f"{path}::/large")


def test_a_person_is_not_offered_a_hundred_thousand_arrays(tmp_path: Path, opened: Any) -> None:
    refs = {
        f"{i}/.zarray": json.dumps({"zarr_format": 2, "shape": [8, 8], "chunks": [8, 8], "dtype": "|u1"})
        for i in range(5000)
    }
    (tmp_path / "refs.json").write_text(json.dumps(refs))
    info = opened(f"{tmp_path}/refs.json").info
    assert len(info.choices) == 1001
    assert max(map(len, info.warnings)) < 1000


def test_axes_are_those_the_array_names(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels((2, 3, 4, 24, 40))
    names = {"_ARRAY_DIMENSIONS": ["channel", "time", "depth", "y", "x"]}
    writer.add("data", array, (1, 1, 1, 24, 40), attributes=names)
    source = opened(writer.write())
    assert source.info.sizes == {"t": 3, "p": 1, "c": 2, "z": 4, "y": 24, "x": 40}
    np.testing.assert_array_equal(volume(source), array.transpose(1, 0, 2, 3, 4))


def test_names_that_say_nothing_leave_the_usual_order_and_a_warning(
    writer: ReferenceWriter, opened: Any
) -> None:
    names = {"_ARRAY_DIMENSIONS": ["phony_dim_0", "phony_dim_1", "phony_dim_2"]}
    writer.add("data", pixels(VOLUME), (1, 24, 40), attributes=names)
    source = opened(writer.write())
    assert source.info.n_z == 5
    assert any("assuming z y x" in warning for warning in source.info.warnings)


@pytest.mark.parametrize(
    "names", [None, ["t", "y", "x", "S"], ["z", "y", "x", "sample"], ["time", "y", "x", "channel"]]
)
def test_a_last_axis_of_colours_becomes_channels(writer: ReferenceWriter, opened: Any, names: Any) -> None:
    array = pixels((4, 24, 40, 3), "u1")
    writer.add(
        "data",
        array,
        (1, 24, 40, 3),
        attributes={"_ARRAY_DIMENSIONS": names} if names else None,
    )
    source = opened(writer.write())
    info = source.info
    assert [channel.name for channel in info.channels] == ["red", "green", "blue"]
    found = volume(source).reshape(-1, 3, 24, 40) if info.n_t == 4 else volume(source)[0].swapaxes(0, 1)
    np.testing.assert_array_equal(found.reshape(4, 3, 24, 40), array.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("group", ["", "images/first"])
def test_ome_images_are_found_with_their_levels(writer: ReferenceWriter, opened: Any, group: str) -> None:
    full = pixels((2, 3, 24, 40))
    half = full[:, :, ::2, ::2].copy()
    prefix = f"{group}/" if group else ""
    writer.add("aaa", pixels((99, 99, 99)), (99, 99, 99), skip=lambda at: True)
    writer.group(group, ngff_attributes())
    writer.add(f"{prefix}0", full, (1, 1, 24, 40), dimension_separator="/")
    writer.add(f"{prefix}1", half, (1, 1, 12, 20), dimension_separator="/")
    source = opened(writer.write())
    info = source.info
    assert [channel.name for channel in info.channels] == ["DAPI", "GFP"]
    assert (info.n_levels, info.pixel_size_um, info.z_step_um) == (2, 0.5, 2.0)
    np.testing.assert_array_equal(volume(source)[0], full)
    np.testing.assert_array_equal(volume(source, 1)[0], half)
    assert source.plane_shape(PlaneKey(), 1) == (12, 20)


def write_nwb(writer: ReferenceWriter, array: np.ndarray, kind: str = "TwoPhotonSeries") -> None:
    """An image series among other things, as references to an NWB file have it."""
    series = "acquisition/TwoPhotonSeries"
    writer.group("", {"neurodata_type": "NWBFile", "nwb_version": "2.7.0"})
    writer.add("units/spikes", pixels((900, 900)), (900, 900), skip=lambda at: True)
    writer.group(series, {"neurodata_type": kind, "namespace": "core"})
    writer.add(f"{series}/data", array, (1, *array.shape[1:]))
    writer.add(
        f"{series}/starting_time",
        np.zeros(1),
        (1,),
        inline="base64",
        attributes={"rate": 30.0, "unit": "seconds"},
    )
    plane = "general/optophysiology/ImagingPlane"
    writer.group(plane, {"neurodata_type": "ImagingPlane"})
    writer.add(
        f"{plane}/grid_spacing",
        np.array([2e-6, 3e-6]),
        (2,),
        inline="base64",
        attributes={"unit": "meters"},
    )


@pytest.mark.parametrize("form", ["kerchunk", "lindi"])
def test_an_image_series_of_nwb_is_found_and_upright(writer: ReferenceWriter, opened: Any, form: str) -> None:
    array = pixels((6, 40, 24))
    write_nwb(writer, array)
    path = writer.write() if form == "kerchunk" else writer.write_lindi()
    source = opened(path)
    info = source.info
    assert info.sizes == {"t": 6, "p": 1, "c": 1, "z": 1, "y": 24, "x": 40}
    assert (info.pixel_size_x_um, info.pixel_size_y_um) == pytest.approx((2.0, 3.0))
    assert info.time_step_s == pytest.approx(1 / 30)
    assert info.channels[0].name == "TwoPhotonSeries"
    for t in range(6):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t)), array[t].T)
    for inner in ("acquisition/TwoPhotonSeries", "/acquisition/TwoPhotonSeries/data"):
        assert opened(f"{path}::{inner}").info.sizes == info.sizes


def test_a_series_in_other_files_says_so(writer: ReferenceWriter, opened: Any) -> None:
    series = "acquisition/Video"
    writer.group(series, {"neurodata_type": "ImageSeries"})
    writer.refs[f"{series}/data/.zarray"] = json.dumps(
        {"zarr_format": 2, "shape": [0, 0, 0], "chunks": [1, 1, 1], "dtype": "|u1", "fill_value": 0}
    )
    writer.add(f"{series}/external_file", pixels((1,), "u1"), (1,), inline="base64")
    with pytest.raises(UnsupportedError, match="other files"):
        opened(writer.write())


def test_what_lindi_leaves_in_another_file_is_named(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    link = {"link_type": "hdf5_dataset", "url": "there.bin", "name": "/data"}
    writer.add("data", array, (1, 24, 40), skip=lambda at: True, attributes={"_EXTERNAL_ARRAY_LINK": link})
    (writer.folder / "there.bin").write_bytes(b"no format of ours")
    with pytest.raises(DatasetError, match=r"refers to /data in another file"):
        opened(writer.write_lindi())


def test_what_lindi_leaves_in_another_file_is_read_there(writer: ReferenceWriter, opened: Any) -> None:
    h5py = pytest.importorskip("h5py")
    array = pixels(VOLUME)
    with h5py.File(writer.folder / "there.h5", "w") as file:
        file.create_dataset("data", data=array, chunks=(1, 24, 40), compression="gzip")
    link = {"link_type": "hdf5_dataset", "url": "there.h5", "name": "/data"}
    writer.add("data", array, (1, 24, 40), skip=lambda at: True, attributes={"_EXTERNAL_ARRAY_LINK": link})
    np.testing.assert_array_equal(volume(opened(writer.write_lindi()))[0, 0], array)


def test_a_link_whose_chunks_are_there_is_not_followed(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    link = {"link_type": "hdf5_dataset", "url": "nowhere.h5", "name": "/data"}
    writer.add("data", array, (1, 24, 40), attributes={"_EXTERNAL_ARRAY_LINK": link})
    np.testing.assert_array_equal(volume(opened(writer.write_lindi()))[0, 0], array)


# ---- as a source -----------------------------------------------------------------------------


def test_json_files_are_recognised_by_name(tmp_path: Path) -> None:
    for name, is_ours in (
        ("refs.json", True),
        ("a.lindi.json", True),
        ("a.JSON", True),
        ("zarr.json", False),
        ("a.zarr", False),
    ):
        (tmp_path / name).write_text("{}")
        assert ReferencesFormat().recognises(str(tmp_path / name)) is is_ours
        assert ReferencesFormat().recognises(f"https://example.org/a/{name}?token=1.json") is is_ours
    assert ReferencesFormat().recognises("s3://bucket/a.json::/data")
    (tmp_path / "folder.json").mkdir()
    assert not ReferencesFormat().recognises(str(tmp_path / "folder.json"))


def test_axes_of_one_chunk_may_be_left_out_of_names(tmp_path: Path, opened: Any) -> None:
    """As people write references to pictures by hand; the file is named where that is wrong."""
    pixels = np.arange(2 * 4 * 5, dtype="u1").reshape(2, 4, 5)
    array = {
        **{"zarr_format": 2, "shape": [2, 4, 5], "chunks": [1, 4, 5], "dtype": "|u1", "order": "C"},
        **{"compressor": None, "filters": None, "fill_value": None},
    }
    for i in (0, 1):
        (tmp_path / f"{i}.raw").write_bytes(pixels[i].tobytes())
    refs: dict[str, Any] = {".zarray": json.dumps(array), "0": ["0.raw"], "1": ["1.raw"]}
    (tmp_path / "refs.json").write_text(json.dumps({"version": 1, "refs": refs}))
    source = opened(str(tmp_path / "refs.json"))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=1)), pixels[1])
    (tmp_path / "1.raw").write_bytes(PNG_SIGNATURE + bytes(40))
    with pytest.raises(UnsupportedError, match=r"refs\.json: chunk 1\.0\.0 of /: it is a picture"):
        opened(str(tmp_path / "refs.json")).read_plane(PlaneKey(z=1))


@pytest.mark.parametrize("chunks", [(1, 12, 20), (5, 24, 40)])
def test_threads_may_read_at_once(writer: ReferenceWriter, opened: Any, chunks: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, chunks, **ZLIB)
    source = opened(writer.write())

    def read(i: int) -> bool:
        return bool((source.read_plane(PlaneKey(z=i % 5)) == array[i % 5]).all())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(200)))


def test_a_chunk_of_several_planes_is_read_once(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (5, 24, 40), **ZLIB)
    path = writer.write()
    source = opened(path)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=0)), array[0])
    file = writer.folder / "pixels.bin"
    before = file.stat()
    file.write_bytes(bytes(before.st_size))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if it were still the same
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=4)), array[4])


def test_nothing_is_read_after_close(writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    source = opened(writer.write())
    source.read_plane(PlaneKey())
    source.close()
    source.close()
    with pytest.raises(DatasetError, match="closed"):
        source.read_plane(PlaneKey())


def test_a_contiguous_array_is_read_plane_by_plane(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels((50, 24, 40))
    writer.add("data", array, array.shape)
    # as large as it says on paper only: the file holds what there is
    document = json.loads(writer.refs["data/.zarray"])
    document["shape"][0] = document["chunks"][0] = 2_000_000
    writer.refs["data/.zarray"] = json.dumps(document)
    source = opened(writer.write())
    assert source.info.n_z == 2_000_000
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=49)), array[49])
    with pytest.raises(CorruptDataError, match=r"chunk 0\.0\.0 of /data"):
        source.read_plane(PlaneKey(z=50))


def test_what_is_known_of_it(writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="https://example.org/a/pixels.bin")
    described = opened(writer.write()).describe()
    assert described["hosts"] == ["example.org"]
    assert (described["chunks stored"], described["bytes stored"]) == (5, 5 * 24 * 40 * 2)


# ---- through the rest of the package ---------------------------------------------------------


def test_arrays_can_be_pickled(writer: ReferenceWriter) -> None:
    from ndviewer_light import open_dataset
    from ndviewer_light.engine import to_xarray as lazy

    array = pixels(VOLUME)
    writer.add("other", pixels((9, 90, 90)), (9, 90, 90), skip=lambda at: True)
    writer.add("data", array, (1, 24, 40))
    path = f"{writer.write()}::/data"
    with open_dataset(path) as dataset:
        found = pickle.loads(pickle.dumps(dataset.to_xarray()))
    try:
        np.testing.assert_array_equal(found.values[0, 0, :, 0], array)
    finally:
        lazy._open_once(Reopening(path, ())).close()
        lazy._open_once.cache_clear()


def test_a_reader_process_reads_them(writer: ReferenceWriter) -> None:
    from ndviewer_light import open_dataset

    array = pixels(VOLUME)
    writer.add("data", array, (2, 24, 40), **ZLIB)
    with open_dataset(writer.write(), isolate=True) as dataset:
        np.testing.assert_array_equal(dataset.plane(z=3), array[3])
        assert dataset.info.format == "zarr references"
