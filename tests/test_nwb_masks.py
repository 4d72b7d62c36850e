"""Masks of regions of NWB that are lists of pixels, or in Zarr: read as pictures, drawn over their series."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hdf5_files import IMAGING_PLANE, volume, write_nwb
from stores import needs_zarr_3
from written import NWB_LISTS, NWB_MASKS

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey, PlaneState, Region
from ndviewer_light.sources import open_source
from ndviewer_light.sources.source import LabelPart
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.sources import Source

    Open = Callable[..., Source]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens files; closes them when the test is over."""
    sources: list[Source] = []

    def open_(path: Path, inner: str = "") -> Source:
        sources.append(open_source(f"{path}::{inner}" if inner else str(path)))
        return sources[-1]

    yield open_
    for source in sources:
        source.close()


def movie(n: int) -> np.ndarray:
    """Frames (n, x, y) of 24 × 16."""
    return volume((n, 24, 16))


_PIXEL = [("x", "u4"), ("y", "u4"), ("weight", "f4")]
_VOXEL = [("x", "u4"), ("y", "u4"), ("z", "u4"), ("weight", "f4")]
_TABLE = "/processing/ophys/ImageSegmentation/PlaneSegmentation"


def with_lists(path: Path, name: str, masks: np.ndarray, series: np.ndarray) -> None:
    """A series, and masks (region, x, y[, z]) as lists of their pixels, as pynwb lays them out."""
    write_nwb(path, S={"data": series, "rate": 1.0, "plane": IMAGING_PLANE})
    lists = [
        np.array(
            [(*at, mask[at]) for at in zip(*np.nonzero(mask), strict=True)],
            _PIXEL if mask.ndim == 2 else _VOXEL,
        )
        for mask in masks
    ]
    with h5py.File(path, "a") as file:
        table = file.create_group(_TABLE)
        table.attrs["neurodata_type"] = "PlaneSegmentation"
        table["imaging_plane"] = h5py.SoftLink("/general/optophysiology/ImagingPlane")
        table.create_dataset("id", data=[7, 9, 12][: len(masks)])
        table.create_dataset(name, data=np.concatenate(lists))
        table.create_dataset(f"{name}_index", data=np.cumsum([len(each) for each in lists]).astype("u1"))


def three_masks(*depth: int) -> np.ndarray:
    """Of weights below 1; the second region has no pixel."""
    masks = np.zeros((3, 24, 16, *depth), np.float32)
    masks[0, 2:5, 3:9] = 0.25
    masks[2, 10:14, 8:12] = 0.5
    return masks


def test_lists_of_pixels_are_read_like_pictures_of_masks(tmp_path: Path, opened: Open) -> None:
    masks = three_masks()
    with_lists(tmp_path / "a.nwb", "pixel_mask", masks, movie(2))
    for inner in (_TABLE, f"{_TABLE}/pixel_mask"):
        source = opened(tmp_path / "a.nwb", inner)
        assert [position.name for position in source.info.positions] == ["ROI 7", "ROI 9", "ROI 12"]
        assert (source.info.pixel_size_x_um, source.info.pixel_size_y_um) == pytest.approx((1, 2))
        for p in range(3):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(p=p)), masks[p].T)
    part = source.read_region(PlaneKey(p=2), Region(7, 9, 4, 6))
    np.testing.assert_array_equal(part, masks[2].T[7:11, 9:15])


def test_lists_of_pixels_lie_over_their_series(tmp_path: Path) -> None:
    with_lists(tmp_path / "a.nwb", "pixel_mask", three_masks(), movie(2))
    expected = np.zeros((16, 24), np.uint16)
    for n, mask in enumerate(three_masks(), 1):
        expected[mask.T > 0] = n
    with open_dataset(tmp_path / "a.nwb") as dataset:
        assert dataset.labels(0) == (f"{tmp_path / 'a.nwb'}::{_TABLE}/pixel_mask",)
        (seen,) = dataset.label_parts("PlaneSegmentation", [LabelPart(0, 0, 0, (0, 0, 24, 16), 16, 24)])
        np.testing.assert_array_equal(seen.values, expected)


