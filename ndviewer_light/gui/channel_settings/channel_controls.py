"""The channels of the dataset on screen: their strips, their contrast, and what the user chooses for them.

GUI thread only; nothing is read here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from ...model import channel_name
from ...rendering.colormaps import chosen_colormap, colormap_of
from ...rendering.contrast import ChannelContrasts, ContrastMode
from ...views.channel_choices import ChannelChoice, ChannelChoices
from ..canvas.canvas_view import MAX_CHANNELS_SHOWN
from ..panels.channels import ChannelStrips
from ..parts_ahead import part_made
from ..slots import safe_slot
from .strip_contrasts import StripContrasts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...model import Channel, DatasetInfo, ImageInfo
    from ...rendering.scene_picture import ChannelLook
    from ...views.channel_choices import Name
    from ..canvas.display import Canvas

FEW_CHANNELS = 8
"""Of more than these, only the first `FIRST_ON` are on at first: together they would be white."""
FIRST_ON = 4
_GRAY = "#FFFFFF"


class ChannelControls(QObject):
    """Connects the strips of channels with the canvas, and keeps choices by the names of channels.

    `said`: what was done to all of them, where that may not be seen.
    """

    said = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.strips = part_made(ChannelStrips)
        self.contrasts = ChannelContrasts()
        self.shown = StripContrasts(self.strips, self.contrasts)
        self.choices = ChannelChoices()
        self._canvas: Canvas | None = None
        self._info: DatasetInfo | None = None
        self._in_view: ImageInfo | None = None
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
        self.shown.set_canvas(canvas)

    # ---- what is shown ---------------------------------------------------------------------

    def show_dataset(self, info: DatasetInfo) -> None:
        """Begin with another dataset: what was chosen for channels of these names holds for it."""
        self._info, self._in_view = info, None
        self.shown.take_info(info)
        self.choices.start_over()
        self.contrasts.start_over()
        self.shown.forget_spans()
        self._make_strips()

    def take_info(self, info: DatasetInfo) -> None:
        """More is known of the dataset: strips for its channels, as they were if they have the same name."""
        assert self._info is not None
        if info.generation != self._info.generation:
            self.contrasts.forget_seen()
            self.shown.forget_spans()
        visible = {self._name(c): self.strips.is_channel_visible(c) for c in range(len(self.strips))}
        others = {name: on for c, (name, on) in enumerate(visible.items()) if on != self._is_on_at_first(c)}
        before = {self._name(c): on for c, on in self.strips.on_before.items()}
        self._info = info
        self.shown.take_info(info)
        self._make_strips()
        for c in range(len(self.strips)):
            if self._name(c) in others:
                self.strips.set_visible_channel(c, others[self._name(c)])
        names = map(self._name, range(len(self.strips)))
        self.strips.on_before = {c: before[name] for c, name in enumerate(names) if name in before}

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

    def show_fields(self, shows: bool) -> None:
        """All fields are shown at once, or planes one by one again: strips speak of what is shown."""
        if shows != self.shown.shows_fields:
            self.shown.show_fields(shows)
            self.show_only_those_of(self._in_view)

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
            self.strips.show_only(of_all if self.shown.shows_fields else self._info.channels_of(image))
            self._update_gray()

    def _make_strips(self) -> None:
        assert self._info is not None
        strips, channels = self.strips, self._info.channels[:MAX_CHANNELS_SHOWN]
        is_volume = strips.is_3d()
        self.contrasts.take_channels(channels)
        strips.set_channels(channels)
        strips.say_left_out(len(self._info.channels) - len(channels))
        strips.set_3d(is_volume)
        self.shown.forget_strips()
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

    def show(self, c: int) -> None:
        """Make a channel visible for now, without remembering it as a choice."""
        if not self.strips.is_channel_visible(c):
            self.strips.set_visible_channel(c, True)
            self._on_shown_for_now(c, True)

    # ---- what the user does ----------------------------------------------------------------

    def _name(self, c: int) -> Name:
        assert self._info is not None
        return channel_name(self._info.channels, c)

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
        if limits is None or not self.shown.is_apart(c):  # those of sums are of no use for planes
            self.choices.choose(self._name(c), mode=mode, limits=limits, dtype=self._dtype())
        self.shown.apply(c)

    @safe_slot
    def _on_window_changed(self, c: int, low: float, high: float) -> None:
        self.contrasts.set_limits(c, low, high)
        if not self.shown.is_apart(c):
            limits = low, high
            self.choices.choose(self._name(c), mode=ContrastMode.MANUAL, limits=limits, dtype=self._dtype())
        self.shown.apply(c)

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
        self.shown.apply_all()

    @safe_slot
    def _on_restart_chosen(self) -> None:
        self.contrasts.start_with_last()
        self.shown.forget_spans()
        self.shown.apply_all()
        self.said.emit("Limits of the run begin again with the plane in view")

    @safe_slot
    def _on_remember_chosen(self, remembers: bool) -> None:
        self.choices.is_remembering = remembers

    @safe_slot
    def _on_reset_chosen(self) -> None:
        """Everything as the dataset wants it."""
        self.choices.clear()
        self._show_choices()
        self.said.emit("All channels are reset: limits, gamma, colours and which are on")

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
        self.shown.apply_all()
        if self._canvas is not None and self._canvas.frame is not None:
            self.shown.take_frame(self._canvas.frame)

    def _dtype(self) -> str | None:
        usual = self._info.usual_dtype if self._info is not None else None
        return None if usual is None else str(usual)
