"""The planes of a dataset in view, and which of them arrived late."""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from ..model import PlaneKey
    from .retry import RetryPolicy

    _Key = tuple[int, int, int, int]  # t, p, c, z


class Shown(NamedTuple):
    """The planes in view, in request order, and their pyramid level."""

    keys: tuple[PlaneKey, ...]
    level: int


class ViewedPlanes(NamedTuple):
    """Planes in view, and those of them that could not be shown: of the picture, or of what is beside it."""

    view: PlanesInView
    retries: RetryPolicy


class PlanesInView:
    """The planes in view, and those that must be redrawn. Any thread."""

    def __init__(self) -> None:
        self._lock = (
            threading.Lock()
        )  # guards the following; held briefly, nothing is called while holding it
        self._shown = Shown((), 0)
        self._parts: Mapping[PlaneKey, Sequence[_Key]] | None = None
        self._late: set[PlaneKey] = set()
        self.watched: frozenset[_Key] = frozenset()
        """The planes of level 0 that are in view, or a part of them; may be read without a lock."""

    @property
    def shown(self) -> Shown:
        """The planes currently in view."""
        return self._shown

    def show(
        self, keys: Sequence[PlaneKey], level: int, parts: Mapping[PlaneKey, Sequence[_Key]] | None = None
    ) -> bool:
        """Set the view to `keys`, with nothing to redraw; True if it changed.

        `parts`: the planes of level 0 that each of them shows a part of; None: they are of level 0.
        """
        with self._lock:
            is_elsewhere = self._shown.keys != tuple(keys)
            self._shown, self._parts = Shown(tuple(keys), level), parts
            self.watched = frozenset(self._shown.keys if parts is None else chain(*parts.values()))
            self._late.clear()
        return is_elsewhere

    def showing(self, written: AbstractSet[_Key]) -> list[PlaneKey]:
        """Those in view that show a part of any of these planes of level 0, in their order."""
        with self._lock:
            keys, parts = self._shown.keys, self._parts
        if parts is None:
            return [key for key in keys if key in written]
        return [key for key in keys if not written.isdisjoint(parts[key])]

    def draw_again(self, key: PlaneKey) -> None:
        """The plane must be redrawn, if in view."""
        with self._lock:
            if key in self._shown.keys:
                self._late.add(key)

    def draw_all_again(self) -> None:
        """All planes in view must be redrawn."""
        with self._lock:
            self._late.update(self._shown.keys)

    def take_changed(self, notified: Iterable[_Key]) -> bool:
        """Whether planes in view must be redrawn, also because of `notified`; reported once."""
        with self._lock:
            changed = bool(self._late) or not self.watched.isdisjoint(notified)
            self._late.clear()
        return changed

    def close(self) -> None:
        """Nothing is in view any more."""
        with self._lock:
            self._shown, self.watched, self._parts = Shown((), self._shown.level), frozenset(), None
            self._late.clear()
