"""The overview of fields that are not there, not whole, older, unlike the others or over each other."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import stores
from overview_fields import (
    SIDE,
    VALUES,
    WELLS,
    assert_all_shown,
    complete,
    expected,
    fields_of,
    opened,
    pixel,
    shown,
    states,
    where,
    write_plate,
)
from qtpy.QtCore import QPoint
from runs import load
from screen import choose_limits, hover, settle

from ndviewer_light.engine.scene import FieldScene, PlacedWell
from ndviewer_light.gui.scene import scene_drawing
from ndviewer_light.gui.scene.field_pictures import FieldPicture
from ndviewer_light.gui.scene.scene_canvas import SceneCanvas
from ndviewer_light.model import PlaneState
from ndviewer_light.rendering.scene_picture import ABSENT, WELL

pytestmark = pytest.mark.gl


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
    qtbot.waitUntil(lambda: told[-1:] == ["B1   listed by the plate, no image is there"])


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
    qtbot.waitUntil(lambda: len(viewer.stage.strips) == 3)
    for p in (1, 0):  # limits are of the type of the field in view
        viewer.stage.go_to(p=p)
        overview.step()
        for c in range(3):
            strip = viewer.stage.strips.strip(c)
            if strip.isVisible():
                choose_limits(viewer, c, 0, 200)
    complete(qtbot, overview)
    image = overview.canvas.scene.image(1)
    assert (image.width, image.height) == pytest.approx((24 * 0.325, 16 * 0.325))
    drawn = {c for c in range(3) if viewer.stage.strips.is_channel_visible(c)}
    assert {0, 1} <= drawn
    qtbot.waitUntil(lambda: abs(pixel(overview.canvas, 1) - expected(viewer, (60, 120))).max() <= 1.5)
    # what nobody can see follows later, and so may limits that were typed last
    qtbot.waitUntil(lambda: overview.looks.drawn[1].limits == pytest.approx((0, 200), abs=2))
    color, low, high = viewer.stage.strips.color_of(1), 0, 200
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) * (80 - low) / (high - low)
    # and what the third channel adds
    qtbot.waitUntil(lambda: (pixel(overview.canvas, 2) >= rgb - 2).all())
    others = {p: VALUES[p] for p in (0, 3, 5)}
    qtbot.waitUntil(lambda: assert_all_shown(viewer, overview.canvas, others))


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
    qtbot.waitUntil(lambda: canvas.scene.has_overlaps)
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


def test_of_a_plate_only_those_fields_are_drawn_of_which_something_is_known(qtbot, monkeypatch):
    edges = np.array([[20.0 * p, 0.0, 20.0 * p + 10, 10.0] for p in range(3)])
    wells = tuple(PlacedWell(f"A{p + 1}", tuple(edges[p]), (p,)) for p in range(3))
    canvas, drawn = SceneCanvas(), []
    qtbot.addWidget(canvas)
    canvas.resize(300, 120)
    draw_field = scene_drawing.draw_field

    def noted(painter, scene, viewport, p, *more):
        drawn.append(p)
        draw_field(painter, scene, viewport, p, *more)

    monkeypatch.setattr(scene_drawing, "draw_field", noted)
    canvas.show_scene(FieldScene(edges, wells, is_plate=True, is_in_um=False), 1.0)
    qtbot.waitUntil(lambda: canvas.is_complete)
    assert drawn == []
    ground = [pixel(canvas, p) for p in range(3)]
    assert abs(np.array(ground) - WELL).max() <= 1
    white = np.full((8, 8, 4), 255, np.uint8)
    canvas.show_pictures(
        [FieldPicture(1, None, white, PlaneState.PRESENT), FieldPicture(2, None, None, PlaneState.ABSENT)]
    )
    qtbot.waitUntil(lambda: canvas.is_complete)
    canvas.fit()
    qtbot.waitUntil(lambda: canvas.is_complete)
    assert set(drawn) == {1, 2}
    found = [pixel(canvas, p).tolist() for p in range(3)]
    assert found == [list(WELL), [255, 255, 255], list(ABSENT)]


def test_what_waits_to_be_painted_is_painted_when_it_may_be_painted_more_often(qtbot):
    canvas = SceneCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(300, 120)
    canvas.show()
    canvas.show_scene(FieldScene(np.array([[0.0, 0.0, 10.0, 10.0]]), is_in_um=False), 1.0)
    qtbot.waitUntil(lambda: canvas.is_complete)
    canvas.repaint()
    canvas.paint_rarely(3600.0)
    canvas.show_pictures([FieldPicture(0, None, np.full((8, 8, 4), 255, np.uint8), PlaneState.PRESENT)])
    qtbot.waitUntil(lambda: canvas._paint_timer.isActive())
    painted = canvas._painted
    canvas.paint_rarely(0.0)
    qtbot.waitUntil(lambda: canvas._painted > painted)
