"""Wrong results of the viewer before this one (contract §7.1, rows 1–23): what each is now held to.

| row | what was wrong | held by |
| --- | --- | --- |
| 1 | 6-D stores not opened, only the first region found | `test_viewer::test_every_layout_opens_and_every_position_shows_its_own_pixels`, `test_squid_navigation::test_a_double_click_goes_to_the_same_place_after_reopening` |
| 2 | a TIFF run after a zarr run goes to the zarr loader | `test_squid_tiff::test_a_tiff_run_after_a_zarr_run_after_a_6d_run_shows_its_own_planes_everywhere` |
| 3 | the end cancels the last refresh | `test_squid_zarr::test_a_burst_of_notifications_followed_by_both_ends_leaves_the_last_planes_on_screen` |
| 4 | zeros of unwritten planes kept after the end | here |
| 5 | a late file is never tried again | `test_squid_tiff::test_planes_registered_long_before_their_file_are_shown_when_it_comes_without_another_call`, and here |
| 6 | registering again shows old pixels, empty pages stay black | `test_squid_tiff::test_a_file_that_is_written_again_is_shown_as_it_is_now`, `…::test_a_page_that_is_still_empty_is_not_black_and_is_shown_once_it_is_filled` |
| 7 | going to another time: stale range, no bounds | here |
| 8 | the time row stays in a run of one time | `test_squid_order::test_the_time_row_of_a_long_run_is_gone_in_a_run_of_one_time_point` |
| 9 | a run sticks after a dataset is opened | `test_live_view::test_opening_a_dataset_leaves_push_mode`, and here |
| 10 | no list of positions for zarr | `test_squid_navigation::test_the_list_is_in_the_order_of_the_scan_while_live_and_as_people_count_when_reopened` |
| 11 | order of strings: 0, 1, 10, 2 | the same, all layouts |
| 12 | `.tif` not found, positions of one time only | here |
| 13 | regions with "_" taken apart wrongly | `test_squid_tiff::test_regions_with_underscores_and_padded_numbers_are_found`, and here |
| 14 | RGB and multi-page TIFF fail | here, `test_squid_tiff::test_a_channel_in_colour_is_shown_in_its_colours`, `test_squid_navigation` (stacks) |
| 15 | always uint16; another size breaks the array | `test_squid_wrong_paths::test_planes_have_the_size_and_type_that_are_written_not_those_announced`, and here |
| 16 | one file of another shape fails the load | here |
| 17 | "identity" hides the scale, null wipes the z step | `test_ngff::test_identity_hides_nothing`, `test_ngff::test_squid_calibration_comes_first_and_its_nulls_say_nothing`, and here |
| 18 | a bad region index counts for another position | `test_live::test_regions_and_positions_out_of_range_are_never_another_plane` |
| 19 | padded time folders: changes not seen | here |
| 20 | planes written later are no change | here |
| 21 | refresh without a dataset opens the working directory | here |
| 22 | the command line ignores its path | `test_host::test_the_command_line_opens_the_path_it_is_given` |
| 22b | a volume at lower resolution is out of proportion | `test_viewer::test_a_volume_at_lower_resolution_keeps_its_proportions` |
| 22c | a run's volume has no voxel size | here |
| 23 | zarr opened from disk shows only zeros | `test_viewer::test_every_layout_opens_and_every_position_shows_its_own_pixels` |
"""  # noqa: E501  a table

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from runs import CHANNELS, load, planes_of, small_run, write
from screen import assert_shows, settle
from squid_host import go_to, sizes, squid_on_screen, wait_for_pixels, wait_for_states, wait_until_shown
from squid_runs import over, saved

from simulate_acquisition import Run, WrittenPlane, plane_pixels

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.gl

LAYOUTS = ("per_fov", "hcs", "6d", "images", "stacks", "ome_tiff")
TIFFS = ("images", "stacks", "ome_tiff")
ALL_PLANES = 2 * 3 * 4


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


def written(folder: Path, layout: str, **more: object) -> Run:
    run = small_run(folder, layout, **more)
    write(run)
    return run


def plane(run: Run, t: int, fov: int, z: int, channel: str) -> WrittenPlane:
    return next(p for p in run.planes() if (p.t, p.fov, p.z, p.channel) == (t, fov, z, channel))


def zoom_out(qtbot, viewer) -> None:
    """Show the plane whole: the zoom stays from one place to the next, also where planes are larger."""
    wait_for_states(qtbot, viewer, *["PRESENT"] * len(CHANNELS))
    settle(qtbot, viewer)
    viewer.stage.canvas.reset_view()
    settle(qtbot, viewer)


