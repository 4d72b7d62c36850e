"""An hour at the window without a mouse: key events to whatever has the focus, from opening to saving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QFileDialog, QLineEdit, QMenu, QWidget
from runs import small_run, write
from screen import activate, framebuffer, settle

from ndviewer_light.gui.windows.window_settings import note_opened
from ndviewer_light.rendering.contrast import ContrastMode

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from ndviewer_light.gui.viewer import LightweightViewer
    from ndviewer_light.gui.windows.window import LightweightMainWindow

pytestmark = [pytest.mark.gl, pytest.mark.each_binding]
KEY = Qt.Key
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CTRL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
TIMEOUT = 20_000


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Typist:
    """Presses keys, and knows nothing of what is where but what has the focus."""

    def __init__(self, qtbot: QtBot, window: QWidget) -> None:
        self.qtbot = qtbot
        self.window = window

    @property
    def focus(self) -> QWidget:
        popup = QApplication.activePopupWidget()
        if popup is not None:
            return popup
        found = QApplication.focusWidget()
        return found if found is not None else self.window

    def press(self, key: Qt.Key, modifiers: Qt.KeyboardModifier = NONE, times: int = 1) -> None:
        for _ in range(times):
            QTest.keyClick(self.focus, key, modifiers)

    def type(self, text: str) -> None:
        QTest.keyClicks(self.focus, text)

    def tab_to(self, name: str, modifiers: Qt.KeyboardModifier = NONE) -> QWidget:
        """Press Tab until what has the focus is called that."""
        for _ in range(200):
            if name in (self.focus.accessibleName(), getattr(self.focus, "text", str)()):
                return self.focus
            self.press(KEY.Key_Backtab if modifiers else KEY.Key_Tab, modifiers)
        raise AssertionError(f"Tab never leads to {name!r}")

    def choose(self, text: str) -> None:
        """In the menu that is open, go down to an entry that begins so, and press Enter."""
        self.qtbot.waitUntil(lambda: isinstance(QApplication.activePopupWidget(), QMenu), timeout=TIMEOUT)
        menu = QApplication.activePopupWidget()
        for _ in range(80):
            active = menu.activeAction()
            if active is not None and active.text().startswith(text):
                break
            self.press(KEY.Key_Down)
        else:
            raise AssertionError(f"{text!r} is not in the menu")
        if active.menu() is None:
            self.press(KEY.Key_Return)
        else:
            self.press(KEY.Key_Right)

    def dialog(self, kind: type[QDialog]) -> QDialog:
        """The dialog that has opened, active."""
        found: list[QDialog] = []

        def is_there() -> bool:
            found[:] = [each for each in QApplication.topLevelWidgets() if isinstance(each, kind)]
            found[:] = [each for each in found if each.isVisible()]
            return bool(found)

        self.qtbot.waitUntil(is_there, timeout=TIMEOUT)
        activate(self.qtbot, found[0])
        return found[0]


@pytest.fixture
def window(qtbot: QtBot, window: LightweightMainWindow) -> LightweightMainWindow:
    assert window.viewer.stage is not None  # what is in a window is built a moment after it is shown
    activate(qtbot, window)
    return window


@pytest.fixture
def typist(qtbot: QtBot, window: LightweightMainWindow) -> Typist:
    return Typist(qtbot, window)


@pytest.fixture
def viewer(qtbot: QtBot, window: LightweightMainWindow, typist: Typist, tmp_path: Path) -> LightweightViewer:
    """A run of stacks, opened by typing where it is."""
    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    typist.press(KEY.Key_O, CTRL)
    typist.dialog(QDialog)
    assert isinstance(typist.focus, QLineEdit)
    typist.type(str(run.folder))
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=TIMEOUT):
        if QApplication.activePopupWidget() is not None:  # of completions
            typist.press(KEY.Key_Escape)
        typist.press(KEY.Key_Return)
    settle(qtbot, window.viewer)
    activate(qtbot, window)
    return window.viewer


def test_a_recent_dataset_is_opened_again(
    qtbot: QtBot, window: LightweightMainWindow, typist: Typist, tmp_path: Path
) -> None:
    run = small_run(tmp_path / "run")
    write(run)
    for path in (str(tmp_path / "gone"), str(run.folder)):
        note_opened(path)
    typist.press(KEY.Key_O, CTRL)
    typist.dialog(QDialog)
    typist.tab_to("Recent datasets")
    typist.press(KEY.Key_Home)
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=TIMEOUT):
        typist.press(KEY.Key_Return)
    assert window.viewer.dataset_path == str(run.folder)


def test_channels_limits_colours_and_contrast(
    qtbot: QtBot, viewer: LightweightViewer, typist: Typist
) -> None:
    strips, name = viewer.stage.strips, viewer.dataset.info.channels[0].name
    typist.tab_to(f"Show {name}")
    typist.press(KEY.Key_Space)
    assert not strips.is_channel_visible(0)
    typist.press(KEY.Key_Space)
    assert strips.is_channel_visible(0)
    typist.tab_to(f"Low of {name}")
    typist.type("120")
    typist.press(KEY.Key_Return)
    assert strips.window_of(0)[0] == 120 and strips.contrast_mode(0) is ContrastMode.MANUAL
    typist.tab_to(f"Limits of {name}")
    typist.press(KEY.Key_Right)
    assert strips.window_of(0)[0] > 120
    typist.press(KEY.Key_Down, CTRL, times=3)
    assert strips.gamma_of(0) < 0.8
    typist.press(KEY.Key_Up, CTRL, times=3)
    assert strips.gamma_of(0) == pytest.approx(1.0, abs=0.03)
    typist.tab_to(f"Contrast of {name}")
    typist.press(KEY.Key_Down)
    typist.choose("Plane")
    assert strips.contrast_mode(0) is ContrastMode.PLANE
    typist.tab_to("Contrast of all channels")
    QTimer.singleShot(0, lambda: typist.choose("Full"))  # in Qt 5, the key waits until the menu is closed
    typist.press(KEY.Key_Space)
    qtbot.waitUntil(lambda: strips.contrast_mode(0) is ContrastMode.FULL, timeout=TIMEOUT)
    assert {strips.contrast_mode(c) for c in range(2)} == {ContrastMode.FULL}
    before = strips.color_of(0)
    typist.tab_to(f"Colour of {name}")
    typist.press(KEY.Key_Space)
    qtbot.waitUntil(lambda: QApplication.activePopupWidget() is not None, timeout=TIMEOUT)
    typist.press(KEY.Key_Down, times=3)
    typist.press(KEY.Key_Return)
    assert strips.color_of(0) != before


def test_going_through_the_run(qtbot: QtBot, viewer: LightweightViewer, typist: Typist) -> None:
    stage = viewer.stage
    typist.tab_to("z")
    typist.press(KEY.Key_Right)
    assert stage.view.z == 1
    typist.tab_to("time")
    typist.press(KEY.Key_End)
    assert stage.view.t == 1
    typist.tab_to("Play z")
    typist.press(KEY.Key_Down)
    typist.choose("2 fps")
    typist.press(KEY.Key_Space)
    assert stage.sliders.is_playing()
    typist.press(KEY.Key_Space)
    assert not stage.sliders.is_playing()
    typist.tab_to("wells of the plate")
    typist.press(KEY.Key_PageDown)
    qtbot.waitUntil(lambda: viewer.dataset.info.positions[stage.view.p].region == "B2", timeout=TIMEOUT)
    typist.press(KEY.Key_G, CTRL)
    typist.type("A1:1 t1 z3")
    typist.press(KEY.Key_Return)
    assert stage.view[:3] == (0, 1, 2)
    assert typist.focus.accessibleName() == "wells of the plate", "where it was before"
    typist.tab_to("Projection along z, or how a volume is drawn")
    typist.press(KEY.Key_Space)
    typist.choose("Max")
    assert stage.view.projection is not None
    typist.tab_to("Planes of the projection")
    typist.press(KEY.Key_Right)
    assert str(stage.view.projection) == "max:1-"


def test_moving_the_picture_and_turning_a_volume(
    qtbot: QtBot, viewer: LightweightViewer, typist: Typist
) -> None:
    canvas = viewer.stage.canvas
    typist.tab_to("Picture")
    typist.press(KEY.Key_Plus)
    typist.press(KEY.Key_Plus)
    qtbot.waitUntil(lambda: not canvas.is_fitting, timeout=TIMEOUT)
    before = canvas.visible_area()
    typist.press(KEY.Key_Right, ALT)
    after = canvas.visible_area()
    assert after.x[0] > before.x[0] and after.y == pytest.approx(before.y)
    typist.press(KEY.Key_Up, ALT)
    assert canvas.visible_area().y[0] < before.y[0]
    typist.press(KEY.Key_R)
    assert canvas.is_fitting
    typist.tab_to("2D: Single plane")
    typist.press(KEY.Key_Right)
    if not viewer.stage.strips.is_3d():
        typist.press(KEY.Key_Space)
    settle(qtbot, viewer)
    assert viewer.stage.view.is_volume
    typist.tab_to("Picture", SHIFT)
    before = framebuffer(viewer).astype(int)
    typist.press(KEY.Key_Right, ALT, times=2)
    qtbot.waitUntil(lambda: np.abs(framebuffer(viewer) - before).max() > 60, timeout=TIMEOUT)
    typist.tab_to("3D: The whole z stack as a volume")
    typist.press(KEY.Key_Left)
    settle(qtbot, viewer)
    assert not viewer.stage.view.is_volume


def test_overview_channels_side_by_side_and_sections(
    qtbot: QtBot, viewer: LightweightViewer, typist: Typist
) -> None:
    tools = viewer._screen.tools
    typist.tab_to("Picture")
    typist.press(KEY.Key_W)
    qtbot.waitUntil(lambda: tools.scene.canvas.scene is not None and not tools.scene.is_busy, timeout=TIMEOUT)
    typist.press(KEY.Key_BracketRight)
    assert viewer.stage.view.p == 1
    typist.press(KEY.Key_Plus)
    before = tools.scene.area
    typist.press(KEY.Key_Left, ALT)
    assert tools.scene.area.x[0] < before.x[0]
    typist.press(KEY.Key_Return)
    assert not tools.scene.is_shown and viewer.stage.view.p == 1
    typist.tab_to("Side by side")
    typist.press(KEY.Key_Space)
    qtbot.waitUntil(lambda: tools.split.is_shown, timeout=TIMEOUT)
    typist.press(KEY.Key_Escape)
    assert not tools.split.is_shown
    typist.press(KEY.Key_V)
    qtbot.waitUntil(lambda: tools.orthogonal.is_complete, timeout=TIMEOUT)
    typist.tab_to("Section XZ")
    z = viewer.stage.view.z
    typist.press(KEY.Key_Down)
    qtbot.waitUntil(lambda: viewer.stage.view.z != z, timeout=TIMEOUT)
    typist.press(KEY.Key_V)
    assert not tools.orthogonal.is_on


def test_a_rectangle_is_put_moved_resized_and_removed(
    qtbot: QtBot, viewer: LightweightViewer, typist: Typist
) -> None:
    measuring = viewer._screen.tools.measuring
    typist.press(KEY.Key_B)
    typist.press(KEY.Key_B)
    qtbot.waitUntil(lambda: len(measuring.shapes) == 1, timeout=TIMEOUT)
    first = measuring.shapes.selected
    middle = (first.a.y + first.b.y) / 2, (first.a.x + first.b.x) / 2
    assert middle == pytest.approx((48, 64), abs=1.5)
    typist.press(KEY.Key_Right, CTRL)
    moved = measuring.shapes.selected
    assert moved.a.x > first.a.x and moved.b.x - moved.a.x == pytest.approx(first.b.x - first.a.x)
    typist.press(KEY.Key_Down, CTRL | SHIFT)
    resized = measuring.shapes.selected
    assert resized.a == moved.a and resized.b.y > moved.b.y and resized.b.x == moved.b.x
    qtbot.waitUntil(lambda: measuring.panel.measured is not None, timeout=TIMEOUT)
    typist.press(KEY.Key_X, times=2)
    assert len(measuring.shapes) == 2 and measuring.shapes.selected.number != first.number
    typist.press(KEY.Key_M, SHIFT)
    assert measuring.shapes.selected.number == first.number
    typist.tab_to("Picture")
    typist.press(KEY.Key_Delete)
    assert len(measuring.shapes) == 1
    typist.press(KEY.Key_I)
    typist.press(KEY.Key_Escape)
    assert measuring.hand.kind is None and len(measuring.shapes) == 1


def test_a_snapshot_a_film_and_the_keys(
    qtbot: QtBot, viewer: LightweightViewer, typist: Typist, tmp_path: Path
) -> None:
    tools = viewer._screen.tools
    for dialog in (QFileDialog,):
        assert not [each for each in QApplication.topLevelWidgets() if isinstance(each, dialog)]
    button = typist.tab_to("Save…")
    typist.press(KEY.Key_Space)
    qtbot.waitUntil(lambda: QApplication.activePopupWidget() is not None, timeout=TIMEOUT)
    menu = QApplication.activePopupWidget()
    below = button.mapToGlobal(button.rect().bottomLeft())
    assert (menu.pos() - below).manhattanLength() < 12, "below its button, wherever the mouse is"
    typist.choose("Picture or planes…")
    typist.dialog(QFileDialog)
    typist.type(str(tmp_path / "seen.png"))
    typist.press(KEY.Key_Return)
    qtbot.waitUntil((tmp_path / "seen.png").exists, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: viewer.status_label.said("message") == "Saved seen.png", timeout=TIMEOUT)
    assert not QImage(str(tmp_path / "seen.png")).isNull()
    activate(qtbot, typist.window)
    typist.tab_to("Picture")
    typist.press(KEY.Key_M, CTRL | SHIFT)
    dialog = typist.dialog(type(tools.films.dialog) if tools.films.dialog is not None else QDialog)
    typist.tab_to("Over")
    typist.press(KEY.Key_Down)
    assert dialog.plan.axis == "z"
    typist.tab_to("Frames per second")
    typist.press(KEY.Key_Up)
    assert dialog.plan.fps == 11
    typist.tab_to("Time")
    typist.press(KEY.Key_Space)
    typist.tab_to("Save…")
    with qtbot.waitSignal(tools.films.ended, timeout=60_000):
        typist.press(KEY.Key_Space)
        typist.dialog(QFileDialog)
        typist.type(str(tmp_path / "film.gif"))
        typist.press(KEY.Key_Return)
    assert (tmp_path / "film.gif").exists()
    activate(qtbot, typist.window)
    typist.press(KEY.Key_Question, SHIFT)
    sheet = typist.dialog(QDialog)
    assert sheet.objectName() == "keys"
    typist.press(KEY.Key_Escape)
    qtbot.waitUntil(
        lambda: not any(each.objectName() == "keys" for each in QApplication.topLevelWidgets()),
        timeout=TIMEOUT,
    )
