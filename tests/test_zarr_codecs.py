"""Codecs that zarr-python knows and tensorstore does not: the same pixels as zarr-python reads."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from numcodecs import (
    CRC32,
    LZ4,
    LZMA,
    Adler32,
    AsType,
    Blosc,
    Delta,
    FixedScaleOffset,
    Fletcher32,
    PackBits,
    Quantize,
    Shuffle,
    Zlib,
)

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    CorruptDataError,
    LimitExceededError,
    PlaneNotStoredError,
    PlaneNotWrittenError,
    UnsupportedError,
)
from ndviewer_light.model import PlaneKey, Region
from ndviewer_light.sources.zarr.decoded import DecodedArray
from ndviewer_light.sources.zarr.source import ZarrSource
from ndviewer_light.storage.decoding.checksums import crc32c
from tests.range_server import RangeServer

zarr_3 = pytest.importorskip("zarr.codecs.numcodecs", reason="needs zarr-python 3.1")
from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

PIXELS = (np.arange(4 * 24 * 40).reshape(4, 24, 40) * 7 % 251).astype("<u2")
"""(Z, Y, X)."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as served:
        yield served


def write_v2(path: Path, pixels: np.ndarray = PIXELS, **how: Any) -> None:
    how.setdefault("chunks", (1, 16, 16))
    array = zarr.create_array(store=str(path), shape=pixels.shape, dtype=pixels.dtype, zarr_format=2, **how)
    array[...] = pixels


def write_v3(path: Path, codecs: list[Any], pixels: np.ndarray = PIXELS, chunks: Any = (1, 16, 16)) -> None:
    how = {"shape": pixels.shape, "dtype": pixels.dtype, "chunks": chunks, "zarr_format": 3, "codecs": codecs}
    zarr.create(store=str(path), dimension_names=["z", "y", "x"], **how)[...] = pixels


def sharded(*codecs: Any, chunk: tuple[int, ...] = (1, 8, 8), **how: Any) -> ShardingCodec:
    return ShardingCodec(chunk_shape=chunk, codecs=[BytesCodec(), *codecs], **how)


SCALED = {"offset": 0, "scale": 1, "dtype": "<u2", "astype": "u1"}
V2: dict[str, dict[str, Any]] = {
    "lz4": {"compressors": LZ4()},
    "lzma": {"compressors": LZMA()},
    "delta": {"filters": [Delta(dtype="<u2")], "compressors": Zlib()},
    "delta alone": {"filters": [Delta(dtype="<u2")], "compressors": None},
    "delta, order F": {"filters": [Delta(dtype="<u2")], "compressors": Zlib(), "order": "F"},
    "shuffle": {"filters": [Shuffle(2)], "compressors": Zlib()},
    "fixedscaleoffset": {"filters": [FixedScaleOffset(**SCALED)], "compressors": Blosc()},
    "astype": {"filters": [AsType(encode_dtype="<u4", decode_dtype="<u2")], "compressors": Zlib()},
    "fletcher32": {"filters": [Fletcher32()], "compressors": None},
    "crc32 and adler32": {"filters": [CRC32(), Adler32()], "compressors": None},
    "chunks of several planes": {"compressors": LZ4(), "chunks": (3, 10, 24)},
}
V3: dict[str, Callable[[], list[Any]]] = {  # made when used, as making them warns
    "lz4": lambda: [BytesCodec(), zarr_3.LZ4()],
    "zlib": lambda: [BytesCodec(), zarr_3.Zlib()],
    "blosc": lambda: [BytesCodec(), zarr_3.Blosc()],
    "bz2": lambda: [BytesCodec(), zarr_3.BZ2()],
    "lzma": lambda: [BytesCodec(), zarr_3.LZMA()],
    "zstd": lambda: [BytesCodec(), zarr_3.Zstd()],
    "gzip": lambda: [BytesCodec(), zarr_3.GZip()],
    "shuffle": lambda: [BytesCodec(), zarr_3.Shuffle(elementsize=2), zarr_3.Zlib()],
    "delta": lambda: [zarr_3.Delta(dtype="<u2"), BytesCodec()],
    "fixedscaleoffset": lambda: [zarr_3.FixedScaleOffset(**SCALED), BytesCodec(), GzipCodec()],
    "astype": lambda: [zarr_3.AsType(encode_dtype="<u4", decode_dtype="<u2"), BytesCodec()],
    "crc32": lambda: [BytesCodec(), zarr_3.CRC32()],
    "fletcher32": lambda: [BytesCodec(), zarr_3.Fletcher32()],
    "big endian": lambda: [BytesCodec(endian="big"), zarr_3.LZ4()],
    "transposed": lambda: [TransposeCodec(order=(2, 0, 1)), BytesCodec(), zarr_3.LZ4(), Crc32cCodec()],
    "shards, then gzip": lambda: [sharded(), GzipCodec()],
    "shards of lz4": lambda: [sharded(zarr_3.LZ4())],
    "shards of lz4, index first": lambda: [sharded(zarr_3.LZ4(), index_location="start")],
    "shards of several planes": lambda: [sharded(zarr_3.LZ4(), chunk=(2, 8, 8))],
    "shards in shards": lambda: [
        ShardingCodec(chunk_shape=(1, 8, 16), codecs=[sharded(zarr_3.Zlib(), chunk=(1, 4, 8))])
    ],
    "transposed shards": lambda: [
        TransposeCodec(order=(1, 2, 0)),
        ShardingCodec(chunk_shape=(1, 8, 1), codecs=[BytesCodec(), zarr_3.LZ4()]),
    ],
}
CHUNKS = {"shards of several planes": (4, 16, 16)}
KINDS = [*(("v2", kind) for kind in V2), *(("v3", kind) for kind in V3)]


