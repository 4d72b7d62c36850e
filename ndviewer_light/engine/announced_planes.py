"""Which planes a writer has told us of, one bit each (125 kB per million), and what of it is news."""

from __future__ import annotations

import operator
import threading
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..model import PlaneKey
from ..storage.limits import MAX_T

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..model import DatasetInfo

_BIT = np.left_shift(1, np.arange(8)).astype(np.uint8)


class PlaneBits:
    """A set of (t, p, c, z) within fixed numbers of positions, channels and z; t is open-ended.

    Indices outside are left out silently: they are no planes of this run. Not thread-safe.
    """

    def __init__(self, n_p: int, n_c: int, n_z: int) -> None:
        self._sizes = (n_p, n_c, n_z)
        self._per_t: dict[int, np.ndarray] = {}

    def update(self, rows: np.ndarray) -> None:
        """Add every key, as `key_rows` gives them."""
        n_p, n_c, n_z = self._sizes
        ts, ps, cs, zs = rows.T
        inside = (ts >= 0) & (ts < MAX_T)
        for indices, size in ((ps, n_p), (cs, n_c), (zs, n_z)):
            inside &= (indices >= 0) & (indices < size)
        planes = ((ps * n_c + cs) * n_z + zs)[inside]
        ts = ts[inside]
        for t in np.unique(ts).tolist():
            row = self._per_t.get(t)
            if row is None:
                row = self._per_t[t] = np.zeros((n_p * n_c * n_z + 7) // 8, np.uint8)
            of_t = planes[ts == t]
            np.bitwise_or.at(row, of_t >> 3, _BIT[of_t & 7])

    def __contains__(self, key: tuple[int, int, int, int]) -> bool:
        t, p, c, z = key
        n_p, n_c, n_z = self._sizes
        row = self._per_t.get(t)
        if row is None or not (0 <= p < n_p and 0 <= c < n_c and 0 <= z < n_z):
            return False
        bit = (p * n_c + c) * n_z + z
        return bool(row[bit >> 3] & _BIT[bit & 7])


def key_rows(keys: Collection[tuple[int, int, int, int]]) -> np.ndarray:
    """Return keys (t, p, c, z) as int64 (n, 4); those of which a number does not fit are left out."""
    try:
        flat = np.fromiter(chain.from_iterable(keys), np.int64, 4 * len(keys))
    except OverflowError:
        return key_rows([key for key in keys if max(map(abs, key)) <= MAX_T])
    return flat.reshape(-1, 4)


class News(NamedTuple):
    """What writers told us of since the last time it was asked for.

    `in_view`: planes that were in view when it was told; `beyond`: one outside what is known.
    """

    in_view: set[tuple[int, int, int, int]]
    beyond: tuple[int, int, int, int] | None


class AnnouncedPlanes:
    """The planes of a dataset that writers have told us of. Any thread."""

    def __init__(self, info: DatasetInfo) -> None:
        self._lock = threading.Lock()  # guards what follows; nothing is called inside
        self.start_over(info)

    def start_over(self, info: DatasetInfo) -> None:
        """Forget all: they were planes of another dataset than that of which `info` is known."""
        sizes = info.sizes
        with self._lock:
            self._planes = PlaneBits(sizes["p"], sizes["c"], sizes["z"])
            self._in_view: set[tuple[int, int, int, int]] = set()
            self._beyond: tuple[int, int, int, int] | None = None

    def add(self, rows: np.ndarray, in_view: set[tuple[int, int, int, int]], info: DatasetInfo) -> None:
        """Take in planes (n, 4), those of them that are `in_view`, of a dataset of which `info` is known."""
        beyond = _first_beyond(info, rows)
        with self._lock:
            self._planes.update(rows)
            self._in_view |= in_view
            self._beyond = beyond or self._beyond

    def __contains__(self, key: tuple[int, int, int, int]) -> bool:
        with self._lock:
            return key in self._planes

    def unseen(self, keys: Collection[PlaneKey]) -> list[PlaneKey]:
        """Those of `keys` that are news still, in their order."""
        with self._lock:
            return [key for key in keys if key in self._in_view]

    def take_news(self) -> News:
        """Return what is news, once."""
        with self._lock:
            news = News(self._in_view, self._beyond)
            self._in_view, self._beyond = set(), None
        return news


def is_beyond(info: DatasetInfo, key: tuple[int, int, int, int]) -> bool:
    """Whether `key` may be a plane of a dataset that has grown since it said `info`."""
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
    """What writers told us of, sorted out: planes, and the things that name none."""

    keys: set[tuple[int, int, int, int]]
    odd: list[object]


def plane_keys(said: Sequence[Any]) -> SortedOut:
    """Return what of `said` are keys (t, p, c, z) of integers, numpy's too; never raises.

    A writer tells us in a fraction of a microsecond, unchecked, so anything may be among it: None, text,
    halves, tuples of another length. One look at the types of all finds whether something is.
    """
    try:
        if set(map(len, said)) == {4} and set(map(type, chain.from_iterable(said))) == {int}:
            return SortedOut(set(said), [])
    except Exception:  # noqa: BLE001  an odd object's own error
        pass
    keys: set[tuple[int, int, int, int]] = set()
    odd: list[object] = []
    for key in said:
        try:
            t, p, c, z = map(operator.index, key)
        except Exception:  # noqa: BLE001  as above
            odd.append(key)
        else:
            keys.add((t, p, c, z))
    return SortedOut(keys, odd)
