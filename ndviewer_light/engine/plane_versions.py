"""Which version of what is stored each plane was read at; see `Source.versions`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import PlaneKey

_MAX_KNOWN = 65_536
_CLOCKS_DIFFER_NS = 120 * 10**9


class PlaneVersions:
    """The versions of the planes read last, by level. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._known: OrderedDict[PlaneKey, dict[int, str]] = OrderedDict()
        self._read_at: OrderedDict[tuple[PlaneKey, int], int] = OrderedDict()

    def get(self, key: PlaneKey, level: int) -> str | None:
        """The version that is known of a plane, or None."""
        with self._lock:
            return self._known.get(key, {}).get(level)

    def note(self, key: PlaneKey, level: int, version: str | None, *, is_part: bool = False) -> None:
        """A plane was read, or not found, at this version; of one read in parts the first counts."""
        if version is None:
            return
        with self._lock:
            known = self._known.setdefault(key, {})
            if not (is_part and level in known):
                known[level] = version
            self._known.move_to_end(key)
            while len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)

    def note_read(self, key: PlaneKey, level: int, began_ns: int) -> None:
        """A plane was read whose version was not told; when that began (ns since 1970)."""
        with self._lock:
            self._read_at[key, level] = began_ns
            self._read_at.move_to_end((key, level))
            while len(self._read_at) > _MAX_KNOWN:
                self._read_at.popitem(last=False)

    def was_read_long_after(self, key: PlaneKey, level: int, changed_ns: int) -> bool:
        """Whether a plane of unknown version was read so long after a change that it includes that.

        The clocks of a server and of this computer may differ.
        """
        with self._lock:
            return bool(changed_ns) and self._read_at.get((key, level), 0) > changed_ns + _CLOCKS_DIFFER_NS

    def forget(self, key: PlaneKey) -> None:
        """Nothing is known of a plane at any level."""
        with self._lock:
            self._known.pop(key, None)

    def clear(self) -> None:
        """Nothing is known of any plane."""
        with self._lock:
            self._known.clear()
            self._read_at.clear()
