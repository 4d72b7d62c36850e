"""What is made of whole stacks and kept in memory, within the limit on the cache of their planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .projections import Projections
from .stack_beside import StackBeside
from .tiles import ONE_TILE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ..model import DatasetInfo, Plane, PlaneKey
    from .cache import PlaneCache
    from .planes_in_view import ViewedPlanes
    from .stack_beside import StackGrid, StackSeen
    from .view_requests import ViewRequests

_STACK_AT_ONCE = 8


class StacksInMemory:
    """Projections, and the one stack that is shown beside the picture. Any thread.

    `planes` requests those of the view, `requests` those of a second view, which shows what is `viewed`.
    `parts(key, level)` are the planes of level 0 that one of a level shows, `reads_at_once()` how many are
    read at a time.
    """

    def __init__(
        self,
        planes: Callable[[Sequence[PlaneKey], int, float | None, Sequence[PlaneKey]], list[Plane]],
        requests: ViewRequests,
        viewed: ViewedPlanes,
        parts: Callable[[PlaneKey, int], Sequence[PlaneKey]],
        cache: PlaneCache,
        known: Callable[[], DatasetInfo],
        reads_at_once: Callable[[], int],
    ) -> None:
        self._cache = cache
        self._known = known
        self._reads_at_once = reads_at_once
        self._nbytes = {"projections": 0, "beside": 0}
        max_bytes = cache.max_bytes
        self.projections = Projections(
            planes,
            parts,
            self._at_once,
            max_bytes // 4,
            lambda nbytes: self._leave_room(projections=nbytes),
        )
        self.beside = StackBeside(
            requests,
            parts,
            viewed,
            self._at_once,
            max_bytes // 2,
            lambda nbytes: self._leave_room(beside=nbytes),
        )

    def written(self, keys: Collection[tuple[int, int, int, int]] | None) -> None:
        """These planes of level 0 were written (None: perhaps all): what is made of them is stale.

        Quick, and calls nothing: it may be called while a lock is held.
        """
        self.projections.written(keys)
        self.beside.written(keys)

    def read_beside(self, grid: StackGrid, channels: Sequence[int], wait: float) -> StackSeen:
        """See `Dataset.stack`."""
        if self._nbytes["projections"]:  # not in view; with the stack they would exceed the limit
            self.projections.written(None)
            self._leave_room(projections=0)
        return self.beside.read(grid, channels, wait)

    def _leave_room(self, **nbytes: int) -> None:
        self._nbytes.update(nbytes)
        self._cache.leave_room(sum(self._nbytes.values()))

    def _at_once(self) -> int:
        """How many planes of a stack are requested at a time: until they are added, the cache holds them."""
        info = self._known()
        itemsize = info.dtype.itemsize if info.dtype is not None else 2
        plane = max(min(info.height * info.width, ONE_TILE_PIXELS) * itemsize, 1)
        return max(1, min(max(_STACK_AT_ONCE, self._reads_at_once()), self._cache.max_bytes // 2 // plane))
