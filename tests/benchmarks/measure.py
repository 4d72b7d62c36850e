"""How a figure is taken and what one is: medians of calls timed in turn, and a target to hold them to."""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, ours and the peers' in `unit`, and what it is held to.

    `judged` is the number that `target` speaks of: a ratio taken in this run or, where the target
    is absolute, `ours` itself.
    """

    row: str
    what: str
    ours: float
    unit: str
    judged: float
    target: str
    met: bool
    peers: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def at_most(
    row: str, what: str, ours: float, unit: str, limit: float, judged: float | None = None, **more: Any
) -> Figure:
    """A figure that must not exceed `limit`; `judged` is `ours` unless a ratio is given."""
    value = ours if judged is None else judged
    return Figure(row, what, ours, unit, value, f"≤ {limit:g}", value <= limit, **more)


def at_least(
    row: str, what: str, ours: float, unit: str, limit: float, judged: float | None = None, **more: Any
) -> Figure:
    """A figure that must reach `limit`; `judged` is `ours` unless a ratio is given."""
    value = ours if judged is None else judged
    return Figure(row, what, ours, unit, value, f"≥ {limit:g}", value >= limit, **more)


def timed(call: Callable[[], object]) -> float:
    """How many ms one call takes."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def medians(calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> dict[str, float]:
    """The median ms of each call, timed in turn so that a busy moment hits all of them alike.

    Each round has another order: what came just before decides which memory and which caches are warm.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = random.Random(0)
    gc.collect()
    for turn in range(warm_up + rounds):
        for name in order.sample(sorted(calls), len(calls)):
            ms = timed(calls[name])
            if turn >= warm_up:
                times[name].append(ms)
    return {name: statistics.median(values) for name, values in times.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def rss_bytes() -> int:
    """What this process holds in memory now."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slope(ys: Sequence[float]) -> float:
    """The least-squares rise of `ys` per step."""
    n = len(ys)
    mean_x, mean_y = (n - 1) / 2, statistics.fmean(ys)
    over = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(ys))
    return over / sum((x - mean_x) ** 2 for x in range(n))
