"""Chunks are decoded as those who wrote them meant, within a bound, and nothing off the list is decoded."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light.errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ndviewer_light.storage.decoding import codecs, compressors, numeric_filters
from ndviewer_light.storage.decoding.chunk_decoder import chunks_of
from ndviewer_light.storage.decoding.codec import DamagedError, view
from ndviewer_light.storage.decoding.pictures import decoded, picture_in

if TYPE_CHECKING:
    from ndviewer_light.storage.decoding.chunk_decoder import ChunkDecoder

SHAPE = (3, 20, 31)


def array_document(dtype: str = "<u2", **more: Any) -> dict[str, Any]:
    """The metadata of a zarr v2 array of one chunk."""
    return {
        "zarr_format": 2,
        "shape": list(SHAPE),
        "chunks": list(SHAPE),
        "dtype": dtype,
        "compressor": None,
        "filters": None,
        "fill_value": 0,
        "order": "C",
        **more,
    }


def numbers(dtype: str = "<u2") -> np.ndarray:
    """A chunk of different numbers."""
    rng = np.random.default_rng(3)
    return (rng.integers(0, 200, SHAPE) + np.arange(SHAPE[-1])).astype(dtype)


def chunks(dtype: str = "<u2", **more: Any) -> ChunkDecoder:
    """The same, judged."""
    return chunks_of(array_document(dtype, **more), "a.json")


def without_imagecodecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode as an installation without that library does."""
    for module in (codecs, compressors, numeric_filters):
        monkeypatch.setattr(module, "from_imagecodecs", lambda name: None)


# ---- against numcodecs and zarr --------------------------------------------------------------

