"""Stacks seen as one picture: the highest, lowest or mean value, or the sum, along z.

A stack is never in memory as a whole: planes are added one by one. What has been added of the stacks in view
is kept, so that a plane that is written later costs one read; a plane that is written again makes what it was
added to stale.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import Plane, PlaneKey, PlaneState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

PROJECTIONS = ("max", "min", "mean", "sum")

_TEXT = re.compile(r"(max|min|mean|sum)(?::(\d{1,9})-(\d{1,9})?)?")
_IN_IT = (PlaneState.PRESENT, PlaneState.FILLED)
_SEVERITY = (
    PlaneState.PRESENT,
    PlaneState.FILLED,
    PlaneState.UNKNOWN,
    PlaneState.ABSENT,
    PlaneState.PENDING,
    PlaneState.LOADING,
    PlaneState.UNREADABLE,
)


class StackProjection(NamedTuple):
    """How a stack is projected, and which part: planes `first` to `last` of level 0, both included.

    `last` None is the last plane there is, also of a stack that grows.
    """

    how: str
    first: int = 0
    last: int | None = None

    @classmethod
    def of_text(cls, text: str) -> StackProjection:
        """The projection that `str` wrote: "max", "mean:2-11", "sum:2-". Raises `ValueError`."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"z must be an index, or one of {', '.join(PROJECTIONS)}, optionally with a range of planes"
                f" (max:2-11), not {text!r}"
            )
        how, first, last = found.groups()
        if last is None:
            return cls(how, int(first or 0))
        return cls(how, *sorted((int(first), int(last))))

    def planes_of(self, n_z: int) -> range:
        """Which of these planes a stack of `n_z` has."""
        last = n_z - 1 if self.last is None else min(self.last, n_z - 1)
        return range(min(self.first, last), last + 1)

    def __str__(self) -> str:
        if self.first == 0 and self.last is None:
            return self.how
        return f"{self.how}:{self.first}-{'' if self.last is None else self.last}"


class RunningProjection:
    """The projection of the planes that were added so far; a mean is float32, a sum as wide as numpy's.

    Raises `ValueError` for a way to project that does not exist.
    """

    def __init__(self, how: str) -> None:
        if how not in PROJECTIONS:
            raise ValueError(f"z must be an index, several, or one of {', '.join(PROJECTIONS)}, not {how!r}")
        self._how = how
        self._total: np.ndarray | None = None
        self.n = 0

    def add(self, plane: np.ndarray) -> None:
        """Add a plane (Y, X). Raises `ValueError` if it is of another size than those before it."""
        total = self._total
        if total is not None and total.shape != plane.shape:
            raise ValueError(f"a plane of {plane.shape} in a stack of {total.shape}")
        if self._how in ("max", "min"):
            wider = np.maximum if self._how == "max" else np.minimum
            self._total = plane if total is None else wider(total, plane)
        elif total is None:
            self._total = plane.astype(np.sum(plane[:0]).dtype)
        else:  # in place: the total of a sum is four times as large as a plane
            self._total = np.add(total, plane, out=np.asarray(total, np.result_type(total, plane)))
        self.n += 1

    @property
    def is_of_sums(self) -> bool:
        """Whether planes are summed, for a sum or a mean."""
        return self._how in ("sum", "mean")

    @property
    def nbytes(self) -> int:
        """What is kept, in bytes."""
        return 0 if self._total is None else self._total.nbytes

    def result(self) -> np.ndarray:
        """The projection (Y, X). Raises `ValueError` if nothing was added."""
        if self._total is None:
            raise ValueError("there is no plane in this stack")
        if self._how == "mean":
            return (self._total / self.n).astype(np.float32)
        return self._total.copy(order="K") if self._how == "sum" else self._total


def projected(planes: Iterable[np.ndarray], how: str) -> np.ndarray:
    """One plane of a stack, which never is in memory as a whole; see `RunningProjection`, also for errors."""
    running = RunningProjection(how)
    for plane in planes:
        running.add(plane)
    return running.result()


class ProjectedStack(NamedTuple):
    """What there is of the projection of a stack.

    `plane`: its pixels, with the state of the plane of the stack of which there is most to say; `counts`: how
    many planes are in each state, LOADING those that are still to be added. `is_held_back`: whether some have
    not been requested yet, so that it has to be asked for again.
    """

    plane: Plane
    counts: Counter[PlaneState]
    is_held_back: bool = False

    @property
    def n(self) -> int:
        """How many planes are in it."""
        return sum(self.counts[state] for state in _IN_IT)


def worse(a: Plane | None, b: Plane) -> Plane:
    """Of two planes the one whose state matters more to the user, without its pixels."""
    worst = b if a is None or _SEVERITY.index(b.state) > _SEVERITY.index(a.state) else a
    return worst._replace(pixels=None)


class _AddedPlanes:
    """The planes of one stack that have been added, or asked for in order to be added."""

    def __init__(self, how: str) -> None:
        self.running = RunningProjection(how)
        self.asked: set[PlaneKey] = set()  # of any level: those of which pixels may be in it
        self.added: dict[PlaneKey, PlaneState] = {}
        self.result: tuple[int, np.ndarray] | None = None  # after how many planes, and what it was
        self.adding = threading.Lock()  # held for as long as a plane takes to add: milliseconds

    @property
    def nbytes(self) -> int:
        """What is kept, in bytes; what is made of sums is kept beside them."""
        made = self.result[1].nbytes if self.result is not None and self.running.is_of_sums else 0
        return self.running.nbytes + made

    def pixels(self) -> np.ndarray | None:
        """The same array as long as nothing is added."""
        if not self.running.n:
            return None
        if self.result is None or self.result[0] != self.running.n:
            pixels = self.running.result()
            pixels.flags.writeable = False
            self.result = self.running.n, pixels
        return self.result[1]


