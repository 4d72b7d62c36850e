"""Slots whose exceptions cannot end the process."""

from __future__ import annotations

import logging
from functools import partial

import pytest
from memory_source import Clock
from panel_eye import run_python

from ndviewer_light.gui import slots
from ndviewer_light.gui.slots import LOGGED_FAILURES, safe_slot

pytestmark = pytest.mark.each_binding


class Clumsy:
    def __init__(self):
        self.calls = 0

    @safe_slot
    def fails(self):
        self.calls += 1
        raise ValueError("oops")

    @safe_slot(default=False)
    def filters(self, _event):
        raise LookupError("gone")

    @safe_slot
    def leaves(self):
        raise SystemExit(3)

    @safe_slot
    def interrupted(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "takes_one",
    [
        lambda one: one,
        lambda one, two="": one + two if two else one,
        partial(lambda first, one: first + one, ""),
        partial(lambda one, first: first + one, first=""),
        safe_slot(lambda one: one),
        safe_slot(partial(lambda first, one: first + one, "")),
        str.strip,
    ],
)
def test_what_a_signal_sends_beyond_what_a_slot_takes_is_dropped(takes_one):
    assert safe_slot(takes_one)("one", *[""] * 3) == "one"


def test_a_failing_slot_logs_and_returns(caplog):
    assert Clumsy().fails() is None
    assert Clumsy().filters(object()) is False
    assert [r.getMessage() for r in caplog.records] == ["Clumsy.fails failed", "Clumsy.filters failed"]
    assert caplog.records[0].exc_info[0] is ValueError


def test_a_slot_that_keeps_failing_is_called_all_the_same_and_does_not_fill_the_log(caplog):
    caplog.set_level(logging.ERROR)
    clumsy, other = Clumsy(), Clumsy()
    for _ in range(LOGGED_FAILURES + 200):
        clumsy.fails()
    assert clumsy.calls == LOGGED_FAILURES + 200
    assert len(caplog.records) == LOGGED_FAILURES
    assert "once a minute" in caplog.records[-1].getMessage()
    other.fails()
    assert len(caplog.records) == LOGGED_FAILURES + 1


def test_a_slot_that_fails_now_and_then_is_logged_each_time(caplog, monkeypatch):
    caplog.set_level(logging.ERROR)
    clock = Clock()
    monkeypatch.setattr(slots, "time", clock)
    clumsy = Clumsy()
    for _ in range(2 * LOGGED_FAILURES):
        clumsy.fails()
        clock.now += slots.FORGIVEN_AFTER_S + 1
    assert len(caplog.records) == 2 * LOGGED_FAILURES


def test_a_slot_that_fails_all_day_is_logged_once_a_minute(caplog, monkeypatch):
    caplog.set_level(logging.ERROR)
    clock = Clock()
    monkeypatch.setattr(slots, "time", clock)
    clumsy = Clumsy()
    for _ in range(600):
        clumsy.fails()
        clock.now += 1
    assert LOGGED_FAILURES + 9 <= len(caplog.records) <= LOGGED_FAILURES + 10


@pytest.mark.parametrize(("name", "error"), [("leaves", SystemExit), ("interrupted", KeyboardInterrupt)])
def test_leaving_the_program_passes(name, error):
    with pytest.raises(error):
        getattr(Clumsy(), name)()


def test_arguments_a_slot_does_not_take_are_dropped():
    seen = []

    @safe_slot
    def one(value):
        seen.append(value)

    @safe_slot
    def none():
        seen.append("none")

    one(True, 2)
    none(True)
    assert seen == [True, "none"]


def test_a_failing_slot_does_not_end_the_process():
    code = """
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication, QPushButton
        from ndviewer_light.gui.slots import safe_slot

        class Button(QPushButton):
            {decorator}
            def on_clicked(self):
                raise RuntimeError("in a slot")

        app = QApplication([])
        button = Button()
        button.clicked.connect(button.on_clicked)
        QTimer.singleShot(0, button.click)
        QTimer.singleShot(50, app.quit)
        (app.exec if hasattr(app, "exec") else app.exec_)()
        print("alive")
    """
    undecorated = run_python(code.format(decorator=""))
    assert undecorated.returncode != 0, "an exception in a bare slot ends a PyQt process"
    decorated = run_python(code.format(decorator="@safe_slot"))
    assert (decorated.returncode, decorated.stdout.strip()) == (0, "alive")
    assert "in a slot" in decorated.stderr
