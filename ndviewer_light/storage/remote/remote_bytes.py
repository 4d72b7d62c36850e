"""Files on servers: correct bytes or a clear error, few requests, many at once.

`jobs` has the nouns; `coalescing` merges; `scheduler` sends and retries; `client` speaks to http(s), s3 and
gs; `direct` reads without the help of other threads; `shares` reads network shares; `block_file` serves
parsers; `errors` says what went wrong.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from ...errors import CorruptDataError, closed_error
from ...model import how_many
from ..bytes import FIRST_BYTES, SHARE_SCHEMES, WEB_SCHEMES, Bytes, scheme_of, unknown_scheme
from ..presentable import presentable
from .block_file import MAX_BYTES, BlockFile, Blocks
from .client import Answer, RemoteFile, settings_from
from .direct import DirectReader
from .errors import Failure, error_for
from .jobs import File
from .kept_blocks import KeptBlocks, kept_blocks
from .redirects import refuse_redirects_inside
from .scheduler import the_scheduler
from .told_version import TOLD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .told_version import Version

    Range = tuple[int, int]

__all__ = ["RemoteBytes", "open_remote", "set_in_flight"]

_WAYS_OF_FILE = 4  # plain, with region, with credentials, and the last one to fail


def set_in_flight(requests: int) -> None:
    """Set the limit on simultaneous requests of this process; 64 by default."""
    the_scheduler().in_flight = max(1, requests)


def open_remote(url: str, options: Mapping[str, str] | None = None, *, whole: bool = False) -> Bytes:
    """The bytes at a URL; one request, which also fetches the beginning of the file.

    With `whole` it fetches all of it, unless it is large.

    Raises `DatasetNotFoundError`, `DatasetPermissionError` or another `DatasetError`.
    """
    settings = settings_from(options)
    scheme = scheme_of(url)
    if scheme in SHARE_SCHEMES:
        from .shares import ShareBytes

        return ShareBytes(url, settings)
    if scheme not in WEB_SCHEMES:
        raise unknown_scheme(url)
    if settings.requests_at_once is not None:
        set_in_flight(settings.requests_at_once)
    kept = None if whole else kept_blocks(options)
    return _opened(RemoteFile(scheme + url[len(scheme) :], settings), whole, kept)


def _opened(place: RemoteFile, whole: bool, kept: KeptBlocks | None) -> Bytes:
    """Open it plainly; if refused, retry with the bucket's region or with credentials."""
    refuse_redirects_inside(place.url, place.login, place.settings.stall_s)
    if place.settings.key or place.settings.credentials or place.settings.token:
        place = place.with_credentials() or place
    for _ in range(_WAYS_OF_FILE):
        try:
            return opened_at(place, whole=whole, kept=kept)
        except Failure as failure:
            other = place.with_region() if failure.kind == "region" else None
            if failure.kind in ("forbidden", "login"):
                other = place.with_credentials()
            if other is None:
                raise error_for(failure, place.name, place.host) from None
            place = other
    raise AssertionError("each way is tried once")


def opened_at(place: RemoteFile, *, whole: bool, kept: KeptBlocks | None = None) -> Bytes:
    """Open it in this way, `whole` with all of it; raises `Failure`."""
    run = the_scheduler().run
    if whole:
        try:
            return RemoteBytes(place, run(place.get_whole, place.name))
        except Failure as failure:
            if failure.kind != "no ranges":  # too large for that
                raise
    for _ in range(2):  # a server may fail to send a part only once
        try:
            return RemoteBytes(place, run(lambda: _first(place), place.name), kept)
        except Failure as failure:
            if failure.kind not in ("no parts", "empty"):
                raise
    return RemoteBytes(place, run(place.get_whole, place.name))


async def _first(place: RemoteFile) -> Answer:
    try:
        return await place.get(0, FIRST_BYTES)
    except Failure as failure:
        if failure.kind == "ranges ignored":
            raise Failure("no parts") from None
        if failure.kind == "refused request" and failure.detail == "416":  # an empty file has no first byte
            raise Failure("empty") from None
        raise


