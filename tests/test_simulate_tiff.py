"""The simulator writes TIFF and other image files as Squid does: the same names, tags and order."""

from __future__ import annotations

import json
import tempfile
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from simulations import (
    EXPERIMENT_FILES,
    TWO_CHANNELS,
    below,
    files_below,
    pages,
    read_image,
    saved_plane,
    small_run,
)

from ndviewer_light.simulator.ome_tiff_writer import OmeTiffs, progress_path
from ndviewer_light.simulator.tiff_writer import ImageWriter
from simulate_acquisition import TIFF_LAYOUTS, Run, WrittenPlane, plane_pixels, write_run

if TYPE_CHECKING:
    from pathlib import Path

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
FOVS = ("A1_0", "A1_1", "B2_0")


@pytest.fixture(autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for what Squid leaves in the one for temporary files."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def pixels_of(run: Run, plane: WrittenPlane) -> np.ndarray:
    return plane_pixels(run, plane.t, plane.fov, plane.z, plane.channel)


# ---- which files ----------------------------------------------------------------------------

NAMES = ("BF_LED_matrix_full.tiff", "Fluorescence_488_nm_Ex.tiff")
FILES = [
    pytest.param(
        "images", {f"{t}/{fov}_{z}_{name}" for t in "01" for fov in FOVS for z in "01" for name in NAMES}
    ),
    pytest.param("stacks", {f"{t}/{fov}_stack.tiff" for t in "01" for fov in FOVS}),
    pytest.param("ome_tiff", below("ome_tiff", {f"{fov}.ome.tiff" for fov in FOVS})),
]


@pytest.mark.parametrize(("layout", "files"), FILES)
def test_a_finished_run_leaves_these_files_and_no_other(
    tmp_path: Path, temporary_files: Path, layout: str, files: set[str]
) -> None:
    run = small_run(tmp_path, layout=layout)
    assert write_run(run) == 24
    assert files_below(run.folder) == files | EXPERIMENT_FILES
    assert not files_below(temporary_files)


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("images", "001/left_lung_000_001_Fluorescence_488_nm_Ex.tiff"),
        ("stacks", "001/left_lung_000_stack.tiff"),
        ("ome_tiff", "ome_tiff/left_lung_000.ome.tiff"),
        ("hcs", "001/coordinates.csv"),
    ],
)
def test_numbers_in_names_are_padded_if_asked_for(tmp_path: Path, layout: str, file: str) -> None:
    regions = ("A1", "B2") if layout == "hcs" else ("left_lung", "right")
    run = small_run(tmp_path, layout=layout, regions=regions, padding=3)
    write_run(run)
    assert file in files_below(run.folder)


def test_whatever_no_file_name_can_hold_becomes_an_underscore(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="images", channels=('BF: a/b \\ "c" <d>|e?*f',), n_t=1, n_z=1)
    write_run(run)
    assert "0/A1_0_0_BF_a_b_c_d_e_f.tiff" in files_below(run.folder)


@pytest.mark.parametrize("layout", TIFF_LAYOUTS)
def test_times_that_are_skipped_leave_gaps(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout, n_t=4, skip_t=(0, 2))
    assert write_run(run) == 24
    assert sorted(path.name for path in run.folder.iterdir() if path.name.isdigit()) == ["1", "3"]
    assert len((run.folder / "coordinates.csv").read_text().splitlines()) == 1 + 3
    for plane in run.planes():
        np.testing.assert_array_equal(saved_plane(run, plane), pixels_of(run, plane))


@pytest.mark.parametrize("layout", TIFF_LAYOUTS)
def test_a_region_without_fovs_leaves_nothing(tmp_path: Path, layout: str) -> None:
    run = small_run(tmp_path, layout=layout, regions=("A1", "A2", "B2"), fovs=(1, 0, 1))
    write_run(run)
    assert not [name for name in files_below(run.folder) if "A2" in name]
    for plane in run.planes():
        np.testing.assert_array_equal(saved_plane(run, plane), pixels_of(run, plane))


# ---- what is in them ------------------------------------------------------------------------


