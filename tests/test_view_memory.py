"""A dataset is shown as it was left: by windows, and by hosts that ask for it."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from runs import load
from screen import activate, choose_in_menu, choose_limits, settle

from ndviewer_light.gui.saved_views.view_memory import ViewMemory
from ndviewer_light.gui.viewer import LightweightViewer
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.rendering.contrast import ContrastMode
from ndviewer_light.rendering.volume_look import VolumeLook
from ndviewer_light.rendering.volume_rays import VolumeSight
from ndviewer_light.storage.small_documents import SmallDocuments
from ndviewer_light.views.channel_choices import ChannelChoice
from ndviewer_light.views.saved_view import SavedView, view_of
from ndviewer_light.views.split_look import SplitLook
from ndviewer_light.views.view_link import link_to, view_in
from ndviewer_light.views.visible_area import VisibleArea

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("DAPI", "GFP")
SAVED = SavedView(
    subject="0123",
    t=3,
    z=1,
    position="A1:0",
    followed=frozenset("t"),
    pinned=frozenset("z"),
    channels={
        ("DAPI", 0): ChannelChoice(False, ContrastMode.MANUAL, (10.0, 20.5), "uint16", color="#FF0000"),
        ("GFP", 0): ChannelChoice(True, ContrastMode.PLANE, gamma=0.5),
    },
    area=VisibleArea((1.0, 2.0), (3.0, 4.0)),
)


def write(path: Path, n_t: int = 3, size: int = 64, names: tuple[str, ...] = NAMES) -> None:
    array = stores.create_array(path / "0", (n_t, len(names), 2, size, size))
    for t in range(n_t):
        for c in range(len(names)):
            for z in range(2):
                pixels = np.arange(size * size).reshape(size, size) + 100 * t + 10 * c + z
                array[t, c, z] = pixels.astype("u2")
    stores.write_group(path, stores.image_attributes(channels=list(names), squid=False))
    stores.make_old(path)


def state(viewer: LightweightViewer) -> dict[str, object]:
    stage = viewer.stage
    area = stage.canvas.visible_area()
    return {
        "view": stage.view,
        "on": [stage.strips.is_channel_visible(c) for c in range(2)],
        "contrast": [stage.strips.contrast_mode(c) for c in range(2)],
        "limits": stage.canvas.limits(1),
        "colors": [stage.strips.chosen_color(c) for c in range(2)],
        "area": [round(edge, 3) for edge in (*area.x, *area.y)],
    }


def leave(qtbot, viewer: LightweightViewer, path: Path) -> dict[str, object]:
    """Change everything there is to be changed in the view, close it, and return what it was."""
    viewer.remember_views()
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    stage = viewer.stage
    stage.go_to(t=2, z=1)
    stage.strips.strip(0).on.click()
    choose_limits(viewer, 1, 120, 900)
    choose_in_menu(stage.strips.strip(1).dot, "Cyan")
    settle(qtbot, viewer)
    middle = stage.canvas.visible_area()
    width, height = (middle.x[1] - middle.x[0]) / 8, (middle.y[1] - middle.y[0]) / 8
    stage.canvas.show_area(VisibleArea((8.0, 8 + width), (12.0, 12 + height)))
    settle(qtbot, viewer)
    left = state(viewer)
    viewer.close()
    documents = viewer._screen.views._documents
    key = str(path)
    qtbot.waitUntil(lambda: (documents.get(key) or {}).get("t") == 2)
    return left


@pytest.mark.gl
def test_the_next_viewer_shows_a_dataset_as_the_last_one_left_it(qtbot, viewer, tmp_path) -> None:
    write(tmp_path / "a")
    left = leave(qtbot, viewer, tmp_path / "a")
    second, host = LightweightViewer(), LightweightViewer()
    for each in (second, host):
        qtbot.addWidget(each)
        each.resize(900, 600)
        each.show()
    second.remember_views()
    for each in (second, host):
        load(qtbot, each, tmp_path / "a")
        settle(qtbot, each)
    qtbot.waitUntil(lambda: state(second) == left)
    assert second.status_label.text().startswith("Loaded: a, shown as it was left")
    # a host that has not asked for it gets what it always got
    assert state(host)["view"][:3] == (0, 0, 0)
    assert state(host)["on"] == [True, True]
    assert host.stage.canvas.is_fitting


@pytest.mark.gl
def test_another_dataset_at_the_same_path_begins_anew_and_a_shorter_one_stays_within_it(
    qtbot, viewer, tmp_path
) -> None:
    path = tmp_path / "a"
    write(path)
    leave(qtbot, viewer, path)
    for names, n_t in ((("DAPI", "Cy5"), 3), (NAMES, 2)):
        os.rename(path, tmp_path / f"before {names}")
        write(path, n_t, names=names)
        again = LightweightViewer()
        qtbot.addWidget(again)
        again.resize(900, 600)
        again.show()
        again.remember_views()
        load(qtbot, again, path)
        settle(qtbot, again)
        assert again.stage.view[:3] == ((0, 0, 0) if names != NAMES else (0, 0, 1))
        # what was chosen for DAPI holds wherever there is a channel of that name, limits of GFP not for Cy5
        assert state(again)["on"] == [False, True]
        assert [mode.value for mode in state(again)["contrast"]] == [
            "Run",
            "Run" if names != NAMES else "Manual",
        ]
        again.close()
        if names != NAMES:  # what it has shown is kept now; what was left before counts for the next
            documents, last = again._screen.views._documents, view_of(again._screen.views._saved.as_json())
            qtbot.waitUntil(lambda d=documents, v=last: view_of(d.get(str(path))) == v, timeout=20_000)
            documents.put(str(path), viewer._screen.views._saved.as_json())


# ---- what is kept ---------------------------------------------------------------------------


def test_a_view_is_read_back_as_it_was_written() -> None:
    assert view_of(json.loads(json.dumps(SAVED.as_json()))) == SAVED
    other = SAVED._replace(area=None, volume=VolumeLook(True, "attenuated", 3), sections=(7, 0))
    assert view_of(json.loads(json.dumps(other.as_json()))) == other
    other = SAVED._replace(split=SplitLook.COLOURS, sight=VolumeSight.of_text("20,-30,40.5,1,2,3,4"))
    assert view_of(json.loads(json.dumps(other.as_json()))) == other


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 0},
        {"t": -1},
        {"t": True},
        {"z": "1"},
        {"position": 5},
        {"channels": {"DAPI": [True]}},
        {"channels": {"DAPI": [True, [1, "x"], ""]}},
        {"channels": {"DAPI": [True, None, "red; }"]}},
        {"channels": [1]},
        {"area": [1, 2, 3]},
        {"area": [2, 1, 3, 4]},
        {"area": [0, float("inf"), 3, 4]},
        {"followed": 3},
        {"volume": "max:1"},
        {"volume": "paint"},
        {"volume": 3},
        {"sections": [1]},
        {"sections": [1, -1]},
        {"sections": 3},
        {"split": "yes"},
        {"sight": [1, 2]},
        {"sight": "1,2,3"},
        {"split": ["gray"]},
        {"subject": "x" * 5000},
    ],
)
def test_what_is_damaged_or_of_another_version_is_no_view(damage: dict[str, object]) -> None:
    assert view_of({**SAVED.as_json(), **damage}) is None
    assert view_of(None) is None
    assert view_of({}) is None


def test_documents_are_few_small_and_named_by_hashes(tmp_path: Path) -> None:
    folder = tmp_path / "views"
    documents = SmallDocuments(folder, most=10)
    (folder / "mine.json").parent.mkdir()
    (folder / "mine.json").write_text("{}")
    for i in range(33):
        documents.put(f"/data/{i}", {"i": i})
    documents.put("/data/32", {"i": "again"})
    assert documents.get("/data/32") == {"i": "again"}
    assert documents.get("/data/0") is None
    assert len(list(folder.iterdir())) <= 10 + 16 + 1
    assert (folder / "mine.json").exists()
    documents.put("/large", {"text": "x" * 1_000_000})
    assert documents.get("/large") is None
    path = documents._path("/data/32")
    for damaged in (b"", b"{", b"[1]", b"[" * 100_000, b"{" + b" " * 1_000_000 + b"}"):
        with open(path, "wb") as file:
            file.write(damaged)
        assert documents.get("/data/32") is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    documents = SmallDocuments(tmp_path / "file" / "views")
    documents.put("/data", {})
    assert documents.get("/data") is None


def test_a_view_of_an_address_is_found_with_another_signature_and_holds_no_secret(tmp_path: Path) -> None:
    background = SimpleNamespace(run=lambda name, function: function())
    views = ViewMemory(background, str(tmp_path))
    key = "https://host/run.zarr"
    views._documents.put(key, SAVED.as_json())
    assert views.find("https://me:secret@host/run.zarr?X-Amz-Signature=abc") is None
    views.enabled = True
    assert views.find("https://me:secret@host/run.zarr?X-Amz-Signature=abc") == SAVED
    assert views.find("https://host/other.zarr") is None


# ---- links -----------------------------------------------------------------------------------------

LINKED = SAVED._replace(subject="", followed=frozenset(), pinned=frozenset("tpz"))
ODD = {("β \x1b&=#%;:,|", 0): ChannelChoice(False), ("DAPI", 1): ChannelChoice(color="viridis_r", gamma=2.0)}


@pytest.mark.parametrize(
    "path",
    [
        "/data/a run?x=1#2/100% β.zarr",
        "https://host:8443/a/b.zarr",
        "s3://bucket/k#1.h5::/a b",
        "/x/\udcff.tif",
    ],
)
def test_a_link_says_what_it_was_made_of(path):
    odd = LINKED._replace(channels=ODD, area=None, position="", volume=VolumeLook(True, "surface", 2, 11))
    turned = LINKED._replace(sight=VolumeSight.of_text("-30.5,20,100,3.25,-4,80,60"), area=None)
    for view in (
        LINKED,
        odd,
        LINKED._replace(sections=(0, 511)),
        LINKED._replace(split=SplitLook.GRAY),
        turned,
    ):
        link = link_to(path, view)
        assert link.isascii() and link.isprintable() and " " not in link
        assert view_in(f"  {link}\n") == (path, view)
    assert "&t=4&z=2&" in link_to(path, LINKED)  # counted as in the window


def test_a_link_has_no_secrets():
    link = link_to("https://me:secret@host/x.zarr?X-Amz-Signature=abc#d", LINKED)
    assert link.startswith("ndviewer:https://host/x.zarr?p=")
    assert "secret" not in link and "abc" not in link


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("ndviewer:", "names no dataset"),
        ("ndviewer:?t=1", "names no dataset"),
        ("ndviewer:relative/x.zarr", "does not begin at the root"),
        ("ndviewer:/x%00y", "names no dataset"),
        ("ndviewer:/x%0Ay", "names no dataset"),
        ("ndviewer:/" + "x" * 5000, "names no dataset"),
        ("ndviewer:/x?" + "t=1&" * 4000, "damaged"),
        ("ndviewer:/x?" + "y" * 20000, "not a link"),
        ("ndviewer:/x?t=0", "damaged"),
        ("ndviewer:/x?t=²", "damaged"),
        ("ndviewer:/x?t=99999999999", "damaged"),
        ("ndviewer:/x?area=1,0,0,1", "damaged"),
        ("ndviewer:/x?area=0,inf,0,1", "damaged"),
        ("ndviewer:/x?area=0,1", "damaged"),
        ("ndviewer:/x?volume=iso:2", "damaged"),
        ("ndviewer:/x?sight=1,2,3,4,5,6", "damaged"),
        ("ndviewer:/x?sight=1,2,nan,4,5,6,7", "damaged"),
        ("ndviewer:/x?sight=1,2,3,1e99,5,6,7", "damaged"),
        ("ndviewer:/x?sight=1,2,3,4,5,0,7", "damaged"),
        ("ndviewer:/x?sections=3", "damaged"),
        ("ndviewer:/x?split=upside down", "damaged"),
        ("ndviewer:/x?c0=a&limits0=1:2:3", "damaged"),
        ("ndviewer:/x?c0=a&gamma0=x", "damaged"),
        ("ndviewer:/x?c0=a&contrast0=__class__", "damaged"),
        ("file:///x", "not a link"),
    ],
)
def test_what_is_no_link_is_refused_with_a_sentence(link, says):
    with pytest.raises(ValueError, match=says):
        view_in(link)


def test_what_makes_no_sense_in_a_link_is_left_out():
    _, view = view_in("ndviewer:/x?c0=a&color0=url(x)&gamma0=1e9&limits0=5:1&c1=b&t=2&t=9&evil=1")
    assert view.channels[("a", 0)] == ChannelChoice(mode=ContrastMode.MANUAL)
    assert view.t == 1


@pytest.mark.each_binding
@pytest.mark.gl
def test_a_link_that_is_copied_and_pasted_shows_the_same_view(qtbot, viewer, tmp_path):
    path = tmp_path / "a run.zarr"
    write(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    stage = viewer.stage
    stage.go_to(t=2, z=1)
    stage.strips.strip(0).on.click()
    choose_limits(viewer, 1, 120, 900)
    choose_in_menu(stage.strips.strip(1).dot, "Cyan")
    settle(qtbot, viewer)
    stage.canvas.show_area(VisibleArea((8.0, 16.0), (12.0, 20.0)))
    settle(qtbot, viewer)
    left = {**state(viewer), "contrast": [ContrastMode.MANUAL] * 2}  # limits as they were seen
    activate(qtbot, viewer)
    picture = stage.canvas.surface
    picture.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is picture, timeout=20_000)
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(picture, Qt.Key.Key_C, control | shift)
    link = QApplication.clipboard().text()
    assert link.startswith("ndviewer:/") and "&t=3&z=2&" in link
    # in the box where one types where to go, of the same window
    stage.strips._flat.setFocus()
    stage.go_to(t=0, z=0)
    stage.strips.strip(0).on.click()
    stage.canvas.reset_view()
    qtbot.keyClick(picture, Qt.Key.Key_G, control)
    stage.go_box.line.clear()
    qtbot.keyClicks(stage.go_box.line, link)
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        qtbot.keyClick(stage.go_box.line, Qt.Key.Key_Return)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: state(viewer) == left, timeout=20_000)
    # in another window, as from the command line
    window = LightweightMainWindow(link)
    qtbot.addWidget(window)
    window.resize(viewer.size())
    window.show()
    qtbot.waitUntil(lambda: window.viewer.dataset is not None, timeout=20_000)
    settle(qtbot, window.viewer)
    qtbot.waitUntil(
        lambda: (
            {**state(window.viewer), "area": 0} == {**left, "area": 0}
            and window.viewer.stage.canvas.visible_area().x[0] > 4
        ),
        timeout=20_000,
    )
    assert window.windowTitle().endswith("a run.zarr")
    window.close()


@pytest.mark.gl
def test_what_a_link_names_and_the_dataset_lacks_is_said(qtbot, viewer, tmp_path):
    path = tmp_path / "run.zarr"
    write(path)
    lost = {("Cy5", 0): ChannelChoice(True), ("DAPI", 0): ChannelChoice(True), ("RFP", 0): ChannelChoice()}
    link = link_to(str(path), LINKED._replace(position="D7:3", t=8, z=0, channels=lost))
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer.load_dataset(link)
    said = "The link names what this dataset does not have: position D7:3; channels Cy5, RFP; time point 9"
    assert viewer.status_label.said("message") == said
    settle(qtbot, viewer)
    load(qtbot, viewer, path)
    assert viewer.status_label.said("message").startswith("Loaded")


@pytest.mark.gl
def test_a_channel_looked_at_alone_does_not_switch_the_others_off_for_the_next_dataset(
    qtbot, viewer, tmp_path
):
    for name in "ab":
        write(tmp_path / name)
    load(qtbot, viewer, tmp_path / "a")
    settle(qtbot, viewer)
    stage = viewer.stage
    activate(qtbot, viewer)
    QTest.mouseClick(stage.canvas.surface, Qt.MouseButton.LeftButton)
    QTest.keyClick(stage.canvas.surface, Qt.Key.Key_2)
    qtbot.waitUntil(lambda: state(viewer)["on"] == [False, True], timeout=20_000)
    settle(qtbot, viewer)
    load(qtbot, viewer, tmp_path / "b")
    settle(qtbot, viewer)
    assert state(viewer)["on"] == [True, True]
    stage.strips.strip(0).on.click()  # chosen, not looked at
    load(qtbot, viewer, tmp_path / "a")
    settle(qtbot, viewer)
    assert state(viewer)["on"] == [False, True]


@pytest.mark.gl
def test_a_link_that_is_damaged_is_an_error_page_and_passwords_stay_where_they_are(qtbot, monkeypatch):
    window = LightweightMainWindow("https://127.0.0.1:9/a.zarr", {"password": "x"})
    qtbot.addWidget(window)
    asked = []
    monkeypatch.setattr(
        window.viewer._screen.openings._opener, "open", lambda path, options: asked.append((path, options))
    )
    window.open_path("ndviewer:https://127.0.0.1:9/b.zarr?t=2")
    window.open_path("ndviewer:https://127.0.0.2:9/b.zarr?t=2")
    assert asked == [("https://127.0.0.1:9/b.zarr", {"password": "x"}), ("https://127.0.0.2:9/b.zarr", {})]
    window.open_path("ndviewer:/x?t=0")
    page = window.viewer._screen.message
    qtbot.waitUntil(lambda: "This link is damaged" in page.text(), timeout=20_000)
    assert page.headline.text() == "Nothing was opened"
    window.close()
