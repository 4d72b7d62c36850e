"""`open_dataset` and `imread`: the entry points for scripts."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .engine.cache import PLANE_CACHE_MAX_MEMORY_BYTES
from .engine.dataset import Dataset
from .storage.appearing import opened_when_there
from .storage.bytes import absolute_of_named
from .storage.offered import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from .engine.selection import Selection
    from .sources import Source


def open_dataset(
    path: str | os.PathLike[str],
    *,
    cache_bytes: int = PLANE_CACHE_MAX_MEMORY_BYTES,
    isolate: bool = False,
    storage_options: Mapping[str, str] | None = None,
    format: str = "",
    timeout: float | None = None,
    follow: bool = False,
    wait: float = 0.0,
) -> Dataset:
    """Open the dataset at a path or URL. Metadata is read now, pixels on demand.

    ``file.h5::/path/inside`` opens one of several datasets in a file. `isolate` reads in a separate process,
    so that a damaged file cannot crash this one; `timeout` (seconds) then ends every call that hangs with
    `ReadTimeoutError` (None: 60 s for a plane, 180 s for opening). Without `isolate` only requests to servers
    have timeouts, of their own. With `follow`, what another program writes meanwhile is noticed in a thread:
    `info` and `sizes` are what is known by now, and `Dataset.changes` waits for more. `wait`: how long (s) a
    dataset may take to appear at the path, or to become complete enough to be opened. `format` says what it
    is ("hdf5", "nd2", "ome-zarr", …), where its name and first bytes would mislead. `storage_options` are
    access options, mostly for URLs ("endpoint", "anonymous", …). Raises a `DatasetError` that names the file
    and is also the matching built-in (`FileNotFoundError`, `PermissionError`, `ValueError`,
    `NotImplementedError`). Blocks on disk or network.
    Any thread.
    """
    path = absolute_of_named(os.fsdecode(path))  # a pickled array may be opened in another working directory
    if timeout is not None and not isolate:
        raise ValueError("timeout needs isolate=True: reads in this process cannot be interrupted")
    options = {**(storage_options or {}), **({"format": format} if format else {})}
    reopen = Reopening(path, tuple(sorted(options.items())), isolate, timeout)
    source = _open(path, isolate, options, timeout, follow, time.monotonic() + wait)
    dataset = Dataset(source, cache_bytes, path=path, storage_options=options, follow=follow, reopen=reopen)
    if follow:
        dataset.look_by_itself()
    return dataset


def imread(
    path: str | os.PathLike[str],
    *,
    t: Selection = None,
    p: Selection = 0,
    c: Selection = None,
    z: Selection = None,
    level: int = 0,
    missing: str = "raise",
    storage_options: Mapping[str, str] | None = None,
    format: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Read a part of the dataset at a path or URL into one array (t, p, c, z, y, x).

    Each axis takes an index (a name for c and p: ``c="DAPI"``), which leaves the axis out of the result, or
    several, a slice, or None for all of it; negative indices count from the end. By default all of the first
    position. Axes of size 1 that were not asked for are left out. ``z="max"`` ("min", "mean", "sum") projects
    the stack. Planes are read in parallel; `progress(done, all)` is called after each. `missing`: "raise"
    or "fill", see `Dataset.read_planes`. Raises like `open_dataset` and `Dataset.plane`, `ValueError` for
    planes of different sizes. An image that is one of a set by its name alone is read by itself.
    """
    from .engine.selection import read_selection

    options = {ALONE: "yes", **(storage_options or {})}
    with open_dataset(path, storage_options=options, format=format) as dataset:
        return read_selection(dataset, t, p, c, z, level, missing, progress)


@dataclass(frozen=True)
class Reopening:
    """How a dataset is opened again, in this process or another: what a lazy array of it carries along."""

    path: str
    options: tuple[tuple[str, str], ...] = ()
    isolate: bool = False
    timeout: float | None = None

    def __call__(self) -> Dataset:
        """Open it; as `open_dataset`."""
        options = dict(self.options)
        return open_dataset(self.path, isolate=self.isolate, storage_options=options, timeout=self.timeout)


def _open(
    path: str, isolate: bool, options: Mapping[str, str], timeout: float | None, follow: bool, until: float
) -> Source:
    def opened() -> Source:
        if isolate:
            from .isolation.client import IsolatedSource

            return IsolatedSource.open(path, options, timeout, follow=follow)
        from .sources.disk_cached import open_disk_cached

        source = open_disk_cached(path, options)
        if follow:
            source.follow()
        return source

    return opened_when_there(path, opened, lambda: time.monotonic() < until) or opened()
