"""What of every position is there at one time point: for the map of a plate, without reading a plane."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from memory_source import memory_info, wait_until
from test_report import ListedSource, every_key, filled

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.state_codes import TimeState
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.model import PlaneKey, PlaneState, Position, StackKey

if TYPE_CHECKING:
    from memory_source import MemorySource

ACQUIRED, PARTLY, PENDING = TimeState.ACQUIRED, TimeState.PARTLY, TimeState.PENDING
GONE, BAD, UNKNOWN = TimeState.MISSING, TimeState.UNREADABLE, TimeState.UNKNOWN


def stack(t: int, p: int) -> list[PlaneKey]:
    return [PlaneKey(t, p, c, z) for c in range(2) for z in range(2)]


def source_of(missing: list[PlaneKey]) -> MemorySource:
    return filled(ListedSource(memory_info()), missing, every_key())


def wait_for(dataset: Dataset, t: int, states: list[TimeState]) -> None:
    def has_them() -> bool:
        found = dataset.position_states(t)
        return found is not None and list(found.states) == states

    wait_until(has_them)


def test_what_is_stored_is_told_and_nothing_is_read() -> None:
    source = source_of([*stack(0, 1), PlaneKey(0, 2, 1, 0), *stack(1, 0)])
    with Dataset(source) as dataset:
        assert dataset.position_states(0) is None  # nobody has looked yet, and nobody waits
        wait_for(dataset, 0, [ACQUIRED, GONE, PARTLY])
        assert dataset.position_states(0)[2:] == ((4, 0, 3), (4, 4, 4))
        wait_for(dataset, 1, [GONE, ACQUIRED, ACQUIRED])
        # while time is played, maps do not forget what they have shown of each time point
        assert dataset.position_states(0).states == (ACQUIRED, GONE, PARTLY)
        assert dataset.position_states(1).states == (GONE, ACQUIRED, ACQUIRED)
        assert source.reads == []


def test_a_run_is_what_was_announced_and_in_the_end_what_is_stored() -> None:
    source = source_of([*stack(0, 1), *stack(0, 2)])
    with Dataset(source, live=True) as dataset:
        for p in (0, 1):
            for key in stack(0, p)[p:]:
                dataset.notify(*key)
        dataset.notify(0, 99, 0, 0)
        wait_for(dataset, 0, [ACQUIRED, PARTLY, PENDING])
        assert dataset.announced == (7, PlaneKey(0, 1, 1, 1))
        wait_for(dataset, 1, [PENDING] * 3)
        dataset.end()
        wait_for(dataset, 0, [ACQUIRED, GONE, GONE])
    assert source.reads == []


def test_of_a_run_that_nobody_notifies_what_is_stored_counts() -> None:
    source = source_of([*stack(0, 1), PlaneKey(0, 2, 0, 0)])
    with Dataset(source, live=True) as dataset:
        wait_for(dataset, 0, [ACQUIRED, PENDING, PARTLY])


def test_a_server_is_not_asked_and_a_plane_that_cannot_be_read_is_known() -> None:
    source = source_of([])
    looks: list[int] = []
    ask, source.are_stored = source.are_stored, lambda keys: looks.append(len(keys)) or ask(keys)
    with Dataset(source, path="https://127.0.0.1:9/a.zarr") as dataset:
        wait_for(dataset, 0, [UNKNOWN] * 3)
        assert looks == []
    source = source_of([])
    source.errors[PlaneKey(0, 1, 0, 0)] = CorruptDataError("half a chunk")
    with Dataset(source) as dataset:
        wait_for(dataset, 0, [ACQUIRED] * 3)
        assert dataset.planes([PlaneKey(0, 1, 0, 0)], wait=None)[0].state is PlaneState.UNREADABLE
        wait_for(dataset, 0, [ACQUIRED, BAD, ACQUIRED])


def test_a_plane_that_was_read_is_there_before_anybody_has_looked_again_or_announced_it() -> None:
    source = source_of([*stack(0, 1), *stack(0, 2)])
    with Dataset(source, live=True) as dataset:
        wait_for(dataset, 0, [ACQUIRED, PENDING, PENDING])
        for key in stack(0, 1):
            source.write(key, 1)
            dataset.plane(*key)
            assert dataset.position_states(0).states[1] is (ACQUIRED if key == stack(0, 1)[-1] else PARTLY)
        dataset.notify(0, 0, 0, 0)  # from now on notifications count
        wait_for(dataset, 0, [PARTLY, ACQUIRED, PENDING])
        source.write(PlaneKey(0, 2, 1, 1), 1)
        wait_for(dataset, 1, [PENDING] * 3)
        dataset.plane(0, 2, 1, 1)  # while another time point is in view
        found = dataset.position_states(0)
        assert found is None or found.there[2] == 1
        wait_for(dataset, 0, [PARTLY, ACQUIRED, PARTLY])
        assert dataset.position_states(0)[1:] == ((PARTLY, ACQUIRED, PARTLY), (1, 4, 1), (4, 4, 4))
        dataset.notify(0, 2, 1, 1)  # the same
        dataset.notify(0, 2, 1, 0)
        wait_until(lambda: dataset.position_states(0).there == (1, 4, 2))


def test_a_field_of_which_there_is_a_small_picture_is_there() -> None:
    source = source_of([*stack(0, 1), *stack(0, 2)])
    with Dataset(source, live=True) as dataset:
        wait_for(dataset, 0, [ACQUIRED, PENDING, PENDING])
        for key in (*stack(0, 1), PlaneKey(0, 2, 0, 0)):
            source.write(key, 1)
        dataset.thumbnails([StackKey(0, p, c, "max") for p in (1, 2) for c in (0, 1)])
        found = dataset.position_states(0)
        assert found.states == (ACQUIRED, ACQUIRED, PENDING)  # of the last one only a part is there
        dataset.thumbnails([StackKey(0, 2, 0, 0)])
        assert dataset.position_states(0)[1:3] == ((ACQUIRED, ACQUIRED, PARTLY), (4, 4, 1))


def test_a_field_of_which_no_small_picture_can_be_made_is_unreadable_until_one_was() -> None:
    source = source_of([])
    source.errors[PlaneKey(0, 1, 0, 0)] = CorruptDataError("half a chunk")
    with Dataset(source) as dataset:
        wait_for(dataset, 0, [ACQUIRED] * 3)
        dataset.thumbnails([StackKey(0, p, 0, 0) for p in range(3)])
        wait_for(dataset, 0, [ACQUIRED, BAD, ACQUIRED])
        assert dataset.report().unreadable == 1
        del source.errors[PlaneKey(0, 1, 0, 0)]
        dataset.thumbnails([StackKey(0, 1, 0, 0)])
        wait_for(dataset, 0, [ACQUIRED] * 3)


def test_what_is_known_of_positions_stays_while_others_are_added() -> None:
    source = source_of([])
    with Dataset(source) as dataset:
        wait_for(dataset, 0, [ACQUIRED] * 3)
        goes_on = threading.Event()
        ask, source.are_stored = source.are_stored, lambda keys: goes_on.wait(20) and ask(keys)
        source.info = replace(source.info, positions=(*source.info.positions, Position("C9", 0)))
        assert len(dataset.info.positions) == 4
        found = dataset.position_states(0)
        assert found.states == (ACQUIRED, ACQUIRED, ACQUIRED, UNKNOWN)
        assert (found.there, found.expected) == ((4, 4, 4, 0), (4, 4, 4, 4))
        assert dataset.position_states(0) is found  # nothing is drawn again
        goes_on.set()
        wait_for(dataset, 0, [ACQUIRED, ACQUIRED, ACQUIRED, GONE])
