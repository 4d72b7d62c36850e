"""What takes long is said, since when and for what; an opening can be cancelled."""

from __future__ import annotations

import os
import re
import shutil

import pytest
from qtpy.QtCore import Qt
from runs import CHANNELS, load, planes_of, small_run, write
from screen import assert_shows, settle

from ndviewer_light.gui import waiting
from ndviewer_light.gui.window import LightweightMainWindow
from simulate_acquisition import announce_run, notify_plane

pytestmark = pytest.mark.gl


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(waiting, "SLOW_SECONDS", 0.3)


def hang(folder, *channels: int, t: int = 0) -> list[str]:
    """Make chunks of position 1 ones that nobody ever writes; reading them waits for ever."""
    made = []
    for c in channels:
        chunk = folder / "zarr/A1/fov_1.ome.zarr/0/c" / str(t) / str(c) / "0/0/0"
        chunk.rename(chunk.with_suffix(".kept"))
        os.mkfifo(chunk)
        made.append(chunk)
    return made


def mend(chunks) -> None:
    for chunk in chunks:
        kept = chunk.with_suffix(".kept")
        with open(chunk, "wb") as pipe:  # whoever waits gets the bytes at last
            pipe.write(kept.read_bytes())
        chunk.unlink()
        kept.rename(chunk)


def hung_folder(folder):
    """A dataset that never opens."""
    (folder / "hung.ome.zarr").mkdir()
    os.mkfifo(folder / "hung.ome.zarr" / "zarr.json")
    return folder / "hung.ome.zarr"


def seconds_of(text: str) -> int:
    found = re.search(r"waiting (\d+) s for", text)
    assert found is not None, text
    return int(found[1])


def test_a_plane_that_takes_long_is_named_with_its_seconds_until_it_arrives(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    chunks = hang(run.folder, 0, 1)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.wait() == ""
    viewer.load_fov(1)
    overlay, status = viewer.stage.overlay, viewer.status_label
    qtbot.waitUntil(lambda: "slow" in overlay.wait(), timeout=20_000)
    assert overlay.shows_badge()
    assert overlay.wait() == status.text()
    assert f"plane A1:1, t 1, z 1, {CHANNELS[0]} of …/run and 1 more" in status.text()
    first = seconds_of(status.text())
    qtbot.waitUntil(lambda: seconds_of(overlay.wait()) > first + 1, timeout=20_000)
    assert overlay.wait() == status.text()
    mend(chunks)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: overlay.wait() == "", timeout=20_000)
    assert "slow" not in status.text()
    assert_shows(viewer, planes_of(run, 0, 1, 0))


def test_who_goes_on_hears_no_more_of_what_was_slow(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    chunks = hang(run.folder, 1)
    load(qtbot, viewer, run.folder)
    viewer.load_fov(1)
    qtbot.waitUntil(lambda: CHANNELS[1] in viewer.stage.overlay.wait(), timeout=20_000)
    assert viewer.stage.overlay.state()[0] == "partial"  # the other channel is there
    viewer.load_fov(2)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: viewer.stage.overlay.wait() == "", timeout=20_000)
    assert_shows(viewer, planes_of(run, 0, 2, 0))
    mend(chunks)


def test_the_time_is_the_datasets_where_it_knows_since_when_it_reads(qtbot, viewer, tmp_path, monkeypatch):
    import time

    run = small_run(tmp_path / "run")
    write(run)
    chunks = hang(run.folder, 0)
    load(qtbot, viewer, run.folder)
    since = time.monotonic() - 1000
    monkeypatch.setattr(viewer.dataset, "waiting_since", lambda key, level: since, raising=False)
    viewer.load_fov(1)
    qtbot.waitUntil(lambda: "slow" in viewer.stage.overlay.wait(), timeout=20_000)
    assert seconds_of(viewer.stage.overlay.wait()) >= 1000
    mend(chunks)


