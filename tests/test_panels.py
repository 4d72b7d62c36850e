"""Panels under any palette, and in narrow windows."""

from __future__ import annotations

import itertools

import pytest
from panel_eye import DAPI, shown
from qtpy.QtCore import QPoint
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QSplitter, QVBoxLayout, QWidget

from ndviewer_light.gui.look.theme import PanelColors, apply_dark_theme, colors_of, menu_of, panel_style
from ndviewer_light.gui.panels.channels import PREFERRED_WIDTH_PX, ChannelStrips
from ndviewer_light.gui.panels.narrow_window import NEEDED_PX, NarrowWindow
from ndviewer_light.gui.panels.sliders import AxisSliders

pytestmark = pytest.mark.each_binding


# --- theme ---------------------------------------------------------------------------------------------


def contrast(a, b):
    """WCAG contrast ratio of two colours."""

    def luminance(color):
        parts = [c / 255 for c in color.getRgb()[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    brighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def palette_of(window, text, base, accent):
    palette = QPalette()
    roles = QPalette.ColorRole
    for role, color in ((roles.Window, window), (roles.WindowText, text), (roles.Base, base)):
        palette.setColor(role, QColor(color))
    palette.setColor(roles.Highlight, QColor(accent))
    return palette


PALETTES = [
    pytest.param(palette_of("#101114", "#dee1e6", "#181a1e", "#3da5ff"), id="ours"),
    pytest.param(palette_of("#efefef", "#000000", "#ffffff", "#308cc6"), id="light-host"),
    pytest.param(palette_of("#353535", "#ffffff", "#232323", "#2a82da"), id="dark-host"),
]


@pytest.mark.parametrize("palette", PALETTES)
def test_text_is_readable_under_any_palette(palette):
    colors = PanelColors.of(palette)
    for back in (colors.window, colors.card):
        assert contrast(colors.text, back) > 7
        assert contrast(colors.dim, back) > 4.5
        assert contrast(colors.warning, back) > 4.5
    assert contrast(colors.text, colors.accent_fill) > 4.5


LIGHT = palette_of("#efefef", "#000000", "#ffffff", "#308cc6")
DARK = palette_of("#101114", "#dee1e6", "#181a1e", "#3da5ff")


def test_panels_follow_the_palette_of_their_host(qtbot):
    host = QWidget()
    panel = ChannelStrips()
    panel.set_channels([DAPI])
    QVBoxLayout(host).addWidget(panel)
    shown(qtbot, host)
    for palette in (DARK, LIGHT, DARK):
        host.setPalette(palette)
        assert panel.styleSheet() == panel_style(palette)
        assert colors_of(panel.strip(0).slider) == PanelColors.of(palette)
    other = QWidget()
    qtbot.addWidget(other)
    other.setPalette(LIGHT)
    panel.setParent(other)
    assert panel.styleSheet() == panel_style(LIGHT)


def test_menus_have_the_colours_of_their_window_and_not_of_the_application(qtbot):
    host = shown(qtbot, QWidget())
    menu = menu_of(ChannelStrips(host))
    menu.addAction("Fit")
    for palette in (DARK, LIGHT):
        host.setPalette(palette)
        menu.popup(host.mapToGlobal(QPoint(10, 10)))
        qtbot.waitUntil(menu.isVisible)
        near_the_end = QPoint(menu.width() - 4, menu.height() // 2)
        lightness = menu.grab().toImage().pixelColor(near_the_end * menu.devicePixelRatioF()).lightness()
        assert (lightness < 128) == (palette is DARK)
        menu.close()


# --- narrow windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "has_title"), [(200, False), (PREFERRED_WIDTH_PX, True)])
def test_the_title_of_the_channels_gives_way_to_the_buttons_beside_it(qtbot, width, has_title):
    panel = shown(qtbot, ChannelStrips(), width)
    buttons = [panel.contrast, panel._flat, panel._volume]
    assert panel._title.isVisible() == has_title
    row = [panel._title] * has_title + buttons
    assert all(a.geometry().right() < b.geometry().left() for a, b in itertools.pairwise(row))
    assert all(each.width() >= each.sizeHint().width() for each in row)


def test_in_a_narrow_window_the_channels_leave_the_picture_its_room(qtbot):
    splitter, picture, channels = QSplitter(), QWidget(), ChannelStrips()
    splitter.addWidget(picture)
    splitter.addWidget(channels)
    splitter.setStretchFactor(0, 1)
    splitter.setStretchFactor(1, 0)
    NarrowWindow(splitter, channels)
    shown(qtbot, splitter, 600)

    def sizes(width):
        splitter.resize(width, 300)
        qtbot.waitUntil(lambda: sum(splitter.sizes()) == width - splitter.handleWidth())
        return splitter.sizes()

    assert sizes(600)[1] == NEEDED_PX
    assert sizes(1000)[1] == PREFERRED_WIDTH_PX
    splitter.setSizes([600, 400])
    chosen = splitter.sizes()[1]
    assert sizes(620)[1] == NEEDED_PX
    assert sizes(1000)[1] == chosen > PREFERRED_WIDTH_PX
    splitter.setSizes([1000, 0])  # closed by the user
    assert sizes(600)[1] == sizes(1000)[1] == 0


def test_the_dark_theme_reaches_panels_that_were_there_before(qtbot, qapp):
    panel = shown(qtbot, AxisSliders())
    palette, style = QPalette(qapp.palette()), qapp.style().objectName()
    apply_dark_theme(qapp)
    qapp.processEvents()
    try:
        assert panel.colors.window == QColor(16, 17, 20)
        assert panel.colors.accent == QColor(61, 165, 255)
    finally:
        qapp.setPalette(palette)
        qapp.setStyle(style)
