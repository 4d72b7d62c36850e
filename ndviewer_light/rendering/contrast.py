"""The contrast of channels: what planes suggest, what a run suggests, and what the user has chosen.

Pure; no Qt. Limits are pixel values (low, high): low is drawn black, high in the full colour.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..model import colours_together, detector_top, saturated_fraction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..model import Channel

Limits = tuple[float, float]

CLIPS = (0.0, 0.1, 0.35, 1.0)
"""Percentages of the pixels that automatic limits may leave out at each end."""
DEFAULT_CLIP = 0.1
"""A few hot or dead pixels do not matter."""

_SAMPLES = 65536
_BINS = 96
_LARGEST = float(np.finfo(np.float64).max) / 4
"""Values beyond are taken for this one: limits and the range between them are numbers."""


class ContrastMode(Enum):
    """How the limits of a channel are chosen; the value is what the button says."""

    RUN = "Run"
    """From all planes seen of the run, so that brightness can be compared between them."""
    PLANE = "Plane"
    """From the plane in view alone."""
    FULL = "Full"
    """The whole range of the detector; of signed or fractional values, that of what has been seen."""
    MANUAL = "Manual"

    @property
    def is_automatic(self) -> bool:
        """Whether limits follow what is seen."""
        return self is not ContrastMode.MANUAL


class Contrast(NamedTuple):
    """What the pixels of one plane suggest.

    `windows`: limits by the percentage left out at each end (`CLIPS`). `range`: lowest and highest value.
    `counts`: a histogram of a sample, over `span`. `n_top`: how many of the `n` pixels have the highest
    value, if that may be the highest of a detector; 0 of a mask. `is_unsigned`: whether the values are those
    of a detector, from 0 on. `nan`, `infinite`: the share of pixels that are NaN or infinite, 0 to 1. The
    others decide about the rest; `is_empty`: there are none.
    """

    windows: Mapping[float, Limits]
    range: Limits
    counts: np.ndarray
    span: Limits
    n_top: int = 0
    n: int = 0
    is_unsigned: bool = False
    nan: float = 0.0
    infinite: float = 0.0
    is_empty: bool = False

    @property
    def window(self) -> Limits:
        """The limits that leave out `DEFAULT_CLIP` percent at each end."""
        return self.windows[DEFAULT_CLIP]

    @property
    def is_flat(self) -> bool:
        """Whether all pixels are equal, so that nothing can be concluded from them."""
        return self.range[0] == self.range[1]


def contrast_of(pixels: np.ndarray) -> Contrast:
    """Return what `pixels` (any shape, real numbers) suggest; NaN and infinities are ignored."""
    taken = _taken(pixels, _SAMPLES)
    sample = _finite(taken)
    nan, infinite = _shares(taken) if sample.size < taken.size else (0.0, 0.0)
    if not sample.size:
        nothing, counts = (0.0, 1.0), np.zeros(_BINS, int)
        windows = dict.fromkeys(CLIPS, nothing)
        return Contrast(windows, nothing, counts, nothing, nan=nan, infinite=infinite, is_empty=True)
    is_unsigned = pixels.dtype.kind in "ub"
    values, n_each = _counted(sample)
    least, most = float(values.min()), float(values.max())
    n_top = 0
    if is_unsigned:
        top = pixels.max()  # of all: saturation is rare
        most = float(top)
        if most == detector_top(most):
            n_top = int(np.count_nonzero(pixels == top))
            if not least and n_top == np.count_nonzero(pixels):
                n_top = 0  # 0 and one other value: a mask
    found = contrast_of_values(values, n_each, (least, most), is_unsigned=is_unsigned)
    return found._replace(n_top=n_top, n=pixels.size, nan=nan, infinite=infinite)


def contrast_of_values(
    values: np.ndarray, n_each: np.ndarray | None, whole: Limits, *, is_unsigned: bool
) -> Contrast:
    """What values (float64) suggest, `n_each` of each of them, ascending then; None: each counts once.

    `whole`: the lowest and highest value of what they are a sample of.
    """
    least, most = (min(max(each, -_LARGEST), _LARGEST) for each in whole)
    if (least, most) != whole:
        values = np.clip(values, -_LARGEST, _LARGEST)
    if least == most:
        span = _flat_window(most, is_unsigned)
        windows = dict.fromkeys(CLIPS, span)
    else:
        span = least, _top_of_bins(least, most)
        windows = _windows(values, n_each)
    counts, _ = np.histogram(values, _BINS, span, weights=n_each)
    return Contrast(windows, (least, most), counts, span, is_unsigned=is_unsigned)


def sample_of(pixels: np.ndarray, most: int) -> np.ndarray:
    """About so many pixels at most (1-D), evenly of all of them; without NaN and infinities.

    Of complex ones their magnitude, which is what is shown.
    """
    return _finite(_taken(pixels, most))


def _taken(pixels: np.ndarray, most: int) -> np.ndarray:
    step = max(1, math.ceil((pixels.size / most) ** (1 / max(pixels.ndim, 1))))
    taken = pixels[(slice(None, None, step),) * pixels.ndim].ravel(order="K")
    return np.abs(taken) if taken.dtype.kind == "c" else taken


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _shares(values: np.ndarray) -> tuple[float, float]:
    """The shares of values that are NaN, and that are infinite."""
    return float(np.isnan(values).mean()), float(np.isinf(values).mean())


def _counted(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The values of a sample as float64, and how often each occurs; None: each counts once.

    Of 8 or 16 bits without sign the values that occur, ascending: a fifth of the time for what follows.
    """
    if sample.dtype.kind != "u" or sample.dtype.itemsize > 2:
        return sample.astype(np.float64), None
    n_each = np.bincount(sample)
    values = np.flatnonzero(n_each)
    return values.astype(np.float64), n_each[values]


