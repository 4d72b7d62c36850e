"""What is shown of a dataset: the planes in view, and which of them arrived after they were asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..model import PlaneKey


class Shown(NamedTuple):
    """The planes in view, in the order they were asked for, and the pyramid level they are shown at."""

    keys: tuple[PlaneKey, ...]
    level: int


class PlanesInView:
    """The planes in view and those of them that have to be drawn again. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards what follows; taken for a moment, nothing is called inside
        self._shown = Shown((), 0)
        self._late: set[PlaneKey] = set()
        self.watched: frozenset[tuple[int, int, int, int]] = frozenset()
        """The planes in view as a set; may be looked at without a lock, but never changed."""

    @property
    def shown(self) -> Shown:
        """What is in view now."""
        return self._shown

    def show(self, keys: Sequence[PlaneKey], level: int) -> bool:
        """Take `keys` as the view, with nothing to draw again; True if other planes were shown before."""
        with self._lock:
            is_elsewhere = self._shown.keys != tuple(keys)
            self._shown = Shown(tuple(keys), level)
            self.watched = frozenset(self._shown.keys)
            self._late.clear()
        return is_elsewhere

    def draw_again(self, key: PlaneKey) -> None:
        """There is something else to show of this plane; out of view it does not count."""
        with self._lock:
            if key in self._shown.keys:
                self._late.add(key)

    def draw_all_again(self) -> None:
        """What is shown of all planes in view is out of date."""
        with self._lock:
            self._late.update(self._shown.keys)

    def take_changed(self, notified: Iterable[tuple[int, int, int, int]]) -> bool:
        """Whether planes in view have to be drawn again, also because of `notified`; said once."""
        with self._lock:
            changed = bool(self._late) or not self.watched.isdisjoint(notified)
            self._late.clear()
        return changed

    def close(self) -> None:
        """Nothing is in view any more."""
        with self._lock:
            self._shown, self.watched = Shown((), self._shown.level), frozenset()
            self._late.clear()
