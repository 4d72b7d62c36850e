"""Why a key does nothing in what is shown, so that it can be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...rendering.scale_bar import NO_SCALE
from .keys import keys_of

if TYPE_CHECKING:
    from ..screen import Screen

_OF_SHAPES = ("measure_next", "measure_move", "measure_resize", "measure_remove")


def why_no_effect(screen: Screen, action: str) -> str:
    """Why this action does nothing now; "" if it does something, or says itself why not. GUI thread."""
    if screen.sessions.shown is None:
        return ""
    tools, sliders = screen.tools, screen.stage.sliders
    if action in _OF_SHAPES and tools.measuring.shapes.selected is None and not len(tools.measuring.shapes):
        return f"No shape is drawn: {keys_of('measures')} offers some"
    image = screen.stage.image
    if action == "scale_bar" and image is not None and image.pixel_size_um is None:
        return f"No scale bar: {NO_SCALE}"
    if action == "labels" and not tools.labels.panel.names.count():
        return "There are no labels (masks) here"
    if action == "split_gray" and not tools.split.is_shown:
        return f"Channels are not side by side: {keys_of('split')} shows them so"
    if action == "follow" and not screen.follower.may_grow:
        return "Nothing to follow: no run is on, and nothing was added"
    if action == "warnings" and not screen.warnings.are_any:
        return "No warnings"
    if action == "projection" and sliders.size("z") < 2:
        return "Only one z plane: there is nothing to project"
    if action == "projection" and screen.stage.view.is_volume:
        return "A volume is not projected: choose 2D first"
    if action == "volume" and (why := screen.stage.strips.why_not_3d):
        return why[0].upper() + why[1:]
    if action == "play" and not any(sliders.size(axis) > 1 for axis in "tzp"):
        return "Only one picture: there is nothing to play"
    return ""
