"""References of kerchunk and LINDI: right pixels, out of what they name and nothing else."""

from __future__ import annotations

import json
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light.errors import (
    BY_NAME,
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.opening import Reopening
from ndviewer_light.sources.references import reference_file as references_json
from ndviewer_light.sources.references.format import ReferencesFormat
from ndviewer_light.sources.references.places import ReferencePolicy
from ndviewer_light.sources.references.reference_file import parse
from ndviewer_light.sources.references.source import ReferencesSource
from tests.reference_files import ZLIB, ReferenceWriter, deflated, pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ndviewer_light.sources import Source
    from tests.range_server import RangeServer

VOLUME = (5, 24, 40)


@pytest.fixture
def writer(tmp_path: Path) -> ReferenceWriter:
    """Collects arrays in the test's folder."""
    return ReferenceWriter(tmp_path)


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens references; closes them when the test is over."""
    sources: list[Source] = []

    def open_references(path: str, **options: str) -> Source:
        sources.append(ReferencesSource.open(path, options))
        return sources[-1]

    yield open_references
    for source in sources:
        source.close()


def volume(source: Source, level: int = 0) -> np.ndarray:
    """All planes of a source, (T, C, Z, Y, X)."""
    info = source.info
    return np.array(
        [
            [
                [source.read_plane(PlaneKey(t, 0, c, z), level) for z in range(info.n_z)]
                for c in range(len(info.channels))
            ]
            for t in range(info.n_t)
        ]
    )


# ---- forms of files ------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("how", [{}, ZLIB], ids=["plain", "zlib"])
@pytest.mark.parametrize("chunks", [(1, 24, 40), (1, 10, 16), (2, 24, 40), (5, 24, 40), (3, 7, 9)])
def test_planes_are_those_that_were_written(
    writer: ReferenceWriter, opened: Any, version: int, how: Any, chunks: tuple[int, ...]
) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, chunks, **how)
    source = opened(writer.write(version=version))
    assert source.info.sizes == {"t": 1, "p": 1, "c": 1, "z": 5, "y": 24, "x": 40}
    np.testing.assert_array_equal(volume(source)[0, 0], array)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "|u1", "<f4", ">i4"])
def test_orders_separators_and_byte_orders(
    writer: ReferenceWriter, opened: Any, order: str, separator: str, dtype: str
) -> None:
    array = pixels(VOLUME, dtype)
    writer.add("a/b", array, (2, 11, 13), order=order, dimension_separator=separator)
    source = opened(writer.write())
    found = volume(source)
    np.testing.assert_array_equal(found[0, 0], array)
    assert found.dtype == source.info.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("inline", ["base64", "text"])
def test_chunks_may_be_written_out_in_the_file_itself(
    writer: ReferenceWriter, opened: Any, inline: str
) -> None:
    array = pixels((2, 5, 6), "u1")
    writer.add("data", array, (2, 5, 6), inline=inline)
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_templates_are_replaced_by_name(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40), url="{{ folder }}/{{f}}.bin")
    path = writer.write(templates={"folder": str(writer.folder), "f": "pixels"})
    np.testing.assert_array_equal(volume(opened(path))[0, 0], array)


@pytest.mark.parametrize("form", ["{}", "./{}", "file://{folder}/{}", "{folder}/{}"])
def test_files_are_named_from_the_folder_of_the_references(
    writer: ReferenceWriter, opened: Any, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40), url=form.format("pixels.bin", folder=writer.folder))
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_a_whole_file_is_a_chunk(tmp_path: Path, opened: Any) -> None:
    array = pixels(VOLUME)
    writer = ReferenceWriter(tmp_path)
    writer.add("data", array, (1, 24, 40), **ZLIB)
    for z in range(5):
        (tmp_path / f"plane {z}.z").write_bytes(deflated(array[z].tobytes()))
        writer.refs[f"data/{z}.0.0"] = [f"plane {z}.z"]
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_lindi_is_understood(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    filters = [{"id": "shuffle", "elementsize": 2}, {"id": "zlib", "level": 1}]
    writer.add(
        "data",
        array,
        (2, 24, 40),
        filters=filters,
        encode=lambda raw: deflated(np.frombuffer(raw, np.uint8).reshape(-1, 2).T.tobytes()),
    )
    source = opened(writer.write_lindi())
    assert "LINDI" in source.info.format
    np.testing.assert_array_equal(volume(source)[0, 0], array)


def test_zarr_v3_metadata(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40), encode=deflated)
    del writer.refs["data/.zarray"]
    writer.refs = {
        key.replace("data/", "data/c/").replace(".0.0", "/0/0"): value for key, value in writer.refs.items()
    }
    writer.refs["data/zarr.json"] = json.dumps(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(VOLUME),
            "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 24, 40]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0,
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "numcodecs.zlib", "configuration": {"level": 1}},
            ],
            "dimension_names": ["t", "y", "x"],
        }
    )
    source = opened(writer.write())
    assert source.info.n_t == 5
    np.testing.assert_array_equal(volume(source)[:, 0, 0], array)


def test_metadata_that_are_only_consolidated(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40))
    documents = {key: json.loads(writer.refs.pop(key)) for key in (".zgroup", "data/.zarray")}
    writer.refs[".zmetadata"] = json.dumps({"zarr_consolidated_format": 1, "metadata": documents})
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_kerchunk_reads_hdf5_for_us(tmp_path: Path, opened: Any) -> None:
    pytest.importorskip("kerchunk.hdf")
    h5py = pytest.importorskip("h5py")
    from kerchunk.hdf import SingleHdf5ToZarr

    array = pixels(VOLUME)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("gzip", data=array, chunks=(2, 10, 40), compression="gzip", shuffle=True)
        file.create_dataset("plain", data=array)
        file.create_dataset("small", data=array[:, :2, :2])
    with open(tmp_path / "a.h5", "rb") as file:
        (tmp_path / "refs.json").write_text(json.dumps(SingleHdf5ToZarr(file, "a.h5").translate()))
    for inner in ("", "::/gzip", "::/plain"):
        np.testing.assert_array_equal(volume(opened(f"{tmp_path}/refs.json{inner}"))[0, 0], array)


# ---- what is not stored ----------------------------------------------------------------------


def test_a_chunk_without_a_reference_is_fill_value(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 12, 40), fill_value=9, skip=lambda at: at == (2, 1, 0) or at[0] == 3)
    source = opened(writer.write())
    expected = array[2].copy()
    expected[12:] = 9
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=2)), expected)
    with pytest.raises(PlaneNotStoredError) as caught:
        source.read_plane(PlaneKey(z=3))
    assert caught.value.plane_shape == (24, 40)


def test_indices_outside_are_an_index_error(writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    source = opened(writer.write())
    for key, level in ((PlaneKey(z=5), 0), (PlaneKey(t=1), 0), (PlaneKey(z=-1), 0), (PlaneKey(), 1)):
        with pytest.raises(IndexError):
            source.read_plane(key, level)


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


@pytest.mark.parametrize("names", [None, ["t", "y", "x", "S"], ["z", "y", "x", "sample"]])
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


def ngff_attributes() -> dict[str, Any]:
    """Two levels, with units and channels."""
    axes = [
        {"name": "c", "type": "channel"},
        {"name": "z", "type": "space", "unit": "micrometer"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    datasets = [
        {
            "path": str(i),
            "coordinateTransformations": [{"type": "scale", "scale": [1, 2.0, f * 0.5, f * 0.5]}],
        }
        for i, f in enumerate((1, 2))
    ]
    return {
        "multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}],
        "omero": {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP", "color": "00FF00"}]},
    }


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
    (writer.folder / "pixels.bin").write_bytes(b"")
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


# ---- over a network --------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["pixels.bin", "./pixels.bin", "{server}"])
def test_references_on_a_server(writer: ReferenceWriter, opened: Any, server: RangeServer, url: str) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 10, 40), url=url.format(server=server.url("pixels.bin")), **ZLIB)
    writer.write()
    source = opened(server.url("refs.json"))
    np.testing.assert_array_equal(volume(source)[0, 0], array)
    assert source.describe()["hosts"] == [f"127.0.0.1:{server.port}"]


def test_local_references_to_a_server(writer: ReferenceWriter, opened: Any, server: RangeServer) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40), url=server.url("pixels.bin"), **ZLIB)
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_planes_from_a_server_are_kept_until_something_changes(
    writer: ReferenceWriter, server: RangeServer, tmp_path: Path
) -> None:
    from ndviewer_light import open_dataset

    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40), **ZLIB)
    writer.write()
    options = {"cache_dir": str(tmp_path / "kept")}
    for is_second in (False, True):
        server.set()
        with open_dataset(server.url("refs.json"), storage_options=options) as dataset:
            np.testing.assert_array_equal(dataset.plane(z=2), array[2])
        asked = [entry["path"] for entry in server.log()]
        assert asked.count("/pixels.bin") <= 1 + (not is_second)
    other = ReferenceWriter(tmp_path)
    other.add("data", array[::-1].copy(), (1, 24, 40), **ZLIB)
    other.write()
    with open_dataset(server.url("refs.json"), storage_options=options) as dataset:
        np.testing.assert_array_equal(dataset.plane(z=2), array[2])
        np.testing.assert_array_equal(dataset.plane(z=0), array[4])


def test_files_of_one_plane_are_read_at_once(
    writer: ReferenceWriter, opened: Any, server: RangeServer
) -> None:
    array = pixels((24, 40))
    writer.add("data", array, (6, 10))
    for i in range(4):
        for j in range(4):
            part = array[i * 6 : i * 6 + 6, j * 10 : j * 10 + 10]
            (writer.folder / f"{i}{j}.bin").write_bytes(part.tobytes())
            writer.refs[f"data/{i}.{j}"] = [server.url(f"{i}{j}.bin")]
    source = opened(writer.write())
    server.set(latency_s=0.1)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), array)
    assert server.counts()["requests"] == 16
    assert server.counts()["max_in_flight"] > 8


@pytest.mark.parametrize("fault", ["drop", "503", "truncate", "short", "no_range", "wrong_range"])
def test_what_fails_on_the_way_gives_right_pixels_or_an_error(
    writer: ReferenceWriter, opened: Any, server: RangeServer, fault: str
) -> None:
    array = pixels((20, 24, 40))
    writer.add("data", array, (1, 24, 40), **ZLIB)
    writer.write()
    source = opened(server.url("refs.json"))
    server.set(faults={fault: 0.3}, only="pixels.bin")
    for z in range(20):
        try:
            found = source.read_plane(PlaneKey(z=z))
        except DatasetError:
            continue
        np.testing.assert_array_equal(found, array[z])


def test_close_ends_a_read_under_way(writer: ReferenceWriter, opened: Any, server: RangeServer) -> None:
    writer.add("data", pixels((1, 1000, 1000)), (1, 1000, 1000))
    writer.write()
    source = opened(server.url("refs.json"))
    server.set(faults={"stall": 1.0}, only="pixels.bin")
    ended: list[BaseException] = []

    def read() -> None:
        try:
            source.read_plane(PlaneKey())
        except BaseException as error:  # noqa: BLE001  is looked at below
            ended.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.counts()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    source.close()
    thread.join(10)
    assert isinstance(ended[0], DatasetError)


def test_a_reference_to_nothing_says_to_what(
    writer: ReferenceWriter, opened: Any, server: RangeServer
) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="gone.bin")
    local = writer.write()
    for path in (local, server.url("refs.json")):
        with pytest.raises(DatasetNotFoundError, match=r"refers to missing data.*gone\.bin"):
            opened(path).read_plane(PlaneKey())


def test_a_reference_beyond_the_end_is_damage(writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    path = writer.write()
    file = writer.folder / "pixels.bin"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CorruptDataError, match="truncated"):
        opened(path).read_plane(PlaneKey(z=4))


# ---- what is not trusted -----------------------------------------------------------------------

OUTSIDE = [
    "/etc/hostname",
    "file:///etc/hostname",
    "../secret.bin",
    "file://../secret.bin",
    "sub/../../secret.bin",
]


@pytest.mark.parametrize("url", OUTSIDE)
def test_files_outside_the_folder_are_not_read(tmp_path: Path, opened: Any, url: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (tmp_path / "in").mkdir()
    writer = ReferenceWriter(tmp_path / "in")
    writer.add("data", pixels(VOLUME), (1, 24, 40), url=url)
    source = opened(writer.write())
    with pytest.raises(UntrustedReferenceError, match="allow_outside"):
        source.read_plane(PlaneKey())


def test_a_link_in_the_folder_does_not_lead_out_of_it(tmp_path: Path, opened: Any) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "secret.bin", tmp_path / "in" / "link.bin")
    writer = ReferenceWriter(tmp_path / "in")
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="link.bin")
    with pytest.raises(UntrustedReferenceError):
        opened(writer.write()).read_plane(PlaneKey())


def test_a_person_may_allow_it(tmp_path: Path, opened: Any) -> None:
    array = pixels(VOLUME)
    (tmp_path / "in").mkdir()
    writer = ReferenceWriter(tmp_path / "in")
    writer.add("data", array, (1, 24, 40), url="../pixels.bin")
    path = writer.write()
    os.rename(tmp_path / "in" / "pixels.bin", tmp_path / "pixels.bin")
    source = opened(path, **{"allow_outside": "yes"})
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), array[0])


@pytest.mark.parametrize(
    "url", ["/etc/hostname", "file:///etc/hostname", "C:\\secret", "../../x", "local:///etc/x"]
)
def test_references_on_a_server_name_no_file_of_this_machine(
    writer: ReferenceWriter, opened: Any, server: RangeServer, url: str
) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url=url)
    writer.write()
    with pytest.raises(UntrustedReferenceError):
        opened(server.url("refs.json"))


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "smb://h/x", "memory://x", "zip://a::/etc/x", "reference://x", "data:,x", "a\0b", ""]
)
def test_only_known_schemes_are_followed(writer: ReferenceWriter, opened: Any, url: str) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="x")
    writer.refs["data/0.0.0"][0] = url
    with pytest.raises(DatasetError):
        opened(writer.write()).read_plane(PlaneKey())


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "10.0.0.7", "169.254.169.254", "[::1]", "192.168.1.1", "2130706433"],
)
def test_references_of_a_public_server_reach_into_no_private_network(host: str) -> None:
    places = ReferencePolicy("https://data.example.org/refs.json", {})
    with pytest.raises(UntrustedReferenceError, match="network"):
        places.learn([f"http://{host}/latest/meta-data"])
    places.learn(["https://dandiarchive.s3.amazonaws.com/x", "s3://bucket/x", "https://8.8.8.8/x"])
    assert places.hosts == ("dandiarchive.s3.amazonaws.com", "s3://bucket", "8.8.8.8")


def test_a_password_is_told_to_its_own_server_only() -> None:
    options = {"token": "secret", "region": "eu"}
    remote = ReferencePolicy("https://a.org/refs.json", options)
    assert remote.options_for("https://a.org/x.bin") == options
    assert remote.options_for("https://b.org/x.bin") == {"region": "eu"}
    local = ReferencePolicy("/data/refs.json", options)
    local.learn(["https://a.org/x"])
    assert local.options_for("https://a.org/x") == options
    local.learn(["https://a.org/x", "https://b.org/x"])
    assert local.options_for("https://a.org/x") == {"region": "eu"}


def test_what_is_secret_in_a_url_is_in_no_message(writer: ReferenceWriter, server: RangeServer) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="file:///etc/x?token=hush")
    writer.write()
    with pytest.raises(DatasetError) as caught:
        ReferencesSource.open(server.url("refs.json") + "?signature=hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            '{"version": 1, "gen": [{"key": "a", "url": "b", "dimensions": {"i": {"stop": 9}}}], "refs": {}}',
            UnsupportedError,
        ),
        (
            '{"version": 1, "templates": {"f": "{{c}}"}, "refs": {".zgroup": "{}", "a/0": ["{{f(c=1)}}"]}}',
            UnsupportedError,
        ),
        (
            '{"version": 1, "templates": {"f": "{{c}}"}, "refs": {".zgroup": "{}", "a/0": ["{{f}}"]}}',
            UnsupportedError,
        ),
        ('{"version": 1, "refs": {".zgroup": "{}", "a/0": ["{{f.__class__}}"]}}', MetadataError),
        ('{"version": 1, "refs": {".zgroup": "{}", "a/0": ["{% for i in x %}"]}}', UnsupportedError),
        ('{"version": 1, "templates": {"f": 5}, "refs": {".zgroup": "{}"}}', MetadataError),
        ('{"version": 2, "refs": {}}', UnsupportedError),
        ('{"version": 1, "refs": []}', MetadataError),
        ('{"refs": {".zgroup": "{}"', MetadataError),
        ('{".zgroup": "{}"} more', MetadataError),
        ('{"a/0": ["x", -1, 5], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1, -1], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1, 2.5], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1, 99999999999999999999999], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": [null, 1, 2], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": 5, ".zgroup": "{}"}', MetadataError),
        ('{"a/.zarray": "{", "a/0": ["x"]}', DatasetNotFoundError),
        ('{"hello": "world"}', MetadataError),
        ("{}", MetadataError),
        ("[]", MetadataError),
        ("", MetadataError),
        ("\xff", MetadataError),
        ('{"a": ' + "[" * 100_000, LimitExceededError),
        ('{"a/.zattrs": ' + '{"x":' * 100 + "1" + "}" * 100 + "}", DatasetNotFoundError),
    ],
    ids=range(25),
)
def test_files_that_are_no_references_are_refused(
    tmp_path: Path, opened: Any, content: str, error: type[Exception]
) -> None:
    path = tmp_path / "refs.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(error, match=r"refs\.json"):
        opened(str(path))


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 6, 8))
    path = writer.write()
    monkeypatch.setattr(references_json, "MAX_REFERENCES", 50)
    with pytest.raises(LimitExceededError, match="references"):
        opened(path)
    monkeypatch.undo()
    monkeypatch.setattr("ndviewer_light.sources.references.source.MAX_FILE_BYTES", 100)
    with pytest.raises(LimitExceededError, match="bytes"):
        opened(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data/0.0", "text"),
        ("data/x.0.0", ["x", 0, 1]),
        ("data/0.0.0.0", ["x", 0, 1]),
        ("data/-1.0.0", ["x", 0, 1]),
        ("data/99999999999999999999.0.0", ["x", 0, 1]),
    ],
)
def test_keys_that_are_no_chunks_are_refused(
    writer: ReferenceWriter, opened: Any, key: str, value: Any
) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    writer.refs[key] = value
    with pytest.raises(MetadataError, match="is not a chunk"):
        opened(writer.write())


def test_chunks_outside_the_array_are_ignored(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40))
    writer.refs["data/5.0.0"] = ["nowhere", 0, 1]
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_a_chunk_named_twice_is_refused(tmp_path: Path, opened: Any) -> None:
    writer = ReferenceWriter(tmp_path)
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    text = Path(writer.write()).read_text()
    Path(tmp_path, "refs.json").write_text(text[:-2] + ', "data/0.0.0": ["x", 0, 1]}}')
    with pytest.raises(MetadataError, match="twice"):
        opened(f"{tmp_path}/refs.json")


def test_a_chunk_of_absurd_length_is_not_read(writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), **ZLIB)
    writer.refs["data/0.0.0"][2] = 10**12
    with pytest.raises(CorruptDataError, match=r"chunk 0\.0\.0 of /data"):
        opened(writer.write()).read_plane(PlaneKey())


def test_arrays_of_objects_are_refused(writer: ReferenceWriter, opened: Any) -> None:
    document = {"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": "|O", "fill_value": None}
    writer.refs["data/.zarray"] = json.dumps({**document, "filters": [{"id": "pickle"}]})
    writer.refs["data/0.0"] = "base64:gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAV0b3VjaJSFlFKULg=="
    with pytest.raises(UnsupportedError, match="dtype"):
        opened(writer.write() + "::/data")


def test_mutants_give_dataset_errors_only(writer: ReferenceWriter) -> None:
    array = pixels(VOLUME)
    writer.group("", ngff_attributes())
    writer.add("0", array, (1, 24, 40), **ZLIB)
    writer.add("data", array, (2, 24, 40), filters=[{"id": "shuffle", "elementsize": 2}], attributes={"a": 1})
    path = Path(writer.write())
    original = path.read_bytes()
    rng = np.random.default_rng(5)
    n_errors = 0
    for _ in range(400):
        mutant = bytearray(original)
        for _ in range(rng.integers(1, 4)):
            mutant[rng.integers(len(mutant))] = int(rng.choice(list(b'0123456789{}[]",:abz/.-\xff\0')))
        path.write_bytes(bytes(mutant))
        for inner in ("", "::/data"):
            try:
                source = ReferencesSource.open(f"{path}{inner}")
                try:
                    source.read_plane(PlaneKey())
                finally:
                    source.close()
            except (DatasetError, IndexError) as error:
                n_errors += 1
                assert type(error).__name__ in BY_NAME or isinstance(error, IndexError)
    assert n_errors > 100


def test_large_files_are_walked_through_without_loss() -> None:
    refs = {f"data/{i}.0.0": ["file.bin", 100 * i, 90] for i in range(3000)}
    refs["data/1500.0.0"] = "base64:AAAA"
    refs = {".zgroup": "{}", **refs, "data/.zarray": "{}", "data/3000.0.0": ['other " file']}
    for text in (json.dumps(refs), json.dumps(refs, indent=1), json.dumps(refs, separators=(",", ":"))):
        found = parse(text.encode(), "a.json")
        assert len(found.keys) == 3001
        assert found.locations == ["file.bin", 'other " file']
        rows = {
            key: (found.location[i], found.offset[i], found.length[i]) for i, key in enumerate(found.keys)
        }
        assert rows["data/2999.0.0"] == (0, 299_900, 90)
        assert rows["data/1500.0.0"][0] == references_json.INLINE
        assert rows["data/3000.0.0"] == (1, 0, -1)
