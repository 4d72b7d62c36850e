"""Area averages that are kept on disk: under which name, and which are worth it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .area_averages import step_for

if TYPE_CHECKING:
    import numpy as np

    from ..model import StackKey
    from ..storage.disk_cache import DiskCache

KEPT_EDGE = 128
"""The longest edge, or up to twice of it, of area averages that are kept on disk."""


class ThumbnailCache(NamedTuple):
    """Where area averages are kept; `name` is that of the dataset, `disk` the cache."""

    disk: DiskCache
    name: str

    def name_of(self, key: StackKey, level: int, edge: int, version: str | None) -> str:
        """Under what an average is kept; "" if it is not: nothing tells when the plane has changed."""
        if version is None:
            return ""
        said = self.name, version, level, *key, max(edge, KEPT_EDGE)
        return "\n".join(("thumbnail 1", *map(str, said)))

    def get(self, name: str) -> np.ndarray | None:
        """What is kept under a name."""
        return self.disk.get(name) if name else None

    def put(self, name: str, pixels: np.ndarray) -> None:
        """Keep an average, if it has a name."""
        if name:
            self.disk.put(name, pixels)


def kept_step(shape: tuple[int, int], edge: int) -> int:
    """How many pixels are averaged along each axis for what is kept of a plane: also for closer looks.

    1 where nothing is kept: the plane itself is read as quickly.
    """
    return step_for(max(shape), max(edge, KEPT_EDGE))
