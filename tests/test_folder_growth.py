"""Folders of images that grow: what one look costs, and that it finds what a listing would."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.images import growth
from ndviewer_light.sources.images.source import ImagesSource
from ndviewer_light.storage import watched_folders
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


def test_files_that_do_not_come_next_are_found_by_listing_and_those_after_them_by_name(tmp_path, listed):
    for t in range(3):
        save(tmp_path / f"img_t{t}.png", t)
    with opened(tmp_path) as source:
        source.look()
        listed.clear()
        save(tmp_path / "img_t7.png", 7)
        source.look()
        assert listed == [""]
        assert source.info.times == (0, 1, 2, 7)
        save(tmp_path / "img_t12.png", 12)  # as far from the last as that from the one before
        save(tmp_path / "img_t13.png", 13)
        source.look()
        assert source.info.times == (0, 1, 2, 7, 12, 13)
        assert source.read_plane(PlaneKey(t=5))[0, 0] == 13


def test_of_many_folders_only_those_that_changed_are_listed_and_few_are_asked(tmp_path, listed, monkeypatch):
    n = 300
    for t in range(n):
        save(tmp_path / f"t{t:03d}" / "z0.png", 1)
        os.link(tmp_path / f"t{t:03d}" / "z0.png", tmp_path / f"t{t:03d}" / "z1.png")
    with opened(tmp_path) as source:
        while not {f"t{t:03d}/" for t in range(n)} <= set(listed):
            source.look()
        asked: list[str] = []
        version_of = watched_folders.version_of

        def noted(path: str) -> str:
            asked.append(path)
            return version_of(path)

        monkeypatch.setattr(watched_folders, "version_of", noted)
        listed.clear()
        time.sleep(0.06)  # of what has just been written nobody knows whether it is written again
        while "" in listed or not asked:
            listed.clear()
            asked.clear()
            source.look()
        assert len(asked) <= 130
        save(tmp_path / f"t{n}" / "other.png", 1)  # nothing that comes next
        save(tmp_path / f"t{n}" / "z0.png", 1)
        source.look()
        assert source.info.n_t == n + 1
        save(tmp_path / "t000" / "z2.png", 1)  # in a folder that is asked in turn
        for _ in range(n // 64 + 2):
            source.look()
        assert source.info.n_z == 3
        source.refresh()


def test_a_folder_is_listed_by_its_share_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watched_folders.time, "monotonic", lambda: now[0])
    folders = WatchedFolders()
    folders.add(str(tmp_path))
    assert folders.changed() == [str(tmp_path)]
    assert folders.may_list(str(tmp_path))
    with folders.listing(str(tmp_path)):
        now[0] += 1.0
    (tmp_path / "new").touch()
    assert folders.changed() == [str(tmp_path)]
    assert not folders.may_list(str(tmp_path))
    now[0] += 1 / watched_folders.LISTING_SHARE
    assert folders.may_list(str(tmp_path))
