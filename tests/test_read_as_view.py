"""In the window: what was guessed is corrected, and remembered; what names other files is allowed to."""

from __future__ import annotations

import os
from itertools import pairwise

import h5py
import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from runs import load
from screen import settle
from test_read_as import STACK, write_hdf5, write_names

from ndviewer_light.gui.viewer import LightweightViewer

LEFT = Qt.MouseButton.LeftButton


def sizes(viewer) -> dict[str, int]:
    return {axis: n for axis, n in viewer.dataset.sizes.items() if axis not in "yx" and n > 1}


def choose(qtbot, viewer, text: str) -> None:
    """Choose an entry of "Read as…", and wait until the dataset is open again."""
    button = viewer._screen._row.read_as
    assert button.isVisibleTo(viewer)
    action = next(each for each in button.menu().actions() if each.text().startswith(text))
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        action.trigger()


@pytest.mark.gl
def test_axes_that_were_guessed_are_corrected_and_remembered(qtbot, viewer, tmp_path):
    path = write_hdf5(tmp_path)
    viewer.remember_views()
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    assert sizes(viewer) == {"c": 2, "z": 3}
    said = viewer.status_label.text()
    assert said.startswith(os.path.basename(path)) and "axes are not named" in said, "not where it lies first"
    assert str(path) in viewer.status_label.toolTip()
    menu = viewer._screen._row.read_as.menu()
    checked = [action.text() for action in menu.actions() if action.isChecked()]
    assert checked == ["As found: 2 channels, 3 z planes"]
    choose(qtbot, viewer, "2 time points, 3 z planes")
    settle(qtbot, viewer)
    assert sizes(viewer) == {"t": 2, "z": 3}
    viewer.set_current_index("t", 1)
    viewer.set_current_index("z", 2)
    frame = settle(qtbot, viewer)
    assert np.array_equal(frame.planes[0].pixels, STACK[1, 2])
    menu = viewer._screen._row.read_as.menu()
    assert [action.text() for action in menu.actions() if action.isChecked()] == ["2 time points, 3 z planes"]
    other = LightweightViewer()
    qtbot.addWidget(other)
    other.remember_views()
    load(qtbot, other, path)
    assert sizes(other) == {"t": 2, "z": 3}
    choose(qtbot, other, "As found")
    assert sizes(other) == {"c": 2, "z": 3}
    load(qtbot, other, path)
    assert sizes(other) == {"c": 2, "z": 3}
    other.close()


def test_a_pattern_is_typed_and_one_that_fits_nothing_leads_back(qtbot, viewer, tmp_path):
    write_names(tmp_path)
    load(qtbot, viewer, tmp_path)
    assert sizes(viewer) == {"t": 2, "z": 3}
    read_as = viewer._screen.read_as
    for text, signal in (("b_{t:d}", viewer.dataset_failed), ("a_{c:d}_{p:d}", viewer.dataset_loaded)):
        viewer._screen._row.read_as.other_wanted.emit()
        read_as.dialog.setTextValue(text)
        with qtbot.waitSignal(signal, timeout=20_000):
            read_as.dialog.accept()
        if signal is viewer.dataset_failed:
            QTest.mouseClick(viewer._screen.message.cancel_button, LEFT)  # back
            assert sizes(viewer) == {"t": 2, "z": 3}
    assert sizes(viewer) == {"c": 2, "p": 3}


def test_what_was_remembered_and_does_not_fit_any_more_is_left(qtbot, viewer, tmp_path):
    viewer.remember_views()
    viewer._screen.views.choose_reading(str(tmp_path / "a.h5"), {"axes": "tzyx"})
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = STACK[0]
    load(qtbot, viewer, tmp_path / "a.h5")
    assert sizes(viewer) == {"z": 3}


def test_a_file_that_names_another_opens_once_that_is_allowed(qtbot, viewer, tmp_path):
    write_hdf5(tmp_path)
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["data"] = h5py.ExternalLink("a.h5", "/data")
    path = f"{tmp_path}/master.h5::/data"
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(path)
    button = viewer._screen.message.allow_button
    assert button.isVisibleTo(viewer)
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        QTest.mouseClick(button, LEFT)
    assert sizes(viewer) == {"c": 2, "z": 3}
    # it was for this time: the next file at that place is not trusted
    viewer.remember_views()
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(path)


@pytest.mark.gl
@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_plane_behind_a_link_is_shown_once_that_is_allowed(qtbot, viewer, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    write_names(folder)
    Image.fromarray(np.full((20, 30), 77, np.uint8)).save(tmp_path / "elsewhere.png")
    (folder / "a_1_2.png").unlink()
    (folder / "a_1_2.png").symlink_to(tmp_path / "elsewhere.png")
    load(qtbot, viewer, folder)
    settle(qtbot, viewer)
    button = viewer._screen._row.read_as
    viewer.set_current_index("t", 1)
    viewer.set_current_index("z", 2)
    frame = settle(qtbot, viewer)
    assert frame.planes[0].pixels is None
    qtbot.waitUntil(lambda: any("Allow" in each.text() for each in button.menu().actions()), timeout=20_000)
    choose(qtbot, viewer, "Allow")
    settle(qtbot, viewer)
    viewer.set_current_index("t", 1)
    viewer.set_current_index("z", 2)
    frame = settle(qtbot, viewer)
    assert (frame.planes[0].pixels == 77).all()


@pytest.mark.each_binding
def test_the_arrow_of_the_button_does_not_touch_its_text(qtbot, viewer, tmp_path):
    load(qtbot, viewer, write_hdf5(tmp_path))
    button = viewer._screen._row.read_as
    qtbot.waitUntil(button.isVisible, timeout=20_000)
    image = button.grab().toImage()
    ground = image.pixelColor(image.width() // 2, 3).lightness()
    inside = range(4, image.width() - 4)
    drawn = [
        x
        for x in inside
        if any(abs(image.pixelColor(x, y).lightness() - ground) > 60 for y in range(4, image.height() - 4))
    ]
    gaps = [right - left for left, right in pairwise(drawn)]
    assert max(gaps[-12:]) >= 4, "between the text and the arrow at its right"