class RemoteBytes(Bytes):
    """A file on a web server or in a bucket; see `Bytes`. Pinned to the version it was opened at."""

    def __init__(self, place: RemoteFile, first: Answer, kept: KeptBlocks | None = None) -> None:
        """`first` is the beginning of the file, or all of it; `kept` has its structure from earlier times."""
        self.name = place.name
        self.content_type = first.content_type
        self._file = File(place, first.version)
        self._closed = False
        self._kept = kept
        self._blocks = Blocks(first.version.size)
        self._whole = first.data if len(first.data) == first.version.size else None
        if self._whole is None:
            self._blocks.put(0, first.data)
            if kept is not None and self.identity is not None:
                kept.load(self.identity, self._blocks)

    @property
    def size(self) -> int:
        """Length in bytes when the file was opened."""
        return self._file.version.size

    @property
    def identity(self) -> str | None:
        """A name for exactly these bytes; None if what the server says may be the same of others."""
        url, version = self._file.place.url, self._file.version
        return _identity(url, version) if TOLD.is_proof(url, version) else None

    @property
    def version(self) -> str | None:
        """See `Bytes.version`."""
        return TOLD.text_of(self._file.place.url, self._file.version)

    def version_now(self) -> str | None:
        """See `Bytes.version_now`: a conditional request, else one of a byte, or of none."""
        place, version = self._file.place, self._file.version
        if not version.etag and not version.modified:
            return None
        try:
            version = the_scheduler().run(partial(place.get_version, version), place.name).version
        except Failure as failure:
            if failure.kind == "ranges ignored":
                return None
            if failure.kind != "unchanged":
                raise self._file.error(failure) from None
        return TOLD.text_of(place.url, version)

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """See `Bytes.read_many`. Belongs to the `CancelScope` of the calling thread, if there is one."""
        self._check_open()
        for offset, length in ranges:
            self._check(offset, length)
        here = [self._here(offset, length) for offset, length in ranges]
        wanted = [each for each, data in zip(ranges, here, strict=True) if data is None]
        if wanted:
            fetched = iter(the_scheduler().read(self._file, wanted))
            here = [next(fetched) if data is None else data for data in here]
        return cast("list[bytes]", here)

    def fetch(self, ranges: Sequence[Range]) -> bool:
        """See `Bytes.fetch`: in blocks, all that are missing at the same time."""
        self._check_open()
        if self._whole is None:
            missing = {part for offset, length in ranges for part in self._blocks.missing(offset, length)}
            wanted = sorted(missing)
            for (start, _), data in zip(wanted, the_scheduler().read(self._file, wanted), strict=True):
                self._blocks.put(start, data)
        return True

    def keep_structure(self) -> None:
        """See `Bytes.keep_structure`."""
        if self._whole is None and self._kept is not None and self.identity is not None:
            self._kept.save(self.identity, self._blocks)

    def opened(self, block: int = FIRST_BYTES) -> BinaryIO:
        """See `Bytes.opened`; `block` bytes are read at once where nothing is cached."""
        return cast("BinaryIO", BlockFile(self._blocks, self.read_many, block))

    def opened_in_caller(self, block: int = FIRST_BYTES) -> BinaryIO:
        """See `Bytes.opened_in_caller`."""
        reader = DirectReader(self._file)

        def read_many(ranges: Sequence[Range]) -> list[bytes]:
            whole = self._whole
            if whole is None or self._closed:
                return reader.read_many(ranges)
            return [whole[offset : offset + length] for offset, length in ranges]

        return cast("BinaryIO", BlockFile(self._blocks, read_many, block))

    def _here(self, offset: int, length: int) -> bytes | None:
        if not length:
            return b""
        if (whole := self._whole) is not None:
            return whole[offset : offset + length]
        return self._blocks.get(offset, length) if length <= MAX_BYTES else None

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0:
            raise ValueError(f"invalid range: {how_many(length, 'byte')} at {offset}")
        if offset + length > self.size:
            there = max(0, self.size - offset)
            raise CorruptDataError(
                f"{self.name} is truncated: {there:,} of {how_many(length, 'byte')} at byte {offset}"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error(self.name)

    def close(self) -> None:
        """See `Bytes.close`."""
        self._closed = True
        self._blocks.clear()
        self._whole = None
        the_scheduler().forget(self._file, closed_error(self.name))


def _identity(url: str, version: Version) -> str | None:
    if not version.etag and not version.modified:
        return None
    # the query may be a signature that changes every day
    said = "\n".join((presentable(url), str(version.size), version.etag, version.modified))
    return hashlib.sha256(said.encode()).hexdigest()
