"""TIFF datasets in every form Squid writes, and single image files, written by tifffile and read back."""

from __future__ import annotations

import itertools
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
import stores
import tifffile
import tiffs

from ndviewer_light.errors import DatasetNotFoundError, PlaneNotStoredError, PlaneNotWrittenError
from ndviewer_light.model import AnnouncedRun, PlaneKey, Position, Region
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import open_source
from ndviewer_light.sources.tiff.announced import AnnouncedTiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.sources.tiff.source import TiffSource

    Open = Callable[[Path], TiffSource]

RED_GREEN_BLUE = np.stack([stores.plane(c=c, dtype="uint8") for c in range(3)], axis=-1)


@pytest.fixture
def files_opened() -> Iterator[Callable[[], list[str]]]:
    """Name the image files opened since; an audit hook sees every way to open one."""
    seen: list[str] = []
    watching = True

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if (
            watching
            and event == "open"
            and str(arguments[0]).lower().endswith((".tif", ".tiff", ".png", ".bmp"))
        ):
            seen.append(os.path.basename(str(arguments[0])))

    sys.addaudithook(audit)
    yield lambda: seen
    watching = False


# ---- every form, opened by what lies on disk ------------------------------------------------

FORMS = [
    pytest.param(tiffs.write_images, "tiff images", id="images"),
    pytest.param(tiffs.write_stacks, "tiff stacks", id="stacks"),
    pytest.param(tiffs.write_ome_files, "ome-tiff", id="ome"),
]


@pytest.mark.parametrize(("write", "name"), FORMS)
def test_experiment_of_each_form(tmp_path: Path, opened: Open, write: Callable[..., Path], name: str) -> None:
    source = opened(write(tmp_path / "run"))
    info = source.info
    assert info.format == name
    assert info.sizes == {"t": 2, "p": 3, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
    assert [position.label for position in info.positions] == ["A1:0", "A1:1", "B2:0"]
    assert tiffs.names_of(source) == list(tiffs.CHANNELS)
    assert [channel.color for channel in info.channels] == ["#FFFFFF", "#00FF00"]
    assert (info.pixel_size_um, info.z_step_um, info.time_step_s) == (0.325, 1.5, 2.5)
    assert info.positions[1][2:5] == (1500.0, 2000.0, 250.0)
    assert info.name == "run"
    tiffs.assert_shows_what_was_written(source)


@pytest.mark.parametrize(("write", "name"), FORMS)
def test_opening_opens_one_image_only_or_one_of_each_channel(
    tmp_path: Path,
    opened: Open,
    files_opened: Callable[[], list[str]],
    write: Callable[..., Path],
    name: str,
) -> None:
    write(tmp_path)
    files_opened().clear()
    opened(tmp_path)
    assert len(set(files_opened())) == (len(tiffs.CHANNELS) if name == "tiff images" else 1)


@pytest.mark.parametrize("end", [".tiff", ".tif", ".TIF", ".Tiff", ".png", ".bmp", ".PNG"])
def test_images_of_each_ending(tmp_path: Path, opened: Open, end: str) -> None:
    dtype = "uint8" if end == ".bmp" else "uint16"
    source = opened(tiffs.write_images(tmp_path, end=end, dtype=dtype))
    assert source.info.dtype == dtype
    tiffs.assert_shows_what_was_written(source)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
def test_images_of_each_dtype(tmp_path: Path, opened: Open, dtype: str) -> None:
    tiffs.assert_shows_what_was_written(opened(tiffs.write_images(tmp_path, times=[0], dtype=dtype)))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_both_byte_orders(tmp_path: Path, opened: Open, byteorder: str, bigtiff: bool) -> None:
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF")
    path.parent.mkdir()
    tifffile.imwrite(path, stores.plane(), byteorder=byteorder, bigtiff=bigtiff)
    pixels = opened(tmp_path).read_plane(PlaneKey())
    assert pixels.dtype.isnative
    np.testing.assert_array_equal(pixels, stores.plane())


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"compression": "zlib", "predictor": True}, id="deflate"),
        pytest.param({"compression": "lzw"}, id="lzw"),
        pytest.param({"compression": "zstd"}, id="zstd"),
        pytest.param({"tile": (16, 16)}, id="tiles"),
        pytest.param({"rowsperstrip": 5}, id="strips"),
        pytest.param({"compression": "lzma", "tile": (16, 16)}, id="lzma tiles"),
    ],
)
def test_images_of_other_writers(tmp_path: Path, opened: Open, how: dict[str, Any]) -> None:
    pytest.importorskip("imagecodecs")
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF")
    path.parent.mkdir()
    tifffile.imwrite(path, stores.plane(), **how)
    np.testing.assert_array_equal(opened(tmp_path).read_plane(PlaneKey()), stores.plane())


