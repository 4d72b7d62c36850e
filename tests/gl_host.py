"""A host program that moves the viewer about, and compares what is on its screen with the data.

``python gl_host.py MOVE FOLDER``: the host does not share OpenGL contexts (AA_ShareOpenGLContexts), so
each change of window takes the canvas's context away. Prints "shown N" for the N checks it made.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication, QDockWidget, QLabel, QMainWindow, QTabWidget
from runs import planes_of, small_run
from screen import assert_shows, framebuffer, settle

import ndviewer_light

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulate_acquisition import Run

PATIENCE_S = 30.0
LEFT, RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea


class Loop:
    """Waits while Qt works; the part of pytest-qt's qtbot that `screen` needs."""

    def waitUntil(self, condition: Callable[[], object], timeout: float = PATIENCE_S * 1000) -> None:
        deadline = time.monotonic() + timeout / 1000
        while True:
            QApplication.processEvents()
            try:
                if condition() is not False:
                    return
            except (AssertionError, IndexError, StopIteration):  # not yet, or in the middle of a change
                if time.monotonic() > deadline:
                    raise
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    def wait(self, milliseconds: int) -> None:
        end = time.monotonic() + milliseconds / 1000
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)


class Host:
    """Two windows; the viewer is in a dock of the first one, beside a tab of another dock."""

    def __init__(self, folder: Path) -> None:
        self.run: Run = small_run(folder)
        self.n_checks = 0
        self.window, self.other = QMainWindow(), QMainWindow()
        for window, place in ((self.window, QPoint(40, 40)), (self.other, QPoint(950, 40))):
            window.resize(860, 560)
            window.move(place)
            window.setCentralWidget(QLabel("microscope"))
        self.dock, self.beside = QDockWidget("viewer"), QDockWidget("beside")
        self.beside.setWidget(QLabel("something else"))
        self.window.addDockWidget(LEFT, self.dock)
        self.window.addDockWidget(LEFT, self.beside)
        self.window.tabifyDockWidget(self.beside, self.dock)
        self.viewer = ndviewer_light.LightweightViewer(str(folder))
        self.viewer.setMinimumSize(640, 420)
        self.dock.setWidget(self.viewer)
        self.window.show()
        self.other.show()
        self.loop = Loop()
        self.dock.raise_()

    def check(self, t: int = 0, p: int = 0, z: int = 0) -> None:
        """The canvas holds the pixels of the data, and the screen what is on the canvas."""
        self.n_checks += 1
        self.loop.waitUntil(lambda: self.viewer.dataset is not None)
        self.viewer.load_fov(p, t, z)
        settle(self.loop, self.viewer)  # type: ignore[arg-type]
        wanted = planes_of(self.run, t, p, z)
        self.loop.waitUntil(lambda: assert_shows(self.viewer, wanted))
        self.loop.waitUntil(lambda: assert_on_screen(self.viewer))


def assert_on_screen(viewer: Any) -> None:
    """What the display shows at the canvas's place is the canvas, but for what is written over it."""
    canvas = viewer.stage.canvas.surface
    corner = canvas.mapToGlobal(QPoint(0, 0))
    picture = canvas.screen().grabWindow(0, corner.x(), corner.y(), canvas.width(), canvas.height())
    image = picture.toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.bytesPerLine() * image.height())
    rows = np.frombuffer(bytes(bits), np.uint8).reshape(image.height(), image.bytesPerLine())
    seen = rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).astype(int)
    wanted = framebuffer(viewer).astype(int)
    assert seen.shape == wanted.shape
    assert wanted.max() > 60, "the canvas is black"
    wrong = (np.abs(seen - wanted).max(axis=-1) > 3).mean()
    assert wrong < 0.1, f"{wrong:.0%} of the canvas is not on screen"


# ---- moves --------------------------------------------------------------------------------------------


def float_and_dock_again(host: Host) -> None:
    for place in (1, 2):
        host.dock.setFloating(True)
        host.dock.move(300, 500)
        host.check(p=place)
        host.dock.setFloating(False)
        host.dock.raise_()  # it comes back behind the other one
        host.check(z=1)


def to_the_other_side(host: Host) -> None:
    for area in (RIGHT, LEFT):
        host.window.addDockWidget(area, host.dock)
        host.check(p=1)


def behind_another_dock(host: Host) -> None:
    for place in (1, 2):
        host.beside.raise_()
        host.loop.wait(100)
        host.dock.raise_()
        host.check(p=place)


def to_a_dock_of_another_window(host: Host) -> None:
    for window in (host.other, host.window):
        window.addDockWidget(LEFT, host.dock)
        host.dock.show()
        host.check(p=1)


def through_tabs(host: Host) -> None:
    tabs = QTabWidget()
    tabs.addTab(QLabel("live"), "Live")
    tabs.addTab(host.viewer, "Viewer")
    host.other.setCentralWidget(tabs)
    for place in (0, 1, 2):
        tabs.setCurrentIndex(0)
        host.loop.wait(100)
        host.viewer.load_fov(place)  # what the user asked for while it was hidden
        tabs.setCurrentIndex(1)
        host.check(p=place)


def between_windows(host: Host) -> None:
    for place, window in enumerate((host.other, host.window, host.other)):
        window.setCentralWidget(host.viewer)
        host.viewer.show()
        host.check(p=place)


def alone_and_back(host: Host) -> None:
    host.viewer.setParent(None)
    host.viewer.move(100, 500)
    host.viewer.show()
    host.check(p=1)
    host.window.setCentralWidget(host.viewer)
    host.check(p=2)


def hide_and_show(host: Host) -> None:
    for place in (1, 2):
        host.viewer.hide()
        host.loop.wait(100)
        host.viewer.show()
        host.check(p=place)


def hide_and_show_the_window(host: Host) -> None:
    for place in (1, 2):
        host.window.hide()
        host.loop.wait(100)
        host.window.show()
        host.check(p=place)


def minimise_and_restore(host: Host) -> None:
    for place in (1, 2):
        host.window.showMinimized()
        host.loop.wait(100)
        host.window.showNormal()
        host.check(p=place)


def full_screen_and_back(host: Host) -> None:
    host.other.hide()
    host.window.showFullScreen()
    host.check(p=1)
    host.window.showNormal()
    host.check(p=2)


MOVES = {
    move.__name__: move
    for move in (
        float_and_dock_again,
        to_the_other_side,
        behind_another_dock,
        to_a_dock_of_another_window,
        through_tabs,
        between_windows,
        alone_and_back,
        hide_and_show,
        hide_and_show_the_window,
        minimise_and_restore,
        full_screen_and_back,
    )
}


def main(move: str, folder: str) -> None:
    app = QApplication([])
    assert not app.testAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    host = Host(Path(folder))
    host.check()
    MOVES[move](host)
    host.check(1, 2, 1)
    host.viewer.close()
    sys.stdout.write(f"shown {host.n_checks}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
