"""Which planes of level 0 those of other levels show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DatasetError
from .overview import OVERVIEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model import PlaneKey
    from .cache import PlaneCache
    from .overview import OverviewBuilder
    from .regions import TiledPlanes


class LevelParts:
    """What planes of a level show of level 0, as far as the cache was told. Any thread.

    `n_z()`: how many planes a stack is known to have at level 0.
    """

    def __init__(
        self, cache: PlaneCache, tiled: TiledPlanes, overviews: OverviewBuilder, n_z: Callable[[], int]
    ) -> None:
        self._cache = cache
        self._tiled = tiled
        self._overviews = overviews
        self._n_z = n_z

    def of_level_0(self, key: PlaneKey, level: int) -> list[PlaneKey]:
        """The planes of level 0 that one of any level shows a part of; all while that is not known."""
        if level == 0:
            return [key]
        n_z = self._n_z()
        if n_z == 1:
            return [key._replace(z=0)]
        z, facts = key.z, self._cache.facts_of(key.p, level)
        if facts is None:
            return [key._replace(z=z) for z in range(n_z)]
        if level == OVERVIEW:
            z = facts.z_at(z)
        covered = facts.covers(z)
        return [key._replace(z=z) for z in covered[: max(n_z - covered.start, 1)]]

    def note(self, p: int, level: int) -> None:
        """Tell the cache which planes of level 0 those of a level show; reads its metadata."""
        try:
            of = self._overviews.base_level(p) if level == OVERVIEW else level
            self._cache.note_level(p, level, self._tiled.level(p, of))
        except (DatasetError, IndexError):  # reading the plane will say so
            return