# ---- names ------------------------------------------------


def test_time_points_that_were_skipped_have_numbers_of_their_own(tmp_path: Path, opened: Open) -> None:
    source = opened(tiffs.write_images(tmp_path, times=[0, 3, 10]))
    assert source.info.n_t == 3
    assert source.info.times == (0, 3, 10)
    tiffs.assert_shows_what_was_written(source)


@pytest.mark.parametrize("write", [tiffs.write_images, tiffs.write_stacks])
def test_names_padded_with_zeros(tmp_path: Path, opened: Open, write: Callable[..., Path]) -> None:
    source = opened(write(tmp_path, {"A1": 11}, times=[0, 2], padding=3))
    assert source.info.times == (0, 2)
    assert [position.fov for position in source.info.positions] == list(range(11))
    tiffs.assert_shows_what_was_written(source)


def test_order_is_natural(tmp_path: Path, opened: Open) -> None:
    source = opened(tiffs.write_images(tmp_path, {"A10": 1, "AA1": 1, "B1": 1, "A2": 11}, times=[0], n_z=1))
    labels = [position.label for position in source.info.positions]
    assert labels == [f"A2:{fov}" for fov in range(11)] + ["A10:0", "B1:0", "AA1:0"]


def test_regions_with_underscores_by_the_coordinates_file(tmp_path: Path, opened: Open) -> None:
    regions = {"my_region": 1, "R_1": 2, "R_1_0": 1}
    source = opened(tiffs.write_images(tmp_path, regions, ["488 nm", "0 1 BF"], times=[0]))
    assert {position.label for position in source.info.positions} == {
        "my_region:0",
        "R_1:0",
        "R_1:1",
        "R_1_0:0",
    }
    assert tiffs.names_of(source) == ["488 nm", "0 1 BF"]
    at = {position.label: p for p, position in enumerate(source.info.positions)}
    for p, (region, fov) in enumerate(tiffs.sites(regions)):
        for c in range(2):
            pixels = source.read_plane(PlaneKey(p=at[f"{region}:{fov}"], c=c, z=1))
            np.testing.assert_array_equal(pixels, stores.plane(0, p, c, 1))


def test_without_coordinates_the_last_two_numbers_are_field_and_z(tmp_path: Path, opened: Open) -> None:
    source = opened(
        tiffs.write_images(tmp_path, {"region_1": 1, "my_region": 1}, ["BF"], n_z=1, experiment=False)
    )
    assert [position.label for position in source.info.positions] == ["my_region:0", "region_1:0"]


def test_positions_channels_and_z_are_those_of_all_time_points(tmp_path: Path, opened: Open) -> None:
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF"), stores.plane())
    tiffs.write_image(tiffs.image_path(tmp_path, 1, "B1", 0, 2, "GFP"), stores.plane(1))
    source = opened(tmp_path)
    assert source.info.sizes == {"t": 2, "p": 2, "c": 2, "z": 3, "y": stores.HEIGHT, "x": stores.WIDTH}
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1, 1, 1, 2)), stores.plane(1))
    with pytest.raises(PlaneNotStoredError) as said:
        source.read_plane(PlaneKey(0, 1, 1, 2))
    assert said.value.plane_shape is None
    assert source.plane_shape(PlaneKey(0, 1, 1, 2)) is None


