"""Moves the view to the newest planes: connects the rule to the sliders, their lights and the button.

GUI thread only; reads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qtpy.QtCore import QObject

from ...engine.newest_places import Place
from ..slots import safe_slot
from .follow import FOLLOWED_AXES, Axis, FollowMode, FollowRule, grows_along_z, newest_of_growth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.dataset import Dataset
    from ...engine.newest_places import NewestWanted
    from ...model import DatasetInfo
    from ..run_status.status_row import StatusRow
    from ..stage import Stage


class ViewFollower(QObject):
    """Follows for one stage. `start_over` at each new dataset, `step` whenever the dataset is polled."""

    def __init__(self, stage: Stage, row: StatusRow) -> None:
        super().__init__(stage)
        self.rule = FollowRule()
        self._stage = stage
        self._row = row
        self._dataset: Dataset | None = None
        self._info: DatasetInfo | None = None
        self._grown: Place | None = None  # where the dataset has grown last, by itself
        self._may_grow = False
        self._at_first: tuple[NewestWanted, Place] | None = None  # as first asked
        self._has_news = False  # since then; or somebody has asked to be led there
        stage.sliders.moved.connect(self._on_moved)
        stage.sliders.play_started.connect(self._on_play_started)
        stage.sliders.light_clicked.connect(self._on_light_clicked)
        row.follow.follow_clicked.connect(self._on_follow_clicked)
        row.follow.waits_changed.connect(self._on_waits_changed)
        self._say()

    @property
    def may_grow(self) -> bool:
        """Whether there is, or was, anything to follow since the dataset is shown."""
        return self._may_grow

    def start_over(self, dataset: Dataset | None) -> None:
        """Another dataset or run is on screen, from its first plane on: modes are those by default."""
        self._dataset = dataset
        self._info = dataset.info if dataset is not None else None
        self._grown = None
        self._may_grow = False
        self._at_first, self._has_news = None, False
        self.rule.start_over()
        self.step()
        self._say()

    def step(self) -> None:
        """Go where the newest planes are, if anything follows; a few microseconds if nothing is new."""
        dataset = self._dataset
        if dataset is None or self._stage.dataset is not dataset:
            return
        self._note_growth(dataset)
        newest = self._newest(dataset) if self.rule.followed else None
        if not self._may_grow and (self._grown is not None or self._has_news or dataset.live):
            self._may_grow = True
            self._say()
        if newest is None:
            return
        at = self._at
        target = self.rule.target(at, newest)
        if target != at:
            self._stage.follow_to(
                **{axis: to for axis, now, to in zip(FOLLOWED_AXES, at, target, strict=True) if now != to}
            )

    @property
    def _at(self) -> Place:
        view = self._stage.view
        return Place(view.t, view.p, view.z)

    def _newest(self, dataset: Dataset) -> Place | None:
        at = self._at
        view = self._stage.view
        is_stack = view.is_volume or view.projection is not None
        wanted = self.rule.wanted(at, self._stage.visible_channels(), is_volume=is_stack)
        if wanted is None:
            return None
        newest = dataset.newest(wanted)
        if dataset.looks_for_newest:
            return newest if newest is not None and self._is_news(wanted, newest) else None
        if newest is not None or self._grown is None:
            return newest
        is_elsewhere = "p" not in self.rule.followed and self._grown.p != at.p
        return None if is_elsewhere else self._grown

    def _is_news(self, wanted: NewestWanted, newest: Place) -> bool:
        """Whether more is stored than at first: what is opened is shown from its beginning until then."""
        if self._at_first is None or self._at_first[0] != wanted:
            self._at_first = wanted, newest
        self._has_news = self._has_news or self._grown is not None or newest != self._at_first[1]
        return self._has_news

    def _note_growth(self, dataset: Dataset) -> None:
        """Note what has been added to the dataset by whoever writes it, announced or not."""
        before, info = self._info, dataset.info
        if before is not info:
            self._info = info
            # what a run contains is known with its first store: that is no growth
            if before is None or before.dtype is None:
                return
            if grows_along_z(before, info, self._at):
                self.rule.note_growth("z")
                self._say()
            self._grown = newest_of_growth(before, info, self._at) or self._grown

    # ---- who asks --------------------------------------------------------------------------

    def set_default(self, modes: dict[Axis, FollowMode]) -> None:
        """Choose modes for now and for every dataset from now on."""
        for axis, mode in modes.items():
            self.rule.set_default(axis, mode)
        self._has_news = True
        self._changed()

    def set_waits_for_channels(self, waits: bool) -> None:
        """Whether a place counts only once all visible channels are there."""
        self.rule.waits_for_channels = waits
        self._changed()

    def restore(self, followed: Iterable[str], pinned: Iterable[str]) -> None:
        """These axes followed, and those were pinned, when the dataset was shown last; the others stay."""
        led = [axis for axis in FOLLOWED_AXES if axis in followed]
        for axis in led:
            self.rule.set_mode(axis, FollowMode.NEWEST)
        self.rule.pin([axis for axis in FOLLOWED_AXES if axis in pinned])
        self._has_news = self._has_news or bool(led)
        self._changed()

    def pin(self, axes: Iterable[Axis]) -> None:
        """A host moves along these axes."""
        self.rule.pin(axes)
        self._changed()

    def follow_again(self) -> None:
        """Follow everything again, if there is anything to follow."""
        if self._may_grow:
            self.rule.follow_again()
            self._has_news = True
            self._changed()

    def _changed(self) -> None:
        self._stage.sliders.stop_playing(self.rule.followed)
        self._say()
        self.step()

    def _say(self) -> None:
        sliders = self._stage.sliders
        sliders.show_lights(self._may_grow)
        for axis in FOLLOWED_AXES:
            sliders.set_follow_mode(axis, self.rule.mode(axis))
        self._row.follow.setVisible(self._may_grow)
        self._row.show_following(self.rule.follows_all, self.rule.waits_for_channels)

    # ---- slots -----------------------------------------------------------------------------

    @safe_slot
    def _on_moved(self, axis: str, index: int) -> None:
        self._pin_by_user(axis)

    @safe_slot
    def _on_play_started(self, axis: str) -> None:
        self._pin_by_user(axis)

    def _pin_by_user(self, axis: str) -> None:
        if axis in self.rule.followed:
            self.rule.pin([axis])
            self._say()

    @safe_slot
    def _on_light_clicked(self, axis: str) -> None:
        chosen = cast("Axis", axis)
        is_followed = chosen in self.rule.followed
        self.rule.set_mode(chosen, FollowMode.PINNED if is_followed else FollowMode.NEWEST)
        self._has_news = self._has_news or not is_followed
        self._changed()

    @safe_slot
    def _on_follow_clicked(self, on: bool) -> None:
        if on:
            self.follow_again()
        else:
            self.pin(FOLLOWED_AXES)

    @safe_slot
    def _on_waits_changed(self, waits: bool) -> None:
        self.set_waits_for_channels(waits)
