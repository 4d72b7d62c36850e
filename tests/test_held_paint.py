"""What changes with every frame is painted with it: the window is not composed anew in between."""

from __future__ import annotations

import threading

import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtWidgets import QWidget
from screen import settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.canvas.waiting_sign import WaitingSign
from ndviewer_light.gui.panels.held_paint import HeldPaint
from ndviewer_light.gui.panels.sliders import AxisSliders
from ndviewer_light.gui.sessions import Session


def test_changes_that_follow_each_other_are_held_and_a_single_one_is_not(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    held, released = HeldPaint(widget), []
    held.released.connect(lambda: released.append(widget.updatesEnabled()))
    held.release()
    assert not held.hold(), "a single one"
    assert widget.updatesEnabled()
    assert held.hold()
    assert not widget.updatesEnabled()
    held.release()
    assert released == [True]
    held.release()
    assert released == [True], "nothing was held"
    assert held.hold()
    qtbot.waitUntil(lambda: released == [True, True], timeout=20_000)  # no frame has come
    assert widget.updatesEnabled() and not held.is_held


def test_sliders_that_grow_again_and_again_are_painted_with_the_frame_that_follows(qtbot):
    sliders = AxisSliders()
    qtbot.addWidget(sliders)
    sliders.set_sizes({"t": 3})
    assert not sliders.held_paint.is_held, "for the first time"
    sliders.set_sizes({"t": 4})
    assert sliders.held_paint.is_held and sliders.size("t") == 4
    sliders.held_paint.release()
    sliders.set_sizes({"t": 4})
    assert not sliders.held_paint.is_held, "nothing has changed"


def test_what_was_held_is_painted_before_it_is_held_again(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.underMouse = lambda: False  # wherever another test has left it
    held = HeldPaint(widget)
    with qtbot.waitExposed(widget):
        widget.show()
    held.hold()
    assert not held.hold(), "the first change is still to be painted, and would be erased meanwhile"
    qtbot.waitUntil(lambda: held.hold(), timeout=20_000)
    held.release()
    assert not held.hold(), "busy all the time, Qt has not painted it yet"
    assert widget.updatesEnabled()
    qtbot.waitUntil(lambda: held.hold(), timeout=20_000)
    held.release()


def shown(qtbot, viewer, n_t):
    """A dataset in memory of which all is there, on screen."""
    source = MemorySource(memory_info(n_t=n_t, n_p=1, n_z=1))
    for t in range(n_t):
        for c in range(len(source.info.channels)):
            source.write((t, 0, c, 0), 10 + t)
    viewer._screen.sessions.ask_for(Session(Dataset(source, path="/a"), "/a"))
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.path == "/a", timeout=20_000)
    settle(qtbot, viewer)
    return source


@pytest.mark.gl
def test_following_moves_the_sliders_with_the_frame_and_leaves_them_painted(qtbot, viewer):
    shown(qtbot, viewer, 20)
    stage = viewer.stage
    held, painted = [], []
    stage.canvas.frame_arrived.connect(lambda: painted.append(stage.sliders.updatesEnabled()))
    for t in range(1, 20):
        stage.follow_to(t=t)
        held.append(stage.sliders.held_paint.is_held)
        qtbot.waitUntil(lambda t=t: stage.canvas.frame.view.t == t, timeout=20_000)
        assert stage.sliders.index("t") == t
    assert any(held)
    assert len(painted) >= 19 and all(painted), "with the frame"
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: not stage.sliders.held_paint.is_held, timeout=20_000)
    assert stage.sliders.updatesEnabled() and stage.sliders.time_strip.updatesEnabled()
    assert "t 20" in stage.overlay.position()


@pytest.mark.gl
def test_the_sign_of_waiting_is_over_the_picture_only_where_a_frame_takes_long(qtbot, viewer):
    shown(qtbot, viewer, 3)
    canvas = viewer.stage.canvas
    sign = canvas.findChild(WaitingSign)
    assert sign.isHidden()
    viewer.stage.go_to(t=1)
    settle(qtbot, viewer)
    assert sign.isHidden()
    look_at, may_go_on = canvas.frames.read, threading.Event()
    canvas.frames.read = lambda *wanted: may_go_on.wait(20) and look_at(*wanted)
    canvas.refresh()
    qtbot.waitUntil(sign.isVisible, timeout=20_000)
    may_go_on.set()
    settle(qtbot, viewer)
    assert sign.isHidden()
