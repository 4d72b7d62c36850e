"""Shares that answer slowly: what is known is not asked again, and what has to be asked is asked together."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from follow_disk import GrowingZarr
from memory_source import MemorySource, memory_info, wait_until

from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.newest_places import NewestWanted, Place
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.images.listing import FolderWalk
from ndviewer_light.sources.tiff import folders, side_files
from ndviewer_light.sources.zarr import stored_planes
from ndviewer_light.storage import asked_together as asking
from ndviewer_light.storage import watched_folders
from ndviewer_light.storage.activity import newest_write
from ndviewer_light.storage.asked_together import asked_at_once, asked_together
from ndviewer_light.storage.file_clock import FILE_CLOCK
from ndviewer_light.storage.trees import recording
from tests.live_writers.registry import WRITERS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
HUNG_S = 60  # how long what never comes is waited for before the test fails


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was slow lately."""
    monkeypatch.setattr(asking, "_slow_until", float("inf"))


# ---- questions ------------------------------------------------------------------------------------


def test_a_disk_that_was_slow_is_asked_together_from_the_first_question_on(slow) -> None:
    together = threading.Barrier(8)
    assert asked_together(lambda _: together.wait(HUNG_S) >= 0, range(8)) == [True] * 8


def test_a_disk_that_is_quick_again_is_asked_one_by_one(slow) -> None:
    def asked_here() -> bool:
        return set(asked_together(lambda _: threading.get_ident(), range(4))) == {threading.get_ident()}

    assert not asked_here()
    wait_until(asked_here)


def test_the_first_error_in_order_is_raised(slow) -> None:
    def ask(question: int) -> int:
        if question in (3, 5):
            raise OSError(question)
        return question

    with pytest.raises(OSError, match="3"):
        asked_together(ask, range(8))


def test_no_more_is_asked_after_an_error() -> None:
    asked: list[int] = []

    def ask(question: int) -> int:
        asked.append(question)
        raise OSError(question)

    with pytest.raises(OSError, match="0"):
        asked_at_once(ask, range(1000), 2, "test-asking")
    assert len(asked) < 1000
    assert asked_at_once(str, range(5), 2, "test-asking") == ["0", "1", "2", "3", "4"]
    assert asked_at_once(str, (), 2, "test-asking") == []


# ---- a look ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tensorstore-v2", "tensorstore-v3"])
def test_a_look_asks_about_each_file_once_and_reads_once_what_has_changed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ome.zarr"
    writer = WRITERS[name].make(path, WRITERS[name].plan(2))
    writer.begin()
    writer.write((0, 0, 0, 0), np.ones((192, 192), np.uint16))
    source = open_source(str(path))
    source.follow()
    source.read_plane(PlaneKey())
    wait_until(lambda: all(FILE_CLOCK.age_s(newest_write(str(each))) > 0.1 for each in (path, path / "0")))
    source.look()
    assert source.info.n_t == 1
    writer.write((1, 0, 0, 0), np.ones((192, 192), np.uint16))
    asked: Counter[str] = Counter()
    read: Counter[str] = Counter()
    ask, read_file = recording.status_of, recording.read_versioned_file
    monkeypatch.setattr(recording, "status_of", lambda path: asked.update([path]) or ask(path))
    monkeypatch.setattr(
        recording,
        "read_versioned_file",
        lambda path, *others: read.update([path]) or read_file(path, *others),
    )
    source.look()
    assert source.info.n_t == 2
    source.close()
    assert asked
    assert set(asked.values()) == {1}
    assert read == {str(path / "0" / (".zarray" if name.endswith("2") else "zarr.json")): 1}


def test_planes_of_which_each_is_a_file_are_looked_for_together(tmp_path, monkeypatch, slow) -> None:
    growing = GrowingZarr(tmp_path / "run")
    for value in range(1, 5):
        growing.add(value)
    source = open_source(str(growing.path))
    source.read_plane(PlaneKey())
    together, is_there = threading.Barrier(4), stored_planes.is_there
    monkeypatch.setattr(stored_planes, "is_there", lambda path: together.wait(HUNG_S) >= 0 and is_there(path))
    assert source.are_stored([PlaneKey(t) for t in range(4)]) == [True] * 4
    source.close()


