"""For how long metadata are away that were there: while they are written anew, they are for a moment."""

from __future__ import annotations

import threading
import time

AWAY_SECONDS = 2.0
"""For so long a folder may be without its metadata before that is said."""


class MetadataAway:
    """Since when those of some folders are. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the following
        self._since: dict[str, float] = {}

    def note(self, folder: str, *, are_away: bool) -> bool:
        """They are away, or there; returns whether they have been away for long."""
        with self._lock:
            if not are_away:
                self._since.pop(folder, None)
                return False
            now = time.monotonic()
            return now - self._since.setdefault(folder, now) > AWAY_SECONDS

    def all(self) -> list[str]:
        """The folders whose metadata are away."""
        with self._lock:
            return list(self._since)

    def for_long(self) -> list[str]:
        """The folders whose metadata have been away for long."""
        now = time.monotonic()
        with self._lock:
            return [folder for folder, since in self._since.items() if now - since > AWAY_SECONDS]
