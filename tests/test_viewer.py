"""The widget on datasets from disk: what opens, what is on screen, what is said of what is not."""

from __future__ import annotations

import os
import pickle
import shutil
import signal

import numpy as np
import pytest
import stores
from runs import CHANNELS, LAYOUTS, load, planes_of, small_run, write
from screen import assert_shows, choose_limits, framebuffer, settle

from simulate_acquisition import plane_pixels

pytestmark = pytest.mark.gl


@pytest.mark.each_binding
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_opens_and_every_position_shows_its_own_pixels(qtbot, viewer, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    write(run)
    load(qtbot, viewer, run.folder)
    assert viewer.get_fov_list() == [
        {"region": "A1", "fov": 0},
        {"region": "A1", "fov": 1},
        {"region": "B2", "fov": 0},
    ]
    assert viewer.has_fov_dimension()
    for p, t, z in ((0, 0, 0), (2, 1, 1), (1, 1, 0)):
        assert viewer.set_current_index("fov", p)
        assert viewer.set_current_index("time", t)
        assert viewer.set_current_index("z", z)
        settle(qtbot, viewer)
        assert viewer.stage.overlay.state() == ("none", "")
        assert_shows(viewer, planes_of(run, t, p, z))


@pytest.mark.each_binding
def test_channels_have_the_names_and_colours_of_the_data(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    strips = viewer.stage.strips
    assert [strips.color_of(c) for c in range(2)] == ["#20ADF8", "#1FFF00"]
    assert [channel.name for channel in viewer.dataset.info.channels] == list(CHANNELS)


def test_a_hidden_channel_is_neither_shown_nor_read(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.stage.strips.strip(1).on.click()
    settle(qtbot, viewer)
    viewer.load_fov(1)
    frame = settle(qtbot, viewer)
    assert list(frame.planes) == [0]
    assert_shows(viewer, {CHANNELS[0]: plane_pixels(run, 0, 1, 0, CHANNELS[0])})


def test_contrast_set_by_hand_is_what_is_shown_and_stays_over_positions(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 300.0, 900.0)
    viewer.load_fov(2)
    settle(qtbot, viewer)
    assert viewer.stage.canvas.limits(0) == (300.0, 900.0)
    assert_shows(viewer, planes_of(run, 0, 2, 0))


def test_sliders_say_where_we_are(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    viewer.load_fov(2, t=1, z=1)
    sliders = viewer.stage.sliders
    assert sliders.value_text("p") == "B2:0   3 fields"
    assert sliders.value_text("t") == "2 / 2   00:00:10"
    assert sliders.value_text("z") == "2 / 2   +1.5 µm"


@pytest.mark.each_binding
def test_a_volume_is_shown_with_voxels_to_scale_and_2d_comes_back_where_it_was(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.stage.canvas.camera.set_range(x=(5, 15), y=(5, 12), margin=0)
    before = viewer.stage.canvas.camera.canvas_to_world((50, 50))
    viewer.stage.strips._volume.click()
    frame = settle(qtbot, viewer)
    assert frame.view.is_volume
    assert viewer.stage.canvas.viewer.scales == (1.5, 0.325, 0.325)
    assert framebuffer(viewer).max() > 60
    viewer.stage.strips._flat.click()
    settle(qtbot, viewer)
    after = viewer.stage.canvas.camera.canvas_to_world((50, 50))
    assert after == pytest.approx(before, rel=0.01, abs=0.05)
    viewer.stage.canvas.reset_view()  # what fits comes back so that it fits a window of another size, too
    viewer.stage.strips._volume.click()
    settle(qtbot, viewer)
    viewer.stage.strips._flat.click()
    settle(qtbot, viewer)
    for width, height in ((1100, 400), (600, 700)):
        viewer.window().resize(width, height)
        qtbot.waitUntil(lambda: viewer.stage.canvas.is_fitting, timeout=20_000)


def test_a_volume_at_lower_resolution_keeps_its_proportions(qtbot, viewer, tmp_path, monkeypatch):
    from ndviewer_light.gui.canvas import volume_reading as frames

    run = small_run(tmp_path / "run", n_z=4)
    write(run)
    monkeypatch.setattr(frames, "MAX_VOLUME_BYTES", 4 * 50 * 70 * 2 * 2)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    viewer.stage.strips._volume.click()
    frame = settle(qtbot, viewer)
    assert frame.downsampled == (1.0, 2.0, 2.0)
    assert viewer.stage.canvas.viewer.scales == (1.5, 0.65, 0.65)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda path: None, "does not exist", id="no such path"),
        pytest.param(lambda path: path.mkdir(), "not a supported dataset", id="an empty folder"),
        pytest.param(lambda path: path.write_bytes(b"x"), "", id="a file"),
    ],
)
def test_what_cannot_be_opened_says_why_in_the_widget(qtbot, viewer, tmp_path, make, said):
    path = tmp_path / "thing"
    make(path)
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000) as failed:
        viewer.load_dataset(str(path))
    assert failed.args[0] == str(path)
    assert said in failed.args[1]
    assert str(path) in viewer._screen.message.detail.toPlainText()
    assert viewer._screen.pages.currentWidget() is viewer._screen.message


def test_after_a_failure_trying_again_opens_what_is_there_now(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    with qtbot.waitSignal(viewer.dataset_failed, timeout=20_000):
        viewer.load_dataset(str(run.folder))
    write(run)
    with qtbot.waitSignal(viewer.dataset_loaded, timeout=20_000):
        viewer._screen.message.retry_button.click()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 0, 0, 0))


