"""Times in words."""

from __future__ import annotations


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
