"""Planes of local HDF5 files that are the fill value in chunks with others because nobody wrote them."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from ..shared_chunks import SharedChunks

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    import numpy as np

    from ...model import PlaneKey
    from .planes_in_chunks import HDF5InChunks
    from .snapshot import Snapshot


class FillInChunk(NamedTuple):
    """What a plane of fill value in a chunk with others may be: to come, or written by nobody."""

    is_fresh: bool
    is_blank: bool


class BlankPlanes:
    """Of one file, which is opened again whenever it changes. Any thread; blocks on disk.

    `is_followed`: see `SharedChunks`.
    """

    def __init__(self, *, is_followed: bool) -> None:
        self._shared = SharedChunks(lambda: is_followed)

    def of_fill(self, shot: Snapshot, key: PlaneKey, level: int, pixels: np.ndarray) -> FillInChunk | None:
        """What is told of a plane by its `pixels`; None unless it is fill value in chunks with others."""
        with _place_in_chunks(shot, key, level) as found:
            if found is None or not found.array.is_fill(pixels):
                return None
            is_blank = self._shared.is_blank(*found)
            is_fresh = is_blank is not False and self._shared.is_fresh(*found)
            return FillInChunk(is_fresh, is_blank is True)

    def is_blank(self, shot: Snapshot, key: PlaneKey) -> bool:
        """Whether nobody wrote a plane of level 0 of which chunks are stored, as far as that can be told."""
        with _place_in_chunks(shot, key, 0) as found:
            return found is not None and self._shared.is_blank(*found) is True

    def is_fresh(self, shot: Snapshot, key: PlaneKey) -> bool:
        """Whether a plane of level 0 may come into chunks with others that are being written."""
        with _place_in_chunks(shot, key, 0) as found:
            return found is not None and self._shared.is_fresh(*found)

    def without_blank(
        self, shot: Snapshot, keys: Sequence[PlaneKey], told: Sequence[bool | None]
    ) -> list[bool | None]:
        """What is `told` of planes of level 0 by their chunks, with False for those that nobody wrote."""
        answers = list(told)
        of_dataset: dict[Hashable, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
        for i, key in enumerate(keys):
            place = shot.place(key, 0) if told[i] else None
            if place is not None:
                of_dataset[place[0]].append((i, place[1]))
        for dataset, members in of_dataset.items():
            with shot.in_chunks(dataset) as array:
                if array is None:
                    continue
                there = self._shared.are_stored(array, [index for _, index in members], [True] * len(members))
                for (i, _), is_stored in zip(members, there, strict=True):
                    answers[i] = is_stored
        return answers


_followed: WeakValueDictionary[str, BlankPlanes] = WeakValueDictionary()
_lock = threading.Lock()


def blank_planes_of_followed(path: str) -> BlankPlanes:
    """Those of a local file that is followed, for all who do: sources come and go as it is written."""
    new = BlankPlanes(is_followed=True)
    with _lock:
        return _followed.setdefault(path, new)


class _InChunks(NamedTuple):
    """A plane in a dataset whose chunks hold several."""

    array: HDF5InChunks
    indices: tuple[int, ...]


@contextlib.contextmanager
def _place_in_chunks(shot: Snapshot, key: PlaneKey, level: int) -> Iterator[_InChunks | None]:
    """None for a plane that shares no chunks."""
    place = shot.place(key, level) if shot.info.contains(key) else None
    if place is None:
        yield None
        return
    with shot.in_chunks(place[0]) as array:
        yield None if array is None else _InChunks(array, place[1])
