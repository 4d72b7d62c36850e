"""OME-Zarr inside zip archives: the same planes as unpacked, every byte checked, nothing else let in."""

from __future__ import annotations

import io
import os
import shutil
import struct
import threading
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import stores
from zarr_shown import assert_shows_what_was_written, keys

from ndviewer_light import open_dataset
from ndviewer_light.cli import info
from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    LimitExceededError,
    PlaneNotStoredError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.model import PlaneKey, PlaneState
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr.format import ZarrFormat
from ndviewer_light.sources.zarr.source import ZarrSource
from ndviewer_light.storage.trees import zip as zip_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from tests.range_server import RangeServer

    Open = Callable[..., ZarrSource]

METHODS = [
    pytest.param(zipfile.ZIP_STORED, id="stored"),
    pytest.param(zipfile.ZIP_DEFLATED, id="deflated"),
]
ONE = {"t": 1, "c": 1, "z": 1}


def pack(folder: Path, archive: Path, method: int = zipfile.ZIP_STORED, top: str = "") -> Path:
    """Put all files below `folder` into an archive, below the folder `top`."""
    with zipfile.ZipFile(archive, "w", method) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, top + file.relative_to(folder).as_posix())
    return archive


# ---- every layout --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "version", "top"),
    [
        (zipfile.ZIP_STORED, 2, ""),
        (zipfile.ZIP_DEFLATED, 3, ""),
        (zipfile.ZIP_DEFLATED, 2, "p.zarr/"),
        (zipfile.ZIP_STORED, 3, "p.zarr/"),
        (zipfile.ZIP_STORED, 2, "folder/"),
        (zipfile.ZIP_DEFLATED, 3, "folder/"),
    ],
)
def test_plate(tmp_path: Path, opened: Open, method: int, version: int, top: str) -> None:
    wells = {"B/10": 1, "A/2": 2}
    stores.write_plate(
        tmp_path / "p.zarr", wells, version=version, preset=None, planned=["C/1"], sizes={"t": 1, "z": 1}
    )
    source = opened(pack(tmp_path / "p.zarr", tmp_path / "p.zip", method, top))
    assert (source.info.format, source.info.name) == ("ome-zarr plate", "p.zip")
    assert_shows_what_was_written(source, {"B10:0": 0, "A2:0": 1, "A2:1": 2})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", stores.SQUID_PRESETS)
@pytest.mark.parametrize("tile", [None, 8])
def test_image_in_every_codec_chain(
    tmp_path: Path, opened: Open, method: int, preset: str, tile: int | None
) -> None:
    stores.write_squid_image(tmp_path / "i.zarr", preset, tile=tile, n_c=3)
    assert_shows_what_was_written(opened(pack(tmp_path / "i.zarr", tmp_path / "i.ozx", method)))


def test_folders_as_squid_writes_them(tmp_path: Path, opened: Open) -> None:
    stores.write_per_fov(tmp_path / "run", {"r10": 2, "r9": 1})
    source = opened(pack(tmp_path / "run", tmp_path / "run.zip"))
    assert source.info.format == "ome-zarr per-fov"
    assert_shows_what_was_written(source, {"r10:0": 0, "r10:1": 1, "r9:0": 2})


def test_6d_stores(tmp_path: Path, opened: Open) -> None:
    stores.write_6d(tmp_path / "run", {"r10": 2, "r9": 3}, preset="balanced")
    source = opened(pack(tmp_path / "run", tmp_path / "run.zip"))
    assert_shows_what_was_written(source, {"r9:0": 0, "r9:1": 1, "r9:2": 2, "r10:0": 0, "r10:1": 1})


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("listed", [True, False])
def test_series_of_a_collection(tmp_path: Path, opened: Open, version: int, listed: bool) -> None:
    stores.write_collection(tmp_path / "c", 3, version=version, listed=listed, preset=None, sizes=ONE)
    assert_shows_what_was_written(opened(pack(tmp_path / "c", tmp_path / "c.zip")))


