"""Checks the chunk files of a plane before tensorstore reads them: their type, and their headers.

tensorstore follows links, waits for pipes, and decompresses blosc into as much memory as its header declares.
Every other codec is decompressed as a stream up to the chunk's size (tensorstore 0.1.78 and later;
`tests/test_untrusted_chunks.py` holds it to that), so only blosc has its header read here.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from ...errors import CorruptDataError, DatasetError, UnsupportedError
from ...model import how_many
from ...storage.decoding.codec import DamagedError, most_stored
from ...storage.decoding.compressors import BLOSC_HEAD, judge_blosc
from ...storage.decoding.shard_decoder import NOT_STORED
from ...storage.limits import read_file
from ...storage.local_files import OPEN_FLAGS, check_regular, open_descriptor
from .chunk_grid import chunks_in_shard, chunks_of, shards_in_a_row, shards_of, stored_grid, touched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...storage.local_files import LinkGuard
    from .chunk_grid import Coordinates, Shards
    from .nodes import ZarrImage

_HEADER = struct.Struct("<BBBBI")  # version, codec version, flags, item size, decompressed size
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = OPEN_FLAGS | _NO_LINKS
_ODD = (errno.ELOOP, errno.EMLINK, errno.ENXIO)  # a link, a socket
_KEEP_LENGTH = ("bytes", "transpose", "sharding_indexed")
_CHECKSUM = "crc32c"
_CHECKSUM_BYTES = 4
_SHARD_ENTRIES_AT_ONCE = 1024


class BloscRule(NamedTuple):
    """The limit of a blosc header: `most` bytes; followed by `after` bytes of checksums."""

    most: int
    after: int

    @classmethod
    def of(cls, image: ZarrImage) -> BloscRule | None:
        """The rule for the chunks of an array; None if they are not compressed with blosc.

        Raises `UnsupportedError` if blosc is compressed again, so that its header cannot be read.
        """
        grid = chunks_of(image)
        if "blosc" not in grid.codecs:
            return None
        at = grid.codecs.index("blosc")
        before, after = grid.codecs[:at], grid.codecs[at + 1 :]
        if any(name != _CHECKSUM for name in after) or grid.codecs.count("sharding_indexed") > 1:
            raise UnsupportedError(
                f"{image.array}: blosc inside {after[0] if after else 'shards of shards'} is not supported"
            )
        n = math.prod(grid.decoded) * image.facts.dtype.itemsize
        keep = all(name in _KEEP_LENGTH for name in before)
        return cls(n if keep else most_stored(n), _CHECKSUM_BYTES * len(after))

    def allows(self, head: bytes) -> bool:
        """Whether a header declares no more than a chunk, which bounds memory; the fast check."""
        return len(head) == BLOSC_HEAD and _HEADER.unpack_from(head)[4] <= self.most

    def check(self, head: bytes, stored: int, where: str) -> None:
        """Raise `CorruptDataError`, which names the file, unless the header is valid for a chunk."""
        try:
            judge_blosc(head, stored - self.after, self.most)
        except DamagedError as error:
            raise CorruptDataError(f"{where} is damaged: {error}") from error


class ChunkGuard:
    """Checks the files of a local array. Any thread; accesses the disk each time."""

    def __init__(self, image: ZarrImage, links: LinkGuard) -> None:
        self._image = image
        self._links = links
        self._grid = stored_grid(image)
        self._blosc = BloscRule.of(image)
        self._shards: Shards | None = None
        if self._blosc is not None and "sharding_indexed" in chunks_of(image).codecs:
            self._shards = shards_of(image) or shards_in_a_row(image)

    def check(self, selection: Sequence[int | slice]) -> None:
        """Check the chunk files that a selection of one plane intersects; missing ones are fine.

        Raises `UntrustedReferenceError` for a link that leads out of the dataset, `NotRegularFileError`,
        `CorruptDataError` for a chunk that declares too large a size.
        """
        image = self._image
        folder = image.array + os.sep
        wanted = touched(selection, self._grid.chunk, image.facts.shape, image.array)
        files = [folder + self._grid.name(at).replace("/", os.sep) for at in wanted]
        self.check_files(wanted, files, selection)

    def check_files(
        self,
        wanted: Sequence[Coordinates],
        files: Sequence[str],
        selection: Sequence[int | slice],
        seen: set[str] | None = None,
    ) -> None:
        """`check` for chunks and their files, also of another array with the same metadata.

        `seen` as of `LinkGuard.check`.
        """
        if self._blosc is None:
            self._links.check(files, seen)
            return
        if _NO_LINKS:
            self._links.check_folders(files, seen)
        else:  # Windows: files cannot be opened in a way that refuses links
            self._links.check(files, seen)
        for at, file in zip(wanted, files, strict=True):
            try:
                descriptor = self._opened(file)
            except DatasetError:  # which may be an OSError as well
                raise
            except OSError:  # tensorstore reports what that means
                continue
            try:
                self._check_blosc(self._blosc, descriptor, file, at, selection)
            except DatasetError:
                raise
            except OSError as error:
                check_regular(file, os.fstat(descriptor))
                raise CorruptDataError(f"{file} could not be read: {error.strerror}") from error
            finally:
                os.close(descriptor)

    def read_file(self, file: str, most: int, seen: set[str] | None = None) -> bytes | None:
        """A whole chunk file, checked like `check`, but for what is in it; None if there is none.

        Raises also `LimitExceededError` for files of more than `most` bytes. `seen` as in `check_files`.
        """
        return read_file(file, most, links=self._links, seen=seen)

    def _opened(self, file: str) -> int:
        try:
            return os.open(file, _FLAGS)
        except OSError as error:
            if error.errno not in _ODD:
                raise
            self._links.check([file])
            return open_descriptor(file)

    def _check_blosc(
        self, rule: BloscRule, descriptor: int, file: str, at: Coordinates, selection: Sequence[int | slice]
    ) -> None:
        if self._shards is None:
            head = os.read(descriptor, BLOSC_HEAD)
            if not rule.allows(head):
                self._refuse(rule, head, descriptor, file)
            return
        size = os.fstat(descriptor).st_size
        for offset, length in _in_shard(descriptor, size, file, self._image, self._shards, at, selection):
            if offset + length > size:
                raise CorruptDataError(
                    f"{file} is damaged: its index refers to bytes up to {offset + length:,}, but it has "
                    f"{size:,}"
                )
            os.lseek(descriptor, offset, os.SEEK_SET)
            rule.check(os.read(descriptor, BLOSC_HEAD), length, file)

    def _refuse(self, rule: BloscRule, head: bytes, descriptor: int, file: str) -> None:
        status = os.fstat(descriptor)
        check_regular(file, status)
        rule.check(head, status.st_size, file)


def _in_shard(
    descriptor: int,
    size: int,
    file: str,
    image: ZarrImage,
    shards: Shards,
    at: Coordinates,
    selection: Sequence[int | slice],
) -> Iterator[tuple[int, int]]:
    """Offset and length of the chunks of a shard that a selection intersects, from its index."""
    if size < shards.index_bytes:
        raise CorruptDataError(
            f"{file} is truncated: {size:,} of at least {how_many(shards.index_bytes, 'byte')}"
        )
    order = ">" if shards.is_big_endian else "<"
    start = size - shards.index_bytes if shards.at_end else 0
    entries = _entries(image, shards, at, selection)
    for span in _spans(entries):
        os.lseek(descriptor, start + 16 * span[0], os.SEEK_SET)
        data = os.read(descriptor, 16 * (span[-1] - span[0] + 1))
        for entry in span:
            offset, length = struct.unpack_from(f"{order}QQ", data, 16 * (entry - span[0]))
            if offset != NOT_STORED or length != NOT_STORED:
                yield offset, length


def _spans(entries: Sequence[int]) -> Iterator[Sequence[int]]:
    """Ascending entries read at once: one stretch of the index."""
    start = 0
    for i in range(1, len(entries) + 1):
        if i == len(entries) or entries[i] - entries[start] >= _SHARD_ENTRIES_AT_ONCE:
            yield entries[start:i]
            start = i


def _entries(
    image: ZarrImage, shards: Shards, at: Coordinates, selection: Sequence[int | slice]
) -> Sequence[int]:
    """The index entries of the shard `at` that a selection intersects."""
    inner, n = chunks_of(image).decoded, shards.per_shard
    if len(n) != len(inner):  # transposed shards: all of them
        return range(n[0])
    along = [chunks_in_shard(*each) for each in zip(selection, inner, image.facts.shape, at, n, strict=True)]
    strides = [math.prod(n[axis + 1 :]) for axis in range(len(n))]
    return [
        sum(index * stride for index, stride in zip(place, strides, strict=True))
        for place in itertools.product(*along)
    ]
