"""The planes that could not be read since the dataset was opened, and why."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from ..errors import PlaneNotStoredError
from ..model import PlaneKey

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    import numpy as np

KEPT_FAILURES = 4096
"""How many are remembered, the latest ones; the others are found out again by reading."""

_LOOKED_FOR = 16
"""So many are looked for among what was written; of more, all that was written is looked up."""


class KnownFailures:
    """Unreadable planes and the reasons, until they are read or written again. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._reasons: OrderedDict[tuple[int, int, int, int], str] = OrderedDict()
        self._since: OrderedDict[tuple[int, int, int, int], tuple[type, float]] = OrderedDict()
        self._gone: set[tuple[int, int, int, int]] = set()  # those that could not because nothing could
        self._version = 0

    @property
    def version(self) -> int:
        """A number that changes whenever it may know something else."""
        return self._version

    def failing_since(self, key: PlaneKey, error: Exception, now: float) -> float:
        """Since when a plane has failed to be read in this way, however often; `now` if it did not before.

        Of the latest ones that are asked for; it may also be that they are just being written.
        """
        with self._lock:
            kind, since = self._since.get(key, (None, now))
            if kind is type(error):
                return since
            self._since[key] = type(error), now
            if len(self._since) > KEPT_FAILURES:
                self._since.popitem(last=False)
            return now

    def is_suspected(self, key: PlaneKey) -> bool:
        """Whether a plane looked damaged when it was read last, and may have been just written."""
        found = self._since.get(key) if self._since else None
        return (
            found is not None and key not in self._reasons and not issubclass(found[0], PlaneNotStoredError)
        )

    def note(self, key: PlaneKey, reason: str, *, is_gone: bool = False) -> bool:
        """A plane could not be read; `is_gone`: because the whole dataset is out of reach.

        Returns whether that was not known.
        """
        with self._lock:
            (self._gone.add if is_gone else self._gone.discard)(key)
            is_news = key not in self._reasons
            self._version += is_news
            self._reasons[key] = reason
            self._reasons.move_to_end(key)
            if len(self._reasons) > KEPT_FAILURES:
                self._gone.discard(self._reasons.popitem(last=False)[0])
            return is_news

    def forget(self, keys: Iterable[tuple[int, int, int, int]]) -> None:
        """These planes were read, or written again."""
        if self._reasons or self._since:  # without the lock: nearly always there are none
            with self._lock:
                for key in keys:
                    self._version += self._reasons.pop(key, None) is not None
                    self._since.pop(key, None)
                    self._gone.discard(key)

    def forget_rows(self, rows: np.ndarray) -> None:
        """The same of planes as rows (n, 4), of which there may be very many."""
        with self._lock:
            known = [*self._reasons, *(key for key in self._since if key not in self._reasons)]
        if not known:
            return
        if len(known) <= _LOOKED_FOR:
            self.forget(key for key in known if (rows == key).all(axis=1).any())
        else:
            self.forget(map(tuple, rows.tolist()))

    def clear(self) -> None:
        """Nothing is known of any plane."""
        with self._lock:
            self._version += 1
            self._reasons.clear()
            self._since.clear()
            self._gone.clear()

    def is_there_again(self, key: PlaneKey) -> bool:
        """A plane was found to be stored: it is forgotten that it was out of reach; whether it was."""
        if key not in self._gone:
            return False
        self.forget([key])
        return True

    def reason_of(self, key: PlaneKey) -> str | None:
        """Why a plane could not be read; None if it has not failed."""
        return self._reasons.get(key) if self._reasons else None

    def among(self, positions: Container[int]) -> dict[PlaneKey, str]:
        """The reasons of all planes at these positions, in the order of the planes."""
        with self._lock:
            reasons = dict(self._reasons)
        found = {PlaneKey(*key): reason for key, reason in reasons.items() if key[1] in positions}
        return dict(sorted(found.items(), key=lambda each: (each[0].p, each[0])))

    def count(self) -> int:
        """How many planes are known to be unreadable: not those that only could not be reached."""
        return max(len(self._reasons) - len(self._gone), 0)

    def __bool__(self) -> bool:
        return bool(self._reasons or self._since)
