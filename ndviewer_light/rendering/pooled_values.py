"""What the small planes of many fields suggest together for the contrast of a channel: the same in whatever
order, and however many at a time, they come. Pure; no Qt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..engine.area_averages import shrunk, step_for
from .contrast import CLIPS, Contrast, contrast_of, contrast_of_values, sample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from ..engine.scene import FieldScene

_WHOLE_PX = 512
"""What all fields together suggest does not depend on the size of a window: it is judged as if they were seen
in one that is so long."""
_MOST_OF_A_CLOSER_LOOK = 1024
_MOST_OF_OTHERS = 65536
_MOST_PLACES = 200
_NO_COUNTS = np.zeros(0, np.int64)


def judged_edges(scene: FieldScene, least: int, most: int) -> list[int]:
    """By position, the longest edge of the small plane that says what a field adds to the contrast of all:
    a power of 2.
    """
    left, top, right, bottom = scene.bounds
    um_per_px = max(right - left, bottom - top, 1e-9) / _WHOLE_PX
    sides = (scene.edges[:, 2:] - scene.edges[:, :2]).max(axis=1) / um_per_px
    powers = np.ceil(np.log2(np.maximum(sides, 1.0)) - 1e-9)
    return [int(edge) for edge in np.clip(2.0**powers, least, most)]


def judged(planes: Mapping[int, np.ndarray], edge_of: Callable[[int], int]) -> dict[int, np.ndarray]:
    """Small planes at the size at which contrast is judged (those that are not larger, as they are).

    Those that are alike at once, one below the other, as numpy is slow for one alone.
    """
    found: dict[int, np.ndarray] = {}
    alike: dict[tuple[tuple[int, ...], np.dtype, int], list[int]] = {}
    for p, pixels in planes.items():
        step = step_for(max(pixels.shape), edge_of(p))
        if step > 1 and pixels.shape[0] % step == 0 and pixels.flags.c_contiguous:
            alike.setdefault((pixels.shape, pixels.dtype, step), []).append(p)
        else:
            found[p] = shrunk(pixels, step)
    for (_, _, step), which in alike.items():
        together = shrunk(np.concatenate([planes[p] for p in which]), step)
        found |= dict(zip(which, np.split(together, len(which)), strict=True))
    return found


def most_judged(edge: int) -> int:
    """How many pixels of such a plane are taken: a field counts by its area."""
    return edge * edge // 4


class _Counts(NamedTuple):
    """How often values occur: of 8 and 16 bits without sign counted (`counts[value]`), others one by one."""

    counts: np.ndarray
    others: tuple[np.ndarray, ...]

    def together(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The values (float64), and how often each occurs; None: each counts once."""
        values = np.flatnonzero(self.counts)
        n_each = self.counts[values]
        others = np.sort(np.concatenate(self.others)) if self.others else np.zeros(0)
        if not values.size:
            return others, None
        if not others.size:
            return values.astype(np.float64), n_each
        both, n_of_both = (
            np.concatenate([values, others]),
            np.concatenate([n_each, np.ones(len(others), int)]),
        )
        found, at = np.unique(both, return_inverse=True)
        return found, np.bincount(at, n_of_both).astype(np.int64)