def test_one_of_several_by_its_path_inside(tmp_path: Path, opened: Open) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2}, preset="fast", sizes=ONE)
    archive = pack(tmp_path / "p.zarr", tmp_path / "p.ozx")
    source = opened(f"{archive}::/A/1/1")
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane(p=1))
    assert source.info.name == "1"
    labels = [position.label for position in opened(f"{archive}::A/1").info.positions]
    assert labels == ["A1:0", "A1:1"]
    with pytest.raises(DatasetNotFoundError, match="expected"):
        opened(f"{archive}::/A/2")


@pytest.mark.parametrize("axes", ["yx", "xy", "xyzct", "yxc", "zpyxt"])
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("version", [2, 3])
def test_axes_in_any_order_and_chunks_by_any_name(
    tmp_path: Path, opened: Open, axes: str, separator: str, version: int
) -> None:
    sizes = {"t": 2, "c": 2, "z": 2, "p": 2, "y": stores.HEIGHT, "x": stores.WIDTH}
    shape = [sizes[axis] for axis in axes]
    named: dict[str, Any] = {"dimension_separator": separator}
    if version == 3:
        encoding = "v2" if separator == "." else "default"
        named = {"chunk_key_encoding": {"name": encoding, "configuration": {"separator": separator}}}
    chunk = [16 if axis in "yx" else 1 for axis in axes]
    store = stores.create_array(tmp_path / "i.zarr/0", shape, chunk=chunk, version=version, metadata=named)
    stores.fill(store, axes)
    attributes = stores.image_attributes(axes, channels=stores.CHANNELS[:2])
    stores.write_group(tmp_path / "i.zarr", attributes, version)
    assert_shows_what_was_written(opened(pack(tmp_path / "i.zarr", tmp_path / "i.zip")))


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("method", METHODS)
def test_shards_of_every_kind(
    tmp_path: Path, opened: Open, location: str, checked: bool, endian: str, method: int
) -> None:
    index = [
        {"name": "bytes", "configuration": {"endian": endian}},
        *([{"name": "crc32c"}] if checked else []),
    ]
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}]
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1, 8, 8],
            "codecs": codecs,
            "index_codecs": index,
            "index_location": location,
        },
    }
    store = stores.create_array(
        tmp_path / "a.zarr", [5, 24, 40], shard=[2, 16, 24], metadata={"codecs": [sharding]}
    )
    stores.fill(store, "zyx")
    assert_shows_what_was_written(opened(pack(tmp_path / "a.zarr", tmp_path / "a.zip", method)))


def test_shards_below_other_codecs_and_in_each_other(tmp_path: Path, opened: Open) -> None:
    def sharded(chunk: list[int], codecs: list[Any]) -> dict[str, Any]:
        return stores._sharded(chunk, codecs)

    little = stores.bytes_codec("uint16")
    transpose = {"name": "transpose", "configuration": {"order": [2, 1, 0]}}
    for name, codecs in {
        "transposed": [transpose, sharded([8, 8, 1], [little])],
        "nested": [sharded([1, 16, 24], [sharded([1, 8, 8], [little])])],
    }.items():
        store = stores.create_array(
            tmp_path / name, [2, 32, 48], shard=[2, 32, 48], metadata={"codecs": codecs}
        )
        for z in range(2):
            store[z] = stores.plane(z=z, shape=(32, 48))
        source = opened(pack(tmp_path / name, tmp_path / f"{name}.zip"))
        for z in range(2):
            np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), stores.plane(z=z, shape=(32, 48)))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_zarr_python_as_the_writer(tmp_path: Path, opened: Open, version: int, method: int) -> None:
    zarr = pytest.importorskip("zarr", minversion="3")
    with zarr.storage.ZipStore(tmp_path / "i.zarr.zip", mode="w", compression=method) as store:
        group = zarr.open_group(store, mode="w", zarr_format=version)
        attributes = stores.image_attributes("zyx", paths=["full"], channels=["DAPI"])
        with pytest.warns(UserWarning, match="Duplicate name"):  # the later one counts
            group.attrs.update(stores.v3_attributes(attributes) if version == 3 else attributes)
        shape = (3, stores.HEIGHT, stores.WIDTH)
        shards = {"shards": (1, 16, 16)} if version == 3 else {}
        array = group.create_array("full", shape=shape, chunks=(1, 8, 8), dtype="uint16", **shards)
        array[:] = np.stack([stores.plane(z=z) for z in range(3)])
    source = opened(tmp_path / "i.zarr.zip")
    assert source.info.channels[0].name == "DAPI"
    assert_shows_what_was_written(source)


