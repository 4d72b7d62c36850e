"""Labels over the picture in the widget, chosen and looked at as a person does; read from the screen."""

from __future__ import annotations

import numpy as np
import pytest
from hdf5_files import with_masks_in_depth
from label_images import CELLS, COLOUR, write_labelled, write_labels
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from runs import load
from screen import framebuffer, label_bounds, settle
from stores import needs_zarr_3

from ndviewer_light.rendering.label_picture import LabelStyle

pytestmark = [pytest.mark.gl, needs_zarr_3]


def shown_labels(viewer):
    """The colour and opacity of the label layer at the centre of every data pixel: (Y, X, 4)."""
    labels = viewer._screen.tools.labels
    grabbed = labels.layer.grab().toImage().convertToFormat(_format())
    canvas = viewer.stage.canvas
    area, ratio = canvas.visible_area(), labels.layer.devicePixelRatioF()
    size = 0.5
    rows = ((np.arange(CELLS.shape[0]) + 0.5) * size - area.y[0]) / (area.y[1] - area.y[0])
    columns = ((np.arange(CELLS.shape[1]) + 0.5) * size - area.x[0]) / (area.x[1] - area.x[0])
    height, width = labels.layer.height() * ratio, labels.layer.width() * ratio
    found = np.zeros((*CELLS.shape, 4), np.uint8)
    for y, row in enumerate(rows * height):
        for x, column in enumerate(columns * width):
            color = grabbed.pixelColor(int(column), int(row))
            found[y, x] = color.red(), color.green(), color.blue(), color.alpha()
    return found


def _format():
    from qtpy.QtGui import QImage

    return QImage.Format.Format_ARGB32


def on_screen(viewer):
    """The window as the X server has it, picture and labels together: (Y, X, 3) at every data pixel."""
    layer, canvas = viewer._screen.tools.labels.layer, viewer.stage.canvas
    corner = layer.mapToGlobal(QPoint(0, 0))
    grabbed = viewer.screen().grabWindow(0, corner.x(), corner.y(), layer.width(), layer.height()).toImage()
    area = canvas.visible_area()
    found = np.zeros((*CELLS.shape, 3), np.uint8)
    for y, x in np.ndindex(CELLS.shape):
        row = ((y + 0.5) * 0.5 - area.y[0]) / (area.y[1] - area.y[0]) * grabbed.height()
        column = ((x + 0.5) * 0.5 - area.x[0]) / (area.x[1] - area.x[0]) * grabbed.width()
        color = grabbed.pixelColor(int(column), int(row))
        found[y, x] = color.red(), color.green(), color.blue()
    return found


@pytest.fixture
def labelled(qtbot, viewer, tmp_path):
    """A viewer with an image that has labels, once they are known."""
    write_labelled(tmp_path / "x.zarr")
    load(qtbot, viewer, tmp_path / "x.zarr")
    settle(qtbot, viewer)
    panel = viewer._screen.tools.labels.panel
    qtbot.waitUntil(lambda: panel.isVisibleTo(viewer), timeout=20_000)
    assert [panel.names.itemText(i) for i in range(panel.names.count())] == ["cells", "coarse"]
    return viewer


def drawn(qtbot, viewer, **wanted):
    """Wait until what is drawn is what was chosen, for what is on screen."""
    labels = viewer._screen.tools.labels

    def is_there():
        shown = labels.shown
        return (
            shown is not None
            and shown.picture is not None
            and shown.wanted == labels._wanted()
            and all(getattr(shown.wanted, name) == value for name, value in wanted.items())
        )

    qtbot.waitUntil(is_there, timeout=20_000)
    return labels.shown


