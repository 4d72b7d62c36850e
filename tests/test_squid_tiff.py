"""TIFF runs as Squid drives them: files that come late, in parts, elsewhere or never."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from runs import small_run, write
from screen import assert_shows, settle
from squid_host import go_to, sizes, squid_on_screen, wait_for_states, wait_until_shown
from squid_runs import over, saved

from simulate_acquisition import plane_pixels

pytestmark = [pytest.mark.gl, pytest.mark.pyqt5]

FORMS = ("images", "stacks", "ome_tiff")
PLANES_PER_FOV = 4  # 2 channels, 2 z
ALL_PLANES = 2 * 3 * PLANES_PER_FOV


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


# ---- files that come after they were registered -----------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_planes_registered_long_before_their_file_are_shown_when_it_comes_without_another_call(
    qtbot, squid, tmp_path, form
):
    run = small_run(tmp_path / "run", form)
    acquisition = squid.start(run, saves=0)
    qtbot.waitUntil(lambda: sizes(squid.viewer) == (2, 3, 2), timeout=20_000)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    acquisition.allow_saves(1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    acquisition.allow_saves(1)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_on_disk_is_shown_in_every_mode_though_individual_files_are_announced(
    qtbot, squid, tmp_path, form
):
    run = small_run(tmp_path / "run", form)
    acquisition = squid.start(run, planes=ALL_PLANES - 1)
    saved(qtbot, acquisition, ALL_PLANES - 1)
    qtbot.waitUntil(lambda: sizes(squid.viewer) == (2, 3, 2), timeout=20_000)
    for place in ((0, 0, 1), (1, 1, 0), (1, 2, 0)):
        go_to(squid.viewer, *place)
        wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, 1, 2, 1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("form", FORMS)
def test_the_last_planes_are_on_screen_after_the_end(qtbot, squid, tmp_path, form):
    run = small_run(tmp_path / "run", form, n_t=3, n_z=5)
    acquisition = squid.start(run)
    over(qtbot, acquisition)
    go_to(squid.viewer, 2, 2, 4)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("form", FORMS)
def test_files_that_come_after_the_end_are_shown(qtbot, squid, tmp_path, form):
    run = small_run(tmp_path / "run", form)
    acquisition = squid.start(run, saves=1)
    saved(qtbot, acquisition, 1)
    squid.tab.end_acquisition()
    wait_for_states(qtbot, squid.viewer, "PRESENT", "ABSENT")
    acquisition.allow_saves(1)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)


# ---- files that come in parts -----------------------------------------------------------------------------


def begin(squid, run):
    """Announce and register all planes of `run` but the last, while the test itself writes its files."""
    squid.start(run, saving=False, planes=sum(1 for _ in run.planes()) - 1)


@pytest.mark.parametrize(
    ("dtype", "image_format", "share"),
    [
        *(("uint16", "tiff", share) for share in (0.0, 0.001, 0.5, 0.95)),
        ("uint8", "tif", 0.5),
        *(("uint8", image_format, share) for image_format in ("bmp", "png") for share in (0.5, 0.95)),
    ],
)
def test_a_file_that_is_half_written_when_first_read_is_shown_as_soon_as_it_is_whole(
    qtbot, squid, tmp_path, dtype, image_format, share
):
    settings = {"n_t": 1, "n_z": 1, "dtype": dtype, "image_format": image_format}
    complete = small_run(tmp_path / "elsewhere", "images", **settings)
    write(complete, "--format", image_format)
    run = small_run(tmp_path / "run", "images", **settings)
    run.time_folder(0).mkdir(parents=True)
    begin(squid, run)
    planes = [plane for plane in run.planes() if plane.fov == 0]
    for plane in planes:
        content = complete.image_path(plane).read_bytes()
        run.image_path(plane).write_bytes(content[: int(len(content) * share)])
    go_to(squid.viewer, p=1)
    go_to(squid.viewer, p=0)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    for plane in planes:
        content = complete.image_path(plane).read_bytes()
        with run.image_path(plane).open("ab") as file:
            file.write(content[int(len(content) * share) :])
    wait_until_shown(qtbot, squid.viewer, run)


def test_a_file_that_is_written_again_is_shown_as_it_is_now(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run", "images")
    acquisition = squid.start(run, planes=ALL_PLANES - 1)
    saved(qtbot, acquisition, ALL_PLANES - 1)
    wait_until_shown(qtbot, squid.viewer, run)
    again = small_run(tmp_path / "again", "images", seed=5)
    write(again)
    for plane in list(run.planes())[:2]:
        shutil.copyfile(again.image_path(plane), run.image_path(plane))
        squid.tab.register_image(plane.t, plane.fov, plane.z, plane.channel, str(run.image_path(plane)))
    wait_until_shown(qtbot, squid.viewer, again)
    over(qtbot, acquisition)


# ---- OME-TIFF: whole from the start, filled in place ------------------------------------------------------


@pytest.mark.parametrize("progress_is_known", [True, False], ids=["progress known", "progress unknown"])
def test_a_page_that_is_still_empty_is_not_black_and_is_shown_once_it_is_filled(
    qtbot, squid, tmp_path, progress_is_known
):
    run = small_run(tmp_path / "run", "ome_tiff")
    acquisition = squid.start(run, saves=1, temporary=None if progress_is_known else tmp_path)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")  # its file is there, full of zeros
    go_to(squid.viewer, t=1, z=1)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    go_to(squid.viewer)
    acquisition.allow_saves(1)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)
    go_to(squid.viewer, t=1, z=1)
    wait_until_shown(qtbot, squid.viewer, run)


def test_a_page_that_is_half_filled_is_shown_as_soon_as_it_is_full(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run", "ome_tiff")
    acquisition = squid.start(run, planes=ALL_PLANES - 1, saves=1, temporary=tmp_path)
    saved(qtbot, acquisition, 1)
    acquisition.kill_saving()  # the test itself writes on
    pages = tifffile.memmap(run.ome_tiff_path(next(run.planes())), mode="r+")
    second = pages.reshape(-1, run.height, run.width)[1]
    wanted = plane_pixels(run, 0, 0, 0, run.channels[1])
    second[: run.height // 2] = wanted[: run.height // 2]
    pages.flush()
    go_to(squid.viewer, p=1)
    go_to(squid.viewer)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    second[:] = wanted
    pages.flush()
    wait_until_shown(qtbot, squid.viewer, run)


def test_an_all_zero_page_is_black_once_the_file_is_complete(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run", "ome_tiff", blank=(1,))
    over(qtbot, squid.start(run))
    wait_until_shown(qtbot, squid.viewer, run)


# ---- names, colours, gaps ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "padding"), [("images", 0), ("images", 3), ("stacks", 3), ("ome_tiff", 0)])
def test_regions_with_underscores_and_padded_numbers_are_found(qtbot, squid, tmp_path, form, padding):
    regions = ("region_1", "my_region_2_0")
    run = small_run(tmp_path / "run", form, regions=regions, padding=padding)
    over(qtbot, squid.start(run))
    assert squid.tab.go_to_fov("region_1", 1)
    wait_until_shown(qtbot, squid.viewer, run)
    assert squid.tab.go_to_fov("my_region_2_0", 0)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("image_format", ["tiff", "tif", "bmp", "png"])
def test_images_of_eight_bits_are_shown_in_every_format(qtbot, squid, tmp_path, image_format):
    run = small_run(tmp_path / "run", "images", dtype="uint8", image_format=image_format)
    over(qtbot, squid.start(run))
    go_to(squid.viewer, 1, 1, 1)
    wait_until_shown(qtbot, squid.viewer, run)


RGB = "BF LED matrix full RGB"


@pytest.mark.parametrize("times_registered", [1, 3])
def test_a_channel_in_colour_is_shown_in_its_colours(qtbot, squid, tmp_path, times_registered):
    run = small_run(tmp_path / "run", "images", dtype="uint8", channels=(RGB,), n_t=1, n_z=1)
    acquisition = squid.start(run)
    for plane in run.planes():
        for _ in range(times_registered - 1):
            squid.tab.register_image(plane.t, plane.fov, plane.z, RGB, str(run.image_path(plane)))
    over(qtbot, acquisition)
    go_to(squid.viewer, p=1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PRESENT", "PRESENT")
    colours = plane_pixels(run, 0, 1, 0, RGB)
    names = [channel.name for channel in squid.viewer.dataset.info.channels]
    settle(qtbot, squid.viewer)
    assert_shows(squid.viewer, dict(zip(names, np.moveaxis(colours, -1, 0), strict=True)))


def test_a_channel_is_in_colour_if_its_files_are_whatever_its_name(qtbot, squid, tmp_path):
    channels = (bright, grey) = ("BF LED matrix full", "Fluorescence 488 nm Ex")
    run = small_run(
        tmp_path / "run", "images", dtype="uint8", channels=channels, in_colour=(bright,), n_t=1, n_z=2
    )
    over(qtbot, squid.start(run))
    for p, z in ((1, 0), (0, 1)):
        go_to(squid.viewer, p=p, z=z)
        wait_for_states(qtbot, squid.viewer, *("PRESENT",) * 4)
        settle(qtbot, squid.viewer)
        red, green, blue = np.moveaxis(plane_pixels(run, 0, p, z, bright), -1, 0)
        parts = {f"{bright} (R)": red, f"{bright} (G)": green, f"{bright} (B)": blue}
        assert_shows(squid.viewer, {**parts, grey: plane_pixels(run, 0, p, z, grey)})


def test_a_channel_in_colour_that_is_registered_and_never_saved_leaves_the_others_alone(
    qtbot, squid, tmp_path
):
    grey = small_run(tmp_path / "run", "images", n_t=1, n_z=1)
    run = small_run(tmp_path / "run", "images", channels=(*grey.channels, RGB), n_t=1, n_z=1)
    acquisition = squid.start(run, written=grey, planes=2)
    for _ in range(3):
        squid.tab.register_image(
            0, 0, 0, RGB, str(tmp_path / "run" / "0" / "A1_0_0_BF_LED_matrix_full_RGB.tiff")
        )
    saved(qtbot, acquisition, 2)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PRESENT", "PENDING", "PENDING", "PENDING")
    over(qtbot, acquisition)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PRESENT", "ABSENT", "ABSENT", "ABSENT")
    assert_shows(squid.viewer, {name: plane_pixels(grey, 0, 0, 0, name) for name in grey.channels})


@pytest.mark.parametrize("form", FORMS)
def test_time_points_that_are_skipped_are_missing_and_nothing_else_is(qtbot, squid, tmp_path, form):
    run = small_run(tmp_path / "run", form, n_t=4, skip_t=(1, 2))
    over(qtbot, squid.start(run))
    qtbot.waitUntil(lambda: sizes(squid.viewer) == (4, 3, 2), timeout=20_000)
    for t in (3, 0):
        go_to(squid.viewer, t, 2, 1)
        wait_until_shown(qtbot, squid.viewer, run)
    for t in (1, 2):
        go_to(squid.viewer, t, 2, 1)
        wait_for_states(qtbot, squid.viewer, "ABSENT", "ABSENT")


@pytest.mark.parametrize("form", FORMS)
def test_regions_without_fields_of_view_shift_no_other(qtbot, squid, tmp_path, form):
    run = small_run(tmp_path / "run", form, regions=("A1", "A2", "B1", "B2"), fovs=(0, 2, 0, 1))
    over(qtbot, squid.start(run))
    assert squid.viewer.get_fov_list() == [
        {"region": "A2", "fov": 0},
        {"region": "A2", "fov": 1},
        {"region": "B2", "fov": 0},
    ]
    assert squid.tab.go_to_fov("B2", 0)
    wait_until_shown(qtbot, squid.viewer, run)
    assert not squid.tab.go_to_fov("A1", 0)


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_saves_nothing_is_waited_for_and_then_said_to_be_empty(qtbot, squid, tmp_path, form):
    run = small_run(tmp_path / "run", form)
    acquisition = squid.start(run, saving=False, planes=6)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    over(qtbot, acquisition)
    wait_for_states(qtbot, squid.viewer, "ABSENT", "ABSENT")
    go_to(squid.viewer, p=2, z=1)
    wait_for_states(qtbot, squid.viewer, "ABSENT", "ABSENT")


# ---- one run after the other ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_tiff_run_after_a_zarr_run_after_a_6d_run_shows_its_own_planes_everywhere(
    qtbot, squid, tmp_path, form
):
    for number, layout in enumerate(("6d", "per_fov", form, "hcs")):
        run = small_run(tmp_path / str(number), layout, seed=number, n_z=1 + number % 2)
        acquisition = squid.start(run)
        assert squid.viewer.is_zarr_push_mode_active() == run.is_zarr
        over(qtbot, acquisition)
        wait_until_shown(qtbot, squid.viewer, run)
        assert sizes(squid.viewer) == (2, 3, run.n_z)
        assert squid.tab.go_to_fov("A1", 1)
        wait_until_shown(qtbot, squid.viewer, run)
        assert squid.tab.load_fov(2, 1, run.n_z - 1)
        assert squid.viewer.stage.view[:3] == (1, 2, run.n_z - 1)
        wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("form", FORMS)
def test_the_threads_of_a_run_may_call_the_viewer_themselves(qtbot, squid, tmp_path, form):
    over(qtbot, squid.start(small_run(tmp_path / "first")))
    run = small_run(tmp_path / "run", form, seed=5)
    over(qtbot, squid.start(run, directly=squid.viewer))
    go_to(squid.viewer, 1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)
