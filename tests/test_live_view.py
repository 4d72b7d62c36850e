"""The widget on a run that is being written by another process: the push API, its order and its end."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
import stores
from runs import CHANNELS, LAYOUTS, follow, load, planes_of, small_run, write
from screen import assert_shows, framebuffer, settle

from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneState
from simulate_acquisition import announce_run

pytestmark = pytest.mark.gl


@pytest.mark.each_binding
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", ["fast", "balanced"])
def test_a_run_pushed_from_another_process_ends_with_the_right_pixels(
    qtbot, viewer, tmp_path, layout, compression
):
    run = small_run(tmp_path / "run", layout, compression=compression)
    announce_run(viewer, run)
    assert viewer.is_push_mode_active()
    assert viewer.is_zarr_push_mode_active()
    viewer.load_fov(2)
    follow(qtbot, viewer, run)
    bar = viewer._screen._row.run
    qtbot.waitUntil(lambda: bar.isVisible() and (bar.news.written, bar.news.expected) == (24, 24))
    assert bar.news.headline == "Recording B2"
    viewer.end_zarr_acquisition()
    viewer.end_acquisition()
    qtbot.waitUntil(lambda: bar.news.headline == "Finished")
    viewer.load_fov(2, t=1, z=1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))
    info = viewer.dataset.info
    assert (info.n_t, info.pixel_size_um, info.z_step_um, info.dtype) == (2, 0.325, 1.5, np.uint16)
    assert [channel.color for channel in info.channels] == ["#20ADF8", "#1FFF00"]


@pytest.mark.each_binding
def test_the_last_planes_are_on_screen_after_the_end_without_another_call(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "waiting"
    write(run)
    viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0])
    viewer.end_zarr_acquisition()
    viewer.end_acquisition()
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_planes_nobody_announced_appear_by_themselves_while_the_run_is_on(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    write(run)
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))
    viewer.end_zarr_acquisition()


def test_notifications_before_the_store_exists_and_after_the_end_do_no_harm(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    for _ in range(2):
        for t in (1, 0):
            for channel in (*CHANNELS, "no such channel"):
                viewer.notify_zarr_frame(t, 0, 0, channel)
    qtbot.wait(300)
    viewer.end_zarr_acquisition()
    viewer.end_zarr_acquisition()
    write(run)
    viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0])
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_a_plane_written_again_is_shown_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    write(run)
    settle(qtbot, viewer)
    again = replace(run, folder=tmp_path / "again", seed=7)
    write(again)
    place = "zarr/A1/fov_0.ome.zarr/0/c/0/{}/0/0/0"
    for c, channel in enumerate(CHANNELS):
        shutil.copyfile(again.folder / place.format(c), tmp_path / "chunk")
        os.replace(tmp_path / "chunk", run.folder / place.format(c))
        viewer.notify_zarr_frame(0, 0, 0, channel)
    qtbot.wait(150)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(again, 0, 0, 0))
    viewer.end_zarr_acquisition()


def test_an_all_zero_plane_is_black_with_a_note_in_a_run_and_when_that_is_opened(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", channels=CHANNELS[:1], blank=(0,))
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    settle(qtbot, viewer)
    said = ("filled", "Nothing stored, shown as the fill value 0")
    qtbot.waitUntil(lambda: viewer.stage.overlay.state() == said, timeout=20_000)
    settle(qtbot, viewer)
    assert framebuffer(viewer).max() == 0
    viewer.end_zarr_acquisition()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state() == said


def test_planes_that_their_writer_keeps_until_a_chunk_is_full_are_not_black_before_nor_after(
    qtbot, viewer, tmp_path
):
    """The host notifies each; what is on disk is a chunk of four time points, then nothing more."""
    path = tmp_path / "run.ome.zarr"
    array = stores.create_array(path / "0", (8, 1, 1, 24, 40), chunk=(4, 1, 1, 24, 40))
    stores.write_group(path, stores.image_attributes(channels=CHANNELS[:1], squid=False))
    viewer.start_zarr_acquisition([str(path)], CHANNELS[:1], 1, ["A1:0"], 24, 40)
    for t in range(3):
        viewer.notify_zarr_frame(t, 0, 0, CHANNELS[0])
        viewer.load_fov(0, t, 0)
        frame = settle(qtbot, viewer)
        assert (frame.planes[0].state, frame.planes[0].pixels) == (PlaneState.PENDING, None)
        assert viewer.stage.overlay.state()[0] == "waiting"
    written = np.arange(4 * 24 * 40).reshape(4, 1, 1, 24, 40) % 4000 + 100
    array[:4].write(written.astype(np.uint16)).result()
    viewer.notify_zarr_frame(3, 0, 0, CHANNELS[0])
    for t in range(4):
        viewer.load_fov(0, t, 0)
        qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
        settle(qtbot, viewer)
        assert_shows(viewer, {CHANNELS[0]: written[t, 0, 0]})
    for t in (4, 5):
        viewer.notify_zarr_frame(t, 0, 0, CHANNELS[0])
    viewer.end_zarr_acquisition()
    viewer.end_acquisition()
    for t in (4, 5):
        viewer.load_fov(0, t, 0)
        qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] in ("absent", "waiting"), timeout=20_000)
        frame = settle(qtbot, viewer)
        assert frame.planes[0].pixels is None
        with pytest.raises(PlaneNotStoredError):
            viewer.dataset.plane(t)


@pytest.mark.each_binding
def test_live_and_reopened_look_the_same(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    viewer.end_zarr_acquisition()
    viewer.load_fov(1, t=1, z=1)
    settle(qtbot, viewer)
    live = framebuffer(viewer).copy()
    load(qtbot, viewer, run.folder)
    viewer.load_fov(1, t=1, z=1)
    settle(qtbot, viewer)
    assert np.array_equal(live, framebuffer(viewer))


@pytest.mark.parametrize(
    ("start", "arguments", "said"),
    [
        ("start_zarr_acquisition", ([], ["c"], 1, [], 8, 8), "fov_paths must not be empty"),
        ("start_zarr_acquisition", (None, ["c"], 1, [], 8, 8), "fov_paths must not be empty"),
        ("start_zarr_acquisition", (["/x"], ["c"], "two", ["A1:0"], 8, 8), "num_z must be a whole number"),
        ("start_zarr_acquisition", (["/x"], "DAPI", 1, ["A1:0"], 8, 8), "channels must be a list of texts"),
        ("start_acquisition", (["c"], 10**12, 8, 8, ["A1:0"]), "num_z is 1,000,000,000,000: at most"),
        ("start_acquisition", (["c"], 1, None, 8, ["A1:0"]), "height must be a whole number, not None"),
        ("start_acquisition", (["c"], 1, 8, 8, 4), "fov_labels must be a list of texts, not 4"),
        ("run", (7, ["c"], 8, 8), "paths must be a list of texts, not 7"),
        ("start_zarr_acquisition_6d", (["/x"], ["c"], 1, ["many"], 8, 8), "positive"),
        ("start_zarr_acquisition_6d", ([], ["c"], 1, [], 8, 8), "region_paths"),
        ("start_zarr_acquisition_6d", (["/x"], ["c"], 1, [0], 8, 8), "positive"),
        ("start_zarr_acquisition_6d", (["/x"], ["c"], 1, [1, 2], 8, 8), "lengths must match"),
        ("start_zarr_acquisition_6d", (["/x"], ["c"], 1, [1], 8, 8, ["a", "b"]), "lengths must match"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused_and_changes_nothing(
    qtbot, viewer, tmp_path, start, arguments, said
):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    dataset = viewer.dataset
    with pytest.raises(ValueError, match=said):
        getattr(viewer, start)(*arguments)
    assert viewer.dataset is dataset
    assert not viewer.is_push_mode_active()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_a_call_with_what_it_cannot_mean_changes_nothing_and_is_logged_once(qtbot, viewer, tmp_path, caplog):
    run = small_run(tmp_path / "run")
    write(run)
    announce_run(viewer, run)
    settle(qtbot, viewer)
    view = viewer.stage.view
    caplog.clear()
    for odd in ("x", float("nan"), [], b"", np.zeros(2), object()):
        viewer.load_fov(odd)
        viewer.load_fov(0, odd)
        viewer.load_fov(0, 0, odd)
        assert not viewer.set_current_index("fov", odd)
        assert not viewer.set_current_index(odd, 0)
        assert not viewer.go_to_well_fov(odd, odd)
        viewer.register_image(0, 0, 0, CHANNELS[0], "a.tif", odd)
    viewer.set_follow(t=np.zeros(2))
    viewer.remember_views(np.zeros(2))
    assert viewer.stage.view == view
    said = [each.getMessage() for each in caplog.records if "ignored" in each.getMessage()]
    assert [each.partition(":")[0] for each in said] == [
        "load_fov was ignored",
        "set_current_index was ignored",
        "ignored a notification for a plane outside this run",
        "set_follow was ignored",
        "remember_views was ignored",
    ], said


def test_a_place_asked_for_before_anything_is_written_is_gone_to_once_it_is_known(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    viewer.load_fov(2, t=1, z=1)
    assert viewer.stage.view.p == 2
    write(run)
    qtbot.waitUntil(lambda: viewer.stage.view[:3] == (1, 2, 1), timeout=20_000)
    viewer.end_zarr_acquisition()
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))


@pytest.mark.each_binding
def test_a_run_may_be_started_and_ended_from_any_thread(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)

    def acquire() -> None:
        announce_run(viewer, run)
        viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0])
        viewer.end_zarr_acquisition()

    thread = threading.Thread(target=acquire)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: viewer.dataset is not None)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


@pytest.mark.each_binding
def test_a_new_run_shows_nothing_of_the_one_before(qtbot, viewer, tmp_path):
    first = small_run(tmp_path / "first", n_z=3)
    announce_run(viewer, first)
    follow(qtbot, viewer, first)
    viewer.load_fov(2, t=1, z=2)
    settle(qtbot, viewer)
    second = small_run(tmp_path / "second", "6d", regions=("C3",), fovs=(1,), n_t=1, n_z=1, seed=5)
    announce_run(viewer, second)
    assert viewer.stage.view[:3] == (0, 0, 0)
    assert viewer.get_fov_list() == [{"region": "C3", "fov": 0}]
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "waiting"
    assert not viewer.stage.sliders.slider("t").isVisible()
    assert not viewer.stage.sliders.slider("p").isVisible()
    follow(qtbot, viewer, second)
    viewer.end_zarr_acquisition()
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(second, 0, 0, 0))


def test_opening_a_dataset_leaves_push_mode(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    load(qtbot, viewer, run.folder)
    assert not viewer.is_push_mode_active()
    assert not viewer.is_zarr_push_mode_active()
    assert viewer.has_fov_dimension()
    viewer.notify_zarr_frame(0, 0, 0, CHANNELS[0])
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_navigation_by_well_is_by_exact_label(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    assert not viewer.go_to_well_fov("A1", 0)
    announce_run(viewer, run)
    assert viewer.go_to_well_fov("B2", 0)
    assert viewer.stage.view.p == 2
    assert not viewer.go_to_well_fov("B2", 1)
    assert not viewer.go_to_well_fov("b2", 0)
    assert viewer.stage.view.p == 2
    viewer.load_fov(99)
    viewer.load_fov(-1)
    assert viewer.stage.view.p == 2
    viewer.end_zarr_acquisition()


def test_indices_set_by_a_host_are_clamped_and_unknown_dimensions_refused(qtbot, viewer, tmp_path):
    assert not viewer.set_current_index("fov", 0)
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    assert viewer.set_current_index("fov", 99)
    assert viewer.stage.view.p == 2
    assert not viewer.set_current_index("nonsense", 0)
    assert viewer.set_current_index("channel", 1)
    settle(qtbot, viewer)


def test_a_time_point_can_be_gone_to_as_soon_as_it_is_registered(viewer, tmp_path):
    viewer.start_acquisition(list(CHANNELS), 2, 96, 128, ["A1:0", "A1:1"])
    viewer.register_image(3, 1, 0, CHANNELS[0], str(tmp_path / "exp" / "3" / "A1_1_0_first.tiff"))
    viewer.load_fov(1, 3, 1)  # before the event loop had a chance to take in what is new
    assert viewer.stage.view[:3] == (3, 1, 1)
