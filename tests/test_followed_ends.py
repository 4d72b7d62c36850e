"""Datasets that somebody writes: beginnings and ends, and planes in memory."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from datasets_in_memory import wait_until_nobody_looks
from follow_disk import (
    SIZE,
    GrowingZarr,
    datasets_that_are_followed,  # noqa: F401
    grey,
    shown,
    wait_for,
    wait_for_size,
)
from memory_source import TIMEOUT, Clock, wait_until

from ndviewer_light.engine import retry, view_requests
from ndviewer_light.engine.look_schedule import Following
from ndviewer_light.errors import DatasetError, DatasetNotFoundError
from ndviewer_light.model import PlaneKey, PlaneState, place_of
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources import metadata_away
from ndviewer_light.sources.disk_cached import open_disk_cached as open_source
from ndviewer_light.storage.file_versions import settled
from tests.live_writers.registry import WRITERS

if TYPE_CHECKING:
    from pathlib import Path


# ---- beginnings and ends -----------------------------------------------------------------------------


def test_a_plane_that_is_written_while_it_is_read_is_read_again(tmp_path):
    """Half of a file may decode to anything where nothing tells that it is half."""
    for t in range(3):
        tifffile.imwrite(tmp_path / f"img_t{t}.tif", grey(t + 1))
    source = open_source(str(tmp_path))
    read, n_reads = source.read_plane, []

    def written_meanwhile(key: PlaneKey, level: int = 0) -> np.ndarray:
        pixels = read(key, level)
        n_reads.append(key)
        if len(n_reads) <= 2:
            tifffile.imwrite(tmp_path / "new.tif", grey(10 * len(n_reads)))
            os.replace(tmp_path / "new.tif", tmp_path / f"img_t{key.t}.tif")
        return pixels

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(source, "read_plane", written_meanwhile)
        pixels, version = source.read_versioned(PlaneKey(t=1))
        assert (int(pixels[0, 0]), len(n_reads)) == (20, 3)
        (now,) = source.versions([PlaneKey(t=1)])
        assert settled(version) == settled(now)
        source.read_versioned(PlaneKey(t=2))
        assert len(n_reads) == 4, "once, where nothing was written"
    source.close()


def test_a_shard_that_is_being_written_in_place_is_read_once_that_is_over(tmp_path, monkeypatch):
    """A file has its new time as soon as a write begins, so half of it has the time of the whole."""
    growing = GrowingZarr(tmp_path / "a.zarr", shard=(1, 1, 1, SIZE, SIZE))
    growing.add(1)
    growing.add(2)
    (chunk,) = (path for path in (tmp_path / "a.zarr").glob("**/c/1/**/0") if path.is_file())
    whole = chunk.read_bytes()
    half = bytes(SIZE * SIZE) + whole[SIZE * SIZE :]  # of the pixels; the index is whole
    slept, sleep = [], time.sleep

    def finish_writing(seconds: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            return sleep(seconds)
        slept.append(seconds)
        status = chunk.stat()
        chunk.write_bytes(whole)
        os.utime(chunk, ns=(status.st_atime_ns, status.st_mtime_ns))
        return None

    monkeypatch.setattr("ndviewer_light.sources.zarr.source._SHARD_SETTLES_S", TIMEOUT)  # whatever the load
    with contextlib.closing(open_source(str(growing.path))) as source:
        chunk.write_bytes(half)
        monkeypatch.setattr("ndviewer_light.sources.source.time.sleep", finish_writing)
        now = time.time_ns()
        os.utime(chunk, ns=(now, now))
        pixels, _ = source.read_versioned(PlaneKey(t=1))
        assert (pixels == 2).all()
        assert len(slept) == 1


def test_a_dataset_is_waited_for_until_it_can_be_opened(tmp_path):
    path = tmp_path / "not" / "yet.zarr"
    with pytest.raises(DatasetNotFoundError):
        open_dataset(path, wait=0.3)

    def write() -> None:
        time.sleep(0.3)
        path.mkdir(parents=True)
        (path / "zarr.json").write_text("{")
        time.sleep(0.2)
        shutil.rmtree(path)
        GrowingZarr(path).add(5)

    writer = threading.Thread(target=write)
    writer.start()
    with open_dataset(path, wait=TIMEOUT, follow=True) as dataset:
        wait_for(dataset, PlaneKey(), 5)
    writer.join()


def test_a_dataset_that_is_removed_and_made_again_is_followed_on(tmp_path, followed):
    path = tmp_path / "a.zarr"
    growing = GrowingZarr(path)
    for value in (1, 2, 3):
        growing.add(value)
    dataset = followed(path)
    assert shown(dataset, PlaneKey(t=2)) == 3
    shutil.rmtree(path)
    again = GrowingZarr(path)
    again.add(10)
    wait_for_size(dataset, "t", 1)
    wait_for(dataset, PlaneKey(), 10)
    again.add(11)
    wait_for_size(dataset, "t", 2)
    wait_for(dataset, PlaneKey(t=1), 11)


def test_a_dataset_that_is_moved_away_is_said_to_be_gone_since_when_and_its_planes_stay(tmp_path, followed):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey()) == 1

    def said() -> bool:
        dataset.take_changes()
        return any("Not reachable since" in warning for warning in dataset.info.warnings)

    growing.path.rename(tmp_path / "elsewhere")
    wait_until(said)
    assert shown(dataset, PlaneKey()) == 1
    (tmp_path / "elsewhere").rename(growing.path)
    wait_until(lambda: not said())
    growing.path.rename(tmp_path / "elsewhere")
    wait_until(said)
    dataset.set_following(False)  # no look will find it
    wait_until_nobody_looks(dataset)
    (tmp_path / "elsewhere").rename(growing.path)
    dataset.refresh()
    assert not said()


def test_what_could_not_be_read_while_a_dataset_was_away_is_read_as_soon_as_it_is_back(
    tmp_path, followed, monkeypatch
):
    monkeypatch.setattr(retry, "RETRY_SECONDS", (3600.0,))
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    growing.add(2)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey()) == 1
    growing.path.rename(tmp_path / "elsewhere")
    wait_until(lambda: dataset.take_changes() and dataset.unreachable is not None)
    wait_for(dataset, PlaneKey(t=1), PlaneState.UNREADABLE)
    (tmp_path / "elsewhere").rename(growing.path)
    wait_for(dataset, PlaneKey(t=1), 2)


def test_a_folder_that_its_writer_has_made_anew_without_metadata_is_gone(tmp_path, followed, monkeypatch):
    monkeypatch.setattr(metadata_away, "AWAY_SECONDS", 0.2)
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey()) == 1
    growing.path.rename(tmp_path / "elsewhere")
    (growing.path / "c" / "0").mkdir(parents=True)  # as tensorstore does, for the next chunk

    def is_gone() -> bool:
        dataset.take_changes()
        return dataset.unreachable is not None and "metadata" in dataset.unreachable.reason

    wait_until(is_gone)
    assert shown(dataset, PlaneKey()) == 1
    shutil.rmtree(growing.path)
    (tmp_path / "elsewhere").rename(growing.path)
    wait_until(lambda: not is_gone() and dataset.unreachable is None)


def test_what_is_left_of_a_folder_that_is_being_deleted_is_no_further_positions(tmp_path):
    """Of which the metadata went first: folders of chunks are numbered like images."""
    path = tmp_path / "run.ome.zarr"
    writer = WRITERS["zarr-python-v3"].make(path, WRITERS["zarr-python-v3"].plan(20))
    writer.begin()
    for index in writer.plan.indices():
        writer.write(index, np.ones((192, 192), np.uint16))
    source = open_source(str(path))
    source.follow()
    source.read_plane(PlaneKey())
    (path / "zarr.json").unlink()
    (path / "0" / "zarr.json").unlink()
    for _ in range(2):
        with contextlib.suppress(DatasetError):
            source.look()
        assert len(source.info.positions) == 1
    source.close()


def growing_image(path: Path) -> GrowingZarr:
    stores.write_group(path, stores.image_attributes(channels=["a"], squid=False))
    return GrowingZarr(path / "0")


def test_metadata_of_one_array_that_are_away_are_said_to_be_without_a_read(tmp_path, followed, monkeypatch):
    monkeypatch.setattr(metadata_away, "AWAY_SECONDS", 0.2)
    growing = growing_image(tmp_path / "a.ome.zarr")
    growing.add(1)
    growing.add(2)
    dataset = followed(growing.path.parent)
    assert shown(dataset, PlaneKey()) == 1
    metadata = growing.path / "zarr.json"

    def is_gone() -> bool:
        dataset.take_changes()
        return dataset.unreachable is not None and f"the metadata of {metadata.parent}" in str(
            dataset.unreachable
        )

    metadata.rename(tmp_path / "kept.json")
    wait_until(is_gone)
    assert dataset.state(PlaneKey(t=1)) is PlaneState.UNKNOWN
    (tmp_path / "kept.json").rename(metadata)
    wait_until(lambda: not is_gone() and dataset.unreachable is None)
    assert shown(dataset, PlaneKey(t=1)) == 2


def test_metadata_of_one_image_of_several_that_are_away_are_a_warning(tmp_path, followed, monkeypatch):
    monkeypatch.setattr(metadata_away, "AWAY_SECONDS", 0.2)
    for name in "ab":
        growing_image(tmp_path / "run" / f"{name}.ome.zarr").add(1)
    dataset = followed(tmp_path / "run")
    assert [shown(dataset, PlaneKey(p=p)) for p in (0, 1)] == [1, 1]
    metadata = tmp_path / "run" / "b.ome.zarr" / "0" / "zarr.json"

    def said() -> list[str]:
        dataset.take_changes()
        return [each for each in dataset.info.warnings if f"the metadata of {metadata.parent}" in each]

    metadata.rename(tmp_path / "kept.json")
    wait_until(lambda: len(said()) == 1)
    assert place_of(said()[0]).p == 1
    assert dataset.unreachable is None
    assert shown(dataset, PlaneKey(p=0)) == 1
    (tmp_path / "kept.json").rename(metadata)
    wait_until(lambda: not said())


@pytest.mark.parametrize("isolate", [False, True])
def test_what_a_script_asks_for_is_what_is_known_now(tmp_path, isolate):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    with open_dataset(growing.path, follow=True, isolate=isolate) as dataset:
        growing.add(2)
        wait_until(lambda: dataset.sizes["t"] == 2)
        growing.add(3)
        wait_until(lambda: dataset.info.n_t == 3)
        dataset.set_following(False)
        wait_until_nobody_looks(dataset)
        growing.add(4)
        for change in dataset.changes(timeout=0.5):
            assert change.info.n_t == 3
        assert (dataset._source.computed_elsewhere_s > 0) == isolate, "looks count by what they compute"
    assert not [each for each in threading.enumerate() if each.name == "ndviewer-following"]


def test_a_dataset_that_nobody_closed_or_uses_is_not_looked_at_for_ever(tmp_path):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = open_dataset(growing.path, follow=True)
    del dataset

    def is_over() -> bool:
        gc.collect()
        return not [each for each in threading.enumerate() if each.name == "ndviewer-following"]

    wait_until(is_over)


def test_changes_are_an_iterator_and_a_callback(tmp_path):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    with open_dataset(growing.path, follow=True) as dataset:
        writer = threading.Thread(target=lambda: [growing.add(value) for value in (2, 3)])
        writer.start()
        seen = []
        for change in dataset.changes(timeout=TIMEOUT):
            assert change.info is not change.before
            seen.append(change.info.n_t)
            if change.info.n_t == 3:
                break
        writer.join()
        assert seen == sorted(seen)
        called = threading.Event()
        listener = dataset.on_change(lambda change: called.set() if change.info.n_t == 4 else None)
        growing.add(4)
        assert called.wait(TIMEOUT)
        listener.stop()
        assert dataset.plane(3)[0, 0] == 4
    assert list(dataset.changes()) == []


def test_everybody_who_listens_gets_every_change(tmp_path):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    with open_dataset(growing.path, follow=True) as dataset:
        heard = [], [], []
        listeners = [dataset.on_change(lambda change, of=of: of.append(change.info.n_t)) for of in heard]
        n_t = 1
        while not all(heard):  # those that begin to listen later do not hear of what came before
            n_t += 1
            growing.add(n_t)
            wait_for_size(dataset, "t", n_t)
            time.sleep(0.2)
        for n in range(n_t + 1, n_t + 4):
            growing.add(n)
            wait_until(lambda n=n: all(of[-1] == n for of in heard))
        for listener in listeners:
            listener.stop()


def test_what_came_before_one_listened_is_no_change(tmp_path):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    with open_dataset(growing.path, follow=True) as dataset:
        growing.add(2)
        # until all of it was noticed: its size may be before its pixels
        wait_until(lambda: not list(dataset.changes(timeout=1.0)) and dataset.info.n_t == 2)
        assert list(dataset.changes(timeout=0.2)) == []


def test_paused_nothing_changes_until_it_goes_on(tmp_path, followed):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey()) == 1
    dataset.set_following(False)
    assert dataset.following is Following.PAUSED
    wait_until_nobody_looks(dataset)
    growing.add(2)
    time.sleep(0.6)
    dataset.take_changes()
    assert dataset.sizes["t"] == 1
    dataset.set_following(True)
    wait_for_size(dataset, "t", 2)


def test_a_dataset_that_calls_itself_complete_is_finished_after_some_seconds(tmp_path, monkeypatch, followed):
    clock = Clock()
    clock.set(monkeypatch)
    GrowingZarr(tmp_path / "a.zarr" / "0").add(1)
    stores.write_group(
        tmp_path / "a.zarr", stores.image_attributes("tczyx") | {"_squid": {"acquisition_complete": True}}
    )
    dataset = followed(tmp_path / "a.zarr")

    def is_finished() -> bool:
        clock.now += 1
        dataset.take_changes()
        wait_until_nobody_looks(dataset)
        return dataset.following is Following.FINISHED

    wait_until(is_finished)
    assert clock.now < 1060


# ---- planes in memory --------------------------------------------------------------------------------


def test_a_plane_in_memory_that_was_written_while_out_of_view_is_not_shown_as_it_was(
    tmp_path, followed, monkeypatch
):
    monkeypatch.setattr(view_requests, "_CHECK_SECONDS", TIMEOUT)  # whatever the load
    array = stores.create_array(tmp_path / "a.zarr", (3, 1, 1, SIZE, SIZE))
    for t in range(2):
        array[t].write(grey(t + 1)).result()
    dataset = followed(tmp_path / "a.zarr")
    first, second = PlaneKey(), PlaneKey(t=1)
    for key, value in ((first, 1), (second, 2)):
        assert shown(dataset, key) == value
    array[1].write(grey(3)).result()
    wait_for(dataset, second, 3)  # it grows
    dataset._follower.look_if_due = lambda beyond, now: None  # what is found is found without looks
    for value in (8, 9):
        array[0].write(grey(value)).result()
        assert shown(dataset, second) == 3
        assert shown(dataset, first) == value
        time.sleep(0.06)


def test_what_is_in_memory_is_shown_if_its_disk_does_not_answer_and_finished_data_is_not_asked_for(
    tmp_path, followed, monkeypatch
):
    array = stores.create_array(tmp_path / "a.zarr", (2, 1, 1, SIZE, SIZE))
    for t in range(2):
        array[t].write(grey(t + 1)).result()
    stores.make_old(tmp_path)
    dataset = followed(tmp_path / "a.zarr")
    first, second = PlaneKey(), PlaneKey(t=1)
    for key, value in ((first, 1), (second, 2)):
        assert shown(dataset, key) == value
    dataset._follower.look_if_due = lambda beyond, now: None
    wait_until_nobody_looks(dataset)
    asked, answer = [], threading.Event()

    def versions(keys: list[PlaneKey], level: int = 0) -> list[str | None]:
        asked.append(keys)
        answer.wait(TIMEOUT)
        return [None] * len(keys)

    monkeypatch.setattr(dataset._source, "versions", versions)
    assert shown(dataset, first) == 1
    assert not asked
    monkeypatch.setattr(dataset._follower, "is_growing", lambda: True)
    try:
        assert shown(dataset, second) == 2
        assert shown(dataset, first) == 1
        wait_until(lambda: asked)
        assert asked == [[second]], "one question at a time"
    finally:
        answer.set()
