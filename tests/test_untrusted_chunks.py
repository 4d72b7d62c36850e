"""Chunks that claim to be more than a chunk is: refused by name, before any memory is taken."""

from __future__ import annotations

import bz2
import gzip
import json
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from numcodecs.blosc import compress
from stores import create_array, needs_zarr_3, plane

from ndviewer_light.errors import CorruptDataError, DatasetError, UnsupportedError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.storage.limits import parse_json

SHAPE = (24, 40)
CLAIMED = 1_000_000_000
MOST_GROWTH_MIB = 100
_CLAIM = re.escape(f"its blosc header declares {CLAIMED:,} bytes, but a chunk of this array has ")


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A GB of zeros, which blosc packs into some 100 kB."""
    return bytes(compress(bytes(CLAIMED), b"zstd", 5, 1))


def _array(path: Path, version: int, *, shards: tuple[int, int] | None = None, **how: Any) -> Path:
    codec = numcodecs.Blosc("lz4") if version == 2 else zarr.codecs.BloscCodec(cname="lz4")
    array = zarr.create_array(
        path,
        shape=SHAPE,
        chunks=(12, 20),
        shards=shards,
        dtype="u2",
        zarr_format=version,
        compressors=codec,
        **how,
    )
    array[:] = plane()
    return path


def _chunks(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file() and re.fullmatch(r"[\d.]+", p.name))


def _read(path: Path) -> np.ndarray:
    source = open_source(str(path))
    try:
        return source.read_plane(PlaneKey())
    finally:
        source.close()


_CHILD = """
import json, sys
from ndviewer_light.errors import DatasetError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
import tensorstore, numpy
def most():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
source = open_source(sys.argv[1])
before = most()
try:
    source.read_plane(PlaneKey())
    said = ["read", ""]
except DatasetError as error:
    said = [type(error).__name__, str(error)]
json.dump([*said, most() - before], sys.stdout)
"""


def _in_a_child(path: Path) -> tuple[str, str, int]:
    """The kind of error, its text, and by how many MiB memory grew at most."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    name, text, grown = json.loads(child.stdout)
    return name, text, grown


linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for memory")


@needs_zarr_3
@linux
@pytest.mark.parametrize("version", [2, 3])
def test_a_blosc_chunk_that_claims_a_gigabyte(tmp_path: Path, bomb: bytes, version: int) -> None:
    path = _array(tmp_path / "a.zarr", version)
    for chunk in _chunks(path):
        chunk.write_bytes(bomb)
    name, text, grown = _in_a_child(path)
    assert name == "CorruptDataError"
    assert re.search(rf"{re.escape(str(_chunks(path)[0]))} is damaged: {_CLAIM}480", text)
    assert grown < MOST_GROWTH_MIB


@needs_zarr_3
@linux
def test_a_blosc_chunk_inside_a_shard(tmp_path: Path, bomb: bytes) -> None:
    path = _array(tmp_path / "a.zarr", 3, shards=SHAPE)
    shard = _chunks(path)[0]
    whole = shard.read_bytes()
    index = bytearray(whole[-68:-4])
    struct.pack_into("<QQ", index, 3 * 16, 0, len(bomb))  # the last of its four chunks
    import google_crc32c

    shard.write_bytes(bomb + bytes(index) + struct.pack("<I", google_crc32c.value(bytes(index))))
    name, text, grown = _in_a_child(path)
    assert name == "CorruptDataError", text
    assert str(shard) in text
    assert grown < MOST_GROWTH_MIB


@needs_zarr_3
def test_a_shard_index_that_names_bytes_beyond_its_file_and_one_cut_short(tmp_path: Path) -> None:
    path = _array(tmp_path / "a.zarr", 3, shards=SHAPE)
    shard = _chunks(path)[0]
    whole = bytearray(shard.read_bytes())
    struct.pack_into("<Q", whole, len(whole) - 68, len(whole))
    shard.write_bytes(whole)
    with pytest.raises(
        CorruptDataError, match=rf"{re.escape(str(shard))} is damaged: its index refers to bytes"
    ):
        _read(path)
    shard.write_bytes(whole[:40])
    with pytest.raises(CorruptDataError, match=r"c/0/0 is truncated: 40 of at least 68 bytes"):
        _read(path)


@needs_zarr_3
def test_only_the_chunks_of_the_plane_are_judged(tmp_path: Path, bomb: bytes) -> None:
    path = tmp_path / "a.zarr"
    codecs = [zarr.codecs.BloscCodec(cname="lz4")]
    array = zarr.create_array(
        path, shape=(4, *SHAPE), chunks=(1, 12, 20), shards=(2, *SHAPE), dtype="u2", compressors=codecs
    )
    for z in range(4):
        array[z] = plane(z=z)
    shard = path / "c/1/0/0"
    whole = shard.read_bytes()
    at, _ = struct.unpack_from("<QQ", whole, len(whole) - 4 - 4 * 16)  # the first chunk of z = 3
    shard.write_bytes(whole[:at] + bomb[:16] + whole[at + 16 :])
    source = open_source(str(path))
    for z in range(3):
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), plane(z=z))
    with pytest.raises(CorruptDataError, match=_CLAIM):
        source.read_plane(PlaneKey(z=3))
    source.close()


@needs_zarr_3
@pytest.mark.parametrize("shards", [None, SHAPE])
def test_a_blosc_chunk_in_an_archive(tmp_path: Path, bomb: bytes, shards: tuple[int, int] | None) -> None:
    path = _array(tmp_path / "a.zarr", 3, shards=shards)
    chunk = _chunks(path)[0]
    whole = chunk.read_bytes()
    # the header alone is what counts; the index of a shard stays true
    chunk.write_bytes(bomb[:16] + whole[16:])
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as archive:
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            archive.write(file, str(file.relative_to(path)))
    with pytest.raises(CorruptDataError, match=_CLAIM):
        _read(tmp_path / "a.ozx")


