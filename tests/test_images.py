"""Folders of existing images: right pixels, and what is known of them."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    DatasetError,
    DatasetNotFoundError,
    PlaneNotStoredError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.images.format import ImagesFormat
from ndviewer_light.sources.images.source import ImagesSource
from ndviewer_light.sources.tiff.source import TiffSource
from tests.image_files import HEIGHT, THREE, TWO, WIDTH, opening_images, picture, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens images; closes them when the test is over."""
    yield from opening_images()


# ---- folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["png", "bmp", "tif", "PNG"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_planes_are_those_of_their_files(tmp_path: Path, opened: Any, end: str, dtype: Any) -> None:
    if end == "bmp" and dtype == np.uint16:
        pytest.skip("BMP has 8 bits")
    for t in TWO:
        for c in TWO:
            for z in THREE:
                write(tmp_path / f"img_t{t:03d}_c{c}_z{z}.{end}", picture(t, c, z, dtype=dtype))
    source = opened(tmp_path)
    info = source.info
    assert info.sizes == {"t": 2, "p": 1, "c": 2, "z": 3, "y": HEIGHT, "x": WIDTH}
    assert info.dtype == dtype and not info.warnings
    for t in TWO:
        for c in TWO:
            for z in THREE:
                found = source.read_plane(PlaneKey(t, 0, c, z))
                np.testing.assert_array_equal(found, picture(t, c, z, dtype=dtype))
                assert source.plane_shape(PlaneKey(t, 0, c, z)) == (HEIGHT, WIDTH)


def test_jpegs_are_shown_as_others_show_them(tmp_path: Path, opened: Any) -> None:
    import PIL.Image

    for t in TWO:
        write(tmp_path / f"{t}.jpg", picture(t, colours=3))
    source = opened(tmp_path)
    assert [channel.name for channel in source.info.channels] == ["red", "green", "blue"]
    for t in TWO:
        expected = np.asarray(PIL.Image.open(tmp_path / f"{t}.jpg"))
        for c in range(3):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t, 0, c)), expected[..., c])


@pytest.mark.parametrize("end", ["png", "tif"])
def test_colour_pictures_of_several_channels(tmp_path: Path, opened: Any, end: str) -> None:
    for name in ("stain", "other"):
        for t in TWO:
            write(tmp_path / f"{name}_{t}.{end}", picture(t, len(name), colours=3))
    source = opened(tmp_path)
    assert [channel.name for channel in source.info.channels] == [
        f"{name} ({letter})" for name in ("other", "stain") for letter in "RGB"
    ]
    assert source.info.channels[0].window == (0, 255)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 0, 4)), picture(1, 5, colours=3)[..., 1])


def test_positions_are_wells_and_fields(tmp_path: Path, opened: Any) -> None:
    for well in ("A01", "A02", "B10"):
        for s in (1, 2):
            write(tmp_path / f"{well}_s{s}_w1.png", picture(ord(well[0]), int(well[1:]), s))
    source = opened(tmp_path)
    labels = [position.label for position in source.info.positions]
    assert labels == ["A01:1", "A01:2", "A02:1", "A02:2", "B10:1", "B10:2"]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=4)), picture(ord("B"), 10, 1))


def test_time_points_keep_their_numbers(tmp_path: Path, opened: Any) -> None:
    for t in (3, 4, 7, 10):
        write(tmp_path / f"t{t}.png", picture(t))
    source = opened(tmp_path)
    assert source.info.times == (3, 4, 7, 10)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(3)), picture(10))


def test_unrelated_names_are_put_in_natural_order(tmp_path: Path, opened: Any) -> None:
    names = ["b", "img 2", "img 10", "z9 final"]
    for i, name in enumerate(names):
        write(tmp_path / f"{name}.png", picture(i))
    source = opened(tmp_path)
    assert source.info.n_t == 4
    assert any("pattern" in warning for warning in source.info.warnings)
    for t in range(4):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t)), picture(t))


