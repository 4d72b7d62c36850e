"""Files that are deleted, and folders that are out of reach, while their dataset is open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
from memory_source import wait_until

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetGoneError
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources.images import files_there
from ndviewer_light.sources.missing import NO_LONGER_THERE
from ndviewer_light.storage.watched_folders import WatchedFolders
from tests.image_files import picture, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 16
PRESENT, ABSENT, FILLED = PlaneState.PRESENT, PlaneState.ABSENT, PlaneState.FILLED
UNKNOWN, UNREADABLE = PlaneState.UNKNOWN, PlaneState.UNREADABLE

Written = tuple["Path", "Path"]  # what is opened, and the file of its third time point


def images(folder: Path) -> Written:
    for t in range(4):
        write(folder / f"img_t{t:03}.png", picture(t + 1))
    return folder, folder / "img_t002.png"


def images_in_folders(folder: Path) -> Written:
    for t in range(4):
        (folder / f"time{t}").mkdir()
        write(folder / f"time{t}" / "BF.png", picture(t + 1))
    return folder, folder / "time2" / "BF.png"


def squid(folder: Path) -> Written:
    for t in range(4):
        (folder / str(t)).mkdir()
        tifffile.imwrite(folder / str(t) / "manual_0_0_BF.tiff", np.full((SIZE, SIZE), t + 1, "u2"))
    return folder, folder / "2" / "manual_0_0_BF.tiff"


def ome_set(folder: Path) -> Written:
    data = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="s{t}.ome.tif">urn:uuid:{t}</UUID></TiffData>'
        for t in range(4)
    )
    said = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{t}">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="{SIZE}" '
        f'SizeY="{SIZE}" SizeZ="1" SizeC="1" SizeT="4"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        "{data}</Pixels></Image></OME>"
    )
    for t in range(4):
        pixels = np.full((SIZE, SIZE), t + 1, "u2")
        description = said.format(t=t, data=data)
        tifffile.imwrite(folder / f"s{t}.ome.tif", pixels, description=description, metadata=None)
    return folder / "s0.ome.tif", folder / "s2.ome.tif"


def zarr(folder: Path) -> Written:
    array = stores.create_array(folder / "a.zarr", (4, 1, 1, SIZE, SIZE), chunk=(1, 1, 1, SIZE, SIZE))
    for t in range(4):
        array[t].write(np.full((1, 1, SIZE, SIZE), t + 1, "u2")).result()
    return folder / "a.zarr", stores.chunk_files(folder / "a.zarr")[2]


KINDS: dict[str, Callable[[Path], Written]] = {
    "images": images,
    "images in folders": images_in_folders,
    "squid": squid,
    "ome-tiff set": ome_set,
    "zarr": zarr,
}


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(
    ("kind", "worth_listing"), [*((kind, 32) for kind in KINDS), ("images", 1), ("images in folders", 1)]
)
def test_a_file_that_is_deleted_is_not_there(tmp_path, monkeypatch, kind, worth_listing, follow) -> None:
    """To reports at once; what was read of it before is still shown, and what was not is missing.

    A store may leave out what is fill value: but not what was seen in it before.
    """
    monkeypatch.setattr(files_there, "WORTH_LISTING", worth_listing)
    path, victim = KINDS[kind](tmp_path)
    stores.make_old(tmp_path, 3600)
    key, opened = PlaneKey(2), [open_dataset(path, follow=follow) for _ in range(3)]
    with opened[0] as seen, opened[1] as counted, opened[2] as unseen:
        missing = {seen: ABSENT, counted: ABSENT, unseen: FILLED if kind == "zarr" else ABSENT}
        assert seen.report().counts == counted.report().counts == {PRESENT: 4}
        pixels = seen.plane(*key)
        was, kept = os.stat(victim), victim.read_bytes()
        victim.unlink()
        for dataset, state in missing.items():
            counts = {PRESENT: 3, state: 1}
            wait_until(lambda dataset=dataset, counts=counts: dataset.report().counts == counts)
            assert dataset.report().state(key) is state
            assert dataset.report(read=True).counts == counts
        assert seen.state(key) is PRESENT
        assert np.array_equal(seen.planes([key], wait=None)[0].pixels, pixels)
        for dataset in (counted, unseen):
            state = missing[dataset]
            assert dataset.state(key) is state
            [plane] = dataset.planes([key], wait=None)
            assert plane.state is state
            assert (NO_LONGER_THERE in plane.reason) == (dataset is counted)
            assert dataset.thumbnails([key], 8)[0].state is state
        victim.write_bytes(kept)
        os.utime(victim, ns=(was.st_atime_ns, was.st_mtime_ns))
        for dataset in (seen, unseen):
            wait_until(lambda dataset=dataset: dataset.report().counts == {PRESENT: 4})
        assert np.array_equal(unseen.plane(*key), pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_folder_out_of_reach_nothing_is_said_to_be_missing(tmp_path: Path, kind: str) -> None:
    """A disk that was unplugged, a share that is away; once it is back, all is as it was."""
    folder = tmp_path / "run"
    folder.mkdir()
    path, _ = KINDS[kind](folder)
    stores.make_old(tmp_path, 3600)
    with open_dataset(path) as dataset:
        folder.rename(tmp_path / "away")
        assert dataset.report().counts == {UNKNOWN: 4}
        with pytest.raises(DatasetGoneError, match="no longer reachable"):
            dataset.plane(2)
        assert dataset.state(PlaneKey(1)) is UNKNOWN
        report = dataset.report(read=True)
        assert report.counts == {UNREADABLE: 4}
        assert all("no longer reachable" in reason for reason in report.reasons.values())
        (tmp_path / "away").rename(folder)
        assert dataset.report().counts == {PRESENT: 4}
        assert dataset.plane(2).shape


def test_a_folder_that_keeps_changing_is_listed_for_a_share_of_the_time(tmp_path, monkeypatch) -> None:
    path, victim = images(tmp_path)
    monkeypatch.setattr(files_there, "WORTH_LISTING", 1)
    may_list = True
    monkeypatch.setattr(WatchedFolders, "may_list", lambda self, folder: may_list)
    with open_dataset(path) as dataset:
        assert dataset.report().counts == {PRESENT: 4}
        victim.unlink()
        may_list = False
        assert dataset.report().counts == {PRESENT: 4}, "not now"
        may_list = True
        assert dataset.report().counts == {PRESENT: 3, ABSENT: 1}