def test_what_squid_writes_with_blosc_is_read_as_before(tmp_path: Path) -> None:
    for i, preset in enumerate(("fast", "balanced", "best")):
        for j, shard in enumerate((None, SHAPE)):
            path = tmp_path / f"{i}{j}.zarr"
            create_array(path, SHAPE, chunk=(12, 20), shard=shard, preset=preset).write(plane()).result()
            np.testing.assert_array_equal(_read(path), plane())


@pytest.mark.parametrize("at_end", [True, False])
def test_shards_that_are_turned_and_have_their_index_first(tmp_path: Path, bomb: bytes, at_end: bool) -> None:
    path = tmp_path / "a.zarr"
    create_array(path, SHAPE, chunk=(12, 20), shard=SHAPE, preset="fast")
    document = parse_json((path / "zarr.json").read_bytes(), "")
    told = document["codecs"][0]
    told["configuration"]["chunk_shape"] = [20, 12]
    told["configuration"]["index_location"] = "end" if at_end else "start"
    document["codecs"] = [{"name": "transpose", "configuration": {"order": [1, 0]}}, told]
    (path / "zarr.json").write_text(json.dumps(document))
    import tensorstore as ts

    store = ts.open({"driver": "zarr3", "kvstore": f"file://{path}/"}, write=True).result()
    store.write(plane()).result()
    np.testing.assert_array_equal(_read(path), plane())
    shard = _chunks(path)[0]
    whole = bytearray(shard.read_bytes())
    (at,) = struct.unpack_from("<Q", whole, len(whole) - 68 if at_end else 0)
    whole[at : at + 16] = bomb[:16]
    shard.write_bytes(whole)
    with pytest.raises(CorruptDataError, match=_CLAIM):
        _read(path)


@needs_zarr_3
def test_blosc_that_is_packed_once_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    codecs = [zarr.codecs.BloscCodec(cname="lz4"), zarr.codecs.GzipCodec(level=1)]
    zarr.create_array(path, shape=SHAPE, chunks=(12, 20), dtype="u2", compressors=codecs)[:] = plane()
    with pytest.raises(UnsupportedError, match="blosc inside gzip"):
        _read(path)
    other = tmp_path / "b.zarr"
    codecs = [zarr.codecs.GzipCodec(level=1), zarr.codecs.BloscCodec(cname="lz4"), zarr.codecs.Crc32cCodec()]
    zarr.create_array(other, shape=SHAPE, chunks=(12, 20), dtype="u2", compressors=codecs)[:] = plane()
    np.testing.assert_array_equal(_read(other), plane())


@needs_zarr_3
@pytest.mark.parametrize("length", [0, 3, 15])
def test_a_blosc_chunk_cut_short(tmp_path: Path, length: int) -> None:
    path = _array(tmp_path / "a.zarr", 3)
    chunk = _chunks(path)[1]
    chunk.write_bytes(chunk.read_bytes()[:length])
    with pytest.raises(
        CorruptDataError, match=rf"{re.escape(str(chunk))} is damaged: it has {length} bytes?, too few"
    ):
        _read(path)


# ---- codecs that tensorstore unpacks as a stream -------------------------------------------------

_ZEROS = bytes(CLAIMED // 4)
_STREAMS = {
    "zlib": lambda: zlib.compress(_ZEROS, 1),
    "gzip": lambda: gzip.compress(_ZEROS, 1),
    "zstd": lambda: numcodecs.Zstd().encode(_ZEROS),
    "bz2": lambda: bz2.compress(_ZEROS),
}


@linux
@pytest.mark.parametrize(
    ("codec", "version"), [("zlib", 2), ("gzip", 2), ("zstd", 2), ("bz2", 2), ("gzip", 3), ("zstd", 3)]
)
def test_streams_that_would_become_huge(tmp_path: Path, codec: str, version: int) -> None:
    path = tmp_path / "a.zarr"
    if version == 2:
        create_array(path, (16, 16), version=2)
        document = json.loads((path / ".zarray").read_text())
        (path / ".zarray").write_text(json.dumps({**document, "compressor": {"id": codec, "level": 1}}))
        chunk = path / "0" / "0"
    else:
        configuration = {"level": 1, **({"checksum": False} if codec == "zstd" else {})}
        create_array(path, (16, 16))
        document = json.loads((path / "zarr.json").read_text())
        document["codecs"].append({"name": codec, "configuration": configuration})
        (path / "zarr.json").write_text(json.dumps(document))
        chunk = path / "c" / "0" / "0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(_STREAMS[codec]())
    name, text, grown = _in_a_child(path)
    assert name == "CorruptDataError"
    assert str(chunk) in text
    assert grown < MOST_GROWTH_MIB


def test_references_and_codecs_judge_the_same_header(bomb: bytes) -> None:
    from ndviewer_light.storage.decoding.chunk_decoder import chunks_of

    document = {
        "zarr_format": 2,
        "shape": [16, 16],
        "chunks": [16, 16],
        "dtype": "<u2",
        "compressor": {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 1},
        "filters": None,
        "fill_value": 0,
        "order": "C",
    }
    with pytest.raises(DatasetError, match=rf"the chunk is damaged: {_CLAIM}512"):
        chunks_of(document, "the array").decode(bomb, "the chunk")