NUMCODECS = [
    ({"id": "zlib", "level": 1}, []),
    ({"id": "gzip", "level": 1}, []),
    ({"id": "bz2", "level": 1}, []),
    ({"id": "lzma", "format": 1, "check": -1, "preset": None, "filters": None}, []),
    ({"id": "zstd", "level": 1}, []),
    ({"id": "lz4", "acceleration": 1}, []),
    ({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}, []),
    ({"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 2, "blocksize": 0}, []),
    ({"id": "blosc", "cname": "lz4", "clevel": 0, "shuffle": 0, "blocksize": 0}, []),
    ({"id": "zlib", "level": 1}, [{"id": "shuffle", "elementsize": 2}]),
    (None, [{"id": "shuffle", "elementsize": 2}, {"id": "zlib", "level": 4}, {"id": "fletcher32"}]),
    (None, [{"id": "shuffle", "elementsize": 3}]),
    ({"id": "zlib", "level": 1}, [{"id": "delta", "dtype": "<u2", "astype": "<i4"}]),
    ({"id": "zlib", "level": 1}, [{"id": "delta", "dtype": "<u2"}]),
    (
        {"id": "zlib", "level": 1},
        [{"id": "fixedscaleoffset", "scale": 2, "offset": 0, "dtype": "<u2", "astype": "<i4"}],
    ),
    ({"id": "gzip", "level": 1}, [{"id": "astype", "encode_dtype": "<f4", "decode_dtype": "<u2"}]),
    ({"id": "zlib", "level": 9}, [{"id": "bz2", "level": 1}]),
]


@pytest.mark.parametrize(("compressor", "filters"), NUMCODECS, ids=lambda c: json.dumps(c)[:60])
def test_what_numcodecs_encodes_is_decoded(compressor: Any, filters: list[Any]) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    pixels = numbers()
    data: Any = pixels
    for config in [*filters, *([compressor] if compressor else [])]:
        data = numcodecs.get_codec(config).encode(data)
    stored = bytes(memoryview(data).cast("B")) if not isinstance(data, bytes) else data
    found = chunks(compressor=compressor, filters=filters).decode(stored, "chunk 0")
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("length", [1, 2, 3, 511, 512, 513, 4097, 65_535 * 3 + 1])
@pytest.mark.parametrize("lowest", [0, 255], ids=["noise", "all bits set"])
def test_checksums_are_those_of_numcodecs(length: int, lowest: int) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    data = np.random.default_rng(length).integers(lowest, 256, length, np.uint8).tobytes()
    stored = numcodecs.get_codec({"id": "fletcher32"}).encode(data)
    assert bytes(view(numeric_filters.Fletcher32().undo(memoryview(stored), length))) == data
    broken = bytes([stored[0] ^ 1]) + bytes(stored[1:])
    with pytest.raises(DamagedError, match="checksum"):
        numeric_filters.Fletcher32().undo(memoryview(broken), length)


@pytest.mark.parametrize("dtype", ["|u1", "<u2", ">u2", "<i4", ">f4", "<f8", "|b1"])
def test_every_number_type_and_byte_order(dtype: str) -> None:
    pixels = numbers(dtype)
    found = chunks(dtype).decode(pixels.tobytes(), "chunk 0")
    np.testing.assert_array_equal(found, pixels)
    assert found.dtype == np.dtype(dtype)


@pytest.mark.parametrize("order", ["C", "F"])
def test_both_orders(order: str) -> None:
    pixels = numbers()
    found = chunks(order=order).decode(pixels.tobytes(order), "chunk 0")  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, pixels)


def v3_document(codecs: list[Any], data_type: str = "uint16") -> dict[str, Any]:
    """The metadata of a zarr v3 array of one chunk."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(SHAPE),
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(SHAPE)}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0,
        "codecs": codecs,
    }


def test_zarr_v3_with_transposition_and_compression() -> None:
    pixels = numbers()
    codecs = [
        {"name": "transpose", "configuration": {"order": [2, 0, 1]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
        {"name": "gzip", "configuration": {"level": 1}},
    ]
    stored = gzip.compress(pixels.transpose(2, 0, 1).astype(">u2").tobytes())
    np.testing.assert_array_equal(chunks_of(v3_document(codecs), "a").decode(stored, "chunk 0"), pixels)


def test_zarr_v3_with_codecs_of_numcodecs() -> None:
    codecs = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "numcodecs.shuffle", "configuration": {"elementsize": 2}},
        {"name": "numcodecs.zlib", "configuration": {"level": 1}},
    ]
    pixels = numbers()
    shuffled = pixels.view(np.uint8).reshape(-1, 2).T.tobytes()
    found = chunks_of(v3_document(codecs), "a").decode(zlib.compress(shuffled), "chunk 0")
    np.testing.assert_array_equal(found, pixels)


def test_shards_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="shards"):
        chunks_of(v3_document([{"name": "sharding_indexed", "configuration": {}}]), "a")


@pytest.mark.parametrize("fast", [True, False], ids=["imagecodecs", "numcodecs"])
def test_zstd_without_its_size_in_the_header(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    if not fast:
        pytest.importorskip("numcodecs", minversion="0.14")
        without_imagecodecs(monkeypatch)
    raw = numbers().tobytes()
    frame = imagecodecs.zstd_encode(raw)
    descriptor = frame[4]
    assert descriptor >> 6, "the frame says its size"
    # no size, and a window of 1 MiB instead of it
    sizes = {1: 2, 2: 4, 3: 8}[descriptor >> 6]
    unsized = frame[:4] + bytes([descriptor & 0b00011111, 10 << 3]) + frame[5 + sizes :]
    assert chunks(compressor={"id": "zstd"}).decode(unsized, "a").tobytes() == raw


@pytest.mark.parametrize("fast", [True, False], ids=["imagecodecs", "numcodecs"])
@pytest.mark.parametrize("length", [1, 255, 256, 65_791, 65_792, 70_000])
@pytest.mark.parametrize("spare", [0, 1, 4])
def test_zstd_comes_to_what_was_compressed(
    monkeypatch: pytest.MonkeyPatch, fast: bool, length: int, spare: int
) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    if not fast:
        without_imagecodecs(monkeypatch)
    raw = np.random.default_rng(length).integers(0, 9, length, np.uint8).tobytes()
    stored = memoryview(bytes(numcodecs.Zstd().encode(raw)))
    # more may be allowed to come out than does: that is neither damage nor made up
    assert bytes(compressors.Zstd().undo(stored, length + spare)) == raw
    with pytest.raises((DamagedError, RuntimeError, ValueError)):
        compressors.Zstd().undo(stored, length - 1)


@pytest.mark.parametrize("fast", [True, False], ids=["imagecodecs", "numcodecs"])
def test_two_compressors_one_after_the_other(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    if not fast:
        without_imagecodecs(monkeypatch)
    pixels = numbers()
    stored = bytes(numcodecs.Zstd().encode(gzip.compress(pixels.tobytes())))
    found = chunks(filters=[{"id": "gzip", "level": 1}], compressor={"id": "zstd"}).decode(stored, "a")
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("fast", [True, False], ids=["imagecodecs", "numpy"])
@pytest.mark.parametrize("dtype", ["|u1", "<u2", ">u2", "<i4"])
@pytest.mark.parametrize("axis", [-1, -2, 0])
def test_differences_of_imagecodecs(
    monkeypatch: pytest.MonkeyPatch, axis: int, dtype: str, fast: bool
) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    if not fast:
        without_imagecodecs(monkeypatch)
    pixels = (numbers("<i4") * 70_001).astype(dtype)  # differences wrap around
    stored = imagecodecs.delta_encode(pixels, axis=axis).tobytes()
    config = {"id": "imagecodecs_delta", "axis": axis, "dist": 1, "shape": list(SHAPE), "dtype": dtype}
    coding = chunks(dtype, filters=[config])
    np.testing.assert_array_equal(coding.decode(stored, "a"), pixels)
    with pytest.raises(CorruptDataError):
        coding.decode(stored[:-4], "a")


def test_predicted_floats_of_imagecodecs() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = numbers("<f4")
    stored = imagecodecs.floatpred_encode(pixels, axis=-1).tobytes()
    config = {"id": "imagecodecs_floatpred", "axis": -1, "dist": 1, "shape": list(SHAPE), "dtype": "<f4"}
    np.testing.assert_array_equal(chunks("<f4", filters=[config]).decode(stored, "a"), pixels)


@pytest.mark.parametrize("name", ["lzw", "packbits", "zlib", "zstd"])
def test_compressors_of_imagecodecs(name: str) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    raw = numbers()
    stored = getattr(imagecodecs, f"{name}_encode")(raw.tobytes())
    found = chunks(compressor={"id": f"imagecodecs_{name}"}).decode(bytes(stored), "a")
    np.testing.assert_array_equal(found, raw)


# ---- pictures ------------------------------------------------------------------------------


def picture_bytes(pixels: np.ndarray, end: str, **how: Any) -> bytes:
    """A picture file as Pillow writes it."""
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, end, **how)
    return file.getvalue()


@pytest.mark.parametrize(("end", "codec"), [("PNG", "imagecodecs_png"), ("BMP", "imagecodecs_bmp")])
@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 3)])
def test_whole_pictures_are_chunks(end: str, codec: str, shape: tuple[int, ...]) -> None:
    pixels = numbers("u1").reshape(-1)[: np.prod(shape)].reshape(shape)
    document = {
        **array_document("|u1", compressor={"id": codec}),
        "shape": list(shape),
        "chunks": list(shape),
    }
    found = chunks_of(document, "a").decode(picture_bytes(pixels, end), "0.0")
    np.testing.assert_array_equal(found, pixels)
    with pytest.raises(UnsupportedError, match=r"it is a picture, but .* name no codec"):
        chunks_of({**document, "compressor": None}, "a").decode(picture_bytes(pixels[:9], end), "0.0")


_LOSSLESS: dict[str, dict[str, Any]] = {
    **{"jpeg2k": {"level": 0, "reversible": True}, "jpegxl": {"lossless": True}},
    **{"jpegxr": {"level": 1.0}, "lerc": {"level": 0}},
}


@pytest.mark.parametrize("name", _LOSSLESS)
@pytest.mark.parametrize(("shape", "dtype"), [((20, 31), "<u2"), ((20, 31, 3), "|u1"), ((300, 270), "|u1")])
def test_pictures_that_only_imagecodecs_knows(name: str, shape: tuple[int, ...], dtype: str) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = np.random.default_rng(1).integers(0, 250, shape).astype(dtype)
    stored = bytes(getattr(imagecodecs, f"{name}_encode")(pixels, **_LOSSLESS[name]))
    document = array_document(dtype, compressor={"id": f"imagecodecs_{name}"})
    found = chunks_of({**document, "shape": list(shape), "chunks": list(shape)}, "a").decode(stored, "0.0")
    np.testing.assert_array_equal(found, pixels)
    # one that claims to be larger than its chunk is not decoded
    small = chunks_of({**document, "shape": [5, 7], "chunks": [5, 7]}, "a")
    with pytest.raises(CorruptDataError, match=r"its header declares [0-9,]+ pixels, but a chunk has 35"):
        small.decode(stored, "0.0")
    for damaged in (stored[:11], b"", b"\0" * 40):
        with pytest.raises(CorruptDataError):
            small.decode(damaged, "0.0")


def test_whole_tiffs_are_chunks() -> None:
    import tifffile

    file, pixels = io.BytesIO(), numbers()[:, :, :]
    tifffile.imwrite(file, pixels, photometric="minisblack", compression="zlib", metadata=None)
    shape = list(SHAPE[1:])
    document = {
        **array_document(compressor={"id": "imagecodecs_tiff", "index": 2}),
        "shape": shape,
        "chunks": shape,
    }
    np.testing.assert_array_equal(chunks_of(document, "a").decode(file.getvalue(), "0.0"), pixels[2])


def test_16_bit_pictures_keep_their_bits() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    grey = numbers()[0] * 100
    colour = np.stack([grey, grey + 1, grey + 2], -1)
    for pixels in (grey, colour):
        data = imagecodecs.png_encode(pixels)
        found = picture_in(io.BytesIO(data), "a.png")
        assert (found.shape, found.dtype) == (pixels.shape, np.uint16)
        np.testing.assert_array_equal(decoded(data, "a.png"), pixels)


@pytest.mark.parametrize("end", ["PNG", "BMP", "JPEG"])
def test_pictures_that_are_cut_short_are_damage(end: str) -> None:
    data = picture_bytes(np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8), end)
    for length in (0, 3, 20, len(data) // 4, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(CorruptDataError, match=r"a\.x"):
            decoded(data[:length], "a.x")


def test_a_picture_is_judged_before_it_is_decoded() -> None:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13)
    for bits, color in ((16, 2), (8, 0)):
        body = b"IHDR" + struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, bits, color, 0, 0, 0)
        bomb = head + body + struct.pack(">I", zlib.crc32(body)) + struct.pack(">I", 0) + b"IDAT" + bytes(4)
        with pytest.raises(LimitExceededError, match=r"a\.png"):
            decoded(bomb, "a.png")


# ---- what is not trusted ---------------------------------------------------------------------

REFUSED = ["pickle", "msgpack2", "json2", "vlen-utf8", "categorize", "pcodec", "imagecodecs_jetraw", "zfpy"]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("as_filter", [True, False])
def test_codecs_that_are_not_on_the_list_are_refused(name: str, as_filter: bool) -> None:
    config = {"id": name}
    where: dict[str, Any] = {"filters": [config]} if as_filter else {"compressor": config}
    with pytest.raises(UnsupportedError, match=rf"a\.json.*{name}"):
        chunks(**where)


@pytest.mark.parametrize("dtype", ["|O", "|O8", "<U8", "|S4", "<M8[ns]", "<c8x", [["a", "<i4"]], None, 5])
def test_only_numbers_are_decoded(dtype: Any) -> None:
    with pytest.raises((UnsupportedError, MetadataError)):
        chunks(dtype)


def test_a_missing_library_is_a_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "numcodecs.blosc", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'ndviewer_light\[refs\]'"):
        chunks(compressor={"id": "blosc"})


BOMB = bytes(75_000_000)


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("zlib", zlib.compress),
        ("gzip", gzip.compress),
        ("bz2", lambda raw: bz2.compress(raw, 9)),
        ("lzma", lambda raw: lzma.compress(raw, preset=0)),
    ],
)
def test_what_inflates_to_more_than_a_chunk_is_not_inflated(name: str, encode: Any) -> None:
    psutil = pytest.importorskip("psutil")
    stored = encode(BOMB)
    coding = chunks(compressor={"id": name})
    before = psutil.Process().memory_info().rss
    with pytest.raises(CorruptDataError, match="chunk 7 is damaged"):
        coding.decode(stored, "chunk 7")
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_headers_that_promise_more_than_a_chunk_are_not_believed() -> None:
    numcodecs = pytest.importorskip("numcodecs")
    raw = bytes(10_000_000)
    for config in ({"id": "blosc"}, {"id": "lz4"}, {"id": "zstd"}):
        stored = bytes(numcodecs.get_codec(config).encode(raw))
        with pytest.raises(CorruptDataError):
            chunks(compressor=config).decode(stored, "a")


@pytest.mark.parametrize("name", ["zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "blosc"])
def test_damaged_bytes_are_an_error_and_never_other_pixels(name: str) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    coding, pixels = chunks(compressor={"id": name}), numbers()
    stored = bytearray(numcodecs.get_codec({"id": name}).encode(pixels))
    rng = np.random.default_rng(1)
    for cut in (0, 1, 7, 15, 16, len(stored) // 2, len(stored) - 1):
        with pytest.raises(CorruptDataError):
            coding.decode(bytes(stored[:cut]), "a")
    has_checksum = name in ("zlib", "gzip", "bz2", "lzma")
    for _ in range(60):
        mutant = bytearray(stored)
        mutant[rng.integers(len(mutant))] ^= int(rng.integers(1, 256))
        try:
            found = coding.decode(bytes(mutant), "a")
        except DatasetError:
            continue
        assert found.shape == SHAPE
        assert not has_checksum or (found == pixels).all()


@pytest.mark.parametrize("fast", [True, False], ids=["imagecodecs", "zlib"])
@pytest.mark.parametrize(
    ("parts", "after"), [((600,), b""), ((200, 400), b""), ((600,), b"\0" * 8), ((600, 0), b"")], ids=str
)
def test_gzip_may_come_in_members_and_with_padding(
    monkeypatch: pytest.MonkeyPatch, fast: bool, parts: tuple[int, ...], after: bytes
) -> None:
    if not fast:
        without_imagecodecs(monkeypatch)
    content = bytes(range(200)) * 3
    data, at = b"", 0
    for length in parts:
        data += gzip.compress(content[at : at + length])
        at += length
    assert bytes(compressors.gunzipped(memoryview(data + after), len(content))) == content


def test_a_chunk_that_comes_out_short_is_damage() -> None:
    raw = numbers().tobytes()
    for stored, how in ((raw[:-2], None), (raw + b"\0\0", None), (zlib.compress(raw[:-2]), {"id": "zlib"})):
        with pytest.raises(CorruptDataError, match="instead of 3,720"):
            chunks(compressor=how).decode(stored, "a")


@pytest.mark.parametrize("fast", [True, False], ids=["imagecodecs", "numcodecs"])
@pytest.mark.parametrize("name", ["zstd", "lz4", "blosc"])
def test_a_frame_that_comes_out_short_is_damage(
    monkeypatch: pytest.MonkeyPatch, name: str, fast: bool
) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    if not fast:
        without_imagecodecs(monkeypatch)
    stored = bytes(numcodecs.get_codec({"id": name}).encode(numbers().tobytes()[:-2]))
    with pytest.raises(CorruptDataError, match="3,718 bytes instead of 3,720"):
        chunks(compressor={"id": name}).decode(stored, "a")


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("order", "K", MetadataError),
        ("filters", "zlib", MetadataError),
        ("filters", [5], MetadataError),
        ("filters", [{"id": "shuffle", "elementsize": 2}] * 20, LimitExceededError),
        ("filters", [{"id": "shuffle", "elementsize": -1}], MetadataError),
        ("filters", [{"id": "delta", "dtype": "|O"}], UnsupportedError),
        ("filters", [{"id": "delta", "dtype": ["<i4", "<i4"]}], UnsupportedError),
        ("filters", [{"id": "fixedscaleoffset", "dtype": "<u2", "scale": 0, "offset": 1}], MetadataError),
        ("compressor", {"id": "lzma", "format": 3, "filters": []}, UnsupportedError),
        ("fill_value", "x", MetadataError),
        ("chunks", [3, 0, 31], LimitExceededError),
        ("chunks", [3, 20], MetadataError),
        ("chunks", [2**20, 2**20, 2**50], LimitExceededError),
        ("shape", [-3, 20, 31], LimitExceededError),
        ("zarr_format", 4, UnsupportedError),
    ],
)
def test_absurd_metadata_is_refused(field: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"a\.json"):
        chunks(**{field: value})


def test_fill_values_are_of_the_type_of_the_array() -> None:
    for dtype, said, value in (
        ("<u2", 7, 7),
        ("<f4", "NaN", np.nan),
        ("<f4", "-Infinity", -np.inf),
        ("<u2", None, 0),
    ):
        found = chunks(dtype, fill_value=said).fill
        np.testing.assert_equal(found, np.dtype(dtype).type(value))


def test_chunks_that_are_compressed_have_a_largest_size() -> None:
    large = {"chunks": [2**20, 2**20, 31]}
    assert chunks(**large).is_plain  # parts of it can be read
    with pytest.raises(LimitExceededError, match=r"a\.json"):
        chunks(**large, compressor={"id": "zlib"})
