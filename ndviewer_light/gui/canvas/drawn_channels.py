"""How the channels of a dataset are drawn: visible or not, in which colours, between which limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...model import PlaneState
from ...rendering.added_up import Layer
from ...rendering.colormaps import chosen_colormap, colormap_of
from .canvas_view import MAX_CHANNELS_SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import cmap

    from ...model import Channel
    from ...rendering.contrast import ChannelContrasts
    from .view_frames import Frame, ViewFrames


class DrawnLook(NamedTuple):
    """How a channel is drawn; nothing of it unless `is_on`."""

    colormap: cmap.Colormap
    limits: tuple[float, float]
    gamma: float = 1.0
    is_on: bool = True


def layers_of(frame: Frame, looks: Sequence[DrawnLook]) -> dict[int, Layer]:
    """The channels of a frame that are drawn over each other, by index: planes of one size."""
    shape = frame.drawn_shape
    layers = ((c, layer_of(frame, looks, c)) for c in frame.planes)
    return {c: layer for c, layer in layers if layer is not None and layer.pixels.shape == shape}


def layer_of(frame: Frame, looks: Sequence[DrawnLook], c: int) -> Layer | None:
    """A channel of a frame by itself, whatever its size; None if nothing of it is drawn."""
    pixels = frame.planes[c].pixels
    if c >= len(looks) or pixels is None or not looks[c].is_on:
        return None
    return Layer(pixels, looks[c].limits, looks[c].colormap, looks[c].gamma)


class DrawnChannels:
    """The channels of one dataset. GUI thread only.

    `changed(c, look, before)` is called whenever a channel is to be drawn in another way than before.
    """

    def __init__(
        self,
        frames: ViewFrames,
        contrasts: ChannelContrasts,
        changed: Callable[[int, DrawnLook, DrawnLook], None],
    ) -> None:
        self._frames = frames
        self._contrasts = contrasts
        self._changed = changed
        shown = frames.dataset.info.channels[:MAX_CHANNELS_SHOWN]
        self._looks = [
            DrawnLook(colormap_of(channel), contrasts.limits(c) or (0.0, 1.0))
            for c, channel in enumerate(shown)
        ]

    @property
    def looks(self) -> tuple[DrawnLook, ...]:
        """How each channel is drawn."""
        return tuple(self._looks)

    def set_visible(self, c: int, visible: bool) -> None:
        """Show or hide a channel; hidden channels are not read."""
        shown = self._frames.visible
        self._frames.visible = shown | {c} if visible else shown - {c}
        self._draw(c, self._looks[c]._replace(is_on=visible))

    def set_color(self, c: int, choice: str) -> None:
        """Show a channel in another colour ``"#RRGGBB"``, or with a lookup table; ``_r``: inverted."""
        self._draw(c, self._looks[c]._replace(colormap=chosen_colormap(choice)))

    def set_color_of(self, c: int, channel: Channel) -> None:
        """Show a channel in the colour, or with the lookup table, that its dataset wants."""
        self._draw(c, self._looks[c]._replace(colormap=colormap_of(channel)))

    def set_gamma(self, c: int, gamma: float) -> None:
        """Draw values between the limits of a channel by their power `gamma`; 1 is linear."""
        self._draw(c, self._looks[c]._replace(gamma=gamma))

    def limits(self, c: int) -> tuple[float, float]:
        """The contrast a channel is drawn with."""
        return self._looks[c].limits

    def apply_contrast(self, c: int) -> None:
        """Draw a channel with the limits it has by now."""
        limits = self._contrasts.limits(c)
        if limits is not None:
            self._draw(c, self._looks[c]._replace(limits=limits))

    def add_contrasts(self, frame: Frame) -> None:
        """Take what a frame adds to what was seen of the run, and draw with the limits that follow."""
        projection = frame.view.projection
        self._contrasts.show_projection("" if projection is None else projection.how)
        info = self._frames.dataset.info
        if frame.view.p < len(info.positions):
            self._contrasts.show_type(info.other_dtype(info.image(frame.view.p)))
        for c, contrast in frame.contrasts.items():
            is_whole = frame.planes[c].state is not PlaneState.LOADING
            self._contrasts.of(c).add(contrast, is_whole=is_whole)
        for c in sorted({each for seen in frame.contrasts for each in self._contrasts.together(seen)}):
            self.apply_contrast(c)

    def hide_what_is_missing(self, frame: Frame) -> None:
        """Draw nothing of channels without pixels: low values need not be black."""
        for c, plane in frame.planes.items():
            drawn = c in self._frames.visible and (frame.view.is_volume or plane.pixels is not None)
            self._draw(c, self._looks[c]._replace(is_on=drawn))

    def _draw(self, c: int, look: DrawnLook) -> None:
        before = self._looks[c]
        if look.colormap is not before.colormap or look[1:] != before[1:]:  # colour maps do not all compare
            self._looks[c] = look
            self._changed(c, look, before)
