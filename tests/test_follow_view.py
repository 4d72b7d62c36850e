"""The view goes along with a run: pins, lights, the button and the key, with real sliders, mouse and keys."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from runs import follow, load, planes_of, small_run, write
from screen import activate, assert_shows, settle

from ndviewer_light.engine import look_schedule
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui.following.follow import FollowMode
from ndviewer_light.gui.sessions import Session
from ndviewer_light.model import Position
from simulate_acquisition import announce_run

pytestmark = pytest.mark.gl

LEFT = Qt.MouseButton.LeftButton


def show(qtbot, viewer, dataset=None, live=True, **sizes):
    """Put a dataset in memory on screen, by default one of a run; returns it."""
    if dataset is None:
        dataset = Dataset(
            MemorySource(memory_info(**{"n_t": 50, "n_p": 4, "n_z": 3, **sizes})), path="/a", live=live
        )
    viewer._screen.sessions.ask_for(Session(dataset, "/a"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    activate(qtbot, viewer.window())  # the canvas made Qt create the window again
    return dataset


def announce(dataset, t, p, z=0, channels=(0, 1)):
    for c in channels:
        dataset.notify(t, p, c, z)


def at(viewer):
    return viewer.stage.view[:3]


def wait_at(qtbot, viewer, place):
    qtbot.waitUntil(lambda: at(viewer) == place, timeout=20_000)


def lights(viewer):
    """The axes whose light says that they follow; None if there are no lights."""
    sliders = viewer.stage.sliders
    if not any(sliders.light(axis).isVisible() for axis in "tpz"):
        return None
    return "".join(axis for axis in "tpz" if sliders.light(axis).mode is FollowMode.NEWEST)


def button(viewer):
    return viewer._screen._row.follow


def in_focus(qtbot, widget):
    widget.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is widget, timeout=20_000)
    return widget


# ---- who follows, and who does not -------------------------------------------------------------


def test_a_window_of_our_own_follows_a_run_and_shows_its_last_planes(qtbot, window, tmp_path):
    run = small_run(tmp_path / "run", n_t=3)
    viewer = window.viewer
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    wait_at(qtbot, viewer, (2, 2, 0))
    assert lights(viewer) == "tp"
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 2, 2, 0))
    viewer.end_zarr_acquisition()


def test_in_a_host_nothing_moves_unless_it_or_the_user_asks(qtbot, viewer):
    dataset = show(qtbot, viewer)
    announce(dataset, 7, 2)
    qtbot.wait(100)
    assert at(viewer) == (0, 0, 0)
    assert lights(viewer) == ""
    viewer.set_follow(t=True)
    wait_at(qtbot, viewer, (0, 0, 0))  # nothing of position 0 is there
    announce(dataset, 3, 0)
    wait_at(qtbot, viewer, (3, 0, 0))
    assert lights(viewer) == "t"
    viewer.set_follow(p=True)
    wait_at(qtbot, viewer, (3, 0, 0))
    announce(dataset, 8, 1)
    wait_at(qtbot, viewer, (8, 1, 0))
    viewer.set_follow(t=False, p=False)
    announce(dataset, 9, 3)
    qtbot.wait(100)
    assert at(viewer) == (8, 1, 0)


def test_a_finished_dataset_is_shown_from_its_beginning_and_has_nothing_to_follow(qtbot, window, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    viewer = window.viewer
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    qtbot.keyClick(window, Qt.Key.Key_F)
    assert at(viewer) == (0, 0, 0)
    assert lights(viewer) is None
    assert not button(viewer).isVisible()


def test_a_pinned_axis_never_moves_in_a_run_of_a_thousand_frames(qtbot, window):
    viewer = window.viewer
    dataset = show(qtbot, viewer, n_t=250, n_p=4)
    sliders = viewer.stage.sliders
    sliders.slider("p").setValue(2)
    assert lights(viewer) == "t"
    seen = []
    chance = random.Random(1)
    for t in range(250):
        for p in chance.sample(range(4), 4):
            announce(dataset, t, p, z=chance.randrange(3))
            if chance.random() < 0.2:
                QApplication.processEvents()
                viewer._screen._step()
                seen.append(at(viewer))
    announce(dataset, 249, 2)
    wait_at(qtbot, viewer, (249, 2, 0))
    assert {(p, z) for _, p, z in seen} == {(2, 0)}
    ts = [t for t, _, _ in seen]
    assert ts == sorted(ts)
    assert len(set(ts)) > 20


# ---- pins and keys -------------------------------------------------------------------------------


@pytest.mark.each_binding
def test_touching_a_slider_pins_that_axis_and_the_key_follows_again_after_a_click_into_the_picture(
    qtbot, window
):
    viewer = window.viewer
    dataset = show(qtbot, viewer)
    announce(dataset, 4, 3)
    wait_at(qtbot, viewer, (4, 3, 0))
    assert button(viewer).isChecked()
    qtbot.keyClick(viewer.stage.sliders.slider("t"), Qt.Key.Key_Left)
    assert lights(viewer) == "p"
    assert not button(viewer).isChecked()
    announce(dataset, 3, 1)
    wait_at(qtbot, viewer, (3, 1, 0))
    announce(dataset, 5, 2)
    qtbot.wait(50)
    assert at(viewer) == (3, 1, 0), "nothing newer is there of the time that is pinned"
    canvas = viewer.stage.canvas.surface
    qtbot.mouseClick(canvas, LEFT)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is canvas, timeout=20_000)
    qtbot.keyClick(canvas, Qt.Key.Key_F)
    wait_at(qtbot, viewer, (5, 2, 0))
    assert lights(viewer) == "tp"
    assert button(viewer).isChecked()


def test_the_key_belongs_to_the_viewer_and_not_to_text_fields_around_or_in_it(qtbot, viewer):
    host = QWidget()
    qtbot.addWidget(host)
    field = QLineEdit()
    column = QVBoxLayout(host)
    column.addWidget(field)
    column.addWidget(viewer)
    host.resize(900, 700)
    with qtbot.waitExposed(host):
        host.show()
    show(qtbot, viewer)
    qtbot.keyClicks(in_focus(qtbot, field), "f")
    assert field.text() == "f"
    assert lights(viewer) == ""
    number = viewer.stage.strips.findChild(QLineEdit)
    qtbot.keyClicks(in_focus(qtbot, number), "f")
    assert lights(viewer) == ""
    qtbot.keyClick(in_focus(qtbot, viewer.stage.sliders.slider("z")), Qt.Key.Key_F)
    assert lights(viewer) == "tp"
    viewer.setParent(None)


@pytest.mark.each_binding
def test_a_light_switches_its_axis_and_the_button_all(qtbot, window):
    viewer = window.viewer
    dataset = show(qtbot, viewer)
    announce(dataset, 2, 1)
    wait_at(qtbot, viewer, (2, 1, 0))
    light = viewer.stage.sliders.light
    qtbot.mouseClick(light("p"), LEFT)
    assert lights(viewer) == "t"
    assert "Pinned" in light("p").toolTip()
    qtbot.mouseClick(light("z"), LEFT)
    assert lights(viewer) == "tz"
    announce(dataset, 3, 1, z=2)
    wait_at(qtbot, viewer, (3, 1, 2))
    qtbot.mouseClick(button(viewer), LEFT)
    assert lights(viewer) == "tpz"
    qtbot.mouseClick(button(viewer), LEFT)
    assert lights(viewer) == ""


def test_an_incomplete_place_is_waited_for_unless_the_user_says_otherwise(qtbot, window):
    viewer = window.viewer
    dataset = show(qtbot, viewer)
    announce(dataset, 1, 0)
    announce(dataset, 2, 0, channels=(0,))
    wait_at(qtbot, viewer, (1, 0, 0))
    qtbot.wait(50)
    assert at(viewer) == (1, 0, 0)
    viewer.stage.strips.strip(1).on.click()
    wait_at(qtbot, viewer, (2, 0, 0))  # the other channel is not shown
    viewer.stage.strips.strip(1).on.click()
    wait_at(qtbot, viewer, (1, 0, 0))  # now it is, and missing there
    announce(dataset, 3, 0, channels=(1,))
    qtbot.wait(50)
    assert at(viewer) == (1, 0, 0)
    (waits,) = button(viewer).actions()
    waits.trigger()
    wait_at(qtbot, viewer, (3, 0, 0))
    viewer.set_follow(wait_for_channels=True)
    assert waits.isChecked()


# ---- playback, hosts, runs ----------------------------------------------------------------------


def test_playing_pins_its_axis_and_following_stops_the_playing(qtbot, window):
    viewer = window.viewer
    dataset = show(qtbot, viewer)
    announce(dataset, 9, 1)
    wait_at(qtbot, viewer, (9, 1, 0))
    sliders = viewer.stage.sliders
    qtbot.mouseClick(sliders.play_button("t"), LEFT)
    qtbot.mouseClick(sliders.play_button("z"), LEFT)
    assert lights(viewer) == "p"
    qtbot.waitUntil(lambda: at(viewer)[0] > 10, timeout=20_000)
    qtbot.keyClick(in_focus(qtbot, sliders.slider("z")), Qt.Key.Key_F)
    wait_at(qtbot, viewer, (9, 1, at(viewer)[2]))
    assert not sliders.play_button("t").isChecked()
    assert sliders.play_button("z").isChecked(), "z does not follow: it may play"
    sliders.stop_playing()


def test_a_move_by_the_host_pins_what_it_names(qtbot, viewer):
    dataset = show(qtbot, viewer)
    viewer.set_follow(t=True, p=True)
    assert viewer.go_to_well_fov("A1", 3)
    assert lights(viewer) == "t"
    announce(dataset, 5, 1)
    announce(dataset, 5, 3)
    wait_at(qtbot, viewer, (5, 3, 0))
    viewer.load_fov(2, t=1)
    assert lights(viewer) == ""
    viewer.set_follow(t=True, p=True)
    wait_at(qtbot, viewer, (5, 3, 0))
    assert viewer.set_current_index("time", 0)
    assert lights(viewer) == "p"
    viewer.load_fov(99)
    assert lights(viewer) == "p", "it did not move"


def test_a_new_run_starts_with_what_the_host_has_asked_for(qtbot, viewer):
    viewer.set_follow(t=True)
    show(qtbot, viewer)
    viewer.stage.sliders.slider("t").setValue(1)
    qtbot.mouseClick(viewer.stage.sliders.light("p"), LEFT)
    assert lights(viewer) == "p"
    dataset = show(qtbot, viewer)
    assert lights(viewer) == "t"
    announce(dataset, 6, 0)
    wait_at(qtbot, viewer, (6, 0, 0))


def test_a_volume_is_followed_by_whole_stacks(qtbot, window):
    viewer = window.viewer
    dataset = show(qtbot, viewer, n_p=1)
    viewer.stage.strips._volume.click()
    for z in (0, 1):
        announce(dataset, 1, 0, z=z)
    qtbot.wait(100)
    assert at(viewer)[0] == 0
    announce(dataset, 1, 0, z=2)
    wait_at(qtbot, viewer, (1, 0, 0))


# ---- by path alone ------------------------------------------------------------------------------


def grow(dataset, source, **more):
    source.grows_to = replace(source.info, **more)
    dataset.refresh()


def test_a_dataset_that_grows_by_itself_is_followed_along_time_and_to_new_positions(qtbot, window):
    viewer = window.viewer
    source = MemorySource(memory_info(n_t=2, n_p=2))
    dataset = show(qtbot, viewer, Dataset(source, path="/a"))
    assert lights(viewer) is None
    grow(dataset, source, n_t=5)
    wait_at(qtbot, viewer, (4, 0, 0))
    assert lights(viewer) == "tp"
    grow(dataset, source, positions=(*source.info.positions, Position("A2", 0)))
    wait_at(qtbot, viewer, (4, 2, 0))
    viewer.stage.sliders.slider("t").setValue(1)
    grow(dataset, source, n_t=9)
    qtbot.waitUntil(lambda: viewer.stage.sliders.size("t") == 9, timeout=20_000)
    assert at(viewer) == (1, 2, 0)
    qtbot.keyClick(window, Qt.Key.Key_F)
    wait_at(qtbot, viewer, (8, 2, 0))


def test_a_stack_to_which_planes_are_appended_is_followed_and_its_canvas_stays(qtbot, window):
    viewer = window.viewer
    source = MemorySource(memory_info(n_t=1, n_p=1, n_z=2))
    for c in range(2):
        for z in range(4):
            source.write((0, 0, c, z), 1)
    dataset = show(qtbot, viewer, Dataset(source, path="/a", follow=True))
    drawn = viewer.ndv_viewer
    assert drawn is not None
    grow(dataset, source, n_z=4)
    wait_at(qtbot, viewer, (0, 0, 3))
    assert lights(viewer) == "tpz"
    assert viewer.ndv_viewer is drawn
    viewer.stage.sliders.slider("z").setValue(1)
    source.write((0, 0, 0, 4), 1)
    source.write((0, 0, 1, 4), 1)
    grow(dataset, source, n_z=5)
    qtbot.waitUntil(lambda: viewer.stage.sliders.size("z") == 5, timeout=20_000)
    assert at(viewer) == (0, 0, 1)
    qtbot.keyClick(window, Qt.Key.Key_F)
    wait_at(qtbot, viewer, (0, 0, 4))


def test_a_dataset_that_was_not_whole_when_it_was_opened_is_followed_once_it_has_grown(qtbot, window):
    viewer = window.viewer
    source = MemorySource(memory_info(n_t=1, n_p=1))
    source.write((0, 0, 0, 0), 1)
    dataset = show(qtbot, viewer, Dataset(source, path="/a", follow=True))
    qtbot.waitUntil(lambda: dataset._scout._looked > 0, timeout=20_000)
    for t in range(4):
        store(source, t, 0)
    grow(dataset, source, n_t=4)
    wait_at(qtbot, viewer, (3, 0, 0))


def test_positions_inserted_before_the_one_in_view_do_not_move_it(qtbot, viewer):
    source = MemorySource(memory_info(n_t=2, n_p=2))
    dataset = show(qtbot, viewer, Dataset(source, path="/a"))
    viewer.load_fov(1)
    grow(dataset, source, positions=(Position("A0", 0), *source.info.positions))
    wait_at(qtbot, viewer, (0, 2, 0))
    assert viewer.stage.sliders.value_text("p").startswith("A1:1 ")
    viewer.set_follow(p=True)
    assert at(viewer) == (0, 0, 0), "the new one"


# ---- the disk -----------------------------------------------------------------------------------


def store(source, t, p):
    for c in range(2):
        for z in range(2):
            source.write((t, p, c, z), 1)


def test_planes_within_reserved_sizes_are_followed_as_they_are_stored(qtbot, window):
    viewer = window.viewer
    source = MemorySource(memory_info(n_t=6, n_p=2))
    for t in range(3):
        store(source, t, 0)
        store(source, t, 1)
    dataset = show(qtbot, viewer, Dataset(source, path="/a", follow=True))
    looks = dataset._scout
    qtbot.waitUntil(lambda: looks._answer == (2, 1, 0), timeout=20_000)
    viewer.stage.sliders.slider("z").setValue(1)
    qtbot.waitUntil(lambda: looks._answer == (2, 1, 1))
    qtbot.wait(50)
    assert at(viewer) == (0, 0, 1), "it was opened: that is shown from its beginning"
    store(source, 3, 0)
    wait_at(qtbot, viewer, (3, 0, 1))
    viewer.stage.sliders.slider("t").setValue(0)
    store(source, 3, 1)
    wait_at(qtbot, viewer, (0, 1, 1))
    qtbot.keyClick(window, Qt.Key.Key_F)
    wait_at(qtbot, viewer, (3, 1, 1))
    source.write((4, 0, 0, 1), 1)
    looked = looks._looked
    qtbot.waitUntil(lambda: looks._looked > looked + 1, timeout=20_000)
    assert at(viewer) == (3, 1, 1), "a channel is missing"


def test_the_switch_says_whether_the_disk_is_followed_and_pauses_it(qtbot, window, monkeypatch):
    monkeypatch.setattr(look_schedule, "GRACE_SECONDS", 0.1)
    viewer = window.viewer
    source = MemorySource()
    dataset = show(qtbot, viewer, Dataset(source, path="/a", follow=True))
    switch = viewer._screen._row.switch
    for said in ("Following", "Paused", "Following"):
        qtbot.waitUntil(lambda said=said: switch.isVisible() and switch.text() == said, timeout=20_000)
        assert dataset.following.value == said
        qtbot.mouseClick(switch, LEFT)
    qtbot.mouseClick(switch, LEFT)
    source.info = replace(source.info, complete=True)
    qtbot.waitUntil(lambda: switch.text() == "Finished", timeout=20_000)
    assert at(viewer) == (0, 0, 0)
    assert lights(viewer) is None, "nothing has grown"
    viewer.load_dataset("/nowhere")
    qtbot.waitUntil(lambda: not switch.isVisible(), timeout=20_000)
