"""A Zarr store that its writer removes and writes again, larger, is one run, whatever of it is there."""

from __future__ import annotations

import contextlib
import shutil
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from memory_source import wait_until

from ndviewer_light import open_dataset
from ndviewer_light.engine import current_info
from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.disk_cached import open_disk_cached
from ndviewer_light.sources.replacement import ReplaceableSource
from ndviewer_light.sources.zarr.source import ZarrSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def written_anew(path: Path, whole: Path, *, keeps_folder: bool, named_last: bool) -> Iterator[None]:
    """Remove the store at `path` and write it again, as `whole` is, file by file; yields after each."""
    top = {"zarr.json", ".zattrs"}
    files = sorted((file for file in whole.rglob("*") if file.is_file()), key=lambda file: len(file.parts))
    named = [file for file in files if file.parent == whole and file.name in top]
    for file in sorted(path.rglob("*"), key=lambda file: (file.parent != path, -len(file.parts))):
        if file.is_file():
            file.unlink()
            yield
    for folder in sorted((each for each in path.rglob("*")), reverse=True):
        folder.rmdir()
    yield
    if not keeps_folder:
        path.rmdir()
        yield
    path.mkdir(exist_ok=True)
    if named_last and (whole / "zarr.json").exists():
        (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
        yield
    for file in [*(file for file in files if file not in named), *named] if named_last else files:
        copy = path / file.relative_to(whole)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
        yield
        shutil.copyfile(file, copy)
        yield


@pytest.mark.parametrize("version", [3, 2])
@pytest.mark.parametrize("named_last", [False, True], ids=["said first", "said last"])
@pytest.mark.parametrize("keeps_folder", [False, True], ids=["another folder", "same folder"])
def test_a_store_that_is_written_anew_with_each_time_point_is_one_run(
    tmp_path: Path, version: int, *, named_last: bool, keeps_folder: bool
) -> None:
    """As ngff-zarr does; whatever of it is there when it is looked at, and however slow looking is."""
    path, sizes = tmp_path / "run.ome.zarr", {"c": 1, "z": 1, "y": 16, "x": 16}

    def write(n_t: int, folder: Path) -> Path:
        array = {"array_path": "scale0/image", "preset": None}
        stores.write_image(folder, sizes={**sizes, "t": n_t}, version=version, **array)
        stores.write_group(folder / "scale0", {}, version)
        return folder

    def steps() -> Iterator[None]:
        for whole in wholes:
            yield from written_anew(path, whole, keeps_folder=keeps_folder, named_last=named_last)

    def opened() -> ZarrSource:
        source = ZarrSource.open(str(path))
        for _ in islice(writing, while_opened):
            pass
        return source

    wholes = [write(n_t, tmp_path / f"{n_t}.ome.zarr") for n_t in range(3, 6)]
    for between, while_opened in ((1, 0), (4, 7), (19, 0), (23, 11)):
        shutil.rmtree(path, ignore_errors=True)
        write(2, path)
        writing: Iterator[None] = iter(())
        source = ReplaceableSource(str(path), opened)
        source.follow()
        writing = steps()
        for step, _ in enumerate(writing):
            if step % between == 0:
                with contextlib.suppress(DatasetError):
                    source.look()
                    source.read_plane(PlaneKey(t=source.info.n_t - 1))
            assert source.info.generation == 0, (between, while_opened, step)
        source.look()
        assert source.info.n_t == 5
        np.testing.assert_array_equal(source.read_plane(PlaneKey(t=4)), stores.plane(t=4, shape=(16, 16)))
        shutil.rmtree(path)
        write(2, path)
        source.look()
        assert (source.info.n_t, source.info.generation) == (2, 1), "a run begun again in the same folder"
        source.close()


def test_a_store_of_which_it_is_said_later_what_it_is_was_not_replaced(tmp_path: Path) -> None:
    path, anew = (tmp_path / name for name in ("run.ome.zarr", "3.ome.zarr"))
    for folder, n_t in ((path, 2), (anew, 3)):
        stores.write_image(folder, sizes={"t": n_t, "c": 1, "z": 1}, preset=None, array_path="scale0/image")
        stores.write_group(folder / "scale0", {})
    said = (path / "zarr.json").read_bytes()
    (path / "zarr.json").unlink()

    def opened() -> ZarrSource:
        source = ZarrSource.open(str(path))
        (path / "zarr.json").write_bytes(said)
        return source

    source = ReplaceableSource(str(path), opened)
    assert (source.info.format, source.info.generation) == ("ome-zarr image", 0), "said as it was opened"
    source.close()
    (path / "zarr.json").unlink()
    source = open_disk_cached(str(path))
    assert source.info.format == "zarr array"
    for _ in written_anew(path, anew, keeps_folder=False, named_last=False):
        with contextlib.suppress(DatasetError):
            source.look()
    source.look()
    assert (source.info.format, source.info.n_t) == ("ome-zarr image", 3)
    assert source.info.is_completed
    source.close()


def test_that_a_group_was_away_when_it_was_opened_is_said_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk was plugged in again: that it more of it is there was said for ever."""
    monkeypatch.setattr(current_info, "_COMPLETED_SAID_SECONDS", 1.0)
    path = tmp_path / "run.ome.zarr"
    stores.create_array(path / "0", (3, 24, 40))[...].write(1).result()
    with open_dataset(path) as dataset:
        dataset.plane(0)
        assert dataset.info.sizes["z"] == 3, "as nothing names its axes"
        stores.write_group(path, stores.image_attributes("tyx", channels=("BF",), squid=False))
        assert dataset.refresh().sizes["t"] == 3
        (said,) = dataset.info.warnings
        assert "more of it is there than when it was opened" in said
        assert dataset.take_changes().replaced
        wait_until(lambda: not dataset.info.warnings)
        assert dataset.take_changes().info


@pytest.mark.parametrize("version", [2, 3])
def test_axes_that_nothing_names_for_a_while_are_still_those_that_were_named(
    tmp_path: Path, version: int
) -> None:
    """A disk was plugged in again, the metadata of the group last: times were planes along z for good."""
    path, away = tmp_path / "run.ome.zarr", tmp_path / "away"
    pixels = np.arange(3 * 24 * 40, dtype=np.uint16).reshape(3, 24, 40)
    stores.create_array(path / "0", pixels.shape, version=version)[...].write(pixels).result()
    stores.write_group(path, stores.image_attributes("tyx", channels=("BF",), squid=False), version)
    named = [*path.glob("zarr.json"), *path.glob(".z*")]
    away.mkdir()
    source = open_disk_cached(str(path))

    def check() -> None:
        with contextlib.suppress(DatasetError):
            source.look()
        assert (source.info.n_t, source.info.n_z, source.info.generation) == (3, 1, 0)

    source.read_plane(PlaneKey(2))
    path.rename(tmp_path / "unplugged")
    check()
    (tmp_path / "unplugged").rename(path)
    for file in named:
        file.rename(away / file.name)
    check()
    np.testing.assert_array_equal(source.read_plane(PlaneKey(1)), pixels[1])
    for file in named:
        (away / file.name).rename(file)
    check()
    np.testing.assert_array_equal(source.read_plane(PlaneKey(2)), pixels[2])
    source.close()