def write(path: Path, version: str, kind: str) -> None:
    if version == "v2":
        write_v2(path, **V2[kind])
    else:
        write_v3(path, V3[kind](), chunks=CHUNKS.get(kind, (1, 16, 16)))


@pytest.mark.parametrize(("version", "kind"), KINDS)
def test_pixels_are_those_that_zarr_python_reads(
    tmp_path: Path, server: RangeServer, version: str, kind: str
) -> None:
    path = tmp_path / "x.zarr"
    write(path, version, kind)
    expected = zarr.open_array(str(path), mode="r")[...]
    np.testing.assert_array_equal(expected, PIXELS)  # none of them loses anything
    served = shutil.copytree(path, server.folder / f"{tmp_path.name}.zarr")
    packed = shutil.make_archive(str(tmp_path / "x"), "zip", path)
    for where in (path, server.url(served.name), packed):
        source = ZarrSource.open(str(where))
        try:
            assert isinstance(source._arrays.get(source._known.places[0].store, 0), DecodedArray)
            assert source.info.dtype == np.uint16
            for z in (0, 3):
                np.testing.assert_array_equal(source.read_plane(PlaneKey(z=z)), expected[z])
            region = source.read_region(PlaneKey(z=2), Region(5, 13, 14, 21))
            np.testing.assert_array_equal(region, expected[2, 5:19, 13:34])
            assert source.tile_shape(0) is not None
        finally:
            source.close()


def test_truth_values_and_rounded_numbers(tmp_path: Path) -> None:
    write_v2(tmp_path / "bits.zarr", PIXELS[0] > 100, filters=[PackBits()], compressors=Zlib(), chunks=(7, 9))
    write_v2(
        tmp_path / "rounded.zarr",
        (PIXELS[0] / 7).astype("<f4"),
        filters=[Quantize(digits=1, dtype="<f4")],
        compressors=LZ4(),
        chunks=(24, 40),
    )
    for name in ("bits", "rounded"):
        expected = zarr.open_array(str(tmp_path / f"{name}.zarr"), mode="r")[...]
        with open_dataset(tmp_path / f"{name}.zarr") as dataset:
            np.testing.assert_array_equal(dataset.plane(), expected)


# ---- missing, growing, damaged ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["v2", "shards"])
def test_missing_chunks_are_the_fill_value_and_missing_planes_are_not(tmp_path: Path, kind: str) -> None:
    pixels = PIXELS + 1
    pixels[1, :16, :16] = pixels[3] = 7
    path = tmp_path / "x.zarr"
    if kind == "v2":
        write_v2(path, pixels, compressors=LZ4(), fill_value=7, config={"write_empty_chunks": False})
    else:
        how = {"shape": pixels.shape, "dtype": "u2", "chunks": (4, 16, 16), "zarr_format": 3, "fill_value": 7}
        codecs = [sharded(zarr_3.LZ4())]
        zarr.create(store=str(path), codecs=codecs, dimension_names=["z", "y", "x"], **how)[...] = pixels
    with open_dataset(path) as dataset:
        np.testing.assert_array_equal(dataset.plane(z=1), pixels[1])
        np.testing.assert_array_equal(dataset.plane(z=3), pixels[3])
        found = dataset.to_xarray(missing="fill").values.reshape(pixels.shape)
        np.testing.assert_array_equal(found, pixels)
    with contextlib.closing(ZarrSource.open(str(path))) as source:
        with pytest.raises(PlaneNotStoredError, match="others of the same stack are stored") as raised:
            source.read_plane(PlaneKey(z=3))
        assert raised.value.is_fill_value
        assert raised.value.fill_value == 7