def test_a_pattern_of_ones_own_comes_first(tmp_path: Path, opened: Any) -> None:
    for a in TWO:
        for b in THREE:
            write(tmp_path / f"x{a}_{b}.png", picture(a, b))
    (tmp_path / "note.txt").write_text("")
    for pattern in ("x{z:d}_{t:d}.png", "x{z:d}_{t:d}"):
        source = opened(tmp_path, pattern=pattern)
        assert (source.info.n_z, source.info.n_t) == (2, 3)
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2, z=1)), picture(1, 2))
    source = opened(f"{tmp_path}/x{{z:d}}_{{c}}.png")
    assert [channel.name for channel in source.info.channels] == ["Ch0", "Ch1", "Ch2"]
    with pytest.raises(DatasetNotFoundError, match=r"x0_0\.png"):
        opened(tmp_path, pattern="y{t:d}.png")


def test_a_pattern_may_go_through_folders(tmp_path: Path, opened: Any) -> None:
    for well in ("A1", "B2"):
        for t in TWO:
            write(tmp_path / well / f"day{t}" / "img.png", picture(len(well), t, ord(well[0])))
    source = opened(tmp_path, pattern="{well}/day{t:d}/*.png")
    assert [position.label for position in source.info.positions] == ["A1:0", "B2:0"]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 1)), picture(2, 1, ord("B")))


def test_files_that_are_not_there_are_planes_that_are_not_stored(tmp_path: Path, opened: Any) -> None:
    for t, z in ((0, 0), (0, 1), (1, 0)):
        write(tmp_path / f"t{t}_z{z}.png", picture(t, z))
    source = opened(tmp_path)
    missing = PlaneKey(t=1, z=1)
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(missing)
    assert source.plane_shape(missing) is None
    assert not source.exists(missing) and source.exists(PlaneKey(t=1))
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(t=2))
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(), 1)


def test_files_of_other_kinds_are_named(tmp_path: Path, opened: Any) -> None:
    for t in range(12):
        write(tmp_path / f"t{t:02d}.tif", picture(t))
    write(tmp_path / "preview.jpg", picture(9))
    write(tmp_path / "overview.tif", picture(8))
    warnings = " ".join(opened(tmp_path).info.warnings)
    assert "'preview.jpg'" in warnings and "'overview'" in warnings


def test_new_files_are_found_and_what_was_there_keeps_its_index(tmp_path: Path, opened: Any) -> None:
    for t in (0, 2):
        for z in TWO:
            write(tmp_path / f"t{t}_z{z}.png", picture(t, z))
    source = opened(tmp_path)
    before = source.info
    assert source.refresh() is before
    for z in TWO:
        write(tmp_path / f"t1_z{z}.png", picture(1, z))
    assert source.refresh().times == (0, 2, 1)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, z=1)), picture(2, 1))
    np.testing.assert_array_equal(source.read_plane(PlaneKey(2, z=1)), picture(1, 1))