class Projections:
    """Projections of the stacks in view, and of some that were in view before. Any thread.

    `request(keys, level, wait, view)` is `Dataset.planes`. `parts(key, level)` are the planes of level 0 that
    one of a level shows, `at_once()` how many planes are requested at a time. Keeps at most `max_bytes`, but
    always what was asked for last; `on_size(nbytes)` is told how much that is.
    """

    def __init__(
        self,
        request: Callable[[Sequence[PlaneKey], int, float | None, Sequence[PlaneKey]], list[Plane]],
        parts: Callable[[PlaneKey, int], Sequence[PlaneKey]],
        at_once: Callable[[], int],
        max_bytes: int,
        on_size: Callable[[int], object],
    ) -> None:
        self._request = request
        self._parts = parts
        self._at_once = at_once
        self._max_bytes = max_bytes
        self._on_size = on_size
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._stacks: OrderedDict[tuple[object, ...], _AddedPlanes] = OrderedDict()

    def written(self, keys: Collection[tuple[int, int, int, int]] | None) -> None:
        """These planes of level 0 were written (None: perhaps all): what has them in it is stale.

        Any thread; quick, and calls nothing: it may be called while a lock is held.
        """
        with self._lock:
            for name, stack in list(self._stacks.items()):
                if keys is None or not stack.asked.isdisjoint(keys):
                    del self._stacks[name]  # who is adding to it just now is told to draw again

    def of(
        self, stacks: Sequence[Sequence[PlaneKey]], how: str, level: int, wait: float
    ) -> list[ProjectedStack]:
        """Project each of these stacks; what cannot be read within `wait` s is added by a later call.

        All of their planes are in view from now on, see `Dataset.planes`: planes that arrive later count as
        a change. Raises `ValueError` for a way to project that does not exist.
        """
        view = [key for keys in stacks for key in keys]
        running = [self._stack_of(keys, how, level) for keys in stacks]
        others: list[dict[PlaneKey, Plane]] = [{} for _ in stacks]
        todo = [(i, key) for i, keys in enumerate(stacks) for key in keys if key not in running[i].added]
        deadline = time.monotonic() + wait
        at, at_once = 0, self._at_once()
        while at < len(todo) or at == 0:
            batch = todo[at : at + at_once]
            at += max(len(batch), 1)
            self._note_asked(batch, running, level)
            planes = self._request(
                [key for _, key in batch], level, max(deadline - time.monotonic(), 0), view
            )
            for (i, key), plane in zip(batch, planes, strict=True):
                self._take(running[i], key, plane, others[i])
            is_late = any(plane.state is PlaneState.LOADING for plane in planes)
            if is_late or time.monotonic() >= deadline:
                break
        self._bound(len(stacks))
        not_asked = {key for _, key in todo[at:]}
        return [
            _said(stack, keys, other, how, is_held_back=not not_asked.isdisjoint(keys))
            for stack, keys, other in zip(running, stacks, others, strict=True)
        ]

    def _stack_of(self, keys: Sequence[PlaneKey], how: str, level: int) -> _AddedPlanes:
        name = (how, level, keys[0][:3], keys[0].z) if keys else ()
        with self._lock:
            stack = self._stacks.get(name)
            if stack is None or not set(keys).issuperset(list(stack.added)):  # of a shorter range now
                stack = self._stacks[name] = _AddedPlanes(how)
            self._stacks.move_to_end(name)
        return stack

    def _note_asked(
        self, batch: Sequence[tuple[int, PlaneKey]], running: Sequence[_AddedPlanes], level: int
    ) -> None:
        """Before they are read: a plane that is written meanwhile may be read as it was."""
        parts = [(i, self._parts(key, level)) for i, key in batch]
        with self._lock:
            for i, keys in parts:
                running[i].asked.update(keys)

    def _take(self, stack: _AddedPlanes, key: PlaneKey, plane: Plane, others: dict[PlaneKey, Plane]) -> None:
        others[key] = plane
        if plane.state not in _IN_IT or plane.pixels is None:
            return
        with stack.adding:  # not the other lock: whoever notifies, or draws, must not wait for this
            if key in stack.added:  # by another view of the same stack, at the same time
                del others[key]
                return
            try:
                stack.running.add(plane.pixels)
            except ValueError as error:
                others[key] = Plane(PlaneState.UNREADABLE, reason=str(error))
            else:
                stack.added[key] = plane.state
                del others[key]

    def _bound(self, n_in_use: int) -> None:
        with self._lock:
            total = sum(stack.nbytes for stack in self._stacks.values())
            while total > self._max_bytes and len(self._stacks) > n_in_use:
                _, oldest = self._stacks.popitem(last=False)
                total -= oldest.nbytes
        self._on_size(total)


def _said(
    stack: _AddedPlanes,
    keys: Sequence[PlaneKey],
    others: dict[PlaneKey, Plane],
    how: str,
    *,
    is_held_back: bool,
) -> ProjectedStack:
    """The state of a stack: planes neither added nor in `others` are not known yet."""
    counts: Counter[PlaneState] = Counter()
    worst: Plane | None = None
    for key in keys:
        plane = Plane(stack.added[key]) if key in stack.added else others.get(key, Plane(PlaneState.LOADING))
        counts[plane.state] += 1
        worst = worse(worst, plane)
    worst = worst or Plane(PlaneState.ABSENT)
    if worst.state is PlaneState.LOADING and stack.added:
        worst = worst._replace(reason=f"{how} of {len(stack.added)} of {len(keys)} planes so far")
    with stack.adding:  # another view of the same stack may be adding to it
        pixels = stack.pixels()
    return ProjectedStack(worst._replace(pixels=pixels), counts, is_held_back)
