"""Datasets of planes in memory, as tests look at them."""

from __future__ import annotations

from memory_source import (
    SHAPE,
    Clock,
    Gate,
    wait_until,
)

from ndviewer_light.engine.dataset import Changes, Dataset
from ndviewer_light.model import PlaneKey, PlaneState

K = PlaneKey(0, 0, 0, 0)
OTHER = PlaneKey(0, 1, 0, 0)
NOTHING = Changes(in_view=False, info=False)
PLANE_BYTES = SHAPE[0] * SHAPE[1] * 2


def set_clock(monkeypatch):
    clock = Clock()
    clock.set(monkeypatch)
    return clock


def making_datasets(source):
    """Makes datasets of a source; closes them when the test is over."""
    made = []

    def make_dataset(live=True, **options):
        made.append(Dataset(source, live=live, **options))
        return made[-1]

    yield make_dataset
    for gate in (source.before_read, source.after_sample):
        if isinstance(gate, Gate):
            gate.open()
    for dataset in made:
        dataset.close()


def shown(dataset, *keys, wait=None):
    """What a view of `keys` shows: a pixel value where there are pixels, else the state."""
    planes = dataset.planes(keys or [K], wait=wait)
    return [int(plane.pixels[0, 0]) if plane.state is PlaneState.PRESENT else plane.state for plane in planes]


def wait_for_change(dataset) -> Changes:
    """The next change that is one; whoever reads late is given the time."""
    changes = []
    wait_until(lambda: changes.append(dataset.take_changes()) or changes[-1] != NOTHING)
    return changes[-1]


def wait_until_nobody_looks(dataset) -> None:
    work = dataset._follower._work  # its thread is kept for the next look
    wait_until(lambda: not work._is_running)