# ---- TIFF of many pages, and single files --------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"compression": "zlib", "tile": (16, 16)}]
)
def test_pages_are_z_if_names_do_not_say_so(tmp_path: Path, opened: Any, how: dict[str, Any]) -> None:

    for t in range(3):
        stack = np.stack([picture(t, z, dtype=np.uint16) for z in range(4)])
        tifffile.imwrite(tmp_path / f"stack_{t}.tif", stack, photometric="minisblack", metadata=None, **how)
    source = opened(tmp_path)
    assert (source.info.n_t, source.info.n_z) == (3, 4)
    for t in range(3):
        for z in range(4):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(t, z=z)), picture(t, z, dtype=np.uint16))


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_axes_of_files_are_those_they_say(tmp_path: Path, opened: Any, kind: str) -> None:

    data = np.stack([[[picture(t, z, c, dtype=np.uint16) for c in TWO] for z in THREE] for t in TWO])
    for p in TWO:
        name = tmp_path / f"pos{p}.{'ome.tif' if kind == 'ome' else 'tif'}"
        if kind == "ome":
            meta = {"axes": "TZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
            meta["Channel"] = {"Name": ["DAPI", "GFP"]}
            tifffile.imwrite(name, data + p, metadata=meta)
        else:
            tifffile.imwrite(
                name,
                data + p,
                imagej=True,
                resolution=(2, 2),
                metadata={"axes": "TZCYX", "unit": "um", "spacing": 2.0},
            )
    source = opened(tmp_path)
    info = source.info
    assert info.sizes == {"t": 2, "p": 2, "c": 2, "z": 3, "y": HEIGHT, "x": WIDTH}
    assert (info.pixel_size_um, info.z_step_um) == (0.5, 2.0)
    if kind == "ome":
        assert [channel.name for channel in info.channels] == ["DAPI", "GFP"]
    for key in (PlaneKey(1, 1, 1, 2), PlaneKey(0, 0, 1, 0), PlaneKey(1, 0, 0, 1)):
        expected = picture(key.t, key.z, key.c, dtype=np.uint16) + key.p
        np.testing.assert_array_equal(source.read_plane(key), expected)


def test_levels_of_a_pyramid(tmp_path: Path, opened: Any) -> None:

    full = np.random.default_rng(0).integers(0, 255, (512, 768), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        writer.write(full, subifds=2, tile=(128, 128), compression="zlib")
        for step in (2, 4):
            writer.write(full[::step, ::step], subfiletype=1, tile=(128, 128), compression="zlib")
    source = opened(tmp_path / "a.ome.tif")
    assert source.info.n_levels == 3
    for level, step in enumerate((1, 2, 4)):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(), level), full[::step, ::step])
        assert source.plane_shape(PlaneKey(), level) == full[::step, ::step].shape


def test_names_and_pages_that_both_say_what_is_z(tmp_path: Path, opened: Any) -> None:

    for z in TWO:
        stack = np.stack([picture(z, t, dtype=np.uint16) for t in THREE])
        tifffile.imwrite(tmp_path / f"z{z}.tif", stack, photometric="minisblack", metadata=None)
    source = opened(tmp_path)
    assert (source.info.n_z, source.info.n_t) == (2, 3)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(2, z=1)), picture(1, 2, dtype=np.uint16))


@pytest.mark.parametrize("end", ["png", "tif", "jpg", "bmp"])
def test_a_single_file(tmp_path: Path, opened: Any, end: str) -> None:
    write(tmp_path / f"a 1.{end}", picture(1))
    write(tmp_path / f"a 2.{end}", picture(2))
    source = opened(tmp_path / f"a 1.{end}")
    assert source.info.sizes == {"t": 1, "p": 1, "c": 1, "z": 1, "y": HEIGHT, "x": WIDTH}
    if end != "jpg":
        np.testing.assert_array_equal(source.read_plane(PlaneKey()), picture(1))
    assert source.refresh() is source.info


def test_a_planar_colour_tiff(tmp_path: Path, opened: Any) -> None:

    data = np.moveaxis(picture(1, colours=3), -1, 0)
    for compression in (None, "zlib"):
        tifffile.imwrite(
            tmp_path / "a.tif", data, photometric="rgb", planarconfig="separate", compression=compression
        )
        source = opened(tmp_path / "a.tif")
        for c in range(3):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), data[c])
        source.close()


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_both_byte_orders(tmp_path: Path, opened: Any, byteorder: str) -> None:

    data = picture(3, dtype=np.uint16) * 200
    tifffile.imwrite(tmp_path / "a.tif", data, byteorder=byteorder)
    np.testing.assert_array_equal(opened(tmp_path / "a.tif").read_plane(PlaneKey()), data)


# ---- as a source -----------------------------------------------------------------------------------


