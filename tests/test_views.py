"""Stacks in the window: projections, volumes, three planes through a point; views side by side."""

from __future__ import annotations

import re
import threading

import image_stores
import numpy as np
import pytest
import stores
import tifffile
from memory_source import MemorySource, memory_info
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from runs import load
from screen import (
    activate,
    assert_shows,
    choose_in_menu,
    drag,
    framebuffer,
    hover,
    press,
    settle,
    volume_box,
    volume_method,
    voxel_middle,
)

from ndviewer_light.cli.render import main
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.projections import StackProjection
from ndviewer_light.gui.canvas import view_arrays, volume_reading
from ndviewer_light.gui.saved_views.view_memory import view_to_share
from ndviewer_light.gui.sessions import Session
from ndviewer_light.gui.windows.window import LightweightMainWindow
from ndviewer_light.model import PlaneState
from ndviewer_light.views.view_link import link_to, view_in

pytestmark = pytest.mark.gl

N_Z = 12
NAMES = ("DAPI", "GFP")


def stack(c: int) -> np.ndarray:
    """(Z, Y, X): in each plane a bright square of its own, on values that differ everywhere."""
    pixels = np.stack([stores.plane(0, 0, c, z) for z in range(N_Z)])
    for z in range(N_Z):
        pixels[z, 4 + c : 10, 3 * z : 3 * z + 3] = 300 + 10 * z
    return pixels


def write_stack(path, planes=range(N_Z)):
    """An image of two channels; nothing is stored of planes that are not among `planes`."""
    array = stores.create_array(path / "0", (1, 2, N_Z, stores.HEIGHT, stores.WIDTH))
    for c in range(2):
        for z in planes:
            array[0, c, z] = stack(c)[z]
    stores.write_group(path, stores.image_attributes(channels=NAMES, squid=False))
    stores.make_old(path)
    return array


@pytest.fixture
def shown(qtbot, viewer, tmp_path):
    """A viewer of a stack of two channels."""
    write_stack(tmp_path / "stack.zarr")
    load(qtbot, viewer, tmp_path / "stack.zarr")
    settle(qtbot, viewer)
    return viewer


def click_canvas(viewer, key):
    viewer.activateWindow()
    QTest.mouseClick(viewer.stage.canvas.surface, Qt.MouseButton.LeftButton)
    QTest.keyClick(viewer.stage.canvas.surface, key)


# ---- projections -------------------------------------------------------------------------------


@pytest.mark.each_binding
def test_projections_are_chosen_in_the_row_of_z_and_are_those_of_numpy(qtbot, shown, tmp_path, capsys):
    sliders, strips = shown.stage.sliders, shown.stage.strips
    control = sliders.projection_control
    for name, how in (("Max", np.max), ("Mean", np.mean), ("Sum", np.sum)):
        choose_in_menu(control.button, name)
        frame = settle(qtbot, shown)
        expected = {each: how(stack(c), axis=0) for c, each in enumerate(NAMES)}
        for c, each in enumerate(NAMES):
            np.testing.assert_allclose(frame.planes[c].pixels, expected[each], rtol=1e-6)
            low, high = strips.window_of(c)
            assert expected[each].min() <= low < high <= expected[each].max()
        assert_shows(shown, expected)
        assert shown.stage.overlay.position() == f"{name.lower()} of z 1–{N_Z}"
    assert not sliders.slider("z").isVisible()
    assert control.range.isVisible()
    # what is saved, and what the command writes, is the same
    assert shown._screen.tools.snapshots.name().endswith("z sum")
    output = tmp_path / "sum.tif"
    assert main([str(tmp_path / "stack.zarr"), "--z", "sum", "-o", str(output)]) == 0
    capsys.readouterr()
    np.testing.assert_array_equal(tifffile.imread(output), [stack(c).sum(axis=0) for c in range(2)])
    click_canvas(shown, Qt.Key.Key_Z)  # a plane again, with the contrast of planes
    frame = settle(qtbot, shown)
    assert frame.view.projection is None
    assert_shows(shown, {name: stack(c)[0] for c, name in enumerate(NAMES)})
    assert strips.window_of(0)[1] <= stack(0).max()
    assert sliders.slider("z").isVisible()


