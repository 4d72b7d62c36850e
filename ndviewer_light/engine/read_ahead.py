"""Planes that somebody will take one after the other, many of them read before that at the same time."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError, PlaneNotStoredError
from ..sources.source import AT_ONCE
from .leases import StoredKey
from .selection import filled
from .tiles import ONE_TILE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    import numpy as np

    from ..sources import Source
    from .cache import PlaneCache
    from .names_to_indices import NamesToIndices
    from .plane_outcomes import PlaneOutcomes
    from .regions import TiledPlanes

    Entry = np.ndarray | Future[np.ndarray]
    Request = Callable[[Sequence[StoredKey]], Sequence[Entry | None]]


_AHEAD_BYTES = 256 * 1024**2
"""Of planes that are being read at the same time."""


def worth_reading_at_once(source: Source) -> int:
    """How many planes are worth reading at once from the source, and fit into memory."""
    try:
        info = source.info
    except DatasetError:  # not open yet
        return AT_ONCE
    itemsize = info.dtype.itemsize if info.dtype is not None else 2
    plane = min(info.height * info.width, ONE_TILE_PIXELS) * itemsize
    return min(source.reads_at_once, max(AT_ONCE, _AHEAD_BYTES // max(plane, 1)))


class ReadAhead:
    """Reads planes, or tiles, ahead of whoever takes them, in the given order. Any thread.

    At most `at_once` are in memory or being read and not yet taken, so that taking them in another order
    costs time but not memory. Pickled, or before `start`, it reads nothing ahead.
    """

    def __init__(self, keys: Iterable[StoredKey] = ()) -> None:
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._todo: OrderedDict[StoredKey, None] = OrderedDict.fromkeys(keys)
        self.is_of_several = len(self._todo) > 1
        self._ahead: dict[StoredKey, Entry] = {}
        self._request: Request | None = None
        self._asked: dict[StoredKey, threading.Lock] = {}  # being requested just now; unlocked once they are
        self._at_once = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return ReadAhead, ()

    @property
    def has_begun(self) -> bool:
        """Whether it has been told to begin."""
        return self._request is not None

    def start(self, request: Request, at_once: int) -> None:
        """Begin to read; without effect the second time.

        `request` returns for each key its pixels or the future of their read, None if it is not read ahead.
        """
        with self._lock:
            if self._request is not None:
                return
            self._request, self._at_once = request, at_once
        self._fill()

    def take(self, key: StoredKey) -> Entry | None:
        """The pixels of a key or the future of their read, once; None if it is not read ahead."""
        with self._lock:
            self._todo.pop(key, None)
            asked = self._asked.get(key)
        if asked is not None:  # by another thread, a moment ago: nobody is to read it a second time
            with asked:
                pass
        with self._lock:
            entry = self._ahead.pop(key, None)
        self._fill()
        return entry

    def _fill(self) -> None:
        with self._lock:
            n = min(self._at_once - len(self._ahead) - len(self._asked), len(self._todo))
            request = self._request
            # a few at a time, once there is room for them: neighbours on the server can be merged
            if request is None or n <= 0 or n < min(self._at_once // 4, len(self._todo)):
                return
            keys = [self._todo.popitem(last=False)[0] for _ in range(n)]
            asking = threading.Lock()
            asking.acquire()
            self._asked.update(dict.fromkeys(keys, asking))
        entries: Sequence[Entry | None] = ()
        try:
            entries = request(keys)
        finally:
            with self._lock:
                for key in keys:
                    del self._asked[key]
                found = zip(keys, entries, strict=False)
                self._ahead.update((key, entry) for key, entry in found if entry is not None)
            asking.release()


def taken_in_order(
    wanted: Sequence[StoredKey],
    take: Callable[[StoredKey, ReadAhead], np.ndarray],
    dtype_of: Callable[[int], np.dtype | None],
    missing: str,
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    """Yield the pixels of planes in the order given, each as soon as it and those before it are there.

    `take` returns those of one; `dtype_of` is that of a position; see `Dataset.read_planes` for the rest.
    """
    ahead = ReadAhead(wanted)
    for done, each in enumerate(wanted, 1):
        try:
            pixels = take(each, ahead)
        except PlaneNotStoredError as error:
            if missing == "raise":
                raise
            if missing == "leave out":
                continue
            pixels = filled(error, dtype_of(each.plane.p))
        if progress is not None:
            progress(done, len(wanted))
        yield pixels


class PlanesAhead:
    """Planes of a dataset for those who know which they will take; see `ReadAhead`. Any thread.

    Keys are those of `Dataset.plane`: channels count those of their position.
    """

    def __init__(
        self, cache: PlaneCache, tiled: TiledPlanes, indices: NamesToIndices, outcomes: PlaneOutcomes
    ) -> None:
        self._cache = cache
        self._tiled = tiled
        self._indices = indices
        self._outcomes = outcomes

    def begin(self, ahead: ReadAhead, at_once: int) -> None:
        """Have `ahead` begin to read so many planes or tiles at a time; without effect the second time."""
        ahead.start(self._request, at_once)

    def take(self, wanted: StoredKey, ahead: ReadAhead) -> np.ndarray | None:
        """The pixels of a plane or tile, once read; None if it is not among those that `ahead` reads.

        Raises like `Dataset.plane`.
        """
        entry = ahead.take(wanted)
        if entry is None:
            return None
        stored = self._stored(wanted)
        try:
            return self._tiled.finished(stored, entry)
        except PlaneNotStoredError as error:
            plane = self._outcomes.of_failure(stored.plane, error, stored.level)
            if plane.pixels is None:
                raise
            return plane.pixels

    def _request(self, keys: Sequence[StoredKey]) -> list[Entry | None]:
        found: dict[StoredKey, StoredKey] = {}
        for each in keys:
            with contextlib.suppress(DatasetError, IndexError, KeyError):  # raised when it is taken
                stored = self._stored(each)
                if stored.level >= 0 and (stored.tile is None or self._tiled.is_tile(stored)):
                    found[each] = stored
        entries = dict(zip(found, self._cache.request_tiles(list(found.values())), strict=True))
        return [entries.get(each) for each in keys]

    def _stored(self, wanted: StoredKey) -> StoredKey:
        """As the cache has it: channels count those of the whole dataset."""
        (t, p, c, z), level, tile = wanted
        return StoredKey(self._indices.key(t, p, c, z), level, tile)