def test_a_run_that_is_on_says_what_of_it_is_slow(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    chunks = hang(run.folder, 0)
    announce_run(viewer, run)
    for plane in run.planes():
        notify_plane(viewer, run, plane)
    viewer.load_fov(1)
    qtbot.waitUntil(lambda: "of the running acquisition" in viewer.stage.overlay.wait(), timeout=20_000)
    mend(chunks)


def test_a_volume_that_takes_long_is_said_to_be_waited_for(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    chunks = hang(run.folder, 0)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.stage.strips._volume.click()
    settle(qtbot, viewer)
    viewer.load_fov(1)
    qtbot.waitUntil(lambda: "the volume of …/run" in viewer.stage.overlay.wait(), timeout=20_000)
    assert viewer.status_label.text() == viewer.stage.overlay.wait()
    mend(chunks)
    qtbot.waitUntil(lambda: viewer.stage.overlay.wait() == "", timeout=20_000)


def test_a_look_at_the_disk_that_takes_long_is_said_and_not_begun_twice(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    meta = run.folder / "zarr/A1/fov_0.ome.zarr/zarr.json"
    kept = meta.read_bytes()
    meta.unlink()
    os.mkfifo(meta)
    for _ in range(5):
        viewer.refresh()
    qtbot.waitUntil(lambda: "for …/run to be read again" in viewer.status_label.text(), timeout=20_000)
    meta.unlink()
    meta.write_bytes(kept)
    assert_shows(viewer, planes_of(run, 0, 0, 0))  # and what was read is still there


# ---- opening ------------------------------------------------------------------------------------------


def test_an_opening_says_since_when_and_is_cancelled_to_an_empty_page(qtbot, viewer, tmp_path):
    page = viewer._screen.message
    viewer.load_dataset(str(hung_folder(tmp_path)))
    assert page.kind() == "busy"
    assert page.cancel_button.isVisible()
    qtbot.waitUntil(lambda: "slow: waiting" in viewer.status_label.text(), timeout=20_000)
    assert viewer.status_label.text().endswith("for …/hung.ome.zarr to open")
    assert "s now" in page.headline.text()
    page.cancel_button.click()
    assert page.kind() == "info"
    assert page.open_button.isVisible()
    assert not page.cancel_button.isVisible()
    qtbot.waitUntil(lambda: "slow" not in viewer.status_label.text(), timeout=20_000)
    assert viewer.dataset_path == ""


def test_escape_cancels_an_opening_for_the_dataset_as_it_was(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    viewer.load_fov(2, 1, 1)
    viewer.stage.strips.set_auto(0, False)
    viewer.stage.strips.set_window(0, 300.0, 900.0)
    viewer.stage.strips.window_changed.emit(0, 300.0, 900.0)
    settle(qtbot, viewer)
    dataset = viewer.dataset
    viewer.load_dataset(str(hung_folder(tmp_path)))
    assert viewer.dataset is None
    qtbot.keyClick(viewer, Qt.Key.Key_Escape)
    assert viewer.dataset is dataset
    assert viewer.dataset_path == str(run.folder)
    settle(qtbot, viewer)
    assert viewer.stage.strips.window_of(0) == (300.0, 900.0)
    assert_shows(viewer, planes_of(run, 1, 2, 1))
    qtbot.keyClick(viewer, Qt.Key.Key_Escape)  # nothing to cancel any more
    assert viewer.dataset is dataset


def test_escape_in_our_own_window_needs_no_focus(qtbot, tmp_path):
    window = LightweightMainWindow(str(hung_folder(tmp_path)))
    qtbot.addWidget(window)
    window.show()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.viewer._screen.message.kind() == "info"
    window.close()


def test_a_run_goes_on_while_an_opening_is_cancelled(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    announce_run(viewer, run)
    viewer.load_dataset(str(hung_folder(tmp_path)))
    assert not viewer.is_push_mode_active()
    for plane in run.planes():
        notify_plane(viewer, run, plane)
    viewer.end_acquisition()
    viewer._screen.message.cancel_button.click()
    assert viewer.is_push_mode_active()
    qtbot.waitUntil(lambda: viewer.dataset.info.n_t == 2, timeout=20_000)
    viewer.load_fov(1, 1, 1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 1, 1))
    assert not viewer.dataset.live


def test_a_failed_opening_offers_another_one_and_the_way_back(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(tmp_path / "nowhere"))
    page = viewer._screen.message
    assert str(tmp_path / "nowhere") in page.text()
    assert page.text().count(str(tmp_path / "nowhere")) == 1
    assert page.open_button.isVisible()
    assert page.open_button.text() == "Open another…"
    assert page.cancel_button.text() == "Back"
    page.cancel_button.click()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_another_dataset_is_chosen_from_the_page_of_one_that_failed(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(tmp_path / "nowhere"))
    page = viewer._screen.message
    assert not page.cancel_button.isVisible()  # there is nothing to go back to
    page.open_button.click()
    menu = viewer._screen._paths._menu
    assert [action.text() for action in menu.actions()] == ["Folder…", "File…", "URL…"]
    menu.close()
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer._screen._paths.chosen.emit(str(run.folder))
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_passwords_of_one_server_are_not_told_to_another():
    from ndviewer_light.gui.screen import _same_place

    assert _same_place("/a", "/b")
    assert _same_place("https://h/a", "https://h/b")
    assert not _same_place("https://h/a", "https://other/a")
    assert not _same_place("s3://bucket/a", "/a")


def test_a_dataset_replaced_by_another_is_shown_from_scratch(qtbot, viewer, tmp_path, monkeypatch):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    viewer.load_fov(2, 1, 1)
    viewer.stage.strips.set_auto(0, False)
    viewer.stage.strips.window_changed.emit(0, 300.0, 900.0)
    settle(qtbot, viewer)
    other = small_run(tmp_path / "other", n_t=3, seed=9, height=64, width=80)
    write(other)
    dataset = viewer.dataset
    if not hasattr(dataset.take_changes(), "replaced"):  # until datasets say so themselves
        from collections import namedtuple

        took = dataset.take_changes
        before = dataset.info

        def take_changes():
            changes = took()
            replaced = changes.info and dataset.info.height != before.height
            return namedtuple("Changes", "in_view info replaced")(*changes, replaced)

        monkeypatch.setattr(dataset, "take_changes", take_changes)
    shutil.rmtree(run.folder)
    other.folder.rename(run.folder)
    viewer.refresh()
    qtbot.waitUntil(lambda: "was replaced by another dataset" in viewer.status_label.text(), timeout=20_000)
    settle(qtbot, viewer)
    assert viewer.stage.view == (0, 0, 0, False)
    assert viewer.stage.strips.is_auto(0)
    assert viewer.stage.sliders.size("t") == 3
    assert_shows(viewer, planes_of(other, 0, 0, 0))