def test_what_is_written_meanwhile_is_noticed(tmp_path: Path) -> None:
    """A plane in a chunk that others are being written into is expected, not black; then it is there."""
    path = tmp_path / "x.zarr"
    how = {"shape": PIXELS.shape, "dtype": "<u2", "chunks": (4, 24, 40), "zarr_format": 2}
    array = zarr.create_array(store=str(path), compressors=LZ4(), fill_value=0, **how)
    array[0] = PIXELS[0] + 1
    with contextlib.closing(ZarrSource.open(str(path))) as source:
        source.follow()
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=0)), PIXELS[0] + 1)
        with pytest.raises(PlaneNotStoredError) as raised:
            source.read_plane(PlaneKey(z=1))
        assert raised.value.is_expected
        before = source.versions([PlaneKey(z=1)])
        array[1] = PIXELS[1] + 1
        assert source.versions([PlaneKey(z=1)]) != before
        source.look()
        np.testing.assert_array_equal(source.read_plane(PlaneKey(z=1)), PIXELS[1] + 1)


def test_a_plane_of_which_some_chunks_are_written_is_not_complete_yet(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    write_v2(path, compressors=LZ4())
    (path / "2.1.0").unlink()
    with open_dataset(path, follow=True) as dataset, pytest.raises(PlaneNotWrittenError):
        dataset.plane(z=2)


def test_damage_is_an_error_that_names_the_chunk(tmp_path: Path) -> None:
    write_v2(tmp_path / "x.zarr", filters=[CRC32()], compressors=None)
    chunk = tmp_path / "x.zarr" / "1.0.0"
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(data)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        with pytest.raises(CorruptDataError, match=r"1\.0\.0 is damaged: its checksum does not match"):
            dataset.plane(z=1)
        np.testing.assert_array_equal(dataset.plane(z=0), PIXELS[0])


def test_no_chunk_decompresses_to_more_than_it_may(tmp_path: Path) -> None:
    write_v2(tmp_path / "x.zarr", filters=[Delta(dtype="<u2")], compressors=Zlib())
    (tmp_path / "x.zarr" / "0.0.0").write_bytes(zlib.compress(bytes(50_000_000)))
    (tmp_path / "x.zarr" / "1.0.0").write_bytes(bytes(100_000_000))
    with open_dataset(tmp_path / "x.zarr") as dataset:
        with pytest.raises(CorruptDataError, match=r"0\.0\.0 is damaged"):
            dataset.plane(z=0)
        with pytest.raises(LimitExceededError, match=r"1\.0\.0 has 100,000,000 bytes"):
            dataset.plane(z=1)


def test_a_chunk_that_leads_out_is_not_read(tmp_path: Path) -> None:
    write_v2(tmp_path / "x.zarr", compressors=LZ4())
    chunk = tmp_path / "x.zarr" / "0.0.0"
    shutil.move(chunk, tmp_path / "secret")
    chunk.symlink_to(tmp_path / "secret")
    with open_dataset(tmp_path / "x.zarr") as dataset, pytest.raises(PermissionError, match="symbolic link"):
        dataset.plane(z=0)


def test_a_codec_that_nothing_decodes_is_named(tmp_path: Path) -> None:
    write_v2(tmp_path / "x.zarr", compressors=LZ4())
    file = tmp_path / "x.zarr" / ".zarray"
    file.write_text(file.read_text().replace('"lz4"', '"pickle"'))
    with pytest.raises(UnsupportedError, match="codec 'pickle' is not supported"):
        open_dataset(tmp_path / "x.zarr")


@pytest.mark.parametrize("n", [0, 1, 9, 511, 512, 513, 5000, 70_001])
def test_crc_32c_is_what_the_library_of_zarr_python_computes(n: int) -> None:
    google = pytest.importorskip("google_crc32c")
    data = np.random.default_rng(n).integers(0, 256, n, np.uint8)
    assert crc32c(data) == google.value(data.tobytes())


def test_shards_in_an_archive_that_is_stored_are_read(tmp_path: Path) -> None:
    write_v3(tmp_path / "x.zarr", V3["shards of lz4"]())
    with zipfile.ZipFile(tmp_path / "x.ozx", "w") as packed:
        for file in sorted((tmp_path / "x.zarr").rglob("*")):
            packed.write(file, file.relative_to(tmp_path / "x.zarr"))
    with open_dataset(tmp_path / "x.ozx") as dataset:
        np.testing.assert_array_equal(dataset.plane(z=3), PIXELS[3])
