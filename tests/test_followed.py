"""Datasets that somebody writes: what is added appears by itself, and never as anything else first."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from follow_disk import (
    SIZE,
    GrowingZarr,
    datasets_that_are_followed,  # noqa: F401
    grey,
    shown,
    wait_for,
    wait_for_size,
)
from memory_source import wait_until
from PIL import Image

from ndviewer_light.engine.look_schedule import Following
from ndviewer_light.engine.state_codes import CODES, is_there, summarised
from ndviewer_light.model import DatasetInfo, PlaneKey, PlaneState
from ndviewer_light.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset


class GrowingTiff:
    """A TIFF to which a page is appended with each `add`; tifffile calls them z."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_suffix(".tif")

    def add(self, value: int) -> None:
        tifffile.imwrite(self.path, grey(value), append=True, metadata=None)


class GrowingFolder:
    """A folder of PNGs, one for each time point."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.n_t = 0

    def add(self, value: int) -> None:
        Image.fromarray(grey(value, "uint8")).save(self.path / f"img_t{self.n_t:03d}.png")
        self.n_t += 1


class GrowingHDF5:
    """An HDF5 file in SWMR mode."""

    def __init__(self, path: Path) -> None:
        h5py = pytest.importorskip("h5py")
        self.path = path.with_suffix(".h5")
        self._file = h5py.File(self.path, "w", libver="latest")
        self._data = self._file.create_dataset(
            "images", (0, SIZE, SIZE), "u2", maxshape=(None, SIZE, SIZE), chunks=(1, SIZE, SIZE)
        )
        self._file.swmr_mode = True

    def add(self, value: int) -> None:
        n = len(self._data)
        self._data.resize((n + 1, SIZE, SIZE))
        self._data[n] = grey(value)
        self._data.flush()


GROWING = {
    "zarr": (GrowingZarr, "t"),
    "tiff": (GrowingTiff, "z"),
    "folder": (GrowingFolder, "t"),
    "hdf5": (GrowingHDF5, "t"),
}


@pytest.mark.parametrize("kind", GROWING)
def test_what_is_added_appears_by_itself_and_never_looks_otherwise(kind, tmp_path, followed):
    make, axis = GROWING[kind]
    growing = make(tmp_path / "data")
    for value in (1, 2):
        growing.add(value)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey(**{axis: 1})) == 2
    assert dataset.following is Following.FOLLOWING
    for i in range(2, 5):
        growing.add(i + 1)
        wait_for_size(dataset, axis, i + 1)
        states = wait_for(dataset, PlaneKey(**{axis: i}), i + 1)
        assert states <= {PlaneState.PENDING, PlaneState.LOADING, PlaneState.ABSENT}
    assert shown(dataset, PlaneKey()) == 1


def test_what_is_added_elsewhere_does_not_have_the_picture_drawn_again(tmp_path, followed):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = followed(growing.path)

    def is_drawn_again() -> bool:
        """Whether what is in view was to be drawn again until it was known that there is more."""
        seen = [dataset.take_changes()]
        wait_until(lambda: seen[-1].info or bool(seen.append(dataset.take_changes())))
        return any(changes.in_view for changes in seen)

    assert shown(dataset, PlaneKey()) == 1
    growing.add(2)
    assert not is_drawn_again()
    array = growing._array.resize(exclusive_max=[3, 1, 1, SIZE, SIZE]).result()
    wait_for_size(dataset, "t", 3)
    assert shown(dataset, PlaneKey(t=2)) is PlaneState.PENDING
    array.resize(exclusive_max=[4, 1, 1, SIZE, SIZE]).result()
    assert is_drawn_again(), "it may be there now"


def test_a_plane_that_is_written_again_is_shown_anew_also_after_having_been_elsewhere(tmp_path, followed):
    array = stores.create_array(tmp_path / "a.zarr", (2, 1, 1, SIZE, SIZE))
    array[0].write(grey(1)).result()
    array[1].write(grey(2)).result()
    dataset = followed(tmp_path / "a.zarr")
    first, second = PlaneKey(), PlaneKey(t=1)
    assert shown(dataset, first) == 1
    array[0].write(grey(7)).result()
    assert wait_for(dataset, first, 7) <= {1}
    assert shown(dataset, second) == 2
    array[0].write(grey(8)).result()  # in memory, but not in view
    assert wait_for(dataset, first, 8) <= {7}
    assert dataset.plane(0)[0, 0] == 8
    array[0].write(grey(9)).result()
    assert dataset.plane(0)[0, 0] == 9, "a script that follows gets what is stored now"


def test_new_positions_and_channels_of_a_folder_appear(tmp_path, followed):
    def save(p: int, c: int, t: int, value: int) -> None:
        Image.fromarray(grey(value, "uint8")).save(tmp_path / f"img_p{p}_c{c}_t{t}.png")

    save(0, 0, 0, 1)
    save(0, 0, 1, 2)
    dataset = followed(tmp_path)
    assert shown(dataset, PlaneKey(t=1)) == 2
    save(1, 0, 0, 3)
    wait_for_size(dataset, "p", 2)
    wait_for(dataset, PlaneKey(p=1), 3)
    save(0, 1, 0, 4)
    wait_for_size(dataset, "c", 2)
    wait_for(dataset, PlaneKey(c=1), 4)
    assert shown(dataset, PlaneKey(t=1)) == 2, "indices are as they were"


def test_a_well_that_is_added_before_the_others_may_have_fewer_time_points(tmp_path, followed):
    path, known = tmp_path / "p.zarr", PlaneKey(t=1)
    plain = stores.image_attributes(squid=False, channels=stores.CHANNELS[:1])
    sizes = {"t": 2, "c": 1, "z": 1, "y": SIZE, "x": SIZE}
    stores.write_plate(path, {"B/2": 1}, attributes=plain, sizes=sizes)
    dataset = followed(path)
    before = shown(dataset, known)
    wells, sizes = {"A/1": 1, "B/2": 1}, {**sizes, "t": 1}
    stores.write_plate(tmp_path / "other.zarr", wells, attributes=plain, sizes=sizes)
    shutil.copytree(tmp_path / "other.zarr" / "A", path / "A")
    shutil.copyfile(tmp_path / "other.zarr" / "zarr.json", path / "zarr.json")
    wait_for_size(dataset, "p", 2)
    assert [position.label for position in dataset.info.positions] == ["B2:0", "A1:0"]
    assert (dataset.info.generation, dataset.sizes["t"]) == (0, 2)
    assert shown(dataset, known) == before
    document = (path / "zarr.json").read_text()
    for written in ("", document[: len(document) // 2], document):  # again, and nothing is new
        (path / "zarr.json").write_text(written)
        time.sleep(0.7)  # several looks
        dataset.take_changes()
        assert [position.label for position in dataset.info.positions] == ["B2:0", "A1:0"]
        assert dataset.info.generation == 0


def test_channels_added_to_an_array_are_more_of_the_same_dataset(tmp_path, followed):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey()) == 1
    array = growing._array.resize(exclusive_max=[1, 2, 1, SIZE, SIZE]).result()
    wait_for_size(dataset, "c", 2)
    array[0, 1].write(grey(2)[None]).result()
    wait_for(dataset, PlaneKey(c=1), 2)
    assert dataset.info.generation == 0


def test_stores_of_fields_appear_one_by_one(tmp_path, followed):
    def write(fov: int) -> None:
        store = tmp_path / "zarr" / "A1" / f"fov_{fov}.ome.zarr"
        stores.create_array(store, (1, 1, 1, SIZE, SIZE)).write(grey(fov + 1)).result()

    write(0)
    dataset = followed(tmp_path)
    for fov in (1, 2):
        write(fov)
        wait_for_size(dataset, "p", fov + 1)
        wait_for(dataset, PlaneKey(p=fov), fov + 1)


def write_arrays_of_plate(path: Path, wells: Sequence[str]) -> None:
    """A plate whose arrays (t 2, c 2) are all made, and nothing else."""
    plain = stores.image_attributes(squid=False, channels=stores.CHANNELS[:2])
    stores.write_plate(path, dict.fromkeys(wells, 1), attributes=plain, sizes={"z": 1, "y": SIZE, "x": SIZE})
    for well in wells:
        shutil.rmtree(path / well / "0" / "0" / "c")


def write_time_point(path: Path, well: str, t: int) -> None:
    array = path / well / "0" / "0"
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(array)}}
    stores.ts.open(spec).result()[t].write(np.full((2, 1, SIZE, SIZE), 7, np.uint16)).result()


def every_state(dataset: Dataset) -> dict[PlaneKey, set[PlaneState]]:
    """What each plane is by all that tell it: the picture, the overview, the report, and one by one.

    The strip of time points and the map of positions say the same in a word.
    """
    n = dataset.sizes
    keys = [PlaneKey(t, p, c) for t in range(n["t"]) for p in range(n["p"]) for c in range(n["c"])]
    dataset.take_changes()
    pictures = [plane.state for plane in dataset.planes(keys, wait=None)]
    small = [plane.state for plane in dataset.thumbnails(keys)]
    report = dataset.report()
    assert report.expected == len(keys)
    counted = [report.state(key) for key in keys]
    one_by_one = [dataset.state(key) for key in keys]
    check_summaries(dataset, dict(zip(keys, one_by_one, strict=True)))
    told = zip(pictures, small, counted, one_by_one, strict=True)
    return {key: set(each) for key, each in zip(keys, told, strict=True)}


def check_summaries(dataset: Dataset, states: dict[PlaneKey, PlaneState]) -> None:
    """What the strip of time points and the map of positions say follows from the `states` of planes."""
    n = dataset.sizes
    codes = np.zeros((n["t"], n["p"], n["c"], n["z"]), np.uint8)
    for (t, p, c, z), state in states.items():
        codes[t, p, c, z] = CODES[state]
    for p in range(n["p"]):
        in_words = summarised(codes[:, p])
        wait_until(lambda p=p, said=in_words: (dataset.time_states(p) or [None, None])[1] == said)
    for t in range(n["t"]):
        in_words, there = summarised(codes[t]), tuple(is_there(codes[t]).sum(axis=(1, 2)).tolist())

        def is_told(t: int = t, said: object = in_words, there: object = there) -> bool:
            told = dataset.position_states(t)
            return told is not None and (told.states, told.there) == (said, there)

        wait_until(is_told)


def test_of_a_plate_written_by_itself_all_that_tell_of_a_plane_say_the_same(tmp_path, followed):
    path, wells = tmp_path / "p.zarr", ["A/1", "A/2", "A/3"]
    write_arrays_of_plate(path, wells)
    dataset = followed(path)
    assert all(states == {PlaneState.PENDING} for states in every_state(dataset).values()), "just created"
    for p, well in enumerate(wells):
        write_time_point(path, well, 0)
        wait_for(dataset, PlaneKey(p=p), 7)
        for key, states in every_state(dataset).items():
            is_there = key.t == 0 and key.p <= p
            assert states == {PlaneState.PRESENT if is_there else PlaneState.PENDING}, key


@pytest.mark.parametrize("chunk_t", [1, 4])
def test_of_a_plate_whose_fields_grow_one_after_the_other_all_say_the_same(tmp_path, followed, chunk_t):
    """While some arrays have a time point that others have not got yet."""
    path, wells = tmp_path / "p.zarr", ["A/1", "A/2", "A/3"]
    plain = stores.image_attributes(squid=False, channels=stores.CHANNELS[:2])
    sizes = {"t": 1, "c": 2, "z": 1, "y": SIZE, "x": SIZE}
    stores.write_plate(path, dict.fromkeys(wells, 1), attributes=plain, sizes=sizes)
    arrays = []
    for well in wells:
        shutil.rmtree(path / well / "0" / "0")
        chunk = (chunk_t, 1, 1, SIZE, SIZE)
        arrays.append(stores.create_array(path / well / "0" / "0", (1, 2, 1, SIZE, SIZE), chunk=chunk))
        arrays[-1].write(np.full((1, 2, 1, SIZE, SIZE), 7, np.uint16)).result()
    dataset = followed(path)
    wait_for(dataset, PlaneKey(p=2), 7)
    for p, array in enumerate(arrays):
        grown = array.resize(exclusive_max=[2, 2, 1, SIZE, SIZE]).result()
        grown[1].write(np.full((2, 1, SIZE, SIZE), 8, np.uint16)).result()
        wait_for_size(dataset, "t", 2)
        wait_for(dataset, PlaneKey(t=1, p=p), 8)
        for key, states in every_state(dataset).items():
            assert states == {PlaneState.PRESENT if key.t == 0 or key.p <= p else PlaneState.PENDING}, key


def test_planes_in_a_shard_that_was_written_just_now_are_told_apart_without_reading_any(tmp_path, followed):
    path, shape = tmp_path / "a.zarr", (8, 1, 1, SIZE, SIZE)
    array = stores.create_array(path, shape, chunk=(1, 1, 1, SIZE, SIZE), shard=(4, 1, 1, SIZE, SIZE))
    dataset = followed(path)
    for t in (0, 2):
        array[t].write(np.full((1, 1, SIZE, SIZE), 7, np.uint16)).result()
        there = range(0, t + 1, 2)
        wait_until(lambda n=t // 2 + 1: dataset.report().present == n)
        report = dataset.report()
        for key in (PlaneKey(t=i) for i in range(8)):
            state = report.state(key)
            assert state is (PlaneState.PRESENT if key.t in there else dataset.state(key)), key
            assert state in (PlaneState.PRESENT, PlaneState.PENDING, PlaneState.FILLED), key


def test_a_plate_that_was_created_long_ago_and_not_written_is_not_expected(tmp_path, followed):
    path = tmp_path / "p.zarr"
    write_arrays_of_plate(path, ["A/1", "A/2"])
    stores.make_old(path, 120)
    dataset = followed(path)
    assert all(states == {PlaneState.ABSENT} for states in every_state(dataset).values())


def test_files_that_go_away_are_no_growth_and_not_awaited(tmp_path, followed):
    for t in range(3):
        tifffile.imwrite(tmp_path / f"img_t{t}_c0.tif", grey(t + 1))
        tifffile.imwrite(tmp_path / f"img_t{t}_c1.tif", grey(t + 1))
    stores.make_old(tmp_path, 60)
    dataset = followed(tmp_path)
    assert shown(dataset, PlaneKey(t=0)) == 1
    (tmp_path / "img_t1_c1.tif").unlink()
    began = time.monotonic()
    while time.monotonic() - began < 1.0:  # several looks
        assert shown(dataset, PlaneKey(t=1, c=1)) in (PlaneState.ABSENT, PlaneState.LOADING)
        assert not dataset.is_being_written
        time.sleep(0.05)
    tifffile.imwrite(tmp_path / "img_t3_c0.tif", grey(4))
    wait_for(dataset, PlaneKey(t=3), 4)
    assert dataset.is_being_written
    wait_for(dataset, PlaneKey(t=3, c=1), PlaneState.PENDING)


def test_a_well_that_gets_its_field_is_never_among_those_without_images(tmp_path, monkeypatch):
    """Whoever reads what is known, at whatever moment."""
    path = tmp_path / "plate.zarr"
    sizes = {"t": 1, "z": 1}
    stores.write_plate(path, {"A/1": 1, "A/2": 1}, planned=["A/3", "B/1"], sizes=sizes)
    source = open_source(str(path))
    with contextlib.closing(source):
        told = []
        real = dataclasses.replace
        monkeypatch.setattr(dataclasses, "replace", lambda *a, **k: told.append(real(*a, **k)) or told[-1])
        stores.write_group(path / "A/3", {"well": {"images": [{"path": "0"}]}})
        stores.write_image(path / "A/3/0", p=2, sizes=sizes)
        source.refresh()
        assert source.info.empty_wells == ("B1",)
        infos = [each for each in told if isinstance(each, DatasetInfo)]
        assert infos
        for info in infos:
            assert not {position.region for position in info.positions} & set(info.empty_wells)
