"""Datasets are followed while another program writes them: what is new appears, and nothing untrue."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tifffile
from memory_source import TIMEOUT, Clock, wait_until
from nd2_writer import time_loop, write_nd2
from PIL import Image

from ndviewer_light.engine import look_schedule
from ndviewer_light.engine.look_schedule import Following
from ndviewer_light.engine.state_codes import CODED
from ndviewer_light.errors import DatasetNotFoundError
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.opening import open_dataset
from ndviewer_light.sources.disk_cached import open_disk_cached as open_source
from ndviewer_light.storage.file_versions import settled

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

SIZE = 16


@pytest.fixture
def followed(request) -> Iterator[Callable[[Any], Dataset]]:
    """Opens a path to be followed."""
    opened: list[Dataset] = []

    def open_it(path: Path) -> Dataset:
        opened.append(open_dataset(path, follow=True))
        return opened[-1]

    yield open_it
    for dataset in opened:
        dataset.close()


def shown(dataset: Dataset, key: PlaneKey) -> object:
    """What a view shows of one plane: its value if it is there and the same all over, else its state."""
    dataset.take_changes()
    [plane] = dataset.planes([key], wait=None)
    if plane.state is not PlaneState.PRESENT:
        return plane.state
    assert plane.pixels is not None
    values = np.unique(plane.pixels)
    return int(values[0]) if len(values) == 1 else "parts"


def wait_for(dataset: Dataset, key: PlaneKey, wanted: object) -> set[object]:
    """Wait until a plane looks so; returns what was seen before."""
    seen: set[object] = set()

    def arrived() -> bool:
        now = shown(dataset, key)
        if now == wanted:
            return True
        seen.add(now)
        time.sleep(0.01)
        return False

    wait_until(arrived)
    return seen


def wait_for_size(dataset: Dataset, axis: str, n: int) -> None:
    def has_grown() -> bool:
        dataset.take_changes()
        return dataset.sizes[axis] == n

    wait_until(has_grown)


def grey(value: int, dtype: str = "uint16") -> np.ndarray:
    return np.full((SIZE, SIZE), value, dtype)


# ---- what grows -------------------------------------------------------------------------------------


class GrowingZarr:
    """An OME-Zarr image (t, c, z, y, x) that gets another time point with each `add`."""

    def __init__(self, path: Path, *, t_chunk: int = 1, shard: tuple[int, ...] | None = None) -> None:
        self.n_t = 0
        self.path = path
        chunk = (t_chunk, 1, 1, SIZE, SIZE)
        self._array = stores.create_array(path, (1, 1, 1, SIZE, SIZE), chunk=chunk, shard=shard)

    def add(self, value: int) -> None:
        self.n_t += 1
        self._array = self._array.resize(exclusive_max=[self.n_t, 1, 1, SIZE, SIZE]).result()
        self._array[self.n_t - 1].write(np.broadcast_to(grey(value), (1, 1, SIZE, SIZE))).result()


def no_look_is_under_way() -> bool:
    return all(each.name != "ndviewer-look" for each in threading.enumerate())


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
    """What each plane is by all that tell it: the picture, the overview, the report, and one by one."""
    n = dataset.sizes
    keys = [PlaneKey(t, p, c) for t in range(n["t"]) for p in range(n["p"]) for c in range(n["c"])]
    dataset.take_changes()
    pictures = [plane.state for plane in dataset.planes(keys, wait=None)]
    small = [plane.state for plane in dataset.thumbnails(keys)]
    blocks = dataset.report().blocks
    counted = [CODED[blocks[key.p][key.t, key.c, key.z] - 1] for key in keys]
    one_by_one = [dataset.state(key) for key in keys]
    told = zip(pictures, small, counted, one_by_one, strict=True)
    return {key: set(each) for key, each in zip(keys, told, strict=True)}


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


# ---- what is not whole yet ---------------------------------------------------------------------------


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


def test_of_a_dataset_opened_between_two_planes_of_a_time_point_the_second_is_pending(tmp_path, followed):
    array = stores.create_array(tmp_path / "a.zarr", (1, 2, 1, SIZE, SIZE))
    array[0, 0].write(grey(1)[None]).result()
    dataset = followed(tmp_path / "a.zarr")
    assert shown(dataset, PlaneKey(c=1)) is PlaneState.PENDING
    array[0, 1].write(grey(2)[None]).result()
    assert wait_for(dataset, PlaneKey(c=1), 2) <= {PlaneState.PENDING, PlaneState.LOADING}


def test_torn_metadata_and_half_a_chunk_are_waited_for(tmp_path, followed):
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
    target.write_bytes(chunk.read_bytes())
    assert wait_for(dataset, PlaneKey(t=2), 2) <= {PlaneState.PENDING, PlaneState.UNREADABLE}


def test_growth_that_a_read_finds_before_any_look_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(look_schedule, "SHORTEST_SECONDS", 1e6)  # one look, when it is opened
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    with open_dataset(growing.path, follow=True) as dataset:
        assert wait_for(dataset, PlaneKey(), 1) <= {PlaneState.LOADING}
        assert not dataset.is_being_written
        growing.add(2)
        wait_for(dataset, PlaneKey(t=1), 2)
        assert dataset.is_being_written


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
        return sleep(seconds)

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
        return any("Unreachable since" in warning for warning in dataset.info.warnings)

    growing.path.rename(tmp_path / "elsewhere")
    wait_until(said)
    assert shown(dataset, PlaneKey()) == 1
    (tmp_path / "elsewhere").rename(growing.path)
    wait_until(lambda: not said())
    growing.path.rename(tmp_path / "elsewhere")
    wait_until(said)
    dataset.set_following(False)  # no look will find it
    wait_until(no_look_is_under_way)
    (tmp_path / "elsewhere").rename(growing.path)
    dataset.refresh()
    assert not said()


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
        wait_until(no_look_is_under_way)
        growing.add(4)
        for change in dataset.changes(timeout=0.5):
            assert change.info.n_t == 3
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


def test_paused_nothing_changes_until_it_goes_on(tmp_path, followed):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    dataset = followed(growing.path)
    assert shown(dataset, PlaneKey()) == 1
    dataset.set_following(False)
    assert dataset.following is Following.PAUSED
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
        return dataset.following is Following.FINISHED

    wait_until(is_finished)
    assert clock.now < 1060


# ---- on servers --------------------------------------------------------------------------------------


def test_a_dataset_on_a_server_is_followed_with_few_requests_and_without_opening_it_again(tmp_path, server):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    with open_dataset(server.url("a.zarr"), follow=True, storage_options={"disk_cache": "no"}) as dataset:
        assert shown(dataset, PlaneKey()) == 1
        before = len(server.log())
        source = dataset._source
        for _ in range(3):
            assert source.look() is source.look()
        assert len(server.log()) - before <= 12
        growing.add(2)
        wait_for_size(dataset, "t", 2)
        wait_for(dataset, PlaneKey(t=1), 2)


def chunks_asked(server, seen: int) -> list[dict[str, Any]]:
    return [entry for entry in server.log()[seen:] if "/c/" in entry["path"]]


def is_read_no_more(server, answers: Collection[int] = (200,)) -> bool:
    """A plane whose version was not known, or that was written just before, is read again once to compare."""
    seen = len(server.log())
    time.sleep(0.7)
    return not [entry for entry in chunks_asked(server, seen) if entry["what"] in answers]


@pytest.mark.parametrize("behaviour", [{}, {"etags": False}, {"conditional": False}], ids=str)
def test_on_a_server_only_what_has_changed_is_sent_again_and_a_rewritten_plane_is_shown(
    tmp_path, server, behaviour
):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    for file in growing.path.rglob("*"):
        os.utime(file, (time.time() - 3600, time.time() - 3600))
    server.set(**behaviour)
    with open_dataset(server.url("a.zarr"), follow=True, storage_options={"disk_cache": "no"}) as dataset:
        key, source = PlaneKey(), dataset._source
        assert shown(dataset, key) == 1
        if not behaviour:
            wait_until(lambda: is_read_no_more(server, (200, 206)))
        source.look()
        (version,) = source.versions_in_view([key])
        before = server.counts()["bytes"], len(server.log())
        assert source.look() is source.look()
        assert source.versions_in_view([key]) == [version]
        answers = [entry["what"] for entry in server.log()[before[1] :] if entry["what"] != 404]
        assert len(answers) >= 3
        if behaviour.get("conditional", True):
            assert set(answers) == {304}
            assert server.counts()["bytes"] == before[0]
        growing._array[0].write(grey(7)).result()
        wait_for(dataset, key, 7)
        wait_until(lambda: is_read_no_more(server))


def test_a_server_that_tells_no_versions_is_followed_by_its_metadata(tmp_path, server):
    growing = GrowingZarr(tmp_path / "a.zarr")
    growing.add(1)
    server.set(etags=False, dates=False)
    with open_dataset(server.url("a.zarr"), follow=True, storage_options={"disk_cache": "no"}) as dataset:
        assert shown(dataset, PlaneKey()) == 1
        growing.add(2)
        wait_for_size(dataset, "t", 2)
        wait_for(dataset, PlaneKey(t=1), 2)


@pytest.mark.parametrize("kind", ["nd2", "hdf5"])
def test_a_file_on_a_server_is_asked_whether_it_has_changed_without_its_bytes(tmp_path, server, kind):
    if kind == "nd2":
        pytest.importorskip("nd2")
        write_nd2(tmp_path / "a.nd2", lambda i: grey(i + 1), [time_loop(3)])
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["images"] = np.ones((3, SIZE, SIZE), np.uint16)
    source = open_source(server.url("a.nd2" if kind == "nd2" else "a.h5"), {"disk_cache": "no"})
    try:
        before = server.counts()
        assert source.look() is source.look()
        after = server.counts()
        assert after["bytes"] == before["bytes"]
        assert after["requests"] - before["requests"] == 2
    finally:
        source.close()


# ---- planes in memory --------------------------------------------------------------------------------


def test_a_plane_in_memory_that_was_written_while_out_of_view_is_not_shown_as_it_was(tmp_path, followed):
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
    dataset = followed(tmp_path / "a.zarr")
    first, second = PlaneKey(), PlaneKey(t=1)
    for key, value in ((first, 1), (second, 2)):
        assert shown(dataset, key) == value
    dataset._follower.look_if_due = lambda beyond, now: None
    wait_until(no_look_is_under_way)
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
        assert asked == [[second]], "one question at a time"
    finally:
        answer.set()
