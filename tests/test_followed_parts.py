"""Datasets that somebody writes: what is not whole yet is never shown in parts."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time

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

from ndviewer_light.engine import look_schedule
from ndviewer_light.errors import ReadTimeoutError
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources.zarr.source import ZarrSource


def test_planes_to_come_in_a_chunk_of_several_are_pending_and_appear_when_they_are_written(
    tmp_path, followed
):
    growing = GrowingZarr(tmp_path / "a.zarr", t_chunk=4)
    growing.add(1)
    growing._array = growing._array.resize(exclusive_max=[4, 1, 1, SIZE, SIZE]).result()
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey(t=0)) == 1
    for t in (1, 2, 3):
        assert shown(dataset, PlaneKey(t=t)) is PlaneState.PENDING, "its chunk is stored, the plane is not"
        growing._array[t].write(grey(t + 1)).result()
        assert wait_for(dataset, PlaneKey(t=t), t + 1) <= {PlaneState.PENDING}
    with open_dataset(growing.path) as script:
        assert [int(script.plane(t)[0, 0]) for t in range(4)] == [1, 2, 3, 4]


def test_the_clock_of_a_share_may_be_behind_ours(tmp_path, followed):
    made = GrowingZarr(tmp_path / "made.zarr", t_chunk=4)
    made.add(1)
    made._array = made._array.resize(exclusive_max=[4, 1, 1, SIZE, SIZE]).result()
    path = tmp_path / "a.zarr"
    shutil.copytree(made.path, path)
    stores.make_old(path, 120.0)
    (chunk,) = stores.chunk_files(path)
    (written,) = stores.chunk_files(made.path)
    dataset = followed(path)
    assert shown(dataset, PlaneKey(t=0)) == 1
    for value in (2, 3):
        made._array[value - 1].write(grey(value)).result()
        shutil.copyfile(written, tmp_path / "next")
        os.utime(tmp_path / "next", (time.time() - 120.0,) * 2)  # as the share sees it
        os.replace(tmp_path / "next", chunk)
        wait_for(dataset, PlaneKey(t=value - 1), value)
        if value == 2:
            assert shown(dataset, PlaneKey(t=2)) is PlaneState.PENDING, "the share has told its time"


def test_an_empty_plane_among_others_in_its_chunk_is_data_once_the_writer_is_past_it(tmp_path, followed):
    growing = GrowingZarr(tmp_path / "a.zarr", t_chunk=4)
    for value in (1, 0, 3):
        growing.add(value)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey(t=1)) is PlaneState.PENDING, "it may be written in any order"
    stores.make_old(growing.path)
    assert wait_for(dataset, PlaneKey(t=1), 0) <= {PlaneState.PENDING, PlaneState.LOADING}


def test_planes_of_a_chunk_that_are_written_in_any_order_are_never_shown_empty_first(tmp_path, followed):
    growing = GrowingZarr(tmp_path / "a.zarr", t_chunk=4)
    growing.add(1)
    growing._array = growing._array.resize(exclusive_max=[4, 1, 1, SIZE, SIZE]).result()
    dataset = followed(growing.path)
    for t in (3, 1, 2):
        growing._array[t].write(grey(t + 1)).result()
        for other in {3, 1, 2} - {t}:
            assert shown(dataset, PlaneKey(t=other)) in (PlaneState.PENDING, other + 1)
        assert wait_for(dataset, PlaneKey(t=t), t + 1) <= {PlaneState.PENDING, PlaneState.LOADING}


def test_a_plane_of_several_chunks_is_not_shown_in_parts(tmp_path, followed):
    array = stores.create_array(
        tmp_path / "a.zarr", (2, 1, 1, SIZE, SIZE), chunk=(1, 1, 1, SIZE // 2, SIZE // 2), dtype="uint16"
    )
    array[0].write(grey(1)).result()
    dataset = followed(tmp_path / "a.zarr")
    half = SIZE // 2
    array[1, 0, 0, :half].write(grey(2)[:half]).result()
    assert shown(dataset, PlaneKey(t=1)) is PlaneState.PENDING
    array[1, 0, 0, half:].write(grey(2)[half:]).result()
    assert wait_for(dataset, PlaneKey(t=1), 2) <= {PlaneState.PENDING, PlaneState.LOADING}


@pytest.mark.parametrize("n_there", [1, 3, 4])
def test_of_a_plane_of_which_the_writer_has_left_chunks_out_it_is_said_how_many_are_stored(
    tmp_path, followed, n_there
):
    path, half = tmp_path / "a.zarr", SIZE // 2
    array = stores.create_array(path, (1, 1, 1, SIZE, SIZE), chunk=(1, 1, 1, half, half))
    for y, x in list(itertools.product((0, half), (0, half)))[:n_there]:
        array[0, 0, 0, y : y + half, x : x + half].write(np.uint16(5)).result()
    stores.make_old(path)
    (plane,) = followed(path).planes([PlaneKey()], wait=None)
    assert plane.state is PlaneState.PRESENT
    said = f"{n_there} of 4 chunks stored, the rest is shown as the fill value"
    assert plane.reason == (said if n_there < 4 else "")


def test_of_a_dataset_opened_between_two_planes_of_a_time_point_the_second_is_pending(tmp_path, followed):
    array = stores.create_array(tmp_path / "a.zarr", (1, 2, 1, SIZE, SIZE))
    array[0, 0].write(grey(1)[None]).result()
    dataset = followed(tmp_path / "a.zarr")
    assert shown(dataset, PlaneKey(c=1)) is PlaneState.PENDING
    array[0, 1].write(grey(2)[None]).result()
    assert wait_for(dataset, PlaneKey(c=1), 2) <= {PlaneState.PENDING, PlaneState.LOADING}


def test_torn_metadata_and_half_a_chunk_are_waited_for(tmp_path, followed, caplog):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey()) == 1
    growing.add(2)
    wait_for(dataset, PlaneKey(t=1), 2)
    file = next(growing.path.glob("zarr.json"))
    whole = file.read_bytes()
    document = json.loads(whole)
    document["shape"][0] = 3
    later = json.dumps(document).encode()
    file.write_bytes(later[: len(later) // 2])
    time.sleep(0.5)
    assert shown(dataset, PlaneKey(t=1)) == 2, "what is known stays"
    file.write_bytes(later)
    wait_for_size(dataset, "t", 3)
    chunk = next(path for path in growing.path.rglob("*") if path.is_file() and "/c/1/" in path.as_posix())
    target = growing.path / "c" / "2" / chunk.relative_to(growing.path / "c" / "1")
    target.parent.mkdir(parents=True)
    target.write_bytes(chunk.read_bytes()[:-5])
    assert wait_for(dataset, PlaneKey(t=2), PlaneState.PENDING) <= {PlaneState.LOADING, PlaneState.ABSENT}
    assert "(2, 0, 0, 0)" not in caplog.text, "what is to come is no trouble"
    target.write_bytes(chunk.read_bytes())
    assert wait_for(dataset, PlaneKey(t=2), 2) <= {PlaneState.PENDING, PlaneState.LOADING}


def images_of_which_one_is_to_come(folder):
    for name in ("img_t0_c0.tif", "img_t0_c1.tif", "img_t1_c0.tif"):
        tifffile.imwrite(folder / name, grey(1))
    return folder, PlaneKey(t=1, c=1), PlaneState.ABSENT


def plate_of_which_a_field_is_to_come(folder):
    """One that says that it is not complete."""
    attributes = stores.image_attributes(channels=stores.CHANNELS[:2], complete=False)
    stores.write_plate(folder / "p.zarr", {"A/1": 2}, attributes=attributes, skip=[(1, 0, 1, 0)])
    shutil.rmtree(folder / "p.zarr/A/1/1/0/c")
    return folder / "p.zarr", PlaneKey(p=1), PlaneState.ABSENT


def half_a_chunk(folder):
    growing = GrowingZarr(folder / "a.zarr")
    growing.add(1)
    growing.add(2)
    (chunk,) = (path for path in growing.path.rglob("*") if path.is_file() and "/c/1/" in path.as_posix())
    chunk.write_bytes(chunk.read_bytes()[:-5])
    return growing.path, PlaneKey(t=1), PlaneState.UNREADABLE


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(
    "write", [images_of_which_one_is_to_come, plate_of_which_a_field_is_to_come, half_a_chunk]
)
def test_what_is_opened_while_it_is_written_is_awaited_from_the_first_picture_on(tmp_path, write, isolate):
    path, key, in_the_end = write(tmp_path)
    if isolate:  # starting a process may take as long as the writer seems to be gone
        stores.make_old(path, -4)
    with open_dataset(path, follow=True, isolate=isolate) as dataset:
        [plane] = dataset.planes([key], wait=None)
        assert plane.state is PlaneState.PENDING
        if in_the_end is PlaneState.ABSENT:
            assert dataset.state(key) is dataset.report().state(key) is PlaneState.PENDING
        assert dataset.is_being_written
    stores.make_old(path, 120)
    with open_dataset(path, follow=True, isolate=isolate) as dataset:
        [plane] = dataset.planes([key], wait=None)
        assert plane.state is in_the_end
        assert not dataset.is_being_written


def test_growth_that_a_read_finds_before_any_look_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(look_schedule, "SHORTEST_SECONDS", 1e6)  # one look, when it is opened
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    stores.make_old(growing.path)
    with open_dataset(growing.path, follow=True) as dataset:
        assert wait_for(dataset, PlaneKey(), 1) <= {PlaneState.LOADING}
        assert not dataset.is_being_written
        growing.add(2)
        wait_for(dataset, PlaneKey(t=1), 2)
        assert dataset.is_being_written


@pytest.mark.parametrize("age_s", [0, 30])
def test_a_plane_that_was_written_again_is_shown_also_if_it_could_not_be_read_at_first(
    tmp_path, followed, monkeypatch, age_s
):
    path, again = tmp_path / "a.zarr", tmp_path / "again.zarr"
    for folder, value in ((path, 1), (again, 2)):
        stores.create_array(folder, (1, 1, 1, SIZE, SIZE)).write(grey(value)[None, None, None]).result()
    stores.make_old(path)
    stores.make_old(again, age_s)
    dataset = followed(path)
    assert shown(dataset, PlaneKey()) == 1
    read, failures = ZarrSource.read_plane, [ReadTimeoutError("the disk did not answer")]

    def read_plane(self: ZarrSource, *args: object) -> np.ndarray:
        if failures:
            raise failures.pop()
        return read(self, *args)

    monkeypatch.setattr(ZarrSource, "read_plane", read_plane)
    os.replace(*(stores.chunk_files(folder)[0] for folder in (again, path)))
    assert wait_for(dataset, PlaneKey(), 2) <= {1, PlaneState.LOADING}
    assert not failures


def test_a_plane_in_view_whose_file_is_deleted_stays(tmp_path, followed):
    for t in range(2):
        tifffile.imwrite(tmp_path / f"img_t{t}.tif", grey(t + 1))
    stores.make_old(tmp_path)
    dataset = followed(tmp_path)
    assert shown(dataset, PlaneKey(t=1)) == 2
    (tmp_path / "img_t1.tif").unlink()
    for t in (2, 3):  # it is looked at meanwhile
        tifffile.imwrite(tmp_path / f"img_t{t}.tif", grey(t + 1))
        wait_for_size(dataset, "t", t + 1)
        wait_until_nobody_looks(dataset)
        assert shown(dataset, PlaneKey(t=1)) == 2


def test_a_plane_whose_chunks_are_written_again_one_after_another_is_never_shown_in_parts(tmp_path, followed):
    path, half = tmp_path / "a.zarr", SIZE // 2
    array = stores.create_array(path, (1, 1, 1, SIZE, SIZE), chunk=(1, 1, 1, half, half))
    array.write(np.ones(array.shape, np.uint16)).result()
    stores.make_old(path)
    dataset = followed(path)
    wait_for(dataset, PlaneKey(), 1)
    seen = set()
    for value in (2, 3):
        for y, x in itertools.product((0, half), (0, half)):
            array[0, 0, 0, y : y + half, x : x + half].write(np.uint16(value)).result()
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                seen.add(shown(dataset, PlaneKey()))
                time.sleep(0.01)
        seen |= wait_for(dataset, PlaneKey(), value)
    assert seen <= {1, 2, 3, PlaneState.LOADING}
    array[0, 0, 0, :half, :half].write(np.uint16(4)).result()
    assert wait_for(dataset, PlaneKey(), "parts") <= {3, PlaneState.LOADING}  # now it is so
