"""OME-Zarr stores of every layout, written by other programs, read back plane by plane."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from zarr_shown import assert_shows_what_was_written

from ndviewer_light.errors import CorruptDataError, PlaneNotStoredError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.zarr import layouts, open_arrays

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.sources.zarr.source import ZarrSource
    from ndviewer_light.storage.trees.tree import Tree

    Open = Callable[[Any], ZarrSource]


# ---- every layout, every codec chain -------------------------------------------------------


@pytest.mark.parametrize("preset", stores.SQUID_PRESETS)
def test_squid_plate(tmp_path: Path, opened: Open, preset: str) -> None:
    sharded = preset in ("balanced", "best")
    plate = tmp_path / "plate.ome.zarr"
    stores.write_plate(plate, {"B/10": 1, "A/2": 2}, planned=["C/1"], preset=preset, shard_channels=sharded)
    source = opened(tmp_path)
    assert source.info.sizes == {"t": 2, "p": 3, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
    assert_shows_what_was_written(source, {"B10:0": 0, "A2:0": 1, "A2:1": 2})


@pytest.mark.parametrize("preset", stores.SQUID_PRESETS)
def test_squid_stores_per_fov(tmp_path: Path, opened: Open, preset: str) -> None:
    sharded = preset in ("balanced", "best")
    stores.write_per_fov(tmp_path, {"r10": 2, "r9": 1}, preset=preset, shard_channels=sharded)
    assert_shows_what_was_written(opened(tmp_path), {"r10:0": 0, "r10:1": 1, "r9:0": 2})


@pytest.mark.parametrize("preset", stores.SQUID_PRESETS)
def test_squid_6d(tmp_path: Path, opened: Open, preset: str) -> None:
    stores.write_6d(tmp_path, {"r10": 2, "r9": 3}, preset=preset)
    source = opened(tmp_path)
    assert source.info.sizes == {"t": 2, "p": 5, "c": 2, "z": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
    assert_shows_what_was_written(source, {"r9:0": 0, "r9:1": 1, "r9:2": 2, "r10:0": 0, "r10:1": 1})


@pytest.mark.parametrize("preset", ["none", "fast"])
def test_squid_tiles(tmp_path: Path, opened: Open, preset: str) -> None:
    stores.write_image(tmp_path / "i.zarr", preset=preset, tile=8)
    assert_shows_what_was_written(opened(tmp_path / "i.zarr"))


def test_shards_of_several_tiles(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="balanced", tile=8, shard_channels=True)
    assert_shows_what_was_written(opened(tmp_path / "i.zarr"))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("preset", [None, "fast"])
def test_stores_of_other_writers(tmp_path: Path, opened: Open, version: int, preset: str | None) -> None:
    image = {"version": version, "preset": preset if version == 2 else None}
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2}, **image)
    stores.write_collection(tmp_path / "c.zarr", 2, **image)
    assert_shows_what_was_written(opened(tmp_path / "p.zarr"))
    assert_shows_what_was_written(opened(tmp_path / "c.zarr"))


@pytest.mark.parametrize("time_folder", [False, True])
def test_older_squid_plate(tmp_path: Path, opened: Open, time_folder: bool) -> None:
    stores.write_old_plate(tmp_path / "plate.zarr", {"A/1": 2, "B/1": 1}, time_folder=time_folder)
    assert_shows_what_was_written(opened(tmp_path))


@pytest.mark.parametrize(
    "axes", ["yx", "xy", "zyx", "cyx", "tzyx", "xyzct", "yxc", "ctzxy", "zpyxt", "tpczyx"]
)
@pytest.mark.parametrize("version", [2, 3])
def test_axes_in_any_order_and_subset(tmp_path: Path, opened: Open, axes: str, version: int) -> None:
    stores.write_image(tmp_path / "i.zarr", axes=axes, version=version, preset=None, sizes={"p": 2})
    source = opened(tmp_path / "i.zarr")
    expected = {axis: 2 if axis in axes else 1 for axis in "tpcz"}
    assert source.info.sizes == {**expected, "y": stores.HEIGHT, "x": stores.WIDTH}
    assert_shows_what_was_written(source)


def test_bare_array(tmp_path: Path, opened: Open) -> None:
    store = stores.create_array(tmp_path / "a", [2, 3, stores.HEIGHT, stores.WIDTH])
    stores.fill(store, "czyx")
    source = opened(tmp_path / "a")
    assert (source.info.format, source.info.sizes["c"], source.info.sizes["z"]) == ("zarr array", 2, 3)
    assert source.info.warnings
    assert_shows_what_was_written(source)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_python_as_the_writer(tmp_path: Path, opened: Open, version: int) -> None:
    zarr = pytest.importorskip("zarr")
    if version == 3 and zarr.__version__.startswith("2"):
        pytest.skip("zarr-python 2 writes no zarr v3")
    keyword = {"zarr_format": version} if not zarr.__version__.startswith("2") else {"zarr_version": version}
    group = zarr.open_group(str(tmp_path / "i.zarr"), mode="w", **keyword)
    shape, chunks = (2, stores.HEIGHT, stores.WIDTH), (1, 16, 16)
    create = group.create_array if hasattr(group, "create_array") else group.create_dataset
    array = create("full", shape=shape, chunks=chunks, dtype="uint16")
    array[:] = np.stack([stores.plane(z=z) for z in range(2)])
    attributes = stores.image_attributes("zyx", paths=["full"], channels=["DAPI"])
    group.attrs.update(stores.v3_attributes(attributes) if version == 3 else attributes)
    source = opened(tmp_path / "i.zarr")
    assert source.info.channels[0].name == "DAPI"
    assert_shows_what_was_written(source)


def test_all_levels_of_a_pyramid(tmp_path: Path, opened: Open) -> None:
    stores.write_pyramid(tmp_path / "i.zarr", names=("full", "half", "quarter"))
    source = opened(tmp_path / "i.zarr")
    assert source.info.n_levels == 3
    for level in range(3):
        shape = (stores.HEIGHT >> level, stores.WIDTH >> level)
        key = PlaneKey(c=1)
        assert source.plane_shape(key, level) == shape
        np.testing.assert_array_equal(source.read_plane(key, level), stores.plane(c=1, z=level, shape=shape))
    with pytest.raises(IndexError):
        source.read_plane(PlaneKey(), 3)


# ---- what the metadata says ----------------------------------------------------------------


def test_info_of_a_squid_store(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.ome.zarr", sizes={"c": 3})
    info = opened(tmp_path / "i.ome.zarr").info
    assert [channel.name for channel in info.channels] == list(stores.CHANNELS)
    assert [channel.color for channel in info.channels] == ["#FFFFFF", "#20ADF8", "#1FFF00"]
    assert {channel.window for channel in info.channels} == {None}
    assert (info.pixel_size_um, info.z_step_um, info.time_step_s) == (0.325, 1.5, 2.5)
    assert (info.dtype, info.complete, info.name) == (np.uint16, False, "i.ome.zarr")


def test_first_images_that_are_unwritten_or_broken_are_passed_over(tmp_path: Path, opened: Open) -> None:
    stores.write_per_fov(tmp_path, {"r0": 4})
    shutil.rmtree(tmp_path / "zarr/r0/fov_0.ome.zarr/0")
    (tmp_path / "zarr/r0/fov_0.ome.zarr/zarr.json").unlink()
    (tmp_path / "zarr/r0/fov_1.ome.zarr/0/zarr.json").write_text("{")
    source = opened(tmp_path)
    assert source.info.sizes["p"] == 4
    np.testing.assert_array_equal(source.read_plane(PlaneKey(p=2)), stores.plane(p=2))
    with pytest.raises(PlaneNotStoredError, match=r"fov_0\.ome\.zarr"):
        source.read_plane(PlaneKey(p=0))
    with pytest.raises(CorruptDataError, match=r"fov_1\.ome\.zarr"):
        source.read_plane(PlaneKey(p=1))


def test_positions_of_other_sizes_show_at_their_own(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "zarr/r/fov_0.zarr", sizes={"z": 1})
    stores.write_image(tmp_path / "zarr/r/fov_1.zarr", sizes={"z": 3, "t": 1, "y": 16, "x": 8})
    source = opened(tmp_path)
    assert source.info.n_z == 1
    assert source.read_plane(PlaneKey(p=1)).shape == source.plane_shape(PlaneKey(p=1)) == (16, 8)
    assert (source.info.n_z, source.info.n_t) == (3, 2)
    for beyond in (PlaneKey(p=0, z=2), PlaneKey(p=1, t=1)):
        assert source.plane_shape(beyond) is None
        with pytest.raises(PlaneNotStoredError, match="has no plane"):
            source.read_plane(beyond)


@pytest.mark.parametrize(
    "key",
    [
        PlaneKey(t=2),
        PlaneKey(p=1),
        PlaneKey(c=2),
        PlaneKey(z=2),
        PlaneKey(t=-1),
        PlaneKey(p=-1),
        PlaneKey(z=2**40),
    ],
)
def test_outside_the_dataset_is_an_index_error(tmp_path: Path, opened: Open, key: PlaneKey) -> None:
    stores.write_image(tmp_path / "i.zarr")
    source = opened(tmp_path / "i.zarr")
    with pytest.raises(IndexError):
        source.read_plane(key)


# ---- pixels --------------------------------------------------------------------------------


def test_planes_come_in_the_order_in_which_they_are_stored(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "squid.zarr", preset="fast")
    stores.write_image(tmp_path / "shards.zarr", preset="best", shard_channels=True)
    stores.write_image(tmp_path / "plain.zarr", preset=None)
    for name, transposed in (("squid", True), ("shards", True), ("plain", False)):
        pixels = opened(tmp_path / f"{name}.zarr").read_plane(PlaneKey())
        assert (pixels.flags.f_contiguous, pixels.flags.c_contiguous) == (transposed, not transposed), name


@pytest.mark.parametrize(
    "dtype",
    [
        *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
def test_every_number_type_reads_as_itself(tmp_path: Path, opened: Open, dtype: str, version: int) -> None:
    store = stores.create_array(tmp_path / "a.zarr", [8, 12], dtype=dtype, version=version)
    expected = stores.plane(shape=(8, 12), dtype=dtype)
    store[...] = expected
    source = opened(tmp_path / "a.zarr")
    pixels = source.read_plane(PlaneKey())
    assert pixels.dtype == source.info.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(("dtype", "comes_as"), [("bfloat16", np.float32), ("int4", np.int8)])
def test_types_numpy_lacks_are_widened(tmp_path: Path, opened: Open, dtype: str, comes_as: Any) -> None:
    metadata = (
        {"data_type": dtype, "codecs": [{"name": "bytes"}]} if dtype == "int4" else {"data_type": dtype}
    )
    store = stores.create_array(tmp_path / "a.zarr", [8, 12], metadata=metadata)
    expected = (stores.plane(shape=(8, 12)) % 7 + 1).astype(comes_as)
    store[...] = expected.astype(store.dtype.numpy_dtype)
    pixels = opened(tmp_path / "a.zarr").read_plane(PlaneKey())
    assert pixels.dtype == comes_as
    np.testing.assert_array_equal(pixels, expected)


def test_big_endian_comes_native(tmp_path: Path, opened: Open) -> None:
    store = stores.create_array(tmp_path / "a.zarr", [8, 12], version=2, metadata={"dtype": ">u2"})
    store[...] = stores.plane(shape=(8, 12))
    pixels = opened(tmp_path / "a.zarr").read_plane(PlaneKey())
    assert pixels.dtype.isnative
    np.testing.assert_array_equal(pixels, stores.plane(shape=(8, 12)))


# ---- handles and threads -------------------------------------------------------------------


def test_open_stores_are_bounded(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_arrays, "MAX_OPEN_STORES", 3)
    stores.write_per_fov(tmp_path, {"r": 6}, sizes={"t": 1, "c": 1, "z": 1})
    source = opened(tmp_path)
    assert len(source._arrays) == 0
    assert_shows_what_was_written(source)
    assert len(source._arrays) == 3


def test_store_is_opened_once_by_many_threads(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_image(tmp_path / "i.zarr")
    source = opened(tmp_path / "i.zarr")
    opens: list[int] = []
    all_wait = threading.Event()
    read_image = layouts.read_image

    def counted(store: str, level: int, tree: Tree) -> layouts.Image:
        opens.append(level)
        all_wait.wait(60)
        return read_image(store, level, tree)

    monkeypatch.setattr(layouts, "read_image", counted)
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(source.read_plane(PlaneKey()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while not opens:
        time.sleep(0.005)
    all_wait.set()
    for thread in threads:
        thread.join()
    assert len(opens) == 1
    assert len(results) == 8
    assert all((pixels == stores.plane()).all() for pixels in results)