def test_what_is_recognised(tmp_path: Path) -> None:
    write(tmp_path / "flat" / "a.png", picture(1))
    write(tmp_path / "deep" / "day1" / "a.png", picture(1))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("")
    recognises = ImagesFormat().recognises
    assert recognises(str(tmp_path / "flat")) and recognises(str(tmp_path / "deep"))
    assert recognises(str(tmp_path / "flat" / "a.png"))
    assert not recognises(str(tmp_path / "text")) and not recognises(str(tmp_path / "text" / "a.txt"))
    assert recognises("https://example.org/a/img_{t:0..9}.png") and recognises("s3://bucket/a.tiff?x=1")
    assert not recognises("https://example.org/a.zarr")


def test_folders_of_other_formats_stay_theirs(tmp_path: Path) -> None:
    write(tmp_path / "run" / "0" / "A1_0_0_BF.tiff", picture(1))
    write(tmp_path / "run" / "0" / "A1_0_1_BF.tiff", picture(2))
    source = open_source(str(tmp_path / "run"))
    assert isinstance(source, TiffSource)
    source.close()
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    write(tmp_path / "a.zarr" / "thumb.png", picture(1))
    with pytest.raises(DatasetError, match="contains no image"):
        open_source(str(tmp_path / "a.zarr"))


def test_a_folder_opens_by_its_path(tmp_path: Path) -> None:
    for t in TWO:
        write(tmp_path / f"img_{t}.png", picture(t))
    source = open_source(str(tmp_path))
    assert isinstance(source, ImagesSource)
    source.close()


def test_opening_opens_one_file(tmp_path: Path, opened: Any) -> None:
    for t in range(50):
        write(tmp_path / f"img_{t}.png", picture(t))
    for t in range(1, 50):
        (tmp_path / f"img_{t}.png").write_bytes(b"")
    assert opened(tmp_path).info.n_t == 50


def test_threads_may_read_at_once(tmp_path: Path, opened: Any) -> None:
    for t in range(6):
        write(tmp_path / f"img_{t}.tif", picture(t, colours=3))
    source = opened(tmp_path)

    def read(i: int) -> bool:
        found = source.read_plane(PlaneKey(i % 6, c=i % 3))
        return bool((found == picture(i % 6, colours=3)[..., i % 3]).all())

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(200)))


def test_few_files_are_open_at_once(tmp_path: Path, opened: Any) -> None:
    for t in range(60):
        write(tmp_path / f"img_{t}.tif", picture(t))
    source = opened(tmp_path)
    for t in range(60):
        source.read_plane(PlaneKey(t))
    fds = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    ]
    assert sum(str(tmp_path) in target for target in fds) <= 16
    source.close()
    with pytest.raises(DatasetError, match="closed"):
        source.read_plane(PlaneKey())


@pytest.mark.parametrize("colours", [0, 3], ids=["grey", "colour"])
def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path, opened: Any, colours: int) -> None:
    for end in ("tif", "png"):
        path = tmp_path / f"a.{end}"
        write(path, picture(1, colours=colours))
        source = opened(path)
        for n in (1, 2):
            if n == 2:
                path.unlink()
                write(path, picture(n, colours=colours))
            expected = picture(n, colours=colours).reshape(HEIGHT, WIDTH, -1)
            for c in range(max(colours, 1)):
                np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), expected[..., c])


def test_arrays_can_be_pickled_with_their_pattern(tmp_path: Path) -> None:
    from ndviewer_light.engine import to_xarray as lazy
    from ndviewer_light.opening import Reopening

    for a in TWO:
        for b in THREE:
            write(tmp_path / f"x{a}_{b}.png", picture(a, b))
    options = {"pattern": "x{z:d}_{t:d}.png"}
    with open_dataset(tmp_path, storage_options=options) as dataset:
        found = pickle.loads(pickle.dumps(dataset.to_xarray()))
    try:
        np.testing.assert_array_equal(found.values[2, 0, 1, 0], picture(1, 2))
    finally:
        lazy._open_once(Reopening(str(tmp_path), tuple(options.items()))).close()
        lazy._open_once.cache_clear()
