"""The stack in view as voxels in memory, at a resolution that fits, for sections beside the picture.

Planes are taken one by one: moving a section reads nothing, a plane that is written later costs one read.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import Plane, PlaneKey, PlaneState
from .projections import worse
from .stack_resolution import of_another_size, resolution_text, stack_resolution
from .transpose import copy_into

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ..model import ImageInfo, Level
    from .planes_in_view import ViewedPlanes
    from .view_requests import ViewRequests

LONGEST_EDGE = 4096
"""Voxels along an edge of a stack at most: as many as a screen has pixels."""

WITH_PIXELS = (PlaneState.PRESENT, PlaneState.FILLED)
"""The states of planes that have pixels."""


class StackGrid(NamedTuple):
    """Which voxels of a stack are kept: planes `zs` of a level, of these every `step`-th row and column.

    `shape` is (Z, Y, X) of what is kept. A voxel spans `spans` (z, y, x) voxels of level 0, the first begins
    at the place `corner` (z, y, x) of it. `of` is the shape of level 0.
    """

    t: int
    p: int
    level: int
    n_levels: int
    zs: range
    step: int
    shape: tuple[int, int, int]
    spans: tuple[float, float, float]
    corner: tuple[float, float, float]
    of: tuple[int, int, int]

    def __str__(self) -> str:
        """The level, and the size: "level 2 of 4, 512 × 512 × 64"."""
        return resolution_text(self.level, self.n_levels, self.shape)

    @property
    def is_whole(self) -> bool:
        """Whether every voxel of level 0 is kept."""
        return self.shape == self.of

    def voxel_at(self, z: int, y: int, x: int) -> tuple[int, int, int]:
        """The voxel that covers one of level 0, within the stack."""
        i, j, k = (
            min(max(math.floor((place + 0.5 - begin) / span), 0), n - 1)
            for place, begin, span, n in zip((z, y, x), self.corner, self.spans, self.shape, strict=True)
        )
        return i, j, k


def grid_of(
    image: ImageInfo, levels: Sequence[Level], t: int, p: int, n_channels: int, max_bytes: int
) -> StackGrid:
    """The finest grid of a stack with which so many channels fit into `max_bytes`."""
    itemsize = image.dtype.itemsize if image.dtype is not None else 2
    number, level, z_step, step = stack_resolution(
        levels, max(n_channels, 1) * itemsize, max_bytes, LONGEST_EDGE
    )
    n_z, height, width = level.sizes
    zs = range(0, max(n_z, 1), z_step)
    return StackGrid(
        t,
        p,
        number,
        len(levels),
        zs,
        step,
        (len(zs), max(-(-height // step), 1), max(-(-width // step), 1)),
        (z_step * level.scale.z, step * level.scale.y, step * level.scale.x),
        level.corner(z_step, step),
        (max(image.n_z, 1), image.height, image.width),
    )


class StackSeen(NamedTuple):
    """What there is of a stack.

    By channel: `pixels` (Z, Y, X), which are still being filled, zero where nothing was read; the `states` of
    the planes; of them the `worst`, without pixels. `is_held_back`: planes have not been requested yet.
    """

    grid: StackGrid
    pixels: Mapping[int, np.ndarray]
    states: Mapping[int, tuple[PlaneState, ...]]
    worst: Mapping[int, Plane]
    is_held_back: bool = False

    @property
    def counts(self) -> dict[int, Counter[PlaneState]]:
        """How many planes of each channel are in each state."""
        return {c: Counter(states) for c, states in self.states.items()}

    @property
    def n_read(self) -> int:
        """How many planes are no longer LOADING, of all channels."""
        return sum(state is not PlaneState.LOADING for states in self.states.values() for state in states)

    @property
    def n(self) -> int:
        """How many planes there are to read, of all channels."""
        return sum(map(len, self.states.values()))


class _KeptStack:
    """The voxels of one stack. Any thread."""

    def __init__(self, grid: StackGrid) -> None:
        self.grid = grid
        self.lock = threading.Lock()  # guards the following; nothing is called while holding it
        self.pixels: dict[int, np.ndarray] = {}
        self.planes: dict[int, list[Plane]] = {}  # as last reported, without pixels
        self.added: set[PlaneKey] = set()
        self.slots: dict[tuple[int, int, int, int], set[PlaneKey]] = {}  # by the planes of level 0 in them
        self.writes: Counter[PlaneKey] = Counter()

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for each in self.pixels.values())

    def keep(self, channels: Sequence[int], max_bytes: int) -> None:
        """Make room for these channels; others stay as long as there is room."""
        n_z = self.grid.shape[0]
        plane = max((each.nbytes for each in self.pixels.values()), default=0)
        with self.lock:
            for c in [c for c in self.pixels if c not in channels]:
                new = sum(each not in self.pixels for each in channels)
                if self.nbytes + new * plane <= max_bytes:
                    break
                del self.pixels[c], self.planes[c]
                self.added = {key for key in self.added if key.c != c}
            for c in channels:
                self.planes.setdefault(c, [Plane(PlaneState.LOADING)] * n_z)

    def note_asked(
        self, keys: Sequence[PlaneKey], parts: Callable[[PlaneKey, int], Sequence[PlaneKey]]
    ) -> list[int]:
        """Before they are read: a plane that is written meanwhile may be read as it was."""
        found = [(key, parts(key, self.grid.level)) for key in keys]
        with self.lock:
            for key, of in found:
                for each in of:
                    self.slots.setdefault(each, set()).add(key)
            return [self.writes[key] for key in keys]

    def written(self, keys: Collection[tuple[int, int, int, int]] | None) -> None:
        with self.lock:
            if keys is None:
                stale = {key for each in self.slots.values() for key in each}
            else:
                stale = {key for each in keys for key in self.slots.get(each, ())}
            self.added -= stale
            self.writes.update(stale)

    def take(self, key: PlaneKey, plane: Plane, writes: int) -> None:
        """A plane as it was read after so many writes."""
        i, step = self.grid.zs.index(key.z), self.grid.step
        said = plane._replace(pixels=None)
        if plane.state in WITH_PIXELS and plane.pixels is not None:
            part = plane.pixels[::step, ::step]
            if part.shape != self.grid.shape[1:]:
                said = of_another_size(part.shape, self.grid)
            elif not self._copy(key, i, np.abs(part) if part.dtype.kind == "c" else part, writes):
                return
        with self.lock:
            if key.c not in self.planes:
                return
            if said.state in WITH_PIXELS and self.writes[key] == writes:
                self.added.add(key)
            if said.state is not PlaneState.LOADING or self.planes[key.c][i].state not in WITH_PIXELS:
                self.planes[key.c][i] = said  # what is read again stays until it is there

    def _copy(self, key: PlaneKey, i: int, part: np.ndarray, writes: int) -> bool:
        with self.lock:
            if self.writes[key] != writes:
                return False
            kept = self.pixels.get(key.c)
            if kept is None or (kept.dtype != part.dtype and not np.can_cast(part.dtype, kept.dtype)):
                kept = self.pixels[key.c] = np.zeros(self.grid.shape, part.dtype)
        part = part.astype(kept.dtype, copy=False)
        copy_into(kept[i], part)  # not under the lock: whoever notifies must not wait for it
        return True

    def seen(self, channels: Sequence[int], *, is_held_back: bool) -> StackSeen:
        with self.lock:
            planes = {c: tuple(self.planes[c]) for c in channels if c in self.planes}
            pixels = {c: self.pixels[c] for c in channels if c in self.pixels}
        worst: dict[int, Plane] = {}
        for c, each in planes.items():
            for plane in each:
                worst[c] = worse(worst.get(c), plane)
        states = {c: tuple(plane.state for plane in each) for c, each in planes.items()}
        return StackSeen(self.grid, pixels, states, worst, is_held_back)


class StackBeside:
    """The one stack that is shown beside the picture. Any thread, but one at a time in `read`.

    `requests` are those of a view of its own, `viewed` what is in it. `parts(key, level)` are the planes of
    level 0 that one of a level shows, `at_once()` how many planes are requested at a time. Keeps about
    `max_bytes`, as the grid was chosen; `on_size(nbytes)` is told how much that is.
    """

    def __init__(
        self,
        requests: ViewRequests,
        parts: Callable[[PlaneKey, int], Sequence[PlaneKey]],
        viewed: ViewedPlanes,
        at_once: Callable[[], int],
        max_bytes: int,
        on_size: Callable[[int], object],
    ) -> None:
        self._requests = requests
        self._parts = parts
        self._view, self._retries = viewed
        self._has_news = False
        self._at_once = at_once
        self.max_bytes = max_bytes
        self._on_size = on_size
        self._stack: _KeptStack | None = None

    def written(self, keys: Collection[tuple[int, int, int, int]] | None) -> None:
        """These planes of level 0 were written (None: perhaps all): what is kept of them is stale.

        Any thread; quick, and calls nothing: it may be called while a lock is held.
        """
        stack = self._stack
        if stack is not None:
            stack.written(keys)

    def note_news(self, notified: Iterable[tuple[int, int, int, int]]) -> None:
        """These planes were notified lately."""
        self._has_news |= self._view.take_changed(notified)

    def take_changed(self, now: float) -> bool:
        """See `Dataset.stack_has_changed`."""
        changed, self._has_news = self._has_news, False
        return self._retries.release_due(now) or changed

    def read(self, grid: StackGrid, channels: Sequence[int], wait: float) -> StackSeen:
        """See `Dataset.stack`."""
        stack = self._stack
        if stack is None or stack.grid != grid:
            stack = self._stack = _KeptStack(grid)
        stack.keep(channels, self.max_bytes)
        view = [PlaneKey(grid.t, grid.p, c, z) for z in grid.zs for c in channels]
        with stack.lock:
            todo = [key for key in view if key not in stack.added]
        deadline = time.monotonic() + wait
        at, at_once = 0, self._at_once()
        while at < len(todo) or at == 0:
            batch = todo[at : at + at_once]
            at += max(len(batch), 1)
            writes = stack.note_asked(batch, self._parts)
            left = max(deadline - time.monotonic(), 0)
            planes = self._requests.planes(batch, grid.level, left, view)
            for key, plane, n in zip(batch, planes, writes, strict=True):
                stack.take(key, plane, n)
            is_late = any(plane.state is PlaneState.LOADING for plane in planes)
            if is_late or time.monotonic() >= deadline:
                break
        self._on_size(stack.nbytes)
        return stack.seen(channels, is_held_back=at < len(todo))

    def leave(self) -> None:
        """Keep nothing."""
        self._stack = None
        self._requests.leave()
        self._on_size(0)