def test_the_range_is_dragged_and_said_and_a_typed_plane_ends_the_projection(qtbot, shown):
    sliders = shown.stage.sliders
    said = []
    shown.stage.hover_text.connect(said.append)
    click_canvas(shown, Qt.Key.Key_Z)
    settle(qtbot, shown)
    control = sliders.projection_control
    middle = control.range.height() // 2
    drag(
        control.range,
        QPoint(round(control.range.handle_x(1)), middle),
        QPoint(round(control.range.width() * 0.5), middle),
    )
    settle(qtbot, shown)
    last = shown.stage.view.projection.last
    assert 3 < last < 8
    drag(
        control.range,
        QPoint(round(control.range.handle_x(0)), middle),
        QPoint(round(control.range.handle_x(0) + 0.2 * control.range.width()), middle),
    )
    frame = settle(qtbot, shown)
    first = frame.view.projection.first
    assert 1 <= first <= 4
    np.testing.assert_array_equal(frame.planes[1].pixels, stack(1)[first : last + 1].max(axis=0))
    assert sliders.value_text("z").startswith(f"{first + 1}–{last + 1} / {N_Z}")
    picture = shown.stage.canvas.surface
    hover(picture, picture.rect().center())
    qtbot.waitUntil(lambda: bool(said) and said[-1].endswith(f"(max of z {first + 1}–{last + 1})"))
    shown.actions_by_name["go_to"]()
    QTest.keyClicks(shown.stage.go_box.line, "z5")
    QTest.keyClick(shown.stage.go_box.line, Qt.Key.Key_Return)
    frame = settle(qtbot, shown)
    assert frame.view.projection is None
    np.testing.assert_array_equal(frame.planes[0].pixels, stack(0)[4])
    click_canvas(shown, Qt.Key.Key_Z)  # as it was
    assert settle(qtbot, shown).view.projection == StackProjection("max", first, last)


def test_a_run_adds_planes_to_a_projection_and_says_how_many_are_in_it(qtbot, viewer, tmp_path):
    store = tmp_path / "run" / "A1_0.ome.zarr"
    array = write_stack(store, planes=range(9))
    viewer.start_zarr_acquisition([str(store)], list(NAMES), N_Z, ["A1:0"], stores.HEIGHT, stores.WIDTH)
    for z in range(9):
        for name in NAMES:
            viewer.notify_zarr_frame(0, 0, z, name)
    qtbot.waitUntil(lambda: viewer.stage.has_picture, timeout=20_000)
    settle(qtbot, viewer)
    choose_in_menu(viewer.stage.sliders.projection_control.button, "Max")
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: viewer.stage.canvas.frame.counts[0][PlaneState.PRESENT] == 9, timeout=20_000)
    kind, text = viewer.stage.overlay.state()
    assert kind == "partial"
    assert "DAPI: max of 9 of 12 planes" in text
    assert "3 of 12 planes: not written yet" in text
    for z in range(9, N_Z):
        for c, name in enumerate(NAMES):
            array[0, c, z] = stack(c)[z]
            viewer.notify_zarr_frame(0, 0, z, name)
    qtbot.waitUntil(lambda: viewer.stage.overlay.state() == ("none", ""), timeout=20_000)
    settle(qtbot, viewer)
    assert_shows(viewer, {name: stack(c).max(axis=0) for c, name in enumerate(NAMES)})
    viewer.end_acquisition()


def test_a_link_to_a_view_says_how_the_stack_is_projected(qtbot, shown):
    shown.stage.show_projection(StackProjection("mean", 2, 6))
    settle(qtbot, shown)
    view = view_to_share(shown.stage)
    path, again = view_in(link_to("/data/stack.zarr", view))
    assert (path, again.projection) == ("/data/stack.zarr", StackProjection("mean", 2, 6))


# ---- volumes -----------------------------------------------------------------------------------


