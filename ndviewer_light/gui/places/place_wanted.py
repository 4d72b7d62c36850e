"""Moving the view to a place, also one that is not known yet: it goes there once it is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..following.follow import FOLLOWED_AXES

if TYPE_CHECKING:
    from ...model import DatasetInfo
    from ..following.view_follower import ViewFollower
    from ..stage import Stage

logger = logging.getLogger(__name__)


class PlaceWanted:
    """For one stage; GUI thread only. What moves the view pins the axes that it names."""

    def __init__(self, stage: Stage, follower: ViewFollower) -> None:
        self._stage = stage
        self._follower = follower
        self._later: tuple[int, int | None, int | None] | None = None

    def forget(self) -> None:
        """Another dataset is shown."""
        self._later = None

    def go_to(self, info: DatasetInfo, p: int, t: int | None = None, z: int | None = None) -> None:
        """Show a position, at time and z if given; indices outside the dataset change nothing.

        While a run has not written anything, its sizes are unknown: then it goes there once they are.
        """
        self._later = None
        wanted = {"p": p, "t": t, "z": z}
        outside = [axis for axis, i in wanted.items() if i is not None and not 0 <= i < info.sizes[axis]]
        if not outside:
            self._stage.go_to(t=t, p=p, z=z)
        elif "p" not in outside and info.dtype is None:
            self._stage.go_to(p=p)
            self._later = p, t, z
        else:
            logger.warning("there is no plane at field %s, t %s, z %s: the view does not move", p, t, z)
            return
        self._follower.pin([axis for axis in FOLLOWED_AXES if wanted[axis] is not None])

    def move_along(self, **indices: int) -> None:
        """Move along axes (p, t, z) within the known sizes; the others stay, known or not."""
        if "z" in indices:
            self._stage.show_projection(None)  # a plane is wanted
        self._stage.go_to(**indices)
        self._follower.pin([axis for axis in FOLLOWED_AXES if axis in indices])
        if self._later is not None:
            p, t, z = self._later
            self._later = indices.get("p", p), indices.get("t", t), indices.get("z", z)

    def take_info(self, info: DatasetInfo) -> None:
        """More is known of the dataset."""
        if self._later is not None:
            self.go_to(info, *self._later)
