"""What the strips of channels say about contrast: of the frame on screen, or of all fields at once.

GUI thread only; nothing is read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...model import DatasetInfo
    from ...rendering.contrast import ChannelContrasts, Contrast
    from ..canvas.display import Canvas
    from ..canvas.view_frames import Frame
    from ..panels.channels import ChannelStrips

_CLOSE_TOGETHER = 8  # times as far as the values lie apart: zero would take nearly all of the slider


def slider_span(low: float, high: float) -> tuple[float, float]:
    """The range of a slider for these values: from zero, unless they lie close together far from it.

    Labels from 1234567 to 1234570, or a camera with a high offset, would be within one pixel of the slider.
    """
    if low <= 0 or low >= high or low < _CLOSE_TOGETHER * (high - low):
        return min(0.0, low), high
    return low - (high - low), high


class StripContrasts:
    """Has strips show the limits, histogram and range of what is on screen, and the canvas draw so.

    That is the frame on the canvas, or all fields at once. What channels are called and what was chosen for
    them is not known here.
    """

    def __init__(self, strips: ChannelStrips, contrasts: ChannelContrasts) -> None:
        self._strips = strips
        self._contrasts = contrasts
        self._canvas: Canvas | None = None
        self._info: DatasetInfo | None = None
        self._spans: dict[int, tuple[float, float]] = {}
        self._on_strip: dict[int, Contrast | None] = {}
        self._shows_fields = False  # all at once
        self._shown_as = ""  # how stacks are projected
        self._type_asked: tuple[object, ...] = ()
        self._shown_type = ""  # of pixels, where it is not the usual one

    def set_canvas(self, canvas: Canvas) -> None:
        """Speak of the channels of this canvas from now on."""
        self._canvas = canvas

    @property
    def shows_fields(self) -> bool:
        """Whether all fields are shown at once."""
        return self._shows_fields

    def take_info(self, info: DatasetInfo) -> None:
        """More is known of the dataset, or it is another one."""
        self._info = info

    def forget_spans(self) -> None:
        """The ranges of sliders begin again with what is seen from now on."""
        self._spans.clear()

    def forget_strips(self) -> None:
        """The strips were made anew: nothing is on them."""
        self._on_strip.clear()

    def add_others(self, contrasts: Mapping[int, Contrast]) -> None:
        """Planes are shown beside the one in view: they count for the contrast of the run."""
        for c, contrast in contrasts.items():
            if c < len(self._strips):
                self._contrasts.of(c).add_others(contrast)
                self.apply(c)

    def show_fields(self, shows: bool) -> None:
        """All fields are shown at once, or planes one by one again: strips speak of what is shown."""
        self._shows_fields = shows
        self._contrasts.show_fields(shows)
        self._say_contrasts()
        self._on_strip.clear()
        if shows:
            self.say_fields()
        elif self._canvas is not None:
            if self._canvas.frame is not None:
                self.show_type_of(self._canvas.frame.view.p)
            self.apply_all()
            if self._canvas.frame is not None:
                self.take_frame(self._canvas.frame)

    def take_fields(self, contrasts: Mapping[tuple[int, str], Sequence[Contrast]]) -> None:
        """What all fields suggest for channels and types by now; `say_fields` shows it on the strips."""
        for (c, other), of_channel in contrasts.items():
            if c < len(self._strips):
                self._contrasts.of(c, other).set_fields(of_channel)

    def show_type_of(self, p: int) -> None:
        """Speak of pixels of the type that position `p` has: limits of another type are of no use for it."""
        info = self._info
        other = info.other_dtype(info.image(p)) if info is not None and p < len(info.positions) else ""
        asked = info, other, self._shows_fields
        self._contrasts.show_type(other, self._elsewhere(other) if asked != self._type_asked else None)
        self._type_asked = asked
        if self._take_type() and self._shows_fields:
            self._on_strip.clear()
            self.say_fields()

    def say_fields(self) -> None:
        """Show on the strips what all fields suggest: 2 ms for each channel."""
        for c in range(len(self._strips)) if self._shows_fields else ():
            contrast = self._contrasts.of(c).of_fields
            if contrast is not None and self._on_strip.get(c) is not contrast:
                self._on_strip[c] = contrast
                self._show_on_strip(c, contrast)

    def take_frame(self, frame: Frame) -> None:
        """Show what the planes on the canvas suggest; of channels without pixels nothing."""
        projection = frame.view.projection
        how = "" if projection is None else projection.how
        if how != self._shown_as:
            self._shown_as = how
            self._spans.clear()
            self._say_contrasts()
        self._take_type()
        if self._shows_fields:
            return
        for c in range(len(self._strips)):
            contrast = frame.contrasts.get(c)
            if c in self._on_strip and self._on_strip[c] is contrast:
                continue  # unchanged plane: repainting its histogram would cost 2 ms
            self._on_strip[c] = contrast
            if contrast is None:
                self._strips.set_histogram(c, (), 0.0, 1.0)
                self._strips.set_saturated(c, 0.0)
                self._strips.set_not_finite(c, 0.0, 0.0)
                continue
            self._show_on_strip(c, contrast)
            self._strips.set_saturated(c, self._contrasts.of(c).saturated)
            self._strips.set_not_finite(c, contrast.nan, contrast.infinite)

    def apply(self, c: int) -> None:
        """The limits of a channel are others now: the canvas draws with them, its strip says them."""
        for each in self._contrasts.together(c):
            self._on_strip.pop(each, None)
            if self._canvas is not None:
                self._canvas.apply_contrast(each)
            self._say_limits(each)

    def apply_all(self) -> None:
        """The same of all channels."""
        for c in range(len(self._strips)):
            self.apply(c)

    def is_apart(self, c: int) -> bool:
        """Whether sums or pixels of another type than usual are shown: limits hold for these alone."""
        return self._contrasts.is_of_sums or bool(self._contrasts.type_of(c))

    def _take_type(self) -> bool:
        """Have the strips say of which type of pixels their limits are; whether it is another one now."""
        other, info = self._contrasts.other_type, self._info
        usual = info.usual_dtype if info is not None else None
        if info is not None and usual is not None and info.other_dtypes:
            shown, every = other or usual.name, (usual.name, *info.other_dtypes)
            self._strips.say_type(shown, [name for name in every if name != shown])
        else:
            self._strips.say_type("", ())
        if other == self._shown_type:
            return False
        self._shown_type = other
        self._spans.clear()
        self._say_contrasts()
        return True

    def _elsewhere(self, other: str) -> dict[int, str]:
        """The types of channels that no image of this type has: of these, all fields are shown alone."""
        info = self._info
        if info is None or not info.other_dtypes or not self._shows_fields:
            return {}
        of_channel: dict[int, list[str]] = {}
        for image in info.groups:
            for c in info.channels_of(image):
                of_channel.setdefault(c, []).append(info.other_dtype(image))
        return {c: types[0] for c, types in of_channel.items() if other not in types}

    def _show_on_strip(self, c: int, contrast: Contrast) -> None:
        if contrast.is_empty:
            self._strips.set_histogram(c, (), 0.0, 1.0)
            return
        low, high = contrast.range
        edges = self._contrasts.limits(c) or self._strips.window_of(c)
        self._span(c, min(low, *edges), max(high, *edges))
        self._strips.set_histogram(c, contrast.counts, *contrast.span)
        for each in self._contrasts.together(c):
            self._say_limits(each)

    def _say_contrasts(self) -> None:
        """Planes, or what is made from stacks of them, are drawn with limits of their own."""
        for c in range(len(self._strips)):
            self._strips.set_contrast_mode(c, self._contrasts.mode(c))
            limits = self._contrasts.limits(c)
            if limits is not None:
                self._strips.set_window(c, *limits)

    def _span(self, c: int, low: float, high: float) -> None:
        """The range of a channel's slider: all values seen so far, from zero where that is near."""
        seen_low, seen_high = self._spans.get(c, (low, high))
        self._spans[c] = min(low, seen_low), max(high, seen_high)
        low, high = slider_span(*self._spans[c])
        info, other = self._info, self._contrasts.type_of(c)
        groups = info.groups if info is not None else ()
        dtypes = [each.dtype for each in groups if info is not None and info.other_dtype(each) == other]
        whole = (
            all(dtype is not None and dtype.kind in "iub" for dtype in dtypes) and self._shown_as != "mean"
        )
        self._strips.set_range(c, *((int(low), int(high)) if whole else (low, high)))

    def _say_limits(self, c: int) -> None:
        seen, limits = self._contrasts.of(c), self._contrasts.limits(c)
        if seen.range is None and seen.of_fields is None:
            return  # nothing but NaN
        if limits is not None and self._contrasts.mode(c).is_automatic:
            self._strips.set_window(c, *limits)
