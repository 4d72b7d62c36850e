"""Regions of HDF5 datasets and of referenced arrays: what the plane has there, and no chunk more is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hdf5_files import GZIP, volume
from reference_files import ZLIB, ReferenceWriter, pixels

from ndviewer_light import open_dataset
from ndviewer_light.engine.overview import OVERVIEW
from ndviewer_light.errors import CorruptDataError, LimitExceededError
from ndviewer_light.model import PlaneKey, PlaneState, Region, Scale, Sizes
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from tests.range_server import RangeServer

SHAPE = (3, 150, 201)
REGIONS = (
    Region(0, 0, 150, 201),
    Region(0, 0, 64, 64),
    Region(63, 65, 2, 1),
    Region(149, 200, 1, 1),
    Region(10, 0, 100, 201),
    Region(128, 130, 22, 71),
)
HDF5: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunks": {"chunks": (1, 64, 64), **GZIP},
    "chunks of several planes": {"chunks": (2, 64, 64), **GZIP},
    "one chunk for a plane": {"chunks": (1, 150, 201), **GZIP},
    "growing": {"chunks": (1, 64, 64), "maxshape": (None, None, None)},
    "lzf": {"chunks": (1, 40, 50), "compression": "lzf"},
}


def check_regions(address: str, data: np.ndarray) -> None:
    source = open_source(address)
    for z in (0, 2):
        key = PlaneKey(z=z) if source.info.n_z > 1 else PlaneKey(t=z)
        whole = source.read_plane(key)
        np.testing.assert_array_equal(whole, data[z])
        for region in REGIONS:
            np.testing.assert_array_equal(source.read_region(key, region), whole[region.slices])
        for outside in (Region(0, 0, 151, 5), Region(3, -1, 5, 5), Region(0, 0, 0, 3)):
            with pytest.raises(IndexError, match="not within a plane"):
                source.read_region(key, outside)
    source.close()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("way", HDF5)
@pytest.mark.parametrize("place", ["disk", "server"])
def test_a_region_of_a_dataset(
    tmp_path: Path, server: RangeServer, way: str, place: str, libver: str
) -> None:
    data = volume(SHAPE)
    name = f"{way.replace(' ', '_')}_{libver}.h5"
    path = (tmp_path if place == "disk" else server.folder) / name
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("a", data=data, **HDF5[way])
    check_regions(str(path) if place == "disk" else server.url(name), data)


def test_x_before_y(tmp_path: Path) -> None:
    from hdf5_files import write_nwb

    data = volume((3, 201, 150))
    path = write_nwb(tmp_path / "a.nwb", Movie={"data": data, "rate": 0.1, "chunks": (1, 64, 50)})
    check_regions(str(path), data.transpose(0, 2, 1))


def test_only_the_chunks_of_the_region_are_read(tmp_path: Path) -> None:
    data = volume((150, 201))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("a", data=data, chunks=(64, 64), **GZIP)
        chunks = [made.id.get_chunk_info(i) for i in range(made.id.get_num_chunks())]
    with (tmp_path / "a.h5").open("r+b") as file:
        for chunk in chunks:
            if chunk.chunk_offset != (64, 64):
                file.seek(chunk.byte_offset)
                file.write(b"\xff" * chunk.size)
    source = open_source(str(tmp_path / "a.h5"))
    region = Region(64, 64, 64, 64)
    np.testing.assert_array_equal(source.read_region(PlaneKey(), region), data[region.slices])
    with pytest.raises(CorruptDataError):
        source.read_region(PlaneKey(), region._replace(width=65))
    source.close()


def test_a_dataset_of_any_size_opens(tmp_path: Path) -> None:
    part = volume((512, 512), "u1")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("a", (100_000, 100_000), "u1", chunks=(512, 512), fillvalue=7, **GZIP)
        made[512:1024, 1024:1536] = part
        made[99_840:, 99_840:] = 9
    with open_dataset(str(tmp_path / "a.h5"), isolate=True) as dataset:
        assert dataset.sizes["y"] == dataset.sizes["x"] == 100_000
        found = dataset.plane(region=Region(500, 1000, 100, 600))
        expected = np.full((100, 600), 7, np.uint8)
        expected[12:, 24:536] = part[:88]
        np.testing.assert_array_equal(found, expected)
        assert (dataset.plane(region=Region(99_900, 99_900, 100, 100)) == 9).all()
        assert (dataset.plane(region=Region(50_000, 50_000, 10, 10)) == 7).all()
        with pytest.raises(LimitExceededError, match="a region of it"):
            dataset.plane()
        assert dataset.drawn_level(0, 500, 500).level == OVERVIEW


def test_bands_of_a_contiguous_dataset(tmp_path: Path) -> None:
    data = np.arange(8500 * 8500, dtype=np.uint32).astype(np.uint8).reshape(8500, 8500)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=data)
    source = open_source(str(tmp_path / "a.h5"))
    rows, columns = source.tile_shape(0) or (0, 0)
    assert columns == 8500
    assert 100 < rows < 3000
    for region in (Region(8000, 10, 500, 500), Region(rows - 3, 8000, 6, 500)):
        np.testing.assert_array_equal(source.read_region(PlaneKey(), region), data[region.slices])
    source.close()


# ---- references --------------------------------------------------------------------------------------

REFERENCES: dict[str, dict[str, Any]] = {
    "plain": {"chunks": (1, 64, 64)},
    "plain planes": {"chunks": (1, 150, 201)},
    "plain, several planes": {"chunks": (3, 150, 201)},
    "compressed": {"chunks": (1, 64, 64), **ZLIB},
    "several planes": {"chunks": (2, 64, 50), **ZLIB},
    "x varies slowest": {"chunks": (1, 150, 201), "order": "F"},
}


@pytest.mark.parametrize("way", REFERENCES)
def test_a_region_of_referenced_chunks(tmp_path: Path, way: str) -> None:
    data = pixels(SHAPE)
    writer = ReferenceWriter(tmp_path)
    writer.add("a", data, **REFERENCES[way], attributes={"_ARRAY_DIMENSIONS": ["t", "y", "x"]})
    check_regions(writer.write(), data)


def test_a_region_of_uncompressed_chunks_costs_its_rows(server: RangeServer) -> None:
    data = pixels((2000, 2000))
    writer = ReferenceWriter(server.folder)
    writer.add("a", data, (2000, 2000), attributes={"_ARRAY_DIMENSIONS": ["y", "x"]})
    writer.write()
    source = open_source(server.url("refs.json"))
    server.set()
    region = Region(1000, 500, 10, 20)
    np.testing.assert_array_equal(source.read_region(PlaneKey(), region), data[region.slices])
    assert server.counts()["bytes"] < 2 * 10 * 2000 * 2 + 300_000  # a block of a remote file, at most
    source.close()


def test_missing_references_of_a_region(tmp_path: Path) -> None:
    data = pixels((150, 201))
    writer = ReferenceWriter(tmp_path)
    dims = {"_ARRAY_DIMENSIONS": ["y", "x"]}
    writer.add("a", data, (64, 64), skip=lambda at: at[1] == 2, fill_value=7, attributes=dims, **ZLIB)
    source = open_source(writer.write())
    expected = data.copy()
    expected[:, 128:192] = 7
    region = Region(3, 100, 70, 101)
    np.testing.assert_array_equal(source.read_region(PlaneKey(), region), expected[region.slices])
    assert (source.read_region(PlaneKey(), Region(3, 130, 70, 50)) == 7).all()
    source.close()


def test_referenced_levels(tmp_path: Path) -> None:
    """A slide of 40,000² by reference, of which little is referenced; and its levels."""
    writer = ReferenceWriter(tmp_path)
    paths = ["0", "1", "2"]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    sides = [40_000, 20_000, 1_000]
    scales = [1, 2, 40]
    writer.group(
        "",
        {
            "multiscales": [
                {
                    "version": "0.4",
                    "axes": axes,
                    "datasets": [
                        {
                            "path": path,
                            "coordinateTransformations": [{"type": "scale", "scale": [scale] * 2}],
                        }
                        for path, scale in zip(paths, scales, strict=True)
                    ],
                }
            ]
        },
    )
    small = pixels((1000, 1000), "u1")
    writer.add("2", small, (500, 500), **ZLIB)
    for path, side in zip(paths[:2], sides[:2], strict=True):
        writer.add(path, pixels((500, 500), "u1"), (500, 500), **ZLIB)
        document = json.loads(writer.refs[f"{path}/.zarray"])
        writer.refs[f"{path}/.zarray"] = json.dumps({**document, "shape": [side, side]})
    address = writer.write()
    source = open_source(address)
    assert [level.sizes for level in source.levels(0)] == [Sizes(1, side, side) for side in sides]
    assert [level.scale for level in source.levels(0)] == [Scale(1, scale, scale) for scale in scales]
    source.close()
    with open_dataset(address) as dataset:
        drawn = dataset.drawn_level(0, 900, 900)
        assert drawn[:3] == (2, (1000, 1000), (40, 40))
        (plane,) = dataset.planes([PlaneKey()], drawn.level, None)
        assert plane.state is PlaneState.PRESENT
        np.testing.assert_array_equal(plane.pixels, small)
        found = dataset.plane(region=Region(400, 450, 200, 100))
        np.testing.assert_array_equal(found[:100, :50], pixels((500, 500), "u1")[400:, 450:])
        assert not found[100:].any()
