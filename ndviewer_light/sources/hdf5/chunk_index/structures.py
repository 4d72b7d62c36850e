"""The HDF5 structures parsed here: superblock, dataset layout message, chunk B-tree.

Pure functions on bytes, no I/O: the caller reads what is requested. h5py finds the location of one chunk
only by visiting all of them, and reads them only one after the other.
Source: "HDF5 File Format Specification Version 3.0".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....errors import CorruptDataError

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]  # (offset, length); clipped at the end of the file

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1
"""The address of what is not stored."""

_MAX_SIGNATURE_OFFSET = 1 << 24
_OPEN_FLAG, _SWMR_FLAG = 1, 4
_MAX_HEADER_BYTES = 4 * 1024**2
_MAX_HEADER_PARTS = 1024

# ---- superblock ----------------------------------------------------------------------------


class Superblock(NamedTuple):
    """The superblock of the file; addresses are relative to `offset`, that of the superblock itself.

        `end` is the declared end of the file. `is_open`: a program is writing it (or has not
    closed it). `is_growing`: it is written in SWMR mode, and may be longer than declared.
    Addresses have `offset_bytes`, lengths `length_bytes`.
    """

    offset: int
    version: int
    end: int
    is_open: bool
    is_growing: bool
    offset_bytes: int
    length_bytes: int

    @property
    def eight_bytes(self) -> bool:
        """Whether addresses and lengths have 8 bytes each, as nearly always."""
        return self.offset_bytes == self.length_bytes == 8


def find_superblock(read: Read, size: int) -> Superblock | None:
    """The superblock of a file of `size` bytes, at 0, 512, 1024, 2048, …; None if there is none."""
    offset = 0
    while offset < min(size, _MAX_SIGNATURE_OFFSET):
        raw = read(offset, 96)
        if raw.startswith(SIGNATURE) and len(raw) >= 48:
            return _superblock(raw, offset)
        offset = offset * 2 or 512
    return None


def _superblock(raw: bytes, offset: int) -> Superblock | None:
    version = raw[8]
    if version in (0, 1):
        at = 40 if version == 0 else 44
        end = int.from_bytes(raw[at : at + 8], "little")
        return Superblock(offset, version, end, False, False, raw[13], raw[14])
    if version in (2, 3):
        end = int.from_bytes(raw[28:36], "little")
        is_open, is_growing = bool(raw[11] & _OPEN_FLAG), bool(raw[11] & _SWMR_FLAG)
        return Superblock(offset, version, end, is_open, is_growing, raw[9], raw[10])
    return None


def superblock_until(raw: bytes, end: int) -> bytes:
    """A superblock (48 bytes, version 2 or 3) with the end of file set to `end`."""
    body = raw[:28] + end.to_bytes(8, "little") + raw[36:44]
    return body + lookup3(body).to_bytes(4, "little")


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash of 1996…2006, the checksum of HDF5's metadata; a microsecond for 10 bytes."""
    m = 0xFFFFFFFF
    n = -(-len(data) // 12)
    a = b = c = (0xDEADBEEF + len(data)) & m
    words: tuple[int, ...] = struct.unpack(f"<{3 * n}I", data.ljust(12 * n, b"\0"))
    for i in range(0, 3 * n - 3, 3):  # rotations inlined: function calls would take longer
        a, b, c = a + words[i] & m, b + words[i + 1] & m, c + words[i + 2] & m
        a = (a - c ^ (c << 4 | c >> 28)) & m
        c = c + b & m
        b = (b - a ^ (a << 6 | a >> 26)) & m
        a = a + c & m
        c = (c - b ^ (b << 8 | b >> 24)) & m
        b = b + a & m
        a = (a - c ^ (c << 16 | c >> 16)) & m
        c = c + b & m
        b = (b - a ^ (a << 19 | a >> 13)) & m
        a = a + c & m
        c = (c - b ^ (b << 4 | b >> 28)) & m
        b = b + a & m
    if not words:
        return c
    a, b, c = a + words[-3] & m, b + words[-2] & m, c + words[-1] & m
    c = (c ^ b) - (b << 14 | b >> 18) & m
    a = (a ^ c) - (c << 11 | c >> 21) & m
    b = (b ^ a) - (a << 25 | a >> 7) & m
    c = (c ^ b) - (b << 16 | b >> 16) & m
    a = (a ^ c) - (c << 4 | c >> 28) & m
    b = (b ^ a) - (a << 14 | a >> 18) & m
    return (c ^ b) - (b << 24 | b >> 8) & m


# ---- the layout message of a dataset -------------------------------------------------------


class ChunkIndexLayout(NamedTuple):
    """How chunks are indexed: the `kind` of index, and its address, `UNDEFINED` if there is none yet.

    Edge chunks are not filtered if `plain_edges`. `size` and `mask` are those of a single
    filtered chunk, else `size` is 0.
    """

    kind: str  # "tree", "single", "implicit", "fixed", "extensible" or "other"
    address: int
    plain_edges: bool = False
    size: int = 0
    mask: int = 0


_V1_HEADER = struct.Struct("<BxHII4x")
_LAYOUT, _CONTINUATION = 8, 16
# by number: its kind, and how many bytes precede the address
_KINDS = {2: ("implicit", 0), 3: ("fixed", 1), 4: ("extensible", 5), 5: ("other", 6)}
_PLAIN_EDGES, _SINGLE_WITH_FILTER = 1, 2


def chunked_layout(read: Read, base: int, address: int) -> ChunkIndexLayout | None:
    """The layout of the chunked dataset whose object header is at `address`; None if it is unknown."""
    message = _layout_message(read, base, address)
    if message is None or len(message) < 11 or message[1] != 2:
        return None
    if message[0] == 3:
        return ChunkIndexLayout("tree", _address(message, 3, base))
    return _newer_layout(message, base) if message[0] in (4, 5) else None


def _newer_layout(message: bytes, base: int) -> ChunkIndexLayout | None:
    flags, rank, width = message[2:5]
    at = 5 + rank * width
    if at + 9 > len(message):
        return None
    kind, at = message[at], at + 1
    plain_edges = bool(flags & _PLAIN_EDGES)
    if kind == 1:
        size = mask = 0
        if flags & _SINGLE_WITH_FILTER:
            size, mask = struct.unpack_from("<QI", message.ljust(at + 12, b"\0"), at)
            at += 12
        return ChunkIndexLayout("single", _address(message, at, base), plain_edges, size, mask)
    if kind not in _KINDS:
        return None
    name, skipped = _KINDS[kind]
    return ChunkIndexLayout(name, _address(message, at + skipped, base), plain_edges)


def _address(message: bytes, at: int, base: int) -> int:
    address = int.from_bytes(message[at : at + 8], "little") if at + 8 <= len(message) else UNDEFINED
    return address if address == UNDEFINED else base + address


def _layout_message(read: Read, base: int, address: int) -> bytes | None:
    head = read(base + address, 64)
    if head.startswith(b"OHDR"):
        return _message_v2(read, base, address, head)
    if head[:1] != b"\1" or len(head) < 16:
        return None
    _, _, _, size = _V1_HEADER.unpack_from(head)
    blocks = [(address + 16, size)]
    for start, length in blocks:
        if length > _MAX_HEADER_BYTES or len(blocks) > _MAX_HEADER_PARTS:
            return None
        raw, at = read(base + start, length), 0
        while at + 8 <= len(raw):
            kind, size = struct.unpack_from("<HH", raw, at)
            body = raw[at + 8 : at + 8 + size]
            if kind == _LAYOUT:
                return body
            if kind == _CONTINUATION and len(body) >= 16:
                blocks.append(struct.unpack_from("<QQ", body))
            at += 8 + size
    return None


def _message_v2(read: Read, base: int, address: int, head: bytes) -> bytes | None:
    flags = head[5]
    at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(head[at : at + width], "little")
    blocks = [(address + at + width, size)]
    prefix = 6 if flags & 4 else 4
    for start, length in blocks:
        if length > _MAX_HEADER_BYTES or len(blocks) > _MAX_HEADER_PARTS:
            return None
        raw, at = read(base + start, length), 0
        while at + prefix <= len(raw):
            kind, size = struct.unpack_from("<BH", raw, at)
            body = raw[at + prefix : at + prefix + size]
            if kind == _LAYOUT:
                return body
            if kind == _CONTINUATION and len(body) >= 16:
                start, length = struct.unpack_from("<QQ", body)
                blocks.append((start + 4, length - 8))  # without "OCHK" and checksum
            at += prefix + size
    return None


# ---- version 1 B-tree of chunks ------------------------------------------------------------

NODE_ENTRIES = 64
"""How many entries a node has room for, if the file does not say otherwise."""

_NODE_HEAD = 24


class TreeNode(NamedTuple):
    """A B-tree node: for each entry the chunk's grid indices, and its child.

    `places` (n, rank) are those of the chunk (level 0) or of the first below the child. `sizes` and `masks`
    are those of the stored chunk, `addresses` those in the file.
    """

    level: int
    places: np.ndarray
    addresses: np.ndarray
    sizes: np.ndarray
    masks: np.ndarray


def node_bytes(rank: int, entries: int = NODE_ENTRIES) -> int:
    """The size of a node."""
    key = 8 + 8 * (rank + 1)
    return _NODE_HEAD + entries * (key + 8) + key


def missing_bytes(raw: bytes, rank: int) -> int:
    """The size of the node beginning with `raw`; 0 if `raw` is complete or not a node."""
    entries = int.from_bytes(raw[6:8], "little")
    length = node_bytes(rank, entries)
    return length if raw.startswith(b"TREE") and length > len(raw) else 0


def tree_node(raw: bytes, chunk: tuple[int, ...], base: int, where: str) -> TreeNode:
    """Parse a node; `chunk` is the chunk shape. Raises `CorruptDataError` if it is invalid."""
    rank = len(chunk)
    if len(raw) < _NODE_HEAD or not raw.startswith(b"TREE\1"):
        raise CorruptDataError(f"{where} is damaged: invalid B-tree node in its chunk index")
    entries = int.from_bytes(raw[6:8], "little")
    if node_bytes(rank, entries) > len(raw):
        raise CorruptDataError(f"{where} is damaged: truncated B-tree node in its chunk index")
    record = np.dtype([("size", "<u4"), ("mask", "<u4"), ("at", "<u8", (rank + 1,)), ("child", "<u8")])
    table = np.frombuffer(raw, record, entries, _NODE_HEAD)
    places = table["at"][:, :rank] // np.array(chunk, "<u8")
    return TreeNode(raw[5], places, table["child"] + np.uint64(base), table["size"], table["mask"])