# three channels are not to become the colours of one
@pytest.mark.parametrize(
    ("n", "dtype"), [(1, "uint8"), (2, "uint16"), (3, "uint8"), (3, "uint16"), (4, "uint16")]
)
@pytest.mark.parametrize("layout", TIFF_LAYOUTS)
def test_every_plane_reads_back(tmp_path: Path, layout: str, n: int, dtype: str) -> None:
    channels = ("BF", "Fluorescence 405 nm Ex", "Fluorescence 488 nm Ex", "Fluorescence 561 nm Ex")[:n]
    run = small_run(tmp_path, layout=layout, channels=channels, dtype=dtype, blank=(1,))
    write_run(run)
    for plane in run.planes():
        saved = saved_plane(run, plane)
        assert saved.dtype == dtype
        np.testing.assert_array_equal(saved, pixels_of(run, plane))


def test_an_image_has_one_page_and_no_pixel_size(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="images")
    write_run(run)
    with tifffile.TiffFile(run.folder / "1" / "B2_0_1_BF_LED_matrix_full.tiff") as file:
        (page,) = file.pages
        assert json.loads(page.description) == {"shape": [128, 160]}
        assert page.tags["XResolution"].value == (1, 1)
        assert page.tags["ResolutionUnit"].value == 1  # none
        assert page.compression == 1  # none


@pytest.mark.parametrize("ending", ["tiff", "tif", "bmp", "png"])
def test_8_bit_images_have_the_format_asked_for(tmp_path: Path, ending: str) -> None:
    channels = ("BF LED matrix full", "BF LED matrix full_RGB")
    run = small_run(tmp_path, layout="images", dtype="uint8", channels=channels, image_format=ending)
    write_run(run)
    for plane in run.planes():
        assert run.image_path(plane).suffix == f".{ending}"
        np.testing.assert_array_equal(read_image(run.image_path(plane)), pixels_of(run, plane))


def test_images_in_colour_have_8_bits_where_others_have_16(tmp_path: Path) -> None:
    channels = ("Fluorescence 488 nm Ex", "BF LED matrix full_RGB")
    run = small_run(tmp_path, layout="images", channels=channels, image_format="png")
    write_run(run)
    grey, colour = list(run.planes())[:2]
    assert run.image_path(grey).name == "A1_0_0_Fluorescence_488_nm_Ex.tiff"
    assert run.image_path(colour).name == "A1_0_0_BF_LED_matrix_full_RGB.png"
    assert read_image(run.image_path(colour)).shape == (128, 160, 3)


def test_the_pages_of_a_stack_say_in_the_order_they_were_taken_what_they_are(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="stacks")
    write_run(run)
    first = next(run.planes())
    said = pages(run, first)
    assert [(page["z_level"], page["channel"], page["channel_index"]) for page in said] == [
        (z, channel, c) for z in (0, 1) for c, channel in enumerate(TWO_CHANNELS)
    ]
    said[2].pop("time")
    position = {"x_mm": 9.0, "y_mm": 9.0, "z_mm": 3.0015}
    plane = {"z_level": 1, "channel": TWO_CHANNELS[0], "channel_index": 0, "region_id": "A1", "fov": 0}
    assert said[2] == plane | position
    with tifffile.TiffFile(run.stack_path(first)) as file:
        assert len(file.series) == 4
        assert [page.tags["PageName"].value for page in file.pages] == [*TWO_CHANNELS, *TWO_CHANNELS]


# ---- OME-TIFF, filled in place --------------------------------------------------------------


def described(run: Run, plane: WrittenPlane) -> tuple[ET.Element, ET.Element]:
    """``Image`` and ``Pixels`` of the plane's OME-TIFF."""
    with tifffile.TiffFile(run.ome_tiff_path(plane)) as file:
        image = ET.fromstring(file.ome_metadata).find(f"{OME}Image")
    assert image is not None
    pixels = image.find(f"{OME}Pixels")
    assert pixels is not None
    return image, pixels


def test_an_ome_tiff_is_as_large_as_planned_from_its_first_plane_on(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="ome_tiff", n_z=3)
    first = next(run.planes())
    assert write_run(run, stop_after=2) == 2
    image, pixels = described(run, first)
    assert "AcquisitionDate" not in image.attrib
    assert not pixels.findall(f"{OME}Plane")
    sizes = {name: pixels.get(name) for name in ("SizeT", "SizeC", "SizeZ", "SizeY", "SizeX")}
    assert sizes == {"SizeT": "2", "SizeC": "2", "SizeZ": "3", "SizeY": "128", "SizeX": "160"}
    assert pixels.get("DimensionOrder") == "XYCZT"
    assert [channel.get("Name") for channel in pixels.findall(f"{OME}Channel")] == [*TWO_CHANNELS]
    lengths = {name: float(pixels.get(f"PhysicalSize{name}", "nan")) for name in "XYZ"}
    assert lengths == {"X": 0.325, "Y": 0.325, "Z": 1.5}
    assert (pixels.get("TimeIncrement"), pixels.get("PhysicalSizeXUnit")) == ("10.0", "µm")
    written = [bool(saved_plane(run, plane).any()) for plane in run.planes() if plane.fov == 0]
    assert written == [True, True, *[False] * 10]


