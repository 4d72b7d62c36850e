"""The automatic contrast of all fields at once: the same live, afterwards and when reopened."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import stores
from overview_fields import complete, opened, shown, states
from runs import follow, load, small_run, writer_command
from screen import choose_limits, settle

from ndviewer_light import open_dataset
from ndviewer_light.rendering.colormaps import colormap_of
from ndviewer_light.rendering.contrast import ContrastMode
from ndviewer_light.rendering.scene_picture import render_scene
from ndviewer_light.rendering.view_picture import ShownPlace, ViewPictures
from simulate_acquisition import announce_run

pytestmark = pytest.mark.gl

REGIONS = ("A1", "A2", "A3", "B1", "B2", "B3")


def pictures(qtbot, overview, n):
    """The pictures of all fields with the limits that are chosen by now."""

    def is_settled():
        overview.step()
        looks = overview._current_looks()
        return not overview.is_busy and bool(looks) and looks == overview.looks.drawn

    complete(qtbot, overview)
    qtbot.waitUntil(is_settled, timeout=20_000)
    complete(qtbot, overview)
    return [overview.canvas.image_of(p) for p in range(n)]


def limits(viewer):
    contrasts = viewer.stage.channels.contrasts
    return [contrasts.limits(c) for c in range(len(viewer.stage.strips))]


def test_a_run_looks_the_same_live_and_reopened_by_whatever_is_seen_in_between(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1, regions=REGIONS, fovs=(2,) * 6)
    announce_run(viewer, run)
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.stage.dataset is viewer.dataset)
    overview = viewer._screen.tools.scene
    overview.show()
    qtbot.waitUntil(lambda: states(overview.canvas, 12) == ["PENDING"] * 12, timeout=20_000)
    follow(qtbot, viewer, run)
    qtbot.waitUntil(lambda: states(overview.canvas, 12) == ["PRESENT"] * 12, timeout=20_000)
    viewer.end_zarr_acquisition()
    live, of_live = pictures(qtbot, overview, 12), limits(viewer)
    overview.leave()
    for p in (3, 7):  # afterwards, with a look at some fields
        viewer.stage.go_to(p=p)
        settle(qtbot, viewer)
    overview.show()
    afterwards, of_afterwards = pictures(qtbot, overview, 12), limits(viewer)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    overview.show()
    reopened, of_reopened = pictures(qtbot, overview, 12), limits(viewer)
    assert of_live == of_afterwards == of_reopened
    assert live == afterwards == reopened


@pytest.fixture
def plate(qtbot, viewer, tmp_path):
    """Two wells, the second of which is brighter; in each a bright pixel."""
    path, size = tmp_path / "p.ome.zarr", 256
    stores.write_plate(path, {"A/1": 1, "A/2": 1}, sizes={"t": 1, "c": 1, "z": 1, "y": size, "x": size})
    noise = np.random.default_rng(0).integers(0, 200, (size, size)).astype("u2")
    for well, bright in (("A/1", 0), ("A/2", 1000)):
        pixels = noise + bright
        pixels[:2] = 30_000
        opened(path / well / "0")[0, 0, 0] = pixels
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    return path


def test_strips_say_the_limits_of_what_is_shown(qtbot, viewer, plate):
    strips = viewer.stage.strips
    alone = strips.window_of(0)
    overview = shown(qtbot, viewer)
    pictures(qtbot, overview, 2)
    assert strips.window_of(0) == limits(viewer)[0] == overview.looks.drawn[0].limits
    assert strips.window_of(0)[1] > 1000
    overview.leave()
    settle(qtbot, viewer)
    assert strips.window_of(0) == viewer.stage.canvas.limits(0) == limits(viewer)[0]
    low, high = strips.window_of(0)
    assert low <= alone[0] and high >= alone[1], "what was seen of all fields counts for one of them"
    overview.show()
    choose_limits(viewer, 0, 7, 900)
    pictures(qtbot, overview, 2)
    overview.leave()
    assert viewer.stage.canvas.limits(0) == (7, 900), "chosen limits hold for both"


def test_a_rendered_overview_has_the_limits_of_the_one_on_screen(qtbot, viewer, plate):
    overview = shown(qtbot, viewer)
    on_screen = pictures(qtbot, overview, 2)
    colormap = colormap_of(viewer.dataset.info.channels[0])
    with open_dataset(plate) as dataset:
        found = render_scene(dataset, [0], lambda c: (colormap, None), size=700).picture
        wanted = render_scene(
            dataset, [0], lambda c: (colormap, overview.looks.drawn[0].limits), size=700
        ).picture
    assert on_screen and np.array_equal(np.asarray(found), np.asarray(wanted))


def test_limits_of_the_run_begin_anew_with_all_fields_that_are_shown(qtbot, viewer, plate):
    overview = shown(qtbot, viewer)
    pictures(qtbot, overview, 2)
    before = limits(viewer)
    viewer.stage.strips.contrast.restart_chosen.emit()
    qtbot.waitUntil(lambda: limits(viewer) == before, timeout=20_000)
    assert viewer.stage.channels.contrasts.mode(0) is ContrastMode.RUN


def test_a_run_that_is_followed_by_its_path_has_the_limits_that_it_has_when_reopened(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1, regions=REGIONS, fovs=(2,) * 6)
    command = writer_command(run)
    command[command.index("--rate") + 1] = "15"
    writer = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    qtbot.waitUntil(lambda: any(run.folder.rglob("c/0")), timeout=20_000)
    load(qtbot, viewer, run.folder)
    overview = viewer._screen.tools.scene
    overview.show()
    qtbot.waitUntil(lambda: writer.poll() is not None, timeout=60_000)
    qtbot.waitUntil(lambda: states(overview.canvas, 12) == ["PRESENT"] * 12, timeout=30_000)
    pictures(qtbot, overview, 12)
    live = limits(viewer)
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    overview.show()
    pictures(qtbot, overview, 12)
    for (low, high), (other_low, other_high) in zip(live, limits(viewer), strict=True):
        # at first few fields are larger in the window: averages of averages are rounded twice
        assert abs(low - other_low) <= 2 and abs(high - other_high) <= 2


def grays(overview, p):
    """The lowest and highest blue of the picture of a field."""
    image = overview.canvas.image_of(p)
    values = [image.pixelColor(x, y).blue() for x in (0, image.width() - 1) for y in (0, image.height() - 1)]
    return min(values), max(values)


@pytest.mark.each_binding
def test_fields_of_another_type_have_limits_of_their_own(qtbot, viewer, tmp_path):
    path, size = tmp_path / "p.ome.zarr", 32
    sizes = {"t": 1, "c": 1, "z": 1, "y": size, "x": size}
    stores.write_plate(path, {"A/1": 1, "A/2": 1, "B/1": 1}, sizes=sizes)
    ramp = np.linspace(0, 1, size * size).reshape(size, size)
    opened(path / "A/1/0")[0, 0, 0] = (ramp * 40_000).astype("u2")
    opened(path / "A/2/0")[0, 0, 0] = (ramp * 20_000).astype("u2")
    array = path / "B/1/0/0"
    shutil.rmtree(array)
    stores.create_array(array, (1, 1, 1, size, size), dtype="uint8")
    opened(path / "B/1/0")[0, 0, 0] = (ramp * 200).astype("u1")
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    overview, strips = shown(qtbot, viewer), viewer.stage.strips
    pictures(qtbot, overview, 3)
    assert [grays(overview, p) for p in range(3)] == [(0, 255), (0, pytest.approx(127, abs=3)), (0, 255)]
    assert strips.window_of(0)[1] > 39_000
    viewer.stage.go_to(p=2)
    overview.step()
    assert 190 < strips.window_of(0)[1] <= 200
    choose_limits(viewer, 0, 0, 400)
    pictures(qtbot, overview, 3)
    assert [grays(overview, p)[1] for p in range(3)] == [
        255,
        pytest.approx(127, abs=3),
        pytest.approx(127, abs=3),
    ]
    overview.leave()
    settle(qtbot, viewer)
    assert viewer.stage.canvas.limits(0) == strips.window_of(0) == (0, 400)
    viewer.stage.go_to(p=0)
    settle(qtbot, viewer)
    assert viewer.stage.canvas.limits(0) == strips.window_of(0)
    assert viewer.stage.canvas.limits(0)[1] > 39_000
    assert strips.contrast_mode(0) is ContrastMode.RUN
    colormap = colormap_of(viewer.dataset.info.channels[0])
    with open_dataset(path) as dataset:
        found = render_scene(dataset, [0], lambda c: (colormap, None), size=256)
        assert any("of their own (1 of uint8)" in note for note in found.notes)
        brightest = np.asarray(found.picture).max(axis=(0, 1)).max()
        one = ViewPictures(dataset, [0])
        seen = [np.asarray(one.picture(ShownPlace(0, p, 0))[0]).max() for p in (0, 2)]
    assert brightest == 255 and seen == [255, 255]