def _percentiles(values: np.ndarray, n_each: np.ndarray | None, percentiles: Sequence[float]) -> np.ndarray:
    """`np.percentile` of what `_counted` returns: between two values, in proportion."""
    if n_each is None:
        found: np.ndarray = np.percentile(values, percentiles)
        return found
    upto = np.cumsum(n_each)
    at = (upto[-1] - 1) * (np.asarray(percentiles) / 100)
    below = np.floor(at).astype(np.int64)
    low = values[np.searchsorted(upto, below, "right")]
    high = values[np.searchsorted(upto, np.minimum(below + 1, upto[-1] - 1), "right")]
    share, step = at - below, high - low
    between: np.ndarray = np.where(share < 0.5, low + step * share, high - step * (1 - share))
    return between


def _windows(sample: np.ndarray, n_each: np.ndarray | None) -> dict[float, Limits]:
    percentiles = [*CLIPS, *(100 - clip for clip in CLIPS)]
    values = _percentiles(sample, n_each, percentiles).tolist()
    lows, highs = values[: len(CLIPS)], values[len(CLIPS) :]
    whole = float(sample.min()), float(sample.max())
    return {
        clip: (low, high) if high > low else _around(low, whole)
        for clip, low, high in zip(CLIPS, lows, highs, strict=True)
    }


def _around(value: float, whole: Limits) -> Limits:
    """Limits where nearly all pixels have one value: the few others are what there is to see."""
    return whole if whole[1] > whole[0] else _flat_window(value, is_unsigned=False)


def _flat_window(value: float, is_unsigned: bool) -> Limits:
    """Limits with which a plane of one value is black if that is 0, white if it is saturated, else grey."""
    if value == 0:
        return 0.0, 1.0
    if is_unsigned and value == detector_top(value):
        return 0.0, value
    return (0.0, 2 * value) if value > 0 else (2 * value, 0.0)


def _top_of_bins(least: float, most: float) -> float:
    """Where the last bin ends: far enough for `_BINS` that floats can tell apart."""
    return max(most, least + _BINS * float(np.spacing(max(abs(least), abs(most)))))


