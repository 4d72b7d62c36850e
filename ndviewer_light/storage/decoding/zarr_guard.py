"""Checks array metadata (`zarr.json`, `.zarray`) in Python, before a native library sees it.

Damaged or absurd metadata can make native code abort the whole process, so anything not on
these lists is refused with a message. Pure functions on dicts, no I/O.
Rules: Zarr v3 core specification, Zarr v2 specification; limits in `storage.limits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import LimitExceededError, MetadataError, UnsupportedError
from ...model import how_many
from .. import limits
from ..printable import brief

V3_CODECS = ("blosc", "bytes", "crc32c", "gzip", "sharding_indexed", "transpose", "zstd")
V2_COMPRESSORS = ("blosc", "bz2", "gzip", "zlib", "zstd")

_V3_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
_V2_DTYPES = ("b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16")
WIDENED: dict[str, np.dtype[Any]] = {"int4": np.dtype(np.int8), "bfloat16": np.dtype(np.float32)}
"""Types numpy lacks, and the one their planes are delivered in."""


@dataclass(frozen=True)
class ArrayFacts:
    """The metadata of one array: shape, dtype of planes, axis names if any."""

    version: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dimension_names: tuple[str | None, ...] | None = None


def array_facts(document: limits.JsonObject, version: int, where: str) -> ArrayFacts:
    """Check the metadata of one array; `where` is the file it came from.

    Raises `MetadataError`, `UnsupportedError` or `LimitExceededError`, each naming the file and the
    field.
    """
    if document.get("zarr_format") != version:
        raise UnsupportedError(
            f"{where}: zarr_format is {brief(document.get('zarr_format'))}, expected {version}"
        )
    shape = _integers(document, "shape", where)
    if len(shape) > limits.MAX_RANK:
        raise LimitExceededError(f"{where}: {len(shape)} dimensions; at most {limits.MAX_RANK} can be shown")
    if version == 3:
        return _v3_facts(document, shape, where)
    dtype = _v2_dtype(document.get("dtype"), where)
    _check_chunk(_integers(document, "chunks", where), shape, dtype, where)
    _check_v2_codecs(document, where)
    return ArrayFacts(2, shape, dtype)


def is_native(document: limits.JsonObject, version: int) -> bool:
    """Whether tensorstore knows all codecs of an array; invalid metadata counts as known, to be refused."""
    if version == 3:
        return _is_native_chain(document.get("codecs"))
    compressor = document.get("compressor")
    name = compressor.get("id") if isinstance(compressor, dict) else None
    return (not isinstance(name, str) or name in V2_COMPRESSORS) and not document.get("filters")


def _is_native_chain(codecs: object, depth: int = 0) -> bool:
    if not isinstance(codecs, list) or depth > limits.MAX_RANK:
        return True
    names = [codec.get("name") if isinstance(codec, dict) else codec for codec in codecs]
    if any(isinstance(name, str) and name not in V3_CODECS for name in names):
        return False
    if "sharding_indexed" in names[:-1]:  # tensorstore has nothing that follows shards
        return False
    inner = codecs[-1].get("configuration") if codecs and isinstance(codecs[-1], dict) else None
    return not isinstance(inner, dict) or _is_native_chain(inner.get("codecs"), depth + 1)


def _gib(size: int) -> str:
    return f"{size / 1024**3:g} GiB"


def _integers(document: limits.JsonObject, field: str, where: str, least: int = 0) -> tuple[int, ...]:
    values = document.get(field)
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise MetadataError(f"{where}: {field} is {brief(values)}, expected a list of whole numbers")
    if any(not least <= value < 2**62 for value in values):
        raise LimitExceededError(f"{where}: {field} {brief(values)} is not a valid array size")
    return tuple(values)


def _check_chunk(chunk: tuple[int, ...], shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> None:
    if len(chunk) != len(shape):
        raise MetadataError(
            f"{where}: chunks of {how_many(len(chunk), 'dimension')} in an array of {len(shape)}"
        )
    if 0 in chunk:
        raise LimitExceededError(f"{where}: chunks of {chunk} are empty")
    if math.prod(chunk) * dtype.itemsize > limits.MAX_CHUNK_BYTES:
        raise LimitExceededError(f"{where}: chunks of {chunk} {dtype} exceed {_gib(limits.MAX_CHUNK_BYTES)}")


# ---- zarr v3 -------------------------------------------------------------------------------


def _v3_facts(document: limits.JsonObject, shape: tuple[int, ...], where: str) -> ArrayFacts:
    if document.get("node_type") != "array":
        raise MetadataError(f"{where}: node_type is {brief(document.get('node_type'))}, expected 'array'")
    if document.get("storage_transformers"):
        raise UnsupportedError(f"{where}: storage transformers are not supported")
    dtype = _v3_dtype(document.get("data_type"), where)
    grid_name, grid = _named(document.get("chunk_grid"), "chunk_grid", where)
    if grid_name != "regular":
        raise UnsupportedError(f"{where}: chunk grid {brief(grid_name)} is not supported, only 'regular'")
    chunk = _integers(grid, "chunk_shape", where, least=1)
    _check_v3_codecs(document.get("codecs"), chunk, shape, dtype, where)
    return ArrayFacts(3, shape, dtype, dimension_names(document, where))


def _named(value: object, field: str, where: str) -> tuple[str, limits.JsonObject]:
    """Name and configuration of an extension object; the short form is just the name."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        configuration = value.get("configuration", {})
        if isinstance(configuration, dict):
            return value["name"], configuration
    raise MetadataError(f"{where}: {field} is {brief(value)}, expected a name and a configuration")


