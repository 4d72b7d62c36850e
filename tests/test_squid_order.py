"""Squid's calls in every order it makes them in: runs after runs, refused ones, empty ones, any thread."""

from __future__ import annotations

import sys

import pytest
from runs import CHANNELS, LAYOUTS, small_run
from squid_host import NDViewerTab, go_to, sizes, squid_on_screen, wait_for_states, wait_until_shown
from squid_runs import ended, over, saved

from simulate_acquisition import announce_run

pytestmark = [pytest.mark.gl, pytest.mark.pyqt5]

PLANES_PER_FOV = 4  # 2 channels, 2 z


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


# ---- before the first run ---------------------------------------------------------------------------------


def test_the_viewer_is_made_when_the_first_run_starts_and_shown_in_place_of_the_label(qtbot, squid, tmp_path):
    before = "tensorstore" in sys.modules  # by another test
    assert squid.viewer is None
    assert squid.tab.message == NDViewerTab.WAITING
    acquisition = squid.start(small_run(tmp_path / "run"))
    assert squid.tab.message == ""
    assert squid.viewer.isVisible()
    assert type(squid.viewer).__module__.startswith("control.ndviewer_light.")
    over(qtbot, acquisition)
    assert ("tensorstore" in sys.modules) == before


def test_every_call_before_the_first_run_does_nothing(qtbot, squid):
    squid.controller.ndviewer_register_image.emit(0, 0, 0, CHANNELS[0], "/nowhere/0/A1_0_0_c.tiff")
    squid.controller.ndviewer_notify_zarr_frame.emit(0, 0, 0, CHANNELS[0], 0)
    squid.controller.ndviewer_end_zarr_acquisition.emit()
    squid.controller.refuse_acquisition()
    assert not squid.tab.go_to_fov("A1", 0)
    assert not squid.tab.load_fov(0)
    assert squid.viewer is None
    assert squid.tab.message == NDViewerTab.WAITING


# ---- runs that are refused, or empty ----------------------------------------------------------------------


