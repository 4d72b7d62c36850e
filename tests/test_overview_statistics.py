"""Numbers over the fields of the overview, and marks where fields overlap: read back from pixels."""

from __future__ import annotations

import numpy as np
import pytest
import stores
from overview_fields import complete, expected, opened, pixel, shown, where
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from runs import load
from screen import choose_limits, hover, settle

from ndviewer_light.gui.scene.field_pictures import FieldPicture
from ndviewer_light.model import PlaneState
from ndviewer_light.rendering.field_statistics import color_table
from ndviewer_light.rendering.scene_overlays import TINT_ALPHA

pytestmark = pytest.mark.gl

SIDE, UM, STEP = 40, 0.325, 30
VALUES = (50, 150, 100)
TIMEOUT = 20_000


@pytest.fixture
def mosaic(qtbot, viewer, tmp_path):
    """Three tiles of one value each, the later ones lying on the earlier ones."""
    root = tmp_path / "m.zarr"
    for i, value in enumerate(VALUES):
        attributes = stores.image_attributes(channels=stores.CHANNELS[:1])
        path = root / f"tile_{i}"
        stores.write_image(path, sizes={"t": 1, "c": 1, "z": 1, "y": SIDE, "x": SIDE})
        (dataset,) = attributes["multiscales"][0]["datasets"]
        move = {"type": "translation", "translation": [0, 0, 0, 0, i * STEP * UM]}
        dataset["coordinateTransformations"] = [*dataset["coordinateTransformations"][:1], move]
        stores.write_group(path, attributes)
        opened(path)[0, 0, 0] = np.full((SIDE, SIDE), value, "u2")
    stores.write_group(root, {})
    stores.make_old(root)
    load(qtbot, viewer, root)
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 0, 200)
    overview = shown(qtbot, viewer)
    qtbot.waitUntil(lambda: overview.canvas.scene.has_overlaps, timeout=TIMEOUT)
    complete(qtbot, overview)
    return overview


def tinted(viewer, value, share):
    """A field of one value under the colour of a number."""
    alpha = TINT_ALPHA / 255
    return np.array(color_table()[round(share * 255)]) * alpha + expected(viewer, (value,)) * (1 - alpha)


def assert_colours(qtbot, viewer, overview, shares):
    complete(qtbot, overview)
    for p, share in shares.items():
        wanted = tinted(viewer, VALUES[p], share)
        qtbot.waitUntil(
            lambda p=p, wanted=wanted: abs(pixel(overview.canvas, p, 0.5) - wanted).max() <= 2,
            timeout=TIMEOUT,
        )


@pytest.mark.each_binding
def test_fields_have_the_colours_of_their_numbers_with_a_legend(qtbot, viewer, mosaic):
    overview, canvas, numbers = mosaic, mosaic.canvas, viewer._screen.tools.statistics
    assert canvas.legend is None
    QTest.keyClick(canvas, Qt.Key.Key_Q)
    numbers.panel.measure_asked.emit("map")
    qtbot.waitUntil(lambda: numbers.values == [50, 150, 100], timeout=TIMEOUT)
    assert_colours(qtbot, viewer, overview, {0: 0.0, 1: 1.0, 2: 0.5})
    assert (canvas.legend.low, canvas.legend.high) == ("50", "150") and "Mean" in canvas.legend.title
    assert numbers.panel.legend.texts == ("", "")  # the scale is there once
    image = canvas.grab().toImage()
    in_legend = image.pixelColor(14, image.height() - 14)
    assert in_legend.lightness() < 60 or in_legend.lightness() > 180  # its plate, or what is written on it
    told = []
    overview.said.connect(told.append)
    hover(canvas, where(canvas, 1, 0.5))
    qtbot.waitUntil(lambda: any("Mean: 150" in each for each in told), timeout=TIMEOUT)
    overview._menu.values.setChecked(False)
    complete(qtbot, overview)
    assert abs(pixel(canvas, 1, 0.5) - expected(viewer, (150,))).max() <= 1.5 and canvas.legend is None
    qtbot.waitUntil(lambda: numbers.panel.legend.texts == ("50", "150"), timeout=TIMEOUT)
    overview._menu.values.setChecked(True)
    qtbot.waitUntil(lambda: numbers.panel.legend.texts == ("", ""), timeout=TIMEOUT)
    assert_colours(qtbot, viewer, overview, {1: 1.0})
    canvas.zoom(1.5)
    assert_colours(qtbot, viewer, overview, {1: 1.0})
    numbers.panel.close_button.click()
    complete(qtbot, overview)
    assert abs(pixel(canvas, 1, 0.5) - expected(viewer, (150,))).max() <= 1.5 and canvas.legend is None


def test_fields_of_which_nothing_is_known_are_dimmed(qtbot, viewer, mosaic):
    QTest.keyClick(mosaic.canvas, Qt.Key.Key_Q)
    numbers = viewer._screen.tools.statistics
    qtbot.waitUntil(lambda: numbers.values and numbers.values[0] == 50, timeout=TIMEOUT)  # it was in view
    assert_colours(qtbot, viewer, mosaic, {0: 0.5})
    legend = mosaic.canvas.legend
    assert (legend.low, legend.high, len(legend.colors)) == ("50", "", 1)  # one value has no scale
    picture = expected(viewer, (150,))
    assert (pixel(mosaic.canvas, 1, 0.5) < picture.max() * 0.6 + 20).all()


def test_marks_lie_over_neighbours_that_overlap(qtbot, viewer, mosaic):
    canvas = mosaic.canvas
    image = canvas.image_of(0)
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    pixels[..., 3] = 255
    assert image.width() == SIDE

    def corner():
        return pixel(canvas, 0, 0.99, 0.02)

    before = corner()
    assert abs(before - expected(viewer, (150,))).max() <= 1.5  # the neighbour lies there
    for again in (False, True):  # drawn again alone, and with everything
        canvas.show_pictures([FieldPicture(0, None, pixels, PlaneState.PENDING)])
        if again:
            canvas.fit()
            canvas._draw_all_again()
        qtbot.waitUntil(lambda: abs(corner() - (255, 190, 92)).max() <= 2, timeout=TIMEOUT)
    canvas.show_pictures([FieldPicture(0, None, None, PlaneState.UNREADABLE, "damaged")])
    qtbot.waitUntil(lambda: abs(pixel(canvas, 0, 0.9, 0.9) - (205, 96, 84)).max() <= 30, timeout=TIMEOUT)
    assert abs(pixel(canvas, 0, 0.9, 0.5) - expected(viewer, (150,))).max() <= 1.5  # its ground is below