class PooledValues:
    """The values of the planes of one channel, by any key: putting one again replaces it.

    Planes of one value alone count only as long as there are no others (closed shutter, not exposed).
    """

    def __init__(self) -> None:
        self._samples: dict[Hashable, np.ndarray] = {}
        self._ranges: dict[Hashable, tuple[float, float]] = {}
        self._n_flat = 0
        self._counts = {False: _NO_COUNTS, True: _NO_COUNTS}  # of flat planes apart
        self._is_unsigned = True

    def __len__(self) -> int:
        return len(self._samples)

    def put(self, planes: Mapping[Any, np.ndarray], most: Callable[[Any], int]) -> None:
        """Planes (Y, X) of real numbers, of which `most(key)` pixels are taken; no NaN, no infinities."""
        changes: dict[tuple[bool, int], list[np.ndarray]] = {}
        for key, pixels in planes.items():
            self._drop(key, changes)
            sample = sample_of(pixels, most(key))
            if not sample.size:
                continue
            sample = sample.copy()
            of_all = sample if pixels.dtype.kind == "f" else pixels
            low, high = self._ranges[key] = float(of_all.min()), float(of_all.max())
            self._samples[key] = sample
            self._n_flat += low == high
            self._is_unsigned = self._is_unsigned and pixels.dtype.kind in "ub"
            if _is_counted(sample):
                changes.setdefault((low == high, 1), []).append(sample)
        self._take(changes)

    def drop(self, keys: Iterable[Any]) -> None:
        """Forget these planes, of those that are known."""
        changes: dict[tuple[bool, int], list[np.ndarray]] = {}
        for key in keys:
            self._drop(key, changes)
        self._take(changes)

    def _take(self, changes: Mapping[tuple[bool, int], list[np.ndarray]]) -> None:
        for (is_flat, sign), samples in changes.items():
            self._counts[is_flat] = _added(self._counts[is_flat], np.bincount(np.concatenate(samples)), sign)

    def _drop(self, key: Hashable, changes: dict[tuple[bool, int], list[np.ndarray]]) -> None:
        old = self._samples.pop(key, None)
        if old is not None:
            low, high = self._ranges.pop(key)
            self._n_flat -= low == high
            if _is_counted(old):
                changes.setdefault((low == high, -1), []).append(old)

    def folded(self) -> FoldedValues | None:
        """What all of them suggest, without the planes; None without any."""
        if not self._samples:
            return None
        is_flat = self._n_flat == len(self._samples)
        used = {key for key, (low, high) in self._ranges.items() if is_flat or low < high}
        others = [
            sample.astype(np.float64)
            for key, sample in self._samples.items()
            if key in used and not _is_counted(sample)
        ]
        lows, highs = np.array([self._ranges[key] for key in used]).T
        return FoldedValues(
            len(self._samples),
            _Counts(self._counts[is_flat], _few(others)),
            (float(lows.min()), float(highs.max())),
            is_flat=is_flat,
            is_unsigned=self._is_unsigned,
        )


def _is_counted(sample: np.ndarray) -> bool:
    return sample.dtype.kind == "u" and sample.dtype.itemsize <= 2


def _added(counts: np.ndarray, more: np.ndarray, sign: int = 1) -> np.ndarray:
    if len(more) > len(counts):
        counts = np.concatenate([counts, np.zeros(len(more) - len(counts), np.int64)])
    else:
        counts = counts.copy()
    counts[: len(more)] += sign * more
    return counts


def _few(others: Iterable[np.ndarray]) -> tuple[np.ndarray, ...]:
    """So many values at most, evenly of all of them in order, whatever parts they came in."""
    parts = tuple(others)
    if not parts:
        return ()
    values = np.sort(np.concatenate(parts))
    if len(values) <= _MOST_OF_OTHERS:
        return (values,)
    at = np.linspace(0, len(values) - 1, _MOST_OF_OTHERS)
    return (values[np.rint(at).astype(np.int64)],)


class FoldedValues(NamedTuple):
    """The values of so many planes together."""

    n_planes: int
    values: _Counts
    range: tuple[float, float]
    is_flat: bool
    is_unsigned: bool


def pooled_contrast(folded: Iterable[FoldedValues | None]) -> Contrast | None:
    """What these suggest together; None of none. Flat ones count only if all are."""
    known = [each for each in folded if each is not None]
    used = [each for each in known if not each.is_flat] or known
    if not used:
        return None
    counts = _NO_COUNTS
    for each in used:
        counts = _added(counts, each.values.counts)
    others = tuple(part for each in used for part in each.values.others)
    lows, highs = zip(*(each.range for each in used), strict=True)
    values, n_each = _Counts(counts, others).together()
    return contrast_of_values(
        values, n_each, (min(lows), max(highs)), is_unsigned=all(each.is_unsigned for each in used)
    )


