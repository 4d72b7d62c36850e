"""Panels in a window of their own, and what is done to them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from ndviewer_light.gui.panels.sliders import AxisSliders
from ndviewer_light.model import Channel

LEFT = Qt.MouseButton.LeftButton
ROOT = Path(__file__).parents[1]

DAPI = Channel("DAPI 405", "#4D6BFF", window=(100.0, 2500.0))


def shown(qtbot, widget, width=900, height=300):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    widget.activateWindow()
    return widget


def turn_wheel(widget, notches, focus=True):
    if focus:
        widget.setFocus()
    at = QPointF(widget.rect().center())
    event = QWheelEvent(
        at,
        QPointF(widget.mapToGlobal(widget.rect().center())),
        QPoint(0, 0),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)


def run_python(code, **environment):
    """Run `code` in a fresh interpreter that knows the package; the finished process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(name="sliders")
def sliders_in_a_window(qtbot):
    panel = shown(qtbot, AxisSliders())
    panel.set_sizes({"t": 6, "p": 4, "z": 8})
    return panel


def recorded(signal):
    calls = []
    signal.connect(lambda *args: calls.append(args))
    return calls
