"""What a user reads when something fails: plain words first, the rest on request; each reason once."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QMimeData, Qt, QUrl
from qtpy.QtWidgets import QApplication
from runs import small_run, write
from screen import settle

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.errors import (
    BY_NAME,
    CorruptDataError,
    DatasetNotFoundError,
    MetadataError,
    NDViewerError,
)
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.windows.drop_target import _dropped_paths
from ndviewer_light.gui.windows.message_page import MessagePage
from ndviewer_light.gui.words import explain, explain_plane, is_technical
from ndviewer_light.model import PlaneKey


@pytest.mark.parametrize(
    "text",
    [
        "[Errno 2] No such file or directory: '/a/b'",
        "[WinError 5] Access is denied",
        "/a/zarr.json: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "/a.tif: not a TIFF file b'garb'",
        "JSONDecodeError in /a",
        "'NoneType' object has no attribute 'shape'",
        "<tensorstore object at 0x7f8e1c0d2f10>",
        "'utf-8' codec can't decode byte 0xff in position 0",
    ],
)
def test_what_only_a_programmer_reads_becomes_details(text):
    assert is_technical(text)
    for kind in (NDViewerError, MetadataError, CorruptDataError, OSError, ValueError):
        said = explain(kind(text))
        assert not is_technical(said.sentence)
        assert text in said.details
    assert explain_plane(text) == ("This plane could not be read.", text)


@pytest.mark.parametrize(
    "text",
    ["does not exist /data/run", "/a/b.tif is damaged: page 3 of 5 is cut off", "level 2 is missing"],
)
def test_a_sentence_of_ours_is_said_as_it_is(text):
    assert explain(DatasetNotFoundError(text)) == (text, "")
    assert explain_plane(text) == (text, "")


OTHERS = (
    *(FileNotFoundError, PermissionError, TimeoutError, ConnectionResetError, OSError),
    *(MemoryError, UnicodeError, KeyError, ZeroDivisionError),
)


@pytest.mark.parametrize("error", [*BY_NAME.values(), *OTHERS])
def test_every_error_has_a_sentence(error):
    said = explain(error())
    assert said.sentence.endswith((".", "?"))
    assert not is_technical(said.sentence)


def test_what_nobody_expected_has_its_traceback_among_the_details():
    try:
        {}["gone"]
    except KeyError as error:
        assert "test_words.py" in explain(error).details


# ---- the page -------------------------------------------------------------------------------------------


@pytest.mark.each_binding
def test_details_are_shown_and_copied_on_request(qtbot):
    page = MessagePage()
    qtbot.addWidget(page)
    page.resize(700, 500)
    page.show()
    page.show_message("error", "No", "It is damaged.", details="KeyError: <b>x</b>")
    assert not page.technical.isVisible()
    qtbot.mouseClick(page.details_button, Qt.MouseButton.LeftButton)
    assert page.technical.isVisible()
    assert page.technical.toPlainText() == "KeyError: <b>x</b>"
    qtbot.mouseClick(page.copy_button, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == "No\n\nIt is damaged.\n\nKeyError: <b>x</b>"
    page.show_message("error", "No", "It is damaged.")
    assert not page.technical.isVisible()
    assert not page.details_button.isVisible()
    page.show_message("info", "Nothing is open")
    assert not page.copy_button.isVisible()


@pytest.mark.gl
def test_metadata_that_is_no_json_is_told_in_words_with_its_path(qtbot, viewer, tmp_path):
    folder = tmp_path / "broken.ome.zarr"
    folder.mkdir()
    (folder / "zarr.json").write_text("{garb")
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(folder))
    page = viewer._screen.message
    shown = page.headline.text() + page.detail.toPlainText()
    assert not is_technical(shown)
    assert shown.count(str(folder)) == 1
    assert page.open_button.isVisible()


# ---- planes ---------------------------------------------------------------------------------------------


@pytest.mark.gl
@pytest.mark.parametrize("reasons", [1, 3])
def test_five_channels_with_the_same_error_say_it_once(qtbot, viewer, reasons):
    source = MemorySource(memory_info(n_c=5, n_p=1, n_t=1, n_z=1))
    for c in range(5):
        source.errors[PlaneKey(c=c)] = CorruptDataError(f"file {c % reasons} is damaged: it is cut off")
    viewer._screen.sessions.ask_for(Session(Dataset(source, path="/a"), "/a"))
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    settle(qtbot, viewer)
    kind, text = viewer.stage.overlay.state()
    assert kind == "error"
    assert text.count("is damaged") == 1
    assert ("2 more" in text) == (reasons == 3)
    strips = viewer.stage.strips
    for c in range(5):
        assert strips.state_text(c) == "could not be read"
        assert f"file {c % reasons} is damaged" in strips.strip(c).state.toolTip()
    (copy,) = strips.strip(3).state.actions()
    copy.trigger()
    assert QApplication.clipboard().text() == f"file {3 % reasons} is damaged: it is cut off"


@pytest.mark.gl
def test_a_technical_reason_of_a_plane_is_details(qtbot, viewer):
    source = MemorySource(memory_info(n_c=1, n_p=1, n_t=1, n_z=1))
    source.errors[PlaneKey()] = CorruptDataError("[Errno 5] Input/output error: b'garb'")
    viewer._screen.sessions.ask_for(Session(Dataset(source, path="/a"), "/a"))
    qtbot.waitUntil(lambda: viewer.dataset is not None, timeout=20_000)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state() == ("error", "This plane could not be read.")
    assert "Errno 5" in viewer.stage.strips.strip(0).state.toolTip()


# ---- what is no path ------------------------------------------------------------------------------------


class Odd:
    def __fspath__(self) -> int:
        return 3


@pytest.mark.gl
@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        pytest.param(np.zeros((3, 4), np.uint16), None, "not a ndarray of shape (3, 4)", id="array"),
        pytest.param(np.zeros(0), None, "not a ndarray of shape (0,)", id="empty array"),
        pytest.param([1, 2], None, "not a list", id="list"),
        pytest.param(7, None, "not an int", id="number"),
        pytest.param(Odd(), None, "not an Odd", id="odd path"),
        pytest.param("/a", "no mapping", "names and values", id="options"),
        pytest.param("/a", {"key": b"x"}, "names and values", id="bytes as option"),
        pytest.param("/a", {1: "x"}, "names and values", id="number as name"),
        pytest.param("a\ud800b", None, "", id="lone surrogate"),
        pytest.param("a\udce9b", None, "", id="byte that is no text"),
        pytest.param("a\0b", None, "", id="NUL"),
        pytest.param("x" * 5000, None, "", id="long"),
        pytest.param("http://[::1/x", None, "", id="no address"),
    ],
)
def test_what_is_no_path_is_said_and_never_raised(qtbot, viewer, given, options, said):
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000) as failed:
        viewer.load_dataset(given, options)
    page = viewer._screen.message
    assert said in page.detail.toPlainText()
    assert not is_technical(page.headline.text() + page.detail.toPlainText())
    assert page.kind() == "error"
    assert said in failed.args[1]
    assert viewer.dataset is None


@pytest.mark.gl
def test_an_xarray_is_no_path_either(qtbot, viewer):
    xarray = pytest.importorskip("xarray")
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(xarray.DataArray(np.zeros((2, 3))))
    assert "not a DataArray of shape (2, 3)" in viewer._screen.message.detail.toPlainText()


@pytest.mark.gl
def test_nothing_at_all_changes_nothing(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer.load_dataset(run.folder)  # a Path
    for nothing in ("", None, b""):
        viewer.load_dataset(nothing)
    assert viewer.dataset is not None


class Drop:
    def __init__(self, data: QMimeData) -> None:
        self._data = data

    def mimeData(self) -> QMimeData:
        return self._data


@pytest.mark.parametrize(
    ("encoded", "path"),
    [
        (b"file:///data/caf%E9", "/data/caf\udce9"),
        (b"file:///data/caf%C3%A9", "/data/café"),
        (b"file:///data/a%20b%25%23c", "/data/a b%#c"),
        (b"https://host/a%20b.zarr", "https://host/a%20b.zarr"),
    ],
)
def test_what_is_dropped_keeps_its_name_byte_for_byte(qapp, encoded, path):
    data = QMimeData()
    data.setUrls([QUrl.fromEncoded(encoded)])
    assert _dropped_paths(Drop(data)) == [path]
