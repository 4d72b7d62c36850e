"""Where the fields of a run are drawn, and which of them a viewport shows: pure, without pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from memory_source import memory_info

from ndviewer_light.engine.scene import Viewport, scene_of, visible_first
from ndviewer_light.gui.scene.scene_changes import is_same_scene
from ndviewer_light.model import Channel, DatasetInfo, ImageInfo, Position

SIDE = 512.0


def info_of(positions, um=1.0, images=None):
    info = DatasetInfo("x", tuple(positions), (Channel("a"),), 1, 1, 512, 512, np.dtype("u2"), um, um)
    return info.with_images(images or {})


def mosaic(n=25, side=5, step=460.0, region="manual0"):
    return [Position(region, i, (i % side) * step, (i // side) * step) for i in range(n)]


def middles(scene):
    return (scene.edges[:, :2] + scene.edges[:, 2:]) / 2


def test_wells_lie_in_rows_and_columns_with_gaps_where_none_is():
    scene = scene_of(info_of([Position(name, 0) for name in ("A1", "B3", "H12")]))
    assert scene.is_plate and len(scene.rows) == 8 and len(scene.columns) == 12
    (a1, b3, h12), pitch = middles(scene), scene.columns[1][1] - scene.columns[0][1]
    assert np.allclose(b3 - a1, (2 * pitch, pitch)) and np.allclose(h12 - a1, (11 * pitch, 7 * pitch))
    assert pitch > SIDE and not scene.has_overlaps and scene.notes == ()
    assert scene.columns[2][0] == "3" and scene.columns[2][1] == pytest.approx(b3[0])
    assert scene.rows[7][0] == "H" and scene.rows[7][1] == pytest.approx(h12[1])


def test_wells_without_images_lie_at_their_places_as_well():
    info = info_of([Position(name, 0) for name in ("A1", "B3")])
    scene = scene_of(replace(info, empty_wells=("B2", "D6")))
    assert len(scene) == 2 and len(scene.rows) == 4 and len(scene.columns) == 6
    (a1, b3), empty = middles(scene), [well for well in scene.wells if not well.fields]
    assert [well.name for well in empty] == ["B2", "D6"]
    left, top, right, bottom = empty[0].edges
    at = (left + right) / 2, (top + bottom) / 2
    assert np.allclose(at, ((a1[0] + b3[0]) / 2, b3[1]))
    assert scene.empty_well_at(*at) == "B2" and scene.at(*at) is None
    assert scene.empty_well_at(*a1) == scene.empty_well_at(-1e6, 0) == ""
    beside = replace(info, empty_wells=("B2", "a1", "somewhere"))  # none of a plate with these
    assert len(scene_of(beside).wells) == 2


def test_a_well_that_is_listed_as_empty_and_has_a_field_by_now_is_there_once_with_its_field():
    info = memory_info(positions=(Position("A1", 0), Position("A2", 0)))
    scene = scene_of(replace(info, empty_wells=("A2", "B1")))
    assert [(well.name, well.fields) for well in scene.wells] == [("A1", (0,)), ("A2", (1,)), ("B1", ())]
    other = scene_of(replace(info, empty_wells=("B1",)))
    assert is_same_scene(scene, other)
    assert not is_same_scene(
        scene, replace(other, wells=(*other.wells[:2], other.wells[2]._replace(fields=(1,))))
    )


def test_wells_have_a_rim_where_it_is_a_pixel_wide_and_none_beside_some_fields_only():
    scene = scene_of(
        info_of([Position(f"{row}{column}", 0) for row in "ABCDEFGH" for column in range(1, 13)])
    )
    for width in (160, 331, 400, 611):
        viewport = scene.fitting(width, width)
        fields = scene.boxes(viewport)
        rims = {
            tuple(
                abs(a - b)
                for a, b in zip(scene.well_box(well, viewport), fields[well.fields[0]], strict=True)
            )
            for well in scene.wells
        }
        assert rims == {(0, 0, 0, 0)}
    viewport = scene.fitting(4000, 4000)
    boxes = zip(scene.wells, scene.boxes(viewport), strict=True)
    assert all(scene.well_box(well, viewport)[0] < box[0] for well, box in boxes)


def test_fields_of_a_well_lie_at_their_stage_positions_else_in_a_grid():
    staged = [Position("A1", i, 1e5 + i * 460.0, 2e5) for i in range(3)]
    scene = scene_of(info_of([*staged, *(Position("B2", i) for i in range(4))]))
    at = middles(scene)
    assert np.allclose(np.diff(at[:3], axis=0), [(460, 0), (460, 0)])
    assert len({round(x) for x, _ in at[3:]}) == len({round(y) for _, y in at[3:]}) == 2
    for well in scene.wells:  # each in its own cell
        edges = scene.edges[list(well.fields)]
        assert (edges[:, :2] >= np.array(well.edges[:2]) - 1).all()
        assert (edges[:, 2:] <= np.array(well.edges[2:]) + 1).all()


def test_wells_of_the_same_pattern_are_alike_and_others_have_their_own():
    def well(name, at, step, n=4):
        return [Position(name, i, at + (i % 2) * step, 2 * at + (i // 2) * step) for i in range(n)]

    closer = 460.0  # they overlap
    alike = [*well("A1", 0.0, 600.0), *well("A2", 9000.1, 600.0), *well("B1", 18000.2, 600.0)]
    scene = scene_of(info_of([*alike, *well("B2", 27000.0, closer), *well("C1", 5.0, 600.0, 3)]))
    around = [
        scene.edges[list(well.fields)] - np.tile(scene.edges[well.fields[0], :2], 2) for well in scene.wells
    ]
    assert np.allclose(around[0], around[1]) and np.allclose(around[0], around[2])
    assert np.allclose(around[3][1, 0], closer) and np.allclose(around[0][1, 0], 600.0)
    assert len(around[4]) == 3 and np.allclose(around[4], around[0][:3])
    assert scene.has_overlaps and not scene_of(info_of(alike)).has_overlaps


def test_a_run_without_plate_is_a_mosaic_by_stage_coordinates():
    scene = scene_of(info_of(mosaic()))
    assert not scene.is_plate and scene.has_overlaps and scene.is_in_um and scene.notes == ()
    assert np.allclose(middles(scene)[7], (2 * 460, 460))
    assert scene.at(460 * 2.5 + 20, 0) == 3  # in an overlap the later one lies on top
    assert scene.at(-300, 0) is None


@pytest.mark.parametrize(
    ("positions", "um", "said", "step"),
    [
        (mosaic(step=0.46), 1.0, "taken for mm", 460.0),
        (mosaic(step=460e-6), 1.0, "taken for m,", 460.0),
        (mosaic(step=460e3), 1.0, "taken for nm", 460.0),
        (mosaic(step=0.0), 1.0, "all stage coordinates are the same", SIDE * 1.06),
        (mosaic(step=1e12), 1.0, "do not fit the size", SIDE * 1.06),
        ([Position("r", i) for i in range(25)], 1.0, "", SIDE * 1.06),
        (mosaic(), None, "pixel size is not known", 460.0),
    ],
)
def test_absurd_stage_coordinates_are_noticed_and_said(positions, um, said, step):
    scene = scene_of(info_of(positions, um))
    assert said in "; ".join(scene.notes) and bool(scene.notes) == bool(said)
    at = middles(scene)
    assert np.allclose(at[1] - at[0], (step, 0)) and np.isfinite(scene.edges).all()
    assert np.allclose(at[5] - at[0], (0, step))


def test_fields_without_place_or_far_away_lie_below_the_others_and_are_counted():
    positions = mosaic()
    positions[3] = Position("manual0", 3)
    positions[4] = Position("manual0", 4, float("nan"), 0.0)
    positions[9] = Position("manual0", 9, 1e9, -1e9)
    scene = scene_of(info_of(positions))
    lost, others = [3, 4, 9], [p for p in range(25) if p not in (3, 4, 9)]
    assert scene.edges[lost, 1].min() > scene.edges[others, 3].max()
    assert not any(scene.edges[a, 2] > scene.edges[b, 0] for a, b in ((3, 4), (4, 9)))
    said = "; ".join(scene.notes)
    assert "1 field has stage coordinates far from all others" in said and "2 fields have no usable" in said
    assert scene.bounds[2] - scene.bounds[0] < 6 * SIDE


@pytest.mark.parametrize("n", [2, 3, 5, 6, 9])
def test_of_a_few_fields_one_that_is_a_metre_away_is_not_there_and_one_on_the_stage_is(n):
    wrong, right = mosaic()[:n], mosaic()[:n]
    wrong[-1] = wrong[-1]._replace(x_um=1e9, y_um=-1e9)
    right[-1] = right[-1]._replace(x_um=90_000.0, y_um=-60_000.0)
    scene = scene_of(info_of(wrong))
    width, height = np.ptp(scene.edges.reshape(-1, 2), axis=0)
    assert max(width, height) < 10 * SIDE and scene.notes
    if n > 2:  # of two, nobody knows which
        assert scene.notes[0].startswith("1 field has stage coordinates far from all others")
        assert np.allclose(middles(scene)[1] - middles(scene)[0], (460.0, 0.0))
        assert np.allclose(middles(scene_of(info_of(right)))[-1], (90_000.0, -60_000.0))


def test_fields_of_other_sizes_have_their_own_size():
    small = ImageInfo((Channel("a"),), 1, 1, 100, 200, np.dtype("u1"), 2.0, 2.0)
    scene = scene_of(info_of([Position("A1", 0), Position("A2", 0)], images={1: small}))
    assert scene.image(0).width == scene.image(0).height == 512
    assert (scene.image(1).width, scene.image(1).height) == (400, 200)


def test_what_is_in_view_comes_first_from_its_middle():
    scene = scene_of(
        info_of([Position(f"{row}{column}", 0) for row in "ABCDEFGH" for column in range(1, 13)])
    )
    whole = scene.fitting(1200, 800, 10)
    assert sorted(visible_first(scene, whole).tolist()) == list(range(96))
    d7 = 3 * 12 + 6
    x, y = middles(scene)[d7]
    near = Viewport(x, y, 1.0, 600, 600)
    assert visible_first(scene, near)[0] == d7 and len(visible_first(scene, near)) == 9
    assert len(visible_first(scene, near._replace(width=400, height=400))) == 1
    assert whole.to_scene(*whole.to_screen(x, y)) == pytest.approx((x, y))


def test_nothing_and_one_field():
    assert len(scene_of(info_of([]))) == 0
    assert scene_of(info_of([])).fitting(100, 100).um_per_px > 0
    one = scene_of(info_of([Position("A1", 0, 5.0, 7.0)]))
    assert not one.is_plate and one.image(0).width == SIDE


def test_of_one_field_nothing_is_said_of_distances():
    for n, is_said in ((1, False), (2, True)):
        positions = tuple(Position(f"region{i}", 0, 50.0 * i, 0.0) for i in range(n))
        notes = scene_of(memory_info(positions=positions)).notes
        assert any("distances between fields" in note for note in notes) == is_said
