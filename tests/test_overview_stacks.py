"""Stacks in the overview: projected as in the main view, from afar and close, also while they are written."""

from __future__ import annotations

import numpy as np
import pytest
import stores
from overview_fields import complete, expected, opened, pixel, shown, states, where
from qtpy.QtCore import QPointF, Qt
from qtpy.QtTest import QTest
from runs import CHANNELS, load, small_run, write
from screen import choose_limits, hover, settle

from ndviewer_light.engine.projections import StackProjection
from simulate_acquisition import announce_run

pytestmark = pytest.mark.gl

SIDE = 32
STACKS = {0: (20, 120, 60, 90), 1: (150, 30, 40, 10), 2: (70, 80, 100, 60)}


@pytest.fixture
def plate(qtbot, viewer, tmp_path):
    path = tmp_path / "p.ome.zarr"
    stores.write_plate(path, {"A/1": 1, "A/2": 2}, sizes={"t": 1, "c": 1, "z": 4, "y": SIDE, "x": SIDE})
    for field, values in zip(("A/1/0", "A/2/0", "A/2/1"), STACKS.values(), strict=True):
        for z, value in enumerate(values):
            opened(path / field)[0, 0, z] = np.full((SIDE, SIDE), value, "u2")
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 0, 200)
    return path


def assert_shown(qtbot, viewer, overview, values):
    complete(qtbot, overview)
    for p, value in values.items():
        wanted = expected(viewer, (value,))
        qtbot.waitUntil(
            lambda p=p, wanted=wanted: abs(pixel(overview.canvas, p, 0.4, 0.6) - wanted).max() <= 1.5,
        )


def test_stacks_are_projected_as_in_the_main_view(qtbot, viewer, plate):
    overview = shown(qtbot, viewer)
    assert_shown(qtbot, viewer, overview, {p: stack[0] for p, stack in STACKS.items()})
    for projection, of in (
        (StackProjection("max"), max),
        (StackProjection("min"), min),
        (StackProjection("mean", 1, 2), lambda stack: np.mean(stack[1:3])),
        (StackProjection("max", 2), lambda stack: max(stack[2:])),
    ):
        viewer.stage.show_projection(projection)
        assert_shown(qtbot, viewer, overview, {p: of(stack) for p, stack in STACKS.items()})
        assert not viewer._screen.status.said("waiting")
    told = []
    overview.said.connect(told.append)
    hover(overview.canvas, where(overview.canvas, 2))
    qtbot.waitUntil(lambda: any("A2:1" in each and "100" in each for each in told))
    viewer.stage.show_projection(None)
    viewer.set_current_index("z_level", 3)
    assert_shown(qtbot, viewer, overview, {p: stack[3] for p, stack in STACKS.items()})


def test_of_a_volume_a_plane_is_shown_and_said(qtbot, viewer, plate):
    shown(qtbot, viewer)
    viewer.stage.strips.set_3d(True)
    qtbot.waitUntil(
        lambda: viewer._screen.status.said("waiting") == "Overview: plane 1 of each stack, not the volume",
        timeout=20_000,
    )


def test_a_volume_that_is_covered_is_not_drawn_again_until_it_is_seen(qtbot, viewer, plate):
    viewer.stage.strips._volume.click()
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    frame = canvas.frame
    assert frame.view.is_volume
    shown(qtbot, viewer)
    for _ in range(3):
        canvas.refresh()  # as when planes of it are written
        qtbot.wait(50)
    assert canvas.frame is frame and not canvas.busy
    viewer._screen.tools.scene.leave()
    qtbot.waitUntil(lambda: canvas.frame is not frame, timeout=20_000)
    assert settle(qtbot, viewer).view.is_volume


def test_a_sum_has_a_contrast_of_its_own(qtbot, viewer, plate):
    viewer.stage.show_projection(StackProjection("sum"))
    overview = shown(qtbot, viewer)
    complete(qtbot, overview)
    # planes have up to 150
    qtbot.waitUntil(lambda: overview.looks.drawn[0].limits[0] == 230)


def test_close_up_a_projection_has_the_pixels_of_the_data(qtbot, viewer, tmp_path):
    path, size = tmp_path / "p.ome.zarr", 600
    stores.write_plate(path, {"A/1": 1, "A/2": 1}, sizes={"t": 1, "c": 1, "z": 3, "y": size, "x": size})
    data = np.random.default_rng(0).integers(0, 200, (3, size, size)).astype("u2")
    opened(path / "A/2/0")[0, 0] = data
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 0, 200)
    viewer.stage.show_projection(StackProjection("max", 0, 1))
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    canvas.look_at_field(1)
    row, column = 411, 87
    for _ in range(9):
        canvas.zoom(1.6, QPointF(where(canvas, 1, (column + 0.5) / size, (row + 0.5) / size)))
    qtbot.waitUntil(lambda: bool(canvas.images.details(1)), timeout=20_000)
    complete(qtbot, overview)
    for dy, dx in ((-1, -2), (0, 0), (2, 1), (1, -1)):
        at = (column + dx + 0.5) / size, (row + dy + 0.5) / size
        wanted = expected(viewer, (data[:2, row + dy, column + dx].max(),))
        assert abs(pixel(canvas, 1, *at) - wanted).max() <= 1.5, (dy, dx)


def test_projections_fill_in_as_planes_are_announced(qtbot, viewer, tmp_path):
    n_z = 3
    run = small_run(tmp_path / "run", n_t=1, n_z=n_z, channels=CHANNELS[:1])
    announce_run(viewer, run)
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.stage.dataset is viewer.dataset)
    viewer.stage.show_projection(StackProjection("max"))
    overview = viewer._screen.tools.scene
    overview.show()
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PENDING"] * 3, timeout=20_000)
    overview.reading._front_due = float("inf")  # only what is announced is looked for
    write(run)
    field = run.folder / "zarr/A1/fov_1.ome.zarr"
    late = [chunk for chunk in stores.chunk_files(field) if "/c/0/0/2/" in str(chunk)]
    pixels = {chunk: chunk.read_bytes() for chunk in late}
    for chunk in late:
        chunk.unlink()
    for z in range(n_z):
        for fov in (0, 1, 2):
            if (fov, z) != (1, 2):
                viewer.notify_zarr_frame(0, fov, z, CHANNELS[0])
    # of what is written of a stack the picture is shown, with a mark that it is not all
    qtbot.waitUntil(
        lambda: (
            states(overview.canvas, 3) == ["PRESENT", "PENDING", "PRESENT"]
            and overview.canvas.image_of(1) is not None
        ),
        timeout=20_000,
    )
    before = overview.canvas.image_of(1)
    for chunk in late:
        chunk.write_bytes(pixels[chunk])
    viewer.notify_zarr_frame(0, 1, 2, CHANNELS[0])
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PRESENT"] * 3, timeout=20_000)
    qtbot.waitUntil(lambda: overview.canvas.image_of(1) not in (None, before), timeout=20_000)
    viewer.end_zarr_acquisition()


def test_the_key_of_projections_works_in_the_overview(qtbot, viewer, plate):
    overview = shown(qtbot, viewer)
    QTest.keyClick(overview.canvas, Qt.Key.Key_Z)
    assert viewer.stage.view.projection == StackProjection("max")
    assert_shown(qtbot, viewer, overview, {p: max(stack) for p, stack in STACKS.items()})
