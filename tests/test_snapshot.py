"""Saving and copying what is shown: the picture as seen, and its planes."""

from __future__ import annotations

import numpy as np
import pytest
import stores
import tifffile
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication
from runs import load
from screen import settle

pytestmark = pytest.mark.gl


@pytest.fixture
def shown(qtbot, viewer, tmp_path):
    """A viewer of an image of two channels, at its second time point."""
    path = tmp_path / "cells.zarr"
    array = stores.create_array(path / "0", (2, 2, 1, stores.HEIGHT, stores.WIDTH))
    for t in range(2):
        for c in range(2):
            array[t, c, 0] = stores.plane(t, 0, c, 0)
    stores.write_group(path, stores.image_attributes(channels=["DAPI", "GFP"], squid=False))
    stores.make_old(path)
    load(qtbot, viewer, path)
    viewer.stage.go_to(t=1)
    settle(qtbot, viewer)
    viewer.activateWindow()
    picture = viewer.stage.canvas._gl
    qtbot.mouseClick(picture, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture)
    return viewer


def save(qtbot, viewer, folder, filter_begins, name=None):
    """Save by the dialog that Ctrl+S opens, and wait until it is said to be done."""
    qtbot.keyClick(viewer.stage.canvas._gl, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    dialog = viewer._screen.snapshots._dialog
    qtbot.waitUntil(dialog.isVisible)
    dialog.setDirectory(str(folder))
    dialog.selectNameFilter(next(each for each in dialog.nameFilters() if each.startswith(filter_begins)))
    if name is not None:
        dialog.selectFile(name)
    dialog.accept()
    status = viewer.status_label
    qtbot.waitUntil(
        lambda: status.said("message").startswith("Saved") or "could not" in status.said("message")
    )
    return status.said("message")


def test_the_picture_is_saved_as_seen(qtbot, shown, tmp_path):
    assert save(qtbot, shown, tmp_path, "Picture") == "Saved cells default-0 t2.png"
    seen = shown.stage.picture
    with Image.open(tmp_path / "cells default-0 t2.png") as picture:
        ratio = seen.devicePixelRatioF()
        assert picture.size == (round(seen.width() * ratio), round(seen.height() * ratio))
        assert np.asarray(picture.convert("RGB")).max() > 60


@pytest.mark.parametrize(("kind", "ending"), [("Planes for ImageJ", ".tif"), ("Planes as OME", ".ome.tif")])
def test_the_planes_of_visible_channels_are_saved_as_they_are(qtbot, shown, tmp_path, kind, ending):
    shown.stage.strips.strip(0).on.click()
    settle(qtbot, shown)
    assert save(qtbot, shown, tmp_path, kind, "planes") == f"Saved planes{ending}"
    np.testing.assert_array_equal(
        np.squeeze(tifffile.imread(tmp_path / f"planes{ending}")), stores.plane(1, 0, 1, 0)
    )


def test_what_cannot_be_saved_is_a_sentence(qtbot, shown, tmp_path):
    shown._screen.snapshots.save_to(
        str(tmp_path / "no" / "a.png"), shown.dataset, QImage(4, 4, QImage.Format.Format_RGB32)
    )
    status = shown.status_label
    qtbot.waitUntil(lambda: status.said("message").startswith("a.png could not be saved: the folder"))


def test_the_picture_is_copied(qtbot, shown):
    QApplication.clipboard().clear()
    qtbot.keyClick(shown.stage.canvas._gl, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().image().width() == shown.stage.picture.grab().width()
