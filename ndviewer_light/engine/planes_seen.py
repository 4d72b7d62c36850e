"""The planes that were there once: one of which nothing is stored any more is missing, and not fill value."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NDViewerError
from ..storage.file_versions import is_nothing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..model import PlaneKey
    from ..sources import Source

_MOST = 64_000_000
"""Of more planes, one byte each, those that are seen later are not remembered."""


class PlanesSeen:
    """Those of one dataset that were read, or found to be stored. Any thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()  # guards the following
        self._seen: dict[int, np.ndarray] = {}  # by position: (t, c, z)
        self._n = 0

    def note(self, keys: Iterable[PlaneKey]) -> None:
        """These are there; never blocks."""
        of_position: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for t, p, c, z in keys:
            of_position[p].append((t, c, z))
        with self._lock:
            for p, planes in of_position.items():
                at = np.array(planes, np.intp)
                seen = self._with_room(p, tuple((at.max(axis=0) + 1).tolist()))
                if seen is not None:
                    seen[tuple(at.T)] = True

    def _with_room(self, p: int, shape: tuple[int, ...]) -> np.ndarray | None:
        """Of a position, as large as needed; None if there are too many planes. With the lock held."""
        seen = self._seen.get(p)
        if seen is not None and all(n <= has for n, has in zip(shape, seen.shape, strict=True)):
            return seen
        if seen is not None:  # twice as many time points: there will be more of them
            n_t, *others = map(max, zip(shape, seen.shape, strict=True))
            shape = (n_t if n_t == seen.shape[0] else 2 * n_t, *others)
        larger = np.zeros(shape, bool)
        self._n += larger.size - (0 if seen is None else seen.size)
        if self._n > _MOST:
            self._n -= larger.size - (0 if seen is None else seen.size)
            return None
        if seen is not None:
            larger[tuple(map(slice, seen.shape))] = seen
        self._seen[p] = larger
        return larger

    def are_gone(self, missing: Sequence[PlaneKey]) -> list[bool]:
        """Which of these planes, that are not stored, were there, and have left no file.

        In a file with others, one may have been counted that was still to be written. Blocks on disk for
        those that were there.
        """
        gone = [key in self for key in missing]
        known = [key for key, was_there in zip(missing, gone, strict=True) if was_there]
        if not known:
            return gone
        try:
            versions = self._source.versions(known)
        except (NDViewerError, IndexError):  # of a reader process
            return [False] * len(missing)
        left_none = iter([version is not None and is_nothing(version) for version in versions])
        return [was_there and next(left_none) for was_there in gone]

    def __contains__(self, key: PlaneKey) -> bool:
        with self._lock:
            seen, at = self._seen.get(key.p), (key.t, key.c, key.z)
            return seen is not None and all(map(int.__lt__, at, seen.shape)) and bool(seen[at])

    def clear(self) -> None:
        """Another dataset is at the path now."""
        with self._lock:
            self._seen.clear()
            self._n = 0