def test_what_else_lies_in_the_folders_is_no_image(tmp_path: Path, opened: Open) -> None:
    tiffs.write_images(tmp_path, times=[0])
    for name in (
        "A1_0_0_laser af camera.bmp",
        "A1_focus_camera.bmp",
        "A1_0_focus_camera.bmp",
        ".A1_0_7_BF.tiff",
        "._A1_0_7_BF.tiff",
        "A1_0_7_BF.tiff.tmp",
        "A1_0_7_BF.tiff.lock",
        "Thumbs.db",
    ):
        (tmp_path / "0" / name).touch()
    mosaic = tmp_path / "0" / "mosaic_view"
    tiffs.write_image(mosaic / "wells" / "A1_0_9_BF.tiff", stores.plane())
    tiffs.write_image(mosaic / "C3_0.ome.tiff", stores.plane())
    (tmp_path / "20260101").mkdir()
    source = opened(tmp_path)
    assert source.info.sizes == {"t": 1, "p": 3, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
    tiffs.assert_shows_what_was_written(source)


def test_z_numbers_that_are_no_indices_are_closed_up(tmp_path: Path, opened: Open) -> None:
    for i, z in enumerate((100, 2000, 35000)):
        tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, z, "BF"), stores.plane(z=i))
    source = opened(tmp_path)
    assert source.info.n_z == 3
    tiffs.assert_shows_what_was_written(source)


def test_channels_in_the_order_of_the_acquisition_with_the_users_names(tmp_path: Path, opened: Open) -> None:
    channels = ["Fluorescence 488 nm Ex", "a/b: c?", "BF LED matrix full"]
    source = opened(tiffs.write_images(tmp_path, {"A1": 1}, channels, times=[0], n_z=1))
    assert (tmp_path / "0" / "A1_0_0_a_b_c_.tiff").exists()
    assert tiffs.names_of(source) == channels
    tiffs.assert_shows_what_was_written(source)


@pytest.mark.parametrize("inside", [False, True], ids=["a time point", "any folder"])
def test_a_folder_of_images_by_itself(tmp_path: Path, opened: Open, inside: bool) -> None:
    tiffs.write_images(tmp_path / "run", times=[3])
    folder = tmp_path / "run" / "3"
    if inside:
        folder = folder.rename(tmp_path / "run" / "images")
    source = opened(folder)
    assert source.info.times == (() if inside else (3,))
    assert source.info.pixel_size_um == (None if inside else 0.325)
    assert source.info.n_t == 1
    tiffs.assert_shows_what_was_written(source)


# ---- colour ------------------------------------------------


@pytest.mark.parametrize("end", [".tiff", ".bmp", ".png"])
@pytest.mark.parametrize("channel", ["BF LED matrix full_RGB", "BF"])
def test_colour_images_are_three_channels(tmp_path: Path, opened: Open, end: str, channel: str) -> None:
    tiffs.write_experiment(tmp_path, {"A1": 1}, ["BF LED matrix full"])
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, channel, end=end), RED_GREEN_BLUE)
    source = opened(tmp_path)
    assert tiffs.names_of(source) == [f"{channel} ({letter})" for letter in "RGB"]
    assert [ch.color for ch in source.info.channels] == ["#FF0000", "#00FF00", "#0000FF"]
    assert [ch.window for ch in source.info.channels] == [(0, 255)] * 3
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), RED_GREEN_BLUE[..., c])


