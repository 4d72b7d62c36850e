"""The launcher and the windows it opens: folders, files and addresses, chosen or dropped."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog, QPushButton

from ndviewer_light.gui.waiting import short_name
from ndviewer_light.gui.window import LauncherWindow

pytestmark = pytest.mark.gl


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/exp/plate.ome.zarr", "plate.ome.zarr"),
        ("/data/exp/", "exp"),
        ("https://host/a/b.zarr/", "b.zarr"),
        ("https://host/a.nd2?X-Amz-Signature=secret/x", "a.nd2"),
        ("s3://bucket/plate.zarr", "plate.zarr"),
        ("", ""),
    ],
)
def test_titles_name_the_dataset_and_no_secrets(path, name):
    assert short_name(path) == name


@pytest.fixture
def launcher(qtbot):
    window = LauncherWindow()
    qtbot.addWidget(window)
    window.show()
    return window


def button(launcher: LauncherWindow, text: str) -> QPushButton:
    return next(button for button in launcher.findChildren(QPushButton) if button.text() == text)


def test_a_file_is_chosen_in_a_dialog_that_waits_for_nobody(qtbot, launcher, tmp_path):
    qtbot.mouseClick(button(launcher, "Open file…"), Qt.MouseButton.LeftButton)
    dialog = launcher.findChild(QFileDialog)
    assert dialog.fileMode() == QFileDialog.FileMode.ExistingFile
    dialog.fileSelected.emit(str(tmp_path / "some.nd2"))
    assert launcher.viewer_window.windowTitle().endswith("some.nd2")
    dialog.close()
    launcher.viewer_window.close()


def test_an_address_is_typed_in(qtbot, launcher):
    qtbot.mouseClick(button(launcher, "Open URL…"), Qt.MouseButton.LeftButton)
    dialog = launcher.findChild(QInputDialog)
    dialog.setTextValue("  https://127.0.0.1:9/plate.ome.zarr ")
    dialog.accept()
    window = launcher.viewer_window
    assert window.viewer.dataset_path == "https://127.0.0.1:9/plate.ome.zarr"
    window.close()


def test_an_empty_address_opens_nothing(qtbot, launcher):
    qtbot.mouseClick(button(launcher, "Open URL…"), Qt.MouseButton.LeftButton)
    launcher.findChild(QInputDialog).accept()
    assert launcher.viewer_window is None
