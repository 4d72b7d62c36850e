"""Chunk indexes saved on disk for next time.

A wrong one leads to an error, not to wrong pixels, just like a damaged file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from .chunks import MAX_TABLE_CHUNKS, Table

if TYPE_CHECKING:
    from ....storage.disk_cache import DiskCache
    from ..file import HDF5File

WORTH_SAVING = 1000
"""Chunks of a local file; fewer are looked up again as fast."""


def key_of(file: HDF5File, path: str, shape: tuple[int, ...], chunk: tuple[int, ...]) -> str | None:
    """A name for the chunks of one dataset of exactly this file; None if changes are undetectable."""
    identity = file.bytes.identity
    if identity is None and file.version:
        identity = f"{os.path.abspath(file.name)}\n{file.version}"
    if identity is None:
        return None
    return f"hdf5 chunks 1\n{identity}\n{file.bytes.size}\n{path!a}\n{shape}\n{chunk}"


def load(cache: DiskCache, key: str) -> Table | None:
    """The index saved under `key`; None if there is none. Blocks on disk."""
    rows = cache.get(key)
    if rows is None or rows.dtype != np.uint64 or rows.ndim != 2 or len(rows) != len(Table._fields):
        return None
    numbers, addresses, sizes, masks = rows
    if len(numbers) > MAX_TABLE_CHUNKS or not bool((numbers[1:] > numbers[:-1]).all()):
        return None
    return Table(numbers.astype(np.int64), addresses, sizes.astype(np.uint32), masks.astype(np.uint32))


def save(cache: DiskCache, key: str, table: Table) -> None:
    """Save an index if there is room."""
    cache.put(key, np.stack([column.astype(np.uint64) for column in table]))