def test_a_volume_says_its_level_is_clipped_along_z_and_drawn_in_its_box_as_chosen(qtbot, viewer, tmp_path):
    path = tmp_path / "stack.zarr"
    write_stack(path)
    half = stores.create_array(path / "1", (1, 2, N_Z, stores.HEIGHT // 2, stores.WIDTH // 2))
    for c in range(2):
        for z in range(N_Z):
            half[0, c, z] = stack(c)[z][::2, ::2]
    stores.write_group(path, stores.image_attributes(channels=NAMES, paths=["0", "1"], squid=False))
    stores.make_old(path)
    viewer.resize(620, 400)  # without a graphics card, volumes take long
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    stage = viewer.stage
    QTest.mouseClick(stage.strips._volume, Qt.MouseButton.LeftButton)
    frame = settle(qtbot, viewer)
    assert frame.volume == f"level 1 of 2, {stores.WIDTH} × {stores.HEIGHT} × {N_Z}"
    assert frame.volume in stage.overlay.position()
    assert stage.overlay.um_per_px() == pytest.approx(stage.canvas._sight.volume_scale()[0])
    assert not stage.sliders.slider("z").isVisible()
    qtbot.waitUntil(lambda: volume_box(viewer) is not None)
    size = stage.canvas._sight.voxel_size()
    full = [stores.WIDTH * size["x"], stores.HEIGHT * size["y"], N_Z * size["z"]]
    np.testing.assert_allclose(volume_box(viewer), full, rtol=1e-5)
    # drawn as chosen
    control = stage.sliders.projection_control
    for name, method in (("Surface", "surface"), ("Attenuated", "attenuated"), ("Max", "max")):
        choose_in_menu(control.button, name)
        assert volume_method(viewer) == method
        assert control.button.text().startswith(f"{name} "), "one name for one thing"
        qtbot.waitUntil(
            lambda: framebuffer(viewer).max(axis=(0, 1))[1] > 200
        )  # more than the grey of the box
    # not drawn in perspective, however it is dragged
    surface, shift = stage.canvas.surface, Qt.KeyboardModifier.ShiftModifier
    seen = stage.canvas.volume_sight(of_part=True)
    center = surface.rect().center()
    moves = center, center + QPoint(1, 1), center - QPoint(0, 60)
    drag(surface, *moves, button=Qt.MouseButton.RightButton, modifiers=shift, pause_ms=20)
    assert stage.canvas.volume_sight(of_part=True) == seen
    # clipped: only the square of the first planes is left
    middle = control.range.height() // 2
    end = QPoint(round(control.range.width() * 0.4), middle)
    drag(control.range, QPoint(round(control.range.handle_x(1)), middle), end)
    frame = settle(qtbot, viewer)
    last = frame.view.part[1]
    assert 3 <= last <= 5
    assert frame.counts[0][PlaneState.PRESENT] == last + 1
    assert frame.contrasts[0].range[1] == stack(0)[: last + 1].max()
    assert stage.sliders.value_text("z").startswith(f"1–{last + 1} / {N_Z}")
    qtbot.waitUntil(lambda: volume_box(viewer)[2] == pytest.approx((last + 1) * size["z"]))
    QTest.mouseClick(stage.strips._flat, Qt.MouseButton.LeftButton)
    settle(qtbot, viewer)
    qtbot.waitUntil(lambda: volume_box(viewer) is None)
    assert stage.sliders.slider("z").isVisible()


@stores.needs_zarr_3
@pytest.mark.parametrize("how", ["averages", "decimate"])
def test_a_voxel_of_a_volume_is_where_it_is_at_level_0(qtbot, viewer, tmp_path, monkeypatch, how):
    path, (z, y, x), steps = tmp_path / "stack.zarr", (9, 4, 8), (2.0, 0.5, 0.5)
    whole = np.zeros((1, 1, N_Z, 16, 20), np.uint16)
    if how == "averages":
        whole[..., z - 1 : z + 1, y : y + 2, x : x + 2] = 500
    else:
        whole[..., z - 2 : z + 1, y - 1 : y + 2, x - 1 : x + 2] = 500
    scales = [steps, tuple(2 * step for step in steps)]
    levels = [whole, image_stores.halved(whole)]
    image_stores.write(path, image_stores.Made(levels, ("A",), scales, downscaling=how))
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    viewer.resize(620, 400)  # without a graphics card, volumes take long
    middles = []
    for level in range(2):
        if level:
            QTest.mouseClick(viewer.stage.strips._flat, Qt.MouseButton.LeftButton)
            settle(qtbot, viewer)
            monkeypatch.setattr(volume_reading, "MAX_VOLUME_BYTES", whole.nbytes // 4)
        QTest.mouseClick(viewer.stage.strips._volume, Qt.MouseButton.LeftButton)
        assert settle(qtbot, viewer).level == level
        spot = np.argwhere(whole[0, 0, :: level + 1, :: level + 1, :: level + 1]).mean(axis=0)
        middles.append(voxel_middle(viewer, spot))
    np.testing.assert_allclose(middles[0], middles[1])
    edge = 0.5 if how == "decimate" else 1.0
    np.testing.assert_allclose(middles[0], [(x + edge) / 2, (y + edge) / 2, (z + edge - 1) * 2], rtol=1e-6)


def test_what_there_is_of_a_volume_is_drawn_and_said_and_reading_ends_when_it_is_left(
    qtbot, monkeypatch, viewer
):
    monkeypatch.setattr(view_arrays, "VOLUME_PART_SECONDS", 0.0)
    n_z, allowed = 120, threading.Semaphore(0)
    viewer.resize(620, 400)  # without a graphics card, volumes take long
    source = MemorySource(memory_info(n_t=1, n_p=1, n_c=2, n_z=n_z, height=16, width=16))
    for c, z in np.ndindex(2, n_z):
        source.write((0, 0, c, z), 100 + z)
    dataset = Dataset(source, path="/data/run")
    viewer._screen.sessions.ask_for(Session(dataset, "/data/run"))
    qtbot.waitUntil(lambda: viewer.dataset is dataset, timeout=20_000)
    settle(qtbot, viewer)
    source.before_read = lambda key: allowed.acquire()  # as a server that sends one plane after the other
    begun = len(source.reads)
    stage = viewer.stage
    QTest.mouseClick(stage.strips._volume, Qt.MouseButton.LeftButton)
    said = [f"16 × 16 × {n_z}: 0 of {2 * n_z} planes"]  # until the first are there
    n_allowed = 0
    for n in (40, 40):
        allowed.release(n)
        n_allowed += n
        qtbot.waitUntil(
            lambda: (
                f" of {2 * n_z} planes" in viewer.status_label.said("waiting")
                and viewer.status_label.said("waiting") not in said
            ),
            timeout=20_000,
        )
        said.append(viewer.status_label.said("waiting"))
        qtbot.waitUntil(lambda: " planes so far" in stage.overlay.position(), timeout=20_000)
        qtbot.waitUntil(stage.picture.still.isHidden, timeout=20_000)
        frame = stage.canvas.frame
        drawn = int(re.search(rf", (\d+) of {n_z} planes so far", frame.volume)[1])
        assert 0 < drawn <= n_allowed // 2
        assert all(counts == {PlaneState.PRESENT: drawn} for counts in frame.counts.values())
        assert frame.contrasts[0].range == (100, 100 + drawn - 1), "what is not there is no data"
    before, after = (int(re.search(r": (\d+) of", text)[1]) for text in said[1:])
    assert 0 < before < after <= 80
    assert said[1].startswith(f"16 × 16 × {n_z}")
    QTest.mouseClick(stage.strips._flat, Qt.MouseButton.LeftButton)
    allowed.release(10_000)
    frame = settle(qtbot, viewer)
    assert not frame.view.is_volume and frame.planes[0].pixels is not None
    assert len(source.reads) - begun < n_z  # of 240
    assert viewer.status_label.said("waiting") == ""
    source.before_read = lambda key: None


def test_a_volume_is_shown_again_as_it_was_left_and_as_a_link_says(qtbot, tmp_path):
    path = tmp_path / "stack.zarr"
    write_stack(path)
    first, second, third = (LightweightMainWindow() for _ in range(3))
    for window in (first, second, third):
        qtbot.addWidget(window)
        window.resize(620, 400)
        window.show()
    load(qtbot, first.viewer, path)
    settle(qtbot, first.viewer)
    stage = first.viewer.stage
    QTest.mouseClick(stage.strips._volume, Qt.MouseButton.LeftButton)
    control = stage.sliders.projection_control
    choose_in_menu(control.button, "Surface")
    middle = control.range.height() // 2
    start = QPoint(round(control.range.handle_x(1)), middle)
    drag(control.range, start, QPoint(round(control.range.width() * 0.5), middle))
    settle(qtbot, first.viewer)
    surface = stage.canvas.surface
    center = surface.rect().center()
    drag(surface, center, center + QPoint(1, 1), center + QPoint(70, 40), pause_ms=20)
    shift = Qt.KeyboardModifier.ShiftModifier
    drag(surface, center, center - QPoint(110, 60), modifiers=shift, pause_ms=20)
    settle(qtbot, first.viewer)
    left, seen = stage.volume_look, stage.canvas.volume_sight(of_part=True)
    tilt, turn, _ = seen.angles
    assert abs(tilt) > 5 and abs(turn) > 5 and min(map(abs, seen.off_middle)) > 0.5
    assert left.is_shown and left.method == "surface" and 3 <= left.last <= 8
    link = link_to(str(path), view_to_share(stage))
    first.close()
    documents = first.viewer._screen.views._documents
    qtbot.waitUntil(lambda: (documents.get(str(path)) or {}).get("volume") == str(left))
    second.viewer.remember_views(False)
    for window, place in ((second, link), (third, str(path))):
        with qtbot.waitSignal(window.viewer.dataset_loaded, timeout=20_000):
            window.viewer.load_dataset(place)
        frame = settle(qtbot, window.viewer)
        assert window.viewer.stage.volume_look == left
        again = window.viewer.stage.canvas.volume_sight(of_part=True)
        for what, was in zip(again, seen, strict=True):
            assert what == pytest.approx(was, abs=1e-3)
        assert frame.view.is_volume and frame.view.part == (0, left.last)
        qtbot.waitUntil(lambda window=window: volume_method(window.viewer) == "surface")
        window.close()


# ---- windows side by side ----------------------------------------------------------------------


@pytest.mark.each_binding
def test_linked_windows_go_where_one_of_them_goes(qtbot, tmp_path):
    windows = []
    for name in ("a", "b"):
        write_stack(tmp_path / f"{name}.zarr")
        window = LightweightMainWindow(str(tmp_path / f"{name}.zarr"))
        window.resize(1100, 560)
        window.show()
        windows.append(window)
    try:
        for window in windows:
            qtbot.waitUntil(lambda window=window: window.viewer.stage.has_picture, timeout=20_000)
            settle(qtbot, window.viewer)
        first, second = (window.viewer.stage for window in windows)
        first.sliders.slider("z").setValue(3)
        for window in windows:
            QTest.mouseClick(window.bar.link, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: second.view.z == 3)  # who is linked goes where the others are
        second.sliders.slider("z").setValue(7)
        qtbot.waitUntil(lambda: first.view.z == 7)
        first.canvas.zoom(3)
        area = first.canvas.visible_area()

        def seen_by_second():
            seen = second.canvas.visible_area()
            return (*seen.center, seen.x[1] - seen.x[0])

        wanted = pytest.approx((*area.center, area.x[1] - area.x[0]), rel=0.02)
        qtbot.waitUntil(lambda: seen_by_second() == wanted)
        split = windows[0].viewer._screen.tools.split
        split.show()  # its panes are moved, and move with the others
        split.panes.zoom(2)

        def seen_in_panes():
            seen = split.panes.visible_area()
            return pytest.approx((*seen.center, seen.x[1] - seen.x[0]), rel=0.02)

        assert seen_by_second() != seen_in_panes()
        qtbot.waitUntil(lambda: seen_by_second() == seen_in_panes())
        width = split.panes.visible_area().x[1]
        second.canvas.reset_view()
        qtbot.waitUntil(lambda: split.panes.visible_area().x[1] > 1.5 * width)
        split.leave()
        first.sliders.toggle_projection()
        qtbot.waitUntil(lambda: second.view.projection == StackProjection("max"))
        settle(qtbot, windows[1].viewer)
        QTest.mouseClick(windows[1].bar.link, Qt.MouseButton.LeftButton)
        first.go_to(z=1)
        first.show_projection(None)
        settle(qtbot, windows[0].viewer)
        assert (second.view.z, second.view.projection) == (7, StackProjection("max"))
    finally:
        for window in windows:
            window.close()
            window.deleteLater()


def test_windows_too_narrow_for_the_button_are_linked_by_a_key_that_says_so(qtbot, tmp_path):
    write_stack(tmp_path / "a.zarr")
    windows = [LightweightMainWindow(str(tmp_path / "a.zarr")) for _ in range(2)]
    try:
        for window in windows:
            window.resize(800, 560)
            window.show()
            settle(qtbot, window.viewer)
            assert not window.bar.link.isVisible()
        for window, said in zip(windows, ("Shift L", "moves together with 1 other window"), strict=True):
            activate(qtbot, window)
            press(qtbot, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
            assert window.bar.link.isChecked() and said in window.viewer.status_label.said("message")
        windows[0].viewer.stage.sliders.slider("z").setValue(5)
        qtbot.waitUntil(lambda: windows[1].viewer.stage.view.z == 5, timeout=20_000)
        press(qtbot, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
        assert not windows[1].bar.link.isChecked()
        assert windows[1].viewer.status_label.said("message") == "Not linked any more"
    finally:
        for window in windows:
            window.close()
