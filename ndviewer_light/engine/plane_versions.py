"""Which version of what is stored each plane was read at; see `Source.versions`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import PlaneKey

_MAX_KNOWN = 65_536


class PlaneVersions:
    """The versions of the planes read last, by level. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._known: OrderedDict[PlaneKey, dict[int, str]] = OrderedDict()

    def get(self, key: PlaneKey, level: int) -> str | None:
        """The version that is known of a plane, or None."""
        with self._lock:
            return self._known.get(key, {}).get(level)

    def note(self, key: PlaneKey, level: int, version: str | None, *, is_part: bool = False) -> None:
        """A plane was read, or looked for in vain, at this version; of one read in parts the first counts."""
        if version is None:
            return
        with self._lock:
            known = self._known.setdefault(key, {})
            if not (is_part and level in known):
                known[level] = version
            self._known.move_to_end(key)
            while len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)

    def forget(self, key: PlaneKey) -> None:
        """Nothing is known of a plane at any level."""
        with self._lock:
            self._known.pop(key, None)

    def clear(self) -> None:
        """Nothing is known of any plane."""
        with self._lock:
            self._known.clear()
