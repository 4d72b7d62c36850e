"""One bit per plane: which planes a writer has told us of, 125 kB per million."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

_MAX_T = 1_000_000  # no run has more time points; a larger index is a mistake, not a plane
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
        inside = (ts >= 0) & (ts < _MAX_T)
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
        return key_rows([key for key in keys if max(map(abs, key)) <= _MAX_T])
    return flat.reshape(-1, 4)
