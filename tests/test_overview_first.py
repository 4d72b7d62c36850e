"""The overview of what is opened comes before the main view of it."""

from __future__ import annotations

import pytest
from overview_fields import assert_all_shown, complete, opened_plate, shown, where, write_plate
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from runs import load
from screen import settle

from ndviewer_light.gui import stage

pytestmark = pytest.mark.gl


@pytest.fixture
def plate(qtbot, viewer, tmp_path):
    return opened_plate(qtbot, viewer, tmp_path)


def test_the_main_view_is_built_after_the_overview_of_the_next_dataset(
    qtbot, viewer, plate, tmp_path, monkeypatch
):
    monkeypatch.setattr(stage, "_COVERED_SECONDS", 60.0)
    overview, order = shown(qtbot, viewer), []
    canvas = viewer.stage.canvas
    other = write_plate(tmp_path / "other.ome.zarr")
    canvas.frame_arrived.connect(lambda: order.append(overview.comes_first))
    viewer.load_dataset(str(other))
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.path == str(other), timeout=20_000)
    settle(qtbot, viewer)
    assert viewer.ndv_viewer is not None and overview.is_shown and overview.canvas.scene is not None
    assert order and not any(order)  # its first frame came when all pictures were there
    complete(qtbot, overview)
    assert overview.reading.dataset is viewer.dataset
    QTest.keyClick(overview.canvas, Qt.Key.Key_W)
    assert canvas.isVisible() and canvas.frame is not None


def test_the_main_view_is_built_at_once_when_it_is_shown(qtbot, viewer, plate, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_COVERED_SECONDS", 60.0)
    overview = shown(qtbot, viewer)
    other = write_plate(tmp_path / "other.ome.zarr")
    viewer.stage.cover_comes_first = lambda: overview.is_shown  # as long as pictures are on their way
    viewer.load_dataset(str(other))
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.path == str(other), timeout=20_000)
    complete(qtbot, overview)
    assert viewer.stage.canvas.frames is None
    QTest.mouseDClick(overview.canvas, Qt.MouseButton.LeftButton, pos=where(overview.canvas, 3))
    frame = settle(qtbot, viewer)
    assert frame.view.p == 3 and viewer.stage.canvas.isVisible() and not overview.is_shown


@pytest.mark.each_binding
def test_the_overview_may_be_asked_for_while_the_first_dataset_is_opened(qtbot, viewer, tmp_path):
    overview, path = viewer._screen.tools.scene, write_plate(tmp_path / "p.ome.zarr")
    viewer.load_dataset(str(path))
    QTest.keyClick(viewer, Qt.Key.Key_W)
    assert viewer.dataset is None and not overview.is_shown
    qtbot.waitUntil(lambda: overview.is_shown, timeout=20_000)
    complete(qtbot, overview)
    settle(qtbot, viewer)
    assert_all_shown(viewer, overview.canvas)
    QTest.keyClick(overview.canvas, Qt.Key.Key_W)
    assert viewer.stage.canvas.isVisible() and not overview.is_shown


def test_an_overview_that_was_asked_for_is_not_shown_of_what_comes_much_later(qtbot, viewer, tmp_path):
    overview, path = viewer._screen.tools.scene, write_plate(tmp_path / "p.ome.zarr")
    viewer.load_dataset(str(path))
    QTest.keyClick(viewer, Qt.Key.Key_W)
    QTest.keyClick(viewer, Qt.Key.Key_Escape)  # the opening is cancelled
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    assert not overview.is_shown


def test_the_main_view_does_not_wait_for_long(qtbot, viewer, plate, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_COVERED_SECONDS", 0.0)
    overview = shown(qtbot, viewer)
    viewer.stage.cover_comes_first = lambda: True
    viewer.load_dataset(str(write_plate(tmp_path / "other.ome.zarr")))
    qtbot.waitUntil(lambda: "other" in viewer.stage.dataset.path, timeout=20_000)
    settle(qtbot, viewer)
    assert overview.is_shown and viewer.ndv_viewer is not None
