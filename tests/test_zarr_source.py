"""OME-Zarr stores of every layout, written by other programs, read back plane by plane."""

from __future__ import annotations

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

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    DatasetReplacedError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ndviewer_light.model import AnnouncedRun, PlaneKey, Position
from ndviewer_light.sources.zarr import layouts, open_arrays
from ndviewer_light.sources.zarr.source import ZarrSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ndviewer_light.model import DatasetInfo
    from ndviewer_light.storage.trees.tree import Tree

    Open = Callable[[Any], ZarrSource]


def keys(info: DatasetInfo) -> Iterator[PlaneKey]:
    sizes = info.sizes
    yield from itertools.starmap(PlaneKey, itertools.product(*(range(sizes[axis]) for axis in "tpcz")))


def assert_shows_what_was_written(source: ZarrSource, p_of: dict[str, int] | None = None) -> None:
    """Every plane has the pixels of its own indices; `p_of` says which p a position was written with."""
    for key in keys(source.info):
        label = source.info.positions[key.p].label
        expected = stores.plane(**key._replace(p=p_of[label] if p_of else key.p)._asdict())
        np.testing.assert_array_equal(source.read_plane(key), expected, err_msg=f"{label} {key}")


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


# ---- what is not there ---------------------------------------------------------------------


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("tile", [None, 8])
def test_plane_of_which_nothing_is_stored_has_no_pixels(
    tmp_path: Path, opened: Open, tile: int | None, sharded: bool
) -> None:
    stores.write_image(tmp_path / "i.zarr", tile=tile, shard_channels=sharded, skip=[(1, 0, 1, 0)])
    source = opened(tmp_path / "i.zarr")
    with pytest.raises(PlaneNotStoredError) as raised:
        source.read_plane(PlaneKey(t=1, c=1, z=0))
    assert raised.value.plane_shape == (stores.HEIGHT, stores.WIDTH)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1, c=0)), stores.plane(t=1, c=0))


def test_missing_tile_of_a_plane_is_fill_value(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", sizes={"t": 1, "c": 1, "z": 1}, tile=8)
    (tmp_path / "i.zarr/0/c/0/0/0/1/2").unlink()
    expected = stores.plane()
    expected[8:16, 16:24] = 0
    np.testing.assert_array_equal(opened(tmp_path / "i.zarr").read_plane(PlaneKey()), expected)


def test_tiles_stored_as_fill_value_are_pixels(tmp_path: Path, opened: Open) -> None:
    import tensorstore as ts

    stores.create_array(tmp_path / "a.zarr", [16, 16], chunk=[8, 8])
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{tmp_path}/a.zarr/"}}
    ts.open({**spec, "store_data_equal_to_fill_value": True}).result()[8:, 8:] = 0
    pixels = opened(tmp_path / "a.zarr").read_plane(PlaneKey())
    np.testing.assert_array_equal(pixels, np.zeros((16, 16)))


def test_fill_value_nan_is_not_taken_for_pixels(tmp_path: Path, opened: Open) -> None:
    metadata = {"fill_value": "NaN"}
    stores.create_array(tmp_path / "a.zarr", [16, 16], chunk=[8, 8], dtype="float32", metadata=metadata)
    with pytest.raises(PlaneNotStoredError):
        opened(tmp_path / "a.zarr").read_plane(PlaneKey())


def test_store_that_disappears_is_missed_and_found_again(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr")
    source = opened(tmp_path / "i.zarr")
    source.read_plane(PlaneKey())
    (tmp_path / "i.zarr").rename(tmp_path / "gone")
    with pytest.raises(DatasetGoneError, match=r"i\.zarr"):
        source.read_plane(PlaneKey())
    (tmp_path / "gone").rename(tmp_path / "i.zarr")
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())


# ---- what is damaged -----------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["none", "fast", "best"])
@pytest.mark.parametrize("content", [b"", b"\x02\x01\x21", b"garbage" * 500], ids=["empty", "cut", "garbage"])
def test_damaged_chunk_is_named_and_the_rest_shows(
    tmp_path: Path, opened: Open, preset: str, content: bytes
) -> None:
    stores.write_squid_image(tmp_path / "i.zarr", preset, n_c=2)
    victim = stores.chunk_files(tmp_path / "i.zarr")[0]
    victim.write_bytes(content)
    source = opened(tmp_path / "i.zarr")
    with pytest.raises(CorruptDataError) as raised:
        source.read_plane(PlaneKey())
    assert str(victim) in str(raised.value)
    assert "tensorstore_spec" not in str(raised.value)
    np.testing.assert_array_equal(source.read_plane(PlaneKey(t=1)), stores.plane(t=1))


def edit(file: Path, **change: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"shape": [10**15] * 5}, LimitExceededError, id="plane of 10^30"),
        pytest.param({"shape": [1, 2**31, 1, 8, 8]}, LimitExceededError, id="2^31 channels"),
        pytest.param({"shape": [1, 2, 3]}, MetadataError, id="rank"),
        pytest.param({"codecs": [{"name": "numcodecs.lz4"}]}, UnsupportedError, id="codec"),
        pytest.param({"data_type": "string"}, UnsupportedError, id="dtype"),
        pytest.param({"chunk_grid": {"name": "spiral"}}, UnsupportedError, id="grid"),
        pytest.param({"zarr_format": 4}, UnsupportedError, id="version"),
    ],
)
def test_arrays_that_cannot_be_shown_are_refused_naming_the_file(
    tmp_path: Path, opened: Open, change: dict[str, Any], error: type[Exception]
) -> None:
    stores.write_image(tmp_path / "i.zarr")
    edit(tmp_path / "i.zarr/0/zarr.json", **change)
    with pytest.raises(error, match=r"0.zarr\.json"):
        opened(tmp_path / "i.zarr")


