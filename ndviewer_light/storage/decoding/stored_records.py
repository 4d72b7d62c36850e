"""Records of numbers, as Zarr stores them: read by their bytes, as tensorstore knows these dtypes in v2 only.

Zarr v2 has a list of fields as dtype, or objects in JSON; v3 "structured" (zarr-python) or "struct". Pickled
objects are never read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...errors import CorruptDataError, LimitExceededError, MetadataError, UnsupportedError
from ..limits import MAX_CHUNK_BYTES
from .codec import decoded_bytes, most_stored
from .codecs import codec_from
from .shard_decoder import object_decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..limits import JsonObject

    ReadChunks = Callable[[Sequence[tuple[str, ...]], int], Sequence[bytes | None]]
    """Reads whole chunks of at most so many bytes by their names in the array; None for those not stored."""

_MAX_RECORD_FIELDS = 16
_JSON = "json2"
_MOST_TEXT_OF_RECORD = 256
_MOST_TEXT = 64 * 1024**2


class StoredRecords(NamedTuple):
    """A list of records: its path, how many there are and in a chunk, their dtype.

    `document` describes them as bytes (record, byte); or as texts in JSON if `is_json`.
    """

    path: str
    n: int
    chunk: int
    dtype: np.dtype[Any]
    document: JsonObject
    is_json: bool
    is_nested: bool = False
    """Whether each field is an element of the array, as kerchunk describes records in JSON."""

    def read(self, start: int, stop: int, chunks_by: ReadChunks) -> np.ndarray:
        """The records [start, stop); those of which nothing is stored are 0. Blocks on disk or network.

        Raises a `DatasetError`.
        """
        if (stop - start) * self.dtype.itemsize > MAX_CHUNK_BYTES:
            raise LimitExceededError(f"{self.path}: a list of {stop - start} records is too long")
        found = np.zeros(max(0, stop - start), self.dtype)
        if stop <= start:
            return found
        chunks = range(start // self.chunk, (stop - 1) // self.chunk + 1)
        keys = [("0.0",) if self.is_nested else _key(i, self.document) for i in chunks]
        decoded = self._decoded_json if self.is_json else self._decoded
        most = most_stored(self._most_text) if self.is_json else object_decoder(*self._judged).most_stored
        for i, key, data in zip(chunks, keys, chunks_by(keys, most), strict=True):
            if data is None:
                continue
            first = i * self.chunk
            at, to = max(start, first), min(stop, first + self.chunk)
            found[at - start : to - start] = decoded(
                data, slice(at - first, to - first), "/".join((self.path, *key))
            )
        return found

    @property
    def _judged(self) -> tuple[JsonObject, str]:
        return self.document, self.path

    def _decoded(self, data: bytes, rows: slice, path: str) -> np.ndarray:
        decoder = object_decoder(*self._judged)
        part = decoder.part(decoder.opened(data, path), (rows, slice(0, self.dtype.itemsize)), path)
        return np.ascontiguousarray(part.pixels).view(self.dtype)[:, 0]

    @property
    def _most_text(self) -> int:
        return min(self.chunk * _MOST_TEXT_OF_RECORD + 1024, _MOST_TEXT)

    def _decoded_json(self, data: bytes, rows: slice, path: str) -> np.ndarray:
        compressor = self.document.get("compressor")
        codecs = [codec_from(compressor, np.dtype("u1"))] if compressor else []
        text = decoded_bytes(codecs, data, self._most_text, path, is_exact=False).tobytes()
        try:
            *items, _, _ = json.loads(text)  # behind them the dtype and the shape
            records = [self._values_of(item) for item in items[: self.chunk]]
            return np.array(records, self.dtype)[rows]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise CorruptDataError(f"{path} is damaged: it contains no records in JSON") from error

    def _values_of(self, item: Any) -> tuple[float, ...]:
        if item is None or item == 0:  # not written
            return (0,) * len(self.dtype.names or ())
        values = [item[name] for name in self.dtype.names or ()] if isinstance(item, dict) else item
        if len(values) != len(self.dtype.names or ()) or not all(
            isinstance(value, int | float) for value in values
        ):
            raise ValueError("fields of a record")
        return tuple(values)


def stored_records(document: JsonObject, path: str, names: Sequence[str], where: str) -> StoredRecords:
    """The records in a list at a path, by the metadata of its array; `where` is how messages call that.

    `names` are those of fields where the list does not say them. Raises `UnsupportedError`, `MetadataError`,
    `LimitExceededError`. Reads nothing.
    """
    is_v3 = document.get("zarr_format") == 3
    shape, chunks = document.get("shape"), _chunks(document, is_v3=is_v3)
    is_json = not is_v3 and _codec_names(document.get("filters")) == [_JSON]
    is_nested = False
    if is_json and isinstance(shape, list) and shape[1:] == [len(names)] and chunks == shape:
        shape = chunks = shape[:1]
        is_nested = True
    n, chunk = _only(shape, where), _only(chunks, where)
    if is_json:
        dtype = _dtype([(name, "<f8") for name in names], where)
        return StoredRecords(path, n, chunk, dtype, document, is_json=True, is_nested=is_nested)
    dtype = _dtype_of_v3(document, where) if is_v3 else _dtype_of_v2(document, where)
    described = _as_bytes_v3(document, dtype, n) if is_v3 else _as_bytes_v2(document, dtype, n, chunk)
    if chunk * dtype.itemsize > MAX_CHUNK_BYTES:
        raise LimitExceededError(f"{where}: chunks of {chunk} records are too large")
    object_decoder(described, where)
    return StoredRecords(path, n, chunk, dtype, described, is_json=False)


def _only(sizes: object, where: str) -> int:
    n = sizes[0] if isinstance(sizes, list) and len(sizes) == 1 else None
    if type(n) is not int or n < 1:
        raise MetadataError(f"{where}: invalid shape or chunks of a list of records")
    return n


def _chunks(document: JsonObject, *, is_v3: bool) -> object:
    if not is_v3:
        return document.get("chunks")
    return _told(document.get("chunk_grid")).get("chunk_shape")


def _told(named: object) -> JsonObject:
    told = named.get("configuration") if isinstance(named, dict) else None
    return told if isinstance(told, dict) else {}


def _codec_names(filters: object) -> list[object]:
    return (
        [each.get("id") if isinstance(each, dict) else None for each in filters]
        if isinstance(filters, list)
        else []
    )


def _key(i: int, document: JsonObject) -> tuple[str, ...]:
    """What the object of a chunk is called."""
    if document.get("zarr_format") != 3:
        return (str(i),)
    encoding = document.get("chunk_key_encoding")
    if isinstance(encoding, dict) and encoding.get("name") == "v2":
        return (str(i),)
    return (f"c.{i}",) if _told(encoding).get("separator") == "." else ("c", str(i))


def _dtype_of_v2(document: JsonObject, where: str) -> np.dtype[Any]:
    said = document.get("dtype")
    if not isinstance(said, list):
        what = "pickled objects are not read" if said == "|O" else "it contains no records"
        raise UnsupportedError(f"{where}: {what}")
    fields = [tuple(field) for field in said if isinstance(field, list)]
    return _dtype(fields if len(fields) == len(said) else [], where)


def _dtype_of_v3(document: JsonObject, where: str) -> np.dtype[Any]:
    said = document.get("data_type")
    if not isinstance(said, dict) or said.get("name") not in ("structured", "struct"):
        raise UnsupportedError(f"{where}: it contains no records")
    told = _told(said).get("fields")
    fields = [
        (each.get("name"), each.get("data_type")) if isinstance(each, dict) else tuple(each)
        for each in (told if isinstance(told, list) else ())
        if isinstance(each, dict | list)
    ]
    dtype = _dtype(fields, where)
    swapped: np.dtype[Any] = dtype.newbyteorder(">" if _is_big_endian(document.get("codecs")) else "<")
    return swapped


def _is_big_endian(codecs: object) -> bool:
    for codec in codecs if isinstance(codecs, list) else ():
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed":
            return _is_big_endian(_told(codec).get("codecs"))
        if isinstance(codec, dict) and codec.get("name") == "bytes":
            return _told(codec).get("endian") == "big"
    return False


def _dtype(fields: Sequence[Any], where: str) -> np.dtype[Any]:
    try:
        if not 0 < len(fields) <= _MAX_RECORD_FIELDS or any(len(field) != 2 for field in fields):
            raise ValueError("fields of records")
        if not all(isinstance(part, str) for field in fields for part in field):
            raise ValueError("fields of records")
        dtype = np.dtype(list(fields))
        if any(dtype[i].kind not in "iuf" for i in range(len(fields))):
            raise ValueError("fields that are not numbers")
    except (TypeError, ValueError) as error:
        raise UnsupportedError(f"{where}: records of a dtype that is not supported") from error
    return dtype


def _as_bytes_v2(document: JsonObject, dtype: np.dtype[Any], n: int, chunk: int) -> JsonObject:
    size = dtype.itemsize
    return {
        **document,
        "dtype": "|u1",
        "shape": [n, size],
        "chunks": [chunk, size],
        "order": "C",
        "fill_value": 0,
    }


def _as_bytes_v3(document: JsonObject, dtype: np.dtype[Any], n: int) -> JsonObject:
    size = dtype.itemsize
    return {
        **document,
        "data_type": "uint8",
        "shape": [n, size],
        "chunk_grid": _with_bytes(document.get("chunk_grid"), size),
        "codecs": _shards_of_bytes(document.get("codecs"), size),
        "fill_value": 0,
        "dimension_names": None,
    }


def _with_bytes(grid: object, size: int) -> JsonObject:
    return {
        "name": "regular",
        "configuration": {"chunk_shape": [*(_told(grid).get("chunk_shape") or ()), size]},
    }


def _shards_of_bytes(codecs: object, size: int) -> object:
    """The codecs, where inner chunks have an axis of bytes as well."""
    if not isinstance(codecs, list):
        return codecs
    found = []
    for codec in codecs:
        told = dict(_told(codec))
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed":
            if isinstance(told.get("chunk_shape"), list):
                told["chunk_shape"] = [*told["chunk_shape"], size]
            told["codecs"] = _shards_of_bytes(told.get("codecs"), size)
            codec = {**codec, "configuration": told}
        found.append(codec)
    return found