# ---- 4 and 5: planes that are not there yet ---------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_4_a_plane_looked_at_after_the_end_before_it_was_written_is_shown_once_it_is(
    qtbot, squid, tmp_path, layout
):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, saves=ALL_PLANES - 2)
    saved(qtbot, acquisition, ALL_PLANES - 2)
    squid.tab.end_zarr_acquisition()
    squid.tab.end_acquisition()
    go_to(squid.viewer, 1, 2, 1)
    wait_for_states(qtbot, squid.viewer, "ABSENT", "ABSENT")
    go_to(squid.viewer, 0, 0, 0)
    wait_until_shown(qtbot, squid.viewer, run)
    acquisition.allow_saves(2)
    saved(qtbot, acquisition, ALL_PLANES)
    go_to(squid.viewer, 1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("form", TIFFS)
def test_5_a_run_of_one_plane_whose_file_comes_late_is_not_left_black(qtbot, squid, tmp_path, form):
    one = {"regions": ("current",), "fovs": (1,), "channels": CHANNELS[:1], "n_t": 1, "n_z": 1}
    run = small_run(tmp_path / "run", form, **one)
    acquisition = squid.start(run, saves=0)
    wait_for_states(qtbot, squid.viewer, "PENDING")
    squid.tab.end_acquisition()
    acquisition.allow_saves(1)
    wait_until_shown(qtbot, squid.viewer, run)


# ---- 7 and 9: where hosts go ------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_7_going_to_another_time_moves_sliders_within_their_range_and_never_beyond(
    qtbot, squid, tmp_path, layout
):
    run = small_run(tmp_path / "run", layout)
    over(qtbot, squid.start(run))
    go_to(squid.viewer, 1, 2, 1)
    for fov, t, z in ((1, 0, 0), (2, 1, 1), (0, None, None), (2, 0, None)):
        assert squid.tab.load_fov(fov, t, z)
        assert sizes(squid.viewer) == (2, 3, 2)
        wait_until_shown(qtbot, squid.viewer, run)
    before = squid.viewer.stage.view
    for fov, t, z in ((3, 0, 0), (-1, 0, 0), (0, 2, 0), (0, -1, 0), (0, 0, 2), (10**9, None, None)):
        assert squid.tab.load_fov(fov, t, z)
        assert squid.viewer.stage.view == before
    assert squid.viewer.stage.sliders.value_text("p").startswith("B2:0")


def test_9_after_opening_a_dataset_hosts_navigate_by_its_labels_not_by_those_of_the_run(
    qtbot, squid, tmp_path
):
    run = small_run(tmp_path / "run", n_t=3)
    over(qtbot, squid.start(run))
    other = written(tmp_path / "other", "hcs", regions=("C3", "D4"), fovs=(1, 2), n_t=1, seed=5)
    load(qtbot, squid.viewer, other.folder)
    assert sizes(squid.viewer) == (1, 3, 2)
    assert not squid.tab.go_to_fov("A1", 0)
    assert squid.tab.go_to_fov("D4", 1)
    squid.tab.notify_zarr_frame(2, 0, 0, CHANNELS[0])  # of the run that is over
    wait_until_shown(qtbot, squid.viewer, other)
    assert sizes(squid.viewer) == (1, 3, 2)


# ---- 12 to 16: TIFF folders -------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["tif", "tiff", "TIF"])
def test_12_images_ending_in_tif_or_tiff_are_found(qtbot, viewer, tmp_path, image_format):
    run = small_run(tmp_path / "run", "images", dtype="uint8", image_format=image_format.lower())
    write(run, "--format", image_format.lower())
    for path in run.folder.glob("*/*.tif*"):
        path.rename(path.with_suffix(f".{image_format}"))
    load(qtbot, viewer, run.folder)
    go_to(viewer, 1, 2, 1)
    wait_until_shown(qtbot, viewer, run)


def test_12_positions_are_those_of_all_time_points(qtbot, viewer, tmp_path):
    run = written(tmp_path / "run", "images")
    for path in [*run.time_folder(0).glob("B2_*"), *run.time_folder(1).glob("A1_0_*")]:
        path.unlink()
    load(qtbot, viewer, run.folder)
    assert [entry["region"] for entry in viewer.get_fov_list()] == ["A1", "A1", "B2"]
    go_to(viewer, 1, 2, 1)
    wait_until_shown(qtbot, viewer, run)
    go_to(viewer, 0, 0, 1)
    wait_until_shown(qtbot, viewer, run)
    go_to(viewer, 1, 0, 0)
    wait_for_states(qtbot, viewer, "ABSENT", "ABSENT")