def test_absurd_number_of_planes_still_shows_the_one_there_is(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset=None)
    edit(tmp_path / "i.zarr/0/zarr.json", shape=[10**15, 2, 2, stores.HEIGHT, stores.WIDTH])
    source = opened(tmp_path / "i.zarr")
    assert source.info.n_t == 10**15
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())


def test_what_tensorstore_refuses_is_our_error(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr")
    file = tmp_path / "i.zarr/0/zarr.json"
    codecs = json.loads(file.read_text())["codecs"]
    codecs[0]["configuration"]["order"] = [7, 7, 7, 7, 7]
    edit(file, codecs=codecs)
    source = opened(tmp_path / "i.zarr")
    with pytest.raises(MetadataError) as raised:
        source.read_plane(PlaneKey())
    assert str(tmp_path / "i.zarr/0") in str(raised.value)
    assert "tensorstore_spec" not in str(raised.value)


def test_nothing_written_yet_is_not_found(tmp_path: Path, opened: Open) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2})
    shutil.rmtree(tmp_path / "p.zarr/A/1/0")
    shutil.rmtree(tmp_path / "p.zarr/A/1/1")
    with pytest.raises(DatasetNotFoundError, match="none of which is written yet"):
        opened(tmp_path / "p.zarr")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_close_ends_a_read_that_hangs(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset=None)
    chunk = stores.chunk_files(tmp_path / "i.zarr")[0]
    chunk.unlink()
    os.mkfifo(chunk)
    source = opened(tmp_path / "i.zarr")
    outcome: list[Exception] = []

    def read() -> None:
        try:
            source.read_plane(PlaneKey())
        except DatasetError as error:
            outcome.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    while not source._arrays and reader.is_alive():
        time.sleep(0.01)
    source.close()
    try:
        reader.join(10)
        assert not reader.is_alive()
    finally:
        # let tensorstore's own thread out of the pipe
        os.close(os.open(chunk, os.O_RDWR | os.O_NONBLOCK))
    assert outcome


def test_closed_source_reads_nothing(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr")
    source = opened(tmp_path / "i.zarr")
    source.read_plane(PlaneKey())
    source.close()
    source.close()
    with pytest.raises(DatasetError, match="closed"):
        source.read_plane(PlaneKey())


# ---- being written -------------------------------------------------------------------------


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
        all_wait.wait(10)
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