@pytest.mark.parametrize("end", [".tiff", ".bmp"])
def test_any_channel_may_be_in_colour(tmp_path: Path, opened: Open, end: str) -> None:
    for fov, (channel, pixels) in itertools.product(
        range(2), [("BF LED matrix full", RED_GREEN_BLUE), ("A 405", RED_GREEN_BLUE[..., 0])]
    ):
        tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", fov, 0, channel, end=end), pixels)
    source = opened(tmp_path)
    names = [f"BF_LED_matrix_full ({letter})" for letter in "RGB"]
    assert tiffs.names_of(source) == ["A_405", *names]
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(p=1, c=1 + c)), RED_GREEN_BLUE[..., c])


def test_colour_of_8_bits_beside_grey_of_16_keeps_its_colours(tmp_path: Path) -> None:
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF LED matrix full"), RED_GREEN_BLUE)
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "Fluorescence 488"), stores.plane() + 2050)
    with open_dataset(tmp_path) as dataset:
        windows = {channel.name[-3:]: channel.window for channel in dataset.info.channels}
        assert windows == {"(R)": (0, 255), "(G)": (0, 255), "(B)": (0, 255), "488": None}
        for c, letter in enumerate("RGB"):
            found = dataset.plane(c=f"BF_LED_matrix_full ({letter})")
            np.testing.assert_array_equal(found, RED_GREEN_BLUE[..., c])


def test_colours_written_apart_are_channels_like_others(tmp_path: Path, opened: Open) -> None:
    tiffs.write_experiment(tmp_path, {"A1": 1}, ["Fluorescence 488 nm Ex", "BF LED matrix full"])
    for i, color in enumerate("RGB"):
        path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, f"BF LED matrix full_{color}")
        tiffs.write_image(path, stores.plane(c=i, dtype="uint8"))
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "Fluorescence 488 nm Ex"), stores.plane())
    source = opened(tmp_path)
    expected = [f"BF LED matrix full_{color}" for color in "BGR"]
    assert tiffs.names_of(source) == ["Fluorescence 488 nm Ex", *expected]
    np.testing.assert_array_equal(source.read_plane(PlaneKey(c=3)), stores.plane(dtype="uint8"))


def test_a_colour_image_where_grey_was_expected_is_its_brightness(tmp_path: Path, opened: Open) -> None:
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF"), stores.plane(dtype="uint8"))
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 1, "BF"), RED_GREEN_BLUE)
    pixels = opened(tmp_path).read_plane(PlaneKey(z=1))
    red, green, blue = (RED_GREEN_BLUE[..., i].astype(float) for i in range(3))
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, 0.299 * red + 0.587 * green + 0.114 * blue, atol=0.51)


def test_a_grey_image_where_colour_was_expected_is_each_colour(tmp_path: Path, opened: Open) -> None:
    tiffs.write_image(tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF_RGB"), stores.plane(dtype="uint8"))
    source = opened(tmp_path)
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), stores.plane(dtype="uint8"))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colour_tiffs_of_both_layouts(tmp_path: Path, opened: Open, planar: str, samples: int) -> None:
    pixels = np.stack([stores.plane(c=c) for c in range(samples)], axis=-1)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF")
    path.parent.mkdir()
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar)
    source = opened(tmp_path)
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), pixels[..., c])


@pytest.mark.parametrize("end", [".tiff", ".png", ".bmp"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_indices_into_a_palette_are_its_colours(
    tmp_path: Path, opened: Open, end: str, compression: str | None
) -> None:
    table = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    indices = stores.plane(dtype="uint8")
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF", end=end)
    path.parent.mkdir()
    if end == ".tiff":
        colormap = table.T.astype(np.uint16) * 257
        tifffile.imwrite(path, indices, photometric="palette", colormap=colormap, compression=compression)
    else:
        picture = PIL.Image.fromarray(indices)
        picture.putpalette(table.tobytes())
        picture.save(path)
    source = opened(tmp_path)
    assert tiffs.names_of(source) == [f"BF ({letter})" for letter in "RGB"]
    region = Region(3, 2, 5, 7)
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), table[indices][..., c])
        found = source.read_region(PlaneKey(c=c), region)
        np.testing.assert_array_equal(found, table[indices][..., c][region.slices])


