"""What a plane is of which nothing is stored: the rule itself, and what has changed on disk."""

from __future__ import annotations

import itertools
import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from hypothesis import given, settings
from hypothesis import strategies as st
from stacks_with_holes import ABSENT, FILLED, PENDING

from ndviewer_light.errors import PlaneNotStoredError, PlaneNotWrittenError
from ndviewer_light.isolation.protocol import error_from_json, error_to_json
from ndviewer_light.model import Channel, DatasetInfo, PlaneKey, Position
from ndviewer_light.sources.missing import LOOKS_REMOTE, Found, Surroundings, judge, missing_plane
from ndviewer_light.sources.missing_planes import Claims, MissingPlanesOfMany
from ndviewer_light.storage import activity

if TYPE_CHECKING:
    from collections.abc import Sequence


pytestmark = stores.needs_zarr_3


# ---- the rule itself -----------------------------------------------------------------------------


def judged(
    plane: tuple[int, int, int],
    stored: Sequence[tuple[int, int, int]],
    sizes: tuple[int, int, int] = (3, 2, 4),
    complete: bool | None = None,
    is_being_written: bool = False,
    looks: int = 1000,
) -> Found:
    there = set(stored)
    around = Surroundings(
        sizes,
        complete,
        lambda planes: next((each for each in planes if each in there), None),
        lambda: is_being_written,
        looks=looks,
    )
    return judge(plane, around).found


ALL = list(itertools.product(range(3), range(2), range(4)))


@pytest.mark.parametrize("plane", ALL)
def test_one_hole_in_what_is_all_there_is_the_fill_value(plane):
    assert judged(plane, [each for each in ALL if each != plane]) is Found.FILL


@pytest.mark.parametrize("plane", ALL)
def test_where_nothing_is_stored_nothing_was_acquired(plane):
    assert judged(plane, []) is Found.ABSENT


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("n_written", [1, 5, 11, 23])
def test_what_a_running_writer_has_not_reached_is_never_black(order, n_written):
    """Whatever the nesting of its loops, and if it leaves out every third plane because it is blank."""
    in_order = sorted(ALL, key=lambda plane: [plane[axis] for axis in order])
    stored = [plane for i, plane in enumerate(in_order[:n_written]) if i % 3 == 0]
    for plane in in_order[n_written:]:
        assert judged(plane, stored, is_being_written=True) is not Found.FILL, plane


def test_of_an_aborted_run_time_points_never_reached_were_not_acquired():
    stored = [plane for plane in ALL if plane[0] == 0] + [(1, 0, 0), (1, 1, 0)]
    assert judged((1, 0, 2), stored) is Found.FILL, "the rest of a stack: in doubt, and it is said"
    assert judged((2, 0, 0), stored) is Found.ABSENT
    assert judged((1, 0, 2), stored, complete=False) is Found.ABSENT
    assert judged((1, 0, 2), stored, complete=False, is_being_written=True) is Found.EXPECTED
    assert judged((2, 0, 0), stored, complete=True) is Found.FILL


def test_a_blank_time_point_between_others_is_the_fill_value():
    stored = [plane for plane in ALL if plane[0] != 1]
    for plane in ALL:
        assert judged(plane, stored) is Found.FILL
        assert judged(plane, stored, is_being_written=True) is (
            Found.FILL if plane[0] < 2 or plane != (2, 1, 3) else Found.EXPECTED
        )


@settings(max_examples=200)
@given(
    stored=st.sets(st.sampled_from(ALL)),
    complete=st.sampled_from([None, None, True, False]),
    is_being_written=st.booleans(),
    batches=st.integers(1, 24),
)
def test_many_planes_are_judged_as_each_of_them_is(stored, complete, is_being_written, batches):
    looked_for: list[PlaneKey] = []

    def are_stored(keys: Sequence[PlaneKey]) -> list[bool | None]:
        looked_for.extend(keys)
        return [(key.t, key.c, key.z) in stored for key in keys]

    info = DatasetInfo("test", (Position("A1", 0),), (Channel("a", ""), Channel("b", "")), 3, 4, 8, 8, None)
    many = MissingPlanesOfMany(are_stored)
    missing = [PlaneKey(t, 0, c, z) for t, c, z in ALL if (t, c, z) not in stored]
    found: list[Found] = []
    for i in range(0, len(missing), batches):
        keys = missing[i : i + batches]
        found += many.of(keys, info, lambda _p: Claims(complete, lambda: is_being_written))
    expected = [
        judged((key.t, key.c, key.z), list(stored), (3, 2, 4), complete, is_being_written) for key in missing
    ]
    assert found == expected
    assert len(set(looked_for)) == len(looked_for), "what is known is not looked for again"


def test_a_claim_needs_no_look():
    def unwanted(*_: object) -> None:
        raise AssertionError("nobody asked")

    around = Surroundings((3, 2, 4), True, unwanted, unwanted)
    assert judge((0, 0, 0), around).found is Found.FILL


