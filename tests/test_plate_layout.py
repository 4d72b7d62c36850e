"""Where wells and fields are drawn on the maps, and what a well's state is: without Qt."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from ndviewer_light.engine.plate_grid import grid_layout, plate_layout, plate_with_listed
from ndviewer_light.engine.scene import scene_of
from ndviewer_light.engine.state_codes import TimeState
from ndviewer_light.gui.panels.plate_layout import (
    map_height,
    plate_geometry,
    stage_geometry,
    stage_places,
    state_of_all,
)
from ndviewer_light.gui.places.acquisition_facts import facts_of
from ndviewer_light.gui.places.wells import Wells
from ndviewer_light.model import Channel, DatasetInfo, Position


@pytest.mark.parametrize(
    ("names", "size", "places"),
    [
        (["A1"], (2, 3), [(0, 0)]),
        (["B2", "A3"], (2, 3), [(1, 1), (0, 2)]),
        (["c-04"], (3, 4), [(2, 3)]),
        (["B2", "G11"], (8, 12), [(1, 1), (6, 10)]),
        (["P24"], (16, 24), [(15, 23)]),
        (["AF48", "A1"], (32, 48), [(31, 47), (0, 0)]),
        (["A60"], (1, 60), [(0, 59)]),
    ],
)
def test_the_smallest_plate_that_has_all_wells_is_drawn(names, size, places):
    layout = plate_layout(names)
    assert (len(layout.rows), len(layout.columns)) == size
    assert [layout.places[well] for well in range(len(names))] == places
    assert layout.rows[-1] == ("AF" if size[0] == 32 else chr(ord("A") + size[0] - 1))


@pytest.mark.parametrize("names", [[], ["manual0"], ["A1", "control"], ["A1", "A01"], ["A0"], ["default"]])
def test_other_names_are_no_plate(names):
    assert plate_layout(names) is None


def test_regions_of_any_names_are_a_grid_in_reading_order():
    layout = grid_layout(["control", "drug", "x" * 250, "", "wash"])
    assert layout.wells == {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 0): 3, (1, 1): 4}
    assert not layout.is_plate


def test_the_arrow_keys_go_to_the_next_well_over_gaps_and_stay_at_the_end():
    layout = plate_layout(["B2", "B5", "D2"])
    assert layout.beside(0, 0, 1) == 1
    assert layout.beside(0, 1, 0) == 2
    assert layout.beside(2, -1, 0) == 0
    assert layout.beside(0, 0, -1) == 0
    assert layout.beside(1, 1, 0) == 1


@pytest.mark.parametrize("width", [120, 240, 500])
@pytest.mark.parametrize("names", [["A1"], ["H12"], ["AF48"]])
def test_each_well_is_found_where_it_is_drawn_and_all_are_within_the_widget(width, names):
    layout = plate_layout(names)
    geometry = plate_geometry(layout, width, (18.0, 16.0))
    for row in range(len(layout.rows)):
        for column in range(len(layout.columns)):
            x, y = geometry.center(row, column)
            assert geometry.at(x, y) == (row, column)
            assert x + geometry.cell / 2 <= width
    assert geometry.at(1.0, 1.0) is None


def grid_of(n: int, pitch: float, jitter: float = 0.0) -> list[Position]:
    return [
        Position("r", i, 1000.0 + pitch * (i % n) + jitter * (i % 3), -500.0 + pitch * (i // n))
        for i in range(n * n)
    ]


def test_fields_are_drawn_apart_at_their_places_x_to_the_right_and_y_down():
    positions = grid_of(3, 90.0, jitter=0.7)
    places = stage_places(positions, range(9), (100.0, 100.0))
    geometry = stage_geometry(places, 200, 150)
    at = {p: (x, y) for p, x, y in geometry.places}
    assert at[0][0] < at[1][0]
    assert at[0][1] < at[3][1]
    assert at[1][0] - at[0][0] > 2 * geometry.half_width
    for p, (x, y) in at.items():
        assert geometry.at(x, y) == p
        assert x - geometry.half_width >= 0
        assert x + geometry.half_width <= 200
        assert y - geometry.half_height >= 0
        assert y + geometry.half_height <= 150
    assert geometry.at(1.0, 1.0) is None
    assert [geometry.beside(4, *step) for step in ((-1, 0), (1, 0), (0, -1), (0, 1))] == [1, 7, 3, 5]
    assert geometry.beside(8, 1, 0) == 8
    assert map_height(places, 200) == 128


@pytest.mark.parametrize(
    "positions",
    [
        [Position("a", 0), Position("a", 1)],
        [Position("a", 0, 1.0, 2.0), Position("a", 1, 1.0)],
        [Position("a", 0, 1.0, 2.0), Position("a", 1, 1.0, 2.0)],
        [Position("a", 0, float("nan"), 2.0), Position("a", 1, 1.0, 2.0)],
        [Position("a", 0, float("inf"), 2.0), Position("a", 1, 1.0, 2.0)],
        [],
    ],
)
def test_where_places_are_unknown_or_all_the_same_there_is_no_map(positions):
    assert stage_places(positions, range(len(positions)), None) is None


@pytest.mark.parametrize("field_um", [None, (50.0, 50.0)])
@pytest.mark.parametrize("apart", [1e-9, 1.0, 1e300])
def test_one_field_and_places_that_are_absurdly_far_apart_are_drawn(apart, field_um):
    assert stage_geometry(stage_places([Position("a", 0, 5.0, 5.0)], [0], None), 200, 100) is not None
    far = [Position("a", 0, -apart, 0.0), Position("a", 1, apart, 0.0)]
    places = stage_places(far, [0, 1], field_um)
    geometry = None if places is None else stage_geometry(places, 200, 100)
    assert geometry is None or all(0 <= x <= 200 for _, x, _ in geometry.places)


@pytest.mark.parametrize("field_um", [None, (100.0, 100.0)])
def test_a_field_that_is_a_metre_away_is_below_the_others_on_the_map(field_um):
    positions = [*grid_of(2, 90.0), Position("r", 4, 3e6, -2e6)]
    geometry = stage_geometry(stage_places(positions, range(5), field_um), 200, 150)
    at = {p: (x, y) for p, x, y in geometry.places}
    assert at[1][0] - at[0][0] > 30
    assert at[4][1] > at[2][1]
    assert [geometry.at(*at[p], slack=1) for p in range(5)] == list(range(5))


def test_fields_whose_stage_is_in_mm_by_mistake_are_drawn_apart():
    places = stage_places(grid_of(3, 0.09), range(9), (100.0, 100.0))
    geometry = stage_geometry(places, 200, 150)
    at = {p: (x, y) for p, x, y in geometry.places}
    assert at[1][0] - at[0][0] > 2 * geometry.half_width


def test_a_well_is_acquired_only_if_all_its_fields_are():
    acquired, partly, pending, missing, bad, unknown = TimeState
    assert state_of_all([acquired, acquired]) is acquired
    assert state_of_all([acquired, pending]) is partly
    assert state_of_all([acquired, missing]) is partly
    assert state_of_all([partly, pending]) is partly
    assert state_of_all([pending, pending]) is pending
    assert state_of_all([acquired, bad]) is bad
    assert state_of_all([acquired, unknown]) is unknown
    assert state_of_all([]) is unknown


def test_wells_keep_the_place_in_the_well_and_end_at_the_ends():
    positions = [Position(region, fov) for region, n in (("A1", 3), ("A2", 1), ("B1", 3)) for fov in range(n)]
    wells = Wells(positions)
    assert wells.fields_beside(1) == (0, 1, 2)
    assert [wells.field_after(p, 1) for p in (2, 6)] == [3, 6]
    assert [wells.well_after(p, 1) for p in (2, 3, 6)] == [3, 4, 6]
    assert wells.well_after(2, 2) == 6
    assert wells.well_after(6, -1) == 3
    assert Wells([]).well_after(0, 1) == 0


def test_the_card_says_what_is_known_and_leaves_out_the_rest():
    info = DatasetInfo(
        format="ome-zarr plate",
        positions=tuple(Position("A1", i) for i in range(4)),
        channels=(Channel("DAPI", excitation_nm=405.0, exposure_ms=50.0), Channel("GFP")),
        n_t=6,
        n_z=8,
        height=1024,
        width=2048,
        dtype=np.dtype("uint16"),
        pixel_size_y_um=0.325,
        pixel_size_x_um=0.325,
        z_step_um=1.5,
        time_step_s=600.0,
        objective="20× / 0.8 NA",
    )
    said = [
        (fact.name, fact.value)
        for fact in facts_of(info, None, "1 well", "https://u:secret@host/a.zarr?sig=x")
    ]
    assert said == [
        ("Objective", "20× / 0.8 NA"),
        ("Pixel", "0.325 µm"),
        ("Z step", "1.5 µm × 8"),
        ("Time", "6 points, every 10 min"),
        ("Size", "1024 × 2048  uint16"),
        ("Fields", "4 in 1 well"),
        ("Channels", "DAPI   50 ms"),
        ("", "GFP"),
        ("Store", "ome-zarr plate"),
        ("Path", "https://host/a.zarr"),
    ]
    bare = DatasetInfo("x", (Position("a", 0),), (), 1, 1, 0, 0, None)
    assert [fact.name for fact in facts_of(bare, None, "", "")] == ["Store"]
    many = dataclasses.replace(bare, channels=tuple(Channel(f"C{i}") for i in range(10)))
    facts = [(fact.value, fact.more) for fact in facts_of(many, None, "", "")]
    assert facts[-3:-1] == [("C6", "C6"), ("and 3 more", "C7\nC8\nC9")], "none is left out without a word"


def test_wells_without_images_have_places_on_the_plate_with_the_others():
    layout, listed = plate_with_listed(["A1", "C4"], ["B2", "somewhere"])  # no name of a well
    assert layout == plate_layout(["A1", "C4"])
    assert listed == {}
    layout, listed = plate_with_listed(["A1", "C4"], ["B2", "A1", "H12"])
    assert layout.wells == {(0, 0): 0, (2, 3): 1}
    assert listed == {(1, 1): "B2", (7, 11): "H12"}
    assert (len(layout.rows), len(layout.columns)) == (8, 12)


_ABSURD = (None, 0.0, 100.0, -1e9, 1e12, 1e300, 1.7e308, -1.7e308, float("nan"), float("inf"), 1e-300)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_stage_is_said_to_be_at_fields_lie_at_numbers(seed):
    rng = random.Random(seed)
    for _ in range(400):
        n = rng.randint(1, 7)
        positions = tuple(Position("r", i, rng.choice(_ABSURD), rng.choice(_ABSURD)) for i in range(n))
        side = rng.choice([None, 100.0, 1e-3])
        places = stage_places(positions, range(n), side and (side, side))
        geometry = None if places is None else stage_geometry(places, 200, 100)
        assert geometry is None or np.isfinite([at[1:] for at in geometry.places]).all()
        um = side and side / 100
        info = DatasetInfo("a", positions, (Channel("c"),), 1, 1, 100, 100, None, um, um)
        scene = scene_of(info)
        assert np.isfinite(scene.bounds).all()
        assert len(scene.boxes(scene.fitting(800, 600))) == n


def test_a_field_of_which_nobody_knows_where_it_is_is_below_the_others_on_the_map():
    places = stage_places([*grid_of(2, 90.0), Position("r", 4, None, None)], range(5), (100.0, 100.0))
    at = {p: (x, y) for p, x, y in places.fields}
    assert at[4][1] > at[2][1] > at[0][1]