def test_lists_of_voxels_are_stacks_of_masks(tmp_path: Path) -> None:
    masks = three_masks(6)
    masks[0, ..., 3:] = 0
    with_lists(tmp_path / "a.nwb", "voxel_mask", masks, volume((2, 24, 16, 6)))
    with open_dataset(tmp_path / "a.nwb") as dataset:
        (path,) = dataset.labels(0)
        with open_dataset(path) as shown:
            assert shown.sizes["z"] == 6
            for p, z in np.ndindex(3, 6):
                np.testing.assert_array_equal(shown.plane(p=p, z=z), masks[p, :, :, z].T)


@pytest.mark.parametrize("damage", ["no index", "backwards", "beyond", "outside"])
def test_lists_of_pixels_that_are_damaged(tmp_path: Path, opened: Open, damage: str) -> None:
    path = tmp_path / "a.nwb"
    with_lists(path, "pixel_mask", three_masks(), movie(2))
    with h5py.File(path, "a") as file:
        index, pixels = file[f"{_TABLE}/pixel_mask_index"], file[f"{_TABLE}/pixel_mask"]
        if damage == "no index":
            del file[f"{_TABLE}/pixel_mask_index"]
        elif damage == "backwards":
            index[1] = 1
        elif damage == "beyond":
            index[2] = 255
        else:
            records = pixels[()]
            records["x"][0] = 4_000_000_000
            pixels[...] = records
    assert opened(path).info.sizes["t"] == 2  # the series itself
    if damage == "outside":
        source = opened(path, _TABLE)
        assert np.count_nonzero(source.read_plane(PlaneKey())) == 17
        return
    with pytest.raises((UnsupportedError, CorruptDataError), match="pixel_mask"):
        opened(path, _TABLE)


def test_without_a_series_masks_are_as_large_as_their_pixels_need(tmp_path: Path, opened: Open) -> None:
    with_lists(tmp_path / "a.nwb", "pixel_mask", three_masks(), movie(2))
    with h5py.File(tmp_path / "a.nwb", "a") as file:
        del file["acquisition/S"]
    source = opened(tmp_path / "a.nwb")
    assert (source.info.width, source.info.height) == (14, 12)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=2)), three_masks()[2].T[:12, :14])


# ---- in Zarr ---------------------------------------------------------------------------------------


def regions_written() -> np.ndarray:
    """The labels (y, x) of `write_hdmf_zarr.masks`."""
    labels = np.zeros((12, 20), np.uint16)
    for i in range(3):
        labels[i : i + 5, 4 * i : 4 * i + 3] = i + 1
    return labels


@needs_zarr_3
def test_masks_in_zarr_lie_over_the_series_of_their_size(tmp_path: Path) -> None:
    with zipfile.ZipFile(NWB_MASKS) as archive:
        archive.extractall(tmp_path)
    store = tmp_path / "masks.nwb.zarr"
    with open_dataset(store) as dataset:
        camera, photons = (dataset.info.positions[p].name for p in range(2))
        assert (camera, photons) == ("camera", "two photon")
        assert dataset.labels(0) == ()
        (path,) = dataset.labels(1)
        assert path == f"{store}::processing/ophys/ImageSegmentation/Cells"
        (seen,) = dataset.label_parts("Cells", [LabelPart(1, 0, 0, (0, 0, 20, 12), 12, 20)])
        np.testing.assert_array_equal(seen.values, regions_written())
        assert [seen.facts.properties[n]["name"] for n in (1, 2, 3)] == ["ROI 7", "ROI 8", "ROI 9"]
        with open_dataset(path) as masks:
            assert masks.info.format == "nwb zarr masks"
            np.testing.assert_array_equal(masks.plane(p=1), 0.5 * (regions_written() == 2))


@needs_zarr_3
def test_a_series_in_zarr_opened_by_its_path_has_its_scale_and_masks(tmp_path: Path) -> None:
    """What describes it is elsewhere in the file."""
    with zipfile.ZipFile(NWB_MASKS) as archive:
        archive.extractall(tmp_path)
    store = tmp_path / "masks.nwb.zarr"
    with open_dataset(f"{store}::/acquisition/two photon") as dataset:
        image = dataset.image(0)
        assert (image.pixel_size_x_um, image.pixel_size_y_um) == pytest.approx((0.5, 0.25))
        (path,) = dataset.labels(0)
        (seen,) = dataset.label_parts("Cells", [LabelPart(0, 0, 0, (0, 0, 20, 12), 12, 20)])
        np.testing.assert_array_equal(seen.values, regions_written())
        with open_dataset(path) as masks:
            assert masks.image(0).pixel_size_y_um == pytest.approx(0.25)


