"""OME-TIFFs whose writer was killed while it wrote their OME-XML anew: their axes are as they were."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from runs import small_run, write

from ndviewer_light import open_dataset

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"t": 3, "c": 2, "z": 2}
NAMES = ["DAPI", "GFP"]


def pixels_of(t: int, c: int, z: int) -> np.ndarray:
    return np.full((24, 40), 1 + t * 100 + c * 10 + z, np.uint16)


def write_ome(path: Path, **form: Any) -> tuple[bytes, bytes]:
    """An OME-TIFF (T, Z, C, Y, X) before and after its OME-XML was written anew, longer, in its place."""
    data = np.array([[[pixels_of(t, c, z) for c in range(2)] for z in range(2)] for t in range(3)])
    metadata = {"axes": "TZCYX", "Channel": {"Name": NAMES}}
    tifffile.imwrite(path, data, metadata=metadata, ome=True, photometric="minisblack", **form)
    before = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata or ""
    planes = "".join(
        f'<Plane TheT="{t}" TheC="{c}" TheZ="{z}" DeltaT="{t}.5"/>'
        for t in range(3)
        for c in range(2)
        for z in range(2)
    )
    longer = text.replace("</Pixels>", f"{planes}</Pixels>").replace(
        "<Image ", '<Image AcquisitionDate="2026" '
    )
    tifffile.tiffcomment(path, longer.encode())
    return before, path.read_bytes()


def place_of_description(path: Path) -> tuple[int, int]:
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags[270]
        return tag.valueoffset, tag.count


def check(path: Path) -> None:
    with open_dataset(path) as dataset:
        sizes = dataset.sizes
        assert {axis: sizes[axis] for axis in "tcz"} == SIZES
        for t, c, z in [(0, 0, 0), (1, 0, 1), (2, 1, 0), (2, 1, 1)]:
            np.testing.assert_array_equal(dataset.plane(t, c=c, z=z), pixels_of(t, c, z))


@pytest.mark.parametrize("written", [0, 1, 700, 900, 1100, -5])
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_description_that_was_written_in_part_says_what_it_says(
    tmp_path: Path, written: int, is_cut: bool
) -> None:
    """In place of the one before, of which the rest is still there, or not: when the file was copied."""
    path = tmp_path / "a.ome.tif"
    before, after = write_ome(path)
    at, n = place_of_description(path)
    n_written = written if written >= 0 else n + written
    rest = b"" if is_cut else before[at + n_written :]
    path.write_bytes(after[: at + n_written] + rest)
    if is_cut and n_written < 700:  # nothing says what the pages are
        with open_dataset(path) as dataset:
            assert (dataset.sizes["z"], dataset.sizes["c"]) == (12, 1)
        return
    check(path)
    with open_dataset(path) as dataset:
        assert [channel.name for channel in dataset.info.channels] == NAMES


def test_so_it_is_in_a_large_file_with_the_high_byte_first(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    _, after = write_ome(path, bigtiff=True, byteorder=">")
    at, _ = place_of_description(path)
    path.write_bytes(after[: at + 900])
    check(path)


@pytest.mark.parametrize("written", [0, 1, 900])
def test_the_description_before_is_found_where_it_was_if_the_longer_one_was_to_be_elsewhere(
    tmp_path: Path, written: int
) -> None:
    """It is erased last. Most writers have it before the pixels of the first page."""
    path = tmp_path / "a.ome.tif"
    write_ome(path)
    with tifffile.TiffFile(path) as file:
        text = file.pages.first.description
        pages = file.asarray().reshape(-1, 24, 40)
    with tifffile.TiffWriter(path, ome=False) as writer:
        for i, page in enumerate(pages):
            writer.write(page, description=None if i else text.encode(), metadata=None)
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags[270]
        assert tag.valueoffset < file.pages.first.dataoffsets[0]
    whole, longer = bytearray(path.read_bytes()), text.encode() + b" " * 500
    whole[tag.offset + 4 : tag.offset + 12] = struct.pack("<II", len(longer), len(whole))
    path.write_bytes(bytes(whole) + longer[:written])
    check(path)


@pytest.mark.parametrize("written", [0, 600, -5])
def test_a_file_of_squid_has_its_axes_by_what_is_left_of_its_description_or_by_its_experiment(
    tmp_path: Path, written: int
) -> None:
    run = small_run(tmp_path, layout="ome_tiff")
    write(run)
    with open_dataset(run.folder) as dataset:
        sizes, names = dataset.sizes, [channel.name for channel in dataset.info.channels]
        expected = [dataset.plane(1, p, c=1, z=1) for p in range(sizes["p"])]
    for path in sorted(run.folder.rglob("*.ome.tiff")):
        at, n = place_of_description(path)
        data = path.read_bytes()
        path.write_bytes(data[: at + (written if written >= 0 else n + written)])
    with open_dataset(run.folder) as dataset:
        assert (dataset.sizes, [channel.name for channel in dataset.info.channels]) == (sizes, names)
        for p, pixels in enumerate(expected):
            np.testing.assert_array_equal(dataset.plane(1, p, c=1, z=1), pixels)


def test_what_the_pages_do_not_bear_out_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    _, after = write_ome(path)
    at, _ = place_of_description(path)
    path.write_bytes(after[: at + 1100].replace(b'SizeT="3"', b'SizeT="5"'))
    with open_dataset(path) as dataset:
        assert (dataset.sizes["z"], dataset.sizes["t"], dataset.sizes["c"]) == (12, 1, 1)
