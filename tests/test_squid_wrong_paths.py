"""What Squid announces is not what it writes: the run is found where it is, by its folder and its labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runs import small_run
from squid_host import go_to, sizes, squid_on_screen, wait_for_states, wait_until_shown
from squid_runs import over, saved

pytestmark = [pytest.mark.gl, pytest.mark.pyqt5]

ALL_PLANES = 2 * 3 * 4
ZARR = ("per_fov", "hcs", "6d")
WRITTEN = (*ZARR, "images", "stacks", "ome_tiff")
# files are announced in the same way whatever the form of TIFF, and found in the same way whatever the stores
_PAIRS = [(announced, written) for announced in ZARR for written in ZARR if announced != written]
_PAIRS += [*zip(ZARR, ("images", "stacks", "ome_tiff"), strict=True), ("per_fov", "ome_tiff")]
_PAIRS += [("images", written) for written in WRITTEN if written != "images"]
PAIRS = [
    pytest.param(announced, written, id=f"{announced} announced, {written} written")
    for announced, written in _PAIRS
]


@pytest.fixture
def squid(qtbot):
    with squid_on_screen(qtbot) as host:
        yield host


@pytest.mark.parametrize(("announced", "written"), PAIRS)
def test_a_run_is_shown_from_where_it_is_really_written(qtbot, squid, tmp_path, announced, written):
    # flexible points: their names look like wells to the GUI, and not to the writer
    run = small_run(tmp_path / "run", written, regions=("R0", "R1"))
    acquisition = squid.start(replace(run, layout=announced), written=run, planes=ALL_PLANES - 1)
    saved(qtbot, acquisition, ALL_PLANES - 1)
    wait_until_shown(qtbot, squid.viewer, run)
    qtbot.waitUntil(lambda: sizes(squid.viewer) == (2, 3, 2), timeout=20_000)
    for place in ((0, 1, 1), (1, 2, 0)):
        go_to(squid.viewer, *place)
        wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, 1, 2, 1)
    wait_for_states(qtbot, squid.viewer, "PRESENT", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)


def test_wells_in_lower_case_are_found_in_the_plate_that_has_them_in_upper_case(qtbot, squid, tmp_path):
    run = small_run(tmp_path / "run", "hcs", regions=("a1", "aa12"))
    acquisition = squid.start(replace(run, layout="per_fov"), written=run)
    over(qtbot, acquisition)
    assert squid.tab.go_to_fov("aa12", 0)
    wait_until_shown(qtbot, squid.viewer, run)


@pytest.mark.parametrize("layout", WRITTEN)
def test_planes_have_the_size_and_type_that_are_written_not_those_announced(qtbot, squid, tmp_path, layout):
    run = small_run(tmp_path / "run", layout, dtype="uint8", height=96, width=160)
    acquisition = squid.start(replace(run, dtype="uint16", height=64, width=64), written=run)
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, run)
    go_to(squid.viewer, 1, 2, 1)
    wait_until_shown(qtbot, squid.viewer, run)
    info = squid.viewer.dataset.info
    assert (info.height, info.width, str(info.dtype)) == (96, 160, "uint8")


@pytest.mark.parametrize(
    ("announced", "written"), [("hcs", "per_fov"), ("per_fov", "ome_tiff"), ("images", "6d")]
)
def test_the_next_run_may_be_announced_rightly(qtbot, squid, tmp_path, announced, written):
    first = small_run(tmp_path / "first", written, regions=("R0", "R1"))
    over(qtbot, squid.start(replace(first, layout=announced), written=first))
    wait_until_shown(qtbot, squid.viewer, first)
    second = small_run(tmp_path / "second", written, regions=("R0", "R1"), seed=5)
    acquisition = squid.start(second, saves=0)
    wait_for_states(qtbot, squid.viewer, "PENDING", "PENDING")
    over(qtbot, acquisition)
    wait_until_shown(qtbot, squid.viewer, second)
