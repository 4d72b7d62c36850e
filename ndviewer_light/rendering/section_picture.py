"""Sections through a stack as pictures: along z and one axis of the planes, channels added up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..engine.stack_beside import WITH_PIXELS
from ..model import PlaneState
from .added_up import composite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..engine.stack_beside import StackSeen
    from .scene_picture import ChannelLook

_SAID_FIRST = (PlaneState.UNREADABLE, PlaneState.LOADING, PlaneState.PENDING, PlaneState.ABSENT)


class SectionPicture(NamedTuple):
    """A section: `pixels` (Z, N, 3) uint8, and the state of each plane that has no pixels of any channel."""

    pixels: np.ndarray
    without: tuple[PlaneState | None, ...]


def section_pictures(
    seen: StackSeen, row: int, column: int, looks: Mapping[int, ChannelLook]
) -> tuple[SectionPicture, SectionPicture]:
    """The sections along x (XZ) at a row of the stack, and along y (YZ) at a column, in its voxels.

    Of the channels in `looks`; what is not there of a channel is left out, whatever its limits.
    """
    without = planes_without_pixels([seen.states[c] for c in looks if c in seen.states], len(seen.grid.zs))
    _, height, width = seen.grid.shape
    xz = _added_up(seen, {c: seen.pixels[c][:, row, :] for c in seen.pixels}, looks, width)
    yz = _added_up(seen, {c: seen.pixels[c][:, :, column] for c in seen.pixels}, looks, height)
    return SectionPicture(xz, without), SectionPicture(yz, without)


def planes_without_pixels(states: Sequence[Sequence[PlaneState]], n_z: int) -> tuple[PlaneState | None, ...]:
    """What is said of each plane of a stack of which no channel has pixels; None of the others."""
    return tuple(_said_of([each[i] for each in states]) for i in range(n_z))


def _said_of(states: Sequence[PlaneState]) -> PlaneState | None:
    if any(state in WITH_PIXELS for state in states):
        return None
    return next((state for state in _SAID_FIRST if state in states), PlaneState.LOADING)


def _added_up(
    seen: StackSeen, sections: Mapping[int, np.ndarray], looks: Mapping[int, ChannelLook], length: int
) -> np.ndarray:
    out = np.zeros((len(seen.grid.zs), length, 3), np.uint8)
    for channels, planes in _alike(seen, [c for c in looks if c in sections]).items():
        layers = [looks[c].layer(sections[c][planes]) for c in channels]
        out[planes] = composite(layers, len(planes), length)
    return out


def _alike(seen: StackSeen, channels: Sequence[int]) -> dict[tuple[int, ...], list[int]]:
    """The planes by the channels of which they have pixels."""
    found: dict[tuple[int, ...], list[int]] = {}
    for i in range(len(seen.grid.zs)):
        there = tuple(c for c in channels if seen.states[c][i] in WITH_PIXELS)
        if there:
            found.setdefault(there, []).append(i)
    return found
