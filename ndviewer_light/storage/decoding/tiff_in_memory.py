"""Decodes a page of a TIFF that is in memory, as one inside another file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ...errors import CorruptDataError, PlaneNotStoredError
from ...model import how_many
from .tiff_pages import TiffPages
from .tiff_parts import PageAt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    import numpy as np


def decoded_page(data: bytes, page: int, name: str) -> np.ndarray:
    """The pixels of a page of a TIFF in memory, (Y, X) or (Y, X, S)."""
    pages = TiffPages(_InMemory(data, name))  # type: ignore[arg-type]
    try:
        return pages.read(PageAt(page))
    except PlaneNotStoredError as error:
        raise CorruptDataError(str(error)) from error
    finally:
        pages.close()


class _InMemory:
    """The part of `Bytes` needed here."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self.name = name
        self.size = len(data)

    def opened(self, block: int = 0) -> BinaryIO:
        return io.BytesIO(self._data)

    def read(self, offset: int, length: int) -> bytes:
        data = self._data[offset : offset + length]
        if len(data) < length:
            raise CorruptDataError(
                f"{self.name} is truncated: {len(data):,} of {how_many(length, 'byte')} at byte {offset}"
            )
        return data

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.read(*each) for each in ranges]