class SeenContrast:
    """What the planes of one channel that have been seen suggest together.

    The limits of a run only widen, so that the brightness does not fluctuate; a flat plane (closed shutter,
    not exposed) counts only as long as there is no other, one without numbers (all NaN) never.
    """

    def __init__(self) -> None:
        self._of_run: dict[float, Limits] = {}
        self._of_flat: dict[float, Limits] = {}
        self._of_fields: tuple[Contrast, ...] = ()
        self._is_counted = False  # whether the last one is among them
        self.last: Contrast | None = None
        self.range: Limits | None = None

    def add(self, contrast: Contrast, *, is_whole: bool = True) -> None:
        """A plane is shown; not `is_whole`: a part of it, which says nothing of the run."""
        if contrast is self.last and (self._is_counted or not is_whole):
            return
        self.last, self._is_counted = contrast, is_whole
        if contrast.is_empty:
            return
        if not is_whole:
            self.range = self.range or contrast.range
            return
        self.range = _union(self.range, contrast.range)
        known = self._of_flat if contrast.is_flat else self._of_run
        for clip, window in contrast.windows.items():
            known[clip] = _union(known.get(clip), window)

    def add_others(self, contrast: Contrast) -> None:
        """Planes are shown beside the one in view, which stays the last."""
        last = self.last
        self.add(contrast)
        self.last = last or contrast

    def set_fields(self, contrasts: Sequence[Contrast]) -> None:
        """What all fields that are seen at once suggest, instead of what they did before."""
        self._of_fields = tuple(contrasts)

    @property
    def of_fields(self) -> Contrast | None:
        """What all fields suggest; None before any was seen."""
        return self._of_fields[0] if self._of_fields else None

    def start_with_last(self) -> None:
        """Forget all planes but the one in view."""
        last, self.last, self.range = self.last, None, None
        self._of_fields = ()
        self._of_run.clear()
        self._of_flat.clear()
        if last is not None:
            self.add(last)

    def limits(self, mode: ContrastMode, clip: float, *, is_of_fields: bool = False) -> Limits | None:
        """The limits in an automatic mode; None before any plane was seen.

        `is_of_fields`: those of the picture of all fields, which are a matter of these alone: which planes
        were seen one by one beside them differs from one look at a run to the next.
        """
        fields = self._of_fields
        last = self.last or (fields[0] if fields else None)
        if last is None:
            return None
        if mode is ContrastMode.PLANE:
            return last.windows[clip]
        seen = None if is_of_fields and fields else self.range
        if mode is ContrastMode.FULL:
            whole = _union_of([seen, *(each.range for each in fields)]) or last.range
            return (0.0, detector_top(whole[1])) if last.is_unsigned else _wide(whole)
        counting = [each for each in fields if not each.is_flat]
        if is_of_fields and fields:
            return _union_of([each.windows[clip] for each in counting or fields]) or last.windows[clip]
        known = [self._of_run.get(clip), *(each.windows[clip] for each in counting)]
        if not any(known):
            known = [self._of_flat.get(clip), *(each.windows[clip] for each in fields)]
        return _union_of(known) or last.windows[clip]

    @property
    def saturated(self) -> float:
        """The fraction of the pixels of the last plane at the highest value of the detector."""
        last = self.last
        if last is None or self.range is None or not last.is_unsigned or not last.n:
            return 0.0
        return saturated_fraction(last.n_top, last.n, last.range[1], self.range[1])

    @property
    def saturated_at(self) -> float | None:
        """The value of the saturated pixels of the last plane; None if there are none."""
        return self.last.range[1] if self.last is not None and self.saturated > 0 else None


