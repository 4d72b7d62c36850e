"""The structure of files on servers, kept on disk under the version of the file like planes are.

What parsers have read of a file (blocks of its headers, indexes and metadata) is there the next time, so that
opening takes the one request that tells the version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..disk_cache import cache_of
from .block_file import BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..disk_cache import DiskCache
    from .block_file import Blocks

_NUMBER_BYTES = 8


def kept_blocks(options: Mapping[str, str] | None) -> KeptBlocks | None:
    """The structures kept for these storage options; None if nothing is to be kept."""
    cache = cache_of(options)
    return None if cache is None else KeptBlocks(cache)


class KeptBlocks:
    """Blocks of files in a disk cache, by the identity of the file. Any thread."""

    def __init__(self, cache: DiskCache) -> None:
        self._cache = cache
        self._n_loaded = 0

    def load(self, identity: str, blocks: Blocks) -> None:
        """Put what is kept of a file into its `blocks`; damaged or foreign content counts as none."""
        rows = self._cache.get(_key(identity))
        if rows is None or rows.dtype != np.uint8 or rows.ndim != 2:
            return
        if rows.shape[1] != _NUMBER_BYTES + BLOCK_BYTES:
            return
        for row in rows:
            number = int.from_bytes(row[:_NUMBER_BYTES].tobytes(), "little")
            length = min(BLOCK_BYTES, blocks.size - number * BLOCK_BYTES)
            if length > 0:
                blocks.put(number * BLOCK_BYTES, row[_NUMBER_BYTES : _NUMBER_BYTES + length].tobytes())
        self._n_loaded = len(blocks.all())

    def save(self, identity: str, blocks: Blocks) -> None:
        """Keep all `blocks` of a file, if there are more than before."""
        found = blocks.all()
        if len(found) <= self._n_loaded:
            return
        self._n_loaded = len(found)
        rows = np.zeros((len(found), _NUMBER_BYTES + BLOCK_BYTES), np.uint8)
        for row, (number, data) in zip(rows, found, strict=True):
            row[:_NUMBER_BYTES] = np.frombuffer(number.to_bytes(_NUMBER_BYTES, "little"), np.uint8)
            row[_NUMBER_BYTES : _NUMBER_BYTES + len(data)] = np.frombuffer(data, np.uint8)
        self._cache.put(_key(identity), rows)


def _key(identity: str) -> str:
    return f"structure 1\n{BLOCK_BYTES}\n{identity}"
