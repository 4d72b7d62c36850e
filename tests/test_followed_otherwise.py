"""Followed however it is written: in ways that no format asks for, and that programs have all the same."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
import tifffile
from follow_disk import datasets_that_are_followed  # noqa: F401
from memory_source import wait_until

from ndviewer_light.model import PlaneKey, PlaneState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

SIZE, PLANES = 64, 5


def stack(n: int) -> np.ndarray:
    return np.stack([plane(i) for i in range(n)])


def plane(i: int, dtype: str = "uint16") -> np.ndarray:
    return np.full((SIZE, SIZE), 10 + i, dtype)


# ---- ways to write: first (path, axis) once two planes are there, then how many, after each --------------


def tiff_written_whole_again(folder: Path, **kind: Any) -> Iterator[Any]:
    path = folder / ("a.ome.tif" if kind.get("ome") else "a.tif")

    def write(n: int) -> None:
        tifffile.imwrite(path, stack(n), photometric="minisblack", metadata={"axes": "TYX"}, **kind)

    write(2)
    yield path, "t"
    for n in range(3, PLANES + 1):
        write(n)
        yield n


def tiff_replaced_by_a_longer_one(folder: Path) -> Iterator[Any]:
    coming, path = folder / "a.part", folder / "a.tif"

    def write(n: int) -> None:
        tifffile.imwrite(coming, stack(n), photometric="minisblack", metadata={"axes": "TYX"})
        coming.replace(path)

    write(2)
    yield path, "t"
    for n in range(3, PLANES + 1):
        write(n)
        yield n


def hdf5_written_whole_again(folder: Path) -> Iterator[Any]:
    h5py = pytest.importorskip("h5py")

    def write(n: int) -> None:
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("images", data=stack(n), chunks=(1, SIZE, SIZE), maxshape=(None, SIZE, SIZE))

    write(2)
    yield folder / "a.h5", "t"
    for n in range(3, PLANES + 1):
        write(n)
        yield n


def mrc_to_which_frames_are_appended(folder: Path) -> Iterator[Any]:
    mrcfile = pytest.importorskip("mrcfile")
    path = folder / "a.mrc"
    with mrcfile.new(path) as file:
        file.set_data(stack(2))
    yield path, "z"
    for n in range(3, PLANES + 1):
        with open(path, "r+b") as appended:
            appended.seek(0, os.SEEK_END)
            appended.write(plane(n - 1).tobytes())
            appended.flush()
            for at in (8, 36):  # nz, mz
                appended.seek(at)
                appended.write(struct.pack("<i", n))
        yield n


def images_that_come_in_pieces(folder: Path, ending: str) -> Iterator[Any]:
    image = pytest.importorskip("PIL.Image")

    def content(i: int) -> bytes:
        file = io.BytesIO()
        image.fromarray(plane(i, "uint8")).save(file, {"jpg": "JPEG"}.get(ending, ending.upper()))
        return file.getvalue()

    for i in range(2):
        (folder / f"img_t{i}.{ending}").write_bytes(content(i))
    yield folder, "t"
    for i in range(2, PLANES):
        whole = content(i)
        with open(folder / f"img_t{i}.{ending}", "wb", buffering=0) as file:
            file.write(whole[: len(whole) // 2])
            yield i
            file.write(whole[len(whole) // 2 :])
        yield i + 1


def zarr_with_metadata_of_its_beginning_kept_in_the_group(folder: Path) -> Iterator[Any]:
    """As `zarr.consolidate_metadata` leaves it, which nobody calls again while the array is resized."""
    path = folder / "a.zarr"
    array = stores.create_array(path / "0", (2, 1, 1, SIZE, SIZE))
    array.write(stack(2)[:, None, None]).result()
    kept = {
        "kind": "inline",
        "must_understand": False,
        "metadata": {"0": json.loads((path / "0" / "zarr.json").read_text())},
    }
    attributes = stores.v3_attributes(stores.image_attributes(squid=False, channels=stores.CHANNELS[:1]))
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes, "consolidated_metadata": kept}
    (path / "zarr.json").write_text(json.dumps(group))
    yield path, "t"
    for n in range(3, PLANES + 1):
        array = array.resize(exclusive_max=[n, 1, 1, SIZE, SIZE]).result()
        array[n - 1].write(plane(n - 1)[None, None]).result()
        yield n


def folder_behind_a_link(folder: Path) -> Iterator[Any]:
    (folder / "disk").mkdir()
    (folder / "run").symlink_to(folder / "disk")
    for i in range(2):
        tifffile.imwrite(folder / "disk" / f"img_t{i}.tif", plane(i))
    yield folder / "run", "t"
    for i in range(2, PLANES):
        tifffile.imwrite(folder / "disk" / f"img_t{i}.tif", plane(i))
        yield i + 1


def images_beside_other_files(folder: Path) -> Iterator[Any]:
    for i in range(PLANES):
        tifffile.imwrite(folder / f"img_t{i}.tif", plane(i))
        (folder / f"._img_t{i}.tif").write_bytes(b"\0\5\x16\7")
        (folder / f"img_t{i}.tif.tmp").write_bytes(b"II*\0")
        (folder / f"notes {i}.txt").write_text("as planned")
        if i:
            yield (folder, "t") if i == 1 else i + 1


WAYS: dict[str, Callable[[Path], Iterator[Any]]] = {
    "TIFF written whole again": tiff_written_whole_again,
    "ImageJ's, written whole again": lambda folder: tiff_written_whole_again(folder, imagej=True),
    "OME-TIFF written whole again": lambda folder: tiff_written_whole_again(folder, ome=True),
    "TIFF replaced by a longer one": tiff_replaced_by_a_longer_one,
    "HDF5 written whole again": hdf5_written_whole_again,
    "MRC": mrc_to_which_frames_are_appended,
    "PNG in pieces": lambda folder: images_that_come_in_pieces(folder, "png"),
    "JPEG in pieces": lambda folder: images_that_come_in_pieces(folder, "jpg"),
    "BMP in pieces": lambda folder: images_that_come_in_pieces(folder, "bmp"),
    "Zarr with old metadata in its group": zarr_with_metadata_of_its_beginning_kept_in_the_group,
    "folder behind a link": folder_behind_a_link,
    "images beside other files": images_beside_other_files,
}


def values_shown(dataset: Dataset, axis: str) -> list[int | None]:
    """The value of each plane along an axis; None if it is not there. Fails on one that is of several."""
    dataset.take_changes()
    keys = [PlaneKey(**{axis: i}) for i in range(dataset.sizes[axis])]
    found: list[int | None] = []
    for key in keys:
        [shown] = dataset.planes([key], wait=None)
        if shown.state is PlaneState.PRESENT:
            values = np.unique(shown.pixels)
            assert len(values) == 1, f"{key} is shown in part"
            found.append(int(values[0]))
        else:
            found.append(None)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_every_plane_appears_and_none_is_wrong(tmp_path, followed, way):
    steps = WAYS[way](tmp_path)
    path, axis = next(steps)
    dataset = followed(path)
    wait_until(lambda: values_shown(dataset, axis) == [10, 11])
    for n in steps:

        def is_there(n: int = n) -> bool:
            found = values_shown(dataset, axis)
            assert all(value in (None, 10 + i) for i, value in enumerate(found)), found
            return found[:n] == [10 + i for i in range(n)]

        wait_until(is_there)
    assert values_shown(dataset, axis) == [10 + i for i in range(PLANES)]


# ---- another run in its place -----------------------------------------------------------------------------


def write_run(path: Path, first: int) -> None:
    array = stores.create_array(path, (3, 1, 1, SIZE, SIZE))
    for t in range(3):
        array[t].write(plane(first + t)[None, None]).result()


def link_to_another(folder: Path, path: Path) -> None:
    write_run(folder / "second", 40)
    (folder / "link").symlink_to(folder / "second")
    (folder / "link").replace(path)


def whole_folder_renamed(folder: Path, path: Path) -> None:
    write_run(folder / "second", 40)
    path.rename(folder / "old")
    (folder / "second").rename(path)


def removed_and_made_again(folder: Path, path: Path) -> None:
    shutil.rmtree(path)
    write_run(path, 40)


@pytest.mark.parametrize("replace", [link_to_another, whole_folder_renamed, removed_and_made_again])
def test_another_run_at_the_same_path_is_shown_however_it_came_there(tmp_path, followed, replace):
    path = tmp_path / "latest.zarr"
    if replace is link_to_another:
        write_run(tmp_path / "first", 0)
        path.symlink_to(tmp_path / "first")
    else:
        write_run(path, 0)
    dataset = followed(path)
    wait_until(lambda: values_shown(dataset, "t") == [10, 11, 12])
    replace(tmp_path, path)
    wait_until(lambda: values_shown(dataset, "t") == [50, 51, 52])
