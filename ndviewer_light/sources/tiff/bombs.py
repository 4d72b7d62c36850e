"""Refuses pages of local TIFFs that would take too much memory to decode, before a decoder sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import LimitExceededError
from ...model import how_many
from ...storage.decoding.tiff_bombs import check_part, is_judged_by_its_parts
from ...storage.limits import MAX_PLANE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader

    from tifffile import TiffPage

_MAX_PARTS_OF_FILE = 10_000_000


def refuse_bombs(page: TiffPage, file: BufferedReader, path: str, parts: Sequence[int] | None = None) -> None:
    """Raise `LimitExceededError` for a page that would take more memory to decode than any image should.

    Only these strips or tiles (None: all) are looked at. Raises `UnsupportedError` if the size cannot be
    determined.
    """
    counts = page.databytecounts if parts is None else [page.databytecounts[i] for i in parts]
    offsets = page.dataoffsets if parts is None else [page.dataoffsets[i] for i in parts]
    if len(counts) > _MAX_PARTS_OF_FILE or max(counts, default=0) > MAX_PLANE_BYTES:
        raise LimitExceededError(
            f"{path} is damaged: {len(counts)} strips or tiles of up to {how_many(max(counts), 'byte')}"
        )
    part = _nbytes(page)
    if part > MAX_PLANE_BYTES:
        raise LimitExceededError(
            f"{path} has strips or tiles of {part} bytes; at most {MAX_PLANE_BYTES} are allowed"
        )
    if not is_judged_by_its_parts(int(page.compression)):
        return
    for offset, count in zip(offsets, counts, strict=False):

        def peek(at: int, n: int, offset: int = offset, count: int = count) -> bytes:
            file.seek(offset + at)
            return file.read(min(n, count - at))

        check_part(int(page.compression), peek, count, part, path)


def _nbytes(page: TiffPage) -> int:
    """The size in bytes of one decoded part of the page."""
    n = int(page.dtype.itemsize) if page.dtype is not None else 8
    for size in page.chunks:
        n *= int(size)
    return n
