"""Which planes of files with room for what is to come hold nothing but room, found by reading them.

For what counts planes without reading, so that it says what reading them says: of each plane as much is read
as tells that something was written into it, or later, beginning at the end.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ..errors import DatasetError
from ..storage.file_versions import settled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from ..model import DatasetInfo, PlaneKey
    from .source import Source

_READING_SECONDS = 0.25
"""How long planes are read for one question; whoever asks again learns more."""
_MOST_REMEMBERED = 200_000


def is_all(pixels: np.ndarray, value: float) -> bool:
    """Whether all pixels have a value, which may be NaN."""
    if value == 0:
        return not pixels.any()
    is_it = pixels != pixels if math.isnan(value) else pixels == value
    return bool(is_it.all())


def later_planes(key: PlaneKey, info: DatasetInfo) -> Iterator[PlaneKey]:
    """The next and the last plane along each axis."""
    image = info.image(key.p)
    for axis, n in (("z", image.n_z), ("t", image.n_t), ("c", len(info.channels))):
        for at in dict.fromkeys((getattr(key, axis) + 1, n - 1)):
            if getattr(key, axis) < at < n:
                yield key._replace(**{axis: at})


def _settled(version: str | None) -> str | None:
    """A version without the time at which a file was looked at that had just been written."""
    return version and settled(version)


class PlanesInRoom:
    """Planes of `source` of which nothing but room is there, by the version of their file. Any thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._blank: dict[PlaneKey, tuple[str | None, bool]] = {}
        self._last: dict[tuple[str | None, str, PlaneKey], int] = {}  # the last one written along an axis

    def are_written(self, keys: Sequence[PlaneKey], versions: Sequence[str | None]) -> list[bool | None]:
        """Whether anything was written into these planes, or into later ones; None: no time to find out."""
        answers: list[bool | None] = [None] * len(keys)
        known = dict(zip(keys, map(_settled, versions), strict=True))
        until = time.monotonic() + _READING_SECONDS
        if len(self._blank) > _MOST_REMEMBERED:
            self._blank, self._last = {}, {}
        for i in sorted(range(len(keys)), key=keys.__getitem__, reverse=True):  # the later ones first
            answers[i] = self._is_written(keys[i], known, until)
        return answers

    def is_blank(self, key: PlaneKey, version: str | None) -> bool:
        """Whether a plane of this version is known to be blank; reads nothing."""
        return self._blank.get(key) == (_settled(version), True)

    def _is_written(self, key: PlaneKey, known: dict[PlaneKey, str | None], until: float) -> bool | None:
        version = known[key]
        if any(
            self._last.get((version, axis, key._replace(**{axis: 0})), -1) > getattr(key, axis)
            for axis in "tcz"
        ):
            return True
        for each in (*later_planes(key, self._source.info), key):
            if each not in known:
                known[each] = _settled(*self._source.versions([each]))
            is_blank = self._found_blank(each, known[each], until)
            if is_blank is None:
                return None
            if not is_blank:
                for axis in "tcz":
                    line = (version, axis, each._replace(**{axis: 0}))
                    self._last[line] = max(self._last.get(line, -1), getattr(each, axis))
                return True
        return False

    def _found_blank(self, key: PlaneKey, version: str | None, until: float) -> bool | None:
        before = self._blank.get(key)
        if before is not None and before[0] == version:
            return before[1]
        if time.monotonic() > until:
            return None
        try:
            found = is_all(self._source.read_plane(key), self._source.value_of_room())
        except (DatasetError, IndexError):  # reading says so
            return None
        self._blank[key] = version, found
        return found