@needs_zarr_3
def test_masks_in_zarr_on_a_server(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    with zipfile.ZipFile(NWB_MASKS) as archive:
        archive.extractall(tmp_path)
    with RangeServer(tmp_path) as server:  # lists no folder: by its consolidated metadata
        where = server.url("masks.nwb.zarr")
        with open_dataset(where, storage_options={"disk_cache": "no"}) as dataset:
            assert dataset.labels(0) == ()
            (seen,) = dataset.label_parts("Cells", [LabelPart(1, 0, 0, (0, 0, 20, 12), 12, 20)])
            np.testing.assert_array_equal(seen.values, regions_written())


_CELLS, _SOMATA = (f"processing/ophys/ImageSegmentation/{name}" for name in ("Cells", "Somata"))


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """`write_hdmf_zarr.lists`."""
    with zipfile.ZipFile(NWB_LISTS) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "lists.nwb.zarr"


def check_lists(store: Path | str, **options: str) -> None:
    """The lists of pixels and voxels are the masks of their series."""
    with open_dataset(str(store), storage_options=options) as dataset:
        named = {position.name: p for p, position in enumerate(dataset.info.positions)}
        (seen,) = dataset.label_parts("Cells", [LabelPart(named["two photon"], 0, 0, (0, 0, 20, 12), 12, 20)])
        np.testing.assert_array_equal(seen.values, regions_written())
    with open_dataset(f"{store}::{_CELLS}", storage_options=options) as masks:
        assert [position.name for position in masks.info.positions] == ["ROI 7", "ROI 8", "ROI 9"]
        for p in range(3):
            np.testing.assert_array_equal(masks.plane(p=p), 0.5 * (regions_written() == p + 1))
        assert masks.state(PlaneKey(p=2)) is PlaneState.PRESENT
        part = masks.plane(p=1, region=(2, 3, 4, 9))
        np.testing.assert_array_equal(part, 0.5 * (regions_written() == 2)[2:6, 3:12])
    with open_dataset(f"{store}::{_SOMATA}", storage_options=options) as masks:
        assert masks.sizes["z"] == 5
        for z in range(5):
            wanted = 0.5 * (regions_written() == 3) * (z in (1, 3))
            np.testing.assert_array_equal(masks.plane(p=2, z=z), wanted)


def test_lists_in_zarr_are_read_like_pictures_of_masks(lists: Path) -> None:
    check_lists(lists)


def test_lists_in_zarr_on_a_server(lists: Path) -> None:
    pytest.importorskip("obstore")
    with RangeServer(lists.parent) as server:
        check_lists(server.url(lists.name), disk_cache="no")


def rewrite(folder: Path, **fields: object) -> None:
    """Change the metadata of an array."""
    file = folder / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def in_small_chunks(folder: Path) -> None:
    """Store a list as it is, in chunks of 7 records that are not compressed; the third one is missing."""
    import tensorstore as ts

    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(folder)}}
    fields = {name: ts.open(spec | {"field": name}).result().read().result() for name in ("x", "y", "weight")}
    records = np.zeros(len(fields["x"]), _PIXEL)
    for name, values in fields.items():
        records[name] = values
    (folder / "0").unlink()
    rewrite(folder, chunks=[7], compressor=None)
    padded = np.concatenate([records, np.zeros(-len(records) % 7, _PIXEL)])
    for i in range(len(padded) // 7):
        if i != 2:
            (folder / str(i)).write_bytes(padded[7 * i : 7 * i + 7].tobytes())


def test_a_list_in_several_chunks(lists: Path) -> None:
    in_small_chunks(lists / _CELLS / "pixel_mask")
    with open_dataset(f"{lists}::{_CELLS}") as masks:
        whole = 0.5 * (regions_written() == 1)
        assert 0 < (masks.plane(p=0) != whole).sum() <= 7  # what was in the missing chunk
        np.testing.assert_array_equal(masks.plane(p=2), 0.5 * (regions_written() == 3))


def test_without_a_series_lists_in_zarr_are_as_large_as_their_pixels_need(lists: Path) -> None:
    (lists / ".zmetadata").unlink()
    for name in ("two photon", "stack"):
        (lists / "acquisition" / name).rename(lists.parent / name)
    with open_dataset(f"{lists}::{_CELLS}") as masks:
        labels = regions_written()
        rows, columns = (int(at.max()) + 1 for at in np.nonzero(labels))
        np.testing.assert_array_equal(masks.plane(p=0), 0.5 * (labels == 1)[:rows, :columns])


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"dtype": [["x", "<u4"], ["weight", "<f4"]]}, UnsupportedError),
        ({"dtype": [["x", "<u4"], ["y", "|S4"]]}, UnsupportedError),
        ({"dtype": [["x", "<u4"], ["y", "<u4", [100]]]}, UnsupportedError),
        ({"dtype": "|O", "filters": [{"id": "pickle"}]}, UnsupportedError),
        ({"chunks": [2**40]}, LimitExceededError),
        ({"chunks": [0]}, MetadataError),
        ({"shape": [44]}, CorruptDataError),
    ],
    ids=["no y", "texts", "lists", "objects", "huge chunks", "no chunks", "too short"],
)
def test_lists_in_zarr_that_are_damaged(
    lists: Path, fields: dict[str, object], error: type[DatasetError]
) -> None:
    rewrite(lists / _CELLS / "pixel_mask", **fields)
    with pytest.raises(error, match="pixel_mask"):
        open_dataset(f"{lists}::{_CELLS}")


