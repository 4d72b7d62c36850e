"""The planes of a dataset in view, and which of them arrived late."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..model import PlaneKey


class Shown(NamedTuple):
    """The planes in view, in request order, and their pyramid level."""

    keys: tuple[PlaneKey, ...]
    level: int


class PlanesInView:
    """The planes in view, and those that must be redrawn. Any thread."""

    def __init__(self) -> None:
        self._lock = (
            threading.Lock()
        )  # guards the following; held briefly, nothing is called while holding it
        self._shown = Shown((), 0)
        self._late: set[PlaneKey] = set()
        self.watched: frozenset[tuple[int, int, int, int]] = frozenset()
        """The planes in view as a set; may be read without a lock, but never changed."""

    @property
    def shown(self) -> Shown:
        """The planes currently in view."""
        return self._shown

    def show(self, keys: Sequence[PlaneKey], level: int) -> bool:
        """Set the view to `keys`, with nothing to redraw; True if it changed."""
        with self._lock:
            is_elsewhere = self._shown.keys != tuple(keys)
            self._shown = Shown(tuple(keys), level)
            self.watched = frozenset(self._shown.keys)
            self._late.clear()
        return is_elsewhere

    def draw_again(self, key: PlaneKey) -> None:
        """The plane must be redrawn, if in view."""
        with self._lock:
            if key in self._shown.keys:
                self._late.add(key)

    def draw_all_again(self) -> None:
        """All planes in view must be redrawn."""
        with self._lock:
            self._late.update(self._shown.keys)

    def take_changed(self, notified: Iterable[tuple[int, int, int, int]]) -> bool:
        """Whether planes in view must be redrawn, also because of `notified`; reported once."""
        with self._lock:
            changed = bool(self._late) or not self.watched.isdisjoint(notified)
            self._late.clear()
        return changed

    def close(self) -> None:
        """Nothing is in view any more."""
        with self._lock:
            self._shown, self.watched = Shown((), self._shown.level), frozenset()
            self._late.clear()
