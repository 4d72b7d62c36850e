"""Labels (masks) over the fields of the overview: chosen as over the main view, read back from its pixels."""

from __future__ import annotations

import numpy as np
import pytest
import stores
from overview_fields import complete, pixel, shown, where
from qtpy.QtCore import QPointF, Qt
from qtpy.QtTest import QTest
from runs import load
from screen import choose_limits, hover, settle
from stores import needs_zarr_3

pytestmark = [pytest.mark.gl, needs_zarr_3]

SIDE = 64
WELLS = {"A/1": 1, "A/2": 1, "B/2": 2}
RED, BLUE = (250, 20, 10, 255), (10, 20, 250, 255)
WITHOUT = 1
"""The position that has no labels."""


def write_labels(field, levels=2):
    """Label 1 fills the left half, with a hole, and label 2 the lower right quarter."""
    import zarr
    from image_stores import Made, halved, write

    cells = np.zeros((SIDE, SIDE), np.uint32)
    cells[:, : SIDE // 2], cells[SIDE // 2 :, SIDE // 2 :] = 1, 2
    cells[8:16, 8:16] = 0
    said = {
        "image-label": {
            "colors": [{"label-value": 1, "rgba": list(RED)}, {"label-value": 2, "rgba": list(BLUE)}],
            "properties": [{"label-value": 2, "class": "nucleus"}],
        }
    }
    group = zarr.open_group(str(field / "labels"), mode="w")
    group.attrs.update({"ome": {"version": "0.5", "labels": ["cells"]}})
    made = [cells[None, None, None]]
    while len(made) < levels:
        made.append(halved(made[-1]))
    scales = [(1.5, 0.325 * 2**level, 0.325 * 2**level) for level in range(levels)]
    write(field / "labels" / "cells", Made(made, ("",), scales, more=said))


def write_plate(path):
    stores.write_plate(path, WELLS, sizes={"t": 1, "c": 1, "z": 1, "y": SIDE, "x": SIDE})
    for p, field in enumerate(fields_of(path)):
        if p != WITHOUT:
            write_labels(field)
    stores.make_old(path)
    return path


def fields_of(path):
    return [path / well / str(field) for well, n in WELLS.items() for field in range(n)]


@pytest.fixture
def plate(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 0, 65_535)
    choose_limits(viewer, 0, 60_000, 65_535)  # black, so that labels alone are seen
    return path


def overview_with_labels(qtbot, viewer):
    """Show the overview and press O, once it is known which labels there are."""
    overview, panel = shown(qtbot, viewer), viewer._screen.tools.labels.panel
    qtbot.waitUntil(lambda: panel.isVisibleTo(viewer), timeout=20_000)
    panel.opacity.setValue(100)
    QTest.keyClick(overview.canvas, Qt.Key.Key_O)
    assert panel.chosen == "cells"
    return overview


def is_near(canvas, p, at, color):
    return np.abs(pixel(canvas, p, *at) - color).max() <= 2


LEFT, RIGHT, HOLE, LOWER = (0.25, 0.75), (0.75, 0.25), (0.18, 0.18), (0.75, 0.75)


def are_drawn(canvas, fields=(0, 2, 3)):
    return all(
        is_near(canvas, p, LEFT, RED[:3])
        and is_near(canvas, p, LOWER, BLUE[:3])
        and is_near(canvas, p, RIGHT, (0, 0, 0))
        for p in fields
    )


def test_labels_lie_over_every_field_that_has_any(qtbot, viewer, plate):
    overview = overview_with_labels(qtbot, viewer)
    canvas, panel = overview.canvas, viewer._screen.tools.labels.panel
    qtbot.waitUntil(lambda: are_drawn(canvas), timeout=20_000)
    assert is_near(canvas, WITHOUT, LEFT, (0, 0, 0)) and not panel.problem.text()
    assert is_near(canvas, 2, HOLE, (0, 0, 0))
    told = []
    overview.said.connect(told.append)
    hover(canvas, where(canvas, 2, *LOWER))
    qtbot.waitUntil(lambda: any("cells 2 (class nucleus)" in each for each in told))
    panel.opacity.setValue(50)
    half = np.array(RED[:3]) * 128 / 255
    qtbot.waitUntil(lambda: is_near(canvas, 3, LEFT, half), timeout=20_000)
    QTest.mouseClick(panel.outline, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: is_near(canvas, 3, LEFT, (0, 0, 0)), timeout=20_000)
    assert pixel(canvas, 3, 0.5 - 1 / SIDE, 0.75).max() > 60  # the edge between both
    QTest.mouseClick(panel.on, Qt.MouseButton.LeftButton)
    complete(qtbot, overview)
    assert is_near(canvas, 3, (0.5 - 1 / SIDE, 0.75), (0, 0, 0)) and not canvas.images.labels(3)
    QTest.keyClick(canvas, Qt.Key.Key_O)
    QTest.keyClick(canvas, Qt.Key.Key_W)  # and over the main view, with the same choice
    labels = viewer._screen.tools.labels
    qtbot.waitUntil(
        lambda: labels.shown is not None and labels.shown.picture is not None and labels.layer.isVisible(),
        timeout=20_000,
    )


def test_labels_stay_on_their_pixels_when_one_looks_closer(qtbot, viewer, plate, monkeypatch):
    monkeypatch.setattr("ndviewer_light.gui.scene.scene_labels._LARGEST_PART_PX", 128)
    overview = overview_with_labels(qtbot, viewer)
    canvas = overview.canvas
    canvas.look_at_field(3)
    complete(qtbot, overview)
    qtbot.waitUntil(lambda: are_drawn(canvas, (3,)), timeout=20_000)
    assert len(canvas.images.labels(3)) > 1
    canvas.zoom(4.0, QPointF(where(canvas, 3, 16 / SIDE, 16 / SIDE)))  # the corner of the hole
    complete(qtbot, overview)
    inside, outside = (15.5 / SIDE, 15.5 / SIDE), (16.5 / SIDE, 15.5 / SIDE)
    qtbot.waitUntil(
        lambda: is_near(canvas, 3, inside, (0, 0, 0)) and is_near(canvas, 3, outside, RED[:3]),
        timeout=20_000,
    )
    canvas.fit()
    qtbot.waitUntil(lambda: are_drawn(canvas), timeout=20_000)


def test_labels_that_are_written_later_are_there_after_a_refresh(qtbot, viewer, plate):
    overview = overview_with_labels(qtbot, viewer)
    canvas = overview.canvas
    qtbot.waitUntil(lambda: are_drawn(canvas), timeout=20_000)
    write_labels(fields_of(plate)[WITHOUT], levels=1)
    viewer.refresh()
    qtbot.waitUntil(lambda: are_drawn(canvas, range(4)), timeout=20_000)


def test_why_no_field_has_labels_is_said(qtbot, viewer, plate):
    for p, field in enumerate(fields_of(plate)):
        if p != WITHOUT:
            (field / "labels" / "cells" / "zarr.json").write_text("{")
    overview_with_labels(qtbot, viewer)
    problem = viewer._screen.tools.labels.panel.problem
    qtbot.waitUntil(lambda: bool(problem.text()), timeout=20_000)
