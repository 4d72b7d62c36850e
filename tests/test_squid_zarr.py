"""Zarr runs as Squid drives them: notifications that lag or never come, zeros, damage, wrong hints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import LAYOUTS, small_run
from squid_host import go_to, sizes, squid_on_screen, states, wait_for_states, wait_until_shown
from squid_runs import ended, over, saved

pytestmark = [pytest.mark.gl, pytest.mark.pyqt5]

PLANES_PER_FOV = 4  # 2 channels, 2 z
ALL_PLANES = 2 * 3 * PLANES_PER_FOV


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


# ---- notifications --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("results_per_move", [1, 0], ids=["lagging", "none at all"])
def test_what_is_on_disk_is_shown_however_far_notifications_lag(
    qtbot, squid, tmp_path, layout, results_per_move
):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, planes=ALL_PLANES - 1, results_per_move=results_per_move)
    saved(qtbot, acquisition, ALL_PLANES - 1)
    qtbot.waitUntil(lambda: sizes(squid.viewer) == (2, 3, 2), timeout=20_000)
    for place in ((0, 0, 1), (1, 1, 0), (1, 2, 0)):
        go_to(squid.viewer, *place)
        wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, 1, 2, 1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("results_per_move", [1, 0], ids=["lagging", "none at all"])
def test_the_plane_on_screen_follows_the_disk_channel_by_channel(
    qtbot, squid, tmp_path, layout, results_per_move
):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, saves=0, results_per_move=results_per_move)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    acquisition.allow_saves(1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    acquisition.allow_saves(1)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_burst_of_notifications_followed_by_both_ends_leaves_the_last_planes_on_screen(
    qtbot, squid, tmp_path, layout
):
    run = small_run(tmp_path / "run", layout, n_t=3, n_z=5)
    acquisition = squid.start(run)
    assert squid.tab.load_fov(2, 2, 4)
    over(qtbot, acquisition)
    qtbot.waitUntil(lambda: squid.viewer.stage.view[:3] == (2, 2, 4), timeout=20_000)
    wait_until_shown(qtbot, squid.viewer, run)


def test_without_any_notification_the_last_planes_are_on_screen_after_the_end(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, results_per_move=0, saves=1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


def test_planes_that_reach_the_disk_after_both_ends_are_shown(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, saves=1)
    saved(qtbot, acquisition, 1)
    squid.tab.end_zarr_acquisition()
    squid.tab.end_acquisition()
    wait_for_states(qtbot, squid.viewer, "PRESENT", "ABSENT")
    acquisition.allow_saves(1)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)


def test_the_place_the_user_looks_at_stays_while_the_run_goes_on(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, planes=ALL_PLANES // 2)
    saved(qtbot, acquisition, ALL_PLANES // 2)
    qtbot.waitUntil(lambda: sizes(squid.viewer) == (2, 3, 2), timeout=20_000)
    go_to(squid.viewer, 0, 1, 1)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)
    assert squid.viewer.stage.view[:3] == (0, 1, 1)
    wait_until_shown(qtbot, squid.viewer, run)


# ---- zeros ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_all_zero_frame_is_black_once_it_is_notified_though_nothing_of_it_is_stored(
    qtbot, squid, tmp_path, layout
):
    run = small_run(tmp_path / "run", layout, blank=(1,))
    acquisition = squid.start(run, planes=PLANES_PER_FOV)
    saved(qtbot, acquisition, PLANES_PER_FOV)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


def test_planes_nobody_wrote_are_not_taken_for_black_ones(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, planes=PLANES_PER_FOV)
    saved(qtbot, acquisition, PLANES_PER_FOV)
    go_to(squid.viewer, p=1)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    assert squid.viewer.stage.overlay.state()[0] == "waiting"
    acquisition.kill_saving()
    over(qtbot, acquisition)
    wait_for_states(qtbot, squid.viewer, "ABSENT", "ABSENT")
    assert squid.viewer.stage.overlay.state()[0] == "absent"


# ---- files in the making ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_half_written_metadata_hides_nothing_for_longer_than_it_lasts(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    acquisition = squid.start(run, planes=PLANES_PER_FOV)
    saved(qtbot, acquisition, PLANES_PER_FOV)
    wait_until_shown(qtbot, squid.viewer, run)
    store = Path(run.region_paths[0] if layout == "6d" else run.fov_paths[0]) / "zarr.json"
    whole = store.read_text()
    store.write_text(whole[: len(whole) // 2])
    go_to(squid.viewer, z=1)
    qtbot.wait(300)
    store.write_text(whole)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)
    go_to(squid.viewer, t=1, z=1)
    wait_until_shown(qtbot, squid.viewer, run)


def test_locks_that_writers_leave_are_no_planes(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, planes=2)
    saved(qtbot, acquisition, 2)
    store = Path(run.fov_paths[0])
    for name in ("zarr.json.__lock", "0/zarr.json.__lock", "0/c/0/0/1/0/0.__lock", "0/c/0/1/1/0/0.__lock"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(b"\0" * 8)
    wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, z=1)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize(
    ("layout", "compression"), [("per_fov", "balanced"), ("hcs", "best"), ("6d", "balanced")]
)
def test_shards_rewritten_once_per_channel_show_every_channel_as_it_comes(
    qtbot, squid, tmp_path, layout, compression
):
    run = small_run(tmp_path / "run", layout, compression=compression)
    acquisition = squid.start(run, saves=0)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    acquisition.allow_saves(1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    acquisition.allow_saves(1)
    wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)
    go_to(squid.viewer, 1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)


# ---- "complete" -------------------------------------------------------------------------------------------


def says_complete(store: str) -> None:
    path = Path(store) / "zarr.json"
    metadata = json.loads(path.read_text())
    metadata["attributes"]["_squid"]["acquisition_complete"] = True
    path.write_text(json.dumps(metadata))


def test_a_run_said_to_be_complete_too_early_still_shows_what_comes_after(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, planes=PLANES_PER_FOV, results_per_move=0)
    saved(qtbot, acquisition, PLANES_PER_FOV)
    wait_until_shown(qtbot, squid.viewer, run)
    says_complete(run.fov_paths[0])
    qtbot.waitUntil(lambda: squid.viewer.dataset.info.complete is True, timeout=20_000)
    go_to(squid.viewer, t=1)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


def test_a_run_said_to_be_complete_after_its_end_stays_as_it_is(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, saves=ALL_PLANES)
    ended(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)
    assert not acquisition.is_sealed
    acquisition.allow_saves(1)
    qtbot.waitUntil(lambda: acquisition.is_sealed, timeout=20_000)
    qtbot.waitUntil(lambda: squid.viewer.dataset.info.complete is True, timeout=20_000)
    wait_until_shown(qtbot, squid.viewer, run)


def test_a_run_never_said_to_be_complete_shows_its_last_planes(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run")
    acquisition = squid.start(run, saves=ALL_PLANES)
    ended(qtbot, acquisition)
    acquisition.kill_saving()
    go_to(squid.viewer, 1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)
    assert not acquisition.is_sealed
    assert states(squid.viewer) == ["PRESENT", "PRESENT"]