def test_a_damaged_chunk_of_a_list_is_said(lists: Path) -> None:
    file = lists / _CELLS / "pixel_mask" / "0"
    file.write_bytes(file.read_bytes()[:40])
    with open_dataset(f"{lists}::{_CELLS}") as masks, pytest.raises(DatasetError, match="pixel_mask"):
        masks.plane()


# ---- lists as others store them ----------------------------------------------------------------


def records_of(folder: Path) -> np.ndarray:
    """A list as hdmf-zarr wrote it."""
    import tensorstore as ts

    spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(folder)}}
    names = [name for name, _ in json.loads((folder / ".zarray").read_text())["dtype"]]
    fields = {name: ts.open(spec | {"field": name}).result().read().result() for name in names}
    kinds = {"x": "<u4", "y": "<u4", "z": "<u4", "weight": "<f4"}
    records = np.zeros(len(fields["x"]), [(name, kinds[name]) for name in names])
    for name, values in fields.items():
        records[name] = values
    return records


def filtered(zarr: Any, folder: Path, records: np.ndarray) -> None:
    from numcodecs import Blosc, Fletcher32, Shuffle

    filters = [Shuffle(records.itemsize), Fletcher32()]
    with_filters = {"zarr_format": 2, "filters": filters, "compressors": Blosc("lz4", shuffle=2)}
    zarr.create_array(folder, shape=records.shape, dtype=records.dtype, chunks=(7,), **with_filters)[:] = (
        records
    )