@pytest.mark.parametrize("form", TIFFS)
def test_13_regions_with_underscores_are_opened_as_they_are_called(qtbot, viewer, tmp_path, form):
    run = written(tmp_path / "run", form, regions=("my_region_0", "region_1"))
    load(qtbot, viewer, run.folder)
    assert [(entry["region"], entry["fov"]) for entry in viewer.get_fov_list()] == [
        ("my_region_0", 0),
        ("my_region_0", 1),
        ("region_1", 0),
    ]
    go_to(viewer, 1, 1, 1)
    wait_until_shown(qtbot, viewer, run)


def test_14_colour_images_are_opened_in_their_colours(qtbot, viewer, tmp_path):
    run = written(tmp_path / "run", "images", dtype="uint8", channels=("BF RGB",), n_t=1, n_z=1)
    load(qtbot, viewer, run.folder)
    go_to(viewer, p=2)
    wait_for_states(qtbot, viewer, "PRESENT", "PRESENT", "PRESENT")
    settle(qtbot, viewer)
    names = [channel.name for channel in viewer.dataset.info.channels]
    colours = np.moveaxis(plane_pixels(run, 0, 2, 0, "BF RGB"), -1, 0)
    assert_shows(viewer, dict(zip(names, colours, strict=True)))


@pytest.mark.parametrize("form", TIFFS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_15_a_dataset_has_the_type_of_its_files(qtbot, viewer, tmp_path, form, dtype):
    run = written(tmp_path / "run", form, dtype=dtype)
    load(qtbot, viewer, run.folder)
    wait_until_shown(qtbot, viewer, run)
    assert viewer.dataset.info.dtype == np.dtype(dtype)
    frame = settle(qtbot, viewer)
    assert {p.pixels.dtype for p in frame.planes.values()} == {np.dtype(dtype)}


def test_15_a_plane_of_another_size_is_shown_and_the_others_as_before(qtbot, viewer, tmp_path):
    run = written(tmp_path / "run", "images")
    larger = written(tmp_path / "larger", "images", height=120, width=200)
    for channel in CHANNELS:
        of = plane(run, 0, 1, 0, channel)
        shutil.copyfile(larger.image_path(of), run.image_path(of))
    load(qtbot, viewer, run.folder)
    wait_until_shown(qtbot, viewer, run)
    go_to(viewer, 0, 1, 0)
    zoom_out(qtbot, viewer)
    wait_until_shown(qtbot, viewer, larger)
    go_to(viewer, 0, 1, 1)
    wait_until_shown(qtbot, viewer, run)


@pytest.mark.parametrize("layout", ["ome_tiff", "stacks", "per_fov"])
def test_16_one_position_of_another_shape_does_not_cost_the_others(qtbot, viewer, tmp_path, layout):
    run = written(tmp_path / "run", layout)
    other = written(tmp_path / "other", layout, height=120, width=200, n_z=1, seed=5)
    for path in sorted(
        other.folder.glob("**/A1_1*.tiff" if layout != "per_fov" else "zarr/A1/fov_1.ome.zarr")
    ):
        target = run.folder / path.relative_to(other.folder)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        path.rename(target)
    load(qtbot, viewer, run.folder)
    wait_until_shown(qtbot, viewer, run)
    go_to(viewer, 1, 1, 0)
    zoom_out(qtbot, viewer)
    wait_until_shown(qtbot, viewer, other)
    if layout == "per_fov":  # the sliders are those of the position in view
        assert viewer.stage.sliders.size("z") == 1
    else:
        go_to(viewer, 1, 1, 1)
        wait_for_states(qtbot, viewer, "ABSENT", "ABSENT")
    viewer.load_fov(2, 1, 1)
    wait_until_shown(qtbot, viewer, run)


# ---- 17 and 22c: sizes in micrometres ---------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_17_reopened_and_live_runs_have_their_pixel_size_and_z_step(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    over(qtbot, squid.start(run))
    wait_until_shown(qtbot, squid.viewer, run)
    live = squid.viewer.dataset.info
    load(qtbot, squid.viewer, run.folder)
    opened = squid.viewer.dataset.info
    for info in (live, opened):
        assert info.pixel_size_um == pytest.approx(0.325)
        assert info.z_step_um == pytest.approx(1.5)


@pytest.mark.parametrize("layout", ["per_fov", "6d", "images", "ome_tiff"])
def test_22c_the_volume_of_a_run_that_is_on_is_to_scale(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, planes=ALL_PLANES - 1)
    saved(qtbot, acquisition, ALL_PLANES - 1)
    wait_until_shown(qtbot, squid.viewer, run)
    squid.viewer.stage.strips._volume.click()
    frame = settle(qtbot, squid.viewer)
    assert frame.view.is_volume
    scales = squid.viewer.stage.canvas.viewer.scales
    assert scales == pytest.approx((1.5, 0.325, 0.325))
    over(qtbot, acquisition)


# ---- 19 to 21: looking again ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["images", "stacks"])  # an OME-TIFF has all its time points from the start
@pytest.mark.parametrize("padding", [0, 4])
def test_19_a_time_point_that_was_added_is_found_whatever_its_folder_is_called(
    qtbot, viewer, tmp_path, form, padding
):
    run = small_run(tmp_path / "run", form, padding=padding, n_t=3)
    write(run, "--padding", str(padding))
    run.time_folder(2).rename(tmp_path / "later")
    load(qtbot, viewer, run.folder)
    assert sizes(viewer) == (2, 3, 2)
    (tmp_path / "later").rename(run.time_folder(2))
    viewer.refresh()
    qtbot.waitUntil(lambda: sizes(viewer) == (3, 3, 2), timeout=20_000)
    go_to(viewer, 2, 2, 1)
    wait_until_shown(qtbot, viewer, run)


@pytest.mark.parametrize("layout", ["per_fov", "hcs", "6d", "images"])
def test_20_planes_written_since_a_dataset_was_opened_are_shown_after_refresh(
    qtbot, viewer, tmp_path, layout
):
    run = written(tmp_path / "run", layout)
    pattern = "0/A1_0_0_*.tiff" if layout == "images" else "**/c/0/*/0/0/0"
    if layout == "6d":
        pattern = "**/c/0/0/*/0/0/0"
    chunks = sorted(run.folder.glob(pattern))
    assert chunks
    for chunk in chunks:
        chunk.rename(chunk.with_name(f"{chunk.name}.later"))
    load(qtbot, viewer, run.folder)
    # the metadata of the stores say that the run is complete
    state = "ABSENT" if layout == "images" else "FILLED"
    wait_for_states(qtbot, viewer, state, state)
    for chunk in chunks:
        chunk.with_name(f"{chunk.name}.later").rename(chunk)
    viewer.refresh()
    wait_until_shown(qtbot, viewer, run)


@pytest.mark.parametrize("layout", ["per_fov", "images"])
def test_20_planes_written_again_are_shown_after_refresh(qtbot, viewer, tmp_path, layout):
    run = written(tmp_path / "run", layout)
    again = written(tmp_path / "again", layout, seed=5)
    load(qtbot, viewer, run.folder)
    wait_until_shown(qtbot, viewer, run)
    for path in again.folder.glob("0/*.tiff" if layout == "images" else "**/c/0/*/0/0/0"):
        shutil.copyfile(path, run.folder / path.relative_to(again.folder))
    viewer.refresh()
    wait_for_pixels(qtbot, viewer, planes_of(again, 0, 0, 0))
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(again, 0, 0, 0))