def test_indices_into_a_palette_of_grey_values_are_one_channel(tmp_path: Path, opened: Open) -> None:
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF")
    path.parent.mkdir()
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    tifffile.imwrite(path, stores.plane(dtype="uint8"), photometric="palette", colormap=ramp)
    source = opened(tmp_path)
    assert tiffs.names_of(source) == ["BF"]
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane(dtype="uint8"))


def test_inks_are_shown_as_colours(tmp_path: Path, opened: Open) -> None:
    path = tiffs.image_path(tmp_path, 0, "A1", 0, 0, "BF")
    path.parent.mkdir()
    inks = np.zeros((*RED_GREEN_BLUE.shape[:2], 4), np.uint8)
    inks[..., :3] = 255 - RED_GREEN_BLUE
    tifffile.imwrite(path, inks, photometric="separated", planarconfig="contig")
    source = opened(tmp_path)
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), RED_GREEN_BLUE[..., c])


# ---- images of other sizes ------------------------------------------------


@pytest.mark.parametrize("form", ["images", "stacks", "ome"])
def test_positions_may_be_of_other_sizes(tmp_path: Path, opened: Open, form: str) -> None:
    large = stores.plane(shape=(50, 60))
    if form == "images":
        tiffs.write_images(tmp_path, {"A1": 1, "A2": 1}, times=[0])
        tiffs.write_image(tiffs.image_path(tmp_path, 0, "A2", 0, 0, tiffs.CHANNELS[0]), large)
    elif form == "stacks":
        tiffs.write_stacks(tmp_path, {"A1": 1}, times=[0])
        tiffs.append_to_stack(tiffs.stack_path(tmp_path, 0, "A2", 0), large, 0, tiffs.CHANNELS[0], 0)
    else:
        tiffs.write_ome_files(tmp_path, {"A1": 1}, n_t=1)
        path = tiffs.create_ome(tiffs.ome_path(tmp_path, "A2", 0), 1, 2, shape=large.shape)
        tiffs.write_ome_plane(path, 0, 0, 0, large)
    source = opened(tmp_path)
    assert (source.info.height, source.info.width) == (stores.HEIGHT, stores.WIDTH)
    assert source.plane_shape(PlaneKey(p=1)) == (50, 60)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=1)), large)
    looked, part = opened(tmp_path), opened(tmp_path)
    np.testing.assert_array_equal(part.read_region(PlaneKey(p=1), Region(40, 40, 5, 6)), large[40:45, 40:46])
    for each in (
        source.info,
        looked.image(1) and looked.info,
        part.info,
        part.refresh(),
        looked.look_at_all(),
    ):
        assert [(image.height, image.width) for image in map(each.image, range(2))] == [
            (stores.HEIGHT, stores.WIDTH),
            (50, 60),
        ]
    assert looked.levels(1)[0].sizes[1:] == (50, 60)
    assert source.info is source.info


# ---- stacks ------------------------------------------------


def test_pages_are_found_by_what_they_say_not_by_their_order(tmp_path: Path, opened: Open) -> None:
    path = tiffs.stack_path(tmp_path, 0, "A1", 0)
    order = list(itertools.product(range(3), range(2)))
    random.Random(0).shuffle(order)
    for z, c in order:
        tiffs.append_to_stack(path, stores.plane(c=c, z=z), z, tiffs.CHANNELS[c], c)
    source = opened(tmp_path)
    assert tiffs.names_of(source) == list(tiffs.CHANNELS)
    assert source.info.n_z == 3
    tiffs.assert_shows_what_was_written(source)


