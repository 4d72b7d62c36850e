"""OME-Zarr stores of which parts are not there or damaged: the rest shows."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from zarr_shown import edit

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetGoneError,
    DatasetNotFoundError,
    LimitExceededError,
    MetadataError,
    PlaneNotStoredError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ndviewer_light.sources.zarr.source import ZarrSource

    Open = Callable[[Any], ZarrSource]

SHARDS_OF_LZ4 = [
    {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1, 1, 1, 8, 8],
            "codecs": ["bytes", "numcodecs.lz4"],
            "index_codecs": ["bytes", "crc32c"],
        },
    }
]


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
        pytest.param(
            {"chunk_grid": {"name": "regular", "configuration": "x"}, "codecs": SHARDS_OF_LZ4},
            MetadataError,
            id="grid of shards",
        ),
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


@pytest.mark.parametrize(
    ("codec", "wrong"),
    [
        pytest.param(0, {"order": [7, 7, 7, 7, 7]}, id="a value"),
        pytest.param(2, {"clevel": 2**64}, id="a number of more than 64 bits"),
    ],
)
def test_what_tensorstore_refuses_is_our_error(
    tmp_path: Path, opened: Open, codec: int, wrong: dict[str, Any]
) -> None:
    stores.write_image(tmp_path / "i.zarr")
    file = tmp_path / "i.zarr/0/zarr.json"
    codecs = json.loads(file.read_text())["codecs"]
    codecs[codec]["configuration"] |= wrong
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
    with pytest.raises(DatasetNotFoundError, match="nothing of which is written yet"):
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
        reader.join(60)
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
