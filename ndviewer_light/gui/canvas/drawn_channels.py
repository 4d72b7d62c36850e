"""How the channels of a dataset are drawn: visible or not, in which colours, between which limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ndv.models import ClimsManual

from ...model import PlaneState
from ...rendering.colormaps import chosen_colormap, colormap_of

if TYPE_CHECKING:
    from ndv.models import ArrayDisplayModel

    from ...model import Channel
    from ...rendering.contrast import ChannelContrasts
    from .view_arrays import DatasetWrapper, Frame


class DrawnChannels:
    """The channels of one dataset, as ndv draws them by its display model. GUI thread only."""

    def __init__(
        self, wrapper: DatasetWrapper, display: ArrayDisplayModel, contrasts: ChannelContrasts
    ) -> None:
        self._wrapper = wrapper
        self._display = display
        self._contrasts = contrasts

    def set_visible(self, c: int, visible: bool) -> None:
        """Show or hide a channel; hidden channels are not read."""
        shown = self._wrapper.visible
        self._wrapper.visible = shown | {c} if visible else shown - {c}
        self._display.luts[c].visible = visible

    def set_color(self, c: int, choice: str) -> None:
        """Show a channel in another colour ``"#RRGGBB"``, or with a lookup table; ``_r``: inverted."""
        self._display.luts[c].cmap = chosen_colormap(choice)

    def set_color_of(self, c: int, channel: Channel) -> None:
        """Show a channel in the colour, or with the lookup table, that its dataset wants."""
        self._display.luts[c].cmap = colormap_of(channel)

    def set_gamma(self, c: int, gamma: float) -> None:
        """Draw values between the limits of a channel by their power `gamma`; 1 is linear."""
        self._display.luts[c].gamma = gamma

    def limits(self, c: int) -> tuple[float, float] | None:
        """The contrast a channel is drawn with; None before there is one."""
        clims = self._display.luts[c].clims
        return (clims.min, clims.max) if clims is not None and clims.is_manual else None

    def apply_contrast(self, c: int) -> None:
        """Draw a channel with the limits it has by now."""
        limits = self._contrasts.limits(c)
        if limits is not None and self.limits(c) != limits:
            self._display.luts[c].clims = ClimsManual(min=limits[0], max=limits[1])

    def add_contrasts(self, frame: Frame) -> None:
        """Take what a frame adds to what was seen of the run, and draw with the limits that follow."""
        projection = frame.view.projection
        self._contrasts.show_projection("" if projection is None else projection.how)
        for c, contrast in frame.contrasts.items():
            is_whole = frame.planes[c].state is not PlaneState.LOADING
            self._contrasts.of(c).add(contrast, is_whole=is_whole)
            self.apply_contrast(c)

    def hide_what_is_missing(self, frame: Frame) -> None:
        """Draw nothing of channels without pixels: low values need not be black."""
        for c, plane in frame.planes.items():
            drawn = c in self._wrapper.visible and (frame.view.is_volume or plane.pixels is not None)
            if self._display.luts[c].visible != drawn:
                self._display.luts[c].visible = drawn
