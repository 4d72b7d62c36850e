"""What is there at each time point, looked up in the background; and the way to the next missing plane."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from memory_source import memory_info, wait_until
from test_report import ListedSource, every_key, filled

from ndviewer_light import open_dataset
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.plane_search import MISSING, UNREADABLE
from ndviewer_light.engine.state_codes import CODES, NOT_EXPECTED, NOT_LOOKED_AT, TimeState, summarised
from ndviewer_light.errors import CorruptDataError
from ndviewer_light.model import PlaneKey, PlaneState

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from memory_source import MemorySource

ACQUIRED, PARTLY, PENDING = TimeState.ACQUIRED, TimeState.PARTLY, TimeState.PENDING
GONE, BAD, UNKNOWN = TimeState.MISSING, TimeState.UNREADABLE, TimeState.UNKNOWN


def source_of(n_t: int, missing: list[PlaneKey]) -> MemorySource:
    return filled(ListedSource(memory_info(n_t=n_t)), missing, every_key(n_t))


def stack(t: int, p: int = 0) -> list[PlaneKey]:
    return [PlaneKey(t, p, c, z) for c in range(2) for z in range(2)]


def wait_for(dataset: Dataset, p: int, states: list[TimeState]) -> None:
    def has_them() -> bool:
        found = dataset.time_states(p)
        return found is not None and list(found.states) == states

    wait_until(has_them)


def test_each_time_point_is_acquired_or_not() -> None:
    with Dataset(source_of(4, [*stack(1), PlaneKey(2, 0, 1, 0), *stack(3, p=1)])) as dataset:
        assert dataset.time_states(0) is None  # nobody has looked yet, and nobody waits
        wait_for(dataset, 0, [ACQUIRED, GONE, PARTLY, ACQUIRED])
        wait_for(dataset, 1, [ACQUIRED, ACQUIRED, ACQUIRED, GONE])
        assert dataset.time_states(99) is None
        assert dataset.time_states(0) is not None, "whoever comes back sees what was known of it"
        wait_for(dataset, 0, [ACQUIRED, GONE, PARTLY, ACQUIRED])


def test_what_is_written_is_noticed_while_a_run_is_on() -> None:
    source = source_of(3, [*stack(1), *stack(2)])
    with Dataset(source, live=True) as dataset:
        wait_for(dataset, 0, [ACQUIRED, PENDING, PENDING])
        for key in stack(1):
            source.write(key, 1)
            dataset.notify(*key)
        wait_for(dataset, 0, [ACQUIRED, ACQUIRED, PENDING])
        dataset.end()
        wait_for(dataset, 0, [ACQUIRED, ACQUIRED, GONE])


def test_what_grows_on_disk_is_noticed(tmp_path: Path) -> None:
    def acquire(t: int, c: int) -> None:
        tifffile.imwrite(tmp_path / f"img_t{t}_c{c}.tif", np.full((16, 20), t + 1, np.uint16))

    for t, c in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0)):
        acquire(t, c)
    with open_dataset(tmp_path, follow=True) as dataset:

        def has(states: list[TimeState]) -> bool:
            dataset.take_changes()
            found = dataset.time_states(0)
            return found is not None and list(found.states) == states

        wait_until(lambda: has([ACQUIRED, ACQUIRED, PARTLY]))
        acquire(2, 1)
        acquire(3, 0)
        wait_until(lambda: has([ACQUIRED, ACQUIRED, ACQUIRED, PARTLY]))


def test_a_plane_found_unreadable_is_shown() -> None:
    source = source_of(3, [])
    source.errors[PlaneKey(1)] = CorruptDataError("half a chunk")
    with Dataset(source) as dataset:
        wait_for(dataset, 0, [ACQUIRED] * 3)
        dataset.planes([PlaneKey(1)], wait=None)
        wait_for(dataset, 0, [ACQUIRED, BAD, ACQUIRED])
        source.errors.clear()
        dataset.refresh()
        wait_for(dataset, 0, [ACQUIRED] * 3)


def test_a_finished_dataset_is_looked_at_once() -> None:
    looks = []

    class CountingSource(ListedSource):
        def are_stored(self, keys: list[PlaneKey]) -> list[bool | None]:
            looks.append(len(keys))
            return super().are_stored(keys)

    with Dataset(filled(CountingSource(), stack(1), every_key())) as dataset:
        wait_for(dataset, 0, [ACQUIRED, GONE])
        began = time.monotonic()
        while time.monotonic() < began + 1.5:
            dataset.time_states(0)
            time.sleep(0.01)
        assert looks == [8]


def test_a_look_that_failed_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[Exception] = [MemoryError("no memory for it just now")]

    class ShortOfMemory(ListedSource):
        def are_stored(self, keys: list[PlaneKey]) -> list[bool | None]:
            if failures:
                raise failures.pop()
            return super().are_stored(keys)

    with Dataset(filled(ShortOfMemory(), stack(1), every_key())) as dataset:
        wait_for(dataset, 0, [ACQUIRED, GONE])
    assert not failures and "no memory for it just now" in caplog.text


def test_the_worst_of_a_time_point_is_said() -> None:
    block = np.full((8, 2, 3), CODES[PlaneState.PRESENT], np.uint8)
    block[1, 0, 0] = CODES[PlaneState.UNREADABLE]
    block[2] = CODES[PlaneState.ABSENT]
    block[3, 0] = CODES[PlaneState.PENDING]
    block[4, 0] = CODES[PlaneState.UNKNOWN]
    block[5, 1] = NOT_EXPECTED
    block[6, 0] = NOT_LOOKED_AT
    block[7] = NOT_EXPECTED
    assert summarised(block) == (ACQUIRED, BAD, GONE, PARTLY, UNKNOWN, ACQUIRED, UNKNOWN, UNKNOWN)


# ---- the next one ----------------------------------------------------------------------------------


def test_the_next_missing_plane_is_found_and_the_search_goes_round() -> None:
    gone = [PlaneKey(1, 0, 1, 0), PlaneKey(1, 0, 0, 1), PlaneKey(0, 2, 0, 0)]
    with Dataset(source_of(2, gone)) as dataset:
        after, found = PlaneKey(0, 0, 0, 0), []
        for _ in range(4):
            after, state = dataset.find(after)
            assert state is PlaneState.ABSENT
            found.append(after)
    assert found == [*gone, gone[0]]


def test_where_nothing_is_missing_none_is_found() -> None:
    with Dataset(source_of(2, [])) as dataset:
        said: list[tuple[int, int]] = []
        assert dataset.find(PlaneKey(1, 1, 1, 1), MISSING, lambda done, of: said.append((done, of))) is None
        assert said[-1] == (24, 24)


def test_an_unreadable_plane_is_found_by_reading() -> None:
    source = source_of(2, [PlaneKey(0, 0, 0, 1)])
    source.errors[PlaneKey(1, 2, 1, 1)] = CorruptDataError("half a chunk")
    with Dataset(source) as dataset:
        assert dataset.find(PlaneKey(), UNREADABLE) == (PlaneKey(1, 2, 1, 1), PlaneState.UNREADABLE)
        source.reads.clear()
        assert dataset.find(PlaneKey(), UNREADABLE, cancelled=lambda: len(source.reads) > 0) is None
        assert len(source.reads) == 16


def test_an_unreadable_plane_that_was_just_written_is_found_in_its_turn(tmp_path: Path) -> None:
    """While more is written it may be half written, and is asked again once that can be told."""
    for t in range(6):
        tifffile.imwrite(tmp_path / f"img_t{t}_GFP.tif", np.ones((8, 8), np.uint16))
        if t in (2, 4):
            (tmp_path / f"img_t{t}_GFP.tif").write_bytes((tmp_path / "img_t0_GFP.tif").read_bytes()[:-20])
    with open_dataset(tmp_path, follow=True) as dataset:
        dataset.report()
        assert dataset.is_being_written
        for after, found in ((0, 2), (2, 4), (4, 2)):
            assert dataset.find(PlaneKey(after), UNREADABLE) == (PlaneKey(found), PlaneState.UNREADABLE)


def test_a_plane_that_was_read_is_there_before_anybody_has_looked_again() -> None:
    source = source_of(3, [*stack(1), *stack(2)])
    with Dataset(source, live=True) as dataset:
        wait_for(dataset, 0, [ACQUIRED, PENDING, PENDING])
        for key in (*stack(1), stack(2)[0], PlaneKey(2, 1, 0, 0)):
            source.write(key, 1)
            dataset.plane(*key)
        assert dataset.time_states(0).states == (ACQUIRED, ACQUIRED, PARTLY)
