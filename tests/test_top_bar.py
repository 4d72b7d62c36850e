"""The bar over our own windows, in windows too narrow for all of its buttons."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu, QPushButton
from screen import activate, choose_in_menu, press, settle

from ndviewer_light.gui.windows.window import LightweightMainWindow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytestqt.qtbot import QtBot


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path) -> Iterator[LightweightMainWindow]:
    pixels = np.arange(2 * 3 * 24 * 32, dtype=np.uint16).reshape(2, 3, 24, 32)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "CZYX"})
    window = LightweightMainWindow(str(tmp_path / "a.ome.tif"))
    qtbot.addWidget(window)
    window.show()
    settle(qtbot, window.viewer)
    yield window
    window.close()


def resize(qtbot: QtBot, window: LightweightMainWindow, width: int) -> None:
    window.resize(width, 560)
    qtbot.waitUntil(lambda: window.bar.width() == width, timeout=20_000)


def in_bar(window: LightweightMainWindow) -> list[QPushButton]:
    """The buttons there is room for, from left to right."""
    found = [each for each in window.bar.findChildren(QPushButton) if each.isVisible()]
    return sorted(found, key=QPushButton.x)


def open_menu(qtbot: QtBot) -> QMenu:
    qtbot.waitUntil(lambda: isinstance(QApplication.activePopupWidget(), QMenu), timeout=20_000)
    return QApplication.activePopupWidget()


@pytest.mark.each_binding
def test_every_button_is_in_the_bar_or_in_the_menu_of_more(qtbot, window):
    bar = window.bar
    resize(qtbot, window, 1366)
    assert bar.more.isHidden()
    everything = [each.text() for each in in_bar(window)]
    n_before = 0
    for width in range(600, 1367, 47):
        resize(qtbot, window, width)
        shown = in_bar(window)
        for left, right in pairwise(shown):
            assert left.geometry().right() < right.x(), (width, left.text())
        assert shown[-1].geometry().right() < width
        assert all(each.width() >= each.sizeHint().width() for each in shown), width
        said = [each.text() for each in shown if each is not bar.more]
        assert len(said) >= n_before, "wider, and fewer buttons"
        n_before = len(said)
        offered = []
        if bar.more.isVisible():
            assert shown[-1] is bar.more
            QTest.mouseClick(bar.more, Qt.MouseButton.LeftButton)
            menu = open_menu(qtbot)
            offered = [each.text().partition("\t")[0] for each in menu.actions()]
            assert all(text.rstrip("…") in bar.more.toolTip() for text in offered)
            edge = bar.more.mapToGlobal(bar.more.rect().bottomRight())
            assert menu.geometry().right() <= edge.x() + 1, "it stays in the window"
            menu.close()
        assert sorted(said + offered) == sorted(everything), width
    assert n_before == len(everything)


def test_what_has_no_room_works_from_the_menu_of_more(qtbot, window):
    bar, stage = window.bar, window.viewer.stage
    resize(qtbot, window, window.minimumSizeHint().width())
    assert bar.more.isVisible() and bar.more.accessibleName() == "More buttons"
    choose_in_menu(bar.more, "Ortho")
    qtbot.waitUntil(lambda: bar.showing["orthogonal"].isChecked(), timeout=20_000)
    QTest.mouseClick(bar.more, Qt.MouseButton.LeftButton)
    menu = open_menu(qtbot)
    checked = {each.text().partition("\t")[0]: each.isChecked() for each in menu.actions()}
    assert checked["Ortho"] and not checked["Side by side"]
    menu.close()
    choose_in_menu(bar.more, "Link windows")
    assert bar.link.isChecked()
    choose_in_menu(bar.more, "1:1")
    qtbot.waitUntil(lambda: not stage.canvas.fit_and_scale()[0], timeout=20_000)
    choose_in_menu(bar.more, "Scale bar…")
    menu = open_menu(qtbot)
    corner = bar.more.mapToGlobal(bar.more.rect().bottomLeft())
    assert menu.y() >= corner.y(), "it opens below the button that was clicked"
    assert menu.geometry().right() >= corner.x()
    menu.close()


@pytest.mark.each_binding
def test_more_is_reached_and_used_by_keyboard(qtbot, window):
    bar = window.bar
    resize(qtbot, window, window.minimumSizeHint().width())
    activate(qtbot, window)
    in_bar(window)[-2].setFocus()
    press(qtbot, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is bar.more
    press(qtbot, Qt.Key.Key_Down)
    menu = open_menu(qtbot)
    at = [each.text().partition("\t")[0] for each in menu.actions()].index("Side by side")
    for _ in range(at + 1):
        QTest.keyClick(menu, Qt.Key.Key_Down)
    QTest.keyClick(menu, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bar.showing["split"].isChecked(), timeout=20_000)
    press(qtbot, Qt.Key.Key_Space)
    menu = open_menu(qtbot)
    QTest.keyClick(menu, Qt.Key.Key_Escape)
    assert window.viewer.contents.tools.split.is_shown
