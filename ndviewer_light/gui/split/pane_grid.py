"""How panes are arranged so that their pictures are largest. Pure."""

from __future__ import annotations

import math


def columns_for(n: int, width: float, height: float, aspect: float) -> int:
    """In how many columns `n` pictures (`aspect`: width ÷ height) are largest in a window of this size.

    >>> columns_for(4, 800, 600, 1.0), columns_for(3, 1200, 300, 1.0), columns_for(2, 300, 900, 1.0)
    (2, 3, 1)
    """

    def size(columns: int) -> float:
        return min(width / columns / aspect, height / math.ceil(n / columns))

    n = max(n, 1)
    return max(range(1, n + 1), key=lambda columns: (round(size(columns), 6), -columns))