def test_a_refused_start_changes_nothing_of_the_run_before(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    over(qtbot, squid.start(run))
    go_to(squid.viewer, 1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)
    squid.controller.refuse_acquisition()
    qtbot.wait(100)
    assert squid.viewer.stage.view[:3] == (1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)


def test_a_refused_start_does_not_end_the_view_of_a_dataset(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    over(qtbot, squid.start(run))
    squid.tab.set_dataset_path(str(run.folder))
    qtbot.waitUntil(lambda: squid.viewer.dataset is not None, timeout=20_000)
    wait_until_shown(qtbot, squid.viewer, run)
    squid.controller.refuse_acquisition()
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize(
    ("signal", "arguments", "said"),
    [
        pytest.param(
            "ndviewer_start_zarr_acquisition",
            ([], list(CHANNELS), 2, [], 96, 128),
            "failed to start zarr acquisition:\nfov_paths must not be empty",
            id="no field of view at all",
        ),
        pytest.param(
            "ndviewer_start_zarr_acquisition_6d",
            (["/nowhere/zarr/A/acquisition.zarr"] * 2, list(CHANNELS), 2, [2, 0], 96, 128, ["A", "B"]),
            "failed to start 6D regions acquisition",
            id="a region without fields of view",
        ),
    ],
)
def test_a_run_that_makes_no_sense_is_said_in_the_label_and_the_next_one_is_shown(
    qtbot, squid, tmp_path, signal, arguments, said
):
    getattr(squid.controller, signal).emit(*arguments)
    squid.controller.ndviewer_notify_zarr_frame.emit(0, 0, 0, CHANNELS[0], 0)
    squid.controller.ndviewer_end_zarr_acquisition.emit()
    squid.controller.refuse_acquisition()
    assert said in squid.tab.message
    (failure,) = squid.tab.failures
    assert isinstance(failure, ValueError)
    squid.tab.failures.clear()
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run)
    assert squid.tab.message == ""
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_saves_nothing_is_waited_for_and_then_said_to_be_empty(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, saving=False, planes=6)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    go_to(squid.viewer, p=2, z=1)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    assert squid.viewer.stage.overlay.state()[0] == "waiting"
    over(qtbot, acquisition)
    wait_for_states(qtbot, squid.viewer, "ABSENT", "ABSENT")
    assert squid.viewer.stage.overlay.state()[0] == "absent"
    assert squid.tab.go_to_fov("A1", 1)


# ---- one run after the other ------------------------------------------------------------------------------


def test_a_run_begun_while_another_is_on_shows_nothing_of_it(qtbot, squid, tmp_path):
    first = small_run(tmp_path / "first", n_z=3)
    acquisition = squid.start(first, planes=20)
    saved(qtbot, acquisition, 20)
    go_to(squid.viewer, p=2, z=2)
    second = small_run(tmp_path / "second", "6d", regions=("C3",), fovs=(2,), n_t=1, n_z=1, seed=5)
    other = squid.start(second, saves=0)
    assert sizes(squid.viewer) == (1, 2, 1)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    over(qtbot, acquisition)  # its last notifications, and both its ends, come into the run that is on
    other.allow_saves()
    over(qtbot, other)
    wait_until_shown(qtbot, squid.viewer, second)
    go_to(squid.viewer, p=1)
    wait_until_shown(qtbot, squid.viewer, second)


def test_the_time_row_of_a_long_run_is_gone_in_a_run_of_one_time_point(qtbot, squid, tmp_path):
    over(qtbot, squid.start(small_run(tmp_path / "first", n_t=3)))
    qtbot.waitUntil(lambda: squid.viewer.stage.sliders.slider("t").isVisible(), timeout=20_000)
    second = small_run(tmp_path / "second", n_t=1, seed=5)
    acquisition = squid.start(second)
    assert not squid.viewer.stage.sliders.slider("t").isVisible()
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, second)
    assert not squid.viewer.stage.sliders.slider("t").isVisible()


def test_a_closed_tab_makes_a_new_viewer_for_the_next_run(qtbot, squid, tmp_path):
    first = small_run(tmp_path / "first")
    acquisition = squid.start(first, planes=5)
    saved(qtbot, acquisition, 5)
    closed = squid.viewer
    squid.tab.close()
    assert squid.viewer is None
    over(qtbot, acquisition)  # what it still says reaches nobody
    second = small_run(tmp_path / "second", seed=5)
    acquisition = squid.start(second)
    assert squid.viewer is not closed
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, second)
    closed.setParent(None)
    closed.deleteLater()


def test_notifications_and_ends_into_a_closed_viewer_do_nothing(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, planes=PLANES_PER_FOV)
    viewer = squid.viewer
    viewer.close()  # the tab still holds it
    acquisition.allow_planes()
    ended(qtbot, acquisition)
    assert viewer.dataset is None
    assert not viewer.is_push_mode_active()


# ---- from any thread --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_threads_of_a_run_may_call_the_viewer_themselves(qtbot, squid, tmp_path, layout):
    first = small_run(tmp_path / "first")
    over(qtbot, squid.start(first))
    run = small_run(tmp_path / "run", layout, seed=5)
    acquisition = squid.start(run, directly=squid.viewer, results_per_move=100)
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, 1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)


def test_an_end_without_a_start_and_a_start_without_an_end_do_no_harm(qtbot, squid, tmp_path):
    first, second = small_run(tmp_path / "first"), small_run(tmp_path / "second", seed=5)
    over(qtbot, squid.start(first))
    for _ in range(2):
        squid.tab.end_acquisition()
        squid.tab.end_zarr_acquisition()
    announce_run(squid.viewer, small_run(tmp_path / "never"))
    acquisition = squid.start(second)
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, second)
