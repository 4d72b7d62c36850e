"""References of kerchunk and LINDI: right pixels, whichever form their file has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light.errors import (
    PlaneNotStoredError,
)
from ndviewer_light.model import PlaneKey
from tests.reference_files import ZLIB, ReferenceWriter, deflated, pixels
from tests.references_opened import VOLUME, opening_references, volume

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