def test_a_missing_plane_is_hatched_and_the_rest_stays_usable(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run, "--aborted")
    shutil.rmtree(tmp_path / "run" / "zarr" / "A1" / "fov_1.ome.zarr" / "0" / "c")
    stores.make_old(tmp_path / "run")
    load(qtbot, viewer, run.folder)
    viewer.load_fov(1)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "absent"
    viewer.load_fov(2)
    settle(qtbot, viewer)
    assert viewer.stage.overlay.state()[0] == "none"
    assert_shows(viewer, planes_of(run, 0, 2, 0))


@pytest.mark.parametrize(("ended", "kind"), [("--aborted", "partial"), ("", "filled")])
def test_one_missing_channel_is_named(qtbot, viewer, tmp_path, ended, kind):
    run = small_run(tmp_path / "run")
    write(run, *filter(None, [ended]))
    (tmp_path / "run" / "zarr" / "A1" / "fov_0.ome.zarr" / "0" / "c" / "0" / "1" / "0" / "0" / "0").unlink()
    stores.make_old(run.folder)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    shown, text = viewer.stage.overlay.state()
    assert shown == kind
    assert text.startswith(f"{CHANNELS[1]}: nothing stored")
    assert viewer.stage.strips.state_text(1)
    assert not viewer.stage.strips.state_text(0)


def test_a_damaged_chunk_is_an_error_on_its_plane_only(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    for c in range(2):
        chunk = tmp_path / "run/zarr/A1/fov_0.ome.zarr/0/c/0" / str(c) / "0/0/0"
        chunk.write_bytes(chunk.read_bytes()[:50])
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    kind, text = viewer.stage.overlay.state()
    assert kind == "error"
    assert "damaged" in text
    viewer.set_current_index("t", 1)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 0, 0))


def test_killing_the_reader_costs_a_message_and_the_next_plane_shows(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    os.kill(viewer.dataset._source.pid, signal.SIGKILL)
    viewer.load_fov(2, t=1)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: "SIGKILL" in viewer.status_label.text())
    assert_shows(viewer, planes_of(run, 1, 2, 0))


def test_an_unplugged_dataset_is_said_to_be_gone_and_shown_again_when_it_is_back(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    run.folder.rename(tmp_path / "elsewhere")
    viewer.load_fov(1, t=1)
    settle(qtbot, viewer)
    kind, text = viewer.stage.overlay.state()
    assert kind == "error"
    assert "is no longer reachable" in text
    (tmp_path / "elsewhere").rename(run.folder)
    qtbot.waitUntil(lambda: viewer.stage.overlay.state()[0] == "none", timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 1, 0))


@pytest.mark.parametrize("layout", ["per_fov", "images"])
def test_refreshing_a_dataset_that_is_unplugged_says_so_until_it_is_back(qtbot, viewer, tmp_path, layout):
    run = small_run(tmp_path / "run", layout)
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    run.folder.rename(tmp_path / "elsewhere")
    viewer.refresh()
    qtbot.waitUntil(lambda: "is no longer reachable" in viewer.status_label.text())
    assert_shows(viewer, planes_of(run, 0, 0, 0))  # what was read is still true
    (tmp_path / "elsewhere").rename(run.folder)
    viewer.refresh()
    qtbot.waitUntil(lambda: viewer.status_label.text() == "Loaded: run")


@pytest.mark.each_binding
@pytest.mark.usefixtures("drawn_with_opengl")
def test_who_goes_elsewhere_while_the_canvas_is_built_again_arrives_there(
    qtbot, viewer, tmp_path, monkeypatch
):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    canvas = viewer.stage.canvas

    def drop_and_go() -> bool:  # closing the canvas before, as of a volume, lets the event loop run
        canvas._drop_pictures()
        monkeypatch.undo()
        viewer.load_fov(2, 1, 1)
        return True

    monkeypatch.setattr(canvas, "drop_released", drop_and_go)
    viewer.stage._build()
    settle(qtbot, viewer)
    assert_shows(viewer, planes_of(run, 1, 2, 1))


def test_the_lazy_array_of_a_dataset_on_screen_can_be_computed_elsewhere(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run")
    write(run)
    load(qtbot, viewer, run.folder)
    array = pickle.loads(pickle.dumps(viewer.dataset.to_xarray()))
    np.testing.assert_array_equal(array[1, 2, 1, 0].values, next(iter(planes_of(run, 1, 2, 1).values())))


def test_a_region_with_a_very_long_name_widens_no_window(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", regions=("N" * 200, "B2"))
    write(run)
    viewer.resize(800, 600)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    assert viewer.minimumSizeHint().width() <= 800
    assert viewer.width() == 800
