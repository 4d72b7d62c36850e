"""Under a host's palette, light or dark, also one that is switched while the viewer is shown."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QLineEdit, QSpinBox, QTabWidget, QWidget
from screen import settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.look.theme import PANES_GROUND, Panel, PanelColors, panel_style
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.model import PlaneKey

pytestmark = [pytest.mark.gl, pytest.mark.each_binding]

PALETTES = {"light": "#efefef", "dark": "#353535"}


def palette_of(name):
    palette = QPalette(QColor(PALETTES[name]))
    palette.setColor(QPalette.ColorRole.Highlight, QColor("#308cc6"))
    return palette


@pytest.fixture
def app(qapp):
    before = qapp.palette()
    yield qapp
    qapp.setPalette(before)


@pytest.mark.parametrize("accent", ["#308cc6", "#9fe0ff", "#123456"])
def test_a_box_that_is_ticked_has_a_tick_that_can_be_seen(qtbot, accent):
    palette = palette_of("light")
    palette.setColor(QPalette.ColorRole.Highlight, QColor(accent))
    box = QCheckBox()
    qtbot.addWidget(box)
    box.setStyleSheet(panel_style(palette))
    box.setChecked(True)
    box.show()
    picture = box.grab().toImage()
    seen = [picture.pixelColor(x, y) for x in range(2, 13) for y in range(picture.height())]
    tick = [c for c in seen if abs(c.lightness() - QColor(accent).lightness()) > 70]
    assert 6 < len(tick) < 60


def test_boxes_in_a_dark_window_of_a_light_application_are_dark(qtbot, app):
    app.setPalette(palette_of("light"))
    window = QWidget()
    qtbot.addWidget(window)
    window.setPalette(palette_of("dark"))
    panel = Panel(QWidget(window))  # which has the colours of the window, and says so of none
    boxes = QComboBox(panel), QSpinBox(panel)
    window.show()
    for name in ("dark", "light"):
        window.setPalette(palette_of(name))
        line = boxes[1].findChild(QLineEdit)
        for box in (*boxes, line):
            assert box.palette().base().color() == palette_of(name).base().color(), (name, box)


def show(qtbot, viewer, n_c=4):
    source = MemorySource(memory_info(n_c=n_c, n_p=1, n_t=1, n_z=1))
    for c in range(n_c):
        source.stored[PlaneKey(c=c)] = np.arange(16 * 16, dtype=np.uint16).reshape(16, 16)
    viewer._screen.sessions.ask_for(Session(Dataset(source, path="/a"), "/a"))
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    settle(qtbot, viewer)


def test_a_host_that_switches_its_palette_takes_the_panels_along_and_not_what_is_behind_pictures(qtbot, app):
    app.setPalette(palette_of("light"))
    tabs, viewer = QTabWidget(), LightweightViewer(panels=True)
    qtbot.addWidget(tabs)
    tabs.addTab(viewer, "Live")
    tabs.resize(1000, 700)
    tabs.show()
    show(qtbot, viewer)
    viewer.actions_by_name["split"]()
    panes = viewer._screen.tools.split.panes
    qtbot.waitUntil(panes.isVisible, timeout=20_000)
    for name in ("light", "dark", "light"):
        app.setPalette(palette_of(name))
        QApplication.processEvents()
        strip = viewer.stage.strips.strip(0)
        at = strip.mapTo(tabs, strip.rect().center())
        colors = PanelColors.of(palette_of(name))
        card = tabs.grab().toImage().pixelColor(strip.mapTo(tabs, strip.rect().topLeft()).x() + 4, at.y())
        assert abs(card.lightness() - colors.card.lightness()) < 12, name
        ground = panes.grab().toImage().pixelColor(panes.width() - 4, panes.height() - 4)
        assert ground.name() == PANES_GROUND.name(), "of four channels and all of them, one place is empty"
    viewer.close()
    tabs.close()
