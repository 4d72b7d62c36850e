"""Which planes writers have announced, one bit each (125 kB per million), and which are new."""

from __future__ import annotations

import operator
import threading
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..model import PlaneKey
from ..storage.limits import MAX_T
from .newest_places import NewestPlaces

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

    from ..model import DatasetInfo
    from .newest_places import NewestWanted, Place

_BIT = np.left_shift(1, np.arange(8)).astype(np.uint8)


class BitPlaces(NamedTuple):
    """Keys (n, 4) within the numbers of a `PlaneBits`, and by t: which of them, their bytes and bits."""

    rows: np.ndarray
    by_t: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]


class PlaneBits:
    """A set of (t, p, c, z) within fixed numbers of positions, channels and z; t is open-ended.

    Indices outside are ignored silently: they are not planes of this run. Not thread-safe.
    """

    def __init__(self, n_p: int, n_c: int, n_z: int) -> None:
        self._sizes = (n_p, n_c, n_z)
        self._per_t: dict[int, np.ndarray] = {}

    def update(self, rows: np.ndarray) -> np.ndarray:
        """Add every key, as `key_rows` gives them; returns those that were new, in their order."""
        places = self.places_of(rows)
        new: np.ndarray = places.rows[self.add(places)]
        return new

    def places_of(self, rows: np.ndarray) -> BitPlaces:
        """Where the bits of keys are, here and in others of the same numbers."""
        n_p, n_c, n_z = self._sizes
        ts, ps, cs, zs = rows.T
        inside = (ts >= 0) & (ts < MAX_T)
        for indices, size in ((ps, n_p), (cs, n_c), (zs, n_z)):
            inside &= (indices >= 0) & (indices < size)
        planes = ((ps * n_c + cs) * n_z + zs)[inside]
        rows, ts = rows[inside], ts[inside]
        by_t = []
        for t in np.unique(ts).tolist():
            at = np.flatnonzero(ts == t)
            of_t = planes[at]
            by_t.append((t, at, of_t >> 3, _BIT[of_t & 7]))
        return BitPlaces(rows, by_t)

    def add(self, places: BitPlaces) -> np.ndarray:
        """Add keys; returns for each whether it was new."""
        n_p, n_c, n_z = self._sizes
        is_new = np.zeros(len(places.rows), bool)
        for t, at, byte, bit in places.by_t:
            row = self._per_t.get(t)
            if row is None:
                row = self._per_t[t] = np.zeros((n_p * n_c * n_z + 7) // 8, np.uint8)
            is_new[at] = (row[byte] & bit) == 0
            np.bitwise_or.at(row, byte, bit)
        return is_new

    def counts(self, t: int) -> np.ndarray:
        """How many planes of each position are in it at time point `t`."""
        n_p, n_c, n_z = self._sizes
        row = self._per_t.get(t)
        if row is None:
            return np.zeros(n_p, np.int64)
        bits = np.unpackbits(row, bitorder="little", count=n_p * n_c * n_z)
        return np.asarray(bits.reshape(n_p, -1).sum(axis=1, dtype=np.int64))

    def count_of(self, t: int, p: int) -> int:
        """How many planes of one position are in it at time point `t`."""
        n_p, n_c, n_z = self._sizes
        row = self._per_t.get(t)
        if row is None or not 0 <= p < n_p:
            return 0
        first, last = p * n_c * n_z, (p + 1) * n_c * n_z
        bits = np.unpackbits(row[first >> 3 : (last + 7) >> 3], bitorder="little")
        return int(bits[first & 7 : (first & 7) + last - first].sum())

    def __contains__(self, key: tuple[int, int, int, int]) -> bool:
        t, p, c, z = key
        n_p, n_c, n_z = self._sizes
        row = self._per_t.get(t)
        if row is None or not (0 <= p < n_p and 0 <= c < n_c and 0 <= z < n_z):
            return False
        bit = (p * n_c + c) * n_z + z
        return bool(row[bit >> 3] & _BIT[bit & 7])


def key_rows(keys: Collection[tuple[int, int, int, int]]) -> np.ndarray:
    """Return keys (t, p, c, z) as int64 (n, 4), leaving out those with a number that does not fit."""
    try:
        flat = np.fromiter(chain.from_iterable(keys), np.int64, 4 * len(keys))
    except OverflowError:
        return key_rows([key for key in keys if max(map(abs, key)) <= MAX_T])
    return flat.reshape(-1, 4)


class News(NamedTuple):
    """The notifications since the last request.

    `in_view`: planes in view at that time; `beyond`: one outside the known sizes.
    """

    in_view: set[tuple[int, int, int, int]]
    beyond: tuple[int, int, int, int] | None


class AnnouncedPlanes:
    """The planes of a dataset that writers have announced. Any thread."""

    def __init__(self, info: DatasetInfo) -> None:
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self.start_over(info)

    def start_over(self, info: DatasetInfo) -> None:
        """Forget all: they were planes of a different dataset than `info`."""
        sizes = info.sizes
        with self._lock:
            self._planes = PlaneBits(sizes["p"], sizes["c"], sizes["z"])
            self._there = PlaneBits(sizes["p"], sizes["c"], sizes["z"])  # announced, or read before it was
            self._n_there = 0
            self._places = NewestPlaces()
            self._total = 0
            self._last: PlaneKey | None = None
            self._in_view: set[tuple[int, int, int, int]] = set()
            self._beyond: tuple[int, int, int, int] | None = None

    def add(self, rows: np.ndarray, in_view: set[tuple[int, int, int, int]], info: DatasetInfo) -> None:
        """Add planes (n, 4), with those `in_view`, of the dataset described by `info`."""
        beyond = _first_beyond(info, rows)
        with self._lock:
            places = self._planes.places_of(rows)
            new = places.rows[self._planes.add(places)]
            self._n_there += int(np.count_nonzero(self._there.add(places)))
            if len(new):
                self._places.add(new)
                self._total += len(new)
                self._last = PlaneKey(*new[-1].tolist())
            self._in_view |= in_view
            self._beyond = beyond or self._beyond

    def __contains__(self, key: tuple[int, int, int, int]) -> bool:
        with self._lock:
            return key in self._planes

    @property
    def total(self) -> int:
        """How many planes were announced, each counted once; no lock."""
        return self._total

    def were_read(self, keys: Collection[tuple[int, int, int, int]]) -> None:
        """The pixels of these planes were read, announced or not."""
        rows = key_rows(keys)
        with self._lock:
            self._n_there += len(self._there.update(rows))

    @property
    def n_there(self) -> int:
        """How many planes were announced or read, each counted once; no lock."""
        return self._n_there

    @property
    def last(self) -> PlaneKey | None:
        """The plane that was announced last for the first time; no lock."""
        return self._last

    def counts(self, t: int, n_p: int) -> np.ndarray:
        """How many planes of each of `n_p` positions were announced, or read, at time point `t`."""
        with self._lock:
            found = self._there.counts(t)[:n_p]
        return np.pad(found, (0, n_p - len(found)))

    def count_of(self, t: int, p: int) -> int:
        """The same of one position."""
        with self._lock:
            return self._there.count_of(t, p)

    def newest(self, wanted: NewestWanted, info: DatasetInfo) -> Place | None:
        """The newest place that is `wanted`, within the sizes of `info`; cheap if nothing has changed."""
        with self._lock:
            return self._places.newest(wanted, self._planes.__contains__, info)

    def unseen(self) -> frozenset[tuple[int, int, int, int]]:
        """Those in view that are still new."""
        with self._lock:
            return frozenset(self._in_view)

    def take_news(self) -> News:
        """Return what is new, once."""
        with self._lock:
            news = News(self._in_view, self._beyond)
            self._in_view, self._beyond = set(), None
        return news


def is_beyond(info: DatasetInfo, key: tuple[int, int, int, int]) -> bool:
    """Whether `key` may be a plane of a dataset that has grown since `info`."""
    return min(key) >= 0 and (info.dtype is None or not info.contains(PlaneKey(*key)))


def _first_beyond(info: DatasetInfo, rows: np.ndarray) -> tuple[int, int, int, int] | None:
    """The first of keys (n, 4) for which `is_beyond` holds, None without any."""
    sizes = (info.n_t, len(info.positions), len(info.channels), info.n_z)
    may_be = (rows >= 0).all(axis=1)
    if info.dtype is not None:
        may_be &= (rows >= sizes).any(axis=1)
    found = np.flatnonzero(may_be)
    if not found.size:
        return None
    t, p, c, z = rows[found[0]].tolist()
    return t, p, c, z


class SortedOut(NamedTuple):
    """Notifications, sorted into planes, each once and in their order, and invalid keys.

    `keys` are for looking up: they may be made of numpy's integers. `rows` are the same as int64 (n, 4), less
    those with a number that does not fit.
    """

    keys: AbstractSet[tuple[int, int, int, int]]
    rows: np.ndarray
    odd: list[object]


def plane_keys(said: Sequence[Any]) -> SortedOut:
    """Return the valid keys (t, p, c, z) of integers, including numpy's, in `said`; never raises.

    To be fast, notifications are unchecked, so they may contain anything: None, text,
    halves, tuples of another length. One check of all types covers them.
    """
    try:
        each = dict.fromkeys(said)
        flat = array("q", chain.from_iterable(each))  # takes nothing but integers
        if set(map(len, each)) == {4}:
            return SortedOut(each.keys(), np.frombuffer(flat, np.int64).reshape(-1, 4), [])
    except Exception:  # noqa: BLE001  an odd object's own error
        pass
    keys: dict[tuple[int, int, int, int], None] = {}
    odd: list[object] = []
    for key in said:
        try:
            t, p, c, z = map(operator.index, key)
        except Exception:  # noqa: BLE001  as above
            odd.append(key)
        else:
            keys[t, p, c, z] = None
    return SortedOut(keys.keys(), key_rows(keys), odd)
