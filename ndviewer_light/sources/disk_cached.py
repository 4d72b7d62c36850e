"""Planes from servers, cached on disk: the second time they are read from there, without a request.

Local files are never cached: their own disk is as near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..model import channel_name
from ..storage.bytes import is_url
from ..storage.disk_cache import cache_of
from .registry import open_source
from .replacement import ReplaceableSource
from .source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ..model import DatasetInfo, ImageInfo, LabelFacts, Level, PlaneKey, Region
    from ..storage.disk_cache import DiskCache
    from .missing import Found
    from .source import StorageOptions


def open_disk_cached(path: str, options: StorageOptions = None) -> Source:
    """Like `open_source`, with planes from servers cached on disk, in the folder given by `cache_of`.

    When another dataset takes the place of the one at the path, that is the one read from then on.
    """
    return ReplaceableSource(path, lambda: _opened(path, options))


def _opened(path: str, options: StorageOptions) -> Source:
    source = open_source(path, options)
    cache = cache_of(options) if is_url(path) else None
    return source if cache is None else DiskCachedSource(source, cache)


class DiskCachedSource(Source):
    """A `source` with its planes in `cache`, under the name of its content (`Source.identity`).

    Without such a name nothing is cached: a plane that changed on the server must not come from here.
    """

    def __init__(self, source: Source, cache: DiskCache) -> None:
        self._source = source
        self._cache = cache

    @property
    def info(self) -> DatasetInfo:
        """Same as the source's."""
        return self._source.info

    @property
    def identity(self) -> str | None:
        """Same as the source's."""
        return self._source.identity

    @property
    def reads_at_once(self) -> int:
        """Same as the source's."""
        return self._source.reads_at_once

    def read_plane(self, key: PlaneKey, level: int = 0) -> np.ndarray:
        """The plane from disk if cached, else from the source, then cached."""
        return self._cached((level, key), lambda: self._source.read_plane(key, level))

    def read_region(self, key: PlaneKey, region: Region, level: int = 0) -> np.ndarray:
        """Like `read_plane`; regions are cached as they are asked for."""
        return self._cached((level, key, *region), lambda: self._source.read_region(key, region, level))

    def _cached(self, what: tuple[Any, ...], read: Callable[[], np.ndarray]) -> np.ndarray:
        identity = self._source.identity
        if identity is None:
            return read()
        level, key, *region = what
        name = "\n".join(map(str, (identity, level, _address(self._source.info, key), *region)))
        pixels = self._cache.get(name)
        if pixels is None:
            pixels = read()
            self._cache.put(name, pixels)
        return pixels

    def tile_shape(self, p: int, level: int = 0) -> tuple[int, int] | None:
        """Same as the source's."""
        return self._source.tile_shape(p, level)

    def level_for(self, p: int, height: int, width: int) -> int:
        """Same as the source's."""
        return self._source.level_for(p, height, width)

    def plane_shape(self, key: PlaneKey, level: int = 0) -> tuple[int, int] | None:
        """Same as the source's."""
        return self._source.plane_shape(key, level)

    def image(self, p: int) -> ImageInfo:
        """Same as the source's."""
        return self._source.image(p)

    def look_at_all(self) -> DatasetInfo:
        """Same as the source's."""
        return self._source.look_at_all()

    def levels(self, p: int) -> tuple[Level, ...]:
        """Same as the source's."""
        return self._source.levels(p)

    def labels(self, p: int) -> tuple[str, ...]:
        """Same as the source's."""
        return self._source.labels(p)

    def label_facts(self) -> LabelFacts:
        """Same as the source's."""
        return self._source.label_facts()

    def level_at(self, p: int, level: int) -> Level:
        """Same as the source's."""
        return self._source.level_at(p, level)

    def exists(self, key: PlaneKey) -> bool:
        """Same as the source's."""
        return self._source.exists(key)

    def refresh(self) -> DatasetInfo:
        """See `Source.refresh`; changed content has a new name from then on."""
        return self._source.refresh()

    def follow(self) -> None:
        """See `Source.follow`."""
        self._source.follow()

    def look(self) -> DatasetInfo:
        """See `Source.look`."""
        return self._source.look()

    def may_be_another(self) -> bool:
        """Same as the source's."""
        return self._source.may_be_another()

    def versions(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """Same as the source's."""
        return self._source.versions(keys, level)

    def versions_in_view(self, keys: Sequence[PlaneKey], level: int = 0) -> list[str | None]:
        """Same as the source's."""
        return self._source.versions_in_view(keys, level)

    @property
    def leaves_out_empty(self) -> bool:
        """Same as the source's."""
        return self._source.leaves_out_empty

    def are_stored(self, keys: Sequence[PlaneKey]) -> list[bool | None]:
        """Same as the source's."""
        return self._source.are_stored(keys)

    def look_up_stored(self, key: PlaneKey) -> bool | None:
        """Same as the source's."""
        return self._source.look_up_stored(key)

    def acquired_s(self, keys: Sequence[PlaneKey]) -> list[float | None]:
        """Same as the source's."""
        return self._source.acquired_s(keys)

    def missing_as(self, keys: Sequence[PlaneKey]) -> list[Found]:
        """Same as the source's."""
        return self._source.missing_as(keys)

    @property
    def landmark(self) -> str | None:
        """Same as the source's."""
        return self._source.landmark

    def describe(self) -> dict[str, Any]:
        """Same as the source's."""
        return self._source.describe()

    def close(self) -> None:
        """Close the source; the cache stays."""
        self._source.close()


def _address(info: DatasetInfo, key: PlaneKey) -> tuple[object, ...]:
    """`key` as it is in every program: the index of a channel that the first image lacks is not.

    It depends on the order in which other positions were looked at; its name does not.
    """
    if len(info.groups[0].channels) <= key.c < len(info.channels):
        return (*key._replace(c=-1), *channel_name(info.channels, key.c))
    return tuple(key)