class SlowToLook(MemorySource):
    """Its first look takes long; later ones end once it was asked for versions meanwhile."""

    def __init__(self) -> None:
        super().__init__(memory_info(n_t=2))
        self.n_looks = 0
        self.was_asked = threading.Event()
        self.is_in_vain = False

    def look(self):
        self.n_looks += 1
        if self.n_looks == 1:
            threading.Event().wait(0.2)
        elif self.n_looks > 1:
            self.is_in_vain |= not self.was_asked.wait(HUNG_S)
        self.was_asked.clear()
        return self.info

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        self.was_asked.set()
        return super().versions_in_view(keys, level)

    def close(self) -> None:
        super().close()
        self.was_asked.set()


def test_planes_in_view_are_asked_for_while_a_slow_look_goes_on() -> None:
    source = SlowToLook()
    source.write((0, 0, 0, 0), 1)
    with Dataset(source, path="/data/run", follow=True) as dataset:
        dataset.planes([PlaneKey()], wait=None)

        def has_looked() -> bool:
            dataset.take_changes()
            return source.n_looks > 2

        wait_until(has_looked)
    assert not source.is_in_vain


# ---- the newest plane, and how many there are -----------------------------------------------------


class TwoAtATime(MemorySource):
    """Of two channels; answers of both, and reads both, only at the same time."""

    def __init__(self) -> None:
        super().__init__(memory_info(n_t=3, n_c=2))
        self.asked: list[int] = []
        self.together = threading.Barrier(2)

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        self.asked.append(len(keys))
        return [tuple(key) in self.stored for key in keys]

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        self.together.wait(HUNG_S)
        return super().read_plane(key, level)


def test_all_channels_of_the_newest_place_are_asked_for_and_read_together(tmp_path) -> None:
    source = TwoAtATime()
    for t in range(3):
        for c in range(2):
            source.write((t, 0, c, 0), 1)
    with Dataset(source, path=str(tmp_path), follow=True) as dataset:
        wanted = NewestWanted(None, None, 0, (0, 1))
        wait_until(lambda: dataset.newest(wanted) == Place(2, 0, 0))
    assert source.asked
    assert set(source.asked) == {2}


class Counted(MemorySource):
    """Notes which planes it was asked about."""

    def __init__(self) -> None:
        super().__init__(memory_info(n_t=100, n_p=1, n_c=1, n_z=1))
        self.asked: list[PlaneKey] = []

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        self.asked += keys
        return [tuple(key) in self.stored for key in keys]


def test_what_there_is_no_time_to_count_is_counted_later() -> None:
    """Of a slow share a count has time for some of the planes: the next one goes on."""
    source = Counted()
    for t in range(90):
        source.write((t, 0, 0, 0), 1)
    with Dataset(source, path="/data/run") as dataset:

        def count(n_batches: int) -> int | None:
            enough = len(source.asked) + n_batches * 16
            return dataset.count_stored(HUNG_S, lambda: len(source.asked) >= enough)

        assert count(1) is None
        assert count(1) is None
        assert count(100) == 90
        assert len(set(source.asked[:100])) == 100, "each is asked for once before any is asked for again"
        source.write((95, 0, 0, 0), 1)
        assert count(1) == 91, "what was missing comes first"
        del source.stored[95, 0, 0, 0], source.stored[89, 0, 0, 0]
        assert count(100) == 89, "in the end the others, which may be gone"


# ---- folders --------------------------------------------------------------------------------------