def test_21_refresh_without_a_dataset_does_not_open_the_working_directory(
    qtbot, viewer, tmp_path, monkeypatch
):
    run = written(tmp_path / "run", "per_fov")
    monkeypatch.chdir(run.folder)
    with qtbot.assertNotEmitted(viewer.dataset_loaded, wait=500):
        viewer.refresh()
    assert viewer.dataset is None
    viewer.load_dataset("")
    assert viewer.dataset is None
    assert os.getcwd() == str(run.folder)


def test_16_an_ome_tiff_of_another_type_is_shown_as_it_is(qtbot, viewer, tmp_path):
    run = written(tmp_path / "run", "ome_tiff", n_t=1, n_z=1)
    path = run.ome_tiff_path(plane(run, 0, 1, 0, CHANNELS[0]))
    eight = np.stack([plane_pixels(run, 0, 1, 0, channel) // 16 for channel in CHANNELS]).astype(np.uint8)
    tifffile.imwrite(path, eight, ome=True, metadata={"axes": "CYX", "Channel": {"Name": list(CHANNELS)}})
    load(qtbot, viewer, run.folder)
    wait_until_shown(qtbot, viewer, run)
    go_to(viewer, p=1)
    wait_for_states(qtbot, viewer, "PRESENT", "PRESENT")
    wanted = dict(zip(CHANNELS, eight, strict=True))
    wait_for_pixels(qtbot, viewer, wanted)
