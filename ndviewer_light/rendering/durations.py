"""Times in words."""

from __future__ import annotations

import math

_MOST_DECIMALS = 9


def duration_of(seconds: float) -> str:
    """A time as people say it: "0.25 s", "40 s", "12 min", "3 h 20 min"."""
    if seconds < 10:
        return f"{seconds:.3g} s"
    if seconds < 100:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{round(hours / 24)} days"


def seconds_text(seconds: float, step: float) -> str:
    """A time of a series with less than a second from one to the next: all have as many decimals.

    >>> seconds_text(1200, 0.5), seconds_text(0.003, 0.001)
    ('1200.00 s', '0.0030 s')
    """
    decimals = min(math.ceil(-math.log10(step)) + 1, _MOST_DECIMALS) if step > 0 else 2
    return f"{seconds:.{decimals}f} s"
