"""A tree of small files inside a zip archive (``.zip``, ``.ozx``), local or on a server.

Only requested files are read, and checked against the archive's checksums if a file
is read whole. Files are stored or deflated; nothing is ever unpacked to disk.
"""

from __future__ import annotations

import bz2
import stat
import struct
import threading
import zipfile
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ...errors import (
    CorruptDataError,
    DatasetError,
    LimitExceededError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ...model import natural_sorted
from ..bytes import SeekableFile, is_url
from ..file_kinds import looks_like
from ..limits import MAX_METADATA_BYTES, safe_relative
from .tree import MARKS, FileRange, Tree, worth_showing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from ..bytes import Bytes
    from ..limits import JsonObject

MAX_ENTRIES = 500_000
MAX_DIRECTORY_BYTES = 256 * 1024**2
_KEPT_MEMBERS_BYTES = 64 * 1024**2  # for files that are read in parts but stored compressed

_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_METHODS = {9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ", 97: "WavPack", 99: "AES"}
_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\5\6"
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")
_DAMAGED = (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error, IndexError)
_SLACK = 64  # the header before a file may be slightly longer than the directory implies


class _ZipEntry(NamedTuple):
    name: str
    at: int  # offset of the header before the file
    header: int  # its approximate length
    packed: int  # compressed bytes in the archive
    size: int
    checksum: int
    method: int
    is_link: bool = False


class ZipTree(Tree):
    """The files of an archive; see `Tree`. Any thread.

    Archives do not change: one that is rewritten while open is detected by its checksums.
    """

    packed = True

    def __init__(self, source: Bytes, inner: str = "") -> None:
        """Read the archive's directory; `inner` is a folder in it, "" for all of it. Closes `source`.

        Raises `CorruptDataError` if it is no archive, `UntrustedReferenceError` if a name in it leads out,
        `LimitExceededError`.
        """
        self._source = source
        self._archive = source.name
        self._lock = threading.Lock()
        self._expected: dict[str, bytes] = {}
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._starts: dict[str, int] = {}
        try:
            self._files = {entry.name: entry for entry in _entries(source)}
            self._below = _folders_of(self._files)
            start = self._start(safe_relative(inner.lstrip("/"), source.name))
        except BaseException:
            source.close()
            raise
        self.root = f"{source.name}/{start}" if start else source.name
        self.title = self.name((f"{source.name}/{inner}" if inner else source.name).rstrip("/"))

    def _start(self, inner: str) -> str:
        """The top folder of the dataset: ``x.zarr`` for archives of ``x.zarr/…``, as many packers write."""
        while inner not in self._files and inner.rpartition("/")[2] in MARKS:
            inner = inner.rpartition("/")[0]
        names = [name for name in self._below.get(inner, {}) if worth_showing(name) and name != "__MACOSX"]
        if len(names) == 1 and not inner and names[0] in self._below and names[0] != "zarr":
            return names[0]
        return inner

    # ---- metadata ------------------------------------------------------------------------------

    def read_small(self, path: str) -> bytes | None:
        """See `Tree.read_small`."""
        with self._lock:
            expected = self._expected.pop(path, None)
        return expected if expected is not None else self.read_whole([path], MAX_METADATA_BYTES)[0]

    def expect(self, paths: Iterable[str]) -> None:
        """See `Tree.expect`: one read for all."""
        wanted = [path for path in paths if self.size(path) in range(MAX_METADATA_BYTES)]
        try:
            found = self.read_whole(wanted, MAX_METADATA_BYTES)
        except DatasetError:  # reported when that file is read
            return
        with self._lock:
            self._expected.update((path, data) for path, data in zip(wanted, found, strict=True) if data)

    def is_file(self, path: str) -> bool:
        """See `Tree.is_file`."""
        return self._name(path) in self._files

    def is_folder(self, path: str) -> bool:
        """See `Tree.is_folder`."""
        return self._name(path) in self._below

    def names(self, path: str) -> list[str]:
        """See `Tree.names`."""
        return [name for name in self._below.get(self._name(path), ()) if worth_showing(name)]

    def folders(self, path: str) -> list[str]:
        """See `Tree.folders`."""
        here = self._name(path)
        base = here + "/" if here else ""
        return natural_sorted(name for name in self.names(path) if base + name in self._below)

    def identity(self) -> str | None:
        """See `Tree.identity`: that of the archive, and the folder in it."""
        identity = self._source.identity
        return identity and f"{identity} {self.root[len(self._archive) :]}"

    def hosts(self) -> tuple[str, ...]:
        """See `Tree.hosts`."""
        return (urlsplit(self._archive).netloc,) if is_url(self._archive) else ()

    def kvstore(self, path: str) -> JsonObject:
        """Not used: tensorstore verifies no checksums, and reads a whole shard for each of its chunks."""
        raise UnsupportedError(f"{path} is in an archive, which tensorstore does not read")

    def close(self) -> None:
        """See `Tree.close`; reads in progress end with an error."""
        self._source.close()
        with self._lock:
            self._kept.clear()

    # ---- files and parts of them ---------------------------------------------------------------

    def size(self, path: str) -> int | None:
        """The size of a file in bytes; None if there is none."""
        entry = self._files.get(self._name(path))
        return None if entry is None else entry.size

    def read_whole(self, paths: Sequence[str], most: int) -> list[bytes | None]:
        """See `Tree.read_whole`; verified.

        Raises `LimitExceededError` for files of more than `most` bytes, `CorruptDataError` for those that
        fail the checksum.
        """
        entries = [self._files.get(self._name(path)) for path in paths]
        found = [self._judged(entry, most) for entry in entries if entry is not None]
        spans = [(entry.at, self._span(entry)) for entry in found]
        read = zip(found, self._source.read_many(spans), strict=True)
        files = {entry.name: self._unpacked(entry, data) for entry, data in read}
        return [None if entry is None else files[entry.name] for entry in entries]

    def read_parts(self, parts: Sequence[FileRange], most: int) -> list[bytes]:
        """Read parts of existing files, all at once; compressed files are read whole, up to `most` bytes."""
        entries = [self._files[self._name(part.path)] for part in parts]
        for part, entry in zip(parts, entries, strict=True):
            if part.offset < 0 or part.offset + part.length > entry.size:
                raise CorruptDataError(f"{part.path} is damaged: its index points beyond the end of the file")
        for entry in entries:
            if entry.is_link:
                self._judged(entry, most)
        self._learn_starts([entry for entry in dict.fromkeys(entries) if entry.method == _STORED])
        whole = self._wholes([entry for entry in dict.fromkeys(entries) if entry.method != _STORED], most)
        ranges = [
            (self._starts[entry.name] + part.offset, part.length)
            for part, entry in zip(parts, entries, strict=True)
            if entry.method == _STORED
        ]
        stored = iter(self._source.read_many(ranges) if ranges else ())
        return [
            next(stored)
            if entry.method == _STORED
            else whole[entry.name][part.offset : part.offset + part.length]
            for part, entry in zip(parts, entries, strict=True)
        ]

    def _wholes(self, entries: Sequence[_ZipEntry], most: int) -> dict[str, bytes]:
        with self._lock:
            found = {entry.name: self._kept[entry.name] for entry in entries if entry.name in self._kept}
        missing = [entry for entry in entries if entry.name not in found]
        spans = [(entry.at, self._span(self._judged(entry, most))) for entry in missing]
        for entry, data in zip(missing, self._source.read_many(spans) if spans else (), strict=True):
            found[entry.name] = self._unpacked(entry, data)
        with self._lock:
            self._kept.update(found)
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _KEPT_MEMBERS_BYTES:
                self._kept.popitem(last=False)
        return found

    def _learn_starts(self, entries: Sequence[_ZipEntry]) -> None:
        unknown = [entry for entry in entries if entry.name not in self._starts]
        if not unknown:
            return
        headers = self._source.read_many([(entry.at, _LOCAL.size) for entry in unknown])
        for entry, header in zip(unknown, headers, strict=True):
            self._starts[entry.name] = entry.at + self._before(entry, header)

    def _name(self, path: str) -> str:
        return path[len(self._archive) + 1 :]

    def _path(self, entry: _ZipEntry) -> str:
        return f"{self._archive}/{entry.name}"

    def _judged(self, entry: _ZipEntry, most: int) -> _ZipEntry:
        if entry.is_link:
            raise UntrustedReferenceError(
                f"{self._path(entry)} is a symbolic link, which is not followed in archives: create the "
                "archive again with the files themselves"
            )
        if entry.size > most or entry.packed > most + 1024**2:
            raise LimitExceededError(
                f"{self._path(entry)} has {entry.size} bytes; at most {most} are allowed"
            )
        if entry.method not in (_STORED, _DEFLATED, _BZIP2):
            how = _METHODS.get(entry.method, f"method {entry.method}")
            raise UnsupportedError(
                f"{self._path(entry)} uses an unsupported zip compression ({how}): create the archive again "
                "without compression, which OME-Zarr does not need"
            )
        return entry

    def _span(self, entry: _ZipEntry) -> int:
        return min(entry.header + entry.packed + _SLACK, self._source.size - entry.at)

    def _before(self, entry: _ZipEntry, data: bytes) -> int:
        """The number of bytes of `data` before the file itself."""
        if len(data) < _LOCAL.size or data[:4] != b"PK\3\4":
            raise CorruptDataError(
                f"{self._path(entry)} is not where the archive's index says: was it copied completely?"
            )
        *_, name, extra = _LOCAL.unpack_from(data)
        return int(_LOCAL.size + name + extra)

    def _unpacked(self, entry: _ZipEntry, data: bytes) -> bytes:
        start = self._before(entry, data)
        packed = data[start : start + entry.packed]
        if len(packed) < entry.packed:
            packed = self._source.read(entry.at + start, entry.packed)
        try:
            found = _inflated(packed, entry)
        except (zlib.error, OSError, EOFError, ValueError) as error:
            raise CorruptDataError(
                f"{self._path(entry)} is damaged: it cannot be decompressed ({error}). Copy the archive again"
            ) from error
        if len(found) != entry.size or zlib.crc32(found) != entry.checksum:
            raise CorruptDataError(
                f"{self._path(entry)} is damaged: its checksum does not match. Copy the archive again"
            )
        return found


def _inflated(packed: bytes, entry: _ZipEntry) -> bytes:
    """Decompress to at most one byte more than declared, whatever the data."""
    if entry.method == _DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    if entry.method == _BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, entry.size + 1)
    return packed


# ---- the directory of an archive ---------------------------------------------------------------


def _entries(source: Bytes) -> list[_ZipEntry]:
    """All files of the archive, from the directory at its end; of duplicates the last counts."""
    length = min(source.size, _END.size + 65_535 + _END64_LOCATOR.size)
    with source.opened() as file:
        file.seek(source.size - length)  # what is read here is kept: for most archives, no more is requested
        tail = file.read(length)
        at = _end_in(tail)
        if at < 0:
            head = source.read(0, min(64, source.size))
            kind = "" if head.startswith(b"PK") else looks_like(head)
            raise CorruptDataError(
                f"{source.name} is not a zip archive, or its end is missing"
                f"{kind or ': was it copied completely?'}"
            )
        if not _judged_entries(source, tail, at):
            return []
        is_last = tail.rfind(_END_MARK) == at  # that which the library takes
        try:
            whole = file if is_last else _ArchiveWithoutComment(file, source.size - length + at + _END.size)
            with zipfile.ZipFile(whole) as archive:
                listed = archive.infolist()
        except _DAMAGED as error:
            raise CorruptDataError(
                f"{source.name} is damaged: its list of files cannot be read ({error}). Copy it again"
            ) from error
    found = []
    for info in listed:
        name = safe_relative(info.filename, source.name)
        if not name or info.is_dir():
            continue
        if info.flag_bits & 0x1:
            raise UnsupportedError(
                f"{source.name} is encrypted: unpack it first, or create it without a password"
            )
        header = _LOCAL.size + len(info.orig_filename.encode("utf-8", "replace")) + len(info.extra)
        found.append(
            _ZipEntry(
                name,
                info.header_offset,
                header,
                info.compress_size,
                info.file_size,
                info.CRC,
                info.compress_type,
                stat.S_ISLNK(info.external_attr >> 16),
            )
        )
    return found


def _end_in(tail: bytes) -> int:
    """Where in the last bytes of an archive the end of its directory is; -1 if it has none.

    A comment may look like one: of several, it is that whose own comment ends with the archive.
    """
    places = [at for at in _places_of(_END_MARK, tail) if at + _END.size <= len(tail)]
    fitting = [at for at in places if at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail)]
    with_entries = [at for at in fitting if _END.unpack_from(tail, at)[4]]
    return next((found[-1] for found in (with_entries, fitting, places) if found), -1)