def _union(a: Limits | None, b: Limits) -> Limits:
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def _union_of(several: Sequence[Limits | None]) -> Limits | None:
    known = [each for each in several if each is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def limits_together(
    seen: Iterable[SeenContrast], mode: ContrastMode, clip: float, *, is_of_fields: bool = False
) -> Limits | None:
    """The limits that channels have in common in an automatic mode; None before any plane was seen."""
    return _union_of([each.limits(mode, clip, is_of_fields=is_of_fields) for each in seen])


def _wide(limits: Limits) -> Limits:
    return limits if limits[1] > limits[0] else _flat_window(limits[0], is_unsigned=False)


class FixedLimits(NamedTuple):
    """Limits that do not follow pixels, by channel: `of_all`, whatever the type of pixels, else `of_type`.

    Types as in `DatasetInfo.other_dtype`.
    """

    of_all: Mapping[int, Limits] = {}
    of_type: Mapping[tuple[int, str], Limits] = {}

    def of(self, c: int, other: str) -> Limits | None:
        """Those of a channel for pixels of this type; None where there are none."""
        return self.of_all.get(c) or self.of_type.get((c, other))

    def has(self, channels: Iterable[int], others: Iterable[str]) -> bool:
        """Whether there are any of each of these channels, for each type."""
        types = ("", *others)
        return all(self.of(c, other) is not None for c in channels for other in types)


NO_LIMITS = FixedLimits()


class ChannelContrasts:
    """The contrast of the channels of one dataset, by their index. One thread (that of the GUI).

    What is seen of planes and of each kind of projection is kept apart, and of pixels of each type (see
    `DatasetInfo.other_dtype`); so are limits chosen for sums or for another type, the values of which are of
    another size.
    """

    def __init__(self) -> None:
        self._clip = DEFAULT_CLIP
        self._projection = self._other = ""
        self._other_of: dict[int, str] = {}
        self._is_of_fields = False
        self.n_restarts = 0
        """How many times run-wide limits began anew with what is in view."""
        self._together: dict[int, tuple[int, ...]] = {}
        self._seen: dict[tuple[str, int, str], SeenContrast] = {}
        self._modes: dict[int, ContrastMode] = {}
        self._manual: dict[tuple[bool, int, str], Limits] = {}

    def show_projection(self, how: str) -> None:
        """From now on, speak of the projections of stacks that are made so; "": of planes."""
        self._projection = how

    def show_type(self, other: str, of_channels: Mapping[int, str] | None = None) -> None:
        """From now on, speak of pixels of this type; "": of those of most images.

        `of_channels`: of another type, of channels that no image of that type has; None: as before.
        """
        self._other = other
        if of_channels is not None:
            self._other_of = dict(of_channels)

    def type_of(self, c: int) -> str:
        """The type of pixels that it speaks of where channel `c` is concerned."""
        return self._other_of.get(c, self._other)

    @property
    def other_type(self) -> str:
        """The type of the pixels that it speaks of, if that is not the one of most images; else ""."""
        return self._other

    def show_fields(self, shows: bool) -> None:
        """From now on, speak of the picture of all fields at once, or of planes one by one."""
        self._is_of_fields = shows

    @property
    def is_of_sums(self) -> bool:
        """Whether it speaks of sums of planes."""
        return self._projection == "sum"

    @property
    def clip(self) -> float:
        """The percentage of pixels that automatic limits leave out at each end, one of `CLIPS`."""
        return self._clip

    @clip.setter
    def clip(self, clip: float) -> None:
        self._clip = min(CLIPS, key=lambda each: abs(each - clip))

    def start_over(self) -> None:
        """Another dataset: nothing has been seen, nothing chosen."""
        self._seen.clear()
        self._modes.clear()
        self._manual.clear()

    def take_channels(self, channels: Sequence[Channel]) -> None:
        """Which channels there are by now: the colours of one picture have automatic limits in common."""
        self._together = colours_together(channels)

    def together(self, c: int) -> tuple[int, ...]:
        """The channels whose automatic limits follow those of channel `c`, with itself."""
        return self._together.get(c, (c,))

    def start_with_last(self) -> None:
        """Forget all that was seen but what is in view."""
        self.n_restarts += 1
        for (projection, c, other), seen in self._seen.items():
            if (projection, other) == (self._projection, self.type_of(c)):
                seen.start_with_last()

    def forget_seen(self) -> None:
        """The pixels have been replaced; choices stay."""
        self._seen.clear()

    def of(self, c: int, other: str | None = None) -> SeenContrast:
        """What has been seen of channel `c`; `other`: of pixels of this type, None: as it speaks of."""
        at = self._projection, c, self.type_of(c) if other is None else other
        return self._seen.setdefault(at, SeenContrast())

    def mode(self, c: int, other: str | None = None) -> ContrastMode:
        """How the limits of channel `c` are chosen; run-wide where they were chosen for others alone.

        That is: for planes but not for sums, or for pixels of another type.
        """
        mode = self._modes.get(c, ContrastMode.RUN)
        if mode is not ContrastMode.MANUAL or self._manual_at(c, other) in self._manual:
            return mode
        return ContrastMode.RUN if any(each[1] == c for each in self._manual) else mode

    def _manual_at(self, c: int, other: str | None = None) -> tuple[bool, int, str]:
        return self.is_of_sums, c, self.type_of(c) if other is None else other

    def set_mode(self, c: int, mode: ContrastMode) -> None:
        """Choose the limits of channel `c` so from now on; MANUAL keeps what they are."""
        if mode is ContrastMode.MANUAL and (limits := self.limits(c)) is not None:
            self._manual[self._manual_at(c)] = limits
        self._modes[c] = mode

    def set_limits(self, c: int, low: float, high: float) -> None:
        """Fix the limits of channel `c`."""
        self._modes[c] = ContrastMode.MANUAL
        self._manual[self._manual_at(c)] = low, high

    def limits(self, c: int, other: str | None = None) -> Limits | None:
        """The limits of channel `c`; None before anything of it was seen or chosen. `other` as in `of`.

        Automatic ones are those of all colours of one picture that are chosen so: hues stay what they are.
        """
        mode = self.mode(c, other)
        if mode is ContrastMode.MANUAL:
            return self._manual.get(self._manual_at(c, other))
        same = [each for each in self.together(c) if self.mode(each, other) is mode]
        seen = [self.of(each, other) for each in same]
        return limits_together(seen, mode, self._clip, is_of_fields=self._is_of_fields)