def widest(contrasts: Sequence[Contrast]) -> Contrast:
    """The first of these, with the lowest and highest limits of all: more of them never make it narrower."""
    ends = [each.windows for each in contrasts]
    windows = {
        clip: (min(each[clip][0] for each in ends), max(each[clip][1] for each in ends)) for clip in CLIPS
    }
    lows, highs = zip(*(each.range for each in contrasts), strict=True)
    return contrasts[0]._replace(windows=windows, range=(min(lows), max(highs)))


class FieldValues:
    """The values of the fields of a run, by channel (or part of one: anything hashable), place and position.

    A place is a time point, and a plane or projection. One at a time is shown, to which planes are put; of
    the others is kept what they suggest. One thread at a time.
    """

    def __init__(self) -> None:
        self._place: Hashable = None
        self._kind: Hashable = ""
        self._shown: dict[Hashable, PooledValues] = {}
        self._closer: dict[tuple[Hashable, Hashable], dict[Hashable, Contrast]] = {}
        self._others: dict[tuple[Hashable, Hashable, Hashable], FoldedValues] = {}  # by kind, place, channel

    def show_place(self, place: Hashable, kind: Hashable) -> None:
        """From now on planes of this place are put; places of another kind are judged apart."""
        if (place, kind) == (self._place, self._kind):
            return
        for c, values in self._shown.items():
            folded = values.folded()
            known = self._others.pop((self._kind, self._place, c), None)
            kept = known if folded is None or (known and known.n_planes > folded.n_planes) else folded
            if kept is not None:
                self._others[self._kind, self._place, c] = kept
        while len(self._others) > _MOST_PLACES:
            del self._others[next(iter(self._others))]
        self._shown.clear()
        self._place, self._kind = place, kind

    def put(self, c: Hashable, planes: Mapping[int, np.ndarray], edge_of: Callable[[int], int]) -> None:
        """Planes of fields by position, `judged` as small as `edge_of` (see `judged_edges`) has them."""
        small = judged(planes, edge_of)
        self._shown.setdefault(c, PooledValues()).put(small, lambda p: most_judged(edge_of(p)))

    def drop(self, c: Hashable, positions: Iterable[int]) -> None:
        """Fields are not of this channel (say, of pixels of this type) after all."""
        if c in self._shown:
            self._shown[c].drop(positions)
            for at in [(self._kind, c)] if (self._kind, c) in self._closer else ():
                for p in positions:
                    self._closer[at].pop((self._place, p), None)

    def put_closer(self, c: Hashable, planes: Mapping[int, np.ndarray]) -> None:
        """Planes that were looked at more closely than all fields are seen: they can only widen limits."""
        known = self._closer.setdefault((self._kind, c), {})
        for p, pixels in planes.items():
            found = contrast_of(sample_of(pixels, _MOST_OF_A_CLOSER_LOOK))
            if found.is_empty:
                continue
            known[self._place, p] = found._replace(counts=_NO_COUNTS)  # there may be thousands of them

    def contrasts(self, c: Hashable) -> tuple[Contrast, ...]:
        """What the fields of all places of the kind that is shown suggest, and the closer looks at some."""
        values = self._shown.get(c)
        shown = values.folded() if values is not None else None
        at = self._kind, self._place, c
        known = self._others.get(at)
        if known is not None and (shown is None or known.n_planes > shown.n_planes):
            shown = known
        kind = self._kind
        others = [each for key, each in self._others.items() if key[0] == kind and key[2] == c and key != at]
        pooled = pooled_contrast([shown, *others])
        if pooled is None:
            return ()
        closer = [each for each in self._closer.get((kind, c), {}).values() if not each.is_flat]
        return (pooled, widest(closer)) if closer else (pooled,)

    def forget_all(self) -> None:
        """The positions are others."""
        self._shown.clear()
        self._closer.clear()
        self._others.clear()

    def forget_others(self) -> None:
        """Begin anew with the place that is shown."""
        self._others.clear()
        self._closer.clear()
