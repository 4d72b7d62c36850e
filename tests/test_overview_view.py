"""The overview in the widget, used as a person does and read back from its pixels."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import stores
import tensorstore as ts
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from runs import CHANNELS, follow, load, small_run, write
from screen import choose_limits, hover, settle

from ndviewer_light.engine.thumbnails import ThumbnailLoader, WantedThumbnail
from ndviewer_light.gui import stage
from ndviewer_light.gui.background import Background
from ndviewer_light.gui.scene.field_pictures import FieldPicture, FieldPictures
from ndviewer_light.model import Plane, PlaneState, StackKey
from simulate_acquisition import announce_run

pytestmark = pytest.mark.gl

SIDE = 32
WELLS = {"A/1": 1, "A/2": 1, "B/2": 4}
VALUES = {0: (100, 0), 1: (0, 100), 2: (50, 50), 3: (100, 100), 4: (0, 0), 5: (25, 75)}
"""Of each position, what its two channels have everywhere."""


def write_plate(path, n_t=1):
    """A plate whose fields are of one colour each."""
    stores.write_plate(path, WELLS, sizes={"t": n_t, "c": 2, "z": 1, "y": SIDE, "x": SIDE})
    for field, values in zip(fields_of(path), VALUES.values(), strict=True):
        array = opened(field)
        for t in range(n_t):
            for c in range(2):
                array[t, c, 0] = np.full((SIDE, SIDE), values[(c + t) % 2] + 1, "u2")
    stores.make_old(path)
    return path


def fields_of(path):
    return [path / well / str(field) for well, n in WELLS.items() for field in range(n)]


def opened(field):
    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{field}/0/"}}).result()


def shown(qtbot, viewer):
    """Press W, and wait until the overview is complete."""
    QTest.keyClick(viewer.stage.picture, Qt.Key.Key_W)
    overview = viewer._screen.tools.scene
    assert overview.is_shown
    complete(qtbot, overview)
    return overview


def complete(qtbot, overview):
    def is_there():
        overview.step()
        return overview.canvas.scene is not None and not overview.is_busy

    qtbot.waitUntil(is_there, timeout=20_000)
    qtbot.waitUntil(is_there, timeout=20_000)


def where(canvas, p, x=0.5, y=0.5):
    """A point of a field in pixels of the widget."""
    image, ratio = canvas.scene.image(p), canvas.devicePixelRatioF()
    at = canvas.viewport.to_screen(image.left + x * image.width, image.top + y * image.height)
    return QPoint(int(at[0] / ratio), int(at[1] / ratio))


def states(canvas, n):
    """The states of fields as they are drawn; "" where nothing is known yet."""
    marks = [canvas.marks_of(p) for p in range(n)]
    return ["" if each is None or each.state is None else each.state.name for each in marks]


def pixel(canvas, p, x=0.5, y=0.5):
    """The colour on the widget at a point of a field."""
    color = canvas.grab().toImage().pixelColor(where(canvas, p, x, y))
    return np.array([color.red(), color.green(), color.blue()])


def expected(viewer, values):
    """What two channels of these values add up to, with the limits and colours of the strips."""
    strips, total = viewer.stage.strips, np.zeros(3)
    for c, value in enumerate(values):
        if strips.is_channel_visible(c):
            low, high = strips.window_of(c)
            color = strips.color_of(c)
            rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
            total += np.clip((value - low) / (high - low), 0, 1) * rgb
    return np.clip(total, 0, 255)


def assert_all_shown(viewer, canvas, fields=VALUES):
    for p, values in fields.items():
        found, wanted = pixel(canvas, p, 0.4, 0.6), expected(viewer, [value + 1 for value in values])
        assert abs(found - wanted).max() <= 1.5, (p, found, wanted)


@pytest.fixture
def plate(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    return path


# ---- before the main view ------------------------------------------------------------------------------


@pytest.mark.each_binding
def test_the_main_view_is_built_after_the_overview_of_the_next_dataset(
    qtbot, viewer, plate, tmp_path, monkeypatch
):
    monkeypatch.setattr(stage, "_COVERED_SECONDS", 60.0)
    overview, order = shown(qtbot, viewer), []
    canvas = viewer.stage.canvas
    other = write_plate(tmp_path / "other.ome.zarr")
    canvas.frame_arrived.connect(lambda: order.append(overview.comes_first))
    viewer.load_dataset(str(other))
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.path == str(other), timeout=20_000)
    settle(qtbot, viewer)
    assert viewer.ndv_viewer is not None and overview.is_shown and overview.canvas.scene is not None
    assert order and not any(order)  # its first frame came when all pictures were there
    complete(qtbot, overview)
    assert overview.reading.dataset is viewer.dataset
    QTest.keyClick(overview.canvas, Qt.Key.Key_W)
    assert canvas.isVisible() and canvas.frame is not None


@pytest.mark.each_binding
def test_the_main_view_is_built_at_once_when_it_is_shown(qtbot, viewer, plate, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_COVERED_SECONDS", 60.0)
    overview = shown(qtbot, viewer)
    other = write_plate(tmp_path / "other.ome.zarr")
    viewer.stage.cover_comes_first = lambda: overview.is_shown  # as long as pictures are on their way
    viewer.load_dataset(str(other))
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.path == str(other), timeout=20_000)
    complete(qtbot, overview)
    assert viewer.stage.canvas.frames is None
    QTest.mouseDClick(overview.canvas, Qt.MouseButton.LeftButton, pos=where(overview.canvas, 3))
    frame = settle(qtbot, viewer)
    assert frame.view.p == 3 and viewer.stage.canvas.isVisible() and not overview.is_shown


@pytest.mark.each_binding
def test_the_overview_may_be_asked_for_while_the_first_dataset_is_opened(qtbot, viewer, tmp_path):
    overview, path = viewer._screen.tools.scene, write_plate(tmp_path / "p.ome.zarr")
    viewer.load_dataset(str(path))
    QTest.keyClick(viewer, Qt.Key.Key_W)
    assert viewer.dataset is None and not overview.is_shown
    qtbot.waitUntil(lambda: overview.is_shown, timeout=20_000)
    complete(qtbot, overview)
    settle(qtbot, viewer)
    assert_all_shown(viewer, overview.canvas)
    QTest.keyClick(overview.canvas, Qt.Key.Key_W)
    assert viewer.stage.canvas.isVisible() and not overview.is_shown


def test_an_overview_that_was_asked_for_is_not_shown_of_what_comes_much_later(qtbot, viewer, tmp_path):
    overview, path = viewer._screen.tools.scene, write_plate(tmp_path / "p.ome.zarr")
    viewer.load_dataset(str(path))
    QTest.keyClick(viewer, Qt.Key.Key_W)
    QTest.keyClick(viewer, Qt.Key.Key_Escape)  # the opening is cancelled
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    assert not overview.is_shown


def test_the_main_view_does_not_wait_for_long(qtbot, viewer, plate, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_COVERED_SECONDS", 0.0)
    overview = shown(qtbot, viewer)
    viewer.stage.cover_comes_first = lambda: True
    viewer.load_dataset(str(write_plate(tmp_path / "other.ome.zarr")))
    qtbot.waitUntil(lambda: "other" in viewer.stage.dataset.path, timeout=20_000)
    settle(qtbot, viewer)
    assert overview.is_shown and viewer.ndv_viewer is not None


# ---- of what is finished -------------------------------------------------------------------------------


@pytest.mark.each_binding
def test_each_field_is_at_its_place_in_its_colours_as_the_controls_say(qtbot, viewer, plate):
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    assert canvas.isVisible() and not viewer.stage.canvas.isVisible()
    assert_all_shown(viewer, canvas)
    assert where(canvas, 1).x() > where(canvas, 0).x() and where(canvas, 1).y() == where(canvas, 0).y()
    assert where(canvas, 2).y() > where(canvas, 1).y()
    choose_limits(viewer, 0, 0, 101)  # contrast, and what is visible, as in the main view
    complete(qtbot, overview)
    qtbot.waitUntil(lambda: abs(pixel(canvas, 0) - expected(viewer, (101, 1))).max() <= 1.5, timeout=10_000)
    assert_all_shown(viewer, canvas)
    viewer.stage.channels.strips.strip(1).on.click()
    complete(qtbot, overview)
    qtbot.waitUntil(lambda: abs(pixel(canvas, 1) - expected(viewer, (1, 101))).max() <= 1.5, timeout=10_000)
    assert_all_shown(viewer, canvas)
    told = []
    overview.said.connect(told.append)
    hover(canvas, where(canvas, 5))
    qtbot.waitUntil(lambda: any("B2:3" in each and "26" in each for each in told), timeout=5_000)
    QTest.keyClick(canvas, Qt.Key.Key_W)
    assert not canvas.isVisible() and viewer.stage.canvas.isVisible()


@pytest.mark.each_binding
def test_a_double_click_or_enter_opens_a_field_and_escape_returns_to_the_same_place(qtbot, viewer, plate):
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    canvas.zoom(2.0, QPointF(where(canvas, 3)))
    complete(qtbot, overview)
    before = canvas.viewport
    QTest.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=where(canvas, 3))
    assert not overview.is_shown and viewer.stage.view.p == 3
    settle(qtbot, viewer)
    QTest.keyClick(viewer, Qt.Key.Key_Escape)
    assert overview.is_shown and canvas.viewport == before
    complete(qtbot, overview)
    QTest.keyClick(viewer, Qt.Key.Key_Escape)
    assert overview.is_shown  # there is nothing to go back to
    viewer.cursor().setPos(canvas.mapToGlobal(where(canvas, 2)))
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert not overview.is_shown and viewer.stage.view.p in (2, 3)


def test_zoomed_in_single_pixels_are_those_of_the_data(qtbot, viewer, tmp_path):
    path = tmp_path / "p.ome.zarr"
    size = 600
    stores.write_plate(path, {"A/1": 1, "A/2": 1}, sizes={"t": 1, "c": 1, "z": 1, "y": size, "x": size})
    data = np.random.default_rng(0).integers(0, 200, (size, size)).astype("u2")
    opened(path / "A/2/0")[0, 0, 0] = data
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 0, 200)
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    canvas.look_at_field(1)
    row, column = 411, 87
    for _ in range(9):
        canvas.zoom(1.6, QPointF(where(canvas, 1, (column + 0.5) / size, (row + 0.5) / size)))
    assert canvas.viewport.um_per_px < 0.325 / 8
    qtbot.waitUntil(lambda: bool(canvas.images.details(1)), timeout=20_000)
    complete(qtbot, overview)
    for dy in (-1, 0, 2):
        for dx in (-2, 0, 1):
            at = (column + dx + 0.5) / size, (row + dy + 0.5) / size
            wanted = expected(viewer, (data[row + dy, column + dx],))
            assert abs(pixel(canvas, 1, *at) - wanted).max() <= 1.5, (dy, dx)


@pytest.mark.each_binding
def test_what_is_missing_or_unreadable_is_marked_and_never_black(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    for chunk in stores.chunk_files(fields_of(path)[1]):
        chunk.unlink()
    for chunk in stores.chunk_files(fields_of(path)[2]):
        chunk.write_bytes(b"\x02\x01\x21\x02" + b"\xff" * 60)
    shutil.rmtree(fields_of(path)[3])
    (second,) = (each for each in stores.chunk_files(fields_of(path)[5]) if "/c/0/1/" in str(each))
    second.write_bytes(b"\x02\x01\x21\x02" + b"\xff" * 60)
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    overview = shown(qtbot, viewer)
    there, gone, bad = "PRESENT", "ABSENT", "UNREADABLE"
    assert states(overview.canvas, 6) == [there, gone, bad, gone, there, bad]
    assert abs(pixel(overview.canvas, 1) - (58, 58, 60)).max() <= 1
    assert abs(pixel(overview.canvas, 2, 0.5, 0.2) - (66, 46, 44)).max() <= 1
    assert pixel(overview.canvas, 2)[0] > 150  # the cross
    told = []
    overview.said.connect(told.append)
    for p, said in ((2, "  could not be read: "), (5, "  in part; the rest: could not be read: ")):
        hover(overview.canvas, where(overview.canvas, p, 0.5))
        qtbot.waitUntil(lambda said=said: any(said in each for each in told), timeout=20_000)


def test_wells_that_are_listed_and_not_there_are_marked_at_their_places(qtbot, viewer, tmp_path):
    path = tmp_path / "p.ome.zarr"
    sizes = {"t": 1, "c": 2, "z": 1, "y": SIDE, "x": SIDE}
    stores.write_plate(path, WELLS, planned=["B/1"], sizes=sizes)
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    canvas, told = shown(qtbot, viewer).canvas, []
    viewer._screen.tools.scene.said.connect(told.append)
    (well,) = (each for each in canvas.scene.wells if not each.fields)
    left, top, right, bottom = well.edges
    ratio = canvas.devicePixelRatioF()
    at = QPoint(
        *(int(each / ratio) for each in canvas.viewport.to_screen((left + right) / 2, (top + bottom) / 2))
    )
    assert abs(at.x() - where(canvas, 0).x()) <= 2 and at.y() > where(canvas, 0).y()
    color = canvas.grab().toImage().pixelColor(at)
    assert (color.red(), color.green(), color.blue()) == (58, 58, 60)
    hover(canvas, at)
    qtbot.waitUntil(lambda: told[-1:] == ["B1   listed by the plate, no image is there"], timeout=5_000)


def test_old_pictures_are_dimmed_until_those_of_the_time_point_are_there(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr", n_t=2)
    for chunk in stores.chunk_files(fields_of(path)[1]):
        if "/c/1/" in str(chunk):
            chunk.unlink()
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    overview = shown(qtbot, viewer)
    first = pixel(overview.canvas, 1)
    viewer.set_current_index("time", 1)
    complete(qtbot, overview)
    assert overview.canvas.marks_of(1).is_old
    assert 0.3 < pixel(overview.canvas, 1).sum() / first.sum() < 0.6

    def has_corner():
        return (pixel(overview.canvas, 1, 0.97, 0.03) != pixel(overview.canvas, 1)).any()

    assert has_corner()  # nothing is stored, and nothing will be

    def is_dimmed_alone():  # again and again, as what is missing may be looked for meanwhile
        overview.canvas.show_pictures([FieldPicture(1, None, None, PlaneState.PENDING)])
        return not has_corner()

    qtbot.waitUntil(is_dimmed_alone, timeout=20_000)  # that it is dimmed says it
    swapped = {p: (b, a) for p, (a, b) in VALUES.items() if p != 1}
    assert_all_shown(viewer, overview.canvas, swapped)
    overview.dims_old = False
    viewer.set_current_index("time", 0)
    viewer.set_current_index("time", 1)
    complete(qtbot, overview)
    viewer.set_current_index("time", 0)
    complete(qtbot, overview)
    assert_all_shown(viewer, overview.canvas)


def test_fields_of_other_sizes_types_and_channels_are_drawn_by_their_own(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    small, other = fields_of(path)[1], fields_of(path)[2]
    shutil.rmtree(small)
    stores.write_image(small, sizes={"t": 1, "c": 2, "z": 1, "y": 16, "x": 24}, dtype="uint8")
    opened(small)[0, :, 0] = np.array([60, 120], "u1")[:, None, None]
    shutil.rmtree(other)
    names = [stores.CHANNELS[1], "another"]
    sizes = {"t": 1, "c": 2, "z": 1, "y": SIDE, "x": SIDE}
    attributes = stores.image_attributes(channels=names)
    stores.write_image(other, sizes=sizes, attributes=attributes)
    opened(other)[0, :, 0] = np.array([80, 160], "u2")[:, None, None]
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    overview = shown(qtbot, viewer)
    qtbot.waitUntil(lambda: len(viewer.stage.strips) == 3, timeout=10_000)
    for c in range(3):
        strip = viewer.stage.strips.strip(c)
        if strip.isVisible():
            choose_limits(viewer, c, 0, 200)
    complete(qtbot, overview)
    image = overview.canvas.scene.image(1)
    assert (image.width, image.height) == pytest.approx((24 * 0.325, 16 * 0.325))
    drawn = {c for c in range(3) if viewer.stage.strips.is_channel_visible(c)}
    assert {0, 1} <= drawn
    qtbot.waitUntil(
        lambda: abs(pixel(overview.canvas, 1) - expected(viewer, (60, 120))).max() <= 1.5, timeout=10_000
    )
    limits = [overview._looks[c].limits for c in (1, 2)]
    assert limits[0] == (0, 200)
    color, low, high = viewer.stage.strips.color_of(1), 0, 200
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) * (80 - low) / (high - low)
    assert (pixel(overview.canvas, 2) >= rgb - 2).all()  # and what the third channel adds
    assert_all_shown(viewer, overview.canvas, {p: VALUES[p] for p in (0, 3, 5)})


def test_overlapping_fields_lie_on_each_other_in_order_or_are_blended(qtbot, viewer, tmp_path):
    side, um, values = 40, 0.325, (50, 150)
    attributes = stores.image_attributes(channels=stores.CHANNELS[:1])
    for i, value in enumerate(values):
        path = tmp_path / "m.zarr" / f"tile_{i}"
        stores.write_image(path, sizes={"t": 1, "c": 1, "z": 1, "y": side, "x": side})
        (dataset,) = attributes["multiscales"][0]["datasets"]
        scale = dataset["coordinateTransformations"][:1]
        move = {"type": "translation", "translation": [0, 0, 0, 0, i * 30 * um]}
        dataset["coordinateTransformations"] = [*scale, move]
        stores.write_group(path, attributes)
        opened(path)[0, 0, 0] = np.full((side, side), value, "u2")
    stores.write_group(tmp_path / "m.zarr", {})
    stores.make_old(tmp_path / "m.zarr")
    load(qtbot, viewer, tmp_path / "m.zarr")
    settle(qtbot, viewer)
    choose_limits(viewer, 0, 0, 200)
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    qtbot.waitUntil(lambda: canvas.scene.has_overlaps, timeout=10_000)
    complete(qtbot, overview)
    left, right = (expected(viewer, (value,)) for value in values)
    assert abs(pixel(canvas, 0, 0.5) - left).max() <= 1.5
    assert abs(pixel(canvas, 0, 35 / side) - right).max() <= 1.5  # the later one
    before = canvas.image_of(0)
    overview.reading.pictures.make_again([0])  # it arrives last
    qtbot.waitUntil(lambda: canvas.image_of(0) is not before)
    complete(qtbot, overview)
    assert abs(pixel(canvas, 0, 0.5) - left).max() <= 1.5
    assert abs(pixel(canvas, 0, 35 / side) - right).max() <= 1.5
    overview._menu.blend.setChecked(True)
    complete(qtbot, overview)
    assert abs(pixel(canvas, 0, 0.5) - left).max() <= 1.5
    assert abs(pixel(canvas, 0, 35 / side) - (left + right) / 2).max() < 12
    assert abs(pixel(canvas, 1, 0.9) - right).max() <= 1.5
    for step in range(3):  # moved, by strips
        canvas._look_at(
            canvas.viewport._replace(x=canvas.viewport.x + (7 + step) * canvas.viewport.um_per_px)
        )
    complete(qtbot, overview)
    assert abs(pixel(canvas, 0, 0.5) - left).max() <= 1.5 and abs(pixel(canvas, 1, 0.9) - right).max() <= 1.5


# ---- while it is written -------------------------------------------------------------------------------


def test_fields_of_a_run_fill_in_as_they_are_announced_and_look_the_same_when_opened(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1)
    announce_run(viewer, run)
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.stage.dataset is viewer.dataset)
    viewer._screen.tools.scene.show()
    overview = viewer._screen.tools.scene
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PENDING"] * 3, timeout=20_000)
    follow(qtbot, viewer, run)
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PRESENT"] * 3, timeout=20_000)
    viewer.end_zarr_acquisition()
    for c in range(2):
        choose_limits(viewer, c, 0, 5000)
    complete(qtbot, overview)
    qtbot.wait(250)
    complete(qtbot, overview)
    live = [overview.canvas.image_of(p) for p in range(3)]
    load(qtbot, viewer, run.folder)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 5000)
    complete(qtbot, overview)
    qtbot.wait(250)
    complete(qtbot, overview)
    assert overview.is_shown
    for p, before in enumerate(live):
        assert before == overview.canvas.image_of(p) and before.width() == run.width, p


def test_a_plane_that_is_written_again_is_shown_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1)
    announce_run(viewer, run)
    follow(qtbot, viewer, run)
    viewer._screen.tools.scene.show()
    overview = viewer._screen.tools.scene
    complete(qtbot, overview)
    before = pixel(overview.canvas, 1)
    array = opened(run.folder / "zarr/A1/fov_1.ome.zarr")
    for c, channel in enumerate(CHANNELS):
        array[0, c, 0] = np.zeros((run.height, run.width), array.dtype.numpy_dtype) + 1
        viewer.notify_zarr_frame(0, 1, 0, channel)
    qtbot.waitUntil(lambda: abs(pixel(overview.canvas, 1) - before).max() > 3, timeout=10_000)
    viewer.end_zarr_acquisition()


def test_what_nobody_has_announced_is_there_after_the_run_and_a_refresh_reads_again(qtbot, viewer, tmp_path):
    run = small_run(tmp_path / "run", n_t=1, n_z=1)
    announce_run(viewer, run)
    qtbot.waitUntil(lambda: viewer.stage.dataset is not None)
    overview = viewer._screen.tools.scene
    overview.show()
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PENDING"] * 3, timeout=20_000)
    overview.reading._front_due = float("inf")  # nor has anybody looked
    write(run)
    viewer.end_zarr_acquisition()
    qtbot.waitUntil(lambda: states(overview.canvas, 3) == ["PRESENT"] * 3, timeout=20_000)
    for c in range(2):
        choose_limits(viewer, c, 0, 5000)
    qtbot.waitUntil(lambda: [look.limits for look in overview._looks.values()] == [(0, 5000)] * 2)
    complete(qtbot, overview)
    before = pixel(overview.canvas, 1)
    array = opened(run.folder / "zarr/A1/fov_1.ome.zarr")
    array[0, :, 0] = np.full((2, run.height, run.width), 5000, array.dtype.numpy_dtype)
    viewer.refresh()
    qtbot.waitUntil(lambda: abs(pixel(overview.canvas, 1) - before).max() > 3, timeout=10_000)


def test_fields_that_nobody_announces_appear_as_well(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    late = [chunk for field in fields_of(path)[2:] for chunk in stores.chunk_files(field)]
    pixels = {chunk: chunk.read_bytes() for chunk in late}
    for chunk in late:
        chunk.unlink()
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    overview = shown(qtbot, viewer)
    found = states(overview.canvas, 6)
    assert found[:2] == ["PRESENT"] * 2 and "PRESENT" not in found[2:]
    for chunk in late:
        chunk.write_bytes(pixels[chunk])
    qtbot.waitUntil(lambda: states(overview.canvas, 6) == ["PRESENT"] * 6, timeout=20_000)
    complete(qtbot, overview)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    qtbot.waitUntil(lambda: abs(pixel(overview.canvas, 5) - expected(viewer, (26, 76))).max() <= 1.5)
    assert_all_shown(viewer, overview.canvas)


# ---- bounds --------------------------------------------------------------------------------------------


def test_pictures_out_of_view_are_kept_coarsely_and_made_again_when_they_are_back(
    qtbot, viewer, tmp_path, monkeypatch
):
    path = tmp_path / "p.ome.zarr"
    sizes = {"t": 1, "c": 1, "z": 1, "y": 128, "x": 128}
    stores.write_plate(path, {f"A/{i}": 1 for i in range(1, 9)}, sizes=sizes)
    stores.make_old(path)
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    monkeypatch.setattr("ndviewer_light.gui.scene.field_images.IMAGES_BYTES", 3 * 128 * 128 * 4)
    for p in range(8):
        canvas.look_at_field(p)
        complete(qtbot, overview)
        assert canvas.image_of(p).width() == 128
        assert canvas.images.nbytes <= (3 + 3) * 128 * 128 * 4
    assert canvas.image_of(0).width() == 48
    canvas.look_at_field(0)
    complete(qtbot, overview)
    assert canvas.image_of(0).width() == 128


def test_small_planes_in_memory_are_bounded(monkeypatch):
    class Source:
        def read(self, keys, edge):
            return [Plane(PlaneState.PRESENT, np.ones((64, 64), "u2")) for _ in keys]

    monkeypatch.setattr("ndviewer_light.gui.scene.field_pictures.PICTURES_BYTES", 20 * 64 * 64 * 2)
    background = Background()
    pictures = FieldPictures(lambda p: 64, background.run)
    loader = ThumbnailLoader(Source(), pictures.kick)
    pictures.read_from(loader)
    pictures.show_place((0, 0))
    loader.want(WantedThumbnail(StackKey(0, p, 0, 0), 64) for p in range(200))
    while loader.n_left or loader.has_arrived or pictures.is_busy:
        assert pictures.nbytes <= 20 * 64 * 64 * 2
    assert sum(bool(pictures.known(p)) for p in range(200)) == 20
    loader.close()
    pictures.close()
    loader.join(10)
    background.end()


def test_what_had_to_be_guessed_of_places_is_said_as_long_as_it_holds(qtbot, viewer, plate):
    load(qtbot, viewer, plate)
    overview, status = shown(qtbot, viewer), viewer._screen.status
    overview.noted.emit("1 field has no stage coordinates")
    assert status.said("message") == "Overview: 1 field has no stage coordinates"
    overview.noted.emit("")
    assert status.said("message") == ""
    viewer._screen._say("saved")
    overview.noted.emit("")
    assert status.said("message") == "saved"


def test_limits_that_change_by_next_to_nothing_are_followed_a_moment_later(qtbot, viewer, plate):
    load(qtbot, viewer, plate)
    settle(qtbot, viewer)
    for c in range(2):
        choose_limits(viewer, c, 0, 200)
    overview = shown(qtbot, viewer)
    made = overview._looks
    choose_limits(viewer, 0, 0.1, 200)
    assert overview._current_looks() != made
    overview.step()
    assert overview._looks is made
    qtbot.waitUntil(lambda: overview._looks[0].limits == (0.1, 200), timeout=20_000)
    choose_limits(viewer, 0, 0, 100)
    overview._looks_due = 0.0
    overview.step()
    assert overview._looks[0].limits == (0, 100)
