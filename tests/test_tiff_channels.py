"""Channels and positions of TIFF files are named, coloured and placed as their writers say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from ndviewer_light import open_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from ndviewer_light.model import DatasetInfo

PIXELS = np.arange(3 * 16 * 20, dtype="u2").reshape(3, 16, 20)


def info_of(path: Path) -> DatasetInfo:
    with open_dataset(path) as dataset:
        return dataset.info


def write_ome(path: Path, channel: dict[str, Any], image: dict[str, Any] | None = None, n_c: int = 3) -> Path:
    pixels = PIXELS[:n_c] if n_c > 1 else PIXELS[0]
    axes = {"axes": "CYX" if n_c > 1 else "YX"}
    tifffile.imwrite(path, pixels, ome=True, metadata={**axes, "Channel": channel, **(image or {})})
    return path


def ramp(red: int, green: int, blue: int) -> np.ndarray:
    """A lookup table (3, 256) from black to a colour."""
    return (np.array([[red], [green], [blue]]) * np.arange(256) // 255).astype("u1")


def rgba(red: int, green: int, blue: int) -> int:
    """A colour as OME-XML has it: a signed integer."""
    value = red << 24 | green << 16 | blue << 8 | 255
    return value - 2**32 if value >= 2**31 else value


def test_ome_channels_have_their_names_colours_and_wavelengths(tmp_path: Path) -> None:
    channel = {
        "Name": ["a", "b", "c"],
        "Color": [rgba(255, 128, 0), rgba(0, 255, 128), rgba(1, 2, 40)],
        "EmissionWavelength": [520.0, 0.61, 700.0],
        "EmissionWavelengthUnit": ["nm", "µm", "nm"],
    }
    found = info_of(write_ome(tmp_path / "a.ome.tif", channel)).channels
    assert [(channel.name, channel.color) for channel in found] == [
        *(("a", "#FF8000"), ("b", "#00FF80"), ("c", "#010228"))
    ]
    assert [channel.emission_nm for channel in found] == [520.0, 610.0, 700.0]


def test_ome_white_is_a_default_and_no_choice(tmp_path: Path) -> None:
    several = info_of(write_ome(tmp_path / "a.ome.tif", {"Name": ["a", "b", "c"], "Color": [-1, -1, -1]}))
    assert [channel.color for channel in several.channels] == ["#FF00FF", "#00FF00", "#00FFFF"]
    one = info_of(write_ome(tmp_path / "b.ome.tif", {"Name": ["a"], "Color": [-1]}, n_c=1))
    assert [channel.color for channel in one.channels] == ["#FFFFFF"]
    one = info_of(write_ome(tmp_path / "c.ome.tif", {"Name": ["a"], "Color": [rgba(0, 0, 255)]}, n_c=1))
    assert [channel.color for channel in one.channels] == ["#0000FF"]


@pytest.mark.parametrize("color", ["red", "", "99999999999999999999", "4294967296", "1.5"])
def test_ome_colours_that_are_none(tmp_path: Path, color: str) -> None:
    found = info_of(write_ome(tmp_path / "a.ome.tif", {"Name": ["a", "GFP", "c"], "Color": [color] * 3}))
    assert [channel.color for channel in found.channels] == ["#FF00FF", "#00FF00", "#00FFFF"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (None, (1.5, -2.0, 3.0)),
        ("µm", (1.5, -2.0, 3.0)),
        ("mm", (1500.0, -2000.0, 3000.0)),
        ("nm", (0.0015, -0.002, 0.003)),
        ("reference frame", (None, None, None)),
        ("pixel", (None, None, None)),
    ],
)
def test_ome_images_have_their_name_and_place(tmp_path: Path, unit: str | None, expected: Any) -> None:
    plane: dict[str, Any] = {"PositionX": [1.5] * 3, "PositionY": [-2.0] * 3, "PositionZ": [3.0] * 3}
    if unit is not None:
        plane |= {f"Position{axis}Unit": [unit] * 3 for axis in "XYZ"}
    image = {"Name": "scan region 4", "Plane": plane}
    info = info_of(write_ome(tmp_path / "a.ome.tif", {"Name": ["a", "b", "c"]}, image))
    (position,) = info.positions
    assert (position.name, position.label) == ("scan region 4", "default:0")
    assert position.title == "scan region 4"
    assert position[2:5] == pytest.approx(expected)
    assert info.position_index("scan region 4") == 0


def write_imagej(path: Path, **more: Any) -> Path:
    tifffile.imwrite(path, np.stack([PIXELS, PIXELS]), imagej=True, metadata={"axes": "ZCYX", **more})
    return path


def test_imagej_channels_have_the_colours_ranges_and_labels_they_were_saved_with(tmp_path: Path) -> None:
    tables = [ramp(255, 0, 255), ramp(0, 255, 0)[:, ::-1], np.full((3, 256), 200, "u1")]
    ranges = (10.0, 300.0, 0.0, 65535.0, 7.0, 7.0)
    path = write_imagej(tmp_path / "a.tif", LUTs=tables, Ranges=ranges, Labels=["DNA", "actin", "x"] * 2)
    found = info_of(path).channels
    assert [channel.name for channel in found] == ["DNA", "actin", "x"]
    assert [channel.color for channel in found] == ["#FF00FF", "#00FF00", "#00FFFF"]
    assert [channel.inverted for channel in found] == [False, True, False]
    assert [channel.window for channel in found] == [(10.0, 300.0), None, None]


@pytest.mark.parametrize("labels", [["a", "b", "c", "d", "e", "f"], ["a", "b"], "abcdef"])
def test_imagej_labels_of_planes_are_not_those_of_channels(tmp_path: Path, labels: Any) -> None:
    info = info_of(write_imagej(tmp_path / "a.tif", Labels=labels))
    assert [channel.name for channel in info.channels] == ["Ch0", "Ch1", "Ch2"]


def test_a_folder_of_images_has_the_colours_of_its_files(tmp_path: Path) -> None:
    for t in range(2):
        write_imagej(tmp_path / f"img_t{t:03d}.tif", LUTs=[ramp(255, 0, 0), ramp(0, 0, 255), ramp(9, 9, 0)])
    info = info_of(tmp_path)
    assert info.sizes["t"] == 2
    assert [channel.color for channel in info.channels] == ["#FF0000", "#0000FF", "#FF00FF"]


@pytest.mark.parametrize("kind", ["alone", "folder", "stack"])
def test_where_zero_is_white_low_values_are_the_bright_ones(tmp_path: Path, kind: str) -> None:
    """The values are those in the file, as tifffile reads them; the picture is as its program shows it."""
    pixels = np.arange(600, dtype=np.uint8).reshape(20, 30)
    planes = [pixels, pixels + 1] if kind != "alone" else [pixels]
    if kind == "folder":
        for t, plane in enumerate(planes):
            tifffile.imwrite(tmp_path / f"img_t{t}.tif", plane, photometric="miniswhite")
    else:
        tifffile.imwrite(tmp_path / "x.tif", np.stack(planes), photometric="miniswhite")
    with open_dataset(tmp_path if kind == "folder" else tmp_path / "x.tif") as dataset:
        (channel,) = dataset.info.channels
        assert channel.inverted
        axis = "z" if kind == "stack" else "t"
        for i, plane in enumerate(planes):
            np.testing.assert_array_equal(dataset.plane(**{axis: i}), plane)
    with Image.open(min(tmp_path.glob("*.tif"))) as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("L")), 255 - pixels)  # as others show it


def test_a_mask_of_tifffile_is_bright_where_it_is_true(tmp_path: Path) -> None:
    mask = np.arange(600).reshape(20, 30) > 300
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    with open_dataset(tmp_path / "mask.tif") as dataset:
        assert not dataset.info.channels[0].inverted
        np.testing.assert_array_equal(dataset.plane(), mask)
