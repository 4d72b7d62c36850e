"""The overview in the widget, used as a person does and read back from its pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import stores
from overview_fields import (
    VALUES,
    assert_all_shown,
    complete,
    expected,
    fields_of,
    opened,
    opened_plate,
    pixel,
    shown,
    where,
    write_plate,
)
from qtpy.QtCore import QPointF, Qt
from qtpy.QtTest import QTest
from runs import load
from screen import choose_limits, hover, settle

from ndviewer_light import open_dataset
from ndviewer_light.engine.scene import scene_of
from ndviewer_light.gui.scene.scene_details import DetailReader, DetailWanted
from ndviewer_light.rendering.colormaps import chosen_colormap
from ndviewer_light.rendering.scene_picture import ChannelLook

pytestmark = pytest.mark.gl


@pytest.fixture
def plate(qtbot, viewer, tmp_path):
    return opened_plate(qtbot, viewer, tmp_path)


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
    qtbot.waitUntil(lambda: abs(pixel(canvas, 0) - expected(viewer, (101, 1))).max() <= 1.5)
    assert_all_shown(viewer, canvas)
    viewer.stage.channels.strips.strip(1).on.click()
    complete(qtbot, overview)
    qtbot.waitUntil(lambda: abs(pixel(canvas, 1) - expected(viewer, (1, 101))).max() <= 1.5)
    assert_all_shown(viewer, canvas)
    told = []
    overview.said.connect(told.append)
    hover(canvas, where(canvas, 5))
    qtbot.waitUntil(lambda: any("B2:3" in each and "26" in each for each in told))
    QTest.keyClick(canvas, Qt.Key.Key_W)
    assert not canvas.isVisible() and viewer.stage.canvas.isVisible()


@pytest.mark.each_binding
def test_a_double_click_or_enter_opens_a_field_and_escape_returns_to_the_same_place(qtbot, viewer, plate):
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    assert viewer._screen.tools.snapshots.name() == "p overview"
    canvas.zoom(4.0, QPointF(where(canvas, 3, 0.9, 0.9)))  # a part of it is in view
    complete(qtbot, overview)
    before = canvas.viewport
    QTest.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=where(canvas, 3, 0.9, 0.9))
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


def test_what_is_looked_at_follows_the_field_that_is_chosen_and_no_further_than_it_has_to(
    qtbot, viewer, plate
):
    overview = shown(qtbot, viewer)
    canvas = overview.canvas
    canvas.look_at_field(0)
    complete(qtbot, overview)
    scale = canvas.viewport.um_per_px

    def is_in_view(p):
        left, top, right, bottom = canvas.viewport.edges
        field = canvas.scene.image(p)
        return left <= field.left and field.right <= right and top <= field.top and field.bottom <= bottom

    assert is_in_view(0)
    for p in range(1, len(VALUES)):
        before = canvas.viewport
        was_in_view = is_in_view(p)
        qtbot.keyClick(canvas, Qt.Key.Key_BracketRight)
        assert viewer.stage.view.p == p
        qtbot.waitUntil(lambda p=p: is_in_view(p), timeout=20_000)
        assert canvas.viewport.um_per_px == scale, "nothing is zoomed"
        assert not was_in_view or canvas.viewport == before, "what is in view stays where it is"
    viewer.set_follow(p=True)  # a run that goes from field to field leaves alone what one looks at
    canvas.look_at_field(3)
    complete(qtbot, overview)
    before = canvas.viewport
    viewer.stage.follow_to(p=0)
    complete(qtbot, overview)
    assert canvas.viewport == before and not is_in_view(0)
    left, top, right, bottom = canvas.scene.bounds
    for way in (-1, 1):  # nobody gets lost
        for _ in range(200):
            canvas.pan(way, way)
        assert left <= canvas.viewport.x <= right and top <= canvas.viewport.y <= bottom


def test_columns_of_the_plate_beside_those_that_hold_anything_have_no_label(qtbot, viewer, plate):
    canvas = shown(qtbot, viewer).canvas
    canvas.zoom(0.6)
    complete(qtbot, viewer._screen.tools.scene)
    picture, ratio = canvas.grab().toImage(), canvas.devicePixelRatioF()
    top = canvas.viewport.to_screen(*canvas.scene.bounds[:2])[1] / ratio

    def is_written_at(x_um):
        x = canvas.viewport.to_screen(x_um, 0)[0] / ratio
        band = picture.copy(*(round(n * ratio) for n in (x - 14, top - 19, 28, 16)))
        return len({band.pixel(x, y) for x in range(band.width()) for y in range(band.height())}) > 2

    seen = {name: is_written_at(at) for name, at in canvas.scene.columns}
    assert seen == {"1": True, "2": True, "3": False}


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
    made = overview.looks.drawn
    choose_limits(viewer, 0, 0.1, 200)
    assert overview._current_looks() != made
    overview.step()
    assert overview.looks.drawn is made
    qtbot.waitUntil(lambda: overview.looks.drawn[0].limits == (0.1, 200), timeout=20_000)
    choose_limits(viewer, 0, 0, 100)
    overview.looks.hurry()
    overview.step()
    assert overview.looks.drawn[0].limits == (0, 100)


def test_a_mosaic_is_shown_once_all_places_are_known_and_not_before(qtbot, viewer, plate, tmp_path):
    path, um = tmp_path / "m.zarr", 0.325
    for i in range(4):
        attributes = stores.image_attributes(channels=stores.CHANNELS[:1])
        (dataset,) = attributes["multiscales"][0]["datasets"]
        move = {"type": "translation", "translation": [0, 0, 0, i // 2 * 40 * um, i % 2 * 40 * um]}
        dataset["coordinateTransformations"] = [*dataset["coordinateTransformations"][:1], move]
        stores.write_image(path / f"tile_{i}", sizes={"t": 1, "c": 1, "z": 1, "y": 40, "x": 40})
        stores.write_group(path / f"tile_{i}", attributes)
    stores.write_group(path, {})
    stores.make_old(path)
    overview, said, scenes = shown(qtbot, viewer), [], []
    show_scene = overview.canvas.show_scene
    overview.noted.connect(said.append)
    overview.canvas.show_scene = lambda scene, *more: (scenes.append(scene), show_scene(scene, *more))
    viewer.load_dataset(str(path))
    qtbot.waitUntil(lambda: viewer.dataset is not None and viewer.dataset.path == str(path), timeout=20_000)
    qtbot.waitUntil(lambda: overview.reading.dataset is viewer.dataset, timeout=20_000)
    complete(qtbot, overview)
    assert not any(said), said
    (scene,) = scenes
    assert np.allclose(scene.edges[:, :2] - scene.edges[0, :2], [[0, 0], [13, 0], [0, 13], [13, 13]])


def test_with_all_fields_there_are_strips_for_the_channels_of_all_fields(qtbot, viewer, tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr", n_t=2)
    first, second, *others = fields_of(path)
    for field, names in ((first, ["a"]), (second, ["b"]), *((each, ["a"]) for each in others)):
        metadata = json.loads((field / "zarr.json").read_text())
        metadata["attributes"]["ome"]["omero"] = {"channels": [{"label": n, "active": True} for n in names]}
        (field / "zarr.json").write_text(json.dumps(metadata))
        array = opened(field)
        array.resize(exclusive_max=[2, 1, *array.shape[2:]]).result()
    load(qtbot, viewer, path)
    settle(qtbot, viewer)
    stage = viewer.stage
    assert stage.strips.shown() == [0]
    overview = shown(qtbot, viewer)
    qtbot.waitUntil(lambda: stage.strips.shown() == [0, 1])
    assert stage.channels_on() == (0, 1) and stage.visible_channels() == (0,)
    complete(qtbot, overview)
    assert overview.canvas.image_of(1) is not None
    stage.strips.set_visible_channel(1, False)  # what is not to be seen of other fields can be hidden
    qtbot.waitUntil(lambda: sorted(stage.channels.drawn_looks()) == [0])
    QTest.keyClick(overview.canvas, Qt.Key.Key_W)
    assert stage.strips.shown() == [0] and stage.channels_on() == (0,)


def test_parts_in_colours_of_before_are_not_shown_over_the_picture(tmp_path):
    path = write_plate(tmp_path / "p.ome.zarr")
    looks = {0: ChannelLook((0.0, 200.0), chosen_colormap("#FFFFFF"))}
    waiting = []

    class Later:
        """Does work when it is told to."""

        def run(self, name, function):
            waiting.append(function)

    with open_dataset(path) as ds:
        scene = scene_of(ds.look_at_all())
        fields = (scene.image(0),)

        def wanted(version):
            return DetailWanted(ds, 0, 0, fields, scene.fitting(400, 400), looks, version)

        details = DetailReader(Later(), lambda: None)
        details.want(wanted(1))
        waiting.pop()()
        details.want(wanted(2))  # before they were taken
        assert details.take() == {}
        waiting.pop()()
        details.want(wanted(2)._replace(viewport=scene.fitting(200, 200)))  # moved: they are good still
        assert list(details.take()) == [0]
        read = ds.plane

        def plane(*at, **more):
            pixels = read(*at, **more)
            details.want(None)  # while one is made of what was read
            return pixels

        ds.plane = plane
        details.want(wanted(3))
        for work in waiting:
            work()
        assert details.take() == {}
        details.close()
