"""The overview of what is being written: fields fill in, and are read again."""

from __future__ import annotations

import numpy as np
import pytest
import stores
from overview_fields import (
    assert_all_shown,
    complete,
    expected,
    fields_of,
    opened,
    pixel,
    shown,
    states,
    write_plate,
)
from runs import CHANNELS, follow, load, small_run, write
from screen import choose_limits, settle

from simulate_acquisition import announce_run

pytestmark = pytest.mark.gl


def test_fields_of_a_run_fill_in_as_they_are_announced_and_look_the_same_when_opened(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1)
    announce_run(viewer, run)
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.stage.dataset is viewer.dataset)
    viewer._screen.tools.scene.show()
    overview = viewer._screen.tools.scene
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PENDING"] * 3, timeout=20_000)
    follow(qtbot, viewer, run)
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PRESENT"] * 3, timeout=20_000)
    viewer.end_zarr_acquisition()
    for c in range(2):
        choose_limits(viewer, c, 0, 5000)
    complete(qtbot, overview)
    qtbot.wait(250)
    complete(qtbot, overview)
    live = [overview.canvas.image_of(p) for p in range(3)]
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 5000)
    qtbot.waitUntil(lambda: [overview.canvas.image_of(p) for p in range(3)] == live)
    assert overview.is_shown
    assert [image.width() for image in live] == [run.width] * 3


def test_a_plane_that_is_written_again_is_shown_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1)
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    viewer._screen.tools.scene.show()
    overview = viewer._screen.tools.scene
    complete(qtbot, overview)
    before = pixel(overview.canvas, 1)
    array = opened(run.folder / "zarr/A1/fov_1.ome.zarr")
    for c, channel in enumerate(CHANNELS):
        array[0, c, 0] = np.zeros((run.height, run.width), array.dtype.numpy_dtype) + 1
        viewer.notify_zarr_frame(0, 1, 0, channel)
    qtbot.waitUntil(lambda: abs(pixel(overview.canvas, 1) - before).max() > 3)
    viewer.end_zarr_acquisition()


def test_what_nobody_has_announced_is_there_after_the_run_and_a_refresh_reads_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1)
    announce_run(viewer, run)
    qtbot.waitUntil(lambda: viewer.stage.dataset is not None)
    overview = viewer._screen.tools.scene
    overview.show()
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PENDING"] * 3, timeout=20_000)
    overview.reading._front_due = float("inf")  # nor has anybody looked
    write(run)
    viewer.end_zarr_acquisition()
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PRESENT"] * 3, timeout=20_000)
    for c in range(2):
        choose_limits(viewer, c, 0, 5000)
    qtbot.waitUntil(lambda: [look.limits for look in overview.looks.drawn.values()] == [(0, 5000)] * 2)
    complete(qtbot, overview)
    before = pixel(overview.canvas, 1)
    array = opened(run.folder / "zarr/A1/fov_1.ome.zarr")
    array[0, :, 0] = np.full((2, run.height, run.width), 5000, array.dtype.numpy_dtype)
    viewer.refresh()
    qtbot.waitUntil(lambda: abs(pixel(overview.canvas, 1) - before).max() > 3)


def test_fields_that_nobody_announces_appear_as_well(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    late = [chunk for field in fields_of(path)[2:] for chunk in stores.chunk_files(field)]
    pixels = {chunk: chunk.read_bytes() for chunk in late}
    for chunk in late:
        chunk.unlink()
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    overview = shown(qtbot, viewer)
    found = states(overview.canvas, 6)
    assert found[:2] == ["PRESENT"] * 2 and "PRESENT" not in found[2:]
    for chunk in late:
        chunk.write_bytes(pixels[chunk])
    qtbot.waitUntil(lambda: states(overview.canvas, 6) == ["PRESENT"] * 6, timeout=20_000)
    complete(qtbot, overview)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    qtbot.waitUntil(lambda: abs(pixel(overview.canvas, 5) - expected(viewer, (26, 76))).max() <= 1.5)
    assert_all_shown(viewer, overview.canvas)
