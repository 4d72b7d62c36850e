"""The indices of channels and positions that are given by name, or counted within a position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PlaneNotStoredError
from ..model import channel_name, find_channel

if TYPE_CHECKING:
    from ..sources import Source
    from .current_info import CurrentInfo
    from .image_lookup import ImageLookup


class NamesToIndices:
    """Looks up channels and positions. Any thread."""

    def __init__(self, source: Source, images: ImageLookup, current: CurrentInfo) -> None:
        self._source = source
        self._images = images
        self._current = current

    def position(self, p: int | str) -> int:
        """The index of a position; raises `KeyError` for a label that is missing or ambiguous.

        Names may be in the metadata of the images themselves: if none is known, all are looked at, on a
        server the first 64, which blocks.
        """
        if not isinstance(p, str):
            return p
        info = self._current.adopt()
        try:
            return info.position_index(p)
        except KeyError:
            self._images.look_at_all()
            told = self._current.adopt()
            if told.positions == info.positions:
                raise
        return told.position_index(p)

    def channel(self, c: int | str, p: int) -> int:
        """The index in `info.channels`, the channels of all positions, of a position's channel `c`.

        By its name, or its index in that position. May block on disk. Raises `KeyError` or `IndexError`.
        """
        if type(c) is int and p == 0 and len(self._current.known.positions) == 1:  # most calls of scripts
            return c
        return self._named_channel(c, p) if isinstance(c, str) else self._own_channel(c, p)

    def _own_channel(self, c: int, p: int) -> int:
        """The index in `info.channels`, the channels of all positions, of a position's own channel `c`."""
        try:
            own = self._images.image(p).channels
        except (PlaneNotStoredError, IndexError):  # reading the plane will say why
            return c
        info = self._source.info
        if info.common is None:
            return c
        if not 0 <= c < len(own):
            raise IndexError(f"no channel {c}: {info.positions[p].label} has {len(own)}")
        found = find_channel(info.channels, *channel_name(own, c))
        return c if found is None else found

    def _named_channel(self, name: str, p: int) -> int:
        """The index of a channel of position `p`; looks at the position if the name alone does not tell."""
        info = self._current.adopt()
        if sum(channel.name == name for channel in info.channels) != 1:
            own = self._images.image(p).channels
            if sum(channel.name == name for channel in own) == 1:
                info = self._current.adopt()
                return next(c for c, channel in enumerate(info.channels) if channel.name == name)
        return info.channel_index(name)
