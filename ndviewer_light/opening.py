"""`open_dataset`: the door for scripts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .engine.cache import PLANE_CACHE_MAX_MEMORY_BYTES
from .engine.dataset import Dataset
from .storage.bytes import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .sources import Source


def open_dataset(
    path: str | os.PathLike[str],
    *,
    cache_bytes: int = PLANE_CACHE_MAX_MEMORY_BYTES,
    isolate: bool = False,
    storage_options: Mapping[str, str] | None = None,
) -> Dataset:
    """Open the dataset at a path or URL; its metadata is read now, pixels when asked for.

    ``file.h5::/path/inside`` opens one of several in a file. `isolate` reads in a process of its own, so that
    a damaged file cannot end this one. `storage_options` are for URLs ("endpoint", "anonymous", …).
    Raises a `DatasetError` that is also the built-in that fits (`FileNotFoundError`, `PermissionError`,
    `ValueError`, `NotImplementedError`) and names the file. Blocks on disk or network. Any thread.
    """
    path = absolute(os.fspath(path))  # a pickled array is opened elsewhere
    options = dict(storage_options or {})
    return Dataset(_open(path, isolate, options), cache_bytes, path=path, storage_options=options)


def _open(path: str, isolate: bool, options: Mapping[str, str]) -> Source:
    if isolate:
        from .isolation.client import IsolatedSource

        return IsolatedSource.open(path, options)
    from .sources.disk_cached import open_disk_cached

    return open_disk_cached(path, options)
