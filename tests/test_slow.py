"""What takes long is said, since when and for what; an opening can be cancelled."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from memory_source import MemorySource, memory_info
from qtpy.QtCore import Qt
from runs import CHANNELS, load, planes_of, small_run, write
from screen import assert_shows, choose_limits, settle, stopped_reader

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.gui import waiting
from ndviewer_light.gui.canvas.canvas_view import View
from ndviewer_light.gui.given_paths import is_same_place
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.model import PlaneKey
from ndviewer_light.rendering.contrast import ContrastMode
from simulate_acquisition import announce_run, notify_plane

pytestmark = pytest.mark.gl


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(waiting, "SLOW_SECONDS", 0.3)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    run = small_run(tmp_path_factory.mktemp("slow") / "run", "hcs")
    write(run)
    return run


class Holding(SimpleHTTPRequestHandler):
    """Serves a folder; what has `held` in its path is answered once `release` is set."""

    held = ""
    release = threading.Event()

    def do_GET(self) -> None:
        if self.held and self.held in self.path:
            self.release.wait(60)
        with contextlib.suppress(ConnectionError):
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(written):
    """The plate on a server that answers when it is told to."""
    handler = type("Handler", (Holding,), {"release": threading.Event()})
    folder = functools.partial(handler, directory=str(written.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), folder) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        handler.url = f"http://127.0.0.1:{served.server_port}/plate.ome.zarr"
        yield handler
        handler.release.set()
        served.shutdown()
        thread.join()


def load_url(qtbot, viewer, server) -> None:
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer.load_dataset(server.url, {"disk_cache": "no"})


def open_hung(viewer, server) -> None:
    server.held = "/"
    viewer.load_dataset(server.url, {"disk_cache": "no"})


def seconds_of(text: str) -> int:
    found = re.search(r"waiting (\d+) s for", text)
    assert found is not None, text
    return int(found[1])


def test_a_plane_that_takes_long_is_named_with_its_seconds_until_it_arrives(qtbot, viewer, written):
    load(qtbot, viewer, written.folder)
    settle(qtbot, viewer)
    overlay, status = viewer.stage.overlay, viewer.status_label
    assert overlay.wait() == ""
    with stopped_reader(viewer):
        viewer.load_fov(1)
        qtbot.waitUntil(lambda: "slow" in overlay.wait(), timeout=20_000)
        assert overlay.shows_badge()
        assert overlay.wait() == status.text()
        assert f"plane A1:1, t 1, z 1, {CHANNELS[0]} of …/run and 1 more" in status.text()
        first = seconds_of(status.text())
        qtbot.waitUntil(lambda: seconds_of(overlay.wait()) > first, timeout=20_000)
        assert overlay.wait() == status.text()
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: overlay.wait() == "", timeout=20_000)
    assert "slow" not in status.text()
    assert_shows(viewer, planes_of(written, 0, 1, 0))


def test_one_channel_that_takes_long_is_named_beside_those_that_are_there(qtbot, viewer, server, written):
    server.held = "A/1/1/0/c/0/1/"
    load_url(qtbot, viewer, server)
    settle(qtbot, viewer)
    viewer.load_fov(1)
    overlay = viewer.stage.overlay
    qtbot.waitUntil(lambda: overlay.state()[0] == "partial" and "slow" in overlay.wait(), timeout=20_000)
    assert f"{CHANNELS[1]} of …/plate.ome.zarr" in overlay.wait()
    assert "more" not in overlay.wait()
    viewer.load_fov(2)  # who goes on hears no more of it
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: overlay.wait() == "", timeout=20_000)
    assert_shows(viewer, planes_of(written, 0, 2, 0))
    viewer.load_fov(1)
    qtbot.waitUntil(lambda: "slow" in overlay.wait(), timeout=20_000)
    server.release.set()
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: overlay.wait() == "", timeout=20_000)
    assert_shows(viewer, planes_of(written, 0, 1, 0))


def test_a_plane_that_hangs_is_slow_and_another_one_is_shown_meanwhile(qtbot, viewer, written, monkeypatch):
    monkeypatch.setattr("ndviewer_light.isolation.client.HUNG_SECONDS", 0.5)
    monkeypatch.setattr("ndviewer_light.engine.read_workers.HUNG_SECONDS", 0.5)
    load(qtbot, viewer, written.folder)
    settle(qtbot, viewer)
    with stopped_reader(viewer):
        hung = viewer.dataset._source.pid
        viewer.load_fov(1)
        qtbot.waitUntil(lambda: "slow" in viewer.stage.overlay.wait(), timeout=20_000)
        viewer.load_fov(2)
        settle(qtbot, viewer)
        assert_shows(viewer, planes_of(written, 0, 2, 0))
        qtbot.waitUntil(lambda: viewer.stage.overlay.wait() == "", timeout=20_000)
        assert viewer.dataset._source.pid != hung


def test_the_time_is_the_datasets_where_it_knows_since_when_it_reads(qtbot, viewer, written, monkeypatch):
    load(qtbot, viewer, written.folder)
    settle(qtbot, viewer)
    since = time.monotonic() - 1000
    monkeypatch.setattr(viewer.dataset, "waiting_since", lambda key, level: since, raising=False)
    with stopped_reader(viewer):
        viewer.load_fov(1)
        qtbot.waitUntil(lambda: "slow" in viewer.stage.overlay.wait(), timeout=20_000)
        assert seconds_of(viewer.stage.overlay.wait()) >= 1000


def test_a_run_that_is_on_says_what_of_it_is_slow(qtbot, viewer, written):
    announce_run(viewer, written)
    for plane in written.planes():
        notify_plane(viewer, written, plane)
    settle(qtbot, viewer)
    with stopped_reader(viewer):
        viewer.load_fov(1)
        overlay = viewer.stage.overlay
        qtbot.waitUntil(lambda: "of the running acquisition" in overlay.wait(), timeout=20_000)


def test_a_volume_that_takes_long_is_said_to_be_waited_for(qtbot, viewer, written):
    load(qtbot, viewer, written.folder)
    settle(qtbot, viewer)
    overlay = viewer.stage.overlay
    viewer.stage.strips._volume.click()
    settle(qtbot, viewer)
    with stopped_reader(viewer):
        viewer.load_fov(1)
        qtbot.waitUntil(lambda: "the volume of …/run" in overlay.wait(), timeout=20_000)
        qtbot.waitUntil(lambda: viewer.status_label.text() == overlay.wait(), timeout=20_000)
    qtbot.waitUntil(lambda: overlay.wait() == "", timeout=20_000)


def test_a_look_at_the_disk_that_takes_long_is_said_and_not_begun_five_times(qtbot, viewer, written):
    load(qtbot, viewer, written.folder)
    settle(qtbot, viewer)
    looks = []
    refresh = viewer.dataset.refresh
    viewer.dataset.refresh = lambda: looks.append(refresh())
    with stopped_reader(viewer):
        for _ in range(5):
            viewer.refresh()
        qtbot.waitUntil(lambda: "for …/run to be refreshed" in viewer.status_label.text(), timeout=20_000)
        assert_shows(viewer, planes_of(written, 0, 0, 0))  # what was read is still there
    qtbot.waitUntil(lambda: len(looks) == 2, timeout=20_000)  # and once more, for who asked meanwhile
    qtbot.waitUntil(lambda: viewer.status_label.text() == "Loaded: run", timeout=20_000)
    assert len(looks) == 2


# ---- opening ------------------------------------------------------------------------------------------


def test_an_opening_says_since_when_and_is_cancelled_to_an_empty_page(qtbot, viewer, server):
    page = viewer._screen.message
    open_hung(viewer, server)
    assert page.kind() == "busy"
    assert page.cancel_button.isVisible()
    qtbot.waitUntil(lambda: "slow: waiting" in viewer.status_label.text(), timeout=20_000)
    assert viewer.status_label.text().endswith("for …/plate.ome.zarr to open")
    assert "Still opening after" in page.headline.text()
    page.cancel_button.click()
    assert page.kind() == "info"
    assert page.open_button.isVisible()
    assert not page.cancel_button.isVisible()
    qtbot.waitUntil(lambda: "slow" not in viewer.status_label.text(), timeout=20_000)
    assert viewer.dataset_path == ""


@pytest.mark.each_binding
def test_escape_cancels_an_opening_for_the_dataset_as_it_was(qtbot, viewer, server, written):
    run = written
    load(qtbot, viewer, run.folder)
    viewer.load_fov(2, 1, 1)
    choose_limits(viewer, 0, 300.0, 900.0)
    settle(qtbot, viewer)
    dataset = viewer.dataset
    open_hung(viewer, server)
    assert viewer.dataset is None
    qtbot.keyClick(viewer, Qt.Key.Key_Escape)
    assert viewer.dataset is dataset
    assert viewer.dataset_path == str(run.folder)
    settle(qtbot, viewer)
    assert viewer.stage.strips.window_of(0) == (300.0, 900.0)
    assert_shows(viewer, planes_of(run, 1, 2, 1))
    qtbot.keyClick(viewer, Qt.Key.Key_Escape)  # nothing to cancel any more
    assert viewer.dataset is dataset


def test_escape_in_our_own_window_needs_no_focus(qtbot, server):
    server.held = "/"
    window = LightweightMainWindow(server.url)
    qtbot.addWidget(window)
    window.show()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.viewer._screen.message.kind() == "info"
    window.close()


def test_a_run_goes_on_while_an_opening_is_cancelled(qtbot, viewer, server, written):
    run = written
    announce_run(viewer, run)
    open_hung(viewer, server)
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


def test_a_failed_opening_offers_another_one_and_the_way_back(qtbot, viewer, written, tmp_path):
    run = written
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(tmp_path / "nowhere"))
    page = viewer._screen.message
    assert str(tmp_path / "nowhere") in page.text()
    assert page.detail.toPlainText().count(str(tmp_path / "nowhere")) == 1
    assert page.open_button.isVisible()
    assert page.open_button.text() == "Open another…"
    assert page.cancel_button.text() == "Back"
    page.cancel_button.click()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_another_dataset_is_chosen_from_the_page_of_one_that_failed(qtbot, viewer, written, tmp_path):
    run = written
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(tmp_path / "nowhere"))
    page = viewer._screen.message
    assert not page.cancel_button.isVisible()  # there is nothing to go back to
    page.open_button.click()
    dialog = viewer._screen.chooser.dialog
    qtbot.keyClicks(dialog.line, str(run.folder))
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        dialog.open_button.click()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_passwords_of_one_server_are_not_told_to_another():
    assert is_same_place("/a", "/b")
    assert is_same_place("https://h/a", "https://h/b")
    assert not is_same_place("https://h/a", "https://other/a")
    assert not is_same_place("s3://bucket/a", "/a")


def test_a_dataset_replaced_by_another_is_shown_from_scratch(qtbot, viewer, monkeypatch):
    source = MemorySource(memory_info(n_t=2, n_p=3))
    for key in itertools.product(range(2), range(3), range(2), range(2)):
        source.write(key, 1000)
    dataset = Dataset(source, path="/somewhere/run")
    viewer._screen.sessions.ask_for(Session(dataset, dataset.path))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    viewer.load_fov(2, 1, 1)
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 300.0, 900.0)
    source.info = memory_info(n_t=5, n_p=1, n_c=1, n_z=1, height=30, width=40, dtype=np.dtype(np.uint8))
    source.stored.clear()
    other = np.arange(1200, dtype=np.uint8).reshape(30, 40)
    source.stored[PlaneKey()] = other
    dataset._cache.clear()
    take = dataset.take_changes
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "take_changes", lambda: take()._replace(replaced=True))
        said = "…/run was replaced by another dataset"
        qtbot.waitUntil(lambda: viewer.status_label.text() == said, timeout=20_000)
    settle(qtbot, viewer)
    assert viewer.stage.view == View()
    assert len(viewer.stage.strips) == 1
    assert viewer.stage.strips.contrast_mode(0) is ContrastMode.RUN
    assert viewer.stage.sliders.size("t") == 5
    assert viewer.stage.sliders.slider("p").isHidden()
    assert_shows(viewer, {"c0": other})