@pytest.fixture
def always_slow(slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it answers, the disk is taken to be slow."""
    monkeypatch.setattr(asking, "_SLOW_S", -1.0)


def write_folders(root: Path, names: str, n: int) -> None:
    """One folder for each time point, with two images."""
    for t in range(n):
        folder = root / names.format(t)
        folder.mkdir(parents=True, exist_ok=True)
        for channel in ("405", "488"):
            tifffile.imwrite(folder / f"A1_0_0_{channel}.tiff", np.full((8, 8), t, np.uint16))


@pytest.mark.parametrize(
    ("names", "where", "lists"),
    [
        pytest.param("t{:03d}/at", FolderWalk, "in_folder", id="of any program"),
        pytest.param("{}", folders, "_names_in", id="Squid's"),
    ],
)
def test_folders_of_images_are_listed_together(
    names: str, where: object, lists: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always_slow
) -> None:
    n = 8
    write_folders(tmp_path, names, n)
    inner = {names.format(t) for t in range(n)}
    together, list_one = threading.Barrier(n), getattr(where, lists)
    waited: list[str] = []

    def listed(*walk_and_folder):
        name = os.path.relpath(os.path.join(tmp_path, walk_and_folder[-1]), tmp_path)
        if name in inner:
            together.wait(HUNG_S)
            waited.append(name)
        return list_one(*walk_and_folder)

    monkeypatch.setattr(where, lists, listed)
    source = open_source(str(tmp_path))
    assert set(waited) == inner
    assert [source.read_plane(PlaneKey(t)).max() for t in range(n)] == list(range(n))
    source.close()


def test_what_is_listed_together_is_in_order_and_ends_at_the_limit(tmp_path: Path, always_slow) -> None:
    expected = []
    for i, j in itertools.product(range(3), range(70)):
        folder = tmp_path / f"{i}" / f"{j}"
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
        expected.append(f"{i}/{j}/a.png")
    (tmp_path / "1" / "b.png").touch()
    expected.insert(70, "1/b.png")
    within = [f"{i}/" for i in range(3)]
    found = FolderWalk(str(tmp_path)).names_in(within, 3)
    assert sorted(found) == sorted(expected)
    assert [name[0] for name in found] == [name[0] for name in expected]
    assert found[70] == "1/b.png", "those in a folder come before those in folders in it"
    assert FolderWalk(str(tmp_path)).names_in(within, 0) == ["1/b.png"]
    few = FolderWalk(str(tmp_path), 100).names_in(within, 3)
    assert 100 < len(few) < 211


def test_folders_that_are_followed_are_asked_and_listed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always_slow
) -> None:
    write_folders(tmp_path, "t{:03d}", 4)
    source = open_source(str(tmp_path))
    source.follow()
    together, version_of = threading.Barrier(5), watched_folders.version_of  # with the one around them
    asked: list[str] = []

    def version_together(path: str) -> str:
        together.wait(HUNG_S)
        asked.append(path)
        return version_of(path)

    with monkeypatch.context() as patched:
        patched.setattr(watched_folders, "version_of", version_together)
        source.look()
    assert len(asked) == 2 * len(set(asked)) == 10, "once whether it has changed, once as it is listed"
    assert source.info.n_t == 4
    write_folders(tmp_path, "t{:03d}", 5)
    wait_until(lambda: source.look() is not None and source.info.n_t == 5)
    source.close()


def test_files_beside_images_are_not_asked_for_at_each_look_and_none_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folders(tmp_path, "{}", 1)
    source = open_source(str(tmp_path))
    source.follow()
    asked, version_of = set[str](), side_files.version_of
    monkeypatch.setattr(side_files, "version_of", lambda path: asked.add(path) or version_of(path))

    def is_found(pixel_um: float | None, n_t: int) -> bool:
        source.look()
        return (source.info.pixel_size_um, source.info.n_t) == (pixel_um, n_t)

    with monkeypatch.context() as slow_to_answer:
        slow_to_answer.setattr(side_files, "_RESTS_OF_CHANGED", 1e9)
        slow_to_answer.setattr(side_files, "_RESTS_OF_OTHERS", 1e9)
        write_folders(tmp_path, "{}", 3)
        wait_until(lambda: is_found(None, 3))
        assert asked == {str(tmp_path), str(tmp_path / "0")}, "only whether the folders have changed"
    parameters = tmp_path / "acquisition_parameters.json"
    parameters.write_text('{"pixel_size_um": 0.5}')
    wait_until(lambda: is_found(0.5, 3))
    parameters.write_text('{"pixel_size_um": 0.25}')  # of which its folder tells nothing
    wait_until(lambda: is_found(0.25, 3))
    source.close()
