"""`open_dataset`: the door for scripts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .cache import PLANE_CACHE_MAX_MEMORY_BYTES
from .dataset import Dataset

if TYPE_CHECKING:
    from .sources import Source


def open_dataset(
    path: str | os.PathLike[str],
    *,
    cache_bytes: int = PLANE_CACHE_MAX_MEMORY_BYTES,
    isolate: bool = False,
) -> Dataset:
    """Open the dataset at `path`; its metadata is read now, pixels when asked for.

    `isolate` reads in a process of its own, so that a damaged file cannot end this one. Raises a
    `DatasetError` that is also the built-in that fits (`FileNotFoundError`, `PermissionError`,
    `ValueError`, `NotImplementedError`) and names the file. Blocks on disk. Any thread.
    """
    path = os.path.abspath(os.path.expanduser(os.fspath(path)))  # a pickled array is opened elsewhere
    return Dataset(_open(path, isolate), cache_bytes, path=path)


def _open(path: str, isolate: bool) -> Source:
    if isolate:
        from .reader import Reader

        return Reader.open(path)
    from .sources import open_source

    return open_source(path)
