"""Fetches the structure of an HDF5 file on a server before h5py asks for it: level by level, each at once.

h5py reads one thing after the other, each a round trip. Here the addresses in what has arrived say what to
fetch next: groups, their trees and names, headers of objects, heaps with the texts of attributes. Nothing is
decided by it: what cannot be followed here is left to h5py, which reads the same bytes and judges them.
Source: "HDF5 File Format Specification Version 3.0".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError
from .chunk_index.structures import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...storage.bytes import Bytes
    from .chunk_index.structures import Superblock

_MAX_TREE_LEVELS = 24
_MAX_PARTS_FETCHED = 4096  # looked at, in all
_MAX_AT_ONCE = 1024
_PAGE = 4096
_FIRST_FETCH_BYTES = 128 * 1024  # what opening a file has brought
_LEAST = 512  # enough to go on with, of a part that was fetched beside another
_BEFORE, _WINDOW = 4 * 1024, 12 * 1024
"""Bytes fetched before and from each address: what belongs to an object mostly lies beside it."""

_LINK_INFO, _LINK, _ATTRIBUTE, _CONTINUATION = 0x02, 0x06, 0x0C, 0x10
_SYMBOL_TABLE, _ATTRIBUTE_INFO = 0x11, 0x15
_VARIABLE_LENGTH = 9  # class of a datatype
_MAX_TEXTS = 4  # of one attribute
_GROUP_ENTRY = struct.Struct("<QQII16s")
_IN_GROUP = 1  # cache type: the scratch space has the addresses of tree and names


class _StructurePart(NamedTuple):
    """Something at an address; `length` 0: as much as a window."""

    kind: str
    address: int
    length: int = 0


def prefetch_structure(source: Bytes, superblock: Superblock) -> None:
    """Fetch what describes the objects of a file; without effect where it is at hand. Raises nothing."""
    if not superblock.eight_bytes:
        return
    try:
        _StructureWalk(source, superblock.offset).run(_root(source, superblock))
    except (DatasetError, struct.error, IndexError, ValueError):
        return  # h5py will say what is wrong


def _root(source: Bytes, superblock: Superblock) -> list[_StructurePart]:
    raw = source.read(superblock.offset, min(96, source.size - superblock.offset))
    if superblock.version >= 2:
        return [_StructurePart("header", struct.unpack_from("<Q", raw, 36)[0])]
    return list(_of_entry(raw, 56 + 4 * superblock.version))


class _StructureWalk:
    """One way through a file."""

    def __init__(self, source: Bytes, base: int) -> None:
        self._source = source
        self._base = base
        self._seen: set[_StructurePart] = set()
        self._pages: set[int] = set()  # fetched so far
        self._of_kind: dict[str, Callable[[bytes, _StructurePart], Iterator[_StructurePart]]] = {
            "header": self._of_header,
            "messages": self._of_messages,
            "tree": _of_tree,
            "names": _of_names,
            "entries": _of_entries,
        }

    def run(self, parts: list[_StructurePart]) -> None:
        if not self._fetch([(0, min(_FIRST_FETCH_BYTES, self._source.size))]):
            return
        for _ in range(_MAX_TREE_LEVELS):
            unseen = (each for each in dict.fromkeys(parts) if each not in self._seen)
            parts = [each for each in unseen if self._is_inside(each)]
            if not parts or len(self._seen) + len(parts) > _MAX_PARTS_FETCHED or len(parts) > _MAX_AT_ONCE:
                return
            self._seen.update(parts)
            missing = [each for each in parts if self._at_hand(each) < (each.length or _LEAST)]
            if missing and not self._fetch([self._window(each) for each in missing]):
                return
            parts = [further for each in parts for further in self._further(each)]

    def _fetch(self, windows: list[tuple[int, int]]) -> bool:
        if not self._source.fetch(windows):
            return False
        for start, length in windows:
            self._pages.update(range(start // _PAGE, -(-(start + length) // _PAGE)))
        return True

    def _is_inside(self, part: _StructurePart) -> bool:
        return part.address != UNDEFINED and 0 <= self._base + part.address < self._source.size

    def _window(self, part: _StructurePart) -> tuple[int, int]:
        """The pages that are fetched for a part."""
        at = self._base + part.address
        start = max(0, at - _BEFORE) // _PAGE * _PAGE
        end = min(-(-(at + (part.length or _WINDOW)) // _PAGE) * _PAGE, self._source.size)
        return start, end - start

    def _at_hand(self, part: _StructurePart) -> int:
        """How many bytes from the beginning of a part have been fetched, as far as they are looked at."""
        at = self._base + part.address
        end = min(at + (part.length or _WINDOW), self._source.size)
        for page in range(at // _PAGE, -(-end // _PAGE)):
            if page not in self._pages:
                return max(0, page * _PAGE - at)
        return end - at

    def _further(self, part: _StructurePart) -> list[_StructurePart]:
        follow, length = self._of_kind.get(part.kind), self._at_hand(part)
        if follow is None or not length:
            return []
        try:
            return list(follow(self._source.read(self._base + part.address, length), part))
        except (struct.error, IndexError):  # damaged, or not in one piece
            return []

    def _of_header(self, raw: bytes, part: _StructurePart) -> Iterator[_StructurePart]:
        if raw.startswith(b"OHDR"):
            flags = raw[5]
            at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            size = int.from_bytes(raw[at : at + width], "little")
            yield from _of_v2(raw[at + width : at + width + size], 6 if flags & 4 else 4)
        elif raw[:1] == b"\1":
            size = struct.unpack_from("<I", raw, 8)[0]
            yield from _of_v1(raw[16 : 16 + size])

    def _of_messages(self, raw: bytes, part: _StructurePart) -> Iterator[_StructurePart]:
        if raw.startswith(b"OCHK"):  # whether with the order of creation is said in the header only
            yield from _of_v2(raw[4:-4], 4)
            yield from _of_v2(raw[4:-4], 6)
        else:
            yield from _of_v1(raw)


def _of_v1(raw: bytes) -> Iterator[_StructurePart]:
    at = 0
    while at + 8 <= len(raw):
        kind, size = struct.unpack_from("<HH", raw, at)
        yield from _of_message(kind, raw[at + 8 : at + 8 + size])
        at += 8 + size


def _of_v2(raw: bytes, prefix: int) -> Iterator[_StructurePart]:
    at = 0
    while at + prefix <= len(raw):
        kind, size = struct.unpack_from("<BH", raw, at)
        yield from _of_message(kind, raw[at + prefix : at + prefix + size])
        at += prefix + size


def _of_message(kind: int, body: bytes) -> Iterator[_StructurePart]:
    if kind == _SYMBOL_TABLE:
        tree, names = struct.unpack_from("<QQ", body)
        yield _StructurePart("tree", tree)
        yield _StructurePart("names", names)
    elif kind == _CONTINUATION:
        address, length = struct.unpack_from("<QQ", body)
        if length <= 64 * 1024:
            yield _StructurePart("messages", address, length)
    elif kind == _LINK:
        yield from _of_link(body)
    elif kind == _ATTRIBUTE:
        yield from _of_attribute(body)
    elif kind in (
        _LINK_INFO,
        _ATTRIBUTE_INFO,
    ):  # many: in a heap with an index, of which the beginning is fetched
        at = 2 + (
            8 if kind == _LINK_INFO and body[1] & 1 else 2 if kind == _ATTRIBUTE_INFO and body[1] & 1 else 0
        )
        for address in struct.unpack_from("<QQ", body, at):
            yield _StructurePart("heap", address)


def _of_link(body: bytes) -> Iterator[_StructurePart]:
    """A hard link of the newer form."""
    flags, at = body[1], 2
    kind = 0
    if flags & 8:
        kind, at = body[at], at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    at += width + int.from_bytes(body[at : at + width], "little")
    if kind == 0:
        yield _StructurePart("header", struct.unpack_from("<Q", body, at)[0])


def _of_attribute(body: bytes) -> Iterator[_StructurePart]:
    """The heaps with the texts of an attribute."""
    version = body[0]
    name, datatype, space = struct.unpack_from("<HHH", body, 2)
    at = 9 if version == 3 else 8
    if version == 1:
        name, datatype, space = (-(-n // 8) * 8 for n in (name, datatype, space))
    if body[at + name] & 15 != _VARIABLE_LENGTH:
        return
    at += name + datatype + space
    for start in range(at, min(len(body) - 15, at + 16 * _MAX_TEXTS), 16):
        yield _StructurePart("heap", struct.unpack_from("<Q", body, start + 4)[0], 4096)


def _of_tree(raw: bytes, part: _StructurePart) -> Iterator[_StructurePart]:
    """The children of a node of a group's tree."""
    if raw[:5] != b"TREE\0":
        return
    level, count = raw[5], struct.unpack_from("<H", raw, 6)[0]
    for i in range(count):
        address = struct.unpack_from("<Q", raw, 24 + 8 + 16 * i)[0]
        yield _StructurePart("tree" if level else "entries", address)


def _of_names(raw: bytes, part: _StructurePart) -> Iterator[_StructurePart]:
    if raw[:4] == b"HEAP":
        size, _, address = struct.unpack_from("<QQQ", raw, 8)
        if size <= 1024 * 1024:
            yield _StructurePart("texts", address, size)


def _of_entries(raw: bytes, part: _StructurePart) -> Iterator[_StructurePart]:
    if raw[:4] == b"SNOD":
        for i in range(struct.unpack_from("<H", raw, 6)[0]):
            yield from _of_entry(raw, 8 + 40 * i)


def _of_entry(raw: bytes, at: int) -> Iterator[_StructurePart]:
    """An object in a group; of a group the addresses of its tree and names are there as well."""
    _, header, cached, _, scratch = _GROUP_ENTRY.unpack_from(raw, at)
    yield _StructurePart("header", header)
    if cached == _IN_GROUP:
        tree, names = struct.unpack("<QQ", scratch)
        yield _StructurePart("tree", tree)
        yield _StructurePart("names", names)
