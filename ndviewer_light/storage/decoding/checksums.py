"""Checksums of four bytes before or after the data: CRC-32C of Zarr v3, CRC-32 and Adler-32 of numcodecs.

CRC-32C is written by hand: no library that comes with the package has it for other callers. It is the
checksum of every shard index, and now and then of chunks. Source: RFC 3720, B.4 (reflected polynomial
0x82F63B78).
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import MetadataError
from ..printable import brief
from .codec import Codec, DamagedError, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits import JsonObject
    from .codec import Buffer

_BYTES = 4
_LANES = 512
"""How many parts of the data are summed up side by side, in numpy."""


@dataclass(frozen=True)
class Checksum(Codec):
    """A checksum, little-endian, before or after the bytes that it is of."""

    of: Callable[[np.ndarray], int]
    at_end: bool

    def stored_bytes(self, n: int) -> int:
        """Four more."""
        return n + _BYTES

    def undo(self, data: memoryview, n: int) -> Buffer:
        """See `Codec.undo`; a checksum that does not match is damage."""
        raw = view(data)
        if len(raw) < _BYTES:
            raise DamagedError("it has no checksum")
        content, stored = (raw[:-_BYTES], raw[-_BYTES:]) if self.at_end else (raw[_BYTES:], raw[:_BYTES])
        if self.of(content) & 0xFFFFFFFF != int.from_bytes(stored.tobytes(), "little"):
            raise DamagedError("its checksum does not match")
        return content


def checksum(of: Callable[[np.ndarray], int], *, usually_at_end: bool) -> Callable[[JsonObject], Codec]:
    """The codec of a checksum by its configuration, which may say where it is."""

    def made(config: JsonObject) -> Codec:
        where = config.get("location") or ("end" if usually_at_end else "start")
        if where not in ("start", "end"):
            raise MetadataError(f"the checksum {brief(config.get('id'))} is at {brief(where)}")
        return Checksum(of, where == "end")

    return made


def crc32(data: np.ndarray) -> int:
    """CRC-32, as zlib has it."""
    return zlib.crc32(data.data)


def adler32(data: np.ndarray) -> int:
    """Adler-32, as zlib has it."""
    return zlib.adler32(data.data)


def crc32c(data: np.ndarray) -> int:
    """CRC-32C of bytes.

    The data is cut into parts of equal length that are summed up side by side, and 32 more states that hold
    one bit each: what becomes of these says how a state changes over one part, with which the parts are
    joined.
    """
    table = _table()
    if len(data) < _LANES:
        state = np.uint32(0xFFFFFFFF)
        for byte in data:
            state = table[(int(state) ^ int(byte)) & 0xFF] ^ (state >> np.uint32(8))
        return int(state) ^ 0xFFFFFFFF
    length = -(-len(data) // _LANES)
    padded = np.zeros(_LANES * length, np.uint8)  # zeros in front leave a state of zero as it is
    start = len(padded) - len(data)
    padded[start:] = data
    padded[start : start + _BYTES] ^= 0xFF  # the same as beginning with all bits set
    columns = np.zeros((length, _LANES + 32), np.uint8)
    columns[:, :_LANES] = padded.reshape(_LANES, length).T
    states = np.zeros(_LANES + 32, np.uint32)
    states[_LANES:] = np.uint32(1) << np.arange(32, dtype=np.uint32)
    for column in columns:
        states = table[(states ^ column) & 0xFF] ^ (states >> np.uint32(8))
    images = [int(image) for image in states[_LANES:]]
    total = 0
    for part in states[:_LANES].tolist():
        moved = 0
        for bit, image in enumerate(images):
            if total >> bit & 1:
                moved ^= image
        total = moved ^ part
    return total ^ 0xFFFFFFFF


@functools.cache
def _table() -> np.ndarray:
    """What a byte does to a state."""
    states = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        states = np.where(
            states & 1, (states >> np.uint32(1)) ^ np.uint32(0x82F63B78), states >> np.uint32(1)
        )
    return states
