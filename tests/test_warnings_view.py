"""Warnings in the window: each leads to what it is about, with the mouse and with the keyboard."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
import tiffs
from follow_disk import GrowingZarr
from memory_source import MemorySource, memory_info
from PIL import Image, ImageColor
from qtpy.QtCore import QObject, Qt, QUrl
from qtpy.QtCore import Slot as QtSlot
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest
from screen import activate, settle
from test_report import every_key

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.gui.run_status.run_progress import RunState
from ndviewer_light.gui.run_status.warning_ways import folder_of
from ndviewer_light.gui.sessions import Session
from ndviewer_light.model import PlacedWarning, PlaneKey, WarningPlace, how_many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot
    from qtpy.QtWidgets import QApplication

    from ndviewer_light.gui.run_status.warnings_log import WarningsButton
    from ndviewer_light.gui.run_status.warnings_panel import WarningsPanel
    from ndviewer_light.gui.viewer import LightweightViewer

pytestmark = pytest.mark.gl
LEFT, SHIFT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier
ODD = PlacedWarning("A1:2 is odd at time point 2", WarningPlace(t=1, p=2, c=1, z=1))
PLAIN = "Something is assumed"


def show(
    qtbot: QtBot, viewer: LightweightViewer, *warnings: str, path: str = "https://127.0.0.1:9/run"
) -> MemorySource:
    source = MemorySource(memory_info(warnings=warnings))
    for i, key in enumerate(every_key()):
        source.write(key, 10 + i)
    dataset = Dataset(source, path=path)
    viewer._screen.sessions.ask_for(Session(dataset, path))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    return source


def place(viewer: LightweightViewer) -> tuple[int, int, int]:
    return viewer.stage.view[:3]


def button_of(viewer: LightweightViewer) -> WarningsButton:
    return viewer._screen._row.warnings


def panel_of(qtbot: QtBot, viewer: LightweightViewer) -> WarningsPanel:
    panel = button_of(viewer).panel
    assert panel is not None
    activate(qtbot, panel)
    return panel


@pytest.fixture
def folders(qapp: QApplication) -> Iterator[list[str]]:
    """The folders that are shown, instead of by a file manager."""

    class Shown(QObject):
        paths: list[str] = []  # noqa: RUF012

        @QtSlot(QUrl)
        def show(self, url: QUrl) -> None:
            self.paths.append(url.toLocalFile())

    shown = Shown()
    shown.paths = []
    QDesktopServices.setUrlHandler("file", shown, "show")
    yield shown.paths
    QDesktopServices.unsetUrlHandler("file")


@pytest.mark.each_binding
def test_a_click_on_where_a_warning_leads_goes_there(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer, ODD, PLAIN)
    viewer.stage.strips.set_visible_channel(1, False)
    QTest.mouseClick(button_of(viewer), LEFT)
    panel = panel_of(qtbot, viewer)
    table = panel.list
    assert [table.item(i, 2).text() for i in range(2)] == ["A1:2 · t 2 · z 2 · c1", "whole dataset"]
    assert [table.item(i, 2).font().underline() for i in range(2)] == [True, False], (
        "no link, and no look of one"
    )
    assert "whole" in table.item(1, 2).toolTip()
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualItemRect(table.item(1, 2)).center())
    assert place(viewer) == (0, 0, 0)
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualItemRect(table.item(1, 1)).center())
    assert not panel.go.isEnabled(), "it leads nowhere"
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualItemRect(table.item(0, 2)).center())
    qtbot.waitUntil(lambda: place(viewer) == (1, 2, 1), timeout=20_000)
    assert viewer.stage.strips.is_channel_visible(1)
    assert panel.go.isEnabled() and not panel.show_file.isEnabled()
    assert "not on this computer" in panel.show_file.toolTip()


@pytest.mark.each_binding
def test_keys_list_the_warnings_and_lead_to_one(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer, PLAIN, ODD)
    activate(qtbot, viewer)
    qtbot.keyClick(viewer, Qt.Key.Key_W, SHIFT)
    panel = panel_of(qtbot, viewer)
    qtbot.waitUntil(panel.list.hasFocus, timeout=20_000)
    assert panel.list.currentRow() == 1, "the last one"
    qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: place(viewer) == (1, 2, 1), timeout=20_000)
    qtbot.keyClick(panel.list, Qt.Key.Key_Up)
    qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    assert place(viewer) == (1, 2, 1), "it leads nowhere"
    qtbot.keyClick(panel.list, Qt.Key.Key_Down)
    viewer.set_current_index("t", 0)
    qtbot.keyClick(panel.list, Qt.Key.Key_Tab)
    assert panel.go.hasFocus()
    qtbot.keyClick(panel.go, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: place(viewer) == (1, 2, 1), timeout=20_000)
    qtbot.keyClick(panel.go, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: button_of(viewer).panel is None, timeout=20_000)


def test_the_way_leads_out_of_the_overview(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer, ODD)
    qtbot.keyClick(viewer, Qt.Key.Key_W)
    scene = viewer._screen.tools.scene
    qtbot.waitUntil(lambda: scene.is_shown, timeout=20_000)
    qtbot.keyClick(viewer, Qt.Key.Key_W, SHIFT)
    qtbot.keyClick(panel_of(qtbot, viewer).list, Qt.Key.Key_Enter)
    qtbot.waitUntil(lambda: place(viewer) == (1, 2, 1) and not scene.is_shown, timeout=20_000)


@pytest.mark.each_binding
def test_rows_are_as_high_as_their_texts(qtbot: QtBot, viewer: LightweightViewer) -> None:
    nearly_full = "t 5 · Ch0: /data/run 12/odd/img_t4.tif is truncated: 2744 of 40960 bytes at byte 256"
    show(qtbot, viewer, "A long sentence about what was found in the file. " * 6, nearly_full, ODD)
    button_of(viewer).list_all()
    panel = panel_of(qtbot, viewer)
    least = panel.list.verticalHeader().minimumSectionSize()

    def are_fitting() -> bool:
        heights = [panel.list.rowHeight(row) for row in range(3)]
        return heights == [max(panel.list.sizeHintForRow(row), least) for row in range(3)]

    for width in (720, 400, 900):
        panel.resize(width, 300)
        qtbot.waitUntil(are_fitting, timeout=20_000)
    assert panel.list.rowHeight(0) > panel.list.rowHeight(2)


def test_without_warnings_the_key_does_nothing(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer)
    qtbot.keyClick(viewer, Qt.Key.Key_W, SHIFT)
    assert button_of(viewer).panel is None


@pytest.mark.each_binding
def test_the_last_warning_in_the_status_line_opens_the_list(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer, ODD)
    line = viewer.status_label
    assert line.text() == ODD and "Click to see all" in line.toolTip()
    QTest.mouseClick(line, LEFT)
    assert panel_of(qtbot, viewer).text.endswith(ODD)
    panel_of(qtbot, viewer).close()
    line.say("message", "Something else")
    QTest.mouseClick(line, LEFT)
    assert button_of(viewer).panel is None


def test_a_warning_that_comes_again_is_counted_and_said_again(
    qtbot: QtBot, viewer: LightweightViewer
) -> None:
    source, other = show(qtbot, viewer, PLAIN), "Two channels have the same name"
    line, button = viewer.status_label, button_of(viewer)

    def known(*warnings: str) -> None:
        source.grows_to = replace(source.info, warnings=warnings)
        viewer.dataset.refresh()  # as who follows it does
        qtbot.waitUntil(lambda: viewer.dataset.info.warnings == warnings, timeout=20_000)
        qtbot.waitUntil(lambda: button.text() == how_many(len(warnings), "warning"), timeout=20_000)

    known(PLAIN, other)
    assert line.said("message") == other
    line.say("message", "Saved a.png")
    known(other)
    assert line.said("message") == "Saved a.png", "nothing new"
    known(PLAIN, other)
    assert line.said("message") == PLAIN, "it has come again"
    known()
    assert line.said("message") == ""
    known(other, PLAIN)
    button.click()
    panel = panel_of(qtbot, viewer)
    texts = [(panel.list.item(row, 0).text(), panel.list.item(row, 1).text()) for row in range(2)]
    assert [text for _, text in texts] == [other, PLAIN]
    assert [when.split()[1] for when, _ in texts] == ["2×", "3×"]
    panel.close()


def test_that_a_run_cannot_be_reached_is_said_once(
    qtbot: QtBot, viewer: LightweightViewer, tmp_path: Path
) -> None:
    growing = GrowingZarr(tmp_path / "run.zarr")
    for value in range(1, 5):
        growing.add(value)
    viewer.load_dataset(str(growing.path))
    row = viewer._screen._row
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    settle(qtbot, viewer)
    growing.add(5)
    qtbot.waitUntil(lambda: row.run.news is not None, timeout=20_000)
    growing.path.rename(tmp_path / "away")
    qtbot.waitUntil(lambda: row.run.news.state is RunState.UNREACHABLE, timeout=20_000)
    qtbot.waitUntil(lambda: "move it back" in row.line.said("message"), timeout=20_000)
    assert not row.line.said("message").startswith("Not reachable"), "the row says since when"
    for t in (1, 2, 3):  # none was read before
        viewer.set_current_index("t", t)
        settle(qtbot, viewer)
        assert row.warnings.text() == "2 warnings", "how axes are understood, and that"
    QTest.mouseClick(row.line, LEFT)
    panel_of(qtbot, viewer).close()
    (tmp_path / "away").rename(growing.path)
    qtbot.waitUntil(lambda: row.run.news.state is not RunState.UNREACHABLE, timeout=20_000)
    qtbot.waitUntil(lambda: row.warnings.text() == "1 warning", timeout=20_000)
    assert not row.run.news.paused


def test_a_plane_that_cannot_be_read_is_a_warning_until_it_can_be(
    qtbot: QtBot, viewer: LightweightViewer
) -> None:
    source = show(qtbot, viewer)
    source.errors[PlaneKey(1, 0, 1, 0)] = CorruptDataError("half a chunk")
    viewer.set_current_index("t", 1)
    button = button_of(viewer)
    qtbot.waitUntil(lambda: button.text() == "1 warning", timeout=20_000)
    viewer.set_current_index("t", 0)
    settle(qtbot, viewer)
    assert button.isVisible(), "it stays, though another plane is in view"
    button.click()
    panel = panel_of(qtbot, viewer)
    assert panel.list.item(0, 2).text() == "A1:0 · t 2 · z 1 · c1"
    said = panel.list.item(0, 1)
    assert "half a chunk" in said.text() and "t 2" not in said.text(), "the place is said beside it"
    assert "A1:0 · t 2 · z 1 · c1" in said.toolTip() and "A1:0 · t 2 · z 1 · c1" in panel.text
    qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: place(viewer) == (1, 0, 0), timeout=20_000)
    source.errors.clear()
    viewer.refresh()
    qtbot.waitUntil(button.isHidden, timeout=20_000)
    assert "(no longer)" in panel.text
    panel.close()


def test_a_file_is_shown_in_its_folder(
    qtbot: QtBot, viewer: LightweightViewer, folders: list[str], tmp_path: Path
) -> None:
    Image.new("RGB", (4, 4), ImageColor.getrgb("red")).save(tmp_path / "a.png")
    show(qtbot, viewer, PlacedWarning("a.png is in colour", WarningPlace(file=str(tmp_path / "a.png"))))
    qtbot.keyClick(viewer, Qt.Key.Key_W, SHIFT)
    panel = panel_of(qtbot, viewer)
    assert panel.list.item(0, 2).text() == "a.png"
    qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: folders == [str(tmp_path)], timeout=20_000)
    QTest.mouseClick(panel.show_file, LEFT)
    qtbot.waitUntil(lambda: folders == [str(tmp_path)] * 2, timeout=20_000)


def test_a_plane_that_cannot_be_read_leads_to_its_file(
    qtbot: QtBot, viewer: LightweightViewer, folders: list[str], tmp_path: Path
) -> None:
    files = [tmp_path / "a run" / f"{t}" / "A1_0_0_BF.tiff" for t in range(2)]
    for file in files:
        file.parent.mkdir(parents=True)
        tifffile.imwrite(file, np.ones((32, 32), np.uint16))
    file.write_bytes(file.read_bytes()[:300])
    for each in files:
        os.utime(each, (1e9, 1e9))  # nothing is being written
    viewer.load_dataset(str(tmp_path / "a run"))
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    viewer.set_current_index("t", 1)
    qtbot.waitUntil(lambda: button_of(viewer).text() == "1 warning", timeout=20_000)
    QTest.mouseClick(button_of(viewer), LEFT)
    panel = panel_of(qtbot, viewer)
    assert panel.go.isEnabled() and panel.show_file.isEnabled()
    QTest.mouseClick(panel.show_file, LEFT)
    qtbot.waitUntil(lambda: folders == [str(file.parent)], timeout=20_000)


def test_what_is_said_of_a_dataset_as_a_whole_leads_to_its_folder(
    qtbot: QtBot, viewer: LightweightViewer, folders: list[str], tmp_path: Path
) -> None:
    (tmp_path / "run.zarr").mkdir()
    show(qtbot, viewer, PLAIN, ODD, path=str(tmp_path / "run.zarr"))
    qtbot.keyClick(viewer, Qt.Key.Key_W, SHIFT)
    panel = panel_of(qtbot, viewer)
    assert panel.list.item(0, 2).text() == "run.zarr" and panel.list.item(0, 2).font().underline()
    QTest.mouseClick(
        panel.list.viewport(), LEFT, pos=panel.list.visualItemRect(panel.list.item(0, 2)).center()
    )
    qtbot.waitUntil(lambda: folders == [str(tmp_path / "run.zarr")], timeout=20_000)
    assert panel.show_file.isEnabled() and not panel.go.isEnabled()


@pytest.mark.parametrize(
    ("inside", "shown"),
    [("a.tif", "."), ("gone/b.tif", "."), ("folder", "folder"), ("x.app", "."), ("x.app/Contents/a", ".")],
)
def test_a_file_is_never_opened_itself(tmp_path: Path, inside: str, shown: str) -> None:
    (tmp_path / "a.tif").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.app").mkdir()
    assert Path(folder_of(str(tmp_path / inside))) == tmp_path / shown
    assert folder_of("nowhere") == ""


def test_a_place_outside_the_dataset_is_refused_in_words(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer, PlacedWarning("It is odd", WarningPlace(t=7, p=99)))
    qtbot.keyClick(viewer, Qt.Key.Key_W, SHIFT)
    qtbot.keyClick(panel_of(qtbot, viewer).list, Qt.Key.Key_Return)
    assert place(viewer) == (0, 0, 0)
    assert "not in the dataset" in viewer.status_label.said("message")


def test_what_squid_writes_beside_its_images_is_warned_of_while_it_is_torn(
    qtbot: QtBot, viewer: LightweightViewer, tmp_path: Path
) -> None:
    path = tiffs.write_images(tmp_path / "run") / "acquisition parameters.json"
    whole = path.read_text()
    path.write_text(whole[:20])
    viewer.load_dataset(str(tmp_path / "run"))
    button = button_of(viewer)
    qtbot.waitUntil(button.isVisible, timeout=20_000)
    (said,) = button.noted
    assert button.text() == "1 warning"
    assert f"{path} is not valid JSON: it is truncated after 20 bytes" in said
    assert said.endswith("Pixel size, z step, time step and objective are unknown")
    path.write_text(whole)
    qtbot.waitUntil(button.isHidden, timeout=20_000)  # the folder is followed
    assert viewer.dataset.info.pixel_size_um == 0.325


def test_a_channel_of_another_size_is_said_and_drawn_by_itself(
    qtbot: QtBot, viewer: LightweightViewer, tmp_path: Path
) -> None:
    run = tiffs.write_images(tmp_path / "run")
    odd = tiffs.image_path(run, 0, "A1", 0, 1, tiffs.CHANNELS[1])
    tiffs.write_image(odd, stores.plane(shape=(30, 50)))
    viewer.load_dataset(str(run))
    qtbot.waitUntil(lambda: viewer.stage is not None, timeout=20_000)
    settle(qtbot, viewer)
    stage, button = viewer.stage, button_of(viewer)
    assert stage.overlay.state() == ("none", "") and button.isHidden()
    viewer.set_current_index("z", 1)
    qtbot.waitUntil(button.isVisible, timeout=20_000)
    settle(qtbot, viewer)
    assert f"{odd} has 50 × 30 pixels, the first image of its position 40 × 24" in button.noted[0]
    said = "50 × 30 pixels, not 40 × 24 like the others: drawn only by itself"
    assert stage.strips.state_text(1) == said and stage.strips.state_text(0) == ""
    assert stage.overlay.state() == ("partial", f"{tiffs.CHANNELS[1]}: {said}")
    stage.strips.strip(0).on.click()
    qtbot.waitUntil(lambda: settle(qtbot, viewer).planes.keys() == {1}, timeout=20_000)
    assert stage.overlay.state() == ("none", "") and stage.strips.state_text(1) == ""
