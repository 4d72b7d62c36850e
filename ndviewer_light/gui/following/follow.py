"""Which axes of a view follow the newest plane, and where that leads. Knows no Qt, reads nothing.

A followed axis shows the newest place of those at the pinned indices of the other axes. Whoever moves along
an axis, user or host, pins it; nothing else ever moves a pinned axis.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Literal

from ...engine.newest_places import NewestWanted, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...model import DatasetInfo

Axis = Literal["t", "p", "z"]

FOLLOWED_AXES: tuple[Axis, ...] = ("t", "p", "z")
_USUAL: frozenset[Axis] = frozenset(("t", "p"))
"""What is followed when somebody asks for everything: z stays, as most stacks are watched at one height."""


class FollowMode(Enum):
    """What an axis does when there is a newer plane; the values are what users read."""

    NEWEST = "follows the newest"
    PINNED = "pinned"


class FollowRule:
    """The mode of each axis, and where the followed ones should go. Not thread-safe.

    `default` is what a new run or dataset starts with; nothing is followed unless somebody asks.
    """

    def __init__(self) -> None:
        self._default: frozenset[Axis] = frozenset()
        self._pinned_by_default: frozenset[Axis] = frozenset()  # of those not in `_default`, by choice
        self._followed: frozenset[Axis] = frozenset()
        self._usual = _USUAL
        self._touched: frozenset[Axis] = frozenset()  # whose mode somebody has chosen for this dataset
        self.waits_for_channels = True
        """Whether a place counts only once all visible channels are there; else one is enough."""

    def mode(self, axis: Axis) -> FollowMode:
        """What the axis does when there is a newer plane."""
        return FollowMode.NEWEST if axis in self._followed else FollowMode.PINNED

    @property
    def followed(self) -> frozenset[Axis]:
        """The axes that follow."""
        return self._followed

    @property
    def follows_all(self) -> bool:
        """Whether there is nothing left for `follow_again` to do."""
        return self._usual <= self._followed

    def set_default(self, axis: Axis, mode: FollowMode) -> None:
        """Set the mode now, and for every dataset from now on."""
        self.set_mode(axis, mode)
        if mode is FollowMode.NEWEST:
            self._default |= {axis}
            self._pinned_by_default -= {axis}
        else:
            self._default -= {axis}
            self._pinned_by_default |= {axis}

    def set_mode(self, axis: Axis, mode: FollowMode) -> None:
        """Choose the mode of one axis, for this dataset; z counts as one of all axes once it was chosen."""
        self._touched |= {axis}
        if mode is FollowMode.NEWEST:
            self._followed |= {axis}
            self._usual |= {axis}
        else:
            self._followed -= {axis}
            self._usual = self._usual - {axis} | _USUAL

    def pin(self, axes: Iterable[Axis]) -> None:
        """Somebody moved along these axes: they stay where they were put."""
        moved = frozenset(axes)
        self._touched |= moved
        self._followed -= moved

    def note_growth(self, axis: Axis) -> None:
        """The dataset grows along an axis: it is followed as well if any is by default.

        Unless somebody has chosen what it does, for this dataset or by default.
        """
        if self._default and axis not in self._touched | self._pinned_by_default:
            self._followed |= {axis}
            self._usual |= {axis}

    def follow_again(self) -> None:
        """Follow all axes: time and position, and z if it was chosen."""
        self._followed |= self._usual

    def start_over(self) -> None:
        """Another dataset, or a new run: everything is as it is by default."""
        self._followed = self._default
        self._usual = _USUAL | self._default
        self._touched = frozenset()

    def wanted(self, at: Place, channels: Iterable[int], *, is_volume: bool) -> NewestWanted | None:
        """Which place to look for from the view `at`; None if nothing is followed or visible."""
        shown = tuple(channels)
        if not self._followed or not shown:
            return None
        t, p, z = (None if axis in self._followed else i for axis, i in zip(FOLLOWED_AXES, at, strict=True))
        return NewestWanted(t, p, z, shown, self.waits_for_channels, is_volume)

    def target(self, at: Place, newest: Place) -> Place:
        """Where the view goes from `at`: along the followed axes only."""
        chosen = (
            n if axis in self._followed else i for axis, i, n in zip(FOLLOWED_AXES, at, newest, strict=True)
        )
        return Place(*chosen)


def newest_of_growth(before: DatasetInfo, info: DatasetInfo, at: Place) -> Place | None:
    """Where a dataset has grown since `before`: at a new position, else along time or z; None if nowhere.

    For what nobody announces: this is all that is known without reading. If several positions have more time
    points, the one in view counts, then the last one. `at` is the view, in the indices of `info`.
    """
    indices = {position.label: p for p, position in enumerate(before.positions)}
    new = [p for p, position in enumerate(info.positions) if position.label not in indices]
    if new:
        return Place(info.image(new[-1]).n_t - 1, new[-1], at.z)
    grown = [
        p
        for p in (*info.images, at.p)
        if p < len(info.positions) and info.image(p).n_t > before.image(indices[info.positions[p].label]).n_t
    ]
    if grown:
        return Place(info.image(grown[-1]).n_t - 1, grown[-1], at.z)
    return Place(at.t, at.p, info.image(at.p).n_z - 1) if grows_along_z(before, info, at) else None


def grows_along_z(before: DatasetInfo, info: DatasetInfo, at: Place) -> bool:
    """Whether the position in view has more z than `before`, as a file to which pages are appended."""
    if at.p >= len(info.positions):
        return False
    p = {position.label: p for p, position in enumerate(before.positions)}.get(info.positions[at.p].label)
    return p is not None and info.image(at.p).n_z > before.image(p).n_z
