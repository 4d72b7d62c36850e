"""Plates whose fields are of one colour each, and what is seen of them in the overview."""

from __future__ import annotations

import numpy as np
import stores
import tensorstore as ts
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from runs import load
from screen import choose_limits, settle

SIDE = 32
WELLS = {"A/1": 1, "A/2": 1, "B/2": 4}
VALUES = {0: (100, 0), 1: (0, 100), 2: (50, 50), 3: (100, 100), 4: (0, 0), 5: (25, 75)}
"""Of each position, what its two channels have everywhere."""


def write_plate(path, n_t=1):
    """A plate whose fields are of one colour each."""
    stores.write_plate(path, WELLS, sizes={"t": n_t, "c": 2, "z": 1, "y": SIDE, "x": SIDE})
    for field, values in zip(fields_of(path), VALUES.values(), strict=True):
        array = opened(field)
        for t in range(n_t):
            for c in range(2):
                array[t, c, 0] = np.full((SIDE, SIDE), values[(c + t) % 2] + 1, "u2")
    stores.make_old(path)
    return path


def fields_of(path):
    return [path / well / str(field) for well, n in WELLS.items() for field in range(n)]


def opened(field):
    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{field}/0/"}}).result()


def shown(qtbot, viewer):
    """Press W, and wait until the overview is complete."""
    QTest.keyClick(viewer.stage.picture, Qt.Key.Key_W)
    overview = viewer._screen.tools.scene
    assert overview.is_shown
    complete(qtbot, overview)
    return overview


def complete(qtbot, overview):
    def is_there():
        overview.step()
        return overview.canvas.scene is not None and not overview.is_busy

    qtbot.waitUntil(is_there, timeout=20_000)
    qtbot.waitUntil(is_there, timeout=20_000)


def where(canvas, p, x=0.5, y=0.5):
    """A point of a field in pixels of the widget."""
    image, ratio = canvas.scene.image(p), canvas.devicePixelRatioF()
    at = canvas.viewport.to_screen(image.left + x * image.width, image.top + y * image.height)
    return QPoint(int(at[0] / ratio), int(at[1] / ratio))


def states(canvas, n):
    """The states of fields as they are drawn; "" where nothing is known yet."""
    marks = [canvas.marks_of(p) for p in range(n)]
    return ["" if each is None or each.state is None else each.state.name for each in marks]


def pixel(canvas, p, x=0.5, y=0.5):
    """The colour on the widget at a point of a field."""
    color = canvas.grab().toImage().pixelColor(where(canvas, p, x, y))
    return np.array([color.red(), color.green(), color.blue()])


def expected(viewer, values):
    """What two channels of these values add up to, with the limits and colours of the strips."""
    strips, total = viewer.stage.strips, np.zeros(3)
    for c, value in enumerate(values):
        if strips.is_channel_visible(c):
            low, high = strips.window_of(c)
            color = strips.color_of(c)
            rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
            total += np.clip((value - low) / (high - low), 0, 1) * rgb
    return np.clip(total, 0, 255)


def assert_all_shown(viewer, canvas, fields=VALUES):
    for p, values in fields.items():
        found, wanted = pixel(canvas, p, 0.4, 0.6), expected(viewer, [value + 1 for value in values])
        assert abs(found - wanted).max() <= 1.5, (p, found, wanted)


def opened_plate(qtbot, viewer, tmp_path):
    """The path of a plate that the viewer shows, with limits of 0 and 200."""
    path = write_plate(tmp_path / "p.ome.zarr")
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    return path
