"""Leads the view to planes that were found, or that a warning is about, and names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..canvas.canvas_view import MAX_CHANNELS_SHOWN
from ..following.follow import FOLLOWED_AXES
from ..view_texts import plane_words

if TYPE_CHECKING:
    from ..canvas.canvas_view import View
    from ..following.view_follower import ViewFollower
    from ..stage import Stage


class WayToPlanes:
    """For one stage; GUI thread only. Indices are those of a plane; None: any, which stays as it is."""

    def __init__(self, stage: Stage, follower: ViewFollower) -> None:
        self._stage = stage
        self._follower = follower

    def go(self, t: int | None, p: int | None, c: int | None, z: int | None) -> bool:
        """Show that plane; False, and nothing changes, if the dataset on screen has none there."""
        dataset = self._stage.dataset
        if dataset is None:
            return False
        sizes = dataset.info.sizes
        wanted = {"t": t, "p": p, "c": c, "z": z}
        if any(index is not None and not 0 <= index < sizes[axis] for axis, index in wanted.items()):
            return False
        if z is not None:
            self._stage.show_projection(None)
        self._stage.go_to(t=t, p=p, z=z)
        if c is not None and c < MAX_CHANNELS_SHOWN:
            self._stage.show_channel(c)
        self._follower.pin([axis for axis in FOLLOWED_AXES if wanted[axis] is not None])
        return True

    def has_moved_since(self, view: View) -> bool:
        """Whether anybody has led the view elsewhere: not along axes that follow the newest planes."""
        now = self._stage.view
        axes = set(FOLLOWED_AXES) - set(self._follower.rule.followed)
        return any(getattr(now, axis) != getattr(view, axis) for axis in axes)

    def name_of(self, t: int | None, p: int | None, c: int | None, z: int | None) -> str:
        """What is said of that plane, counted as on the sliders: "B3:0 · t 5 · z 2 · GFP"."""
        dataset = self._stage.dataset
        words = plane_words(dataset.info, t, p, c, z) if dataset is not None else []
        return " · ".join(words) or "the plane"
