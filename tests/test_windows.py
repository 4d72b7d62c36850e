"""The launcher and the windows it opens: folders, files and addresses, chosen or dropped."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from memory_source import MemorySource, memory_info
from PIL import Image
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton
from screen import activate, press, settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.given_paths import short_name
from ndviewer_light.gui.keyboard.key_sheet import KeySheet
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.windows.launcher import LauncherWindow
from ndviewer_light.gui.windows.path_completion import completions, path_typed
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.gui.windows.window_settings import (
    MOST_RECENT,
    forget_recent,
    keep_window,
    note_opened,
    recent_paths,
)
from ndviewer_light.model import Channel, Position

pytestmark = pytest.mark.gl


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/exp/plate.ome.zarr", "plate.ome.zarr"),
        ("/data/exp/", "exp"),
        ("https://host/a/b.zarr/", "b.zarr"),
        ("https://host/a.nd2?X-Amz-Signature=secret/x", "a.nd2"),
        ("s3://bucket/plate.zarr", "plate.zarr"),
        ("", ""),
    ],
)
def test_titles_name_the_dataset_and_no_secrets(path, name):
    assert short_name(path) == name


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def launcher(qtbot):
    window = LauncherWindow()
    qtbot.addWidget(window)
    window.show()
    return window


def asked(qtbot, window):
    """The dialog that Ctrl+O opens."""

    def is_open():
        if window.chooser.dialog is not None:
            return window.chooser.dialog.isVisible()
        # a window that Qt makes anew for OpenGL loses the focus for a moment, and QTest stops without any
        window.activateWindow()
        (window.focusWidget() or window.centralWidget()).setFocus()
        focus = window.focusWidget()
        if focus is not None and window.isActiveWindow():
            qtbot.keyClick(focus, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
        return False

    qtbot.waitUntil(is_open, timeout=20_000)
    return window.chooser.dialog


@pytest.mark.each_binding
def test_a_file_is_looked_for_in_a_dialog_that_waits_for_nobody(qtbot, launcher, tmp_path):
    qtbot.mouseClick(launcher.drop_label, Qt.MouseButton.LeftButton)
    dialog = launcher.chooser.dialog
    for button, mode in (
        (dialog.folder, QFileDialog.FileMode.Directory),
        (dialog.file, QFileDialog.FileMode.ExistingFile),
    ):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        files = dialog.file_dialog
        assert files.fileMode() == mode
        files.hide()
    files.fileSelected.emit(str(tmp_path / "some.nd2"))
    assert launcher.viewer_window.windowTitle().endswith("some.nd2")
    launcher.viewer_window.close()


def test_an_address_is_typed_in_and_nothing_opens_nothing(qtbot, launcher):
    dialog = asked(qtbot, launcher)
    assert not dialog.open_button.isEnabled()
    qtbot.keyClick(dialog.line, Qt.Key.Key_Return)
    assert launcher.viewer_window is None
    qtbot.keyClicks(dialog.line, "  https://127.0.0.1:9/plate.ome.zarr ")
    qtbot.keyClick(dialog.line, Qt.Key.Key_Return)
    window = launcher.viewer_window
    assert window.viewer.dataset_path == "https://127.0.0.1:9/plate.ome.zarr"
    assert launcher.chooser.dialog is None
    window.close()


@pytest.mark.each_binding
def test_a_path_is_completed_and_opened_as_the_format_that_is_chosen(qtbot, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "other.txt").write_text("")
    picture = folder / "cells.dat"  # its beginning says that it is a TIFF
    tifffile.imwrite(picture, np.arange(600, dtype=np.uint16).reshape(20, 30))
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    dialog = asked(qtbot, window)
    qtbot.keyClicks(dialog.line, str(folder / "ce"))
    qtbot.waitUntil(lambda: dialog.completer.popup().isVisible(), timeout=20_000)
    popup = dialog.completer.popup()
    assert [popup.model().index(i, 0).data() for i in range(popup.model().rowCount())] == [str(picture)]
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    assert dialog.line.text() == str(picture)
    assert dialog.isVisible(), "nothing was opened yet"
    qtbot.waitUntil(lambda: dialog.format.count() > 5, timeout=20_000)
    assert dialog.format.itemText(0) == "recognised automatically"
    assert dialog.format.findText("ome-zarr") > 0
    dialog.format.setCurrentText("hdf5")
    with qtbot.waitSignal(window.viewer.dataset_failed, timeout=20_000):
        dialog.open_button.click()
    dialog = asked(qtbot, window)
    qtbot.keyClicks(dialog.line, str(picture))
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
        qtbot.keyClick(dialog.line, Qt.Key.Key_Return)
    assert window.viewer.dataset.info.format.upper().startswith("TIFF")
    window.close()


@pytest.mark.each_binding
def test_return_opens_what_was_typed_while_the_list_offers_more_of_which_none_is_chosen(qtbot, tmp_path):
    for name in ("a", "a_2"):
        tifffile.imwrite(tmp_path / name, np.arange(600, dtype=np.uint16).reshape(20, 30))
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    dialog = asked(qtbot, window)
    qtbot.keyClicks(dialog.line, str(tmp_path / "a"))
    qtbot.waitUntil(lambda: dialog.completer.popup().isVisible(), timeout=20_000)
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
        qtbot.keyClick(dialog.completer.popup(), Qt.Key.Key_Return)
    assert window.viewer.dataset_path == str(tmp_path / "a")
    window.close()


@pytest.mark.each_binding
def test_a_window_is_on_screen_before_what_is_in_it_is_built(qtbot, tmp_path):
    picture = tmp_path / "cells.tif"
    tifffile.imwrite(picture, np.arange(600, dtype=np.uint16).reshape(20, 30))
    window = LightweightMainWindow(str(picture))
    qtbot.addWidget(window)
    first = window.centralWidget()
    assert isinstance(first, QLabel) and first.text() == "Opening…"
    assert window.windowTitle().endswith("cells.tif")
    window.show()
    qtbot.waitUntil(lambda: window.centralWidget() is not first, timeout=20_000)  # by itself
    qtbot.waitUntil(lambda: window.viewer.dataset is not None, timeout=20_000)
    assert window.viewer.isVisible() and window.windowTitle().endswith("cells.tif")
    window.close()


@pytest.mark.each_binding
def test_a_key_that_is_pressed_before_anything_is_in_the_window_does_what_it_means(qtbot, tmp_path):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    assert isinstance(window.centralWidget(), QLabel), "nothing is in it yet"
    qtbot.keyClick(window, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    assert window.chooser.dialog is not None and window.chooser.dialog.isVisible()
    window.chooser.dialog.close()
    other = LightweightMainWindow()
    qtbot.addWidget(other)
    other.show()
    assert isinstance(other.centralWidget(), QLabel), "nothing is in it yet"
    qtbot.keyClick(other, Qt.Key.Key_Question, Qt.KeyboardModifier.ShiftModifier)
    sheets = [each for each in QApplication.topLevelWidgets() if isinstance(each, KeySheet)]
    assert any(sheet.isVisible() for sheet in sheets)
    for each in sheets:
        each.close()
    window.close()
    other.close()


@pytest.mark.each_binding
def test_keys_of_the_picture_work_as_soon_as_it_is_there(qtbot, tmp_path):
    series = tmp_path / "series.ome.tif"
    tifffile.imwrite(series, np.zeros((5, 20, 30), np.uint16), metadata={"axes": "TYX"})
    window = LightweightMainWindow(str(series))
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.viewer.dataset is not None, timeout=20_000)
    settle(qtbot, window.viewer)
    activate(qtbot, window)
    press(qtbot, Qt.Key.Key_Right)
    assert window.viewer.stage.view.t == 1
    window.viewer.stage.sliders.slider("t").setFocus()
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
        window.open_path(str(series))
    settle(qtbot, window.viewer)
    assert window.viewer.stage.sliders.slider("t").hasFocus(), "what somebody has chosen keeps it"
    window.close()


def test_a_window_that_is_closed_at_once_is_never_filled(qtbot, monkeypatch):
    built = []
    monkeypatch.setattr(LightweightMainWindow, "contents", property(built.append))
    window = LightweightMainWindow("/nowhere")
    qtbot.addWidget(window)
    window.show()
    with qtbot.waitSignal(window.closed, timeout=20_000):
        window.close()
    qtbot.wait(400)
    assert built == []


def test_what_is_pasted_with_quotes_or_from_home_is_a_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_typed(f'  "{tmp_path / "a b"}" ') == str(tmp_path / "a b")
    assert path_typed("~/x") == str(tmp_path / "x")
    assert path_typed("s3://bucket/a") == "s3://bucket/a"


def test_completions_are_of_the_folder_and_of_what_was_opened_lately(tmp_path):
    for name in ("run1.zarr", "run2.zarr", ".hidden", "else"):
        (tmp_path / name).mkdir()
    begun = str(tmp_path / "run")
    assert completions(begun, [f"{begun}9"]) == [f"{begun}9", f"{begun}1.zarr", f"{begun}2.zarr"]
    assert str(tmp_path / ".hidden") not in completions(f"{tmp_path}/", [])
    assert completions("https://h/a", ["https://h/abc", "https://g"]) == ["https://h/abc"]
    assert completions(str(tmp_path / "nowhere" / "x"), []) == []


# ---- our own windows ---------------------------------------------------------------------------------


def drop(window, paths=(), text="") -> bool:
    """Whether it was taken."""
    data = QMimeData()
    if text:
        data.setText(text)
    else:
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    at = QPointF(5, 5) if hasattr(QDropEvent, "position") else QPoint(5, 5)
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(at, Qt.DropAction.CopyAction, data, left, none)
    event.ignore()
    window.dropEvent(event)
    return event.isAccepted()


def windows() -> list[LightweightMainWindow]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, LightweightMainWindow)]


def test_after_a_cancelled_opening_the_window_is_called_by_what_it_shows(qtbot, tmp_path):
    """It went on with the name of what was given up, over the picture of the one before, or over none."""
    folder = tmp_path / "first"
    folder.mkdir()
    Image.fromarray(np.full((20, 30), 9, np.uint8)).save(folder / "img_t0.png")
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    for shown in (None, folder):
        if shown is not None:
            with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
                window.open_path(str(shown))
        window.open_path(str(tmp_path / "other"))
        assert window.windowTitle().endswith(" - other")
        qtbot.keyClick(window, Qt.Key.Key_Escape)
        assert window.windowTitle() == "NDViewer Lightweight" + (f" - {shown.name}" if shown else "")
        assert bool(window.bar.name.toolTip()) == (shown is not None)
    window.close()


def test_windows_of_what_is_dropped_are_on_the_screen(qtbot, tmp_path):
    """Each was a step below the one before, until bar and status row were beyond a small screen."""
    first = LightweightMainWindow()
    qtbot.addWidget(first)
    room = first.screen().availableGeometry()
    first.resize(room.width() - 150, room.height() - 100)
    first.move(room.topLeft() + QPoint(60, 40))
    with qtbot.waitExposed(first):
        first.show()
    keep_window(first, None, panels=True)
    drop(first, [tmp_path / str(n) for n in range(8)])
    others = [window for window in windows() if window is not first]
    assert len(others) == 7
    for window in others:
        qtbot.waitUntil(window.isVisible)
        assert room.contains(window.frameGeometry()), window.frameGeometry()
    assert len({(window.x(), window.y()) for window in others}) == 7
    for window in others:
        window.close()


@pytest.mark.parametrize(
    ("form", "n"),
    [("{0}", 1), ("  {0}\n\n'{1}'\r\n", 2), ("file://{0}", 1), ("of {0}", 0), ("{0}\nand so on", 0)],
)
def test_a_dropped_text_that_names_datasets_opens_them(qtbot, tmp_path, monkeypatch, form, n):
    """As from a terminal, a message or an address bar; other texts are not taken."""
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    opened = []
    monkeypatch.setattr(window, "open_paths", opened.extend)
    paths = [str(tmp_path / name) for name in ("a b", "c")]
    assert drop(window, text=form.format(*paths)) == bool(n)
    assert opened == paths[:n]
    opened.clear()
    for address in (
        "https://host/run.zarr?a=1&b=%20",
        "ndviewer:/data/run.zarr?p=B3:0&t=5",
        "s3://bucket/key",
    ):
        assert drop(window, text=address)
        assert opened.pop() == address


def test_more_than_can_be_opened_at_a_time_is_said_and_not_cut(qtbot, launcher, tmp_path):
    """Of all images of a folder sixteen were opened, each in a window; the others were left out silently."""
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    paths = [tmp_path / f"img_{n}.tif" for n in range(17)]
    said = "17 dropped, at most 16 open at a time: drop their folder"
    assert drop(window, paths)
    assert window.viewer.status_label.said("message") == said
    assert drop(launcher, text="\n".join(map(str, paths)))
    assert launcher.status_label.text() == said
    assert windows() == [window]
    window.close()


@pytest.mark.each_binding
def test_keys_lead_from_the_line_to_the_recent_ones(qtbot, launcher, tmp_path):
    for name in "abc":
        note_opened(str(tmp_path / name))
    for leads in (Qt.Key.Key_Down, None):
        dialog = asked(qtbot, launcher)
        activate(qtbot, dialog)
        assert recent_paths() == [str(tmp_path / name) for name in "cba"]
        if leads is not None:
            qtbot.keyClick(dialog.line, leads)
        else:
            dialog.recent.setFocus(Qt.FocusReason.TabFocusReason)
        qtbot.waitUntil(dialog.recent.hasFocus, timeout=20_000)
        assert [item.text() for item in dialog.recent.selectedItems()] == [recent_paths()[0]]
        assert dialog.line.text() == recent_paths()[0]
        qtbot.keyClick(dialog.recent, Qt.Key.Key_Down)
        assert dialog.line.text() == recent_paths()[1]
        dialog.close()
        qtbot.waitUntil(lambda: launcher.chooser.dialog is None, timeout=20_000)


@pytest.mark.each_binding
def test_of_two_dropped_folders_both_open_and_are_offered_again(qtbot, tmp_path):
    folders = [tmp_path / place / "run" for place in "ab"]
    for n, folder in enumerate(folders, 1):
        folder.mkdir(parents=True)
        for t in range(n):
            Image.fromarray(np.full((20, 30), 9, np.uint8)).save(folder / f"img_t{t}.png")
    first = LightweightMainWindow()
    qtbot.addWidget(first)
    first.show()
    drop(first, folders)
    (second,) = (window for window in windows() if window is not first)
    for n, (window, folder) in enumerate(zip((first, second), folders, strict=True), 1):
        qtbot.waitUntil(lambda window=window: window.viewer.dataset is not None, timeout=20_000)
        settle(qtbot, window.viewer)
        assert window.viewer.dataset.info.n_t == n
        assert str(folder) in window.bar.name.toolTip()  # the whole path on hover
    assert first.windowTitle() != second.windowTitle()
    assert set(recent_paths()) == set(map(str, folders))
    qtbot.mouseClick(first.bar.open, Qt.MouseButton.LeftButton)
    recent = first.chooser.dialog.recent
    (again,) = recent.findItems(str(folders[1]), Qt.MatchFlag.MatchExactly)
    recent.setCurrentItem(again)
    with qtbot.waitSignal(first.viewer.dataset_loaded, timeout=20_000) as loaded:
        qtbot.keyClick(recent, Qt.Key.Key_Return)
    assert loaded.args == [str(folders[1])]
    second.close()
    first.close()
    qtbot.waitUntil(lambda: not windows() or windows() == [first], timeout=20_000)


def show(qtbot, window, positions, **more) -> None:
    dataset = Dataset(MemorySource(memory_info(positions=positions, **more)), path="/data/run")
    window.viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: window.viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, window.viewer)


def test_a_window_fits_the_screen_and_the_next_one_is_as_it_was_left(qtbot):
    wells = (Position("A1", 0), Position("B2", 0))
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    room = window.screen().availableGeometry()
    assert room.contains(window.geometry())
    window.show()
    show(qtbot, window, wells)
    panels = window.viewer._screen.side.panels
    qtbot.waitUntil(panels.isVisible, timeout=20_000)
    window.resize(1010, 620)
    splitter = window.viewer.stage.splitter
    qtbot.waitUntil(lambda: sum(splitter.sizes()) > 900, timeout=20_000)
    splitter.setSizes([190, 530, 280])
    kept = splitter.sizes()
    window.close()
    other = LightweightMainWindow()
    qtbot.addWidget(other)
    other.show()
    show(qtbot, other, wells)
    qtbot.waitUntil(other.viewer._screen.side.panels.isVisible, timeout=20_000)
    assert (other.width(), other.height()) == (1010, 620)
    qtbot.waitUntil(lambda: other.viewer.stage.splitter.sizes()[0] == kept[0], timeout=20_000)
    panels_button = next(each for each in other.bar.findChildren(QPushButton) if each.text() == "Panels")
    qtbot.mouseClick(panels_button, Qt.MouseButton.LeftButton)
    assert other.viewer._screen.side.panels.isHidden()
    other.close()
    third = LightweightMainWindow()
    qtbot.addWidget(third)
    assert not third.viewer._screen.side.wanted
    third.close()


def test_a_small_window_is_possible_and_no_name_widens_it(qtbot):
    positions = (Position("r" * 150, 0), Position("B2", 0), Position("B2", 1, name="n" * 200))
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.resize(600, 500)
    window.show()
    show(qtbot, window, positions, channels=(Channel("c" * 200), Channel("d")))
    assert (window.width(), window.height()) == (600, 500)
    window.resize(1000, 600)
    qtbot.waitUntil(lambda: window.viewer._screen.side.panels.isVisible(), timeout=20_000)
    settle(qtbot, window.viewer)
    assert window.width() == 1000
    window.close()


def test_a_wide_window_becomes_small_at_once(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.resize(1300, 800)
    window.show()
    show(qtbot, window, (Position("A1", 0), Position("B2", 0)), channels=(Channel("GFP"), Channel("Cy5")))
    side = window.viewer._screen.side
    qtbot.waitUntil(lambda: side.panels.isVisible(), timeout=20_000)
    settle(qtbot, window.viewer)
    window.resize(600, 500)
    assert (window.width(), window.height()) == (600, 500)
    assert side.panels.isHidden() and window.viewer.width() == 600, "nothing is squeezed meanwhile"
    qtbot.wait(300)
    assert (window.width(), window.height()) == (600, 500)
    window.close()


def test_panels_come_back_once_a_narrow_window_is_wide_again_unless_the_user_has_hidden_them(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.resize(1200, 700)
    window.show()
    show(qtbot, window, (Position("A1", 0), Position("B2", 0)))
    side, splitter = window.viewer._screen.side, window.viewer.stage.splitter
    qtbot.waitUntil(lambda: side.panels.isVisible(), timeout=20_000)
    splitter.setSizes([200, 700, 290])
    before = splitter.sizes()

    def resize(width: int) -> None:
        window.resize(width, 700)
        qtbot.waitUntil(lambda: side.panels.isHidden() == (width < 760), timeout=20_000)

    qtbot.waitUntil(lambda: side._width == before[0], timeout=20_000)
    resize(620)
    resize(1200)
    qtbot.waitUntil(lambda: splitter.sizes()[0] == before[0], timeout=20_000)
    assert splitter.sizes()[2] == before[2]
    splitter.setSizes([0, 900, 290])  # the user drags them away
    qtbot.waitUntil(lambda: not window.bar.showing["panels"].isChecked(), timeout=20_000)
    resize(620)
    resize(1200)
    assert splitter.sizes()[0] == 0
    qtbot.mouseClick(window.bar.showing["panels"], Qt.MouseButton.LeftButton)
    assert splitter.sizes()[0] > 150 and window.bar.showing["panels"].isChecked()
    qtbot.mouseClick(window.bar.showing["panels"], Qt.MouseButton.LeftButton)
    assert side.panels.isHidden() and not window.bar.showing["panels"].isChecked()
    window.resize(620, 700)
    window.resize(1200, 700)
    qtbot.wait(300)
    assert side.panels.isHidden()
    window.close()


def test_the_button_of_panels_shows_them_or_says_why_it_cannot(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.resize(620, 600)
    window.show()
    show(qtbot, window, (Position("A1", 0), Position("B2", 0)))
    side, button, line = window.viewer._screen.side, window.bar.showing["panels"], window.viewer.status_label
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert line.text() == "There is no room for panels: they appear once the window is 760 pixels wide"
    assert not button.isChecked() and side.wanted
    window.resize(1200, 700)
    qtbot.waitUntil(lambda: side.is_shown, timeout=20_000)
    show(qtbot, window, (Position("A1", 0),))
    qtbot.waitUntil(lambda: side.panels.isHidden(), timeout=20_000)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)  # one field: what is known of it
    assert side.is_shown and button.isChecked() and line.text() == ""
    qtbot.waitUntil(lambda: bool(side.panels.card.facts), timeout=20_000)
    assert not side.panels.plate_map.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not side.is_shown and side.wanted, "of others, they are still wanted"
    window.close()


def test_panels_of_a_window_that_was_narrow_from_the_first_come_once_it_is_wide(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.resize(620, 600)
    window.show()
    show(qtbot, window, (Position("A1", 0), Position("B2", 0)))
    window.resize(1200, 700)
    qtbot.waitUntil(lambda: window.viewer.stage.splitter.sizes()[0] > 150, timeout=20_000)
    qtbot.waitUntil(window.bar.showing["panels"].isChecked, timeout=20_000)
    window.close()


def test_panels_that_a_narrow_window_once_squeezed_are_as_wide_as_they_like(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.resize(1200, 700)
    window.viewer._screen.side.widths = [42, 900, 250]  # as it was remembered
    window.show()
    show(qtbot, window, (Position("A1", 0), Position("B2", 0)))
    qtbot.waitUntil(lambda: window.viewer.stage.splitter.sizes()[0] > 200, timeout=20_000)
    window.close()


def test_the_numbers_of_a_run_do_not_widen_a_small_window(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.resize(600, 500)
    window.show()
    channels = Channel("Fluorescence 405 nm"), Channel("Fluorescence 488 nm")
    show(qtbot, window, (Position("A1", 0), Position("B2", 0)), channels=channels)
    numbers = window.viewer._screen.tools.statistics
    numbers.toggle()
    qtbot.waitUntil(numbers.panel.isVisible, timeout=20_000)
    numbers.panel.legend.show_ends("455.4", "499.1")
    qtbot.wait(300)
    assert (window.width(), window.height()) == (600, 500)
    assert numbers.panel.close_button.geometry().right() <= numbers.panel.width()
    window.resize(1200, 700)
    legend = numbers.panel.legend
    qtbot.waitUntil(lambda: legend.width() == legend.sizeHint().width(), timeout=20_000)
    window.close()


def test_what_was_opened_lately_holds_no_secrets_and_has_an_end():
    note_opened("https://host/a.zarr?X-Amz-Signature=secret")
    note_opened("https://user:password@host/a.zarr")
    note_opened("")
    assert recent_paths() == []
    for i in range(MOST_RECENT + 3):
        note_opened(f"s3://bucket/{i}.zarr")
    note_opened("s3://bucket/9.zarr")
    assert len(recent_paths()) == MOST_RECENT
    assert recent_paths()[:2] == ["s3://bucket/9.zarr", f"s3://bucket/{MOST_RECENT + 2}.zarr"]
    forget_recent()
    assert recent_paths() == []


def test_our_window_is_dark_all_over_in_a_light_application(qtbot):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.viewer.start_acquisition(["a"], 1, 8, 8, ["x:0", "x:1", "y:0"])
    window.show()
    button, panels = window.viewer._screen._row.follow, window.viewer._screen.side.panels
    qtbot.waitUntil(lambda: button.isVisible() and panels.isVisible(), timeout=20_000)
    for widget in (button, panels.field_list, window.bar.open):
        assert widget.grab().toImage().pixelColor(widget.width() - 6, widget.height() - 4).lightness() < 128
    window.close()


def test_buttons_of_the_picture_are_on_while_there_is_one(qtbot, tmp_path):
    window = LightweightMainWindow()
    qtbot.addWidget(window)
    window.show()
    buttons = {each.text(): each for each in window.bar.findChildren(QPushButton)}
    of_picture = [
        "Fit",
        "1:1",
        "Go to…",
        "Save…",
        "Measure…",
        "Scale bar…",
        "Side by side",
        "Ortho",
        "Overview",
        "Statistics",
    ]

    def are_on() -> set[bool]:
        return {buttons[name].isEnabled() for name in of_picture}

    others = set(buttons) - set(of_picture)
    assert others == {"Open…", "Link windows", "Panels", "Keys", "»"}
    assert are_on() == {False} and all(buttons[name].isEnabled() for name in others)
    (tmp_path / "cells.ome.tif").write_bytes(b"II*\0" + bytes(40))
    with qtbot.waitSignal(window.viewer.dataset_failed, timeout=20_000):
        window.open_path(str(tmp_path / "cells.ome.tif"))
    assert are_on() == {False}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 32), np.uint16))
    with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
        window.open_path(str(tmp_path / "a.tif"))
    assert are_on() == {True}
    window.close()
