"""What a plane is of which nothing is stored: the one rule, for every format and every way out.

Stores leave out chunks that consist entirely of the fill value (zarr-python 3 and tensorstore do so by
default), HDF5 allocates chunks as they are written, references list what exists. So nothing stored may mean
that the plane is its fill value all over, that it is still to be written, or that it was never acquired, and
no format tells which. Black where nothing was acquired is as wrong as a blank mask that is hidden. The rule:

1. While a host says that its run is on: the *fill value* if a writer has notified the plane and no other
   shares its chunks, else *pending*. A notification is a hint: of a chunk of several planes, the writer may
   still keep some in memory. Any other is pending for two seconds more (`plane_outcomes`).
2. The dataset says that it is complete: the *fill value*.
3. It says that it is not: *pending* if it changes while it is open, else *not acquired*.
4. It says nothing, and a plane is stored at the same position that comes later however the writer's loops
   were nested (none of its t, c and z is smaller): the writer has been past it, so it is the *fill value*.
5. It says nothing, and it changes while it is open: *pending*.
6. It says nothing, but others of the same time point and position are stored: the rest of a stack, the *fill
   value*.
7. Otherwise *not acquired*: time points and positions without a single plane are what an aborted run leaves.
   It is said as "empty or not acquired", as a run of blank planes leaves the same.

A plane that is the fill value all over in a chunk that it shares with others counts as one of which nothing
is stored: its writer may not have come to it (`shared_chunks`).

What a plane is that counts as not acquired depends on the rest of the dataset (`state_of_missing`): *pending*
while others of it, perhaps of other positions, are being written. What goes away is no sign of that.

What was seen to be there, and is not any more (its file is gone), is missing: *not acquired* is not said of
it, nor is it ever its fill value (`engine.planes_seen`), unless a host's run is on.

In a file that has room for all planes, nothing is stored of those of which the file system has kept no blocks
(`storage.file_holes`). Its writers leave out nothing that is blank, so that rule 6 is none there: the rest of
a stack was not acquired either.

A plane that counts as its fill value has pixels in every way out, and on screen a note that nothing is
stored. So has a plane of which some chunks are stored and others are not, and the note says how many are.
Pending and not acquired are states without pixels, and a `PlaneNotStoredError` for scripts. Without a fill
value (images, TIFF, ND2) no plane is ever one: there a plane of zeros is stored like any other.

A format asks `judge` about itself (2 to 7) and tells it in the error; `missing_plane` adds the host (1).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import chain, islice, product, zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import PlaneNotStoredError, PlaneNotWrittenError
from ..model import Plane, PlaneState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Plane3 = tuple[int, int, int]  # t, c, z

LOOKS = 256
"""How many planes of a position are looked for, where looking costs microseconds."""
LOOKS_REMOTE = 8
"""The same where each look is a request; they are sent together."""

EMPTY_OR_NOT_ACQUIRED = "empty or not acquired"
"""What is said of a missing plane where nobody can know which, in its reason and wherever it is shown."""
THE_REST_IS_FILL = "the rest is shown as the fill value"
"""What is said of a plane of which some chunks are stored, and others are not: empty, or never written."""
NO_LONGER_THERE = "was there, and is no longer"
"""What is said of a missing plane that was seen before."""

_KEPT = 64


class Found(Enum):
    """What a plane without stored pixels counts as, as far as its dataset tells."""

    FILL = "the fill value"
    EXPECTED = "expected"
    ABSENT = "not acquired"


class Verdict(NamedTuple):
    """What a missing plane counts as, and why, as part of a sentence."""

    found: Found
    why: str


class StoredPlanes:
    """Planes known to be stored, a few per position: what was read saves looking. Any thread."""

    def __init__(self) -> None:
        self._known: dict[int, deque[Plane3]] = {}

    def note(self, p: int, plane: Plane3) -> None:
        """The plane (t, c, z) at position `p` is stored."""
        known = self._known.setdefault(p, deque(maxlen=_KEPT))
        if plane not in known:
            known.append(plane)

    def of(self, p: int) -> tuple[Plane3, ...]:
        """What is known of position `p`."""
        return tuple(self._known.get(p, ()))


@dataclass(frozen=True)
class Surroundings:
    """What a format knows around a missing plane: `sizes` (t, c, z) and `stored` planes of its position.

    `complete` is the dataset's own claim. `first_stored` returns the first of some planes (t, c, z) of which
    anything is stored, or None; it is given at most `looks` of them. It and `is_being_written` may block.
    `leaves_out_blank`: whether writers do: else a plane without any later one is not the rest of a stack.
    """

    sizes: Plane3
    complete: bool | None
    first_stored: Callable[[Sequence[Plane3]], Plane3 | None]
    is_being_written: Callable[[], bool]
    stored: tuple[Plane3, ...] = ()
    looks: int = LOOKS
    leaves_out_blank: bool = True


def judge(plane: Plane3, around: Surroundings) -> Verdict:
    """What the missing `plane` (t, c, z) counts as (rules 2 to 7); may block on disk or network."""
    if around.complete:
        return Verdict(Found.FILL, "the dataset says that it is complete")
    if around.complete is False:
        if around.is_being_written():
            return Verdict(Found.EXPECTED, "the dataset is being written")
        return Verdict(Found.ABSENT, "the dataset says that it is not complete")
    if _any(around, lambda each: _is_later(each, plane), _later(plane, around.sizes)):
        return Verdict(Found.FILL, "later ones are stored")
    if around.is_being_written():
        return Verdict(Found.EXPECTED, "the dataset is being written")
    if not around.leaves_out_blank:
        return Verdict(Found.ABSENT, "nor for any later one")
    if not _any(around, lambda each: each[0] == plane[0], _same_stack(plane, around.sizes)):
        return Verdict(Found.ABSENT, "nor for others of this time point and position")
    return Verdict(Found.FILL, "others of the same stack are stored")


def _any(around: Surroundings, counts: Callable[[Plane3], bool], planes: Iterable[Plane3]) -> bool:
    if any(map(counts, around.stored)):
        return True
    wanted = list(islice(planes, around.looks))
    return bool(wanted) and around.first_stored(wanted) is not None


def _is_later(one: Plane3, other: Plane3) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def _later(plane: Plane3, sizes: Plane3) -> Iterator[Plane3]:
    """The planes that come later in any order of loops, the likeliest first."""
    t, c, z = plane
    n_t, n_c, n_z = sizes
    along_z = ((t, c, each) for each in _ends_first(range(z + 1, n_z)))
    along_c = ((t, each, z) for each in _ends_first(range(c + 1, n_c)))
    along_t = ((each, c, z) for each in _ends_first(range(t + 1, n_t)))
    yield from _in_turn(along_z, along_c, along_t)
    for each in product(range(t, n_t), range(c, n_c), range(z, n_z)):
        if sum(a != b for a, b in zip(each, plane, strict=True)) > 1:  # the lines were first
            yield each


def _same_stack(plane: Plane3, sizes: Plane3) -> Iterator[Plane3]:
    """The other planes of the time point, those nearby first."""
    t, c, z = plane
    _, n_c, n_z = sizes
    along_z = sorted((each for each in range(n_z) if each != z), key=lambda each: abs(each - z))
    along_c = [each for each in range(n_c) if each != c]
    yield from _in_turn(((t, c, each) for each in along_z), ((t, each, z) for each in along_c))
    yield from product((t,), along_c, along_z)


def _ends_first(span: range) -> Iterator[int]:
    return chain(span[:1], span[:0:-1][:1], span[1:-1])


def _in_turn(*lines: Iterable[Plane3]) -> Iterator[Plane3]:
    return (each for each in chain.from_iterable(zip_longest(*lines)) if each is not None)


# ---- errors and states ----------------------------------------------------------------------


def not_stored(what: str, shape: tuple[int, int], fill: np.generic, verdict: Verdict) -> PlaneNotStoredError:
    """The error for a missing plane; `what` is the beginning of its sentence: nothing is stored."""
    counts = {
        Found.FILL: f"{verdict.why}, so it is the fill value {_text_of(fill)}",
        Found.EXPECTED: f"not written yet, as {verdict.why}",
        Found.ABSENT: f"{EMPTY_OR_NOT_ACQUIRED} ({verdict.why})",
    }
    error = PlaneNotStoredError(f"{what}: {counts[verdict.found]}")
    error.plane_shape, error.fill_value = shape, fill
    error.is_fill_value = verdict.found is Found.FILL
    error.is_expected = verdict.found is Found.EXPECTED
    return error


def state_of_missing(found: Found, *, comes: bool | None) -> PlaneState:
    """FILLED, PENDING or ABSENT, for a plane that counts as `found`, of a run that no host announces.

    `comes`: whether more of the dataset is to come, as far as that is known, see `DiskFollower.comes`. The
    same in the picture and in what counts planes without reading them.
    """
    if found is Found.FILL:
        return PlaneState.FILLED
    is_awaited = found is Found.EXPECTED if comes is None else comes
    return PlaneState.PENDING if is_awaited else PlaneState.ABSENT


def missing_plane(
    error: PlaneNotStoredError, *, live: bool, notified: bool, comes: bool | None = None
) -> Plane:
    """What is to be shown of a missing plane: FILLED with its pixels, PENDING or ABSENT.

    `live`: a host says that its run is on; `notified`: a writer said that it has written this plane;
    `comes`: see `state_of_missing`. A file that exists but has not been filled is never the fill value
    (`PlaneNotWrittenError`).
    """
    shape, fill = error.plane_shape, error.fill_value
    counts = notified and not error.shares_chunks if live else error.is_fill_value
    if counts and shape is not None and fill is not None and not isinstance(error, PlaneNotWrittenError):
        pixels = np.full(shape, fill, fill.dtype)
        pixels.flags.writeable = False
        said = f"nothing stored, shown as the fill value {_text_of(fill)}"
        return Plane(PlaneState.FILLED, pixels, said)
    reason = str(error) or type(error).__name__
    if live and notified:
        reason = f"announced as written, but not stored: empty, or not written yet ({reason})"
    found = Found.EXPECTED if live or error.is_expected else Found.ABSENT
    state = state_of_missing(found, comes=None if live else comes)
    if state is PlaneState.PENDING and found is Found.ABSENT:
        reason = f"not written yet, as others are being written ({reason})"
    elif state is PlaneState.ABSENT and found is Found.EXPECTED:
        reason = f"{EMPTY_OR_NOT_ACQUIRED}: it was awaited, but no new planes come ({reason})"
    return Plane(state, reason=reason)


def _text_of(fill: np.generic) -> str:
    """A fill value as people write it: "0", "7", "nan", "-1.5"."""
    value = fill.item()
    return f"{value:g}" if isinstance(value, float) else str(value)
