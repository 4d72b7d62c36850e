"""The channels of the dataset on screen: their strips, their contrast, and what the user chooses for them.

GUI thread only; nothing is read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from ...model import channel_name
from ...rendering.colormaps import chosen_colormap, colormap_of
from ...rendering.contrast import ChannelContrasts, ContrastMode
from ...views.channel_choices import ChannelChoice, ChannelChoices
from ..canvas.canvas_view import MAX_CHANNELS_SHOWN
from ..panels.channels import ChannelStrips
from ..slots import safe_slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...model import Channel, DatasetInfo, ImageInfo
    from ...rendering.contrast import Contrast
    from ...rendering.scene_picture import ChannelLook
    from ...views.channel_choices import Name
    from ..canvas.display import Canvas
    from ..canvas.view_frames import Frame

FEW_CHANNELS = 8
"""Of more than these, only the first `FIRST_ON` are on at first: together they would be white."""
FIRST_ON = 4
_GRAY = "#FFFFFF"


class ChannelControls(QObject):
    """Connects the strips of channels with the canvas, and keeps choices by the names of channels."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.strips = ChannelStrips()
        self.contrasts = ChannelContrasts()
        self.choices = ChannelChoices()
        self._canvas: Canvas | None = None
        self._info: DatasetInfo | None = None
        self._spans: dict[int, tuple[float, float]] = {}
        self._on_strip: dict[int, Contrast | None] = {}
        self._shows_fields = False  # all at once
        self._in_view: ImageInfo | None = None
        self._shown_as = ""  # how stacks are projected
        self._type_asked: tuple[object, ...] = ()
        self._shown_type = ""  # of pixels, where it is not the usual one
        self._in_gray: int | None = None  # the channel that is shown alone, if that is shown in gray
        self.strips.visible_changed.connect(self._on_visible_changed)
        self.strips.shown_for_now.connect(self._on_shown_for_now)
        self.strips.contrast_mode_chosen.connect(self._on_mode_chosen)
        self.strips.window_changed.connect(self._on_window_changed)
        self.strips.gamma_changed.connect(self._on_gamma_changed)
        self.strips.color_changed.connect(self._on_color_changed)
        self.strips.contrast.clip_chosen.connect(self._on_clip_chosen)
        self.strips.contrast.restart_chosen.connect(self._on_restart_chosen)
        self.strips.contrast.reset_chosen.connect(self._on_reset_chosen)
        self.strips.contrast.remember_chosen.connect(self._on_remember_chosen)
        self.strips.contrast.gray_chosen.connect(self._update_gray)

    def set_canvas(self, canvas: Canvas) -> None:
        """Control the channels of this canvas from now on."""
        self._canvas = canvas

    # ---- what is shown ---------------------------------------------------------------------

    def show_dataset(self, info: DatasetInfo) -> None:
        """Begin with another dataset: what was chosen for channels of these names holds for it."""
        self._info, self._in_view = info, None
        self.choices.start_over()
        self.contrasts.start_over()
        self._spans.clear()
        self._make_strips()

    def take_info(self, info: DatasetInfo) -> None:
        """More is known of the dataset: strips for its channels, as they were if they have the same name."""
        assert self._info is not None
        if info.generation != self._info.generation:
            self.contrasts.forget_seen()
            self._spans.clear()
        visible = {self._name(c): self.strips.is_channel_visible(c) for c in range(len(self.strips))}
        others = {name: on for c, (name, on) in enumerate(visible.items()) if on != self._is_on_at_first(c)}
        self._info = info
        self._make_strips()
        for c in range(len(self.strips)):
            if self._name(c) in others:
                self.strips.set_visible_channel(c, others[self._name(c)])

    def restore(self, choices: Mapping[Name, ChannelChoice], *, is_lent: bool = False) -> None:
        """Show channels as they were left; before the canvas is built.

        `is_lent`: by somebody else, so that the next dataset does not begin with it.
        """
        for name, choice in choices.items():
            (self.choices.lend if is_lent else self.choices.add)(name, choice)
        if choices:
            self._begin_again()

    def take_remembered(self, document: object) -> None:
        """Begin with choices that were kept as JSON; before the canvas is built. Raises `MetadataError`."""
        if self.choices.take_json(document):
            self.choices.start_over()
            self._begin_again()

    def _begin_again(self) -> None:
        if self._info is not None:
            shown = self.strips.shown()
            self._make_strips()
            self.strips.show_only(shown)

    def chosen(self) -> dict[Name, ChannelChoice]:
        """What was chosen for the channels of this dataset."""
        names = [self._name(c) for c in range(len(self.strips))]
        return {name: self.choices.of(name) for name in names if self.choices.of(name) != ChannelChoice()}

    def looks(self) -> dict[Name, ChannelChoice]:
        """How the channels look now, whoever chose it; limits are those of the usual type of pixels."""
        found = {}
        for c in range(len(self.strips)):
            limits = self.contrasts.limits(c, "")
            found[self._name(c)] = ChannelChoice(
                visible=self.strips.is_channel_visible(c),
                mode=self.contrasts.mode(c, "") if limits is None else ContrastMode.MANUAL,
                limits=limits,
                dtype=self._dtype(),
                gamma=self.strips.gamma_of(c),
                color=self._shown_color(c) or None,
            )
        return found

    def add_others(self, contrasts: Mapping[int, Contrast]) -> None:
        """Planes are shown beside the one in view: they count for the contrast of the run."""
        for c, contrast in contrasts.items():
            if c < len(self.strips):
                self.contrasts.of(c).add_others(contrast)
                self._apply_limits(c)

    def show_fields(self, shows: bool) -> None:
        """All fields are shown at once, or planes one by one again: strips speak of what is shown."""
        if shows == self._shows_fields:
            return
        self._shows_fields = shows
        self.show_only_those_of(self._in_view)
        self.contrasts.show_fields(shows)
        self._say_contrasts()
        self._on_strip.clear()
        if shows:
            self.say_fields()
        elif self._canvas is not None:
            if self._canvas.frame is not None:
                self.show_type_of(self._canvas.frame.view.p)
            self._apply_all_limits()
            if self._canvas.frame is not None:
                self.take_frame(self._canvas.frame)

    def take_fields(self, contrasts: Mapping[tuple[int, str], Sequence[Contrast]]) -> None:
        """What all fields suggest for channels and types by now; `say_fields` shows it on the strips."""
        for (c, other), of_channel in contrasts.items():
            if c < len(self.strips):
                self.contrasts.of(c, other).set_fields(of_channel)

    def show_type_of(self, p: int) -> None:
        """Speak of pixels of the type that position `p` has: limits of another type are of no use for it."""
        info = self._info
        other = info.other_dtype(info.image(p)) if info is not None and p < len(info.positions) else ""
        asked = info, other, self._shows_fields
        self.contrasts.show_type(other, self._elsewhere(other) if asked != self._type_asked else None)
        self._type_asked = asked
        if self._take_type() and self._shows_fields:
            self._on_strip.clear()
            self.say_fields()

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

    def _take_type(self) -> bool:
        """Have the strips say of which type of pixels their limits are; whether it is another one now."""
        other, info = self.contrasts.other_type, self._info
        usual = info.usual_dtype if info is not None else None
        if info is not None and usual is not None and info.other_dtypes:
            shown, every = other or usual.name, (usual.name, *info.other_dtypes)
            self.strips.say_type(shown, [name for name in every if name != shown])
        else:
            self.strips.say_type("", ())
        if other == self._shown_type:
            return False
        self._shown_type = other
        self._spans.clear()
        self._say_contrasts()
        return True

    def say_fields(self) -> None:
        """Show on the strips what all fields suggest: 2 ms for each channel."""
        for c in range(len(self.strips)) if self._shows_fields else ():
            contrast = self.contrasts.of(c).of_fields
            if contrast is not None and self._on_strip.get(c) is not contrast:
                self._on_strip[c] = contrast
                self._show_on_strip(c, contrast)

    def _show_on_strip(self, c: int, contrast: Contrast) -> None:
        low, high = contrast.range
        edges = self.contrasts.limits(c) or self.strips.window_of(c)
        self._span(c, min(0.0, low, *edges), max(high, *edges))
        self.strips.set_histogram(c, contrast.counts, *contrast.span)
        self._say_limits(c)

    def drawn_looks(self) -> dict[int, ChannelLook]:
        """How the channels that are on are drawn: limits, colours, gamma."""
        from ...rendering.scene_picture import ChannelLook  # not needed before anything is shown

        looks = {}
        channels = self._info.channels if self._info is not None else ()
        for c in range(min(len(self.strips), len(channels))):
            if self.strips.is_channel_visible(c):
                chosen = self._shown_color(c)
                colormap = chosen_colormap(chosen) if chosen else colormap_of(channels[c])
                limits = self.contrasts.limits(c) or (0.0, 1.0)
                looks[c] = ChannelLook(limits, colormap, self.strips.gamma_of(c))
        return looks

    def looks_of_fields(self) -> dict[int, ChannelLook]:
        """The same for the picture of all fields: with limits for pixels of each type."""
        others = self._info.other_dtypes if self._info is not None else ()
        looks = self.drawn_looks()
        if not others:
            return looks
        limits_of = self.contrasts.limits
        return {
            c: look._replace(
                limits=limits_of(c, "") or (0.0, 1.0),
                others=tuple((other, limits_of(c, other) or (0.0, 1.0)) for other in others),
            )
            for c, look in looks.items()
        }

    def show_only_those_of(self, image: ImageInfo | None) -> None:
        """Show the strips of the channels that an image has; until that is known, all stay.

        Where all fields are shown, those of all channels.
        """
        self._in_view = image
        if image is not None and self._info is not None:
            of_all = range(len(self._info.channels))
            self.strips.show_only(of_all if self._shows_fields else self._info.channels_of(image))
            self._update_gray()

    def _make_strips(self) -> None:
        assert self._info is not None
        strips, channels = self.strips, self._info.channels[:MAX_CHANNELS_SHOWN]
        is_volume = strips.is_3d()
        strips.set_channels(channels)
        strips.say_left_out(len(self._info.channels) - len(channels))
        strips.set_3d(is_volume)
        self._on_strip.clear()
        self.choices.hold_for(map(self._name, range(len(channels))), self._dtype())
        for c, channel in enumerate(channels):
            self._begin(c, channel)
        if not any(map(strips.is_channel_visible, range(len(channels)))):
            for c in range(
                len(channels)
            ):  # hidden in runs that also had others: alone they are a black picture
                strips.set_visible_channel(c, self._is_on_at_first(c))
        self._in_gray = strips.alone if strips.contrast.is_gray else None

    def _begin(self, c: int, channel: Channel) -> None:
        """Set a strip and its contrast to what was chosen, else to what the dataset wants."""
        strips, chosen = self.strips, self.choices.of(self._name(c))
        strips.set_visible_channel(c, self._is_on_at_first(c) if chosen.visible is None else chosen.visible)
        limits = chosen.limits if chosen.mode is ContrastMode.MANUAL else None
        if limits is None and chosen.mode in (None, ContrastMode.MANUAL):
            limits = channel.window
        if limits is not None:
            self.contrasts.set_limits(c, *limits)
            strips.set_window(c, *limits)
        else:
            self.contrasts.set_mode(c, chosen.mode or ContrastMode.RUN)
        strips.set_contrast_mode(c, self.contrasts.mode(c))
        if chosen.gamma is not None:
            strips.set_gamma(c, chosen.gamma)
        if chosen.color is not None:
            strips.set_color(c, chosen.color)

    def _is_on_at_first(self, c: int) -> bool:
        assert self._info is not None
        wanted = [each for each, channel in enumerate(self._info.channels) if channel.visible]
        return c in (wanted if len(wanted) <= FEW_CHANNELS else wanted[:FIRST_ON])

    def apply_to_canvas(self) -> None:
        """A canvas was built: give it what was chosen."""
        assert self._canvas is not None
        for c in range(len(self.strips)):
            if self._shown_color(c):
                self._show_color(c)
            if self.strips.gamma_of(c) != 1.0:
                self._canvas.set_gamma(c, self.strips.gamma_of(c))
            if not self.strips.is_channel_visible(c):
                self._canvas.set_visible(c, False)

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
        for c in range(len(self.strips)):
            contrast = frame.contrasts.get(c)
            if c in self._on_strip and self._on_strip[c] is contrast:
                continue  # unchanged plane: repainting its histogram would cost 2 ms
            self._on_strip[c] = contrast
            if contrast is None:
                self.strips.set_histogram(c, (), 0.0, 1.0)
                self.strips.set_saturated(c, 0.0)
                continue
            self._show_on_strip(c, contrast)
            self.strips.set_saturated(c, self.contrasts.of(c).saturated)

    def _say_contrasts(self) -> None:
        """Planes, or what is made from stacks of them, are drawn with limits of their own."""
        for c in range(len(self.strips)):
            self.strips.set_contrast_mode(c, self.contrasts.mode(c))
            limits = self.contrasts.limits(c)
            if limits is not None:
                self.strips.set_window(c, *limits)

    def _span(self, c: int, low: float, high: float) -> None:
        """The range of a channel's slider: all values seen so far."""
        seen_low, seen_high = self._spans.get(c, (low, high))
        low, high = self._spans[c] = min(low, seen_low), max(high, seen_high)
        info, other = self._info, self.contrasts.type_of(c)
        groups = info.groups if info is not None else ()
        dtypes = [each.dtype for each in groups if info is not None and info.other_dtype(each) == other]
        whole = (
            all(dtype is not None and dtype.kind in "iub" for dtype in dtypes) and self._shown_as != "mean"
        )
        self.strips.set_range(c, *((int(low), int(high)) if whole else (low, high)))

    def _say_limits(self, c: int) -> None:
        limits = self.contrasts.limits(c)
        if limits is not None and self.contrasts.mode(c).is_automatic:
            self.strips.set_window(c, *limits)

    def show(self, c: int) -> None:
        """Make a channel visible for now, without remembering it as a choice."""
        if not self.strips.is_channel_visible(c):
            self.strips.set_visible_channel(c, True)
            self._on_shown_for_now(c, True)

    # ---- what the user does ----------------------------------------------------------------

    def _is_apart(self, c: int) -> bool:
        """Whether sums or pixels of another type than usual are shown: limits hold for these alone."""
        return self.contrasts.is_of_sums or bool(self.contrasts.type_of(c))

    def _name(self, c: int) -> Name:
        assert self._info is not None
        return channel_name(self._info.channels, c)

    def _apply_limits(self, c: int) -> None:
        self._on_strip.pop(c, None)
        if self._canvas is not None:
            self._canvas.apply_contrast(c)
        self._say_limits(c)

    @safe_slot
    def _on_visible_changed(self, c: int, visible: bool) -> None:
        self.choices.choose(self._name(c), visible=visible)
        self._on_shown_for_now(c, visible)

    @safe_slot
    def _on_shown_for_now(self, c: int, visible: bool) -> None:
        if self._canvas is not None:
            self._canvas.set_visible(c, visible)
        self._update_gray()

    def _shown_color(self, c: int) -> str:
        """The colour or table in which a channel is shown; empty as the dataset wants it."""
        return _GRAY if c == self._in_gray else self.strips.chosen_color(c)

    def _show_color(self, c: int) -> None:
        color = self._shown_color(c)
        if self._canvas is None or self._info is None:
            return
        if color:
            self._canvas.set_color(c, color)
        else:
            self._canvas.set_color_of(c, self._info.channels[c])

    @safe_slot
    def _update_gray(self, *_: object) -> None:
        """A channel that is shown alone is in gray, where that is wanted."""
        alone = self.strips.alone if self.strips.contrast.is_gray else None
        if alone != self._in_gray:
            before, self._in_gray = self._in_gray, alone
            for c in (before, alone):
                if c is not None:
                    self._show_color(c)

    @safe_slot
    def _on_mode_chosen(self, c: int, mode: ContrastMode) -> None:
        self.contrasts.set_mode(c, mode)
        limits = self.contrasts.limits(c) if mode is ContrastMode.MANUAL else None
        if limits is None or not self._is_apart(c):  # those of sums are of no use for planes
            self.choices.choose(self._name(c), mode=mode, limits=limits, dtype=self._dtype())
        self._apply_limits(c)

    @safe_slot
    def _on_window_changed(self, c: int, low: float, high: float) -> None:
        self.contrasts.set_limits(c, low, high)
        if not self._is_apart(c):
            limits = low, high
            self.choices.choose(self._name(c), mode=ContrastMode.MANUAL, limits=limits, dtype=self._dtype())
        self._apply_limits(c)

    @safe_slot
    def _on_gamma_changed(self, c: int, gamma: float) -> None:
        self.choices.choose(self._name(c), gamma=gamma)
        if self._canvas is not None:
            self._canvas.set_gamma(c, gamma)

    @safe_slot
    def _on_color_changed(self, c: int, color: str) -> None:
        self.choices.choose(self._name(c), color=color)
        self._show_color(c)

    @safe_slot
    def _on_clip_chosen(self, clip: float) -> None:
        self.contrasts.clip = clip
        self._apply_all_limits()

    @safe_slot
    def _on_restart_chosen(self) -> None:
        self.contrasts.start_with_last()
        self._spans.clear()
        self._apply_all_limits()

    def _apply_all_limits(self) -> None:
        for c in range(len(self.strips)):
            self._apply_limits(c)

    @safe_slot
    def _on_remember_chosen(self, remembers: bool) -> None:
        self.choices.is_remembering = remembers

    @safe_slot
    def _on_reset_chosen(self) -> None:
        """Everything as the dataset wants it."""
        self.choices.clear()
        self._show_choices()

    def take_imported(self, document: object) -> int:
        """Add choices that were kept as JSON, show channels by them, and return how many there are.

        Raises `MetadataError` for another document.
        """
        n = self.choices.take_json(document)
        self._show_choices()
        return n

    def _show_choices(self) -> None:
        """Strips and canvas as they would begin now."""
        if self._info is None:
            return
        before = [self.strips.is_channel_visible(c) for c in range(len(self.strips))]
        shown = self.strips.shown()
        self._make_strips()
        self.strips.show_only(shown)
        for c in range(len(self.strips)):
            if self._canvas is None:
                continue
            self._show_color(c)
            self._canvas.set_gamma(c, self.strips.gamma_of(c))
            if self.strips.is_channel_visible(c) != before[c]:
                self._canvas.set_visible(c, not before[c])
        self._apply_all_limits()
        if self._canvas is not None and self._canvas.frame is not None:
            self.take_frame(self._canvas.frame)

    def _dtype(self) -> str | None:
        usual = self._info.usual_dtype if self._info is not None else None
        return None if usual is None else str(usual)