def test_pages_that_say_only_their_name(tmp_path: Path, opened: Open) -> None:
    path = tiffs.stack_path(tmp_path, 0, "A1", 0)
    for z in range(2):
        tiffs.append_to_stack(path, stores.plane(z=z), z, "BF", 0, said={"z_level": z})
    source = opened(tmp_path)
    assert tiffs.names_of(source) == ["BF"]
    tiffs.assert_shows_what_was_written(source)


def test_a_stack_that_grows_is_followed(tmp_path: Path, opened: Open) -> None:
    path = tiffs.stack_path(tmp_path, 0, "A1", 0)
    tiffs.append_to_stack(path, stores.plane(c=0), 0, tiffs.CHANNELS[0], 0)
    source = opened(tmp_path)
    assert source.info.sizes["c"] == source.info.sizes["z"] == 1
    for c, z in ((1, 0), (0, 1), (1, 1)):
        tiffs.append_to_stack(path, stores.plane(c=c, z=z), z, tiffs.CHANNELS[c], c)
    before = source.info
    assert source.refresh() is not before
    assert source.info.sizes["c"] == source.info.sizes["z"] == 2
    tiffs.assert_shows_what_was_written(source)


def test_a_page_that_is_not_in_the_stack_yet_is_known_to_be_unwritten(tmp_path: Path, opened: Open) -> None:
    tiffs.write_stacks(tmp_path, {"A1": 1}, times=[0])
    path = tiffs.stack_path(tmp_path, 0, "A2", 0)
    tiffs.append_to_stack(path, stores.plane(), 0, tiffs.CHANNELS[0], 0)
    source = opened(tmp_path)
    with pytest.raises(PlaneNotWrittenError) as said:
        source.read_plane(PlaneKey(p=1, z=1))
    assert said.value.plane_shape == (stores.HEIGHT, stores.WIDTH)
    assert source.plane_shape(PlaneKey(p=1, z=1)) is None


# ---- one file ------------------------------------------------


@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "TYX", "TZYX", "TZCYX", "CZYX"])
@pytest.mark.parametrize("how", ["imagej", "shaped"])
def test_one_file_has_the_axes_it_names(tmp_path: Path, opened: Open, axes: str, how: str) -> None:
    if how == "imagej" and axes == "CZYX":
        axes = "ZCYX"  # the only order ImageJ has
    sizes = {"T": 2, "Z": 3, "C": 2, "Y": stores.HEIGHT, "X": stores.WIDTH}
    pixels = np.empty([sizes[axis] for axis in axes], np.uint16)
    for index in np.ndindex(*pixels.shape[:-2]):
        at = dict(zip(axes.lower(), index, strict=False))
        pixels[index] = stores.plane(**at)
    path = tmp_path / "file.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", imagej=how == "imagej", metadata={"axes": axes})
    source = opened(path)
    expected = {axis: sizes[axis.upper()] if axis.upper() in axes else 1 for axis in "tcz"}
    assert {axis: source.info.sizes[axis] for axis in "tcz"} == expected
    assert source.info.format == "tiff"
    tiffs.assert_shows_what_was_written(source)


def test_pages_that_say_nothing_are_z(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "file.tif"
    with tifffile.TiffWriter(path) as file:
        for z in range(4):
            file.write(stores.plane(z=z), metadata=None, contiguous=False)
    source = opened(path)
    assert source.info.n_z == 4
    tiffs.assert_shows_what_was_written(source)


def test_calibration_of_imagej(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "file.tif"
    metadata = {"axes": "TZYX", "unit": "um", "spacing": 2.5, "finterval": 7.0}
    tifffile.imwrite(
        path, np.ones((2, 3, 8, 8), np.uint16), imagej=True, resolution=(4.0, 4.0), metadata=metadata
    )
    info = opened(path).info
    assert (info.pixel_size_um, info.z_step_um, info.time_step_s) == (0.25, 2.5, 7.0)


@pytest.mark.parametrize("name", ["picture.png", "picture.bmp", "picture.tif"])
def test_a_picture_in_colour(tmp_path: Path, opened: Open, name: str) -> None:
    source = opened(tiffs.write_image(tmp_path / name, RED_GREEN_BLUE))
    assert tiffs.names_of(source) == ["Ch0 (R)", "Ch0 (G)", "Ch0 (B)"]
    for c in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), RED_GREEN_BLUE[..., c])