def in_json(zarr: Any, folder: Path, records: np.ndarray) -> None:
    """Objects: by numcodecs, as zarr-python 2 stores them with its codec JSON."""
    from numcodecs import JSON, Zstd

    codec, compressor = JSON(), Zstd()
    objects = np.empty(-(-len(records) // 7) * 7, object)
    objects[: len(records)] = [list(map(float, each)) for each in records.tolist()]
    folder.mkdir()
    said = {"zarr_format": 2, "shape": [len(records)], "chunks": [7], "dtype": "|O", "order": "C"}
    said |= {"fill_value": 0, "filters": [codec.get_config()], "compressor": compressor.get_config()}
    (folder / ".zarray").write_text(json.dumps(said))
    for i in range(0, len(objects), 7):
        (folder / str(i // 7)).write_bytes(compressor.encode(codec.encode(objects[i : i + 7])))


def in_v3(zarr: Any, folder: Path, records: np.ndarray) -> None:
    zarr.create_array(folder, shape=records.shape, dtype=records.dtype, chunks=(7,), zarr_format=3)[:] = (
        records
    )


def in_v3_with_dots(zarr: Any, folder: Path, records: np.ndarray) -> None:
    """Another separator, a checksum, and the name of the dtype that Zarr's extensions propose."""
    import numcodecs  # noqa: F401
    from zarr.codecs import Crc32cCodec, GzipCodec

    how = {
        "compressors": [GzipCodec(), Crc32cCodec()],
        "chunk_key_encoding": {"name": "default", "separator": "."},
    }
    made = zarr.create_array(
        folder, shape=records.shape, dtype=records.dtype, chunks=(7,), zarr_format=3, **how
    )
    made[:] = records
    file = folder / "zarr.json"
    document = json.loads(file.read_text())
    if document["data_type"]["name"] != "struct":  # older versions of zarr-python name it otherwise
        fields = document["data_type"]["configuration"]["fields"]
        as_named = [{"name": name, "data_type": kind} for name, kind in fields]
        document["data_type"] = {"name": "struct", "configuration": {"fields": as_named}}
        file.write_text(json.dumps(document))


def in_shards(zarr: Any, folder: Path, records: np.ndarray) -> None:
    """Shards of 14 records in chunks of 7, by the bytes: zarr-python writes none of records."""
    n, size = len(records), records.itemsize
    raw = np.zeros((-(-n // 14) * 14, size), np.uint8)
    raw[:n] = records.view(np.uint8).reshape(n, size)
    made = zarr.create_array(
        folder, shape=raw.shape, dtype="u1", chunks=(7, size), shards=(14, size), zarr_format=3
    )
    made[:] = raw
    for shard in (folder / "c").iterdir():  # of an array of one axis
        (shard / "0").rename(shard.with_name(f"{shard.name}_"))
        shard.rmdir()
        shard.with_name(f"{shard.name}_").rename(shard)
    file = folder / "zarr.json"
    document = json.loads(file.read_text())
    kinds = {"<u4": "uint32", "<f4": "float32"}
    fields = [[name, kinds[records.dtype[name].str]] for name in records.dtype.names or ()]
    document |= {"shape": [n], "data_type": {"name": "structured", "configuration": {"fields": fields}}}
    document["fill_value"] = "AAAA"
    document["chunk_grid"]["configuration"]["chunk_shape"] = [14]
    document["codecs"][0]["configuration"]["chunk_shape"] = [7]
    file.write_text(json.dumps(document))


def as_v3(group: Path) -> None:
    """A store of groups and arrays of v2, written again as v3; lists of records are left out."""
    import zarr

    def copied(of: Path, to: Path) -> None:
        attributes = json.loads((of / ".zattrs").read_text()) if (of / ".zattrs").exists() else {}
        attributes.pop("_ARRAY_DIMENSIONS", None)
        if (of / ".zarray").exists():
            kind = json.loads((of / ".zarray").read_text())["dtype"]
            if isinstance(kind, str) and kind != "|O":
                values = zarr.open_array(of, mode="r")[...]
                zarr.create_array(to, data=values, zarr_format=3, attributes=attributes)
            return
        zarr.create_group(to, zarr_format=3, attributes=attributes, overwrite=True)
        for inner in of.iterdir():
            if inner.is_dir():
                copied(inner, to / inner.name)

    copied(group, group.with_name("v3"))


@needs_zarr_3
@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("write", [filtered, in_json, in_v3, in_v3_with_dots, in_shards])
def test_lists_in_zarr_however_they_are_stored(lists: Path, write: Callable[..., None]) -> None:
    import zarr

    found = {path: records_of(lists / path) for path in (f"{_CELLS}/pixel_mask", f"{_SOMATA}/voxel_mask")}
    (lists / ".zmetadata").unlink()
    if write in (in_v3, in_v3_with_dots, in_shards):
        as_v3(lists)
        lists = lists.with_name("v3")
    for path, records in found.items():
        shutil.rmtree(lists / path, ignore_errors=True)
        write(zarr, lists / path, records)
    check_lists(lists)


@needs_zarr_3
@pytest.mark.parametrize("damage", [b"[1, 2", b'[["a", 2, 3], "|O", [7]]', b"[[1, 2], 3, 4]", b"[" * 100_000])
def test_objects_of_a_list_that_are_damaged_are_said(lists: Path, damage: bytes) -> None:
    import zarr
    from numcodecs import Zstd

    folder = lists / _CELLS / "pixel_mask"
    records = records_of(folder)
    shutil.rmtree(folder)
    in_json(zarr, folder, records)
    (folder / "0").write_bytes(Zstd().encode(damage))
    with open_dataset(f"{lists}::{_CELLS}") as masks, pytest.raises(DatasetError, match="pixel_mask"):
        masks.plane()
