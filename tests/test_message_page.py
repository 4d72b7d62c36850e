"""The page that says what is waited for, or why there is no picture."""

from __future__ import annotations

import pytest
import stores
from panel_eye import LEFT, shown
from screen import settle

from ndviewer_light.gui.windows.message_page import MessagePage


@pytest.mark.each_binding
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


@pytest.mark.each_binding
def test_the_page_offers_what_it_is_told_to(qtbot):
    page = shown(qtbot, MessagePage())
    assert not page.retry_button.isVisible()
    page.show_message("error", "No", "because", retry=True, can_open=True)
    with qtbot.waitSignal(page.retry):
        qtbot.mouseClick(page.retry_button, LEFT)
    with qtbot.waitSignal(page.open_requested):
        qtbot.mouseClick(page.open_button, LEFT)


@pytest.mark.each_binding
@pytest.mark.parametrize("length", [10, 300, 20_000])
def test_a_long_reason_stays_on_the_page(qtbot, length):
    page = shown(qtbot, MessagePage(), 500, 400)
    page.show_message("error", "No", "x" * length, retry=True)
    qtbot.waitUntil(lambda: page.retry_button.geometry().bottom() < page.height())
    assert page.width() == 500
    assert page.detail.toPlainText() == "x" * length


def test_what_the_page_says_is_not_written_below_it_once_more(qtbot, viewer, tmp_path):
    line = viewer.status_label

    def is_blank() -> bool:
        picture = line.grab().toImage()
        return (
            len({picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}) == 1
        )

    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(tmp_path / "nothing"))
    assert "nothing does not exist" in viewer._screen.message.detail.toPlainText()
    assert line.text() == "Failed to load dataset", "hosts can ask"
    assert is_blank()
    line.say("message", "Something else")
    assert not is_blank()


def test_what_could_not_be_opened_is_opened_by_itself_once_its_writer_has_come_further(
    qtbot, viewer, tmp_path
):
    """As of shards, where the folder is there long before anything in it can be read."""
    path = tmp_path / "run.ome.zarr"
    path.mkdir()
    page = viewer._screen.message
    viewer.load_dataset(str(path))
    qtbot.waitUntil(lambda: page.retry_button.isVisible(), timeout=20_000)
    assert viewer.dataset is None
    stores.write_image(path)
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    settle(qtbot, viewer)
