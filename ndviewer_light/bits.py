"""One bit per plane: which planes a writer has told us of, 125 kB per million."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_T = 1_000_000  # no run has more time points; a larger index is a mistake, not a plane


class PlaneBits:
    """A set of (t, p, c, z) within fixed numbers of positions, channels and z; t is open-ended.

    Indices outside are left out silently: they are no planes of this run. Not thread-safe.
    """

    def __init__(self, n_p: int, n_c: int, n_z: int) -> None:
        self._sizes = (n_p, n_c, n_z)
        self._per_t: dict[int, bytearray] = {}

    def update(self, keys: Iterable[tuple[int, int, int, int]]) -> None:
        """Add every key."""
        n_p, n_c, n_z = self._sizes
        row_bytes = (n_p * n_c * n_z + 7) // 8
        for t, p, c, z in keys:
            if not (0 <= t < _MAX_T and 0 <= p < n_p and 0 <= c < n_c and 0 <= z < n_z):
                continue
            row = self._per_t.get(t)
            if row is None:
                row = self._per_t[t] = bytearray(row_bytes)
            bit = (p * n_c + c) * n_z + z
            row[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, key: tuple[int, int, int, int]) -> bool:
        t, p, c, z = key
        n_p, n_c, n_z = self._sizes
        row = self._per_t.get(t)
        if row is None or not (0 <= p < n_p and 0 <= c < n_c and 0 <= z < n_z):
            return False
        bit = (p * n_c + c) * n_z + z
        return bool(row[bit >> 3] >> (bit & 7) & 1)
