"""Tab goes through the controls as one reads them, shows where it is, and leads into the viewer and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)
from runs import load, small_run, write
from screen import activate, settle

from ndviewer_light.gui.keyboard.tab_order import arrange_tabs
from ndviewer_light.gui.look.tab_frame import TabFrame
from ndviewer_light.gui.viewer import LightweightViewer

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from ndviewer_light.gui.windows.window import LightweightMainWindow

pytestmark = [pytest.mark.gl, pytest.mark.each_binding]
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def window(qtbot: QtBot, window: LightweightMainWindow, tmp_path: Path) -> LightweightMainWindow:
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, window.viewer, run.folder)
    settle(qtbot, window.viewer)
    activate(qtbot, window)
    return window


def focus() -> QWidget:
    found = QApplication.focusWidget()
    assert found is not None
    return found


def walk(
    first: QWidget, modifiers: Qt.KeyboardModifier = NONE, key: Qt.Key = Qt.Key.Key_Tab
) -> list[QWidget]:
    """The widgets that Tab leads to, from `first` until it is there again."""
    first.setFocus()
    found = [first]
    for _ in range(500):
        QTest.keyClick(focus(), key, modifiers)
        if focus() is first:
            return found
        if focus() is not found[-1]:  # the slider of a channel has two ends
            found.append(focus())
    raise AssertionError("it never comes back")


def middle(widget: QWidget, window: QWidget) -> QPoint:
    return widget.mapTo(window, widget.rect().center())


def names(widgets: list[QWidget]) -> list[str]:
    return [each.accessibleName() or getattr(each, "text", str)() for each in widgets]


def test_tab_goes_through_all_of_the_window_in_reading_order(window: LightweightMainWindow) -> None:
    found = walk(window.bar.open)
    said = names(found)
    assert len(set(map(id, found))) == len(found)
    bar = [each for each in found if window.bar.isAncestorOf(each)]
    assert found[: len(bar)] == bar
    assert [each.x() for each in bar] == sorted(each.x() for each in bar)
    rest = ["wells of the plate", "Picture", "Play time", "time", "Play z", "z", "Contrast of all channels"]
    assert [name for name in said if name in rest] == rest, said
    for channel in ("405", "488"):
        strip = [each for each in said if channel in each]
        assert [each.split()[0] for each in strip] == [
            "Colour",
            "Show",
            "Limits",
            "Low",
            "Contrast",
            "High",
        ]
    assert said[-1] == "Following"
    assert walk(window.bar.open, SHIFT, Qt.Key.Key_Backtab) == [found[0], *reversed(found[1:])]


def test_every_control_that_can_have_the_focus_is_reached(window: LightweightMainWindow) -> None:
    found = walk(window.bar.open)
    left_out = [
        each
        for each in window.findChildren(QWidget)
        if each.isVisible() and each.isEnabled() and each.focusPolicy() & Qt.FocusPolicy.TabFocus
        if each not in found
    ]
    assert names(left_out) == []
    # a click on one leaves the focus, and with it the keys of the picture, where it is
    buttons = [*window.findChildren(QAbstractButton), *window.findChildren(QComboBox)]
    beside = [each for each in buttons if not window.viewer.contents.pages.message.isAncestorOf(each)]
    by_click = [each for each in beside if each.focusPolicy() & Qt.FocusPolicy.ClickFocus]
    assert names(by_click) == []
    assert all(names(found)), names(found)


def test_what_comes_later_is_in_order_too(window: LightweightMainWindow, qtbot: QtBot) -> None:
    window.viewer.stage.sliders.toggle_projection()
    settle(qtbot, window.viewer)
    said = names(walk(window.bar.open))
    at = said.index("Planes of the projection")
    assert said[at - 2 : at + 1] == ["Play z", "Projection along z, or how a volume is drawn", said[at]] or (
        said[at - 1] == "Projection along z, or how a volume is drawn"
    ), said


@pytest.fixture(params=["gl", "cpu"])
def canvas(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NDVIEWER_CANVAS", request.param)


def test_a_frame_shows_that_tab_led_to_the_picture_and_a_click_shows_none(
    canvas: None, window: LightweightMainWindow, qtbot: QtBot
) -> None:
    surface = window.viewer.stage.canvas.surface
    frame = next(each for each in surface.children() if isinstance(each, TabFrame))
    surface.setFocus(Qt.FocusReason.TabFocusReason)
    assert frame.isVisible() and frame.size() == surface.size()
    edge = frame.grab().toImage().pixelColor(1, frame.height() // 2)
    assert edge.alpha() > 0
    QTest.mouseClick(surface, Qt.MouseButton.LeftButton)
    assert not frame.isVisible() and surface.hasFocus()
    window.bar.open.setFocus()
    QTest.mouseClick(surface, Qt.MouseButton.LeftButton)
    assert surface.hasFocus() and not frame.isVisible()
    window.bar.open.setFocus()
    window.viewer.actions_by_name["measure_distance"]()  # keys go to the picture, which a drag is for now
    assert frame.isVisible()
    QTest.mousePress(surface, Qt.MouseButton.LeftButton)
    assert not frame.isVisible()
    QTest.mouseRelease(surface, Qt.MouseButton.LeftButton)


def test_in_a_host_tab_leads_in_and_out_again(qtbot: QtBot, tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    write(run)
    host, before, after = QWidget(), QLineEdit(), QPushButton("Stop")
    viewer = LightweightViewer()
    column = QVBoxLayout(host)
    for each in (before, viewer, after):
        column.addWidget(each)
    qtbot.addWidget(host)
    host.resize(900, 700)
    with qtbot.waitExposed(host):
        host.show()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    activate(qtbot, host)
    found = walk(before)
    inside = [each for each in found if viewer.isAncestorOf(each)]
    assert found == [before, *inside, after] and len(inside) > 10
    viewer.close()


def test_rows_are_read_from_right_to_left_where_people_do(qtbot: QtBot) -> None:
    page = QWidget()
    row, buttons = QHBoxLayout(page), [QPushButton(name) for name in "abc"]
    for button in (buttons[1], buttons[2], buttons[0]):
        button.setParent(page)
    for button in buttons:
        row.addWidget(button)
    page.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    qtbot.addWidget(page)
    with qtbot.waitExposed(page):
        page.show()
    arrange_tabs(page)
    assert buttons[2].x() < buttons[0].x()
    assert buttons[0].nextInFocusChain() is buttons[1] and buttons[1].nextInFocusChain() is buttons[2]


def test_a_column_that_scrolls_is_reached_only_then(window: LightweightMainWindow, qtbot: QtBot) -> None:
    area = window.viewer.contents.side.panels.findChild(QScrollArea)
    assert area.verticalScrollBar().maximum() == 0 and area not in walk(window.bar.open)
    window.resize(1280, 400)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0, timeout=20_000)
    assert area in walk(window.bar.open)
    area.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(area, Qt.Key.Key_Down)
    assert area.verticalScrollBar().value() > 0