def _v3_dtype(name: object, where: str) -> np.dtype[Any]:
    if isinstance(name, str) and name in _V3_DTYPES:
        return np.dtype(name)
    if isinstance(name, str) and name in WIDENED:
        return WIDENED[name]
    raise UnsupportedError(f"{where}: data type {brief(name)} is not supported; it must be a number type")


def dimension_names(document: limits.JsonObject, where: str) -> tuple[str | None, ...] | None:
    """The names of the dimensions of a v3 array, None if it names none. Raises `MetadataError`."""
    names = document.get("dimension_names")
    if names is None:
        return None
    if not isinstance(names, list) or not all(name is None or isinstance(name, str) for name in names):
        raise MetadataError(f"{where}: dimension_names is {brief(names)}, expected a list of names")
    known = [name for name in names if name]
    if len(set(known)) != len(known):
        raise MetadataError(f"{where}: dimension_names {brief(names)} contain a name twice")
    return tuple(names)


def _check_v3_codecs(
    codecs: object, chunk: tuple[int, ...], shape: tuple[int, ...], dtype: np.dtype[Any], where: str
) -> None:
    """Check a codec chain; for shards, only inner chunks and the index are ever in memory as a whole."""
    if not isinstance(codecs, list) or not codecs:
        raise MetadataError(f"{where}: codecs is {brief(codecs)}, expected a list of codecs")
    chain = [_named(codec, "codecs", where) for codec in codecs]
    unknown = [name for name, _ in chain if name not in V3_CODECS]
    if unknown:
        raise UnsupportedError(
            f"{where}: codec {brief(unknown[0])} is not supported; supported are {', '.join(V3_CODECS)}"
        )
    sharding = [configuration for name, configuration in chain if name == "sharding_indexed"]
    if chain[-1][0] != "sharding_indexed":
        _check_chunk(chunk, shape, dtype, where)
    elif len(chunk) != len(shape):
        raise MetadataError(
            f"{where}: chunks of {how_many(len(chunk), 'dimension')} in an array of {len(shape)}"
        )
    for configuration in sharding:
        _check_shard(configuration, chunk, shape, dtype, where)


def _check_shard(
    configuration: limits.JsonObject,
    outer: tuple[int, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    where: str,
) -> None:
    inner = _integers(configuration, "chunk_shape", where, least=1)
    if len(inner) != len(outer):
        raise MetadataError(
            f"{where}: shards of {how_many(len(outer), 'dimension')} with chunks of {len(inner)}"
        )
    entries = math.prod(-(-whole // part) for whole, part in zip(outer, inner, strict=True))
    if entries * 16 > limits.MAX_SHARD_INDEX_BYTES:
        raise LimitExceededError(f"{where}: shards of {outer} contain {entries} chunks of {inner}: too many")
    _check_v3_codecs(configuration.get("codecs"), inner, shape, dtype, where)
    index_codecs = configuration.get("index_codecs", [])
    if not isinstance(index_codecs, list):
        raise MetadataError(f"{where}: index_codecs is {brief(index_codecs)}, expected a list of codecs")
    names = [_named(codec, "index_codecs", where)[0] for codec in index_codecs]
    if any(name not in ("bytes", "crc32c") for name in names):
        raise UnsupportedError(f"{where}: index codecs {names} are not supported, only bytes and crc32c")


# ---- zarr v2 -------------------------------------------------------------------------------


def _v2_dtype(name: object, where: str) -> np.dtype[Any]:
    if isinstance(name, str) and name in WIDENED:
        return WIDENED[name]
    if isinstance(name, str) and name[:1] in ("<", ">", "|") and name[1:] in _V2_DTYPES:
        return np.dtype(name[1:])
    raise UnsupportedError(f"{where}: dtype {brief(name)} is not supported; it must be a number type")


def _check_v2_codecs(document: limits.JsonObject, where: str) -> None:
    compressor = document.get("compressor")
    if compressor is not None:
        name = compressor.get("id") if isinstance(compressor, dict) else compressor
        if name not in V2_COMPRESSORS:
            raise UnsupportedError(
                f"{where}: compressor {brief(name)} is not supported, only {', '.join(V2_COMPRESSORS)}"
            )
    filters = document.get("filters")
    if filters:
        names = [_filter_name(entry) for entry in filters] if isinstance(filters, list) else filters
        raise UnsupportedError(f"{where}: filters {brief(names)} are not supported")


def _filter_name(entry: object) -> object:
    return entry.get("id") if isinstance(entry, dict) else entry