def test_what_is_written_of_an_ome_tiff_is_noted_beside_the_dataset_until_all_is(
    tmp_path: Path, temporary_files: Path
) -> None:
    run = small_run(tmp_path, layout="ome_tiff", fovs=(1, 1))
    seen: list[dict[str, Any] | None] = []

    def look(plane: WrittenPlane) -> None:
        if plane.fov == 0:
            path = progress_path(run, plane)
            seen.append(json.loads(path.read_text()) if path.exists() else None)

    write_run(run, report=look)
    assert seen[-1] is None
    assert not files_below(temporary_files)
    progress = seen[-2]
    assert progress is not None
    assert progress["written_indices"] == ["0-0-0", "0-1-0", "0-0-1", "0-1-1", "1-0-0", "1-1-0", "1-0-1"]
    counts = (progress["saved_count"], progress["expected_count"], progress["shape"], progress["dtype"])
    assert counts == (7, 8, [2, 2, 2, 128, 160], "<u2")


def test_a_complete_ome_tiff_says_when_and_where_every_plane_was_taken(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="ome_tiff")
    write_run(run)
    image, pixels = described(run, next(run.planes()))
    assert "AcquisitionDate" in image.attrib
    planes = [plane.attrib for plane in pixels.findall(f"{OME}Plane")]
    places = [(int(p["TheT"]), int(p["TheC"]), int(p["TheZ"])) for p in planes]
    assert places == [(t, c, z) for t in (0, 1) for c in (0, 1) for z in (0, 1)]
    assert (planes[1]["PositionX"], planes[1]["PositionXUnit"]) == ("9.0", "mm")
    assert (planes[1]["PositionZ"], planes[1]["PositionZUnit"]) == ("3001.5", "µm")


def test_an_ome_tiff_of_which_a_time_was_skipped_is_never_complete(
    tmp_path: Path, temporary_files: Path
) -> None:
    run = small_run(tmp_path, layout="ome_tiff", skip_t=(0,), fovs=(1, 1))
    write_run(run)
    assert "AcquisitionDate" not in described(run, next(run.planes()))[0].attrib
    assert len([name for name in files_below(temporary_files) if name.endswith("_metadata.json")]) == 2


def test_lengths_and_steps_that_there_are_not_are_left_out(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="ome_tiff", n_t=1, n_z=1)
    write_run(run)
    _, pixels = described(run, next(run.planes()))
    assert not {"TimeIncrement", "PhysicalSizeZ"} & pixels.attrib.keys()


# ---- half a plane ---------------------------------------------------------------------------


def test_an_image_is_half_a_file_before_it_is_whole(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="images")
    plane = next(run.planes())
    run.time_folder(0).mkdir(parents=True)
    finish = ImageWriter(run).begin(plane, pixels_of(run, plane))
    half = run.image_path(plane).stat().st_size
    finish()
    assert run.image_path(plane).stat().st_size in (2 * half, 2 * half + 1)
    np.testing.assert_array_equal(saved_plane(run, plane), pixels_of(run, plane))


def test_half_a_plane_of_an_ome_tiff_is_there_before_it_is_noted(tmp_path: Path) -> None:
    run = small_run(tmp_path, layout="ome_tiff")
    plane = next(run.planes())
    run.folder.mkdir()
    finish = OmeTiffs(run).begin(plane, pixels_of(run, plane))
    np.testing.assert_array_equal(saved_plane(run, plane)[:64], pixels_of(run, plane)[:64])
    assert not saved_plane(run, plane)[64:].any()
    assert not progress_path(run, plane).exists()
    finish()
    np.testing.assert_array_equal(saved_plane(run, plane), pixels_of(run, plane))
    assert json.loads(progress_path(run, plane).read_text())["written_indices"] == ["0-0-0"]
