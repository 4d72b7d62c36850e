"""Squid's plate view: a double click goes to the well and field of view it means, live and reopened."""

from __future__ import annotations

import pytest
from runs import load, small_run
from squid_host import squid_on_screen, wait_for_states, wait_until_shown
from squid_runs import over, saved

pytestmark = [pytest.mark.gl, pytest.mark.pyqt5]

LAYOUTS = ("per_fov", "hcs", "6d", "images", "stacks", "ome_tiff")

# as they are scanned; people count A2, A10, B1, AA1, and strings sort otherwise still
REGIONS, FOVS = ("AA1", "B1", "A2", "A10"), (1, 11, 3, 1)
PLACES = [(region, fov) for region, n in zip(REGIONS, FOVS, strict=True) for fov in range(n)]
COUNTED = [("A2", 0), ("A2", 1), ("A2", 2), ("A10", 0), *(("B1", fov) for fov in range(11)), ("AA1", 0)]


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


def plate(folder, layout):
    return small_run(folder, layout, regions=REGIONS, fovs=FOVS, n_t=1, n_z=1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_double_click_goes_to_its_field_of_view_while_the_run_is_on(qtbot, squid, tmp_path, layout):
    run = plate(tmp_path / "run", layout)
    acquisition = squid.start(run, planes=2 * 13)
    saved(qtbot, acquisition, 2 * 13)
    for well, fov in (("A2", 0), ("B1", 10), ("B1", 2), ("AA1", 0)):
        assert squid.tab.go_to_fov(well, fov)
        assert squid.viewer.stage.view.p == PLACES.index((well, fov))
        wait_until_shown(qtbot, squid.viewer, run)
    over(qtbot, acquisition)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_double_click_on_a_field_of_view_without_data_goes_there_and_says_so(
    qtbot, squid, tmp_path, layout
):
    run = plate(tmp_path / "run", layout)
    acquisition = squid.start(run, planes=2)
    assert squid.tab.go_to_fov("A10", 0)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


def test_a_double_click_on_what_the_run_does_not_have_stays_where_it_is(qtbot, squid, tmp_path):
    run = plate(tmp_path / "run", "hcs")
    over(qtbot, squid.start(run))
    assert squid.tab.go_to_fov("A10", 0)
    for well, fov in (("A1", 0), ("a10", 0), ("A10", 1), ("A10", -1), ("", 0), ("A", 100)):
        assert not squid.tab.go_to_fov(well, fov)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_double_click_keeps_time_and_z(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    over(qtbot, squid.start(run))
    assert squid.tab.load_fov(0, 1, 1)
    assert squid.tab.go_to_fov("B2", 0)
    qtbot.waitUntil(lambda: squid.viewer.stage.view[:3] == (1, 2, 1), timeout=20_000)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_double_click_goes_to_the_same_place_after_reopening(qtbot, squid, tmp_path, layout):
    run = plate(tmp_path / "run", layout)
    over(qtbot, squid.start(run))
    load(qtbot, squid.viewer, run.folder)
    viewer = squid.viewer
    assert viewer.has_fov_dimension()
    assert not viewer.is_push_mode_active()
    listed = [(entry["region"], entry["fov"]) for entry in viewer.get_fov_list()]
    assert sorted(listed) == sorted(PLACES)
    for well, fov in (("A2", 2), ("A10", 0), ("B1", 10), ("B1", 2), ("AA1", 0)):
        assert squid.tab.go_to_fov(well, fov)
        assert viewer.stage.view.p == listed.index((well, fov))
        wait_until_shown(qtbot, viewer, run, p=PLACES.index((well, fov)))
    assert not squid.tab.go_to_fov("A10", 1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_list_is_in_the_order_of_the_scan_while_live_and_as_people_count_when_reopened(
    qtbot, squid, tmp_path, layout
):
    run = plate(tmp_path / "run", layout)
    over(qtbot, squid.start(run))
    assert [(entry["region"], entry["fov"]) for entry in squid.viewer.get_fov_list()] == PLACES
    load(qtbot, squid.viewer, run.folder)
    listed = [(entry["region"], entry["fov"]) for entry in squid.viewer.get_fov_list()]
    assert listed == COUNTED


def test_the_list_of_an_empty_viewer_is_empty_and_so_is_its_fov_dimension(qtbot, squid, tmp_path):
    (tmp_path / "empty").mkdir()
    squid.tab.set_dataset_path(str(tmp_path / "empty"))
    qtbot.waitUntil(lambda: "Failed" in squid.viewer.status_label.text(), timeout=20_000)
    assert squid.viewer.get_fov_list() == []
    assert not squid.viewer.has_fov_dimension()
    assert not squid.tab.go_to_fov("A1", 0)
