"""OME-Zarr stores while they are written: announced, half there, grown, made anew."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from zarr_shown import assert_shows_what_was_written, edit

from ndviewer_light.errors import CorruptDataError, DatasetReplacedError, PlaneNotStoredError
from ndviewer_light.model import AnnouncedRun, PlaneKey, Position
from ndviewer_light.sources.zarr.source import ZarrSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Open = Callable[[Any], ZarrSource]


def announce(*paths: Path, indices: tuple[int | None, ...] | None = None, n_z: int = 2) -> AnnouncedRun:
    return AnnouncedRun(
        positions=tuple(Position("A1", i) for i in range(len(paths))),
        paths=tuple(map(str, paths)),
        indices=indices or (None,) * len(paths),
        channels=("DAPI", "GFP"),
        n_z=n_z,
        height=100,
        width=200,
    )


def test_announced_run_is_known_before_anything_exists(tmp_path: Path, opened: Open) -> None:
    source = opened(announce(tmp_path / "a.zarr", tmp_path / "b.zarr", n_z=7))
    assert source.info.sizes == {"t": 1, "p": 2, "c": 2, "z": 7, "y": 100, "x": 200}
    assert source.info.dtype is None
    assert [channel.color for channel in source.info.channels] == ["#0000FF", "#00FF00"]
    assert source.plane_shape(PlaneKey()) is None
    with pytest.raises(PlaneNotStoredError, match=r"a\.zarr"):
        source.read_plane(PlaneKey())


def test_announcing_touches_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = announce(tmp_path / "a.zarr")
    for name in ("stat", "open", "scandir", "listdir"):
        monkeypatch.setattr(os, name, None)
    ZarrSource.announced(run)


@pytest.mark.parametrize("by", ["read_plane", "plane_shape", "refresh"])
def test_announced_run_becomes_what_its_store_says(tmp_path: Path, opened: Open, by: str) -> None:
    source = opened(announce(tmp_path / "a.zarr", tmp_path / "b.zarr"))
    before = source.info
    stores.write_image(tmp_path / "b.zarr", p=1, sizes={"t": 4, "c": 3, "z": 3})
    {"read_plane": lambda: source.read_plane(PlaneKey(p=1, t=3, c=2, z=2)),
     "plane_shape": lambda: source.plane_shape(PlaneKey(p=1)),
     "refresh": source.refresh}[by]()  # fmt: skip
    info = source.info
    assert info is not before
    assert info.sizes == {"t": 4, "p": 2, "c": 3, "z": 3, "y": stores.HEIGHT, "x": stores.WIDTH}
    assert [channel.name for channel in info.channels] == list(stores.CHANNELS)
    assert info.channels[1].color == "#20ADF8"
    assert (info.dtype, info.pixel_size_um, info.z_step_um, info.time_step_s) == (np.uint16, 0.325, 1.5, 2.5)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=1, t=3, c=2, z=2)), stores.plane(3, 1, 2, 2))


@pytest.mark.parametrize("by", ["read_plane", "refresh"])
def test_group_metadata_may_come_after_the_array(tmp_path: Path, opened: Open, by: str) -> None:
    source = opened(announce(tmp_path / "a.zarr"))
    stores.write_image(tmp_path / "a.zarr")
    (tmp_path / "a.zarr/zarr.json").rename(tmp_path / "later")
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())
    assert [channel.name for channel in source.info.channels] == ["DAPI", "GFP"]
    assert source.info.pixel_size_um is None
    (tmp_path / "later").rename(tmp_path / "a.zarr/zarr.json")
    source.refresh() if by == "refresh" else source.read_plane(PlaneKey())
    assert [channel.name for channel in source.info.channels] == list(stores.CHANNELS[:2])
    assert source.info.pixel_size_um == 0.325


def test_announced_6d_region_with_attributes_to_come(tmp_path: Path, opened: Open) -> None:
    store = tmp_path / "zarr/r0/acquisition.zarr"
    source = opened(announce(store, store, store, indices=(0, 1, 2)))
    stores.write_6d(tmp_path, {"r0": 3})
    complete = (store / "zarr.json").read_text()
    edit(store / "zarr.json", attributes={})
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1, p=2)), stores.plane(t=1, p=2))
    (store / "zarr.json").write_text(complete)
    assert source.refresh().z_step_um == 1.5
    assert_shows_what_was_written(source)


def test_half_written_metadata_passes(tmp_path: Path, opened: Open) -> None:
    stores.write_6d(tmp_path, {"r0": 1})
    file = tmp_path / "zarr/r0/acquisition.zarr/zarr.json"
    source = opened(tmp_path)
    source.read_plane(PlaneKey())
    whole = file.read_text()
    for part in ("", whole[: len(whole) // 2]):
        file.write_text(part)
        with pytest.raises(CorruptDataError) as raised:
            source.read_plane(PlaneKey())
        assert raised.value.transient
        assert str(file) in str(raised.value)
    file.write_text(whole)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())


def test_plane_written_again_reads_new(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset=None)
    source = opened(tmp_path / "i.zarr")
    source.read_plane(PlaneKey())
    chunk = stores.chunk_files(tmp_path / "i.zarr")[0]
    chunk.write_bytes(np.ascontiguousarray(stores.plane(t=9)).tobytes())
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane(t=9))


def test_store_of_the_same_planes_made_anew_reads_new(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="fast")
    source = opened(tmp_path / "i.zarr")
    source.read_plane(PlaneKey())
    shutil.rmtree(tmp_path / "i.zarr")
    stores.write_image(tmp_path / "i.zarr", preset=None, sizes={"t": 3})
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2)), stores.plane(t=2))


def test_store_of_other_planes_made_anew_is_another_dataset(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="fast")
    source = opened(tmp_path / "i.zarr")
    source.read_plane(PlaneKey())
    shutil.rmtree(tmp_path / "i.zarr")
    stores.write_image(tmp_path / "i.zarr", preset=None, dtype="uint8", sizes={"y": 10, "x": 12})
    for _ in range(2):
        with pytest.raises(DatasetReplacedError, match=r"i\.zarr"):
            source.read_plane(PlaneKey(t=1))
        with pytest.raises(DatasetReplacedError, match=r"i\.zarr"):
            source.refresh()


@pytest.mark.parametrize("by", ["read_plane", "plane_shape", "refresh"])
def test_store_that_grows_is_followed(tmp_path: Path, opened: Open, by: str) -> None:
    stores.write_image(tmp_path / "i.zarr", preset=None, sizes={"t": 1})
    source = opened(tmp_path / "i.zarr")
    source.read_plane(PlaneKey())
    edit(tmp_path / "i.zarr/0/zarr.json", shape=[3, 2, 2, stores.HEIGHT, stores.WIDTH])
    shutil.copytree(tmp_path / "i.zarr/0/c/0", tmp_path / "i.zarr/0/c/2")
    {"read_plane": lambda: source.read_plane(PlaneKey(t=2)),
     "plane_shape": lambda: source.plane_shape(PlaneKey(t=2)),
     "refresh": source.refresh}[by]()  # fmt: skip
    assert source.info.n_t == 3
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=2)), stores.plane())


def test_completion_is_seen(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr")
    source = opened(tmp_path / "i.zarr")
    assert source.refresh() is source.info
    stores.write_group(
        tmp_path / "i.zarr", stores.image_attributes(channels=stores.CHANNELS[:2], complete=True)
    )
    assert source.refresh().complete is True


def test_positions_that_appear_come_last_and_none_moves(tmp_path: Path, opened: Open) -> None:
    stores.write_per_fov(tmp_path, {"r5": 2})
    source = opened(tmp_path)
    unchanged = source.refresh()
    assert unchanged is source.info
    stores.write_image(tmp_path / "zarr/r1/fov_0.ome.zarr", p=2)
    stores.write_image(tmp_path / "zarr/r5/fov_2.ome.zarr", p=3)
    labels = [position.label for position in source.refresh().positions]
    assert labels == ["r5:0", "r5:1", "r1:0", "r5:2"]
    assert_shows_what_was_written(source)