@pytest.mark.parametrize(
    ("write", "file"),
    [
        pytest.param(tiffs.write_images, "0/A1_0_0_BF_LED_matrix_full.tiff", id="image"),
        pytest.param(tiffs.write_stacks, "0/A1_0_stack.tiff", id="stack"),
        pytest.param(tiffs.write_ome_files, "ome_tiff/A1_0.ome.tiff", id="ome"),
    ],
)
def test_one_file_of_an_experiment(
    tmp_path: Path, opened: Open, write: Callable[..., Path], file: str
) -> None:
    source = opened(write(tmp_path) / file)
    assert source.info.positions[0].label == "A1:0"
    assert source.info.channels[0].name == tiffs.CHANNELS[0]
    assert source.info.pixel_size_um == 0.325
    tiffs.assert_shows_what_was_written(source)


def test_a_path_without_images_is_said_to_hold_none(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "notes.txt").touch()
    with pytest.raises(DatasetNotFoundError, match="named as by Squid"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("dtypes", [("uint8", "uint16"), ("uint16", "uint8")])
def test_channels_of_different_pixel_types_have_a_dtype_that_holds_both(tmp_path: Path, dtypes: Any) -> None:
    folder = tmp_path / "0"
    folder.mkdir()
    for channel, dtype in zip(("BF_LED_matrix_full", "Fluorescence_488_nm_Ex"), dtypes, strict=True):
        pixels = np.full((20, 30), 200 if dtype == "uint8" else 2050, dtype)
        tifffile.imwrite(folder / f"A1_0_0_{channel}.tiff", pixels)
    with open_dataset(tmp_path) as dataset:
        array = dataset.to_xarray()
        assert dataset.info.dtype == array.dtype == np.uint16
        expected = [200 if dtype == "uint8" else 2050 for dtype in dtypes]
        assert [int(dataset.plane(c=c)[0, 0]) for c in range(2)] == expected
        assert array[0, 0, 0, :, 0, 0].values.tolist() == expected


@pytest.mark.parametrize("form", ["images", "stacks", "ome", "image", "stack", "announced"])
def test_low_values_are_bright_where_the_files_of_squids_folders_say_so(
    tmp_path: Path, opened: Open, form: str
) -> None:
    """As in any other folder (`inverted` of a channel); the values stay what is stored."""
    write = {"stacks": tiffs.write_stacks, "stack": tiffs.write_stacks, "ome": tiffs.write_ome_files}
    write.get(form, tiffs.write_images)(tmp_path)
    odd = [
        path
        for path in tmp_path.glob("**/*.tif*")
        if form not in ("images", "announced") or "488" in path.name
    ]
    for path in odd:
        with tifffile.TiffFile(path, mode="r+b") as tiff:
            for page in tiff.pages:
                page.tags["PhotometricInterpretation"].overwrite(0)
    if form == "announced":
        run = AnnouncedRun((Position("A1", 0),), (), (), tiffs.CHANNELS, 2, stores.HEIGHT, stores.WIDTH)
        source: TiffSource = AnnouncedTiff(run, str(tmp_path), "images")
    else:
        alone = {"image": odd[0], "stack": tiffs.stack_path(tmp_path, 0, "A1", 0)}
        source = opened(alone.get(form, tmp_path))
    for c in range(len(source.info.channels)):
        if form != "image":
            np.testing.assert_array_equal(source.read_plane(PlaneKey(c=c)), stores.plane(c=c))
    expected = [False, True] if form in ("images", "announced") else [True] * len(source.info.channels)
    assert [channel.inverted for channel in source.info.channels] == expected
    source.close()
