"""MRC files as mrcfile writes them: volumes, stacks of images and of volumes, axes in any order."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from range_server import RangeServer

from ndviewer_light.errors import CorruptDataError, MetadataError, UnsupportedError
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

mrcfile = pytest.importorskip("mrcfile")

SHAPE = (4, 17, 19)


def pixels(dtype: str = "f4", shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return (np.arange(np.prod(shape)).reshape(shape) % 121 - (0 if dtype == "u2" else 20)).astype(dtype)


def write(
    path: Path, data: np.ndarray, kind: str = "volume", order: tuple[int, int, int] = (1, 2, 3)
) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        if kind == "images":
            file.set_image_stack()
        elif kind == "volume":
            file.set_volume()
        file.voxel_size = (1.5, 2.5, 10.0)
        file.header.mapc, file.header.mapr, file.header.maps = order
    return path


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4", "f2"])
@pytest.mark.parametrize("is_remote", [False, True], ids=["local", "http"])
def test_every_kind_of_number(tmp_path: Path, dtype: str, is_remote: bool, served: RangeServer) -> None:
    data = pixels(dtype)
    path = write(served.folder / f"{dtype}.mrc", data)
    where = served.url(path.name) if is_remote else str(path)
    source = open_source(where, {"cache_dir": str(tmp_path)})
    info = source.info
    assert (info.format, info.dtype, info.n_z) == ("mrc", np.dtype(dtype), 4)
    assert (info.pixel_size_x_um, info.pixel_size_y_um, info.z_step_um) == pytest.approx(
        (1.5e-4, 2.5e-4, 1e-3)
    )
    for z in range(4):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), data[z])
    part = source.read_region(PlaneKey(z=3), Region(5, 6, 7, 8))
    np.testing.assert_array_equal(part, data[3, 5:12, 6:14])
    source.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> RangeServer:
    with RangeServer(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.mark.parametrize(
    ("stamp", "flags", "dtype"), [(0, 0, "i1"), (1146047817, 1, "i1"), (1146047817, 0, "u1")]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_bytes_of_imod_have_no_sign_unless_it_says_so(
    tmp_path: Path, stamp: int, flags: int, dtype: str, order: str
) -> None:
    data = np.arange(4 * 17 * 19, dtype=np.uint8).reshape(SHAPE)
    path = write(tmp_path / "a.mrc", data.view("i1"))
    with mrcfile.open(path) as file:
        header = file.header.astype(file.header.dtype.newbyteorder(order))
    raw = bytearray(header.tobytes())
    raw[212:216] = b"DD\0\0" if order == "<" else b"\x11\x11\0\0"
    raw[152:160] = struct.pack(f"{order}ii", stamp, flags)
    path.write_bytes(bytes(raw) + data.tobytes())
    source = open_source(str(path))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(z=3)), data[3].view(dtype))
    assert source.info.dtype == np.dtype(dtype)
    source.close()


def test_stacks_of_images_and_of_volumes(tmp_path: Path) -> None:
    images = open_source(str(write(tmp_path / "a.mrcs", pixels(), "images")))
    assert (images.info.n_t, images.info.n_z) == (4, 1)
    np.testing.assert_array_equal(images.read_plane(PlaneKey(t=2)), pixels()[2])
    data = pixels(shape=(2, 3, 17, 19))
    volumes = open_source(str(write(tmp_path / "b.map", data, "volumes")))
    assert (len(volumes.info.positions), volumes.info.n_z) == (2, 3)
    for p, z in np.ndindex(2, 3):
        np.testing.assert_array_equal(volumes.read_plane(PlaneKey(p=p, z=z)), data[p, z])
    images.close()
    volumes.close()


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_columns_rows_and_sections_are_the_axes_that_the_header_says(
    tmp_path: Path, order: tuple[int, int, int]
) -> None:
    data = pixels()
    source = open_source(str(write(tmp_path / "a.map", data, order=order)))
    stored = ["xyz"[number - 1] for number in reversed(order)]
    expected = data.transpose([stored.index(axis) for axis in "zyx"])
    assert (source.info.n_z, source.info.height, source.info.width) == expected.shape
    for z in range(len(expected)):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), expected[z])
    np.testing.assert_array_equal(source.read_region(PlaneKey(), Region(1, 1, 2, 3)), expected[0, 1:3, 1:4])
    source.close()


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mrc", pixels())
    raw = path.read_bytes()
    path.write_bytes(raw[:-5])
    with pytest.raises(CorruptDataError, match=r"a\.mrc is truncated: 6,187 of 6,192 bytes"):
        open_source(str(path))
    for at, value, error, said in (
        (12, 4, UnsupportedError, "complex64"),
        (12, 77, UnsupportedError, "mode 77"),
        (0, 0, MetadataError, "invalid sizes"),
    ):
        path.write_bytes(raw[:at] + value.to_bytes(4, "little") + raw[at + 4 :])
        with pytest.raises(error, match=rf"a\.mrc.*{said}"):
            open_source(str(path))
    path.write_bytes(raw[:212] + b"\x07\x07\0\0" + raw[216:])
    with pytest.raises(MetadataError, match="machine stamp"):
        open_source(str(path))
    renamed = path.with_suffix(".dat")
    renamed.write_bytes(raw)
    open_source(str(renamed)).close()