def _places_of(mark: bytes, data: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


class _ArchiveWithoutComment(SeekableFile):
    """An open file as far as `size` bytes, as if it ended there."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(size)
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Some bytes, or all that are left."""
        left = max(0, self._size - self._at)
        self._file.seek(self._at)
        data = self._file.read(min(size, left) if size is not None and size >= 0 else left)
        self._at += len(data)
        return data


def _judged_entries(source: Bytes, tail: bytes, at: int) -> int:
    """The number of files in an archive whose directory ends at `at`; refuses one of absurd size."""
    *_, entries, size, _, _ = _END.unpack_from(tail, at)
    locator = at - _END64_LOCATOR.size
    if locator >= 0 and tail[locator : locator + 4] == b"PK\6\7":
        _, _, where, _ = _END64_LOCATOR.unpack_from(tail, locator)
        end = source.read(where, _END64.size)
        if end[:4] == b"PK\6\6":
            *_, entries, size, _ = _END64.unpack(end)
    if entries > MAX_ENTRIES or size > MAX_DIRECTORY_BYTES:
        raise LimitExceededError(
            f"{source.name} contains {entries} files; at most {MAX_ENTRIES} are supported in an archive: "
            "unpack it, or store the chunks in shards"
        )
    return int(entries)


def _folders_of(files: Iterable[str]) -> dict[str, dict[str, None]]:
    """The contents of each folder, by name; "" is the archive itself."""
    below: dict[str, dict[str, None]] = {"": {}}
    for name in files:
        while name:
            folder, _, own = name.rpartition("/")
            known = below.get(folder)
            if known is not None:
                known[own] = None
                break
            below[folder] = {own: None}
            name = folder
    return below
