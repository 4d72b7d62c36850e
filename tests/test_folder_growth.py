"""Folders of images that grow: what one look costs, and that it finds what a listing would."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
import tiffs
from memory_source import TIMEOUT, wait_until
from PIL import Image

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.images import growth
from ndviewer_light.sources.images.source import ImagesSource
from ndviewer_light.sources.tiff import folders
from ndviewer_light.sources.tiff.source import TiffSource
from ndviewer_light.storage import watched_folders
from ndviewer_light.storage.file_versions import version_of
from ndviewer_light.storage.watched_folders import WatchedFolders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def save(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


@pytest.fixture
def listed(monkeypatch) -> list[str]:
    """The folders that are listed, each time."""
    folders: list[str] = []
    list_folder = growth.names_in_folder

    def noted(root: str, folder: str) -> tuple[set[str], list[str]]:
        folders.append(folder)
        return list_folder(root, folder)

    monkeypatch.setattr(growth, "names_in_folder", noted)
    return folders


@pytest.fixture
def costly(monkeypatch) -> None:
    """Listing a folder costs so much that it is not listed a second time."""
    monkeypatch.setattr(watched_folders, "LISTING_SHARE", 1e-9)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[ImagesSource]:
    source = ImagesSource.open(str(path))
    try:
        yield source
    finally:
        source.close()


SIZES = {"t": 3, "p": 2, "c": 2, "z": 3}
NAMES = {
    "flat": ("img_t{t:03d}_p{p}_{c}_z{z:02d}.png", ("DAPI", "GFP")),
    "folders": ("t{t}/pos{p}/ch{c}/z{z}.png", ("0", "1")),
}


@pytest.mark.parametrize("order", ["tpzc", "ptcz", "zctp"])
@pytest.mark.parametrize("names", NAMES)
def test_the_next_files_are_found_by_name_whatever_the_order_they_are_written_in(
    tmp_path, names, order, listed, costly
):
    template, channels = NAMES[names]
    indices = [
        dict(zip(order, at, strict=True)) for at in itertools.product(*(range(SIZES[axis]) for axis in order))
    ]
    files = [tmp_path / template.format(**{**at, "c": channels[at["c"]]}) for at in indices]
    # all that tells what a name means is there: the rest of the inner loops, and one of the outer ones
    n_before = len(files) - len(files) // SIZES[order[0]] + 1
    for i, file in enumerate(files[:n_before]):
        save(file, i)
    with opened(tmp_path) as source:
        source.look()
        listed.clear()
        for i, file in enumerate(files[n_before:], n_before):
            save(file, i)
            source.look()
            at = indices[i]
            key = PlaneKey(**at)
            assert source.info.contains(key) and source.exists(key), f"{file} was not found"
            assert source.read_plane(key)[0, 0] == i
        assert {folder for folder in listed if os.path.isfile(files[0].parent / folder)} == set()
        assert listed.count("") == 0, "the folder was listed again"


def test_the_only_channel_is_white_until_there_is_another(tmp_path):
    save(tmp_path / "img_t0_c0.png", 1)
    with opened(tmp_path) as source:
        assert [channel.color for channel in source.info.channels] == ["#FFFFFF"]
        for t, c in ((0, 1), (1, 0), (1, 1)):
            save(tmp_path / f"img_t{t}_c{c}.png", 1)
            source.refresh()
        found = [channel.color for channel in source.info.channels]
    with opened(tmp_path) as again:
        assert [channel.color for channel in again.info.channels] == found


@pytest.mark.parametrize(
    "first", [[(0, "DAPI")], [(3, "DAPI"), (4, "DAPI")]], ids=["in order", "late ones first"]
)
def test_a_channel_that_comes_later_is_one_more_and_known_planes_stay(tmp_path, first):
    def at(t: int, channel: str) -> Path:
        return tmp_path / f"frame{t}_{channel}.png"

    rest = [(t, channel) for t in range(5) for channel in ("DAPI", "GFP") if (t, channel) not in first]
    for t, channel in first:
        save(at(t, channel), 10 * t + len(channel))
    with opened(tmp_path) as source:
        for t, channel in rest:
            save(at(t, channel), 10 * t + len(channel))
            source.refresh()
        info = source.info
        assert [channel.name for channel in info.channels] == ["DAPI", "GFP"]
        times = info.times or tuple(range(info.n_t))
        assert sorted(times) == list(range(5))
        assert list(times[: len(first)]) == [t for t, _ in first]
        for t, c in itertools.product(range(5), range(2)):
            key = PlaneKey(t=times.index(t), c=c)
            assert source.read_plane(key)[0, 0] == 10 * t + len(info.channels[c].name)


def test_files_that_do_not_come_next_are_found_by_listing_and_those_after_them_by_name(tmp_path, listed):
    for t in range(3):
        save(tmp_path / f"img_t{t}.png", t)
    with opened(tmp_path) as source:
        source.look()
        listed.clear()
        save(tmp_path / "img_t7.png", 7)
        while source.look().n_t < 4:
            time.sleep(0.005)
        assert listed
        assert source.info.times == (0, 1, 2, 7)
        save(tmp_path / "img_t12.png", 12)  # as far from the last as that from the one before
        save(tmp_path / "img_t13.png", 13)
        source.look()
        assert source.info.times == (0, 1, 2, 7, 12, 13)
        assert source.read_plane(PlaneKey(t=5))[0, 0] == 13


def test_what_only_later_names_tell_apart_is_told_by_all_names(tmp_path):
    """Of 09_58 and 10_03 the first number is enough; of 10_08 it is not. Planes stay where they are."""
    times = ("09_58", "10_03", "10_08", "10_13", "11_18")
    for i, name in enumerate(times[:2]):
        save(tmp_path / f"exp_{name}.png", i)
    with opened(tmp_path) as source:
        for i, name in enumerate(times[2:], 2):
            save(tmp_path / f"exp_{name}.png", i)
            source.refresh()
            assert [int(source.read_plane(PlaneKey(t))[0, 0]) for t in range(source.info.n_t)] == [
                *range(i + 1)
            ]
        (warning,) = source.info.warnings
        assert "pairs of numbers" in warning and "exp_{t:d}_{z:d}" in warning
        assert source.info.interpretations


def test_of_many_folders_only_those_that_changed_are_listed_and_few_are_asked(tmp_path, listed, monkeypatch):
    n = 300
    for t in range(n):
        save(tmp_path / f"t{t:03d}" / "z0.png", 1)
        os.link(tmp_path / f"t{t:03d}" / "z0.png", tmp_path / f"t{t:03d}" / "z1.png")
    stores.make_old(tmp_path)  # of what has just been written nobody knows whether it is written again
    with opened(tmp_path) as source:
        while not {f"t{t:03d}/" for t in range(n)} <= set(listed):
            source.look()
        asked: list[str] = []
        version_of = watched_folders.version_of

        def noted(path: str) -> str:
            asked.append(path)
            return version_of(path)

        monkeypatch.setattr(watched_folders, "version_of", noted)
        for _ in range(2 * (n // 64 + 1)):
            listed.clear()
            asked.clear()
            source.look()
        assert not listed
        assert len(asked) <= 130
        save(tmp_path / f"t{n}" / "other.png", 1)  # nothing that comes next
        save(tmp_path / f"t{n}" / "z0.png", 1)
        while source.look().n_t < n + 1:
            time.sleep(0.005)
        save(tmp_path / "t000" / "z2.png", 1)  # in a folder that is asked in turn
        deadline = time.monotonic() + TIMEOUT
        while source.look().n_z < 3:  # when that is depends on how long listing takes
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_a_folder_is_listed_by_its_share_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watched_folders.time, "monotonic", lambda: now[0])
    watched = WatchedFolders()
    watched.add(str(tmp_path))
    assert watched.changed() == [str(tmp_path)]
    assert watched.may_list(str(tmp_path))
    with watched.listing(str(tmp_path)):
        now[0] += 1.0
    (tmp_path / "new").touch()
    assert watched.changed() == [str(tmp_path)]
    assert not watched.may_list(str(tmp_path))
    now[0] += 1 / watched_folders.LISTING_SHARE
    assert watched.may_list(str(tmp_path))


def test_what_changed_within_the_tick_of_its_clock_may_change_again(tmp_path):
    now = int(time.time())
    for changed_ns, is_settled in (
        ((now - 1) * 10**9, False),  # whole seconds: a share, FAT
        ((now - 1) * 10**9 + 1, True),
        ((now - 5) * 10**9, True),
    ):
        os.utime(tmp_path, ns=(changed_ns, changed_ns))
        assert (version_of(str(tmp_path)) == version_of(str(tmp_path))) is is_settled


@contextlib.contextmanager
def listed_in_vain_once(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """As a share fails that is out of reach for a moment."""
    scandir, failures = os.scandir, [OSError(errno.EIO, "Input/output error")]

    def fails_once(path: str) -> object:
        if failures and os.path.normpath(path) == str(folder):
            raise failures.pop()
        return scandir(path)

    with monkeypatch.context() as failing:
        failing.setattr(os, "scandir", fails_once)
        yield
    assert not failures


def test_what_could_not_be_listed_for_a_moment_is_listed_at_the_next_look(tmp_path, monkeypatch):
    monkeypatch.setattr(watched_folders, "LISTING_SHARE", 1e9)  # nothing has to wait
    for name in ("img_t0.png", "img_t1.png"):
        save(tmp_path / "flat" / name, 1)
    with opened(tmp_path / "flat") as source:
        save(tmp_path / "flat" / "img_t2.png", 1)  # found by name, before the folder is listed
        stores.make_old(tmp_path / "flat")
        with (
            listed_in_vain_once(monkeypatch, tmp_path / "flat"),
            pytest.raises(DatasetError, match="Input/output"),
        ):
            source.look()
        assert source.look().n_t == 3
    for t, z in itertools.product(range(2), range(2)):
        save(tmp_path / "inner" / f"t{t}" / f"z{z}.png", 1)
    with opened(tmp_path / "inner") as source:
        save(tmp_path / "inner" / "t1" / "z7.png", 1)
        stores.make_old(tmp_path / "inner")
        with listed_in_vain_once(monkeypatch, tmp_path / "inner" / "t1"):
            assert source.look().n_z == 2
        assert source.look().n_z == 3


def test_of_files_that_were_there_none_is_gone_while_their_folder_cannot_be_listed(tmp_path, monkeypatch):
    n = watched_folders.WORTH_LISTING
    for t in range(n):
        save(tmp_path / f"img_t{t}.png", 1)
    monkeypatch.setattr(watched_folders, "LISTING_SHARE", 1e9)  # nothing has to wait
    with opened(tmp_path) as source:
        keys = [PlaneKey(t) for t in range(n)]
        with listed_in_vain_once(monkeypatch, tmp_path):
            assert source.are_stored(keys) == [True] * n
        (tmp_path / "img_t3.png").unlink()
        stores.make_old(tmp_path)
        wait_until(lambda: source.are_stored(keys) == [t != 3 for t in range(n)])


# ---- Squid's folders ---------------------------------------------------------------------------------


def test_the_next_positions_of_squids_images_are_found_by_name_and_only_what_changed_is_listed(
    tmp_path, costly, monkeypatch
):
    scanned: list[str] = []
    scandir = os.scandir

    def noted(path: str) -> object:
        scanned.append(os.path.relpath(path, tmp_path))
        return scandir(path)

    channels = ("BF", "GFP")
    tiffs.write_experiment(tmp_path, {"A1": 3, "B12": 2}, channels)

    def write(t: int, region: str, fov: int) -> None:
        for z, channel in itertools.product(range(2), channels):
            tiffs.write_image(
                tiffs.image_path(tmp_path, t, region, fov, z, channel), np.full((8, 8), 1, np.uint16)
            )

    write(0, "A1", 0)
    with contextlib.closing(TiffSource.open(str(tmp_path))) as source:
        time.sleep(0.06)
        source.look()
        assert source.look() is source.look(), "nothing has changed"
        monkeypatch.setattr(folders.os, "scandir", noted)
        for n, (region, fov) in enumerate((("A1", 1), ("A1", 2), ("B12", 0), ("B12", 1)), 2):
            write(0, region, fov)
            source.look()
            assert len(source.info.positions) == n
            assert source.info.positions[-1].label == f"{region}:{fov}"
        assert not scanned
        write(1, "A1", 0)
        source.refresh()
        assert source.info.n_t == 2
        assert source.exists(PlaneKey(t=1))


def test_time_points_stay_in_order_if_the_next_one_is_made_while_folders_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(watched_folders, "LISTING_SHARE", 1e9)  # nothing has to wait
    tiffs.write_experiment(tmp_path, {"A1": 1}, ("BF",))

    def write(t: int) -> None:
        tiffs.write_image(tiffs.image_path(tmp_path, t, "A1", 0, 0, "BF"), np.full((8, 8), t, np.uint16))

    write(0)
    with contextlib.closing(TiffSource.open(str(tmp_path))) as source:
        (tmp_path / "1").mkdir()
        time.sleep(0.06)  # within the tick of its clock it counts as changed
        source.look()
        assert source.info.n_t == 1
        (tmp_path / "2").mkdir()
        folders_of = folders.folders_of

        def written_meanwhile(kind: folders.FolderKind) -> list[tuple[int, str]]:
            write(1)
            write(2)
            write(4)
            return folders_of(kind)

        monkeypatch.setattr(folders, "folders_of", written_meanwhile)
        source.look()
        assert source.info.times == (0, 1, 2, 4)
        assert [source.read_plane(PlaneKey(t=t))[0, 0] for t in range(4)] == [0, 1, 2, 4]


@pytest.mark.parametrize("axis", ["t", "z"])
@pytest.mark.parametrize("isolate", [False, True])
def test_files_that_come_in_any_order_are_in_their_own_once_no_more_come(tmp_path, axis, isolate):
    """As they are extracted from an archive, or written by several threads."""
    order = [3, 0, 7, 5, 1, 6, 2, 4]

    def add(n: int) -> None:
        tifffile.imwrite(tmp_path / f"img_{axis}{n:03d}.tif", np.full((16, 20), n + 1, np.uint16))

    add(order[0])
    with open_dataset(tmp_path, follow=True, isolate=isolate) as dataset:
        for i, n in enumerate(order[1:], 2):
            add(n)
            assert dataset.refresh().sizes[axis] == i

        def values() -> list[int]:
            dataset.take_changes()
            keys = [PlaneKey(**{axis: i}) for i in range(len(order))]
            pixels = [plane.pixels for plane in dataset.planes(keys, wait=None)]
            return [0 if each is None else int(each[0, 0]) for each in pixels]

        assert values() != sorted(values())
        wait_until(lambda: values() == [n + 1 for n in range(len(order))])
        assert dataset.info.is_completed and dataset.info.generation == 1
        assert any(
            "more of it is there than when it was opened; showing all" in each
            for each in dataset.info.warnings
        )
