"""The states of planes that nobody has read: by what is stored, and by what is known of a few of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import NDViewerError
from ..model import PlaneKey, PlaneState
from ..sources.missing import state_of_missing
from .state_codes import NOT_EXPECTED, NOT_LOOKED_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..model import DatasetInfo, ImageInfo
    from ..sources import Source
    from .known_failures import KnownFailures
    from .planes_seen import PlanesSeen

_SUSPECTS_READ = 8


class StoredStates:
    """Tells the states of planes without reading any. Any thread; blocks on disk, raises nothing.

    `is_live()`: whether a host's run is on; `comes()`: whether more is to come, see `DiskFollower.comes`.
    `is_in_memory(key)`: whether the pixels of a plane are. `ask_age()`: learns whether a dataset was written
    just before it was opened, as far as that is not known; may block. `read(key)`: the state of a plane as
    reading it tells, for the few that looked damaged.
    """

    def __init__(
        self,
        source: Source,
        failures: KnownFailures,
        is_live: Callable[[], bool],
        comes: Callable[[], bool | None],
        is_in_memory: Callable[[PlaneKey], bool],
        ask_age: Callable[[], None],
        read: Callable[[PlaneKey], PlaneState],
        seen: PlanesSeen,
    ) -> None:
        self._source = source
        self._failures = failures
        self._is_live = is_live
        self._comes = comes
        self._is_in_memory = is_in_memory
        self._ask_age = ask_age
        self._read = read
        self._seen = seen
        self._begun: set[int] = set()  # positions of which something was found

    @property
    def comes(self) -> bool | None:
        """Whether what is not stored is said to be still to come; None where only the dataset may say so."""
        return True if self._is_live() else self._comes()

    def of(self, keys: Sequence[PlaneKey]) -> list[PlaneState]:
        """PRESENT, PENDING, FILLED, ABSENT, UNREADABLE or UNKNOWN for each plane.

        Of a host's run that is on, what is missing is PENDING.
        """
        self._ask_age()
        comes = self._comes()
        try:
            stored = self._source.are_stored(keys)
            self._begun.update(key.p for key, is_stored in zip(keys, stored, strict=True) if is_stored)
            missing = [key for key, is_stored in zip(keys, stored, strict=True) if is_stored is False]
            if self._is_live():
                missing = []
            elif comes:  # of positions without any plane nothing counts as the fill value then
                missing = [key for key in missing if key.p in self._begun]
            found = self._source.missing_as(missing) if missing else []
        except (NDViewerError, IndexError):  # of a reader process
            stored, missing, found = [None] * len(keys), [], []
        states = (state_of_missing(each, comes=comes) for each in found)
        said = dict(zip(missing, states, strict=True))
        self._seen.note(key for key, is_stored in zip(keys, stored, strict=True) if is_stored)
        if not self._is_live():
            lacking = [key for key, is_stored in zip(keys, stored, strict=True) if is_stored is False]
            gone = zip(lacking, self._seen.are_gone(lacking), strict=True)
            said.update((key, PlaneState.ABSENT) for key, is_gone in gone if is_gone)
        looked = [
            said.get(key, PlaneState.PENDING) if is_stored is False else self._not_missing(key, is_stored)
            for key, is_stored in zip(keys, stored, strict=True)
        ]
        suspects = [i for i, key in enumerate(keys) if self._failures.is_suspected(key)]
        for n, i in enumerate(suspects):  # what is half written is stored
            if looked[i] in (PlaneState.PRESENT, PlaneState.UNKNOWN):
                looked[i] = self._read(keys[i]) if n < _SUSPECTS_READ else PlaneState.PENDING
        return looked

    def _not_missing(self, key: PlaneKey, is_stored: bool | None) -> PlaneState:
        if self._failures.reason_of(key) is not None and not (
            is_stored and self._failures.is_there_again(key)
        ):
            return PlaneState.UNREADABLE
        if is_stored or self._is_in_memory(key):
            return PlaneState.PRESENT
        return PlaneState.UNKNOWN

    def looked_up(self, key: PlaneKey) -> PlaneState | None:
        """The state of a plane that is UNKNOWN otherwise: a server is asked for it, without its pixels.

        None if it is missing: reading it tells what it counts as.
        """
        try:
            is_stored = self._source.look_up_stored(key)
        except (NDViewerError, IndexError):  # of a reader process
            is_stored = None
        return None if is_stored is False else self._not_missing(key, is_stored)

    def of_one(self, key: PlaneKey, info: DatasetInfo) -> PlaneState:
        """The state of one plane; looks at its neighbours as well, which may share files with it.

        PENDING of what is missing while it is awaited: reading it tells more.
        """
        beside = (
            key._replace(**{axis: at})
            for axis, index in (("t", key.t), ("c", key.c), ("z", key.z))
            for at in (index - 1, index + 1)
        )
        return self.of([key, *(each for each in beside if info.contains(each))])[0]


def block_of(info: DatasetInfo, image: ImageInfo) -> np.ndarray:
    """Codes (t, c, z) of a position that contains `image`, none of whose planes was looked at yet.

    Which planes there should be is said here, for reports, searches, the strip of time points, and maps.
    """
    block = np.full((info.n_times(image), len(info.channels), image.n_z), NOT_EXPECTED, np.uint8)
    block[:, info.channels_of(image)] = NOT_LOOKED_AT
    return block


def not_looked_at(block: np.ndarray, p: int) -> Iterator[PlaneKey]:
    """The planes of position `p` that were not looked at so far, t slowest, then c, then z."""
    for t, stack in enumerate(block):
        for c, z in np.argwhere(stack == NOT_LOOKED_AT).tolist():
            yield PlaneKey(t, p, c, z)
