"""The strip below the T slider, and the keys and the button that lead to what is missing or unreadable."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from memory_source import memory_info, wait_until
from qtpy.QtCore import QPoint, Qt
from runs import load, small_run, write
from screen import settle
from test_report import ListedSource, every_key, filled

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.state_codes import TimeState
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.gui.following.plane_finder import first_missing, written_in_part
from ndviewer_light.gui.look.theme import dark_palette
from ndviewer_light.gui.panels.sliders import AxisSliders
from ndviewer_light.gui.run_status import run_progress, run_watch
from ndviewer_light.gui.run_status.run_progress import RunState
from ndviewer_light.gui.sessions import Session
from ndviewer_light.model import PlaneKey, PlaneState

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot
    from qtpy.QtGui import QColor

    from ndviewer_light.gui.panels.time_strip import TimeStrip
    from ndviewer_light.gui.viewer import LightweightViewer

ACQUIRED, PARTLY, PENDING = TimeState.ACQUIRED, TimeState.PARTLY, TimeState.PENDING
GONE, BAD, UNKNOWN = TimeState.MISSING, TimeState.UNREADABLE, TimeState.UNKNOWN


# ---- the strip by itself ---------------------------------------------------------------------------


@pytest.fixture(params=["light", "dark"])
def sliders(qtbot: QtBot, request: pytest.FixtureRequest) -> AxisSliders:
    panel = AxisSliders()
    qtbot.addWidget(panel)
    if request.param == "dark":
        panel.setPalette(dark_palette())
    panel.resize(700, 90)
    panel.set_sizes({"t": 10, "z": 3, "p": 1})
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def colors_at(strip: TimeStrip, index: int) -> list[QColor]:
    """The pixels of the column in the middle of a time point, from top to bottom."""
    picture = strip.grab().toImage()
    span = strip.width() - 2 * strip.margin
    x = round(strip.margin + index * span / (len(strip.states) - 1))
    ratio = picture.width() / strip.width()
    return [picture.pixelColor(int(x * ratio), y) for y in range(picture.height())]


def test_each_state_looks_different(sliders: AxisSliders) -> None:
    sliders.set_time_states(
        [ACQUIRED, GONE, PARTLY, BAD, PENDING, UNKNOWN, ACQUIRED, ACQUIRED, ACQUIRED, GONE]
    )
    strip = sliders.time_strip
    looks = [tuple(color.name() for color in colors_at(strip, i)) for i in range(5)]
    assert len(set(looks)) == 5
    accent, warning, text = (getattr(sliders.colors, name).name() for name in ("accent", "warning", "text"))
    assert accent in looks[0] and warning not in looks[0]
    assert warning in looks[1] and accent not in looks[1]
    assert accent in looks[2] and warning in looks[2]
    assert set(looks[3]) == {text}


def test_what_is_just_being_written_does_not_look_as_if_it_were_missing(sliders: AxisSliders) -> None:
    sliders.set_time_states([*[ACQUIRED] * 3, PARTLY, PARTLY, *[PENDING] * 5], 4)
    strip = sliders.time_strip
    looks = [{color.name() for color in colors_at(strip, i)} for i in range(6)]
    accent, warning = sliders.colors.accent.name(), sliders.colors.warning.name()
    assert accent in looks[4] and warning not in looks[4]
    assert warning in looks[3]
    assert all(colors_at(strip, 4) != colors_at(strip, i) for i in (0, 3, 5))
    said = "3 of 10 time points acquired, 1 being written, 1 acquired in part, 5 not written yet"
    assert strip.accessibleDescription() == said
    x = strip.margin + 4 * (strip.width() - 2 * strip.margin) / 9
    assert strip.text_at(x) == f"t 5: being written\n{said}"


def test_one_missing_time_point_of_many_can_be_seen(sliders: AxisSliders) -> None:
    states = [ACQUIRED] * 100_000
    states[50_000] = GONE
    sliders.set_sizes({"t": len(states)})
    sliders.set_time_states(states)
    warning = sliders.colors.warning.name()
    assert sum(color.name() == warning for color in colors_at(sliders.time_strip, 50_000)) >= 2


def test_it_says_in_words_what_it_shows_and_leads_there(qtbot: QtBot, sliders: AxisSliders) -> None:
    sliders.set_time_states([*[ACQUIRED] * 7, GONE, GONE, PARTLY])
    strip = sliders.time_strip
    said = "7 of 10 time points acquired, 1 acquired in part, 2 nothing stored"
    assert strip.accessibleDescription() == said
    x = round(strip.margin + 8 * (strip.width() - 2 * strip.margin) / 9)
    assert strip.text_at(x) == f"t 9: nothing stored\n{said}"
    with qtbot.waitSignal(sliders.moved, timeout=20_000) as moved:
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(x, 3))
    assert moved.args == ["t", 8]


def test_without_time_there_is_no_strip(sliders: AxisSliders) -> None:
    assert sliders.time_strip.isVisible()
    sliders.set_sizes({"t": 1})
    assert not sliders.time_strip.isVisible()
    assert sliders.time_strip.text_at(10) == ""


# ---- in the viewer ---------------------------------------------------------------------------------

GAPS = [PlaneKey(2, 0, 1, 0), PlaneKey(0, 1, 0, 1), PlaneKey(3, 1, 0, 0)]


def show(qtbot: QtBot, viewer: LightweightViewer, missing: list[PlaneKey]) -> ListedSource:
    source = ListedSource(memory_info(n_t=4))
    filled(source, missing, every_key(4))
    dataset = Dataset(source, path="/a")
    viewer._screen.sessions.ask_for(Session(dataset, "/a"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    return source


def place(viewer: LightweightViewer) -> tuple[int, int, int]:
    view = viewer.stage.view
    return view.t, view.p, view.z


@pytest.mark.each_binding
@pytest.mark.gl
def test_the_key_leads_from_one_missing_plane_to_the_next(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer, GAPS)
    strip, button = viewer.stage.sliders.time_strip, viewer._screen._row.missing
    qtbot.waitUntil(lambda: strip.states == (ACQUIRED, ACQUIRED, PARTLY, ACQUIRED), timeout=20_000)
    qtbot.waitUntil(button.isVisible, timeout=20_000)
    viewer.stage.strips.set_visible_channel(1, False)
    for gap in [*GAPS, GAPS[0]]:
        qtbot.keyClick(viewer, Qt.Key.Key_N)
        qtbot.waitUntil(lambda gap=gap: place(viewer) == (gap.t, gap.p, gap.z), timeout=20_000)
        assert viewer.stage.strips.is_channel_visible(gap.c)
    assert viewer.status_label.said("message") == "A1:0 · t 3 · z 1 · c1: nothing stored"
    button.click()
    qtbot.waitUntil(lambda: place(viewer) == (0, 1, 1), timeout=20_000)
    qtbot.waitUntil(lambda: strip.states == (PARTLY, ACQUIRED, ACQUIRED, PARTLY), timeout=20_000)


@pytest.mark.gl
def test_what_was_found_is_said_while_it_is_in_view(qtbot: QtBot, viewer: LightweightViewer) -> None:
    """It stayed below other planes, as if these were missing."""
    show(qtbot, viewer, GAPS)
    status = viewer.status_label
    qtbot.keyClick(viewer, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: status.said("message").endswith("nothing stored"), timeout=20_000)
    viewer.stage.strips.set_visible_channel(1, False)
    settle(qtbot, viewer)
    assert status.said("message").endswith("nothing stored")
    viewer.stage.go_to(t=0)
    qtbot.waitUntil(lambda: status.said("message") == "", timeout=20_000)
    qtbot.keyClick(viewer, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: status.said("message").endswith("nothing stored"), timeout=20_000)
    status.say("message", "Saved a.png")
    viewer.stage.go_to(t=1)
    settle(qtbot, viewer)
    assert status.said("message") == "Saved a.png"


@pytest.mark.gl
def test_where_nothing_is_missing_it_says_so_and_stays(qtbot: QtBot, viewer: LightweightViewer) -> None:
    show(qtbot, viewer, [])
    qtbot.keyClick(viewer, Qt.Key.Key_N)
    status = viewer.status_label
    qtbot.waitUntil(lambda: status.said("message") == "No missing planes", timeout=20_000)
    qtbot.keyClick(viewer, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: status.said("message") == "No unreadable planes", timeout=20_000)
    assert place(viewer) == (0, 0, 0)
    assert not viewer._screen._row.missing.isVisible()


@pytest.mark.gl
def test_the_next_unreadable_plane_is_found_by_reading(qtbot: QtBot, viewer: LightweightViewer) -> None:
    source = show(qtbot, viewer, GAPS)
    source.errors[PlaneKey(1, 2, 1, 1)] = CorruptDataError("half a chunk")
    qtbot.keyClick(viewer, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: place(viewer) == (1, 2, 1), timeout=20_000)
    qtbot.waitUntil(lambda: viewer.stage.sliders.time_strip.states[1:2] == (BAD,), timeout=20_000)
    assert viewer._screen._row.missing.text() == "Next unreadable"


@pytest.mark.gl
def test_the_button_leads_to_what_there_is_and_the_key_to_what_is_fill_value(
    qtbot: QtBot, viewer: LightweightViewer, tmp_path: Path
) -> None:
    shape, chunk = (3, 2, 1, 16, 16), (1, 1, 1, 16, 16)
    array = stores.create_array(tmp_path / "a.zarr", shape, chunk=chunk)
    array.write(np.full(shape, 7, np.uint16)).result()
    stores.make_old(tmp_path / "a.zarr")
    stored = sorted(path for path in (tmp_path / "a.zarr").rglob("*") if path.is_file() and "c" in path.parts)
    (gap,) = (path for path in stored if path.parts[-5:-3] == ("1", "1"))
    (damaged,) = (path for path in stored if path.parts[-5:-3] == ("2", "0"))
    gap.unlink()
    damaged.write_bytes(b"half")
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    status, button = viewer.status_label, viewer._screen._row.missing
    qtbot.keyClick(viewer, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: place(viewer)[0] == 1, timeout=20_000)
    assert status.said("message").endswith("nothing stored, so it is the fill value")
    assert not button.isVisible()
    qtbot.keyClick(viewer, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: place(viewer)[0] == 2, timeout=20_000)
    qtbot.waitUntil(button.isVisible, timeout=20_000)
    assert button.text() == "Next unreadable"
    viewer.stage.go_to(t=0)
    button.click()
    qtbot.waitUntil(lambda: place(viewer)[0] == 2, timeout=20_000)


@pytest.mark.gl
def test_escape_ends_a_search(qtbot: QtBot, viewer: LightweightViewer) -> None:
    source = show(qtbot, viewer, [])
    ended: list[int] = []

    def slowly(key: PlaneKey) -> None:
        if not ended:
            wait_until(lambda: ended)

    source.before_read = slowly
    qtbot.keyClick(viewer, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(viewer, Qt.Key.Key_Escape)
    ended.append(1)
    assert viewer.status_label.said("message") == "Search ended"
    qtbot.keyClick(viewer, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: viewer.status_label.said("message") == "No missing planes", timeout=20_000)


@pytest.mark.gl
def test_the_button_leads_to_a_position_that_was_never_in_view(
    qtbot: QtBot, viewer: LightweightViewer, tmp_path: Path
) -> None:
    """It came only where the position in view lacked something: of a plate one had to go through all."""
    stores.write_plate(tmp_path / "plate.zarr", {"A/1": 2, "A/2": 2, "B/2": 1}, sizes={"c": 2, "z": 2})
    stores.make_old(tmp_path / "plate.zarr")
    shutil.rmtree(next((tmp_path / "plate.zarr" / "B" / "2" / "0" / "0").glob("c")))
    load(qtbot, viewer, tmp_path / "plate.zarr")
    settle(qtbot, viewer)
    button = viewer._screen._row.missing
    qtbot.waitUntil(button.isVisible, timeout=20_000)
    assert button.text() == "Next missing"
    button.click()
    qtbot.waitUntil(lambda: place(viewer) == (0, 4, 0), timeout=20_000)


@pytest.mark.gl
def test_a_search_ends_when_the_view_is_led_elsewhere(qtbot: QtBot, viewer: LightweightViewer) -> None:
    source = show(qtbot, viewer, [])
    source.errors[PlaneKey(3, 2, 1, 1)] = CorruptDataError("half a chunk")
    ended: list[int] = []

    def slowly(key: PlaneKey) -> None:
        if not ended:
            wait_until(lambda: ended)

    source.before_read = slowly
    viewer.stage.go_to(t=1)
    qtbot.keyClick(viewer, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    viewer.stage.go_to(t=2)
    qtbot.waitUntil(lambda: viewer.status_label.said("message") == "Search ended", timeout=20_000)
    ended.append(1)
    settle(qtbot, viewer)
    assert place(viewer) == (2, 0, 0)


@pytest.mark.gl
def test_of_a_run_on_disk_through_a_reader_process(
    qtbot: QtBot, viewer: LightweightViewer, tmp_path: Path
) -> None:
    run = small_run(tmp_path, layout="images", n_t=3)
    write(run)
    victim = next(path for path in sorted(run.folder.rglob("*.tiff")) if path.parent.name == "1")
    victim.unlink()
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    strip = viewer.stage.sliders.time_strip
    qtbot.waitUntil(lambda: strip.states == (ACQUIRED, PARTLY, ACQUIRED), timeout=20_000)
    qtbot.keyClick(viewer, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: place(viewer)[0] == 1, timeout=20_000)


@pytest.mark.gl
def test_when_the_row_says_that_nothing_comes_any_more_the_strip_says_so_too(
    qtbot: QtBot, viewer: LightweightViewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer was killed in the middle of a time point; whether it was, nobody knows."""
    monkeypatch.setattr(run_progress, "STALLED_SECONDS", 3.0)
    monkeypatch.setattr(run_watch, "_COUNT_SECONDS", 0.3)
    shape, chunk = (4, 2, 1, 16, 16), (1, 1, 1, 16, 16)
    array = stores.create_array(tmp_path / "a.zarr", shape, chunk=chunk)
    array[0].write(np.full(shape[1:], 7, np.uint16)).result()
    load(qtbot, viewer, tmp_path / "a.zarr")
    settle(qtbot, viewer)
    viewer.set_follow(t=True)
    strip, bar = viewer.stage.sliders.time_strip, viewer._screen._row.run
    array[1].write(np.full(shape[1:], 7, np.uint16)).result()
    array[2, 0].write(np.full(shape[2:], 7, np.uint16)).result()
    qtbot.waitUntil(lambda: "1 being written" in strip.summary(), timeout=20_000)
    viewer.set_follow(t=False)
    viewer.stage.go_to(t=2)
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas
    assert canvas.frame.planes[1].state is PlaneState.PENDING
    qtbot.waitUntil(lambda: bar.news is not None and bar.news.state is RunState.STALLED, timeout=30_000)
    said = "2 of 4 time points acquired, 1 acquired in part, 1 nothing stored"
    qtbot.waitUntil(lambda: strip.summary() == said, timeout=20_000)
    qtbot.waitUntil(lambda: canvas.frame.planes[1].state is PlaneState.ABSENT, timeout=20_000)
    assert viewer._screen._row.missing.isVisible()
    array[2, 1].write(np.full(shape[2:], 7, np.uint16)).result()
    qtbot.waitUntil(lambda: bar.news.state is RunState.RECORDING, timeout=20_000)
    qtbot.waitUntil(lambda: strip.summary().startswith("3 of 4 time points acquired"), timeout=20_000)


@pytest.mark.parametrize(
    ("states", "is_written", "expected"),
    [
        ((ACQUIRED, ACQUIRED, PARTLY), True, None),
        ((ACQUIRED, ACQUIRED, PARTLY), False, 2),
        ((ACQUIRED, PARTLY, ACQUIRED), True, 1),
        ((ACQUIRED, PARTLY, PARTLY, PARTLY, PENDING), True, None),
        ((PARTLY, PARTLY), True, None),
        ((ACQUIRED, ACQUIRED, GONE), True, 2),
        ((ACQUIRED, ACQUIRED, BAD), True, None),
        ((ACQUIRED, ACQUIRED, PENDING), True, None),
        ((), True, None),
    ],
)
def test_the_time_point_that_is_just_being_written_is_not_missing(
    states: tuple[TimeState, ...], is_written: bool, expected: int | None
) -> None:
    assert first_missing(states, is_written=is_written) == expected
    begun = [t for t, state in enumerate(states) if state in (ACQUIRED, PARTLY)]
    assert written_in_part(states) == (begun[-1] if begun and states[begun[-1]] is PARTLY else None)