@pytest.mark.parametrize("hole", [(5, 1, 0), (5, 1, 50), (5, 1, 99), (0, 0, 0), (99, 1, 99)])
def test_few_looks_suffice_for_a_hole(hole):
    sizes = (100, 2, 100)
    around = Surroundings(
        sizes,
        None,
        lambda planes: (
            planes[0]
            if len(planes) <= LOOKS_REMOTE and planes[0] != hole
            else pytest.fail(f"{len(planes)} looks")
        ),
        lambda: False,
        looks=LOOKS_REMOTE,
    )
    assert judge(hole, around).found is Found.FILL


def test_while_a_host_says_that_its_run_is_on_its_word_counts():
    error = nothing_stored()
    assert missing_plane(error, live=True, notified=True).state is FILLED
    assert missing_plane(error, live=True, notified=False).state is PENDING
    error.is_fill_value = True
    assert missing_plane(error, live=True, notified=False).state is PENDING, "it may still come"
    error.shares_chunks = True
    plane = missing_plane(error, live=True, notified=True)
    assert plane.state is PENDING, "the writer may keep it in memory until the chunk is full"
    assert "empty, or not written yet" in plane.reason


@pytest.mark.parametrize("notified", [True, False])
def test_afterwards_only_the_dataset_counts(notified):
    error = nothing_stored()
    assert missing_plane(error, live=False, notified=notified).state is ABSENT
    error.is_fill_value = True
    assert missing_plane(error, live=False, notified=notified).state is FILLED
    error.is_fill_value, error.is_expected = False, True
    assert missing_plane(error, live=False, notified=notified).state is PENDING
    plane = missing_plane(error, live=False, notified=notified, comes=False)
    assert plane.state is ABSENT, "what counts all planes knows better"
    assert plane.reason.startswith("empty or not acquired")


def nothing_stored():
    error = PlaneNotStoredError("nothing")
    error.plane_shape, error.fill_value = (2, 3), np.uint16(7)
    return error


def test_without_a_fill_value_no_plane_is_one():
    error = PlaneNotStoredError("no such file")
    error.plane_shape = (2, 3)
    assert missing_plane(error, live=False, notified=True).state is ABSENT
    unwritten = PlaneNotWrittenError("a file of zeros")
    unwritten.plane_shape, unwritten.fill_value = (2, 3), np.uint8(0)
    assert missing_plane(unwritten, live=True, notified=True).state is PENDING


@pytest.mark.parametrize(
    "fill",
    [
        *(np.uint16(0), np.uint16(777), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True)),
        *(np.float32("nan"), np.float64("-inf"), np.float16(0.5), np.complex64(complex(np.nan, -1))),
    ],
)
def test_what_is_missing_crosses_to_the_process_of_the_viewer(fill):
    error = PlaneNotStoredError("nothing")
    error.plane_shape, error.fill_value, error.is_fill_value = (2, 3), fill, True
    again = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert isinstance(again, PlaneNotStoredError)
    assert (again.plane_shape, again.is_fill_value, again.is_expected) == ((2, 3), True, False)
    plane = missing_plane(again, live=False, notified=False)
    assert plane.pixels.dtype == fill.dtype
    np.testing.assert_array_equal(plane.pixels, np.full((2, 3), fill))
    assert plane.reason == f"nothing stored, shown as the fill value {fill.item()}"


# ---- what changes on disk ------------------------------------------------------------------------


def test_the_newest_change_is_found_at_any_depth(tmp_path):
    folder = tmp_path / "c"
    for t, z in itertools.product(range(300), range(2)):
        (folder / str(t) / str(z)).mkdir(parents=True)
    before = activity.newest_change(str(folder))
    assert before
    (folder / "299/1/0").write_bytes(b"1")
    os.utime(folder / "299/1", ns=(before + 10**9, before + 10**9))
    assert activity.newest_change(str(folder)) == before + 10**9
    assert (
        activity.newest_change(str(tmp_path / "nothing"))
        == activity.newest_write(str(tmp_path / "nothing"))
        == 0
    )


def test_what_is_removed_is_no_write(tmp_path):
    for t in range(3):
        (tmp_path / str(t)).mkdir()
        (tmp_path / str(t) / "0").write_bytes(b"1")
        os.utime(tmp_path / str(t) / "0", ns=(10**18 + t, 10**18 + t))
        os.utime(tmp_path / str(t), ns=(10**18 + t, 10**18 + t))
    assert activity.newest_write(str(tmp_path)) == 10**18 + 2
    watched = activity.Activity(lambda: activity.newest_write(str(tmp_path)))
    (tmp_path / "1" / "0").unlink()
    assert activity.newest_change(str(tmp_path)) > 10**18 + 2
    assert not watched.is_on()
    (tmp_path / "2" / "1").write_bytes(b"1")
    assert watched.is_on()
