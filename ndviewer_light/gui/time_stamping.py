"""The time of the picture as the dataset records it, looked up in a thread while it is written on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QObject

from ..model import ImageInfo, PlaneKey
from ..rendering.time_stamps import TimeStamps, time_text
from .latest_wanted import LatestWanted
from .slots import safe_slot

if TYPE_CHECKING:
    from ..model import DatasetInfo
    from ..storage.cancellation import CancelScope
    from .background import Background
    from .canvas.canvas_view import View
    from .poll import Poll
    from .stage import Stage

_STAMPED_AT_ONCE = 64
"""Time points of a stack whose times are looked up together, and as many of those that come next."""
_ASKED_AGAIN_SECONDS = 2.0
"""What is being written may not say so at first."""
_AWAITED = "…"


class _TimesWanted(NamedTuple):
    """Which times are looked up: those of a plane from one time point on."""

    stamps: TimeStamps
    first: PlaneKey
    n_t: int

    @property
    def keys(self) -> list[PlaneKey]:
        """The planes, and those that tell how exactly times are said."""
        times = range(self.first.t, min(self.first.t + 2 * _STAMPED_AT_ONCE, self.n_t))
        return [*TimeStamps.beginning(self.first), *(self.first._replace(t=t) for t in times)]


class TimeStamping(QObject):
    """For one stage. GUI thread only, except where a method says otherwise."""

    def __init__(self, stage: Stage, background: Background, poll: Poll) -> None:
        super().__init__(stage)
        self._stage = stage
        self._poll = poll
        self._of: tuple[object, int] | None = None  # the dataset, and its generation
        self._stamps: TimeStamps | None = None
        self._shown: PlaneKey | None = None  # that tells the time of what is shown
        self._wanted: _TimesWanted | None = None
        self._again_due = 0.0
        self._look_ups = LatestWanted[_TimesWanted](background.run, "ndviewer-times", self._look_up)
        stage.stamp_of = self._stamp
        stage.recorded_of = self._recorded
        stage.overlay.written_changed.connect(self._say_again)

    def end(self) -> None:
        """The widget ends."""
        self._look_ups.close()

    # ---- parts -----------------------------------------------------------------------------

    def _stamp(self, view: View, facts: ImageInfo | DatasetInfo) -> str:
        """The time of a view, as far as it is known; what is not is looked up if it is to be written."""
        stamps = self._stamps_now()
        if stamps is None or not isinstance(facts, ImageInfo) or not self._stage.overlay.written.time:
            return time_text(view.t, facts)
        z = view.z if view.projection is None else view.projection.first
        z = view.planes_of(facts.n_z).start if view.is_volume else z
        key = self._shown = stamps.plane(view.t, view.p, z, facts, self._stage.channels_on())
        self._want(stamps, key, facts.n_t)
        is_awaited = stamps.records_any and not stamps.is_asked(key)
        return _AWAITED if is_awaited else stamps.text(key, facts)

    def _recorded(self, t: int) -> float | None:
        """When a time point of what is shown was acquired, if that was looked up."""
        stamps, shown = self._stamps, self._shown
        if stamps is None or shown is None or not self._stage.overlay.written.time:
            return None
        is_there = shown.p == self._stage.sliders.index("p")
        return stamps.recorded(shown._replace(t=t)) if is_there else None

    def _stamps_now(self) -> TimeStamps | None:
        dataset = self._stage.dataset
        if dataset is None:
            self._of = self._stamps = self._shown = self._wanted = None
            return None
        of = dataset, dataset.info.generation
        if of != self._of:
            self._of, self._stamps, self._shown, self._wanted = of, TimeStamps(dataset), None, None
        return self._stamps

    def _want(self, stamps: TimeStamps, key: PlaneKey, n_t: int) -> None:
        dataset, now = self._stage.dataset, time.monotonic()
        wanted = _TimesWanted(stamps, key._replace(t=key.t // _STAMPED_AT_ONCE * _STAMPED_AT_ONCE), n_t)
        if stamps.is_asked(key):
            is_settled = stamps.recorded(key) is not None or dataset is None or not dataset.is_being_written
            if is_settled or now < self._again_due:
                return
        elif wanted == self._wanted and (self._look_ups.is_busy or now < self._again_due):
            return
        self._wanted, self._again_due = wanted, now + _ASKED_AGAIN_SECONDS
        self._look_ups.want(wanted)

    def _look_up(self, wanted: _TimesWanted, _scope: CancelScope) -> None:
        """In a thread."""
        wanted.stamps.look_up(wanted.keys)
        self._poll.post(lambda: self._on_looked_up(wanted.stamps))

    def _on_looked_up(self, stamps: TimeStamps) -> None:
        if stamps is self._stamps:
            self._say_again()

    @safe_slot
    def _say_again(self) -> None:
        self._stage.say_place()
        self._stage.sliders.say_values_again("t")