@pytest.mark.each_binding
def test_labels_lie_over_their_picture(qtbot, labelled):
    viewer, panel = labelled, labelled._screen.tools.labels.panel
    plain = on_screen(viewer)
    viewer.setFocus()
    QTest.keyClick(viewer, Qt.Key.Key_O)
    drawn(qtbot, viewer, name="cells")
    half = shown_labels(viewer)
    assert ((half[..., 3] > 0) == (CELLS != 0)).all()
    assert np.abs(half[CELLS == 1].astype(int) - [*COLOUR[:3], 128]).max() <= 2
    assert len({tuple(pixel) for pixel in half[CELLS == 2].tolist()}) == 1
    QTest.mouseMove(panel.opacity)
    panel.opacity.setValue(100)
    shown = drawn(qtbot, viewer)
    assert shown.wanted.style.opacity == 1
    qtbot.waitUntil(lambda: (on_screen(viewer)[CELLS == 1] == COLOUR[:3]).all(), timeout=20_000)
    together = on_screen(viewer)
    assert np.abs(together[CELLS == 0].astype(int) - plain[CELLS == 0]).max() <= 2  # elsewhere as before
    QTest.mouseClick(panel.on, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: np.abs(on_screen(viewer).astype(int) - plain).max() <= 2, timeout=20_000)


def test_outlines_stay_on_their_labels_while_the_picture_moves(qtbot, labelled):
    viewer, panel = labelled, labelled._screen.tools.labels.panel
    panel.names.setCurrentText("coarse")
    panel.names.activated.emit(1)
    QTest.mouseClick(panel.outline, Qt.MouseButton.LeftButton)
    viewer.stage.canvas.zoom(0.5)
    shown = drawn(qtbot, viewer, name="coarse")
    assert shown.wanted.style.outline
    inner = np.zeros(
        CELLS.shape, bool
    )  # half of the window: an outline of 2 pixels is thinner than a data pixel
    inner[6:10, 6:10] = inner[6:18, 18:26] = True
    found = shown_labels(viewer)[..., 3] > 0
    assert not found[inner].any()
    viewer.stage.canvas.zoom(3)
    drawn(qtbot, viewer, name="coarse")
    picture = viewer._screen.tools.labels.shown.picture[..., 3] > 0
    assert picture.any()
    assert picture.mean() < 0.1  # of the same width on screen


@pytest.mark.each_binding
def test_the_label_under_the_mouse_is_told(qtbot, labelled):
    viewer, labels = labelled, labelled._screen.tools.labels
    assert labels.text_at(5, 20) == ""
    labels.toggle()
    drawn(qtbot, viewer)
    assert labels.text_at(5, 20) == "cells 2 (class nucleus)"
    assert labels.text_at(5, 5) == "cells 1"
    assert labels.text_at(0, 0) == labels.text_at(500, 500) == ""
    viewer.stage._on_hovered((5, 20))
    assert viewer.status_label.text().endswith("cells 2 (class nucleus)")


def test_labels_are_surfaces_in_a_volume(qtbot, viewer, tmp_path):
    """At the place of their voxels, in their colours; those of other planes are cut off with the volume."""
    image = np.full((1, 1, 8, 24, 32), 20, np.uint16)
    labels = np.zeros(image.shape, np.uint32)
    labels[..., 2:6, 4:12, 4:20] = 1
    write_labels(tmp_path / "x.zarr", image, labels, (2, 0.5, 0.5))
    viewer.resize(620, 400)  # without a graphics card, volumes take long
    load(qtbot, viewer, tmp_path / "x.zarr")
    settle(qtbot, viewer)
    panel, stage = viewer._screen.tools.labels.panel, viewer.stage
    qtbot.waitUntil(lambda: panel.isVisibleTo(viewer), timeout=20_000)
    panel.choose("cells", LabelStyle(opacity=1), on=True)
    drawn(qtbot, viewer, name="cells")
    QTest.mouseClick(stage.strips._volume, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)

    qtbot.waitUntil(lambda: label_bounds(viewer) != [], timeout=20_000)
    assert not viewer._screen.tools.labels.layer.isVisible()
    assert label_bounds(viewer) == [2, 2, 4, 10, 6, 12]  # x, y, z in µm
    is_orange = np.abs(framebuffer(viewer)[..., :3].astype(int) - COLOUR[:3]).max(axis=-1) < 90
    assert is_orange.mean() > 0.05
    # cut off with the volume: its first planes are no longer there
    control = stage.sliders.projection_control
    control.show_volume_so("max", (4, None))
    control.changed.emit()
    qtbot.waitUntil(lambda: settle(qtbot, viewer).view.part == (4, None), timeout=20_000)
    qtbot.waitUntil(lambda: label_bounds(viewer) == [2, 2, 0, 10, 6, 4], timeout=20_000)
    viewer._screen.tools.labels.toggle()
    qtbot.waitUntil(lambda: label_bounds(viewer) == [], timeout=20_000)
    viewer._screen.tools.labels.toggle()
    qtbot.waitUntil(lambda: label_bounds(viewer) != [], timeout=20_000)
    QTest.mouseClick(stage.strips._flat, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)
    drawn(qtbot, viewer, name="cells")
    qtbot.waitUntil(lambda: label_bounds(viewer) == [], timeout=20_000)


