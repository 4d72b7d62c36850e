"""Image files that are unlike the others of their dataset, as far as they were read: what is said of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..storage.about_files import about_file
from ..storage.presentable import presentable

if TYPE_CHECKING:
    from ..model import PlacedWarning, PlaneKey

_UNLIKE_NAMED = 8
_UNLIKE_KEPT = 10_000
_AND_MORE = "More files than those named have other sizes or types of pixels"


def pixels_text(height: int, width: int) -> str:
    """A size as people say it: "2048 × 1536"."""
    return f"{width} × {height}"


class UnlikeFiles:
    """Warnings about files, one for each; of many, the first are named. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, PlacedWarning] = {}  # by path, in the order in which they were noticed
        self.warnings: tuple[str, ...] = ()
        """A new object if there are others."""

    def note(self, path: str, key: PlaneKey, what: str) -> None:
        """From now on this is said of a file, in which the plane is; nothing if `what` is ""."""
        warning = about_file(f"{presentable(path)} {what}", path, **key._asdict()) if what else None
        with self._lock:
            if self._said.get(path) == warning:
                return
            if warning is None:
                del self._said[path]
            elif path in self._said or len(self._said) < _UNLIKE_KEPT:
                self._said[path] = warning
            named = list(self._said.values())[:_UNLIKE_NAMED]
            said = (*named, _AND_MORE) if len(self._said) > len(named) else tuple(named)
            if said != self.warnings:
                self.warnings = said
