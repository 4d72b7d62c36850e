"""What is meant by what is typed into the box "Go to": without Qt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_source import memory_info

from ndviewer_light.gui.places.places_typed import TypedPlace, hint_of, typed_place
from ndviewer_light.model import Position

WELLS = (
    *(Position("D7", fov) for fov in range(5)),
    Position("D8", 0, name="after drug"),
    Position("D8", 3),
    Position("t2", 0),
)
INFO = memory_info(n_t=12, n_z=5, positions=WELLS)


@pytest.mark.parametrize(
    ("text", "t", "p", "z"),
    [
        ("D7:4", None, 4, None),
        ("d07:4", None, 4, None),
        (" D7 : 4 ", None, 4, None),
        ("D8", None, 5, None),
        ("D8:3", None, 6, None),
        ("t12", 11, None, None),
        ("T=3 z5", 2, None, 4),
        ("D7:1,t1 z1", 0, 1, 0),
        ("z2 d8:3 t3", 2, 6, 1),
        (":2", None, 2, None),
        ("4", None, 4, None),
        ("after drug", None, 5, None),
        ("After Drug t4", 3, 5, None),
        ("t2", None, 7, None),  # the well of that name
        ("t2 z1", 1, None, 0),
        ("", None, None, None),
    ],
)
def test_a_place_is_found(text, t, p, z):
    assert typed_place(text, INFO, None, 0) == TypedPlace(t, p, z)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("c3", TypedPlace(c=2)),
        ("C10 t2", TypedPlace(t=1, c=9)),
        ("D7:4 c2 z5", TypedPlace(p=4, z=4, c=1)),
        ("c4", TypedPlace(p=8)),  # the well of that name
        ("c4 t2", TypedPlace(t=1, p=8)),
        ("c=4", TypedPlace(c=3)),
        ("D7 c4", TypedPlace(p=0, c=3)),
        ("c11", TypedPlace(problem="There is no channel 11: there are 1 to 10")),
    ],
)
def test_a_channel_is_found_unless_a_well_is_called_so(text, found):
    info = memory_info(n_t=12, n_z=5, positions=(*WELLS, Position("C4", 0)))
    assert typed_place(text, info, None, 0, n_c=10) == found
    assert hint_of(info, 12, 5, 4).split(",")[0] == "C4:0  t12  z5  c=4"
    assert hint_of(INFO, 1, 1, 4).split(",")[0] == "t2:0  c4"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("D9", "There is no D9 in this dataset"),
        ("D7:5", "There is no field 5 in D7: it has fields 0 to 4"),
        ("t13", "There is no time point 13: there are 1 to 12"),
        ("t0", "There is no time point 0: there are 1 to 12"),
        ("z6 D7:1", "There is no z plane 6: there are 1 to 5"),
        ("x" * 300, f"There is no {'x' * 40} in this dataset"),
    ],
)
def test_what_does_not_exist_is_said_and_nothing_moves(text, problem):
    assert typed_place(text, INFO, None, 0) == TypedPlace(problem=problem)
    assert typed_place("z2", memory_info(n_z=1), None, 0).problem == "There is only one z plane"


@given(st.text(max_size=40))
def test_whatever_is_typed_leads_to_a_plane_or_to_a_problem(text):
    place = typed_place(text, INFO, None, 3, n_c=2)
    for index, n in ((place.t, INFO.n_t), (place.p, len(WELLS)), (place.z, INFO.n_z), (place.c, 2)):
        assert index is None or 0 <= index < n


@given(st.integers(0, len(WELLS) - 1))
def test_every_position_is_found_by_its_label(p):
    assert typed_place(WELLS[p].label, INFO, None, 0).p == p
