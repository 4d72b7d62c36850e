"""Files that are deleted, and folders that are out of reach, while their dataset is open."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
import tifffile
import zarr as zarr_python
from hdf5_dialects import write_imaris
from memory_source import wait_until
from nd2_writer import time_loop, write_nd2
from test_lindi import write_tar

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


# ---- files with the whole dataset --------------------------------------------------------------------


def tiff(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack, metadata={"axes": "TYX"}, compression="zlib", photometric="minisblack")


def hdf5(path: Path, stack: np.ndarray) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", data=stack, chunks=(1, SIZE, SIZE))
        for i, name in enumerate("tyx"):
            dataset.dims[i].label = name


def imaris(path: Path, stack: np.ndarray) -> None:
    write_imaris(path, stack[:, None, None])


def archive(path: Path, stack: np.ndarray) -> None:
    """With zarr-python: an image of OME-Zarr 0.5."""
    axes = [{"name": name, "type": kind} for name, kind in (("t", "time"), ("y", "space"), ("x", "space"))]
    scale = {"type": "scale", "scale": [1, 1, 1]}
    level = {"path": "0", "coordinateTransformations": [scale]}
    attributes = {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}}
    with zarr_python.storage.ZipStore(path, mode="w") as store:
        group = zarr_python.create_group(store=store, attributes=attributes)
        group.create_array("0", data=stack, chunks=(1, SIZE, SIZE))


def nd2(path: Path, stack: np.ndarray) -> None:
    write_nd2(path, lambda i: stack[i], [time_loop(len(stack), 1000.0)])


def references_in_tar(path: Path, stack: np.ndarray) -> None:
    meta = {"zarr_format": 2, "shape": list(stack.shape), "chunks": [1, SIZE, SIZE], "dtype": "<u2"}
    meta |= {"compressor": None, "fill_value": 0, "order": "C", "filters": None}
    refs: dict[str, object] = {".zgroup": {"zarr_format": 2}, "a/.zarray": meta}
    refs["a/.zattrs"] = {"_ARRAY_DIMENSIONS": ["t", "y", "x"]}
    refs |= {f"a/{t}.0.0": [f"./blobs/{t}", 0, plane.nbytes] for t, plane in enumerate(stack)}
    blobs = {f"blobs/{t}": plane.tobytes() for t, plane in enumerate(stack)}
    document = json.dumps({"version": 1, "refs": refs, "generationMetadata": {}})
    write_tar(path, {"lindi.json": document.encode(), **blobs})


SINGLE_FILES: dict[str, Callable[[Path, np.ndarray], None]] = {
    "a.tif": tiff,
    "a.h5": hdf5,
    "a.ims": imaris,
    "a.zarr.zip": archive,
    "a.ozx": archive,
    "a.nd2": nd2,
    "a.lindi.tar": references_in_tar,
}


def stack_of(first: int) -> np.ndarray:
    return np.stack([np.full((SIZE, SIZE), first + t, "u2") for t in range(4)])


@pytest.mark.parametrize("follow", [False, True], ids=["asked", "followed"])
@pytest.mark.parametrize("name", SINGLE_FILES)
def test_a_file_that_is_moved_away_is_gone_and_another_in_its_place_is_another(
    tmp_path: Path, name: str, follow: bool
) -> None:
    """What was read stays; what is read of a file that is still open is of that file."""
    path, away = tmp_path / name, tmp_path / "away"
    SINGLE_FILES[name](path, stack_of(1))
    stores.make_old(tmp_path, 3600)
    with open_dataset(path, follow=follow) as dataset:
        assert dataset.info.n_t == 4
        assert dataset.plane(0)[0, 0] == 1

        def is_gone() -> bool:
            if follow:
                dataset.take_changes()
                return dataset.unreachable is not None
            try:
                dataset.refresh()
            except DatasetGoneError as error:
                assert "no longer reachable" in str(error)
                return True
            return False

        path.rename(away)
        wait_until(is_gone)
        assert dataset.plane(0)[0, 0] == 1
        try:
            assert dataset.plane(1)[0, 0] == 2
        except DatasetGoneError as error:
            assert "no longer reachable" in str(error)
        away.rename(path)
        wait_until(lambda: not is_gone())
        assert [dataset.plane(t)[0, 0] for t in range(4)] == [1, 2, 3, 4]
        path.rename(away)
        wait_until(is_gone)
        SINGLE_FILES[name](path, stack_of(101))
        wait_until(lambda: not is_gone() and dataset.info.generation > 0)
        assert [dataset.plane(t)[0, 0] for t in range(4)] == [101, 102, 103, 104]
