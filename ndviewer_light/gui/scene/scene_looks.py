"""When the pictures of fields in the overview are made with other colours and limits of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scene_changes import look_alike, only_limits_follow

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...rendering.contrast import ContrastMode
    from ...rendering.scene_picture import ChannelLook
    from .scene_reading import SceneReading

_LOOKS_SECONDS = 0.1
"""How often colours follow the controls, and the contrast of a run while its planes arrive."""
_FIRST_LOOKS_SECONDS = 0.03
_SECONDS_PER_PICTURE = 0.001
"""While the first pictures arrive, their contrast follows at once, then less often, the more there are: all
are made again each time."""
_SECONDS_PER_PICTURE_LATER = 0.002
"""The same afterwards: each field that a run writes, and each closer look, may change the limits of all."""
_UNSEEN_SECONDS = 1.0
"""So long limits may stay behind that have changed by next to nothing."""


class SceneLooks:
    """Channels as the overview draws them, which follow the main view: visible, colours, contrast, gamma.

    At once at first, then the more rarely the more pictures would have to be made again. GUI thread only.
    """

    def __init__(self) -> None:
        self.drawn: dict[int, ChannelLook] = {}
        self._is_stale = False
        self._looks_due = self._limits_due = self._alike_due = 0.0

    @property
    def is_stale(self) -> bool:
        """Whether what fields suggest has changed since."""
        return self._is_stale

    def note_suggestions(self) -> None:
        """What fields suggest has changed."""
        self._is_stale = True

    def hurry(self) -> None:
        """Follow with the next step."""
        self._looks_due = self._limits_due = 0.0

    def start_over(self) -> None:
        """Nothing is drawn."""
        self.drawn, self._is_stale = {}, False

    def follow(
        self,
        reading: SceneReading,
        now: float,
        current: Callable[[], dict[int, ChannelLook]],
        mode_of: Callable[[int], ContrastMode],
    ) -> None:
        """Have pictures made with the looks of now, `current()`, if it is time for that."""
        if self.drawn and now < self._looks_due:
            return
        self._looks_due = now + (_FIRST_LOOKS_SECONDS if reading.is_filling else _LOOKS_SECONDS)
        looks = current()
        if not looks or looks == self.drawn:
            self._is_stale = False
            return
        if now < self._limits_due and only_limits_follow(self.drawn, looks, mode_of):
            self._is_stale = self._is_stale and reading.is_filling
            return
        if look_alike(self.drawn, looks):
            self._is_stale = False
            self._alike_due = self._alike_due or now + _UNSEEN_SECONDS
            if now < self._alike_due:
                return
        self._alike_due = 0.0
        self.drawn, self._is_stale = looks, False
        each = _SECONDS_PER_PICTURE if reading.is_filling else _SECONDS_PER_PICTURE_LATER
        self._limits_due = now + reading.pictures.n_known * each
        reading.set_looks(looks)