def test_bzip2(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    assert_shows_what_was_written(opened(pack(tmp_path / "i.zarr", tmp_path / "i.zip", zipfile.ZIP_BZIP2)))


class Pipe(io.RawIOBase):
    """A file that can only be appended to, as of programs that pack while they send."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


@pytest.mark.parametrize("method", METHODS)
def test_archive_that_was_packed_while_it_was_sent(tmp_path: Path, opened: Open, method: int) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="balanced", shard_channels=True)
    with open(tmp_path / "i.ozx", "wb") as file, zipfile.ZipFile(Pipe(file), "w", method) as packed:
        for each in sorted((tmp_path / "i.zarr").rglob("*")):
            if each.is_file():
                packed.write(each, each.relative_to(tmp_path / "i.zarr").as_posix())
    assert_shows_what_was_written(opened(tmp_path / "i.ozx"))


def test_zip64(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="balanced", shard_channels=True)
    with monkeypatch.context() as patch:  # as if the archive were large
        patch.setattr(zipfile, "ZIP64_LIMIT", 100)
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
        archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    assert b"PK\6\6" in archive.read_bytes()
    assert_shows_what_was_written(opened(archive))


@pytest.mark.parametrize("more", [b"PK\5\6" + b"\0" * 18 + b"!", b"PK\5\6", b"PK\5\6" + b"\0" * 18])
def test_a_comment_that_looks_like_the_end_of_an_archive(tmp_path: Path, opened: Open, more: bytes) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="balanced", shard_channels=True)
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.comment = b'{"ome": {"version": "0.5"}} ' + more
    assert_shows_what_was_written(opened(archive))


def test_archive_with_something_before_it(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="balanced", shard_channels=True)
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.zip")
    archive.write_bytes(b"#!/bin/sh unpacks itself\n" * 100 + archive.read_bytes())
    assert_shows_what_was_written(opened(archive))


def test_missing_tile_is_fill_value_and_missing_plane_is_none(tmp_path: Path, opened: Open) -> None:
    store = stores.create_array(tmp_path / "a", [2, 24, 40], chunk=[1, 8, 8], metadata={"fill_value": 7})
    stores.fill(store, "zyx")
    (tmp_path / "a/c/0/0/1").unlink()
    shutil.rmtree(tmp_path / "a/c/1")
    source = opened(pack(tmp_path / "a", tmp_path / "a.zip"))
    expected = stores.plane()
    expected[0:8, 8:16] = 7
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), expected)
    with pytest.raises(PlaneNotStoredError) as raised:
        source.read_plane(PlaneKey(z=1))
    assert raised.value.plane_shape == (24, 40)


STORED_AS: dict[str, dict[str, Any]] = {
    "chunks": {"version": 2},
    "tiles": {"tile": 8},
    "shards": {"shard_channels": True},
}


@pytest.mark.parametrize("end", [".zip", ".ozx"])
@pytest.mark.parametrize("kind", STORED_AS)
def test_planes_have_the_states_that_they_have_unpacked(
    tmp_path: Path, kind: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "p.zarr"
    stores.write_plate(folder, {"A/1": 1, "B/2": 2}, **STORED_AS[kind])
    chunks = [each for each in sorted(folder.rglob("*")) if each.is_file() and each.name.isdecimal()]
    shutil.rmtree(chunks[0].parent.parent)
    damaged = chunks[-1]
    damaged.write_bytes(damaged.read_bytes()[:9])
    archive = pack(folder, tmp_path / f"p{end}")
    name = f"{archive}/{damaged.relative_to(folder).as_posix()}"
    for is_read in (False, True):
        with open_dataset(folder) as unpacked, open_dataset(archive) as packed:
            expected, found = (each.report(read=is_read) for each in (unpacked, packed))
        assert found.counts == expected.counts
        assert found.count(PlaneState.UNKNOWN) == (2 if kind == "shards" and not is_read else 0)
        assert found.gaps(PlaneState.ABSENT) == expected.gaps(PlaneState.ABSENT) != []
        assert found.reasons.keys() == expected.reasons.keys()
        assert bool(found.reasons) == is_read and all(name in each for each in found.reasons.values())
    assert info.main([str(archive), "--planes", "--read"]) == 3
    assert damaged.relative_to(folder).as_posix() in "".join(capsys.readouterr().out.split())
    assert info.main([str(archive), "--planes"]) == 3


def test_other_archives_are_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("a")
    archive = pack(tmp_path / "texts", tmp_path / "texts.zip")
    assert not ZarrFormat().recognises(str(archive))
    (tmp_path / "broken.zip").write_bytes(b"PK")
    assert not ZarrFormat().recognises(str(tmp_path / "broken.zip"))
    stores.write_image(tmp_path / "folder.zip")  # a folder by this name is no archive
    assert ZarrFormat().recognises(str(tmp_path / "folder.zip"))


def test_threads_and_closing(tmp_path: Path) -> None:
    stores.write_squid_image(tmp_path / "i.zarr", "balanced", tile=8, n_c=3)
    source = ZarrSource.open(str(pack(tmp_path / "i.zarr", tmp_path / "i.ozx")))
    wrong: list[Any] = []

    def read(key: PlaneKey) -> None:
        if not np.array_equal(source.read_plane(key), stores.plane(**key._asdict())):
            wrong.append(key)

    threads = [threading.Thread(target=read, args=(key,)) for key in keys(source.info)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    source.close()
    source.close()
    with pytest.raises(DatasetError, match="closed"):
        source.read_plane(PlaneKey())


def test_nothing_is_left_in_memory_of_planes_that_were_read(tmp_path: Path, opened: Open) -> None:
    import tensorstore as ts

    stores.write_squid_image(tmp_path / "i.zarr", "balanced", n_c=3)
    source = opened(pack(tmp_path / "i.zarr", tmp_path / "i.ozx"))
    assert_shows_what_was_written(source)
    kept = ts.KvStore.open({"driver": "memory"}, context=source._native._own_context()).result()
    assert kept.list().result() == []


def test_lazy_array(tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.zarr", sizes={"c": 1, "z": 1})
    with open_dataset(pack(tmp_path / "i.zarr", tmp_path / "i.ozx")) as dataset:
        values = dataset.to_xarray().values
    np.testing.assert_array_equal(values[1, 0, 0, 0], stores.plane(t=1))


# ---- on a server ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_archive_on_a_server(server: RangeServer, tmp_path: Path, opened: Open, method: int) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2}, preset="balanced", shard_channels=True)
    pack(tmp_path / "p.zarr", server.folder / "p.ozx", method)
    source = opened(server.url("p.ozx"))
    assert_shows_what_was_written(source)
    assert source.identity == opened(server.url("p.ozx")).identity is not None


def large(folder: Path, **image: Any) -> None:
    """An image whose planes (512 KiB of noise) are far apart in an archive."""
    rng = np.random.default_rng(0)
    store = stores.create_array(folder / "0", [2, 4, 512, 512], **image)
    store[...] = rng.integers(0, 60_000, (2, 4, 512, 512), np.uint16)
    stores.write_group(folder, stores.image_attributes("tcyx", channels="abcd"))


def test_planes_of_an_archive_on_a_server_cost_one_request_each(
    server: RangeServer, tmp_path: Path, opened: Open
) -> None:
    large(tmp_path / "i.zarr")
    archive = pack(tmp_path / "i.zarr", server.folder / "i.ozx")
    source = opened(server.url("i.ozx"))
    before = server.counts()
    assert before["requests"] + before["heads"] <= 3
    assert before["bytes"] < archive.stat().st_size / 4
    for t, c in ((1, 1), (0, 3), (1, 3)):
        source.read_plane(PlaneKey(t=t, c=c))
    after = server.counts()
    assert after["requests"] - before["requests"] == 3
    assert after["bytes"] - before["bytes"] < 1.01 * 3 * 512 * 1024


def test_chunks_of_a_shard_on_a_server_are_fetched_alone(
    server: RangeServer, tmp_path: Path, opened: Open
) -> None:
    large(tmp_path / "i.zarr", shard=[1, 4, 512, 512])
    pack(tmp_path / "i.zarr", server.folder / "i.ozx")
    source = opened(server.url("i.ozx"))
    source.read_plane(PlaneKey(t=1, c=0))
    before = server.counts()
    source.read_plane(PlaneKey(t=1, c=2))
    after = server.counts()
    assert after["requests"] - before["requests"] == 1
    assert after["bytes"] - before["bytes"] < 1.01 * 512 * 1024


@pytest.mark.parametrize("fault", ["drop", "503", "truncate", "short", "no_range", "wrong_range", "html"])
def test_no_failure_makes_wrong_pixels(server: RangeServer, tmp_path: Path, opened: Open, fault: str) -> None:
    large(tmp_path / "i.zarr", shard=[1, 4, 512, 512])
    expected = open_source(str(tmp_path / "i.zarr"))
    pack(tmp_path / "i.zarr", server.folder / "i.ozx")
    source = opened(server.url("i.ozx"))
    server.set(faults={fault: 0.4}, seed=1)
    for key in keys(source.info):
        try:
            pixels = source.read_plane(key)
        except DatasetError:
            continue
        np.testing.assert_array_equal(pixels, expected.read_plane(key))
    expected.close()


# ---- archives that are damaged, or mean harm -----------------------------------------------------


def in_archive(archive: Path, name: str) -> tuple[int, zipfile.ZipInfo]:
    """Where the bytes of a file begin, and what the directory says of it."""
    with zipfile.ZipFile(archive) as packed:
        info = packed.getinfo(name)
    data = archive.read_bytes()
    name_length, extra_length = struct.unpack_from("<2H", data, info.header_offset + 26)
    return info.header_offset + 30 + name_length + extra_length, info


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("where", [0.0, 0.5, 0.99])
def test_damaged_bytes_are_told_not_shown(tmp_path: Path, opened: Open, method: int, where: float) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.zip", method)
    start, info = in_archive(archive, "0/c/1/0/0/0/0")
    data = bytearray(archive.read_bytes())
    data[start + int(where * info.compress_size)] ^= 0x55
    archive.write_bytes(data)
    source = opened(archive)
    with pytest.raises(CorruptDataError, match="damaged") as raised:
        source.read_plane(PlaneKey(t=1))
    assert f"{archive}/0/c/1/0/0/0/0" in str(raised.value)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), stores.plane())


def test_damaged_index_of_a_shard_is_told(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none", shard_channels=True)
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.zip")
    start, info = in_archive(archive, "0/c/0/0/0/0/0")
    data = bytearray(archive.read_bytes())
    data[start + info.file_size - 20] ^= 0x01
    archive.write_bytes(data)
    with pytest.raises(CorruptDataError, match="damaged") as raised:
        opened(archive).read_plane(PlaneKey())
    assert f"{archive}/0/c/0/0/0/0/0" in str(raised.value)


@pytest.mark.parametrize("cut", [1, 100, 3000])
def test_archive_that_was_not_copied_completely(tmp_path: Path, cut: int) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) - cut])
    with pytest.raises(CorruptDataError, match=r"copied completely|damaged"):
        open_source(str(archive))


def test_archive_that_is_none_or_empty(tmp_path: Path) -> None:
    (tmp_path / "a.ozx").write_bytes(b"")
    (tmp_path / "b.ozx").write_bytes(os.urandom(100_000).replace(b"PK", b"pk"))
    for name in "ab":
        with pytest.raises(CorruptDataError, match="not a zip archive"):
            open_source(str(tmp_path / f"{name}.ozx"))
    with zipfile.ZipFile(tmp_path / "c.ozx", "w"):
        pass
    with pytest.raises(DatasetNotFoundError, match="expected"):
        open_source(str(tmp_path / "c.ozx"))


def test_one_byte_changed_anywhere_never_makes_wrong_pixels(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none", sizes={"z": 1})
    good = pack(tmp_path / "i.zarr", tmp_path / "good.ozx").read_bytes()
    rng = np.random.default_rng(5)
    for at in rng.integers(0, len(good), 150):
        data = bytearray(good)
        data[at] ^= int(rng.integers(1, 256))
        (tmp_path / "bad.ozx").write_bytes(data)
        try:
            source = opened(tmp_path / "bad.ozx")
        except DatasetError:
            continue
        for key in keys(source.info):
            try:
                pixels = source.read_plane(key)
            except DatasetError:
                continue
            np.testing.assert_array_equal(pixels, stores.plane(**key._asdict()), err_msg=f"byte {at}")


def rewritten(archive: Path, name: str, data: bytes) -> None:
    """Pack another content under a name that exists."""
    with zipfile.ZipFile(archive) as packed:
        files = {info.filename: packed.read(info) for info in packed.infolist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for each, content in {**files, name: data}.items():
            packed.writestr(each, content)


def test_file_that_is_far_too_large_when_unpacked_is_refused(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    rewritten(archive, "0/c/0/0/0/0/0", bytes(40 * 2**20))
    with pytest.raises(LimitExceededError, match="41943040 bytes"):
        opened(archive).read_plane(PlaneKey())
    rewritten(archive, "zarr.json", b" " * (17 * 2**20))
    with pytest.raises(LimitExceededError):
        opened(archive)


def test_file_that_lies_about_its_size_is_not_unpacked_further(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    rewritten(archive, "0/c/0/0/0/0/0", bytes(50 * 2**20))
    data = bytearray(archive.read_bytes())
    said = struct.pack("<L", 50 * 2**20)
    while (at := data.find(said)) >= 0:
        data[at : at + 4] = struct.pack("<L", 1920)
    archive.write_bytes(data)
    limits: list[int] = []
    decompressobj = zlib.decompressobj

    class Watched:
        def __init__(self, bits: int) -> None:
            self._real = decompressobj(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            limits.append(most)
            return self._real.decompress(data, most)

    source = opened(archive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zip_tree.zlib, "decompressobj", Watched)
        with pytest.raises(CorruptDataError, match="checksum"):
            source.read_plane(PlaneKey())
    assert max(limits) == 1921


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "C:/x", "..\\x"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(name, b"x")
    with pytest.raises(UntrustedReferenceError, match="leads out"):
        open_source(str(archive))


def test_too_many_files_are_refused_before_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    monkeypatch.setattr(zip_tree, "MAX_ENTRIES", 5)
    monkeypatch.setattr(zip_tree.zipfile, "ZipFile", None)
    with pytest.raises(LimitExceededError, match="shards"):
        open_source(str(archive))


def test_encrypted_and_strangely_compressed_archives_say_so(tmp_path: Path, opened: Open) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx", zipfile.ZIP_LZMA)
    with pytest.raises(UnsupportedError, match="LZMA"):
        opened(archive)
    archive = pack(tmp_path / "i.zarr", tmp_path / "i.ozx")
    data = bytearray(archive.read_bytes())
    data[data.find(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(UnsupportedError, match="encrypted"):
        opened(archive)