def test_masks_of_regions_are_surfaces_in_a_volume(qtbot, viewer, tmp_path):
    with_masks_in_depth(tmp_path / "a.nwb")
    viewer.resize(620, 400)  # without a graphics card, volumes take long
    load(qtbot, viewer, tmp_path / "a.nwb")
    settle(qtbot, viewer)
    panel, stage = viewer._screen.tools.labels.panel, viewer.stage
    qtbot.waitUntil(lambda: panel.isVisibleTo(viewer), timeout=20_000)
    panel.choose("PlaneSegmentation", LabelStyle(opacity=1), on=True)
    drawn(qtbot, viewer, name="PlaneSegmentation")
    QTest.mouseClick(stage.strips._volume, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: label_bounds(viewer) != [], timeout=20_000)
    assert label_bounds(viewer) == [2, 4, 5, 20, 24, 25]  # x, y, z in µm: pixels of 1 × 2 × 5


def test_labels_that_a_run_has_in_its_store_are_drawn(qtbot, viewer, tmp_path, monkeypatch):
    monkeypatch.setattr("ndviewer_light.gui.labels.label_controls._LABELS_AGAIN_SECONDS", 0.2)
    store = tmp_path / "run" / "zarr" / "A1" / "fov_0.ome.zarr"
    viewer.start_zarr_acquisition([str(store)], ["DAPI"], 1, ["A1:0"], *CELLS.shape)
    panel = viewer._screen.tools.labels.panel
    write_labelled(store)
    viewer.notify_zarr_frame(0, 0, 0, "DAPI")
    qtbot.waitUntil(lambda: panel.isVisibleTo(viewer), timeout=20_000)
    assert viewer.dataset.live
    viewer._screen.tools.labels.toggle()
    drawn(qtbot, viewer, name="cells")
    assert ((shown_labels(viewer)[..., 3] > 0) == (CELLS != 0)).all()


def test_there_is_no_panel_where_there_are_no_labels(qtbot, labelled, tmp_path):
    labels = labelled._screen.tools.labels
    labels.toggle()
    drawn(qtbot, labelled)
    load(qtbot, labelled, tmp_path / "x.zarr" / "labels" / "cells")
    settle(qtbot, labelled)
    qtbot.waitUntil(lambda: labels.shown is not None, timeout=20_000)
    assert not labels.panel.isVisibleTo(labelled)
    assert not labels.layer.isVisibleTo(labelled)


def test_labels_lie_over_the_panes_of_channels_as_well(qtbot, labelled):
    viewer, panel = labelled, labelled._screen.tools.labels.panel
    viewer._screen.tools.labels.toggle()
    panel.opacity.setValue(100)
    drawn(qtbot, viewer, name="cells")
    viewer.setFocus()
    QTest.keyClick(viewer, Qt.Key.Key_C)
    panes = viewer._screen.tools.split.panes
    (pane,) = panes.panes

    def is_drawn() -> bool:
        image = pane.grab().toImage()
        found = np.zeros((*CELLS.shape, 3), int)
        for y, x in np.ndindex(CELLS.shape):
            at = QPointF(*panes.projection().to_screen(y + 0.5, x + 0.5)) * pane.devicePixelRatioF()
            found[y, x] = image.pixelColor(at.toPoint()).getRgb()[:3]
        is_first = (found == COLOUR[:3]).all(axis=-1)
        return bool((is_first == (CELLS == 1)).all())

    qtbot.waitUntil(is_drawn, timeout=20_000)
    panes.zoom(1.2)
    panes.reset_view()
    qtbot.waitUntil(is_drawn, timeout=20_000)
    QTest.mouseClick(panel.on, Qt.MouseButton.LeftButton)
    assert not is_drawn()
