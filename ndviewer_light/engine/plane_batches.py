"""How many planes are asked for at once: thousands on a local disk, few on a share that answers slowly."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, TypeVar

from ..storage.time_spent import TimeSpent
from ..storage.watched_folders import WORTH_LISTING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Key = TypeVar("_Key")

ASKED_AT_ONCE = 2048
"""Planes per question: some milliseconds."""
_ASKED_FIRST = WORTH_LISTING
"""And the least, unless that takes more than two seconds: a slow share is asked about as many at a time,
and is asked for a list of its folders from so many on."""
_LONGEST_BATCH_SECONDS = 2.0
_PER_BATCH_SECONDS = 0.1
"""How long an answer may take: whoever wants to see a plane asks the same disk."""
_SLOW_BATCH_SECONDS = 0.25


def plane_batches(
    keys: Iterable[_Key], rest: Callable[[float], object] | None = None, most: int = ASKED_AT_ONCE
) -> Iterator[list[_Key]]:
    """Those to ask for next, as long as there are any: whoever takes them asks for each batch in turn.

    `rest(seconds)` is called between slow answers, if the disk is to be left to others for as long.
    """
    waiting, n = iter(keys), min(_ASKED_FIRST, most)
    least = n
    while batch := list(itertools.islice(waiting, n)):
        began = time.monotonic()
        yield batch
        took = time.monotonic() - began
        if rest is not None and took > _SLOW_BATCH_SECONDS:
            rest(TimeSpent(took).rest_s(1.0))
        if took > _LONGEST_BATCH_SECONDS:
            least = max(1, len(batch) // 2)
        elif 2 * took < _LONGEST_BATCH_SECONDS:
            least = min(_ASKED_FIRST, most, max(least, 2 * len(batch)))
        n = max(least, min(most, 4 * n, int(len(batch) * _PER_BATCH_SECONDS / max(took, 1e-6))))
