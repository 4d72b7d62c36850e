"""What a host says about a run before any of it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .channel import ChannelPart, channel_parts, channels_shown
from .dataset_info import DatasetInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .channel import Channel
    from .position import Position


@dataclass(frozen=True)
class AnnouncedRun:
    """What a host announces about a run it is about to write; nothing of it need exist yet.

    One entry per position in `positions`, `paths` and `indices`: the OME-Zarr group (or array)
    the position will be written to, and its index along that store's position axis, or None
    if the store contains only one position. `paths` and `indices` are empty if the host names
    an image file per plane later instead. `channels` are the host's names; see `channel_parts`.
    """

    positions: tuple[Position, ...]
    paths: tuple[str, ...]
    indices: tuple[int | None, ...]
    channels: tuple[str, ...]
    n_z: int
    height: int
    width: int

    @property
    def names_files(self) -> bool:
        """Whether the host names an image file per plane instead of stores."""
        return not self.paths

    @property
    def folder(self) -> str:
        """The local folder that has all the stores, "" if there is none or the host names files."""
        if any("://" in path for path in self.paths):
            return ""
        try:
            return os.path.commonpath(self.paths)
        except ValueError:  # no paths, or some on another drive
            return ""

    @property
    def parts(self) -> tuple[ChannelPart, ...]:
        """The channels as displayed: colour images count as three."""
        if self.names_files:
            return channel_parts(self.channels)
        return tuple(ChannelPart(name, i) for i, name in enumerate(self.channels))

    def parts_of(self, channels: Sequence[Channel]) -> tuple[ChannelPart, ...]:
        """The parts that these are: more of the announced channels may be in colour than their names say."""
        in_colour = channel_parts(self.channels, range(len(self.channels)))
        known = {part.name: part for part in (*in_colour, *self.parts)}
        return tuple(known[channel.name] for channel in channels if channel.name in known)


def announced_info(run: AnnouncedRun) -> DatasetInfo:
    """What is known of a run before any of it is written: as announced, colours by channel name."""
    return DatasetInfo(
        format="tiff" if run.names_files else "ome-zarr",
        positions=run.positions,
        channels=channels_shown(run.parts),
        n_t=1,
        n_z=run.n_z,
        height=run.height,
        width=run.width,
        dtype=None,
    )
