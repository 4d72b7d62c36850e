"""A second reader process makes small pictures while many are wanted; and whose turn it is in each."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading

import numpy as np
import pytest
import stores
from memory_source import wait_until
from overview_fields import opened

from ndviewer_light.engine.area_averages import shrunk
from ndviewer_light.isolation import second_reader
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.isolation.turns import Turns
from ndviewer_light.model import StackKey

N = 12
KEYS = [StackKey(0, p, 0, 0) for p in range(N)]
LONG = 60.0  # seconds that others will take: worth a second process


@pytest.fixture
def plate(tmp_path, monkeypatch):
    """Twelve wells, the fields of which have a value each; one is of another size."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    path = tmp_path / "p.ome.zarr"
    wells = {f"{row}/{column}": 1 for row in "ABC" for column in range(1, 5)}
    stores.write_plate(path, wells, sizes={"t": 1, "c": 1, "z": 1, "y": 40, "x": 40})
    for p, well in enumerate(wells):
        if p == 7:
            shutil.rmtree(path / well / "0")
            stores.write_image(path / well / "0", sizes={"t": 1, "c": 1, "z": 1, "y": 24, "x": 56})
        array = opened(path / well / "0")
        array[0, 0, 0] = np.full(array.shape[-2:], 100 + p, "u2")
    stores.make_old(path)
    return path


@pytest.fixture
def source(plate):
    with_info = IsolatedSource.open(str(plate))
    yield with_info
    with_info.close()


def second_of(source):
    """Its second process, once it is there."""
    source.thumbnails(KEYS[:1], 16, seconds_after=LONG)
    wait_until(lambda: source._second.knows(source.info, KEYS))
    return source._second._process


def values(made):
    return [int(each.pixels[0, 0]) for each in made]


def asked_beside(source, keys=KEYS):
    """Pictures while the first process is busy with others."""
    source._n_pictures += 1
    try:
        return source.thumbnails(keys, 16)
    finally:
        source._n_pictures -= 1


def test_it_makes_the_same_pictures_and_what_it_learns_is_known(source):
    process = second_of(source)
    assert process.pid != source.pid
    assert source.info.image(7).width == 40  # as the others, as far as is known
    assert values(asked_beside(source)) == [100 + p for p in range(N)]
    wait_until(lambda: source.info.image(7).width == 56)
    assert (source.info.image(7).height, source.info.image(6).width) == (24, 40)
    source.image(3)  # news of the first process do not undo that
    source.refresh()
    assert source.info.image(7).width == 56


def test_nothing_is_started_for_few_pictures(source):
    assert values(source.thumbnails(KEYS, 16, seconds_after=0.1)) == [100 + p for p in range(N)]
    assert source._second._thread is None


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_if_it_dies_the_first_one_does_its_work(source):
    os.kill(second_of(source).pid, signal.SIGKILL)
    assert values(asked_beside(source)) == [100 + p for p in range(N)]
    wait_until(lambda: source._second.is_over)
    assert not source.info.warnings, "nobody need know"
    source._second.want()
    assert source._second._process is None


def test_of_positions_that_it_calls_otherwise_it_makes_none(source):
    second_of(source)
    info = source.info
    turned = dataclasses.replace(info, positions=info.positions[::-1])
    assert not source._second.knows(turned, KEYS)
    assert source._second.knows(info, KEYS)
    assert not source._second.knows(info, [StackKey(1, 0, 0, 0)]), "a time point that it does not know"


def test_it_ends_when_nobody_uses_it_and_comes_back(source, monkeypatch):
    monkeypatch.setattr(second_reader, "UNUSED_SECONDS", 0.0)
    source.thumbnails(KEYS[:1], 16, seconds_after=LONG)
    wait_until(lambda: source._second._thread is None)
    monkeypatch.setattr(second_reader, "UNUSED_SECONDS", 60.0)
    process = second_of(source)
    source.close()
    assert not process.alive and source._second.is_over
    wait_until(lambda: source._second._thread is None)


# ---- whose turn it is ----------------------------------------------------------------------------------


def at_once(turns, n=3):
    """How many of `n` were at work at the same time, at most."""
    running, most, lock, gate = [0], [0], threading.Lock(), threading.Event()

    def work():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(0.2)
        with lock:
            running[0] -= 1

    threads = [threading.Thread(target=turns.run, args=(work,)) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most[0]


def test_what_computes_waits_for_its_turn_and_what_waits_does_not():
    computed = threading.local()

    def cpu():
        computed.seconds = getattr(computed, "seconds", 0.0) + 1000.0
        return computed.seconds

    assert at_once(Turns(cpu)) == 1
    turns = Turns(lambda: 0.0)
    turns.run(lambda: threading.Event().wait(0.01))  # nothing was known of it before
    assert at_once(turns) == 3


def test_one_that_fails_leaves_its_turn_to_the_next():
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        turns.run(lambda: 1 / 0)
    assert turns.run(lambda: 7) == 7


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("most", [1, 255, 4095, 16383, 65535])
@pytest.mark.parametrize("step", [2, 3, 4, 7, 16])
def test_averages_are_exact_however_high_values_are(dtype, most, step):
    most = min(most, int(np.iinfo(dtype).max))
    pixels = np.random.default_rng(0).integers(0, most, (48, 3 * 48), endpoint=True).astype(dtype)
    pixels[:step, :step] = most
    n = step * step
    for row in range(48 // step):
        square = pixels[row * step : (row + 1) * step, :step].astype(np.int64)
        assert shrunk(pixels, step)[row, 0] == (square.sum() + n // 2) // n
