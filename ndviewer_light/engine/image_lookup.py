"""What each position contains, looked up once per position."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import ImageInfo, Level
    from ..sources import Source

_MAX_LEVELS_LOOKED_UP = 256  # positions whose levels are remembered

_Shape = tuple[int, int, int, int]


class ImageLookup:
    """The contents of the positions of a source. Any thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._looked_at: set[int] = set()
        self._all_of = 0  # how many positions there were when all were looked at
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._levels: OrderedDict[int, tuple[_Shape, tuple[Level, ...]]] = OrderedDict()

    def image(self, p: int) -> ImageInfo:
        """See `Source.image`; blocks the first time."""
        if p in self._looked_at:
            return self._source.info.image(p)
        image = self._source.image(p)
        self.add(p)
        return image

    def has_looked_at(self, p: int) -> bool:
        """Whether position `p` was looked at; does not block."""
        return p in self._looked_at

    def add(self, p: int) -> None:
        """A plane of position `p` was read: the source has looked at it."""
        self._looked_at.add(p)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Source.levels`; blocks the first time, and while levels are still being written."""
        image = self.image(p)
        shape = image.n_levels, image.n_z, image.height, image.width
        with self._lock:
            known = self._levels.get(p)
            if known is not None and known[0] == shape:
                self._levels.move_to_end(p)
                return known[1]
        levels = self._source.levels(p)
        if len(levels) == image.n_levels:
            with self._lock:
                self._levels[p] = shape, levels
                while len(self._levels) > _MAX_LEVELS_LOOKED_UP:
                    self._levels.popitem(last=False)
        return levels

    def look_at_all(self) -> None:
        """See `Source.look_at_all`; not again unless positions were added."""
        n = len(self._source.info.positions)
        if self._all_of != n:
            self._source.look_at_all()
            self._all_of = n

    def forget(self) -> None:
        """Look at every position anew: the dataset was replaced, or is to be reread."""
        self._looked_at.clear()
        self._all_of = 0
        with self._lock:
            self._levels.clear()
