"""The page that says what is waited for, or why there is no picture."""

from __future__ import annotations

import pytest
from panel_eye import LEFT, shown

from ndviewer_light.gui.windows.message_page import MessagePage

pytestmark = pytest.mark.each_binding


def test_the_page_turns_a_ring_only_while_busy_and_seen(qtbot):
    page = shown(qtbot, MessagePage())
    page.show_message("busy", "Opening plate.ome.zarr", "/data/plate.ome.zarr")
    assert page.emblem.is_turning()
    page.hide()
    assert not page.emblem.is_turning()
    page.show()
    assert page.emblem.is_turning()
    page.show_message("error", "No")
    assert not page.emblem.is_turning()


def test_the_page_offers_what_it_is_told_to(qtbot):
    page = shown(qtbot, MessagePage())
    assert not page.retry_button.isVisible()
    page.show_message("error", "No", "because", retry=True, can_open=True)
    with qtbot.waitSignal(page.retry):
        qtbot.mouseClick(page.retry_button, LEFT)
    with qtbot.waitSignal(page.open_requested):
        qtbot.mouseClick(page.open_button, LEFT)


@pytest.mark.parametrize("length", [10, 300, 20_000])
def test_a_long_reason_stays_on_the_page(qtbot, length):
    page = shown(qtbot, MessagePage(), 500, 400)
    page.show_message("error", "No", "x" * length, retry=True)
    qtbot.waitUntil(lambda: page.retry_button.geometry().bottom() < page.height())
    assert page.width() == 500
    assert page.detail.toPlainText() == "x" * length
