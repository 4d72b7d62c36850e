"""Checks the metadata of an ND2 file before the nd2 library parses it.

The library trusts what it reads: it decompresses without limit, and follows nesting without limit,
each with a copy of all below it. Here the same walk is made first, counting instead of building.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from io import BytesIO

from ...errors import LimitExceededError, MetadataError
from ...model import how_many
from ...storage.limits import MAX_JSON_DEPTH, MAX_METADATA_BYTES

_MAX_INFLATED_BYTES = 4 * MAX_METADATA_BYTES
_MAX_COPIED_BYTES = 16 * MAX_METADATA_BYTES
_MAX_TEXT_COST = 2**35
"""Sum of the squares of the lengths of all texts: the library takes so long, 1.5 s for this much."""

_BOOL, _TEXT, _ARRAY, _OLD, _LEVEL, _DEFLATED = 1, 8, 9, 10, 11, 76
_FIXED_BYTES = {_BOOL: 1, 2: 4, 3: 4, 4: 8, 5: 8, 6: 8, 7: 8}
_DEFLATED_HEADER = 10


def check_metadata(data: bytes, where: str) -> None:
    """Raise `LimitExceededError` or `MetadataError` for what the library could choke on.

    What is merely damaged passes: parsing it ends with an error of the library's own.
    """
    if len(data) > MAX_METADATA_BYTES:
        raise LimitExceededError(
            f"{where} has {len(data)} bytes; metadata may have at most {MAX_METADATA_BYTES}"
        )
    if data.startswith(b"<"):
        _check_xml(data, where)
        return
    with contextlib.suppress(_DamagedMetadataError):
        _Walk(where).level(data, 1, 0)


def _check_xml(data: bytes, where: str) -> None:
    text = data.replace(b"\0", b"")  # it may be UTF-16
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise MetadataError(f"{where} declares XML entities, which no microscope writes; not read for safety")


class _DamagedMetadataError(Exception):
    """The bytes make no sense from here on."""


class _Walk:
    """A walk through one tree of binary metadata ("CLX lite"), with a budget for all of it."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._inflated = 0
        self._copied = 0
        self._text_cost = 0

    def level(self, data: bytes, count: int, depth: int) -> None:
        """Walk `count` entries: type, length of the name, name in UTF-16, value by type."""
        if depth > MAX_JSON_DEPTH:
            raise LimitExceededError(f"{self._where} is nested more than {MAX_JSON_DEPTH} levels deep")
        self._copied += len(data)
        if self._copied > _MAX_COPIED_BYTES:
            raise LimitExceededError(
                f"{self._where} repeats more than {_MAX_COPIED_BYTES} bytes; not read for safety"
            )
        stream = BytesIO(data)
        for _ in range(count):
            start = stream.tell()
            header = stream.read(2)
            if not header:
                return
            if len(header) < 2 or header[0] in (0, _OLD):
                raise _DamagedMetadataError
            if header[0] == _DEFLATED:
                stream.seek(_DEFLATED_HEADER, 1)
                self.level(self._inflate(stream.read()), 1, depth + 1)
                return
            stream.seek(2 * header[1], 1)
            self._value(header[0], stream, start, depth)

    def _value(self, kind: int, stream: BytesIO, start: int, depth: int) -> None:
        if kind == _LEVEL:
            count, length = self._unpack("<IQ", stream)
            self.level(stream.read(length - (stream.tell() - start)), count, depth + 1)
            stream.seek(8 * count, 1)
        elif kind == _ARRAY:
            # it may contain another tree, which the library parses
            data = stream.read(self._unpack("<Q", stream)[0])
            if len(data) >= 4 and (data[0] == _DEFLATED or (1 <= data[0] <= _LEVEL and data[1] >= 2)):
                with contextlib.suppress(_DamagedMetadataError):
                    self.level(data, 1, depth + 1)
        elif kind == _TEXT:
            self._text(stream)
        else:
            stream.seek(_FIXED_BYTES.get(kind, 0), 1)

    def _text(self, stream: BytesIO) -> None:
        begin, data = stream.tell(), stream.getbuffer()
        end = begin
        while end + 2 <= len(data) and bytes(data[end : end + 2]) != b"\0\0":
            end += 2
        self._text_cost += (end - begin) ** 2
        if self._text_cost > _MAX_TEXT_COST:
            raise LimitExceededError(
                f"{self._where} contains text longer than its {how_many(end - begin, 'byte')}"
            )
        stream.seek(end + 2)

    def _unpack(self, layout: str, stream: BytesIO) -> tuple[int, ...]:
        data = stream.read(struct.calcsize(layout))
        if len(data) < struct.calcsize(layout):
            raise _DamagedMetadataError
        return struct.unpack(layout, data)

    def _inflate(self, data: bytes) -> bytes:
        try:
            out = zlib.decompressobj().decompress(data, _MAX_INFLATED_BYTES + 1)
        except zlib.error as error:
            raise _DamagedMetadataError from error
        self._inflated += len(out)
        if self._inflated > _MAX_INFLATED_BYTES:
            raise LimitExceededError(
                f"{self._where} decompresses to more than {_MAX_INFLATED_BYTES} bytes; not read for safety"
            )
        return out
