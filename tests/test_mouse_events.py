"""No mouse event of Qt's is kept after it was handled: Python would take the next one in its place for it."""

from __future__ import annotations

import gc

import pytest
import qtpy
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from runs import load
from screen import settle
from test_volume_films import write_stacks

LEFT = Qt.MouseButton.LeftButton


def press_move_release(widget) -> None:
    """As Qt makes events, which end when they are handled; `screen.drag` sends some that Python has made."""
    at = widget.rect().center()
    QTest.mousePress(widget, LEFT, Qt.KeyboardModifier.NoModifier, at)
    QTest.mouseMove(widget, at + QPoint(30, 20))
    QTest.mouseRelease(widget, LEFT, Qt.KeyboardModifier.NoModifier, at + QPoint(30, 20))


def events_of_qt() -> list[QMouseEvent]:
    """Those that Python knows and Qt has made."""
    if qtpy.API == "pyqt5":
        from PyQt5 import sip
    else:
        from PyQt6 import sip
    gc.collect()
    known = [each for each in gc.get_objects() if isinstance(each, QMouseEvent)]
    return [event for event in known if not sip.ispyowned(event)]


@pytest.mark.gl
@pytest.mark.each_binding
def test_clicks_on_a_plane_and_on_a_volume_leave_no_event_of_qt_behind(qtbot, viewer, tmp_path):
    load(qtbot, viewer, write_stacks(tmp_path / "x.zarr"))
    settle(qtbot, viewer)
    surface = viewer.stage.canvas.surface
    press_move_release(surface)
    assert surface.hasFocus() or not viewer.isActiveWindow(), "a click gives the picture the focus"
    assert events_of_qt() == []
    QTest.mouseClick(viewer.stage.strips._volume, LEFT)
    settle(qtbot, viewer)
    press_move_release(viewer.stage.canvas.surface)
    assert events_of_qt() == [], "vispy has events of its own"
